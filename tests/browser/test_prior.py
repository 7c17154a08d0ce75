"""An earlier scan beside the open one, in a real Chromium: same place, no request while scrolling, a key that swaps."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from app.scans import SAMPLES

from .on_page import DRAWN, NEEDS, open_tab, state

pytestmark = NEEDS


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """The sample 20 mm further down the table, with noise, in every second voxel of its planes."""
    image = nib.load(SAMPLES / "abdomen_ct.nii.gz")
    hu = np.asarray(image.dataobj)[::2, ::2]
    affine = image.affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    affine[2, 3] += 20.0
    noisy = np.clip(hu + np.random.default_rng(0).normal(0, 10, hu.shape), -1024, 3000).astype(np.int16)
    path = tmp_path_factory.mktemp("earlier") / "last_year.nii.gz"
    nib.save(nib.Nifti1Image(noisy, affine), path)
    return path


def test_prior_beside_swapped_and_closed(visit, earlier, pictures):
    page = visit()
    open_tab(page, "Scan")
    page.locator("#prior button").first.click()
    page.locator("#upload-prior input[type=file]").set_input_files(str(earlier))
    page.wait_for_function("medvlViewer.state().prior.complete", timeout=120_000)
    page.wait_for_function("document.querySelector('.fp-priortitle').textContent.includes('last_year')")
    assert state(page)["prior"]["shape"] == state(page)["shape"]
    assert state(page)["prior"]["mode"] == "beside"
    boxes = page.evaluate(
        "[...document.querySelectorAll('.mv-plane')].filter((p) => p.offsetWidth).map((p) => p.getBoundingClientRect())"
        ".map((b) => [b.x, b.y, b.width, b.height].map(Math.round))"
    )
    assert len(boxes) == 2
    assert abs(boxes[0][2] - boxes[1][2]) <= 1
    assert boxes[0][1] == boxes[1][1]
    page.screenshot(path=pictures / "prior_beside.png")

    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.mouse.move(boxes[1][0] + 100, boxes[1][1] + 200)
    before = state(page)["ijk"][2]
    for _ in range(6):
        page.mouse.wheel(0, -100)
        page.evaluate(DRAWN)
    assert state(page)["ijk"][2] != before
    counters = page.evaluate(
        "[...document.querySelectorAll('.mv-plane')].filter((p) => p.offsetWidth)"
        ".map((p) => p.querySelector('.mv-counter').textContent)"
    )
    assert counters[0] == counters[1]
    assert [url for url in asked if "/medvl/" in url] == []

    page.keyboard.press("c")
    page.evaluate(DRAWN)
    assert state(page)["prior"]["mode"] == "prior"
    page.screenshot(path=pictures / "prior_swapped.png")
    page.keyboard.press("p")  # a tool that draws is of the open scan
    assert state(page)["prior"]["mode"] == "now"
    page.keyboard.press("v")

    page.locator(".fp-closeprior").click()
    page.wait_for_function("medvlViewer.state().prior.shape === null")
    assert page.locator(".mv-priors").is_hidden()
    assert page.locator(".fp-prior").is_hidden()
    assert state(page)["complete"]


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_side_by_side_fits(visit, earlier, pictures, size):
    page = visit(*size)
    open_tab(page, "Scan")
    page.locator("#prior button").first.click()
    page.locator("#upload-prior input[type=file]").set_input_files(str(earlier))
    page.wait_for_function("medvlViewer.state().prior.complete", timeout=120_000)
    grid, bar = (page.locator(name).bounding_box() for name in (".mv-grid", ".mv-priors"))
    assert bar["x"] >= grid["x"]
    assert bar["x"] + bar["width"] <= grid["x"] + grid["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    if size[0] == 1280:
        tops = page.evaluate(
            "[...document.querySelectorAll('.mv-bar > *')].filter((b) => b.offsetWidth).map((b) => b.offsetTop)"
        )
        assert max(tops) - min(tops) < 20
    page.screenshot(path=pictures / f"prior_{size[0]}.png")
