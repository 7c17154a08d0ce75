"""Rules for questions about several structures at once: a share of a whole, an order of all, which are cut, and how much
one differs from another.

Each rule gives the requests of a clause, or None for another rule to be asked.
"""

from __future__ import annotations

from dataclasses import replace

from . import cues
from .clauses import Clause
from .contract import Intent, Request
from .referring import superlative
from .vocabulary import EVERYTHING, STRUCTURES

_SHARE = cues.cue("percent(age)?s?|proportions?|fractions?|share")
_RANK = cues.cue(
    "(order|rank|sort|list|arrange|compare)( (all|the|every|of|your|these|me))* (organs?|structures?|masks?|everything|it|them|all)"
    "( (you|found|visible|here|in|this|scan|from|largest|smallest|big|small|to))* (by|in order of|according to)|"
    "(order|rank|sort|arrange)( (them|it|all|everything|the|organs|structures|masks))* by|"
    "(organs|structures|masks) (by|ranked by|sorted by|ordered by|in order of) (size|volume|density|hu|brightness)|"
    "(volumes|sizes) of (all|every|each)( the)? (organs?|structures?|masks?)"
)
_ORGANS = cues.cue("organs?|structures?|masks?|everything|parts|anatomy|anything|things?")
_CUT = cues.cue(
    "cut|cut off|truncated|clipped|cropped|incomplete|complete(ly)?|entire(ly)?|whole|wholly|full(y)?|partial(ly)?|"
    "(at|on|touch|touches|reach|reaches|beyond|outside) (the )?(edge|border|boundary)s?( of the (scan|image|volume))?"
)
_MUCH = cues.cue(
    "(by )?how much( (bigger|larger|smaller|brighter|darker|denser|wider|longer|heavier|more|less))?|"
    "what is the (difference|ratio)|(by )?how many (hu|ml|mm|percent)|how (big|large) is the difference|(by )?what factor"
)


def share(clause: Clause) -> list[Request] | None:
    """Which part of one the other is: "what percentage of the body is bone"."""
    if not clause.has(_SHARE) or clause.says(cues.FAT) or clause.has(cues.CALCIUM):
        return None
    whole: tuple[str, ...] = ()
    part: list[str] = []
    for mention in clause.known:
        before = [
            w for w in clause.words[max(0, mention.start - 3) : mention.start] if w not in ("the", "a", "my", "total")
        ]
        if before[-1:] in (["of"], ["in"]) and not whole:
            whole = mention.ids
        else:
            part += mention.ids
    if "body" in clause.words and not whole:
        whole = ("body",)
    if not part or not whole:
        return None
    return [Request(Intent.COMPARE, tuple(dict.fromkeys(part)), attribute="share", whole=whole)]


def rank(clause: Clause) -> list[Request] | None:
    """All structures, or those named, in the order of their size or HU."""
    if not clause.has(_RANK) or clause.known:
        return None
    attribute = "mean_hu" if clause.has(cues.BRIGHT) else "volume"
    return [Request(Intent.COMPARE, tuple(id for id in EVERYTHING if _organ_like(id, clause)), attribute=attribute)]


def _organ_like(id: str, clause: Clause) -> bool:
    organs_only = bool({"organ", "organs"} & set(clause.words))
    return not organs_only or STRUCTURES[id].kind == "organ"


def cut(clause: Clause) -> list[Request] | None:
    """Which structures the scan holds only in part: "what organs are cut off at the edge?"."""
    asks = clause.which or clause.yes_no or clause.words[0] in ("list", "name", "any")
    if clause.known or clause.unknown or not (asks and clause.has(_CUT) and clause.has(_ORGANS)):
        return None
    return None if superlative(clause.words) else [Request(Intent.LIST, attribute="cut")]


def difference(clause: Clause) -> list[Request] | None:
    """Again the last comparison, which tells the difference: "by how much?"."""
    last = clause.context.last
    if last is None or last.intent is not Intent.COMPARE or clause.explicit or not clause.has(_MUCH):
        return None
    return [replace(last, claim="", which="")]
