"""Masks that a person brings, in every layout: the same voxels come back, with names and colours, on the CT's grid."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import medvl
from medvl.ct.masks import Mask
from medvl.errors import CTReadError
from medvl.readers.masks import looks_like_labels, read_masks
from medvl.writers.export import save_dicom_seg, save_label_map

from ...phantoms import LPS, affine_of, phantom, reorient, sitk_image, write_dicom_series, write_nifti

ORGANS = ("liver", "kidney_left", "bladder")


@pytest.fixture(scope="module", params=["RAS", "LPS", "SLA"])
def opened(request, tmp_path_factory):
    """A CT as read from a file in some orientation, oblique, with three organs as masks."""
    made = phantom((44, 40, 36), spacing=(2.0, 2.5, 4.0), noise=0)
    affine = affine_of((2.0, 2.5, 4.0), (-40, -50, 12), (4, -6, 9))
    hu, stored = reorient(made.hu, affine, request.param)
    ct = medvl.read_ct(write_nifti(tmp_path_factory.mktemp("ct") / "ct.nii.gz", hu, stored))
    return ct, [Mask.from_array(made.organ(name), id="", name=name, color="#12ab34") for name in ORGANS]


def same(read: list[Mask], masks: list[Mask]) -> bool:
    return all(np.array_equal(a.array, b.array) for a, b in zip(read, masks, strict=True))


def test_an_exported_label_map_comes_back_with_its_names(opened, tmp_path):
    ct, masks = opened
    save_label_map(masks, ct, tmp_path / "labels.nii.gz")
    read = read_masks(tmp_path / "labels.nii.gz", ct)
    assert same(read, masks)
    assert [(m.name, m.color) for m in read] == [(m.name, m.color) for m in masks]


def test_slicers_layers_may_overlap_and_keep_names_and_colours(opened, tmp_path):
    ct, masks = opened
    wide = Mask.from_array(np.ones(ct.shape, bool), id="", name="Everything", color="#ff0000")
    layers = [(masks[0].array + 2 * masks[1].array).astype(np.uint8), wide.array.astype(np.uint8)]
    image = sitk.Compose([sitk_image(layer, ct.affine) for layer in layers])
    for number, (name, layer, value) in enumerate([("Leber", 0, 1), ("Niere links", 0, 2), ("Alles", 1, 1)]):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_Layer", str(layer))
        image.SetMetaData(f"Segment{number}_LabelValue", str(value))
        image.SetMetaData(f"Segment{number}_Color", "1 0.5 0")
    sitk.WriteImage(image, str(tmp_path / "s.seg.nrrd"))
    read = read_masks(tmp_path / "s.seg.nrrd", ct)
    assert same(read, [masks[0], masks[1], wide])
    assert [m.name for m in read] == ["Leber", "Niere links", "Alles"]
    assert {m.color for m in read} == {"#ff8000"}


def test_a_cropped_grid_is_placed_where_it_lies(opened, tmp_path):
    ct, masks = opened
    box = masks[0].box
    affine = ct.affine.copy()
    affine[:3, 3] = ct.ijk_to_ras_mm(np.array(box.lo))
    sitk.WriteImage(sitk_image(masks[0].block.astype(np.uint8), affine), str(tmp_path / "part.nrrd"))
    assert same(read_masks(tmp_path / "part.nrrd", ct), masks[:1])


def test_itksnaps_label_file_gives_names(opened, tmp_path):
    ct, masks = opened
    write_nifti(tmp_path / "seg.nii.gz", (masks[0].array + 2 * masks[1].array).astype(np.int16), ct.affine)
    (tmp_path / "labels.txt").write_text('# ITK-SNAP\n  0 0 0 0 0 0 0 "Clear Label"\n  2 255 0 16 1 1 1 "Kidney L"\n')
    read = read_masks(tmp_path / "seg.nii.gz", ct)
    assert [(m.name) for m in read] == ["Label 1", "Kidney L"]
    assert read[1].color == "#ff0010"


def test_another_grid_is_resampled_only_with_a_word(opened, tmp_path):
    ct, masks = opened
    coarse = masks[0].array[::2, ::2, ::2].astype(np.uint8)
    write_nifti(tmp_path / "coarse.nii.gz", coarse, ct.affine @ np.diag([2, 2, 2, 1]))
    with pytest.raises(CTReadError, match="another grid"):
        read_masks(tmp_path / "coarse.nii.gz", ct)
    (read,) = read_masks(tmp_path / "coarse.nii.gz", ct, resample=True)
    here, there = (np.array(mask.measure(ct).centroid_ras_mm) for mask in (read, masks[0]))
    assert np.linalg.norm(here - there) < np.linalg.norm(ct.spacing_mm)  # half a voxel of the coarse grid
    assert abs(read.measure(ct).volume_ml / masks[0].measure(ct).volume_ml - 1) < 0.1


def test_an_image_and_a_file_of_something_else_are_refused(opened, tmp_path):
    ct, _ = opened
    write_nifti(tmp_path / "ct.nii.gz", ct.hu, ct.affine)
    with pytest.raises(CTReadError, match="like an image"):
        read_masks(tmp_path / "ct.nii.gz", ct)
    nib.save(nib.Nifti1Image(np.full(ct.shape, 0.4, np.float32), ct.affine), tmp_path / "p.nii.gz")
    with pytest.raises(CTReadError, match="fractions"):
        read_masks(tmp_path / "p.nii.gz", ct)
    (tmp_path / "x.txt").write_text("no mask")
    with pytest.raises(CTReadError, match="holds no masks"):
        read_masks(tmp_path / "x.txt", ct)
    with pytest.raises(CTReadError, match="no file"):
        read_masks(tmp_path / "gone.nii", ct)


def test_masks_of_another_scan_are_refused(opened, tmp_path):
    ct, masks = opened
    away = ct.affine.copy()
    away[:3, 3] += ct.affine[:3, :3] @ np.array([500.0, 0, 0])
    write_nifti(tmp_path / "away.nii.gz", masks[0].array.astype(np.uint8), away)
    with pytest.raises(CTReadError, match="No object"):
        read_masks(tmp_path / "away.nii.gz", ct)


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    made = phantom((40, 36, 20), spacing=(2.0, 2.0, 5.0), noise=0)
    folder = tmp_path_factory.mktemp("series")
    write_dicom_series(folder, made.hu, made.affine)
    ct = medvl.read_ct(folder)
    return ct, [Mask.from_array(made.organ(name), id="", name=name, color="#20c997") for name in ORGANS[:2]]


def test_dicom_seg_comes_back(series, tmp_path):
    ct, masks = series
    save_dicom_seg(masks, ct, tmp_path / "s.dcm")
    read = read_masks(tmp_path / "s.dcm", ct)
    assert same(read, masks)
    for mask in read:  # colours travel as CIELab
        channels = [int(mask.color[n : n + 2], 16) for n in (1, 3, 5)]
        assert np.abs(np.array(channels) - (0x20, 0xC9, 0x97)).max() <= 3


def structure_set(path, rois: dict[str, list[np.ndarray]]):
    """An RT Structure Set with closed planar contours in RAS mm."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = "1.2.840.10008.5.1.4.1.1.481.3", generate_uid(), "RTSTRUCT"
    data.StructureSetROISequence, data.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(rois.items(), start=1):
        roi, item = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        item.ReferencedROINumber, item.ROIDisplayColor, item.ContourSequence = number, [1, 2, 255], []
        for contour in contours:
            part = Dataset()
            part.ContourGeometricType, part.NumberOfContourPoints = "CLOSED_PLANAR", len(contour)
            part.ContourData = [f"{v:.6f}" for v in (contour @ LPS[:3, :3].T).ravel()]
            item.ContourSequence.append(part)
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(item)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = data.SOPClassUID, generate_uid()
    pydicom.dcmwrite(path, data, enforce_file_format=True)


def test_rtstruct_contours_are_filled_with_holes(opened, tmp_path):
    ct, _ = opened

    def square(k: int, low: float, high: float) -> np.ndarray:
        corners = [(low, low, k), (high, low, k), (high, high, k), (low, high, k)]
        return ct.ijk_to_ras_mm(np.array(corners, float))

    contours = [square(k, 9.5, 29.5) for k in (7, 8)] + [square(8, 14.5, 19.5)]
    structure_set(tmp_path / "rt.dcm", {"Ring": contours})
    (read,) = read_masks(tmp_path / "rt.dcm", ct)
    wanted = np.zeros(ct.shape, bool)
    wanted[10:30, 10:30, 7:9] = True
    wanted[15:20, 15:20, 8] = False
    assert np.array_equal(read.array, wanted)
    assert (read.name, read.color) == ("Ring", "#0102ff")


def test_a_label_map_opened_as_a_scan_is_noticed(opened):
    ct, masks = opened
    labels = sum(number * mask.array.astype(np.int16) for number, mask in enumerate(masks, start=1))
    assert looks_like_labels(replace(ct, hu=labels.astype(np.int16)))
    assert not looks_like_labels(ct)
    assert not looks_like_labels(replace(ct, hu=np.zeros(ct.shape, np.int16)))
