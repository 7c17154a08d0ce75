"""Lengths and regions of interest that a person drew in the viewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ExportError
from .volume import CTVolume

PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}  # and the axis through their slices
KINDS = ("line", "circle", "sphere")
_ON_SLICE = 1e-3  # voxels


class Region(NamedTuple):
    """Values in a circle or sphere.

    Attributes:
        voxels: how many.
        mean: of their HU.
        sd: population standard deviation.
        least: lowest HU.
        most: highest HU.
        area_mm2: of a circle, as its voxels cover it.
        volume_ml: of a sphere, likewise.
    """

    voxels: int
    mean: float
    sd: float
    least: float
    most: float
    area_mm2: float | None
    volume_ml: float | None


@dataclass(frozen=True)
class Length:
    """A straight line on one slice, or a region: a circle on it, or a sphere with its centre on it.

    Attributes:
        plane: ``"axial"``, ``"coronal"`` or ``"sagittal"``.
        slice: index of the slice along the plane's axis, from 0.
        start: one end, or the centre of a region, continuous voxel indices ``(i, j, k)`` from 0; a whole number is a
            voxel's centre.
        end: the other end, or a place on the rim.
        kind: of ``KINDS``.
        name: that a person gave it, or "".
    """

    plane: str
    slice: int
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    kind: str = "line"
    name: str = ""

    def mm(self, ct: CTVolume) -> float:
        """Length of the line, or radius of the region, in mm."""
        start, end = ct.ijk_to_ras_mm(np.array([self.start, self.end]))
        return float(np.linalg.norm(end - start))

    def region(self, ct: CTVolume) -> Region:
        """What is measured in a circle or sphere: the voxels whose centres lie at most the radius from its centre.

        A circle holds voxels of its slice only. A region so small that it holds no centre is the voxel it lies in.
        """
        axis, centre = PLANES[self.plane], np.array(self.start)
        radius = self.mm(ct)
        flat = self.kind == "circle"
        reach = radius / np.array(ct.spacing_mm) + 1
        low = np.clip(np.floor(centre - reach).astype(int), 0, None)
        high = np.clip(np.ceil(centre + reach).astype(int) + 1, None, ct.shape)
        if flat:
            low[axis], high[axis] = self.slice, self.slice + 1
        grid = np.stack(np.meshgrid(*(np.arange(l, h) for l, h in zip(low, high, strict=True)), indexing="ij"), -1)
        far = np.linalg.norm((grid - centre) @ ct.affine[:3, :3].T, axis=-1)
        inside = far <= radius + 1e-6
        if not inside.any():
            inside = far == far.min()
        hu = ct.hu[tuple(slice(l, h) for l, h in zip(low, high, strict=True))][inside].astype(np.float64)
        size = len(hu) * ct.voxel_volume_ml
        area = size * 1000 / ct.spacing_mm[axis] if flat else None
        return Region(len(hu), hu.mean(), hu.std(), hu.min(), hu.max(), area, None if flat else size)

    def check(self, ct: CTVolume) -> Length:
        """Itself, if it lies on a slice of the scan.

        Raises:
            ExportError: it does not; a number is not finite; or there is no such plane.
        """
        if self.kind not in KINDS:
            raise ExportError("A measurement is a line, a circle or a sphere; one of these is not.")
        if self.plane not in PLANES:
            raise ExportError("A length lies in an axial, coronal or sagittal plane; one of these does not.")
        axis, ends = PLANES[self.plane], np.array([self.start, self.end], dtype=np.float64)
        if ends.shape != (2, 3) or not np.isfinite(ends).all():
            raise ExportError("The ends of a length are places in the scan; those of one are not numbers.")
        edge = np.array(ct.shape) - 0.5
        if (ends < -0.5 - _ON_SLICE).any() or (ends > edge + _ON_SLICE).any():
            raise ExportError("A length reaches out of the scan. Remove it, or draw it again on this scan.")
        if not 0 <= self.slice < ct.shape[axis] or (np.abs(ends[:, axis] - self.slice) > _ON_SLICE).any():
            raise ExportError("Both ends of a length lie on its slice; those of one do not. Draw it again.")
        return self
