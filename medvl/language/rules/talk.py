"""Rules for what needs no mask: small talk, general knowledge, report, list, and what is not answered.

Each rule gives the requests of a clause, or None for another rule to be asked.
"""

from __future__ import annotations

import re

from ...vocabulary.names import GROUPS, PART_HEADS, PARTS, STRUCTURES
from .. import cues, cues_talk, glossary
from ..asking import group_of, imperative, plain
from ..calls import (
    Call,
    Chat,
    Comparing,
    Finding,
    ListStructures,
    Lookup,
    Measure,
    Measuring,
    Presence,
    Refuse,
    Report,
    Scan,
)
from ..clauses import Clause
from .reply import SIZE_RULES

_ABOUT_ITSELF = frozenset({"responsible", "other_units", "limits", "accuracy"})
"""Of what may hold "it" and still be about the program."""


_NOTHING_ELSE = cues.cue("nothing else|no others?")


def small_talk(clause: Clause) -> list[Call] | None:
    """Nothing but greetings, thanks, questions about the program."""
    if clause.unknown or any(m.concept for m in clause.known):
        return None
    if clause.says(_NOTHING_ELSE) and any(r.structures for r in clause.context.turns[-1]):
        return None  # "the heart in red, nothing else": of the viewer
    for topic, pattern in cues_talk.CHAT.items():
        if clause.known and topic not in _ABOUT_ITSELF:
            continue  # "zoom in on it": a structure is pointed to
        match = pattern.search(clause.text)
        if match:
            rest = (clause.text[: match.start()] + " " + clause.text[match.end() :]).split()
            if (
                all(w in cues_talk.FILLERS or any(p.fullmatch(w) for p in cues_talk.CHAT.values()) for w in rest)
                or topic == "privacy"
            ):
                return [Chat(topic)]
    if clause.says(cues_talk.INSULT) and not clause.which:
        return [Chat("insult")]
    return None


_TYPICAL = cues.cue("fat|water|air|blood|fluid|metal|calcium|soft tissue")
_WHY_BRIGHT = cues.cue(
    "(why|how come) .*(white|bright|dark|black|gr(a|e)y)|what (is|are|does)( (the|this|that|these|those|all|very|so))* "
    "(white|bright|dark|black|gr(a|e)y)(er)? (stuff|things?|spots?|areas?|parts?|regions?|dots?|material|patch(es)?|"
    "color|ones?)? ?(in|inside|within|mean)"
)
_CONTENTS = cues.cue(
    "what (is|are|lies)( there)? (inside|in|within)( of)? (the |this |my |his |her )?@( [?.!])*$|what does (the )?@ "
    "(contain|hold)|the (contents?|filling) of (the )?@"
)
_SPOT = cues.cue("there|here|this|that|it|spots?|areas?|regions?|part|dots?|thing|stuff")


def knowledge(clause: Clause) -> list[Call] | None:
    """General questions: what a word means, what an organ does, what is normal, how it is measured."""
    word = glossary.meant(clause.text)
    if word:
        return [Lookup(topic=word)]
    looks = not clause.explicit and not clause.yes_no and clause.has(cues_talk.DOUBT_OF_LOOKS)
    if looks or clause.has(cues_talk.DOUBT):
        return [Chat("accuracy")]
    if clause.has(cues_talk.TO_FILE) and (not clause.ordered or clause.words[0] in ("how", "where")):
        return [Chat("export")]
    if clause.has(cues_talk.HOW_TO_MEND):
        return [Chat("page")]
    if clause.known and clause.says(cues_talk.WHY_NOT_THERE):
        return [plain(clause, Presence), Lookup(topic="not_found")]
    if clause.unknown and clause.has(cues_talk.UNKNOWN_FUNCTION):
        return [plain(clause, Lookup, topic="no_text")]
    before = next((turn[-1] for turn in reversed(clause.context.turns) if turn), None)
    phase = before is not None and isinstance(before, Scan) and before.what == "contrast"
    phase = phase or clause.has(cues.cue("contrast|phase|enhanced|unenhanced"))
    if clause.has(cues_talk.HOW_YOU_KNOW) and phase:
        return [Scan("contrast")]  # told with the values and the rule behind it
    if clause.has(cues_talk.HOW_YOU_KNOW):
        counted = clause.has(cues.cue("calculate|compute|measure|determine|derive|volume|size|hu"))
        return [Lookup(topic="measurement" if counted else "system")]
    if clause.explicit and clause.has(_CONTENTS) and not clause.yes_no:
        return [
            Lookup(topic="contents"),
            Measure(clause.structures, "mean_hu"),
        ]
    if not clause.known and clause.says(_TYPICAL) and clause.has(cues.BRIGHT) and not clause.yes_no:
        return [Lookup(topic="typical_hu")]
    pointing = not clause.explicit and clause.says(_SPOT)
    if clause.says(_WHY_BRIGHT) and (pointing or clause.explicit) and (clause.words[0] != "why" or pointing):
        told = [Lookup(topic="brightness")]
        ids = clause.structures if clause.explicit else ()
        return told + ([Measure(ids, "mean_hu")] if ids else [])
    if clause.words[0] == "why" and (clause.has(cues.BRIGHT) or clause.has(cues.cue("gr(a|e)y"))):
        fed = any(STRUCTURES[id].kind == "vessel" or id in GROUPS["kidneys"] for id in clause.structures)
        return [Lookup(topic="contrast" if fed else "hounsfield_unit")]
    if clause.has(cues_talk.WHAT_IT_MEANS) and clause.context.turns[:-1] and clause.context.turns[-2]:
        return _meaning(clause.context.turns[-2][-1])
    here = any(w in clause.words for w in ("this", "here", "patient", "my", "your")) or clause.says(cues.THE_SCAN)
    ids = clause.structures
    if (
        clause.has(cues_talk.NORMAL_SIZE)
        and not clause.yes_no
        and (clause.which or "how" in clause.words or not clause.known)
    ):
        return [Lookup(ids, "reference_ranges")]
    if ids and clause.has(cues_talk.FUNCTION) and group_of(ids):
        return [Lookup(ids, group_of(ids))]
    measurable = ids and any(clause.has(p) for p in cues.ATTRIBUTES.values())
    content = [
        w
        for w in clause.masked.split()
        if w not in cues.FUNCTION_WORDS and w not in (",", "?", ".", "!", "@", "exactly")
    ]
    if (
        ids
        and clause.explicit
        and group_of(ids)
        and clause.has(cues_talk.WHAT_IS)
        and not content
        and clause.words[:2] in (["what", "is"], ["what", "are"])
    ):
        return [Lookup(ids, group_of(ids))]
    if clause.has(cues_talk.TOPICS["measurement"]) and not clause.explicit:
        return [Lookup(topic="measurement")]
    first, second = clause.words[0], clause.words[1] if len(clause.words) > 1 else ""
    defining = clause.has(cues_talk.DEFINE) or first == "why"
    if first in ("what", "how") and "the" not in clause.words[:3]:
        defining = defining or second in ("is", "are") or (first == "how" and second in ("do", "does"))
    if first in ("is", "are", "how", "does") and clause.says(cues_talk.TOPICS["radiation"]):
        defining = True
    which_system = clause.which and clause.says(cues_talk.TOPICS["system"])
    topical = any(clause.says(pattern) for pattern in cues_talk.TOPICS.values())
    defined = cues_talk.WHAT_IS_A.fullmatch(clause.text)
    noun = clause.strange or next((w for w in clause.words if w in PARTS | PART_HEADS), "")
    if defined and noun and not (topical or clause.mentions or clause.says(cues.OFF_TOPIC)):
        return [Lookup(topic="no_text", unknown=(noun,))]
    if not (defining or which_system) or measurable:
        return None
    if which_system and not clause.known:
        return [Lookup(topic="system")]
    general = clause.says(cues_talk.TOPICS["left_right"]) or clause.says(cues_talk.TOPICS["radiation"])
    if here and not which_system and not general:
        return None
    for topic, pattern in cues_talk.TOPICS.items():
        if clause.says(pattern) or clause.has(pattern):
            return [Lookup(topic=topic)]
    return None


def _meaning(before: Call) -> list[Call] | None:
    """What the answer to a request was about, explained."""
    explained = {
        "contrast": "contrast_phase",
        "spacing": "voxel",
        "orientation": "planes",
        "hu_range": "hounsfield_unit",
    }
    if isinstance(before, Finding):
        return [Lookup(before.structures, before.id)]
    if isinstance(before, Scan) and before.what in explained:
        return [Lookup(topic=explained[before.what])]
    if isinstance(before, Measuring | Comparing):
        topic = "hounsfield_unit" if before.attribute == "mean_hu" else "measurement"
        return [Lookup(before.structures, topic)]
    return None


_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_RECAP = cues.cue(
    "(we|you|i|all|everything|what|was|were|have|already|so far)( _){0,3} (measured|reported|told|found|said)|(_ "
    "){0,1}(sentences?|lines?|bullets?|bullet points)|so far|until now|up to now|this conversation"
)
_STRIKING = cues.cue(
    "most (obvious|striking|conspicuous|important|relevant|prominent)( _)? (abnormality|finding|thing|change|pathology)"
)


def report(clause: Clause) -> list[Call] | None:
    """The whole scan, described."""
    if clause.says(_RECAP) and clause.has(cues.REPORT):
        number = next((int(w) for w in clause.words if w.isdigit()), None) or next(
            (n for n, w in enumerate(_NUMBERS, start=1) if w in clause.words), None
        )
        return [ListStructures("told", number=number)]
    if clause.has(_STRIKING) or (clause.has(cues.REPORT) and not clause.known and not clause.says(cues.DISEASE)):
        return [Report()]
    return None


_SOUND = cues.cue("@ (still |look(s|ing)? |seem(s|ing)? |appear(s|ing)? |all |perfectly )*(normal|healthy)( ?[?])?")
_PROBLEM = cues.cue("(problems?|issues?|troubles?|wrong) (with|in|of|at) (the |my |his |her )?@")
_ODD = cues.cue("odd|strange|weird|unusual|funny|peculiar|damage[ds]?|special|noteworthy|notable")


def disease(clause: Clause) -> list[Call] | None:
    """Whether there is a disease, which is not answered; a lesion to be outlined is left to other rules."""
    odd = bool(clause.known) and clause.has(_ODD) and (clause.yes_no or clause.which or "any" in clause.text)
    if not clause.says(cues.DISEASE) and not clause.has(cues.HEALTH) and not odd:
        return None
    lesion = any(m.lesion for m in clause.unknown)
    measured = any(clause.has(p) for p in cues.ATTRIBUTES.values())
    ordered = bool(clause.unknown) and clause.ordered  # "segment the free air"
    if ordered or (lesion and (imperative(clause) or measured or clause.masked.strip(" .") == "#")):
        return None
    if clause.words[0] in ("no", "without") and len(clause.words) <= 4:
        return [Refuse(reason="negated")]  # "no diagnosis": it is not wanted
    refused = Refuse(clause.structures, "diagnosis")
    if (
        (clause.has(cues.HEALTH) or clause.has(_SOUND) or clause.has(_PROBLEM))
        and clause.structures
        and clause.explicit
    ):
        rules = [(id, SIZE_RULES[id]) for id in clause.structures if id in SIZE_RULES]
        return [*(Finding((id,), rule) for id, rule in rules), refused]
    return [refused]


def list_kind(clause: Clause) -> list[Call] | None:
    """What of a kind can be found: "which vessels can you segment?", "what bones do you know?"."""
    if not clause.which or not clause.says(cues_talk.ABLE) or clause.yes_no:
        return None
    match = next(
        ((kind, m) for kind, p in cues_talk.KINDS.items() if (m := p.search(" ".join(clause.words[:5])))), None
    )
    if match is None or any(m.text not in match[1].group() for m in clause.known + clause.unknown):
        return None
    return [ListStructures(kind=match[0])]


_AT_SLICE = re.compile(
    r"\b(?:in|on|at|of|through)(?: the)?(?: (?P<plane>axial|coronal|sagittal))? (?:slice|image|section|level)(?: "
    r"number| no)? "
    r"(?P<number>\d{1,4})(?!\S)(?: (?:of|in|from) (?:the )?(?P<behind>axial|coronal|sagittal))?"
)
_SEEN_THERE = cues.cue("what|which|list|organs?|structures?|visible|seen|see|shown|show")
_MADE = cues.cue(
    "(which|what) colou?rs? (is|are|does|do) (which|what|the masks|each|they|these)( _){0,2}|"
    "(what|which)( (masks?|organs?|structures?|objects?|things))? (have|did) (you|we|i) (already )?(segment*|mask*|"
    "outline*|"
    "make|made|do|done|mark*|find|found)( (so far|already|until now|yet|up to now|before))+|what have (you|we|i) "
    "(segmented|done|made)( so far)?|(how many|which|what|list|show|name)( (me|the|all|my|of))* masks( (do|are|have|"
    "i|we|you|"
    "there|got|so|far|now|already|here|exist|made|in|the|list))*( [?.!])?$"
)


def list_slice(clause: Clause) -> list[Call] | None:
    """What a slice shows: "which organs are in slice 60"."""
    at = _AT_SLICE.search(clause.text)
    if at and not clause.known and not clause.unknown and clause.says(_SEEN_THERE):
        return [ListStructures("in_slice", plane=at["plane"] or at["behind"] or "axial", number=int(at["number"]))]
    return None


def list_known(clause: Clause) -> list[Call] | None:
    """What can be found or segmented, or was so far."""
    if clause.says(_MADE) and not clause.known and "can" not in clause.words:
        return [ListStructures("made")]
    relating = any(clause.has(p) for r, p in cues.RELATIONS.items() if r != "side") or clause.has(
        cues.ATTRIBUTES["slices"]
    )
    region = cues_talk.IN_REGION.search(clause.text)
    if region and not clause.known and all(m.text in region.group() for m in clause.unknown):
        return [ListStructures(region=next(r[0] for s, r in cues.REGION_WORDS.items() if s in region.group()))]
    if clause.has(cues.LIST) and not clause.known and not relating:
        return [ListStructures()]
    return None


_BUILD = cues.cue(
    "(is|was|are|am) (he|she|the patient|this patient|the person|this person|they|i) (very |too |rather |a bit )?"
    "(fat|obese|overweight|slim|skinny|thin|tall|short|old|young|muscular|fit|heavy|underweight|athletic)"
)


def unmeasured(clause: Clause) -> list[Call] | None:
    """A quality that nothing here measures."""
    if clause.says(_BUILD):
        return [Refuse(reason="beyond")]
    return [Refuse(reason="beyond")] if clause.has(cues.UNMEASURED) else None


def outside(clause: Clause) -> list[Call] | None:
    """Plain English about nothing of this subject is refused; what is no English is not understood."""
    asks = clause.which or clause.yes_no or "?" in clause.words or clause.words[0] in ("how", "why", "when", "where")
    if clause.says(cues_talk.CHAT["thanks"]) and not asks and not clause.known and not clause.unknown:
        return [Chat("thanks")]
    if clause.says(cues.OFF_TOPIC):
        return [Refuse(reason="off_topic")]
    if clause.says(cues.MODALITY):
        return [Lookup(topic="modality")]
    if clause.has(cues.DOMAIN):
        return [Refuse(reason="beyond")]
    common = [w for w in clause.words if w in cues.FUNCTION_WORDS]
    first = clause.words[0] in cues.FUNCTION_WORDS and not any(clause.context.turns)
    return [Refuse(reason="off_topic")] if first and len(common) >= 2 and len(clause.words) > 3 else None
