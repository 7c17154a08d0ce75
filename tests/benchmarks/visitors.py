"""Several visitors who box and click at once on the real weights: right masks for all, no error, memory in budget.

    python tests/benchmarks/visitors.py [--visitors 4] [--gb 4]

Each visitor is a page of its own in Chromium with the bundled abdomen open, and works on an organ of its own: one box,
and one click at the centre of the largest error. First each does it while nobody else works; then all do it at once, in
new pages. A mask is right when it overlaps that of the visitor who was alone (Dice above 0.999). ``organ_dice`` is
against the bundled labels. Prints one JSON object; the exit code is 1 if a mask is wrong, the server logged an error,
the page showed one, or memory went over the budget.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np
from server import CHROMIUM, ROOT, Server, peak_mb, wait_idle

sys.path.insert(0, str(ROOT))

from app.viewer import wire
from medvl.evaluation.cases import LabelledCase, abdomen_sample
from medvl.evaluation.interactive import box_on_largest_slice, centre_of_largest_error, dice

ORGANS = ("urinary_bladder", "left_kidney", "right_kidney", "spleen", "stomach", "liver", "gallbladder", "aorta")


def prompt(page, drawn: list, tool: str) -> None:
    """Draw in the axial view: a box from corner to corner, or a click; voxel coordinates."""
    page.evaluate("ijk => medvlViewer.setCrosshair(ijk)", [round(v) for v in drawn[0]])
    page.wait_for_timeout(150)
    at = [page.evaluate("ijk => medvlViewer.canvasPoint('axial', ijk)", list(map(float, ijk))) for ijk in drawn]
    page.locator(f"#viewer .mv-{tool}").first.click()
    page.mouse.move(at[0]["x"], at[0]["y"])
    page.mouse.down()
    if len(at) > 1:
        page.mouse.move(at[1]["x"], at[1]["y"], steps=4)
    page.mouse.up()


def box(page, case: LabelledCase, organ: str) -> None:
    """The tight box on the organ's largest slice; corners lie between voxels."""
    found = box_on_largest_slice(case.mask(organ))
    k = found.lo[2]
    prompt(page, [(found.lo[0], found.lo[1], k), (found.hi[0] - 1, found.hi[1] - 1, k)], "box")


def click(page, case: LabelledCase, organ: str) -> None:
    """A corrective click, positive or negative."""
    point = centre_of_largest_error(mask(page, case), case.mask(organ), case.ct.spacing_mm)
    if point is not None:
        prompt(page, [point.ijk], "positive" if point.positive else "negative")


def mask(page, case: LabelledCase) -> np.ndarray:
    """The visitor's only mask as the server sends it to this page, bool ``(i, j, k)``."""
    token = page.evaluate("medvlViewer.state().token")
    body = page.request.get(f"{page.url.rstrip('/')}/medvl/{token}/delta?since=-1").body()
    _, masks = wire.unpack_delta(body)
    if len(masks) != 1:
        raise SystemExit(f"A visitor sees {len(masks)} masks instead of one.")
    full = np.zeros(case.ct.shape, bool)
    for k, ((i0, j0), crop) in next(iter(masks.values())).items():
        full[i0 : i0 + crop.shape[1], j0 : j0 + crop.shape[0], k] |= crop.T
    return full


def settle(page) -> None:
    """Until the prompt just given has become a mask."""
    page.wait_for_timeout(600)
    wait_idle(page)


def main() -> int:
    """Print one JSON object; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--visitors", type=int, default=4, choices=range(2, len(ORGANS) + 1))
    parser.add_argument("--gb", type=float, default=4.0, help="memory budget of the whole server process")
    options = parser.parse_args()

    from playwright.sync_api import sync_playwright

    case, organs = abdomen_sample(), ORGANS[: options.visitors]
    complaints: list[str] = []
    with Server() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=list(CHROMIUM))

        def visit():
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(server.url)
            page.wait_for_function("window.medvlViewer && medvlViewer.state().complete", timeout=120_000)
            return page

        alone, alone_s = {}, {}
        for organ in organs:
            page, begin = visit(), time.perf_counter()
            for act in (box, click):
                act(page, case, organ)
                settle(page)
            alone_s[organ] = round(time.perf_counter() - begin, 1)
            alone[organ] = mask(page, case)
            page.context.close()

        pages = {organ: visit() for organ in organs}
        begin = time.perf_counter()
        for act in (box, click):
            for organ, page in pages.items():
                act(page, case, organ)
            for page in pages.values():
                settle(page)
        together_s = time.perf_counter() - begin
        together = {organ: mask(page, case) for organ, page in pages.items()}
        for page in pages.values():
            complaints += page.locator(".toast-body").all_inner_texts()
        peak = peak_mb(server.pid)
        browser.close()

    same = {organ: round(dice(together[organ], alone[organ]), 4) for organ in organs}
    result = {
        "visitors": len(organs),
        "same_as_alone": same,
        "organ_dice": {organ: round(dice(together[organ], case.mask(organ)), 3) for organ in organs},
        "alone_s": alone_s,
        "all_at_once_s": round(together_s, 1),
        "server_peak_mb": round(peak),
        "errors": server.errors + complaints,
    }
    print(json.dumps(result, indent=1))
    wrong = min(same.values()) < 0.999 or result["errors"] or peak > options.gb * 1000
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
