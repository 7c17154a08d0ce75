"""Stored values become HU only as the header says; padding is no value; fields that are not needed sink nothing."""

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from medvl.errors import CTReadError, ExportError
from medvl.readers import read_ct
from medvl.readers.hounsfield import offset_of
from medvl.writers.dicom_sources import places

from ...phantoms import phantom, reorient, write_dicom_series, write_enhanced_ct, write_nifti


@pytest.fixture(scope="module")
def ct():
    return phantom((24, 20, 12))


@pytest.fixture(scope="module")
def stored(ct):
    return reorient(ct.hu, ct.affine, "LPS")


def words_of(ds) -> np.ndarray:
    return np.frombuffer(ds.PixelData, np.int16 if ds.PixelRepresentation else np.uint16).reshape(ds.Rows, ds.Columns)


def raw(ds, keyword, value: bytes, vr="DS"):
    """A field with bytes that pydicom would not write."""
    tag = Tag(keyword)
    ds[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)


# ---- what the values are


@pytest.mark.parametrize("unit", ["MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT", "US", "mg/ml"])
def test_another_unit_is_told_and_hu_are_not_trusted(unit, stored, tmp_path):
    read = read_ct(write_dicom_series(tmp_path, *stored, edit=lambda ds, k: setattr(ds, "RescaleType", unit)))
    assert not read.hu_trusted
    assert "no Hounsfield units" in read.hu_note
    assert read.notes[0] == read.hu_note


@pytest.mark.parametrize("unit", ["HU", "hu ", "Hounsfield", ""])
def test_hounsfield_units_are_trusted(unit, stored, tmp_path):
    read = read_ct(write_dicom_series(tmp_path, *stored, edit=lambda ds, k: setattr(ds, "RescaleType", unit)))
    assert read.hu_trusted
    assert read.hu_note == ""


def test_an_iodine_map_without_a_type_is_no_hu(stored, tmp_path):
    def edit(ds, k):
        del ds.RescaleType
        ds.ImageType = ["DERIVED", "PRIMARY", "AXIAL", "IODINE"]

    assert "iodine" in read_ct(write_dicom_series(tmp_path, *stored, edit=edit)).hu_note


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big", "rle", "jpeg"])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_missing_slope_is_one_on_every_path(inverted, syntax, ct, stored, tmp_path):
    def edit(ds, k):
        del ds.RescaleSlope
        if inverted:
            ds.PhotometricInterpretation = "MONOCHROME1"

    read = read_ct(write_dicom_series(tmp_path, *stored, syntax=syntax, edit=edit))
    np.testing.assert_array_equal(read.hu, ct.hu)
    assert "Slices without rescale slope: it is taken as 1." in read.notes


def test_the_note_on_rescaling_is_true(ct, stored, tmp_path):
    def edit(ds, k):
        del ds.RescaleSlope, ds.RescaleIntercept

    read = read_ct(write_dicom_series(tmp_path, *stored, intercept=0, signed=True, edit=edit))
    np.testing.assert_array_equal(read.hu, ct.hu)
    assert "Slices without rescale slope and intercept: stored values are taken as HU." in read.notes


@pytest.mark.parametrize("missing", [1, 5])
def test_an_intercept_that_some_slices_lack_is_not_believed(missing, stored, tmp_path):
    def edit(ds, k):
        if k < missing:
            del ds.RescaleIntercept

    read = read_ct(write_dicom_series(tmp_path, *stored, edit=edit))
    assert f"{missing} of 12 slices have no rescale intercept" in read.hu_note
    assert not read.hu_trusted


@pytest.mark.parametrize(
    ("some", "words"), [(12, "The slices were"), (3, "3 slices were"), (1, "1 slice was"), (0, "")]
)
def test_compression_with_loss_is_told(some, words, stored, tmp_path):
    def edit(ds, k):
        ds.LossyImageCompression = "01" if k < some else "00"

    notes = [note for note in read_ct(write_dicom_series(tmp_path, *stored, edit=edit)).notes if "with loss" in note]
    assert len(notes) == bool(some)
    assert all(note.startswith(words) for note in notes)


@pytest.mark.parametrize("double", [False, True])
def test_floating_point_voxels_are_refused_by_name(double, stored, tmp_path):
    def edit(ds, k):
        values = words_of(ds).astype(np.float64 if double else np.float32)
        del ds.PixelData, ds.BitsStored, ds.HighBit, ds.PixelRepresentation
        ds.BitsAllocated = 64 if double else 32
        setattr(ds, "DoubleFloatPixelData" if double else "FloatPixelData", values.tobytes())

    with pytest.raises(CTReadError, match="floating-point"):
        read_ct(write_dicom_series(tmp_path, *stored, edit=edit))


def test_indices_into_a_palette_are_no_values(stored, tmp_path):
    def edit(ds, k):
        ds.PhotometricInterpretation = "PALETTE COLOR"

    with pytest.raises(CTReadError, match="in colour"):
        read_ct(write_dicom_series(tmp_path, *stored, edit=edit))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_padding_far_below_is_no_fault_of_the_slope(share, ct, tmp_path):
    """Converters leave -3024 outside the scanned field, and resampling some values between it and the rest."""
    hu = ct.hu.copy()
    hu[:6] = -3024
    hu[-3:] = -2000
    hu[6] = np.rint((1 - share) * hu[6] + share * -3024)
    assert read_ct(write_nifti(tmp_path / "ct.nii", hu, ct.affine)).hu_note == ""


# ---- padding and bits


@pytest.mark.parametrize("syntax", ["explicit", "big", "deflated", "rle", "jpeg"])
@pytest.mark.parametrize(
    ("signed", "value", "vr", "limit"),
    [
        (False, 63536, "US", None),
        (False, -2000, "SS", None),
        (True, -2000, "SS", None),
        (True, 63536, "US", None),
        (False, 63000, "US", 64000),
        (True, -2500, "SS", -1500),
        (True, -1500, "SS", -2500),
    ],
)
def test_padding_is_air(signed, value, vr, limit, syntax, ct, stored, tmp_path):
    corner = np.zeros(stored[0].shape, bool)
    corner[:5, :6] = True

    def edit(ds, k):
        words = words_of(ds).copy()
        words[corner[:, :, k].T] = -2000 if signed else 63536
        ds.add_new("PixelPaddingValue", vr, value)
        if limit is not None:
            ds.add_new("PixelPaddingRangeLimit", vr, limit)
        ds.PixelData = words.tobytes()

    read = read_ct(write_dicom_series(tmp_path, *stored, signed=signed, syntax=syntax, edit=edit))
    expected = np.where(corner, -1024, stored[0])
    np.testing.assert_array_equal(read.hu, expected[::-1, ::-1])
    assert any("PixelPaddingValue" in n for n in read.notes)


@pytest.mark.parametrize(
    "faults", [{"drop": [5]}, {"tilt_degrees": 9.0}, {"positions_mm": [0, 3, 6, 9, 12, 15, 19, 23, 27, 31, 35, 39]}]
)
def test_padding_is_blended_with_nothing(faults, tmp_path):
    """A flat volume stays flat: what is interpolated is it or air, never a mixture with the padding."""
    flat = np.full((24, 20, 12), 100, np.int16)

    def edit(ds, k):
        words = words_of(ds).copy()
        words[: 4 + k % 3] = 63536
        ds.add_new("PixelPaddingValue", "US", 63536)
        ds.PixelData = words.tobytes()

    read = read_ct(write_dicom_series(tmp_path, flat, np.diag([-2.0, -2, 3, 1]), edit=edit, **faults))
    assert set(np.unique(read.hu)) == {-1024, 100}


@pytest.mark.parametrize("shift", [0, 2, 4])
@pytest.mark.parametrize("signed", [False, True])
def test_high_bit_shifts_and_overlays_are_masked(signed, shift, stored, tmp_path):
    def edit(ds, k):
        ds.BitsStored, ds.HighBit = 12, 11 + shift
        words = words_of(ds).astype(np.int32) & 0xFFF
        overlay = np.int32(1 << 15 if shift < 4 else 1)  # a bit that is no part of the value
        ds.PixelData = (((words << shift) | overlay) & 0xFFFF).astype(np.uint16).tobytes()

    intercept = 0 if signed else -1024
    read = read_ct(write_dicom_series(tmp_path, *stored, signed=signed, intercept=intercept, edit=edit))
    np.testing.assert_array_equal(read.hu, stored[0][::-1, ::-1])


@pytest.mark.parametrize(("bits", "high"), [(12, 16), (12, 5), (17, 16), (16, 11)])
def test_bits_that_cannot_be_are_refused(bits, high, stored, tmp_path):
    def edit(ds, k):
        ds.BitsStored, ds.HighBit = bits, high

    with pytest.raises(CTReadError, match="cannot be"):
        read_ct(write_dicom_series(tmp_path, *stored, edit=edit))


# ---- an offset of 1024


@pytest.mark.parametrize("shift", [1024, -1024])
@pytest.mark.parametrize("padding", [None, -2000, -3024, -32768])
def test_an_offset_is_seen_through_padding(padding, shift, ct, tmp_path):
    values = ct.hu.astype(np.int32) + shift
    if padding is not None:
        values[:4] = padding
    read = read_ct(write_nifti(tmp_path / "ct.nii.gz", values.astype(np.int16), ct.affine))
    assert "shifted by 1024" in read.hu_note
    assert not read.hu_trusted


@pytest.mark.parametrize(
    "change",
    [
        lambda hu: hu,
        lambda hu: np.where(np.arange(hu.shape[0])[:, None, None] < 4, -2000, hu),
        lambda hu: np.where(hu < -500, -1024, hu),
        lambda hu: hu[8:16, 6:12, 2:8],
        lambda hu: np.clip(hu, -160, 240),
        lambda hu: np.where(hu > 350, 1100, hu),
        lambda hu: np.where(hu > 0, hu * 3, hu),
    ],
)
def test_a_scan_in_hu_is_not_called_shifted(change, ct):
    assert offset_of(np.ascontiguousarray(change(ct.hu)).astype(np.int16)) is None


# ---- fields that are not needed


def test_junk_in_fields_that_are_not_needed(ct, stored, tmp_path):
    def edit(ds, k):
        raw(ds, "SliceThickness", b"3,0 ")
        raw(ds, "SpacingBetweenSlices", b"three ")
        raw(ds, "AcquisitionNumber", b"one ", "IS")
        raw(ds, "TriggerTime", b"- ")
        raw(ds, "KVP", b"120 kV")
        raw(ds, "InstanceNumber", b"1.5a", "IS")
        ds.StudyInstanceUID = "not a uid"
        ds.FrameOfReferenceUID = "1." + "2" * 80
        ds.add_new((0x0009, 0x0010), "LO", "JUNK")
        raw(ds, (0x0009, 0x1001), b"\xff\xfe,,..", "DS")

    folder = write_dicom_series(tmp_path, *stored)
    for k, file in enumerate(sorted(folder.iterdir())):
        ds = pydicom.dcmread(file)
        edit(ds, k)
        ds.save_as(file)
    read = read_ct(folder)
    np.testing.assert_array_equal(read.hu, ct.hu)
    assert "StudyInstanceUID" not in read.dicom.headers[0]
    with pytest.raises(ExportError, match="StudyInstanceUID"):
        places(read)


def test_decimal_commas_where_the_numbers_are_needed(ct, stored, tmp_path):
    folder = write_dicom_series(tmp_path, *stored)
    for file in folder.iterdir():
        ds = pydicom.dcmread(file)
        for keyword in ("PixelSpacing", "ImagePositionPatient", "RescaleSlope", "RescaleIntercept"):
            text = "\\".join(f"{float(v):.3f}" for v in np.atleast_1d(ds[keyword].value))
            if keyword == "RescaleIntercept":
                text = "-1024.0"
            raw(ds, keyword, text.replace(".", ",").encode().ljust(len(text) + len(text) % 2))
        ds.save_as(file)
    read = read_ct(folder)
    np.testing.assert_array_equal(read.hu, ct.hu)
    np.testing.assert_allclose(read.affine, ct.affine, atol=2e-3)


def test_identifiers_that_are_none_refuse_only_the_dicom_seg(ct, stored, tmp_path):
    def edit(ds, k):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1." + "3" * 60 + f".{k}"

    read = read_ct(write_dicom_series(tmp_path, *stored, edit=edit))
    np.testing.assert_array_equal(read.hu, ct.hu)
    with pytest.raises(ExportError, match="no valid identifier"):
        places(read)


# ---- a grid that others can open


@pytest.mark.parametrize("degrees", [0.01, 0.05, 0.23, 0.29, 1.0])
def test_slices_that_lean_a_little_give_a_grid_at_right_angles(degrees, tmp_path):
    ct = phantom((40, 36, 24), (2, 2, 3), noise=0)
    volume, affine = reorient(ct.hu, ct.affine, "LPS")
    read = read_ct(write_dicom_series(tmp_path, volume, affine, tilt_degrees=degrees))
    axes = read.affine[:3, :3] / read.spacing_mm
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    lean = np.tan(np.deg2rad(degrees)) * 3.0  # mm to the back, a slice
    for k in (4, 12, 23):
        middle = np.array([*np.argwhere(ct.organ("spine")[:, :, k]).mean(axis=0), k])
        mm = ct.affine[:3, :3] @ middle + ct.affine[:3, 3] - (0, lean * k, 0)
        found = np.argwhere(read.hu[:, :, k] > 350).mean(axis=0)
        np.testing.assert_allclose(read.ijk_to_ras_mm(np.array([*found, k])), mm, atol=0.55)


def test_enhanced_ct_says_its_unit(stored, tmp_path):
    path = write_enhanced_ct(tmp_path / "ct.dcm", *stored)
    ds = pydicom.dcmread(path)
    for frame in ds.PerFrameFunctionalGroupsSequence:
        frame.PixelValueTransformationSequence[0].RescaleType = "MGML"
    ds.save_as(path)
    assert "MGML" in read_ct(path).hu_note
