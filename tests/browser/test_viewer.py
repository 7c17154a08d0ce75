"""The viewer alone in a real Chromium, on a phantom whose marks tell left, right, front, back, head and foot."""

from __future__ import annotations

import secrets
import socket
import threading
import time

import gradio as gr
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI

from app.viewer import Board, add_routes, viewer_html, viewer_value
from app.viewer import board as board_module
from medvl.ct.geometry import SourceGeometry
from medvl.ct.masks import Mask
from medvl.ct.prompts import Box, Point
from medvl.ct.volume import CTVolume

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

SHAPE = (96, 80, 60)
RIGHT, FRONT, HEAD = (80, 40, 30), (48, 70, 30), (48, 40, 52)  # bright marks at the patient's right, front and head


def phantom(value: int = 0) -> CTVolume:
    """Soft tissue of ``value`` HU with three bright cubes; 1 x 1 x 2 mm."""
    hu = np.full(SHAPE, value, np.int16)
    for i, j, k in (RIGHT, FRONT, HEAD):
        hu[i - 3 : i + 4, j - 3 : j + 4, k - 3 : k + 4] = 1000
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[:3, 3] = (-48, -40, -60)
    return CTVolume(hu, affine, SourceGeometry(SHAPE, affine))


def cube(centre: tuple[int, int, int], mask_id: str, radius: int = 6) -> Mask:
    array = np.zeros(SHAPE, bool)
    array[tuple(slice(max(0, c - radius), c + radius) for c in centre)] = True
    return Mask.from_array(array, id=mask_id, name="Cube", color="#ff0000")


class Page:
    """A Gradio page with the viewer, a text box, and handlers that answer prompts with a growing cube."""

    def __init__(self):
        self.boards: dict[str, Board] = {}
        self.board = self.new_board()
        self.events: list[dict] = []
        self.pace = 0.05  # seconds between two updates of a growing mask
        with gr.Blocks() as demo:
            viewer = viewer_html()
            gr.Textbox(elem_id="words")
            other = gr.Button("other", elem_id="other")
            lost = gr.Button("lost", elem_id="lost")
            fresh = gr.Button("fresh", elem_id="fresh")
            demo.load(lambda: viewer_value(self.board), outputs=viewer)
            viewer.prompt(self.on_prompt, None, viewer, show_progress="hidden", trigger_mode="multiple")
            viewer.action(self.on_action, None, viewer, show_progress="hidden", trigger_mode="multiple")
            other.click(self.on_other, None, viewer)
            fresh.click(lambda: viewer_value(self.board), None, viewer)
            lost.click(lambda: {**viewer_value(self.board), "token": "x", "base": "/medvl/x", "case": 9}, None, viewer)
        app, self.url, _ = demo.launch(
            prevent_thread_lock=True, quiet=True, run_history=False, enable_monitoring=False, server_name="127.0.0.1"
        )
        add_routes(app, self.boards.get)
        self.demo = demo

    def new_board(self, value: int = 0) -> Board:
        board = Board(phantom(value), secrets.token_urlsafe(24))
        self.boards[board.token] = board
        return board

    def on_prompt(self, event: gr.EventData):
        data = {name: value for name, value in event._data.items() if name != "key"}
        board = self.board  # a page that was closed goes on with its own board, not the next test's
        self.events.append(data)
        point = data["kind"] == "point"
        centre = data["ijk"] if point else [(a + b) // 2 for a, b in zip(data["lo"], data["hi"], strict=True)]
        prompt = (
            Point(tuple(centre), data["positive"], data["axis"]) if point else Box(tuple(data["lo"]), tuple(data["hi"]))
        )
        mask_id = f"m{len(self.events)}"
        for radius in range(2, 9):
            board.set_mask(cube(tuple(centre), mask_id, radius))
            board.active = mask_id
            board.set_prompts(mask_id, [prompt])
            yield viewer_value(board, busy=radius < 8, status=f"Step {radius}")
            time.sleep(self.pace)

    def on_action(self, event: gr.EventData):
        self.events.append(event._data)
        return viewer_value(self.board)

    def on_other(self):
        self.board = self.new_board(200)
        return viewer_value(self.board)


@pytest.fixture(scope="module")
def server():
    page = Page()
    yield page
    page.demo.close()


def state(page) -> dict:
    return page.evaluate("medvlViewer.state()")


def at(page, plane, ijk) -> tuple[float, float]:
    point = page.evaluate("([plane, ijk]) => medvlViewer.canvasPoint(plane, ijk)", [plane, list(ijk)])
    return point["x"], point["y"]


def crosshair(page, ijk) -> None:
    page.evaluate("(ijk) => medvlViewer.setCrosshair(ijk)", list(ijk))
    settle(page)


def settle(page) -> None:
    page.wait_for_function("!medvlViewer.state().pending")
    page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")


def arrives(page, server, act) -> None:
    """Do something that Python hears of, and wait until it has."""
    heard, deadline = len(server.events), time.monotonic() + 30
    act()
    while len(server.events) == heard and time.monotonic() < deadline:
        page.wait_for_timeout(20)


def red_green_blue(page, plane, ijk) -> list[int]:
    """Pixel of the plane's picture at a voxel."""
    return page.evaluate(
        """([plane, ijk]) => {
          const canvas = document.querySelector(`.mv-plane[data-plane="${plane}"] canvas`);
          const box = canvas.getBoundingClientRect();
          const { x, y } = medvlViewer.canvasPoint(plane, ijk);
          const ratio = canvas.width / box.width;
          const data = canvas.getContext('2d').getImageData((x - box.left) * ratio, (y - box.top) * ratio, 1, 1).data;
          return [...data].slice(0, 3);
        }""",
        [plane, list(ijk)],
    )


LOADED = "window.medvlViewer && medvlViewer.state().complete && medvlViewer.state().revision >= 0"
OF_A_VISIT = ("token", "revision", "frames", "firstPicture")


def shown(page) -> dict:
    """What the viewer shows, without what differs from visit to visit."""
    return {name: value for name, value in state(page).items() if name not in OF_A_VISIT}


@pytest.fixture(scope="module")
def tab(tabs):
    """The tab that the tests of a module use one after the other."""
    tab = tabs.take()
    tab.first = None  # what it shows of a new scan; None while it is to be loaded
    yield tab
    tabs.give_back(tab)


def opened_anew(tab, server) -> bool:
    """Open a new scan in a loaded page; whether it then shows what a new tab shows."""
    try:
        tab.wait_for_function("!medvlViewer.state().busy && !medvlViewer.state().pending", timeout=5000)
        tab.mouse.move(0, 0)
        for _ in range(2):  # a sheet, a tool
            tab.keyboard.press("Escape")
        tab.evaluate("document.activeElement.blur(), window.scrollTo(0, 0)")
        tab.dispatch_event("#fresh", "click")  # a click would scroll to it
        tab.wait_for_function(f"medvlViewer.state().token === '{server.board.token}' && {LOADED}", timeout=5000)
        settle(tab)
        tab.wait_for_function("first => medvlViewer.state().bytes === first.bytes", arg=tab.first, timeout=1000)
    except sync_api.TimeoutError:
        return False
    return shown(tab) == tab.first


@pytest.fixture
def page(server, tab):
    server.boards.clear()
    server.board = server.new_board()
    server.events.clear()
    server.pace = 0.05
    errors = []

    def complain(error):
        errors.append(str(error))

    tab.on("pageerror", complain)
    tab.set_viewport_size({"width": 1280, "height": 800})
    if tab.first is None or not opened_anew(tab, server):
        tab.mouse.move(0, 0)
        tab.goto(server.url)
        tab.wait_for_function(LOADED)
        settle(tab)
        tab.first = shown(tab)
    errors.clear()
    server.events.clear()
    yield tab
    tab.remove_listener("pageerror", complain)
    # Gradio sends the last update of a prompt once more when it is done: that would come into the next test.
    prompted = any("kind" in event for event in server.events)
    if prompted or errors or tab.locator(".mv-cover").is_visible():
        tab.first = None
    assert errors == []


class TestPicture:
    def test_radiological_display(self, page):
        x, y = at(page, "axial", (48, 40, 30))
        assert at(page, "axial", RIGHT)[0] < x  # patient's right on the viewer's left
        assert at(page, "axial", FRONT)[1] < y
        assert at(page, "coronal", RIGHT)[0] < at(page, "coronal", (48, 40, 30))[0]
        assert at(page, "coronal", HEAD)[1] < at(page, "coronal", (48, 40, 30))[1]
        assert at(page, "sagittal", FRONT)[0] < at(page, "sagittal", (48, 40, 30))[0]
        assert at(page, "sagittal", HEAD)[1] < at(page, "sagittal", (48, 40, 30))[1]
        letters = page.eval_on_selector_all('[data-plane="axial"] .mv-letter', "e => e.map(n => n.textContent)")
        assert letters == ["R", "L", "A", "P"]

    @pytest.mark.parametrize(
        ("plane", "marks"), [("axial", (RIGHT, FRONT)), ("coronal", (RIGHT, HEAD)), ("sagittal", (FRONT, HEAD))]
    )
    def test_voxels_are_drawn_where_they_are(self, page, plane, marks):
        crosshair(page, (48, 40, 30))
        for mark in marks:
            assert red_green_blue(page, plane, mark) == [255, 255, 255]
        opposite = [95 - marks[0][0], 79 - marks[0][1], 59 - marks[0][2]]
        assert red_green_blue(page, plane, [(a + 2) if a < 90 else a for a in opposite])[0] < 120

    def test_true_aspect(self, page):
        (x0, y0), (x1, y1) = at(page, "coronal", (48, 40, 30)), at(page, "coronal", (28, 40, 40))
        assert x1 - x0 == pytest.approx(y0 - y1, rel=1e-3)  # 20 x 1 mm across, 10 x 2 mm up

    def test_hu_and_millimetres_under_the_cursor(self, page):
        crosshair(page, (48, 40, 30))
        page.mouse.move(*at(page, "axial", RIGHT))
        settle(page)
        words = page.inner_text(".mv-readout")
        assert "1000 HU" in words
        assert "R 32.0" in words
        assert words.endswith("file index 80 40 30")

    def test_browser_has_the_very_voxels(self, page, server):
        for ijk in (RIGHT, FRONT, HEAD, (0, 0, 0), (95, 79, 59)):
            assert page.evaluate("(v) => medvlViewer.hu(v)", list(ijk)) == int(server.board.ct.hu[ijk])

    def test_three_planes_fit_without_scrolling(self, page):
        box = page.locator(".mv").bounding_box()
        assert box["y"] + box["height"] <= 800
        assert box["height"] >= 420


class TestNavigation:
    def test_scrolling_windowing_and_crosshair_ask_the_server_nothing(self, page):
        crosshair(page, (48, 40, 30))
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        page.mouse.move(*at(page, "axial", (48, 40, 30)))
        for _ in range(10):
            page.mouse.wheel(0, 120)
        settle(page)
        assert state(page)["ijk"] == [48, 40, 20]
        page.keyboard.press("ArrowUp")
        page.keyboard.press("PageUp")
        assert state(page)["ijk"] == [48, 40, 31]
        page.keyboard.press("3")
        assert state(page)["window"] == {"level": 400, "width": 1800}
        page.mouse.click(*at(page, "coronal", (20, 40, 10)))
        assert state(page)["ijk"] == [20, 40, 10]
        page.wait_for_timeout(300)
        assert requests == []

    def test_drag_changes_the_window(self, page):
        before = state(page)["window"]
        x, y = at(page, "axial", (48, 40, 30))
        page.mouse.move(x, y)
        page.mouse.down(button="right")
        page.mouse.move(x + 50, y + 30, steps=4)
        page.mouse.up(button="right")
        after = state(page)["window"]
        assert after["width"] > before["width"]
        assert after["level"] != before["level"]

    def test_zoom_keeps_the_voxel_under_the_cursor(self, page):
        spot = at(page, "axial", (60, 50, 30))
        page.mouse.move(*spot)
        page.keyboard.down("Control")
        page.mouse.wheel(0, -240)
        page.keyboard.up("Control")
        settle(page)
        assert state(page)["zoom"]["axial"] > 1.2
        assert at(page, "axial", (60, 50, 30)) == pytest.approx(
            spot, abs=1
        )  # the wheel's place is in whole pixels, times the zoom
        page.keyboard.press("f")
        assert state(page)["zoom"]["axial"] == 1

    def test_pan_with_the_middle_button(self, page):
        x, y = at(page, "axial", (48, 40, 30))
        page.mouse.move(x, y)
        page.mouse.down(button="middle")
        page.mouse.move(x + 40, y + 25, steps=3)
        page.mouse.up(button="middle")
        assert at(page, "axial", (48, 40, 30)) == pytest.approx((x + 40, y + 25), abs=0.5)

    def test_double_click_enlarges_and_restores(self, page):
        page.mouse.dblclick(*at(page, "sagittal", (48, 40, 30)))
        assert state(page)["maximised"] == "sagittal"
        assert not page.locator('[data-plane="axial"]').is_visible()
        page.locator('[data-plane="sagittal"] .mv-expand').click()
        assert state(page)["maximised"] is None

    def test_keys_rest_while_someone_types(self, page):
        before = state(page)
        page.click("#words textarea")
        page.keyboard.type("npb3")
        assert page.input_value("#words textarea") == "npb3"
        after = state(page)
        assert (after["tool"], after["window"], after["ijk"]) == (before["tool"], before["window"], before["ijk"])

    def test_keys_act_under_the_mouse_wherever_the_focus_is(self, page):
        page.focus("#other")
        page.mouse.move(*at(page, "axial", state(page)["ijk"]))
        before = state(page)["ijk"][2]
        page.keyboard.press("ArrowUp")
        settle(page)
        assert state(page)["ijk"][2] == before + 1
        page.mouse.move(2, 2)
        page.keyboard.press("ArrowUp")
        settle(page)
        assert state(page)["ijk"][2] == before + 1

    def test_a_finger_scrolls_and_taps(self, server, browser):
        context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
        page = context.new_page()
        page.goto(server.url)
        page.wait_for_function("window.medvlViewer && medvlViewer.state().complete")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        start = state(page)["ijk"][2]
        x, y = at(page, "axial", (48, 40, 30))
        page.touchscreen.tap(*at(page, "axial", (60, 50, 30)))
        assert state(page)["ijk"][:2] == [60, 50]
        touch = context.new_cdp_session(page)
        for kind, way in (("touchStart", 0), ("touchMove", 30), ("touchMove", 60), ("touchEnd", None)):
            points = [] if way is None else [{"x": x, "y": y - way}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        settle(page)
        assert state(page)["ijk"][2] > start
        context.close()


class TestPrompts:
    def test_a_point_becomes_a_mask_and_the_canvas_stays(self, page, server):
        crosshair(page, (48, 40, 30))
        page.evaluate("window.kept = document.querySelector('.mv-picture')")
        page.keyboard.press("p")
        page.mouse.click(*at(page, "axial", (40, 30, 30)))
        page.wait_for_function("medvlViewer.state().masks.length === 1 && !medvlViewer.state().busy")
        assert server.events == [{"kind": "point", "ijk": [40, 30, 30], "positive": True, "axis": 2}]
        page.wait_for_function("medvlViewer.state().masks[0].voxels === 4096")
        settle(page)
        assert page.evaluate("window.kept === document.querySelector('.mv-picture') && window.kept.isConnected")
        red, green, blue = red_green_blue(page, "axial", (35, 25, 30))
        assert red > green + 30
        assert green == blue
        assert state(page)["pending"] == 0

    def test_a_negative_point_in_the_sagittal_plane(self, page, server):
        crosshair(page, (48, 40, 30))
        page.keyboard.press("n")
        page.mouse.click(*at(page, "sagittal", (48, 20, 14)))
        page.wait_for_function("medvlViewer.state().masks.length === 1")
        assert server.events[0] == {"kind": "point", "ijk": [48, 20, 14], "positive": False, "axis": 0}

    def test_a_box_in_the_coronal_plane_is_half_open(self, page, server):
        crosshair(page, (48, 40, 30))
        page.keyboard.press("b")
        page.mouse.move(*at(page, "coronal", (70, 40, 45)))
        page.mouse.down()
        page.mouse.move(*at(page, "coronal", (50, 40, 30)), steps=3)
        page.mouse.move(*at(page, "coronal", (30, 40, 20)), steps=3)
        page.mouse.up()
        page.wait_for_function("medvlViewer.state().masks.length === 1")
        assert server.events[0] == {"kind": "box", "lo": [30, 40, 20], "hi": [71, 41, 46], "axis": 1}

    def test_keys_and_buttons_reach_python(self, page, server):
        page.mouse.move(*at(page, "axial", (48, 40, 30)))
        for keys in ("Control+z", "Control+Shift+Z", "Control+y"):
            arrives(page, server, lambda keys=keys: page.keyboard.press(keys))
        for name in ("clear", "new"):
            arrives(page, server, lambda name=name: page.click(f'.mv-button[data-name="{name}"]'))
        assert [event["name"] for event in server.events] == ["undo", "redo", "redo", "clear", "new"]

    def test_stop_is_offered_while_busy(self, page, server):
        stop = page.locator('.mv-button[data-name="stop"]')
        assert not stop.is_visible()
        server.pace = 0.6  # long enough to click while it runs, on a busy machine too
        page.keyboard.press("p")
        page.mouse.click(*at(page, "axial", (40, 30, 30)))
        stop.wait_for(state="visible")
        stop.click()
        page.wait_for_function("!medvlViewer.state().busy")
        assert {"name": "stop"} in server.events

    def test_focus_moves_the_crosshair(self, page, server):
        server.board.focus((10, 12, 14))
        page.click('.mv-button[data-name="new"]')  # any event that returns the value
        page.wait_for_function("medvlViewer.state().ijk.join() === '10,12,14'")

    def test_hiding_masks(self, page, server):
        crosshair(page, (48, 40, 30))
        server.board.set_mask(cube((30, 30, 30), "m9"))
        page.click('.mv-button[data-name="new"]')
        page.wait_for_function("medvlViewer.state().masks.length === 1")
        settle(page)
        shown = red_green_blue(page, "axial", (30, 30, 30))
        page.keyboard.press("h")
        settle(page)
        hidden = red_green_blue(page, "axial", (30, 30, 30))
        assert shown[0] > shown[1]
        assert hidden[0] == hidden[1]


class TestCases:
    def test_another_ct_replaces_the_picture(self, page):
        before = state(page)["token"]
        page.click("#other")
        page.wait_for_function(f"medvlViewer.state().token !== '{before}' && medvlViewer.state().complete")
        page.wait_for_function("medvlViewer.hu([0, 0, 0]) === 200")
        assert state(page)["masks"] == []

    def test_a_lost_session_says_so_and_keeps_the_picture(self, page):
        page.click("#lost")
        page.wait_for_selector(".mv-cover:not([hidden])")
        assert "This session has ended" in page.inner_text(".mv-cover")
        assert page.evaluate("medvlViewer.hu([0, 0, 0])") == 0
        page.mouse.move(*at(page, "axial", (48, 40, 30)))
        page.mouse.wheel(0, 120)
        settle(page)
        assert state(page)["ijk"][2] == 29

    def test_a_broken_connection_can_be_tried_again(self, page):
        page.route("**/medvl/**", lambda route: route.abort())
        page.click("#other")
        page.wait_for_selector(".mv-retry:not([hidden])", timeout=60000)
        assert "connection" in page.inner_text(".mv-cover")
        page.unroute("**/medvl/**")
        page.click(".mv-retry")
        page.wait_for_function("medvlViewer.hu([0, 0, 0]) === 200")
        assert not page.locator(".mv-cover").is_visible()

    def test_a_huge_scan_keeps_to_the_byte_budget(self, page, server, monkeypatch):
        slab = 96 * 80 * 4
        monkeypatch.setattr(board_module, "SLAB_VOXELS", slab)
        monkeypatch.setattr(board_module, "BROWSER_BYTES", 5 * slab * 2)  # 5 of 15 slabs
        page.click("#other")
        page.wait_for_function("medvlViewer.hu([0, 0, 30]) === 200")
        page.wait_for_function("medvlViewer.state().complete")
        assert page.evaluate("medvlViewer.hu([0, 0, 58])") is None  # coarse there
        crosshair(page, (48, 40, 58))
        page.wait_for_function("medvlViewer.hu([0, 0, 58]) === 200 && medvlViewer.state().complete")
        assert state(page)["bytes"] <= 5 * slab * 2 + 2 * 48 * 40 * 30


def test_page_under_a_folder(tabs):
    """Gradio mounted at /ct of another app, with the routes of the viewer at that app's root."""
    board = Board(phantom(), secrets.token_urlsafe(24))
    with gr.Blocks() as demo:
        viewer = viewer_html()
        demo.load(lambda: viewer_value(board), outputs=viewer)
    app = gr.mount_gradio_app(FastAPI(), demo, path="/ct")
    add_routes(app, {board.token: board}.get)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    page = tabs.take()
    for _ in range(100):
        if server.started:
            break
        time.sleep(0.1)
    page.goto(f"http://127.0.0.1:{port}/ct/")
    page.wait_for_function("window.medvlViewer && medvlViewer.state().complete", timeout=60000)
    tabs.give_back(page)
    server.should_exit = True
    thread.join(10)
