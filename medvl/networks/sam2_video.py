"""SAM 2 with its memory: the slices of a CT as the frames of a video, from a prompted slice in both directions.

For checkpoints that hold the memory modules (SAM 2.1, MedSAM2). Each frame attends to the prompted frame and to the
last six predicted ones. As in MedSAM2's CT recipe (arXiv 2504.03600) the two directions start anew from the prompt.
Frames are encoded when they are reached, and memories that no later frame looks at are dropped, so the length of the
scan costs no memory and no time beyond the object's own slices.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PromptError, WeightsError

# What SAM 2's own video predictor turns on for interactive use: several candidate masks where the single one is not
# stable, and what a click gave goes into the memory as the person saw it.
OVERRIDES = (
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_via_stability=true",
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_delta=0.05",
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh=0.98",
    "++model.binarize_mask_from_pts_for_mem_enc=true",
)
MEMORY_KEYS = ("memory_attention.", "memory_encoder.", "maskmem_tpos_enc")
PATIENCE = 2  # empty slices in a row after which the object has ended


def has_memory(names: object) -> bool:
    """True if a checkpoint's tensor names hold the memory modules."""
    names = list(names)
    return all(any(n.startswith(key) for n in names) for key in MEMORY_KEYS)


@dataclass(frozen=True, eq=False)
class FramePrompt:
    """What was given on the key slice, in pixels of the square picture that SAM 2 sees.

    Attributes:
        points: ``[N, 2]`` (x, y), or None.
        labels: ``[N]``: 1 positive, 0 negative.
        box: (x0, y0, x1, y1), or None.
        mask: ``[S, S]`` bool, instead of points and box.
    """

    points: Tensor | None = None
    labels: Tensor | None = None
    box: tuple[float, float, float, float] | None = None
    mask: Tensor | None = None

    def inputs(self, device: torch.device) -> tuple[dict[str, Tensor] | None, Tensor | None]:
        """(points with the box's corners first, mask) as SAM 2 takes them.

        Raises:
            PromptError: nothing was given.
        """
        if self.mask is not None:
            return None, self.mask.to(device).float()[None, None]
        coords, labels = [], []
        if self.box is not None:
            coords.append(torch.tensor(self.box, dtype=torch.float32).reshape(2, 2))
            labels.append(torch.tensor([2, 3]))
        if self.points is not None:
            coords.append(self.points.float())
            labels.append(self.labels)
        if not coords:
            raise PromptError("Nothing was prompted on the key slice. Give a point, a box or a mask.")
        return {
            "point_coords": torch.cat(coords)[None].to(device),
            "point_labels": torch.cat(labels).to(torch.int32)[None].to(device),
        }, None


@dataclass(frozen=True)
class Frames:
    """Slices of a CT as the frames of a video: called with an index, the picture that SAM 2 sees.

    Attributes:
        plane: HU ``(row, column)`` of a slice.
        window: ``(level, width)`` it is shown in.
        size: pixels of the square picture.
        device: of the picture.
    """

    plane: Callable[[int], np.ndarray]
    window: tuple[float, float]
    size: int
    device: torch.device

    def __call__(self, index: int) -> Tensor:
        """Normalised picture ``[3, size, size]`` of a slice."""
        level, width = self.window
        shown = np.clip((self.plane(index).astype(np.float32) - level) / width + 0.5, 0, 1)
        return picture(torch.from_numpy(shown).to(self.device), self.size)


@dataclass(frozen=True, eq=False)
class FrameMask:
    """The object on one slice: its index and mask logits ``[S/4, S/4]``."""

    index: int
    logits: Tensor


class VideoSegmenter:
    """Tracks one object at a time; holds no object itself."""

    def __init__(self, net: torch.nn.Module, dtype: torch.dtype = torch.float32) -> None:
        """Take a network.

        Args:
            net: ``SAM2Base`` in evaluation, with memory modules (``has_memory``).
            dtype: in which it computes; weights stay as they are.

        Raises:
            WeightsError: it was built without memory.
        """
        if net.num_maskmem == 0:
            raise WeightsError(
                "This SAM 2 has no memory. Use a checkpoint with the memory modules, or propagate masks."
            )
        self.net = net
        self.device = net.no_mem_embed.device
        self.dtype = dtype

    @torch.inference_mode()
    def track(
        self,
        frame: Callable[[int], Tensor],
        count: int,
        key: int,
        prompt: FramePrompt,
        cancel: threading.Event | None = None,
        limits: tuple[int, int] | None = None,
        until_empty: bool = True,
    ) -> Iterator[FrameMask]:
        """Segment from the key slice upwards, then downwards.

        Args:
            frame: normalised picture ``[3, S, S]`` of a slice.
            count: slices there are.
            key: index of the prompted slice.
            prompt: on it.
            cancel: set it to stop before the next slice.
            limits: half-open range of slices that the object may reach.
            until_empty: end a direction after ``PATIENCE`` empty slices; False tracks through the whole range.

        Yields:
            The key slice first, then slice by slice; empty slices too.
        """
        cancel = cancel or threading.Event()
        low, high = limits or (0, count)
        anchor = None
        for reverse in (False, True):
            memory: dict[str, dict[int, dict]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
            if anchor is None:
                anchor = self._prompted(frame(key), key, count, prompt, memory)
                yield FrameMask(key, anchor["pred_masks"][0, 0])
            memory["cond_frame_outputs"][key] = anchor
            empty = 0
            for index in range(key - 1, low - 1, -1) if reverse else range(key + 1, high):
                if cancel.is_set():
                    return
                out = self._step(frame(index), index, count, memory, reverse)
                memory["non_cond_frame_outputs"][index] = out
                self._forget(memory["non_cond_frame_outputs"], index)
                yield FrameMask(index, out["pred_masks"][0, 0])
                empty = 0 if (out["pred_masks"] > 0).any() else empty + 1
                if until_empty and empty >= PATIENCE:
                    break

    def beside(self, key: Tensor, prompt: FramePrompt, other: Tensor) -> tuple[Tensor, Tensor]:
        """A slice next to a prompted one, from the memory of that; in training, with gradients.

        Args:
            key: normalised picture ``[3, S, S]`` of the prompted slice.
            prompt: on it.
            other: picture of its neighbour.

        Returns:
            Mask logits ``[1, 1, S/4, S/4]`` and the logit ``[1, 1]`` of the object being there at all; where that is
            negative SAM 2 leaves the mask empty.
        """
        memory: dict[str, dict[int, dict]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
        memory["cond_frame_outputs"][0] = self._prompted(key, 0, 2, prompt, memory)
        out = self._step(other, 1, 2, memory, reverse=False)
        return out["pred_masks"], out["object_score_logits"].float()

    def _features(self, picture: Tensor) -> tuple[list[Tensor], list[Tensor], list[tuple[int, int]]]:
        with self._cast():
            out = self.net.forward_image(picture[None].to(self.device).float())
        _, features, positions, sizes = self.net._prepare_backbone_features(out)
        return features, positions, sizes

    def _prompted(self, picture: Tensor, key: int, count: int, prompt: FramePrompt, memory: dict) -> dict:
        """The key slice, without memory; its own memory is made from the mask that came out."""
        features, positions, sizes = self._features(picture)
        points, mask = prompt.inputs(self.device)
        with self._cast():
            out = self.net.track_step(
                key, True, features, positions, sizes, points, mask, memory, count, run_mem_encoder=False
            )
            size = self.net.image_size
            full = F.interpolate(out["pred_masks"].float(), (size, size), mode="bilinear", align_corners=False)
            encoded, encoded_positions = self.net._encode_new_memory(
                features, sizes, full, out["object_score_logits"], is_mask_from_pts=True
            )
        return self._compact(out, encoded, encoded_positions)

    def _step(self, picture: Tensor, index: int, count: int, memory: dict, reverse: bool) -> dict:
        features, positions, sizes = self._features(picture)
        with self._cast():
            out = self.net.track_step(
                index, False, features, positions, sizes, None, None, memory, count, track_in_reverse=reverse
            )
        return self._compact(out, out["maskmem_features"], out["maskmem_pos_enc"])

    def _cast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    @staticmethod
    def _compact(out: dict, encoded: Tensor, positions: list[Tensor]) -> dict:
        """What later frames look at; memories in bfloat16, as the video predictor keeps them."""
        return {
            "maskmem_features": encoded.to(torch.bfloat16),
            "maskmem_pos_enc": positions,
            "pred_masks": out["pred_masks"].float(),
            "obj_ptr": out["obj_ptr"],
            "object_score_logits": out["object_score_logits"],
        }

    def _forget(self, outputs: dict[int, dict], index: int) -> None:
        """Drop frames that no later one looks at: beyond the pointers' reach; masks and memories beyond theirs."""
        reach = max(self.net.num_maskmem, self.net.max_obj_ptrs_in_encoder)
        for old in [i for i in outputs if abs(i - index) > reach]:
            del outputs[old]


def picture(plane: Tensor, size: int) -> Tensor:
    """A slice ``[rows, columns]`` with values 0..1 -> the normalised square ``[3, size, size]`` that SAM 2 sees."""
    image = F.interpolate(plane[None, None].float(), (size, size), mode="bilinear", align_corners=False, antialias=True)
    mean = torch.tensor((0.485, 0.456, 0.406), device=plane.device)[:, None, None]
    std = torch.tensor((0.229, 0.224, 0.225), device=plane.device)[:, None, None]
    return (image[0] - mean) / std
