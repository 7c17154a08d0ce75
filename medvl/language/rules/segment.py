"""Rules for masks: show, leave out, forget; and what a short follow-up means.

Each rule gives the requests of a clause, or None for another rule to be asked.
"""

from __future__ import annotations

from dataclasses import replace

from ...vocabulary.names import EVERYTHING, GROUPS, STRUCTURES
from .. import cues
from ..asking import WHICH_ONE, about, imperative, plain, referral_of
from ..calls import IT, Call, Clarify, Edit, Finding, Measure, Refuse, Remove, Segment, Show, Total
from ..clauses import Clause
from ..mentions import Mention
from ..referring import describe

_SCREEN = cues.cue("masks|screen|view|viewer|display|canvas|overlays?")


def remove(clause: Clause) -> list[Call] | None:
    """Masks to be forgotten: those named, those pointed to, or all."""
    asks = clause.yes_no and clause.words[:2] not in (
        ["can", "you"],
        ["could", "you"],
        ["would", "you"],
        ["will", "you"],
    )
    if not clause.has(cues.REMOVE) or asks or "removed" in clause.words:
        return None
    if any(clause.negated(m) for m in clause.known):
        return None
    last = clause.context.last
    if not clause.explicit and isinstance(last, Edit) and last.op == "union":
        return [Remove((IT, *last.structures))]
    if clause.structures:
        return [about(clause, Remove)]
    if clause.unknown:
        return [about(clause, Remove)]
    everything = clause.has(cues.EVERYTHING) or clause.says(_SCREEN)
    if clause.strange and not everything:
        return [Refuse(unknown=(clause.strange,))]
    return [Remove(() if everything or last is None else last.structures)]


def declined(clause: Clause) -> list[Call] | None:
    """An order not to: "do not measure the liver", "don't show the kidneys any more"."""
    named = clause.known
    if not clause.declined or not named or not all(clause.negated(m) for m in named):
        return None
    gone = tuple(dict.fromkeys(id for m in named for id in m.ids))
    if clause.has(cues.cue("anymore|any more|any longer")):
        return [Remove(gone)]
    if clause.has(cues.EVERYTHING):
        return None
    return [_hidden(clause, gone) or Refuse(gone, "negated")]


_NO_LONGER = cues.cue(
    "^(and |also |but |then )*(no|without|minus)( the| more)* @( and( the)? @)*( either| please| too)?( [.!])?$"
)
_LOOKING = cues.cue(
    "show|display|see|view|segment*|outlin*|draw|mark|include|want|need|leave|omit|skip|no|without|minus|either"
)


def _hidden(clause: Clause, gone: tuple[str, ...]) -> Call | None:
    """Taken out of the view again, where the conversation put it there: "segment all organs", "leave the liver out"."""
    shown = {id for turn in clause.context.turns for r in turn if isinstance(r, Segment) for id in r.structures}
    if not gone or not set(gone) <= shown or not clause.has(_LOOKING):
        return None
    return Show(gone, "hide")


def segment(clause: Clause) -> list[Call] | None:
    """Masks to be made: named, described, everything of a region, everything but some, or the last request again."""
    if clause.words[0] in ("why", "when", "who", "keep"):
        return None
    if clause.words[0] == "how" and clause.explicit and clause.words[1:2] != ["about"]:
        return [Refuse(reason="unjudged")]
    region = cues.REGION_ALL.search(clause.text)
    everything = clause.has(cues.EVERYTHING)
    verb = clause.ordered or clause.says(cues.SEGMENT_WEAK)
    denied = [m for m in clause.mentions if m.kind in ("known", "unknown") and clause.negated(m)]
    if region:
        wanted = next(regions for stem, regions in cues.REGION_WORDS.items() if stem in region.group())
        organs_only = "organ" in region.group() and "chest" not in wanted
        ids = tuple(
            id for id in EVERYTHING
            if _lies_in(id, wanted[0])
            and STRUCTURES[id].kind != "bone"
            and (not organs_only or STRUCTURES[id].kind == "organ")
        )  # fmt: skip
        gone = {id for m in denied for id in m.ids}
        ids = tuple(id for id in ids if id not in gone)
        if clause.has(cues.STANDALONE_VOLUME) and not clause.ordered:
            return [Total(ids) if clause.has(cues.SUM) else Measure(ids)]
        return [Segment(ids, description=region.group())]
    if denied or clause.has(_NO_LONGER):
        denied = denied or clause.known
        kept = replace(clause, mentions=[m for m in clause.mentions if m not in denied])
        carried = _carried(kept) if kept.known and not everything else None
        if carried:
            return carried  # "not the liver, the spleen": the question before, about the spleen
        left = _without(clause, denied, everything)
        return [_hidden(clause, left.structures) or left]
    if clause.says(cues.cue("body")) and not clause.mentions and verb and not everything:
        return [Segment(("body",))]
    if everything and not clause.mentions and (verb or len(clause.words) <= 3):
        said = clause.context.turns[-1] or (clause.context.turns[-2] if clause.context.turns[:-1] else [])
        named = {id for r in said for id in r.structures} if "else" in clause.words else set()
        return [Segment(tuple(id for id in EVERYTHING if id not in named))]
    if clause.says(cues.NEGATIONS) and not clause.mentions and clause.ordered:
        return [Refuse(reason="negated")]
    carried = _carried(clause)
    if carried:
        return carried
    if (clause.which or clause.yes_no) and not verb and clause.words[1:2] != ["about"] and not clause.says(WHICH_ONE):
        if clause.words[:2] in (["which", "is"], ["which", "are"]) and clause.known:
            return [about(clause, Segment)]  # "which is the left one": shown, it is told
        if "between" in clause.words:
            return None  # "what is between the lungs" describes something
        return [plain(clause, Refuse, reason="unjudged")] if clause.known else None
    if clause.known and not clause.explicit and not verb and all(m.number == 1 and not m.concept for m in clause.known):
        return [Refuse(reason="beyond")]  # "that is small": nothing is asked
    if clause.known or clause.unknown or referral_of(clause) is not None:
        return [_only(clause, about(_targets(clause), Segment))]
    return None


def _lies_in(id: str, region: str) -> bool:
    return STRUCTURES[id].region == region or (id == "aorta" and region == "chest")


_PLACING = cues.cue(
    "(inferior|superior|anterior|posterior|lateral|medial|adjacent|close|next) to( the| my| its| both)*|"
    "(below|above|under|beneath|behind|near|beside|adjacent)( the| my| its| both)*|in front of( the)?|(left|"
    "right) of( the)?"
)


def _targets(clause: Clause) -> Clause:
    """The clause without mentions that only tell where its target lies: "the liver tissue above the kidneys"."""
    kept = []
    for mention in clause.mentions:
        before = " ".join(clause.words[max(0, mention.start - 4) : mention.start])
        placing = any(m.end() == len(before) for m in _PLACING.finditer(before))
        if not (kept and placing):
            kept.append(mention)
    return replace(clause, mentions=kept) if referral_of(clause) is None else clause


_MENDED = cues.cue(
    "no wait|wait( no)?|i mean(t)?( to say)?|sorry|scratch that|correction|no , i|oh no|rather( ,)?|no make that"
)


def _only(clause: Clause, request: Call) -> Call:
    """What is said after "only" narrows what was said before it: "the lungs, but only the right one"."""
    mended = [m.end() for m in _MENDED.finditer(clause.text)]
    if mended and not request.description:  # "the liver, no wait, the spleen"
        at = len(clause.text[: mended[-1]].split())
        after = tuple(dict.fromkeys(id for m in clause.known if m.start >= at for id in m.ids))
        if after and min(m.start for m in clause.known) < at:
            return replace(request, of=after)
    marks = [i for i, w in enumerate(clause.words) if w in ("only", "just")]
    if marks and not request.description:
        after = tuple(dict.fromkeys(id for m in clause.known if m.start >= marks[0] for id in m.ids))
        if after and set(after) < set(request.structures) and marks[0] > min(m.start for m in clause.known):
            return replace(request, of=after)
    return request


def _without(clause: Clause, denied: list[Mention], everything: bool) -> Call:
    """What is left when some is not wanted: the rest, or everything else, or nothing."""
    gone = {id for m in denied for id in m.ids}
    wanted = [m for m in clause.known if m not in denied]
    ids = tuple(dict.fromkeys(id for m in wanted for id in m.ids if id not in gone))
    named_all = everything and not any(m.concept in GROUPS for m in wanted)
    if named_all and not ids:
        return Segment(tuple(id for id in EVERYTHING if id not in gone))
    if ids:
        unknown = [m for m in clause.unknown if m not in denied]
        nearest = tuple(dict.fromkeys(id for m in unknown for id in m.nearest))
        return Segment(ids, unknown=tuple(m.text for m in unknown), nearest=nearest)
    return Refuse(tuple(dict.fromkeys(id for m in denied for id in m.ids)), "negated")


def _bare_after_edit(clause: Clause) -> bool:
    """Whether names alone ("spleen and left kidney") ask for masks, not for the last edit once more.

    "And the spleen?" asks for the edit, but not after it was taken back.
    """
    words = clause.masked.split()
    taken_back = any(isinstance(call, Edit) and call.op in ("undo", "redo") for call in clause.context.turns[-2])
    return taken_back or (words[0] in ("@", "the", "both") and set(words) <= {"@", "the", "both", "and", ","})


def _carried(clause: Clause) -> list[Call] | None:
    """The last request once more, with what is named now: "and the spleen?"."""
    last = clause.context.last
    ids = clause.structures
    if last is None or not (ids or clause.unknown) or not clause.context.turns[:-1]:
        return None
    verb = clause.ordered or (clause.says(cues.SEGMENT_WEAK) and not clause.has(cues.cue("now|add|do")))
    if verb or (isinstance(last, Segment)) or referral_of(clause) is not None:
        return None
    if isinstance(last, Edit) and _bare_after_edit(clause):
        return None
    filler = cues.FUNCTION_WORDS | {
        "@",
        "#",
        "same",
        "meant",
        "mean",
        "other",
        "total",
        "together",
        "sum",
        "instead",
        "sorry",
        ",",
        "?",
        ".",
        "!",
        "now",
        "next",
        "one",
        "side",
        "well",
        "actually",
        "rather",
        "each",
        "combined",
    }
    if any(w not in filler for w in clause.masked.split()):
        return None
    carried = clause.context.carry(
        ids, tuple(m.text for m in clause.unknown), tuple(id for m in clause.unknown for id in m.nearest)
    )
    if carried is None:
        return None
    if isinstance(carried, Finding) and not set(ids) <= set(cues.FINDING_STRUCTURES[carried.id]):
        alike = _alike(carried.id, ids)
        if alike:
            return [Finding(ids, alike)]
        dense = carried.id in ("steatosis", "bone_density", "liver_spleen_difference", "emphysema")
        return [Measure(ids, "mean_hu" if dense else "volume")]
    return [carried]


_FAMILIES = (("gallstones", "renal_stones"), ("splenomegaly", "hepatomegaly", "cardiomegaly", "aortic_aneurysm"))
"""Findings that ask the same of different organs: stones, and whether it is too large."""


def _alike(finding: str, ids: tuple[str, ...]) -> str:
    """The finding that asks of other structures what one asks of its own, "" if there is none."""
    family = next((f for f in _FAMILIES if finding in f), ())
    return next((f for f in family if ids and set(ids) <= set(cues.FINDING_STRUCTURES[f])), "")


def open_follow_up(clause: Clause) -> list[Call] | None:
    """Nothing named, nothing to point to with: "how much?", "which ones?" go on about what was asked."""
    last = clause.context.last
    pointing = clause.mentions or any(w in clause.words for w in ("it", "them", "that", "this"))
    if last is None:
        asks = clause.ordered or clause.says(cues.SEGMENT_WEAK) or any(clause.has(p) for p in cues.ATTRIBUTES.values())
        return [Clarify()] if pointing and asks else None
    if clause.says(cues.cue("how much|how many|percent*|how severe|how bad|quantif*")) and isinstance(last, Finding):
        return [last]
    if clause.says(cues.AGAIN) and len(clause.words) <= 4:
        return [last]
    if clause.ordered and len(clause.words) <= 4 and not clause.strange:
        return [Segment(last.structures, choose=last.choose, description=last.description)]
    return None


def described(clause: Clause) -> list[Call] | None:
    """No noun for a kind of thing either: "what food goes through after the mouth" is still a description."""
    if not (imperative(clause) or clause.which):
        return None
    referral = describe(clause.words, clause.mentions, targetless=True)
    if referral is None:
        return None
    return [Segment(referral.ids, choose=referral.choose, description=referral.text)]
