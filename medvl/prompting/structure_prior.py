"""The localiser as a third expert for clicks and boxes: which structure was prompted, and where it lies on each slice.

A box on one slice does not say where an organ ends; the localiser often knows. Where what was delineated on
the prompted slice is plainly one of its structures, its word is mixed into every slice the object is carried to.
Anything else (a tumour, a part of an organ, a structure that it does not know) is carried without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from ..networks.localiser import CoarseMap
from .plane_masks import box_agreement, iou_of
from .thresholds import THRESHOLDS

# A click there means one bone of many, a chamber, or a great vessel at the root of the heart.
MANY_PARTS = frozenset({"vertebral_column", "other_bone", "mandible", "heart"})


BONES = frozenset({"vertebral_column", "other_bone", "mandible"})
AIRY = frozenset({"right_lung", "left_lung", "trachea"})


class StructurePrior:
    """Planes of the localiser's probabilities for one CT."""

    def __init__(
        self, shape: tuple[int, int, int], structures: tuple[str, ...], locate: Callable[[threading.Event], CoarseMap]
    ) -> None:
        """Nothing is computed yet.

        Args:
            shape: voxels of the CT.
            structures: ids that may be recognised.
            locate: gives the coarse map, computed at the first call; may raise ``Cancelled``.
        """
        self.shape = shape
        self.structures = structures
        self._locate = locate
        self._coarse: CoarseMap | None = None

    def recognise(
        self,
        axis: int,
        index: int,
        mask: np.ndarray,
        box: tuple[int, int, int, int] | None,
        cancel: threading.Event,
        hu: np.ndarray | None = None,
        points: tuple[tuple[int, int, bool], ...] = (),
    ) -> str:
        """The structure that a slice's mask, or the box drawn on it, is; "" if it is none.

        Args:
            axis: normal of the plane.
            index: slice along it.
            mask: what was delineated there, ``(row, column)``.
            box: as drawn, half-open ``(r0, c0, r1, c1)``; None without one.
            cancel: set it to stop.
            hu: of the plane. With it, a mask of clicks alone also counts as the structure whose unremarkable part it
                is.
            points: clicks on the plane, ``(row, column, positive)``.

        Raises:
            Cancelled: ``cancel`` was set while the localiser ran.
        """
        if self._coarse is None:
            self._coarse = self._locate(cancel)
        best, structure = 0.0, ""
        for candidate in self.structures:
            found = self.logits(candidate, axis, index) > 0
            if not found.any():
                continue
            overlap = iou_of(found, mask) / THRESHOLDS.match_iou
            if box is not None:
                overlap = max(overlap, box_agreement(found, box) / THRESHOLDS.match_box_iou)
            if overlap >= max(best, 1.0) and (hu is None or _made_of(candidate, hu[found])):
                best, structure = overlap, candidate
        if not structure and box is None and hu is not None:
            return next((s for s in self.structures if self._is_part(s, axis, index, mask, hu, points)), "")
        return structure

    def _is_part(
        self,
        structure: str,
        axis: int,
        index: int,
        mask: np.ndarray,
        hu: np.ndarray,
        points: tuple[tuple[int, int, bool], ...],
    ) -> bool:
        """Whether a mask is a part of a structure that nothing sets apart from the rest of it: neither a negative click
        nor other HU, as a lesion's would be. A click in the middle of the liver means the liver.
        """
        if structure in MANY_PARTS or not mask.any() or not all(positive for _, _, positive in points):
            return False
        sure = self.logits(structure, axis, index)
        inside = sure > 0
        rest = inside & ~mask
        if rest.sum() < THRESHOLDS.rest_pixels or not all(sure[r, c] > THRESHOLDS.part_logit for r, c, _ in points):
            return False
        if (
            mask & inside
        ).sum() < THRESHOLDS.part_inside * mask.sum() or mask.sum() < THRESHOLDS.part_least * inside.sum():
            return False
        here, there = (np.percentile(hu[part], (25, 50, 75)) for part in (mask & inside, rest))
        spread = max(there[2] - there[0], here[2] - here[0], THRESHOLDS.part_spread_hu)
        return abs(here[1] - there[1]) < THRESHOLDS.part_apart * spread

    def logits(self, structure: str, axis: int, index: int) -> np.ndarray:
        """The localiser's logits of a structure on one plane ``(row, column)``, limited to ``prior_limit``."""
        coarse = self._coarse.probability[1 + self._coarse.structures.index(structure)]
        view = np.moveaxis(coarse, axis, 0)
        place = np.clip((index + 0.5) * len(view) / self.shape[axis] - 0.5, 0, len(view) - 1)
        low = int(place)
        share = place - low
        plane = (1 - share) * view[low].astype(np.float32) + share * view[min(low + 1, len(view) - 1)]
        size = [n for a, n in enumerate(self.shape) if a != axis]
        fine = F.interpolate(torch.from_numpy(plane)[None, None].float(), size, mode="bilinear", align_corners=False)
        p = fine[0, 0].numpy()[::-1, ::-1].T
        return np.clip(np.log((p + 1e-3) / (1 - p + 1e-3)), -THRESHOLDS.prior_limit, THRESHOLDS.prior_limit)


def _made_of(structure: str, hu: np.ndarray) -> bool:
    """Whether HU where the localiser sees a structure can be its own: a bone has cortex, a lung or an airway air.

    The coarse map sees shapes first; a rod of soft tissue in fat is a thigh bone to it.
    """
    if not hu.size:
        return True
    if structure in BONES:
        return float(np.percentile(hu, 95)) > THRESHOLDS.cortex_hu
    return structure not in AIRY or float(np.percentile(hu, 25)) < THRESHOLDS.air_hu
