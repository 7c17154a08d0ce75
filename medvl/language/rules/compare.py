"""Rules for comparisons: two structures by one attribute, sums, which of a pair, which of all.

Each rule gives the requests of a clause, or None for another rule to be asked.
"""

from __future__ import annotations

from ...vocabulary.names import EVERYTHING, STRUCTURES
from .. import cues
from ..asking import imperative, pair_of
from ..calls import Call, Compare, Comparing, Measure, Measuring, Rank, Segment
from ..clauses import Clause
from ..referring import superlative


def choice(clause: Clause) -> list[Call] | None:
    """The other choice of a pair that was asked about: "and the smaller one?"."""
    last, choose = clause.context.last, superlative(clause.words)
    if not choose or last is None or clause.mentions or clause.which or clause.yes_no or "than" in clause.words:
        return None
    if isinstance(last, Comparing) and last.which and len(last.structures) > 2 and len(clause.words) <= 5:
        attribute = "mean_hu" if choose in ("brighter", "darker") else "volume"
        return [Rank(last.structures, attribute, which=choose)]  # "and the smallest?"
    ids = clause.context.two()
    if len(ids) != 2 or last.claim:
        return None
    if isinstance(last, Measuring):
        return [Measure(ids, last.attribute, choose=choose)]
    return [Segment(ids, choose=choose)]


_ANY = cues.cue("organs?|structures?|things?|objects?|parts?")
_FIRST_FEW = cues.cue(
    "(two|three|four|five|six|[2-9]|10) ([a-z]+est|most [a-z]+) (organs|structures)|top (two|three|four|five|[2-9]|10)"
)
_MANY = cues.cue("(four|five|six|[4-9]|10) ([a-z]+est|most [a-z]+)|top (four|five|six|[4-9]|10)")
_RATIO = cues.cue(
    "how many times|what factor|ratio|(twice|double|half|times) (as|the size|the volume|larger|bigger|smaller)"
)


def extreme(clause: Clause) -> list[Call] | None:
    """Which of all is the largest or brightest: "which organ is the biggest"."""
    which = superlative(clause.words)
    if (
        not which
        or (clause.mentions and not (clause.yes_no and len(clause.mentions) == 1 and clause.says(_ANY)))
        or not (
            (clause.which or clause.yes_no or len(clause.words) <= 4 or clause.says(_FIRST_FEW)) and clause.says(_ANY)
        )
        or "than" in clause.words
    ):
        return None
    organs_only = "organ" in clause.words or "organs" in clause.words
    ids = tuple(id for id in EVERYTHING if not organs_only or STRUCTURES[id].kind == "organ")
    attribute = "mean_hu" if which in ("brighter", "darker") else "volume"
    return [Rank(ids, attribute, which="" if clause.says(_MANY) else which)]


_DENSITY = cues.cue("(?P<how>hypo|hyper|iso) ?(dense|attenuating|attenuated)")


def density(clause: Clause) -> list[Call] | None:
    """Two structures by their HU: "is the liver hypodense to the spleen"."""
    match = _DENSITY.search(clause.text)
    if match is None or len(clause.structures) != 2 or clause.ordered:
        return None
    claim = {"hypo": "darker", "hyper": "brighter", "iso": ""}[match["how"]] if clause.yes_no else ""
    return [Compare(clause.structures, "mean_hu", claim=claim)]


_BOTH_NAMED = cues.cue("order|rank|sort|compar*|versus|than|difference|differ*|ratio|against|minus")
_TOGETHER = cues.cue("together|combined|summed|(the )?sum of|in total|altogether")
_AGAINST = frozenset({"than", "versus", "against", "with", "to", "as"})


def compare(clause: Clause) -> list[Call] | None:
    """Two structures by one attribute; a second one that is not said is taken from before or from the other side."""
    if not clause.has(cues.COMPARE) or (imperative(clause) and superlative(clause.words)):
        return None
    if clause.has(cues.ATTRIBUTES["largest_slice"]):
        return None  # "in which slice is it largest" compares the slices of one
    if "where" in clause.words[:3] and clause.has(cues.RELATIONS["direction"]):
        return None  # "where does it lie compared to the liver"
    if clause.has(cues.RELATIONS["distance"]) or (clause.has(cues.RELATIONS["above"]) and not _measured_word(clause)):
        return None
    # "how big is the larger kidney" describes one, "which kidney is larger" compares two
    compared = clause.which or clause.yes_no or clause.has(_BOTH_NAMED) or clause.has(_RATIO)
    if clause.explicit and not compared:
        return None
    if "than" in clause.words and any(c.isdigit() for c in clause.text.split("than", 1)[1]):
        return None  # than a number: the value itself is asked for
    last = clause.context.last
    if clause.explicit and (sums := _sums(clause)):
        return [sums]
    ids = pair_of(clause)
    if len(ids) < 2:
        return None
    inherited = last.attribute if last and last.attribute in ("mean_hu", "diameter", "volume") else "volume"
    if clause.has(cues.BRIGHT):
        attribute = "mean_hu"
    elif clause.has(cues.WIDE):
        attribute = "diameter"
    elif clause.has(cues.LONG):
        spanned = last is not None and last.attribute == "extent" and set(ids) >= set(last.structures)
        attribute = "extent" if spanned or all(STRUCTURES[id].tube for id in ids) else "diameter"
    elif clause.has(cues.STANDALONE_VOLUME) or clause.has(cues.SIZE_ONLY):
        attribute = "volume"
    else:
        attribute = inherited if last and (not clause.explicit or last.structures == ids[:1]) else "volume"
        if last and last.attribute in ("mean_hu", "diameter", "volume") and len(clause.structures) == 1:
            attribute = last.attribute
        if last and isinstance(last, Comparing) and clause.words[0] in ("and", "what", "how") and not clause.which:
            attribute = inherited  # "and the kidneys against the spleen?"
        if superlative(clause.words) in ("brighter", "darker"):
            attribute = "mean_hu"
    again = last is not None and isinstance(last, Comparing) and last.claim and not clause.explicit
    claim = superlative(clause.words) if clause.yes_no or "than" in clause.words or again else ""
    both = {"larger", "smaller"} <= {superlative([w]) for w in clause.words}
    claim = "" if clause.which or both or clause.words[0] == "how" else claim
    which = superlative(clause.words) if clause.which and not clause.yes_no else ""
    if clause.has(_RATIO) and (attribute != "mean_hu" or "ratio" in clause.words):
        return [Compare(ids, attribute, ratio=True)]
    if len(ids) > 2 and not claim:
        return [Rank(ids, attribute, which=which)]
    return [Compare(ids, attribute, claim=claim, which=which)]


def _sums(clause: Clause) -> Compare | None:
    """One side against the sum of another: "is the liver larger than both kidneys together"."""
    if not clause.has(_TOGETHER) or clause.has(cues.BRIGHT):
        return None
    first = min(m.start for m in clause.known)
    marks = [i for i, word in enumerate(clause.words) if word in _AGAINST and i > first]
    if not marks:
        return None
    sides = [tuple(dict.fromkeys(id for m in clause.known if (m.start > marks[0]) is after for id in m.ids))
             for after in (False, True)]  # fmt: skip
    if not all(sides) or max(map(len, sides)) < 2 or set(sides[0]) & set(sides[1]):
        return None
    claim = superlative(clause.words) if clause.yes_no else ""
    ratio = clause.has(_RATIO)
    return Compare(sides[0], claim="" if ratio else claim, ratio=ratio, against=sides[1])


def _measured_word(clause: Clause) -> bool:
    """Whether "higher" and "lower" speak of a value, not of a place."""
    return clause.has(cues.BRIGHT) or clause.has(cues.STANDALONE_VOLUME)
