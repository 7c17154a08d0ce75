"""A box round two parts of one structure (the ascending and the descending aorta), which SAM 2 sees as one thing.

SAM 2 is trained to find one thing in a box, and fills the gap between two parts with whatever lies there; it is not
sure of it, though. Then the box is searched point by point for two things that SAM 2 is surer of, that have the same
HU, and that fill the box together.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from .plane_masks import SlicePrompts, box_agreement
from .thresholds import THRESHOLDS

GRID = 5  # points along each side

Predict = Callable[[list[SlicePrompts]], tuple[np.ndarray, np.ndarray]]


def two_parts(
    hu: np.ndarray, box: tuple[int, int, int, int], single_iou: float, predict: Predict
) -> tuple[np.ndarray, float] | None:
    """The two parts that a box is drawn round; None where one thing explains it as well.

    Args:
        hu: the plane ``(row, column)``.
        box: as drawn, half-open ``(r0, c0, r1, c1)``.
        single_iou: predicted IoU of the best single mask.
        predict: prompts -> logits ``[B, 4, rows, columns]`` and predicted IoU ``[B, 4]``.

    Returns:
        Logits of both on the full plane, and the mean of their predicted IoU.
    """
    r0, c0, r1, c1 = box
    if single_iou >= THRESHOLDS.unsure_iou or min(r1 - r0, c1 - c0) < 2 * GRID:
        return None
    rows = np.linspace(r0, r1, 2 * GRID + 1)[1::2].astype(int)
    columns = np.linspace(c0, c1, 2 * GRID + 1)[1::2].astype(int)
    points = [SlicePrompts(((int(r), int(c), True),)) for r, c in itertools.product(rows, columns)]
    logits, iou = predict(points)
    logits, iou = logits.reshape(-1, *hu.shape), iou.ravel()
    least = THRESHOLDS.part_of_box * (r1 - r0) * (c1 - c0)
    good = []
    for n in np.flatnonzero(iou >= max(THRESHOLDS.sure_iou, single_iou + THRESHOLDS.surer)):
        mask = logits[n] > 0
        inside = np.count_nonzero(mask[r0:r1, c0:c1])
        if inside >= least and inside >= THRESHOLDS.part_in_box * np.count_nonzero(mask):
            good.append((int(n), mask, float(np.median(hu[mask]))))
    best, parts = 0.0, None
    for (a, mask_a, hu_a), (b, mask_b, hu_b) in itertools.combinations(good, 2):
        if abs(hu_a - hu_b) > THRESHOLDS.alike_hu or (mask_a & mask_b).any():
            continue
        filled = box_agreement(mask_a | mask_b, box)
        score = filled + float(iou[a] + iou[b]) / 2
        if filled >= THRESHOLDS.filled and score > best:
            best, parts = score, (a, b)
    if parts is None:
        return None
    a, b = parts
    return np.maximum(logits[a], logits[b]), float(iou[a] + iou[b]) / 2
