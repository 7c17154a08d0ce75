"""DICOM series: voxels, mm, headers that stay, and every fault a real upload has."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes
from pydicom.uid import MRImageStorage

from medvl.errors import CTReadError
from medvl.readers import read_ct

from ...phantoms import (
    PATIENT_ID,
    PATIENT_NAME,
    Phantom,
    phantom,
    reorient,
    uid,
    write_dicom_series,
    write_enhanced_ct,
    write_nifti,
    zip_folder,
)


@pytest.fixture(scope="module")
def ct() -> Phantom:
    return phantom((24, 20, 18), degrees=(0, 0, 7))


@pytest.fixture(scope="module")
def stored(ct) -> tuple[np.ndarray, np.ndarray]:
    """The phantom as a scanner stores it: columns to the left, rows to the back, slices to the head."""
    return reorient(ct.hu, ct.affine, "LPS")


def note(read, *words: str) -> str:
    """The one note that holds all words."""
    found = [n for n in read.notes if all(w in n for w in words)]
    assert len(found) == 1, read.notes
    return found[0]


def same(read, ct) -> None:
    np.testing.assert_array_equal(read.hu, ct.hu)
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    assert read.file_format == "DICOM"


@pytest.mark.parametrize("axcodes", ["LPS", "LPI", "LIP", "PSR", "RAS", "AIL"])
def test_folder_in_every_plane(axcodes, ct, tmp_path):
    volume, affine = reorient(ct.hu, ct.affine, axcodes)
    read = read_ct(write_dicom_series(tmp_path / "d", volume, affine))
    same(read, ct)
    assert read.notes == ()
    assert len(read.dicom.headers) == read.source.shape[2]


def test_oblique(tmp_path, ct):
    oblique = phantom((24, 20, 18), degrees=(12, -7, 20))
    read = read_ct(write_dicom_series(tmp_path / "d", *reorient(oblique.hu, oblique.affine, "LPS")))
    same(read, oblique)


def test_zip_and_list_of_files(ct, stored, tmp_path):
    folder = write_dicom_series(tmp_path / "d", *stored)
    same(read_ct(zip_folder(folder, tmp_path / "d.zip")), ct)
    same(read_ct(sorted(folder.iterdir())), ct)
    same(read_ct([str(tmp_path / "d.zip")]), ct)


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big", "deflated", "rle", "jpeg", "jpeg2000"])
def test_transfer_syntaxes(syntax, ct, stored, tmp_path):
    same(read_ct(write_dicom_series(tmp_path / "d", *stored, syntax=syntax)), ct)


@pytest.mark.parametrize("syntax", ["explicit", "rle"])
@pytest.mark.parametrize("signed", [False, True])
def test_inverted_display_does_not_invert_hu(syntax, signed, ct, stored, tmp_path):
    def edit(ds, k):
        ds.PhotometricInterpretation = "MONOCHROME1"

    same(read_ct(write_dicom_series(tmp_path / "d", *stored, syntax=syntax, signed=signed, edit=edit)), ct)


def test_without_preamble(ct, stored, tmp_path):
    same(read_ct(write_dicom_series(tmp_path / "d", *stored, preamble=False)), ct)


@pytest.mark.parametrize("signed", [False, True])
def test_rescale_of_each_slice(signed, ct, stored, tmp_path):
    folder = write_dicom_series(
        tmp_path / "d", *stored, slope=lambda k: 0.5 + 0.25 * (k % 3), intercept=lambda k: -1024 - k, signed=signed
    )
    read = read_ct(folder)
    assert np.abs(read.hu.astype(int) - ct.hu).max() <= 1
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)


def test_headers_name_each_source_slice_and_nobody(ct, stored, tmp_path):
    read = read_ct(write_dicom_series(tmp_path / "d", *stored))
    for k, header in enumerate(read.dicom.headers):
        assert header.SOPInstanceUID == uid(4, 0, k)
        position = np.array(header.ImagePositionPatient, float) * (-1, -1, 1)
        np.testing.assert_allclose(position, read.source.affine[:3, 3] + k * read.source.affine[:3, 2], atol=1e-4)
        text = str(header) + str(header.file_meta)
        assert not any(
            word.lower() in text.lower() for word in (PATIENT_NAME, PATIENT_ID, "secret", "19500101", "20200102")
        )
        assert "PixelData" not in header
        assert header.PatientName == ""


def test_headers_satisfy_highdicom(ct, stored, tmp_path):
    read = read_ct(write_dicom_series(tmp_path / "d", *stored))
    mask = np.zeros((18, 20, 24), np.uint8)
    mask[4:7, 5:9, 6:12] = 1
    described = hd.seg.SegmentDescription(
        1,
        "Liver",
        codes.SCT.AnatomicalStructure,
        codes.SCT.Liver,
        hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        hd.AlgorithmIdentificationSequence("test", codes.DCM.ArtificialIntelligence, "1"),
    )
    segmentation = hd.seg.Segmentation(
        list(read.dicom.headers), mask, hd.seg.SegmentationTypeValues.BINARY, [described], uid("a"), 1, uid("b"), 1,
        "test", "test", "1", "1",
    )  # fmt: skip
    segmentation.save_as(tmp_path / "seg.dcm")
    back = pydicom.dcmread(tmp_path / "seg.dcm")
    named = {item.ReferencedSOPInstanceUID for item in back.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert named == {uid(4, 0, k) for k in range(18)}
    assert back.PatientName == ""


def test_no_note_or_error_holds_a_name(ct, stored, tmp_path):
    write_dicom_series(tmp_path / "d", *stored, series=1, modality="MR", sop_class=MRImageStorage, drop=[4])
    write_dicom_series(tmp_path / "d", *stored, series=2, modality="MR", localizer=True)
    read = read_ct(tmp_path / "d")
    assert not any("secret" in n.lower() for n in read.notes)


def test_largest_ct_series_of_several(ct, stored, tmp_path):
    volume, affine = stored
    folder = tmp_path / "d"
    write_dicom_series(folder, volume[:, :, :5], affine, series=2)
    write_dicom_series(folder, volume, affine, series=4)
    write_dicom_series(folder, volume[:, :, :2], affine, series=1, localizer=True)
    write_dicom_series(folder, np.concatenate([volume, volume], 2), affine, series=7, modality="MR")
    read = read_ct(zip_folder(folder, tmp_path / "d.zip"))
    same(read, ct)
    text = note(read, "series 4 (18 slices, CT)")
    assert "series 2 (5 slices, CT)" in text
    assert "series 1 (2 slices, localizer)" in text
    assert "series 7 (36 slices, MR)" in text


def test_other_files_in_the_folder(ct, stored, tmp_path):
    folder = write_dicom_series(tmp_path / "d", *stored)
    (folder / "readme.txt").write_text("hello " * 100)
    (folder / ".hidden").write_bytes(b"\0" * 500)
    (folder / "sub").mkdir()
    write_nifti(folder / "sub" / "x.nii", ct.hu, ct.affine)
    read = read_ct(folder)
    same(read, ct)
    note(read, "1 other volume")


@pytest.mark.parametrize("drop", [[7], [5, 6], [3, 9, 14]])
def test_missing_slices_are_filled_and_told(drop, ct, stored, tmp_path):
    read = read_ct(write_dicom_series(tmp_path / "d", *stored, drop=drop))
    kept = [k for k in range(18) if k not in drop]
    np.testing.assert_array_equal(read.hu[:, :, kept], ct.hu[:, :, kept])
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    first = drop[0]
    low, high = first - 1, next(k for k in range(first, 18) if k not in drop)
    weight = (first - low) / (high - low)
    between = ct.hu[:, :, low] * (1 - weight) + ct.hu[:, :, high] * weight
    assert np.abs(read.hu[:, :, first] - between).max() <= 0.51
    z = ct.affine[2, 3] + 3.0 * low
    assert f"{z:.1f}" in note(read, f"{len(drop)} slice", "missing")
    assert [h.SOPInstanceUID for h in read.dicom.headers] == [uid(4, 0, k) for k in kept]
    assert read.dicom.planes == tuple(kept)
    assert not read.dicom.uneven


@pytest.mark.parametrize("drop", [[4, 5, 6, 7], [2, 4, 6, 8, 10]])
def test_too_many_missing_slices(drop, stored, tmp_path):
    with pytest.raises(CTReadError, match="incomplete or uneven"):
        read_ct(write_dicom_series(tmp_path / "d", *stored, drop=drop))


def test_missing_at_an_end_is_just_a_shorter_scan(ct, stored, tmp_path):
    read = read_ct(write_dicom_series(tmp_path / "d", *stored, drop=[0, 17]))
    np.testing.assert_array_equal(read.hu, ct.hu[:, :, 1:17])
    assert read.notes == ()


def test_uneven_spacing(ct, stored, tmp_path):
    volume, affine = stored
    ramp = np.broadcast_to(np.arange(18) * 10, volume.shape).astype(np.int16)
    at = np.cumsum([0] + [3.0] * 10 + [4.2] * 7)
    read = read_ct(write_dicom_series(tmp_path / "d", ramp, affine, positions_mm=at))
    note(read, "unevenly spaced", "3.00 mm")
    np.testing.assert_allclose(read.spacing_mm, (2, 2.5, 3), rtol=1e-4)
    expected = np.interp(np.arange(read.shape[2]) * 3.0, at, np.arange(18) * 10)
    np.testing.assert_allclose(read.hu[5, 5], expected, atol=0.51)
    assert read.dicom.uneven
    planes = np.array(read.dicom.planes)
    assert np.abs(planes * 3.0 - at).max() <= 1.5 + 1e-6  # half a step: each slice lies in the grid, the last one too
    assert planes[-1] == read.shape[2] - 1


def test_positions_rounded_by_the_scanner_stay_regular(ct, stored, tmp_path):
    def edit(ds, k):
        ds.ImagePositionPatient = [round(float(v), 1) for v in ds.ImagePositionPatient]

    read = read_ct(write_dicom_series(tmp_path / "d", *stored, edit=edit))
    np.testing.assert_array_equal(read.hu, ct.hu)
    assert read.notes == ()
    assert read.dicom is not None


def test_duplicate_files_are_dropped(ct, stored, tmp_path):
    read = read_ct(write_dicom_series(tmp_path / "d", *stored, duplicate=[3, 8]))
    same(read, ct)
    note(read, "2 duplicate slices")
    assert len(read.dicom.headers) == 18


def test_several_phases_in_one_series(ct, stored, tmp_path):
    read = read_ct(write_dicom_series(tmp_path / "d", *stored, phases=2))
    same(read, ct)
    note(read, "2 scans of the same region", "acquisition 1")


def test_same_place_without_acquisition_numbers(ct, stored, tmp_path):
    def edit(ds, k):
        del ds.AcquisitionNumber

    read = read_ct(write_dicom_series(tmp_path / "d", *stored, phases=2, edit=edit))
    same(read, ct)
    note(read, "2 scans of the same region", "run of instance numbers")


@pytest.mark.parametrize("degrees", [15.0, -20.0])
@pytest.mark.parametrize("axcodes", ["LPS", "LPI"])
def test_gantry_tilt_keeps_every_place_in_mm(axcodes, degrees, tmp_path):
    ct = phantom((40, 36, 24), (2, 2, 3), noise=0)
    volume, affine = reorient(ct.hu, ct.affine, axcodes)
    read = read_ct(write_dicom_series(tmp_path / "d", volume, affine, tilt_degrees=degrees))
    note(read, "gantry tilt")
    assert len({h.SOPInstanceUID for h in read.dicom.headers}) == volume.shape[2]
    axes = read.affine[:3, :3] / read.spacing_mm
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(read.spacing_mm, (2, 2, 3), rtol=1e-4)
    # Where the tilted series puts each voxel, the volume that was read has the same value.
    lps = np.diag([-1, -1, 1, 1]) @ affine
    step, column = lps[:3, 2], lps[:3, 1] / 2
    for index in np.argwhere(volume == 115)[::37]:
        mm = lps[:3, :3] @ index + lps[:3, 3] + np.tan(np.deg2rad(degrees)) * column * index[2] * np.linalg.norm(step)
        ijk = read.ras_mm_to_ijk(mm * (-1, -1, 1))
        low = np.floor(ijk + 1e-6).astype(int)
        around = read.hu[low[0] : low[0] + 2, low[1] : low[1] + 2, low[2] : low[2] + 2]
        assert around.min() - 1 <= 115 <= around.max() + 1
    # Nothing is lost: what is denser than air adds up to the same amount.
    assert np.maximum(read.hu + 1000.0, 0).sum() == pytest.approx((ct.hu + 1000.0).sum(), rel=0.01)


def test_tilt_shift_is_exact_for_a_ramp(tmp_path):
    """Values that are linear in mm stay so: proves the direction and the size of the shift."""
    affine = np.diag([-2.0, -2.0, 3.0, 1.0])
    rows = np.arange(30)
    volume = np.empty((16, 30, 10), np.int16)
    shear = np.tan(np.deg2rad(12.0))
    for k in range(10):  # value = 10 * LPS y, where row r of slice k lies at y = 2 r + 3 k tan
        volume[:, :, k] = np.rint(10 * (2 * rows + 3 * k * shear))
    read = read_ct(write_dicom_series(tmp_path / "d", volume, affine, tilt_degrees=12.0))
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in read.shape], indexing="ij"), axis=-1)
    y = -read.ijk_to_ras_mm(grid)[..., 1]
    inside = read.hu > -500
    covered = inside.sum() / volume.size
    assert covered > 0.95
    wrong = np.abs(read.hu - 10 * y)[inside]
    assert wrong.max() <= 10.6  # half a pixel, at the first and last row only
    assert (wrong > 1.1).mean() < 2 / 30


def test_mr_is_read_with_a_warning(ct, stored, tmp_path):
    read = read_ct(write_dicom_series(tmp_path / "d", *stored, modality="MR", sop_class=MRImageStorage))
    same(read, ct)
    note(read, "MR, not CT")
    assert read_ct(tmp_path / "d", expect=None).notes == ()


def test_modality_text_is_not_repeated(ct, stored, tmp_path):
    def edit(ds, k):
        ds.Modality = "SECRET JOHN"

    read = read_ct(write_dicom_series(tmp_path / "d", *stored, edit=edit))
    note(read, "unknown modality, not CT")


def test_mixed_sizes_in_one_series(ct, stored, tmp_path):
    volume, affine = stored
    write_dicom_series(tmp_path / "d", volume, affine)

    def edit(ds, k):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid("other", k)
        ds.ImagePositionPatient = [0, 0, 500 + k]

    write_dicom_series(tmp_path / "e", volume[:12, :, :3], affine, edit=edit)
    for file in (tmp_path / "e").iterdir():
        file.rename(tmp_path / "d" / ("e" + file.name))
    read = read_ct(tmp_path / "d")
    same(read, ct)
    note(read, "3 slices", "another size")


@pytest.mark.parametrize("rle", [False, True])
@pytest.mark.parametrize("slope", [1.0, lambda k: 1.0 + k % 2])
def test_enhanced_multiframe(slope, rle, ct, stored, tmp_path):
    read = read_ct(write_enhanced_ct(tmp_path / "ct.dcm", *stored, slope=slope, rle=rle))
    np.testing.assert_allclose(read.hu, ct.hu, atol=1)
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    assert read.notes == ()
    assert read.dicom.frames == tuple(range(18, 0, -1))  # written from the last slice to the first
    for k, header in enumerate(read.dicom.headers):
        position = np.array(header.ImagePositionPatient, float) * (-1, -1, 1)
        np.testing.assert_allclose(position, read.source.affine[:3, 3] + k * read.source.affine[:3, 2], atol=1e-4)
        assert "secret" not in str(header).lower()


def test_single_slices_beside_a_multi_frame_file(ct, stored, tmp_path):
    volume, affine = stored
    write_dicom_series(tmp_path / "d", volume[:, :, :5], affine, series=9)
    write_enhanced_ct(tmp_path / "d" / "ct.dcm", *stored)
    read = read_ct(tmp_path / "d")
    np.testing.assert_allclose(read.hu, ct.hu, atol=1)
    assert len(read.dicom.frames) == 18
    note(read, "5 slices", "kind of file")


@pytest.mark.parametrize(
    ("faults", "match"),
    [
        ({"colour": True}, "in colour"),
        ({"localizer": True}, "localizers"),
        ({"modality": "SR"}, "no image slices"),
        ({"drop": range(1, 18)}, "single DICOM slice"),
    ],
)
def test_series_that_are_no_volume(faults, match, stored, tmp_path):
    with pytest.raises(CTReadError, match=match):
        read_ct(write_dicom_series(tmp_path / "d", *stored, **faults))


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("PixelSpacing", [0, 0], "zero|voxels of|damaged"),
        ("PixelSpacing", [5000, 5000], "voxels of"),
        ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0], "damaged"),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], "damaged"),
        ("ImagePositionPatient", None, "without a position"),
        ("Rows", 60000, "8192|million"),
        ("RescaleSlope", 0, "slope of zero"),
        ("RescaleSlope", "1e9", "rescale slope"),
    ],
)
def test_absurd_headers(field, value, match, stored, tmp_path):
    def edit(ds, k):
        if value is None:
            delattr(ds, field)
        else:
            setattr(ds, field, value)

    with pytest.raises(CTReadError, match=match):
        read_ct(write_dicom_series(tmp_path / "d", *stored, edit=edit))


@pytest.mark.parametrize("syntax", ["explicit", "rle", "jpeg", "jpeg2000"])
def test_pixels_cut_short(syntax, stored, tmp_path):
    folder = write_dicom_series(tmp_path / "d", *stored, syntax=syntax)
    file = sorted(folder.iterdir())[4]
    file.write_bytes(file.read_bytes()[:-400])
    with pytest.raises(CTReadError, match=r"slice \d+ .*(damaged|cut short)"):
        read_ct(folder)


def _rewrite(folder: Path, at: bytes, skip: int, new: bytes) -> None:
    """Overwrite bytes of the fifth file's pixel data, ``skip`` after the marker ``at``."""
    file = sorted(folder.iterdir())[4]
    raw = bytearray(file.read_bytes())
    place = raw.index(at, raw.rindex(b"\xe0\x7f\x10\x00")) + skip
    raw[place : place + len(new)] = new
    file.write_bytes(raw)


@pytest.mark.parametrize(
    ("syntax", "at", "skip", "new"),
    [
        ("jpeg", b"\xff\xc3", 5, b"\xff\xff\xff\xff"),  # 65535 x 65535 pixels
        ("jpeg", b"\xff\xc3", 1, b"\xfe"),  # the frame header has become a comment
        ("jpeg2000", b"\xff\x51", 6, b"\x00\x0f\x00\x00"),
        ("jpeg2000", b"\xff\x51", 22, b"\x00\x00\x00\x00"),  # tiles of no width
        ("rle", b"\x02\x00\x00\x00\x40\x00\x00\x00", 0, b"\x00"),  # no segments
        ("rle", b"\x02\x00\x00\x00\x40\x00\x00\x00", 8, b"\xff\xff\xff\x7f"),  # the second one far beyond the end
    ],
)
def test_a_compressed_frame_that_cannot_be_is_refused_before_decoding(syntax, at, skip, new, stored, tmp_path):
    folder = write_dicom_series(tmp_path / "d", *stored, syntax=syntax)
    _rewrite(folder, at, skip, new)
    with pytest.raises(CTReadError, match=r"slice \d+ is damaged: its compressed picture .*Copy or export"):
        read_ct(folder)


def test_header_cut_short_is_left_out_and_told(ct, stored, tmp_path):
    folder = write_dicom_series(tmp_path / "d", *stored)
    for file in folder.iterdir():
        if pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID == uid(4, 0, 17):
            file.write_bytes(file.read_bytes()[:300])
    read = read_ct(folder)
    np.testing.assert_array_equal(read.hu, ct.hu[:, :, :17])
    note(read, "Left out: 1")


def test_one_slice_of_a_series(stored, tmp_path):
    folder = write_dicom_series(tmp_path / "d", *stored)
    with pytest.raises(CTReadError, match="single DICOM slice"):
        read_ct(next(Path(folder).iterdir()))


def test_limits(stored, tmp_path):
    folder = write_dicom_series(tmp_path / "d", *stored)
    with pytest.raises(CTReadError, match="million voxels"):
        read_ct(folder, max_voxels=8000)
    with pytest.raises(CTReadError, match="limit"):
        read_ct(folder, max_bytes=8000)


def test_two_studies_are_told(ct, stored, tmp_path):
    def edit(ds, k):
        ds.StudyInstanceUID = uid("another study")

    write_dicom_series(tmp_path / "d", *stored, series=4)
    write_dicom_series(tmp_path / "d", stored[0][:, :, :4], stored[1], series=5, edit=edit)
    note(read_ct(tmp_path / "d"), "more than one study")


@pytest.mark.parametrize("field", ["SOPInstanceUID", "FrameOfReferenceUID", "SOPClassUID"])
def test_a_name_inside_a_damaged_field_goes_nowhere(field, ct, stored, tmp_path, capfd, recwarn):
    folder = write_dicom_series(tmp_path / "d", *stored)
    for file in folder.iterdir():
        if pydicom.dcmread(file).SOPInstanceUID == uid(4, 0, 17):
            data = file.read_bytes()
            value = str(pydicom.dcmread(file)[field].value).encode()
            start = data.rindex(value)
            file.write_bytes(data[:start] + b"1.2 SECRET^PERSON".ljust(len(value), b"3") + data[start + len(value) :])
    read = read_ct(folder)
    same(read, ct)  # a field that is not needed sinks no slice
    out = "".join(capfd.readouterr()) + "".join(str(w.message) for w in recwarn) + "".join(read.notes)
    assert "secret" not in (out + str(read.dicom)).lower()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"SeriesDescription": "Abdomen  1.5\n B31f", "ContrastBolusAgent": "Iohexol 350"},
            ("Abdomen 1.5 B31f", "Iohexol 350"),
        ),
        ({"SeriesDescription": "abd Secret", "ContrastBolusAgent": "NONE"}, ("", "")),
        ({"SeriesDescription": PATIENT_ID, "ContrastBolusAgent": "yes"}, ("", "given")),
        ({"SeriesDescription": "x" * 80, "ContrastBolusAgent": "without contrast"}, ("x" * 64, "")),
        ({"SeriesDescription": "", "ContrastBolusAgent": "no"}, ("", "")),
    ],
)
def test_what_the_scan_is_called_names_nobody(tmp_path, stored, fields, told):
    def edit(ds, _):
        for keyword, value in fields.items():
            setattr(ds, keyword, value)

    write_dicom_series(tmp_path / "series", *stored, edit=edit)
    ct = read_ct(tmp_path / "series")
    assert (ct.info.file_name, ct.info.series_description, ct.info.contrast) == ("series", *told)
