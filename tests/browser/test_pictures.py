"""Cine, a plane as PNG, the typed window, what is in no file, and the page of a phone, in a real Chromium."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from .on_page import DRAWN, NEEDS, open_tab, spot, state, tool

pytestmark = NEEDS


def test_a_typed_window(visit):
    page = visit()
    level, width = page.locator(".mv-levels input").all()
    level.fill("-500")
    width.fill("1400")
    width.press("Enter")
    assert state(page)["window"] == {"level": -500, "width": 1400}
    page.keyboard.press("3")
    assert (level.input_value(), width.input_value()) == ("400", "1800")
    width.fill("")
    width.press("Enter")
    assert width.input_value() == "1800"
    assert state(page)["window"] == {"level": 400, "width": 1800}


def test_cine_plays_and_asks_the_server_nothing(visit):
    page = visit()
    page.evaluate("ijk => medvlViewer.setCrosshair(ijk)", [60, 50, 10])
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.press("j")
    page.get_by_label("Slices a second").select_option("30")
    page.wait_for_function("medvlViewer.state().ijk[2] >= 20", timeout=10_000)
    page.get_by_role("button", name="Pause", exact=True).click()
    assert not state(page)["cine"]["playing"]
    stands = state(page)["ijk"]
    page.wait_for_timeout(300)
    assert state(page)["ijk"] == stands
    assert [url for url in asked if "/medvl/" in url] == []


def test_cine_begins_again_at_the_end(visit):
    page = visit()
    top = state(page)["shape"][2] - 1
    page.evaluate("ijk => medvlViewer.setCrosshair(ijk)", [60, 50, top])
    page.keyboard.press("j")
    page.wait_for_function("top => medvlViewer.state().ijk[2] < top / 2", arg=top, timeout=10_000)
    page.keyboard.press("j")
    assert not state(page)["cine"]["playing"]


def test_a_plane_as_png(visit, pictures):
    page = visit()
    for plane, axis in (("axial", 2), ("coronal", 1)):
        where = page.locator(f'.mv-plane[data-plane="{plane}"]')
        where.hover()
        with page.expect_download() as waiting:
            where.locator(".mv-photo").click()
        assert waiting.value.suggested_filename == f"{plane}-{state(page)['ijk'][axis] + 1}.png"
        waiting.value.save_as(pictures / f"plane_{plane}.png")
        image = Image.open(pictures / f"plane_{plane}.png")
        box = where.bounding_box()
        assert image.size == (round(box["width"]), round(box["height"]))
        rgb = np.asarray(image.convert("RGB")).astype(int)
        yellow = (rgb[..., 0] > 200) & (rgb[..., 1] > 150) & (rgb[..., 2] < 140)
        half = rgb.shape[0] // 2
        for side in (yellow[half - 12 : half + 12, :26], yellow[half - 12 : half + 12, -26:]):  # R and L
            assert side.sum() > 5
        assert "Patient" not in str(image.info)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")  # whole


def test_lengths_in_no_file_are_asked_about(visit):
    page = visit()
    assert not state(page)["unsaved"]
    tool(page, "ruler")
    x, y = spot(page, (60, 50, 60))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=4)
    page.mouse.up()
    page.evaluate(DRAWN)
    assert state(page)["unsaved"]
    open_tab(page, "Export")
    with page.expect_download():
        page.locator(".ep-go").click()
    page.wait_for_function("!medvlViewer.state().unsaved")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 60, steps=4)
    page.mouse.up()
    page.evaluate(DRAWN)
    assert state(page)["unsaved"]


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1440, 900), (1920, 1080)])
def test_every_tool_has_its_name_in_one_row(visit, width, height):
    page = visit(width, height)
    page.evaluate("document.querySelector('.mv-stop').hidden = false")  # the widest the bar gets
    buttons = page.evaluate(
        """[...document.querySelectorAll('.mv-bar .mv-button')].map((b) => {
          const word = b.querySelector('span'), inner = word.getBoundingClientRect(), outer = b.getBoundingClientRect();
          const inside = inner.left >= outer.left && inner.right <= outer.right;
          return [word.textContent, outer.top, inner.width > 0 && inside];
        })"""
    )
    assert len(buttons) == 21
    assert len({top for _, top, _ in buttons}) == 1
    assert [word for word, _, fits in buttons if not fits] == []


def test_a_phone_has_two_rows_of_tools_and_the_message_field(visit):
    page = visit(390, 844)
    tops = page.evaluate(
        "[...document.querySelectorAll('.mv-bar :is(button, select)')].filter((b) => b.offsetWidth)"
        ".map((b) => Math.round(b.getBoundingClientRect().top + b.offsetHeight / 2))"
    )
    assert len({round(top / 10) for top in tops}) <= 2
    field = page.locator(".cp-input").bounding_box()
    assert field["y"] + field["height"] <= 844
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
