"""Rules for what changed since an earlier scan: the least that reads it; other wordings are the planners'.

Each rule gives the requests of a clause, or None for another rule to be asked.
"""

from __future__ import annotations

from .. import cues
from ..calls import Call, Changes
from ..clauses import Clause

_PRIOR = cues.cue(
    "(prior|previous|earlier|last|old|older|baseline|former) (scan|ct|study|exam|examination|one|image)|prior|baseline|"
    "last time|(than|with|to|and|from|since|or) before|before and now|now and (before|then)"
)
_HELD = cues.cue(
    "compar\\w*|than|versus|against|since|chang\\w*|different|difference|gr[eo]w\\w*|shr[aiu]nk\\w*|now|new|what was"
)
_THERE = cues.cue("avail*|loaded|opened|is there|do you have|have you|got")
_CHANGED = cues.cue(
    "what( has| have| is)? (changed|grown|grew|shrunk|shrank|different)|what changes|"
    "(has|have|did|how much|how)( (has|have|did))?( (it|they|the|both|@|and|,))+ "
    "(change|changed|grow|grown|grew|shrink|shrunk|shrank)|of changes"
)


def changes(clause: Clause) -> list[Call] | None:
    """This scan against an earlier one: "what changed", "compare the liver with last time"."""
    held = clause.has(_HELD) or clause.words[0] == "and" or clause.has(_THERE)
    if not (clause.has(_CHANGED) or (clause.has(_PRIOR) and held)):
        return None
    last, own = clause.context.last, clause.structures
    if "than before" in clause.text and not own:
        return None  # of two answers
    if not own and clause.words[0] == "and" and last is not None:
        own = last.structures  # "and with the prior?"
    unknown = tuple(" ".join(clause.words[m.start : m.end]) for m in clause.unknown)
    return [Changes(own, unknown=unknown)]
