"""Rules for the viewer: hide and show masks, go to one, colour it, another window. Nothing is segmented anew but what
the viewer should go to.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ...vocabulary.names import COLOURS
from ...vocabulary.structure import word_set
from .. import cues
from ..asking import about, referral_of, told_width
from ..calls import Call, Chat, Clarify, Edit, ListStructures, Remove, Segment, Show
from ..clauses import Clause
from ..referring import superlative

WINDOWS = {
    "soft": "Soft tissue",
    "abdom": "Soft tissue",
    "lung": "Lung",
    "pulmon": "Lung",
    "bon": "Bone",
    "brain": "Brain",
    "liver": "Liver",
    "hepatic": "Liver",
    "mediastin": "Mediastinum",
}

_ASKS = cues.cue("what|why|how|when|who|explain|define|difference|should")
_WINDOW = re.compile(
    rf"\b(?P<before>{'|'.join(WINDOWS)})\w*( tissue)? (window\w*|preset|setting)\b"
    rf"|\b(window\w*|preset) (to|for|of|on|=|:)( the)? (?P<after>{'|'.join(WINDOWS)})"
)
_BEST_WINDOW = cues.cue(
    "(which|what|best|right|good|suitable) window( _){0,5} (for|to (see|look at|view))|"
    "window should( _){0,3} (use|take|choose)"
)
_OFF = cues.cue(
    "hide|hiding|conceal|(turn|switch|toggle) (it |them |(the )?@ )?off|(turn|switch|toggle) off|"
    "(make )?invisible|blend out"
)
_ON = cues.cue(
    "unhide|reveal|(turn|switch|toggle) (it |them |(the )?@ )?(back )?on|(turn|switch|toggle) (back )?on|"
    "(show|display) (the )?(it|them|@|everything|all|all masks|masks) (again|once more)|"
    "bring (it |them |(the )?@ |(the |all )*(others?|rest|everything|all|masks) )?back( (the |all )*(@|others?|rest))?|"
    "make (it|them|(the )?@) visible|make visible( (it|them|(the )?@))?|"
    "(everything|all( of (them|@))?|(the |all )*(others?|rest)) (again|back)( on)?|"
    "(show|display) (the |all )*(others?|rest|hidden)( ones| masks)?( again| too)?"
)
_ALL_SHOWN = cues.cue("(show|display)( me)? (everything|all( (of )?(the )?(masks|organs|structures|them))?)")
_ALL_BUT = cues.cue("(everything|all|all masks) (but|except|apart from|other than|besides)")
_ONLY = cues.cue(
    "^(and |but |, )*(nothing else|no others?( masks?| ones| organs?)?)( please)?( [.!])?$|"
    "(show|display|see|view) (me )?(only|just|nothing but)|(only|just) (show|display)|hide (everything|all|all masks) "
    "(but|except|apart from|other than|besides)|hide (everything|all|anything|all (the )?(masks|others?|organs)) "
    "else|(hide|turn off) (the )?(others?|rest|all others)|"
    "(show|display|see|view)( me)?( (the|my|both|left|right|it|them|@|and))+ (only|alone)( please)?( [.!])?$"
)
_JUST = cues.cue(
    "^(no |ok |okay |now |and |, )*(just|only)( (the|my|both|left|right|it|them|@|and|,))+( please| now)*( [.!])?$"
)
_THERE = cues.cue(
    "(go|jump|take me|bring me|scroll|move|navigate|fly|zoom)( back)?( in)?( to)? (there|(that|this) (slice|level|"
    "place|point|spot|image))|(show|open)( me)? (that|this) (slice|level|place|point|spot)|"
    "show me where( (that|it) is)?|(show|open|see|view|go to|take me to)( me)? (the|that|this) (slice|level|"
    "section)( that| where)? "
    "(you|it|this) (used|measured|meant|mean|took|was|is|were|looked)( _){0,3}"
)
_LARGEST = cues.cue("largest|biggest|widest|thickest|broadest|best")
_UNDO = cues.cue(
    "(undo|revert)( (that|this|it|them|(the )?(last|previous)( (one|step|action|change|edit|thing|operation))?|"
    "the (edit|change|smoothing|filling|"
    "merg(e|ing)|union|subtraction|renaming)))?|(take|put) (that|it|them) back|"
    "go back( (one|a) step)?"
)
_AROUND = word_set(
    """
    no wait please sorry oops and now actually can could you , . ! ? ok okay hm oh i mean
    """
)
_CENTRE = cues.cue(
    "(go|jump|navigate|scroll|fly|move|take me|bring me) (back )?to|(re)?cent(er|re)( the view| it)?( on| at| around)?|"
    "zoom( in| into| on| to)*|focus on"
)
_SLICE = re.compile(
    r"\b(go|jump|scroll|move|take me|bring me|navigate|show|open|display|see|view)\b( me)?( back)?( to)?"
    r"( the)?( (?P<plane>axial|coronal|sagittal))? (slice|image|cut)( number| no| #)* (?P<number>\d{1,4})(?!\S*\d)"
    r"( (in|of|on|from)( the)?)?( (?P<behind>axial|coronal|sagittal))?"
)
_COLOUR_VERB = cues.cue("make|colou?r*|paint*|turn|change|recolou?r*|draw|render|in|give")
_COLOUR = cues.cue("|".join(COLOURS))


def view(clause: Clause) -> list[Call] | None:
    """What the viewer should show or leave out."""
    advice = _advised(clause)
    if advice:
        return [Show(action="window", window=advice)]
    if clause.says(_ASKS) or clause.declined or (clause.yes_no and clause.words[0] in ("is", "are", "was", "were")):
        return None
    window = _WINDOW.search(clause.text)
    if window:
        return [Show(action="window", window=WINDOWS[window["before"] or window["after"]])]
    place = _place(clause)
    if place is not None:
        return [place]
    slice_ = _SLICE.search(clause.text)
    if slice_:
        return [
            Show(
                action="slice",
                plane=slice_["plane"] or slice_["behind"] or "axial",
                number=int(slice_["number"]),
            )
        ]
    colour = _COLOUR.search(clause.masked)
    described = clause.structures or referral_of(clause) is not None
    if colour and clause.has(_COLOUR_VERB) and described:
        return [about(clause, Show, action="colour", colour=colour.group())]
    if colour and clause.has(_COLOUR_VERB) and (choice := _choice(clause)):
        return [replace(choice, action="colour", colour=colour.group())]
    before = clause.context.last
    narrowed = before is not None and isinstance(before, Show) and clause.has(_JUST)
    if clause.has(_ONLY) or narrowed:
        return [_of(clause, "only")]
    hid = any(r.action in ("hide", "only") for turn in clause.context.turns for r in turn if isinstance(r, Show))
    if clause.has(_ON) or (hid and clause.has(_ALL_SHOWN) and not clause.structures):
        return [_of(clause, "show")]
    if clause.has(_OFF):
        return [_of(clause, "hide")]
    if clause.has(_CENTRE) and (clause.structures or clause.unknown or _choice(clause)):
        return [_of(clause, "centre")]
    pointing = any(w in clause.words for w in ("it", "that", "this", "them", "there"))
    if clause.has(_CENTRE) and pointing and clause.context.last is None and len(clause.words) <= 8:
        return [Clarify()]
    return None


def _advised(clause: Clause) -> str:
    """The window for what is named: "which window should I use for the lungs?"."""
    if not clause.says(_BEST_WINDOW):
        return ""
    return next((name for stem, name in WINDOWS.items() if any(w.startswith(stem) for w in clause.words)), "")


def _of(clause: Clause, action: str) -> Show:
    """A request about what is named, pointed to, or all ("hide everything", "hide the masks")."""
    everything = clause.has(cues.EVERYTHING) or any(w in clause.words for w in ("masks", "overlays", "overlay"))
    everything &= "else" not in clause.words
    everything |= action == "show" and clause.has(cues.cue("others?|rest"))
    if not clause.has(_ALL_BUT):
        clause = _wanted(clause)
    before = clause.context.last
    if action == "show" and everything and not clause.explicit:
        return Show(action=action)
    if (
        action == "show"
        and not clause.explicit
        and before is not None
        and isinstance(before, Show)
        and before.action == "only"
    ):
        return Show(action=action)  # after "only the liver", what comes back is all the others
    if clause.structures or clause.unknown:
        return about(clause, Show, action=action)
    if not everything and (choice := _choice(clause)):
        return replace(choice, action=action)
    if clause.strange and not everything:
        return Show(action=action, unknown=(clause.strange,))
    last = clause.context.last
    return Show(() if everything or last is None else last.structures, action)


def _choice(clause: Clause) -> Show | None:
    """The one meant by "the smaller one" of the two that were spoken of."""
    ids, choose = clause.context.two(), superlative(clause.words)
    if not choose or len(ids) != 2 or clause.explicit or not clause.has(cues.cue("ones?|of (the two|them|both)")):
        return None
    return Show(ids, choose=choose)


def _wanted(clause: Clause) -> Clause:
    """The clause without what it does not want, where it wants something: "skip the lungs, just show the liver"."""
    kept = [m for m in clause.mentions if m.kind not in ("known", "unknown") or not clause.negated(m)]
    return replace(clause, mentions=kept) if any(m.kind == "known" for m in kept) else clause


_THROUGH = cues.cue(
    "(show|see|display|open|view|give|go to|jump to|take me to)( me)? (a|an|the|some|one)( (axial|coronal|sagittal|"
    "good|nice|"
    "middle|central))* (slices?|planes?|sections?|cuts?|views?|images?|pictures?) (through|of|at|with|containing|"
    "across)"
    "( (the|my|both|his|her))* @"
)
_TO_SEE = word_set("go jump take bring scroll move navigate show open display")


def _place(clause: Clause) -> Show | None:
    """Where the answer before was about, or the largest section: "take me there", "go to its largest slice"."""
    before = next((turn[-1] for turn in reversed(clause.context.turns) if turn), None)
    if clause.has(_THERE) and before is not None and isinstance(before, ListStructures) and before.which == "in_slice":
        return Show(action="slice", plane=before.plane, number=before.number)
    last = clause.context.last
    if clause.has(_THERE) and last is not None and not clause.explicit:
        widest = told_width(last) or last.attribute == "largest_slice"
        if widest and not last.unknown:
            return Show(last.structures, "largest_slice")
        return Show(last.structures, "centre")
    if clause.has(_THROUGH) and clause.structures and not clause.has(_LARGEST) and not clause.which:
        return _of(clause, "centre")
    ordered = clause.words[0] in _TO_SEE
    sliced = clause.has(_CENTRE) or clause.has(cues.cue("slices?|levels?|sections?|cuts?"))
    section = clause.has(cues.ATTRIBUTES["largest_slice"]) or (sliced and clause.has(_LARGEST))
    if ordered and section and clause.structures and not clause.unknown:
        return about(clause, Show, action="largest_slice")
    return None


def undo(clause: Clause) -> list[Call] | None:
    """The last thing done, undone: what was hidden is shown, what was made removed, what was removed made again."""
    match = _UNDO.search(clause.text)
    if match is None or clause.explicit:
        return None
    rest = (clause.text[: match.start()] + " " + clause.text[match.end() :]).split()
    if any(word not in _AROUND for word in rest):
        return None
    done = [r for turn in clause.context.turns for r in turn if isinstance(r, _DOING)]
    return [_inverse(done)] if done else [Chat("undo")]


_DOING = (Show, Segment, Remove, Edit)


def _without_undone(done: list[Call]) -> list[Call]:
    """Requests without edits of masks that changed nothing, and without those that were taken back."""
    left: list[Call] = []
    undone: list[Call] = []
    for request in done:
        if not isinstance(request, Edit):
            left.append(request)
        elif request.op == "undo" and not request.changed:
            continue
        elif request.op == "undo":
            at = max((i for i, r in enumerate(left) if isinstance(r, Edit)), default=None)
            undone += [left.pop(at)] if at is not None else []
        elif request.op == "redo":
            left += [undone.pop()] if undone else []
        elif request.changed:
            left.append(request)
    return left


def _inverse(done: list[Call]) -> Call:
    """What undoes the last of some requests, oldest first."""
    done = _without_undone(done)
    if not done:
        return Chat("undo")
    *before, last = done
    if isinstance(last, Edit):
        return Edit(last.structures, "undo")
    made = tuple(dict.fromkeys(id for r in before if isinstance(r, Segment) for id in r.structures))
    if isinstance(last, Segment) and last.structures:
        return Remove(last.structures)
    if isinstance(last, Remove) and (last.structures or made):
        return Segment(last.structures or made)
    if isinstance(last, Show) and last.action in ("hide", "only"):
        return Show(last.structures if last.action == "hide" else (), "show")
    if isinstance(last, Show) and last.action == "show":
        hid = next((r for r in reversed(before) if isinstance(r, Show) and r.action in ("hide", "only")), None)
        if hid is not None:
            return hid
        if last.structures:
            return Show(last.structures, "hide")
    return Chat("undo")
