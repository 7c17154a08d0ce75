"""Scrolling a 512 x 512 x 300 CT in Chromium: frame times, and proof that no request leaves the page.

    python tests/benchmarks/scroll.py [--browser /usr/bin/chromium] [--shape 512 512 300] [--masks]

The volume is the bundled chest CT stretched to that grid with noise added, so that slices pack as badly as real ones.
A frame is counted from the start of its script to the message that follows its paint; ``interval`` is the time from one
animation frame to the next (16.7 ms is every frame of a 60 Hz screen).
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

SCROLL = """
async ([plane, steps]) => {
  const root = document.querySelector(`.mv-plane[data-plane="${plane}"]`);
  const box = root.getBoundingClientRect();
  medvlViewer.resetFrames();
  const intervals = [];
  let last = await new Promise(requestAnimationFrame);
  for (let n = 0; n < steps; n++) {
    const deltaY = Math.floor(n / 60) % 2 ? 120 : -120;
    root.dispatchEvent(new WheelEvent('wheel', { deltaY, clientX: box.left + box.width / 2,
      clientY: box.top + box.height / 2, bubbles: true, cancelable: true }));
    const now = await new Promise(requestAnimationFrame);
    intervals.push(now - last);
    last = now;
  }
  await new Promise((r) => setTimeout(r, 50));
  intervals.sort((a, b) => a - b);
  return { ...medvlViewer.state().frames, interval_p95: intervals[Math.ceil(intervals.length * 0.95) - 1] };
}
"""


def stretched(shape: tuple[int, int, int]):
    """The bundled chest CT on a grid of ``shape``, nearest voxel, with noise of 15 HU inside the body."""
    from medvl.ct.geometry import SourceGeometry
    from medvl.ct.volume import CTVolume

    image = nib.as_closest_canonical(nib.load(ROOT / "assets" / "samples" / "chest_cta.nii.gz"))
    source = np.asarray(image.dataobj).astype(np.int16)
    index = [np.arange(n) * m // n for n, m in zip(shape, source.shape, strict=True)]
    hu = np.empty(shape, np.int16, order="F")
    noise = np.random.default_rng(0).normal(0, 15, (*shape[:2], 16)).astype(np.int16)
    for k in range(shape[2]):
        plane = source[:, :, index[2][k]][np.ix_(index[0], index[1])]
        hu[:, :, k] = np.where(plane > -1000, plane + noise[:, :, k % 16], plane)
    affine = np.diag([*(s * m / n for s, m, n in zip(image.header.get_zooms(), source.shape, shape, strict=True)), 1.0])
    return CTVolume(hu, affine, SourceGeometry(shape, affine))


def add_masks(board, shape: tuple[int, int, int], count: int = 10) -> None:
    """Ellipsoids of organ size."""
    from medvl.ct.masks import PALETTE, Mask

    grid = np.ogrid[tuple(slice(0, n) for n in shape)]
    for n in range(count):
        centre = [shape[0] * (0.25 + 0.05 * n), shape[1] * 0.5, shape[2] * 0.5]
        distance = sum(((g - c) / (0.13 * s)) ** 2 for g, c, s in zip(grid, centre, shape, strict=True))
        board.set_mask(Mask.from_array(distance < 1, id=f"m{n}", name=f"Object {n}", color=PALETTE[n]))


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 300))
    parser.add_argument("--masks", action="store_true", help="show ten organ-sized masks")
    parser.add_argument("--steps", type=int, default=240)
    options = parser.parse_args()

    import gradio as gr
    from playwright.sync_api import sync_playwright

    from app.viewer import Board, add_routes, viewer_html, viewer_value

    shape = tuple(options.shape)
    board = Board(stretched(shape), secrets.token_urlsafe(24))
    if options.masks:
        add_masks(board, shape)
    with gr.Blocks() as demo:
        viewer = viewer_html()
        demo.load(lambda: viewer_value(board), outputs=viewer)
    app, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, run_history=False, enable_monitoring=False)
    add_routes(app, {board.token: board}.get)

    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    result: dict = {"shape": list(shape), "masks": bool(options.masks)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(url)
        page.wait_for_function("window.medvlViewer && medvlViewer.state().token", timeout=60000)
        began = time.perf_counter()
        page.wait_for_function("medvlViewer.state().firstPicture !== null", timeout=60000, polling=20)
        result["first_plane_s"] = round(time.perf_counter() - began, 2)
        page.wait_for_function("medvlViewer.state().complete", timeout=120000)
        result["complete_s"] = round(time.perf_counter() - began, 2)
        result["requests_to_load"] = sum("/medvl/" in r for r in requests)
        time.sleep(2)
        requests.clear()
        for plane in ("axial", "coronal", "sagittal"):
            frames = page.evaluate(SCROLL, [plane, options.steps])
            result[plane] = {key: round(value, 1) for key, value in frames.items()}
        result["requests_while_scrolling"] = len(
            [r for r in requests if "/medvl/" in r or "/volume" in r or "predict" in r]
        )
        result["all_requests_while_scrolling"] = len(requests)
        browser.close()
    demo.close()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
