"""Lengths and ranges of HU are read from words as they are meant."""

from __future__ import annotations

import pytest

from medvl.language.normalise import words
from medvl.language.quantities import hu_range, length_mm, measures, window_hu


@pytest.mark.parametrize(
    ("text", "mm"),
    [
        ("by 5 mm", 5), ("by 5mm", 5), ("a 3-mm shell", 3), ("1.5 cm", 15), ("half a centimetre", 5),
        ("by a centimetre", 10), ("two millimeters", 2), ("150 HU", None), ("slice 5", None), ("", None), ("mm", None),
        ("between 100 and 200 HU by 4 mm", 4), ("two and a half centimetres", 25), ("fifteen mm", 15),
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
        ("remove what is between 0 and 20 HU", (None, None)), ("cut everything under -20", (-20, None)),
        ("remove all below minus 20 HU and above 200 HU", (-20, 200)),
        ("grow by 5 mm", (None, None)), ("grow by 5 mm above 200", (200, None)), ("", (None, None)),
    ],
)  # fmt: skip
def test_range(text, ends):
    assert hu_range(words(text)) == ends


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a quarter litre", [(250, "mL")]), ("one and a half litres", [(1500, "mL")]), ("0.3 L", [(300, "mL")]),
        ("three quarters of a liter", [(750, "mL")]), ("two hundred HU", [(200, "HU")]),
        ("2 cm or 5 mL", [(20, "mm"), (5, "mL")]),
        ("minus fifty HU", [(-50, "HU")]), ("one hundred and fifty ml", [(150, "mL")]), ("how many HU", []),
        ("the liver and the spleen in ml", []), ("half of the liver", []),
    ],
)  # fmt: skip
def test_numbers_with_a_unit_in_digits_and_in_words(text, found):
    assert measures(words(text)) == found


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("window 50 400", (50, 400)),
        ("level 40 width 350", (40, 350)),
        ("ww 80 wl 30", (30, 80)),
        ("W 1500 L -600", (-600, 1500)),
        ("window -600 / 1500", (-600, 1500)),
        ("from -100 to 300 hu", (100, 400)),
        ("window width 300", None),
        ("lung window", None),
    ],
)
def test_a_window_is_read_in_numbers(text, window):
    assert window_hu(words(text)) == window
