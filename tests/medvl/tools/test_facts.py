"""Facts are right on boxes whose measures are known, and say when they are lower bounds."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.tools import contrast, facts
from medvl.tools.vessels import widest

from ..scenes import finder_of, sample, scene_of

BOX = (slice(5, 15), slice(6, 16), slice(4, 12))  # 10 x 20 x 24 mm at 1 x 2 x 3


def values(found):
    return {fact.key: fact.value for fact in found}


def test_measures_of_a_box():
    hu = np.full((40, 36, 30), -1000, np.int16)
    hu[BOX] = 55
    scene = scene_of(finder_of({"liver": BOX}, hu=hu))
    assert values(facts.volume(scene, "liver"))["volume_ml"] == pytest.approx(4.8)
    assert values(facts.extent(scene, "liver")) == pytest.approx({"length_mm": 24, "width_mm": 10, "depth_mm": 20})
    assert values(facts.mean_hu(scene, "liver")) == {"mean_hu": 55, "sd_hu": 0}
    found = values(facts.slices(scene, "liver"))
    assert (found["first_slice"], found["last_slice"], found["slice_count"], found["last_of_scan"]) == (5, 12, 8, 30)
    assert not any(f.note for f in facts.volume(scene, "liver"))


def test_extent_is_that_of_the_patient_on_a_tilted_grid():
    turn = np.deg2rad(30)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    block = (slice(5, 6), slice(6, 7), slice(4, 14))
    scene = scene_of(finder_of({"liver": block}, affine=affine))
    found = values(facts.extent(scene, "liver"))
    assert found["length_mm"] == pytest.approx(9 * np.cos(turn) + np.cos(turn), abs=0.2)
    assert found["depth_mm"] == pytest.approx(9 * np.sin(turn) + np.cos(turn), abs=0.2)


@pytest.mark.parametrize(
    ("side", "where"),
    [
        ("lower", (slice(5, 9), slice(5, 9), slice(0, 4))),
        ("upper", (slice(5, 9), slice(5, 9), slice(25, 30))),
        ("left", (slice(0, 9), slice(5, 9), slice(3, 9))),
        ("front", (slice(5, 9), slice(30, 36), slice(3, 9))),
    ],
)
def test_a_cut_structure_has_lower_bounds(side, where):
    scene = scene_of(finder_of({"liver": where}))
    note = facts.volume(scene, "liver")[0].note
    assert note.startswith(facts.AT_LEAST)
    assert side in note
    lengths = {fact.key: bool(fact.note) for fact in facts.extent(scene, "liver")}
    assert lengths == {
        "length_mm": side in ("lower", "upper"),
        "width_mm": side == "left",
        "depth_mm": side == "front",
    }


def test_sides_are_the_patients_in_every_orientation():
    for codes in (None, "LPS", "SAR"):
        shape = (60, 40, 30)
        hu = np.full(shape, -1000, np.int16)
        hu[5:55, 5:35] = 40
        blocks = {
            "spleen": (slice(8, 14), slice(10, 16), slice(10, 20)),
            "liver": (slice(40, 52), slice(10, 30), slice(10, 20)),
        }
        scene = scene_of(finder_of(blocks, shape, np.diag([4.0, 4.0, 4.0, 1.0]), hu, codes))
        assert facts.side_of(scene, "spleen") == "left"
        assert facts.side_of(scene, "liver") == "right"


def test_an_oblique_tube_is_not_wider_than_it_is():
    shape = (60, 60, 60)
    i, j, k = np.indices(shape)
    tilt = np.deg2rad(40)
    away = np.stack([(i - 30) * np.cos(tilt) - (k - 30) * np.sin(tilt), j - 30.0])
    tube = np.hypot(*away) <= 9
    finder = finder_of({"aorta": tube}, shape, np.eye(4))
    scene = scene_of(finder)
    inner = widest(scene, "aorta", 25, 36)
    assert inner.diameter_mm == pytest.approx(18, abs=1)


@pytest.mark.parametrize(
    ("hu", "phase"),
    [
        ({"aorta": 42, "liver": 55, "right_kidney": 30}, "none"),
        ({"aorta": 320, "inferior_vena_cava": 90, "liver": 65, "right_kidney": 150}, "arterial"),
        ({"aorta": 150, "inferior_vena_cava": 140, "liver": 110, "right_kidney": 190}, "portal venous"),
        ({"liver": 60}, None),
    ],
)
def test_contrast_phase_from_blood_and_organs(hu, phase):
    blocks = {id: (slice(2 + 10 * n, 11 + 10 * n), slice(5, 25), slice(5, 20)) for n, id in enumerate(hu)}
    volume = np.zeros((45, 36, 30), np.int16)
    for id, where in blocks.items():
        volume[where] = hu[id]
    assert contrast.phase(scene_of(finder_of(blocks, (45, 36, 30), hu=volume))).value == phase


def test_the_bundled_abdomen_has_no_contrast():
    assert contrast.phase(scene_of(sample())).value == "none"
