"""How far a correction speaks: what a click changed on its slice, followed to the neighbouring slices.

A person who clicks on what is missing does not ask for anything to go, and one who clicks on what is wrong does not ask
for more. So a correction is carried as two regions, what it added and what it took away. A neighbouring slice is
predicted again, but of what comes out different only that is kept which goes on from the change on the slice before;
the walk ends where nothing does. Everything else stays as earlier prompts left it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .planes import Patch, PlaneFrame

ABSENT_LOGIT = -4.0  # of a slice on which nothing was found
SPREAD_MM = 3.0  # how much farther than on the slice before a removal may reach within a slice


@dataclass(frozen=True)
class Change:
    """What a correction did to a slice, bool planes ``(row, column)``.

    Attributes:
        added: pixels that it added.
        removed: pixels that it took away.
    """

    added: np.ndarray
    removed: np.ndarray

    @classmethod
    def between(
        cls,
        before: Patch | None,
        after: Patch | None,
        clicks: tuple[tuple[int, int, bool], ...],
        shape: tuple[int, int],
        free: bool = False,
    ) -> Change:
        """The change of the slice that was corrected.

        Args:
            before: the slice without the new prompts.
            after: with them.
            clicks: the new ones, ``(row, column, positive)``.
            shape: of the plane.
            free: all that came out different counts (a box was drawn).
        """
        was, now = _mask(before, shape), _mask(after, shape)
        added, removed = now & ~was, was & ~now
        if not free:
            added, removed = _meant(added, clicks, True), _meant(removed, clicks, False)
        return cls(added, removed)

    def applied(self, old: Patch | None, new: Patch | None, shape: tuple[int, int]) -> Patch | None:
        """``old`` with this change, whose logits are those of ``new``."""
        was = _mask(old, shape)
        if np.array_equal((was | self.added) & ~self.removed, _mask(new, shape)):
            return new
        changed = self.added | self.removed
        return Patch.from_logits(np.where(changed, _logits(new, shape), _logits(old, shape)))

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
        change = Change(added, removed)
        return (old if change.empty else change.applied(old, new, frame.shape)), change


def _mask(patch: Patch | None, shape: tuple[int, int]) -> np.ndarray:
    return np.zeros(shape, bool) if patch is None else patch.full_mask(shape)


def _logits(patch: Patch | None, shape: tuple[int, int]) -> np.ndarray:
    return np.full(shape, ABSENT_LOGIT, np.float32) if patch is None else patch.full_logits(shape)


def _meant(region: np.ndarray, clicks: tuple[tuple[int, int, bool], ...], positive: bool) -> np.ndarray:
    """Of what was added (or removed) that which positive (or negative) clicks ask for: the components that hold them,
    or all of it, where one of them told nothing new.
    """
    seed = np.zeros_like(region)
    for r, c, on in clicks:
        if on is positive:
            seed[r, c] = True
    return region if (seed & ~region).any() else _touching(region, seed)


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
