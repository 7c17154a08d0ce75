"""Rules on the page itself: what is seen where, starting over."""

from __future__ import annotations

from ...vocabulary.structure import word_set
from .. import cues
from ..asking import referral_of
from ..calls import Call, Chat, Refuse
from ..clauses import Clause

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


def restart(clause: Clause) -> list[Call] | None:
    """The conversation forgotten: a button of the page."""
    asks = clause.which or clause.known or clause.unknown
    return [Chat("restart")] if clause.says(_RESTART) and not asks else None


def on_page(clause: Clause) -> list[Call] | None:
    """What the page's own tools do: the look of a mask, the planes, a ruler, another file."""
    if clause.which or clause.explicit or clause.unknown or clause.declined:
        return None
    if clause.yes_no and clause.words[1:2] not in (["you"], ["i"], ["we"]):
        return None
    text = _POLITE.sub("", clause.text).strip(" ?.!")
    rest, found = _PAGE.subn("", text, 1)
    return [Chat("page")] if found and not _MAKE.sub("", rest).strip() else None


def pointed(clause: Clause) -> list[Call] | None:
    """A thing in the picture that is pointed at by where it is or how it looks; the program sees no pointing."""
    if clause.explicit or clause.unknown or clause.says(cues.DISEASE):
        return None
    thing = clause.says(_THING) and (clause.which or clause.yes_no)
    bare = _WHAT_THING.match(clause.text) and len(clause.words) <= 5 and not clause.context.turns[:-1]
    looks = bool(_SEEN & set(clause.words))
    if (thing and (clause.says(_PLACE) or looks) and referral_of(clause) is None) or bare:
        return [Refuse(reason="pointed")]
    return None
