"""NRRD and MetaImage: voxels, mm, detached data, and bad headers."""

import gzip
import re
import shutil
import unicodedata
import zipfile
import zlib

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from medvl.errors import CTReadError
from medvl.readers import read_ct

from ...phantoms import Phantom, phantom, reorient, write_itk

FORMATS = {".nrrd": "NRRD", ".nhdr": "NRRD", ".mha": "MetaImage", ".mhd": "MetaImage"}


@pytest.fixture(scope="module")
def ct() -> Phantom:
    return phantom((20, 18, 16), degrees=(6, -4, 9))


def replaced(path, pattern: bytes, by: bytes) -> None:
    data = path.read_bytes()
    changed = re.sub(pattern, by, data, count=1)
    assert changed != data
    path.write_bytes(changed)


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "SAR", "PIR"])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("ext", FORMATS)
def test_same_voxels_and_mm(ext, compress, axcodes, ct, tmp_path):
    stored, affine = reorient(ct.hu, ct.affine, axcodes)
    read = read_ct(write_itk(tmp_path / f"ct{ext}", stored, affine, compress))
    np.testing.assert_array_equal(read.hu, ct.hu)
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    np.testing.assert_allclose(read.source.affine, affine, atol=1e-4)
    assert read.source.shape == stored.shape
    assert read.file_format == FORMATS[ext]
    assert read.notes == ()


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("ext", [".nrrd", ".mha"])
def test_stored_types(ext, dtype, ct, tmp_path):
    hu = np.maximum(ct.hu, 0) if dtype == np.uint16 else ct.hu
    read = read_ct(write_itk(tmp_path / f"ct{ext}", hu.astype(dtype), ct.affine))
    np.testing.assert_array_equal(read.hu, hu)


def test_metaimage_slope_and_offset(ct, tmp_path):
    path = write_itk(tmp_path / "ct.mha", (ct.hu + 1024) // 2, ct.affine)
    replaced(
        path,
        b"ElementDataFile",
        b"ElementToIntensityFunctionSlope = 2\nElementToIntensityFunctionOffset = -1024\n\\g<0>",
    )
    np.testing.assert_array_equal(read_ct(path).hu, (ct.hu + 1024) // 2 * 2 - 1024)


def test_the_name_does_not_matter(ct, tmp_path):
    for ext in (".nrrd", ".mha"):
        path = write_itk(tmp_path / f"ct{ext}", ct.hu, ct.affine).rename(tmp_path / f"blob{ext[1]}")
        np.testing.assert_array_equal(read_ct(path).hu, ct.hu)


@pytest.mark.parametrize("ext", [".nhdr", ".mhd"])
def test_header_and_data_as_two_uploads_in_folders_of_their_own(ext, ct, tmp_path):
    header = write_itk(tmp_path / f"ct{ext}", ct.hu, ct.affine)
    data = next(p for p in tmp_path.iterdir() if p != header)
    moved = []
    for file in (header, data):
        (tmp_path / file.suffix).mkdir()
        moved.append(file.rename(tmp_path / file.suffix / file.name))
    np.testing.assert_array_equal(read_ct(moved).hu, ct.hu)
    with pytest.raises(CTReadError, match="without its data file"):
        read_ct(moved[0])


@pytest.mark.parametrize("ext", FORMATS)
def test_in_a_zip(ext, ct, tmp_path):
    (tmp_path / "in").mkdir()
    write_itk(tmp_path / "in" / f"ct{ext}", ct.hu, ct.affine)
    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as archive:
        archive.writestr("scan/readme.txt", "hello")
        for file in (tmp_path / "in").iterdir():
            archive.write(file, f"scan/{file.name}")
    np.testing.assert_array_equal(read_ct(tmp_path / "ct.zip").hu, ct.hu)


@pytest.mark.parametrize("name", [b"/etc/hostname", b"../secret.raw", b"..\\\\secret.raw", b"LIST", b"s%03d.raw 1 9 1"])
@pytest.mark.parametrize("ext", [".nhdr", ".mhd"])
def test_a_header_cannot_point_elsewhere(ext, name, ct, tmp_path):
    path = write_itk(tmp_path / f"ct{ext}", ct.hu, ct.affine)
    replaced(path, b"(?<=data file: ).*" if ext == ".nhdr" else b"(?<=ElementDataFile = ).*", name)
    with pytest.raises(CTReadError, match=r"another folder|several data files"):
        read_ct(path)


@pytest.mark.parametrize("line", [b"ElementDataFile: /etc/hostname\n", b"elementdatafile = /etc/hostname\n"])
def test_a_header_cannot_smuggle_a_second_data_file(line, ct, tmp_path):
    path = write_itk(tmp_path / "ct.mha", ct.hu, ct.affine)
    replaced(path, b"ElementDataFile", line + b"ElementDataFile")
    with pytest.raises(CTReadError, match="damaged"):
        read_ct(path)


@pytest.mark.parametrize("keep", [8, 60, 200, 2000, -20, -300])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("ext", [".nrrd", ".mha"])
def test_cut_short(ext, compress, keep, ct, tmp_path):
    path = write_itk(tmp_path / f"ct{ext}", ct.hu, ct.affine, compress)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CTReadError) as error:
        read_ct(path)
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize("ext", [".nrrd", ".mha"])
@pytest.mark.parametrize(
    ("size", "match"),
    [(b"1000000 1000000 1000000", "8192"), (b"2000 2000 2000", "million"), (b"400 400 400", "cut short"),
     (b"20 -18 16", "impossible"), (b"20 18 1", "single slice")],
)  # fmt: skip
def test_absurd_sizes(ext, size, match, ct, tmp_path):
    path = write_itk(tmp_path / f"ct{ext}", ct.hu, ct.affine)
    replaced(path, b"20 18 16", size)
    with pytest.raises(CTReadError, match=match):
        read_ct(path)


def test_zero_spacing(ct, tmp_path):
    path = write_itk(tmp_path / "ct.mha", ct.hu, ct.affine)
    replaced(path, b"ElementSpacing = .*", b"ElementSpacing = 2 0 3")
    with pytest.raises(CTReadError, match="spacing"):
        read_ct(path)
    path = write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine)
    replaced(path, b"space directions: .*", b"space directions: (2,0,0) (0,0,0) (0,0,3)")
    with pytest.raises(CTReadError, match="spacing"):
        read_ct(path)


def test_axes_in_one_plane(ct, tmp_path):
    path = write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine)
    replaced(path, b"space directions: .*", b"space directions: (2,0,0) (2,0,0) (0,0,3)")
    with pytest.raises(CTReadError, match="one plane"):
        read_ct(path)


@pytest.mark.parametrize("ext", [".nrrd", ".mha"])
def test_colour_2d_and_4d(ext, tmp_path):
    rgb = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    sitk.WriteImage(rgb, str(tmp_path / f"rgb{ext}"))
    with pytest.raises(CTReadError, match="colours"):
        read_ct(tmp_path / f"rgb{ext}")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 6), np.int16)), str(tmp_path / f"flat{ext}"))
    with pytest.raises(CTReadError, match="2-D"):
        read_ct(tmp_path / f"flat{ext}")
    four = sitk.GetImageFromArray(np.zeros((2, 4, 5, 6), np.int16), isVector=False)
    sitk.WriteImage(four, str(tmp_path / f"four{ext}"))
    with pytest.raises(CTReadError, match="4 dimensions"):
        read_ct(tmp_path / f"four{ext}")


@pytest.mark.parametrize("ext", [".nrrd", ".mha"])
def test_fourth_dimension_of_one(ext, ct, tmp_path):
    image = sitk.GetImageFromArray(np.ascontiguousarray(ct.hu.T)[None], isVector=False)
    image.SetSpacing((2, 2.5, 3, 1))
    sitk.WriteImage(image, str(tmp_path / f"ct{ext}"))
    read = read_ct(tmp_path / f"ct{ext}")
    np.testing.assert_array_equal(np.sort(read.hu, axis=None), np.sort(ct.hu, axis=None))
    np.testing.assert_allclose(read.spacing_mm, (2, 2.5, 3))


def test_unknown_orientation_is_told(ct, tmp_path):
    path = write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine)
    replaced(path, b"space: .*", b"space dimension: 3")
    assert any("assumed" in note for note in read_ct(path).notes)
    path = write_itk(tmp_path / "ct.mha", ct.hu, ct.affine)
    replaced(path, b"TransformMatrix = .*\n", b"")
    assert any("assumed" in note for note in read_ct(path).notes)


@pytest.mark.parametrize(("ext", "line"), [(".nrrd", b"space directions: .*"), (".mha", b"ElementSpacing = .*\n")])
def test_unknown_spacing_is_told(ext, line, ct, tmp_path):
    path = write_itk(tmp_path / f"ct{ext}", ct.hu, ct.affine)
    if ext == ".nrrd":
        replaced(path, b"space: .*\n", b"")
        replaced(path, b"space origin: .*\n", b"")
    replaced(path, line, b"# none" if ext == ".nrrd" else b"")
    read = read_ct(path)
    np.testing.assert_allclose(read.spacing_mm, 1)
    assert any("voxel spacing" in note for note in read.notes)


def test_nan(ct, tmp_path):
    with pytest.raises(CTReadError, match="NaN"):
        read_ct(write_itk(tmp_path / "ct.nrrd", np.full(ct.hu.shape, np.nan, np.float32), ct.affine))


def test_limits(ct, tmp_path):
    path = write_itk(tmp_path / "ct.nrrd", ct.hu.astype(np.float64), ct.affine, compress=True)
    with pytest.raises(CTReadError, match="limit"):
        read_ct(path, max_bytes=path.stat().st_size + 100)
    with pytest.raises(CTReadError, match="million voxels"):
        read_ct(path, max_voxels=5000)


# ---- units, list axes, names of data files


@pytest.mark.parametrize(
    ("unit", "mm"), [("mm", 1), ("cm", 10), ("m", 1000), ("um", 1e-3), ("\N{MICRO SIGN}m", 1e-3), ("Millimeters", 1)]
)
def test_nrrd_space_units(unit, mm, ct, tmp_path):
    affine = ct.affine.copy()
    affine[:3] /= mm
    path = write_itk(tmp_path / "ct.nrrd", ct.hu, affine)
    line = " ".join([f'"{unit}"'] * 3).encode()
    replaced(path, b"space origin", b"space units: " + line + b"\nspace origin")
    read = read_ct(path)
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-3)
    assert any("converted to mm" in note for note in read.notes) == (mm != 1)


@pytest.mark.parametrize("unit", [b'"inch" "inch" "inch"', b'"mm" "mm" "ms"'])
def test_units_that_are_no_known_length_are_refused(unit, ct, tmp_path):
    path = write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine)
    replaced(path, b"space origin", b"space units: " + unit + b"\nspace origin")
    with pytest.raises(CTReadError, match="no known length"):
        read_ct(path)


def test_units_of_spacings_and_of_metaimage(ct, tmp_path):
    header = b'NRRD0004\ntype: short\ndimension: 3\nsizes: 20 18 16\nspacings: 0.2 0.25 0.3\nunits: "cm" "cm" "cm"\n'
    (tmp_path / "ct.nrrd").write_bytes(header + b"encoding: raw\nendian: little\n\n" + ct.hu.tobytes(order="F"))
    np.testing.assert_allclose(read_ct(tmp_path / "ct.nrrd").spacing_mm, (2, 2.5, 3))
    affine = ct.affine.copy()
    affine[:3] /= 10
    path = write_itk(tmp_path / "ct.mha", ct.hu, affine)
    replaced(path, b"ElementDataFile", b"DistanceUnits = cm\nElementDataFile")
    np.testing.assert_allclose(read_ct(path).affine, ct.affine, atol=1e-3)


def test_units_that_make_no_sense_are_taken_as_mm(ct, tmp_path):
    path = write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine)
    replaced(path, b"space origin", b'space units: "m" "m" "m"\nspace origin')
    read = read_ct(path)
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)
    assert any("only make sense in mm" in note for note in read.notes)


@pytest.mark.parametrize("kind", [b"list", b"vector", b"time", b"none", b"domain", None])
@pytest.mark.parametrize("axis", [0, 2, 3])
def test_an_axis_of_one_entry_is_dropped(axis, kind, ct, tmp_path):
    path = write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine)
    data = path.read_bytes()

    def inserted(line: bytes, word: bytes) -> bytes:
        key, values = re.search(line + rb": ([^\n]*)", data).group(0).split(b": ")
        words = re.findall(rb"\([^)]*\)|\S+", values)
        return key + b": " + b" ".join([*words[:axis], word, *words[axis:]])

    changed = data.replace(b"dimension: 3", b"dimension: 4", 1)
    for line, word in ((rb"sizes", b"1"), (rb"space directions", b"none"), (rb"kinds", kind or b"???")):
        new = inserted(line, word).replace(b"\\", rb"\\")
        changed = re.sub(line + rb": [^\n]*", new, changed, count=1)
    if kind is None:
        changed = re.sub(rb"kinds: [^\n]*\n", b"", changed, count=1)
    path.write_bytes(changed)
    read = read_ct(path)
    np.testing.assert_array_equal(read.hu, ct.hu)
    np.testing.assert_allclose(read.affine, ct.affine, atol=1e-4)


@pytest.mark.parametrize("coding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("name", ["Größe 1 é", "CT (1) [a], b", "断层", "plain"])
@pytest.mark.parametrize("ext", [".nhdr", ".mhd"])
def test_data_files_under_any_name(ext, name, coding, ct, tmp_path):
    try:
        spelt = name.encode(coding)
    except UnicodeEncodeError:
        pytest.skip("not a name in this coding")
    (tmp_path / "written").mkdir()
    header = write_itk(tmp_path / "written" / f"ct{ext}", ct.hu, ct.affine)
    data = next(p for p in header.parent.iterdir() if p != header)
    replaced(header, re.escape(data.name.encode()), spelt + b".raw")
    for form in ("NFC", "NFD", "stripped"):
        folder = tmp_path / form
        folder.mkdir()
        stem = "".join(c for c in name if c.isalnum() or c in "._- ") if form == "stripped" else name
        stem = stem if form == "stripped" else unicodedata.normalize(form, stem)
        copies = [shutil.copyfile(header, folder / f"{stem}{ext}"), shutil.copyfile(data, folder / f"{stem}.raw")]
        for source in (folder, copies[0], copies):
            np.testing.assert_array_equal(read_ct(source).hu, ct.hu)


def packed_metaimage(path, ct, stream, more=""):
    """A compressed MetaImage of a stream, whatever that is."""
    sizes, steps = " ".join(map(str, ct.hu.shape)), " ".join(map(str, np.linalg.norm(ct.affine[:3, :3], axis=0)))
    path.write_bytes(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"CompressedData = True\n{more}"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
        f"ElementSpacing = {steps}\nDimSize = {sizes}\n"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n".encode()
        + stream
    )
    return path


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
@pytest.mark.parametrize("size", [None, 0, 100, 10**6])
def test_a_packed_metaimage_needs_no_length_of_its_stream(size, pack, ct, tmp_path):
    """With none, or a wrong one, ITK gives whatever lies in its memory."""
    more = "" if size is None else f"CompressedDataSize = {size}\n"
    read = read_ct(packed_metaimage(tmp_path / "ct.mha", ct, pack(ct.hu.tobytes(order="F")), more))
    assert sorted(np.unique(read.hu)) == sorted(np.unique(ct.hu))
    np.testing.assert_array_equal(read.hu, ct.hu[::-1, ::-1])  # its axes go to the left and to the back


@pytest.mark.parametrize("ext", [".mha", ".nrrd"])
@pytest.mark.parametrize("share", [0.4, 0.6, 0.8, 0.99])
def test_a_damaged_stream_gives_no_voxels(share, ext, ct, tmp_path):
    noise = np.random.default_rng(2).integers(-9, 9, ct.hu.shape).astype(np.int16)
    path = write_itk(tmp_path / f"ct{ext}", ct.hu + noise, ct.affine, compress=True)
    data = bytearray(path.read_bytes())
    at = int(share * len(data))
    data[at : at + 4] = bytes(b ^ 0x5A for b in data[at : at + 4])
    path.write_bytes(data)
    with pytest.raises(CTReadError, match="damaged"):
        read_ct(path)


@pytest.mark.parametrize("factor", [0.9, 2])
def test_a_stream_of_another_length_is_refused(factor, ct, tmp_path):
    plain = ct.hu.tobytes(order="F")
    stream = zlib.compress((plain * 2)[: int(factor * len(plain))])
    with pytest.raises(CTReadError, match=r"damaged|cut short"):
        read_ct(packed_metaimage(tmp_path / "ct.mha", ct, stream))


@pytest.mark.parametrize("ext", [".mhd", ".nhdr"])
def test_more_in_a_data_file_than_voxels_is_told(ext, ct, tmp_path):
    path = write_itk(tmp_path / f"ct{ext}", ct.hu, ct.affine)
    raw = tmp_path / "ct.raw"
    raw.write_bytes(bytes(100) + raw.read_bytes())
    assert any("100 bytes longer" in note for note in read_ct(path).notes)
    skip = b"HeaderSize = 100\nElementDataFile" if ext == ".mhd" else b"byte skip: 100\ndata file"
    replaced(path, b"ElementDataFile" if ext == ".mhd" else b"data file", skip)
    read = read_ct(path)
    assert read.notes == ()
    np.testing.assert_array_equal(read.hu, ct.hu)


@pytest.mark.parametrize(
    ("before", "after", "match"),
    [
        (b"encoding: raw", b"encoding: bzip2", "bzip2"),
        (b"endian: little\n", b"", "byte order"),
        (b"space directions:", b"axis mins: 0 0 0\naxis maxs: 9 9 9\n# directions:", "ends of its axes"),
    ],
)
def test_what_nrrd_has_and_is_not_read_is_named(before, after, match, ct, tmp_path):
    path = write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine)
    replaced(path, before, after)
    with pytest.raises(CTReadError, match=match):
        read_ct(path)


def test_nrrd_fields_in_capitals(ct, tmp_path):
    path = write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine)
    replaced(path, b"sizes:", b"Sizes:")
    np.testing.assert_array_equal(read_ct(path).hu, ct.hu)


def test_another_modality_of_a_metaimage_is_said(ct, tmp_path):
    path = write_itk(tmp_path / "ct.mha", ct.hu, ct.affine)
    replaced(path, b"NDims", b"Modality = MET_MOD_MR\nNDims")
    assert "MR, not CT" in read_ct(path).hu_note
    replaced(path, b"MET_MOD_MR", b"MET_MOD_CT")
    assert read_ct(path).hu_note == ""


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("first", ["a", "z"])
def test_the_data_file_of_the_headers_own_folder(first, packed, ct, tmp_path):
    for name, hu in (("m", ct.hu), (first, ct.hu[::-1])):
        (tmp_path / "scans" / name).mkdir(parents=True)
        header = write_itk(tmp_path / "scans" / name / "ct.mhd", hu, ct.affine)
    header.unlink()  # the other folder has voxels of the same name only
    path = tmp_path / "scans"
    if packed:
        path = tmp_path / "scans.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted((tmp_path / "scans").rglob("*.*")):
                archive.write(file, file.relative_to(tmp_path))
    np.testing.assert_array_equal(read_ct(path).hu, ct.hu)
