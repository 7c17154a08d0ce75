"""Work that stays: a case saved and opened again, a page loaded again, a time without network."""

from __future__ import annotations

import zipfile

import pytest

from .on_page import DRAWN, IDLE, NEEDS, READY, click, open_tab, spot, state, tool, upload

pytestmark = NEEDS
VIEW = ("ijk", "window", "zoom", "maximised")


def masks_of(page):
    return [(m["id"], m["name"], m["color"], m["visible"], m["voxels"], m["prompts"]) for m in state(page)["masks"]]


def draw_length(page):
    tool(page, "ruler")
    box = page.locator(".mv-plane[data-plane=coronal]").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 30, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 10, steps=4)
    page.mouse.up()


def worked_on(visit, ijk):
    """A page with two masks, one of them hidden and renamed, a length, and a view of its own."""
    page = visit()
    click(page, ijk)
    page.locator("#viewer .mv-new").click()
    click(page, (ijk[0], ijk[1] - 30, ijk[2] + 40))
    name = page.locator(".mp-name")
    name.fill("A name")
    name.press("Enter")
    page.wait_for_function("medvlViewer.state().masks.some((m) => m.name === 'A name')")
    page.locator(".mp-eye").first.click()
    page.wait_for_function("medvlViewer.state().masks.some((m) => !m.visible)")
    draw_length(page)
    tool(page, "navigate")
    page.evaluate("medvlViewer.setCrosshair([50, 40, 30])")
    page.keyboard.press("3")
    page.keyboard.press("+")
    page.evaluate(DRAWN)
    return page


@pytest.mark.parametrize("scan", [False, True], ids=["case alone", "with the scan"])
def test_a_saved_case_opens_as_it_was(visit, bladder, tmp_path, pictures, scan):
    page = worked_on(visit, bladder)
    before, masks = state(page), masks_of(page)
    assert before["unsaved"]
    open_tab(page, "Export")
    page.locator(".ep-scan").set_checked(scan)
    with page.expect_download(timeout=60_000) as download:
        page.get_by_role("button", name="Save case").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name.endswith(".medvl.zip")
    assert ("scan.nii.gz" in zipfile.ZipFile(path).namelist()) is scan
    page.wait_for_function("!medvlViewer.state().unsaved")
    page.wait_for_timeout(300)
    page.screenshot(path=pictures / "save-case.png")

    other = visit()
    upload(other, [path])
    other.wait_for_function("n => medvlViewer.state().masks.length === n", arg=len(masks))
    other.evaluate(DRAWN)
    after = state(other)
    assert masks_of(other) == masks
    assert {key: after[key] for key in VIEW} == {key: before[key] for key in VIEW}
    assert [r["mm"] for r in after["rulers"]] == pytest.approx([r["mm"] for r in before["rulers"]])
    assert not after["unsaved"]
    open_tab(other, "Masks")
    other.locator(".mp-pick").last.click()
    other.get_by_role("button", name="Undo").first.click()
    other.wait_for_function("n => medvlViewer.state().masks.length === n", arg=len(masks) - 1)


def test_a_case_of_another_scan_says_so_and_changes_nothing(visit, bladder, tmp_path):
    page = worked_on(visit, bladder)
    open_tab(page, "Export")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save case").click()
    path = tmp_path / "case.zip"
    download.value.save_as(path)
    changed = tmp_path / "other.zip"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "case.json":
                start = data.index(b'"digest": "') + 11
                data = data[:start] + b"0" * 64 + data[data.index(b'"', start) :]
            new.writestr(name, data)
    token, masks = state(page)["token"], masks_of(page)
    open_tab(page, "Scan")
    page.locator("#upload input[type=file]").set_input_files(str(changed))
    page.get_by_text("belongs to another scan").first.wait_for(timeout=30_000)
    assert state(page)["token"] == token
    assert masks_of(page) == masks


def test_a_page_loaded_again_goes_on(visit, bladder):
    page = worked_on(visit, bladder)
    page.on("dialog", lambda dialog: dialog.accept())
    before, masks = state(page), masks_of(page)
    page.reload()
    page.wait_for_function(READY, timeout=60_000)
    page.wait_for_function("n => medvlViewer.state().masks.length === n", arg=len(masks))
    page.evaluate(DRAWN)
    after = state(page)
    assert after["token"] == before["token"]
    assert masks_of(page) == masks
    assert {key: after[key] for key in VIEW} == {key: before[key] for key in VIEW}
    assert len(after["rulers"]) == 1
    open_tab(page, "Masks")
    assert page.locator(".mp-row").count() == len(masks)
    click(page, (bladder[0], bladder[1], bladder[2] + 2))  # it still works


def test_a_second_tab_does_not_take_the_first_ones_session(server, browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(server[0])
    page.wait_for_function(READY, timeout=60_000)
    token = state(page)["token"]
    assert page.evaluate("sessionStorage.getItem('medvl-session')") == token
    twin = context.new_page()
    twin.add_init_script(f"sessionStorage.setItem('medvl-session', '{token}')")  # as a duplicated tab has it
    twin.goto(server[0])
    twin.wait_for_function(READY, timeout=60_000)
    assert state(twin)["token"] != token
    assert server[1].store.find_board(token) is not None
    context.close()


def test_what_is_done_without_network_goes_to_the_server_later(server, browser, bladder):
    context = browser.new_context()
    page = context.new_page()
    page.goto(server[0])
    page.wait_for_function(READY, timeout=60_000)
    click(page, bladder)
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    session = server[1].store.by_token(state(page)["token"])
    (before,) = session.case.masks.values()
    context.set_offline(True)
    tool(page, "brush")
    x, y = spot(page, (bladder[0], 6, bladder[2]))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 25, y, steps=4)
    page.mouse.up()
    painted = state(page)["masks"][0]["voxels"]
    assert painted > before.voxels
    open_tab(page, "Chat")
    page.locator(".cp-input").fill("how large is")
    page.get_by_text("Attempting reconnection").wait_for(timeout=30_000)
    context.set_offline(False)
    done = "n => window.medvlViewer?.state().complete && medvlViewer.state().masks[0]?.voxels === n"
    page.wait_for_function(f"{done} && !medvlViewer.state().brush.waiting", arg=painted, timeout=60_000)
    (after,) = session.case.masks.values()
    assert after.voxels == painted
    assert page.locator(".cp-input").input_value() == "how large is"
    assert asked == []  # nothing is lost by this reload
    context.close()


def test_clicks_boxes_and_buttons_without_network_are_sent_later_once(server, browser, bladder):
    context = browser.new_context()
    page = context.new_page()
    page.goto(server[0])
    page.wait_for_function(READY, timeout=60_000)
    session = server[1].store.by_token(state(page)["token"])
    context.set_offline(True)
    tool(page, "positive")
    page.mouse.click(*spot(page, bladder))
    assert state(page)["pending"] == 1  # it is shown
    assert page.locator(".mv-status").inner_text().startswith("No connection")
    page.locator("#viewer .mv-new").click()
    other = (bladder[0], bladder[1] - 30, bladder[2] + 40)
    tool(page, "box")
    for n, at in enumerate(((other[0] - 8, other[1] - 8, other[2]), (other[0] + 8, other[1] + 8, other[2]))):
        page.mouse.move(*spot(page, at), steps=3)
        page.mouse.down() if n == 0 else page.mouse.up()
    page.get_by_text("Attempting reconnection").wait_for(timeout=30_000)
    assert not session.case.masks
    context.set_offline(False)
    page.wait_for_function(f"window.medvlViewer?.state().masks.length === 2 && {IDLE}", timeout=60_000)
    first, second = (session.case.prompts(mask_id) for mask_id in session.case.masks)
    assert [point.ijk for point in first] == [bladder]
    assert [box.size[2] for box in second] == [1]
    page.reload()  # what the server has is not sent again
    page.wait_for_function(f"window.medvlViewer?.state().masks.length === 2 && {IDLE}", timeout=60_000)
    page.wait_for_timeout(500)
    assert [len(session.case.prompts(mask_id)) for mask_id in session.case.masks] == [1, 1]
    context.close()


def test_an_edit_without_network_is_refused_in_words(visit, bladder):
    page = visit()
    click(page, bladder)
    open_tab(page, "Masks")
    page.context.set_offline(True)
    name = page.locator(".mp-name").first
    before = name.input_value()
    name.fill("Another name")
    name.press("Enter")
    page.get_by_text("No connection: this was not done").wait_for(timeout=5000)
    assert name.input_value() == before
    page.context.set_offline(False)


def test_a_time_without_network_loses_nothing(visit, server, bladder):
    page = worked_on(visit, bladder)
    page.on("dialog", lambda dialog: dialog.accept())
    before, masks = state(page), masks_of(page)
    handlers = server[1]
    session = handlers.store.by_token(before["token"])
    page.context.set_offline(True)
    handlers.store.leave(next(k for k, s in handlers.store._sessions.items() if s is session))  # the server noticed
    page.wait_for_timeout(3000)
    page.context.set_offline(False)
    page.wait_for_function("medvlViewer.state().complete", timeout=30_000)
    for _ in range(100):
        if session.left_at is None:
            break
        page.wait_for_timeout(100)
    assert session.left_at is None  # the page told that it is there
    assert state(page)["token"] == before["token"]
    assert masks_of(page) == masks
    click(page, (bladder[0], bladder[1], bladder[2] + 2))
    page.wait_for_function(IDLE)
