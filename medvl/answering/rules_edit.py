"""Rules for what the page does and the chat does not: its planes and tools; a place that is pointed at.

And for parts that are not told apart: the levels of the spine, the parts of the aorta. Each rule gives the requests of
a clause, or None for another rule to be asked.
"""

from __future__ import annotations

import re
from dataclasses import replace

from . import cues, glossary
from .asking import referral_of
from .clauses import Clause
from .contract import Intent, Request
from .lexicon import word_set
from .vocabulary import GROUPS, PART_HEADS, PARTS

_PAGE = cues.cue(
    "(transparen*|opaque|opacity|translucent)|(reset|restore|flip|mirror|rotate|spin|pan|tilt|turn|maximi(z|s)e|"
    "full ?screen|enlarge|magnify|undock)( (the|this|my|it|to|picture|image|view|viewer|scan|slice|slices|screen|"
    "window|"
    "3 ?d|model|surface|camera|degrees|around|by|left|right|up|down|\\d+))*|(increase|decrease|raise|lower|reduce|"
    "adjust|change|more|less|higher|improve)( the| image| picture)* (contrast|brightness|zoom)|"
    "(load|open|upload|import|drop|drag|switch to|use)( (my|a|an|the|another|other|own|new|different|next|previous|"
    "sample|example|chest|abdomen|ct|dicom))+ (dicoms?|niftis?|files?|scans?|cts?|series|case|folder|images?|patient|"
    "study|sample|example|one)|"
    "(take |make |save )?(a )?screen ?shots?|(take|make|save) (a )?(snapshot|picture|photo)( _){0,5}|scroll( _){0,3}|"
    "(show|see|view|open|switch to|go to|give|display)( me)?( the| a| in)* (axial|coronal|sagittal|3 ?d)"
    "( (plane|view|slices?|image|picture|reconstruction|rendering|model|direction))*|(play|cine|animate)( _){0,3}|"
    "(use|show|open|draw|give)( me)?( the| a)* (ruler|calipers?|measuring tool|angle)"
)


_RESTART = cues.cue(
    "(clear|reset|delete|wipe|empty|new|restart|forget)( (the|this|my|a|our))* (chat|conversation|history|discussion|"
    "dialogue|talk|session)|(start|begin) (over|again|afresh|anew)( from scratch)?|restart"
)


def restart(clause: Clause) -> list[Request] | None:
    """The conversation forgotten: a button of the page."""
    asks = clause.which or clause.known or clause.unknown
    return [Request(Intent.CHAT, topic="restart")] if clause.says(_RESTART) and not asks else None


def on_page(clause: Clause) -> list[Request] | None:
    """What the page's own tools do: the look of a mask, the planes, a ruler, another file."""
    if clause.which or clause.explicit or clause.unknown or clause.declined:
        return None
    if clause.yes_no and clause.words[1:2] not in (["you"], ["i"], ["we"]):
        return None
    text = _POLITE.sub("", clause.text).strip(" ?.!")
    rest, found = _PAGE.subn("", text, 1)
    return [Request(Intent.CHAT, topic="page")] if found and not _MAKE.sub("", rest).strip() else None


_POLITE = cues.cue("please|can|could|would|will|you|i|we|now|ok|okay|and|then|just|want|to|also|a bit|a little")
_MAKE = cues.cue("make|set|turn|it|them|that|this|more|less|the|masks?|outline|half|view|plane|for|me|,")

_PLACE = cues.cue(
    "(in|on|at|to|near)( the| my)? (left|right|top|bottom|middle|center|upper|lower|corner|edge|side)( (left|right|"
    "hand|"
    "side|corner|half|part))*( (of|in|on) (the|this|my) (picture|image|screen|scan|view|slice|ct|photo))?|"
    "(over|right|down|up) (there|here)|i (see|am seeing|clicked|point|am pointing|marked|circled)( _){0,3}|"
    "(in|on) (the|this|my) (picture|image|screen|view|slice)"
)
_THING = cues.cue(
    "(thing|things|spot|blob|blobs|structure|stuff|area|region|dot|dots|circle|oval|shape|line|lines|tube|patch|bit|"
    "something|object|shadow|ring|bean|part)s?"
)
_WHAT_THING = cues.cue(
    "what( (thing|structure|part|stuff|spot))? (is|are|could|would|might)( be)? (this|that|these|those|it)|(identify|"
    "name|recogni(z|s)e) (this|"
    "that)"
)
_SEEN = word_set(
    "big large small little white black bright dark gray grey round long thin thick weird strange odd huge"
)


def pointed(clause: Clause) -> list[Request] | None:
    """A thing in the picture that is pointed at by where it is or how it looks; the program sees no pointing."""
    if clause.explicit or clause.unknown or clause.says(cues.DISEASE):
        return None
    thing = clause.says(_THING) and (clause.which or clause.yes_no)
    bare = _WHAT_THING.match(clause.text) and len(clause.words) <= 5 and not clause.context.turns[:-1]
    looks = bool(_SEEN & set(clause.words))
    if (thing and (clause.says(_PLACE) or looks) and referral_of(clause) is None) or bare:
        return [Request(Intent.UNKNOWN, topic="pointed")]
    return None


_LEVEL = cues.cue(
    "(which|what)( of the)? (vertebra(l|e)?|vertebral (level|body|bodies)|spinal (level|segment)|disc|disk|lumbar|"
    "thoracic|cervical)( _){0,2}|(vertebral|spinal|vertebra) level|level of (the )?(spine|vertebra)"
)


_COVERED = cues.cue("includ*|cover*|visible|in (this|the) (scan|ct|image|volume)|seen|shown")


def level(clause: Clause) -> list[Request] | None:
    """At which vertebra something lies: that is not told, the slices are known."""
    if not clause.says(_LEVEL) or clause.ordered:
        return None
    ids = tuple(id for id in clause.structures if id != "vertebral_column")
    told = [Request(Intent.KNOWLEDGE, topic="vertebral_level")]
    if not ids and clause.says(_COVERED):
        return [*told, Request(Intent.SCAN, attribute="coverage")]
    return told + ([Request(Intent.MEASURE, ids, attribute="slices")] if ids else [])


_HOW_MANY = cues.cue("how many ((of )?(the )?)#|(count|number of)( the)? #")


def parts_counted(clause: Clause) -> list[Request] | None:
    """How many parts a structure has, where its parts are not known: "how many lobes does it have"."""
    if not clause.says(cues.cue("how many|count|number of")):
        return None
    part = re.search(r"\b(?:how many|number of)(?: the| different)? (\w+)", clause.text)
    if part and part[1] in PARTS | PART_HEADS and clause.known and not clause.unknown:
        return [Request(Intent.MEASURE, unknown=(part[1],), attribute="count", nearest=clause.structures)]
    if not _HOW_MANY.search(clause.masked):
        return None
    if any(m.lesion for m in clause.unknown):
        return None
    unknown = clause.unknown
    nearest = tuple(dict.fromkeys(id for m in unknown for id in m.nearest))
    return [Request(Intent.MEASURE, unknown=tuple(m.text for m in unknown), attribute="count", nearest=nearest)]


_ALL_VESSELS = cues.cue("(all|every|main|major|big|large|great|known)( of)?( the)?( (blood|main|major|big|large))* #")


def all_vessels(clause: Clause) -> list[Request] | None:
    """Of "all vessels" those that are known."""
    asked = [m for m in clause.unknown if m.text in ("vessels", "blood vessels", "arteries", "veins")]
    if not asked or clause.known or len(clause.unknown) > 1 or not clause.has(_ALL_VESSELS):
        return None
    if clause.which or clause.yes_no:
        return None
    known = {"arteries": ("aorta",), "veins": ("inferior_vena_cava",)}.get(asked[0].text)
    return [Request(Intent.SEGMENT, known or GROUPS["great_vessels"], referring=f"all {asked[0].text}")]


_SWAPPED = cues.cue("dextrocardia|situs( (inversus|solitus|ambiguus))?|heterotaxy|levocardia")


def swapped(clause: Clause) -> list[Request] | None:
    """Organs on the other side: on which side they lie is told."""
    if not clause.says(_SWAPPED) or clause.explicit or glossary.meant(clause.text):
        return None
    ids = ("heart",) if "cardia" in clause.text else ("heart", "liver", "spleen")
    return [Request(Intent.MEASURE, ids, attribute="position")]


_ON_SIDE = cues.cue(
    "(is|are|lies|lie|sits?)( really)? (on|at|in) (the|his|her|my|its|their|your) (patient |own )?(left|right)( side)?"
    "( [?.!])*$|(is|are) .* on (the|his|her|my|its|their) (left|right)( side)?( [?.!])*$"
)


def on_side(clause: Clause) -> list[Request] | None:
    """Whether what is named lies on a side: "is the right lung on the right"."""
    match = _ON_SIDE.search(clause.text)
    named = [m for m in clause.known if m.concept and m.start < len(clause.words) - 2]
    if match is None or not clause.yes_no or not named:
        return None
    claim = "left" if re.search(r"left( side)?[ ?.!]*$", clause.text) else "right"
    return [Request(Intent.MEASURE, named[0].ids, attribute="position", claim=claim)]


_PART = "(ascending|descending|thoracic|abdominal|suprarenal|infrarenal)"
_AORTIC = cues.cue(
    f"{_PART} (aorta|aortic)|{_PART} (and|or|versus|,) {_PART} aorta|aortic (arch|root)|arch of (the )?aorta"
)
_PART_ALONE = cues.cue(
    f"((and|what|how|about|the|for|in|of|is|big|wide|ok|okay) )*({_PART}|arch|root)( (part|one|section|segment))?( "
    f"?[?.!])*"
)


def part_of_aorta(clause: Clause) -> list[Request] | None:
    """A part of the aorta: its width is told in chest and abdomen, else that its parts are not told apart."""
    last = clause.context.last
    after = last is not None and "aorta" in last.structures and bool(_PART_ALONE.fullmatch(clause.text))
    if not (after or clause.says(_AORTIC)) or set(clause.structures) - {"aorta"}:
        return None
    if any("aort" not in m.text for m in clause.unknown):
        return None
    note = Request(Intent.KNOWLEDGE, topic="aorta_parts")
    sized = clause.has(cues.ATTRIBUTES["diameter"]) or clause.has(cues.SIZE_ONLY) or clause.has(cues.ENLARGED)
    if after and not sized:
        if last.intent is Intent.FINDING or last.attribute == "diameter":
            return [note, Request(Intent.FINDING, ("aorta",), finding="aortic_aneurysm")]
        return [note, replace(last, structures=("aorta",), claim="")]
    if sized and not clause.ordered and "volume" not in clause.words:
        return [note, Request(Intent.FINDING, ("aorta",), finding="aortic_aneurysm")]
    if clause.unknown or clause.which or clause.yes_no or not clause.structures:
        return None
    if clause.has(cues.STANDALONE_VOLUME) and not clause.ordered:
        return [Request(Intent.MEASURE, ("aorta",), attribute="volume", topic=note.topic)]
    return [Request(Intent.SEGMENT, ("aorta",), topic=note.topic)] if not _asked(clause) else None


def _asked(clause: Clause) -> bool:
    return any(
        clause.has(p) for p in (*cues.ATTRIBUTES.values(), *cues.RELATIONS.values(), cues.COMPARE, cues.PRESENCE)
    )
