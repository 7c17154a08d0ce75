"""What people upload by mistake or on purpose: wrong files, wrong zips, bombs; and that nothing is left behind."""

import io
import os
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medvl.errors import CTReadError
from medvl.readers import read_ct

from ...phantoms import Phantom, phantom, write_dicom_series, write_itk, write_nifti, zip_folder


@pytest.fixture(scope="module")
def ct() -> Phantom:
    return phantom((20, 18, 16))


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory, monkeypatch) -> Path:
    """A temporary folder of its own, which must be empty again afterwards."""
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("empty.nii.gz", b"", "empty"),
        ("empty.zip", b"", "empty"),
        ("tiny.dcm", b"abc", "too short"),
        ("text.nii", b"hello " * 500, "not a CT volume"),
        ("noise.bin", bytes(range(1, 256)) * 20, "not a CT volume"),
        ("zeros.nii", bytes(5000), "not a CT volume"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(500), "PNG picture"),
        ("a.nii", b"\xff\xd8\xff\xe0" + bytes(500), "JPEG picture"),
        ("a.tif", b"II*\0" + bytes(500), "TIFF"),
        ("a.pdf", b"%PDF-1.7" + bytes(500), "PDF"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(500), "7z archive"),
        ("a.rar", b"Rar!\x1a\x07" + bytes(500), "RAR"),
        ("page.nii.gz", b"<!DOCTYPE html>" + b"x" * 500, "web page"),
        ("lfs.nii.gz", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        ("a.nii.gz", b"\x1f\x8b\x08" + bytes(range(200)), "gzip"),
        ("analyze.hdr", struct.pack("<i", 348) + bytes(344), "Analyze"),
        ("pair.hdr", struct.pack("<i", 348) + bytes(340) + b"ni1\0", "two-file NIfTI"),
        ("a.tar", bytes(257) + b"ustar" + bytes(300), "tar archive"),
    ],
)
def test_not_a_volume(name, data, match, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CTReadError, match=match) as error:
        read_ct(tmp_path / name)
    assert str(tmp_path) not in str(error.value)


def test_no_such_file_empty_folder_and_empty_list(tmp_path):
    with pytest.raises(CTReadError, match="no such file"):
        read_ct(tmp_path / "nowhere.nii")
    with pytest.raises(CTReadError, match="no files"):
        read_ct(tmp_path)
    with pytest.raises(CTReadError, match="no files"):
        read_ct([])


def test_folder_and_list_of_wrong_files(tmp_path):
    (tmp_path / "a.txt").write_text("a" * 600)
    (tmp_path / "b.txt").write_text("b" * 600)
    with pytest.raises(CTReadError, match="None of the 2 files"):
        read_ct(tmp_path)


def test_several_volumes(ct, tmp_path):
    files = [write_nifti(tmp_path / f"{n}.nii.gz", ct.hu, ct.affine) for n in "ab"]
    with pytest.raises(CTReadError, match="2 volumes"):
        read_ct(files)


@pytest.mark.parametrize("write", [write_nifti, write_itk])
def test_zip_of_one_volume(write, ct, tmp_path):
    name = "ct.nii.gz" if write is write_nifti else "ct.nrrd"
    data = write(tmp_path / name, ct.hu, ct.affine).read_bytes()
    members = {f"folder/{name}": data, "notes.txt": b"hello", f"__MACOSX/._{name}": b"\0" * 400}
    np.testing.assert_array_equal(read_ct(zipped(tmp_path / "a.zip", **members)).hu, ct.hu)


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ({}, "empty"),
        ({"a.txt": b"hello" * 200, "b.png": b"\x89PNG" + bytes(600)}, "no CT"),
        ({"empty.dcm": b""}, "no CT"),
        ({"../evil.nii": b"x" * 500}, "outside"),
        ({"/etc/evil.nii": b"x" * 500}, "outside"),
        ({"a\\..\\..\\evil.nii": b"x" * 500}, "outside"),
        ({"C:/evil.nii": b"x" * 500}, "outside"),
    ],
)
def test_wrong_zips(members, match, tmp_path):
    with pytest.raises(CTReadError, match=match):
        read_ct(zipped(tmp_path / "a.zip", **members))


def test_zip_in_a_zip(ct, tmp_path):
    inner = zip_folder(write_dicom_series(tmp_path / "d", ct.hu, ct.affine), tmp_path / "inner.zip").read_bytes()
    with pytest.raises(CTReadError, match="another zip"):
        read_ct(zipped(tmp_path / "outer.zip", **{"inner.zip": inner}))


def test_encrypted_zip(ct, tmp_path):
    path = zipped(tmp_path / "a.zip", **{"a.nii": b"x" * 500})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(CTReadError, match="password"):
        read_ct(path)


@pytest.mark.parametrize("keep", [10, 200, -40])
def test_zip_cut_short(keep, ct, tmp_path):
    path = zip_folder(write_dicom_series(tmp_path / "d", ct.hu, ct.affine), tmp_path / "d.zip")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CTReadError, match="damaged"):
        read_ct(path)


def test_damaged_member(ct, tmp_path):
    nifti = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine).read_bytes()
    path = zipped(tmp_path / "a.zip", **{"ct.nii": nifti})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CTReadError, match="damaged"):
        read_ct(path)


def test_unknown_packing_method(tmp_path):
    path = zipped(tmp_path / "a.zip", **{"a.nii": b"x" * 500})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", data, data.index(signature) + offset, 9)
    path.write_bytes(data)
    with pytest.raises(CTReadError, match="packing method"):
        read_ct(path)


def bomb(path: Path, megabytes: int, head: bytes = b"") -> Path:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.nii", "w", force_zip64=True) as out,
    ):
        out.write(head)
        for _ in range(megabytes):
            out.write(bytes(1 << 20))
    return path


def test_zip_bomb_by_ratio_and_by_size(ct, tmp_path):
    head = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine).read_bytes()[:400]
    with pytest.raises(CTReadError, match="zip bomb"):
        read_ct(bomb(tmp_path / "ratio.zip", 80, head))
    with pytest.raises(CTReadError, match="limit"):
        read_ct(bomb(tmp_path / "size.zip", 20, head), max_bytes=10_000_000)


def test_zip_that_lies_about_its_sizes(ct, tmp_path):
    head = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine).read_bytes()[:400]
    path = bomb(tmp_path / "a.zip", 20, head)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 1000)
    path.write_bytes(data)
    with pytest.raises(CTReadError):
        read_ct(path, max_bytes=10_000_000)


def test_too_many_members(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(20_001):
            archive.writestr(zipfile.ZipInfo(f"{n}"), b"")
    with pytest.raises(CTReadError, match="20001 files"):
        read_ct(path)


def test_symlinks_in_a_zip_are_not_followed(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("ct.nii")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, b"/etc/hostname")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    with pytest.raises(CTReadError, match="no CT"):
        read_ct(tmp_path / "a.zip")


def test_gzip_bomb_reads_only_what_the_header_declares(ct, tmp_path):
    import gzip

    head = write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine).read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(head + bytes(200 << 20), 1))
    np.testing.assert_array_equal(read_ct(tmp_path / "a.nii.gz").hu, ct.hu)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_special_files_in_a_folder_are_skipped(ct, tmp_path):
    write_nifti(tmp_path / "ct.nii", ct.hu, ct.affine)
    os.mkfifo(tmp_path / "pipe")
    np.testing.assert_array_equal(read_ct(tmp_path).hu, ct.hu)
