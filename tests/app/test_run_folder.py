"""The folder of a run: what a killed run left goes with the next start, and only that."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.run_folder import FolderError, RunFolder, sweep

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import sys, time
from app.run_folder import RunFolder
made = RunFolder(sys.argv[1])
(made.path / "uploads").mkdir()
(made.path / "uploads" / "DOE_JOHN.nii.gz").write_bytes(b"of a patient")
print(made.path, flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """A run in another process, and its folder."""
    with subprocess.Popen([sys.executable, "-c", CODE, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        yield run, Path(run.stdout.readline().strip())
        run.kill()


def test_a_killed_runs_folder_goes_and_a_living_ones_stays(other, tmp_path):
    process, folder = other
    (tmp_path / "medvl-run-notes").mkdir()  # somebody else's
    (tmp_path / "medvl-run-other.lock").symlink_to(tmp_path / "nowhere")
    assert sweep(tmp_path) == 0
    assert folder.is_dir()
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = RunFolder(tmp_path)
    assert not folder.exists()
    assert made.path.is_dir()
    made.close()
    made.close()
    assert sorted(os.listdir(tmp_path)) == ["medvl-run-notes", "medvl-run-other.lock"]


def test_a_folder_that_cannot_be_used_is_named(tmp_path, monkeypatch):
    with pytest.raises(FolderError, match="TMPDIR"):
        RunFolder(tmp_path / "missing")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    with pytest.raises(FolderError, match="missing"):
        RunFolder()
