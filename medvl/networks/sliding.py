"""A network over a volume that is larger than it sees at once: overlapping patches, mixed by Gaussian weights.

It gives what MONAI's ``sliding_window_inference`` gives (``mode="gaussian"``, one patch at a time), whose import takes
longer than a scan does; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMA = 0.125  # of the weights, as a share of the patch
LEAST = 1e-3  # weight, so that a voxel which only the rim of a patch has is not divided by nothing


def starts(extent: int, patch: int, overlap: float) -> list[int]:
    """Where patches begin along an axis of ``extent`` voxels; the last one ends with it."""
    step = max(1, int(patch * (1 - overlap)))
    count = 1 + max(0, -(-(extent - patch) // step))
    return [min(n * step, extent - patch) for n in range(count)]


def over_patches(
    predict: Callable[[Tensor], Tensor], maps: Tensor, patch: int, overlap: float, device: torch.device
) -> Tensor:
    """Mix what is said of all patches.

    Args:
        predict: of a patch ``[1, C, patch, patch, patch]`` on ``device``: ``[1, N, patch, patch, patch]``.
        maps: ``[1, C, D, H, W]``; an axis that is shorter than a patch goes on beyond its ends as it ends.
        patch: voxels of a patch along each axis.
        overlap: share of a patch that neighbours share.
        device: of the network.

    Returns:
        ``[1, N, D, H, W]`` on the CPU.
    """
    extent = maps.shape[2:]
    short = [max(0, patch - n) for n in extent]
    if any(short):
        maps = F.pad(maps, [m for n in reversed(short) for m in (n // 2, n - n // 2)], mode="replicate")
    line = torch.exp(torch.arange(-(patch - 1) / 2, patch / 2) ** 2 / (-2 * (SIGMA * patch) ** 2))
    weight = line[:, None, None] * line[:, None] * line
    weight = weight.clamp(min=max(float(weight.min()), LEAST))
    mixed, total = None, torch.zeros(maps.shape[2:])
    for corner in product(*(starts(n, patch, overlap) for n in maps.shape[2:])):
        place = (..., *(slice(a, a + patch) for a in corner))
        said = (predict(maps[place].to(device)) * weight.to(device)).cpu()
        if mixed is None:
            mixed = torch.zeros(1, said.shape[1], *maps.shape[2:])
        mixed[place] += said
        total[place] += weight
    inner = (..., *(slice(n // 2, n // 2 + m) for n, m in zip(short, extent, strict=True)))
    return (mixed / total)[inner]
