"""How far a correction speaks: what a click changed on its slice, followed to the neighbouring slices.

A person who clicks on what is missing does not ask for anything to go, and one who clicks on what is wrong does not ask
for more. So a correction is carried as two regions, what it added and what it took away. A neighbouring slice is
predicted again, but of what comes out different only that is kept which goes on from the change on the slice before;
the walk ends where nothing does. Everything else stays as earlier prompts left it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from .planes import Patch, PlaneFrame

ABSENT_LOGIT = -4.0  # of a slice on which nothing was found
SPREAD_MM = 3.0  # how much farther than on the slice before a removal may reach within a slice


@dataclass(frozen=True)
class Change:
    """What a correction did to a slice, bool planes ``(row, column)``.

    Attributes:
        adds: whether it asks for more.
        removes: whether it asks for less.
        added: pixels that it added.
        removed: pixels that it took away.
    """

    adds: bool
    removes: bool
    added: np.ndarray
    removed: np.ndarray

    @classmethod
    def between(
        cls, before: Patch | None, after: Patch | None, adds: bool, removes: bool, shape: tuple[int, int]
    ) -> Change:
        """The change of the slice that was corrected."""
        was, now = _mask(before, shape), _mask(after, shape)
        return cls(adds, removes, (now & ~was) if adds else was & False, (was & ~now) if removes else was & False)

    @property
    def empty(self) -> bool:
        """True if there is nothing to carry on."""
        return not (self.added.any() or self.removed.any())

    def carried(self, old: Patch | None, new: Patch | None, frame: PlaneFrame) -> tuple[Patch | None, Change]:
        """A neighbouring slice under this change.

        Args:
            old: as it was.
            new: as it is predicted from the changed slice; None where the object would end.
            frame: of the planes.

        Returns:
            The slice, and what changed there.
        """
        was, now = _mask(old, frame.shape), _mask(new, frame.shape)
        added = _touching(now & ~was, self.added)
        # Where the object ends, what hangs together goes; elsewhere a removal may spread only so far.
        removed = _touching(was, self.removed) if new is None else was & ~now & _within(self.removed, SPREAD_MM, frame)
        change = replace(self, added=added, removed=removed)
        if change.empty:
            return old, change
        if not was.any() and added.sum() == now.sum():
            return new, change
        changed = added | removed
        logits = np.where(changed, _logits(new, frame.shape), _logits(old, frame.shape))
        return Patch.from_logits(logits), change


def _mask(patch: Patch | None, shape: tuple[int, int]) -> np.ndarray:
    return np.zeros(shape, bool) if patch is None else patch.full_mask(shape)


def _logits(patch: Patch | None, shape: tuple[int, int]) -> np.ndarray:
    return np.full(shape, ABSENT_LOGIT, np.float32) if patch is None else patch.full_logits(shape)


def _touching(region: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Components of a region that overlap ``seed``."""
    labels, count = ndimage.label(region)
    keep = np.unique(labels[seed & region]) if count else np.zeros(0, int)
    return np.isin(labels, keep[keep > 0])


def _within(region: np.ndarray, reach_mm: float, frame: PlaneFrame) -> np.ndarray:
    """Pixels no farther than ``reach_mm`` from a region."""
    if not region.any():
        return region
    return ndimage.distance_transform_edt(~region, sampling=frame.pixel_size_mm) <= reach_mm
