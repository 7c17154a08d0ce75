"""SAM 2 on single slices: encode a slice once, keep its features under a byte budget, decode many prompts.

A *plane* is a 2-D picture of the volume as a radiologist sees it: rows run down, columns to the viewer's right, so the
array ``volume[index along axis]`` is flipped and transposed (``to_plane``). Only columns and rows that hold the body
are shown to SAM 2, which gives the organs more of its 512 pixels.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import hub
from .config import SegmenterConfig
from .errors import WeightsError
from .video_segmenter import OVERRIDES, has_memory
from .volume import CTVolume

# (level, width) in HU; which one a slice is shown in depends on what was prompted.
WINDOWS = {"soft": (40.0, 400.0), "lung": (-600.0, 1500.0), "bone": (400.0, 1800.0)}
BODY_HU = -500.0
# A checkpoint may lack these (the bundled one does): they serve video memory, which slices do not use.
MEMORY_MODULES = (
    "memory_",
    "maskmem_",
    "no_obj_",
    "obj_ptr",
    "no_mem_pos_enc",
    "mask_downsample",
    "sam_mask_decoder.pred_obj",
)


def to_plane(volume: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Slice ``index`` along ``axis`` of ``(i, j, k)`` as a view ``(row, column)`` in radiological display order."""
    return np.moveaxis(volume, axis, 0)[index][::-1, ::-1].T


def from_plane(plane: np.ndarray) -> np.ndarray:
    """Inverse of ``to_plane``: ``(row, column)`` -> the two remaining volume axes in their order."""
    return plane.T[::-1, ::-1]


def window_for(hu: np.ndarray) -> str:
    """Window whose range shows tissue of these HU values best, by their median."""
    median = float(np.median(hu)) if hu.size else 40.0
    return "lung" if median < -250 else "bone" if median > 260 else "soft"


@dataclass(frozen=True)
class Features:
    """Half-precision SAM 2 features of one slice: ``[1, 256, s, s]`` and the two finer maps."""

    embedding: Tensor
    fine: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return sum(t.nbytes for t in (self.embedding, *self.fine))


class Sam2:
    """The network, shared by all cases; ``encode`` and ``decode`` are safe to call from several threads."""

    def __init__(self, config: SegmenterConfig, folder: object, device: torch.device) -> None:
        from accelerate import init_empty_weights
        from sam2.build_sam import build_sam2

        self.config = config
        self.device = device
        # Parameters get no memory before they are read; what the constructor computes (rotary frequencies) is real.
        with init_empty_weights(include_buffers=False):
            self.net = build_sam2(
                config.sam2_config,
                ckpt_path=None,
                device="meta",
                hydra_overrides_extra=[f"++model.image_size={config.image_size}", *OVERRIDES],
                apply_postprocessing=False,
            )
        stored = hub.StoredWeights(folder, config.weights)
        self.has_memory = has_memory(stored.names)
        stored.fill(self.net, device, "SAM 2", () if self.has_memory else MEMORY_MODULES)
        self.net.eval().requires_grad_(False)
        if device.type == "cpu":
            self.net.image_encoder.to(memory_format=torch.channels_last)
        self.mean = torch.tensor((0.485, 0.456, 0.406), device=device)[:, None, None]
        self.std = torch.tensor((0.229, 0.224, 0.225), device=device)[:, None, None]
        self.lock = threading.Lock()  # one encoder pass at a time: two would only share the same cores
        if not self.net.use_high_res_features_in_sam:
            raise WeightsError("This SAM 2 configuration has no high-resolution features; use a sam2 or sam2.1 config.")

    @torch.inference_mode()
    def encode(self, plane: np.ndarray) -> Features:
        """Features of a picture ``(row, column)`` with values in 0..1."""
        image = torch.from_numpy(np.ascontiguousarray(plane, dtype=np.float32)).to(self.device)[None, None]
        size = self.config.image_size
        image = F.interpolate(image, (size, size), mode="bilinear", align_corners=False, antialias=True)[0]
        image = ((image - self.mean) / self.std)[None]  # [1, 3, S, S]
        with self.lock:
            out = self.net.forward_image(image)
        embedding = out["backbone_fpn"][-1] + self.net.no_mem_embed.view(1, -1, 1, 1)
        return Features(embedding.half(), tuple(f.half() for f in out["backbone_fpn"][:-1]))

    @torch.inference_mode()
    def decode(
        self, features: Features, points: Tensor, labels: Tensor, masks: Tensor | None, extra: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """``predict`` without gradients."""
        return self.predict(features, points, labels, masks, extra)

    def predict(
        self, features: Features, points: Tensor, labels: Tensor, masks: Tensor | None, extra: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Masks for a batch of prompts on one slice.

        Args:
            features: of the slice.
            points: ``[B, N, 2]`` (x, y) in pixels of the resized picture; box corners have labels 2 and 3.
            labels: ``[B, N]``: 1 positive, 0 negative, 2 and 3 box corners, -1 padding.
            masks: ``[B, 1, s*4, s*4]`` logits of an earlier mask, or None.
            extra: ``[B, N, 256]`` prompts that are no points (``seg_token.SegHead.prompts``), or None.

        Returns:
            Logits ``[B, 4, s*4, s*4]`` (the single-mask output, then the three of the ambiguous one) and predicted
            IoU ``[B, 4]``.
        """
        net, batch = self.net, points.shape[0]
        sparse, dense = net.sam_prompt_encoder(points=(points, labels), boxes=None, masks=masks)
        if extra is not None:
            sparse = torch.cat([sparse, extra.to(sparse.dtype)], dim=1)
        logits, iou, _, _ = net.sam_mask_decoder.predict_masks(
            image_embeddings=features.embedding.float(),
            image_pe=net.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            repeat_image=True,
            high_res_features=[f.float().expand(batch, -1, -1, -1) for f in features.fine],
        )
        return logits, iou


class SliceEncoder:
    """Slices of one CT for ``Sam2``: body crop, window, feature cache shared by all objects and prompts."""

    def __init__(self, sam2: Sam2, ct: CTVolume) -> None:
        self.sam2 = sam2
        self.ct = ct
        self.encoded = 0  # slices encoded so far, for tests and benchmarks
        self._cache: OrderedDict[tuple[int, int, str], Features] = OrderedDict()
        self._lock = threading.Lock()
        step = max(1, round(4 / max(min(ct.spacing_mm), 0.5)))  # about 4 mm is fine enough to find the body
        body = ct.hu[::step, ::step, ::step] > BODY_HU
        self._body = []
        for axis in range(3):
            profile = body.any(axis=tuple(a for a in range(3) if a != axis))
            on = np.flatnonzero(profile)
            low, high = (on[0] * step, (on[-1] + 1) * step) if on.size else (0, ct.shape[axis])
            self._body.append((max(0, int(low) - step), min(ct.shape[axis], int(high) + step)))

    @property
    def nbytes(self) -> int:
        """Memory that the cached features take."""
        with self._lock:
            return sum(f.nbytes for f in self._cache.values())

    def clear(self) -> None:
        """Forget all features."""
        with self._lock:
            self._cache.clear()

    def crop(self, axis: int) -> tuple[int, int, int, int]:
        """Rows and columns ``(r0, r1, c0, c1)`` of the plane that SAM 2 sees."""
        across, along = [a for a in range(3) if a != axis]
        (c0, c1), (r0, r1) = self._body[across], self._body[along]
        width, height = self.ct.shape[across], self.ct.shape[along]
        return height - r1, height - r0, width - c1, width - c0

    def features(self, axis: int, index: int, window: str) -> Features:
        """Features of a slice, from the cache or encoded now."""
        key = (axis, index, window)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        r0, r1, c0, c1 = self.crop(axis)
        level, width = WINDOWS[window]
        plane = to_plane(self.ct.hu, axis, index)[r0:r1, c0:c1].astype(np.float32)
        features = self.sam2.encode(np.clip((plane - level) / width + 0.5, 0, 1))
        with self._lock:
            self.encoded += 1
            self._cache[key] = features
            total = sum(f.nbytes for f in self._cache.values())
            while total > self.sam2.config.cache_mb * 2**20 and len(self._cache) > 1:
                total -= self._cache.popitem(last=False)[1].nbytes
        return features
