"""Which structures a scan can show, by the regions of the body that it shows."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.networks.localiser import CoarseMap
from medvl.networks.region_head import REGIONS
from medvl.structures.regions import View, regions_for, within_view
from medvl.vocabulary.names import STRUCTURES

K = 30


def view(**spans: tuple[int, int]) -> View:
    """A view that shows regions on half-open stretches of slices."""
    probability = np.full((len(REGIONS), K), 0.02, np.float32)
    for region, (low, high) in spans.items():
        probability[REGIONS.index(region), low:high] = 0.98
    return View(probability, 0.5, 3)


def test_every_structure_lies_in_known_regions():
    for structure in STRUCTURES:
        assert regions_for(structure)
        assert set(regions_for(structure)) <= set(REGIONS)


def test_a_thigh_shows_no_organ_and_says_what_it_looks_like():
    thigh = view(limb=(0, K))
    hidden = ("liver", "heart", "urinary_bladder", "right_kidney", "brainstem", "right_lung", "l1_vertebra", "sacrum")
    assert not any(thigh.shows(structure) for structure in hidden)
    assert thigh.shows("other_bone")
    assert thigh.shows("body")
    assert "limb" in thigh.looks_like


def test_a_chest_with_the_top_of_the_abdomen_shows_both():
    both = view(chest=(8, K), abdomen=(0, 12))
    assert both.regions == ("chest", "abdomen")
    assert all(both.shows(structure) for structure in ("liver", "heart", "aorta", "t12_vertebra", "l1_vertebra"))
    assert not any(both.shows(structure) for structure in ("urinary_bladder", "mandible", "brainstem"))
    assert both.looks_like == "this looks like a chest and an abdomen"


def test_a_stray_slice_is_no_region():
    assert view(chest=(0, K), pelvis=(10, 12)).regions == ("chest",)


def test_a_neck_is_believed_beside_a_limb_only_with_what_it_joins():
    assert view(limb=(0, K), neck=(0, 9)).regions == ("limb",)
    assert not view(limb=(0, K), neck=(0, 9)).shows("larynx")
    assert view(limb=(0, K), neck=(8, 20), head=(18, K)).regions == ("head", "neck", "limb")
    assert view(neck=(0, K)).regions == ("neck",)


def test_nothing_of_a_body_shows_nothing():
    nothing = view()
    assert nothing.regions == ()
    assert not nothing.shows("liver")
    assert "not look like a part of a body" in nothing.looks_like


def test_a_scan_of_fewer_slices_than_a_region_needs_can_show_one():
    probability = np.full((len(REGIONS), 2), 0.9, np.float32)
    assert View(probability, 0.5, 3).regions == REGIONS


@pytest.fixture
def coarse() -> CoarseMap:
    """Two pieces called liver, one of them in the slices of the chest, and a lung beside it."""
    probability = np.zeros((3, 20, 20, K), np.float16)
    probability[1, 4:12, 4:12, 2:10] = 0.9
    probability[1, 4:8, 4:8, 22:27] = 0.9
    probability[2, 12:18, 4:12, 18:29] = 0.9
    probability[0] = 1 - probability[1:].sum(0)
    return CoarseMap(("liver", "right_lung"), probability, np.ones((20, 20, K), bool), (4.0, 4.0, 4.0))


def test_pieces_in_another_region_go_and_the_rest_stays(coarse):
    kept = within_view(coarse, view(abdomen=(0, 14), chest=(12, K)))
    assert np.array_equal(kept.of("liver")[:, :, :14], coarse.of("liver")[:, :, :14])
    assert not (kept.of("liver")[:, :, 14:] > 0.5).any()
    assert np.array_equal(kept.of("right_lung"), coarse.of("right_lung"))
    assert np.allclose(kept.probability.sum(0), 1, atol=2e-3)


def test_a_structure_whose_region_is_not_there_goes_wholly(coarse):
    kept = within_view(coarse, view(chest=(0, K)))
    assert kept.of("liver").max() == 0
    assert np.allclose(kept.probability.sum(0), 1, atol=2e-3)


def test_a_map_that_is_right_is_the_same_object(coarse):
    assert within_view(coarse, view(abdomen=(0, K), chest=(0, K))) is coarse
