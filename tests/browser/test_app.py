"""The whole page in a real Chromium: open, scroll, click, box, undo, stop, rename, 3-D, export.

``MEDVL_SCREENSHOTS=folder`` keeps the pictures. Most tests use the stand-in model, so that they say something about
the page; the last one clicks on the bundled weights.
"""

from __future__ import annotations

import time
import zipfile

import nibabel as nib
import numpy as np
import pytest

from app.scans import SAMPLES
from app.sessions import GRACE_S

from .on_page import IDLE, NEEDS, READY, click, open_tab, row_volumes, serve, spot, state, tool

pytestmark = NEEDS


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
        "first => parseFloat(document.querySelector('.mp-size').textContent.replace(/[^0-9.]/g, '')) < first", arg=first
    )
    page.screenshot(path=pictures / "refined.png")
    page.locator("#masks-panel [data-op=undo]").click()
    page.wait_for_function(
        "first => parseFloat(document.querySelector('.mp-size').textContent.replace(/[^0-9.]/g, '')) === first",
        arg=first,
    )
    page.locator("#viewer .mv").focus()
    page.keyboard.press("Control+z")
    page.wait_for_function("document.querySelectorAll('.mp-row').length === 0")
    page.locator("#masks-panel [data-op=redo]").click()
    page.wait_for_function("document.querySelectorAll('.mp-row').length === 1")
    page.locator("#masks-panel [data-op=clear]").click()
    page.wait_for_function("document.querySelectorAll('.mp-row').length === 0")
    page.wait_for_function("medvlViewer.state().masks.length === 0")


def test_the_first_mask_opens_its_tab_but_not_under_who_types(visit, server, bladder):
    page = visit()
    click(page, bladder)
    assert page.get_by_role("tab", name="Masks").get_attribute("aria-selected") == "true"
    page = visit()
    page.locator(".cp-input").focus()
    page.keyboard.type("how large is ")
    click(page, bladder)
    page.locator(".cp-input").focus()
    page.keyboard.press("End")
    page.keyboard.type("it?")
    assert page.get_by_role("tab", name="Chat").get_attribute("aria-selected") == "true"
    assert page.locator(".cp-input").input_value() == "how large is it?"


def test_the_first_mask_does_not_take_who_chose_another_tab_away(visit, server, bladder):
    page = visit()
    tool(page, "positive")
    x, y = spot(page, bladder)
    server[1].model.slice_s = 0.3
    page.mouse.click(x, y)
    open_tab(page, "Scan")  # the answer to the click is on its way
    page.wait_for_function("medvlViewer.state().masks.length === 1")
    server[1].model.slice_s = 0.0
    page.wait_for_function(IDLE, timeout=60_000)
    page.wait_for_timeout(500)
    assert page.get_by_role("tab", name="Scan").get_attribute("aria-selected") == "true"


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
        "old => parseFloat(document.querySelectorAll('.mp-size')[0].textContent.replace(/[^0-9.]/g, '')) > old",
        arg=volume,
        timeout=20_000,
    )
    page.locator("#masks-panel [data-op=delete]").click()  # at once, since Undo brings it back
    page.wait_for_function("document.querySelectorAll('.mp-row').length === 1")
    page.wait_for_function("document.querySelector('.mv-status').textContent.startsWith('Deleted: ')")
    page.locator("#masks-panel [data-op=undo]").click()
    page.wait_for_function("document.querySelectorAll('.mp-row').length === 2")


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
    canvas = page.locator("#surface .gl-container canvas").first
    narrow = canvas.bounding_box()
    for back in (lambda: page.keyboard.press("Escape"), lambda: page.locator("#surface-large").click()):
        page.locator("#surface-large").click()
        page.wait_for_timeout(600)
        large = canvas.bounding_box()
        assert large["width"] > 0.9 * 1280
        assert large["y"] + large["height"] <= 800  # nothing of it below the page
        back()
        page.wait_for_timeout(600)
        assert canvas.bounding_box() == narrow
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


def test_two_tabs_do_not_meet_and_closing_frees(visit, server, bladder):
    first, second = visit(), visit()
    click(first, bladder)
    assert state(second)["masks"] == []
    assert state(first)["token"] != state(second)["token"]
    token = state(first)["token"]
    session = server[1].store.by_token(token)
    assert session is not None
    first.close()
    deadline = time.monotonic() + 45
    while session.left_at is None and time.monotonic() < deadline:
        time.sleep(0.5)
    session.left_at -= GRACE_S  # the time in which it might have come back is over
    while server[1].store.by_token(token) is not None and time.monotonic() < deadline:
        time.sleep(0.5)
    assert server[1].store.by_token(token) is None
    click(second, bladder)
    assert len(state(second)["masks"]) == 1


def test_the_bundled_weights(tabs, bladder, pictures):
    import medvl.model

    url, handlers, demo = serve(medvl.model.load("nano"))
    page = tabs.take()
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
        tabs.give_back(page)
        demo.close()
        handlers.store.shutdown()
