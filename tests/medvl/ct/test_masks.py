"""Masks: run lengths, boxes, boolean operations, clean-up."""

from dataclasses import replace

import numpy as np
import pytest

from medvl.ct.mask_operations import components, fill_holes, intersect, keep_largest, smooth, subtract, union
from medvl.ct.masks import End, Mask, decode_runs, encode_runs
from medvl.ct.prompts import Box, bounding_box
from medvl.errors import MedVLError


def ball(shape, centre, radius, spacing=(1, 1, 1)):
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum(((a - c) * s) ** 2 for a, c, s in zip(axes, centre, spacing, strict=True)) <= radius**2


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("shape", [(7, 5, 9), (1, 1, 1), (64,), (3, 0, 2)])
def test_runs_round_trip(shape, share):
    array = np.random.default_rng(3).random(shape) < share
    runs = encode_runs(array)
    assert runs.dtype == np.uint32
    assert runs.sum() == array.size
    np.testing.assert_array_equal(decode_runs(runs, shape), array)


def test_runs_start_with_background():
    assert encode_runs(np.array([True, True, False])).tolist() == [0, 2, 1]
    assert encode_runs(np.array([False, True, True])).tolist() == [1, 2]
    assert encode_runs(np.zeros((2, 2), bool).T).tolist() == [4]


@pytest.mark.parametrize("runs", [[3], [5, -1], [2, 3]])
def test_damaged_runs_are_refused(runs):
    with pytest.raises(MedVLError, match="damaged"):
        decode_runs(runs, (2, 2))


def test_mask_round_trip_through_runs_keeps_labels():
    array = ball((20, 22, 18), (8, 12, 5), 4.4)
    mask = Mask.from_array(array, id="m7", name="Cyst", color="#123456")
    again = Mask.from_runs(mask.shape, mask.box, mask.runs, id="m7", name="Cyst", color="#123456")
    np.testing.assert_array_equal(again.array, array)
    assert (again.id, again.name, again.color, again.box) == (mask.id, mask.name, mask.color, mask.box)


def test_empty_mask_works_everywhere():
    empty = Mask.from_array(np.zeros((4, 5, 6), bool), id="e")
    other = Mask.from_array(ball((4, 5, 6), (2, 2, 2), 1))
    assert empty.empty
    assert empty.voxels == 0
    assert components(empty) == []
    for result in (keep_largest(empty), fill_holes(empty), smooth(empty, (1, 1, 1)), subtract(empty, other)):
        assert result.empty
    assert intersect(other, empty).empty
    assert union(empty, other).voxels == other.voxels
    assert union(empty, other).id == "e"
    assert union(other, empty).voxels == other.voxels
    assert Mask.from_runs(empty.shape, None, empty.runs).empty
    assert not empty.slice(0, 1).any()


def test_block_is_tight_and_own_memory():
    block = np.zeros((5, 5, 5), bool)
    block[2, 3, 1:4] = True
    mask = Mask.from_block((10, 10, 10), Box((4, 4, 4), (9, 9, 9)), block)
    assert mask.box == Box((6, 7, 5), (7, 8, 8))
    block[:] = False
    assert mask.voxels == 3
    assert bounding_box(mask.array) == mask.box


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slice_is_a_plane_of_the_array(axis):
    array = ball((9, 11, 13), (3, 6, 8), 3.2)
    mask = Mask.from_array(array)
    for index in range(array.shape[axis]):
        np.testing.assert_array_equal(mask.slice(axis, index), array.take(index, axis))
    for wrong in (-1, array.shape[axis]):
        with pytest.raises(MedVLError, match="no slice"):
            mask.slice(axis, wrong)


def test_boolean_operations_equal_those_of_arrays():
    rng = np.random.default_rng(5)
    for _ in range(20):
        one, two = (np.zeros((8, 9, 10), bool) for _ in range(2))
        for array in (one, two):
            lo = rng.integers(0, 7, 3)
            span = tuple(slice(l, l + n) for l, n in zip(lo, rng.integers(1, 6, 3), strict=True))
            array[span] = rng.random(array[span].shape) > 0.4
        a, b = Mask.from_array(one, id="a", name="A"), Mask.from_array(two, id="b")
        for operation, expected in ((union, one | two), (subtract, one & ~two), (intersect, one & two)):
            result = operation(a, b)
            np.testing.assert_array_equal(result.array, expected)
            assert result.box == bounding_box(expected)
            assert (result.id, result.name) == ("a", "A")


def test_masks_of_two_scans_do_not_mix():
    a, b = Mask.from_array(np.ones((3, 3, 3), bool)), Mask.from_array(np.ones((3, 3, 4), bool))
    for operation in (union, subtract, intersect):
        with pytest.raises(MedVLError, match="same scan"):
            operation(a, b)


def test_components_by_size_and_diagonals_connect():
    array = np.zeros((12, 12, 12), bool)
    array[1:3, 1:3, 1:3] = True
    array[6:10, 6:10, 6:10] = True
    array[10, 10, 10] = True  # touches by a corner
    array[0, 11, 0] = True
    pieces = components(Mask.from_array(array, name="x"))
    assert [p.voxels for p in pieces] == [65, 8, 1]
    assert [p.name for p in pieces] == ["x"] * 3
    assert sum(p.array.astype(int) for p in pieces).max() == 1
    assert keep_largest(Mask.from_array(array)).box == Box((6, 6, 6), (11, 11, 11))
    assert len(components(Mask.from_array(array), min_voxels=2)) == 2


def test_fill_holes_closes_cavities_but_not_tubes():
    shell = ball((30, 30, 30), (15, 15, 15), 10) & ~ball((30, 30, 30), (14, 15, 16), 5)
    assert fill_holes(Mask.from_array(shell)).voxels == ball((30, 30, 30), (15, 15, 15), 10).sum()
    tube = np.zeros((20, 20, 10), bool)
    tube[4:16, 4:16, :] = True
    tube[8:12, 8:12, :] = False
    assert fill_holes(Mask.from_array(tube)).voxels == tube.sum()
    assert fill_holes(Mask.from_array(tube), axis=2).voxels == 12 * 12 * 10
    assert fill_holes(Mask.from_array(tube), axis=0).voxels == tube.sum()
    for axis in range(3):
        turned = np.moveaxis(tube, 2, axis)
        assert fill_holes(Mask.from_array(turned), axis=axis).voxels == 12 * 12 * 10


def test_slice_wise_fill_treats_each_slice_alone():
    array = np.zeros((8, 8, 3), bool)
    array[1:7, 1:7, :] = True
    array[3:5, 3:5, 1] = False
    array[3:5, 3:, 2] = False  # open to the outside of its slice
    filled = fill_holes(Mask.from_array(array), axis=2).array
    assert filled[:, :, 1].sum() == 36
    np.testing.assert_array_equal(filled[:, :, 2], array[:, :, 2])


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.7, 0.7, 5), (3, 1, 0.8)])
def test_smooth_keeps_volume_and_loses_specks(spacing):
    shape = tuple(round(60 / s) for s in spacing)
    centre = tuple(n / 2 for n in shape)
    clean = ball(shape, centre, 20, spacing) if min(shape) > 8 else None
    rough = clean ^ (np.random.default_rng(0).random(shape) < 0.02)
    result = smooth(Mask.from_array(rough, id="r"), spacing, radius_mm=4)
    assert result.id == "r"
    assert result.voxels == pytest.approx(rough.sum(), rel=0.02)
    dice = 2 * (result.array & clean).sum() / (result.voxels + clean.sum())
    dice_before = 2 * (rough & clean).sum() / (rough.sum() + clean.sum())
    assert dice > max(0.93, dice_before)
    assert len(components(result)) == 1


def test_smooth_keeps_a_thin_vessel_and_a_cut_at_the_border():
    line = np.zeros((30, 30, 40), bool)
    line[14:16, 14:16, :] = True
    result = smooth(Mask.from_array(line), (1, 1, 1), radius_mm=3)
    assert result.voxels == pytest.approx(line.sum(), rel=0.3)
    assert result.array.any(axis=(0, 1)).all()
    slab = np.zeros((20, 20, 20), bool)
    slab[:, :, :7] = True
    np.testing.assert_array_equal(smooth(Mask.from_array(slab), (1, 1, 1), radius_mm=3).array, slab)


@pytest.mark.parametrize("radius", [0, -1, 51, float("nan")])
def test_smooth_refuses_senseless_radii(radius):
    with pytest.raises(MedVLError, match="radius"):
        smooth(Mask.from_array(np.ones((3, 3, 3), bool)), (1, 1, 1), radius)


def test_why_a_mask_may_not_be_whole():
    array = np.zeros((10, 10, 10), bool)
    array[0, 3:5, 9] = True
    mask = Mask.from_array(array)
    assert mask.border == ("L", "S")
    assert mask.limits == "reaches the left and upper borders of the scan"
    ended = replace(mask, ends=(End(2, 4, "stopped"), End(0, 0)))
    assert ended.limits == (
        "reaches the left and upper borders of the scan and was stopped at axial slice 5 and "
        "was ended at sagittal slice 1"
    )
    inner = np.zeros((10, 10, 10), bool)
    inner[3:5, 3:5, 3:5] = True
    assert (Mask.from_array(inner).border, Mask.from_array(inner).limits) == ((), "")
    # An operation does not make it whole.
    for changed in (smooth(ended, (1, 1, 1)), union(ended, Mask.from_array(inner)), keep_largest(ended)):
        assert changed.ends == ended.ends
    assert union(Mask.from_array(inner), ended).ends == ended.ends


def test_masks_are_equal_by_voxels_and_labels():
    array = np.zeros((6, 5, 4), bool)
    array[1:4, 1:3, 1:3] = True
    mask, other = Mask.from_array(array), array.copy()
    other[1, 1, 1] = False
    assert mask == Mask.from_array(array)
    assert mask != Mask.from_array(other)
    assert mask != mask.renamed("Cyst")
    assert mask != "m1"
