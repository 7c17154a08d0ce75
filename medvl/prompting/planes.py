"""Bookkeeping between volume, plane and network canvas: ``PlaneFrame``, ``CanvasWindow``, ``Patch``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from ..ct.prompts import Box
from ..ct.volume import CTVolume
from ..networks.propagator import PropagatorConfig

LOGIT_SCALE = 16.0  # logits are kept as int8 in steps of 1/16


@dataclass(frozen=True, eq=False)
class Patch:
    """Probability of an object on one slice: int8 logits (times ``LOGIT_SCALE``) in a window of the plane."""

    row: int
    column: int
    logits: np.ndarray

    @classmethod
    def from_logits(cls, logits: np.ndarray) -> Patch | None:
        """Crop full-plane logits to where they matter; None when nothing is positive."""
        rows, cols = np.flatnonzero((logits > 0).any(1)), np.flatnonzero((logits > 0).any(0))
        if rows.size == 0:
            return None
        r0, r1 = max(0, rows[0] - 6), rows[-1] + 7
        c0, c1 = max(0, cols[0] - 6), cols[-1] + 7
        block = np.clip(np.round(logits[r0:r1, c0:c1] * LOGIT_SCALE), -127, 127).astype(np.int8)
        block[(logits[r0:r1, c0:c1] > 0) & (block <= 0)] = 1
        return cls(int(r0), int(c0), block)

    def full_logits(self, shape: tuple[int, int]) -> np.ndarray:
        """Float32 logits on the whole plane, -8 outside the window."""
        full = np.full(shape, -8.0, dtype=np.float32)
        h, w = self.logits.shape
        full[self.row : self.row + h, self.column : self.column + w] = self.logits / LOGIT_SCALE
        return full

    def full_mask(self, shape: tuple[int, int]) -> np.ndarray:
        """Bool mask on the whole plane."""
        full = np.zeros(shape, dtype=bool)
        h, w = self.logits.shape
        full[self.row : self.row + h, self.column : self.column + w] = self.logits > 0
        return full

    def within(self, region: np.ndarray) -> Patch | None:
        """What lies in a region, bool ``(row, column)`` of the whole plane; None when that is nothing."""
        logits = self.full_logits(region.shape)
        return Patch.from_logits(np.where(region, logits, np.minimum(logits, -1.0)))

    @staticmethod
    def blend(new: Patch | None, old: Patch | None, weight: float, shape: tuple[int, int]) -> Patch | None:
        """Mix two predictions of a slice, ``weight`` for the new one; None stands for "not here"."""
        if new is None and old is None:
            return None
        a = new.full_logits(shape) if new else np.full(shape, -4.0, np.float32)
        b = old.full_logits(shape) if old else np.full(shape, -4.0, np.float32)
        return Patch.from_logits(weight * np.clip(a, -4, 4) + (1 - weight) * np.clip(b, -4, 4))


@dataclass(frozen=True)
class CanvasWindow:
    """A square of a plane resampled to the network's canvas, and back."""

    shape: tuple[int, int]
    centre_px: tuple[float, float]
    side_mm: float
    pixel_size_mm: tuple[float, float]
    canvas: int

    @property
    def pixel_mm(self) -> float:
        """Canvas pixel in mm."""
        return self.side_mm / self.canvas

    def _theta(self) -> Tensor:
        scale, shift = [], []
        for centre, size, n in zip(self.centre_px, self.pixel_size_mm, self.shape, strict=True):
            half = max(n - 1, 1) / 2
            scale.append(self.side_mm / size / 2 / half)
            shift.append(centre / half - 1)
        return torch.tensor([[[scale[1], 0.0, shift[1]], [0.0, scale[0], shift[0]]]], dtype=torch.float32)

    def sample(self, plane: Tensor, outside: float) -> Tensor:
        """Plane ``[H, W]`` -> canvas ``[C, C]``, bilinear; ``outside`` beyond the plane."""
        grid = F.affine_grid(self._theta(), (1, 1, self.canvas, self.canvas), align_corners=True)
        return F.grid_sample((plane - outside)[None, None], grid, align_corners=True)[0, 0] + outside

    def to_canvas(self, row: float, column: float) -> tuple[float, float]:
        """Plane pixel -> canvas pixel (row, column)."""
        step = [self.side_mm / (self.canvas - 1) / size for size in self.pixel_size_mm]
        return tuple(
            (value - centre) / s + (self.canvas - 1) / 2
            for value, centre, s in zip((row, column), self.centre_px, step, strict=True)
        )

    def restore(self, logits: Tensor) -> np.ndarray:
        """Canvas logits ``[C, C]`` -> full plane, -8 outside the window."""
        full = np.full(self.shape, -8.0, dtype=np.float32)
        half = [self.side_mm / size / 2 for size in self.pixel_size_mm]
        spans = []
        for centre, reach, n in zip(self.centre_px, half, self.shape, strict=True):
            spans.append((max(0, int(np.ceil(centre - reach))), min(n, int(np.floor(centre + reach)) + 1)))
        (r0, r1), (c0, c1) = spans
        rows = torch.linspace(r0, r1 - 1, r1 - r0).sub(self.centre_px[0]).div(half[0])
        cols = torch.linspace(c0, c1 - 1, c1 - c0).sub(self.centre_px[1]).div(half[1])
        grid = torch.stack(torch.meshgrid(rows, cols, indexing="ij")[::-1], dim=-1)[None]
        window = F.grid_sample(logits[None, None], grid, align_corners=True, padding_mode="border")[0, 0]
        full[r0:r1, c0:c1] = window.numpy()
        return full


@dataclass(frozen=True)
class PlaneFrame:
    """Planes along one axis of a CT: sizes in pixels and mm, and voxel <-> pixel."""

    axis: int
    volume_shape: tuple[int, int, int]
    pixel_size_mm: tuple[float, float]

    @classmethod
    def of(cls, ct: CTVolume, axis: int) -> PlaneFrame:
        """Frame of the planes with normal ``axis``."""
        across, along = [a for a in range(3) if a != axis]
        return cls(axis, ct.shape, (ct.spacing_mm[along], ct.spacing_mm[across]))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        across, along = [a for a in range(3) if a != self.axis]
        return self.volume_shape[along], self.volume_shape[across]

    @property
    def pixel_area_mm2(self) -> float:
        """Area of a pixel."""
        return self.pixel_size_mm[0] * self.pixel_size_mm[1]

    def pixel(self, ijk: tuple[int, int, int]) -> tuple[int, int]:
        """Voxel -> (row, column)."""
        across, along = [a for a in range(3) if a != self.axis]
        return self.volume_shape[along] - 1 - int(ijk[along]), self.volume_shape[across] - 1 - int(ijk[across])

    def rect(self, box: Box) -> tuple[int, int, int, int]:
        """Half-open voxel box -> half-open pixels ``(r0, c0, r1, c1)``."""
        across, along = [a for a in range(3) if a != self.axis]
        rows, cols = self.volume_shape[along], self.volume_shape[across]
        return rows - box.hi[along], cols - box.hi[across], rows - box.lo[along], cols - box.lo[across]

    def to_volume_slice(self, mask: np.ndarray) -> np.ndarray:
        """Plane ``(row, column)`` -> the volume's two remaining axes in their order."""
        return from_plane(mask)

    def disc(self, row: int, column: int, radius_mm: float) -> np.ndarray:
        """Bool plane, True within ``radius_mm`` of a pixel."""
        rows = (np.arange(self.shape[0]) - row)[:, None] * self.pixel_size_mm[0]
        cols = (np.arange(self.shape[1]) - column)[None, :] * self.pixel_size_mm[1]
        return rows**2 + cols**2 <= radius_mm**2

    def connected(self, mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
        """Components of ``mask`` that overlap ``seed``; the largest one if none does."""
        labels, count = ndimage.label(mask)
        if count <= 1:
            return mask
        keep = np.unique(labels[seed & mask])
        keep = keep[keep > 0]
        if keep.size == 0:
            keep = [np.bincount(labels.ravel())[1:].argmax() + 1]
        return np.isin(labels, keep)

    def window(self, patch: Patch, points: tuple, config: PropagatorConfig) -> CanvasWindow:
        """Square round a patch's mask and points with the margin the network was trained on."""
        rows, cols = np.flatnonzero((patch.logits > 0).any(1)), np.flatnonzero((patch.logits > 0).any(0))
        r = [patch.row + rows[0], patch.row + rows[-1], *(p[0] for p in points)]
        c = [patch.column + cols[0], patch.column + cols[-1], *(p[1] for p in points)]
        spans = ((min(r), max(r)), (min(c), max(c)))
        extent = max((b - a + 1) * size for (a, b), size in zip(spans, self.pixel_size_mm, strict=True))
        side = extent * config.margin + 2 * config.min_margin_mm
        return CanvasWindow(
            self.shape,
            tuple((a + b) / 2 for a, b in spans),
            float(side),
            self.pixel_size_mm,
            config.canvas_px,
        )


def to_plane(volume: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Slice ``index`` along ``axis`` of ``(i, j, k)`` as a view ``(row, column)`` in radiological display order."""
    return np.moveaxis(volume, axis, 0)[index][::-1, ::-1].T


def from_plane(plane: np.ndarray) -> np.ndarray:
    """Inverse of ``to_plane``: ``(row, column)`` -> the two remaining volume axes in their order."""
    return plane.T[::-1, ::-1]
