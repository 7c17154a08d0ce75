"""DICOM Segmentations: opened by pydicom and highdicom, every pixel on the source slice that it refers to."""

import subprocess
import zipfile
from importlib.util import find_spec
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset

import medvl.writers.export as export
from medvl.ct.masks import End, Mask
from medvl.ct.volume import CTVolume, DicomReference
from medvl.errors import ExportError
from medvl.readers import read_ct

from ...phantoms import PATIENT_NAME, phantom, reorient, write_dicom_series
from ..export_grids import blob, check_segmentation, seg_world, volume, world


@pytest.mark.parametrize("overlapping", [False, True])
@pytest.mark.parametrize("degrees", [0.0, 14.0])
@pytest.mark.parametrize("axcodes", ["LPS", "LPI", "PSL", "LSA"])
def test_dicom_seg_refers_to_the_right_slices(tmp_path, axcodes, degrees, overlapping):
    ct = volume(axcodes, degrees=degrees, dicom=True)
    masks = [blob(ct, 1, name="Left kidney", color="#ff0000"), blob(ct, 2, name="Läsion / 左", color="#00ff00")]
    if not overlapping:
        masks[1] = masks[1].with_array(masks[1].array & ~masks[0].array)
    export.save_dicom_seg(masks, ct, tmp_path / "s.dcm")
    ds = check_segmentation(tmp_path / "s.dcm", ct, masks)
    assert ds.SegmentsOverlap == ("YES" if overlapping else "NO")
    assert ds.StudyInstanceUID == ct.dicom.headers[0].StudyInstanceUID
    assert ds.FrameOfReferenceUID == ct.dicom.headers[0].FrameOfReferenceUID
    assert ds.SeriesInstanceUID != ct.dicom.headers[0].SeriesInstanceUID
    assert [s.SegmentLabel for s in ds.SegmentSequence] == ["Left kidney", "Läsion / 左"]
    assert {s.SegmentAlgorithmType for s in ds.SegmentSequence} == {"SEMIAUTOMATIC"}
    lab = np.array(ds.SegmentSequence[0].RecommendedDisplayCIELabValue) / 65535 * (100, 255, 255) - (0, 128, 128)
    np.testing.assert_allclose(lab, (53.2, 80.1, 67.2), atol=0.5)  # pure red
    kidney = ds.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    assert kidney.CodeMeaning == "Kidney"
    assert kidney.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert ds.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Selected region"
    assert len(hd.seg.segread(tmp_path / "s.dcm").segment_numbers) == 2


def test_dicom_seg_names_nobody(tmp_path):
    ct = volume("LPS", dicom=True)
    export.save_dicom_seg([blob(ct)], ct, tmp_path / "s.dcm")
    content = (tmp_path / "s.dcm").read_bytes()
    assert b"Secret" not in content
    assert b"ID-4711" not in content  # the digits alone may stand in an identifier
    ds = pydicom.dcmread(tmp_path / "s.dcm")
    assert str(ds.PatientName) == ""
    assert not ds.PatientID


def test_dicom_seg_only_holds_slices_with_voxels(tmp_path):
    ct = volume("LPS", dicom=True)
    array = np.zeros(ct.shape, bool)
    array[2:5, 3, 4:6] = True
    export.save_dicom_seg([Mask.from_array(array)], ct, tmp_path / "s.dcm")
    assert pydicom.dcmread(tmp_path / "s.dcm").NumberOfFrames == 2


def test_dicom_seg_refuses_headers_of_another_grid(tmp_path):
    ct = volume("LPS", dicom=True)
    given = list(ct.dicom.headers)

    def with_headers(changed):
        return CTVolume(ct.hu, ct.affine, ct.source, "DICOM", (), DicomReference(tuple(changed)))

    for changed, words in (
        (given[:-1], "9 slices but 8"),
        (given[::-1], "resampled"),
        ([*given[:4], given[5], given[4], *given[6:]], "resampled"),
    ):
        with pytest.raises(ExportError, match=words):
            export.save_dicom_seg([blob(ct)], with_headers(changed), tmp_path / "s.dcm")
    bare = [Dataset(h) for h in given]
    del bare[3].FrameOfReferenceUID
    with pytest.raises(ExportError, match="FrameOfReferenceUID, which slice 3 lacks"):
        export.save_dicom_seg([blob(ct)], with_headers(bare), tmp_path / "s.dcm")


def test_filled_in_slices_have_no_frame_and_the_others_refer_to_theirs(tmp_path):
    made = phantom()
    write_dicom_series(tmp_path / "series", *reorient(made.hu, made.affine, "LPS"), drop=(5, 11))
    ct = read_ct(tmp_path / "series")
    only_filled = np.zeros(ct.shape, bool)
    only_filled[4:9, 4:9, 5] = True
    masks = [Mask.from_array(ct.hu > 150, name="Bone"), Mask.from_array(only_filled, name="Nowhere")]
    export.save_dicom_seg(masks, ct, tmp_path / "s.dcm")
    segmentation = hd.seg.segread(tmp_path / "s.dcm")
    assert [s.SegmentLabel for s in segmentation.SegmentSequence] == ["Bone"]
    assert not {h.SOPInstanceUID for h in ct.dicom.headers}.isdisjoint(
        i.ReferencedSOPInstanceUID for i in segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    )
    there = [k for k in range(ct.shape[2]) if k not in (5, 11)]
    kept = np.zeros(ct.shape, bool)
    kept[:, :, there] = masks[0].array[:, :, there]
    np.testing.assert_allclose(*(seg_world(segmentation), world(kept, ct.affine)), atol=1e-2)
    with pytest.raises(ExportError, match="on no slice"):
        export.save_dicom_seg(masks[1:], ct, tmp_path / "s.dcm")


@pytest.mark.parametrize("degrees", [12.0, -17.0])
def test_a_tilted_series_gets_its_segments_on_its_own_slices(tmp_path, degrees):
    made = phantom(noise=0)
    stored, affine = reorient(made.hu, made.affine, "LPS")
    write_dicom_series(tmp_path / "series", stored, affine, tilt_degrees=degrees)
    ct = read_ct(tmp_path / "series")
    export.save_dicom_seg([Mask.from_array(ct.hu > 150)], ct, tmp_path / "s.dcm")
    ds = pydicom.dcmread(tmp_path / "s.dcm")
    source = {h.SOPInstanceUID: h for h in (pydicom.dcmread(f) for f in (tmp_path / "series").iterdir())}
    wrong = right = 0
    for frame, group in zip(ds.pixel_array, ds.PerFrameFunctionalGroupsSequence, strict=True):
        of = source[group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        np.testing.assert_allclose(
            group.PlanePositionSequence[0].ImagePositionPatient, of.ImagePositionPatient, atol=1e-3
        )
        there = of.pixel_array.astype(int) + int(of.RescaleIntercept) > 150
        right += int((there & (frame > 0)).sum())
        wrong += int((there != (frame > 0)).sum())
    assert any(
        "dcmqi" in note for note in export.save_dicom_seg([Mask.from_array(ct.hu > 150)], ct, tmp_path / "t.dcm")
    )
    assert wrong < 0.12 * right  # half a pixel of the shift, and what its interpolation blurs


@pytest.mark.parametrize("axcodes", ["LPS", "LPI", "PSL"])
def test_a_dicom_series_that_was_read_gives_segments_on_its_slices(tmp_path, axcodes):
    made = phantom(degrees=(5, -7, 9))
    write_dicom_series(tmp_path / "series", *reorient(made.hu, made.affine, axcodes), duplicate=(3,))
    ct = read_ct(tmp_path / "series")
    masks = [Mask.from_array(ct.hu > 150, name="Aorta"), Mask.from_array(ct.hu > 350, name="Spine")]
    export.export_zip(tmp_path / "e.zip", ct, masks)
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        archive.extractall(tmp_path / "out")
    ds = check_segmentation(tmp_path / "out" / "segmentation.dcm", ct, masks)
    read = {pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID for f in (tmp_path / "series").iterdir()}
    referenced = {i.ReferencedSOPInstanceUID for i in ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referenced <= read
    for file in (tmp_path / "out").rglob("*.*"):
        content = file.read_bytes() if file.is_file() else b""
        assert PATIENT_NAME.encode() not in content
        assert b"SECRET" not in content


def test_a_lower_bound_is_said_of_its_segment(tmp_path):
    ct = volume("LPS", dicom=True)
    array = np.zeros(ct.shape, bool)
    array[4:8, 4:8, 4:7] = True
    masks = [Mask.from_array(array, ends=(End(2, 6, "stopped"),)), Mask.from_array(array, name="Whole")]
    export.save_dicom_seg(masks, ct, tmp_path / "s.dcm")
    first, second = pydicom.dcmread(tmp_path / "s.dcm").SegmentSequence
    assert first.SegmentDescription == "At least: it was stopped at axial slice 7"
    assert "SegmentDescription" not in second


@pytest.mark.skipif(find_spec("dcmqi") is None, reason="dcmqi is not installed")
@pytest.mark.parametrize("axcodes", ["LPS", "LPI", "PSL"])
def test_dcmqi_puts_the_segments_where_they_were_drawn(tmp_path, axcodes):
    made = phantom(degrees=(5, -7, 9))
    write_dicom_series(tmp_path / "series", *reorient(made.hu, made.affine, axcodes))
    ct = read_ct(tmp_path / "series")
    masks = [Mask.from_array(ct.hu > 350, name="L1 vertebra"), Mask.from_array(ct.hu > 150, name="Right hip bone")]
    export.save_dicom_seg(masks, ct, tmp_path / "s.dcm")
    tool = Path(find_spec("dcmqi").submodule_search_locations[0]) / "bin" / "segimage2itkimage"
    options = {"--inputDICOM": tmp_path / "s.dcm", "--outputDirectory": tmp_path, "--outputType": "nrrd"}
    command = [tool, *(word for option in options.items() for word in option)]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=60)
    files = sorted(tmp_path.glob("*.nrrd"))
    assert len(files) == len(masks)
    for mask, file in zip(masks, files, strict=True):
        image = SimpleITK.ReadImage(str(file))
        voxels = np.argwhere(SimpleITK.GetArrayFromImage(image) > 0)[:, ::-1]
        lps = image.TransformContinuousIndexToPhysicalPoint([float(v) for v in voxels.mean(axis=0)])
        assert len(voxels) == mask.voxels
        np.testing.assert_allclose(np.array(lps) * (-1, -1, 1), mask.measure(ct).centroid_ras_mm, atol=1e-3)
