"""Published rules: met, not met, and refused where the scan does not allow them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from medvl.conversation import guard
from medvl.conversation.writing import scan as told_scan
from medvl.tools.findings import FINDINGS

from ..scenes import finder_of, sample, scene_of, shared

SHAPE = (60, 50, 40)
MM2 = np.diag([2.0, 2.0, 2.0, 1.0])
BLOCKS = {
    "liver": (slice(35, 55), slice(15, 40), slice(12, 34)),
    "spleen": (slice(4, 14), slice(10, 22), slice(18, 32)),
    "aorta": (slice(26, 34), slice(20, 28), slice(1, 39)),
    "right_kidney": (slice(38, 48), slice(2, 12), slice(2, 12)),
    "left_kidney": (slice(8, 18), slice(24, 34), slice(2, 12)),
    "gallbladder": (slice(38, 46), slice(42, 49), slice(10, 18)),
}


def scene(spots: list | None = None, **hu: int):
    values = {"liver": 60, "spleen": 50, "aorta": 40, "right_kidney": 30, "left_kidney": 30, "gallbladder": 8} | hu
    volume = np.full(SHAPE, -80, np.int16)
    for id, where in BLOCKS.items():
        volume[where] = values[id]
    for where, value in spots or []:
        volume[where] = value
    return scene_of(finder_of(BLOCKS, SHAPE, MM2, volume))


CONTRAST = {"aorta": 300, "right_kidney": 150, "left_kidney": 150}


@pytest.mark.parametrize(("liver", "verdict"), [(40, "met"), (41, "not met"), (20, "met"), (60, "not met")])
def test_steatosis_at_its_threshold(liver, verdict):
    assert FINDINGS["steatosis"].of(scene(liver=liver)).verdict == verdict


@pytest.mark.parametrize(("liver", "verdict"), [(40, "met"), (41, "not met")])
def test_liver_minus_spleen_at_its_threshold(liver, verdict):
    outcome = FINDINGS["liver_spleen_difference"].of(scene(liver=liver, spleen=50))
    assert outcome.verdict == verdict
    assert outcome.facts[0].value == liver - 50


@pytest.mark.parametrize("id", ["steatosis", "liver_spleen_difference", "renal_stones", "aortic_calcification"])
def test_contrast_forbids_rules_of_unenhanced_scans(id):
    outcome = FINDINGS[id].of(scene(liver=20, **CONTRAST))
    assert outcome.verdict in ("measured", "not assessable")
    assert "contrast was given" in outcome.limits[0]


def test_calcium_is_measured_in_ml():
    speck = (slice(28, 31), slice(22, 25), slice(20, 22))
    outcome = FINDINGS["aortic_calcification"].of(scene([(speck, 400)]))
    assert outcome.verdict == "met"
    assert outcome.facts[0].value == pytest.approx(18 * 0.008)
    assert FINDINGS["aortic_calcification"].of(scene()).verdict == "not met"


def test_stones_are_candidates_counted_one_by_one():
    spots = [((slice(41, 43), slice(5, 8), slice(4, 6)), 500), ((slice(41, 43), slice(5, 8), slice(8, 10)), 300)]
    outcome = FINDINGS["renal_stones"].of(scene(spots))
    assert outcome.verdict == "borderline"
    assert [f.value for f in outcome.facts if f.key == "bright_spots"] == [2, 0]
    edge = [((slice(38, 39), slice(5, 8), slice(4, 6)), 500)]  # at the edge of the mask, as a rib or a vessel would be
    assert FINDINGS["renal_stones"].of(scene(edge)).verdict == "not met"


def test_of_a_kidney_that_is_asked_about_alone_the_other_is_not_told():
    spots = [((slice(41, 43), slice(5, 8), slice(4, 6)), 500)]  # on one side
    both = FINDINGS["renal_stones"].of(scene(spots))
    with_it, without = (FINDINGS["renal_stones"].of(scene(spots), (id,)) for id in ("right_kidney", "left_kidney"))
    assert {with_it.verdict, without.verdict} == {"borderline", "not met"}
    assert both.verdict == "borderline"
    for outcome, id in ((with_it, "right_kidney"), (without, "left_kidney")):
        assert {one for fact in outcome.facts for one in fact.structures if one.endswith("kidney")} == {id}


@pytest.mark.parametrize(("half", "verdict"), [(6, "not met"), (9, "met")])
def test_abdominal_aneurysm_by_the_width_of_a_tube(half, verdict):
    i, j, _ = np.indices(SHAPE)
    tube = np.hypot(i - 30, j - 25) <= half  # 24 or 36 mm wide
    blocks = {"aorta": tube, "right_kidney": (slice(42, 58), slice(2, 22), slice(5, 35))}  # it tells the level
    outcome = FINDINGS["aortic_aneurysm"].of(scene_of(finder_of(blocks, SHAPE, MM2)))
    assert outcome.verdict == verdict
    widths = {fact.part: fact.value for fact in outcome.facts if fact.key == "width_mm"}
    assert widths == pytest.approx({"infrarenal": 4 * half, "suprarenal": 4 * half}, abs=2)


def test_emphysema_index_is_a_share_of_the_lung():
    blocks = {
        "right_lung": (slice(35, 55), slice(5, 45), slice(2, 38)),
        "left_lung": (slice(5, 25), slice(5, 45), slice(2, 38)),
    }
    hu = np.full(SHAPE, -80, np.int16)
    for where in blocks.values():
        hu[where] = -850
    hu[35:55, 5:45, 2:20] = -970  # a quarter of both
    outcome = FINDINGS["emphysema"].of(scene_of(finder_of(blocks, SHAPE, MM2, hu)))
    assert outcome.verdict == "met"
    assert outcome.facts[0].value == pytest.approx(25)
    thick = FINDINGS["emphysema"].of(scene_of(finder_of(blocks, SHAPE, np.diag([2.0, 2.0, 5.0, 1.0]), hu)))
    assert thick.verdict == "measured"
    assert "too thick" in thick.limits[0]


def test_kidney_asymmetry_is_the_same_both_ways():
    blocks = {
        "right_kidney": (slice(40, 50), slice(5, 15), slice(2, 36)),
        "left_kidney": (slice(8, 18), slice(5, 15), slice(10, 20)),
    }
    swapped = dict(zip(reversed(blocks), blocks.values(), strict=True))
    for these in (blocks, swapped):
        outcome = FINDINGS["kidney_asymmetry"].of(scene_of(finder_of(these, SHAPE, MM2)))
        assert outcome.verdict == "met"


def test_trabecular_bone_inside_a_bright_shell():
    i, j, _ = np.indices(SHAPE)
    away = np.hypot(i - 30, j - 15) * 2.0
    hu = np.full(SHAPE, 40, np.int16)
    hu[away <= 20] = 350
    hu[away <= 15] = 95
    blocks = {"vertebral_column": away <= 20, "right_kidney": (slice(52, 58), slice(5, 15), slice(8, 30))}
    outcome = FINDINGS["bone_density"].of(scene_of(finder_of(blocks, SHAPE, MM2, hu)))
    assert (outcome.verdict, outcome.facts[0].value) == ("met", 95)


@pytest.mark.parametrize(("top", "place", "verdict"), [(28, "L1 vertebra", "met"), (40, "kidneys", "not met")])
def test_trabecular_bone_is_that_of_l1_where_it_is_wholly_in_view(top, place, verdict):
    i, j, k = np.indices(SHAPE)
    away = np.hypot(i - 30, j - 15) * 2.0
    hu = np.full(SHAPE, 40, np.int16)
    hu[away <= 20] = 450
    hu[(away <= 15) & (k < 18)] = 180
    hu[(away <= 15) & (k >= 18)] = 95
    blocks = {
        "vertebral_column": (away <= 20) & (k < 18),
        "l1_vertebra": (away <= 20) & (k >= 18) & (k < top),
        "right_kidney": (slice(52, 58), slice(5, 15), slice(2, 16)),
    }
    outcome = FINDINGS["bone_density"].of(scene_of(finder_of(blocks, SHAPE, MM2, hu)))
    assert place in outcome.told
    assert (outcome.verdict, outcome.facts[0].value) == (verdict, 95 if verdict == "met" else 180)


def test_a_cut_spleen_is_not_called_normal_but_may_be_called_large():
    small = {"spleen": (slice(4, 14), slice(10, 22), slice(30, 40))}
    assert FINDINGS["splenomegaly"].of(scene_of(finder_of(small, SHAPE, MM2))).verdict == "measured"
    large = {"spleen": (slice(1, 40), slice(1, 45), slice(10, 40))}
    assert FINDINGS["splenomegaly"].of(scene_of(finder_of(large, SHAPE, MM2))).verdict == "met"


@pytest.mark.parametrize("id", list(FINDINGS))
def test_nothing_found_is_not_assessable_and_sentences_are_true(id):
    empty = scene_of(finder_of({"stomach": (slice(3, 9), slice(3, 9), slice(3, 9))}))
    assert FINDINGS[id].of(empty).verdict == "not assessable"
    for finder in (sample(),):
        for told in told_scan.finding(scene_of(finder), id):
            assert guard.holds(told), told.text
            assert re.match(r"[A-Z0-9]", told.text)


@pytest.mark.parametrize("case", ["crlm_1006", "platipy_chest"])
def test_sentences_about_real_scans_are_true(case):
    scene = scene_of(shared(case))
    for id in FINDINGS:
        told = told_scan.finding(scene, id)
        assert told
        assert all(map(guard.holds, told)), [s.text for s in told]


def aorta_and_heart(with_heart: bool):
    """A straight aorta 20 mm wide, with a lump of 50 mm in its outline where the heart lies against it."""
    shape = (60, 60, 40)
    x, y, _ = np.indices(shape)
    tube = (x - 20) ** 2 + (y - 30) ** 2 <= 5**2
    lump = (x - 20) ** 2 + (y - 30) ** 2 <= 12.5**2
    lump[:, :, :10] = lump[:, :, 20:] = False
    heart = (x >= 20) & (x < 52) & (y >= 15) & (y < 45) & ~tube & ~lump
    heart[:, :, :10] = heart[:, :, 20:] = False
    labels = {"aorta": tube | lump, "liver": np.indices(shape)[2] < 0, "heart": heart & with_heart}
    labels["liver"][45:55, 45:55, 0:6] = True

    return shape, labels


@pytest.mark.parametrize("with_heart", [True, False])
def test_an_aorta_that_runs_into_the_heart_is_no_aneurysm(with_heart):
    from medvl.ct.masks import Mask
    from medvl.structures.found import Found
    from medvl.tools.scene import Scene

    shape, labels = aorta_and_heart(with_heart)
    scene = Scene(finder_of({}, shape, MM2).ct)
    for id, array in labels.items():
        mask = Mask.from_array(array, id=id) if array.any() else None
        scene.put(Found(id, mask, "found" if mask is not None else "absent"))
    outcome = FINDINGS["aortic_aneurysm"].of(scene)
    assert outcome.verdict == "measured"  # which part it is cannot be told, so no threshold is applied
    width = next(fact.value for fact in outcome.facts if fact.key == "width_mm")
    assert width == pytest.approx(20 if with_heart else 50, abs=2)


def test_with_contrast_a_bright_neighbour_inside_the_outline_is_no_gallstone():
    neighbour = (slice(36, 41), slice(44, 47), slice(12, 15))  # goes on outside the gallbladder
    stone = (slice(41, 43), slice(44, 47), slice(12, 15))
    assert FINDINGS["gallstones"].of(scene([(neighbour, 250)], **CONTRAST)).verdict == "not met"
    assert FINDINGS["gallstones"].of(scene([(stone, 250)], **CONTRAST)).verdict == "borderline"
    assert FINDINGS["gallstones"].of(scene([(neighbour, 250)])).verdict == "borderline"
