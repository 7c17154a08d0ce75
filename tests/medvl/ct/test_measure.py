"""Measurements against analytic values."""

import json

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from medvl.ct.geometry import SourceGeometry
from medvl.ct.masks import Mask
from medvl.ct.measure import longest_diameter_mm
from medvl.ct.volume import CTVolume
from medvl.errors import MedVLError

ROTATION = np.linalg.qr(np.random.default_rng(11).normal(size=(3, 3)))[0]


def grid(shape, spacing, oblique=False, origin=(-40.0, 25.0, 310.0)):
    affine = np.eye(4)
    affine[:3, :3] = (ROTATION if oblique else np.eye(3)) @ np.diag(spacing)
    affine[:3, 3] = origin
    hu = np.random.default_rng(0).integers(-200, 300, shape).astype(np.int16)
    return CTVolume(hu, affine, SourceGeometry(tuple(shape), affine))


def ball(ct, centre_ijk, radius_mm):
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in ct.shape], indexing="ij"), axis=-1)
    distance = np.linalg.norm(ct.ijk_to_ras_mm(ijk) - ct.ijk_to_ras_mm(np.array(centre_ijk)), axis=-1)
    return Mask.from_array(distance <= radius_mm)


@pytest.mark.parametrize("oblique", [False, True])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.8, 0.8, 2.5), (2, 1, 0.7)])
def test_sphere_against_its_formulas(spacing, oblique):
    ct = grid([round(60 / s) for s in spacing], spacing, oblique)
    centre = tuple(n / 2 + 0.3 for n in ct.shape)
    m = ball(ct, centre, 22.0).measure(ct)
    assert m.volume_ml == pytest.approx(4 / 3 * np.pi * 2.2**3, rel=0.02)
    assert m.longest_diameter_mm == pytest.approx(44.0, abs=max(spacing))
    np.testing.assert_allclose(m.centroid_ras_mm, ct.ijk_to_ras_mm(np.array(centre)), atol=0.3)


def test_one_voxel_measures_its_longest_edge():
    ct = grid((5, 6, 7), (1.0, 1.5, 5.0))
    array = np.zeros(ct.shape, bool)
    array[2, 3, 4] = True
    m = Mask.from_array(array).measure(ct)
    assert m.longest_diameter_mm == pytest.approx(5.0)
    assert m.volume_ml == pytest.approx(0.0075)
    assert m.mean_hu == ct.hu[2, 3, 4]
    assert m.sd_hu == 0
    assert m.center_ijk == (2, 3, 4)
    assert m.slice_range == (4, 4)


@pytest.mark.parametrize("oblique", [False, True])
def test_diameter_equals_brute_force_over_face_centres(oblique):
    rng = np.random.default_rng(2)
    for _ in range(15):
        shape = tuple(rng.integers(1, 7, 3))
        ct = grid(shape, rng.uniform(0.5, 5, 3), oblique)
        array = rng.random(shape) > 0.6
        array[tuple(rng.integers(0, shape))] = True
        steps = np.concatenate([np.eye(3), -np.eye(3)]) / 2
        faces = (np.argwhere(array)[:, None] + steps).reshape(-1, 3)
        expected = pdist(ct.ijk_to_ras_mm(faces)).max()
        assert longest_diameter_mm(array, ct.affine) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flat_and_straight_objects(axis):
    ct = grid((20, 20, 20), (1, 1, 1))
    flat = np.zeros(ct.shape, bool)
    np.moveaxis(flat, axis, 0)[7, 3:13, 3:13] = True
    assert Mask.from_array(flat).measure(ct).longest_diameter_mm == pytest.approx(np.hypot(10, 9))
    line = np.zeros(ct.shape, bool)
    np.moveaxis(line, axis, 0)[2:12, 5, 5] = True
    assert Mask.from_array(line).measure(ct).longest_diameter_mm == pytest.approx(10)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.8, 1.1, 3.0)])
def test_moving_an_object_moves_only_its_place(spacing):
    ct = grid((40, 40, 40), spacing, oblique=True)
    flat_hu = CTVolume(np.full(ct.shape, 55, np.int16), ct.affine, ct.source)
    rng = np.random.default_rng(9)
    blob = rng.random((9, 8, 7)) > 0.3
    results = []
    for offset in ((0, 0, 0), (11, 5, 20), (31, 32, 33)):
        array = np.zeros(ct.shape, bool)
        array[tuple(slice(o, o + n) for o, n in zip(offset, blob.shape, strict=True))] = blob
        results.append((offset, Mask.from_array(array).measure(flat_hu)))
    first = results[0][1]
    for offset, m in results:
        assert m.volume_ml == first.volume_ml
        assert m.longest_diameter_mm == pytest.approx(first.longest_diameter_mm)
        shift = np.subtract(m.centroid_ras_mm, first.centroid_ras_mm)
        np.testing.assert_allclose(shift, ct.affine[:3, :3] @ offset, atol=1e-6)
        assert (m.mean_hu, m.sd_hu) == (55, 0)


def test_hu_statistics_and_box_are_of_the_mask_only():
    ct = grid((16, 14, 12), (1, 2, 3))
    array = np.random.default_rng(4).random(ct.shape) > 0.9
    m = Mask.from_array(array).measure(ct)
    assert m.mean_hu == pytest.approx(ct.hu[array].mean())
    assert m.sd_hu == pytest.approx(ct.hu[array].std())
    assert m.voxels == array.sum()
    assert array[m.bounding_box.slices].sum() == m.voxels
    assert array[m.center_ijk]
    np.testing.assert_allclose(m.centroid_ras_mm, ct.ijk_to_ras_mm(np.argwhere(array).mean(axis=0)), atol=1e-9)


def test_sheared_grid_uses_the_determinant():
    ct = grid((10, 10, 10), (1, 1, 2))
    affine = ct.affine.copy()
    affine[1, 2] = 0.9  # slices move along the table: gantry tilt
    sheared = CTVolume(ct.hu, affine, SourceGeometry(ct.shape, affine))
    assert Mask.from_array(np.ones(ct.shape, bool)).measure(sheared).volume_ml == pytest.approx(2.0)


def test_centre_of_a_ring_lies_on_the_ring():
    ct = grid((30, 30, 5), (1, 1, 1))
    i, j = np.mgrid[:30, :30]
    radius = np.hypot(i - 15, j - 15)
    array = np.repeat(((radius > 9) & (radius < 12))[..., None], 5, axis=2)
    m = Mask.from_array(array).measure(ct)
    assert array[m.center_ijk]
    np.testing.assert_allclose(ct.ras_mm_to_ijk(np.array(m.centroid_ras_mm)), (15, 15, 2), atol=1e-6)


def test_empty_mask_and_json():
    ct = grid((4, 4, 4), (1, 1, 1))
    m = Mask.from_array(np.zeros(ct.shape, bool)).measure(ct)
    assert m.empty
    assert m.volume_ml == 0
    assert m.mean_hu is None
    assert json.loads(json.dumps(m.to_dict()))["longest_diameter_mm"] is None
    full = json.loads(json.dumps(Mask.from_array(np.ones(ct.shape, bool)).measure(ct).to_dict()))
    assert full["bounding_box"] == {"lo": [0, 0, 0], "hi": [4, 4, 4]}
    assert full["slice_range"] == [0, 3]
    assert len(full["centroid_ras_mm"]) == 3


def test_mask_of_another_scan_is_refused():
    with pytest.raises(MedVLError, match="drawn on"):
        Mask.from_array(np.ones((3, 3, 3), bool)).measure(grid((3, 3, 4), (1, 1, 1)))
