"""Which vertebra is which: the sacrum, the ribs and the tips of the lungs tell the level, or nothing does.

A wrong level is worse than none, so what is only nearly clear, or contradicts something else in view, tells none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy import ndimage

from ..ct.volume import CTVolume
from .spine import Spine
from .thresholds import THRESHOLDS

LEVELS: tuple[str, ...] = (*(f"L{n}" for n in range(5, 0, -1)), *(f"T{n}" for n in range(12, 0, -1)))
"""From below upward."""

Anchor = Literal["sacrum", "lowest ribs", "first ribs"]
L5, T12, T1 = (LEVELS.index(level) for level in ("L5", "T12", "T1"))

STEP_MM = 1.5


def sacrum_top(spine: Spine, bone: np.ndarray, spacing_mm: tuple[float, ...]) -> int | None:
    """``s`` at which the wings of the sacrum begin, seen from above; None where no sacrum is in view."""
    s = np.arange(len(spine), dtype=float)
    v = np.arange(-0.9, 0.41, 0.1) * float(np.median(spine.radius))
    u = np.arange(THRESHOLDS.wing_mm[0], THRESHOLDS.wing_mm[1] + 0.1, 2.0)
    wings = [np.nan_to_num(spine.sample(bone, spacing_mm, s, side * u, v)).mean((1, 2)) for side in (1, -1)]
    both = np.minimum(*wings)
    high = np.flatnonzero(both >= THRESHOLDS.wing_share)
    for top in high[::-1]:
        below = both[max(0, top - THRESHOLDS.wing_on_mm) : top]
        if below.size >= THRESHOLDS.sacrum_seen_mm and below.mean() >= THRESHOLDS.wing_on_share:
            return int(top)
    return None


def rib_reach(spine: Spine, edges: np.ndarray, ct: CTVolume) -> np.ndarray:
    """How far bone reaches to the side at each vertebra: ``[vertebrae, 2]`` mm right and left, NaN where out of view.

    Bone that begins beside the vertebra, behind its body, is followed for ``within_mm`` at most.
    """
    s = np.arange(0, len(spine), STEP_MM)
    u = np.arange(-THRESHOLDS.within_mm - 9, THRESHOLDS.within_mm + 9.1, STEP_MM)
    v = np.arange(-66, 26, STEP_MM)
    hu = spine.sample(ct.hu, ct.spacing_mm, s, u, v)
    seen = np.isfinite(hu)
    hu = ndimage.gaussian_filter(np.clip(np.nan_to_num(hu, nan=-1000), -200, 800), 0.5)
    over = hu - ndimage.grey_opening(hu, size=(round(THRESHOLDS.thick_mm / STEP_MM),) * 3)
    height = np.diff(edges)
    begin = edges[:-1] + THRESHOLDS.rib_levels[0] * height
    behind = (v > THRESHOLDS.behind_mm[0]) & (v < THRESHOLDS.behind_mm[1])
    reach, in_view = np.zeros((height.size, 2)), np.ones((height.size, 2), bool)
    for side, sign in enumerate((1, -1)):
        away = sign * u
        beside = (away > THRESHOLDS.begins_mm) & (away <= THRESHOLDS.within_mm)
        for n in range(height.size):
            low, high = (edges[n] + share * height[n] for share in THRESHOLDS.seen_levels)
            low -= THRESHOLDS.fall_mm
            here = seen[(s >= low) & (s <= high)][:, beside][:, :, behind]
            if low < s[0] - STEP_MM or high > s[-1] + STEP_MM or here.size == 0 or here.mean() < 0.9:
                in_view[n, side] = False
        for least in THRESHOLDS.rib_hu:
            bone = (hu > least) & (over > THRESHOLDS.over_hu) & beside[None, :, None]
            for roots, farthest in _pieces(bone, s, away, v, last=least == THRESHOLDS.rib_hu[-1]):
                for level, depth in roots:
                    n = int(np.searchsorted(begin, level, side="right")) - 1
                    if not 0 <= n < height.size or level > edges[n] + THRESHOLDS.rib_levels[1] * height[n]:
                        continue
                    front = THRESHOLDS.behind_mm[1] if height[n] >= THRESHOLDS.high_up_mm else THRESHOLDS.forward_mm
                    if THRESHOLDS.behind_mm[0] < depth < front:
                        reach[n, side] = max(reach[n, side], farthest)
    reach[~in_view & (reach < THRESHOLDS.rib_mm)] = np.nan  # it may be the beginning of a rib
    return reach


def _pieces(
    bone: np.ndarray, s: np.ndarray, away: np.ndarray, v: np.ndarray, last: bool
) -> Iterator[tuple[list[tuple[float, float]], float]]:
    """Pieces of bone beside the spine: ``(s, v)`` of their roots, and how far they reach.

    Neighbouring ribs may touch. A piece with several roots is left to a higher threshold, unless this is the ``last``.
    """
    labels, _ = ndimage.label(bone, np.ones((3, 3, 3)))
    for number, where in enumerate(ndimage.find_objects(labels), start=1):
        at = np.argwhere(labels[where] == number) + [axis.start for axis in where]
        out = away[at[:, 1]]
        if len(at) < THRESHOLDS.rib_voxels or out.min() > THRESHOLDS.root_mm:
            continue
        root = at[out < max(out.min() + 6, THRESHOLDS.begins_mm + 8)]
        roots = _bundles(s[root[:, 0]], v[root[:, 2]])
        if len(roots) == 1 or last:
            yield roots, float(out.max())


def _missed_above(reach: np.ndarray, bears: np.ndarray, highest: int) -> bool:
    """Whether ribs were missed above a vertebra: nothing at all was found beside the next, and ribs at that above."""
    return (
        highest + 2 < len(bears)
        and bool(bears[highest + 2])
        and bool((reach[highest + 1] < THRESHOLDS.begins_mm).all())
    )


def _bundles(levels: np.ndarray, depths: np.ndarray) -> list[tuple[float, float]]:
    """Mean ``(s, v)`` of each bundle of voxels along the spine: neighbouring ribs may touch farther out."""
    order = np.argsort(levels)
    bundles = np.split(order, np.flatnonzero(np.diff(levels[order]) > 2 * STEP_MM) + 1)
    return [(float(levels[b].mean()), float(depths[b].mean())) for b in bundles]


def count(
    edges: np.ndarray, reach: np.ndarray, on_sacrum: bool, apex: float | None = None
) -> tuple[int, Anchor, str] | str:
    """Which level the lowest vertebra is.

    Args:
        edges: ``s`` of the borders of the vertebrae, from below.
        reach: ``rib_reach``.
        on_sacrum: the lowest vertebra lies on the sacrum.
        apex: ``s`` of the lungs' tips where they are in view.

    Returns:
        Index into ``LEVELS`` of the lowest vertebra (negative: it lies below L5), what it was counted from, and a
        doubt or ""; or why no level can be told.
    """
    bears = (reach >= THRESHOLDS.rib_mm).all(1)
    free = (reach <= THRESHOLDS.process_mm).all(1)
    runs, number = ndimage.label((reach >= THRESHOLDS.rib_mm).any(1))
    longest = 1 + int(np.bincount(runs)[1:].argmax()) if number else 0
    run = np.flatnonzero((runs == longest) & bears) if number else np.zeros(0, int)
    by_lowest = by_first = None
    # Ribs again below the end of the row: some were missed in between, so the end is not where it seems to be.
    ends = run.size >= THRESHOLDS.least_ribs and not bears[max(0, run[0] - 2) : run[0]].any()
    if ends and run[0] > 0 and free[run[0] - 1] and (reach[run[0] - 1] >= THRESHOLDS.begins_mm).all():
        by_lowest = T12 - int(run[0])
    if run.size >= THRESHOLDS.least_ribs and apex is not None and not _missed_above(reach, bears, int(run[-1])):
        highest = int(run[-1])
        if THRESHOLDS.apex[0] <= (apex - edges[highest]) / (edges[highest + 1] - edges[highest]) <= THRESHOLDS.apex[1]:
            by_first = T1 - highest
    if on_sacrum:
        other = by_lowest if by_lowest is not None else by_first
        if other is not None and other != L5:
            ribs = "lowest" if by_lowest is not None else "first"
            return L5, "sacrum", f"counted from the {ribs} ribs it would be another level"
        return L5, "sacrum", ""
    if by_lowest is not None and by_first is not None and by_lowest != by_first:
        return "the count from the lowest ribs and the one from the first ribs contradict each other"
    if by_lowest is None and by_first is None:
        return "neither the sacrum nor the lowest or the first ribs are clearly in view"
    lowest = by_lowest if by_lowest is not None else by_first
    for n in range(len(bears)):
        level = lowest + n
        if (T12 < level <= T1 and free[n]) or (level == T12 - 1 and bears[n]):
            return "the ribs in view do not fit a count of the vertebrae"
    return lowest, ("lowest ribs" if by_lowest is not None else "first ribs"), ""
