"""``python app.py`` as a process: what is left when it is ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
# app.py itself, with a model that needs no weights; runpy, because the package app has the same name.
CODE = """
import runpy, sys, medvl
from tests.app.stand_in import StandInModel
StandInModel.notices = lambda self: []
medvl.load = lambda *_, **__: StandInModel()
sys.argv = ["app.py", "--port", sys.argv[1]]
runpy.run_path("app.py", run_name="__main__")
"""


def test_nothing_stays_when_it_is_terminated(tmp_path):
    from tests.benchmarks.server import _free_port

    environment = os.environ | {"TMPDIR": str(tmp_path)}
    environment.pop("GRADIO_TEMP_DIR", None)
    command = [sys.executable, "-u", "-c", CODE, str(_free_port())]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = next(line.split()[3] for line in process.stdout if "MedVL-SAM2 is at" in line)
            httpx.post(
                f"{url}gradio_api/upload", files={"files": ("DOE_JOHN.nii.gz", b"of a patient")}
            ).raise_for_status()
            assert [f.name for f in tmp_path.rglob("*.nii.gz")] == ["DOE_JOHN.nii.gz"]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert [f.name for f in tmp_path.rglob("*") if f.is_file() or f.name.startswith("medvl-")] == []
