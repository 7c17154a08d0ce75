"""The detail head: further structures, read off the features of the frozen localiser and what it found round a voxel.

The localiser was trained on many scans, the head on the two whose labels name these structures: it is small, since the
features already tell tissue and the distances to known organs already tell place. Its classes have no sides; a pair is
divided at the midline of the body.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor, nn

from ..ct.volume import CTVolume
from .localiser import CoarseMap, Localiser, slide

# Groups of structures that a voxel's place is told by: how far, and which way, the nearest voxel of each lies.
LANDMARKS: tuple[tuple[str, ...], ...] = (
    ("right_lung", "left_lung"), ("vertebral_column",), ("other_bone",), ("liver",), ("heart",), ("spleen",),
    ("right_kidney", "left_kidney"), ("stomach",), ("urinary_bladder",), ("aorta",), ("inferior_vena_cava",),
)  # fmt: skip
FAR_MM = 120.0  # what lies farther away is as good as not there


@dataclass(frozen=True)
class DetailConfig:
    """Shape of the head.

    Attributes:
        classes: names in the order of its outputs, without sides; the background comes first and is not named here.
        inputs: channels of the localiser's features at 1, 2, 4 and 8 times its spacing.
        around: channels of ``surroundings``.
        widths: channels of its two hidden layers.
        offered: ids of ``detail_masks.DETAILS`` that were found well enough to be offered by name.
    """

    classes: tuple[str, ...] = ()
    inputs: tuple[int, ...] = (24, 48, 112, 224)
    around: int = 0
    widths: tuple[int, ...] = (96, 64)
    offered: tuple[str, ...] = ()


class DetailHead(nn.Module):
    """Every voxel by itself: features of all levels and its surroundings -> two hidden layers -> logits."""

    def __init__(self, config: DetailConfig) -> None:
        super().__init__()
        self.config = config
        first, second = config.widths
        self.gather = nn.ModuleList(nn.Conv3d(n, first, 1, bias=False) for n in config.inputs)
        self.around = nn.Conv3d(config.around, first, 1)
        self.hidden = nn.Conv3d(first, second, 1)
        self.logits = nn.Conv3d(second, 1 + len(config.classes), 1)

    def forward(self, levels: tuple[Tensor, ...], around: Tensor) -> Tensor:
        """Logits ``[B, 1 + classes, D, H, W]``.

        Args:
            levels: ``Localiser.pyramid`` of a patch ``[B, *, D, H, W]``.
            around: ``surroundings`` of the patch ``[B, around, D, H, W]``.
        """
        x = self.around(around)
        for gather, level in zip(self.gather, levels, strict=True):  # 1x1x1: before the upsampling is cheaper
            x = x + F.interpolate(gather(level), x.shape[2:], mode="trilinear", align_corners=False)
        return self.logits(F.leaky_relu(self.hidden(F.leaky_relu(x, 0.01)), 0.01))


def surroundings(coarse: CoarseMap) -> np.ndarray:
    """What the localiser found at and round every voxel: float32 ``[channels, D, H, W]``.

    Its probabilities; of every landmark the distance, and the way to the nearest voxel forward and headward; the
    distance from the midline, to the body's surface, and forward from the column. Distances count in ``FAR_MM``, at
    most 1. Nothing tells left from right.
    """
    shape = coarse.body.shape
    maps = [*coarse.probability[1:].astype(np.float32)]
    index = np.indices(shape, dtype=np.float32)
    for group in LANDMARKS:
        known = [coarse.of(name) > 0.5 for name in group if name in coarse.structures]
        mask = np.any(known, axis=0) if known else np.zeros(shape, bool)
        if mask.sum() < 8:
            maps += [np.ones(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.float32)]
            continue
        distance, nearest = ndimage.distance_transform_edt(~mask, sampling=coarse.spacing_mm, return_indices=True)
        maps.append(np.minimum(distance / FAR_MM, 1))
        near = distance < FAR_MM
        maps += [(nearest[a] - index[a]) * coarse.spacing_mm[a] / FAR_MM * near for a in (1, 2)]
    line = midline(coarse)
    maps.append(np.minimum(np.abs(index[0] - line) * coarse.spacing_mm[0] / FAR_MM, 2))
    bare = coarse.body.all()  # no surface in view, which SciPy's distance is not defined for
    maps.append(
        np.ones(shape) if bare else ndimage.distance_transform_edt(coarse.body, sampling=coarse.spacing_mm) / FAR_MM
    )
    column = coarse.of("vertebral_column") > 0.5 if "vertebral_column" in coarse.structures else coarse.body
    column = column if column.any() else coarse.body
    depth = float(np.median(np.nonzero(column)[1])) if column.any() else shape[1] / 2
    maps.append(np.clip((index[1] - depth) * coarse.spacing_mm[1] / FAR_MM, -2, 2))
    return np.stack(maps).astype(np.float32)


def midline(coarse: CoarseMap) -> np.ndarray:
    """Coarse index i of the body's middle in every axial slice, float ``[K]``: of the vertebral column, else the body.

    Where the column is not seen the nearest slice's middle holds.
    """
    count = coarse.body.shape[2]
    column = coarse.of("vertebral_column") > 0.5 if "vertebral_column" in coarse.structures else coarse.body & False
    seen = np.flatnonzero(column.sum((0, 1)) > 4)
    if seen.size == 0:
        return np.full(count, np.median(np.nonzero(coarse.body)[0]) if coarse.body.any() else column.shape[0] / 2)
    middle = [np.median(np.nonzero(column[:, :, k])[0]) for k in seen]
    return ndimage.gaussian_filter1d(np.interp(np.arange(count), seen, middle), 3.0, mode="nearest")


def locate_details(
    net: Localiser,
    head: DetailHead,
    ct: CTVolume,
    coarse: CoarseMap,
    device: torch.device,
    cancel: threading.Event | None = None,
    progress: Callable[[float], None] | None = None,
) -> CoarseMap:
    """Probabilities of the head's classes over a CT.

    Args:
        net: the localiser, in eval mode, on ``device``.
        head: the same.
        ct: the scan.
        coarse: what the localiser gave for it.
        device: where to compute.
        cancel: set it to stop before the next patch.
        progress: called with the share done.

    Raises:
        Cancelled: ``cancel`` was set.
    """

    def look(patch: Tensor) -> Tensor:
        maps, around = patch.split((patch.shape[1] - head.config.around, head.config.around), dim=1)
        return head(net.pyramid(maps), around)

    around = torch.from_numpy(surroundings(coarse))
    return slide(look, head.config.classes, net.config, ct, device, cancel, progress, around)
