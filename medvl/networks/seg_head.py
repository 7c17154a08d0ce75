"""From a [SEG] token to a mask: where in the volume, and a prompt for SAM 2 there.

The hidden state at [SEG] goes two ways. A two-layer projection (as in LISA, arXiv 2308.00692, and Sa2VA, arXiv
2501.04001) turns it into a point-like prompt in SAM 2's 256-d space. A second one turns it into a query that is
compared with an embedding of every coarse voxel; the similarity is a coarse 3-D probability, which gives the key slice,
the slices that the object reaches, and a dense prompt for each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from scipy import special
from torch import Tensor, nn

from ..errors import WeightsError

if TYPE_CHECKING:
    pass

PRESENT = 0.5  # coarse probability from which a voxel counts as the object's
DENSE_LIMIT = 8.0  # logits of the dense prompt stay within; SAM 2's own masks lie in about this range


@dataclass(frozen=True)
class SegTokenConfig:
    """Shape of the [SEG] head.

    Attributes:
        hidden_dim: of the language model.
        channels: of the encoder's stages whose maps are used, finest first.
        voxel_dim: of the voxel embeddings and the query.
        prompt_dim: of SAM 2's prompts.
    """

    hidden_dim: int
    channels: tuple[int, ...] = (192, 384, 768)
    voxel_dim: int = 64
    prompt_dim: int = 256

    def stages(self, encoder_channels: Sequence[int]) -> slice:
        """Which of the encoder's maps the head reads: neighbouring stages with these channels, the coarsest if several.

        Args:
            encoder_channels: of all stages, finest first.

        Raises:
            WeightsError: the encoder has no such stages.
        """
        count, every = len(self.channels), tuple(encoder_channels)
        for first in range(len(every) - count, -1, -1):
            if every[first : first + count] == self.channels:
                return slice(first, first + count)
        raise WeightsError(
            f"The [SEG] head reads maps of {self.channels} channels and the encoder has {every}. Use the files of one "
            "release together."
        )


class SegHead(nn.Module):
    """Projections of the [SEG] state and of the encoder's maps."""

    def __init__(self, config: SegTokenConfig) -> None:
        super().__init__()
        self.config = config
        hidden, dim = config.hidden_dim, config.voxel_dim
        self.prompt = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, config.prompt_dim))
        self.query = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.lateral = nn.ModuleList(nn.Conv3d(c, dim, 1) for c in config.channels)
        self.mix = nn.Sequential(nn.GELU(), nn.Conv3d(dim, dim, 3, padding=1))
        # Few voxels are the object's: start from "not here" (the prior of focal loss, arXiv 1708.02002).
        self.bias = nn.Parameter(torch.tensor(-4.0))

    def voxels(self, maps: list[Tensor]) -> Tensor:
        """Voxel embeddings ``[B, E, D', H', W']`` on the finest of the maps, each ``[B, C, D', H', W']``."""
        if len(maps) != len(self.lateral):
            raise ValueError(f"{len(maps)} maps, and the head was built for {len(self.lateral)}.")
        grid = maps[0].shape[2:]
        total = sum(
            F.interpolate(lateral(m), grid, mode="trilinear", align_corners=False)
            for lateral, m in zip(self.lateral, maps, strict=True)
        )
        return total + self.mix(total)

    def coarse_logits(self, states: Tensor, voxels: Tensor) -> Tensor:
        """Coarse 3-D logits of several [SEG] states in one volume.

        Args:
            states: ``[N, hidden_dim]``.
            voxels: ``[E, D', H', W']`` of one volume.

        Returns:
            ``[N, D', H', W']``.
        """
        return self.compared(self.query(states), voxels)

    def compared(self, query: Tensor, voxels: Tensor) -> Tensor:
        """Coarse logits ``[N, D', H', W']`` of queries ``[N, voxel_dim]`` in one volume, see ``coarse_logits``."""
        return torch.einsum("ne,edhw->ndhw", query, voxels) * self.config.voxel_dim**-0.5 + self.bias

    def prompts(self, states: Tensor) -> Tensor:
        """Sparse prompts ``[N, 1, prompt_dim]`` for SAM 2."""
        return self.prompt(states)[:, None]


@dataclass(frozen=True, eq=False)
class Localisation:
    """Where an object is, on the grid of a CT.

    Attributes:
        key: index of the slice that holds most of it.
        first: first slice that it reaches.
        last: last slice that it reaches.
        limits: half-open range of slices in which its ends lie: half a coarse slice more on either side, because a
            coarse slice that an end fills by less than half counts as empty.
        logits: coarse logits of the slices ``first`` to ``last``, ``[slices, rows, columns]`` of the coarse grid.
    """

    key: int
    first: int
    last: int
    limits: tuple[int, int]
    logits: np.ndarray

    def dense(self, index: int, shape: tuple[int, int], widened: int = 0) -> np.ndarray:
        """Logits of a slice, resampled from the coarse grid.

        Args:
            index: of the slice; one before the first or behind the last looks like that one.
            shape: wanted, ``(rows, columns)``.
            widened: coarse cells by which what is inside grows.
        """
        index = min(max(index, self.first), self.last)
        coarse = torch.from_numpy(self.logits[index - self.first])[None, None]
        coarse = F.max_pool2d(coarse, 2 * widened + 1, 1, widened)
        return F.interpolate(coarse, shape, mode="bilinear", align_corners=False)[0, 0].numpy()


def localise(logits: np.ndarray, slices: int, axis: int = 2) -> Localisation | None:
    """Choose key slice and extent from coarse logits.

    Args:
        logits: ``[i', j', k']`` that span the whole CT along ``axis``.
        slices: of the CT along ``axis``.
        axis: normal of the slices.

    Returns:
        Where the object is; None if nothing reaches ``PRESENT``: it is not in this scan. Of several runs of slices the
        one with the largest sum of probability counts.
    """
    stack = np.moveaxis(logits, axis, 0).astype(np.float32)
    lines = torch.from_numpy(stack).movedim(0, -1)  # [rows, columns, slices']
    fine = F.interpolate(lines, slices, mode="linear", align_corners=False).movedim(-1, 0).numpy()
    probability = special.expit(fine)
    inside = probability >= PRESENT
    on = inside.reshape(slices, -1).any(1)
    if not on.any():
        return None
    mass = np.where(inside, probability, 0).reshape(slices, -1).sum(1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]])))
    first, end = max(zip(edges[::2], edges[1::2], strict=True), key=lambda run: mass[run[0] : run[1]].sum())
    key = int(first + mass[first:end].argmax())
    half = math.ceil(slices / len(stack) / 2)
    limits = max(0, int(first) - half), min(slices, int(end) + half)
    return Localisation(key, int(first), int(end - 1), limits, np.clip(fine[first:end], -DENSE_LIMIT, DENSE_LIMIT))
