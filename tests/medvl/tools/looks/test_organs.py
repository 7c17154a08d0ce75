from __future__ import annotations

import numpy as np
import pytest

from medvl.tools.looks import look

from .phantom import Phantom

PORTAL = {"liver": 110, "aorta": 150}


def abdomen(liver: float = 110, blood: float = 150, noise: float = 10.0) -> Phantom:
    p = Phantom(shape=(110, 84, 50), spacing=(2.0, 2.0, 3.0), noise=noise)
    p.put(p.tube((0, 0), (105, 80)), -100, "body")
    p.put(p.ellipsoid((35, 0, 0), (55, 55, 60)), liver, "liver")
    p.put(p.tube((-40, -30), (9, 9)), blood, "aorta")
    return p


def add(p: Phantom, centre, radius: float, hu: float) -> np.ndarray:
    ball = p.ellipsoid(centre, (radius,) * 3)
    p.hu[ball] = hu
    return ball


def test_dark_areas_are_counted_with_place_size_and_contrast():
    p = abdomen()
    balls = [add(p, (45, 10, 33), 11, 60), add(p, (25, -20, -20), 8, 60)]
    seen = look("focal_liver", p.ct(), p.found())
    assert seen.seen
    assert seen.amount("dark_spots").value == 2
    for ball, made in zip(balls, sorted(seen.spots, key=lambda s: -s.volume_ml), strict=True):
        assert ball[made.place.centre_ijk]
        assert made.volume_ml == pytest.approx(ball.sum() * p.voxel_ml, rel=0.45)
        assert made.contrast_hu == pytest.approx(-50, abs=20)
        assert made.place.structure == "liver"
    assert seen.spots[0].place.part == "upper third"


def test_an_even_organ_has_none():
    p = abdomen(noise=20.0)
    seen = look("focal_liver", p.ct(), p.found())
    assert seen.seen is False
    assert seen.amount("dark_spots").value == 0


def test_a_missing_piece_of_the_mask_is_looked_at_too():
    p = abdomen()
    ball = add(p, (45, 10, 10), 9, 55)
    p.masks["liver"] &= ~ball
    assert look("focal_liver", p.ct(), p.found()).amount("dark_spots").value == 1


def test_vessels_and_fissures_are_left_out():
    p = abdomen()
    tube = (np.hypot(p.y - 10, p.z - 9) < 4) & p.masks["liver"]
    p.hu[tube] = 70
    cleft = (np.abs(p.x - 20) < 4) & (p.y > 20) & p.masks["liver"]
    p.hu[cleft] = -90
    p.masks["liver"] &= ~cleft
    assert look("focal_liver", p.ct(), p.found()).amount("dark_spots").value == 0


def test_without_contrast_it_is_less_sure():
    p = abdomen(liver=60, blood=40)
    add(p, (45, 10, 15), 11, 15)
    seen = look("focal_liver", p.ct(), p.found())
    assert seen.seen
    assert {s.sureness for s in seen.spots} == {"unclear"}
    assert "without contrast" in seen.spots[0].why


def test_with_contrast_only_calcium_is_told_as_bright():
    for hu, count in ((150, 0), (400, 1)):
        p = abdomen()
        add(p, (45, 10, 15), 8, hu)
        assert look("focal_liver", p.ct(), p.found()).amount("bright_spots").value == count


def test_no_organ_says_nothing():
    p = abdomen()
    assert look("focal_spleen", p.ct(), p.found()).seen is None
