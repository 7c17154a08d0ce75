"""The check of what is told: every number is the value of a fact, in its unit and rounding, and said of its structure.

It serves the sentences of this package and any that a language model writes: both hand over a text and the facts it was
made from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..ct.volume import CTVolume
from ..tools.fact import Fact
from . import attributes, binding
from .contract import Sentence

# A number stands alone: "L1", "T12" and ids are no values, nor are those of ``_NAMES``. A minus counts only
# at the start of a word.
_NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-\u2212])?(?P<digits>\d{1,3}(?:,\d{3})+|\d+)(?P<point>\.\d+)?(?![\w])(?!\.\d)"
)
_NAMES = re.compile(r"\bSAM 2(?:\.1)?\b|\b3-?D\b")
_UNIT = re.compile(
    r"\s*(mL|ml|millilit(?:er|re)s?|L\b|lit(?:er|re)s?|cc\b|HU|Hounsfield units?|"
    r"cm\u00b2|mm\u00b3|mm|millimet(?:er|re)s?|cm|centimet(?:er|re)s?|%|percent)"
)
_CANONICAL = {
    "ml": "mL",
    "cc": "mL",
    "l": "L",
    "hu": "HU",
    "mm": "mm",
    "cm": "cm",
    "cm\u00b2": "cm\u00b2",
    "mm\u00b3": "mm\u00b3",
    "%": "%",
    "percent": "%",
}
_FACTORS = {("L", "mL"): 1000.0, ("cm", "mm"): 10.0}
_COUNT = (
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
)
_WORDS = {word: value for value, word in enumerate(_COUNT, start=2)} | {
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "hundred": 100,
    "thousand": 1000,
    "half": 0.5,
    "twice": 2,
    "double": 2,
}
_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b", re.IGNORECASE)
_LESS = re.compile(r"less than\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Number:
    """A number in a text.

    Attributes:
        text: as written, with its unit.
        value: its value.
        step: the last place written, 1 for whole numbers: what the true value may differ by is half of it.
        unit: ``mL``, ``L``, ``HU``, ``mm``, ``cm``, ``%`` or "".
        below: written after "less than".
        at: where it begins and ends in the text.
    """

    text: str
    value: float
    step: float
    unit: str = ""
    below: bool = False
    at: tuple[int, int] = (0, 0)


def numbers(text: str) -> list[Number]:
    """All numbers of a text, in digits and in words ("one" is no number: it is mostly a pronoun)."""
    found = []
    text = _NAMES.sub(lambda match: " " * len(match.group()), text)
    for match in _NUMBER.finditer(text):
        places = len(match["point"] or ".") - 1
        value = float((match["digits"] + (match["point"] or "")).replace(",", ""))
        if match["sign"]:
            value = -value
        unit = _unit(text, match.end())
        below = bool(_LESS.search(text[: match.start()]))
        found.append(Number(text[match.start() : match.end()], value, 10.0**-places, unit, below, match.span()))
    found += [
        Number(m.group(), float(_WORDS[m.group().lower()]), 1.0, _unit(text, m.end()), at=m.span())
        for m in _WORD.finditer(text)
    ]
    return found


def _unit(text: str, end: int) -> str:
    match = _UNIT.match(text, end)
    if not match:
        # "0.8 x 0.8 x 5 mm": the unit of a row of numbers stands at its end
        row = re.compile(r"(?:\s*(?:x|\u00d7|by|to|and|\u00b1)\s*-?[\d.,]+)+").match(text, end)
        match = _UNIT.match(text, row.end()) if row else None
    if not match:
        return ""
    word = match[1].lower()
    if word in _CANONICAL:
        return "L" if match[1] == "L" else _CANONICAL[word]
    return {"m": "mm", "c": "cm", "h": "HU", "l": "L"}[word[0]] if not word.startswith("millilit") else "mL"


def offending(text: str, facts: Sequence[Fact]) -> list[str]:
    """Numbers of a text that are no value of its facts and are not part of their notes and references.

    Args:
        text: what a reader would see.
        facts: what it was made from.

    Returns:
        The numbers as written; empty when the text is true to its facts.
    """
    quoted = [
        n
        for fact in facts
        for part in (fact.reference, fact.note, fact.value if isinstance(fact.value, str) else "")
        for n in numbers(part)
    ]
    return [
        n.text
        for n in numbers(text)
        if not any(_states(n, fact) for fact in facts) and not any(_same(n, other) for other in quoted)
    ]


def misplaced(text: str, facts: Sequence[Fact]) -> list[str]:
    """Numbers that are a fact's, but said of another structure or as another quality, and what the facts do not say.

    That is comparisons and sides that they deny, presence and absence without a result, and diseases.
    """
    found = []
    for number in numbers(text):
        stated = [fact for fact in facts if _states(number, fact)]
        end = number.at[1] + len(_unit_of(text, number.at[1]))
        if not binding.belongs(text, *number.at, stated) or attributes.misattributed(text, number.at[0], end, stated):
            found.append(number.text)
    return found + binding.swapped(text, facts) + attributes.unfounded(text, facts)


def _unit_of(text: str, end: int) -> str:
    match = _UNIT.match(text, end)
    return match.group() if match else ""


def holds(sentence: Sentence) -> bool:
    """Whether every number of a sentence is one of its facts, and said of what that fact is about.

    A sentence that states nothing of the scan is held to digits only: "the left lung has two lobes" is no value.
    """
    bad = offending(sentence.text, sentence.facts)
    if sentence.source in ("knowledge", "program"):
        return all(text.lower() in _WORDS for text in bad)
    return not bad and not misplaced(sentence.text, sentence.facts)


def ensure(sentence: Sentence) -> Sentence:
    """The sentence, or, where a number in it is not in its facts, one built from the facts alone.

    A model's own reading is left as it is: it is shown as such, and no number of it is told as measured.
    """
    if sentence.source == "model" or holds(sentence):
        return sentence
    from .writing.sentences import plain

    return replace(sentence, text=plain(sentence.facts))


def believed(sentences: Sequence[Sentence], ct: CTVolume) -> list[Sentence]:
    """Without those that state Hounsfield units, where the values of the scan are none; the warning stands first."""
    if ct.hu_trusted:
        return list(sentences)
    kept = [told for told in sentences if not any(fact.unit == "HU" for fact in told.facts)]
    warning = Sentence(ct.hu_note, "scan", (), (Fact("note", ct.hu_note, source="scan"),))
    return [warning, *kept]


def _states(number: Number, fact: Fact) -> bool:
    value = fact.value
    if value is None or isinstance(value, (str, bool)):
        return False
    if number.unit and number.unit != fact.unit:
        factor = _FACTORS.get((number.unit, fact.unit))
        if factor is None:
            return False
        value = value / factor
    elif fact.unit and not number.unit:
        return False
    if number.below:
        return 0 <= value < number.value
    # Rounded to the place that is written, or coarser where three digits are left: "1,510" for 1512.
    step = number.step
    magnitude = abs(number.value)
    if step == 1 and magnitude >= 1000 and magnitude % 10 == 0:
        step = 10.0
    return abs(number.value - value) <= step / 2 + 1e-9 * max(1.0, abs(value))


def _same(number: Number, other: Number) -> bool:
    return number.value == other.value and (not number.unit or not other.unit or number.unit == other.unit)
