"""One slice: what a corrected one may gain."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.plane_masks import SlicePrompts
from medvl.slice_segmenter import _leaked

VESSEL = (360.0, 20.0)


@pytest.fixture
def plane():
    """A vessel of 360 HU beside its arch and a large organ of 100 HU; the vessel's mask so far."""
    hu = np.full((80, 80), 100, np.int16)
    hu[10:20, 10:20] = hu[10:20, 20:40] = 360
    before = np.zeros((80, 80), bool)
    before[10:20, 10:20] = True
    return hu, before


def at(*points):
    return SlicePrompts(points)


def test_the_rest_of_a_vessel_is_no_leak(plane):
    hu, before = plane
    assert _leaked(hu == 360, before, hu, VESSEL, at((15, 30, True))) == 0


def test_the_organ_round_it_is_one_and_grows_with_its_size(plane):
    hu, before = plane
    little, much = (hu == 360).copy(), (hu == 360).copy()
    little[20:22, 10:40], much[20:60, 10:40] = True, True
    click = at((15, 30, True))
    assert 0 < _leaked(little, before, hu, VESSEL, click) < _leaked(much, before, hu, VESSEL, click) == 1


def test_a_click_on_other_tissue_asks_for_it(plane):
    """The dark middle of a tumour belongs to it when a person says so."""
    hu, before = plane
    grown = before.copy()
    grown[20:40, 10:20] = True
    assert _leaked(grown, before, hu, VESSEL, at((30, 15, True))) == 0
    assert _leaked(grown, before, hu, VESSEL, at((15, 15, False))) == 1


def test_what_only_shrinks_leaks_nothing(plane):
    hu, before = plane
    assert _leaked(before & (hu > 400), before, hu, VESSEL, at((15, 15, False))) == 0
    assert _leaked(before, np.zeros_like(before), hu, VESSEL, at((15, 15, True))) == 0
