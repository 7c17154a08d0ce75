"""Lengths and ranges of HU are read from words as they are meant."""

from __future__ import annotations

import pytest

from medvl.language.normalise import words
from medvl.language.quantities import hu_range, length_mm


@pytest.mark.parametrize(
    ("text", "mm"),
    [
        ("by 5 mm", 5), ("by 5mm", 5), ("a 3-mm shell", 3), ("1.5 cm", 15), ("half a centimetre", 5),
        ("by a centimetre", 10), ("two millimeters", 2), ("150 HU", None), ("slice 5", None), ("", None), ("mm", None),
        ("between 100 and 200 HU by 4 mm", 4),
    ],
)  # fmt: skip
def test_length(text, mm):
    assert length_mm(words(text)) == mm


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("above 150 HU", (150, None)), ("over 150", (150, None)), ("at least 130 HU", (130, None)),
        ("150 or more", (150, None)), ("> 130", (130, None)), (">= 130", (130, None)), ("from 200 HU up", (200, None)),
        ("below -50 HU", (None, -50)), ("< -900 HU", (None, -900)), ("up to 200 HU", (None, 200)),
        ("no more than 90 HU", (None, 90)), ("at most 40", (None, 40)), ("-20 or less", (None, -20)),
        ("between -100 and 200 HU", (-100, 200)), ("200 to -100", (-100, 200)), ("100-200 HU", (100, 200)),
        ("remove everything below 100 HU", (100, None)), ("delete all above 300 HU", (None, 300)),
        ("remove what is between 0 and 20 HU", (None, None)),
        ("grow by 5 mm", (None, None)), ("grow by 5 mm above 200", (200, None)), ("", (None, None)),
    ],
)  # fmt: skip
def test_range(text, ends):
    assert hu_range(words(text)) == ends
