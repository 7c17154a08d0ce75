"""``State``: what planner and writer both see of a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..ct.masks import Mask
from ..language.calls import Call, Clarify, Probe, Segment
from ..tools.fact import Fact
from ..tools.pieces import View
from ..vocabulary.names import GROUPS
from .contract import Sentence


@dataclass(frozen=True)
class Question:
    """A question of ours that waits for an answer.

    Attributes:
        options: ids of what may be meant; empty where any structure may be.
        message: the message that it came up in.
        call: what is done once it is answered; None where the message itself is to be read again.
    """

    options: tuple[str, ...]
    message: str
    call: Call | None = None


@dataclass
class Turn:
    """One message and what came of it.

    Attributes:
        message: as typed.
        calls: as understood on this scan.
        facts: told in the answer, with their ids.
        told: its sentences that hold a value of the scan.
        masks: ids of the masks that the answer spoke of, in the order told.
        spots: those of them that are spots which a look found, in the order told.
        view: the last change of the view, None without one.
        question: that the answer asked, None without one.
    """

    message: str = ""
    calls: tuple[Call, ...] = ()
    facts: tuple[Fact, ...] = ()
    masks: tuple[str, ...] = ()
    spots: tuple[str, ...] = ()
    view: View | None = None
    question: Question | None = None
    told: tuple[Sentence, ...] = ()


@dataclass
class State:
    """A conversation so far, the masks, and where a person points.

    Attributes:
        turns: oldest first; the message that is being answered is none of them.
        masks: the list of masks by id; empty where there is no list.
        clicked: id of the mask that was clicked since the last message, None if none was.
        crosshair: the voxel that the viewer shows, canonical, from 0; None where that is not known.
    """

    turns: list[Turn] = field(default_factory=list)
    masks: Mapping[str, Mask] = field(default_factory=dict)
    clicked: str | None = None
    crosshair: tuple[int, int, int] | None = None

    @property
    def history(self) -> tuple[tuple[Call, ...], ...]:
        """Calls of each turn, oldest first."""
        return tuple(turn.calls for turn in self.turns)

    @property
    def facts(self) -> dict[str, Fact]:
        """Every fact told, by id, oldest first."""
        return {fact.id: fact for turn in self.turns for fact in turn.facts}

    @property
    def last(self) -> Turn:
        """The last turn; an empty one before the first."""
        return self.turns[-1] if self.turns else Turn()

    @property
    def view(self) -> View | None:
        """The last change of the view."""
        return next((turn.view for turn in reversed(self.turns) if turn.view is not None), None)

    @property
    def question(self) -> Question | None:
        """What the last answer asked; None where it asked nothing."""
        return self.last.question

    def numbered(self, facts: Sequence[Fact]) -> tuple[Fact, ...]:
        """Facts with the next free ids; what one turn tells twice has one."""
        first = 1 + sum(len(turn.facts) for turn in self.turns)
        return tuple(replace(fact, id=f"f{first + n}") for n, fact in enumerate(dict.fromkeys(facts)))


def so_far(state: State, turn: Turn, calls: Sequence[Call], facts: Sequence[Fact]) -> State:
    """The state as a further request of the same message sees it: "which is largest, and how far is it ...?"."""
    if not calls:
        return state
    return replace(state, turns=[*state.turns, replace(turn, calls=tuple(calls), facts=tuple(facts))])


def asked_back(call: Call, message: str) -> Question | None:
    """The question that the answer of a call asks; None where it asks none.

    Where something unknown was named, and something known lies near it, the offer is a question too.
    """
    if isinstance(call, Clarify):
        return Question(parts_of(call.options), message)
    if call.unknown and call.nearest and not call.structures:
        again = Segment(unknown=call.unknown) if isinstance(call, Probe) else call
        return Question(parts_of(call.nearest), message, again)
    return None


def parts_of(options: Sequence[str]) -> tuple[str, ...]:
    """Options with groups as their parts."""
    return tuple(dict.fromkeys(id for one in options for id in GROUPS.get(one, (one,))))
