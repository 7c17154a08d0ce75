"""Messages that only point back ("show them", "the biggest of them", "where was that measured"): from the state.

A message counts if every word of it is of the closed classes below: it names nothing that was not told before.
"""

from __future__ import annotations

from typing import get_args

from ...language import cues, sights
from ...language.asking import told_width
from ...language.calls import (
    Call,
    Chat,
    Clarify,
    Compare,
    Edit,
    ListStructures,
    Lookup,
    Measure,
    Probe,
    Refuse,
    Relate,
    Remove,
    Scan,
    Show,
    changed,
)
from ...language.calls.base import Part
from ...language.foreign import english
from ...language.mentions import find
from ...language.normalise import STOP, words
from ...language.parse import SPELLER, parse
from ...language.quantities import margins
from ...vocabulary.names import STRUCTURES, counterpart, parts
from ...vocabulary.structure import word_set
from ..binding import named as of_name
from ..references import last_two, measured_at, structures_of
from ..state import Question, State
from .against import against
from .seen import before, seen

_POINT = word_set(
    "it that this they them those these one ones spot spots area areas piece pieces thing things its their"
)
_ORDER = {"first": 0, "1st": 0, "1": 0, "second": 1, "2nd": 1, "2": 1, "third": 2, "3rd": 2, "3": 2, "fourth": 3,
          "4": 3, "fifth": 4, "5": 4, "last": -1}  # fmt: skip
_MORE = {"bigger": "larger", "larger": "larger", "smaller": "smaller", "denser": "brighter", "brighter": "brighter",
         "darker": "darker", "wider": "larger", "longer": "larger"}  # fmt: skip
_WIDE = word_set("wider longer diameter wide width long longest axis")
_BRIGHT = frozenset({"brighter", "darker"})
_SIZE = word_set("big large size volume ml measure measured measurement measurements length")
_HU = word_set("hu dense density bright hounsfield attenuation")
_GO = word_set("show see display go jump centre center mark segment highlight take outline")
_PLACE = word_set("where slice level exactly place position located")
_LOOKING = cues.FUNCTION_WORDS | word_set(
    "what is this here crosshair am i looking at pointing thing spot structure organ area place hu value voxel "
    "identify name the under cursor"
)
_NORMAL = word_set("typical normal usual")
_FAR = word_set("far distance away nearest closest close")
_ELLIPTIC = cues.FUNCTION_WORDS - word_set(
    "show give make tell get want need like no not many much where why which who when"
) | word_set("now then one ones same side inside next between well ok okay around there place level spot")
_REMOVE = word_set("remove delete discard drop erase")
_EXCEPT = word_set("except but excluding besides")
_ALL = word_set("all every everything each others other")
_SIDES = frozenset({"left", "right"})
_SWAPPED = word_set("swap swapped swaps flip flipped mirrored mislabelled mislabeled reversed switched inverted")
_PUSHED = word_set("pushed shift shifted shifts displaced displacement deviated deviation")
_TAKEN = word_set("measured measure took take taken")
_CLAIMED = word_set("said told claimed wrote")
_ASKS = word_set("you did where which")
_VALUED = word_set("sd std deviation average mean recompute figure change changes volume statistics")
_DONE = (Show, Edit, Remove, Chat)  # what changes the page asks nothing
_YES = word_set("yes yeah yep sure ok okay please exactly right correct do that")
_KNOWN = (
    _POINT | set(_ORDER) | set(_MORE) | _FAR | _WIDE | _SIZE | _HU | _GO | _PLACE
    | cues.FUNCTION_WORDS
    | word_set("and so then now just also all both each how much many which what tell me again please ok was were")
)  # fmt: skip


def follows(message: str, state: State) -> tuple[Call, ...] | None:
    """Calls of a message that goes on from the turns before it, or holds something against a value; else None."""
    readings = (answered, pointed, checked, moved, elliptic, seen, claimed, against)
    return next((calls for reading in readings if (calls := reading(message, state))), None)


def moved(message: str, state: State) -> tuple[Call, ...] | None:
    """Values with an outline moved: "mean HU of the liver, eroded by 3 mm", "erode 2 voxels and recompute"."""
    said = SPELLER.mend(words(message))
    here = set(said)
    lengths = margins(said)
    if not lengths or not here & (_HU | _VALUED) or here & {"undo", "mask"}:
        return None
    ids = tuple(dict.fromkeys(id for m in find(said) if m.kind == "known" for id in m.ids))
    if not ids and before(state).recent:
        return None  # of what was seen
    ids = ids or next((found for turn in reversed(state.turns) if (found := structures_of(turn))), ())
    what = "mean_hu" if here & _HU else "volume"
    calls = (
        Measure(ids, what=what, **{"margin_mm" if unit == "mm" else "margin_voxels": length})
        for length, unit in lengths
    )
    return tuple(calls) if ids else None


def checked(message: str, state: State) -> tuple[Call, ...] | None:
    """Whether sides are swapped, something is pushed aside, or where a value was taken: each is measured again."""
    said = SPELLER.mend(words(english(message)))
    here = set(said)
    mentions = find(said)
    ids = tuple(dict.fromkeys(id for m in mentions for id in m.ids))
    about = ids or next((found for turn in reversed(state.turns) if (found := structures_of(turn))), ())
    if here & _SWAPPED and here & (_SIDES | {"image", "scan", "side", "sides", "picture"}):
        return (Scan("orientation"), *((Measure(about, what="position"),) if about else ()))
    if here & _PUSHED:
        near = tuple(id for m in mentions if m.kind == "unknown" for part in m.nearest for id in parts(part))
        unknown = tuple(m.text for m in mentions if m.kind == "unknown")
        return (Measure(ids or near, what="position", unknown=unknown),) if ids or near else None
    if here & _TAKEN and here & (_PLACE | {"slices", "which"}) and here & _ASKS and set(ids) <= set(about):
        at = measured_at(state)
        return (Show((at,), action="centre"),) if at else None
    return None


def claimed(message: str, state: State) -> tuple[Call, ...] | None:
    """What was told, once more, where a message says that something was: "you told me that it is 8 cm"."""
    said = words(message)
    told = any(a == "you" and {b, c} & _CLAIMED for a, b, c in zip(said, said[1:], [*said[2:], ""], strict=False))
    return (
        (ListStructures("told", number=2),)
        if told and not any(m.ids or m.kind == "unknown" for m in find(said))
        else None
    )


def elliptic(message: str, state: State) -> tuple[Call, ...] | None:
    """The last question once more, about what is named now ("and in the gallbladder?", "and suprarenal?").

    Of looks, relations, parts of the aorta and what is not known; what the rules carry on themselves is left to them.
    """
    said = [w for w in SPELLER.mend(words(message)) if w not in STOP]
    asked = (call for turn in reversed(state.turns) for call in reversed(turn.calls) if not isinstance(call, _DONE))
    last = next(asked, None)
    asks = {"how", "what"} & set(said) and "about" not in said
    if last is None or not said or asks:
        return None
    named = [m for m in find(said) if m.kind == "known"]
    rest = [w for n, w in enumerate(said) if not any(m.start <= n < m.end for m in named)]
    ids = tuple(dict.fromkeys(id for m in named for id in m.ids))
    part = next((w for w in rest if w in get_args(Part)), "")
    if part and last.of == ("aorta",) and set(rest) <= _ELLIPTIC | set(get_args(Part)) and ids in ((), ("aorta",)):
        again = changed(last, part=part) if isinstance(last, Measure) else Measure(last.of, what="diameter", part=part)
        return (again,) if told_width(last) else None
    if isinstance(last, Probe) and last.where != "at":
        sides = _SIDES & set(rest)
        if not ids and (sides or "other" in rest) and len(last.structures) <= 2:
            twins = tuple(id for id in map(counterpart, last.structures) if id)
            ids = tuple(id for id in (*last.structures, *twins) if STRUCTURES[id].side in sides) or twins
            rest = [w for w in rest if w not in _SIDES | {"other"}]
        if ids and set(rest) <= _ELLIPTIC:
            where = "inside" if last.where == "anywhere" else last.where
            return (Probe(ids, what=last.what, where=where),)
        what, own = sights.kind(set(said), bool(last.of)), sights.sought(said)
        placed = own is not None and (own.of or own.region)  # "effusion?" says where it is itself
        if not ids and what and last.of and not placed and set(rest) <= _ELLIPTIC | sights.MATTER:
            return (changed(last, what=what),)
    if not ids or not set(rest) <= _ELLIPTIC:
        return None
    if isinstance(last, Relate) and len(ids) == 2:
        return (changed(last, of=ids, claim=""),)
    if isinstance(last, Measure) and last.unknown and not last.structures:
        return (changed(last, of=ids, unknown=(), nearest=()),)
    return None


def removed(message: str, state: State) -> tuple[Call, ...] | None:
    """Masks to be deleted that only the list tells: "remove the second", "delete every mask except the liver"."""
    said = [w for w in SPELLER.mend(words(message)) if w not in STOP]
    if not said or said[0] not in _REMOVE or not state.masks:
        return None
    listed = [id for id in (*state.last.spots, *state.last.masks) if id in state.masks]
    nth = next((_ORDER[w] for w in said if w in _ORDER), None)
    if nth is not None and set(said) <= _REMOVE | set(_ORDER) | _POINT | {"the", "mask"}:
        return (
            (Remove(tuple(dict.fromkeys(listed))[nth : nth + 1 or None]),) if -1 <= nth < len(listed) else (Clarify(),)
        )
    named = {id for m in find(said) if m.kind == "known" for id in m.ids}
    if not named or not _EXCEPT & set(said) or not _ALL & set(said):
        return None
    kept = {id for id, mask in state.masks.items() if set(of_name(mask.name)) & named}
    return (Remove(tuple(id for id in state.masks if id not in kept)),) if kept else None


def pointed(message: str, state: State) -> tuple[Call, ...] | None:
    """Calls of a message that points at spots or at a measurement of an earlier answer; None where it does neither."""
    said = [w for w in words(message) if w not in STOP]
    if (place := _here(set(said), state)) is not None:
        return place
    if not said or not state.turns or not set(said) <= _KNOWN | _NORMAL:
        return None
    here = set(said)
    if here & _NORMAL:
        last = state.last.calls[-1] if state.last.calls else None
        asked = last is not None and last.attribute == "mean_hu" and last.structures
        return (Lookup(last.structures, topic="typical_hu"),) if asked else None
    if here & {"measured", "slice", "level"} and here & _POINT and here & (_PLACE | _GO):
        at = measured_at(state)
        return (Show((at,), action="centre"),) if at else None
    if "axis" in here or {"longest", "diameter"} <= here:
        about = next((found for turn in reversed(state.turns) if (found := structures_of(turn))), ())
        return (Measure(about, what="diameter"),) if about else None
    return None


def _here(said: set[str], state: State) -> tuple[Call, ...] | None:
    """A look at what is pointed at, of a message that says no more than that something is."""
    pointing = bool(said & {"this", "here", "crosshair", "pointing", "looking"}) and bool(
        said & {"what", "identify", "name"}
    )
    if not pointing or not said <= _LOOKING or said & {"called", "program"}:
        return None
    if state.clicked is not None:
        return (Probe(("clicked",), where="at"),)
    return (Probe(("crosshair",), where="at"),) if state.crosshair is not None else None


def left_open(message: str, state: State) -> tuple[Call, ...] | None:
    """Calls of a message that the rules do not understand and that asks a quality of what was spoken of before."""
    said = [w for w in words(message) if w not in STOP]
    if not said or not state.turns or not set(said) <= _KNOWN:
        return None
    here = set(said)
    more = next((_MORE[w] for w in said if w in _MORE), "")
    if more and len(two := last_two(state)) == 2:
        by = "mean_hu" if more in _BRIGHT else "extent" if here & _WIDE else "volume"
        return (Compare(two, by=by, which=more),)
    if more:
        return (Clarify(),)
    if here & _FAR and (pair := _told_beside(state)):
        return (Relate(pair, kind="distance"),)
    about = next((found for turn in reversed(state.turns) if (found := structures_of(turn))), ())
    if about and here & (_WIDE | _HU | _SIZE):
        what = "mean_hu" if here & _HU else "extent" if here & _WIDE else "volume"
        return (Measure(about, what=what),)
    return None


def _told_beside(state: State) -> tuple[str, ...]:
    """What was asked about last and what was told to lie beside it, the first that was told."""
    asked = tuple(id for call in state.last.calls for id in call.structures)
    shown = [id for mask in state.last.masks if mask in state.masks for id in of_name(state.masks[mask].name)]
    told = [id for fact in state.last.facts for id in fact.structures]
    beside = [id for id in (*told, *shown) if id not in asked]
    return (asked[0], beside[0]) if asked and beside else ()


def answered(message: str, state: State) -> tuple[Call, ...] | None:
    """What was asked, now that our question is answered; None where the message is no answer to it."""
    question = state.question
    said = [w for w in words(message) if w not in STOP]
    if question is None or not said or len(said) > 6:
        return None
    named = [m for m in find(said) if m.kind in ("known", "side")]
    chosen = [id for m in named for id in m.ids]
    sides = {m.side for m in named if m.kind == "side"}
    if question.options and (set(said) <= _YES):
        chosen = list(question.options)
    elif sides and not chosen:
        chosen = [id for id in question.options if id.split("_")[0] in sides]
    if not chosen or (question.options and not set(chosen) & set(question.options)):
        return None
    rest = [w for n, w in enumerate(said) if not any(m.start <= n < m.end for m in named)]
    if not set(rest) <= _YES | _POINT | cues.FUNCTION_WORDS | {"mean", "meant", "take"}:
        return None  # it asks something of its own
    return _asked_of(question, tuple(dict.fromkeys(chosen)))


def _asked_of(question: Question, ids: tuple[str, ...]) -> tuple[Call, ...] | None:
    if question.call is not None:
        return (changed(question.call, of=(*question.call.structures, *ids), unknown=(), nearest=()),)
    calls = parse(question.message, [(Measure(ids),)])
    return None if any(isinstance(call, Clarify | Refuse) for call in calls) else calls
