"""``MaskList``: the masks of one CT as a person sees them, with the history of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import PromptError
from .masks import PALETTE, Mask

NAME_LENGTH = 60
HISTORY = 50  # undo steps kept for one object


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


class MaskList(Mapping[str, Mask]):
    """Masks by id in the order they were made; every change is a step that can be undone.

    Attributes:
        clicked: the mask that prompts went to since the last message of the conversation, None if to none.
    """

    def __init__(self) -> None:
        self.clicked: str | None = None
        self._masks: dict[str, Mask] = {}
        self._past: dict[str, list[Step]] = {}
        self._future: dict[str, list[Step]] = {}
        self._numbers = itertools.count(1)

    def __getitem__(self, mask_id: str) -> Mask:
        return self._masks[mask_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

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
        """Steps of one object, oldest first; without an id all that is kept, also what can be done again."""
        if mask_id is not None:
            return list(self._past.get(mask_id, ()))
        return [s for line in (*self._past.values(), *self._future.values()) for s in line]

    def undone(self, mask_id: str) -> list[Step]:
        """Steps of one object that were taken back, the one that comes again next last."""
        return list(self._future.get(mask_id, ()))

    def clear(self) -> None:
        """Forget everything."""
        for store in (self._masks, self._past, self._future):
            store.clear()

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
            made.append(self.put(replace(piece, id="", name=name, color=self.next_color())))
        self.remember(rest, made=tuple(made))
        return [rest, *made]

    def remember(self, mask: Mask, state: object | None = None, made: tuple[Mask, ...] = ()) -> None:
        """Make a mask the newest step of its object, with the prompt state that made it."""
        past = self._past.setdefault(mask.id, [])
        past.append(Step(mask, state, made))
        del past[:-HISTORY]
        self._future[mask.id] = []
        self._masks[mask.id] = mask

    def next_color(self) -> str:
        """The first colour of the palette that no mask of the list has; all taken: the one used least."""
        used = [mask.color for mask in self._masks.values()]
        return min(PALETTE, key=used.count)

    def relabel(self, mask_id: str, name: str | None = None, color: str | None = None) -> Mask:
        """Rename or recolour an object; not a step of its history."""
        mask = self.known(mask_id)
        self._masks[mask_id] = replace(mask, name=name or mask.name, color=color or mask.color)
        return self._masks[mask_id]

    def with_labels(self, mask: Mask) -> Mask:
        """The mask under the name and colour that its object has now."""
        now = self._masks.get(mask.id)
        return replace(mask, name=now.name, color=now.color) if now else mask

    def remove(self, mask_id: str) -> None:
        """Delete an object and its history."""
        self.known(mask_id)
        for store in (self._masks, self._past, self._future):
            store.pop(mask_id, None)

    # ---- history

    def can_undo(self, mask_id: str) -> bool:
        """True if there is a step to take back."""
        return bool(self._past.get(mask_id))

    def can_redo(self, mask_id: str) -> bool:
        """True if there is a step to do again."""
        return bool(self._future.get(mask_id))

    def undo(self, mask_id: str) -> Mask | None:
        """Take back the last prompt or operation.

        Returns:
            The mask as it was, or None if the object is gone because its first prompt was taken back.
        """
        past = self._past.get(mask_id) or []
        if not past:
            return self._masks.get(mask_id)
        step = past.pop()
        # a piece that was changed since is a person's own, and stays
        made = tuple(self._masks[m.id] for m in step.made if self._as_made(m))
        for piece in made:
            self.remove(piece.id)
        self._future.setdefault(mask_id, []).append(replace(step, mask=self.with_labels(step.mask), made=made))
        if not past:
            self._masks.pop(mask_id, None)
            return None
        self._masks[mask_id] = self.with_labels(past[-1].mask)
        return self._masks[mask_id]

    def redo(self, mask_id: str) -> Mask | None:
        """Do again what ``undo`` took back."""
        future = self._future.get(mask_id)
        if not future:
            return self._masks.get(mask_id)
        step = future.pop()
        for piece in step.made:
            self.restore(piece)
        self._past.setdefault(mask_id, []).append(step)
        self._masks[mask_id] = self.with_labels(step.mask)
        return self._masks[mask_id]

    def _as_made(self, mask: Mask) -> bool:
        now = self._masks.get(mask.id)
        return now is not None and now.block is mask.block and len(self._past[mask.id]) == 1
