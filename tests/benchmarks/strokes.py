"""Painting on a 512 x 512 x 300 CT with ten masks in Chromium: from the pointer's event to its pixels, and frame times.

    python tests/benchmarks/strokes.py [--browser /usr/bin/chromium] [--shape 512 512 300] [--strokes 12] [--ball]

The scan is that of ``scroll.py``. ``pointer_ms`` is the time from the time stamp of a ``pointermove`` to the message
that follows the paint of the next frame, in which the viewer draws it; ``interval_ms`` that from one frame to the next,
``frame_ms`` from the start of a frame's script to the message after its paint.
"""

from __future__ import annotations

import argparse
import json
import secrets
from typing import Any

import gradio as gr
import numpy as np
from scroll import add_masks, stretched

WATCH = """
() => {
  window.late = [];
  window.intervals = [];
  const after = (then) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = then;
    channel.port2.postMessage(0);
  });
  window.addEventListener('pointermove', (event) => {
    if (event.buttons) after(() => window.late.push(performance.now() - event.timeStamp));
  }, true);
  let last = performance.now();
  const frame = (now) => { if (window.painting) window.intervals.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}
"""  # noqa: E501 - a script of another language


def spread(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and most of some times."""
    return {
        key: round(float(value), 1)
        for key, value in zip(("median", "p95", "most"), np.percentile(values, (50, 95, 100)), strict=True)
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 300))
    parser.add_argument("--strokes", type=int, default=12)
    parser.add_argument("--ball", action="store_true", help="a ball through the slices, not a disc")
    options = parser.parse_args()

    from playwright.sync_api import sync_playwright

    from app.viewer import Board, add_routes, viewer_html, viewer_value

    shape = tuple(options.shape)
    board = Board(stretched(shape), secrets.token_urlsafe(24))
    add_masks(board, shape)

    def took(event: gr.EventData) -> dict[str, Any]:
        board.took_stroke(event._data["n"])
        return viewer_value(board)

    with gr.Blocks() as demo:
        viewer = viewer_html()
        viewer.stroke(took, None, viewer, show_progress="hidden")
        demo.load(lambda: viewer_value(board), outputs=viewer)
    app, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, run_history=False, enable_monitoring=False)
    add_routes(app, {board.token: board}.get)

    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.wait_for_function("window.medvlViewer && medvlViewer.state().complete", timeout=180_000)
        page.keyboard.press("d")
        if options.ball:
            page.get_by_role("button", name="3-D ball").click()
        page.evaluate(WATCH)
        page.evaluate("medvlViewer.resetFrames()")
        box = page.locator(".mv-plane[data-plane=axial]").bounding_box()
        for n in range(options.strokes):
            y = box["y"] + box["height"] * (0.3 + 0.4 * n / options.strokes)
            page.mouse.move(box["x"] + 0.3 * box["width"], y)
            page.mouse.down()
            page.evaluate("window.painting = true")
            for step in range(40):
                page.mouse.move(box["x"] + (0.3 + 0.01 * step) * box["width"], y + 8 * (step % 3))
            page.evaluate("window.painting = false")
            page.mouse.up()
            page.wait_for_function("!medvlViewer.state().brush.waiting", timeout=30_000)
        late, intervals = page.evaluate("[window.late, window.intervals]")
        frames = {key: round(value, 1) for key, value in page.evaluate("medvlViewer.state().frames").items()}
        browser.close()
    demo.close()
    result = {"shape": list(shape), "masks": 10, "moves": len(late)}
    result |= {"pointer_ms": spread(late), "interval_ms": spread(intervals), "frame_ms": frames}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
