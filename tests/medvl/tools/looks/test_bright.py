from __future__ import annotations

import numpy as np
import pytest

from medvl.tools.looks import look

from .phantom import Phantom


def abdomen(kidney: float = 30, blood: float = 40) -> Phantom:
    p = Phantom(shape=(100, 80, 50), spacing=(2.5, 2.5, 3.0), noise=6)
    p.put(p.tube((0, 0), (115, 90)), 40, "body")
    for side, x in (("right", 55), ("left", -55)):
        p.put(p.ellipsoid((x, -30, 0), (25, 25, 55)), kidney, f"{side}_kidney")
    p.put(p.ellipsoid((40, 40, 0), (20, 20, 25)), 5, "gallbladder")
    p.put(p.tube((0, -20), (10, 10)), blood, "aorta")
    p.put(p.tube((-90, 20), (10, 10)), 300, "left_femur")
    return p


def box(p: Phantom, centre, half: float) -> np.ndarray:
    return np.all([np.abs(g - c) <= half for g, c in zip((p.x, p.y, p.z), centre, strict=True)], axis=0)


def test_stones_are_told_with_side_third_and_size():
    p = abdomen()
    p.hu[box(p, (55, -30, -30), 4)] = 600
    p.hu[box(p, (40, 40, 0), 4)] = 200
    seen = look("stones", p.ct(), p.found())
    assert seen.amount("bright_spots", "right").value == 1
    assert seen.amount("bright_spots", "left").value == 0
    stone = next(s for s in seen.spots if s.place.structure == "right_kidney")
    assert (stone.place.side, stone.place.part) == ("right", "lower third")
    assert stone.max_hu > 550
    assert {s.place.structure for s in seen.spots} == {"right_kidney", "gallbladder"}


def test_with_contrast_kidneys_are_not_judged():
    p = abdomen(kidney=160, blood=180)
    p.hu[box(p, (55, -30, -30), 4)] = 600
    seen = look("stones", p.ct(), p.found())
    assert seen.amount("bright_spots", "right") is None
    assert any("contrast" in limit for limit in seen.limits)


@pytest.mark.parametrize(("hu", "seen"), [(3000, True), (1500, False)])
def test_metal_is_told_with_the_bone_it_lies_in(hu, seen):
    p = abdomen()
    nail = p.tube((-90, 20), (5, 5)) & (np.abs(p.z) < 30)
    p.hu[nail] = hu
    found = look("metal", p.ct(), p.found())
    assert found.seen is seen
    if seen:
        assert found.spots[0].place.structure == "left_femur"
        assert found.amount("metal_ml").value == pytest.approx(nail.sum() * p.voxel_ml, rel=0.05)


def test_metal_outside_the_body_is_not_counted():
    p = abdomen()
    p.hu[box(p, (120, 80, 0), 4)] = 3000
    assert look("metal", p.ct(), p.found()).seen is False
