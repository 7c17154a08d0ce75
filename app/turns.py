"""``Turns``: a few visitors compute at once, the others wait in the order they came and are told how many are ahead.

What a computation takes for a while (maps of a whole scan, a network's activations) is no session's and in no budget,
so it is bounded by how many compute. More at once would be no faster: all share the same cores.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from medvl.errors import Cancelled

AT_ONCE = 2
_POLL_S = 0.1  # a waiting job looks so often whether it was stopped


class Turn:
    """A place in the line; see ``Turns.turn``."""

    def __init__(self, turns: Turns, cancel: threading.Event | None) -> None:
        self._turns, self._cancel = turns, cancel

    @property
    def ahead(self) -> int:
        """How many have to end before this one may compute; 0: it may."""
        with self._turns.changed:
            return self._turns.ahead(self)

    def wait(self) -> Iterator[int]:
        """Until it may compute: how many are ahead, each time that changes.

        Raises:
            Cancelled: the job was stopped meanwhile.
        """
        told = 0
        while True:
            with self._turns.changed:
                ahead = self._turns.ahead(self)
                if ahead and ahead == told:
                    self._turns.changed.wait(_POLL_S)
            if self._cancel is not None and self._cancel.is_set():
                raise Cancelled("Stopped while waiting for others.")
            if not ahead:
                return
            if ahead != told:
                told = ahead
                yield ahead

    def come(self) -> None:
        """Wait without telling anybody.

        Raises:
            Cancelled: the job was stopped meanwhile.
        """
        for _ in self.wait():
            pass


class Turns:
    """Who may compute now.

    Args:
        at_once: how many.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self.at_once = at_once
        self.changed = threading.Condition()
        self._line: list[Turn] = []

    @contextmanager
    def turn(self, cancel: threading.Event | None = None) -> Iterator[Turn]:
        """A place at the end of the line, given up with the block; ``wait`` or ``come`` before computing.

        Args:
            cancel: set it to stop waiting.
        """
        turn = Turn(self, cancel)
        with self.changed:
            self._line.append(turn)
        try:
            yield turn
        finally:
            with self.changed:
                self._line.remove(turn)
                self.changed.notify_all()

    def ahead(self, turn: Turn) -> int:
        """Of a turn in the line; ``changed`` is held."""
        return max(0, self._line.index(turn) + 1 - self.at_once)


def words_of(ahead: int) -> str:
    """For the viewer's line."""
    return f"Waiting for {ahead} other{'s' * (ahead != 1)}"
