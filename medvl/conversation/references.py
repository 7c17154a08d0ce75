"""References of a call ("it", "the other one", "where that was measured") into what they stand for, from the state."""

from __future__ import annotations

from collections.abc import Sequence

from ..language.asking import group_of
from ..language.calls import (
    IT,
    Call,
    Compare,
    Edit,
    Lookup,
    Measure,
    Neighbours,
    Probe,
    Rank,
    Relate,
    Remove,
    Show,
    changed,
)
from ..language.calls.base import REFERENCE
from ..vocabulary.names import EVERYTHING, STRUCTURES, counterpart
from .state import State, Turn


def resolved(call: Call, state: State) -> Call:
    """The call with ids of structures and masks in the place of references.

    "clicked" and "crosshair" stay: the executor knows them. So does a reference to nothing, and ``f`` of a ``show``,
    which goes to where that fact was measured. "It" of an edit stays as well where masks were changed last: the editor
    knows which.

    Args:
        call: as planned.
        state: of the conversation before it.
    """
    if not any(REFERENCE.fullmatch(one) for one in call.of):
        return _completed(call, state)
    of: list[str] = []
    for one in call.of:
        if one == IT and isinstance(call, Rank):
            of += state.last.spots or subject(state) or (IT,)  # of all that was seen
        elif one == IT and (not isinstance(call, Edit | Remove) or _after_look(state)):
            of += subject(state) or (IT,)
        elif one == "other":
            of += other(state) or ("other",)
        elif one in state.facts and not isinstance(call, Show):
            fact = state.facts[one]
            of += (fact.mask_id,) if fact.mask_id in state.masks else fact.structures
        else:
            of.append(one)
    return _completed(changed(call, of=tuple(dict.fromkeys(of))), state)


def _completed(call: Call, state: State) -> Call:
    """The call with what it leaves open where there is only one thing that it can mean."""
    match call:
        case Rank(of=(), unknown=()):
            return changed(call, of=tuple(id for id in EVERYTHING if STRUCTURES[id].kind == "organ"))
        case Compare(of=(one,), against=()) if not call.unknown:
            earlier = [id for id in (*last_two(state), *structures_of(state.last)) if id not in (one, IT)]
            twin = counterpart(one) if one in STRUCTURES else None
            other = twin if twin in earlier else next(reversed(earlier), twin)
            return changed(call, of=(one, other)) if other else call
        case Relate(kind="distance") if "body" in call.of and len(call.of) > 1:  # all lies in it: below the skin
            return changed(call, of=(*(one for one in call.of if one != "body"), "body"), kind="surface")
        case Probe(where="at") if call.structures:
            return changed(call, where="inside")
        case Measure(of=("crosshair",)):
            return Probe(call.of, where="at")
        case Lookup(topic="") if call.structures:
            return changed(call, topic=group_of(call.structures) or call.structures[0])
    return call


def _after_look(state: State) -> bool:
    """Whether the last answer was about spots and edited nothing: "it" of an edit is the first of them."""
    return bool(state.last.spots) and not any(isinstance(call, Edit) for call in state.last.calls)


def subject(state: State) -> tuple[str, ...]:
    """What the last answer was about: the mask that was clicked since, its first spot, or its structures."""
    if state.clicked is not None and state.clicked in state.masks:
        return (state.clicked,)
    for turn in reversed(state.turns):
        spots = tuple(id for id in turn.spots if id in state.masks)
        if spots:
            return spots[:1]
        if spoken := _found(turn) or structures_of(turn):
            return spoken
    return ()


_VALUES = {"volume": ("volume_ml",), "mean_hu": ("mean_hu",)}
_WIDTHS = ("cross_diameter_mm", "longest_diameter_mm", "length_mm")


def _found(turn: Turn) -> tuple[str, ...]:
    """The one that a turn was asked to find: the largest, the denser of two, what lies nearest; empty for others."""
    last = turn.calls[-1] if turn.calls else None
    if isinstance(last, Neighbours):
        return tuple(id for fact in turn.facts for id in fact.structures if id not in last.of)[:1]
    if not isinstance(last, Rank | Compare) or not last.which:
        return ()
    keys = _VALUES.get(last.attribute, _WIDTHS)
    told = [fact for fact in turn.facts if fact.key in keys and len(fact.structures) == 1]
    told = sorted(told, key=lambda fact: fact.value, reverse=last.which in ("larger", "brighter"))
    return told[0].structures if told else ()


def other(state: State) -> tuple[str, ...]:
    """Of the pair, or of the two spoken of last, the one that the last answer was not about."""
    now = subject(state)
    if len(now) == 1 and now[0] in STRUCTURES and (twin := counterpart(now[0])):
        return (twin,)
    for turn in reversed(state.turns):
        rest = [id for id in (turn.spots or structures_of(turn)) if id not in now]
        if rest:
            return tuple(rest[:1])
    return ()


def structures_of(turn: Turn) -> tuple[str, ...]:
    """Structures that a turn was about: those of its calls, else those of its facts."""
    asked = [id for call in turn.calls for id in call.structures]
    told = [id for fact in turn.facts for id in fact.structures]
    return tuple(dict.fromkeys(asked or told))


def last_two(state: State) -> tuple[str, ...]:
    """The two structures spoken of last, the earlier first; those of one answer before those of two."""
    seen: list[str] = []
    for turn in reversed(state.turns):
        new = [id for id in structures_of(turn) if id not in seen]
        seen += new if len(new) == 1 or not seen else []
        if len(seen) >= 2:
            return (seen[0], seen[1]) if len(new) > 1 else (seen[1], seen[0])
    return ()


def measured_at(state: State) -> str:
    """Id of the last fact that was measured in one slice; "" where none was."""
    for turn in reversed(state.turns):
        at: Sequence[str] = [fact.id for fact in turn.facts if fact.slice is not None and fact.key != "slice"]
        if at:
            return at[0]
    return ""
