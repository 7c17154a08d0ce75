from __future__ import annotations

import random

import pytest

from medvl.language.normalise import distance, fold, words
from medvl.language.parse import SPELLER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't!", ["do", "not", "!"]),
        ("What\u2019s the liver's HU?", ["what", "is", "the", "liver", "hu", "?"]),
        ("gall-bladder", ["gall", "bladder"]),
        ("below -950 HU", ["below", "-950", "hu"]),
        ("L kidney, rt lung", ["left", "kidney", ",", "right", "lung"]),
        ("L3", ["l3"]),
        ("ÖSOPHAGUS", ["osophagus"]),
        ("liver & spleen", ["liver", "and", "spleen"]),
        ("ren dexter", ["ren", "right"]),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_words_of_anything_are_words_again():
    """Reading what was read changes nothing."""
    rng = random.Random(3)
    letters = "abcdelrs '\u2019-.,?!()0123\n\téÄ😀|*[]"
    for _ in range(500):
        once = words("".join(rng.choice(letters) for _ in range(rng.randint(0, 60))))
        assert words(" ".join(once)) == once


def test_length_is_bounded():
    assert len(words("liver " * 100_000)) <= 400


def test_fold_keeps_no_case_or_accent():
    assert fold("Œsophage É") == fold("œsophage é")


@pytest.mark.parametrize(
    ("a", "b", "d"), [("liver", "liver", 0), ("lver", "liver", 1), ("teh", "the", 1), ("abc", "xyz", 3)]
)
def test_distance(a, b, d):
    assert distance(a, b, 3) == d == distance(b, a, 3)


def test_distance_stops_at_its_limit():
    assert distance("kidney", "gallbladder", 2) == 3


def test_known_words_are_never_changed():
    known = sorted(SPELLER.known)
    assert SPELLER.mend(known) == known


def test_mending_twice_changes_nothing():
    once = SPELLER.mend(words("segement teh blader and the pancrease volumn please"))
    assert SPELLER.mend(once) == once
    assert {"segment", "bladder", "pancreas"} <= set(once)


def test_a_dash_is_a_minus_only_in_a_sum():
    assert words("liver + spleen - heart") == ["liver", "and", "spleen", "minus", "heart"]
    assert "minus" not in words("liver - how big is it?")
