"""The viewer's own tools in a real Chromium: lengths, crosshair, one plane, reset, and the sheet of keys."""

from __future__ import annotations

import math

import pytest

from app.viewer.component import FOLDER

from .test_viewer import arrives, at, crosshair, cube, page, server, settle, state, tab  # noqa: F401

pytestmark = pytest.mark.browser


def drag(page, plane, start, end, **keys):  # noqa: F811
    page.mouse.move(*at(page, plane, start))
    page.mouse.down(**keys)
    page.mouse.move(*at(page, plane, end), steps=3)
    page.mouse.up(**keys)
    settle(page)


def marks(page, plane):  # noqa: F811
    """Number of pixels that are drawn above a plane's picture."""
    return page.evaluate(
        """(plane) => {
          const canvas = document.querySelector(`.mv-plane[data-plane="${plane}"] .mv-marks`);
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((value, n) => n % 4 === 3 && value).length;
        }""",
        plane,
    )


@pytest.mark.parametrize(
    ("affine", "a", "b", "mm"),
    [
        ([[1, 0, 0, 5], [0, 1, 0, 5], [0, 0, 2.5, 5], [0, 0, 0, 1]], (0, 0, 0), (3, 0, 4), math.hypot(3, 10)),
        ([[0.5, 0, 0, 0], [0, 0.8, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]], (1.5, 2, 0), (5.5, 7, 0), math.hypot(2, 4)),
        ([[1, 0, 0, 0], [0, 1, 0.5, 0], [0, 0, 2, 0], [0, 0, 0, 1]], (0, 0, 0), (0, 0, 10), math.hypot(5, 20)),  # tilt
    ],
)
def test_a_length_is_true_in_mm(tabs, affine, a, b, mm):
    blank = tabs.take()
    blank.add_script_tag(content="\n".join((FOLDER / name).read_text() for name in ("geometry.js", "ruler.js")))
    measured = blank.evaluate("([affine, a, b]) => lengthMm(affine, a, b)", [affine, a, b])
    tabs.give_back(blank)
    assert measured == pytest.approx(mm)


class TestLengths:
    @pytest.mark.parametrize(
        ("plane", "a", "b", "mm"),
        [
            ("axial", (20, 20, 30), (60, 50, 30), 50.0),
            ("coronal", (20, 40, 20), (50, 40, 40), 50.0),  # 30 x 1 mm across, 20 x 2 mm up
            ("sagittal", (48, 20, 10), (48, 50, 50), math.hypot(30, 80)),
        ],
    )
    def test_a_drag_gives_mm_on_its_slice_alone(self, page, server, plane, a, b, mm):  # noqa: F811
        requests = []
        crosshair(page, (48, 40, 30))
        page.on("request", lambda request: requests.append(request.url))
        page.keyboard.press("m")
        drag(page, plane, a, b)
        (ruler,) = state(page)["rulers"]
        assert ruler["mm"] == pytest.approx(mm, rel=0.01)
        assert f"Length {ruler['mm']:.1f} mm" in page.inner_text(".mv-status")
        assert state(page)["ijk"] == [48, 40, 30]  # the crosshair stays
        assert marks(page, plane) > 0
        page.mouse.wheel(0, 120)
        settle(page)
        assert marks(page, plane) == 0
        page.mouse.wheel(0, -120)
        settle(page)
        assert marks(page, plane) > 0
        assert requests == []
        assert server.events == []

    def test_an_end_can_be_dragged_and_delete_removes(self, page):  # noqa: F811
        crosshair(page, (48, 40, 30))
        page.keyboard.press("m")
        drag(page, "axial", (20, 20, 30), (60, 20, 30))
        drag(page, "axial", (60, 20, 30), (50, 20, 30))
        (ruler,) = state(page)["rulers"]
        assert ruler["mm"] == pytest.approx(30, rel=0.02)
        drag(page, "axial", (20, 60, 30), (60, 60, 30))
        assert len(state(page)["rulers"]) == 2
        page.mouse.click(*at(page, "axial", (35, 20, 30)))  # takes the first one
        page.keyboard.press("Delete")
        (left,) = state(page)["rulers"]
        assert left["mm"] == pytest.approx(40, rel=0.02)
        page.click('.mv-button[data-name="clear"]')
        settle(page)
        assert state(page)["rulers"] == []
        assert marks(page, "axial") == 0

    def test_a_click_or_escape_leaves_none(self, page):  # noqa: F811
        crosshair(page, (48, 40, 30))
        page.keyboard.press("m")
        page.mouse.click(*at(page, "axial", (20, 20, 30)))
        assert state(page)["rulers"] == []
        page.mouse.move(*at(page, "axial", (20, 20, 30)))
        page.mouse.down()
        page.mouse.move(*at(page, "axial", (50, 20, 30)))
        page.keyboard.press("Escape")
        page.mouse.up()
        assert state(page)["rulers"] == []
        assert state(page)["tool"] == "ruler"
        page.keyboard.press("Escape")
        assert state(page)["tool"] == "navigate"

    def test_another_scan_has_none(self, page):  # noqa: F811
        page.keyboard.press("m")
        drag(page, "axial", (20, 20, 30), (60, 20, 30))
        assert len(state(page)["rulers"]) == 1
        before = state(page)["token"]
        page.click("#other")
        page.wait_for_function("medvlViewer.hu([0, 0, 0]) === 200")
        assert state(page)["token"] != before
        assert state(page)["rulers"] == []


def test_fingers_scroll_zoom_measure_and_place_a_point(server, browser):  # noqa: F811
    server.boards.clear()
    server.board = server.new_board()
    server.events.clear()
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()  # noqa: F811
    page.goto(server.url)
    page.wait_for_function("window.medvlViewer && medvlViewer.state().complete")
    fingers = context.new_cdp_session(page)

    def touch(*steps):
        for kind, points in (*steps, ("touchEnd", [])):
            points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        settle(page)

    def take(tool):
        for _ in range(20):  # Chromium swallows a tap that comes within a moment of a swipe
            page.locator(f'.mv-button[data-name="{tool}"]').tap()
            settle(page)
            if state(page)["tool"] == tool:
                return
            page.wait_for_timeout(100)

    x, y = at(page, "axial", (48, 40, 30))
    two = [(x - 20, y), (x + 20, y)], [(x - 50, y + 10), (x + 50, y + 10)]
    touch(("touchStart", two[0][:1]), ("touchStart", two[0]), ("touchMove", two[1]))
    assert state(page)["zoom"]["axial"] > 1.5
    assert state(page)["ijk"] == [48, 40, 30]
    page.locator('.mv-button[data-name="fit"]').tap()
    page.wait_for_function("medvlViewer.state().zoom.axial === 1")
    take("ruler")
    a, b = at(page, "axial", (20, 40, 30)), at(page, "axial", (60, 40, 30))
    touch(("touchStart", [a]), ("touchMove", [b]))
    (ruler,) = state(page)["rulers"]
    assert ruler["mm"] == pytest.approx(40, rel=0.05)
    take("positive")
    page.touchscreen.tap(*at(page, "axial", (40, 30, 30)))
    page.wait_for_function("medvlViewer.state().masks.length === 1")
    assert server.events[0]["kind"] == "point"
    assert server.events[0]["ijk"] == pytest.approx([40, 30, 30], abs=1)
    context.close()


class TestView:
    def test_crosshair_off_and_on(self, page):  # noqa: F811
        assert page.locator(".mv-hair").first.is_visible()
        page.keyboard.press("x")
        assert not page.locator(".mv-hair").first.is_visible()
        assert page.get_by_role("button", name="Hide the crosshair").get_attribute("aria-pressed") == "true"
        page.get_by_role("button", name="Hide the crosshair").click()
        assert page.locator(".mv-hair").first.is_visible()

    def test_a_key_enlarges_the_plane_under_the_mouse(self, page):  # noqa: F811
        page.mouse.move(*at(page, "coronal", (48, 40, 30)))
        page.keyboard.press("e")
        assert state(page)["maximised"] == "coronal"
        page.keyboard.press("e")
        assert state(page)["maximised"] is None

    def test_reset_brings_planes_zoom_and_window_back(self, page):  # noqa: F811
        crosshair(page, (30, 30, 20))
        window = state(page)["window"]
        page.mouse.move(*at(page, "axial", (30, 30, 20)))
        for key in ("3", "+", "+", "e"):
            page.keyboard.press(key)
        assert state(page)["window"] != window
        assert state(page)["zoom"]["axial"] > 1.5
        page.keyboard.press("r")
        after = state(page)
        assert (after["window"], after["zoom"]["axial"], after["maximised"]) == (window, 1, None)
        assert after["ijk"] == [30, 30, 20]

    def test_the_sheet_of_keys_takes_the_focus_and_gives_it_back(self, page):  # noqa: F811
        page.mouse.move(*at(page, "axial", (48, 40, 30)))
        page.keyboard.press("?")
        sheet = page.get_by_role("dialog", name="Keys and gestures of the viewer")
        assert sheet.is_visible()
        page.keyboard.press("p")  # no tool changes behind the sheet
        assert state(page)["tool"] == "navigate"
        page.keyboard.press("Escape")
        assert not sheet.is_visible()
        settle(page)  # the browser tells the page of the focus and of the mouse again
        page.keyboard.press("p")
        assert state(page)["tool"] == "positive"
        page.click('.mv-button[data-name="help"]')
        assert sheet.is_visible()
        page.get_by_role("button", name="Close").click()
        assert not sheet.is_visible()

    @pytest.mark.parametrize("width", [390, 1280, 1440])
    def test_the_toolbar_holds_all_its_buttons(self, page, server, width):  # noqa: F811
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function("w => document.querySelector('.mv').clientWidth <= w", arg=width)
        bar = page.locator(".mv-bar").bounding_box()
        hidden = {"cross"} if width < 400 else set()  # the crosshair stays on on a phone, for room
        for button in page.locator(".mv-bar .mv-button:not([hidden])").all():
            box = button.bounding_box()
            if box is None:
                hidden.remove(button.get_attribute("data-name"))
                continue
            assert box["x"] + box["width"] <= bar["x"] + bar["width"]
            assert box["width"] >= 30
        assert not hidden
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_is_unsaved(page, server):  # noqa: F811
    mask = cube((30, 30, 30), "m9")
    server.board.set_mask(mask)
    page.click('.mv-button[data-name="new"]')
    page.wait_for_function("medvlViewer.state().masks.length === 1 && medvlViewer.state().unsaved")
    server.board.mark_saved([mask])
    page.click('.mv-button[data-name="new"]')
    page.wait_for_function("!medvlViewer.state().unsaved")
    server.board.set_mask(cube((30, 30, 30), "m9", 7))
    page.click('.mv-button[data-name="new"]')
    page.wait_for_function("medvlViewer.state().unsaved")


class TestMeasuringByKeys:
    """Crosshair by Shift and arrows, ends by Enter; the mouse is never touched."""

    @pytest.fixture(autouse=True)
    def _focus(self, page):  # noqa: F811
        crosshair(page, (48, 40, 30))
        page.mouse.move(0, 0)
        page.locator("#viewer .mv, .mv").first.focus()

    @staticmethod
    def press(page, *keys):  # noqa: F811
        for key in keys:
            page.keyboard.press(key)
        settle(page)

    def form(self, page, name):  # noqa: F811
        """A button of the bar, reached by Tab and pressed by Enter."""
        for _ in range(60):
            if page.evaluate("document.activeElement.textContent") == name:
                break
            page.keyboard.press("Tab")
        self.press(page, "Enter")

    def test_a_length(self, page, server):  # noqa: F811
        self.press(page, "m", "Enter", *["Shift+ArrowLeft"] * 3, *["Shift+ArrowUp"] * 4)
        (ruler,) = state(page)["rulers"]
        assert ruler["mm"] == pytest.approx(5)  # it goes with the crosshair
        self.press(page, "Enter", "Shift+ArrowLeft")
        (ruler,) = state(page)["rulers"]
        assert (ruler["kind"], ruler["mm"]) == ("line", pytest.approx(5))
        assert server.events == []
        self.press(page, "Delete")
        assert state(page)["rulers"] == []

    def test_an_angle(self, page):  # noqa: F811
        self.press(page, "m")
        self.form(page, "Angle")
        self.press(page, "Enter", *["Shift+ArrowLeft"] * 5, "Enter", *["Shift+ArrowUp"] * 5, "Enter")
        assert state(page)["rulers"][0]["kind"] == "angle"
        assert page.evaluate("medvlViewer.measured.list()[0].words") == "90.0\N{DEGREE SIGN}"

    def test_two_axes(self, page):  # noqa: F811
        self.press(page, "m")
        self.form(page, "Two axes")
        self.press(page, "Enter", *["Shift+ArrowLeft"] * 8, "Enter")
        self.press(page, *["Shift+ArrowRight"] * 4, *["Shift+ArrowUp"] * 3, "Enter", *["Shift+ArrowDown"] * 5, "Enter")
        assert page.evaluate("medvlViewer.measured.list()[0].words") == "8.0 \N{MULTIPLICATION SIGN} 5.0 mm"

    @pytest.mark.parametrize(("form", "size"), [("", "0.13 cm\N{SUPERSCRIPT TWO}"), ("Rectangle", ""), ("Sphere", "")])
    def test_regions(self, page, form, size):  # noqa: F811
        self.press(page, "o")
        if form:
            self.form(page, form)
        self.press(page, "Enter", *["Shift+ArrowLeft"] * 2, *(["Shift+ArrowUp"] * (form == "Rectangle")), "Enter")
        assert state(page)["rulers"][0]["kind"] == (form.lower() or "circle")
        assert size in page.evaluate("medvlViewer.measured.list()[0].words")
        assert sum(page.evaluate("[...medvlViewer.measured.counts(0)]")) == {"": 13, "Rectangle": 6, "Sphere": 15}[form]

    def test_escape_gives_it_up(self, page):  # noqa: F811
        self.press(page, "m", "Enter", "Shift+ArrowLeft", "Escape")
        assert state(page)["rulers"] == []
        assert state(page)["tool"] == "ruler"

    def test_a_box(self, page, server):  # noqa: F811
        self.press(page, "b", "Enter", *["Shift+ArrowLeft"] * 3, *["Shift+ArrowUp"] * 2)
        arrives(page, server, lambda: page.keyboard.press("Enter"))
        (box,) = server.events
        assert (box["kind"], box["lo"], box["hi"], box["axis"]) == ("box", [48, 40, 30], [52, 43, 31], 2)
