"""Messages of names, numbers and a few words are read as they are written; whatever says more is left to others."""

from __future__ import annotations

import pytest

from medvl.language.calls import Relate, Show, Total
from medvl.language.formulas import formula
from medvl.language.normalise import words


@pytest.mark.parametrize(
    ("text", "added", "taken"),
    [
        ("liver + spleen - gallbladder", ("liver", "spleen"), ("gallbladder",)),
        ("volume of the liver plus the spleen minus the left kidney", ("liver", "spleen"), ("left_kidney",)),
        ("what is the right lung minus the heart in ml?", ("right_lung",), ("heart",)),
        ("liver minus spleen plus heart", ("liver", "heart"), ("spleen",)),
    ],
)
def test_a_sum_is_read_as_it_is_written(text, added, taken):
    assert formula(words(text)) == Total(added, against=taken)


@pytest.mark.parametrize(
    "text", ["liver minus 3 mm", "subtract the heart minus nothing", "liver and spleen", "hide liver minus spleen", ""]
)
def test_what_is_no_sum_is_left_to_others(text):
    assert formula(words(text)) is None


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("dice between left and right lung", Relate(("left_lung", "right_lung"), kind="overlap")),
        ("overlap of the liver and the right kidney in ml?", Relate(("liver", "right_kidney"), kind="overlap")),
        ("coronal view through the heart", Show(("heart",), action="centre", plane="coronal")),
        ("liver, sagittal", Show(("liver",), action="centre", plane="sagittal")),
        ("window 50 400", Show(action="window", level=50, width=400)),
        ("set the window level to -600 and the width to 1500", Show(action="window", level=-600, width=1500)),
    ],
)
def test_overlaps_planes_and_windows(text, call):
    assert formula(words(text)) == call


@pytest.mark.parametrize(
    "text",
    ["dice", "overlap of the liver", "coronal slice 40", "lung window", "window 400",
     "is the heart coronal and dilated",
     "hide the liver in the coronal view", "dice of the prostate and the liver"],
)  # fmt: skip
def test_what_says_more_or_less_is_none(text):
    assert formula(words(text)) is None
