"""A newcomer's two minutes: open, ask, correct by brush, save, reopen, compare; and a stop that is said.

The language is a stand-in's, its masks are the bundled reference labels; all else is the page's own.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from app.scans import SAMPLES
from medvl.conversation.state import State
from medvl.tools.scene import Scene

from ..app.talking import TalkingCase, TalkingModel, sample_structures
from .on_page import DRAWN, IDLE, NEEDS, click, open_tab, serve, spot, state, tool, upload

pytestmark = NEEDS
SETTLED = "!medvlViewer.state().brush.waiting && !medvlViewer.state().busy"


class WalkCase(TalkingCase):
    """The stand-in, with what saving and comparing ask of a conversation."""

    def __init__(self, model, ct) -> None:
        super().__init__(model, ct)
        self.conversation.history, self.conversation.state, self.conversation.scene = (), State(), Scene(ct)
        self.conversation.recall = lambda *given: None


class WalkModel(TalkingModel):
    def open(self, ct):
        return WalkCase(self, ct)


@pytest.fixture(scope="module")
def server():
    url, handlers, demo = serve(WalkModel(sample_structures()))
    yield url, handlers
    demo.close()
    handlers.store.shutdown()


@pytest.fixture
def earlier(tmp_path):
    """The sample 20 mm further down the table, in every second voxel of its planes."""
    image = nib.load(SAMPLES / "abdomen_ct.nii.gz")
    affine = image.affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    affine[2, 3] += 20.0
    path = tmp_path / "last_year.nii.gz"
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::2, ::2], affine), path)
    return path


def voxels(page):
    return state(page)["masks"][0]["voxels"]


def test_the_walk(visit, server, earlier, tmp_path, pictures):
    page = visit()
    # ask
    page.locator(".cp-input").fill("liver")
    page.keyboard.press("Enter")
    page.wait_for_selector(".cp-turn[data-state=done] .cp-chip", timeout=30_000)
    page.wait_for_function("medvlViewer.state().masks.length === 1")
    page.wait_for_function(IDLE)
    asked = voxels(page)
    # correct by brush, think better of it, and do it again after all
    place = state(page)["ijk"]
    tool(page, "brush")
    outside = (place[0], 8, place[2])
    x, y = spot(page, outside)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 25, y, steps=4)
    page.mouse.up()
    page.wait_for_function(SETTLED, timeout=30_000)
    page.wait_for_function("n => medvlViewer.state().masks[0].voxels > n", arg=asked)
    corrected = voxels(page)
    page.keyboard.press("Control+z")
    page.wait_for_function("n => medvlViewer.state().masks[0].voxels === n", arg=asked)
    page.keyboard.press("Control+y")
    page.wait_for_function("n => medvlViewer.state().masks[0].voxels === n", arg=corrected)
    # compare
    open_tab(page, "Scan")
    page.locator("#prior button").first.click()
    page.locator("#upload-prior input[type=file]").set_input_files(str(earlier))
    page.wait_for_function("medvlViewer.state().prior.complete", timeout=60_000)
    page.evaluate(DRAWN)
    page.screenshot(path=pictures / "walk_compare.png")
    # save
    open_tab(page, "Export")
    page.locator(".ep-scan").set_checked(True)
    with page.expect_download(timeout=60_000) as download:
        page.get_by_role("button", name="Save case").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    page.wait_for_function("!medvlViewer.state().unsaved")
    # reopen elsewhere: masks, conversation, undo and the prior are there
    other = visit()
    upload(other, [path])
    other.wait_for_function("medvlViewer.state().masks.length === 1")
    other.wait_for_function("medvlViewer.state().prior.complete", timeout=60_000)
    assert voxels(other) == corrected
    assert other.locator(".fp-priortitle").inner_text() == "Prior: last_year.nii.gz"
    open_tab(other, "Chat")
    assert other.locator(".cp-question").inner_text() == "liver"
    other.keyboard.press("Control+z")
    other.wait_for_function("n => medvlViewer.state().masks[0].voxels === n", arg=asked)
    other.screenshot(path=pictures / "walk_reopened.png")


def test_a_stop_is_said_and_gone_on_with(visit, server, bladder, pictures):
    page = visit()
    server[1].model.slice_s = 0.15
    click(page, bladder, wait=False)
    page.wait_for_function("document.querySelector('.mv-status').textContent.startsWith('Slice')", timeout=30_000)
    open_tab(page, "Chat")
    page.locator(".cp-input").fill("liver")  # asked meanwhile
    page.keyboard.press("Enter")
    page.wait_for_selector(".cp-turn[data-state=done]", state="attached", timeout=30_000)
    page.wait_for_function(IDLE)
    open_tab(page, "Chat")  # the first mask may have opened the tab of masks
    page.wait_for_selector(".cp-offer >> text=/was stopped at axial slice .* Go on\\?/", timeout=10_000)
    stopped = voxels(page)
    page.screenshot(path=pictures / "stopped_offer.png")
    server[1].model.slice_s = 0.0
    page.locator(".cp-offer button").click()
    page.wait_for_function("n => medvlViewer.state().masks[0].voxels > n", arg=stopped)
    page.wait_for_function(IDLE)
    page.wait_for_selector(".cp-offer", state="detached")


def test_the_scan_in_3d(visit, pictures):
    page = visit()
    asked = []
    open_tab(page, "3-D")
    page.wait_for_timeout(500)
    page.on("request", lambda request: asked.append(request.url))
    page.locator(".vp-kind[data-kind=mip]").click()
    drawn = "document.querySelector('.vp-canvas').dataset.drawn"
    page.wait_for_function(drawn, timeout=60_000)
    # The spine is bright in the middle; above the scan there is nothing.
    seen = """() => {
      const c = document.querySelector('.vp-canvas'), gl = c.getContext('webgl2');
      const p = new Uint8Array(4 * c.width * c.height);
      gl.readPixels(0, 0, c.width, c.height, gl.RGBA, gl.UNSIGNED_BYTE, p);
      let most = 0;
      for (let n = 0; n < p.length; n += 4) most = Math.max(most, p[n]);
      return [most, p[4 * (c.width * (c.height - 3) + 3)]];
    }"""
    brightest, corner = page.evaluate(seen)
    assert brightest > 200
    assert corner < 30
    before = page.evaluate(drawn)
    page.locator(".vp-canvas").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"before => {drawn} !== before", arg=before)
    assert page.locator("#surface").is_hidden()
    assert [url for url in asked if "/medvl/" in url] == []
    page.screenshot(path=pictures / "mip.png")
    page.locator(".vp-kind[data-kind=surface]").click()
    assert page.locator("#surface").is_visible()
    assert page.locator(".vp-stage").is_hidden()
