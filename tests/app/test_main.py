"""``python app.py`` as a process: what is left when it is ended or killed, and how fast it ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from .. import phantoms

ROOT = Path(__file__).resolve().parents[2]
SLICE_S = 60
# app.py itself, with a model that needs no weights; runpy, because the package app has the same name.
CODE = f"""
import runpy, sys, medvl
from tests.app.stand_in import StandInModel
medvl.load = lambda *_, **__: StandInModel(slice_s={SLICE_S})
sys.argv = ["app.py", "--port", sys.argv[1]]
runpy.run_path("app.py", run_name="__main__")
"""


@contextmanager
def running(folder):
    """The process and its address."""
    from ..benchmarks.server import _free_port

    environment = os.environ | {"TMPDIR": str(folder)}
    environment.pop("GRADIO_TEMP_DIR", None)
    command = [sys.executable, "-u", "-c", CODE, str(_free_port())]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, next(line.split()[3] for line in process.stdout if "MedVL-SAM2 is at" in line)
        finally:
            process.kill()


def files_in(folder):
    return sorted(f.name for f in folder.rglob("*") if f.is_file() and f.suffix != ".lock")


@pytest.fixture
def scan(tmp_path):
    phantom = phantoms.phantom((48, 44, 40), spacing=(6.0, 6.0, 7.0), noise=0)
    return phantoms.write_nifti(tmp_path / "DOE_JOHN.nii.gz", phantom.hu, phantom.affine), phantom.centre("liver")


def propagate(url, path, point) -> None:
    """Upload and start a segmentation whose first slice takes a minute."""
    uploaded = httpx.post(f"{url}gradio_api/upload", files={"files": (path.name, path.read_bytes())}).json()
    data = [[{"path": uploaded[0], "meta": {"_type": "gradio.FileData"}}], [[int(v) for v in point]], [], None, "", ""]
    event = httpx.post(f"{url}gradio_api/call/segment", json={"data": data}).json()["event_id"]

    def listen():
        with suppress(httpx.HTTPError):
            httpx.get(f"{url}gradio_api/call/segment/{event}", timeout=60)

    threading.Thread(target=listen, daemon=True).start()


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def begun(folder):
    """Whether the upload and the working folder of a job are there."""
    return any(folder.rglob("medvl-api-*")) and files_in(folder)


def test_a_start_sweeps_what_a_killed_run_left_and_sigterm_in_a_propagation_leaves_nothing(tmp_path, scan):
    folder = tmp_path / "tmp"
    (folder / "medvl-results").mkdir(parents=True)  # somebody's own
    with running(folder) as (process, url):
        propagate(url, *scan)
        wait_for(lambda: begun(folder))
        process.kill()
        process.wait()
        assert "DOE_JOHN.nii.gz" in files_in(folder)
    with running(folder) as (process, url):
        assert files_in(folder) == []
        propagate(url, *scan)
        wait_for(lambda: begun(folder))
        time.sleep(1)  # into the first slice, which takes SLICE_S
        process.send_signal(signal.SIGTERM)
        assert process.wait(SLICE_S / 2) == 0  # it does not wait for the slice
    assert [f.name for f in folder.iterdir()] == ["medvl-results"]


def test_a_missing_temporary_folder_is_named(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path / "missing")}
    command = [sys.executable, "app.py", "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "Set TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr
