"""Lengths, ranges of HU and bounds in the words of a message, as numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..vocabulary.structure import word_set
from . import cues

LENGTHY = frozenset({"smooth", "grow", "shrink", "hollow"})
"""Edits of a mask by a length."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_MM = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "centimeter": 10.0, "centimeters": 10.0}
_ML = {"ml": 1.0, "milliliter": 1.0, "milliliters": 1.0, "cc": 1.0, "ccm": 1.0, "cm3": 1.0, "l": 1000.0,
       "liter": 1000.0, "liters": 1000.0}  # fmt: skip
_HU = {"hu": 1.0, "hounsfield": 1.0}
_UNITS = {"mm": _MM, "mL": _ML, "HU": _HU}
_ONES = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
         "nine": 9, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
         "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}  # fmt: skip
_MANY = {"hundred": 100, "thousand": 1000}
_PARTS = {"half": 0.5, "quarter": 0.25, "quarters": 0.25, "third": 1 / 3, "thirds": 2 / 3, "tenth": 0.1}
_BETWEEN = frozenset({"of", "a", "an", "and"})  # "half a liter", "a quarter of a liter", "one and a half"
_NEAR = 4  # words between "above" and its number: "above a value of 150"


def length_mm(words: Sequence[str]) -> float | None:
    """The last length of a message in mm: "by 5 mm", "0.5 cm", "half a centimeter"; None where there is none.

    Args:
        words: of ``normalise.words``.
    """
    found = [abs(value) for value, unit in measures(words) if unit == "mm"]
    return found[-1] if found else None


def measures(words: Sequence[str]) -> list[tuple[float, str]]:
    """Every number with a unit: in mm, mL or HU."""
    found = []
    for place, word in enumerate(words):
        for unit, factors in _UNITS.items():
            value = _number_before(words, place) if word in factors else None
            if value is not None:
                found.append((value * factors[word], unit))
    return found


def _number_before(words: Sequence[str], end: int) -> float | None:
    """The number that ends before a word: "2.5", "one and a half", "a quarter of a", "two hundred"; None without."""
    if end and _NUMBER.fullmatch(words[end - 1]):
        return float(words[end - 1])
    start = end
    while start and (words[start - 1] in _ONES | _MANY | _PARTS or words[start - 1] in _BETWEEN
                     or (start < end and words[start - 1].isdigit())):  # fmt: skip
        start -= 1
    said = list(words[start:end])
    while said and said[0] in ("of", "and"):
        said.pop(0)
    if not any(word in _ONES or word in _PARTS for word in said):
        return None
    whole, number = 0.0, None  # what is added up, and the number that is being said
    for word in said:
        if word in _PARTS:
            # "one and a half" adds its half, "three quarters" has three of them
            number = (number or 1.0) * _PARTS[word]
        elif word in _MANY:
            number = (number or 1.0) * _MANY[word]
        elif word in ("of", "and"):
            whole, number = (whole + (number or 0.0), None) if word == "and" else (whole, number)
        elif not (word in ("a", "an") and number is not None):  # "half a liter" is no further one
            number = (number or 0.0) + (float(word) if word.isdigit() else _ONES[word])
    return (whole + (number or 0.0)) * (-1 if start and words[start - 1] in ("minus", "negative") else 1)


_INWARD = word_set("in inward inwards inside erode eroded erosion shrink shrunk shrinking inner smaller minus")
_OUTWARD = word_set("out outward outwards outside dilate dilated dilation expand expanded grow grown margin plus")
_VOXELS = frozenset({"voxel", "voxels", "pixel", "pixels"})


def margins(words: Sequence[str]) -> list[tuple[float, str]]:
    """Lengths by which an outline is to be moved, negative inwards: "eroded by 3 mm", "one voxel in, one voxel out".

    Args:
        words: of ``normalise.words``.

    Returns:
        Each with its unit, ``mm`` or ``voxels``; none where a length has no direction beside it.
    """
    found = []
    for place, word in enumerate(words):
        factor = _MM.get(word, 1.0 if word in _VOXELS else None)
        value = None if factor is None else _number_before(words, place)
        if value is None:
            continue
        # the direction stands just behind the length ("one voxel in"), else somewhere before it ("eroded by 3 mm")
        beside = [*words[place + 1 : place + 2], *reversed(words[max(0, place - 4) : place - 1])]
        way = next((-1 if one in _INWARD else 1 for one in beside if one in _INWARD | _OUTWARD), 0)
        if way:
            found.append((way * abs(value) * factor, "voxels" if word in _VOXELS else "mm"))
    return found


_LEVEL = frozenset({"level", "wl", "center", "centre", "middle", "l", "left", "liters", "round", "around", "at"})
_WIDTH = frozenset({"width", "ww", "w", "wide"})


def window_hu(words: Sequence[str]) -> tuple[float, float] | None:
    """Level and width of a window that is told in two numbers; None where it is not.

    "level 40 width 350", "ww 400 wl 40", "from -100 to 300"; of two bare numbers the width is the larger one.

    Args:
        words: of ``normalise.words``.
    """
    places = [i for i, word in enumerate(words) if _NUMBER.fullmatch(word)]
    if len(places) != 2:
        return None
    one, other = (float(words[i]) for i in places)
    if {"from", "between"} & set(words) and {"to", "and"} & set(words[places[0] : places[1]]):
        low, high = sorted((one, other))
        return ((low + high) / 2, high - low) if high > low else None
    before = [words[i - 1] if i else "" for i in places]
    if before[0] in _WIDTH or before[1] in _LEVEL:
        width, level = one, other
    elif before[1] in _WIDTH or before[0] in _LEVEL:
        level, width = one, other
    else:
        level, width = sorted((one, other))
    return (level, width) if width > 0 else None


def hu_range(words: Sequence[str]) -> tuple[float | None, float | None]:
    """The range of HU that a message keeps: "above 150" is (150, None), "between -100 and 200" is (-100, 200).

    What is to be taken away is turned round: "remove all below 100" keeps from 100 on.

    Args:
        words: of ``normalise.words``.

    Returns:
        Lower and upper end, None where there is none; (None, None) where no range is told.
    """
    places = [
        i
        for i, word in enumerate(words)
        if _NUMBER.fullmatch(word) and (i + 1 == len(words) or words[i + 1] not in _MM)
    ]
    values = [float(words[i]) for i in places]
    taken = bool(cues.HU_TAKEN & set(words)) and "keep" not in words
    if len(values) > 1:
        (low, up_low), (high, up_high) = sorted((float(words[i]), _upwards(words, i)) for i in places[:2])
        if taken and (
            up_low or not up_high
        ):  # "below 0 and above 90" leaves what lies between, "from 0 to 90" does not
            return None, None
        return low, high
    if not values:
        return None, None
    return (values[0], None) if _upwards(words, places[0]) is not taken else (None, values[0])


def _upwards(words: Sequence[str], place: int) -> bool:
    """Whether a number is the lower end: the word nearest to it says, one before it rather than one behind."""
    before = list(reversed(words[max(0, place - _NEAR) : place]))
    for i, word in enumerate(before):
        if word == "up" and i and before[i - 1] == "to":
            return False
        if word in cues.HU_ABOVE or word in cues.HU_BELOW:
            negated = {"no", "not", "nothing"} & set(before[i + 1 : i + 3])
            return (word in cues.HU_ABOVE) is not bool(negated)
    behind = words[place + 1 : place + 1 + _NEAR]
    return next((word in cues.HU_ABOVE for word in behind if word in cues.HU_ABOVE | cues.HU_BELOW), True)
