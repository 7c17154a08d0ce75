"""Files that end a reader, hang it or take its memory: one clear error each, and the process goes on."""

from __future__ import annotations

import contextlib
import lzma
import zipfile

import numpy as np
import pytest

from medvl.errors import CTReadError
from medvl.readers import read_ct
from medvl.readers.isolated import read_isolated

from ...conftest import SHARED
from ...phantoms import phantom, write_itk

HOSTILE = SHARED / "cases" / "hostile"


@pytest.fixture(scope="module")
def ct():
    return phantom((20, 18, 16))


@pytest.mark.skipif(not HOSTILE.is_dir(), reason="no ../shared/cases/hostile")
@pytest.mark.parametrize("name", ["dicom_743MB_8091", "dicom_jpeg_5044", "mha_ndims8192.mha", "nrrd_units2000.nrrd"])
def test_handed_files(name):
    """A clear error, or the scan where the fault is in a field that is not needed; and little memory either way."""
    claims = []
    with contextlib.suppress(CTReadError):
        assert read_isolated(HOSTILE / name, claim=claims.append).notes == ()
    assert max(claims) < 256 << 20


def edited(path, before: bytes, after: bytes):
    data = path.read_bytes()
    assert before in data
    path.write_bytes(data.replace(before, after, 1))
    return path


@pytest.mark.parametrize("count", [0, 9, 16, 17, 255, 8192, 99999])
def test_impossible_dimensions(ct, tmp_path, count):
    mha = edited(write_itk(tmp_path / "ct.mha", ct.hu, ct.affine), b"NDims = 3", b"NDims = %d" % count)
    nrrd = edited(write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine), b"dimension: 3", b"dimension: %d" % count)
    for path in (mha, nrrd):
        with pytest.raises(CTReadError, match="dimensions"):
            read_ct(path)


@pytest.mark.parametrize(
    "line",
    [
        b'units: "' + b"a" * 3000 + b'" "" ""',
        b"units: " + b'"a" ' * 2000,
        b"spacings: " + b"1 " * 500,
        b"space directions: " + b"(1,0,0) " * 400,
        b"labels: " + b"x " * 400,
        b"axis mins: " + b"0 " * 17,
        b"kinds: " + b"domain " * 40,
        b"centers: " + b"cell " * 40,
        b"line skip: " + b"z" * 9000,
        b"unknown field: " + b"little " * 300,
    ],
)
def test_nrrd_fields_with_too_many_values(ct, tmp_path, line):
    path = edited(write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine), b"\nencoding", b"\n" + line + b"\nencoding")
    with pytest.raises(CTReadError, match="header"):
        read_ct(path)


@pytest.mark.parametrize("key", [b"ElementSpacing", b"Offset", b"TransformMatrix", b"DimSize", b"CenterOfRotation"])
def test_metaimage_fields_with_too_many_values(ct, tmp_path, key):
    path = write_itk(tmp_path / "ct.mha", ct.hu, ct.affine)
    path.write_bytes(path.read_bytes().replace(key + b" = ", key + b" = " + b"1 " * 300, 1))
    with pytest.raises(CTReadError, match="header"):
        read_ct(path)


@pytest.mark.parametrize("line", [b"NDims: 1e308", b"NDims:8192", b"DimSize: 20 18 12"])
def test_a_colon_is_an_equals_sign_of_metaimage(ct, tmp_path, line):
    """A second number of dimensions that the header's check reads over keeps ITK busy for minutes."""
    path = write_itk(tmp_path / "ct.mha", ct.hu, ct.affine)
    edited(path, b"DimSize = ", line + b"\nDimSize = ")
    with pytest.raises(CTReadError, match="twice"):
        read_isolated(path)


def test_long_free_text_is_no_fault(ct, tmp_path):
    """Slicer writes long key/value pairs and comments."""
    more = b"\nnote:=" + b"x" * 30_000 + b"\n# " + b"y" * 3000 + b"\ncontent: a CT"
    path = edited(write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine), b"\nencoding", more + b"\nencoding")
    for read in (read_ct, read_isolated):
        np.testing.assert_array_equal(read(path).hu, ct.hu)


def test_errors_of_libraries_are_the_packages_own(tmp_path, ct):
    """A zip whose LZMA member is damaged; what the decompressor says does not get out."""
    with zipfile.ZipFile(tmp_path / "ct.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.write(write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine), "ct.nrrd")
    data = bytearray((tmp_path / "ct.zip").read_bytes())
    data[60:90] = b"\xff" * 30
    (tmp_path / "ct.zip").write_bytes(data)
    for read in (read_ct, read_isolated):
        with pytest.raises(CTReadError) as error:
            read(tmp_path / "ct.zip")
        assert error.value.__cause__ is None
        assert not isinstance(error.value, lzma.LZMAError)


def test_no_cause_that_quotes_the_header(ct, tmp_path):
    path = edited(write_itk(tmp_path / "ct.nrrd", ct.hu, ct.affine), b"type: short", b"type: DOE^JOHN")
    with pytest.raises(CTReadError) as error:
        read_ct(path)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__
    assert "DOE" not in str(error.value)
