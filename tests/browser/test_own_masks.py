"""Masks from a file in a real Chromium: 3D Slicer's .seg.nrrd by its own box, a label map by the box for scans."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from app.scans import SAMPLES

from .on_page import IDLE, NEEDS, open_tab, state

pytestmark = NEEDS
SEGMENTS = {"Leber": (5, "1 0 0", "#ff0000"), "Milz": (1, "0 0.5 1", "#0080ff")}


@pytest.fixture
def labels():
    return sitk.ReadImage(str(SAMPLES / "abdomen_labels.nii.gz"))


def voxels(labels, value):
    return int(np.count_nonzero(sitk.GetArrayViewFromImage(labels) == value))


def test_slicers_file_keeps_names_and_colours(visit, labels, tmp_path, pictures):
    array = sitk.GetArrayFromImage(labels)
    image = sitk.GetImageFromArray(((array == 5) + 2 * (array == 1)).astype(np.uint8))
    image.CopyInformation(labels)
    for n, (name, (_, color, _)) in enumerate(SEGMENTS.items()):
        for key, value in {"ID": f"S{n}", "Name": name, "Color": color, "LabelValue": str(n + 1), "Layer": "0"}.items():
            image.SetMetaData(f"Segment{n}_{key}", value)
    sitk.WriteImage(image, str(tmp_path / "both.seg.nrrd"))
    page = visit()
    open_tab(page, "Masks")
    page.locator("#own-masks button").first.click()
    page.locator("#upload-masks input[type=file]").set_input_files(str(tmp_path / "both.seg.nrrd"))
    page.wait_for_function("medvlViewer.state().masks.length === 2", timeout=60_000)
    page.wait_for_function(IDLE)
    brought = {mask["name"]: (mask["voxels"], mask["color"]) for mask in state(page)["masks"]}
    assert brought == {name: (voxels(labels, value), color) for name, (value, _, color) in SEGMENTS.items()}
    assert not state(page)["unsaved"]  # they are in a file
    page.wait_for_selector(".mp-told >> text=2 masks added")
    page.screenshot(path=pictures / "own_masks.png")


def test_a_label_map_in_the_box_for_scans_is_masks_of_the_open_one(visit, labels):
    page = visit()
    token = state(page)["token"]
    open_tab(page, "Scan")
    page.locator("#upload input[type=file]").set_input_files(str(SAMPLES / "abdomen_labels.nii.gz"))
    page.wait_for_function("medvlViewer.state().masks.length > 50", timeout=60_000)
    assert state(page)["token"] == token
    sizes = {mask["voxels"] for mask in state(page)["masks"]}
    assert {voxels(labels, 5), voxels(labels, 21)} <= sizes
