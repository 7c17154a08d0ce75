"""SAM 2 on single slices: image encoder, prompt encoder and mask decoder of PyPI's ``sam2``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import init_empty_weights
from sam2.build_sam import build_sam2
from torch import Tensor

from ..errors import WeightsError
from ..weights import hub
from ..weights.devices import network_precision
from .sam2_video import OVERRIDES, VideoSegmenter, has_memory

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


@dataclass(frozen=True, eq=False)
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

    ahead = 1  # slices that are worth encoding in one go while an object is carried through them

    def __init__(self, config: SegmenterConfig, folder: object, device: torch.device) -> None:
        self.config = config
        # Parameters get no memory before they are read; what the constructor computes (rotary frequencies) is real.
        with init_empty_weights(include_buffers=False), _no_gpu_seen():
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
        self.to(device)
        self.lock = threading.Lock()  # one encoder pass at a time: two would only share the same cores
        if not self.net.use_high_res_features_in_sam:
            raise WeightsError("This SAM 2 configuration has no high-resolution features; use a sam2 or sam2.1 config.")

    def to(self, device: torch.device) -> None:
        """Move everything to a device."""
        self.dtype = network_precision(device)  # of the image encoder and the memory; masks are decoded in float32
        self.net.to(device)
        for module in self.net.modules():
            if isinstance(table := getattr(module, "freqs_cis", None), Tensor):  # no parameter: it does not move along
                module.freqs_cis = table.to(device)
        layout = torch.channels_last if device.type == "cpu" else torch.contiguous_format
        self.net.image_encoder.to(memory_format=layout)
        self.mean = torch.tensor((0.485, 0.456, 0.406), device=device)[:, None, None]
        self.std = torch.tensor((0.229, 0.224, 0.225), device=device)[:, None, None]

    @property
    def device(self) -> torch.device:
        """Where the weights are now."""
        return self.net.no_mem_embed.device

    def video(self) -> VideoSegmenter:
        """The same weights with their memory, over many slices."""
        return VideoSegmenter(self.net, self.dtype)

    def encode_many(self, planes: Sequence[np.ndarray]) -> list[Features]:
        """``encode`` of several pictures."""
        return [self.encode(plane) for plane in planes]

    @torch.inference_mode()
    def encode(self, plane: np.ndarray) -> Features:
        """Features of a picture ``(row, column)`` with values in 0..1."""
        image = torch.from_numpy(np.ascontiguousarray(plane, dtype=np.float32)).to(self.device)[None, None]
        size = self.config.image_size
        image = F.interpolate(image, (size, size), mode="bilinear", align_corners=False, antialias=True)[0]
        image = ((image - self.mean) / self.std)[None]  # [1, 3, S, S]
        with self.lock, torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
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


@contextmanager
def _no_gpu_seen() -> Iterator[None]:
    """While SAM 2 is built: its constructors put tables on the GPU where there is one, wherever the network goes."""
    seen = torch.cuda.is_available
    torch.cuda.is_available = lambda: False
    try:
        yield
    finally:
        torch.cuda.is_available = seen


@torch.inference_mode()
def decode(sam2: Sam2, features: Features, prompts: Tensor, dense: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """``predict`` without gradients."""
    return predict(sam2, features, prompts, dense)


def predict(sam2: Sam2, features: Features, prompts: Tensor, dense: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """SAM 2's masks of one slice from projected [SEG] states.

    Args:
        sam2: the network.
        features: of the slice.
        prompts: ``[N, 1, 256]`` from ``SegHead.prompts``.
        dense: ``[N, 1, s*4, s*4]`` logits, or None.

    Returns:
        Logits ``[N, 4, s*4, s*4]`` and predicted IoU ``[N, 4]``, as ``Sam2.predict``.
    """
    count = len(prompts)
    # As in Sa2VA: behind the padding point that SAM 2 itself puts where no box is given.
    points = torch.zeros(count, 1, 2, device=prompts.device)
    labels = torch.full((count, 1), -1, dtype=torch.int32, device=prompts.device)
    return sam2.predict(features, points, labels, dense, prompts)


@dataclass(frozen=True)
class SegmenterConfig:
    """SAM 2 over slices.

    Attributes:
        sam2_config: name of the Hydra config inside the ``sam2`` package.
        weights: stem of the safetensors files in the model folder.
        image_size: pixels that a slice is resized to, both sides.
        cache_mb: byte budget of the slice features of one case.
    """

    sam2_config: str = "configs/sam2/sam2_hiera_t.yaml"
    weights: str = "sam2_hiera_tiny"
    image_size: int = 512
    cache_mb: int = 512
