"""The second stage: a fine structure drawn anew in a crop round what the localiser found of it.

Where it lies, and whether it is there, stays the localiser's word. How far it reaches is the word of both stages: the
mean of their logits. A piece that the localiser has no part in is not taken, and where nothing is left the first
stage's mask stands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage
from scipy.special import logit

from ..ct.prompts import Box, bounding_box
from ..ct.volume import CTVolume
from ..networks.localiser import CoarseMap
from ..networks.refiner import Refiner, look_closer
from .delineation import edge_score, upsampled
from .thresholds import THRESHOLDS

LIMIT = 5.0  # of the logit of either stage, so that none of them alone decides against the other


def refined(
    probability: np.ndarray,
    structure: str,
    coarse: CoarseMap,
    ct: CTVolume,
    net: Refiner,
    device: torch.device,
    cancel: threading.Event | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[Box, np.ndarray] | None:
    """Draw a structure anew.

    Args:
        probability: of the structure on the localiser's grid, its false pieces removed.
        structure: id of one of the refiner's kinds, with its side.
        coarse: what the localiser gave.
        ct: the scan.
        net: the refiner.
        device: where to compute.
        cancel: set it to stop before the next patch.
        progress: called with the share done.

    Returns:
        A half-open box and bool voxels inside it; None where the first stage found nothing, or the second leaves
        nothing of it.

    Raises:
        Cancelled: ``cancel`` was set.
    """
    box = crop_round(probability > 0.5, ct, net.config.patch * net.config.spacing_mm)
    if box is None:
        return None
    closer = look_closer(net, ct, coarse, structure, box, device, cancel, progress)
    second = np.clip(logit(upsampled(closer, box.size, Box((0, 0, 0), box.size))), -LIMIT, LIMIT)
    array = second + _first_stage(probability, structure, ct, box) > 0
    first = upsampled(probability, ct.shape, box) > 0.5
    # Every piece that the localiser has a part in belongs to it: a cord may be broken where it is thin.
    labels, _ = ndimage.label(array)
    array = ndimage.binary_fill_holes(np.isin(labels, np.setdiff1d(labels[first], [0])))
    return (box, array) if array.any() else None


def _first_stage(probability: np.ndarray, structure: str, ct: CTVolume, box: Box) -> np.ndarray:
    """The first stage's own logit with its edge in the HU, in another box; limited, and the least where it has none."""
    own, score, _ = edge_score(probability, structure, ct)
    out = np.full(box.size, -LIMIT, np.float32)
    lo, hi = np.maximum(own.lo, box.lo), np.minimum(own.hi, box.hi)
    if (lo < hi).all():
        here, there = (tuple(slice(a - o, b - o) for a, b, o in zip(lo, hi, x.lo, strict=True)) for x in (box, own))
        out[here] = np.clip(score[there], -LIMIT, LIMIT)
    return out


def crop_round(found: np.ndarray, ct: CTVolume, least_mm: float) -> Box | None:
    """The box of a CT round what was found, with a margin, and no smaller than a patch where the scan allows.

    Args:
        found: bool on a grid over the extent of the CT.
        ct: the scan.
        least_mm: edge of a patch.
    """
    on = bounding_box(found)
    if on is None:
        return None
    lo, hi = [], []
    for a, b, m, n, mm in zip(on.lo, on.hi, found.shape, ct.shape, ct.spacing_mm, strict=True):
        low, high = a * n / m - THRESHOLDS.refine_margin_mm / mm, b * n / m + THRESHOLDS.refine_margin_mm / mm
        patch = int(least_mm / mm)
        if high - low <= least_mm / mm:  # no wider than a patch, or it would take two of them
            low = np.floor((low + high - patch) / 2)
            high = low + patch
        lo.append(max(0, int(np.floor(low))))
        hi.append(min(n, int(np.ceil(high))))
    return Box(tuple(lo), tuple(hi))
