from __future__ import annotations

import numpy as np
import pytest

from medvl.tools.looks import look

from .phantom import Phantom


def trunk() -> tuple[Phantom, dict[str, np.ndarray]]:
    p = Phantom(shape=(160, 130, 12), spacing=(2.0, 2.0, 5.0), noise=5)
    skin, outer, inner = p.tube((0, 0), (150, 115)), p.tube((0, 0), (120, 88)), p.tube((0, 0), (106, 74))
    p.put(skin, -100, "body")
    p.put(outer, 50)
    p.put(inner, -100)
    psoas = p.tube((40, -40), (14, 14)) | p.tube((-40, -40), (14, 14))
    p.put(p.tube((40, -40), (14, 14)), 50, "right_iliopsoas")
    p.put(p.tube((-40, -40), (14, 14)), 50, "left_iliopsoas")
    bowel = p.tube((0, 25), (30, 20))
    p.put(bowel, 40)
    spine = p.tube((0, -50), (22, 20))
    p.put(spine, 250, "vertebral_column")
    p.put(spine & (np.abs(p.z) < 18), 250, "l3_vertebra")
    parts = {"muscle_cm2": (outer & ~inner) | psoas, "subcutaneous_fat_cm2": skin & ~outer}
    parts["visceral_fat_cm2"] = inner & ~psoas & ~bowel & ~spine
    return p, parts


def test_areas_at_l3():
    p, parts = trunk()
    seen = look("composition", p.ct(), p.found())
    assert seen.what == "composition"
    k = seen.amounts[0].slice - 1
    for key, tolerance in (("muscle_cm2", 0.1), ("subcutaneous_fat_cm2", 0.1), ("visceral_fat_cm2", 0.2)):
        truth = parts[key][:, :, k].sum() * 4 / 100
        assert seen.amount(key, part="L3").value == pytest.approx(truth, rel=tolerance), key
    assert any("height" in limit for limit in seen.limits)


def test_a_body_cut_at_the_side_gives_lower_bounds():
    p, _ = trunk()
    ct, found = p.ct(), p.found()
    assert not look("composition", ct, found).amounts[0].at_least
    p.masks["body"] |= p.x < -130
    assert look("composition", ct, p.found()).amounts[0].at_least


def test_without_l3_nothing_is_said():
    p, _ = trunk()
    assert look("composition", p.ct(), p.found(("l3_vertebra",))).seen is None
