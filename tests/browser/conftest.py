"""What the browser tests share: Chromium, the app with a stand-in model, and a tab that complains of errors.

A real Chromium on a busy machine can miss a frame or a connection; a test that fails for that reason passes when it
is run again, one that found a fault does not. A rerun is shown in the summary (``R``).
"""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from app.scans import SAMPLES

from ..app.stand_in import StandInModel
from .on_page import ARGS, CHROMIUM, READY, serve
from .tabs import Tabs


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def browser():
    """Started once a process."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def window(browser):
    """Tabs of one window share the cache: Gradio's scripts are fetched and compiled once a server, not once a tab."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture(scope="session")
def tabs(window):
    return Tabs(window)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = Path(os.environ.get("MEDVL_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def stand_in():
    url, handlers, demo = serve(StandInModel())
    yield url, handlers
    demo.close()
    handlers.store.shutdown()


@pytest.fixture(scope="module")
def server(stand_in):
    """One app for all modules; each begins and ends without visitors."""
    store = stand_in[1].store
    yield stand_in
    for key in list(store._sessions):
        store.close(key)


@pytest.fixture
def visit(server, window, tabs):
    """Load the page in a tab of its own, wait for the scan; complain at the end of errors in the console."""
    url, handlers = server
    handlers.model.slice_s = 0.0
    taken, complaints = [], []

    def complain(message):
        complaints.append((message.text, message.location.get("url", "")))

    def of_a_closed_scan(address):
        """A request that was on its way when its scan was closed is answered by 404: that is as it should be."""
        token = address.partition("/medvl/")[2].partition("/")[0]
        return bool(token) and handlers.store.find_board(token) is None

    def open_tab(width=1280, height=800, address=url):
        page = tabs.take(width, height)
        taken.append(page)
        page.on("pageerror", lambda error: complaints.append((str(error), "")))
        page.on("console", lambda message: complain(message) if message.type == "error" else None)
        page.goto(address)
        page.wait_for_function(READY, timeout=60_000)
        return page

    yield open_tab
    wrong = [f"{text} {address}" for text, address in complaints if not of_a_closed_scan(address)]
    window.set_offline(False)
    for page in taken:
        tabs.give_back(page)
    assert wrong == []


@pytest.fixture(scope="module")
def bladder():
    """A voxel in the middle of the sample's bladder, and one of its spine."""
    labels = np.asarray(nib.as_closest_canonical(nib.load(SAMPLES / "abdomen_labels.nii.gz")).dataobj)
    return tuple(int(v) for v in np.argwhere(labels == 21).mean(axis=0).round())
