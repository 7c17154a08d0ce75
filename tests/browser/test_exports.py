"""Exports made on the page in a real Chromium: lengths of the ruler, and DICOM-SEG of a multi-frame file."""

from __future__ import annotations

import csv
import math
import zipfile

import nibabel as nib
import numpy as np
import pydicom
import pytest

from app.scans import SAMPLES

from .. import phantoms
from .on_page import NEEDS, click, open_tab, spot, state, upload

pytestmark = NEEDS


def measure(page, plane, start, end):
    """Draw a length; the voxels lie on one slice, which is shown first."""
    before = len(state(page)["rulers"])
    x, y = spot(page, start, plane)
    to = page.evaluate("([plane, ijk]) => medvlViewer.canvasPoint(plane, ijk)", [plane, list(end)])
    page.mouse.move(x, y)
    page.keyboard.press("m")
    page.mouse.down()
    page.mouse.move((x + to["x"]) / 2, (y + to["y"]) / 2)
    page.mouse.move(to["x"], to["y"])
    page.mouse.up()
    page.wait_for_function("n => medvlViewer.state().rulers.length === n", arg=before + 1)


def export(page, picture=None):
    open_tab(page, "Export")
    with page.expect_download(timeout=30_000) as waiting:
        page.locator(".ep-go").click()
    page.wait_for_function("!document.querySelector('.ep-go').disabled")
    if picture is not None:
        page.screenshot(path=picture)
    with zipfile.ZipFile(waiting.value.path()) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def table(content):
    return list(csv.DictReader(content.decode("utf-8").splitlines()))


def test_lengths_without_masks(visit, pictures):
    page = visit()
    affine = nib.as_closest_canonical(nib.load(SAMPLES / "abdomen_ct.nii.gz")).affine
    measure(page, "coronal", (30, 40, 60), (70, 40, 90))
    measure(page, "axial", (40, 60, 80), (80, 30, 80))
    files = export(page, pictures / "lengths.png")
    assert sorted(files) == ["README.txt", "lengths.csv", "measurements.csv"]
    assert table(files["measurements.csv"]) == []
    assert "only the lengths" in page.inner_text(".ep-state")
    rows, shown = table(files["lengths.csv"]), state(page)["rulers"]
    assert [(row["plane"], row["slice_from_1"]) for row in rows] == [("coronal", "41"), ("axial", "81")]
    assert page.inner_text('.mv-plane[data-plane="axial"]').count("81 / ")  # as the page counts
    for row, ruler, ends in zip(rows, shown, [((30, 40, 60), (70, 40, 90)), ((40, 60, 80), (80, 30, 80))], strict=True):
        assert float(row["length_mm"]) == pytest.approx(ruler["mm"], abs=0.006)
        found = [[float(row[f"{end}_{axis}_mm"]) for axis in "ras"] for end in ("start", "end")]
        np.testing.assert_allclose(found, nib.affines.apply_affine(affine, ends), atol=2.5)  # a screen pixel or two
        assert math.dist(*found) == pytest.approx(ruler["mm"], abs=0.05)


def test_lengths_beside_a_mask_and_beyond_the_edge(visit, bladder):
    page = visit()
    click(page, bladder)
    i, j, k = bladder
    measure(page, "axial", (i, j, k), (-9, j, k))
    rows = table(export(page)["lengths.csv"])
    affine = np.array(nib.as_closest_canonical(nib.load(SAMPLES / "abdomen_ct.nii.gz")).affine)
    edge = nib.affines.apply_affine(affine, (-0.5, j, k))
    assert float(rows[0]["end_r_mm"]) == pytest.approx(edge[0], abs=0.01)  # the end stays in the scan
    page.keyboard.press("Escape")
    page.locator("#viewer .mv").focus()
    page.keyboard.press("Delete")
    page.wait_for_function("medvlViewer.state().rulers.length === 0")
    files = export(page)
    assert "lengths.csv" not in files
    (row,) = table(files["measurements.csv"])
    assert int(row["first_axial_slice_from_1"]) <= k + 1 <= int(row["last_axial_slice_from_1"])


def test_a_multi_frame_file_gives_a_dicom_seg(visit, tmp_path):
    phantom = phantoms.phantom((64, 56, 24), spacing=(4.0, 4.0, 8.0), noise=0)
    order = np.random.default_rng(0).permutation(24).tolist()
    path = phantoms.write_enhanced_ct(tmp_path / "ct.dcm", phantom.hu, phantom.affine, order=order)
    page = visit()
    upload(page, [path])
    click(page, phantom.centre("liver"))
    open_tab(page, "Export")
    assert page.get_by_label("DICOM-SEG").is_checked()
    (tmp_path / "seg.dcm").write_bytes(export(page)["segmentation.dcm"])
    segmentation, source = pydicom.dcmread(tmp_path / "seg.dcm"), pydicom.dcmread(path)
    assert segmentation.NumberOfFrames > 1
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        (named,) = group.DerivationImageSequence[0].SourceImageSequence
        assert named.ReferencedSOPInstanceUID == source.SOPInstanceUID
        frame = source.PerFrameFunctionalGroupsSequence[named.ReferencedFrameNumber - 1]
        assert (
            group.PlanePositionSequence[0].ImagePositionPatient == frame.PlanePositionSequence[0].ImagePositionPatient
        )
