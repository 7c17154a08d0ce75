"""Circles, spheres and their list in a real Chromium: the page says what the server measures."""

from __future__ import annotations

import csv
import io
import zipfile
from itertools import product

import numpy as np
import pytest

from app.inputs import read_lengths

from .on_page import DRAWN, NEEDS, click, open_tab, spot, state, tool, upload

pytestmark = NEEDS


def draw(page, centre, rim, plane="axial", name="region"):
    tool(page, name)
    spot(page, centre, plane)
    a, b = (page.evaluate("([p, v]) => medvlViewer.canvasPoint(p, v)", [plane, list(v)]) for v in (centre, rim))
    page.mouse.move(a["x"], a["y"])
    page.mouse.down()
    page.mouse.move(b["x"], b["y"], steps=5)
    page.mouse.up()
    page.evaluate(DRAWN)


def on_server(page, server):
    session = server[1].store.by_token(state(page)["token"])
    given = read_lengths(page.evaluate("medvlViewer.lengths()"), session.token, session.ct)
    return given, session.ct


def test_the_page_says_what_the_server_measures(visit, server):
    page = visit()
    tool(page, "region")
    for sphere, plane in product((False, True), ("axial", "coronal", "sagittal")):
        if sphere and plane == "axial":
            page.get_by_role("button", name="Sphere", exact=True).click()
        draw(page, (60, 50, 60), (68, 58, 66) if plane != "axial" else (68, 50, 60), plane)
        (one,), ct = on_server(page, server)
        assert one.kind == ("sphere" if sphere else "circle")
        found = one.region(ct)
        told = page.evaluate("medvlViewer.measured.list()")[0]
        volume = f"{found.volume_ml:.{2 if found.volume_ml < 10 else 1}f} mL" if sphere else ""
        assert told["words"] == f"{found.mean:.0f} ± {found.sd:.0f} HU, {volume or f'{found.area_mm2 / 100:.2f} cm²'}"
        assert told["range"] == f"{found.least:.0f} to {found.most:.0f} HU"
        assert told["words"] in page.locator(".mv-status").inner_text()
        page.evaluate("medvlViewer.measured.drop(0)")


def test_the_list_names_jumps_and_removes_and_the_csv_has_it(visit, server, pictures, tmp_path):
    page = visit()
    draw(page, (60, 50, 60), (70, 50, 60))
    draw(page, (40, 40, 80), (60, 45, 80), name="ruler")
    open_tab(page, "Masks")
    rows = page.locator(".mp-length")
    assert rows.count() == 2
    name = rows.first.locator("input")
    name.fill("Marrow")
    name.press("Tab")
    page.wait_for_timeout(200)
    assert [r["name"] for r in state(page)["rulers"]] == ["Marrow", ""]
    page.evaluate("medvlViewer.setCrosshair([10, 10, 10])")
    rows.first.get_by_role("button", name="Go").click()
    assert state(page)["ijk"][2] == 60
    page.evaluate(DRAWN)
    page.screenshot(path=pictures / "regions.png")
    open_tab(page, "Export")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export", exact=True).click()
    download.value.save_as(tmp_path / "x.zip")
    archive = zipfile.ZipFile(tmp_path / "x.zip")
    (row,) = csv.DictReader(io.TextIOWrapper(archive.open("regions.csv"), encoding="utf-8"))
    (one, _), ct = on_server(page, server)
    assert (row["name"], row["kind"], row["slice_from_1"]) == ("Marrow", "circle", "61")
    assert float(row["mean_hu"]) == pytest.approx(one.region(ct).mean, abs=0.01)
    assert len(list(csv.DictReader(io.TextIOWrapper(archive.open("lengths.csv"), encoding="utf-8")))) == 1
    open_tab(page, "Masks")
    rows.last.get_by_role("button", name="Remove").click()
    assert [r["kind"] for r in state(page)["rulers"]] == ["circle"]


def test_rectangle_angle_and_two_axes_go_into_list_csv_and_case(visit, server, pictures, tmp_path):
    page = visit()
    open_tab(page, "Masks")
    tool(page, "region")
    page.get_by_role("button", name="Rectangle", exact=True).click()
    draw(page, (50, 44, 60), (66, 58, 60))
    tool(page, "ruler")
    page.get_by_role("button", name="Two axes", exact=True).click()
    draw(page, (30, 60, 60), (52, 66, 60), name="ruler")
    page.get_by_role("button", name="Angle", exact=True).click()
    draw(page, (70, 30, 60), (70, 50, 60), name="ruler")
    end = page.evaluate("medvlViewer.canvasPoint('axial', [84, 50, 60])")
    page.mouse.move(end["x"], end["y"], steps=3)
    page.mouse.click(end["x"], end["y"])
    page.evaluate(DRAWN)
    page.screenshot(path=pictures / "measured.png")
    (rectangle, axes, angle), ct = on_server(page, server)
    told = page.evaluate("medvlViewer.measured.list()")
    found = rectangle.region(ct)
    assert told[0]["words"] == f"{found.mean:.0f} ± {found.sd:.0f} HU, {found.area_mm2 / 100:.2f} cm²"
    assert told[1]["words"] == f"{axes.mm(ct):.1f} \u00d7 {axes.second_mm(ct):.1f} mm"
    first, second = (np.subtract(b, a) * ct.spacing_mm for a, b in ((axes.start, axes.end), axes.more))
    assert abs(first @ second) < 1e-3 * np.linalg.norm(first) * np.linalg.norm(second)
    assert told[2]["words"] == f"{angle.degrees(ct):.1f}°"
    assert angle.degrees(ct) == pytest.approx(90, abs=3)
    counts = page.evaluate("[...medvlViewer.measured.counts(0)]")
    assert sum(counts) == found.voxels
    assert sum((n - 2048) * count for n, count in enumerate(counts)) / found.voxels == pytest.approx(found.mean)
    page.locator(".mp-length").first.get_by_role("button", name="Go").click()
    page.wait_for_selector(".mp-length .mp-histogram .bars path", timeout=30_000)
    assert sum(page.evaluate("document.querySelector('.mp-length .mp-histogram').data[0].y")) >= 0.98 * found.voxels
    open_tab(page, "Export")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export", exact=True).click()
    download.value.save_as(tmp_path / "x.zip")
    archive = zipfile.ZipFile(tmp_path / "x.zip")
    rows = list(csv.DictReader(io.TextIOWrapper(archive.open("lengths.csv"), encoding="utf-8")))
    assert [row["kind"] for row in rows] == ["axes", "angle"]
    assert float(rows[0]["second_mm"]) == pytest.approx(axes.second_mm(ct), abs=0.01)
    assert float(rows[1]["angle_degrees"]) == pytest.approx(angle.degrees(ct), abs=0.01)
    (row,) = csv.DictReader(io.TextIOWrapper(archive.open("regions.csv"), encoding="utf-8"))
    assert (row["kind"], row["radius_mm"]) == ("rectangle", "")
    assert float(row["median_hu"]) == pytest.approx(found.median, abs=0.01)
    with page.expect_download(timeout=60_000) as download:
        page.get_by_role("button", name="Save case").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    other = visit()
    upload(other, [path])
    other.wait_for_function("medvlViewer.state().rulers.length === 3")
    assert [one["words"] for one in other.evaluate("medvlViewer.measured.list()")] == [one["words"] for one in told]


def test_an_angle_that_is_given_up_leaves_nothing(visit):
    page = visit()
    tool(page, "ruler")
    page.get_by_role("button", name="Angle", exact=True).click()
    draw(page, (70, 30, 60), (70, 50, 60), name="ruler")
    assert len(state(page)["rulers"]) == 1
    assert page.evaluate("medvlViewer.lengths().list") == []  # half an angle is in no file
    page.keyboard.press("Escape")
    assert state(page)["rulers"] == []


def test_the_histogram_of_a_mask_is_of_its_voxels(visit, server, bladder, pictures):
    page = visit()
    click(page, bladder)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator(".mp-spread summary").click()
    page.wait_for_selector(".mp-spread .bars path", timeout=30_000)
    assert [url for url in asked if not url.startswith(server[0])] == []  # Plotly comes from this server
    session = server[1].store.by_token(state(page)["token"])
    (mask,) = session.case.masks.values()
    hu = np.asarray(session.ct.hu)[mask.array]
    counts = np.array(page.evaluate("id => [...medvlViewer.histogram(id)]", mask.id))
    assert np.array_equal(counts, np.bincount(hu.astype(int) + 2048, minlength=counts.size))
    middle = round(float(np.percentile(hu, 50)))
    assert page.locator('[data-fact="percentiles"]').inner_text().split(" / ")[2] == f"{middle}"
    low, high = np.percentile(hu, (0.5, 99.5))
    (drawn,) = page.evaluate("document.querySelector('.mp-spread .mp-histogram').data")
    step, inside = drawn["width"], (hu >= low) & (hu <= high)
    assert inside.sum() <= sum(drawn["y"]) <= hu.size
    assert np.average(drawn["x"], weights=drawn["y"]) == pytest.approx(hu[inside].mean(), abs=step)
    bar = page.locator(".mp-spread .bars .point").nth(len(drawn["y"]) // 2).bounding_box()
    page.mouse.move(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] - 1)
    page.wait_for_selector(".mp-spread .hoverlayer .hovertext")
    page.screenshot(path=pictures / "histogram.png")


def test_a_sphere_is_seen_on_every_slice_that_it_cuts(visit):
    page = visit()
    tool(page, "region")
    page.get_by_role("button", name="Sphere", exact=True).click()
    draw(page, (60, 50, 60), (70, 50, 60))
    marks = """() => { const c = document.querySelector('.mv-plane[data-plane=axial] .mv-marks');
      return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, n) => n % 4 === 3 && v); }"""
    for k, seen in ((60, True), (65, True), (75, False)):
        page.evaluate("k => medvlViewer.setCrosshair([60, 50, k])", k)
        page.evaluate(DRAWN)
        assert page.evaluate(marks) is seen


def test_the_centre_moves_it_and_delete_takes_it_away(visit, server):
    page = visit()
    draw(page, (60, 50, 60), (70, 50, 60))
    before = state(page)["rulers"][0]["mm"]
    draw(page, (60, 50, 60), (64, 56, 60))  # from its centre: it moves
    after = state(page)["rulers"]
    assert len(after) == 1
    assert after[0]["mm"] == pytest.approx(before, abs=1e-6)
    (one,), _ = on_server(page, server)
    assert one.start[:2] == pytest.approx((64, 56), abs=0.6)
    page.keyboard.press("Delete")
    assert state(page)["rulers"] == []


def test_a_slab_holds_what_lies_in_its_thickness(visit, server, pictures):
    page = visit()
    page.locator(".mv-plane[data-plane=axial]").hover()
    page.keyboard.press("k")
    assert state(page)["slab"]["mode"] == "MIP"
    session = server[1].store.by_token(state(page)["token"])
    hu, spacing = np.asarray(session.ct.hu), session.ct.spacing_mm
    for mode, of in (("MIP", np.max), ("MinIP", np.min), ("mean", np.mean)):
        page.get_by_label("Projection").select_option(mode)
        page.get_by_label("Thickness in mm").fill("15")
        for axis, index in ((2, 60), (1, 0), (0, session.ct.shape[0] - 1)):
            count = round(15 / spacing[axis])
            first = index - (count - 1) // 2
            part = np.moveaxis(hu, axis, 0)[max(0, first) : first + count].astype(float)
            wanted = np.floor(of(part, axis=0) + 0.5).T.ravel()
            values = page.evaluate("([axis, index]) => medvlViewer.slabValues(axis, index)", [axis, index])
            assert values == wanted.tolist()
        page.evaluate(DRAWN)
        assert f"{mode} 15 mm" in page.locator(".mv-plane[data-plane=axial] .mv-counter").inner_text()
        page.screenshot(path=pictures / f"slab-{mode}.png")
    page.locator(".mv-plane[data-plane=axial]").hover()
    page.keyboard.press("k")
    assert state(page)["slab"]["mode"] == ""
