"""Lasso, polygon, regions grown from a click, scribbles and filled slices in a real Chromium, by mouse and by keys."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medvl.ct.region_growing import grow

from .on_page import DRAWN, IDLE, NEEDS, click, open_tab, spot, state, tool

pytestmark = NEEDS
SETTLED = "!medvlViewer.state().brush.waiting && !medvlViewer.state().busy"


def session_of(server, page):
    return server[1].store.by_token(state(page)["token"])


def places(page, voxels, plane="axial"):
    spot(page, voxels[0], plane)
    points = [page.evaluate("([p, v]) => medvlViewer.canvasPoint(p, v)", [plane, list(v)]) for v in voxels]
    return [(at["x"], at["y"]) for at in points]


def draw(page, voxels, plane="axial", alt=False):
    """A freehand line through voxels."""
    first, *rest = places(page, voxels, plane)
    if alt:
        page.keyboard.down("Alt")
    page.mouse.move(*first)
    page.mouse.down()
    for at in rest:
        page.mouse.move(*at, steps=6)
    page.mouse.up()
    if alt:
        page.keyboard.up("Alt")
    page.wait_for_function(SETTLED, timeout=30_000)
    page.evaluate(DRAWN)


def corners(voxel, h, v, half):
    """A square round a voxel in the plane of two axes."""
    found = []
    for a, b in ((-half, -half), (half, -half), (half, half), (-half, half)):
        at = list(voxel)
        at[h] += a
        at[v] += b
        found.append(tuple(at))
    return found


def test_a_lasso_fills_its_outline_on_the_slice_and_alt_takes_away(visit, server):
    page = visit()
    case, centre = session_of(server, page).case, (60, 50, 40)
    for plane, h, v in (("axial", 0, 1), ("coronal", 0, 2), ("sagittal", 1, 2)):
        tool(page, "lasso")
        draw(page, [*corners(centre, h, v, 12), corners(centre, h, v, 12)[0]], plane)
        (mask,) = case.masks.values()
        axis = ({0, 1, 2} - {h, v}).pop()
        assert mask.box.lo[axis] == centre[axis]
        assert mask.box.size[axis] == 1
        assert mask.voxels == pytest.approx(24 * 24, rel=0.12)
        assert state(page)["masks"][0]["voxels"] == mask.voxels
        draw(page, [*corners(centre, h, v, 5), corners(centre, h, v, 5)[0]], plane, alt=True)
        less = case.masks[mask.id]
        assert not less.array[centre]
        assert mask.voxels - less.voxels == pytest.approx(100, rel=0.3)
        page.keyboard.press("Control+z")
        page.wait_for_function("n => medvlViewer.state().masks[0].voxels === n", arg=mask.voxels)
        assert np.array_equal(case.masks[mask.id].array, mask.array)
        page.keyboard.press("Control+z")
        page.wait_for_function("medvlViewer.state().masks.length === 0")


def test_a_polygon_by_clicks_closes_by_key(visit, server, pictures):
    page = visit()
    page.keyboard.press("l")
    assert state(page)["tool"] == "lasso"
    centre = (60, 50, 60)
    for at in places(page, corners(centre, 0, 1, 14)):
        page.mouse.click(*at)
        page.wait_for_timeout(60)
    page.mouse.move(*places(page, [(40, 50, 60)])[0])
    page.evaluate(DRAWN)
    assert state(page)["lasso"]["corners"] == 4
    page.screenshot(path=pictures / "polygon.png")
    page.keyboard.press("Backspace")
    assert state(page)["lasso"]["corners"] == 3
    page.keyboard.press("Enter")
    page.wait_for_function(SETTLED, timeout=30_000)
    case = session_of(server, page).case
    page.wait_for_function("medvlViewer.state().masks.length === 1 && medvlViewer.state().masks[0].id !== 'draft'")
    (mask,) = case.masks.values()
    assert mask.voxels == pytest.approx(28 * 28 / 2, rel=0.15)  # three corners of the square
    assert state(page)["lasso"]["corners"] == 0
    page.mouse.click(*places(page, [(30, 50, 60)])[0])
    page.keyboard.press("Escape")
    assert state(page)["lasso"]["corners"] == 0
    assert len(case.masks.steps(mask.id)) == 1


def gas(ct):
    """A voxel in the middle of the largest pocket of gas in the bowel."""
    labels, _ = ndimage.label(ct.hu < -700)
    outside = {int(v) for axis in range(3) for end in (0, -1) for v in np.unique(labels.take(end, axis))}
    sizes = np.bincount(labels.ravel())
    sizes[list(outside | {0})] = 0
    depth = ndimage.distance_transform_edt(labels == sizes.argmax())
    return tuple(int(v) for v in np.unravel_index(depth.argmax(), depth.shape))


def test_a_region_grows_from_a_click_and_says_its_range(visit, server, pictures):
    page = visit()
    session = session_of(server, page)
    pocket = gas(session.ct)
    box, voxels, (low, high) = grow(session.ct, pocket, None, 500)
    click(page, pocket, name="grow")
    (mask,) = session.case.masks.values()
    assert mask.voxels == voxels.sum()
    assert np.array_equal(mask.array[box.slices], voxels)
    assert f"{low:.0f} to {high:.0f} HU" in page.locator(".mv-status").inner_text()
    page.screenshot(path=pictures / "grown.png")
    page.get_by_label("Largest volume in mL").fill("1")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="New object").first.click()
    page.mouse.click(*spot(page, pocket))
    page.get_by_text("beyond 1 mL").first.wait_for(timeout=10_000)
    assert len(session.case.masks) == 1


def test_a_region_by_key_in_a_typed_range(visit, server):
    page = visit()
    session = session_of(server, page)
    bone = tuple(int(v) for v in np.unravel_index(session.ct.hu.argmax(), session.ct.shape))
    page.evaluate("ijk => medvlViewer.setCrosshair(ijk)", list(bone))
    page.keyboard.press("g")
    page.get_by_role("button", name="Only HU").click()
    page.get_by_label("Lowest HU").fill("500")
    page.get_by_label("Highest HU").fill("4000")
    page.locator("#viewer .mv").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("medvlViewer.state().masks.length === 1", timeout=30_000)
    (mask,) = session.case.masks.values()
    hu = session.ct.hu[mask.array]
    assert hu.min() >= 500
    assert hu.size > 20
    assert mask.array[bone]


def test_a_scribble_is_several_points_of_one_prompt(visit, server, bladder):
    page = visit()
    tool(page, "positive")
    i, j, k = bladder
    draw(page, [(i - 6, j, k), (i, j + 3, k), (i + 6, j, k)])
    page.wait_for_function(IDLE, timeout=60_000)
    case = session_of(server, page).case
    page.wait_for_function("medvlViewer.state().masks.length === 1", timeout=30_000)
    (mask,) = case.masks.values()
    prompts = case.prompts(mask.id)
    assert 3 <= len(prompts) <= 6
    assert all(point.positive and point.ijk[2] == k and abs(point.ijk[0] - i) <= 7 for point in prompts)
    assert len({point.ijk for point in prompts}) == len(prompts)


def test_slices_are_filled_between_two_that_were_painted(visit, server, pictures):
    page = visit()
    page.keyboard.press("l")
    for k in (50, 60):
        centre = (60, 50, k)
        draw(page, [*corners(centre, 0, 1, 10), corners(centre, 0, 1, 10)[0]])
    case = session_of(server, page).case
    (mask,) = case.masks.values()
    assert len(np.flatnonzero(mask.array.any(axis=(0, 1)))) == 2
    open_tab(page, "Masks")
    page.get_by_role("button", name="Fill between painted").click()
    page.get_by_text("Filled 9 slices").wait_for(timeout=10_000)
    new = case.masks[mask.id]
    assert list(np.flatnonzero(new.array.any(axis=(0, 1)))) == list(range(50, 61))
    page.screenshot(path=pictures / "filled_between.png")
    tool(page, "brush")
    page.mouse.click(*spot(page, (72, 50, 55)))  # a bump
    page.wait_for_function(SETTLED, timeout=30_000)
    page.get_by_role("button", name="Smooth").click()
    page.get_by_text("of its border moved").wait_for(timeout=10_000)
    page.screenshot(path=pictures / "smoothed.png")


def test_an_outline_asks_the_model(visit, server, bladder):
    page = visit()
    tool(page, "lasso")
    page.get_by_role("button", name="Ask the model", exact=True).click()
    spot(page, bladder)
    square = corners(bladder, 0, 1, 8)
    draw(page, [*square, square[0]])
    page.wait_for_function(f"medvlViewer.state().masks.length === 1 && {IDLE}", timeout=60_000)
    case = session_of(server, page).case
    (mask,) = case.masks.values()
    (box,) = case.prompts(mask.id)
    wanted = (*square[0], *(v + 1 for v in square[2]))
    assert np.abs(np.subtract((*box.lo, *box.hi), wanted)).max() <= 1
