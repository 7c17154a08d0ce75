"""Whether a sentence says its facts of the structures that they are about: the number, the comparison, the side.

``guard`` checks that a number is the value of some fact; this checks of which. "The spleen has 206 mL" is false where
206 is the kidney's, and so are a swapped comparison and a swapped side.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..tools.fact import Fact
from ..vocabulary.names import GROUPS, STRUCTURES
from ..vocabulary.spoken import name

_IDS = {name(id).lower(): (id,) for id in STRUCTURES} | {group.replace("_", " "): ids for group, ids in GROUPS.items()}
# "at the level of the kidneys" tells a place, not what is spoken of
_NAME = re.compile(
    rf"(?<!level of the )\b(?:{'|'.join(sorted(map(re.escape, _IDS), key=len, reverse=True))})\b", re.IGNORECASE
)
_CUT = re.compile(r"[:;)]|,(?=\s)|\b(?:and|or|against|than|but|while|whereas)\b")
_MORE = {
    "larger": 1, "bigger": 1, "brighter": 1, "denser": 1, "wider": 1, "longer": 1,
    "smaller": -1, "darker": -1, "narrower": -1, "shorter": -1,
}  # fmt: skip
_THAN = re.compile(rf"\b(?:is|are) (?P<more>{'|'.join(_MORE)}) than\b", re.IGNORECASE)
_WAYS = {
    "to the left of": "left", "to the right of": "right", "above": "above", "below": "below", "in front of": "front",
    "behind": "behind",
}  # fmt: skip
_LIES = re.compile(rf"\b(?:lies?|is|are) (?P<way>{'|'.join(_WAYS)})\b", re.IGNORECASE)
_AWAY = {"left": "right", "above": "below", "front": "behind"}
_AWAY |= {after: before for before, after in _AWAY.items()}


def named(text: str) -> tuple[str, ...]:
    """Ids of the structures that a text names, in order; groups as their parts."""
    return tuple(dict.fromkeys(id for match in _NAME.finditer(text) for id in _IDS[match.group().lower()]))


def belongs(text: str, start: int, end: int, stated: Sequence[Fact]) -> bool:
    """Whether a number stands with a structure that one of the facts it may state is about.

    Args:
        text: the sentence.
        start: where the number begins.
        end: where it ends.
        stated: facts whose value it is.

    Returns:
        True as well where the sentence names no structure, or a fact is about none.
    """
    if not stated or any(not fact.structures for fact in stated):
        return True
    cuts = [match for match in _CUT.finditer(text) if not start <= match.start() < end]
    left = max((match.end() for match in cuts if match.end() <= start), default=0)
    right = min((match.start() for match in cuts if match.start() >= end), default=len(text))
    here = named(text[left:right]) or named(text)
    return not here or any(set(fact.structures) & set(here) for fact in stated)


def swapped(text: str, facts: Sequence[Fact]) -> list[str]:
    """Comparisons and sides of a text that its facts deny.

    Args:
        text: the sentence.
        facts: what it was made from.

    Returns:
        The words that are false ("larger than"); empty where the facts bear them out or say nothing of them.
    """
    wrong = []
    for match in _THAN.finditer(text):
        one, other = _beside(text, match)
        sign = _sign(one, other, facts)
        if sign is not None and sign != _MORE[match["more"].lower()]:
            wrong.append(match.group())
    for match in _LIES.finditer(text):
        one, other = _beside(text, match)
        ways = {fact.note for fact in facts if fact.structures == (one, other) and fact.key.startswith("offset_")}
        ways |= {_AWAY.get(fact.note, "") for fact in facts
                 if fact.structures == (other, one) and fact.key.startswith("offset_")}  # fmt: skip
        way = _WAYS[match["way"].lower()]
        if ways - {""} and _AWAY[way] in ways:
            wrong.append(match.group())
    return wrong


def _beside(text: str, match: re.Match[str]) -> tuple[str, str]:
    """The structure named last before some words, and the first behind them; "" for none or for several."""
    before, behind = list(_NAME.finditer(text[: match.start()])), _NAME.search(text[match.end() :])
    ids = [_IDS[m.group().lower()] if m else () for m in (before[-1] if before else None, behind)]
    one, other = (found[0] if len(found) == 1 else "" for found in ids)
    return one, other


def _sign(one: str, other: str, facts: Sequence[Fact]) -> int | None:
    """1 where the first has the greater value of the attribute that both have a fact of, -1 where the second has."""
    values = {(fact.key, fact.structures): fact.value for fact in facts if isinstance(fact.value, int | float)}
    for (key, of), value in values.items():
        against = values.get((key, (other,)))
        if of == (one,) and against is not None and against != value:
            return 1 if value > against else -1
    return None
