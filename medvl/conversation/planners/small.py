"""``SmallPlanner``: a sentence encoder of the bundle that says which calls a message asks for."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import torch

from ...errors import WeightsError
from ...language import cues
from ...language.calls import (
    IT,
    TOOLS,
    Call,
    Changes,
    Chat,
    Clarify,
    Compare,
    Edit,
    Finding,
    Lookup,
    Measure,
    Measuring,
    Neighbours,
    Probe,
    Rank,
    ReadImage,
    Refuse,
    Relate,
    Remove,
    Segment,
    Show,
    changed,
)
from ...language.encoding import HEADS, JOINTS, ROLES, TAGS, Prepared, call_from, counted, prepare
from ...language.foreign import english
from ...language.formulas import formula
from ...language.mentions import Mention, find
from ...language.normalise import words
from ...language.parse import KNOWN_WORDS, SPELLER
from ...language.quantities import LENGTHY
from ...networks.message_encoder import MessageEncoder, Said, WordPieces
from ...tools.findings import FINDINGS
from ...weights.hub import BUNDLED
from ..state import State, Turn
from . import following
from .rules import RulesPlanner, told_by_look
from .sides import sides_hold

_LOG = logging.getLogger(__name__)
FOLDER = BUNDLED / "planner"
_FINDS = (Probe, Neighbours, Rank)  # only their answer knows what "it" is then
_USES = (Measure, Segment, Show, Edit, Remove, Relate)
_ACTING = (Edit, Remove, Show)
_LOOKING = (Probe, Finding, ReadImage, Refuse, Lookup, Chat, Clarify, Segment)
_TELLING = (Probe, Finding, ReadImage, Refuse, Lookup, Chat, Clarify)
MOST_CALLS = 6
EARLIER = 6  # calls before a message that it is read with


@dataclass(frozen=True)
class Sure:
    """How sure a plan must be (0 to 1) before it is used in the place of the rules'.

    Chosen on messages by hand that were left out of training and on the question set, where the rules are right.

    Attributes:
        known: of a first message that the rules have a plan for and know every word of.
        strange: of a first message with words that they read over.
        later: of a message after others.
        negated: where something is not wanted, or what is wanted came after the training; the rules tell these apart.
        open: where the rules leave the message unanswered.
        cut: the logit above which a further call begins at a word; chosen on ``held_a`` to
            ``held_e``, which were spent.
    """

    known: float = 0.8
    strange: float = 0.5
    later: float = 0.6
    negated: float = 1.1
    open: float = 0.4
    cut: float = 0.5


SEQUENCE = frozenset({"then", ";"})  # what comes next is said to be a request of its own
_EVERY = frozenset({"all", "every", "everything", "masks", "them", "clear"})  # without one, not all is deleted
NEGATIONS = frozenset({"not", "without", "except", "excluding", "neither", "nor", "never", "but"})


@dataclass(frozen=True)
class Part:
    """One request of a message: its words, the call, None where none was spelt, and how sure that is (0 to 1)."""

    text: str
    call: Call | None
    sureness: float


@dataclass(frozen=True)
class Planned:
    """Calls of a message, and how sure the least sure choice in them is (0 to 1); and its requests one by one."""

    calls: tuple[Call, ...]
    sureness: float
    parts: tuple[Part, ...] = ()


class SmallPlanner:
    """Plans in milliseconds on a CPU; the same message after the same calls gives the same plan.

    It leaves to the planner after it what it is not sure of, what would move a side, and messages that point at
    something the state holds.
    """

    name = "small planner"

    def __init__(self, net: MessageEncoder, pieces: WordPieces, sure: Sure = Sure()) -> None:
        self.net, self.pieces, self.sure = net, pieces, sure
        self._rules = RulesPlanner()

    @classmethod
    def load(cls, folder: Path) -> SmallPlanner:
        """From a folder that ``medvl.training.talk.train`` wrote.

        Raises:
            WeightsError: it holds no such planner.
        """
        return cls(MessageEncoder.load(folder), WordPieces.load(folder))

    def plan(self, message: str, state: State, cancel: threading.Event | None = None) -> tuple[Call, ...] | None:
        """Calls for one message; see ``planning.Planner``."""
        if following.follows(message, state) or _names_a_mask(message, state):
            return None
        if told := formula(SPELLER.mend(words(english(message)))):
            return (told,)
        before = tuple(call for turn in state.history for call in turn)[-EARLIER:]
        untaught = tuple(TOOLS.values())[self.net.sizes["heads"]["tool"] :]  # tools that came after its training
        by_rules = self._rules.plan(message, state) or ()
        if any(isinstance(call, untaught) for call in by_rules):
            return None
        planned = self.read(message, before)
        if planned is None:
            return None
        ruled = _understood(message, by_rules)
        if ruled > len(planned.calls) or not self._holds(message, planned.calls, planned.sureness, state, by_rules):
            return self._one_by_one(message, planned.parts, state, ruled)
        if len(planned.calls) == 1 and isinstance(
            planned.calls[0], ReadImage
        ):  # who reads the image gets the very words
            return (replace(planned.calls[0], question=message.strip()),)
        return planned.calls

    def _holds(
        self, message: str, calls: Sequence[Call], sureness: float, state: State, by_rules: Sequence[Call]
    ) -> bool:
        """Whether calls are sure enough for a message, and about what it names."""
        before = tuple(call for turn in state.history for call in turn)[-EARLIER:]
        if sureness < self._needed(message, state, calls, by_rules) or not sides_hold(message, calls, before):
            return False
        said = find(SPELLER.mend(words(english(message))))
        numbers = any(word.lstrip("-").isdigit() for word in words(message))
        windows = {call.window.split()[0].lower() for call in calls if isinstance(call, Show) and call.window}
        if numbers and not windows <= set(words(message)):
            return False  # "window -600 / 1500" names none
        all_said = _EVERY & set(SPELLER.mend(words(english(message))))
        removes = [call for call in calls if isinstance(call, Remove)]
        if removes and not cues.REMOVE.search(message.lower().replace("undo", "")):
            return False  # what takes masks away has to be said
        if any(not call.of for call in removes) and not all_said:
            return False
        return not (
            _forgets(said, calls)
            or _repeats(said, calls, state)
            or _strays(said, calls, state)
            or not _can_point(calls, state)
        )

    def _one_by_one(self, message: str, parts: Sequence[Part], state: State, ruled: int) -> tuple[Call, ...] | None:
        """Each request by itself, read by the network where it is sure and by the rules where not.

        Each is read after those before it, as if these were a turn of their own. None where one is understood by
        neither or all by the rules, or where that gives fewer requests than the ``ruled`` of the whole message.
        """
        if len(parts) < 2:
            return None
        done: list[Call] = []
        read = False
        for part in parts:
            here = replace(state, turns=[*state.turns, Turn(message, tuple(done))]) if done else state
            calls = self._rules.plan(part.text, here) or ()
            known = _understood(part.text, calls)
            sure = part.call is not None and self._holds(part.text, (part.call,), part.sureness, here, calls)
            if sure and known < 2 and not (known and isinstance(part.call, ReadImage)):
                calls, read = (part.call,), True
            if any(isinstance(call, Refuse) and call.reason == "off_topic" for call in calls):
                return None  # of a message about the scan, no part is: it was cut at the wrong place
            if all(call.unanswered for call in calls) and not isinstance(part.call, Clarify):
                return None
            done = _joined(done, [call for call in calls if call not in done and not isinstance(call, Clarify)])
        before = tuple(call for turn in state.history for call in turn)[-EARLIER:]
        return tuple(done) if read and len(done) >= ruled and sides_hold(message, done, before) else None

    def _needed(self, message: str, state: State, planned: Sequence[Call], calls: Sequence[Call]) -> float:
        """How sure a plan must be where the rules have made ``calls`` of the message."""
        said = SPELLER.mend(words(english(message)))
        understood = [call for call in calls if not call.unanswered]
        acts = {call.tool for call in understood if isinstance(call, _ACTING)} - {call.tool for call in planned}
        if acts and len(understood) > max(
            1, len(planned)
        ):  # it would read over what the rules understand is to be done
            return self.sure.negated
        if SEQUENCE & set(said) and len(understood) < len(planned):  # and here they would
            return self.sure.open
        looked = [call for call in understood if isinstance(call, Probe | Finding)]
        if looked and not any(isinstance(call, _LOOKING) for call in planned):
            return self.sure.negated  # what is to be looked for is looked for
        if any(map(_beyond_rules, planned)):
            return self.sure.open
        if any(map(self._unheard_of, calls)):
            return self.sure.negated
        if all(call.unanswered for call in calls):
            changes = any(isinstance(call, Edit | Remove) for call in planned)
            return self.sure.known if changes else self.sure.open  # a mask is changed only where that is sure
        if NEGATIONS & set(said):
            return self.sure.negated
        if state.turns:
            return self.sure.later
        return self.sure.strange if {word for word in said if word.isalpha()} - KNOWN_WORDS else self.sure.known

    def _unheard_of(self, call: Call) -> bool:
        """Whether a call holds a value that came after the network was trained: it would take it for another."""
        return any(
            str(getattr(call, head.partition(".")[2])) in options[self.net.sizes["heads"].get(head, 0) :]
            for head, options in HEADS.items()
            if head.startswith(f"{call.tool}.")
        )

    def read(self, message: str, before: Sequence[Call] = ()) -> Planned | None:
        """What the network understands, however unsure it is.

        Args:
            message: as a person typed it.
            before: calls of the turns before, oldest first.

        Returns:
            None where what it says spells no call.
        """
        said = SPELLER.mend(words(english(message)))
        if not said:
            return None
        whole = prepare(said, before)
        heard = self._said(whole)
        calls: list[Call] = []
        parts: list[Part] = []
        sureness = self._surely_cut(whole, *heard)
        for span in self._spans(whole, *heard):
            if len(span) == len(said):
                call, sure = self._call(whole, before, *heard)
            else:
                prepared = prepare(said, (*before, *calls), span)
                call, sure = self._call(prepared, (*before, *calls), *self._said(prepared))
            call = _on_the_same(_both(call, whole, span), calls)
            if calls and isinstance(call, Edit) and call.op in LENGTHY and not call.of and call.radius_mm is None:
                continue  # "tell me the delta" changes nothing more
            where = call == Probe() or (isinstance(call, Measure) and call.what == "position")
            if where and calls and told_by_look(calls[-1], said[span.start : span.stop], [call]):
                continue
            parts.append(Part(_trimmed(said[span.start : span.stop]), call, sure if call is not None else 0.0))
            if call is not None and call not in calls:  # one request that was cut in two is asked once
                calls.append(call)
            sureness = min(sureness, parts[-1].sureness)
        return Planned(tuple(calls), sureness, tuple(parts)) if calls else None

    @torch.inference_mode()
    def _said(self, prepared: Prepared) -> tuple[Said, dict[int, int]]:
        pieces = self.pieces.batch([prepared.tokens], [prepared.asked])
        return self.net(pieces), pieces.place[0]

    def _spans(self, prepared: Prepared, result: Said, place: dict[int, int]) -> list[range]:
        """The words of each call of a message."""
        said = prepared.words
        cuts = [0]
        for token, word in enumerate(prepared.begins, start=prepared.own):
            least = self.sure.cut if SEQUENCE.isdisjoint(said[max(0, word - 1) : word]) else 0.0
            if word > cuts[-1] and token in place and result.starts[0, place[token]] > least:
                if not JOINTS.issuperset(said[cuts[-1] : word]):
                    cuts.append(word)
                elif len(cuts) > 1:  # what opens a message is none of its requests: "and what else ...?"
                    cuts[-1] = word
        edges = [*cuts[:MOST_CALLS], len(said)]
        return [range(a, b) for a, b in pairwise(edges)]

    def _surely_cut(self, prepared: Prepared, result: Said, place: dict[int, int]) -> float:
        """How sure it is at every word whether a further call begins there: a request that is read over is lost."""
        tokens = enumerate(prepared.begins, start=prepared.own)
        words = [place[token] for token, word in tokens if word > 0 and token in place]
        logits = result.starts[0, words] - self.sure.cut
        return float(torch.maximum(logits.sigmoid(), (-logits).sigmoid()).min()) if words else 1.0

    def _call(
        self, prepared: Prepared, before: Sequence[Call], result: Said, place: dict[int, int]
    ) -> tuple[Call | None, float]:
        chosen = {head: HEADS[head][int(logits[0].argmax())] for head, logits in result.choices.items()}
        asked = [head for head in chosen if head in ("tool", "reference") or head.startswith(f"{chosen['tool']}.")]
        sure = [float(result.choices[head][0].softmax(-1).max()) for head in asked]
        likely = [
            result.roles[0, place[token]].softmax(-1) if token in place else None for token, _ in prepared.anchors
        ]
        roles = ["" if one is None else ROLES[int(one.argmax())] for one in likely]
        counts = counted(chosen["tool"], roles, prepared)
        sure += [float(one.max()) for one, own in zip(likely, counts, strict=True) if own and one is not None]
        tags = [
            TAGS[int(result.tags[0, place[token]].argmax())] if token in place else ""
            for token in range(prepared.own, len(prepared.tokens))
        ]
        return call_from(chosen, roles, tags, prepared, before), min(sure)


class BundledPlanner:
    """The ``SmallPlanner`` of the bundle, read with the first message; without its files it has no plan."""

    name = SmallPlanner.name

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    def start(self) -> None:
        """Read it in the background, so that the first message does not wait for it."""
        threading.Thread(target=_read_once, args=(self.folder,), name="planner", daemon=True).start()

    def plan(self, message: str, state: State, cancel: threading.Event | None = None) -> tuple[Call, ...] | None:
        """Calls for one message; see ``planning.Planner``."""
        planner = _read_once(self.folder)
        return planner.plan(message, state) if planner is not None else None


@cache
def _read_once(folder: Path) -> SmallPlanner | None:
    try:
        return SmallPlanner.load(folder)
    except WeightsError as error:
        _LOG.warning("Messages are understood by rules alone: %s", error)
        return None


def _understood(message: str, calls: Sequence[Call]) -> int:
    """How many requests the rules find in a message; 0 where they leave a part of it open.

    A mask that no verb orders is what they make of a name that they know nothing else of; both kinds of stones are one.
    """
    if any(call.unanswered or isinstance(call, Refuse) for call in calls):
        return 0
    ordered = cues.SEGMENT_STRONG.search(message.lower()) is not None
    asked = [call for call in calls if ordered or not isinstance(call, Segment)]
    asked = [call for call in asked if not (isinstance(call, Lookup) and call.topic == "reference_ranges")]
    stones = sum(isinstance(call, Finding) and call.id in ("gallstones", "renal_stones") for call in asked)
    return len(asked) - max(0, stones - 1)


def _joined(done: Sequence[Call], new: Sequence[Call]) -> list[Call]:
    """Requests with further ones; where the same is measured of something else, as one of both."""
    found = list(done)
    for call in new:
        last = found[-1] if found else None
        same = isinstance(call, Measuring) and last is not None and changed(call, of=last.of) == last
        if same and not call.part and not call.description:
            found[-1] = changed(call, of=tuple(dict.fromkeys((*last.of, *call.of))))
        else:
            found.append(call)
    return found


def _beyond_rules(call: Call) -> bool:
    """Whether a call asks for what no rule has a pattern for, so that theirs is something else."""
    overlap = isinstance(call, Relate) and call.kind == "overlap"
    view = isinstance(call, Show) and (bool(call.width) or (call.action == "centre" and bool(call.plane)))
    return overlap or view


def _both(call: Call | None, prepared: Prepared, span: range) -> Call | None:
    """How two lie to one another, of both where two are named and the network took one ("left and right lung")."""
    if not isinstance(call, Relate) or len(call.of) != 1 or call.unknown:
        return call
    named = [id for _, m in prepared.anchors if m.kind == "known" and m.start in span for id in m.ids]
    return changed(call, of=tuple(named)) if len(set(named)) == 2 and call.of[0] in named else call


def _on_the_same(call: Call | None, before: Sequence[Call]) -> Call | None:
    """A request that names nothing, on what the one before it in the same message is used on ("..., and its HU").

    And how one structure lies to what the request before it finds ("which is the largest, and how far is it from ...").
    """
    named = next((one.of for one in reversed(before) if one.of), ())
    if isinstance(call, Relate) and before and len(call.of) == 1 and not call.unknown:
        finds = isinstance(before[-1], _FINDS) or before[-1].which
        first = (IT,) if finds else named if len(named) == 1 else ()
        return changed(call, of=(*first, *call.of)) if call.of != first else call
    coloured = isinstance(call, Show) and call.action in ("colour", "centre", "largest_slice")
    if not named or not (coloured or isinstance(call, Measuring | Compare)) or call.of or call.unknown:
        return call
    return changed(call, of=named)


def _trimmed(said: Sequence[str]) -> str:
    """Words of a part as a message of their own, without what joins it to the others; a question mark stays."""
    said = list(said)
    while said and (said[0] in JOINTS or said[-1] in JOINTS - {"?"}):
        said = said[1:] if said[0] in JOINTS else said[:-1]
    return " ".join(said)


def _names_a_mask(message: str, state: State) -> bool:
    """Whether a message names a mask of the list that is no structure ("Object 2"): which one, others know."""
    said = f" {' '.join(words(message))} "
    names = (" ".join(words(mask.name)) for mask in state.masks.values())
    return any(name and f" {name} " in said and not find(name.split()) for name in names)


def _forgets(said: Sequence[Mention], calls: Sequence[Call]) -> bool:
    """Whether a name is dropped by calls that would be answered without it: of no structure, or where to look."""
    used = {id for call in calls for id in call.of}
    placed = any(mention.lesion and mention.nearest and not used & {*mention.nearest, IT} for mention in said)
    if placed and any(isinstance(call, Probe) for call in calls):
        return True  # "any focal liver lesions" is about the liver
    named = [mention for mention in said if mention.kind == "unknown"]
    if named and any(isinstance(c, Segment | Measure) and not (c.of or c.unknown or c.description) for c in calls):
        return True  # "segment the tumour" asks for something
    strange = any(not mention.lesion for mention in named)
    return strange and not any(call.unknown or isinstance(call, _TELLING) for call in calls)


def _repeats(said: Sequence[Mention], calls: Sequence[Call], state: State) -> bool:
    """Whether a sign that was just told is told again to who names another organ: "spleen?" after a fatty liver."""
    named = {id for mention in said for id in mention.ids}
    told = {call.id for call in state.last.calls if isinstance(call, Finding)}
    again = [c for c in calls if isinstance(c, Finding) and c.id in told and not named & set(FINDINGS[c.id].needs)]
    return bool(named) and len(again) == len(calls)


def _strays(said: Sequence[Mention], calls: Sequence[Call], state: State) -> bool:
    """Whether calls are used on more than a message names, or on the organ where what was found in it is meant."""
    if not said and any(isinstance(call, Changes) and call.of for call in calls):
        return True  # "what changed?" asks of all that was masked
    named = {id for mention in said for id in mention.ids}
    used = {id for call in calls for id in call.structures}
    if len(named) > 1:
        return not used <= named
    searched = {id for call in state.last.calls if isinstance(call, _FINDS) for id in call.structures}
    return not named and bool(used) and used <= searched and all(isinstance(call, _USES) for call in calls)


def _can_point(calls: Sequence[Call], state: State) -> bool:
    """Whether what the calls point to is there: a click, a crosshair, an earlier answer."""
    pointed = {one for call in calls for one in call.of}
    return not (
        any(isinstance(call, Probe) and call.where == "at" and not call.of for call in calls)
        or ("clicked" in pointed and state.clicked is None)
        or ("crosshair" in pointed and state.crosshair is None)
        or (pointed & {"it", "other"} and not state.turns and len(calls) == 1)
        or any(re.fullmatch(r"f\d+", one) and one not in state.facts for one in pointed)
    )
