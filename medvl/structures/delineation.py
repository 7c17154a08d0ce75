"""From a coarse probability of a structure to its mask on the CT's own grid.

Where the edge runs is decided by the localiser's logit and by the voxels' own HU; which of the pieces belong to the
structure is decided by evidence: how sure the localiser is of a piece and, for bones, whether it looks like bone.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from ..ct.prompts import Box, bounding_box
from ..ct.volume import CTVolume
from .thresholds import THRESHOLDS

# Of these every piece counts; of all others only the largest one.
SCATTERED = frozenset({"other_bone", "vertebral_column", "duodenum", "pancreas", "stomach"})
HU_BIN, HU_LOW, HU_BINS = 10, -1100, 350


def delineate(
    probability: np.ndarray, structure: str, ct: CTVolume, by_hu: bool = True, edge_logit: float | None = None
) -> tuple[Box, np.ndarray]:
    """Bring a coarse probability to the CT's own grid, move its edge to where the HU change, and clean it.

    The HU inside (where the localiser is sure) and just outside give two histograms; the logarithm of their ratio at a
    voxel, limited, is added to the localiser's logit. Where both sides look alike nothing moves.

    Args:
        probability: float32 on the coarse grid, some of it above one half.
        structure: id, for its weight and for what may be a piece of it.
        ct: the CT.
        by_hu: False leaves the edge to the localiser.
        edge_logit: from which on a voxel is inside; the structure's own if not given.

    Returns:
        A half-open box and bool voxels inside it; there may be none.
    """
    box, score, fine = edge_score(probability, structure, ct, by_hu, edge_logit)
    array = score > 0
    if structure == "other_bone":
        return box, _filled_marrow(_bone_pieces(array, fine, ct.hu[box.slices], ct.voxel_volume_ml), ct.spacing_mm)
    return box, clean(array, structure, ct)


def edge_score(
    probability: np.ndarray, structure: str, ct: CTVolume, by_hu: bool = True, edge_logit: float | None = None
) -> tuple[Box, np.ndarray, np.ndarray]:
    """How clearly each voxel is inside, as a logit: by the coarse probability, the structure's edge, and its HU.

    Args and box as those of ``delineate``.

    Returns:
        A half-open box, the logit in it and the probability in it, both float32.
    """
    lo, hi = [], []
    on = bounding_box(probability > 0.05)
    for low, high, n, m in zip(on.lo, on.hi, ct.shape, probability.shape, strict=True):
        lo.append(max(0, int((low - 2) * n / m)))
        hi.append(min(n, int(np.ceil((high + 2) * n / m))))
    box = Box(tuple(lo), tuple(hi))
    fine = upsampled(probability, ct.shape, box)
    threshold = THRESHOLDS.edge_logits.get(structure, THRESHOLDS.edge_logit) if edge_logit is None else edge_logit
    score = np.log((fine + 1e-3) / (1 - fine + 1e-3)) - threshold
    if by_hu:
        score = score + THRESHOLDS.hu_weights.get(structure, THRESHOLDS.hu_weight) * _hu_evidence(fine, box, ct)
    return box, score, fine


def _hu_evidence(fine: np.ndarray, box: Box, ct: CTVolume) -> np.ndarray | float:
    """Logarithm of how much likelier a voxel's HU is inside than just outside, limited; 0 where too little is known."""
    low, high = THRESHOLDS.outside_probability
    core, rim = fine > THRESHOLDS.inside_probability, (fine < high) & (fine > low)
    if min(core.sum(), rim.sum()) < THRESHOLDS.told_voxels:
        return 0.0
    smooth = [min(0.6 / s, 0.6) for s in ct.spacing_mm]
    hu = ndimage.gaussian_filter(ct.hu[box.slices].astype(np.float32), smooth)
    bins = np.clip((hu - HU_LOW) / HU_BIN, 0, HU_BINS - 1).astype(np.int16)
    inside, outside = (
        ndimage.gaussian_filter1d(np.bincount(bins[part], minlength=HU_BINS).astype(float), 2) + 0.5
        for part in (core, rim)
    )
    ratio = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    limit = THRESHOLDS.evidence_limit
    return np.clip(ratio, -limit, limit).astype(np.float32)[bins]


def upsampled(probability: np.ndarray, shape: tuple[int, ...], box: Box) -> np.ndarray:
    """Trilinear values of a coarse map at the voxels of a box of the fine grid (both cover the same extent)."""
    axes = [
        torch.from_numpy((2 * (np.arange(a, b) + 0.5) / n - 1).astype(np.float32))
        for a, b, n in zip(box.lo, box.hi, shape, strict=True)
    ]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)[None]
    coarse = torch.from_numpy(np.ascontiguousarray(probability, dtype=np.float32))[None, None]
    return F.grid_sample(coarse, grid, mode="bilinear", padding_mode="border", align_corners=False)[0, 0].numpy()


def clean(array: np.ndarray, structure: str, ct: CTVolume) -> np.ndarray:
    """The largest piece (or all but specks, of scattered structures), without holes in lungs and soft organs."""
    labels, count = ndimage.label(array)
    if count > 1:
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        least = THRESHOLDS.speck_ml / ct.voxel_volume_ml if structure in SCATTERED else sizes.max()
        array = np.isin(labels, np.flatnonzero(sizes >= max(least, 1)))
    return array if structure == "other_bone" else ndimage.binary_fill_holes(array)


def _bone_pieces(array: np.ndarray, fine: np.ndarray, hu: np.ndarray, voxel_ml: float) -> np.ndarray:
    """Pieces that the localiser is sure of and whose HU vary as those of bone do; all arrays ``(i, j, k)``."""
    labels, count = ndimage.label(array)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = np.zeros(count + 1, bool)
    for n, where in enumerate(ndimage.find_objects(labels), start=1):
        if sizes[n] * voxel_ml < THRESHOLDS.speck_ml:
            continue
        piece = labels[where] == n
        if np.percentile(fine[where][piece], 95) < THRESHOLDS.bone_piece_probability:
            continue
        inner = ndimage.binary_erosion(piece)  # partial volume at the edge would look like cortex
        values = hu[where][inner if inner.sum() > 20 else piece]
        keep[n] = values.std() >= THRESHOLDS.bone_piece_sd_hu or np.median(values) >= THRESHOLDS.cortex_hu
    return keep[labels]


def _filled_marrow(array: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Bones with the holes of their axial cuts filled, unless too large (a ring of ribs is no bone with marrow)."""
    out = array.copy()
    for k in range(array.shape[2]):
        holes = ndimage.binary_fill_holes(array[:, :, k]) & ~array[:, :, k]
        labels, count = ndimage.label(holes)
        if count:
            small = np.bincount(labels.ravel()) * spacing_mm[0] * spacing_mm[1] <= THRESHOLDS.marrow_mm2
            small[0] = False
            out[:, :, k] |= small[labels]
    return out
