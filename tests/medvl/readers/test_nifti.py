"""NIfTI: voxels, mm, scaling, types, units and every bad header."""

import gzip
import struct
import zipfile

import nibabel as nib
import numpy as np
import pytest

import medvl.readers
from medvl.ct.geometry import restore
from medvl.errors import Cancelled, CTReadError
from medvl.readers import read_ct

from ...phantoms import Phantom, affine_of, phantom, reorient, write_nifti
from ..ct.test_geometry import ORIENTATIONS

# Offsets in a NIfTI-1 header.
DIM, DATATYPE, PIXDIM, VOX_OFFSET, SCL_SLOPE, QUATERNION = 40, 70, 76, 108, 112, 256


@pytest.fixture(scope="module")
def ct() -> Phantom:
    return phantom((20, 18, 16), degrees=(6, -4, 9))


def patched(path, offset: int, form: str, *values) -> None:
    data = bytearray(path.read_bytes())
    struct.pack_into("<" + form, data, offset, *values)
    path.write_bytes(data)


def test_every_orientation(ct, tmp_path):
    for axcodes in ORIENTATIONS:
        stored, affine = reorient(ct.hu, ct.affine, axcodes)
        read = read_ct(write_nifti(tmp_path / "ct.nii", stored, affine))
        np.testing.assert_array_equal(read.hu, ct.hu)
        np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
        np.testing.assert_allclose(read.source.affine, affine, atol=1e-4)
        np.testing.assert_array_equal(restore(read.hu, read.affine, read.source), stored)
        assert read.hu.dtype == np.int16
        assert read.hu.flags.f_contiguous
        assert read.notes == ()


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("big_endian", [False, True])
def test_versions_byte_orders_and_gzip(name, version, big_endian, ct, tmp_path):
    read = read_ct(write_nifti(tmp_path / name, ct.hu, ct.affine, version=version, big_endian=big_endian))
    np.testing.assert_array_equal(read.hu, ct.hu)
    assert read.file_format == "NIfTI"


def test_the_name_does_not_matter(ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii.gz", ct.hu, ct.affine)
    np.testing.assert_array_equal(read_ct(path.rename(tmp_path / "upload.bin")).hu, ct.hu)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_stored_types_with_slope_and_intercept(dtype, name, ct, tmp_path):
    stored = (ct.hu.astype(np.int32) + 1024).astype(dtype) * 2
    read = read_ct(write_nifti(tmp_path / name, stored, ct.affine, slope=0.5, intercept=-1024))
    np.testing.assert_array_equal(read.hu, ct.hu)


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
def test_stored_types_without_scaling(dtype, ct, tmp_path):
    read = read_ct(write_nifti(tmp_path / "ct.nii", ct.hu.astype(dtype), ct.affine))
    np.testing.assert_array_equal(read.hu, ct.hu)


def test_rounds_and_clips(ct, tmp_path):
    values = ct.hu.astype(np.float32)
    values[0, 0, :5] = 10.6, -10.6, 40000, -40000, 3.4
    read = read_ct(write_nifti(tmp_path / "ct.nii", values, ct.affine))
    assert read.hu[0, 0, :5].tolist() == [11, -11, 32767, -32768, 3]
    assert any("2 voxels" in note for note in read.notes)


def test_trailing_dimensions_of_one(ct, tmp_path):
    read = read_ct(write_nifti(tmp_path / "ct.nii", ct.hu[..., None, None], ct.affine))
    np.testing.assert_array_equal(read.hu, ct.hu)


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1e-3), ("micron", 1e3)])
def test_units(unit, factor, ct, tmp_path):
    affine = ct.affine.copy()
    affine[:3] *= factor
    read = read_ct(write_nifti(tmp_path / "ct.nii", ct.hu, affine, unit=unit))
    np.testing.assert_allclose(read.affine, ct.affine, rtol=1e-5, atol=1e-4)
    assert any("converted to mm" in note for note in read.notes)


def test_units_that_make_no_sense(ct, tmp_path):
    read = read_ct(write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine, unit="meter"))
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    assert any("only make sense in mm" in note for note in read.notes)


def test_qform_only_and_neither(ct, tmp_path):
    read = read_ct(write_nifti(tmp_path / "q.nii", ct.hu, ct.affine, codes=(0, 1)))
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    read = read_ct(write_nifti(tmp_path / "n.nii", ct.hu, ct.affine, codes=(0, 0)))
    assert any("assumed" in note for note in read.notes)
    np.testing.assert_allclose(read.spacing_mm, (2, 2.5, 3), rtol=1e-5)


def test_sform_and_qform_that_differ(ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine)
    image = nib.load(path)
    image = nib.Nifti1Image(ct.hu, ct.affine)
    image.set_sform(ct.affine, 1)
    image.set_qform(affine_of((2, 2.5, 3), (100, 0, 0)), 1)
    nib.save(image, path)
    read = read_ct(path)
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    assert any("differ" in note for note in read.notes)


@pytest.mark.parametrize("codes", [(1, 1), (0, 1)])
def test_a_qfac_of_zero_counts_as_one(codes, ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine, codes=codes)
    patched(path, PIXDIM, "f", 0)
    read = read_ct(path)
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    assert read.notes == ()


def test_a_damaged_qform_matters_only_without_a_sform(ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine)
    patched(path, QUATERNION, "3f", 2, 2, 2)
    read = read_ct(path)
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    assert any("sform gives the orientation" in note for note in read.notes)
    patched(write_nifti(path, ct.hu, ct.affine, codes=(0, 1)), QUATERNION, "3f", 2, 2, 2)
    with pytest.raises(CTReadError, match="qform"):
        read_ct(path)


def test_a_damaged_sform_leaves_the_qform(ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine)
    patched(path, 280, "f", np.nan)
    read = read_ct(path)
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    assert any("qform gives the orientation" in note for note in read.notes)


def test_a_few_nan_become_air(ct, tmp_path):
    values = ct.hu.astype(np.float32)
    values[0, 0, :4] = np.nan
    read = read_ct(write_nifti(tmp_path / "ct.nii", values, ct.affine))
    assert read.hu[0, 0, :4].tolist() == [-1024] * 4
    assert any("4 voxels" in note and "NaN" in note for note in read.notes)


@pytest.mark.parametrize(("bad", "match"), [(np.nan, "NaN"), (np.inf, "infinite"), (3e7, "rescale slope")])
def test_nan_infinite_and_huge_values(bad, match, ct, tmp_path):
    values = ct.hu.astype(np.float32)
    values[:5] = bad
    with pytest.raises(CTReadError, match=match):
        read_ct(write_nifti(tmp_path / "ct.nii.gz", values, ct.affine))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda hu: np.zeros_like(hu), "same value"),
        (lambda hu: (hu > 0).astype(np.uint8), "label map"),
        (lambda hu: np.clip(hu, 0, 200).astype(np.uint8), "8-bit"),
        (lambda hu: (hu.astype(np.int32) + 1024).astype(np.int16), "intercept may be missing"),
        (lambda hu: np.where(hu < -500, -1000, hu) - np.int16(1024), "applied twice"),
        (lambda hu: hu * np.int16(10), "below -1500 HU"),
    ],
)
def test_values_that_are_not_hu_are_told(make, match, ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", make(ct.hu), ct.affine)
    assert any(match in note for note in read_ct(path).notes)
    assert read_ct(path, expect=None).notes == ()


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((20, 18), "2-D"),
        ((20, 18, 1), "single slice"),
        ((20, 18, 4, 2), r"4 dimensions \(20, 18, 4, 2\)"),
        ((20, 18, 4, 1, 3), "5 dimensions"),
    ],
)
def test_wrong_dimensions(shape, match, tmp_path):
    with pytest.raises(CTReadError, match=match):
        read_ct(write_nifti(tmp_path / "ct.nii", np.zeros(shape, np.int16), np.eye(4)))


def test_colour_and_complex(tmp_path):
    rgb = np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(rgb, np.eye(4)), tmp_path / "rgb.nii")
    with pytest.raises(CTReadError, match="colours"):
        read_ct(tmp_path / "rgb.nii")
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.complex64), np.eye(4)), tmp_path / "complex.nii")
    with pytest.raises(CTReadError, match="data type"):
        read_ct(tmp_path / "complex.nii")


@pytest.mark.parametrize(
    ("offset", "form", "values", "match"),
    [
        (DIM, "4h", (3, 30000, 30000, 30000), "8192"),
        (DIM, "4h", (3, -5, 18, 16), "impossible"),
        (DIM, "4h", (3, 0, 18, 16), "impossible"),
        (DIM, "h", (99,), "dimensions"),
        (DIM, "4h", (3, 2000, 2000, 2000), "million"),
        (DIM, "4h", (3, 400, 400, 400), "cut short"),
        (DATATYPE, "h", (7777,), "data type"),
        (VOX_OFFSET, "f", (1e12,), "offset"),
        (VOX_OFFSET, "f", (np.nan,), "offset"),
        (VOX_OFFSET, "f", (348,), "offset"),
        (SCL_SLOPE, "2f", (1e9, 0), "rescale slope"),
    ],
)
def test_absurd_headers(offset, form, values, match, ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine)
    patched(path, offset, form, *values)
    with pytest.raises(CTReadError, match=match):
        read_ct(path)
    if offset != DATATYPE:
        (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
        with pytest.raises(CTReadError):
            read_ct(tmp_path / "ct.nii.gz")


@pytest.mark.parametrize("version", [1, 2])
def test_an_offset_of_zero_is_the_end_of_the_header(version, ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine, version=version)
    patched(path, *((VOX_OFFSET, "f", 0) if version == 1 else (168, "q", 0)))
    np.testing.assert_array_equal(read_ct(path).hu, ct.hu)


@pytest.mark.parametrize(
    ("code", "match"), [(1002, "labels"), (3, "statistics"), (5, "statistics"), (0, ""), (1001, "")]
)
def test_what_the_header_says_that_values_are(code, match, ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine)
    patched(path, 68, "h", code)
    read = read_ct(path)
    assert match in read.hu_note
    assert read.hu_trusted == (not match)


def test_packed_twice(ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii.gz", ct.hu, ct.affine)
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(CTReadError, match="twice"):
        read_ct(path)


def test_dimensions_of_a_million(ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine, version=2)
    patched(path, 16, "4q", 3, 10**6, 10**6, 10**6)
    with pytest.raises(CTReadError, match="8192"):
        read_ct(path)


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        (np.diag([1.0, 1.0, 0.0, 1.0]), "voxels of"),
        (np.diag([1.0, 1.0, 5000.0, 1.0]), "voxels of"),
        (np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "one plane"),
        (np.array([[1, 0, 0, np.nan], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "not numbers"),
        (np.array([[1, 0, 0, 1e9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "kilometre"),
    ],
)
def test_absurd_affines(matrix, match, ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine, codes=(1, 0))
    patched(path, 280, "12f", *matrix[:3].ravel())
    with pytest.raises(CTReadError, match=match):
        read_ct(path)


def test_a_sheared_affine_is_kept_and_told(ct, tmp_path):
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[1, 2] = 0.5
    read = read_ct(write_nifti(tmp_path / "ct.nii", ct.hu, affine, codes=(1, 0)))
    np.testing.assert_allclose(read.affine, affine, atol=1e-5)
    assert any("right angles" in note for note in read.notes)


@pytest.mark.parametrize("keep", [0, 1, 5, 200, 347, 360, 1000, -1])
@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_cut_short(keep, name, ct, tmp_path):
    path = write_nifti(tmp_path / name, ct.hu, ct.affine)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CTReadError) as error:
        read_ct(path)
    assert str(tmp_path) not in str(error.value)


def test_damaged_gzip(ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii.gz", ct.hu, ct.affine)
    data = bytearray(path.read_bytes())
    data[-6] ^= 0xFF  # its check sum
    path.write_bytes(data)
    with pytest.raises(CTReadError, match="damaged"):
        read_ct(path)


def test_limits(ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine)
    with pytest.raises(CTReadError, match="20 x 18 x 16"):
        read_ct(path, max_voxels=5000)
    with pytest.raises(CTReadError, match="limit"):
        read_ct(path, max_bytes=5000)


def test_progress_and_cancel(ct, tmp_path):
    import threading

    path = write_nifti(tmp_path / "ct.nii.gz", ct.hu, ct.affine)
    told: list[float] = []
    read_ct(path, progress=lambda fraction, text: told.append(fraction))
    assert told == sorted(told)
    assert told[-1] == 1
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        read_ct(path, cancel=stop)


def test_the_package_says_its_limits():
    assert medvl.readers.DEFAULT_MAX_VOXELS > 512 * 512 * 1000


# ---- spacing by one form only, pairs, what follows a gzip stream


@pytest.mark.parametrize("zooms", [(0, 0, 0), (-2, 2.5, 3), (np.nan, 2.5, 3), (0, 2.5, 3)])
def test_a_good_sform_suffices(zooms, ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine, codes=(1, 0))
    patched(path, PIXDIM + 4, "3f", *zooms)
    read = read_ct(path)
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    assert any("its sform gives the spacing" in note for note in read.notes)
    patched(path, QUATERNION - 4, "2h", 1, 0)  # qform and sform code
    with pytest.raises(CTReadError, match="spacing"):
        read_ct(path)


@pytest.mark.parametrize(("zooms", "factor"), [((1, 1, 1), "0.0667"), ((4, 2.5, 3), "2")])
def test_a_sform_of_another_scale_than_pixdim_is_told(zooms, factor, ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine, codes=(1, 0))
    patched(path, PIXDIM + 4, "3f", *zooms)
    read = read_ct(path)
    np.testing.assert_allclose(read.spacing_mm, (2, 2.5, 3), rtol=1e-5)
    assert any("contradicts itself" in note and f"multiplied by {factor}" in note for note in read.notes)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("big_endian", [False, True])
def test_a_pair(big_endian, ending, ct, tmp_path):
    header = nib.nifti1.Nifti1PairHeader(endianness=">" if big_endian else "<")
    header.set_data_dtype(np.int16)
    nib.save(nib.Nifti1Pair(ct.hu, ct.affine, header), tmp_path / f"ct.img{ending}")
    for source in (tmp_path, tmp_path / f"ct.hdr{ending}", tmp_path / f"ct.img{ending}", sorted(tmp_path.iterdir())):
        read = read_ct(source)
        np.testing.assert_array_equal(read.hu, ct.hu)
        np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    with zipfile.ZipFile(tmp_path / "pair.zip", "w") as archive:
        for file in tmp_path.glob("ct.*"):
            archive.write(file, f"scan/{file.name}")
    np.testing.assert_array_equal(read_ct(tmp_path / "pair.zip").hu, ct.hu)


@pytest.mark.parametrize(
    ("gone", "match"), [("ct.img", "without its .img"), ("ct.hdr", r"without their header.*\.hdr")]
)
def test_half_a_pair_says_what_lacks(gone, match, ct, tmp_path):
    nib.save(nib.Nifti1Pair(ct.hu, ct.affine), tmp_path / "ct.img")
    (tmp_path / gone).unlink()
    with pytest.raises(CTReadError, match=match):
        read_ct(next(tmp_path.iterdir()))


@pytest.mark.parametrize("junk", [b"\0" * 700, b"signature of a pacs", b"x" * 70_000])
def test_bytes_after_a_gzip_member(junk, ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii.gz", ct.hu, ct.affine)
    path.write_bytes(path.read_bytes() + junk)
    read = read_ct(path)
    np.testing.assert_array_equal(read.hu, ct.hu)
    assert any("follow the compressed volume" in note for note in read.notes) == bool(junk.strip(b"\0"))


def test_several_gzip_members(ct, tmp_path):
    data = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine).read_bytes()
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(data[:5000]) + gzip.compress(data[5000:]))
    np.testing.assert_array_equal(read_ct(tmp_path / "ct.nii.gz").hu, ct.hu)


def test_a_wrong_check_sum_is_still_refused(ct, tmp_path):
    path = write_nifti(tmp_path / "ct.nii.gz", ct.hu, ct.affine)
    data = bytearray(path.read_bytes())
    data[-8] ^= 0xFF
    path.write_bytes(data + b"junk")
    with pytest.raises(CTReadError, match="damaged"):
        read_ct(path)
