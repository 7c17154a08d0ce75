from __future__ import annotations

import numpy as np
import pytest

from medvl.tools.looks import look

from .phantom import chest


def test_a_ball_is_told_with_its_diameter_and_a_vessel_is_not():
    p = chest()
    vessel = (np.hypot(p.x - 60, p.y - 10) < 5) & p.masks["right_lung"]
    p.hu[vessel] = 40
    ball = p.ellipsoid((-65, -5, 10), (9, 9, 9))
    p.hu[ball] = 40
    seen = look("lung_spots", p.ct(), p.found())
    assert seen.amount("solid_spots").value == 1
    assert ball[seen.spots[0].place.centre_ijk]
    assert seen.spots[0].place.side == "left"
    assert seen.spots[0].longest_mm == pytest.approx(18, abs=5)


def test_a_mass_against_the_chest_wall_outside_the_lung_mask_is_told():
    p = chest()
    mass = p.ellipsoid((80, 5, 20), (30, 30, 30)) & p.tube((0, 0), (115, 78))
    p.hu[mass] = 45
    p.masks["right_lung"] &= ~mass
    seen = look("lung_spots", p.ct(), p.found())
    assert mass[seen.spots[0].place.centre_ijk]
    assert seen.spots[0].longest_mm == pytest.approx(58, rel=0.25)


def test_a_clean_chest_has_none():
    p = chest()
    seen = look("lung_spots", p.ct(), p.found())
    assert seen.seen is False
    assert seen.limits
    assert look("lung_spots", p.ct(), p.found(("right_lung", "left_lung"))).seen is None
