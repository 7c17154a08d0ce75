"""The files handed out in ``../shared/cases``: each is made by its own program and read as it says is right."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from medvl.ct.masks import Mask
from medvl.errors import ExportError
from medvl.jobs.spread import find_inputs
from medvl.readers import read_ct
from medvl.readers.isolated import read_isolated
from medvl.writers.dicom_seg import save_dicom_seg
from medvl.writers.nifti import save_mask

from ...conftest import SHARED

CASES = SHARED / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases, which is not in the repository")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of a case, made once."""
    done = {}

    def make(name):
        if name not in done:
            folder = tmp_path_factory.mktemp(name) / "input"
            subprocess.run([sys.executable, CASES / name / "make.py", folder], check=True, timeout=120)
            done[name] = folder
        return done[name]

    return make


@pytest.fixture(params=[read_ct, read_isolated], ids=["here", "in a child"])
def read(request):
    return request.param


def said(ct, *words):
    return any(all(word in note for word in words) for note in ct.notes)


def body(ct):
    """Median of what is body, a slice, without what the phantom adds from slice to slice."""
    medians = [np.median(plane[plane > -500]) for plane in np.moveaxis(ct.hu, 2, 0)]
    return np.array(medians) - 40 - 2 * np.arange(len(medians))


def cube_in_itk(path_or_image):
    """Centre in LPS mm of all voxels of an image above 600, or of a mask's."""
    image = path_or_image if isinstance(path_or_image, sitk.Image) else sitk.ReadImage(str(path_or_image))
    array = sitk.GetArrayFromImage(image)
    voxels = np.argwhere(array > (600 if array.max() > 1 else 0))[:, ::-1].mean(axis=0)
    return np.array(image.TransformContinuousIndexToPhysicalPoint(voxels.tolist()))


@pytest.mark.parametrize("name", ["two_phases_one_series", "two_scans_half_offset", "enhanced_phases_position_fastest"])
def test_one_scan_of_two(name, made, read):
    ct = read(made(name))
    assert ct.shape[2] == (16 if name.startswith("enhanced") else 20)
    assert set(body(ct)) in ({0}, {150})
    assert abs(ct.spacing_mm[2] - 3) < 1e-4
    assert said(ct, "2 scans")
    other = next(choice.id for choice in ct.series if not choice.opened)
    assert set(body(read(made(name), series=other))) | set(body(ct)) == {0, 150}


def test_positions_differ_so_they_are_no_copies(made, read, tmp_path):
    ct = read(made("dup_sop_detail"))
    assert ct.shape[2] == 20
    assert ct.hu[10:14, 20:24, 7].max() == 400
    assert said(ct, "one identifier")
    with pytest.raises(ExportError, match="same identifier"):
        save_dicom_seg([Mask.from_array(ct.hu > 600)], ct, tmp_path / "s.dcm")


def test_a_pair_of_header_and_voxels(made, read):
    folder = made("hdr_img_pair")
    for what in (folder, folder / "ct.img", folder / "ct.hdr"):
        assert read(what).shape == (40, 36, 20)


def test_values_that_are_no_hounsfield_units(made, read):
    ct = read(made("iodine_noise"))
    assert "MGML" in ct.hu_note
    assert said(ct, "no Hounsfield units", "MGML")


def test_names_with_other_letters(made, read):
    folder = made("mhd_nonascii_raw")
    for what in (folder, next(folder.glob("*.mhd"))):
        ct = read(what)
        assert ct.shape == (20, 18, 12)
        np.testing.assert_allclose(ct.spacing_mm, (2, 2, 3))


def test_an_offset_beside_padding(made, read):
    ct = read(made("offset_1024_padding"))
    assert "shifted by 1024" in ct.hu_note
    assert ct.notes[0] == ct.hu_note


def test_slices_that_lean_a_little(made, read, tmp_path):
    ct = read(made("orient_noisy"))
    save_mask(Mask.from_array(ct.hu > 600), ct, tmp_path / "m.nii.gz")
    np.testing.assert_allclose(cube_in_itk(tmp_path / "m.nii.gz"), (-12, -10, 10.5), atol=0.5)


def test_unsigned_padding(made, read):
    ct = read(made("padding_unsigned"))
    assert (ct.hu.max(), ct.hu.min()) == (730, -1024)
    assert said(ct, "7520", "PixelPaddingValue")


def test_pixdim_of_zero(made, read):
    ct = read(made("pixdim_zero_sform_good"))
    np.testing.assert_allclose(ct.spacing_mm, (2, 2, 3))
    assert said(ct, "pixdim", "sform")


def test_two_forms(made, read, tmp_path):
    source = made("sform_qform_differ") / "ct.nii.gz"
    ct = read(source)
    save_mask(Mask.from_array(ct.hu > 600), ct, tmp_path / "m.nii.gz")
    np.testing.assert_allclose(cube_in_itk(source), (-14, -12, 10.5), atol=1e-3)
    np.testing.assert_allclose(cube_in_itk(tmp_path / "m.nii.gz"), cube_in_itk(source), atol=1e-3)


def test_sform_against_pixdim(made, read):
    assert said(read(made("sform_scale_unit")), "contradicts itself", "multiplied by 12")


def test_one_series_in_several_folders(made, read):
    folder = made("split_folders_dicomdir")
    (found,) = find_inputs(folder)
    assert len(found.paths) == 20
    assert read(folder).shape == read(list(found.paths)).shape == (40, 36, 20)


def test_identifiers_that_are_too_long(made, read):
    ct = read(made("uid_long"))
    assert ct.shape == (40, 36, 20)
    assert (ct.hu.min(), ct.hu.max()) == (-1000, 730)
