"""Masks and label maps as NIfTI: what other readers see lies where it was drawn, and no voxel is lost unsaid."""

import itertools
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from medvl.ct.geometry import SourceGeometry, nifti_geometry, to_canonical
from medvl.ct.masks import Mask
from medvl.ct.volume import CTVolume
from medvl.errors import ExportError
from medvl.readers import read_ct
from medvl.writers.nifti import overlaps, paint_order, save_label_map, save_mask

from ...phantoms import phantom, reorient, write_dicom_series, write_itk
from ..export_grids import blob, volume, world

ORIENTATIONS = [
    "".join(signed) for axes in itertools.permutations(("LR", "PA", "IS")) for signed in itertools.product(*axes)
]  # all 48


def itk_centre(path) -> np.ndarray:
    """RAS mm of the centre of what is set in a file, as ITK sees it."""
    image = SimpleITK.ReadImage(str(path))
    voxels = np.argwhere(SimpleITK.GetArrayFromImage(image) > 0)[:, ::-1]
    lps = image.TransformContinuousIndexToPhysicalPoint([float(v) for v in voxels.mean(axis=0)])
    return np.array(lps) * (-1, -1, 1)


@pytest.mark.parametrize("degrees", [0.0, 17.0])
def test_a_mask_lies_where_it_was_drawn(tmp_path, degrees):
    for axcodes in ORIENTATIONS:
        ct = volume(axcodes, degrees=degrees)
        mask = blob(ct)
        save_mask(mask, ct, tmp_path / "m.nii")
        image = nib.load(tmp_path / "m.nii")
        assert image.shape == ct.source.shape
        np.testing.assert_allclose(image.affine, ct.source.affine, atol=1e-4)
        np.testing.assert_allclose(image.get_qform(), ct.source.affine, atol=1e-3)
        assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
        data = np.asanyarray(image.dataobj)
        assert data.dtype == np.uint8
        np.testing.assert_allclose(world(data, image.affine), world(mask.array, ct.affine), atol=1e-3)
        np.testing.assert_allclose(itk_centre(tmp_path / "m.nii"), mask.measure(ct).centroid_ras_mm, atol=1e-3)


def written(folder, affine, sform_code, qform_code, other=None, version=nib.Nifti1Image):
    """A scan with one bright object; ``affine`` in its sform, ``other`` (or the same) in its qform."""
    hu = np.full((15, 12, 10), -1000, np.int16)
    hu[3:8, 2:9, 4:9] = 60
    image = version(hu, affine)
    image.set_qform(affine if other is None else other, code=1, strip_shears=True)
    image.set_sform(affine, code=1)
    image.header["sform_code"], image.header["qform_code"] = sform_code, qform_code
    image.header["descrip"], image.header["aux_file"] = b"Secret^Person", b"Secret"
    image = version(hu, None, image.header)
    nib.save(image, folder / "scan.nii.gz")
    return folder / "scan.nii.gz"


@pytest.mark.parametrize("version", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize(("sform_code", "qform_code"), [(1, 1), (2, 0), (0, 1), (4, 2), (0, 0), (3, 3)])
@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "PIR", "SAL"])
def test_a_nifti_scan_gets_its_own_two_forms_back(tmp_path, axcodes, sform_code, qform_code, version):
    affine = volume(axcodes, degrees=11).source.affine
    moved = affine.copy()
    moved[:3, 3] += (40.0, -25.0, 10.0)  # two forms that say different things: each reader follows its own
    scan = written(tmp_path, affine, sform_code, qform_code, moved, version)
    ct = read_ct(scan)
    mask = Mask.from_array(ct.hu > 0)
    save_mask(mask, ct, tmp_path / "m.nii.gz")
    save_label_map([mask], ct, tmp_path / "l.nii.gz")
    given = nib.load(scan).header
    for name in ("m", "l"):
        header = nib.load(tmp_path / f"{name}.nii.gz").header
        assert type(header) is type(given)
        for field in ("sform_code", "qform_code", "quatern_b", "quatern_c", "quatern_d", "srow_x", "srow_y", "srow_z"):
            np.testing.assert_array_equal(header[field], given[field])
        for axis in "xyz":
            assert header[f"qoffset_{axis}"] == given[f"qoffset_{axis}"]
        np.testing.assert_array_equal(header["pixdim"][:4], given["pixdim"][:4])
        assert b"Secret" not in header.binaryblock
        image, scanned = nib.load(tmp_path / f"{name}.nii.gz"), nib.load(scan)
        np.testing.assert_array_equal(image.affine, scanned.affine)
        np.testing.assert_array_equal(np.asanyarray(image.dataobj) > 0, np.asanyarray(scanned.dataobj) > 0)
        if version is nib.Nifti2Image:
            continue  # which SimpleITK does not read, neither scan nor mask
        image, scanned = (SimpleITK.ReadImage(str(p)) for p in (tmp_path / f"{name}.nii.gz", scan))
        for get in ("GetOrigin", "GetSpacing", "GetDirection"):
            np.testing.assert_allclose(getattr(image, get)(), getattr(scanned, get)(), atol=1e-5)


@pytest.mark.parametrize("degrees", [0.0, 9.0])
@pytest.mark.parametrize("shear", [0.004, 0.1])
def test_a_leaning_grid_has_the_nearest_rigid_qform_beside_its_sform(tmp_path, shear, degrees):
    ct = volume("LPS", shear=shear, degrees=degrees)
    mask = blob(ct)
    save_mask(mask, ct, tmp_path / "m.nii.gz")
    image = nib.load(tmp_path / "m.nii.gz")
    np.testing.assert_allclose(image.get_sform(), ct.source.affine, atol=1e-4)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    axes = image.get_qform()[:3, :3] / np.linalg.norm(image.get_qform()[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-5)
    middle = np.append((np.array(ct.source.shape) - 1) / 2, 1)
    np.testing.assert_allclose(image.get_qform() @ middle, ct.source.affine @ middle, atol=1e-3)
    # ITK takes no sheared grid; the object's centre stays within what the shear moves over half the grid.
    reach = shear * 1.3 * ct.source.shape[2] / 2
    assert np.linalg.norm(itk_centre(tmp_path / "m.nii.gz") - mask.measure(ct).centroid_ras_mm) <= reach + 1e-3


def test_a_spacing_that_nobody_can_read_is_not_copied(tmp_path):
    affine = volume("LPS").source.affine
    header = nib.Nifti1Image(np.zeros((14, 11, 9), np.int16), affine).header
    header["pixdim"][1:4] = (0, -1, 2)
    stored = np.zeros((14, 11, 9), np.int16)
    hu, canonical = to_canonical(stored, affine)
    ct = CTVolume(hu, canonical, SourceGeometry(stored.shape, affine, nifti_geometry(header)))
    mask = blob(ct)
    save_mask(mask, ct, tmp_path / "m.nii.gz")
    np.testing.assert_allclose(nib.load(tmp_path / "m.nii.gz").header.get_zooms(), (0.9, 1.3, 2.5), rtol=1e-5)
    np.testing.assert_allclose(itk_centre(tmp_path / "m.nii.gz"), mask.measure(ct).centroid_ras_mm, atol=1e-3)


def leaning(folder, hu, affine):
    """A DICOM series whose slices lie a little aside of each other, as a table that sags makes them."""

    def edit(ds, k):
        x, y, z = (float(v) for v in ds.ImagePositionPatient)
        ds.ImagePositionPatient = [round(x - 0.003 * k, 4), round(y + 0.012 * k, 4), z]

    return write_dicom_series(folder / "series", hu, affine, edit=edit)


def differing(folder, hu, affine):
    """A NIfTI whose qform is 8 degrees and some mm from its sform."""
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.14), -np.sin(0.14)], [np.sin(0.14), np.cos(0.14)]]
    turn[:3, 3] = 12, 0, 5
    image = nib.Nifti1Image(hu, None)
    image.set_qform(affine, code=1)
    image.set_sform(turn @ affine, code=2)
    nib.save(image, folder / "scan.nii.gz")
    return folder / "scan.nii.gz"


SCANS = {
    "dicom that leans": leaning,
    "nifti with two forms": differing,
    "nrrd": lambda folder, hu, affine: write_itk(folder / "scan.nrrd", hu, affine),
    "metaimage": lambda folder, hu, affine: write_itk(folder / "scan.mha", hu, affine),
}


@pytest.mark.parametrize("axcodes", ["LPS", "RAS", "PSL"])
@pytest.mark.parametrize("write", SCANS.values(), ids=SCANS)
def test_an_object_of_the_scan_and_its_mask_lie_at_one_place_in_itk(tmp_path, write, axcodes):
    made = phantom(noise=0)
    scan = write(tmp_path, *reorient(made.hu, made.affine, axcodes))
    ct = read_ct(scan)
    save_mask(Mask.from_array((ct.hu > 175) & (ct.hu < 195)), ct, tmp_path / "m.nii.gz")
    if scan.is_dir():
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(scan)))
        image = reader.Execute()
    else:
        image = SimpleITK.ReadImage(str(scan))
    values = SimpleITK.GetArrayFromImage(image)
    voxels = np.argwhere((values > 175) & (values < 195))[:, ::-1].mean(axis=0)
    lps = np.array(image.TransformContinuousIndexToPhysicalPoint(voxels.tolist()))
    aside = 0.5 if scan.is_dir() else 1e-3  # ITK takes no lean out of a series: it is wrong by that much
    np.testing.assert_allclose(itk_centre(tmp_path / "m.nii.gz"), lps * (-1, -1, 1), atol=aside)


def box(shape, lo, hi, **labels):
    array = np.zeros(shape, bool)
    array[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))] = True
    return Mask.from_array(array, **labels)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_what_holds_an_organ_goes_under_it(tmp_path, order):
    ct = volume(shape=(20, 20, 20))
    whole = {
        "Body": box(ct.shape, (0, 0, 0), (20, 20, 20), name="Body"),
        "Kidney": box(ct.shape, (2, 2, 2), (10, 10, 10), name="Kidney"),
        "Box": box(ct.shape, (3, 3, 3), (9, 10, 10), name="Box"),
    }
    masks = [list(whole.values())[n] for n in order]
    rows = save_label_map(masks, ct, tmp_path / "l.nii.gz")
    data = np.asanyarray(nib.load(tmp_path / "l.nii.gz").dataobj)
    left = {row["name"]: row["voxels_in_map"] for row in rows}
    assert left == {"Body": 8000 - 512, "Kidney": 512 - 6 * 7 * 7, "Box": 6 * 7 * 7}
    assert [row["value"] for row in rows] == [1, 2, 3]
    assert {row["name"]: int((data == row["value"]).sum()) for row in rows} == left
    listed = json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))
    assert listed["labels"] == rows
    assert "not for diagnosis" in listed["notice"]
    for mask in masks:  # a single mask is always whole
        save_mask(mask, ct, tmp_path / "m.nii.gz")
        assert np.asanyarray(nib.load(tmp_path / "m.nii.gz").dataobj).sum() == mask.voxels


@pytest.mark.parametrize("seed", range(8))
def test_every_voxel_is_told_or_kept(tmp_path, seed):
    ct = volume(shape=(16, 15, 14))
    masks = [blob(ct, 10 * seed + n, name=f"Organ {n}") for n in range(4)]
    rows = save_label_map(masks, ct, tmp_path / "l.nii")
    assert rows[paint_order(masks)[-1]]["voxels_in_map"] == min(m.voxels for m in masks)  # the smallest is whole
    data = np.asanyarray(nib.load(tmp_path / "l.nii").dataobj)
    assert (data > 0).sum() == np.logical_or.reduce([m.array for m in masks]).sum()
    told = {frozenset((o.under, o.over)): o for o in overlaps(masks)}
    for n, m in itertools.combinations(range(4), 2):
        both = (masks[n].array & masks[m].array).sum()
        pair = told.get(frozenset((n, m)))
        assert (pair is not None) == (both > 0.01 * min(masks[n].voxels, masks[m].voxels))
        if pair:
            assert masks[pair.under].voxels >= masks[pair.over].voxels
            assert (pair.of_under, pair.of_over) == (both / masks[pair.under].voxels, both / masks[pair.over].voxels)
    for n, mask in enumerate(masks):  # no mask loses more than was told
        lost = mask.voxels - rows[n]["voxels_in_map"]
        assert lost <= sum(o.of_under * mask.voxels for o in told.values() if o.under == n) + 0.01 * 3 * mask.voxels


def test_many_labels_need_16_bits(tmp_path):
    ct = volume()
    masks = []
    for n in range(300):
        array = np.zeros(ct.shape, bool)
        array.flat[n] = True
        masks.append(Mask.from_array(array, name=str(n)))
    save_label_map(masks, ct, tmp_path / "l.nii")
    data = np.asanyarray(nib.load(tmp_path / "l.nii").dataobj)
    assert data.dtype == np.uint16
    assert data.max() == 300


def test_other_grid_wrong_suffix_and_nothing_to_write(tmp_path):
    ct, other = volume(), volume(shape=(14, 11, 8))
    with pytest.raises(ExportError, match="drawn on"):
        save_mask(blob(other), ct, tmp_path / "m.nii.gz")
    with pytest.raises(ExportError, match=r"end with \.nii"):
        save_mask(blob(ct), ct, tmp_path / "m.png")
    with pytest.raises(ExportError, match="no masks"):
        save_label_map([], ct, tmp_path / "l.nii.gz")
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_labels_says_what_is_a_lower_bound(tmp_path):
    ct = volume()
    masks = [box(ct.shape, (0, 2, 2), (4, 4, 4)), box(ct.shape, (5, 2, 2), (7, 4, 4))]
    rows = save_label_map(masks, replace(ct, info=replace(ct.info, file_name="a.nii")), tmp_path / "l.nii.gz")
    assert [row["limits"] for row in rows] == ["reaches the left border of the scan", ""]
    assert json.loads((tmp_path / "l.json").read_text())["scan"] == "a.nii"
