from __future__ import annotations

import numpy as np
import pytest

from medvl.tools.looks import look

from .phantom import Phantom


def belly() -> Phantom:
    p = Phantom(shape=(90, 80, 50), spacing=(2.5, 2.5, 3.0), noise=5)
    p.put(p.tube((0, 0), (105, 90)), -100, "body")
    p.put(p.ellipsoid((35, 0, 0), (45, 45, 50)), 60, "liver")
    return p


@pytest.mark.parametrize(("radius", "full"), [(50, True), (30, False)])
def test_filling_of_the_bladder(radius, full):
    p = belly()
    ball = p.put(p.ellipsoid((0, 0, 0), (radius,) * 3), 8, "urinary_bladder")
    seen = look("bladder", p.ct(), p.found())
    assert seen.seen is full
    assert seen.amount("volume_ml").value == pytest.approx(ball.sum() * p.voxel_ml)


@pytest.mark.parametrize(("width", "wide"), [(40, True), (24, False)])
def test_width_of_the_gallbladder(width, wide):
    p = belly()
    p.put(p.ellipsoid((-30, 30, 0), (width / 2, 35, 30)), 8, "gallbladder")
    seen = look("gallbladder", p.ct(), p.found())
    assert seen.seen is wide
    assert seen.amount("width_mm").value == pytest.approx(width, abs=4)


def test_gas_in_the_liver_is_told_and_gas_elsewhere_is_not():
    p = belly()
    p.hu[p.ellipsoid((-60, 0, 0), (15, 15, 15))] = -900
    assert look("free_gas", p.ct(), p.found()).seen is False
    bubble = p.ellipsoid((35, 0, 20), (7, 7, 7))
    p.hu[bubble] = -900
    seen = look("free_gas", p.ct(), p.found())
    assert [s.place.structure for s in seen.spots] == ["liver"]
    assert bubble[seen.spots[0].place.centre_ijk]


def test_gas_between_liver_and_wall():
    p = belly()
    gas = (p.y > 35) & p.ellipsoid((35, 0, 0), (60, 68, 50)) & ~p.masks["liver"] & (np.abs(p.z) < 20)
    p.hu[gas] = -900
    seen = look("free_gas", p.ct(), p.found())
    assert seen.seen
    assert seen.amount("gas_ml").value == pytest.approx(gas.sum() * p.voxel_ml, rel=0.25)
