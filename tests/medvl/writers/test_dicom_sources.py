"""The slices that a DICOM-SEG refers to: frames of multi-frame files in any order, and slices beside the grid."""

import zipfile
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.uid import EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

import medvl.writers.export as export
from medvl.ct.geometry import to_canonical
from medvl.ct.masks import Mask
from medvl.readers import read_ct

from ...phantoms import PATIENT_ID, PATIENT_NAME, phantom, reorient, write_dicom_series, write_enhanced_ct
from ..export_grids import seg_world, world

RESCALE = "PixelValueTransformationSequence"


def source_frames(folder):
    """Of every slice in the files: (SOP instance, frame or None) -> its class, its position and its HU."""
    found = {}
    for file in Path(folder).iterdir():
        ds = pydicom.dcmread(file)
        if "PerFrameFunctionalGroupsSequence" not in ds:
            hu = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
            found[ds.SOPInstanceUID, None] = ds.SOPClassUID, ds.ImagePositionPatient, hu
            continue
        frames = zip(ds.pixel_array, ds.PerFrameFunctionalGroupsSequence, strict=True)
        for number, (stored, group) in enumerate(frames, start=1):
            shared = ds.SharedFunctionalGroupsSequence[0]
            value = (group.get(RESCALE) or shared.get(RESCALE))[0]
            hu = stored * float(value.RescaleSlope) + float(value.RescaleIntercept)
            position = group.PlanePositionSequence[0].ImagePositionPatient
            found[ds.SOPInstanceUID, number] = ds.SOPClassUID, position, hu
    return found


def segments_on_source(path, folder):
    """Checks each frame's place and references; gives (SOP instance, frame) -> pixels, one dictionary a segment."""
    ds, sources = pydicom.dcmread(path), source_frames(folder)
    content = Path(path).read_bytes()
    for secret in (PATIENT_NAME, PATIENT_ID, "Secret", "19500101", "ACC-SECRET"):
        assert secret.encode() not in content
    assert str(ds.PatientName) == ds.PatientID == ds.PatientBirthDate == ds.AccessionNumber == ""
    (series,) = ds.ReferencedSeriesSequence
    listed = {(i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID) for i in series.ReferencedInstanceSequence}
    found = [{} for _ in ds.SegmentSequence]
    for pixels, group in zip(
        ds.pixel_array.reshape(-1, ds.Rows, ds.Columns), ds.PerFrameFunctionalGroupsSequence, strict=True
    ):
        (source,) = group.DerivationImageSequence[0].SourceImageSequence
        key = source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber")
        sop_class, position, _ = sources[key]
        assert source.ReferencedSOPClassUID == sop_class
        assert (sop_class, key[0]) in listed
        np.testing.assert_allclose(group.PlanePositionSequence[0].ImagePositionPatient, position, atol=1e-3)
        holder = group if "SegmentIdentificationSequence" in group else ds.SharedFunctionalGroupsSequence[0]
        found[holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1][key] = pixels > 0
    files = {uid for uid, _ in sources}
    assert {uid for _, uid in listed} == {uid for frames in found for uid, _ in frames} <= files
    return found, sources


def assert_masks_are_thresholds(path, folder, thresholds):
    """Every source slice above a threshold has its frame, and the frame is exactly that."""
    found, sources = segments_on_source(path, folder)
    for frames, low in zip(found, thresholds, strict=True):
        assert set(frames) == {key for key, (_, _, hu) in sources.items() if (hu > low).any()}
        for key, pixels in frames.items():
            np.testing.assert_array_equal(pixels, sources[key][2] > low)


def shuffled(n, seed=3):
    return np.random.default_rng(seed).permutation(n).tolist()


@pytest.mark.parametrize(
    ("axcodes", "degrees"), [("LPS", 0), ("LPI", 0), ("PSL", 0), ("LSA", 0), ("LPS", 14), ("PSR", 9)]
)
@pytest.mark.parametrize("sop_class", [EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage])
def test_a_multi_frame_file_gets_each_mask_on_its_frames(tmp_path, axcodes, degrees, sop_class):
    made = phantom((24, 20, 18), degrees=(degrees, -degrees / 2, degrees), noise=0)
    stored, affine = reorient(made.hu, made.affine, axcodes)
    (tmp_path / "in").mkdir()
    order = shuffled(stored.shape[2])
    write_enhanced_ct(tmp_path / "in" / "ct.dcm", stored, affine, order=order, sop_class=sop_class)
    ct = read_ct(tmp_path / "in" / "ct.dcm")
    assert ct.notes == ()
    masks = [Mask.from_array(ct.hu > 50, name="Body"), Mask.from_array(ct.hu > 150, name="Aorta")]  # one in the other
    assert export.save_dicom_seg(masks, ct, tmp_path / "s.dcm") == []
    assert_masks_are_thresholds(tmp_path / "s.dcm", tmp_path / "in", (50, 150))
    segmentation = hd.seg.segread(tmp_path / "s.dcm")
    (source,) = {uid for uid, _ in source_frames(tmp_path / "in")}
    assert {uid for _, _, uid in segmentation.get_source_image_uids()} == {source}
    pixels = segmentation.get_pixels_by_source_frame(
        source, range(1, len(order) + 1), segment_numbers=[2], assert_missing_frames_are_empty=True
    )[..., 0]
    for frame, k in enumerate(order):
        np.testing.assert_array_equal(pixels[frame] > 0, stored[:, :, k].T > 150)
    np.testing.assert_allclose(seg_world(segmentation), world(masks[0].array, ct.affine), atol=1e-2)


def test_a_series_that_another_program_made_into_one_file(tmp_path):
    made = phantom((24, 20, 18), noise=0)

    def edit(ds, k):
        ds.Manufacturer = "None"  # some releases of highdicom ask for it

    folder = write_dicom_series(tmp_path / "series", *reorient(made.hu, made.affine, "LPI"), edit=edit)
    series = [pydicom.dcmread(file) for file in folder.iterdir()]
    (tmp_path / "in").mkdir()
    converted = hd.legacy.LegacyConvertedEnhancedCTImage(series, "1.2.3.4", 55, "1.2.3.5", 1)
    converted.save_as(tmp_path / "in" / "ct.dcm")
    ct = read_ct(tmp_path / "in")
    export.save_dicom_seg([Mask.from_array(ct.hu > 50), Mask.from_array(ct.hu > 150)], ct, tmp_path / "s.dcm")
    assert_masks_are_thresholds(tmp_path / "s.dcm", tmp_path / "in", (50, 150))


def test_frames_at_the_place_of_others_are_not_referred_to(tmp_path):
    made = phantom((24, 20, 18), noise=0)
    stored, affine = reorient(made.hu, made.affine, "LPS")
    order = [5, *shuffled(18), 9]  # the first of a place is read
    (tmp_path / "in").mkdir()
    write_enhanced_ct(tmp_path / "in" / "ct.dcm", stored, affine, order=order)
    ct = read_ct(tmp_path / "in")
    export.save_dicom_seg([Mask.from_array(ct.hu > 50)], ct, tmp_path / "s.dcm")
    (frames,), sources = segments_on_source(tmp_path / "s.dcm", tmp_path / "in")
    numbers = {number for _, number in frames}
    assert 1 in numbers
    assert numbers.isdisjoint({order.index(5, 1) + 1, len(order)})
    assert len(numbers) == sum((stored[:, :, k] > 50).any() for k in range(18))
    for key, pixels in frames.items():
        np.testing.assert_array_equal(pixels, sources[key][2] > 50)


def test_a_series_of_several_multi_frame_files(tmp_path):
    made = phantom((24, 20, 18), noise=0)
    stored, affine = reorient(made.hu, made.affine, "LPS")
    (tmp_path / "in").mkdir()
    write_enhanced_ct(tmp_path / "in" / "a.dcm", stored, affine, order=shuffled(18)[:10], part=1)
    write_enhanced_ct(tmp_path / "in" / "b.dcm", stored, affine, order=shuffled(18)[10:], part=2)
    ct = read_ct(tmp_path / "in")
    assert ct.shape == made.hu.shape
    export.save_dicom_seg([Mask.from_array(ct.hu > 50), Mask.from_array(ct.hu > 150)], ct, tmp_path / "s.dcm")
    assert_masks_are_thresholds(tmp_path / "s.dcm", tmp_path / "in", (50, 150))
    assert len(hd.seg.segread(tmp_path / "s.dcm").segment_numbers) == 2


UNEVEN = np.cumsum([0] + [3.0] * 8 + [4.2] * 6 + [2.5] * 3)


@pytest.mark.parametrize(
    ("axcodes", "multi_frame", "tilt"),
    [("LPS", False, 0), ("PSL", False, 0), ("LPS", True, 0), ("PSL", True, 0), ("LPS", False, 12)],
)
def test_unevenly_spaced_slices_take_the_nearest_plane(tmp_path, axcodes, multi_frame, tilt):
    made = phantom((18, 20, 18) if axcodes == "PSL" else (24, 20, 18), degrees=(6, 0, 4), noise=0)
    stored, affine = reorient(made.hu, made.affine, axcodes)
    if multi_frame:
        (tmp_path / "in").mkdir()
        write_enhanced_ct(tmp_path / "in" / "ct.dcm", stored, affine, order=shuffled(18), positions_mm=UNEVEN)
    else:
        write_dicom_series(tmp_path / "in", stored, affine, positions_mm=UNEVEN, tilt_degrees=tilt)
    ct = read_ct(tmp_path / "in")
    assert ct.dicom.uneven
    masks = [Mask.from_array(ct.hu > 50, name="Body"), Mask.from_array(ct.hu > 150, name="Aorta")]
    export.export_zip(tmp_path / "e.zip", ct, masks)
    with zipfile.ZipFile(tmp_path / "e.zip") as archive:
        archive.extract("segmentation.dcm", tmp_path)
        assert "unevenly spaced" in archive.read("README.txt").decode("utf-8")
    found, sources = segments_on_source(tmp_path / "segmentation.dcm", tmp_path / "in")
    assert "nearest" in pydicom.dcmread(tmp_path / "segmentation.dcm").ContentDescription
    assert len(hd.seg.segread(tmp_path / "segmentation.dcm").segment_numbers) == 2
    # Each pixel of each source slice, put into the scan by its own header: the mask of the voxel that holds it.
    columns, rows = (n.astype(float) for n in np.meshgrid(*map(np.arange, stored.shape[:2])))
    steps = (np.diag([-1, -1, 1]) @ affine[:3, :2]).T  # LPS
    for frames, mask in zip(found, masks, strict=True):
        for key, (_, position, _) in sources.items():
            lps = np.array(position, float) + columns[..., None] * steps[0] + rows[..., None] * steps[1]
            i, j, k = np.moveaxis(np.rint(ct.ras_mm_to_ijk(lps * (-1, -1, 1))).astype(int), -1, 0)
            expected = mask.array[i, j, k]  # beyond the last voxel this fails: every slice lies in the grid
            np.testing.assert_array_equal(frames.get(key, np.zeros_like(expected)), expected)
            assert (key in frames) == expected.any()
    on_source = sum(int((frames > 0).sum()) for frames in found[1].values())
    there = sum(int((hu > 150).sum()) for _, _, hu in sources.values())
    assert on_source == pytest.approx(there, rel=0.15)


def test_a_mask_between_the_slices_is_told_to_be_missing(tmp_path):
    made = phantom((24, 20, 18), noise=0)
    at = np.delete(UNEVEN, 12)  # a wide gap among uneven ones: a plane next to no slice
    write_dicom_series(tmp_path / "in", *reorient(made.hu[:, :, :17], made.affine, "LPS"), positions_mm=at)
    ct = read_ct(tmp_path / "in")
    free = sorted(set(range(ct.source.shape[2])) - set(ct.dicom.planes))
    assert ct.dicom.uneven
    assert free
    array = np.zeros(ct.source.shape, bool)
    array[4:9, 4:9, free[0]] = True
    lost = Mask.from_array(to_canonical(array, ct.source.affine)[0], name="Between")
    notes = export.save_dicom_seg([lost, Mask.from_array(ct.hu > 50, name="Body")], ct, tmp_path / "s.dcm")
    assert any("on no slice of the series: Between" in note for note in notes)
    assert [s.SegmentLabel for s in pydicom.dcmread(tmp_path / "s.dcm").SegmentSequence] == ["Body"]
