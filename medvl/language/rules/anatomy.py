"""Rules for what the page does and the chat does not: its planes and tools; a place that is pointed at.

And for parts that are not told apart: the levels of the spine, the parts of the aorta. Each rule gives the requests of
a clause, or None for another rule to be asked.
"""

from __future__ import annotations

import re
from typing import get_args

from ...vocabulary.names import GROUPS, PART_HEADS, PARTS
from .. import cues
from ..calls import Call, Finding, Lookup, Measure, Scan, Segment, changed
from ..calls.base import Part
from ..clauses import Clause

_LEVEL = cues.cue(
    "(which|what)( of the)? (vertebra(l|e)?|vertebral (level|body|bodies)|spinal (level|segment)|disc|disk|lumbar|"
    "thoracic|cervical)( _){0,2}|(vertebral|spinal|vertebra) level|level of (the )?(spine|vertebra)"
)


_COVERED = cues.cue("includ*|cover*|visible|in (this|the) (scan|ct|image|volume)|seen|shown")


def level(clause: Clause) -> list[Call] | None:
    """At which vertebra something lies: that is not told, the slices are known."""
    if not clause.says(_LEVEL) or clause.ordered:
        return None
    ids = tuple(id for id in clause.structures if id != "vertebral_column")
    told = [Lookup(topic="vertebral_level")]
    if not ids and clause.says(_COVERED):
        return [*told, Scan("coverage")]
    return told + ([Measure(ids, "slices")] if ids else [])


_HOW_MANY = cues.cue("how many ((of )?(the )?)#|(count|number of)( the)? #")


def parts_counted(clause: Clause) -> list[Call] | None:
    """How many parts a structure has, where its parts are not known: "how many lobes does it have"."""
    if not clause.says(cues.cue("how many|count|number of")):
        return None
    part = re.search(r"\b(?:how many|number of)(?: the| different)? (\w+)", clause.text)
    if part and part[1] in PARTS | PART_HEADS and clause.known and not clause.unknown:
        return [Measure(what="count", unknown=(part[1],), nearest=clause.structures)]
    if not _HOW_MANY.search(clause.masked):
        return None
    if any(m.lesion for m in clause.unknown):
        return None
    unknown = clause.unknown
    nearest = tuple(dict.fromkeys(id for m in unknown for id in m.nearest))
    return [Measure(what="count", unknown=tuple(m.text for m in unknown), nearest=nearest)]


_ALL_VESSELS = cues.cue("(all|every|main|major|big|large|great|known)( of)?( the)?( (blood|main|major|big|large))* #")


def all_vessels(clause: Clause) -> list[Call] | None:
    """Of "all vessels" those that are known."""
    asked = [m for m in clause.unknown if m.text in ("vessels", "blood vessels", "arteries", "veins")]
    if not asked or clause.known or len(clause.unknown) > 1 or not clause.has(_ALL_VESSELS):
        return None
    if clause.which or clause.yes_no:
        return None
    known = {"arteries": ("aorta",), "veins": ("inferior_vena_cava",)}.get(asked[0].text)
    return [Segment(known or GROUPS["great_vessels"], description=f"all {asked[0].text}")]


_ON_SIDE = cues.cue(
    "(is|are|lies|lie|sits?)( really)? (on|at|in) (the|his|her|my|its|their|your) (patient |own )?(left|right)( side)?"
    "( [?.!])*$|(is|are) .* on (the|his|her|my|its|their) (left|right)( side)?( [?.!])*$"
)


def on_side(clause: Clause) -> list[Call] | None:
    """Whether what is named lies on a side: "is the right lung on the right"."""
    match = _ON_SIDE.search(clause.text)
    named = [m for m in clause.known if m.concept and m.start < len(clause.words) - 2]
    if match is None or not clause.yes_no or not named:
        return None
    claim = "left" if re.search(r"left( side)?[ ?.!]*$", clause.text) else "right"
    return [Measure(named[0].ids, "position", claim=claim)]


_PART = "(ascending|descending|thoracic|abdominal|suprarenal|infrarenal)"
_AORTIC = cues.cue(
    f"{_PART} (aorta|aortic)|{_PART} (and|or|versus|,) {_PART} aorta|aortic (arch|root)|arch of (the )?aorta"
)
_PART_ALONE = cues.cue(
    f"((and|what|how|about|the|for|in|of|is|big|wide|ok|okay) )*({_PART}|arch|root)( (part|one|section|segment))?( "
    f"?[?.!])*"
)


def part_of_aorta(clause: Clause) -> list[Call] | None:
    """A part of the aorta: its width is told in chest and abdomen, else that its parts are not told apart."""
    last = clause.context.last
    after = last is not None and "aorta" in last.structures and bool(_PART_ALONE.fullmatch(clause.text))
    if not (after or clause.says(_AORTIC)) or set(clause.structures) - {"aorta"}:
        return None
    if any("aort" not in m.text for m in clause.unknown):
        return None
    note = Lookup(topic="aorta_parts")
    sized = clause.has(cues.ATTRIBUTES["diameter"]) or clause.has(cues.SIZE_ONLY) or clause.has(cues.ENLARGED)
    if after and not sized:
        if isinstance(last, Finding) or last.attribute == "diameter":
            return [note, Finding(("aorta",), "aortic_aneurysm")]
        return [note, changed(last, of=("aorta",), claim="")]
    if sized and not clause.ordered and "volume" not in clause.words:
        return [note, Finding(("aorta",), "aortic_aneurysm")]
    if clause.unknown or clause.which or clause.yes_no or not clause.structures:
        return None
    if clause.has(cues.STANDALONE_VOLUME) and not clause.ordered:
        return [Measure(("aorta",), "volume", part=_part(clause))]
    return [Segment(("aorta",), part=_part(clause))] if not _asked(clause) else None


def _part(clause: Clause) -> Part:
    """The part of the aorta that is named first."""
    return next((word for word in clause.words if word in get_args(Part)), "")


def _asked(clause: Clause) -> bool:
    return any(
        clause.has(p) for p in (*cues.ATTRIBUTES.values(), *cues.RELATIONS.values(), cues.COMPARE, cues.PRESENCE)
    )
