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

from .localiser import CoarseMap
from .plane_masks import box_agreement, iou_of

MATCH_IOU = 0.65  # of the delineated slice with a structure's, from which on it counts as that structure
MATCH_BOX_IOU = 0.65  # of the drawn box with the box round a structure on that slice
LOGIT_LIMIT = 4.0


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
    ) -> str:
        """The structure that a slice's mask, or the box drawn on it, is; "" if it is none.

        Args:
            axis: normal of the plane.
            index: slice along it.
            mask: what was delineated there, ``(row, column)``.
            box: as drawn, half-open ``(r0, c0, r1, c1)``; None without one.
            cancel: set it to stop.

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
            overlap = iou_of(found, mask) / MATCH_IOU
            if box is not None:
                overlap = max(overlap, box_agreement(found, box) / MATCH_BOX_IOU)
            if overlap >= max(best, 1.0):
                best, structure = overlap, candidate
        return structure

    def logits(self, structure: str, axis: int, index: int) -> np.ndarray:
        """The localiser's logits of a structure on one plane ``(row, column)``, limited to ``LOGIT_LIMIT``."""
        coarse = self._coarse.probability[1 + self._coarse.structures.index(structure)]
        view = np.moveaxis(coarse, axis, 0)
        place = np.clip((index + 0.5) * len(view) / self.shape[axis] - 0.5, 0, len(view) - 1)
        low = int(place)
        share = place - low
        plane = (1 - share) * view[low].astype(np.float32) + share * view[min(low + 1, len(view) - 1)]
        size = [n for a, n in enumerate(self.shape) if a != axis]
        fine = F.interpolate(torch.from_numpy(plane)[None, None].float(), size, mode="bilinear", align_corners=False)
        p = fine[0, 0].numpy()[::-1, ::-1].T
        return np.clip(np.log((p + 1e-3) / (1 - p + 1e-3)), -LOGIT_LIMIT, LOGIT_LIMIT)
