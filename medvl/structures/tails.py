"""Tails of compact organs at the end of a scan: what lies beyond a neck there is the organ's neighbour.

At the end of a scan the localiser sees half a patch and goes on with the organ that it knows: with the bladder into the
prostate, with the pancreas into bowel. Their HU may be alike, so that no edge is seen, but the section tells: it
narrows to a neck and widens again towards the border, which an organ that is really cut there does not do. Left in,
such a tail would say that the organ reaches the border of the scan.
"""

from __future__ import annotations

import numpy as np

from ..ct.prompts import Box
from .thresholds import THRESHOLDS

COMPACT = frozenset(
    {
        "liver", "spleen", "right_kidney", "left_kidney", "stomach", "gallbladder", "pancreas", "heart",
        "urinary_bladder",
    }
)  # fmt: skip


def without_tails(array: np.ndarray, box: Box, shape: tuple[int, int, int]) -> np.ndarray:
    """The mask of a compact organ without tails at the lowest and the highest slice of the scan.

    Args:
        array: bool voxels ``(i, j, k)`` inside ``box``.
        box: half-open, on the grid of the CT.
        shape: of the CT.

    Returns:
        The same array where there is no tail, else a new one.
    """
    area = array.sum(axis=(0, 1))
    on = np.flatnonzero(area)
    for first, step in ((0, 1), (shape[2] - 1, -1)):
        if on.size == 0 or box.lo[2] + on[0 if step == 1 else -1] != first:
            continue
        line = area[on[0] : on[-1] + 1][::step]  # from the border inwards
        neck = _neck(line)
        if (
            neck
            and line[neck] <= THRESHOLDS.neck_of_largest * line.max()
            and line[:neck].sum() <= THRESHOLDS.tail_share * line.sum()
        ):
            array = array.copy()
            away = slice(on[0], on[0] + neck) if step == 1 else slice(on[-1] + 1 - neck, on[-1] + 1)
            array[:, :, away] = False
    return array


def _neck(line: np.ndarray) -> int:
    """Index of the first neck in sections from the border inwards, before the largest; 0 if there is none."""
    for n in range(1, int(line.argmax())):
        if line[n] <= line[n + 1] and line[n] <= THRESHOLDS.neck_of_tail * line[:n].max():
            return n
    return 0
