"""What the browser tests share: where Chromium is, serving the app, and what a visitor does on its page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from app.scans import SAMPLES, SampleShelf
from app.sessions import SessionStore
from app.ui import launch

CHROMIUM = Path("/usr/bin/chromium")
ARGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
READY = "window.medvlViewer && window.medvlViewer.state().complete"
DRAWN = "() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"
IDLE = "!medvlViewer.state().busy && !medvlViewer.state().pending && !document.querySelector('.is-running')"

NEEDS = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium on this machine"),
    pytest.mark.skipif(not (SAMPLES / "samples.json").exists(), reason="no samples in assets/samples"),
]


def serve(model):
    store = SessionStore(budget_bytes=4 * 10**9)
    _, url, handlers, demo = launch(model, port=None, store=store, shelf=SampleShelf(default="abdomen"))
    return url, handlers, demo


def state(page):
    return page.evaluate("medvlViewer.state()")


def spot(page, ijk, plane="axial"):
    """Where a voxel is drawn, with its slice shown."""
    page.evaluate("ijk => medvlViewer.setCrosshair(ijk)", list(ijk))
    page.evaluate(DRAWN)
    at = page.evaluate("([plane, ijk]) => medvlViewer.canvasPoint(plane, ijk)", [plane, list(ijk)])
    return at["x"], at["y"]


def tool(page, name):
    page.locator(f"#viewer .mv-{name}").first.click()


def click(page, ijk, name="positive", plane="axial", wait=True):
    tool(page, name)
    before = state(page)["revision"]
    page.mouse.click(*spot(page, ijk, plane))
    page.wait_for_function("before => medvlViewer.state().revision > before", arg=before, timeout=30_000)
    if wait:
        page.wait_for_function(IDLE, timeout=60_000)
        page.wait_for_timeout(500)  # the panel and the picture come in messages of their own


def open_tab(page, name):
    page.get_by_role("tab", name=name).click()


def row_volumes(page):
    return [
        float(text.removeprefix("\u2265").split()[0].replace(",", ""))
        for text in page.locator(".mp-size").all_inner_texts()
    ]


def upload(page, files, within="#upload"):
    open_tab(page, "Scan")
    before = state(page)["token"]
    page.locator(f"{within} input[type=file]").set_input_files([str(f) for f in files])
    page.wait_for_function("before => medvlViewer.state().token !== before", arg=before, timeout=60_000)
    page.wait_for_function(READY, timeout=60_000)
    page.wait_for_timeout(300)
