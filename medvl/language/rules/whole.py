"""Rules for several structures at once: a share of a whole, an order of all, which are cut, by how much two differ.

And for short words after an answer: more details, why, the sum.

Each rule gives the requests of a clause, or None for another rule to be asked.
"""

from __future__ import annotations

from ...vocabulary.names import EVERYTHING, STRUCTURES
from .. import cues
from ..calls import (
    Call,
    Comparing,
    Finding,
    ListStructures,
    Lookup,
    Measure,
    Measuring,
    Presence,
    Rank,
    Scan,
    Segment,
    Share,
    Total,
)
from ..clauses import Clause
from ..referring import superlative

_SHARE = cues.cue("percent(age)?s?|proportions?|fractions?|share")
_RANK = cues.cue(
    "(order|rank|sort|list|arrange|compare)( (all|the|every|of|your|these|me))* (organs?|structures?|masks?|"
    "everything|it|them|all)"
    "( (you|found|visible|here|in|this|scan|from|largest|smallest|big|small|to))* (by|in order of|according to)|"
    "(order|rank|sort|arrange)( (them|it|all|everything|the|organs|structures|masks))* by|"
    "(volumes?|sizes?|densit(y|ies)|hu|attenuations?|measurements?) of (everything|all( (of )?(them|it|these))?)( "
    "[?.!])?$|"
    "(list|table|overview|all|every|organs?|structures?|masks?)( (me|all|of|the|every|a|organs?|structures?|masks?))* "
    "(volumes|sizes|densities|attenuations|hu values|measurements|measures|dimensions)( (please|in a table))?( "
    "[?.!])?$|"
    "(organs|structures|masks) (by|ranked by|sorted by|ordered by|in order of) (size|volume|density|hu|brightness)|"
    "(mean |average )?(volumes?|sizes?|densit(y|ies)|hu|attenuations?|values) (of|for|in) (all|every|each)( "
    "of)?( the)? "
    "(organs?|structures?|masks?)|measure (everything|(all|every|each)( of)?( the)? (organs?|structures?|masks?))"
)
_ORGANS = cues.cue("organs?|structures?|masks?|everything|parts|anatomy|anything|things?")
_CUT = cues.cue(
    "cut|cut off|truncated|clipped|cropped|incomplete|complete(ly)?|entire(ly)?|whole|wholly|full(y)?|partial(ly)?|"
    "(at|on|touch|touches|reach|reaches|beyond|outside) (the )?(edge|border|boundary)s?( of the (scan|image|volume))?"
)


def share(clause: Clause) -> list[Call] | None:
    """Which part of one the other is: "what percentage of the body is bone"."""
    if not clause.has(_SHARE) or clause.says(cues.FAT) or clause.has(cues.CALCIUM):
        return None
    marked = [
        m
        for m in clause.known
        if cues.cue("(percent(age)?|proportion|fraction|share) of( the| a| my)?").search(
            " ".join(clause.words[max(0, m.start - 3) : m.start])
        )
    ]
    whole: tuple[str, ...] = marked[0].ids if marked else ()
    part: list[str] = [id for m in clause.known if marked and m is not marked[0] for id in m.ids]
    for mention in [] if marked else clause.known:
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
    return [Share(tuple(dict.fromkeys(part)), whole)]


def rank(clause: Clause) -> list[Call] | None:
    """All structures, or those named, in the order of their size or HU."""
    if not clause.has(_RANK) or clause.known:
        return None
    attribute = "mean_hu" if clause.has(cues.BRIGHT) else "volume"
    return [Rank(tuple(id for id in EVERYTHING if _organ_like(id, clause)), attribute)]


def _organ_like(id: str, clause: Clause) -> bool:
    organs_only = bool({"organ", "organs"} & set(clause.words))
    return not organs_only or STRUCTURES[id].kind == "organ"


def cut(clause: Clause) -> list[Call] | None:
    """Which structures the scan holds only in part: "what organs are cut off at the edge?"."""
    asks = clause.which or clause.yes_no or clause.words[0] in ("list", "name", "any")
    if clause.known or clause.unknown or not (asks and clause.has(_CUT) and clause.has(_ORGANS)):
        return None
    return None if superlative(clause.words) else [ListStructures("cut")]


_DETAILS = cues.cue(
    "more( details?| information| info| about (it|that|them|this))?|details?|go on|elaborate|tell me more|"
    "anything else|what else"
)
_WHY = cues.cue(
    "why( not)?|how so|how come|explain|because of what|based on what|on what (basis|grounds)|says who|"
    "(why|how) (do|did|can|would) you (say|think|conclude|know)( (that|this|so|it|@))?|according to (whom|what|who)|"
    "what makes you (say|think)( (that|so|@))?|how (do|did|could|can) you (come to|come up with|arrive at|get to|get "
    "at|reach) (that|this|it|@)( conclusion)?|"
    "(what is |show )?(the |your |me )*(source|reference|evidence|publication|citation)s?|"
    "(at |which |what |is |the )*(thresholds?|cut ?offs?|limits?)"
)
_WHICH_SOURCE = cues.cue(
    "(what|which|whose) (paper|publication|study|source|reference|threshold|cut ?off|cut off|limit|criteri(on|a)|rule|"
    "article|guideline)s?"
)
_HOW_MANY = cues.cue("how many( (are there|of them|in total|do i have|altogether))?|(and )?the number")
_MATTERS = cues.cue("significant|relevant|meaningful|normal|abnormal|too (much|large|big)|asymmetr*|important")
_ALL = ("volume", "mean_hu", "extent", "position")


def follow_up(clause: Clause) -> list[Call] | None:
    """Short words after an answer: does that matter, more details, why, the sum."""
    before = next((turn[-1] for turn in reversed(clause.context.turns) if turn), None)
    if before is not None and isinstance(before, Scan) and clause.has(_HOW_MANY) and not clause.mentions:
        return [Scan("slices")]
    last = clause.context.last
    if last is None or not clause.context.turns[:-1] or clause.explicit or clause.unknown or len(clause.words) > 8:
        return None
    kidneys = isinstance(last, Comparing) and set(last.structures) == set(cues.FINDING_STRUCTURES["kidney_asymmetry"])
    if kidneys and clause.has(_MATTERS):
        return [Finding(last.structures, "kidney_asymmetry")]
    rest = clause.masked.strip(" ?.!")
    rest = rest.removeprefix("and ").removeprefix("please ").removesuffix(" please")
    if _DETAILS.fullmatch(rest) and isinstance(last, Measuring | Segment | Presence):
        asked = [a for a in _ALL if not (isinstance(last, Measuring) and last.attribute == a)]
        return [Measure(last.structures, a) for a in asked]
    if _WHICH_SOURCE.search(rest) and (rule := clause.context.last_finding) is not None:
        return [rule]
    if _WHY.fullmatch(rest):
        if isinstance(last, Finding):
            return [last]  # told again with its rule and its source
        return [Lookup(topic="measurement")]
    if cues.SUM.search(clause.masked) and isinstance(last, Measuring | Segment) and len(clause.words) <= 5:
        ids = clause.context.two()
        return [Total(ids)] if len(ids) > 1 else None
    return None
