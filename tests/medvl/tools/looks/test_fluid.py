from __future__ import annotations

import numpy as np
import pytest

from medvl.tools.looks import look, look_in

from .phantom import chest


def effusion(side: str, depth: float = 45.0, hu: float = 10.0):
    """A chest with fluid in the back of one half, where the lung was."""
    p = chest()
    lung = p.masks[f"{side}_lung"]
    hull = p.ellipsoid((62 if side == "right" else -62, -2, 0), (52, 75, 95)) & ~p.masks["heart"]
    fluid = hull & (p.y < -75 + depth) & (p.z < 40)
    fluid &= ~p.masks["vertebral_column"] & p.tube((0, 0), (115, 78))
    p.put(fluid, hu)
    lung &= ~fluid
    return p, fluid


@pytest.mark.parametrize("side", ["right", "left"])
def test_pleural_fluid_is_measured_on_its_side(side):
    p, fluid = effusion(side)
    seen = look("pleural_fluid", p.ct(), p.found())
    truth = fluid.sum() * p.voxel_ml
    other = "left" if side == "right" else "right"
    assert seen.seen
    assert seen.amount("fluid_ml", side).value == pytest.approx(truth, rel=0.25)
    assert seen.amount("fluid_ml", other).value == 0
    air = p.masks[f"{side}_lung"].sum() * p.voxel_ml
    assert seen.amount("hemithorax_percent", side).value == pytest.approx(100 * truth / (truth + air), rel=0.25)
    assert all(s.place.side == side and s.kind == "fluid" for s in seen.spots)
    assert any(r.source for r in seen.rules)


def test_fluid_in_the_back_of_the_chest_is_told_with_more_certainty_than_fluid_in_front():
    p, _ = effusion("right")
    assert look("pleural_fluid", p.ct(), p.found()).spots[0].sureness == "clear"


def test_a_round_mass_of_fluid_density_in_lung_is_told_as_unclear():
    p = chest()
    mass = p.ellipsoid((62, -30, 0), (27, 27, 27))
    p.put(mass, 12)
    p.masks["right_lung"] &= ~mass
    seen = look("pleural_fluid", p.ct(), p.found())
    assert seen.spots[0].sureness == "unclear"
    assert "mass" in seen.spots[0].why


def test_a_chest_without_fluid_has_none():
    p = chest()
    for what in ("pleural_fluid", "pericardial_fluid"):
        seen = look(what, p.ct(), p.found())
        assert seen.seen is False
        assert not seen.spots


@pytest.mark.parametrize("hu", [55, -100])
def test_soft_tissue_and_fat_are_no_fluid(hu):
    p, _ = effusion("left", hu=hu)
    assert look("pleural_fluid", p.ct(), p.found()).seen is False


def test_without_ribs_or_lungs_nothing_is_said():
    p, _ = effusion("right")
    for gone in (("right_ribs", "left_ribs"), ("right_lung", "left_lung")):
        seen = look_in("pleural_fluid", p.scene(gone))
        assert seen.seen is None
        assert seen.limits


def test_fluid_round_the_heart():
    p = chest()
    shell = p.ellipsoid((-8, 25, -20), (62, 59, 64)) & ~p.masks["heart"] & p.tube((0, 0), (112, 76))
    shell &= ~p.masks["vertebral_column"]
    p.put(shell, 8)
    for side in ("right", "left"):
        p.masks[f"{side}_lung"] &= ~shell
    seen = look("pericardial_fluid", p.ct(), p.found())
    assert seen.seen
    assert seen.amount("fluid_ml").value == pytest.approx(shell.sum() * p.voxel_ml, rel=0.4)


def test_fluid_beside_the_liver_is_ascites_and_not_pleural():
    p = chest()
    for side in ("right", "left"):
        p.masks[f"{side}_lung"] &= p.z > 10
        p.hu[(p.ellipsoid((62 if side == "right" else -62, -2, 0), (50, 72, 95))) & (p.z <= 10)] = -90
    liver = p.ellipsoid((50, 0, -45), (40, 50, 40))
    fluid = p.ellipsoid((50, 0, -45), (66, 74, 40)) & ~liver & (p.x > 50) & (p.z < -20) & p.tube((0, 0), (114, 77))
    p.put(fluid, 8)
    p.put(liver, 60, "liver")
    seen = look("ascites", p.ct(), p.found())
    assert seen.seen
    assert seen.amount("fluid_ml").value == pytest.approx(fluid.sum() * p.voxel_ml, rel=0.6)
    assert look("pleural_fluid", p.ct(), p.found()).amount("fluid_ml", "right").value < 0.2 * fluid.sum() * p.voxel_ml


def test_the_scan_is_left_as_it_was():
    p, _ = effusion("right")
    ct = p.ct()
    before = ct.hu.copy()
    look("pleural_fluid", ct, p.found())
    assert np.array_equal(before, ct.hu)
