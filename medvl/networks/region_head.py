"""Which regions of the body a CT shows, slice by slice: head, neck, chest, abdomen, pelvis, limb.

A localiser that was trained on torsos and necks finds a liver in a thigh: it has to put every voxel somewhere. What
tells a thigh is not one voxel but the slice: how large the body is, how much of it is bone, fat and air, how the bones
lie, and which structures the localiser believes to see together. The head reads such descriptors of every slice of the
coarse grid, with their means over the slices round it, and gives every region's probability there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from .localiser import CoarseMap

REGIONS = ("head", "neck", "chest", "abdomen", "pelvis", "limb")
TISSUES = (
    (-1100, -950),
    (-950, -500),
    (-500, -150),
    (-150, -30),
    (-30, 20),
    (20, 90),
    (90, 200),
    (200, 700),
    (700, 4000),
)
AROUND_MM = (24.0, 72.0)  # half lengths of the stretches of the body that a slice is seen in
SHAPES = 14  # descriptors of a slice beside tissues and structures


@dataclass(frozen=True)
class RegionConfig:
    """Shape of the head.

    Attributes:
        structures: ids of the localiser whose areas it reads, in order.
        hidden: units of its hidden layer.
        limit: probability from which on a region counts as seen on a slice.
    """

    structures: tuple[str, ...] = ()
    hidden: int = 32
    limit: float = 0.5

    @property
    def inputs(self) -> int:
        """Descriptors of a slice."""
        return (SHAPES + len(TISSUES) + 2 * len(self.structures)) * (1 + len(AROUND_MM))


class RegionHead(nn.Module):
    """Descriptors of a slice -> logits of the regions; a perceptron with one hidden layer."""

    def __init__(self, config: RegionConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.inputs))
        self.register_buffer("scale", torch.ones(config.inputs))
        self.hidden = nn.Linear(config.inputs, config.hidden)
        self.drop = nn.Dropout(0.3)
        self.logits = nn.Linear(config.hidden, len(REGIONS))

    def forward(self, descriptors: Tensor) -> Tensor:
        """Logits ``[K, regions]`` of descriptors ``[K, inputs]``."""
        x = ((descriptors - self.mean) / self.scale).clamp(-4, 4)
        return self.logits(self.drop(torch.relu(self.hidden(x))))


@torch.inference_mode()
def regions_of(head: RegionHead, coarse: CoarseMap) -> np.ndarray:
    """Probability of every region on every axial slice of the coarse grid, float32 ``[regions, K]``, smoothed over
    three slices; all 0 where nothing of a body is seen.
    """
    found = descriptors(coarse, head.config.structures)
    device = head.mean.device
    probability = head(torch.from_numpy(found).to(device)).sigmoid().float().cpu().numpy().T
    return ndimage.uniform_filter1d(probability, 3, axis=1, mode="nearest")


def descriptors(coarse: CoarseMap, structures: tuple[str, ...]) -> np.ndarray:
    """What a slice looks like, float32 ``[K, inputs]``.

    Args:
        coarse: with its HU.
        structures: whose areas are read.

    Raises:
        ValueError: the map has no HU.
    """
    if coarse.hu is None:
        raise ValueError("The coarse map was made without its HU.")
    area = coarse.spacing_mm[0] * coarse.spacing_mm[1] / 100  # cm2 of a pixel
    rows = [_slice(coarse, k, area) for k in range(coarse.body.shape[2])]
    seen = [coarse.of(s) for s in structures]
    areas = np.stack([(p > 0.5).sum((0, 1)) for p in seen], 1) * area if seen else np.zeros((len(rows), 0))
    beliefs = np.stack([p.sum((0, 1)) for p in seen], 1) * area if seen else np.zeros((len(rows), 0))
    here = np.concatenate((np.array(rows), np.log1p(areas), np.log1p(beliefs)), 1)
    spread = [2 * round(mm / coarse.spacing_mm[2]) + 1 for mm in AROUND_MM]
    return np.concatenate([here, *(_mean(here, n) for n in spread)], 1).astype(np.float32)


def _slice(coarse: CoarseMap, k: int, area: float) -> list[float]:
    """Shape and tissues of a slice; ``area`` of a pixel in cm2."""
    hu, body = coarse.hu[:, :, k], coarse.body[:, :, k]
    count = int(body.sum())
    if count < 8:
        return [0.0] * (SHAPES + len(TISSUES))
    i, j = np.nonzero(body)
    width, depth = ((v.max() - v.min() + 1) * mm for v, mm in ((i, coarse.spacing_mm[0]), (j, coarse.spacing_mm[1])))
    edge = np.zeros_like(body)
    edge[[0, -1]] = edge[:, [0, -1]] = True
    pieces, number = ndimage.label(body)
    values = hu[body]
    bone = body & (hu > 200)
    bones, bone_number = ndimage.label(bone)
    filled = ndimage.binary_fill_holes(bone)
    inner = ndimage.distance_transform_edt(body) * coarse.spacing_mm[0]
    sizes = np.bincount(bones.ravel())[1:] if bone_number else np.zeros(1)
    return [
        np.log(count * area),
        width / 300,
        depth / 300,
        count * coarse.spacing_mm[0] * coarse.spacing_mm[1] / (width * depth),
        float((body & edge).sum()) / float(edge.sum()),
        float(np.bincount(pieces.ravel())[1:].max()) / count,
        float(np.log1p(number)),
        float(np.log1p(bone.sum() * area)),
        float(np.log1p(bone_number)),
        float(sizes.max()) * area / 20,
        float(np.log1p((filled & ~bone).sum() * area)),  # a skull's ring holds much
        float(inner[bone].mean()) / 50 if bone.any() else 0.0,
        float(inner.max()) / 100,
        float(values.std()) / 300,
        *(float(((values >= low) & (values < high)).mean()) for low, high in TISSUES),
    ]


def _mean(rows: np.ndarray, count: int) -> np.ndarray:
    """Mean over ``count`` slices centred on each, over those that there are."""
    weight = ndimage.uniform_filter1d(np.ones(len(rows)), count, mode="constant")
    return ndimage.uniform_filter1d(rows, count, axis=0, mode="constant") / weight[:, None]
