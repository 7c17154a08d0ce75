"""From the detail head's word to masks: bones and lobes are parts of good masks; others are delineated.

The head says *which* bone or lobe; *where* bone and lung end is the localiser's and the HU's word. The sides of a pair
are divided at the midline, slice by slice: on it lies the vertebral column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from ..ct.prompts import Box, bounding_box
from ..networks.detail_head import midline
from ..networks.localiser import CoarseMap
from .delineation import upsampled
from .thresholds import THRESHOLDS

BONES = ("sacrum", "hip_bone", "femur", "ribs", "sternum", "scapula", "clavicle", "humerus")
LOBES = ("upper_lobe", "middle_lobe", "lower_lobe")
# Of these every piece counts that the head is sure of somewhere; of all others only the largest one.
SCATTERED = frozenset({"ribs", "costal_cartilages", "colon", "small_bowel", "gluteal_muscles", "portal_vein"})
LUNGS = ("right_lung", "left_lung")
HEAD = ("brainstem", "larynx", "mandible", "right_parotid", "left_parotid")
BELOW_LUNGS = frozenset({"sacrum", "hip_bone", "femur", "gluteal_muscles"})


@dataclass(frozen=True)
class Detail:
    """What a structure is to the head.

    Attributes:
        kind: the head's class.
        side: the patient's side, "" where the class is not divided.
    """

    kind: str
    side: Literal["left", "right", ""] = ""

    @property
    def least_ml(self) -> float:
        """What is smaller is not reported."""
        return THRESHOLDS.detail_least_ml[self.kind]

    @property
    def carrier(self) -> tuple[str, ...]:
        """Structures whose masks it is cut from; empty where it is delineated by itself."""
        if self.kind in LOBES:
            return (f"{self.side}_lung",)
        if self.kind in BONES:
            return ("other_bone", "vertebral_column") if self.kind == "sacrum" else ("other_bone",)
        return ()


def _sided(*kinds: str) -> dict[str, Detail]:
    return {f"{side}_{kind}": Detail(kind, side) for kind in kinds for side in ("right", "left")}


DETAILS: dict[str, Detail] = {
    "sacrum": Detail("sacrum"),
    **_sided("hip_bone", "femur", "ribs", "scapula"),
    "sternum": Detail("sternum"),
    **_sided("clavicle", "humerus"),
    "costal_cartilages": Detail("costal_cartilages"),
    **_sided("back_muscles", "iliopsoas", "gluteal_muscles"),
    "colon": Detail("colon"),
    "small_bowel": Detail("small_bowel"),
    **_sided("adrenal_gland"),
    "thyroid_gland": Detail("thyroid_gland"),
    "portal_and_splenic_vein": Detail("portal_vein"),
    **_sided("iliac_artery", "iliac_vein"),
    "superior_vena_cava": Detail("superior_vena_cava"),
    **_sided("upper_lobe"),
    "middle_lobe": Detail("middle_lobe", "right"),
    **_sided("lower_lobe"),
}
"""Every structure that can be read off the head, by id."""


def detail_probability(details: CoarseMap, coarse: CoarseMap, detail: Detail) -> np.ndarray | None:
    """Probability of a structure on the coarse grid, false pieces and the other side removed; None: it is not there.

    Args:
        details: of the head.
        coarse: of the localiser, for the midline.
        detail: which.
    """
    probability = details.of(detail.kind) * _heights(coarse, detail.kind)
    if detail.side:
        probability = probability * _on_side(coarse, detail)
    labels, count = ndimage.label(probability > 0.5, structure=np.ones((3, 3, 3)))
    if count == 0:
        return None
    index = range(1, count + 1)
    good = np.flatnonzero(np.asarray(ndimage.maximum(probability, labels, index)) >= THRESHOLDS.detail_min_peak)
    if good.size == 0:
        return None
    if detail.kind not in SCATTERED:
        weight = np.asarray(ndimage.sum_labels(probability, labels, index))
        good = good[[int(weight[good].argmax())]]
    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    return np.where(np.isin(labels[tuple(nearest)], good + 1), probability, 0.0).astype(np.float32)


def part_of(
    carrier: np.ndarray, box: Box, shape: tuple[int, int, int], details: CoarseMap, coarse: CoarseMap, detail: Detail
) -> tuple[Box, np.ndarray]:
    """The voxels of a mask that the head counts to one bone or lobe.

    Args:
        carrier: bool, the mask inside ``box``.
        box: of the fine grid.
        shape: of the fine grid.
        details: of the head.
        coarse: of the localiser, for the midline.
        detail: which.

    Returns:
        A half-open box and bool voxels inside it; there may be none.
    """
    rivals = [k for k in (LOBES if detail.kind in LOBES else BONES) if k != detail.kind]
    if detail.kind in LOBES and detail.side == "left":
        rivals = [k for k in rivals if k != "middle_lobe"]
    spread = 0.0 if detail.kind in LOBES else THRESHOLDS.detail_reach
    own, others = (
        ndimage.gaussian_filter(m, spread) if spread else m
        for m in (details.of(detail.kind), np.max([details.of(k) for k in rivals], axis=0))
    )
    if detail.kind == "sacrum":  # the vertebrae above it are background to the head
        others = np.maximum(others, details.probability[0].astype(np.float32))
    own = own * _heights(coarse, detail.kind)
    lead = own - np.maximum(others, 0.0 if detail.kind in LOBES else 0.05)
    if detail.kind not in LOBES and detail.side:  # the lung of a side is on its side already
        lead = np.where(_on_side(coarse, detail), lead, -1.0)
    on = bounding_box(lead > -0.05) if detail.kind not in LOBES else bounding_box(np.ones(lead.shape, bool))
    if on is None:
        return box, np.zeros(carrier.shape, bool)
    lo = [max(b, int((n - 1) * s / c)) for b, n, s, c in zip(box.lo, on.lo, shape, lead.shape, strict=True)]
    hi = [min(b, int((n + 1) * s / c) + 1) for b, n, s, c in zip(box.hi, on.hi, shape, lead.shape, strict=True)]
    if any(a >= b for a, b in zip(lo, hi, strict=True)):
        return box, np.zeros(carrier.shape, bool)
    inner = Box(tuple(lo), tuple(hi))
    cut = tuple(slice(a - b, c - b) for a, c, b in zip(lo, hi, box.lo, strict=True))
    array = carrier[cut] & (upsampled(lead, shape, inner) > 0)
    return inner, largest(array, detail.kind)


def largest(array: np.ndarray, kind: str, share: float = THRESHOLDS.detail_piece_share) -> np.ndarray:
    """The largest piece; of scattered structures and lobes all but those below ``share`` of it."""
    labels, count = ndimage.label(array)
    if count < 2:
        return array
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    least = sizes.max() * share if kind in SCATTERED or kind in LOBES else sizes.max()
    return np.isin(labels, np.flatnonzero(sizes >= least))


def _heights(coarse: CoarseMap, kind: str) -> np.ndarray:
    """Bool ``[K]``: axial slices of the coarse grid that may hold a kind. An arm beside the head is no pelvis."""
    k = np.arange(coarse.body.shape[2])
    seen = _slices_with(coarse, LUNGS)
    if seen.size:
        low, high = seen[0], seen[-1] + THRESHOLDS.above_lungs_mm / coarse.spacing_mm[2]
        if kind in BELOW_LUNGS:
            return k < low
        if kind == "iliopsoas":
            return k < low + THRESHOLDS.psoas_beside_lungs_mm / coarse.spacing_mm[2]
        return (k >= low) & (k <= high) if kind == "sternum" else k <= high if kind == "ribs" else k >= 0
    head_only = _slices_with(coarse, HEAD).size > 0
    return np.full(k.shape, not head_only or kind not in BELOW_LUNGS | {"ribs", "sternum", "iliopsoas"})


def _slices_with(coarse: CoarseMap, names: tuple[str, ...]) -> np.ndarray:
    """Indices of the axial slices in which one of the structures is seen, each in its largest piece: a sinus of the
    skull may be taken for a bit of lung.
    """
    areas = [largest(coarse.of(n) > 0.5, n).sum((0, 1)) for n in names if n in coarse.structures]
    return np.flatnonzero(np.sum(areas, axis=0) > 4) if areas else np.zeros(0, int)


def lung_tips_mm(coarse: CoarseMap) -> float | None:
    """Height of the tips of the lungs above the lower end of the scan; None where they are not in view."""
    seen = _slices_with(coarse, LUNGS)
    if seen.size == 0 or seen[-1] >= coarse.body.shape[2] - 2:
        return None
    return float(seen[-1] + 1) * coarse.spacing_mm[2] / coarse.magnified


def _on_side(coarse: CoarseMap, detail: Detail) -> np.ndarray:
    """Bool ``[D, 1, H]``: coarse voxels on the detail's side of the midline (the patient's right: larger i)."""
    right = np.arange(coarse.body.shape[0])[:, None] > midline(coarse)[None, :]
    return (right if detail.side == "right" else ~right)[:, None, :]
