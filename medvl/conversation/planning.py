"""``Planner``: a message to calls; and a row of planners, each of which may leave a message to the next."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from ..errors import CallError, Cancelled, WeightsError
from ..language.calls import TOOLS, Call, Clarify, ReadImage, Refuse, Remove
from ..language.calls.base import REFERENCE
from ..tools.scene import Scene
from ..vocabulary.names import STRUCTURES
from .state import State

_LOG = logging.getLogger(__name__)


class Planner(Protocol):
    """Understands messages."""

    @property
    def name(self) -> str:
        """For the reader, in the steps of an answer."""

    def plan(self, message: str, state: State, cancel: threading.Event | None = None) -> Sequence[Call] | None:
        """Calls for one message, in the order spoken.

        Args:
            message: as a person typed it.
            state: of the conversation before it; not to be changed.
            cancel: set it to stop within one token; there is no plan then.

        Returns:
            None where this planner does not understand the message: the next one is asked.

        Raises:
            CallError: what it said is no call; the next planner is asked.
            WeightsError: its server cannot be reached; the next planner is asked.
        """


def plan(
    planners: Sequence[Planner],
    message: str,
    state: State,
    cancel: threading.Event | None = None,
    reads: bool = True,
) -> tuple[tuple[Call, ...], str, tuple[str, ...]]:
    """The plan of the first planner that has one that can be run.

    Args:
        planners: in the order asked.
        message: as typed.
        state: of the conversation before it.
        cancel: set it to stop within one token.
        reads: whether anything reads the image; where nothing does, a plan that only has it read is the last resort.

    Returns:
        The calls, the name of the planner that made them, and the names of those that had none; without any plan no
        calls, and "" for the name.

    Raises:
        Cancelled: ``cancel`` was set.
    """
    passed: list[str] = []
    unread: tuple[tuple[Call, ...], str] | None = None
    for planner in planners:
        try:
            calls = planner.plan(message, state, cancel)
            if cancel is not None and cancel.is_set():
                raise Cancelled
            if calls:
                checked(calls)
                if reads or unread is not None or not all(isinstance(call, ReadImage) for call in calls):
                    open_ = all(isinstance(call, Refuse | Clarify | ReadImage) for call in calls)
                    if unread is not None and open_ and not any(call.structures or call.unknown for call in calls):
                        return *unread, tuple(passed[:-1])
                    return tuple(calls), planner.name, tuple(passed)
                unread = tuple(calls), planner.name
        except (CallError, WeightsError) as error:
            _LOG.debug("%s made no plan: %s", planner.name, error)
        passed.append(planner.name)
    return (*unread, tuple(passed[:-1])) if unread is not None else ((), "", tuple(passed))


def possible(calls: tuple[Call, ...], scene: Scene) -> tuple[Call, ...]:
    """Without removing what has no mask: "forget the spleen, show the kidneys" is about the kidneys."""
    removed = [call for call in calls if isinstance(call, Remove) and call.structures]
    idle = [call for call in removed if not scene.masks(*call.structures)]
    return tuple(call for call in calls if call not in idle) or calls


def checked(calls: Sequence[Call]) -> None:
    """Raise where a plan cannot be run.

    Raises:
        CallError: it holds something that is no call, or a call that names a structure that there is not.
    """
    for call in calls:
        if not isinstance(call, tuple(TOOLS.values())):
            raise CallError(f"{call!r} is no call.")
        for one in call.of:
            if one not in STRUCTURES and not REFERENCE.fullmatch(one):
                raise CallError(f"{call.tool} names {one!r}, which is no structure.")
