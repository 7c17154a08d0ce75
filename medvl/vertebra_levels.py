"""Which vertebra is which: the sacrum, the ribs and the tips of the lungs tell the level, or nothing does.

A wrong level is worse than none, so what is only nearly clear, or contradicts something else in view, tells none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy import ndimage

from .spine import Spine
from .volume import CTVolume

LEVELS: tuple[str, ...] = (*(f"L{n}" for n in range(5, 0, -1)), *(f"T{n}" for n in range(12, 0, -1)))
"""From below upward."""

Anchor = Literal["sacrum", "lowest ribs", "first ribs"]
L5, T12, T1 = (LEVELS.index(level) for level in ("L5", "T12", "T1"))

# The wings of the sacrum: beside its body, where a lumbar vertebra has muscle, there is bone on both sides.
WING_MM = (28.0, 44.0)
WING_SHARE = 0.45  # of that place filled by bone where the wings begin; transverse processes of L5 fill less
WING_ON_SHARE, WING_ON_MM = 0.25, 36  # on average from there on downward; a first rib does not go on
SACRUM_SEEN_MM = 15  # of it that must be in view
DISC_BY_WINGS_MM = (-4, 14)  # where the lowest disc lies above the top of the wings
# Ribs: bone that reaches this far beside the centreline. Transverse processes beside the last rib reach at most as far
# as the other value; of what lies between the two it is not told which it is.
RIB_MM, PROCESS_MM = 48.0, 42.0
BEGINS_MM, ROOT_MM, WITHIN_MM = 24.0, 38.0, 52.0  # looked at from, root at most at, looked at up to
BEHIND_MM = (-48.0, -12.0)  # how far in front of the centreline its root lies
HIGH_UP_MM, FORWARD_MM = 24.0, 20.0  # at vertebrae less high than that, those of the upper chest, up to that far
THICK_MM, OVER_HU = 13.5, 70.0  # thinner than a kidney with contrast medium, and that much brighter than round it
RIB_HU = (110.0, 180.0, 260.0)  # the higher ones part ribs that touch
LEAST_VOXELS = 25
RIB_LEVELS = (0.3, 1.3)  # share of a vertebra's height, from its lower disc, at which its ribs begin
SEEN_LEVELS = (0.3, 0.85)  # which of them must be in view to say that there is no rib ...
FALL_MM = 25.0  # ... and this far below them, since ribs fall outward
LEAST_RIBS = 2  # vertebrae in a row that bear ribs; fewer are no chest
APEX = (0.4, 1.5)  # share of the height of T1, from its lower disc, at which the lungs end
STEP_MM = 1.5


def sacrum_top(spine: Spine, bone: np.ndarray, spacing_mm: tuple[float, ...]) -> int | None:
    """``s`` at which the wings of the sacrum begin, seen from above; None where no sacrum is in view."""
    s = np.arange(len(spine), dtype=float)
    v = np.arange(-0.9, 0.41, 0.1) * float(np.median(spine.radius))
    u = np.arange(WING_MM[0], WING_MM[1] + 0.1, 2.0)
    wings = [np.nan_to_num(spine.sample(bone, spacing_mm, s, side * u, v)).mean((1, 2)) for side in (1, -1)]
    both = np.minimum(*wings)
    high = np.flatnonzero(both >= WING_SHARE)
    for top in high[::-1]:
        below = both[max(0, top - WING_ON_MM) : top]
        if below.size >= SACRUM_SEEN_MM and below.mean() >= WING_ON_SHARE:
            return int(top)
    return None


def rib_reach(spine: Spine, edges: np.ndarray, ct: CTVolume) -> np.ndarray:
    """How far bone reaches to the side at each vertebra: ``[vertebrae, 2]`` mm right and left, NaN where out of view.

    Bone that begins beside the vertebra, behind its body, is followed for ``WITHIN_MM`` at most.
    """
    s = np.arange(0, len(spine), STEP_MM)
    u = np.arange(-WITHIN_MM - 9, WITHIN_MM + 9.1, STEP_MM)
    v = np.arange(-66, 26, STEP_MM)
    hu = spine.sample(ct.hu, ct.spacing_mm, s, u, v)
    seen = np.isfinite(hu)
    hu = ndimage.gaussian_filter(np.clip(np.nan_to_num(hu, nan=-1000), -200, 800), 0.5)
    over = hu - ndimage.grey_opening(hu, size=(round(THICK_MM / STEP_MM),) * 3)
    height = np.diff(edges)
    begin = edges[:-1] + RIB_LEVELS[0] * height
    behind = (v > BEHIND_MM[0]) & (v < BEHIND_MM[1])
    reach, in_view = np.zeros((height.size, 2)), np.ones((height.size, 2), bool)
    for side, sign in enumerate((1, -1)):
        away = sign * u
        beside = (away > BEGINS_MM) & (away <= WITHIN_MM)
        for n in range(height.size):
            low, high = (edges[n] + share * height[n] for share in SEEN_LEVELS)
            low -= FALL_MM
            here = seen[(s >= low) & (s <= high)][:, beside][:, :, behind]
            if low < s[0] - STEP_MM or high > s[-1] + STEP_MM or here.size == 0 or here.mean() < 0.9:
                in_view[n, side] = False
        for least in RIB_HU:
            bone = (hu > least) & (over > OVER_HU) & beside[None, :, None]
            for roots, farthest in _pieces(bone, s, away, v, last=least == RIB_HU[-1]):
                for level, depth in roots:
                    n = int(np.searchsorted(begin, level, side="right")) - 1
                    if not 0 <= n < height.size or level > edges[n] + RIB_LEVELS[1] * height[n]:
                        continue
                    front = BEHIND_MM[1] if height[n] >= HIGH_UP_MM else FORWARD_MM
                    if BEHIND_MM[0] < depth < front:
                        reach[n, side] = max(reach[n, side], farthest)
    reach[~in_view & (reach < RIB_MM)] = np.nan  # it may be the beginning of a rib
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
        if len(at) < LEAST_VOXELS or out.min() > ROOT_MM:
            continue
        root = at[out < max(out.min() + 6, BEGINS_MM + 8)]
        roots = _bundles(s[root[:, 0]], v[root[:, 2]])
        if len(roots) == 1 or last:
            yield roots, float(out.max())


def _missed_above(reach: np.ndarray, bears: np.ndarray, highest: int) -> bool:
    """Whether ribs were missed above a vertebra: nothing at all was found beside the next, and ribs at that above."""
    return highest + 2 < len(bears) and bool(bears[highest + 2]) and bool((reach[highest + 1] < BEGINS_MM).all())


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
    bears = (reach >= RIB_MM).all(1)
    free = (reach <= PROCESS_MM).all(1)
    runs, number = ndimage.label((reach >= RIB_MM).any(1))
    longest = 1 + int(np.bincount(runs)[1:].argmax()) if number else 0
    run = np.flatnonzero((runs == longest) & bears) if number else np.zeros(0, int)
    by_lowest = by_first = None
    # Ribs again below the end of the row: some were missed in between, so the end is not where it seems to be.
    ends = run.size >= LEAST_RIBS and not bears[max(0, run[0] - 2) : run[0]].any()
    if ends and run[0] > 0 and free[run[0] - 1] and (reach[run[0] - 1] >= BEGINS_MM).all():
        by_lowest = T12 - int(run[0])
    if run.size >= LEAST_RIBS and apex is not None and not _missed_above(reach, bears, int(run[-1])):
        highest = int(run[-1])
        if APEX[0] <= (apex - edges[highest]) / (edges[highest + 1] - edges[highest]) <= APEX[1]:
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
