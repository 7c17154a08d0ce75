"""A minute without network in the middle of work, in Chromium: what was there, and was done meanwhile, is there after.

    python -m tests.benchmarks.offline [--seconds 60]

The model is the tests' stand-in. While the network is gone the page is clicked, boxed, painted, measured and typed on.
"""

from __future__ import annotations

import argparse
import json
import time

from playwright.sync_api import sync_playwright

from ..app.stand_in import StandInModel
from ..browser.on_page import ARGS, CHROMIUM, IDLE, READY, click, open_tab, serve, spot, state, tool

PLACE = (61, 62, 30)  # a voxel in soft tissue of the sample


def drag(page, start, end):
    """From voxel to voxel of an axial slice."""
    page.mouse.move(*spot(page, start))
    page.mouse.down()
    page.mouse.move(*spot(page, end), steps=4)
    page.mouse.up()


def work_offline(page) -> None:
    """A stroke, a click that makes another object, a box that makes a third, a length, words that are not sent."""
    i, j, k = PLACE
    tool(page, "brush")
    drag(page, (i - 40, j - 50, k), (i - 30, j - 50, k))
    page.locator("#viewer .mv-new").click()
    tool(page, "positive")
    page.mouse.click(*spot(page, (i, j - 20, k + 30)))
    page.locator("#viewer .mv-new").click()
    tool(page, "box")
    drag(page, (i - 8, j - 28, k + 50), (i + 8, j - 12, k + 50))
    tool(page, "ruler")
    drag(page, (i - 20, j, k), (i + 20, j, k))
    open_tab(page, "Chat")
    page.locator(".cp-input").fill("how large is")


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    url, handlers, demo = serve(StandInModel())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.goto(url)
        page.wait_for_function(READY, timeout=120_000)
        click(page, PLACE)
        token = state(page)["token"]
        session = handlers.store.by_token(token)
        (before,) = session.case.masks.values()
        context.set_offline(True)
        began = time.monotonic()
        work_offline(page)
        page.wait_for_timeout(max(0.0, options.seconds - (time.monotonic() - began)) * 1000)
        context.set_offline(False)
        away = time.monotonic() - began
        back = time.monotonic()
        there = f"window.medvlViewer?.state().masks.length === 3 && {IDLE} && !medvlViewer.state().brush.waiting"
        page.wait_for_function(there, timeout=120_000)
        masks = list(session.case.masks.values())
        result = {
            "offline_s": round(away, 1),
            "all_there_after_s": round(time.monotonic() - back, 1),
            "same_session": state(page)["token"] == token,
            "stroke_kept": masks[0].voxels > before.voxels,
            "prompts": [len(session.case.prompts(mask.id)) for mask in masks],
            "lengths": len(state(page)["rulers"]),
            "draft": page.locator(".cp-input").input_value(),
        }
        browser.close()
    demo.close()
    handlers.store.shutdown()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
