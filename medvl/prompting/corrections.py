"""How far a correction speaks: what a click changed on its slice, followed to the neighbouring slices.

A person who clicks on what is missing does not ask for anything to go, and one who clicks on what is wrong does not ask
for more. So a correction is carried as two regions, what it added and what it took away. A neighbouring slice is
predicted again, but of what comes out different only that is kept which goes on from the change on the slice before;
what was taken away is also followed as a thing of its own (a vessel, the bowel), which the object's prediction would
only fill again. The walk ends where nothing goes on. Everything else stays as earlier prompts left it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..networks.propagator import object_statistics
from .plane_masks import within
from .planes import Patch, PlaneFrame, to_plane
from .slice_segmenter import ObjectState, SliceSegmenter
from .thresholds import THRESHOLDS

ABSENT_LOGIT = -4.0  # of a slice on which nothing was found


@dataclass(frozen=True, eq=False)
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
        logits = np.where(self.added, _logits(new, shape), _logits(old, shape))
        return Patch.from_logits(
            np.where(self.removed, np.minimum(_logits(new, shape), THRESHOLDS.removed_logit), logits)
        )

    @property
    def empty(self) -> bool:
        """True if there is nothing to carry on."""
        return not (self.added.any() or self.removed.any())

    def slight(self, frame: PlaneFrame) -> bool:
        """True if what goes on is too small to be a thing."""
        return np.count_nonzero(self.added | self.removed) * frame.pixel_area_mm2 < THRESHOLDS.min_area_mm2

    def carried(
        self,
        old: Patch | None,
        new: Patch | None,
        frame: PlaneFrame,
        gone: np.ndarray | None = None,
        ended: bool = True,
    ) -> tuple[Patch | None, Change]:
        """A neighbouring slice under this change.

        Args:
            old: as it was.
            new: as it is predicted from the changed slice; None where the object would end.
            frame: of the planes.
            gone: where what was removed goes on, followed as a thing of its own (``followed``).
            ended: nothing was left on the slice before. Where something was, and only the prediction found nothing
                more, the rest of this slice stays.

        Returns:
            The slice, and what changed there.
        """
        was, now = _mask(old, frame.shape), _mask(new, frame.shape)
        # A correction speaks of what is near it: from slice to slice it may spread only so far ...
        added = _touching(now & ~was & within(self.added, THRESHOLDS.spread_mm, frame), self.added)
        # ... but where the object ends, what hangs together goes.
        if new is None and ended:
            removed = _touching(was, self.removed)
        else:
            removed = ~now & within(self.removed, THRESHOLDS.spread_mm, frame)
            if gone is not None:  # it does not spread: what it is a part of may be right
                removed = removed | (gone & self.removed)
            removed = was & removed
        change = Change(added, removed)
        return (old if change.empty else change.applied(old, new, frame.shape)), change


def followed(
    slices: SliceSegmenter, state: ObjectState, removed: np.ndarray, source: int, index: int
) -> np.ndarray | None:
    """Where that goes on which a correction took away: it is a thing of its own, with its own HU, and carried as such.

    Args:
        slices: of the CT.
        state: the corrected object.
        removed: bool plane, what was taken from slice ``source``.
        source: slice that is known.
        index: its neighbour.

    Returns:
        Bool plane; None where the thing is too small to be followed, or larger than what is left of the object: then
        the object ends there, and what lies beyond may be the object itself.
    """
    frame, left = slices.frames[state.axis], state.slices.get(source)
    size = np.count_nonzero(removed)
    if (
        size * frame.pixel_area_mm2 < THRESHOLDS.followed_mm2
        or left is None
        or np.count_nonzero(left.logits > 0) < size
    ):
        return None
    hu = to_plane(slices.ct.hu, state.axis, source)
    thing = replace(state, statistics=object_statistics(hu, removed))
    patch = Patch.from_logits(np.where(removed, -ABSENT_LOGIT, ABSENT_LOGIT))
    return slices.propagated(thing, patch, source, index) > 0


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
