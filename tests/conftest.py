"""What all tests share: the bundled model, the bundled scan, and how the suite is dealt out to processes.

The whole suite runs in two to four processes of one thread each; a part of it (``pytest tests/app``) in this one, and
``-n0`` keeps the whole suite in one, too. Tests of a file stay together, for what they share is made once a process
(``--dist loadfile``: of ``loadgroup`` nothing is left with pytest 9.2 and xdist 3.8, which then deal out single tests).
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
import psutil
import pytest

from . import memo

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks: more threads wait for each other more than they gain
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if os.environ.get("MEDVL_REQUIRE_BROWSER") and not Path("/usr/bin/chromium").exists():
    raise RuntimeError("MEDVL_REQUIRE_BROWSER is set and there is no /usr/bin/chromium: install Debian's chromium.")

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared"
LONG = (
    "medvl/prompting", "medvl/training/vlm", "medvl/test_case_saved", "medvl/jobs", "medvl/training",
    "medvl/structures", "medvl/networks/test_zero_gpu", "app/test_main", "benchmarks", "medvl/evaluation",
)  # fmt: skip
PROCESS_GB = 5.0
KEPT = "session-"


def pytest_xdist_auto_num_workers(config):
    if config.args_source != pytest.Config.ArgsSource.TESTPATHS:
        return 0
    room = int(psutil.virtual_memory().available / 1e9 / PROCESS_GB)
    cores = os.cpu_count() or 1
    return max(1, min(4, cores + 1, room))  # one more than cores: many tests wait for a browser or another process


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Files in the order in which they are dealt out: one with a browser, one without, those that take long first."""
    files = {False: {}, True: {}}
    for item in items:
        files[item.path.parent.name == "browser"].setdefault(item.path, []).append(item)

    def rank(path: Path) -> int:
        place = path.relative_to(HERE).as_posix()
        return next((n for n, folder in enumerate(LONG) if place.startswith(folder)), len(LONG))

    others = sorted(files[False], key=rank)
    order = [file for pair in zip_longest(files[True], others) for file in pair if file is not None]
    items[:] = [item for file in order for item in (files[True].get(file) or files[False][file])]


def pytest_configure(config):
    if memo.FOLDER not in os.environ:  # the process that the others are started from
        folder = tempfile.TemporaryDirectory(prefix="medvl-tests-")
        os.environ[memo.FOLDER] = folder.name
        config.add_cleanup(folder.cleanup)
        config.add_cleanup(lambda: os.environ.pop(memo.FOLDER))


@pytest.fixture(autouse=True, scope="module")
def _networks_remember(request):
    """See ``memo``."""
    if request.path.relative_to(HERE).as_posix().startswith(memo.COMPUTED):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        memo.install(patch)
        yield


@pytest.fixture(autouse=True, scope="module")
def _folders_go(request, tmp_path_factory):
    """What a module's own fixtures wrote goes with it: a run would keep 5 GB. One of the session begins with KEPT."""
    base, failed = tmp_path_factory.getbasetemp(), request.session.testsfailed
    before = set(base.iterdir())
    yield
    if request.session.testsfailed == failed:  # else somebody wants to look
        for folder in set(base.iterdir()) - before:
            if not folder.name.startswith(KEPT):
                shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def networks_compute(monkeypatch, tmp_path):
    """They remember nothing, for a test of what happens while they compute."""
    monkeypatch.setenv(memo.FOLDER, str(tmp_path))


@pytest.fixture(scope="session")
def model():
    """The bundled nano preset."""
    import medvl

    return medvl.load("nano", device="cpu")


@pytest.fixture(scope="session")
def abdomen():
    """The bundled abdomen with its reference labels (a ``LabelledCase``)."""
    from medvl.evaluation.cases import abdomen_sample

    return abdomen_sample()


@pytest.fixture(scope="session")
def coarse_abdomen():
    """Every second slice of it, 6 mm apart, for tests that segment by the networks: a slice costs a second."""
    from medvl.ct.geometry import SourceGeometry
    from medvl.evaluation.cases import abdomen_sample

    abdomen = abdomen_sample()
    ct, affine = abdomen.ct, abdomen.ct.affine.copy()
    affine[:3, 2] *= 2
    hu, labels = (np.ascontiguousarray(array[:, :, ::2]) for array in (ct.hu, abdomen.labels))
    return replace(
        abdomen, ct=replace(ct, hu=hu, affine=affine, source=SourceGeometry(hu.shape, affine)), labels=labels
    )


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """``cases.json`` of the developers' scans, which are not in the repository."""
    path = SHARED / "data" / "cases.json"
    if not path.exists():
        pytest.skip("needs the developers' scans in ../shared/data, which are not part of the repository")
    json.loads(path.read_text())
    return path
