"""Pieces of an organ in the localiser's map whose HU are not that organ's: taken out, or given to a kidney.

The localiser sees 64 voxels of 4 mm at once; at the end of a scan half of that is missing, and bowel full of contrast
medium is seldom in what it was trained on. It then goes on with the organ that it knows from above. But liver, spleen
and kidneys are even inside: a coherent piece that is much brighter than the rest is something else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from ..ct.volume import CTVolume
from ..networks.localiser import CoarseMap, resample
from .thresholds import THRESHOLDS

# Organs that are even inside, and those whose own enhancement tells what is even: both kidneys take up contrast alike.
ALIKE = {
    "liver": ("liver",), "spleen": ("spleen",),
    "right_kidney": ("right_kidney", "left_kidney"), "left_kidney": ("right_kidney", "left_kidney"),
}  # fmt: skip
KIDNEYS = ("right_kidney", "left_kidney")


def settle(coarse: CoarseMap, ct: CTVolume) -> CoarseMap:
    """The map without the pieces that are unlike their organ.

    A kidney that was found nowhere gets a piece at the end of the scan, if the network thinks of no other organ there
    next: of such a kidney only the tip is in view.

    Args:
        coarse: of the localiser.
        ct: the same CT.

    Returns:
        A new map; the same one if there is no such piece.
    """
    cores = {organ: _core(coarse, organ) for organ in ALIKE if organ in coarse.structures}
    cores = {organ: core for organ, core in cores.items() if core.sum() >= THRESHOLDS.core_voxels}
    if not cores:
        return coarse
    hu = resample(torch.from_numpy(ct.hu.astype(np.float32)), coarse.body.shape).numpy()
    least = THRESHOLDS.unlike_least_ml / (float(np.prod(coarse.spacing_mm)) / 1000)
    probability: np.ndarray | None = None
    for organ, core in cores.items():
        on = coarse.of(organ) > 0.5
        alike = [cores[other] for other in ALIKE[organ] if other in cores]
        middle, spread = min(_typical(hu[c]) for c in alike if c.sum() >= THRESHOLDS.comparable * core.sum())
        odd = on & (_within(hu, on) - middle > max(THRESHOLDS.brighter_sd * spread, THRESHOLDS.brighter_hu))
        labels, count = ndimage.label(odd)
        for n in range(1, count + 1):
            piece = labels == n
            if not least <= piece.sum() <= THRESHOLDS.most_of_organ * on.sum():
                continue
            shell = ndimage.binary_dilation(piece) & ~piece
            if on[shell].mean() > THRESHOLDS.enclosed:
                continue
            if probability is None:
                probability = coarse.probability.copy()
            kidney = _unseen_kidney(coarse, piece)
            if kidney:
                piece = _rim(piece, on & (hu > (middle + np.median(hu[piece])) / 2), odd)
                _give(probability, piece, 1 + coarse.structures.index(kidney))
            else:
                _give(probability, _rim(piece, on, odd), 0)
    return coarse if probability is None else replace(coarse, probability=probability)


def _core(coarse: CoarseMap, organ: str) -> np.ndarray:
    """An organ without its rim, in which neighbours are mixed in."""
    return ndimage.binary_erosion(coarse.of(organ) > 0.5, border_value=1)


def _typical(values: np.ndarray) -> tuple[float, float]:
    """Median and robust standard deviation (1.4826 times the median absolute deviation)."""
    middle = float(np.median(values))
    return middle, 1.4826 * float(np.median(np.abs(values - middle)))


def _within(hu: np.ndarray, on: np.ndarray) -> np.ndarray:
    """HU smoothed over the voxels of ``on`` alone."""
    weight = ndimage.gaussian_filter(on.astype(np.float32), 1)
    return ndimage.gaussian_filter(np.where(on, hu, 0), 1) / np.maximum(weight, 1e-3)


def _rim(piece: np.ndarray, on: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """A piece and the voxels of ``on`` near it, as far as the inside of the ordinary rest is not nearer."""
    inside = ndimage.binary_erosion(on & ~odd, iterations=THRESHOLDS.unlike_reach, border_value=1)
    to_piece = ndimage.distance_transform_edt(~piece)
    to_rest = ndimage.distance_transform_edt(~inside) if inside.any() else np.inf
    return piece | (on & (to_piece <= THRESHOLDS.unlike_reach) & (to_piece < to_rest))


def _unseen_kidney(coarse: CoarseMap, piece: np.ndarray) -> str | None:
    """A kidney that the scan shows nowhere else and that the network thinks of next, at the end of the scan."""
    if not (piece[:, :, 0].any() or piece[:, :, -1].any()):
        return None
    mean = np.log(coarse.probability[1:, piece].astype(np.float32) + 1e-5).mean(1)
    for place in np.argsort(-mean)[:2]:  # the first is the organ that the piece was taken for
        name = coarse.structures[place]
        if name in KIDNEYS and not (coarse.of(name) > 0.5).any():
            return name
    return None


def _give(probability: np.ndarray, piece: np.ndarray, channel: int) -> None:
    """Make a piece belong to one channel, in place."""
    probability[:, piece] *= 1 - THRESHOLDS.tip_probability
    probability[channel, piece] += THRESHOLDS.tip_probability
