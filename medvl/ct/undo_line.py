"""One line of undo over all that is done to a list of masks: which change came after which."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One thing that was done to one mask.

    Attributes:
        mask_id: of which.
        kind: ``step`` (a step of its history), ``removed`` or ``label`` (name and colour).
        kept: what brings it back: of ``removed`` the mask with its history and place, of ``label`` the labels before.
    """

    mask_id: str
    kind: str = "step"
    kept: Any = None


class UndoLine:
    """Changes in the order they were made, each one or more events; those taken back wait to be done again."""

    def __init__(self) -> None:
        self.done: list[list[Event]] = []
        self.undone: list[list[Event]] = []
        self._depth, self._group = 0, None

    def clear(self) -> None:
        """Forget everything."""
        self.done, self.undone, self._group = [], [], None

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is noted inside is one change."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._group = None

    def note(self, event: Event) -> None:
        """Something new was done: what was taken back before cannot be done again."""
        self.undone = []
        if self._group is None or not any(group is self._group for group in self.done):
            group: list[Event] = []
            self.done.append(group)
            self._group = group if self._depth else None
            group.append(event)
        else:
            self._group.append(event)

    def step_back(self, mask_id: str) -> None:
        """A mask's own last step was taken back, out of the line's order."""
        self._take(self.done, mask_id)
        self.undone.append([Event(mask_id)])

    def step_again(self, mask_id: str) -> None:
        """A mask's own last step that was taken back was done again."""
        self._take(self.undone, mask_id)
        self.done.append([Event(mask_id)])

    def forget_first(self, mask_id: str) -> None:
        """The oldest step of a mask is kept no longer."""
        self._take(self.done, mask_id, oldest=True)

    @staticmethod
    def _take(line: list[list[Event]], mask_id: str, oldest: bool = False) -> None:
        for group in line if oldest else reversed(line):
            for event in group if oldest else reversed(group):
                if (event.mask_id, event.kind) == (mask_id, "step"):
                    group.remove(event)
                    line[:] = [one for one in line if one]
                    return
