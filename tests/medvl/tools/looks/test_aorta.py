from __future__ import annotations

import numpy as np
import pytest

from medvl.tools.looks import look

from .phantom import Phantom


def torso(infrarenal: float = 10.0, ascending: float = 17.0, chest: bool = True) -> Phantom:
    """Radii in mm; the kidneys lie from -90 to -30 mm, so the renal level is at -60 mm."""
    p = Phantom(shape=(80, 80, 80), spacing=(2.0, 2.0, 4.0), noise=5)
    p.put(p.tube((0, 0), (78, 78)), 0, "body")
    p.put(p.tube((0, -45), (18, 15)), 200, "vertebral_column")
    for side, x in (("right", 50), ("left", -50)):
        p.put(p.ellipsoid((x, -30, -60), (18, 18, 30)), 30, f"{side}_kidney")
    low, middle = p.z < -60, (p.z >= -60) & (p.z < 100)
    p.put(p.tube((-6, -15), (infrarenal, infrarenal)) & low, 40, "aorta")
    p.put(p.tube((-6, -15), (12, 12)) & middle, 40, "aorta")
    if chest:
        p.put(p.tube((8, 30), (ascending, ascending)) & (p.z > 20) & (p.z < 100), 40, "aorta")
        p.put(p.tube((25, 0), (6, 6)) & (p.z > 60), -1000, "trachea")
    return p


def test_each_segment_has_a_width_of_its_own():
    p = torso()
    seen = look("aorta_widths", p.ct(), p.found())
    for part, radius in (("infrarenal", 10), ("suprarenal", 12), ("descending", 12), ("ascending", 17)):
        assert seen.amount("width_mm", part=part).value == pytest.approx(2 * radius, abs=1.5), part
    assert seen.seen is False


@pytest.mark.parametrize(("infrarenal", "ascending", "named"), [(16, 17, "infrarenal"), (10, 23.5, "ascending")])
def test_each_segment_is_judged_by_its_own_threshold(infrarenal, ascending, named):
    p = torso(infrarenal, ascending)
    seen = look("aorta_widths", p.ct(), p.found())
    assert seen.seen
    assert f"the {named} part is at or above" in seen.told


def test_a_chest_without_ascending_aorta_is_not_judged_by_it():
    p = torso(chest=False)
    seen = look("aorta_widths", p.ct(), p.found())
    assert seen.amount("threshold_mm", part="ascending") is None
    assert seen.amount("threshold_mm", part="descending") is None
    assert any("ascending" in limit for limit in seen.limits)


def test_a_section_with_a_neighbour_in_it_is_not_measured():
    p = torso()
    bulge = p.tube((6, -15), (14, 11)) & (p.z > -110) & (p.z < -95)
    p.put(bulge, 40, "aorta")
    seen = look("aorta_widths", p.ct(), p.found())
    assert seen.amount("width_mm", part="infrarenal").value == pytest.approx(20, abs=1.5)


def test_calcium_is_told_by_segment():
    p = torso()
    for z in (-120, 0):
        p.hu[p.ellipsoid((-6 + 9, -15, z), (3, 3, 6))] = 500
    seen = look("aorta_calcium", p.ct(), p.found())
    parts = {s.place.part for s in seen.spots}
    assert parts == {"infrarenal", "descending"}
    assert seen.amount("calcium_ml", part="ascending").value == 0
    clean = torso()
    assert look("aorta_calcium", clean.ct(), clean.found()).seen is False
    assert np.all([s.max_hu > 400 for s in seen.spots])
