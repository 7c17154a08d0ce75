"""Dice, NSD and AUC against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.errors import MedVLError
from medvl.evaluation.segmentation_metrics import (
    TOLERANCE_MM,
    area_under_curve,
    dice,
    surface_dice,
    tolerance_of,
    tolerances,
)


def cube(low, n=20, shape=(40, 40, 40)):
    array = np.zeros(shape, bool)
    array[tuple(slice(v, v + n) for v in low)] = True
    return array


REFERENCE = cube((8, 8, 8))


@pytest.mark.parametrize("shift", [0, 1, 3, 10, 12])
def test_dice_of_a_shifted_cube(shift):
    assert dice(cube((8 + shift, 8, 8), 20), REFERENCE) == pytest.approx((20 - shift) / 20)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.0, 5.0)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_nsd_is_one_within_the_tolerance_in_mm(spacing, axis):
    moved = np.roll(REFERENCE, 1, axis)
    assert surface_dice(moved, REFERENCE, spacing, spacing[axis]) == pytest.approx(1)
    assert surface_dice(moved, REFERENCE, spacing, 0.9 * spacing[axis]) < 0.95


def test_nsd_of_a_shift_beyond_the_tolerance():
    """Shifted by 3, tolerance 2, n = 20: side faces count but for their last mm, end faces along a 2 mm rim."""
    n, tolerance = 20, 2
    by_hand = (4 * n * (n - 1) + n**2 - (n - 2 * tolerance) ** 2) / (6 * n**2)
    assert surface_dice(cube((11, 8, 8)), REFERENCE, (1, 1, 1), tolerance) == pytest.approx(by_hand, abs=0.05)
    assert surface_dice(cube((11, 8, 8)), REFERENCE, (0.5, 0.5, 0.5), tolerance) == pytest.approx(1)  # 1.5 mm


def test_nsd_does_not_depend_on_the_place_in_the_scan():
    """Also where the object touches the border: the crop and its rim change nothing."""
    inside = surface_dice(cube((11, 8, 8)), REFERENCE, (1, 1, 1))
    assert surface_dice(cube((3, 0, 0)), cube((0, 0, 0)), (1, 1, 1)) == pytest.approx(inside)
    assert surface_dice(cube((17, 20, 20)), cube((20, 20, 20)), (1, 1, 1)) == pytest.approx(inside)


def test_empty_masks():
    empty = np.zeros_like(REFERENCE)
    assert dice(empty, empty) == surface_dice(empty, empty, (1, 1, 1)) == 1
    for pair in ((REFERENCE, empty), (empty, REFERENCE)):
        assert dice(*pair) == surface_dice(*pair, (1, 1, 1)) == 0


def test_bad_input():
    with pytest.raises(MedVLError, match="grids"):
        surface_dice(REFERENCE, REFERENCE[:-1], (1, 1, 1))
    with pytest.raises(MedVLError, match="0 mm or more"):
        surface_dice(REFERENCE, REFERENCE, (1, 1, 1), -1)
    with pytest.raises(MedVLError, match="two scores"):
        area_under_curve([0.5])


def test_area_under_a_series():
    assert area_under_curve([1, 1, 1, 1, 1]) == 4
    assert area_under_curve([0.2, 0.4, 0.6, 0.8, 1.0]) == pytest.approx(0.3 + 0.5 + 0.7 + 0.9)
    assert area_under_curve([0, 1]) == 0.5


def test_tolerances_of_structures():
    stated = tolerances(["3", "liver=5"])
    assert (tolerance_of("liver", stated), tolerance_of("spleen", stated)) == (5, 3)
    assert tolerance_of("spleen", tolerances(["liver=5"])) == tolerance_of("liver", None) == TOLERANCE_MM
    for word in ("wide", "liver=", "-1", "nan", "inf"):
        with pytest.raises(MedVLError, match="no tolerance"):
            tolerances([word])
