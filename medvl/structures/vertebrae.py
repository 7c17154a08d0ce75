"""Single vertebrae: the vertebral column divided at its discs, and named where the scan shows what to count from.

Nothing here is learned. In front, a vertebra lies between two discs; the arches behind overlap from one to the next, so
their bone goes to the vertebra that it hangs together with.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from ..ct.prompts import Box
from ..ct.volume import CTVolume
from .spine import Discs, Spine, find_discs, spine_of
from .thresholds import THRESHOLDS
from .vertebra_levels import LEVELS, T12, Anchor, count, rib_reach, sacrum_top

ARCH_CELL_MM = 1.4  # about the edge of the cells that ways through the arches are looked for in
NEIGHBOURS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1))
NO_DISCS = "the discs between the vertebrae could not be made out"
OTHER, DISC = 0, -1  # column that belongs to no vertebra in view, and discs


@dataclass(frozen=True, eq=False)
class Vertebrae:
    """What could be told of the vertebrae of a scan.

    Attributes:
        labels: uint8 within ``box``: 1 + index into ``levels``, 0 elsewhere.
        box: where they lie in the CT.
        levels: names such as ``"L1"``, from below upward, without a gap.
        anchor: what they were counted from; None where no level can be told.
        doubt: why the count may be wrong by one; "" where nothing speaks against it.
        refusal: why no level can be told; "" where ``levels`` are.
    """

    labels: np.ndarray
    box: Box
    levels: tuple[str, ...] = ()
    anchor: Anchor | None = None
    doubt: str = ""
    refusal: str = ""

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.labels.nbytes

    def of(self, level: str) -> np.ndarray | None:
        """Bool voxels of a vertebra within ``box``; None where it is not in view."""
        return self.labels == 1 + self.levels.index(level) if level in self.levels else None


def divide(column: np.ndarray, box: Box, bone: np.ndarray, ct: CTVolume, apex_mm: float | None = None) -> Vertebrae:
    """Divide a vertebral column into its vertebrae, and name them.

    Args:
        column: bool voxels of the column, the sacrum with it, within ``box``.
        box: where they lie in the CT.
        bone: bool ``ct.shape``: all bone, the column with it.
        ct: the scan.
        apex_mm: height of the lungs' tips (voxel index times spacing) where they are in view.
    """
    none = np.zeros(column.shape, np.uint8)
    spine = spine_of(column, box, ct.spacing_mm)
    if spine is None:
        return Vertebrae(none, box, refusal="too little of the spine is in view")
    top = sacrum_top(spine, bone, ct.spacing_mm)
    first = None if top is None else (top + THRESHOLDS.disc_by_wings_mm[0], top + THRESHOLDS.disc_by_wings_mm[1])
    discs = find_discs(spine, ct, first)
    if discs.at.size < 2 or not _plausible(spine, discs):
        return Vertebrae(none, box, refusal=NO_DISCS)
    edges = borders(discs, open_below=top is None)
    apex = None if apex_mm is None else float(np.abs(spine.points[:, 2] - apex_mm).argmin())
    counted = count(edges, rib_reach(spine, edges, ct), top is not None, apex)
    if isinstance(counted, str):
        return Vertebrae(none, box, refusal=counted)
    lowest, anchor, doubt = counted
    if np.diff(edges)[: max(0, T12 + 1 - lowest)].min(initial=THRESHOLDS.least_lumbar_mm) < THRESHOLDS.least_lumbar_mm:
        return Vertebrae(none, box, refusal=NO_DISCS)
    numbers = _divided(column, box, spine, discs, edges, ct)
    levels, labels = [], np.zeros(edges.size, np.uint8)
    for n, (low, high) in enumerate(pairwise(edges)):
        seen = min(high, len(spine)) - max(low, 0) >= THRESHOLDS.open_end * (high - low)
        if seen and 0 <= lowest + n < len(LEVELS):
            levels.append(LEVELS[lowest + n])
            labels[n + 1] = len(levels)
    return Vertebrae(labels[numbers], box, tuple(levels), anchor, doubt)


def _plausible(spine: Spine, discs: Discs) -> bool:
    """Whether every vertebra between two discs is about as high as it is wide."""
    height = np.diff(discs.at)
    expected = THRESHOLDS.height_in_radii * spine.radius[discs.at[:-1] + height // 2]
    return bool(np.all((height > THRESHOLDS.plausible[0] * expected) & (height < THRESHOLDS.plausible[1] * expected)))


def borders(discs: Discs, open_below: bool) -> np.ndarray:
    """``s`` of the borders of all vertebrae from below: the discs, and where the outermost ones would end.

    Args:
        discs: at least two.
        open_below: the lowest disc has a vertebra below it, not the sacrum.
    """
    height = np.diff(discs.at)
    below = [discs.at[0] - height[0]] if open_below else []
    return np.array([*below, *discs.at, discs.at[-1] + height[-1]], float)


def _divided(column: np.ndarray, box: Box, spine: Spine, discs: Discs, edges: np.ndarray, ct: CTVolume) -> np.ndarray:
    """For each voxel of the column's box 1 + the number of its vertebra, ``OTHER`` where it belongs to none."""
    at = np.argwhere(column)
    s, u, v = spine.coordinates((at + box.lo) * np.asarray(ct.spacing_mm)).T
    wide = float(np.median(spine.radius))
    forward, aside = np.clip(v, -1.2 * wide, 1.5 * wide), np.clip(u, -1.5 * wide, 1.5 * wide)
    slopes = np.tan(np.radians([discs.pitch, discs.roll]))
    number = np.zeros(len(at), int)
    for edge, slope, lean in zip(edges, *(np.interp(edges, discs.at, tilt) for tilt in slopes), strict=True):
        number += s > edge + slope * forward + lean * aside
    number[number == edges.size] = OTHER
    behind = v < -THRESHOLDS.arch_behind * wide
    for middle, gap, slope, lean in zip(discs.at, discs.gap, *slopes, strict=True):
        within = np.abs(s - (middle + slope * forward + lean * aside)) < gap / 2 - THRESHOLDS.endplate_mm
        number[within & ~behind] = DISC
    number = _arches(at, number, behind, ct.hu[box.slices][tuple(at.T)], s, ct.spacing_mm)
    out = np.zeros(column.shape, int)
    out[tuple(at.T)] = np.maximum(number, OTHER)
    return out


def _arches(
    at: np.ndarray, number: np.ndarray, behind: np.ndarray, hu: np.ndarray, s: np.ndarray, spacing_mm: tuple[float, ...]
) -> np.ndarray:
    """The numbers with those of the arches taken from where the way through dense bone leads to in front.

    Args:
        at: ``[m, 3]`` voxels.
        number: of each; what lies behind and is reached from nowhere keeps it.
        behind: bool: of the arches.
        hu: of each.
        s: of each, mm along the spine.
        spacing_mm: of the voxels.
    """
    step = np.maximum(1, np.round(ARCH_CELL_MM / np.asarray(spacing_mm))).astype(int)
    used = np.flatnonzero(number != DISC)
    cells, first, cell_of = np.unique(at[used] // step, axis=0, return_index=True, return_inverse=True)
    cell_of = cell_of.ravel()
    mean_hu, height = (np.bincount(cell_of, values[used]) / np.bincount(cell_of) for values in (hu, s))
    known = ~behind[used][first]
    if known.all() or not known.any():
        return number
    index = np.full(cells.max(0) + 2, -1)  # one more on each side, so that a neighbour beyond the end is none
    index[tuple(cells.T)] = np.arange(len(cells))
    length = np.exp(-np.clip((mean_hu - THRESHOLDS.arch_hu) / THRESHOLDS.arch_per_hu, -4, 2.5))
    rows, columns, ways = [], [], []
    for offset in NEIGHBOURS:
        other = index[tuple((cells + offset).T)]
        one = np.flatnonzero((other >= 0) & ~(known & known[other]))
        other = other[one]
        way = np.linalg.norm(offset * step * spacing_mm) * (length[one] + length[other]) / 2
        rise = height[other] - height[one]
        rows += [one, other]
        columns += [other, one]
        ways += [way * np.where(rise > 0, THRESHOLDS.upward, 1.0), way * np.where(rise < 0, THRESHOLDS.upward, 1.0)]
    graph = csr_matrix(
        (np.concatenate(ways), (np.concatenate(rows), np.concatenate(columns))), shape=(len(cells), len(cells))
    )
    way, _, source = dijkstra(graph, indices=np.flatnonzero(known), min_only=True, return_predecessors=True)
    reached = np.isfinite(way)[cell_of] & behind[used]
    result = number.copy()
    result[used[reached]] = number[used][first][source[cell_of[reached]]]
    return result
