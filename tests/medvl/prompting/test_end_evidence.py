"""What speaks against a slice being the object."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.prompting.end_evidence import Course, End, expected, extent_mm, gone, grown, open_ends, too_far
from medvl.prompting.planes import Patch, PlaneFrame
from medvl.prompting.thresholds import THRESHOLDS

FRAME = PlaneFrame(2, (80, 60, 40), (1.0, 2.0))  # 60 rows of 1 mm, 80 columns of 2 mm


def disc(radius_mm: float, row: int = 30, column: int = 40) -> np.ndarray:
    return FRAME.disc(row, column, radius_mm)


def course(away_mm: float = 5.0, before: np.ndarray | None = None) -> Course:
    return Course(disc(12), disc(12) if before is None else before, away_mm)


def is_gone(now: np.ndarray, hu: float = 50.0, sd: float = 20.0, before: np.ndarray | None = None) -> bool:
    return gone(now, np.full(FRAME.shape, hu), (50.0, sd), course(before=before))


def test_the_same_thing_is_still_there():
    for now, hu in ((disc(12), 50), (disc(11, row=31), 60)):
        assert not is_gone(now, hu=hu)
        assert grown(now, course()) == ""


def test_what_lies_elsewhere_or_has_other_hu_is_another_thing():
    assert is_gone(disc(12, row=10), before=disc(12, row=45))
    assert is_gone(disc(12), hu=50 + THRESHOLDS.drift_hu + 1)
    assert is_gone(disc(12), hu=50 - THRESHOLDS.drift_hu - 1)


def test_what_takes_in_its_surroundings_may_go_on_and_says_why_it_ended():
    wide = disc(12 * np.sqrt(THRESHOLDS.growth) * 1.1)
    assert not is_gone(wide, before=wide)
    assert "grown" in grown(wide, course(before=wide))


def test_a_spread_of_hu_is_no_drift():
    assert not is_gone(disc(12), hu=-60, sd=110 / THRESHOLDS.drift_sd + 1)


def test_what_no_lump_reaches_is_too_far():
    near, far = (course(away) for away in (10.0, THRESHOLDS.reach * 26 + 1))
    assert not too_far(expected(disc(12), 10.0, FRAME), near, FRAME)
    assert too_far(expected(disc(12), far.distance_mm, FRAME), far, FRAME)
    assert too_far(expected(disc(3), 20.0, FRAME), course(20.0), FRAME)


def test_extent_is_in_mm_along_both_sides():
    mask = np.zeros(FRAME.shape, bool)
    mask[10:20, 5:8] = True
    assert extent_mm(mask, FRAME) == 10.0
    mask[10, 5:20] = True
    assert extent_mm(mask, FRAME) == 30.0
    assert extent_mm(np.zeros(FRAME.shape, bool), FRAME) == 0.0


def test_a_lump_is_its_outline_on_the_prompted_slice_and_shrinks_to_nothing():
    prompted = disc(14)
    assert np.array_equal(expected(prompted, 0.0, FRAME) > 0, prompted)
    length = 14 * THRESHOLDS.lump_length
    areas = [np.count_nonzero(expected(prompted, share * length, FRAME) > 0) for share in (0, 0.3, 0.6, 0.9, 1.05)]
    assert areas == sorted(areas, reverse=True)
    assert areas[-2] > 0
    assert areas[-1] == 0
    # The slices of an ellipsoid: at 0.6 of its length the radius is 0.8 of the largest.
    assert areas[2] / areas[0] == pytest.approx(0.64, abs=0.12)


def test_a_lump_needs_no_round_outline():
    bent = disc(14) & ~disc(10, row=38)
    assert np.array_equal(expected(bent, 0.0, FRAME) > 0, bent)
    assert not (expected(bent, 8.0, FRAME) > 0)[~bent].any()


def test_ends_that_the_object_went_beyond_are_none():
    patch = Patch.from_logits(np.where(disc(5), 2.0, -2.0))
    ends = (
        End(20, 1, "it would have become much longer than it is wide"),
        End(3, -1, "it would have jumped to another place"),
    )
    slices = {i: patch for i in range(3, 21)}
    assert {e.index for e in open_ends(ends, slices)} == {3, 20}
    assert [e.index for e in open_ends(ends, slices | {21: patch})] == [3]
    assert [e.index for e in open_ends(ends, {i: patch for i in range(5, 21)})] == [20]
    assert open_ends(ends, {}) == ()
