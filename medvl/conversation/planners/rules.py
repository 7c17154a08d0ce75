"""``RulesPlanner``: the rules of ``language``, which need no network, and what the state adds to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import get_args

from ...language import cues, sights
from ...language.calls import (
    Call,
    Chat,
    Clarify,
    Compare,
    Comparing,
    Edit,
    Finding,
    Lookup,
    Measure,
    Measuring,
    Presence,
    Probe,
    Refuse,
    Remove,
    Segment,
)
from ...language.calls.base import Part
from ...language.clauses import split
from ...language.foreign import english
from ...language.mentions import find
from ...language.normalise import words
from ...language.parse import SPELLER, parse
from ..references import structures_of
from ..state import State, Turn
from . import following
from .seen import seen

Parse = Callable[[str, Sequence[Sequence[Call]]], tuple[Call, ...]]
_OPEN = frozenset({"diagnosis", "unjudged", "beyond", "not_understood", "pointed", "off_topic", "cause"})
"""Reasons of a refusal for which a look may still give something to see."""
_HERE = frozenset({"here", "this", "that", "crosshair"})
_JUDGED = frozenset(
    {"malignant", "malignancy", "benign", "cancer", "cancerous", "dangerous", "harmless", "serious", "stage"}
)
"""Words that ask what something is, which no look tells."""
_THERE = frozenset({"it", "its", "them", "there", "one"})
_SPOTS = frozenset({"gallstones", "renal_stones", "pleural_effusion", "aortic_calcification"})
"""Signs that are told as what was seen, each with its size and place."""
_SEEN = frozenset({"volume", "position", "diameter", "extent", "count"})
"""Qualities of a spot that a look tells of each."""
_WIDER = frozenset({"wider", "larger", "bigger", "narrower", "smaller", "thicker"})


class RulesPlanner:
    """Understands by names, ideas and what was told before; it always has a plan.

    What the rules refuse or do not know is looked at, where the message names something that can be seen.
    """

    name = "rules"

    def __init__(self, parse: Parse = parse, with_handles: Callable[[str], str] | None = None) -> None:
        """Begin.

        Args:
            parse: ``(text, calls of earlier turns) -> calls``.
            with_handles: puts a word of its own in the place of each name that a mask of the list has; None where there
                is no list.
        """
        self._parse = parse
        self._with_handles = with_handles

    def plan(self, message: str, state: State, cancel: threading.Event | None = None) -> tuple[Call, ...] | None:
        """Calls for one message; see ``planning.Planner``."""
        message = english(message)
        before = following.follows(message, state)
        if before is not None:
            return before
        parts = _looks_apart(SPELLER.mend(words(message)))
        calls = (self._one_by_one(parts, state) if len(parts) > 1 else None) or self._whole_message(message, state)
        if any(isinstance(call, Segment | Presence | Measuring | Comparing) for call in calls or ()) and not any(
            isinstance(call, Probe | Finding | Refuse) or getattr(call, "description", "") for call in calls
        ):
            return seen(message, state, alone=True) or calls  # what is to be looked for is looked for
        return calls

    def _one_by_one(self, parts: Sequence[Sequence[str]], state: State) -> tuple[Call, ...] | None:
        """The calls of each part by itself, read after those before it.

        None where a part is not understood, or only names what another one asks about ("the liver, any spots?").
        """
        done: list[Call] = []
        for part in parts:
            text = " ".join(part)
            calls = self.plan(text, replace(state, turns=[*state.turns, Turn(text, tuple(done))]) if done else state)
            if not calls or any(call.unanswered or isinstance(call, Refuse) for call in calls):
                return None
            if any(call.unknown and not call.structures for call in calls):
                return None
            if all(isinstance(call, Segment) for call in calls) and not cues.SEGMENT_STRONG.search(text):
                return None
            if done and told_by_look(done[-1], part, calls):
                continue
            named = next((call.structures for call in reversed(done) if call.structures), ())
            if _THERE & set(part):
                calls = tuple(_placed(call, named) for call in calls)
            done += [call for call in calls if call not in done]
        return tuple(done)

    def _whole_message(self, message: str, state: State) -> tuple[Call, ...] | None:
        calls = self._read(message, state)
        if not any(getattr(call, "description", "") for call in calls):  # "the organ that makes bile" is another
            calls = self._read(sights.holder_said(message), state)
        if not calls or all(isinstance(call, Refuse | Clarify) for call in calls):
            follows = following.left_open(message, state)
            if follows is not None:
                return follows
        return self._looked_at(message, calls, state) or None

    def _read(self, message: str, state: State) -> tuple[Call, ...]:
        handled = self._with_handles(message) if self._with_handles is not None else message
        if handled != message:
            calls = self._parse(handled, _history(state))
            if any(isinstance(call, Edit | Remove) for call in calls):
                return calls
        return self._parse(message, _history(state))

    def _looked_at(self, message: str, calls: tuple[Call, ...], state: State) -> tuple[Call, ...]:
        """The calls with a look in the place of what is refused, unknown, or said of something else."""
        said = SPELLER.mend(words(message))
        calls = tuple(_published(call, said) for call in calls)
        parts = _parts_of_aorta(said, calls)
        if parts:
            return parts
        if any(isinstance(call, Finding) and not call.unknown for call in calls):
            first = next(n for n, call in enumerate(calls) if isinstance(call, Finding))
            told = {id for call in calls if isinstance(call, Finding) for id in call.of}
            # what is measured behind a sign, "how many and where", is of the sign
            rest = (c for c in calls[first:] if not (isinstance(c, Measure) and c.structures and set(c.of) <= told))
            return (*calls[:first], *rest)
        asked = {call.reason for call in calls if isinstance(call, Refuse)}
        judged = "prognosis" in asked or ("diagnosis" in asked and _JUDGED & set(said))
        probes = () if judged else sights.every(said)
        if state.turns and _THERE & set(said):
            probes = tuple(_placed(probe, structures_of(state.last)) for probe in probes)
        if not probes:
            return tuple(_whole(_here(call, set(said), state), said) for call in calls)
        open_ = [call for call in calls if any(_is_open(call, probe) for probe in probes)]
        if not open_:
            return calls
        rest = [call for call in calls if call not in open_]
        rest = [c for c in rest if not (isinstance(c, Lookup | Chat | Measure) and not c.unknown)]
        where = calls.index(open_[0])
        return (*rest[:where], *probes, *rest[where:], *self._not_looked_at(said, state))

    def _not_looked_at(self, said: Sequence[str], state: State) -> tuple[Call, ...]:
        """What a message asks for besides, and no look sees: a disease that another part of it names."""
        parts = sights.parts(said)
        left = [" ".join(part) for part in parts if len(parts) > 1 and sights.sought(part) is None]
        named = [one for one in left if all(map(_of_disease, self._parse(one, state.history)))]
        return (Refuse(words=tuple(named)),) if named else ()


def told_by_look(look: Call, part: Sequence[str], calls: Sequence[Call]) -> bool:
    """Whether a look tells what is asked behind it: "stones?", "and where", "if yes, how big"; "how much fluid?"."""
    if not (isinstance(look, Probe) and look.where != "at") and not (isinstance(look, Finding) and look.id in _SPOTS):
        return False
    named = any(mention.kind == "known" for mention in find(list(part)))
    asked = all(call == Probe() or (isinstance(call, Measure) and call.what in _SEEN) for call in calls)
    return asked and (not named or sights.sought(part) is not None)


def _history(state: State) -> list[tuple[Call, ...]]:
    """Calls of each turn; where a place was asked about, besides of the structure that it was told to lie in."""
    found = []
    for turn in state.turns:
        told = structures_of(turn)
        at = any(isinstance(call, Probe) and call.where == "at" for call in turn.calls)
        found.append((*turn.calls, Measure(told[:1])) if at and told else turn.calls)
    return found


def _placed(call: Call, named: tuple[str, ...]) -> Call:
    """A look that says only "in it", with what the part before it named."""
    if not isinstance(call, Probe) or call.of or call.region or call.unknown:
        return call
    return replace(call, of=named, where="inside" if call.where == "anywhere" else call.where)


def _looks_apart(said: Sequence[str]) -> list[list[str]]:
    """The clauses of a message of which some ask to look for something; one part where none does."""
    found: list[list[str]] = []
    for clause in split(list(said)):
        pieces = sights.parts(clause)
        looks = [sights.sought(piece) for piece in pieces]
        kinds = {look.what for look in looks if look is not None}
        placed = all(look is not None and (look.of or look.region) for look in looks)
        apart = len(pieces) > 1 and all(looks) and (len(kinds) > 1 or (placed and kinds <= {"fluid", "gas"}))
        # "width of the aorta, any calcium": what is measured has a name and an attribute of its own
        mixed = len(pieces) > 1 and "or" not in clause and any(looks) and not all(looks)
        apart |= mixed and all(look or _is_measured(piece) for look, piece in zip(looks, pieces, strict=True))
        found += pieces if apart else [clause]
    return found if len(found) > 1 and any(sights.sought(part) is not None for part in found) else [list(said)]


def _is_measured(piece: Sequence[str]) -> bool:
    """Whether a part of a message names a structure and a quality of it."""
    text = " ".join(piece)
    return any(mention.kind == "known" for mention in find(list(piece))) and any(
        cue.search(text) for cue in cues.ATTRIBUTES.values()
    )


def _parts_of_aorta(said: Sequence[str], calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """The width of each part of the aorta that is named, in the place of the width of all of them."""
    named = tuple(dict.fromkeys(word for word in said if word in get_args(Part)))
    if {"infrarenal", "suprarenal"} & set(named):
        named = tuple(part for part in named if part != "abdominal")  # both lie in it
    widths = any(isinstance(c, Finding) and c.id == "aortic_aneurysm" for c in calls)
    widths |= any(isinstance(c, Measure) and c.what == "diameter" and c.of == ("aorta",) for c in calls)
    compared = _WIDER & set(said) and any(isinstance(c, Presence | Compare) and "aorta" in c.of for c in calls)
    if not named or not (widths or compared):
        return ()
    measured = tuple(Measure(("aorta",), what="diameter", part=part) for part in named)
    return measured + tuple(c for c in calls if set(c.of) - {"aorta"} and not isinstance(c, Finding))


def _published(call: Call, said: Sequence[str]) -> Call:
    """The published size of an organ, where its normal size is asked and the scan is not."""
    asked = isinstance(call, Refuse) and call.reason == "diagnosis" and call.of
    if (
        asked
        and {"normal", "usual", "typical"} & set(said)
        and {"size", "volume", "sizes", "length", "width"} & set(said)
    ):
        return Lookup(call.of, topic="reference_ranges")
    return call


def _is_open(call: Call, probe: Probe) -> bool:
    """Whether a call leaves something that is seen unanswered, or answers of the structure what was asked of it."""
    if isinstance(call, Refuse):
        return call.reason in _OPEN
    if isinstance(call, Clarify):
        return True
    if isinstance(call, Segment | Presence | Measure | Finding):
        return bool(call.unknown) or bool(set(call.structures) & set(probe.of))
    return isinstance(call, Lookup) and call.topic in ("brightness", "contents", "reference_ranges")


def _of_disease(call: Call) -> bool:
    """Whether a call names only what no tool sees."""
    return (isinstance(call, Refuse) and call.reason == "diagnosis") or bool(call.unknown and not call.structures)


def _whole(call: Call, said: Sequence[str]) -> Call:
    """A call for a whole structure, with the words that narrow it to a part that no tool measures as unknown."""
    if not isinstance(call, Segment | Measure) or not call.structures or call.part or call.description or call.choose:
        return call
    if call.attribute in ("position", "slices", "largest_slice", "count"):
        return call
    words_left = tuple(word for word in sights.narrowed(said) if word not in call.unknown)
    return replace(call, unknown=(*call.unknown, *words_left)) if words_left else call


def _here(call: Call, said: set[str], state: State) -> Call:
    """What is pointed at, where a place is pointed at."""
    if not isinstance(call, Refuse) or call.reason not in _OPEN or not said & _HERE:
        return call
    if call.reason != "pointed" and not said & (sights.THINGS | {"hu", "density", "dense", "value"}):
        return call
    if state.clicked is not None:
        return Probe(("clicked",), where="at")
    return Probe(("crosshair",), where="at") if state.crosshair is not None else call
