"""``MaskList``: the masks of one CT as a person sees them, with the history of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from ..errors import PromptError
from .masks import PALETTE, Mask
from .undo_line import Event, UndoLine

NAME_LENGTH = 60
HISTORY = 50  # undo steps kept for one object
HISTORY_BYTES = 400_000_000  # of the voxels of all steps: beyond it the oldest are forgotten


@dataclass(frozen=True)
class Step:
    """One point of an object's history.

    Attributes:
        mask: as it was then.
        state: the prompt state that made it, None after an operation.
        made: masks that the step put into the list besides; they go and come with it.
    """

    mask: Mask
    state: object | None = None
    made: tuple[Mask, ...] = ()


@dataclass(frozen=True)
class _Removed:
    """A mask that was deleted, with its history and its place in the list."""

    mask: Mask
    past: tuple[Step, ...]
    future: tuple[Step, ...]
    place: int


class MaskList(Mapping[str, Mask]):
    """Masks by id in the order they were made; every change is a step that can be undone, by its mask or in the order
    of all changes (``undo_last``).

    Attributes:
        clicked: the mask that prompts went to since the last message of the conversation, None if to none.
    """

    def __init__(self) -> None:
        self.clicked: str | None = None
        self._masks: dict[str, Mask] = {}
        self._past: dict[str, list[Step]] = {}
        self._future: dict[str, list[Step]] = {}
        self._cut: set[str] = set()  # objects whose first steps were forgotten: they do not vanish by undo
        self._line = UndoLine()
        self._numbers = itertools.count(1)

    def __getitem__(self, mask_id: str) -> Mask:
        return self._masks[mask_id]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._masks))  # of now: the server counts memory while a job adds masks

    def values(self) -> list[Mask]:
        """The masks of now, in order."""
        return list(self._masks.values())

    def __len__(self) -> int:
        return len(self._masks)

    def known(self, mask_id: str) -> Mask:
        """The mask of an id.

        Raises:
            PromptError: there is none of this id any more.
        """
        if mask_id not in self._masks:
            raise PromptError("This object does not exist any more. Select another one or start a new one.")
        return self._masks[mask_id]

    def steps(self, mask_id: str | None = None) -> list[Step]:
        """Steps of one object, oldest first; without an id all that is kept, also what was taken back or deleted."""
        if mask_id is not None:
            return list(self._past.get(mask_id, ()))
        events = [event for group in (*self._line.done, *self._line.undone) for event in group]
        gone = [line for e in events if e.kind == "removed" for line in (e.kept.past, e.kept.future)]
        return [s for line in (*self._past.values(), *self._future.values(), *gone) for s in line]

    def undone(self, mask_id: str) -> list[Step]:
        """Steps of one object that were taken back, the one that comes again next last."""
        return list(self._future.get(mask_id, ()))

    def clear(self) -> None:
        """Forget everything."""
        for store in (self._masks, self._past, self._future, self._cut, self._line):
            store.clear()

    def together(self) -> AbstractContextManager[None]:
        """What is done to the list inside is one change for ``undo_last``."""
        return self._line.together()

    # ---- changes

    def restore(self, mask: Mask, past: Sequence[Step] = (), future: Sequence[Step] = ()) -> None:
        """Put the mask of a saved case into the list under its own id, with its history.

        Args:
            mask: as it is now; its id is ``"m"`` and a number that no mask of the list has.
            past: steps up to now, oldest first; none: the mask itself is the first.
            future: steps that were taken back, the one that comes again next last.

        Raises:
            PromptError: there is a mask of this id.
        """
        self._restore(mask, past, future)
        for _ in self._past[mask.id]:
            self._line.note(Event(mask.id))

    def _restore(self, mask: Mask, past: Sequence[Step] = (), future: Sequence[Step] = ()) -> None:
        if mask.id in self._past:
            raise PromptError("There is another mask of this name. Open the scan anew, then the saved case.")
        self._past[mask.id] = list(past) or [Step(mask)]
        self._future[mask.id] = list(future)
        self._masks[mask.id] = mask
        self._numbers = itertools.count(max(int(mask.id[1:]) + 1, next(self._numbers)))

    def begin(self, mask: Mask, name: str | None = None, color: str | None = None) -> Mask:
        """The mask with an id, a name and a colour of its own; not in the list before ``remember``."""
        number = next(self._numbers)
        return replace(mask, id=f"m{number}", name=name or f"Object {number}", color=color or self.next_color())

    def put(self, mask: Mask) -> Mask:
        """Add or replace a mask made by an operation; it can be undone like a prompt.

        Raises:
            PromptError: the object was removed.
        """
        if mask.id not in self._masks and mask.id in self._past:
            raise PromptError("This object was removed.")
        if mask.id not in self._masks:
            mask = replace(mask, id=f"m{next(self._numbers)}")
        self.remember(mask)
        return mask

    def split(self, rest: Mask, pieces: Sequence[Mask]) -> list[Mask]:
        """Replace a mask by what is left of it, and add what was cut from it as masks of their own, in one step.

        Args:
            rest: of a mask of the list, under its id.
            pieces: get ids, names ("Liver 2") and colours.

        Returns:
            ``rest`` and the new ones.
        """
        self.known(rest.id)
        made = []
        for number, piece in enumerate(pieces, start=2):
            name = f"{rest.name[: NAME_LENGTH - 4]} {number}"
            piece = replace(piece, id=f"m{next(self._numbers)}", name=name, color=self.next_color())
            self._remember(piece, Step(piece))
            made.append(piece)
        self.remember(rest, made=tuple(made))
        return [rest, *made]

    def remember(self, mask: Mask, state: object | None = None, made: tuple[Mask, ...] = ()) -> None:
        """Make a mask the newest step of its object, with the prompt state that made it."""
        self._remember(mask, Step(mask, state, made))
        self._line.note(Event(mask.id))
        if len(self._past[mask.id]) > HISTORY:
            self._line.forget_first(mask.id)
            self._forget_first(mask.id)
        self._bound()

    def _remember(self, mask: Mask, step: Step) -> None:
        self._past.setdefault(mask.id, []).append(step)
        self._future[mask.id] = []
        self._masks[mask.id] = mask

    def _bound(self) -> None:
        """Forget the oldest changes while the steps hold more than ``HISTORY_BYTES``; masks stay as they are."""
        while len(self._line.done) > 1 and self._nbytes() > HISTORY_BYTES:
            for event in self._line.done.pop(0):
                if event.kind == "step":
                    self._forget_first(event.mask_id)

    def _forget_first(self, mask_id: str) -> None:
        past = self._past.get(mask_id, [])
        del past[: len(past) > 1]
        self._cut.add(mask_id)

    def _nbytes(self) -> int:
        return sum({id(step.mask.block): step.mask.block.nbytes for step in self.steps()}.values())

    def next_color(self) -> str:
        """The first colour of the palette that no mask of the list has; all taken: the one used least."""
        used = [mask.color for mask in self._masks.values()]
        return min(PALETTE, key=used.count)

    def relabel(self, mask_id: str, name: str | None = None, color: str | None = None) -> Mask:
        """Rename or recolour an object; not a step of its history."""
        mask = self.known(mask_id)
        self._line.note(Event(mask_id, "label", (mask.name, mask.color)))
        self._masks[mask_id] = replace(mask, name=name or mask.name, color=color or mask.color)
        return self._masks[mask_id]

    def with_labels(self, mask: Mask) -> Mask:
        """The mask under the name and colour that its object has now."""
        now = self._masks.get(mask.id)
        return replace(mask, name=now.name, color=now.color) if now else mask

    def remove(self, mask_id: str) -> None:
        """Delete an object; ``undo_last`` brings it back with its history."""
        self._line.note(Event(mask_id, "removed", self._drop(mask_id)))
        self._bound()

    def _drop(self, mask_id: str) -> _Removed:
        mask, place = self.known(mask_id), list(self._masks).index(mask_id)
        kept = _Removed(mask, tuple(self._past.get(mask_id, ())), tuple(self._future.get(mask_id, ())), place)
        for store in (self._masks, self._past, self._future):
            store.pop(mask_id, None)
        return kept

    # ---- history

    def can_undo(self, mask_id: str) -> bool:
        """True if there is a step to take back."""
        return len(self._past.get(mask_id, ())) > (mask_id in self._cut)

    def can_redo(self, mask_id: str) -> bool:
        """True if there is a step to do again."""
        return bool(self._future.get(mask_id))

    def undo(self, mask_id: str) -> Mask | None:
        """Take back the last prompt or operation.

        Returns:
            The mask as it was, or None if the object is gone because its first prompt was taken back.
        """
        if self.can_undo(mask_id):
            self._line.step_back(mask_id)
            self._step_back(mask_id)
        return self._masks.get(mask_id)

    def _step_back(self, mask_id: str) -> None:
        past = self._past[mask_id]
        step = past.pop()
        # a piece that was changed since is a person's own, and stays
        made = tuple(self._masks[m.id] for m in step.made if self._as_made(m))
        for piece in made:
            self._drop(piece.id)
        self._future.setdefault(mask_id, []).append(replace(step, mask=self.with_labels(step.mask), made=made))
        if not past:
            self._masks.pop(mask_id, None)
        else:
            self._masks[mask_id] = self.with_labels(past[-1].mask)

    def redo(self, mask_id: str) -> Mask | None:
        """Do again what ``undo`` took back."""
        if self.can_redo(mask_id):
            self._line.step_again(mask_id)
            self._step_again(mask_id)
        return self._masks.get(mask_id)

    def _step_again(self, mask_id: str) -> None:
        step = self._future[mask_id].pop()
        for piece in step.made:
            self._restore(piece)
        self._past.setdefault(mask_id, []).append(step)
        self._masks[mask_id] = self.with_labels(step.mask)

    # ---- one line over all objects

    @property
    def can_undo_last(self) -> bool:
        """True if there is a change to take back."""
        return bool(self._line.done)

    @property
    def can_redo_last(self) -> bool:
        """True if there is a change to do again."""
        return bool(self._line.undone)

    @property
    def order(self) -> tuple[tuple[str, ...], ...]:
        """Of each change that can be taken back, oldest first, the objects that got a step; for a file."""
        groups = (tuple(e.mask_id for e in group if e.kind == "step") for group in self._line.done)
        return tuple(group for group in groups if group)

    def restore_order(self, order: Sequence[Sequence[str]]) -> None:
        """The order of a saved list, whose masks are restored already; what does not fit them changes nothing."""
        steps = [mask_id for group in order for mask_id in group]
        if all(steps.count(mask_id) <= len(self._past.get(mask_id, ())) for mask_id in steps):
            self._cut.update(mask_id for mask_id in self if steps.count(mask_id) < len(self._past[mask_id]))
            self._line.done = [[Event(mask_id) for mask_id in group] for group in order if group]

    def undo_last(self) -> tuple[str, ...]:
        """Take back the last change, whatever it was: a step of an object, a new one, a deleted one, a name.

        Returns:
            Ids of the masks that it was about, some of which may be gone now; none where there was no change.
        """
        if not self._line.done:
            return ()
        group = self._line.done.pop()
        self._line.undone.append([self._reverted(event, True) for event in reversed(group)])
        return tuple(dict.fromkeys(event.mask_id for event in group))

    def redo_last(self) -> tuple[str, ...]:
        """Do again what ``undo_last`` took back last; returns the ids as that does."""
        if not self._line.undone:
            return ()
        group = self._line.undone.pop()
        self._line.done.append([self._reverted(event, False) for event in reversed(group)])
        return tuple(dict.fromkeys(event.mask_id for event in group))

    def _reverted(self, event: Event, back: bool) -> Event:
        """Turn one event round; the event that turns it again."""
        mask_id, kept = event.mask_id, event.kept
        if event.kind == "step" and back and self.can_undo(mask_id):
            self._step_back(mask_id)
        elif event.kind == "step" and not back and self.can_redo(mask_id):
            self._step_again(mask_id)
        elif event.kind == "label" and mask_id in self._masks:
            mask = self._masks[mask_id]
            self._masks[mask_id] = replace(mask, name=kept[0], color=kept[1])
            return replace(event, kept=(mask.name, mask.color))
        elif event.kind == "removed" and back:
            self._restore(kept.mask, kept.past, kept.future)
            order = [other for other in self._masks if other != mask_id]
            order.insert(kept.place, mask_id)
            self._masks = {other: self._masks[other] for other in order}
        elif event.kind == "removed" and mask_id in self._masks:
            return replace(event, kept=self._drop(mask_id))
        return event

    def _as_made(self, mask: Mask) -> bool:
        now = self._masks.get(mask.id)
        return now is not None and now.block is mask.block and len(self._past[mask.id]) == 1
