"""Brush and eraser in a real Chromium: drawn at once, merged by the server voxel for voxel, undone in one line."""

from __future__ import annotations

import numpy as np

from .on_page import DRAWN, IDLE, NEEDS, click, open_tab, spot, state, tool

pytestmark = NEEDS
SETTLED = "!medvlViewer.state().brush.waiting && !medvlViewer.state().busy"


def stroke(page, *places, plane="axial", name="brush", wait=True):
    tool(page, name)
    spot(page, places[0], plane)
    points = [page.evaluate("([p, v]) => medvlViewer.canvasPoint(p, v)", [plane, list(v)]) for v in places]
    page.mouse.move(points[0]["x"], points[0]["y"])
    page.mouse.down()
    for at in points[1:]:
        page.mouse.move(at["x"], at["y"], steps=4)
    page.mouse.up()
    if wait:
        page.wait_for_function(SETTLED, timeout=30_000)
        page.evaluate(DRAWN)


def masks_of(server, page):
    session = server[1].store.by_token(state(page)["token"])
    return session.case, session.ct


def ball(ct, centre, radius, axis=None):
    """Voxels whose centres lie within a radius in mm, in one slice where an axis is given."""
    grid = np.indices(ct.shape, np.float32)
    far = sum(((grid[a] - centre[a]) * ct.spacing_mm[a]) ** 2 for a in range(3) if a != axis)
    inside = far <= radius**2
    if axis is not None:
        inside &= grid[axis] == centre[axis]
    return inside


def between(array, ct, centre, radius, axis=None):
    """The pointer stands on a pixel, not on a voxel's centre: half a millimetre to either side."""
    assert not (ball(ct, centre, radius - 0.5, axis) & ~array).any()
    assert not (array & ~ball(ct, centre, radius + 0.5, axis)).any()


def test_a_dab_is_a_disc_in_mm_in_each_plane(visit, server):
    page = visit()
    centre = (60, 50, 60)
    for plane, axis in (("axial", 2), ("coronal", 1), ("sagittal", 0)):
        stroke(page, centre, plane=plane)
        case, ct = masks_of(server, page)
        (mask,) = case.masks.values()
        between(mask.array, ct, centre, state(page)["brush"]["radius"], axis)
        assert state(page)["masks"][0]["voxels"] == mask.voxels
        page.keyboard.press("Control+z")
        page.wait_for_function("medvlViewer.state().masks.length === 0")


def test_a_ball_goes_through_the_slices(visit, server):
    page = visit()
    tool(page, "brush")
    page.get_by_role("button", name="3-D ball").click()
    stroke(page, (60, 50, 60))
    case, ct = masks_of(server, page)
    (mask,) = case.masks.values()
    between(mask.array, ct, (60, 50, 60), state(page)["brush"]["radius"])


def test_strokes_are_seen_before_the_server_has_them(visit, server, pictures):
    page = visit()
    handlers = server[1]
    session = handlers.store.by_token(state(page)["token"])
    with session._job:  # the server cannot take a stroke in now
        stroke(page, (50, 50, 60), (80, 50, 60), wait=False)
        page.evaluate(DRAWN)
        seen = state(page)
        assert seen["masks"][0]["voxels"] > 100
        assert seen["unsaved"]
        stroke(page, (60, 30, 60), (60, 70, 60), wait=False)
        page.evaluate(DRAWN)
        more = state(page)["masks"][0]["voxels"]
        assert more > seen["masks"][0]["voxels"]
        page.screenshot(path=pictures / "brush.png")
    page.wait_for_function(SETTLED, timeout=30_000)
    page.evaluate(DRAWN)
    (mask,) = session.case.masks.values()  # both strokes went to one object
    assert state(page)["masks"][0]["voxels"] == mask.voxels == more
    assert len(session.case.masks.steps(mask.id)) == 2


def test_erase_undo_and_clicks_in_one_line(visit, server, bladder):
    page = visit()
    click(page, bladder)
    case, _ = masks_of(server, page)
    (mask,) = case.masks.values()
    clicked = mask.array
    stroke(page, bladder, name="erase")
    (erased,) = case.masks.values()
    assert erased.voxels < clicked.sum()
    assert not (erased.array & ~clicked).any()
    out = (bladder[0] + 30, bladder[1], bladder[2])
    stroke(page, out)
    (painted,) = case.masks.values()
    assert painted.array[out]
    open_tab(page, "Masks")
    page.wait_for_timeout(300)
    text = page.locator(".mp-size").inner_text()
    assert text.split()[0].lstrip("\u2265 ") != "0.00"
    for wanted in (erased.array, clicked):
        page.keyboard.press("Control+z")
        page.wait_for_function("n => medvlViewer.state().masks[0]?.voxels === n", arg=int(wanted.sum()))
        assert np.array_equal(next(iter(case.masks.values())).array, wanted)


def test_a_range_of_hu_holds_the_brush(visit, server):
    page = visit()
    tool(page, "brush")
    page.get_by_role("button", name="Only HU").click()
    page.get_by_label("Lowest HU").fill("150")
    page.get_by_label("Highest HU").fill("2000")
    stroke(page, (60, 30, 60), (60, 50, 60))
    case, ct = masks_of(server, page)
    (mask,) = case.masks.values()
    assert mask.voxels > 20
    assert ct.hu[mask.array].min() >= 150
    assert state(page)["masks"][0]["voxels"] == mask.voxels


def test_nothing_to_erase_from(visit, server):
    page = visit()
    stroke(page, (60, 50, 60), name="erase")
    assert "Select the mask" in page.locator(".mv-status").inner_text()
    assert masks_of(server, page)[0].masks == {}


def test_escape_gives_a_stroke_up(visit, server, bladder):
    page = visit()
    click(page, bladder)
    before = state(page)["masks"][0]["voxels"]
    tool(page, "brush")
    x, y = spot(page, (bladder[0] + 40, bladder[1], bladder[2]))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y, steps=3)
    page.evaluate(DRAWN)
    assert state(page)["masks"][0]["voxels"] > before
    page.keyboard.press("Escape")
    page.mouse.up()
    page.wait_for_function("n => medvlViewer.state().masks[0]?.voxels === n", arg=before)


def test_keys_and_size(visit, pictures):
    page = visit(1280, 800)
    page.locator(".mv-plane[data-plane=axial]").hover()
    page.keyboard.press("d")
    assert state(page)["tool"] == "brush"
    size = state(page)["brush"]["radius"]
    page.keyboard.press("]")
    assert state(page)["brush"]["radius"] > size
    ring = page.locator(".mv-plane[data-plane=axial] .mv-ring")
    assert ring.is_visible()
    wide = ring.bounding_box()["width"]
    for _ in range(4):
        page.keyboard.press("[")
    assert ring.bounding_box()["width"] < wide
    page.keyboard.press("s")
    assert state(page)["tool"] == "erase"
    page.screenshot(path=pictures / "erase.png")
    page.keyboard.press("v")
    assert not page.get_by_role("group", name="Brush").is_visible()


def test_a_point_by_keys_alone(visit, server, bladder):
    """Crosshair by arrows, the plane by T, the point by P and Enter; wherever the focus is, letters are keys."""
    page = visit()
    page.evaluate("ijk => medvlViewer.setCrosshair(ijk)", [bladder[0] - 3, bladder[1] + 2, bladder[2] + 1])
    page.locator("#viewer .mv").focus()
    for key in ("Shift+ArrowLeft",) * 3 + ("Shift+ArrowDown",) * 2 + ("ArrowDown",):
        page.keyboard.press(key)
    assert state(page)["ijk"] == list(bladder)
    page.keyboard.press("Enter")
    assert state(page)["pending"] == 0  # the crosshair's tool sets no points
    page.get_by_role("tab", name="Masks").click()  # the focus is on a button now
    page.keyboard.press("p")
    assert state(page)["tool"] == "positive"
    page.locator("#viewer .mv").focus()
    page.keyboard.press("t")
    page.keyboard.press("Enter")
    page.wait_for_function("medvlViewer.state().masks.length === 1")
    page.wait_for_function(IDLE)
    case, _ = masks_of(server, page)
    (mask,) = case.masks.values()
    (point,) = case.prompts(mask.id)
    assert (point.ijk, point.positive, point.axis) == (bladder, True, 1)
