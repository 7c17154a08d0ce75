"""Evidence that an object is not on the next slice, and how a person is told where it ended.

A mask that is carried from slice to slice seldom vanishes by itself: where a nodule ends, a vessel or the chest wall
goes on. So each slice must show that it is still the object that was prompted. A structure that the localiser knows is
told by that; a box in three dimensions states its own ends.

An object that has ended (nothing is found, or what is found lies elsewhere or has other HU) is whole. Only where it may
go on, and was held to the length of a lump or would have taken in its surroundings, is an ``End`` told: its sizes are
then lower bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .planes import Patch, PlaneFrame
from .thresholds import THRESHOLDS

TOO_LONG = "it would have become longer than a lump of its width on the prompted slice is likely to be"


@dataclass(frozen=True)
class End:
    """Where an object was ended that may go on.

    Attributes:
        index: the last slice that the object is on.
        step: 1 where the slices beyond have larger indices, -1 where they have smaller ones.
        reason: what spoke against the next slice, as a clause: "it would have ...".
    """

    index: int
    step: int
    reason: str


@dataclass(frozen=True, eq=False)
class Course:
    """How an object came to a slice: what the evidence is about.

    Attributes:
        prompted: its mask on the slice that the way began at, bool ``(row, column)``.
        before: its mask on the slice before.
        distance_mm: from the slice that the way began at.
    """

    prompted: np.ndarray
    before: np.ndarray
    distance_mm: float


def gone(now: np.ndarray, hu: np.ndarray, statistics: tuple[float, float], course: Course) -> bool:
    """Whether a slice's mask is another thing than the object: it lies elsewhere, or its HU are others. So the object
    has ended before.

    Args:
        now: the mask, bool ``(row, column)``.
        hu: of the slice.
        statistics: mean and SD of the object's HU.
        course: how the object came here.
    """
    if np.count_nonzero(now & course.before) < THRESHOLDS.overlap * now.sum():
        return True
    mean, sd = statistics
    drift = abs(float(np.median(hu[now])) - mean)
    return drift > max(THRESHOLDS.drift_sd * sd, THRESHOLDS.drift_hu)


def grown(now: np.ndarray, course: Course) -> str:
    """What speaks against a mask that holds the object and more, as a clause; "" if nothing does."""
    growth = now.sum() / max(course.prompted.sum(), 1)
    return (
        f"it would have grown to {growth:.1f} times its area on the prompted slice"
        if growth > THRESHOLDS.growth
        else ""
    )


def too_far(shape: np.ndarray, course: Course, frame: PlaneFrame) -> bool:
    """Whether no mask on a slice could be the object any more: a lump of this width would not reach it.

    Args:
        shape: ``expected`` there.
        course: how the object came here.
        frame: of the planes.
    """
    most = (1 - THRESHOLDS.lump_weight) * THRESHOLDS.logit_limit + THRESHOLDS.lump_weight * float(shape.max())
    return most <= 0 or course.distance_mm > THRESHOLDS.reach * extent_mm(course.prompted, frame)


def expected(prompted: np.ndarray, distance_mm: float, frame: PlaneFrame) -> np.ndarray:
    """Logits of what the outline on the prompted slice lets expect of another one, ``(row, column)``.

    A lump is about as long as it is wide: the ellipsoid over the prompted outline. On the prompted slice itself the
    logit is 0 along the outline; with the distance the slices of the ellipsoid shrink, up to its ends.

    Args:
        prompted: mask on the prompted slice.
        distance_mm: from there.
        frame: of the planes.
    """
    depth = ndimage.distance_transform_edt(prompted, sampling=frame.pixel_size_mm)
    depth -= ndimage.distance_transform_edt(~prompted, sampling=frame.pixel_size_mm)
    radius = np.sqrt(prompted.sum() * frame.pixel_area_mm2 / np.pi)
    across = np.maximum(0, 1 - depth / max(float(depth.max()), 1e-3))
    inside = 1 - np.hypot(across, distance_mm / (THRESHOLDS.lump_length * max(radius, 1e-3)))
    return np.clip(THRESHOLDS.lump_steepness * inside, -THRESHOLDS.logit_limit, THRESHOLDS.logit_limit)


def extent_mm(mask: np.ndarray, frame: PlaneFrame) -> float:
    """The longer side of the box round a mask, in mm."""
    sides = [np.flatnonzero(mask.any(axis)) for axis in (1, 0)]
    return max((s[-1] - s[0] + 1) * mm if s.size else 0.0 for s, mm in zip(sides, frame.pixel_size_mm, strict=True))


def open_ends(ends: tuple[End, ...], slices: Mapping[int, Patch]) -> tuple[End, ...]:
    """The ends that still are the object's: it may since have gone on beyond, or have been cut off before."""
    if not slices:
        return ()
    outer = {1: max(slices), -1: min(slices)}
    return tuple(end for end in sorted(ends, key=lambda e: e.step) if outer[end.step] == end.index)
