"""``Planner``: a message to calls; and a row of planners, each of which may leave a message to the next."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from ..errors import CallError, Cancelled, WeightsError
from ..language.calls import TOOLS, Call
from ..language.calls.base import REFERENCE
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
    planners: Sequence[Planner], message: str, state: State, cancel: threading.Event | None = None
) -> tuple[tuple[Call, ...], str, tuple[str, ...]]:
    """The plan of the first planner that has one that can be run.

    Args:
        planners: in the order asked.
        message: as typed.
        state: of the conversation before it.
        cancel: set it to stop within one token.

    Returns:
        The calls, the name of the planner that made them, and the names of those that had none; without any plan no
        calls, and "" for the name.

    Raises:
        Cancelled: ``cancel`` was set.
    """
    passed: list[str] = []
    for planner in planners:
        try:
            calls = planner.plan(message, state, cancel)
            if cancel is not None and cancel.is_set():
                raise Cancelled
            if calls:
                checked(calls)
                return tuple(calls), planner.name, tuple(passed)
        except (CallError, WeightsError) as error:
            _LOG.debug("%s made no plan: %s", planner.name, error)
        passed.append(planner.name)
    return (), "", tuple(passed)


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
