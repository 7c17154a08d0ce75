"""Lengths and ranges of HU in the words of a message, as numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from . import cues

LENGTHY = frozenset({"smooth", "grow", "shrink", "hollow"})
"""Edits of a mask by a length."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_MM = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "centimeter": 10.0, "centimeters": 10.0}
_SPOKEN = {"a": "1", "an": "1", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "ten": "10"}
_NEAR = 4  # words between "above" and its number: "above a value of 150"


def length_mm(words: Sequence[str]) -> float | None:
    """The last length of a message in mm: "by 5 mm", "0.5 cm"; None where there is none.

    Args:
        words: of ``normalise.words``.
    """
    found = None
    for place, (number, unit) in enumerate(pairwise(words)):
        if unit not in _MM:
            continue
        half = number == "a" and words[max(0, place - 1)] == "half"
        value = number if _NUMBER.fullmatch(number) else "0.5" if half else _SPOKEN.get(number)
        found = abs(float(value)) * _MM[unit] if value else found
    return found


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
        return (None, None) if taken else (min(values[:2]), max(values[:2]))
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
