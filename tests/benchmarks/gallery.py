"""The pictures of the README and of ``assets/screenshots``: the app with its real weights on the bundled scans.

    python -m tests.benchmarks.gallery [--out assets/screenshots] [--only chat two_scans ...]

Every picture is what a visitor sees after the steps of its function here. PNGs have a palette of at most 256 colours.
The earlier scan of ``two_scans`` is made of the sample itself, moved, turned and coarser: the samples hold no pair.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from scipy.spatial import cKDTree

import medvl
from app.scans import SAMPLES, SampleShelf
from app.sessions import SessionStore
from app.ui import launch

from ..browser.on_page import ARGS, CHROMIUM, DRAWN, IDLE, READY, open_tab, spot, state, tool, upload

LIMIT = 250_000  # bytes of a picture
LONG = 600_000  # ms; a report on two busy cores
ANSWERED = "document.querySelector('.cp-turn:last-child')?.dataset.state === 'done' && " + IDLE
ORGANS = "Segment the liver, the spleen, the gallbladder and both kidneys"


class Studio:
    """Opens tabs on the running app and keeps their pictures."""

    def __init__(self, browser: Browser, url: str, out: Path, work: Path) -> None:
        self.browser, self.url, self.out, self.work = browser, url, out, work

    def tab(self, width: int = 1280, height: int = 800, dark: bool = False, touch: bool = False) -> Page:
        """A tab of its own with the first sample."""
        page = self.browser.new_page(viewport={"width": width, "height": height}, has_touch=touch)
        page.goto(self.url + ("?__theme=dark" if dark else ""))
        page.wait_for_function(READY, timeout=LONG)
        page.wait_for_timeout(500)
        return page

    def keep(self, page: Page, name: str) -> None:
        """Save what a tab shows, in as many colours as fit the limit."""
        page.evaluate(DRAWN)
        page.wait_for_timeout(700)
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        for greys in (128, 64, 43, 32):
            packed = io.BytesIO()
            with_palette(image, greys).save(packed, "PNG", optimize=True)
            if packed.tell() <= LIMIT:
                break
        (self.out / f"{name}.png").write_bytes(packed.getvalue())
        print(f"{name}.png: {packed.tell() / 1000:.0f} kB, {greys} greys", flush=True)


def with_palette(image: Image.Image, greys: int) -> Image.Image:
    """A picture in evenly spaced greys, which a CT needs, and in the colours that tell most of the rest."""
    ramp = np.repeat(np.linspace(0, 255, greys).round(), 3).reshape(-1, 3)
    kinds, place, counts = np.unique(np.asarray(image).reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    colored = np.ptp(kinds.astype(int), axis=1) > 2
    weighed = np.repeat(kinds[colored], np.minimum(counts[colored], 300), axis=0)  # a chip counts beside a large mask
    colors = Image.fromarray(weighed[None]).quantize(256 - greys, Image.Quantize.MAXCOVERAGE, kmeans=2)
    tones = np.array(colors.getpalette()[: 3 * (256 - greys)]).reshape(-1, 3)
    palette = np.concatenate([ramp, tones])
    nearest = cKDTree(palette).query(kinds)[1].astype(np.uint8)  # Pillow's own search is coarse
    packed = Image.fromarray(nearest[place].reshape(image.height, image.width), "P")
    packed.putpalette(palette.astype(np.uint8).tobytes())
    return packed


def ask(page: Page, text: str) -> None:
    """Say something in the chat and wait for the whole answer."""
    open_tab(page, "Chat")
    before = page.locator(".cp-turn").count()
    page.locator(".cp-input").fill(text)
    page.locator(".cp-send").click()
    page.wait_for_function("n => document.querySelectorAll('.cp-turn').length > n", arg=before, timeout=LONG)
    page.wait_for_function(ANSWERED, timeout=LONG)
    page.wait_for_timeout(500)


def drag(page: Page, start: tuple, end: tuple, plane: str = "axial") -> None:
    """Drag with the mouse from voxel to voxel of one slice."""
    spot(page, start, plane)
    a, b = (page.evaluate("([p, v]) => medvlViewer.canvasPoint(p, v)", [plane, list(v)]) for v in (start, end))
    page.mouse.move(a["x"], a["y"])
    page.mouse.down()
    page.mouse.move(b["x"], b["y"], steps=12)
    page.mouse.up()
    page.evaluate(DRAWN)


def select(page: Page, name: str) -> None:
    """Choose a mask in the list."""
    open_tab(page, "Masks")
    page.locator(".mp-pick", has_text=name).first.click()
    page.wait_for_function(IDLE)
    page.wait_for_timeout(400)


def chat(studio: Studio) -> None:
    """Chat, report and surfaces: one conversation."""
    page = studio.tab()
    ask(page, ORGANS)
    ask(page, "Are there dark areas in the liver?")
    ask(page, "How far is the gallbladder from the right kidney?")
    studio.keep(page, "chat")
    open_tab(page, "Report")
    page.locator(".rp-write").click()
    page.wait_for_selector(".rp-files:not([hidden])", timeout=LONG)
    page.wait_for_function(IDLE, timeout=LONG)
    page.locator("#tab-report").evaluate("tab => (tab.scrollTop = 0)")
    studio.keep(page, "report")
    open_tab(page, "3-D")
    page.wait_for_selector("#surface canvas", timeout=LONG)
    page.wait_for_timeout(4000)
    studio.keep(page, "surfaces")
    page.close()


def by_hand(studio: Studio) -> None:
    """A ball painted in a HU range, and a margin that says what it changed."""
    page = studio.tab()
    ask(page, "left kidney")
    select(page, "kidney")
    i, j, k = state(page)["ijk"]
    tool(page, "brush")
    page.locator(".mv-ball").click()
    page.locator(".mv-bound").click()
    drag(page, (i - 25, j - 25, k), (i - 5, j - 40, k))
    page.wait_for_function("!medvlViewer.state().brush.waiting", timeout=LONG)
    page.locator(".mp-tools [data-op=smooth]").click()
    page.wait_for_function("document.querySelector('.mp-told').textContent.length > 0", timeout=LONG)
    page.locator(".mp-told").scroll_into_view_if_needed()
    page.mouse.move(*spot(page, (i - 15, j - 32, k)))
    studio.keep(page, "by_hand")
    page.close()


def own_masks(studio: Studio) -> None:
    """A .seg.nrrd, as 3D Slicer writes them, with its names and colours, and the case that holds it all."""
    page = studio.tab()
    ask(page, ORGANS)
    ask(page, "How large is the liver?")
    open_tab(page, "Export")
    for box in page.locator(".ep-kind input:checked").all():
        if box.is_visible() and box.get_attribute("value") not in (None, "seg_nrrd"):
            box.uncheck()
    page.locator(".ep-kind input[value=seg_nrrd]").check()
    with page.expect_download(timeout=LONG) as waiting:
        page.locator(".ep-go").click()
    zipped = studio.work / "masks.zip"
    waiting.value.save_as(zipped)
    page.locator(".ep-scan").check()
    with page.expect_download(timeout=LONG) as waiting:
        page.get_by_role("button", name="Save case").click()
    case = studio.work / "liver.medvl.zip"
    waiting.value.save_as(case)
    page.wait_for_function("!medvlViewer.state().unsaved")
    page.locator(".ep-case").scroll_into_view_if_needed()
    studio.keep(page, "case_saved")
    page.close()

    with zipfile.ZipFile(zipped) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".seg.nrrd"))
        (studio.work / "from_slicer.seg.nrrd").write_bytes(archive.read(name))
    page = studio.tab()
    open_tab(page, "Masks")
    page.locator("#own-masks button").first.click()
    page.locator("#upload-masks input[type=file]").set_input_files(str(studio.work / "from_slicer.seg.nrrd"))
    page.wait_for_function("medvlViewer.state().masks.length === 5", timeout=LONG)
    page.wait_for_function(IDLE)
    page.wait_for_timeout(600)
    page.mouse.move(0, 0)
    studio.keep(page, "own_masks")
    page.close()

    page = studio.tab()
    upload(page, [case])
    page.wait_for_function("medvlViewer.state().masks.length === 5", timeout=LONG)
    open_tab(page, "Chat")
    studio.keep(page, "case_reopened")
    page.close()


def stopped(studio: Studio) -> None:
    """A question asked while a box is being followed."""
    page = studio.tab()
    ask(page, "liver")
    i, j, k = state(page)["ijk"]
    page.locator("#viewer .mv-new").click()
    tool(page, "box")
    drag(page, (i - 70, j - 70, k), (i + 70, j + 80, k))
    page.wait_for_function("document.querySelector('.mv-status').textContent.startsWith('Slice')", timeout=LONG)
    page.wait_for_timeout(1500)
    ask(page, "How large is the spleen?")
    page.wait_for_selector(".cp-offer", timeout=LONG)
    studio.keep(page, "stopped")
    page.close()


def made_earlier(path: Path) -> None:
    """The first sample as another visit would have it: moved 12 mm, turned 4 degrees, coarser, noisier."""
    image = nib.load(SAMPLES / "liver_ct.nii.gz")
    turn, angle = np.eye(4), np.radians(4.0)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[:3, 3] = (8.0, -6.0, 7.0)
    hu = np.asarray(image.dataobj)[::2, ::2].astype(np.float32)
    hu += np.random.default_rng(0).normal(0, 8, hu.shape)
    affine = turn @ image.affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    nib.save(nib.Nifti1Image(np.clip(hu, -1024, 3071).astype(np.int16), affine), path)


def two_scans(studio: Studio) -> None:
    """An earlier scan beside the open one, and what changed."""
    earlier = studio.work / "earlier.nii.gz"
    made_earlier(earlier)
    page = studio.tab(1920, 1080)
    open_tab(page, "Scan")
    page.locator("#prior button").first.click()
    page.locator("#upload-prior input[type=file]").set_input_files(str(earlier))
    page.wait_for_function("medvlViewer.state().prior.complete", timeout=LONG)
    ask(page, "Compare the liver, the spleen and both kidneys with last time")
    page.locator(".mv-priors .mv-button", has_text="Side by side").click()
    studio.keep(page, "two_scans")
    page.close()


def regions(studio: Studio) -> None:
    """Circle, rectangle, sphere, length and two axes in their list; histograms of the sphere and of a mask."""
    page = studio.tab(1440, 900)
    open_tab(page, "Masks")
    k = 25
    tool(page, "region")
    drag(page, (390, 300, k), (408, 300, k))
    page.get_by_role("button", name="Rectangle", exact=True).click()
    drag(page, (122, 222, k), (150, 246, k))
    tool(page, "ruler")
    drag(page, (211, 209, k), (153, 173, k))
    page.get_by_role("button", name="Two axes", exact=True).click()
    drag(page, (224, 197, k), (279, 197, k))
    tool(page, "region")
    page.get_by_role("button", name="Sphere", exact=True).click()
    drag(page, (330, 330, k), (352, 330, k))
    names = page.locator(".mp-length input")
    for n, name in enumerate(("Liver, circle", "Spleen", "Left kidney", "Vertebral body", "Liver, sphere")):
        names.nth(n).fill(name)
        names.nth(n).press("Tab")
        page.wait_for_timeout(150)
    page.locator(".mp-length").last.get_by_role("button", name="Go").click()
    page.wait_for_selector(".mp-length .bars path", timeout=LONG)
    studio.keep(page, "regions")
    page.close()
    page = studio.tab(1440, 900)
    ask(page, "spleen")
    select(page, "Spleen")
    page.locator(".mp-spread summary").click()
    page.wait_for_selector(".mp-spread .bars path", timeout=LONG)
    bar = page.locator(".mp-spread .bars .point").nth(40).bounding_box()
    page.mouse.move(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] - 2)
    studio.keep(page, "histogram")
    page.close()


def seeing(studio: Studio) -> None:
    """A slab in maximum intensity projection, and the whole scan turning."""
    page = studio.tab()
    page.locator("#viewer .mv").focus()
    page.keyboard.press("k")
    page.locator(".mv-slabs input").fill("30")
    page.evaluate("medvlViewer.setCrosshair([256, 200, 25])")
    studio.keep(page, "slab")
    page.keyboard.press("k")
    open_tab(page, "3-D")
    page.locator(".vp-kind[data-kind=mip]").click()
    page.wait_for_function("document.querySelector('.vp-canvas').dataset.drawn", timeout=LONG)
    page.locator("#surface-large").click()
    studio.keep(page, "mip")
    page.close()


def many_scans(studio: Studio) -> None:
    """One request for three scans."""
    page = studio.tab()
    open_tab(page, "Scan")
    page.locator("#many-scans button").first.click()
    files = [str(SAMPLES / f"{name}.nii.gz") for name in ("liver_ct", "abdomen_ct", "chest_cta")]
    page.locator("#upload-many input[type=file]").set_input_files(files)
    page.locator("#many-text textarea, #many-text input").first.fill("liver and spleen")
    page.wait_for_timeout(3000)
    page.locator("#many-run").click()
    page.wait_for_selector("#many-table a", timeout=LONG)
    page.wait_for_timeout(500)
    page.locator("#many-table").scroll_into_view_if_needed()
    studio.keep(page, "many_scans")
    page.close()


def small_and_dark(studio: Studio) -> None:
    """A phone, and the dark theme."""
    page = studio.tab(390, 844, touch=True)
    ask(page, "Segment the liver and the spleen")
    page.evaluate("window.scrollTo(0, 0)")
    studio.keep(page, "phone")
    page.close()
    page = studio.tab(dark=True)
    ask(page, ORGANS)
    select(page, "Liver")
    page.locator(".mp-spread summary").click()
    page.wait_for_selector(".mp-spread .bars path", timeout=LONG)
    studio.keep(page, "dark")
    page.close()


SCENES: dict[str, Callable[[Studio], None]] = {
    scene.__name__: scene
    for scene in (chat, by_hand, own_masks, stopped, two_scans, regions, seeing, many_scans, small_and_dark)
}


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("assets/screenshots"))
    parser.add_argument("--only", nargs="+", choices=SCENES, default=list(SCENES))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    store = SessionStore()
    _, url, _, demo = launch(medvl.load("nano"), port=None, store=store, shelf=SampleShelf())
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as work:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        studio = Studio(browser, url, options.out, Path(work))
        for name in options.only:
            began = time.monotonic()
            try:
                SCENES[name](studio)
                print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
            except Exception as error:  # the others go on
                print(f"{name} failed: {error}", flush=True)
        browser.close()
    demo.close()
    store.shutdown()


if __name__ == "__main__":
    main()
