"""Masks as other programs write them: 3D Slicer old and new, highdicom's three kinds, contours of planning systems."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

import medvl
from medvl.ct.masks import Mask
from medvl.ct.volume import CTVolume
from medvl.errors import CTReadError
from medvl.readers.masks import holds_masks, read_masks

from ...phantoms import phantom, sitk_image, write_dicom_series
from .test_masks import structure_set


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A DICOM series as read, the folder it lies in, and a liver and a kidney in it."""
    made = phantom((40, 36, 20), spacing=(2.0, 2.0, 5.0), noise=0)
    folder = tmp_path_factory.mktemp("series")
    write_dicom_series(folder, made.hu, made.affine)
    masks = [Mask.from_array(made.organ(name), id="", name=name, color="#20c997") for name in ("liver", "kidney_left")]
    return medvl.read_ct(folder), folder, masks


# ---- 3D Slicer


def test_slicer_before_4_11_has_a_component_a_segment(series, tmp_path):
    ct, _, masks = series
    image = sitk.Compose([sitk_image(mask.array.astype(np.uint8), ct.affine) for mask in masks])
    for number, name in enumerate(("Leber", "Niere")):  # that version wrote neither Layer nor LabelValue
        image.SetMetaData(f"Segment{number}_ID", f"Segment_{number + 1}")
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_Color", "0 0.5 1")
    sitk.WriteImage(image, str(tmp_path / "old.seg.nrrd"))
    read = read_masks(tmp_path / "old.seg.nrrd", ct)
    assert [(m.name, m.color) for m in read] == [("Leber", "#0080ff"), ("Niere", "#0080ff")]
    assert all(np.array_equal(a.array, b.array) for a, b in zip(read, masks, strict=True))


def test_slicer_crops_layers_to_what_is_painted(series, tmp_path):
    """Laid out as by Slicer 5.6: the list axis first, an origin in the middle of the scan, values as they come."""
    ct, _, masks = series
    lo = np.minimum(masks[0].box.lo, masks[1].box.lo)
    hi = np.maximum(masks[0].box.hi, masks[1].box.hi)
    crop = tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))
    everything = np.ones(ct.shape, bool)[crop]
    data = np.stack([3 * masks[0].array[crop] + 7 * masks[1].array[crop], 1 * everything]).astype(np.uint8)
    affine = np.diag([-1, -1, 1, 1]) @ ct.affine  # LPS
    origin = (affine @ [*lo, 1])[:3]
    vector = lambda values: "(" + ",".join(repr(float(v)) for v in values) + ")"  # noqa: E731
    lines = [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        "# http://teem.sourceforge.net/nrrd/format.html",
        "type: unsigned char",
        "dimension: 4",
        "space: left-posterior-superior",
        "sizes: " + " ".join(map(str, data.shape)),
        "space directions: none " + " ".join(vector(affine[:3, n]) for n in range(3)),
        "kinds: list domain domain domain",
        "encoding: raw",
        "space origin: " + vector(origin),
    ]
    segments = [("Leber, groß", 0, 3), ("Niere links", 0, 7), ("Alles", 1, 1)]
    for number, (name, layer, value) in enumerate(segments):
        lines += [
            f"Segment{number}_Color:=0.5 0.25 1",
            f"Segment{number}_Extent:=0 {data.shape[1] - 1} 0 {data.shape[2] - 1} 0 {data.shape[3] - 1}",
            f"Segment{number}_ID:=Segment_{number + 1}",
            f"Segment{number}_LabelValue:={value}",
            f"Segment{number}_Layer:={layer}",
            f"Segment{number}_Name:={name}",
            f"Segment{number}_Tags:=TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list|",
        ]
    lines += ["Segmentation_ReferenceImageExtentOffset:=" + " ".join(map(str, lo))]
    (tmp_path / "s.seg.nrrd").write_bytes("\n".join(lines).encode() + b"\n\n" + data.tobytes(order="F"))
    read = read_masks(tmp_path / "s.seg.nrrd", ct)
    assert [m.name for m in read] == ["Leber, groß", "Niere links", "Alles"]
    assert np.array_equal(read[0].array, masks[0].array)
    assert np.array_equal(read[1].array, masks[1].array)
    wanted = np.zeros(ct.shape, bool)
    wanted[crop] = True
    assert np.array_equal(read[2].array, wanted)


# ---- DICOM-SEG


def segmentation(folder, ct: CTVolume, masks: list[Mask], kind: str) -> hd.seg.Segmentation:
    """Written by highdicom from the series, in the order of its files, frames without voxels left out."""
    files = sorted(folder.iterdir(), key=lambda p: -pydicom.dcmread(p).ImagePositionPatient[2])
    sources = [pydicom.dcmread(path) for path in files]
    parts = []
    for source in sources:
        ijk = ct.ras_mm_to_ijk(np.array([source.ImagePositionPatient], float) * (-1, -1, 1))[0]
        k = round(float(ijk[2]))
        parts.append([mask.array[:, :, k].T for mask in masks])  # rows and columns as ``write_dicom_series`` has them
    stacked = np.moveaxis(np.array(parts), 1, -1)
    if kind == "FRACTIONAL":
        pixels = np.where(stacked, 0.9, 0.2).astype(np.float32)
    elif kind == "LABELMAP":
        pixels = (stacked * (1, 2)).sum(axis=-1).astype(np.uint8)
    else:
        pixels = stacked.astype(np.uint8)
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=mask.name,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, mask in enumerate(masks, start=1)
    ]
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Someone",
        manufacturer_model_name="Else",
        software_versions="1",
        device_serial_number="1",
    )


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_each_kind_of_dicom_seg(series, tmp_path, kind):
    ct, folder, masks = series
    segmentation(folder, ct, masks, kind).save_as(tmp_path / "seg.dcm")
    assert holds_masks(tmp_path / "seg.dcm")
    read = read_masks(tmp_path / "seg.dcm", ct)
    assert [m.name for m in read] == [m.name for m in masks]
    assert all(np.array_equal(a.array, b.array) for a, b in zip(read, masks, strict=True))


def test_slices_between_that_a_dicom_seg_leaves_out(series, tmp_path):
    ct, folder, masks = series
    array = masks[0].array.copy()
    lo, hi = masks[0].box.lo[2], masks[0].box.hi[2]
    array[:, :, (lo + hi) // 2] = False
    gap = [masks[0].with_array(array), masks[1]]
    segmentation(folder, ct, gap, "BINARY").save_as(tmp_path / "seg.dcm")
    read = read_masks(tmp_path / "seg.dcm", ct)
    assert np.array_equal(read[0].array, array)


# ---- RTSTRUCT


def loop(ct: CTVolume, k: float, corners: list[tuple[float, float]]) -> np.ndarray:
    """Corners (i, j) at slice k -> RAS mm."""
    return ct.ijk_to_ras_mm(np.array([(i, j, k) for i, j in corners], float))


def square(ct: CTVolume, k: float, low: float, high: float) -> np.ndarray:
    return loop(ct, k, [(low, low), (high, low), (high, high), (low, high)])


def box(ct: CTVolume, low: int, high: int, slices: range | list[int]) -> np.ndarray:
    array = np.zeros(ct.shape, bool)
    for k in slices:
        array[low:high, low:high, k] = True
    return array


def test_a_keyhole_and_two_contours_on_a_slice(series, tmp_path):
    ct = series[0]
    outer = [(5.5, 5.5), (20.5, 5.5), (20.5, 20.5), (5.5, 20.5), (5.5, 5.5)]
    inner = [(9.5, 9.5), (9.5, 15.5), (15.5, 15.5), (15.5, 9.5), (9.5, 9.5)]
    contours = [loop(ct, 6, outer + inner), square(ct, 6, 24.5, 30.5)]
    structure_set(tmp_path / "rt.dcm", {"Ring and island": contours})
    (read,) = read_masks(tmp_path / "rt.dcm", ct)
    wanted = box(ct, 6, 21, [6]) & ~box(ct, 10, 16, [6]) | box(ct, 25, 31, [6])
    assert np.array_equal(read.array, wanted)


def test_contours_marked_as_taken_from_each_other(series, tmp_path):
    """CLOSEDPLANAR_XOR of DICOM since 2020: a hole is told by its kind."""
    ct = series[0]
    structure_set(tmp_path / "rt.dcm", {"Ring": [square(ct, 6, 5.5, 20.5), square(ct, 6, 9.5, 15.5)]})
    data = pydicom.dcmread(tmp_path / "rt.dcm")
    for contour in data.ROIContourSequence[0].ContourSequence:
        contour.ContourGeometricType = "CLOSEDPLANAR_XOR"
    data.save_as(tmp_path / "rt.dcm")
    (read,) = read_masks(tmp_path / "rt.dcm", ct)
    assert np.array_equal(read.array, box(ct, 6, 21, [6]) & ~box(ct, 10, 16, [6]))


def test_points_and_lines_are_no_masks_and_the_rest_is_read(series, tmp_path):
    ct = series[0]
    structure_set(
        tmp_path / "rt.dcm",
        {"Isocentre": [loop(ct, 4, [(9, 9)])], "Marker": [square(ct, 4, 1, 8)], "PTV": [square(ct, 4, 5.5, 20.5)]},
    )
    data = pydicom.dcmread(tmp_path / "rt.dcm")
    for roi, kind in ((0, "POINT"), (1, "OPEN_PLANAR")):
        data.ROIContourSequence[roi].ContourSequence[0].ContourGeometricType = kind
    data.StructureSetROISequence.append(pydicom.Dataset())  # named, but never drawn
    data.StructureSetROISequence[-1].ROINumber, data.StructureSetROISequence[-1].ROIName = 9, "Empty"
    data.save_as(tmp_path / "rt.dcm")
    assert holds_masks(tmp_path / "rt.dcm")
    assert not holds_masks(next(series[1].iterdir()))
    (read,) = read_masks(tmp_path / "rt.dcm", ct)
    assert read.name == "PTV"
    assert np.array_equal(read.array, box(ct, 6, 21, [4]))


def test_slices_that_nobody_outlined_stay_empty(series, tmp_path):
    ct = series[0]
    structure_set(tmp_path / "rt.dcm", {"Every second": [square(ct, k, 5.5, 20.5) for k in (4, 6, 8)]})
    (read,) = read_masks(tmp_path / "rt.dcm", ct)
    assert np.array_equal(read.array, box(ct, 6, 21, [4, 6, 8]))


def test_contours_of_finer_slices_do_not_cut_one_another_out(series, tmp_path):
    """Drawn on a scan of 2.5 mm, opened on one of 5 mm: two contours fall on a slice; with a word only."""
    ct = series[0]
    structure_set(tmp_path / "rt.dcm", {"Fine": [square(ct, k / 2, 5.5, 20.5) for k in range(8, 17)]})
    with pytest.raises(CTReadError, match="between the slices"):
        read_masks(tmp_path / "rt.dcm", ct)
    (read,) = read_masks(tmp_path / "rt.dcm", ct, resample=True)
    assert np.array_equal(read.array, box(ct, 6, 21, range(4, 9)))


def test_contours_of_thicker_slices_leave_no_gaps(series, tmp_path):
    """Drawn every 7.5 mm, beside the slices of this scan: every slice takes the contours nearest to it."""
    ct = series[0]
    structure_set(tmp_path / "rt.dcm", {"Thick": [square(ct, 4.3 + 1.5 * n, 5.5, 20.5) for n in range(4)]})
    (read,) = read_masks(tmp_path / "rt.dcm", ct, resample=True)
    assert np.array_equal(read.array, box(ct, 6, 21, range(4, 10)))
