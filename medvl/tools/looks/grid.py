"""A coarser copy of a CT, on which what is large (fluid, cavities, lungs) is looked for within a second."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ...ct.masks import Mask
from ...ct.prompts import Box, bounding_box
from ...ct.volume import CTVolume

LOW_HU, HIGH_HU = -1024, 3071


@dataclass(frozen=True, eq=False)
class Grid:
    """Blocks of whole voxels.

    Attributes:
        ct: the fine volume.
        step: voxels of a block along i, j, k.
        hu: float32, mean of each block.
        spacing_mm: edges of a block.
    """

    ct: CTVolume
    step: tuple[int, int, int]
    hu: np.ndarray = field(repr=False)
    spacing_mm: tuple[float, float, float]

    @classmethod
    def of(cls, ct: CTVolume, about_mm: float = 3.0) -> Grid:
        """The grid whose blocks are about ``about_mm`` wide, or a voxel where that is more."""
        step = tuple(max(1, round(about_mm / s)) for s in ct.spacing_mm)
        hu = _means(np.clip(ct.hu, LOW_HU, HIGH_HU), step)
        return cls(ct, step, hu, tuple(s * n for s, n in zip(ct.spacing_mm, step, strict=True)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Blocks along i, j, k."""
        return self.hu.shape

    @property
    def voxel_ml(self) -> float:
        """Volume of a block."""
        return self.ct.voxel_volume_ml * float(np.prod(self.step))

    def down(self, *masks: Mask | None) -> np.ndarray:
        """Blocks that are at least half in any of the masks."""
        out = np.zeros(self.shape, bool)
        for mask in masks:
            if mask is None or mask.box is None:
                continue
            lo = tuple(l // s for l, s in zip(mask.box.lo, self.step, strict=True))
            hi = tuple(-(-h // s) for h, s in zip(mask.box.hi, self.step, strict=True))
            fine = Box(
                tuple(l * s for l, s in zip(lo, self.step, strict=True)),
                tuple(h * s for h, s in zip(hi, self.step, strict=True)),
            )
            share = _means(mask.region(fine), self.step)
            out[tuple(slice(l, h) for l, h in zip(lo, hi, strict=True))] |= share >= 0.5
        return out

    def up(self, blocks: np.ndarray) -> tuple[Box, np.ndarray]:
        """Fine voxels of a bool array of blocks, with a smooth border, and their box.

        The border runs where the linear interpolation between centres of blocks passes one half.

        Raises:
            ValueError: no block is set.
        """
        tight = bounding_box(blocks)
        if tight is None:
            raise ValueError("no block is set")
        lo = [max(0, l - 1) for l in tight.lo]
        hi = [min(n, h + 1) for n, h in zip(self.shape, tight.hi, strict=True)]
        part = blocks[tuple(slice(l, h) for l, h in zip(lo, hi, strict=True))].astype(np.float32)
        box_lo = tuple(l * s for l, s in zip(lo, self.step, strict=True))
        box_hi = tuple(min(n, h * s) for n, h, s in zip(self.ct.shape, hi, self.step, strict=True))
        for axis, (first, step) in enumerate(zip(lo, self.step, strict=True)):
            if step == 1:
                continue
            at = (np.arange(box_lo[axis], box_hi[axis]) + 0.5) / step - 0.5 - first
            at = np.clip(at, 0, part.shape[axis] - 1)
            low = np.minimum(at.astype(int), max(part.shape[axis] - 2, 0))
            weight = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
            high = np.minimum(low + 1, part.shape[axis] - 1)
            part = part.take(low, axis) * (1 - weight) + part.take(high, axis) * weight
        part = part[tuple(slice(0, h - l) for l, h in zip(box_lo, box_hi, strict=True))]
        return Box(box_lo, box_hi), part >= 0.5


def opened(block: np.ndarray, radius_mm: float, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """What a ball of a radius fits into, grown back by the same radius; beyond the array counts as inside."""
    inside = ndimage.distance_transform_edt(np.pad(block, 1, mode="edge"), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    deep = inside > radius_mm
    return grown(deep, radius_mm, spacing_mm) & block


def grown(block: np.ndarray, mm: float, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Voxels within ``mm`` of a bool block."""
    if not block.any():
        return block.copy()
    return ndimage.distance_transform_edt(~block, sampling=spacing_mm) <= mm


def closed(block: np.ndarray, mm: float, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """A bool block closed with a ball of ``mm``."""
    if not block.any():
        return block.copy()
    wide = [int(np.ceil(mm / s)) + 1 for s in spacing_mm]
    padded = np.pad(block, [(w, w) for w in wide])
    near = ndimage.distance_transform_edt(~padded, sampling=spacing_mm) <= mm
    inner = ndimage.distance_transform_edt(near, sampling=spacing_mm) > mm
    return inner[tuple(slice(w, -w) for w in wide)] | block


def _means(array: np.ndarray, step: tuple[int, int, int]) -> np.ndarray:
    """Mean over blocks of whole voxels; what is missing in the last ones repeats the edge."""
    pad = [(0, -n % s) for n, s in zip(array.shape, step, strict=True)]
    if any(p[1] for p in pad):
        array = np.pad(array, pad, mode="edge")
    out = array.astype(np.float32)
    for axis, s in enumerate(step):
        if s > 1:
            shape = out.shape
            out = out.reshape(*shape[:axis], shape[axis] // s, s, *shape[axis + 1 :]).mean(axis=axis + 1)
    return out
