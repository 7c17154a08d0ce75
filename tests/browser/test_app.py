"""The whole page in a real Chromium: open, scroll, click, box, undo, stop, rename, 3-D, export, upload.

``MEDVL_SCREENSHOTS=folder`` keeps the pictures. Most tests use the stand-in model, so that they say something about
the page; the last one clicks on the bundled weights.
"""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from app.scans import SAMPLES, SampleShelf
from app.sessions import SessionStore
from app.ui import launch
from tests import phantoms
from tests.app.stand_in import StandInModel

CHROMIUM = Path("/usr/bin/chromium")
ARGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
READY = "window.medvlViewer && window.medvlViewer.state().complete"
DRAWN = "() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"
IDLE = "!medvlViewer.state().busy && !medvlViewer.state().pending && !document.querySelector('.is-running')"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium on this machine"),
    pytest.mark.skipif(not (SAMPLES / "samples.json").exists(), reason="no samples in assets/samples"),
]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = Path(os.environ.get("MEDVL_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def serve(model):
    store = SessionStore(budget_bytes=4 * 10**9)
    _, url, handlers, demo = launch(model, port=None, store=store, shelf=SampleShelf())
    return url, handlers, demo


@pytest.fixture(scope="module")
def server():
    url, handlers, demo = serve(StandInModel())
    yield url, handlers
    demo.close()
    handlers.store.shutdown()


@pytest.fixture
def visit(server, browser):
    """Open the page in a tab of its own, wait for the scan; complain at the end of errors in the console."""
    url, handlers = server
    handlers.model.slice_s = 0.0
    tabs, complaints = [], []

    def complain(message):
        complaints.append((message.text, message.location.get("url", "")))

    def of_a_closed_scan(address):
        """A request that was on its way when its scan was closed is answered by 404: that is as it should be."""
        token = address.partition("/medvl/")[2].partition("/")[0]
        return bool(token) and handlers.store.find_board(token) is None

    def open_tab(width=1280, height=800, address=url):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.on("pageerror", lambda error: complaints.append((str(error), "")))
        page.on("console", lambda message: complain(message) if message.type == "error" else None)
        page.goto(address)
        page.wait_for_function(READY, timeout=60_000)
        tabs.append(page)
        return page

    yield open_tab
    wrong = [f"{text} {address}" for text, address in complaints if not of_a_closed_scan(address)]
    for page in tabs:
        page.close()
    assert wrong == []


def state(page):
    return page.evaluate("medvlViewer.state()")


def spot(page, ijk, plane="axial"):
    """Where a voxel is drawn, with its slice shown."""
    page.evaluate("ijk => medvlViewer.setCrosshair(ijk)", list(ijk))
    page.evaluate(DRAWN)
    at = page.evaluate("([plane, ijk]) => medvlViewer.canvasPoint(plane, ijk)", [plane, list(ijk)])
    return at["x"], at["y"]


def tool(page, name):
    page.locator(f"#viewer .mv-{name}").first.click()


def click(page, ijk, name="positive", plane="axial", wait=True):
    tool(page, name)
    before = state(page)["revision"]
    page.mouse.click(*spot(page, ijk, plane))
    page.wait_for_function("before => medvlViewer.state().revision > before", arg=before, timeout=30_000)
    if wait:
        page.wait_for_function(IDLE, timeout=60_000)
        page.wait_for_timeout(500)  # the panel and the picture come in messages of their own


def open_tab(page, name):
    page.get_by_role("tab", name=name).click()


def row_volumes(page):
    return [float(text.split()[0].replace(",", "")) for text in page.locator(".mp-size").all_inner_texts()]


def upload(page, files):
    open_tab(page, "Scan")
    before = state(page)["token"]
    page.locator("#upload input[type=file]").set_input_files([str(f) for f in files])
    page.wait_for_function("before => medvlViewer.state().token !== before", arg=before, timeout=60_000)
    page.wait_for_function(READY, timeout=60_000)
    page.wait_for_timeout(300)


@pytest.fixture(scope="module")
def bladder():
    """A voxel in the middle of the sample's bladder, and one of its spine."""
    labels = np.asarray(nib.as_closest_canonical(nib.load(SAMPLES / "abdomen_labels.nii.gz")).dataobj)
    return tuple(int(v) for v in np.argwhere(labels == 21).mean(axis=0).round())


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1600, 900)])
def test_the_sample_opens_by_itself(visit, pictures, width, height):
    page = visit(width, height)
    page.screenshot(path=pictures / f"open-{width}.png")
    open_tab(page, "Scan")
    assert page.locator(".fp-title").inner_text() == "Abdomen and pelvis"
    assert "122" in page.locator(".fp-rows").inner_text()
    sizes = page.evaluate("[document.documentElement.scrollHeight, document.documentElement.scrollWidth]")
    assert sizes[0] <= height
    assert sizes[1] <= width
    viewer = page.locator("#viewer .mv").bounding_box()
    assert viewer["width"] > 0.6 * width
    assert viewer["height"] > 0.85 * height
    assert "not for diagnosis" in page.locator("#foot").inner_text()


def test_tabs_in_the_order_of_work_and_an_empty_3d_view(visit):
    page = visit()
    names = ["Scan", "Chat", "Masks", "3-D", "Report", "Export"]
    assert page.locator("#tabs [role=tab]:visible").all_inner_texts() == names
    assert page.get_by_role("tab", name="Chat").get_attribute("aria-selected") == "true"
    open_tab(page, "3-D")
    page.wait_for_selector("#surface .annotation-text >> text=/No mask to show yet/", timeout=60_000)
    assert page.locator("#surface .xtick, #surface .ytick").count() == 0


def test_on_a_phone(visit, pictures):
    page = visit(390, 844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    viewer = page.locator("#viewer .mv").bounding_box()
    tabs = page.locator("#tabs").bounding_box()
    foot = page.locator("#foot").bounding_box()
    assert viewer["width"] > 360
    assert page.locator("#brand").bounding_box()["y"] >= viewer["y"] + viewer["height"] - 1
    assert tabs["y"] > page.locator("#brand").bounding_box()["y"]
    assert foot["y"] >= tabs["y"] + tabs["height"] - 1
    page.screenshot(path=pictures / "phone.png", full_page=True)


def test_nothing_comes_from_elsewhere_and_scrolling_asks_nothing(visit, server):
    page = visit()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    before = state(page)["ijk"]
    x, y = spot(page, before)
    page.mouse.move(x, y)
    requests.clear()
    for _ in range(25):
        page.mouse.wheel(0, 120)
        page.wait_for_timeout(15)
    for _ in range(10):
        page.keyboard.press("ArrowUp")
    page.wait_for_timeout(300)
    assert state(page)["ijk"] != before
    assert requests == []
    requests.clear()
    page.reload()
    page.wait_for_function(READY, timeout=60_000)
    assert [u for u in requests if not u.startswith((server[0], "data:", "blob:"))] == []


def test_click_refine_undo_redo_clear(visit, bladder, pictures):
    page = visit()
    click(page, bladder)
    assert page.locator(".mp-row").count() == 1
    (first,) = row_volumes(page)
    assert first > 10
    assert "HU" in page.locator('[data-fact="hu"]').inner_text()
    assert "mm" in page.locator('[data-fact="diameter"]').inner_text()
    click(page, (bladder[0] + 3, bladder[1], bladder[2]), name="negative")
    assert page.locator(".mp-row").count() == 1
    page.wait_for_function(
        "first => parseFloat(document.querySelector('.mp-size').textContent.replace(',', '')) < first", arg=first
    )
    page.screenshot(path=pictures / "refined.png")
    page.locator("#masks-panel [data-op=undo]").click()
    page.wait_for_function(
        "first => parseFloat(document.querySelector('.mp-size').textContent.replace(',', '')) === first", arg=first
    )
    page.locator("#viewer .mv").focus()
    page.keyboard.press("Control+z")
    page.wait_for_function("document.querySelectorAll('.mp-row').length === 0")
    page.locator("#masks-panel [data-op=redo]").click()
    page.wait_for_function("document.querySelectorAll('.mp-row').length === 1")
    page.locator("#masks-panel [data-op=clear]").click()
    page.wait_for_function("document.querySelectorAll('.mp-row').length === 0")
    page.wait_for_function("medvlViewer.state().masks.length === 0")


def test_box_new_object_rename_and_looks(visit, bladder, pictures):
    page = visit()
    tool(page, "box")
    i, j, k = bladder
    x0, y0 = spot(page, (i - 8, j + 8, k))
    at = page.evaluate("ijk => medvlViewer.canvasPoint('axial', ijk)", [i + 8, j - 8, k])
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move((x0 + at["x"]) / 2, (y0 + at["y"]) / 2)
    page.mouse.move(at["x"], at["y"])
    page.mouse.up()
    page.wait_for_function("medvlViewer.state().masks.length === 1", timeout=30_000)
    page.wait_for_function(IDLE, timeout=60_000)
    page.locator("#masks-panel [data-op=new]").click()
    page.wait_for_function("medvlViewer.state().active === null")
    click(page, (61, 50, 80), plane="coronal")
    assert page.locator(".mp-row").count() == 2

    name = "<img src=x onerror=document.title='hacked'> kidney ${1+1} {{2}}"
    page.locator(".mp-name").fill(name)
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelectorAll('.mp-rowname')[1].textContent.includes('kidney')")
    assert page.locator(".mp-rowname").nth(1).inner_text() == name[:60].strip()
    assert page.locator("#masks-panel img").count() == 0
    assert page.title() == "MedVL-SAM2"

    page.locator(".mp-eye").nth(0).click()
    page.wait_for_function("document.querySelectorAll('.mp-row')[0].classList.contains('is-hidden')")
    page.locator(".mp-color").evaluate(
        "node => { node.value = '#00ff00'; node.dispatchEvent(new Event('change', { bubbles: true })); }"
    )
    page.wait_for_function(
        "getComputedStyle(document.querySelectorAll('.mp-swatch')[1]).backgroundColor === 'rgb(0, 255, 0)'"
    )
    before = state(page)["ijk"]
    page.locator(".mp-row").nth(0).click()
    page.wait_for_function("document.querySelectorAll('.mp-row')[0].classList.contains('is-active')")
    page.locator("#masks-panel [data-op=jump]").click()
    page.wait_for_function("before => String(medvlViewer.state().ijk) !== before", arg=",".join(map(str, before)))
    page.screenshot(path=pictures / "masks.png")
    volume = row_volumes(page)[0]
    page.locator("#masks-panel [data-op=union]").click()
    page.wait_for_function(
        "old => parseFloat(document.querySelectorAll('.mp-size')[0].textContent.replaceAll(',', '')) > old",
        arg=volume,
        timeout=20_000,
    )
    page.locator("#masks-panel [data-op=delete]").click()
    assert page.locator("#masks-panel [data-op=delete]").inner_text() == "Really?"
    assert page.locator(".mp-row").count() == 2
    page.locator("#masks-panel [data-op=delete]").click()
    page.wait_for_function("document.querySelectorAll('.mp-row').length === 1")


def test_stop_and_progress(visit, server, bladder, pictures):
    page = visit()
    server[1].model.slice_s = 0.15
    click(page, bladder, wait=False)
    page.wait_for_function("medvlViewer.state().busy")
    page.wait_for_function("/Slice \\d+ of about \\d+, \\d+ s left/.test(document.querySelector('#viewer').innerText)")
    page.screenshot(path=pictures / "running.png")
    page.locator("#viewer .mv-stop").click()
    page.wait_for_function("!medvlViewer.state().busy")
    (session,) = [s for s in server[1].store._sessions.values() if s.token == state(page)["token"]]
    (mask,) = session.case.masks.values()
    assert 0 < mask.voxels < session.case._goal(session.case.prompts(mask.id)).sum()
    assert row_volumes(page)[0] > 0
    page.wait_for_timeout(600)
    kept = row_volumes(page)
    page.wait_for_timeout(800)
    assert row_volumes(page) == kept


def test_click_while_it_runs(visit, server, bladder):
    page = visit()
    server[1].model.slice_s = 0.05
    click(page, bladder, wait=False)
    page.wait_for_function("medvlViewer.state().busy")
    server[1].model.slice_s = 0.0
    click(page, (bladder[0] + 2, bladder[1], bladder[2]))
    assert page.locator(".mp-row").count() == 1
    (session,) = [s for s in server[1].store._sessions.values() if s.token == state(page)["token"]]
    (mask,) = session.case.masks.values()
    assert len(session.case.prompts(mask.id)) == 2


def test_surface_and_export(visit, bladder, pictures, tmp_path):
    page = visit()
    click(page, bladder)
    open_tab(page, "3-D")
    page.wait_for_selector("#surface .gl-container canvas", timeout=30_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=pictures / "surface.png")
    open_tab(page, "Export")
    page.get_by_label("Surfaces").check()
    with page.expect_download(timeout=30_000) as waiting:
        page.locator(".ep-go").click()
    page.screenshot(path=pictures / "export.png")
    with zipfile.ZipFile(waiting.value.path()) as archive:
        names = archive.namelist()
        archive.extract("labels.nii.gz", tmp_path)
    assert "measurements.csv" in names
    assert any(name.endswith(".stl") for name in names)
    source = nib.load(SAMPLES / "abdomen_ct.nii.gz")
    labels = nib.load(tmp_path / "labels.nii.gz")
    assert labels.shape == source.shape
    np.testing.assert_allclose(labels.affine, source.affine, atol=1e-3)


def leave(page, answer):
    """Reload; the kinds of questions that the browser asked meanwhile, each answered with ``accept`` or ``dismiss``."""
    asked = []

    def respond(dialog):
        asked.append(dialog.type)
        getattr(dialog, answer)()

    page.on("dialog", respond)
    page.evaluate("window.stayed = true; setTimeout(() => location.reload(), 0)")
    if answer == "accept":
        page.wait_for_function(f"!window.stayed && {READY}", timeout=60_000)
    deadline = time.monotonic() + 30
    while answer == "dismiss" and not asked and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    page.remove_listener("dialog", respond)
    return asked


def test_leaving_asks_only_for_masks_in_no_export(visit, bladder):
    page = visit()
    tool(page, "positive")  # without a click on the page the browser never asks
    assert leave(page, "accept") == []
    click(page, bladder)
    assert state(page)["unsaved"]
    assert leave(page, "dismiss") == ["beforeunload"]
    click(page, (bladder[0] + 2, bladder[1], bladder[2]))  # who stays goes on with the same masks
    assert page.evaluate("window.stayed")
    assert len(state(page)["masks"]) == 1
    open_tab(page, "Export")
    page.get_by_label("Label map").uncheck()
    with page.expect_download(timeout=30_000):
        page.locator(".ep-go").click()
    assert state(page)["unsaved"]  # measurements alone hold no mask
    page.get_by_label("Label map").check()
    with page.expect_download(timeout=30_000):
        page.locator(".ep-go").click()
    page.wait_for_function("!medvlViewer.state().unsaved")
    page.wait_for_function("!document.querySelector('.ep-go').disabled")
    page.keyboard.press("Escape")
    open_tab(page, "Masks")
    page.fill(".mp-name", "Another name")
    page.keyboard.press("Enter")
    page.wait_for_function("medvlViewer.state().unsaved")
    assert leave(page, "accept") == ["beforeunload"]
    assert state(page)["masks"] == []


def test_a_row_of_the_list_shows_its_mask(visit, bladder):
    page = visit()
    click(page, bladder)
    page.evaluate("medvlViewer.setCrosshair([5, 5, 5])")
    open_tab(page, "Masks")
    page.fill(".mp-name", "A name with very many words in it, longer than any row of this list is wide")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.mp-rowname').textContent.startsWith('A name')")
    row, size = page.locator(".mp-row").bounding_box(), page.locator(".mp-size").bounding_box()
    assert row["height"] < 45
    assert size["x"] + size["width"] <= row["x"] + row["width"]
    assert page.get_by_role("button", name="Hide A name").is_visible()
    page.locator(".mp-size").click()
    page.wait_for_function("medvlViewer.state().ijk.join() !== '5,5,5'")
    first, last = map(int, page.inner_text('[data-fact="slices"]').split(" to "))
    assert first <= state(page)["ijk"][2] + 1 <= last  # both count from 1, like the viewer


def test_upload_nifti(visit, tmp_path, pictures):
    phantom = phantoms.phantom((64, 56, 40), spacing=(4.0, 4.0, 6.0), noise=0)
    path = phantoms.write_nifti(tmp_path / "mine.nii.gz", *phantoms.reorient(phantom.hu, phantom.affine, "LPS"))
    page = visit()
    upload(page, [path])
    assert page.locator(".fp-title").inner_text() == "mine.nii.gz"
    assert page.locator("#sample input").input_value() == ""
    assert state(page)["shape"] == [64, 56, 40]
    click(page, phantom.centre("liver"))
    (volume,) = row_volumes(page)
    assert volume == pytest.approx(phantom.organ("liver").sum() * 0.096, rel=0.05)
    page.screenshot(path=pictures / "nifti.png")


def test_upload_zipped_dicom_and_export_seg(visit, tmp_path, pictures):
    phantom = phantoms.phantom((64, 56, 24), spacing=(4.0, 4.0, 8.0), noise=0)
    folder = phantoms.write_dicom_series(tmp_path / "series", phantom.hu, phantom.affine)
    page = visit()
    upload(page, [phantoms.zip_folder(folder, tmp_path / "series.zip")])
    assert state(page)["shape"] == [64, 56, 24]
    assert "DICOM" in page.locator(".fp-rows").inner_text()
    assert phantoms.PATIENT_NAME not in page.content()
    click(page, phantom.centre("liver"))
    open_tab(page, "Export")
    with page.expect_download(timeout=30_000) as waiting:
        page.locator(".ep-go").click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dcm"))
        archive.extract(name, tmp_path)
    seg = pydicom.dcmread(tmp_path / name)
    assert seg.Modality == "SEG"
    page.screenshot(path=pictures / "dicom.png")


def test_a_bad_upload_is_a_toast(visit, bladder, tmp_path, pictures):
    path = tmp_path / "bad.nii.gz"
    path.write_bytes(b"this is not a scan")
    page = visit()
    click(page, bladder)
    before = state(page)
    open_tab(page, "Scan")
    page.locator("#upload input[type=file]").set_input_files(str(path))
    page.wait_for_selector(".toast-body", timeout=30_000)
    page.wait_for_timeout(400)
    page.screenshot(path=pictures / "toast.png")
    after = state(page)
    assert after["token"] == before["token"]
    assert len(after["masks"]) == 1
    assert page.locator(".fp-title").inner_text() == "Abdomen and pelvis"


def test_two_tabs_do_not_meet_and_closing_frees(visit, server, bladder):
    first, second = visit(), visit()
    click(first, bladder)
    assert state(second)["masks"] == []
    assert state(first)["token"] != state(second)["token"]
    token = state(first)["token"]
    assert server[1].store.by_token(token) is not None
    first.close()
    deadline = time.monotonic() + 45
    while server[1].store.by_token(token) is not None and time.monotonic() < deadline:
        time.sleep(0.5)
    assert server[1].store.by_token(token) is None
    click(second, bladder)
    assert len(state(second)["masks"]) == 1


def test_the_bundled_weights(browser, bladder, pictures):
    import medvl.model

    url, handlers, demo = serve(medvl.model.load("nano"))
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    try:
        page.goto(url)
        page.wait_for_function(READY, timeout=60_000)
        tool(page, "box")
        i, j, k = bladder
        x0, y0 = spot(page, (i - 11, j + 11, k))
        at = page.evaluate("ijk => medvlViewer.canvasPoint('axial', ijk)", [i + 11, j - 11, k])
        page.mouse.move(x0, y0)
        page.mouse.down()
        page.mouse.move(at["x"], at["y"], steps=4)
        page.mouse.up()
        page.wait_for_function("medvlViewer.state().masks.length === 1", timeout=60_000)
        page.wait_for_timeout(2000)
        if state(page)["busy"]:
            page.locator("#viewer .mv-stop").click()
        page.wait_for_function("!medvlViewer.state().busy", timeout=30_000)
        page.wait_for_timeout(500)
        page.screenshot(path=pictures / "weights.png")
        (session,) = handlers.store._sessions.values()
        (mask,) = session.case.masks.values()
        assert mask.array[bladder]
        assert mask.measure(session.ct).mean_hu == pytest.approx(10, abs=25)
    finally:
        page.close()
        demo.close()
        handlers.store.shutdown()
