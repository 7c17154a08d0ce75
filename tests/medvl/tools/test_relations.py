"""Directions and distances are exact on masks, in mm, and do not depend on how the file is stored."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from medvl.ct.masks import Mask
from medvl.tools import relations

from ..scenes import finder_of, sample, scene_of

BLOCKS = {
    "liver": (slice(22, 36), slice(8, 20), slice(15, 25)),
    "spleen": (slice(4, 9), slice(4, 10), slice(17, 24)),
    "stomach": (slice(9, 17), slice(10, 20), slice(16, 26)),
    "urinary_bladder": (slice(15, 24), slice(10, 18), slice(2, 6)),
}


def brute(a: np.ndarray, b: np.ndarray, spacing) -> float:
    steps = np.abs(np.argwhere(a)[:, None] - np.argwhere(b)[None]).reshape(-1, 3)
    return float(np.linalg.norm(steps * spacing, axis=1).min())


@pytest.mark.parametrize("seed", range(4))
def test_overlap_is_that_of_the_voxels(seed):
    scene = scene_of(finder_of(BLOCKS))
    rng = np.random.default_rng(seed)
    a, b = (rng.random(scene.ct.shape) < share for share in (0.3, 0.6))
    a[:3], b[-2:] = False, False
    shared, dice = relations.overlap(scene, Mask.from_array(a), Mask.from_array(b))
    assert shared.value == pytest.approx((a & b).sum() * scene.ct.voxel_volume_ml)
    assert dice.value == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()), abs=6e-4)
    same = relations.overlap(scene, Mask.from_array(a), Mask.from_array(a))
    assert same[1].value == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_distance_is_that_of_the_nearest_voxels(seed):
    rng = np.random.default_rng(seed)
    spacing = rng.uniform(0.5, 5, 3)
    a, b = np.zeros((2, 14, 15, 13), bool)
    for array in (a, b):
        at = rng.integers(0, 9, 3)
        size = rng.integers(1, 5, 3)
        array[tuple(slice(p, p + n) for p, n in zip(at, size, strict=True))] = True
        array &= rng.random(array.shape) < 0.7
        array[tuple(at)] = True
    b &= ~a
    b[13, 0, 0] = ~a[13, 0, 0]
    masks = Mask.from_array(a), Mask.from_array(b)
    for one, other in (masks, masks[::-1]):
        assert relations.gap_between(one, other, spacing).mm == pytest.approx(brute(a, b, spacing))


def test_touching_is_sharing_a_face():
    a, b = np.zeros((2, 6, 6, 6), bool)
    a[0:2, 0:2, 0:2] = True
    b[2:4, 2:4, 2:4] = True
    corner = relations.gap_between(Mask.from_array(a), Mask.from_array(b), (1, 1, 1))
    assert (corner.contact, corner.mm) == (0, pytest.approx(3**0.5))
    b[:] = False
    b[2:4, 0:2, 0:2] = True
    assert relations.gap_between(Mask.from_array(a), Mask.from_array(b), (1, 1, 1)) == relations.Gap(1.0, 4)


def test_directions_are_the_patients_and_antisymmetric():
    scene = scene_of(finder_of(BLOCKS))
    for a in BLOCKS:
        for b in BLOCKS:
            there, back = relations.offset_mm(scene, a, b), relations.offset_mm(scene, b, a)
            assert there == pytest.approx([-v for v in back])
    ways = {f.key: f.note for f in relations.direction(scene, "spleen", "liver")}
    assert ways["offset_side_mm"] == "left"  # smaller i, and i grows to the patient's right
    ways = {f.key: f.note for f in relations.direction(scene, "urinary_bladder", "liver")}
    assert ways["offset_above_mm"] == "below"


@pytest.mark.parametrize("codes", ["LPS", "SAR", "IPL", "PRS"])
def test_relations_do_not_depend_on_the_orientation_of_the_file(codes):
    straight, turned = scene_of(finder_of(BLOCKS)), scene_of(finder_of(BLOCKS, codes=codes))
    for a, b in (("liver", "spleen"), ("stomach", "urinary_bladder"), ("liver", "stomach")):
        assert relations.direction(straight, a, b) == relations.direction(turned, a, b)
        assert relations.distance(straight, a, b) == relations.distance(turned, a, b)


def test_distances_scale_with_mm():
    small = scene_of(finder_of(BLOCKS))
    large = scene_of(finder_of(BLOCKS, affine=np.diag([2.0, 4.0, 6.0, 1.0])))
    for one, two in zip(
        relations.distance(small, "liver", "spleen"), relations.distance(large, "liver", "spleen"), strict=True
    ):
        assert two.value == pytest.approx(2 * one.value)


def test_nearest_is_the_smallest_gap_of_all():
    scene = scene_of(finder_of(BLOCKS))
    order = relations.nearest(scene, "spleen", tuple(BLOCKS))
    assert order[0][0] == "stomach"
    assert not any(gap.contact for _, gap in order)
    assert [gap.mm for _, gap in order] == sorted(gap.mm for _, gap in order)


def test_real_organs_lie_where_anatomy_puts_them():
    scene = scene_of(sample())
    for a, way, b, key in (
        ("spleen", "left", "liver", "side"),
        ("right_kidney", "right", "left_kidney", "side"),
        ("urinary_bladder", "below", "gallbladder", "above"),
        ("inferior_vena_cava", "right", "aorta", "side"),
    ):
        note = {f.key: f.note for f in relations.direction(scene, a, b)}[f"offset_{key}_mm"]
        assert note == way, (a, b)
    some = [np.argwhere(scene.mask(id).array)[::7] * 3.0 for id in ("spleen", "gallbladder")]
    assert 0 < relations.gap(scene, "spleen", "gallbladder").mm <= cdist(*some).min()


def test_a_mask_of_its_own_is_as_far_as_its_nearest_voxel():
    where = (slice(2, 6), slice(4, 10), slice(4, 8))
    finder = finder_of({"liver": where, "spleen": (slice(20, 26), slice(4, 10), slice(4, 8))})
    scene = scene_of(finder)
    own = Mask.from_array(scene.mask("liver").array, id="m7", name="Spot")
    fact = relations.apart(scene, own, "spleen")
    assert fact.value == relations.distance(scene, "liver", "spleen")[0].value
    assert (fact.structures, fact.mask_id) == (("spleen",), "m7")
    assert relations.apart(scene, own, scene.mask("spleen")).value == fact.value
