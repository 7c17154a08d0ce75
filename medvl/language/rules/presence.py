"""Whether a structure is there; a question for a quality or for something else in it is not one for that.

A rule gives the requests of a clause, or None for another rule to be asked.
"""

from __future__ import annotations

from itertools import pairwise

from ...vocabulary.names import parts
from ...vocabulary.structure import word_set
from .. import cues
from ..asking import about
from ..calls import Call, Presence, Refuse
from ..clauses import Clause

_ABSENT = cues.cue("absent|missing|gone|lacking|(been )?(removed|resected|excised)|(taken|cut|took|take) out")


def presence(clause: Clause) -> list[Call] | None:
    """Whether a structure is there, whole, or was taken out."""
    for operation, group in cues.REMOVED_ORGAN.items():
        if operation in clause.words:
            return [Presence(parts(group), claim="absent")]
    if not (clause.known or clause.unknown):
        return None
    asks = (
        clause.yes_no
        or clause.has(cues.cue("any|visible|present|absent|missing|cut off|been removed|removed|resected"))
        or clause.says(cues.CALCIUM)
        or (clause.words[-1] == "?" and (clause.has(cues.IN_SCAN) or clause.has(cues.cue("no @"))))
    )
    if clause.ordered or not asks or clause.which:
        return None
    # "do the liver" is an order, "is the liver whole" a question
    if clause.words[0] not in ("is", "are", "was", "were") and clause.yes_no and not clause.has(cues.PRESENCE):
        return None
    if clause.has(
        cues.cue("(can|could|would) (i|you|we) (please )?(have|get|show|give|do|find|add)")
    ) and not clause.has(cues.cue("can you find")):
        return None
    if clause.has(cues.cue("(can|could) (i|we) (have|get)|(find|show|give|get) (me|us)")):
        return None
    if _unjudged(clause):
        return [Refuse(clause.known[0].ids, "unjudged")]
    claim = "absent" if clause.has(_ABSENT) else ""
    return [about(clause, Presence, claim=claim)]


_THERE = cues.cue(
    "found|detect(ed|able)|identif(ied|iable)|recogni(z|s)(ed|able)|available|shown|displayed|depicted|covered|"
    "captured|"
    "outlined|intact|marked|pictured|segment(ed|able)|segmentation|known|supported|real|on|part|parts|inside|within|"
    "missing|gone|lost|partially|partly|fully|all|off|full|empty|separate|single|one|two|both|only|also|normal|mask"
)


_HOLDS = cues.cue("@ (contain|hold|have|has|show|include)(ing|s)? (?P<what>.*)")
_PLAIN = cues.FUNCTION_WORDS | word_set(
    """
    visible seen sign signs part parts left right whole complete still scan image picture ct see find detect spot
    identify mask here visualize present one two
    """
)


def _within(clause: Clause) -> bool:
    """Whether it is asked for something else in a structure: "is there air in the stomach", "does it contain fluid"."""
    first = min(m.start for m in clause.known)
    before = clause.words[:first]
    placed = next((i for i, w in enumerate(before) if w in ("in", "inside", "within", "around", "on", "near")), None)
    if placed is not None and any(w.isalpha() and w not in _PLAIN for w in before[:placed]):
        return True
    held = _HOLDS.search(clause.masked)
    return held is not None and any(w.isalpha() and w not in _PLAIN for w in held["what"].split())


_LISTED = frozenset({",", "and", "or", "plus", "right", "left", "both", "then", "also"})


def _unjudged(clause: Clause) -> bool:
    """Whether a question for yes or no asks for a quality, "is its wall thickened", and not whether it is there."""
    if not clause.yes_no or not clause.known or clause.says(cues.CALCIUM):
        return False
    between = [clause.words[a.end : b.start] for a, b in pairwise(clause.known)]
    if any(w not in _LISTED and w not in cues.FUNCTION_WORDS for words in between for w in words):
        return True  # "is it in the way of the liver": nothing that is known of the two
    if _within(clause):
        return True
    if clause.has(cues.PRESENCE_ALONE) or clause.has(_ABSENT) or clause.has(_THERE):
        return False
    end = max(m.end for m in clause.known)
    return any(w.isalpha() and w not in cues.FUNCTION_WORDS for w in clause.words[end:])
