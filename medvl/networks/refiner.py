"""The refiner: a second stage for fine structures, on crops round what the localiser found.

The localiser's grid of 4 mm is coarser than a spinal cord is wide. The refiner is a small 3-D U-Net at ``spacing_mm``
that sees a crop's HU and the coarse probabilities of its kinds, and gives *voxel embeddings*; their similarity with the
*query* of a kind, plus the localiser's own word, weighed, is that kind's logit. A pair is one kind: a crop lies round
one of the two, so that flips are free. A ``[SEG]`` state or a text embedding can be projected into the space of the
queries and ask the same way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ct.prompts import Box
from ..ct.volume import CTVolume
from ..errors import Cancelled
from .localiser import HU_SCALES, CoarseMap, UNet, grid_size, resample
from .sliding import over_patches

OUTSIDE_HU = -1024  # beyond the scan
LEAST = 0.005  # probability that the localiser gives anything, and keeps from anything, in its own word's logit


@dataclass(frozen=True)
class RefinerConfig:
    """Shape of the network.

    Attributes:
        kinds: what it has a query and an input channel for; of a pair the name without its side.
        spacing_mm: voxel edge of its grid.
        patch: voxels that it sees at once, each way; a multiple of 8.
        widths: channels at 1, 2, 4 and 8 times ``spacing_mm``.
        embedding: length of voxel embeddings and queries.
        overlap: share of a patch that neighbours share where a crop is larger than one.
        offered: ids of structures that it draws better than the localiser does; of others it is not asked.
    """

    kinds: tuple[str, ...] = ()
    spacing_mm: float = 2.5
    patch: int = 40
    widths: tuple[int, ...] = (12, 32, 64, 112)
    embedding: int = 12
    overlap: float = 0.375
    offered: tuple[str, ...] = ()


def kind_of(structure: str) -> str:
    """The kind of a structure: its id without a side."""
    return structure.removeprefix("right_").removeprefix("left_")


class Refiner(UNet):
    """HU and coarse probabilities of a crop (``crop_maps``) -> voxel embeddings -> logits of the kinds."""

    def __init__(self, config: RefinerConfig) -> None:
        count = len(config.kinds)
        super().__init__(len(HU_SCALES) + count, config.widths, config.embedding)
        self.config = config
        # It begins with the localiser's own word, and learns what to change.
        self.queries = nn.Parameter(torch.randn(count, config.embedding) * 0.1 * config.embedding**-0.5)
        self.bias = nn.Parameter(torch.full((count,), -0.5))
        self.trust = nn.Parameter(torch.ones(count))

    def forward(self, maps: Tensor) -> Tensor:
        """Logits ``[B, kinds, D, H, W]``, each kind by itself (sigmoid), of ``crop_maps``."""
        coarse = maps[:, len(HU_SCALES) :]
        told = torch.logit(coarse, LEAST) * self.trust[:, None, None, None]
        return F.conv3d(self.pyramid(maps)[0], self.queries[:, :, None, None, None], self.bias) + told


def crop_maps(hu: Tensor, coarse: Tensor) -> Tensor:
    """Network input ``[B, 3 + kinds, D, H, W]`` from HU ``[B, D, H, W]`` and probabilities ``[B, kinds, D, H, W]``."""
    windows = [((hu - level) / half).clamp(-1, 1) for level, half in HU_SCALES]
    return torch.cat((torch.stack(windows, dim=1), coarse), dim=1)


def coarse_of_kinds(coarse: CoarseMap, kinds: tuple[str, ...]) -> np.ndarray:
    """What the localiser says of the kinds, float32 ``[kinds, D, H, W]`` on its grid; 0 of what it has no class for."""
    maps = []
    for kind in kinds:
        own = [s for s in coarse.structures if kind_of(s) == kind]
        maps.append(np.sum([coarse.of(s) for s in own], axis=0) if own else np.zeros(coarse.body.shape, np.float32))
    return np.clip(np.stack(maps), 0, 1).astype(np.float32)


def sampled(maps: np.ndarray, shape: tuple[int, ...], box: Box, size: tuple[int, int, int]) -> Tensor:
    """Trilinear values ``[C, *size]`` of maps over a whole CT on a grid that divides a box of it.

    Args:
        maps: ``[C, D, H, W]``; they cover the extent of the CT.
        shape: voxels of the CT.
        box: half-open, in voxels of the CT.
        size: points along each axis, at the middles of equal parts of the box.
    """
    axes = [
        torch.from_numpy((2 * (a + (np.arange(m) + 0.5) * (b - a) / m) / n - 1).astype(np.float32))
        for a, b, m, n in zip(box.lo, box.hi, size, shape, strict=True)
    ]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)[None]
    values = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))[None]
    return F.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)[0]


@torch.inference_mode()
def look_closer(
    net: Refiner,
    ct: CTVolume,
    coarse: CoarseMap,
    structure: str,
    box: Box,
    device: torch.device,
    cancel: threading.Event | None = None,
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Probability of a structure's kind in a box of a CT, float32 on the refiner's grid over the extent of the box.

    Args:
        net: in eval mode, on ``device``.
        ct: the scan.
        coarse: what the localiser gave for it.
        structure: id; its kind is one of the network's.
        box: half-open, in voxels of the CT.
        device: where to compute.
        cancel: set it to stop before the next patch.
        progress: called with the share done.

    Raises:
        Cancelled: ``cancel`` was set.
    """
    config = net.config
    kind = config.kinds.index(kind_of(structure))
    size = grid_size(box.size, ct.spacing_mm, config.spacing_mm)
    hu = resample(torch.from_numpy(ct.hu[box.slices].astype(np.float32)), size)
    told = sampled(coarse_of_kinds(coarse, config.kinds), ct.shape, box, size)
    # A crop smaller than a patch is filled up with what lies beyond a scan: air, and nothing of any kind.
    short = [max(0, config.patch - n) for n in size]
    pad = [m for n in reversed(short) for m in (n // 2, n - n // 2)]
    maps = crop_maps(F.pad(hu[None], pad, value=OUTSIDE_HU), F.pad(told[None], pad))
    step = config.patch * (1 - config.overlap)
    total = int(np.prod([max(1, np.ceil((n - config.patch) / step) + 1) for n in maps.shape[2:]]))
    done = 0

    def predict(patches: Tensor) -> Tensor:
        nonlocal done
        if cancel is not None and cancel.is_set():
            raise Cancelled("Stopped while looking closer.")
        logits = net(patches.contiguous(memory_format=torch.channels_last_3d))[:, kind : kind + 1]
        done += patches.shape[0]
        if progress:
            progress(min(1.0, done / total))
        return logits.float()

    logits = over_patches(predict, maps, config.patch, config.overlap, device)[0, 0]
    inner = tuple(slice(n // 2, n // 2 + m) for n, m in zip(short, size, strict=True))
    return logits[inner].sigmoid().numpy()
