"""Rules for what lies between two structures, or beside one on a side that is said.

Each rule gives the requests of a clause, or None for another rule to be asked.
"""

from __future__ import annotations

import re

from .. import cues
from ..asking import imperative
from ..calls import Between, Call, Neighbours
from ..clauses import Clause

_NOT_PLACES = cues.cue(
    "distances?|gap|far|close|space|room|mm|difference|differ*|compar*|ratio|relation*|spatial|overlap*|asymmetry|"
    "symmetry|contact|touch*|larger|smaller|bigger|brighter|darker|denser|order|angle"
)
_ANYTHING = cues.cue(
    "anything|something|what|which|any (organ|structure|vessel|thing)s?|what else|(organs?|structures?|things?|parts) "
    "(lie|lies|is|are|sit|sits|there|located)"
)
_WAYS: dict[str, re.Pattern[str]] = {
    "above": cues.cue("above|superior to|on top of|cranial to|higher than|over"),
    "below": cues.cue("below|under|beneath|underneath|inferior to|caudal to|lower than"),
    "front": cues.cue("in front of|anterior to|ventral to"),
    "behind": cues.cue("behind|posterior to|dorsal to|at the back of|in back of"),
    "left": cues.cue(r"(to the |on the )?left( side)? (of|from)"),
    "right": cues.cue(r"(to the |on the )?right( side)? (of|from)"),
}
_TOUCHING = cues.cue("touch*|contact|abut*|next to|adjacent|neighbo*|border(s|ing)?|beside|adjoin*")


def between(clause: Clause) -> list[Call] | None:
    """What lies between two, or whether a third does: "what is between the lungs"."""
    if "between" not in clause.words or clause.has(_NOT_PLACES):
        return None
    at = clause.words.index("between")
    ends = tuple(dict.fromkeys(id for m in clause.known if m.start > at for id in m.ids))
    before = [m for m in clause.known if m.start < at]
    if len(ends) != 2:
        return None
    if not before:
        asks = clause.has(_ANYTHING) and not clause.ordered
        return [Between(ends=ends)] if asks else None
    if clause.yes_no and len(before) == 1 and len(before[0].ids) == 1 and before[0].ids[0] not in ends:
        return [Between(before[0].ids, ends)]
    return None


def beside(clause: Clause) -> list[Call] | None:
    """What lies on one side of a structure, or touches it: "what is above the left kidney"."""
    if len(clause.structures) != 1 or clause.unknown or clause.ordered or not clause.has(_ANYTHING):
        return None
    if not (clause.which or clause.yes_no) or imperative(clause) or clause.has(cues.RELATIONS["distance"]):
        return None
    mention = clause.known[0]
    lead = " ".join(clause.words[: mention.start])
    ways = [
        way for way, pattern in _WAYS.items() if (m := list(pattern.finditer(lead))) and _adjoins(lead, m[-1].end())
    ]
    if len(ways) == 1 and clause.words[0] in ("what", "which", "is", "are", "do", "does", "and", "so", "any"):
        return [Neighbours(clause.structures, side=ways[0])]
    if clause.yes_no and clause.has(_TOUCHING):
        return [Neighbours(clause.structures)]
    return None


def _adjoins(lead: str, end: int) -> bool:
    """Whether only articles stand between a preposition and its noun."""
    return all(word in ("the", "a", "an", "my", "his", "her", "this", "that") for word in lead[end:].split())
