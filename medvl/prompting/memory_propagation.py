"""Carrying a fresh object through the volume with SAM 2's memory, where the checkpoint has one.

The mask of the prompted slice becomes the conditioning memory, as in MedSAM2's recipe for a single annotated slice.
Later corrections go slice by slice as with every checkpoint (``segmenter.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..ct.windows import WINDOWS
from ..networks.sam2_video import FramePrompt, Frames
from .planes import Patch, to_plane
from .slice_segmenter import ObjectState, SliceSegmenter
from .thresholds import THRESHOLDS


class MemoryPropagation:
    """Tracks objects on one CT."""

    def __init__(self, slices: SliceSegmenter) -> None:
        self.slices = slices
        self.sam2 = slices.encoder.sam2
        self.video = self.sam2.video()

    @staticmethod
    def suits(state: ObjectState) -> bool:
        """True for an object of which one slice has been prompted and nothing else is known."""
        return len(state.anchors) == 1 and set(state.slices) == set(state.anchors)

    def propagate(
        self, state: ObjectState, cancel: threading.Event, within: Callable[[int], np.ndarray] | None = None
    ) -> Iterator[tuple[int, ObjectState]]:
        """Track from the prompted slice both ways, yielding each slice that was predicted and the object so far.

        Args:
            state: the object on one slice.
            cancel: set it to stop before the next slice.
            within: of a slice: bool ``(row, column)`` where the object may be; None for everywhere.
        """
        (key, patch), ct = next(iter(state.slices.items())), self.slices.ct
        frame = self.slices.frames[state.axis]
        r0, r1, c0, c1 = crop = self.slices.encoder.crop(state.axis)
        mask = torch.from_numpy(patch.full_mask(frame.shape)[r0:r1, c0:c1].astype(np.float32))
        size = self.sam2.config.image_size
        mask = F.interpolate(mask[None, None], (size, size), mode="bilinear", align_corners=False, antialias=True)
        prompt = FramePrompt(mask=mask[0, 0] >= 0.5)
        frames = Frames(
            lambda index: to_plane(ct.hu, state.axis, index)[r0:r1, c0:c1],
            WINDOWS[state.window],
            size,
            self.sam2.device,
        )
        tracked = self.video.track(frames, ct.shape[state.axis], key, prompt, cancel, state.limits)
        before = {key: patch.full_mask(frame.shape)}
        for found in tracked:
            if found.index == key:
                continue
            logits = self._restore(found.logits, crop, frame.shape)
            if within is not None:
                logits = np.where(within(found.index), logits, np.minimum(logits, -1.0))
            near = before.get(found.index - 1, before.get(found.index + 1))
            kept = frame.connected(logits > 0, near) if near is not None else logits > 0
            slices = dict(state.slices)
            if kept.sum() * frame.pixel_area_mm2 >= THRESHOLDS.min_area_mm2:
                before[found.index] = kept
                slices[found.index] = Patch.from_logits(np.where((logits > 0) & ~kept, -1.0, logits))
            state = replace(state, slices=slices)
            yield found.index, state

    @staticmethod
    def _restore(logits: Tensor, crop: tuple[int, int, int, int], shape: tuple[int, int]) -> np.ndarray:
        """Logits of the square picture -> the full plane."""
        r0, r1, c0, c1 = crop
        part = F.interpolate(logits[None, None].float(), (r1 - r0, c1 - c0), mode="bilinear", align_corners=False)
        full = np.full(shape, -10.0, dtype=np.float32)
        full[r0:r1, c0:c1] = part[0, 0].cpu().numpy()
        return full
