"""Rules for short words after an answer: is that normal, show me, and the other side, how many, in plain English.

What they are about is the answer before. Each rule gives the requests of a clause, or None for another rule.
"""

from __future__ import annotations

from dataclasses import replace

from ...vocabulary.names import EVERYTHING, GROUPS, STRUCTURES
from ...vocabulary.structure import word_set
from .. import cues
from ..calls import (
    Call,
    Chat,
    Clarify,
    Compare,
    Comparing,
    Finding,
    ListStructures,
    Lookup,
    Measuring,
    Neighbours,
    Presence,
    Rank,
    Refuse,
    Relating,
    Report,
    Segment,
    Show,
    changed,
)
from ..clauses import Clause
from ..referring import superlative

SIZE_RULES = {"spleen": "splenomegaly", "liver": "hepatomegaly", "heart": "cardiomegaly", "aorta": "aortic_aneurysm"}
HU_RULES = {"liver": "steatosis", "vertebral_column": "bone_density"}

_ABOUT = "(that|this|it|they|these|those|which|(the |these |those |this |that )?(values?|numbers?|sizes?|results?))"
_QUALITY = (
    "(ab)?normal|ok|okay|fine|good|all right|alright|(un)?usual|typical|expected|average|high|low|big|large|small|"
    "little|tiny|huge|wide|narrow|long|short|much|a lot|enlarged|dilated|enough|(too|very|rather|unusually|abnormally) "
    "_|outside (the )?(normal|limits|range)( range| limits)?|"
    "(with)?in (the )?(normal |usual |reference )?(range|limits?)|as (it|they) should be"
)
_JUDGED = cues.cue(
    f"((and|so|but|ok|okay|well) )*((is|are|was|were|does|do|would|should) )?({_ABOUT} )?"
    "(still |be |look |seem |appear |count as |considered |considered as |all |within |in |a |an |of |the |for |"
    "quite )*"
    f"({_QUALITY})( (size|value|range|volume|number|reading|one|density|width|length|finding))?"
    "( (or not|for (a|an|the|his|her|my|their) _( _)?|then|though|at all|or (ab)?(normal|not|big|small|high|low|too "
    "_)))?"
    "( ?[?.!])*"
)
_AGAINST_NORMAL = cues.cue(
    "((and|so|but|how|what|is|does|do|that|it|this|they|about|ok|okay|look) )*(compare[sd]?|in comparison|relative|"
    "versus)"
    "( it| that)?( (to|with))?( (the|a|an|other))*( (normal|average|norm|norms|others|people|reference|references|"
    "standard|healthy|typical|expected|usual|adults?|values?|ranges?|patients?|persons?))+( ?[?.!])*"
)
_ALARMING = cues.cue(
    f"((and|so|but|ok|okay) )*(is|are|could|can|would) {_ABOUT} (be )?((very|really|that|so) )?"
    "(dangerous|risky|harmful|safe|painful|a (problem|risk|danger|worry)|fatal|deadly)( ?[?.!])*"
)
_SIZES = frozenset({"", "volume", "extent", "diameter", "largest_slice", "voxels", "weight"})
_ABOUT_STRUCTURES = (Measuring, Segment, Presence, Comparing, Relating)


def judged(clause: Clause) -> list[Call] | None:
    """Whether what was told is normal: by the published rule on it, where there is one."""
    last = clause.context.last
    if last is not None and not clause.explicit and _ALARMING.fullmatch(clause.text):
        return [Refuse(last.structures, "diagnosis")]
    before = _before(clause)
    if before is None or clause.explicit or clause.unknown or len(clause.words) > 9:
        return None
    judging = _JUDGED.fullmatch(clause.text) or _AGAINST_NORMAL.fullmatch(clause.text)
    if not judging or isinstance(before, Show):
        return None
    if isinstance(before, Finding):
        return [before]  # told again with its rule and its source
    if isinstance(before, Lookup) and before.topic == "reference_ranges":
        return [before]
    if not isinstance(before, _ABOUT_STRUCTURES) or last is None:
        return None
    if last.choose or last.which or (isinstance(last, Compare) and last.ratio):
        return [Lookup(topic="reference_ranges")]
    if isinstance(last, Comparing) and set(last.structures) == set(GROUPS["kidneys"]):
        return [Finding(last.structures, "kidney_asymmetry")]
    turn = next(turn for turn in reversed(clause.context.turns) if turn)
    told = [r for request in turn if request.structures for r in _rules_on(request)]
    return list(dict.fromkeys(told)) or [Lookup(topic="reference_ranges")]


def _rules_on(request: Call) -> list[Call]:
    """The published rules on what a request asked of its structures."""
    lungs = set(request.structures) <= set(GROUPS["lungs"])
    if request.attribute in ("mean_hu", "hu_range"):
        if lungs:
            return [Finding(request.structures, "emphysema")]
        rules = HU_RULES
    else:
        rules = SIZE_RULES if not isinstance(request, Relating) and request.attribute in _SIZES else {}
    return [Finding((id,), rules[id]) for id in request.structures if id in rules]


_SHOW = cues.cue(
    "((and|so|ok|okay|please|now|then|yes|sure|can you|could you|can i|could i|i want to|i would like to|let me|let us|"
    "just) )*(show|see|view|display|look at|have a look( at)?|take a look( at)?)"
    "( (me|us|it|that|this|them|those|these|on|in|the|scan|image|picture|viewer|screen|there|please|now|"
    "where|is|are))*( ?[?.!])*"
)


def shown(clause: Clause) -> list[Call] | None:
    """Nothing but "show me": the viewer goes to what the answer was about."""
    if clause.explicit or clause.unknown or not _SHOW.fullmatch(clause.text):
        return None
    last = clause.context.last
    if clause.context.turns[-1]:
        return None
    if last is None:
        return [Clarify()]
    if isinstance(last, Show) and last.action == "hide":
        return [replace(last, action="show")]
    if isinstance(last, Segment | Show) and not last.choose:
        return [Show(last.structures, "centre")]  # they are shown already
    named = last.which  # the one the answer named
    return [Segment(last.structures, choose=last.choose or named, description=last.description)]


_REPEATED = frozenset({"diagnosis", "patient", "acquisition", "treatment", "prognosis", "medication"})
_GOES_ON = cues.FUNCTION_WORDS | word_set(
    """
    , ? . ! side sides other one ones else exactly precisely located location big large small size sizes severe bad
    sure certain really maybe perhaps ok okay well likely probability chance percent together altogether total left
    right upper lower both it them they those these that this number count place places spot
    """
)
_WHY_NOT = cues.cue("(but |and )*(why( not)?|how come|for what reason|says who)( ?[?.!])*")
_INSIDE = word_set("in on at inside within near around")


def refused_again(clause: Clause) -> list[Call] | None:
    """What goes on about something that is not answered: "how many?", "on the other side?", "why not?"."""
    before = _before(clause)
    if before is None or not isinstance(before, Refuse) or before.reason not in _REPEATED:
        return None
    if _WHY_NOT.fullmatch(clause.text):
        return [Chat("limits")]
    if before.structures and not clause.explicit:
        # "does the liver look inflamed", "how big is it": of the liver, that can be told
        pointed = [m for m in clause.known if m.number == 1 and not m.concept]
        if pointed and any(clause.has(p) for p in cues.ATTRIBUTES.values()):
            return None
    rest = [w for w in clause.masked.split() if w not in ("@", "#")]
    if len(clause.words) > 8 or any(w not in _GOES_ON for w in rest) or not rest:
        return None
    lead = [w for w in clause.words if w not in ("and", "what", "about", "or", "so", "how")]
    if clause.explicit and not (lead and lead[0] in _INSIDE):
        return None  # "and the spleen?" begins anew where the refusal was about no structure
    if clause.explicit and rest[-1] != "?" and clause.ordered:
        return None
    return [replace(before, of=before.structures or clause.structures)]


_WAYS = {
    "above": "above|on top|over|higher|superior", "below": "below|under|underneath|beneath|lower|inferior",
    "front": "in front|anterior|ventral|before", "behind": "behind|posterior|dorsal|at the back|in the back",
    "left": "left|to the left|on the left", "right": "right|to the right|on the right",
}  # fmt: skip
_AROUND = word_set("and what is are lies about then now or , . ? ! of it that this them the to on its side organ one s")


def other_way(clause: Clause) -> list[Call] | None:
    """What lies on another side of the same: "and below?"."""
    before = _before(clause)
    if (
        before is None
        or not isinstance(before, Neighbours)
        or not before.structures
        or clause.explicit
        or clause.unknown
    ):
        return None
    for claim, words in _WAYS.items():
        rest, found = cues.cue(words).subn("", clause.text)
        if found and all(w in _AROUND for w in rest.split()):
            return [Neighbours(before.structures, side=claim)]
    return None


_BECAUSE = cues.cue("why|how come|what (is the )?(reason|cause[ds]?)( (of|for))?|what makes")


def cause(clause: Clause) -> list[Call] | None:
    """Why a structure is as it is, which no measurement tells; a value in HU can be explained."""
    last = clause.context.last
    if clause.words[0] not in ("why", "how", "what", "and", "but", "so") or not clause.says(_BECAUSE):
        return None
    if not clause.structures or clause.side_claim:
        return None
    named = clause.structures if clause.explicit else ()  # what is pointed to stays what is spoken of
    density = clause.has(cues.BRIGHT) or (
        not clause.explicit and last is not None and last.attribute in ("mean_hu", "hu_range")
    )
    if density:
        return [Lookup(named, "hounsfield_unit")]
    return [Refuse(named, "cause")]


_WATER = cues.cue(
    "compare[sd]? (to|with)( pure| plain)? (water|air)|(than|like|as)( pure| plain)? (water|air)( [?.!])?$"
)


def against_water(clause: Clause) -> list[Call] | None:
    """A value in HU against water or air, which the scale is made of."""
    last = clause.context.last
    dense = last is not None and last.attribute in ("mean_hu", "hu_range") and not clause.explicit
    return [Lookup(topic="hounsfield_unit")] if dense and clause.says(_WATER) else None


_NTH = cues.cue(
    "(second|third|fourth|fifth|next|2 ?nd|3 ?rd|4 ?th|runner up)( most)?( _)? "
    "(biggest|largest|smallest|brightest|darkest|densest|big|large|small|bright)"
)


def nth(clause: Clause) -> list[Call] | None:
    """The second largest: all of them in their order."""
    if clause.known or clause.unknown or clause.ordered:
        return None
    before = _before(clause)
    best = superlative(clause.words)
    if best and clause.which and before is not None and isinstance(before, ListStructures | Report):
        return [replace(_all_organs(clause), which=best)]  # "which of them is the smallest"
    if not clause.has(_NTH):
        return None
    last = clause.context.last
    if last is not None and isinstance(last, Comparing) and len(last.structures) > 2:
        return [changed(last, which="", claim="", ratio=False)]
    return [_all_organs(clause)]


def _all_organs(clause: Clause) -> Rank:
    organs = tuple(id for id in EVERYTHING if STRUCTURES[id].kind == "organ")
    return Rank(organs, "mean_hu" if clause.has(cues.BRIGHT) else "volume")


_OTHER_WORDS = cues.cue(
    "(in |into |using |with )?(layman|laymans|layman ?'?s|lay|simple|simpler|plain|easy|easier|normal|everyday|non "
    "medical|fewer|less technical|kid|child)( _)? (words?|terms?|english|language|person|terms please)|"
    "(explain|say|tell|put)( _){0,3} (simpler|simply|plainly|like i am _|more simply)|eli5|dumb it down|"
    "(make|keep|write)( _){0,3} (shorter|simpler|short|brief|simple|concise|longer|more detailed|clearer)|"
    "(skip|leave out|omit|without|drop|cut)( all)?( of)? the (normal|boring|rest|details|long|unimportant|"
    "technical)( _){0,2}|"
    "(only|just)( give me| tell me| show me)?( the)? (abnormal|important|key|main|essential|relevant|impression)( "
    "_){0,2}|"
    "shorter|simpler|more simply|tldr|too long|(in )?short|in brief|briefly|"
    "(summari(z|s)e|shorten|simplify|rephrase|reword|paraphrase)( (it|that|this|them|please))*"
)
_ASIDE = word_set("please can could you it that this the and now ok okay for me a bit ? . ! , much even to report")


def reworded(clause: Clause) -> list[Call] | None:
    """The same in other words or fewer: "make it shorter", "in plain English"."""
    before = _before(clause)
    match = _OTHER_WORDS.search(clause.text)
    if before is None or match is None or clause.explicit or clause.unknown:
        return None
    rest = (clause.text[: match.start()] + " " + clause.text[match.end() :]).split()
    if any(w not in _ASIDE for w in rest):
        return None
    if isinstance(before, Report):
        return [Chat("report_form")]
    if isinstance(before, Finding):
        return [Lookup(before.structures, before.id)]
    return [Chat("wording")]


def _before(clause: Clause) -> Call | None:
    """The last request of the answer before, None where the message itself asks something already."""
    turns = clause.context.turns
    if turns[-1]:
        return None
    return next((turn[-1] for turn in reversed(turns) if turn), None)
