"""What readers hand over: orientation, other grids, arrays without an affine, and errors that name the file."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from medvl.training.datasets.samples import (
    DatasetError,
    Image,
    MaskSource,
    Sample,
    Turn,
    grid_of,
    read_image,
    read_masks,
)

from ..folders import LPS, RAS, body, centre, cube, labelled, save


@pytest.mark.parametrize("affine", [RAS, LPS], ids=["RAS", "LPS"])
def test_image_and_masks_are_ras_whatever_the_file(tmp_path, affine):
    sample = labelled(tmp_path, affine=affine)
    array, matrix = read_image(sample)
    assert array.dtype == np.int16
    assert (np.diag(matrix)[:3] > 0).all()
    masks = read_masks(sample, Image(array, matrix))
    assert set(masks) == set(sample.wanted)
    for value, name in enumerate(masks, 1):
        assert masks[name].sum() == 64
        assert (array[masks[name]] == 100 + 50 * value).all()
    assert centre(masks["right_parotid"])[0] > centre(masks["left_parotid"])[0]
    grid = grid_of(sample)
    assert grid.shape == array.shape
    np.testing.assert_allclose(grid.affine, matrix)


def test_label_map_on_another_grid_is_laid_onto_the_ct(tmp_path):
    shape = (20, 18, 12)
    mask = cube(shape, (4, 6, 4))
    save(tmp_path / "ct.nii.gz", body(shape))
    fine = np.kron(mask, np.ones((2, 2, 1), np.uint8))
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    affine[:3, 3] = (-0.5, -0.5, 0)  # the corner of the first voxel is that of the CT
    import nibabel as nib

    nib.Nifti1Image(fine, affine).to_filename(tmp_path / "fine.nii.gz")
    sample = Sample("s", tmp_path / "ct.nii.gz", (Turn("q", "a"),))
    read = MaskSource(tmp_path / "fine.nii.gz").read(Image(*read_image(sample)))
    assert (read == mask.astype(bool)).all()
    affine[:3, 3] = 5000
    nib.Nifti1Image(fine, affine).to_filename(tmp_path / "far.nii.gz")
    with pytest.raises(DatasetError, match=r"far\.nii\.gz.*outside"):
        MaskSource(tmp_path / "far.nii.gz").read(Image(*read_image(sample)))


def test_parts_are_added(tmp_path):
    shape = (20, 18, 12)
    save(tmp_path / "ct.nii.gz", body(shape))
    one, two = cube(shape, (3, 3, 3)), cube(shape, (10, 10, 6))
    files = [save(tmp_path / f"{n}.nii.gz", m) for n, m in (("a", one), ("b", two))]
    source = MaskSource(files[0], parts=(MaskSource(files[1]),))
    sample = Sample("s", tmp_path / "ct.nii.gz", (Turn("q", "a"),))
    assert (source.read(grid_of(sample)) == (one | two).astype(bool)).all()


@pytest.mark.parametrize("stored", ["npy", "npz"])
def test_arrays_without_affine_turn_by_their_axes(tmp_path, stored):
    """[D, H, W] with rows from the front and columns from the right (SPL) is RAS+ after two flips."""
    ras = body((8, 6, 5)).astype(np.float32)
    ras[6, 1, 4] = 500
    mask = np.zeros(ras.shape, bool)
    mask[6, 1, 4] = True
    unit = (ras - ras.min()) / np.ptp(ras)
    spl = np.ascontiguousarray(unit.transpose(2, 1, 0)[:, ::-1, ::-1])
    np.save(tmp_path / "ct.npy", spl[None])
    turned = mask.transpose(2, 1, 0)[:, ::-1, ::-1]
    if stored == "npy":
        np.save(tmp_path / "mask_0.npy", turned[None])
        source = MaskSource(tmp_path / "mask_0.npy", axes="SPL")
    else:
        both = np.stack([np.zeros_like(turned), turned])
        sparse.save_npz(tmp_path / "mask.npz", sparse.csr_matrix(both.reshape(2, -1).astype(np.int32)))
        source = MaskSource(tmp_path / "mask.npz", channel=1, axes="SPL", shape=both.shape)
    sample = Sample("s", tmp_path / "ct.npy", (Turn("q", "a"),), scale="unit")
    array, affine = read_image(sample)
    np.testing.assert_allclose(array, unit, atol=1e-6)
    assert array.dtype == np.float32
    assert (source.read(Image(array, affine)) == mask).all()


def test_empty_array_means_absent_and_wrong_shape_is_an_error(tmp_path):
    np.save(tmp_path / "ct.npy", np.random.default_rng(0).random((1, 4, 5, 6)))
    np.save(tmp_path / "mask_0.npy", np.zeros((1, 1, 1, 1), np.int8))
    np.save(tmp_path / "mask_1.npy", np.ones((1, 4, 5, 5), np.int8))
    sample = Sample("s", tmp_path / "ct.npy", (Turn("q", "a"),), scale="unit")
    grid = grid_of(sample)
    assert not MaskSource(tmp_path / "mask_0.npy", axes="SPL").read(grid).any()
    with pytest.raises(DatasetError, match=r"mask_1\.npy"):
        MaskSource(tmp_path / "mask_1.npy", axes="SPL").read(grid)


def test_pictures_are_stacked_by_number(tmp_path):
    from PIL import Image as Picture

    for number, grey in enumerate((0, 100, 200, 250)):
        Picture.fromarray(np.full((6, 7), grey, np.uint8)).save(tmp_path / f"{number + 8}.png")  # 8, 9, 10, 11
    Picture.fromarray(np.zeros((3, 3), np.uint8)).save(tmp_path / "12.png")  # of another size: left out
    array, _ = read_image(Sample("s", tmp_path, (Turn("q", "a"),), scale="unit"))
    assert array.shape == (7, 6, 4)
    np.testing.assert_allclose(array[0, 0], np.array([0, 100, 200, 250]) / 250)


def test_errors_name_what_is_wrong(tmp_path):
    with pytest.raises(DatasetError, match=r"2 \[SEG\].*1 targets"):
        Turn("q", "[SEG] and [SEG]", ("liver",))
    with pytest.raises(DatasetError, match="spleen"):
        Sample("s", tmp_path / "ct.nii.gz", (Turn("q", "[SEG]", ("spleen",)),))
    with pytest.raises(DatasetError, match="no question"):
        Sample("s", tmp_path / "ct.nii.gz", ())
    gone = Sample("s", tmp_path / "gone.nii.gz", (Turn("q", "a"),))
    with pytest.raises(DatasetError, match=r"gone\.nii\.gz is missing"):
        read_image(gone)
    save(tmp_path / "ct.nii.gz", body())
    (tmp_path / "bad.nii.gz").write_bytes(b"no gzip")
    there = Sample("s", tmp_path / "ct.nii.gz", (Turn("q", "a"),))
    for name in ("lost.nii.gz", "bad.nii.gz", "lost.npy"):
        with pytest.raises(DatasetError, match=name):
            MaskSource(tmp_path / name).read(grid_of(there))
    with pytest.raises(DatasetError, match=r"bad\.nii\.gz"):
        read_image(Sample("s", tmp_path / "bad.nii.gz", (Turn("q", "a"),)))
