"""Many visitors who open, box, click and ask at once on the real weights: right masks for all, memory in budget.

    python tests/benchmarks/visitors.py [--visitors 12] [--organs 4] [--gb 4]

Each visitor is a page of its own in Chromium, uploads the bundled abdomen (all the same file at the same moment), and
works on one of ``--organs`` organs: a box, a click at the centre of the largest error, and a question about it. First
it is done for each organ while nobody else works; then all do it at once, in new pages. A mask is right when it
overlaps that of the visitor who was alone (Dice above 0.999), an answer when it has the same words.
``organ_dice`` is against the bundled labels. ``peak_mb`` is the server's with all processes that it starts, looked at
five times a second, and ``at_most_mb`` what it was within each step of all at once. Prints one JSON object; the exit
code is 1 if a mask or an answer is wrong, the server logged an error, a page showed one, or memory went over the
budget.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
from server import CHROMIUM, ROOT, Server, alone_mb, peak_mb, resident_mb, wait_idle

sys.path.insert(0, str(ROOT))

from app.scans import SAMPLES
from app.sessions import PROGRAM_BYTES
from medvl.evaluation.cases import LabelledCase, abdomen_sample
from medvl.evaluation.interactive import box_on_largest_slice, centre_of_largest_error, dice
from tests.app.viewer.unwire import unpack_delta

ORGANS = ("urinary_bladder", "left_kidney", "right_kidney", "spleen", "stomach", "liver", "gallbladder", "aorta")
WAIT_S = 1800  # of one step, on a machine that others use too


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
    _, masks = unpack_delta(body)
    if len(masks) != 1:
        raise SystemExit(f"A visitor sees {len(masks)} masks instead of one.")
    full = np.zeros(case.ct.shape, bool)
    for k, ((i0, j0), crop) in next(iter(masks.values())).items():
        full[i0 : i0 + crop.shape[1], j0 : j0 + crop.shape[0], k] |= crop.T
    return full


def settle(page) -> None:
    """Until the prompt just given has become a mask."""
    page.wait_for_timeout(600)
    wait_idle(page, WAIT_S)


def open_file(page, path: str) -> None:
    """Choose a file in the page's upload; the wait is ``opened``'s."""
    page.get_by_role("tab", name="Scan").click()
    page.locator("#upload input[type=file]").wait_for(state="attached")
    page.wait_for_function("medvlViewer.state().complete", timeout=WAIT_S * 1000, polling=100)  # the page's own sample
    page.evaluate("window.tokenBefore = medvlViewer.state().token")
    page.locator("#upload input[type=file]").set_input_files(path)


def opened(page, case: LabelledCase) -> None:
    """Until the chosen file is shown, with its own grid; its token comes first."""
    shown = """shape => { const s = medvlViewer.state();
        return s.complete && s.token !== window.tokenBefore && s.shape.join() === shape; }"""
    shape = ",".join(map(str, case.ct.shape))
    page.wait_for_function(shown, arg=shape, timeout=WAIT_S * 1000, polling=100)


def ask(page, organ: str) -> None:
    """A question in the chat."""
    page.get_by_role("tab", name="Chat").click()
    page.locator(".cp-input").fill(f"How large is the {organ.replace('_', ' ')}?")
    page.keyboard.press("Enter")


def answered(page) -> list[str]:
    """The answer's sentences, when it is whole."""
    page.locator(".cp-sentence").first.wait_for(timeout=WAIT_S * 1000)
    idle = "!medvlViewer.state().busy && !document.querySelector('.is-running')"
    page.wait_for_function(idle, timeout=WAIT_S * 1000, polling=100)
    return page.locator(".cp-sentence").all_inner_texts()


class Memory:
    """Resident memory of a process, and what those below it have for themselves alone, MB."""

    def __init__(self, pid: int) -> None:
        self._pid, self._step, self._ended = pid, 0.0, threading.Event()
        self.peak = 0.0
        threading.Thread(target=self._look, daemon=True).start()

    def step(self) -> int:
        """The most since it was asked last."""
        most, self._step = self._step, 0.0
        return round(most)

    def end(self) -> None:
        """Look no more; the peak of the process itself is the one that the system kept."""
        self._ended.set()
        self.peak = max(self.peak, peak_mb(self._pid))

    def _look(self) -> None:
        while not self._ended.wait(0.2):
            now = self._tree(self._pid)
            self._step, self.peak = max(self._step, now), max(self.peak, now)

    def _tree(self, pid: int) -> float:
        try:
            below = [line.read_text().split() for line in Path(f"/proc/{pid}/task").glob("*/children")]
            own = resident_mb(pid) if pid == self._pid else alone_mb(pid)
            return own + sum(self._tree(int(child)) for of_thread in below for child in of_thread)
        except (OSError, TypeError):  # it has ended
            return 0.0


def work(pages: dict, case: LabelledCase, organs: dict, memory: Memory) -> tuple[dict, dict, dict, dict]:
    """All visitors do each step at the same time.

    Args:
        pages: name of each visitor -> its page.
        case: the scan that they upload, with its labels.
        organs: name of each visitor -> what it works on.
        memory: of the server.

    Returns:
        Masks and answers by visitor, and the seconds of each step for all, and the most memory meanwhile, MB.
    """
    masks, answers, seconds, most = {}, {}, {}, {}
    steps = {
        "open": (lambda page, _: open_file(page, str(SAMPLES / "abdomen_ct.nii.gz")), lambda page: opened(page, case)),
        "box": (lambda page, organ: box(page, case, organ), settle),
        "click": (lambda page, organ: click(page, case, organ), settle),
        "ask": (ask, None),
    }
    for step, (act, wait) in steps.items():
        begin = time.perf_counter()
        if step == "ask":
            masks = {visitor: mask(page, case) for visitor, page in pages.items()}
            begin = time.perf_counter()
        for visitor, page in pages.items():
            act(page, organs[visitor])
        for visitor, page in pages.items():
            if wait is None:
                answers[visitor] = answered(page)
            else:
                wait(page)
        seconds[step] = round(time.perf_counter() - begin, 1)
        most[step] = memory.step()
        print(f"{step} of {len(pages)}: {seconds[step]} s, {most[step]} MB", file=sys.stderr, flush=True)
    return masks, answers, seconds, most


def main() -> int:
    """Print one JSON object; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--visitors", type=int, default=4, choices=range(2, 2 * len(ORGANS) + 1))
    parser.add_argument("--organs", type=int, default=4, choices=range(1, len(ORGANS) + 1))
    parser.add_argument("--gb", type=float, default=4.0, help="memory budget of the whole server")
    options = parser.parse_args()

    from playwright.sync_api import sync_playwright

    case = abdomen_sample()
    visitors = {f"{n + 1}": ORGANS[n % options.organs] for n in range(options.visitors)}
    complaints: list[str] = []
    with Server(session_gb=options.gb - PROGRAM_BYTES / 1e9) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=list(CHROMIUM))
        memory = Memory(server.pid)

        def visit():
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.set_default_timeout(WAIT_S * 1000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(server.url)
            page.wait_for_function("window.medvlViewer && medvlViewer.state().complete", timeout=WAIT_S * 1000)
            return page

        alone, said, alone_s = {}, {}, {}
        for organ in dict.fromkeys(visitors.values()):
            page = visit()
            masks, answers, alone_s[organ], _ = work({organ: page}, case, {organ: organ}, memory)
            alone |= masks
            said |= answers
            page.context.close()

        pages = {visitor: visit() for visitor in visitors}
        memory.step()
        together, answers, together_s, at_most = work(pages, case, visitors, memory)
        for page in pages.values():
            complaints += page.locator(".toast-body").all_inner_texts()
        memory.end()
        browser.close()

    same = {f"{v} {organ}": round(dice(together[v], alone[organ]), 4) for v, organ in visitors.items()}
    other = {v: [said[organ], answers[v]] for v, organ in visitors.items() if answers[v] != said[organ]}
    result = {
        "visitors": len(visitors),
        "same_as_alone": same,
        "other_answers": other,
        "organ_dice": {organ: round(dice(found, case.mask(organ)), 3) for organ, found in alone.items()},
        "alone_s": alone_s,
        "all_at_once_s": together_s,
        "at_most_mb": at_most,
        "peak_mb": round(memory.peak),
        "errors": server.errors + complaints,
    }
    print(json.dumps(result, indent=1))
    wrong = min(same.values()) < 0.999 or other or result["errors"] or memory.peak * 2**20 > options.gb * 1e9
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
