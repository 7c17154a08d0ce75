"""Margins, shells, ranges and strokes: true in mm, inside the scan, and each other's inverse where that can be."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.ct import mask_operations as operations
from medvl.ct.geometry import SourceGeometry
from medvl.ct.masks import Mask
from medvl.ct.prompts import Box
from medvl.ct.volume import CTVolume
from medvl.errors import MedVLError

SPACING = (0.8, 1.0, 2.5)
SHAPE = (60, 56, 30)


def ball(radius: float, centre=(30, 28, 15)) -> Mask:
    grid = np.indices(SHAPE, float)
    far = sum(((grid[a] - centre[a]) * SPACING[a]) ** 2 for a in range(3))
    return Mask.from_array(far <= radius**2, id="m1")


@pytest.mark.parametrize("mm", [1.0, 3.0, 5.0])
def test_a_grown_ball_is_a_larger_ball(mm):
    grown = operations.margin(ball(10), SPACING, mm).array
    assert not (grown & ~ball(10 + mm).array).any()
    assert not (ball(10 + mm - 1.6).array & ~grown).any()  # half a voxel's diagonal


@pytest.mark.parametrize("mm", [-2.0, -5.0])
def test_a_shrunk_ball_is_a_smaller_ball(mm):
    shrunk = operations.margin(ball(12), SPACING, mm).array
    assert not (shrunk & ~ball(12 + mm + 1.5).array).any()
    assert not (ball(12 + mm - 2.6).array & ~shrunk).any()


def test_a_margin_against_every_pair_of_voxels():
    rng = np.random.default_rng(3)
    array = np.zeros((9, 8, 7), bool)
    array[2:7, 2:6, 2:5] = rng.random((5, 4, 3)) > 0.5
    mask, places = Mask.from_array(array), np.argwhere(np.ones_like(array))
    scaled = places * SPACING
    far = np.linalg.norm(scaled[:, None] - scaled[None], axis=-1)
    for mm in (0.8, 1.7, 3.0):
        near = far[:, array.ravel()].min(axis=1) <= mm + 1e-6
        assert np.array_equal(operations.margin(mask, SPACING, mm).array.ravel(), near)
        inside = far[:, ~array.ravel()].min(axis=1) > mm + 1e-6
        assert np.array_equal(operations.margin(mask, SPACING, -mm).array.ravel(), inside & array.ravel())


def test_at_the_border_of_the_scan_nothing_is_lost_and_nothing_leaves_it():
    array = np.zeros(SHAPE, bool)
    array[:20, :, :12] = True
    shrunk = operations.margin(Mask.from_array(array), SPACING, -3).array
    assert shrunk[0, 0, 0]
    assert shrunk[15, 20, 0]
    assert not shrunk[18, 20, 0]
    whole = Mask.from_array(np.ones(SHAPE, bool))
    assert operations.margin(whole, SPACING, -5).voxels == whole.voxels
    assert operations.margin(Mask.from_array(array), SPACING, 50).shape == SHAPE


def test_a_shell_is_what_shrinking_takes():
    solid = ball(12)
    shell, core = operations.hollow(solid, SPACING, 3), operations.margin(solid, SPACING, -3)
    assert np.array_equal(shell.array ^ core.array, solid.array)
    assert not (shell.array & core.array).any()
    assert operations.hollow(ball(2), SPACING, 30).voxels == ball(2).voxels  # all of it is shell


def test_nothing_stays_nothing():
    empty = Mask.from_array(np.zeros(SHAPE, bool))
    for mm in (3, -3):
        assert operations.margin(empty, SPACING, mm).empty
    assert operations.hollow(empty, SPACING, 3).empty
    assert operations.margin(ball(4), SPACING, -30).empty


@pytest.mark.parametrize("mm", [101, -101, float("nan"), float("inf")])
def test_margins_that_make_no_sense(mm):
    with pytest.raises(MedVLError, match="makes no sense"):
        operations.margin(ball(5), SPACING, mm)
    with pytest.raises(MedVLError, match="makes no sense"):
        operations.hollow(ball(5), SPACING, mm)


def test_a_range_of_hu():
    hu = np.random.default_rng(0).integers(-100, 300, SHAPE).astype(np.int16)
    affine = np.diag([*SPACING, 1])
    ct = CTVolume(hu, affine, SourceGeometry(SHAPE, affine))
    kept = operations.within_hu(ball(10), ct, 0, 150)
    assert np.array_equal(kept.array, ball(10).array & (hu >= 0) & (hu <= 150))
    with pytest.raises(MedVLError, match="lower to the higher"):
        operations.within_hu(ball(10), ct, 5, 2)


def test_strokes_on_arrays():
    rng = np.random.default_rng(1)
    mask, box = ball(8), Box((20, 20, 5), (55, 50, 25))
    voxels = rng.random(box.size) > 0.7
    full = np.zeros(SHAPE, bool)
    full[box.slices] = voxels
    assert np.array_equal(operations.paint(mask, box, voxels).array, mask.array | full)
    assert np.array_equal(operations.paint(mask, box, voxels, add=False).array, mask.array & ~full)
    empty = Mask.from_array(np.zeros(SHAPE, bool))
    assert np.array_equal(operations.paint(empty, box, voxels).array, full)
    assert operations.paint(empty, box, voxels, add=False).empty
    with pytest.raises(MedVLError):
        operations.paint(mask, Box((0, 0, 0), (99, 1, 1)), np.ones((99, 1, 1), bool))


def test_a_ball_painted_on_some_slices_is_a_ball_again():
    grid = np.indices((40, 44, 36))
    spacing = (1.0, 1.0, 1.0)
    ball = sum((grid[a] - c) ** 2 for a, c in enumerate((20, 22, 18))) <= 14**2
    for axis in range(3):
        painted = np.moveaxis(ball.copy(), axis, 0)
        kept = np.zeros(len(painted), bool)
        kept[::4] = True
        painted[~kept] = False
        mask = Mask.from_array(np.moveaxis(painted, 0, axis), id="m1")
        new, filled = operations.interpolate(mask, spacing)
        span = np.flatnonzero(painted.any(axis=(1, 2)))
        assert filled == span[-1] - span[0] + 1 - len(span)
        assert not (mask.array & ~new.array).any()
        whole = np.moveaxis(ball.copy(), axis, 0)
        whole[: span[0]] = whole[span[-1] + 1 :] = False
        whole = np.moveaxis(whole, 0, axis)
        assert 2 * (whole & new.array).sum() / (whole.sum() + new.voxels) > 0.96


def test_an_oblique_vessel_stays_whole_between_slices_that_do_not_overlap():
    array = np.zeros((60, 20, 13), bool)
    for k, i in ((0, 8), (12, 44)):
        grid = np.indices((60, 20))
        array[..., k] = (grid[0] - i) ** 2 + (grid[1] - 10) ** 2 <= 25
    new, filled = operations.interpolate(Mask.from_array(array, id="m1"), (1.0, 1.0, 3.0))
    assert filled == 11
    areas = new.array.sum(axis=(0, 1))
    assert areas.min() > 0.85 * areas.max()
    centre = np.argwhere(new.array[..., 6]).mean(axis=0)
    assert centre == pytest.approx((26, 10), abs=0.6)


def test_without_an_empty_slice_nothing_is_interpolated():
    block = np.zeros((9, 9, 9), bool)
    assert operations.interpolate(Mask.from_array(block, id="m1"), (1, 1, 1))[1] == 0
    block[2:6, 2:6, 2:6] = True
    mask = Mask.from_array(block, id="m1")
    assert operations.interpolate(mask, (1, 1, 1)) == (mask, 0)
