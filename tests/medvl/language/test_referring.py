"""Descriptions: what they mean, and that they mean nothing else."""

from __future__ import annotations

import pytest

from medvl.language.calls import Measure, Segment
from medvl.language.parse import parse
from medvl.language.referring import PLACE, TRAITS, superlative
from medvl.vocabulary.names import EVERYTHING, name, paired_groups


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("the organ left of the stomach that filters blood", ("spleen",)),
        ("segment the organ that stores bile", ("gallbladder",)),
        ("the tube behind the trachea", ("esophagus",)),
        ("the pump of the blood", ("heart",)),
        ("the vessel right of the aorta", ("inferior_vena_cava",)),
        ("the kidney on the side of the liver", ("right_kidney",)),
        ("the kidney next to the spleen", ("left_kidney",)),
        ("the lung with three lobes", ("right_lung",)),
        ("show me the two organs that produce urine", ("right_kidney", "left_kidney")),
        ("the gland that secretes insulin", ("pancreas",)),
        ("the bone in which the lower teeth sit", ("mandible",)),
    ],
)
def test_description(text, ids):
    (request,) = parse(text)
    assert (type(request), request.structures, request.choose) == (Segment, ids, "")
    assert request.description


@pytest.mark.parametrize(
    ("text", "ids", "choose"),
    [
        ("the brightest vessel in front of the spine", {"aorta", "inferior_vena_cava"}, "brighter"),
        ("the larger kidney", {"right_kidney", "left_kidney"}, "larger"),
        ("segment whichever lung is smaller", {"right_lung", "left_lung"}, "smaller"),
        ("show the darker parotid gland", {"right_parotid", "left_parotid"}, "darker"),
        ("segment the kidney with the lower density", {"right_kidney", "left_kidney"}, "darker"),
    ],
)
def test_choice_is_left_to_the_scan(text, ids, choose):
    (request,) = parse(text)
    assert (set(request.structures), request.choose) == (ids, choose)


def test_description_with_an_attribute():
    (request,) = parse("how big is the organ that stores bile?")
    assert (type(request), request.structures, request.attribute) == (Measure, ("gallbladder",), "volume")


def test_description_beside_a_name():
    (request,) = parse("segment the organ that stores bile and the spleen")
    assert set(request.structures) == {"gallbladder", "spleen"}


def test_left_and_right_of_mirror():
    assert parse("the vessel right of the aorta")[0].structures == ("inferior_vena_cava",)
    assert parse("the vessel left of the inferior vena cava")[0].structures == ("aorta",)


def test_contradiction_means_nothing():
    assert all("gallbladder" not in r.structures for r in parse("the organ left of the spleen that stores bile"))


def test_name_is_no_description():
    (request,) = parse("segment the portal vein")
    assert (request.structures, request.description) == ((), "")


def test_tables_cover_the_structures():
    assert set(TRAITS) == set(EVERYTHING)
    assert set(PLACE) <= set(EVERYTHING)
    for side in ("kidney", "lung", "parotid"):
        (rx, ry, rz), (lx, ly, lz) = PLACE[f"right_{side}"], PLACE[f"left_{side}"]
        assert rx < 0 < lx
        assert ry == ly
        assert abs(rz - lz) <= 1


@pytest.mark.parametrize(
    ("words", "choice"),
    [
        ("the larger one", "larger"),
        ("higher hu", "brighter"),
        ("lower in density", "darker"),
        ("lower teeth", ""),
        ("liver", ""),
    ],
)
def test_superlative(words, choice):
    assert superlative(words.split()) == choice


def test_a_pair_of_which_no_trait_is_known_may_be_described():
    for group in paired_groups():
        for lead in ("that", "which", "with", "having", "whose", "of"):
            assert parse(f"show me the {name(group)} {lead} is larger on top")
