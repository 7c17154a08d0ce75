"""Lengths, angles and regions of interest that a person drew in the viewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ExportError
from .volume import CTVolume

PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}  # and the axis through their slices
REGIONS = ("circle", "rectangle", "sphere")
PLACES = {"line": 2, "angle": 3, "axes": 4} | dict.fromkeys(REGIONS, 2)  # that each kind is given by
_ON_SLICE = 1e-3  # voxels


class Region(NamedTuple):
    """Values in a circle, rectangle or sphere.

    Attributes:
        voxels: how many.
        mean: of their HU.
        sd: population standard deviation.
        least: lowest HU.
        most: highest HU.
        p5, median, p95: percentiles of the HU, between values linearly.
        area_mm2: of a circle or rectangle, as its voxels cover it.
        volume_ml: of a sphere, likewise.
    """

    voxels: int
    mean: float
    sd: float
    least: float
    most: float
    p5: float
    median: float
    p95: float
    area_mm2: float | None
    volume_ml: float | None


@dataclass(frozen=True)
class Length:
    """What was drawn on one slice: a line, an angle, two axes, or a region.

    A region is a circle or a rectangle on the slice, or a sphere with its centre on it.

    Attributes:
        plane: ``"axial"``, ``"coronal"`` or ``"sagittal"``.
        slice: index of the slice along the plane's axis, from 0.
        start: one end, the centre of a circle or sphere, or a corner of a rectangle; continuous voxel indices
            ``(i, j, k)`` from 0; a whole number is a voxel's centre.
        end: the other end, a place on the rim, the opposite corner, or the vertex of an angle.
        kind: of ``PLACES``.
        name: that a person gave it, or "".
        more: the end of an angle's second arm; both ends of the second of two axes.
    """

    plane: str
    slice: int
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    kind: str = "line"
    name: str = ""
    more: tuple[tuple[float, float, float], ...] = ()

    @property
    def places(self) -> tuple[tuple[float, float, float], ...]:
        """All that it is given by."""
        return (self.start, self.end, *self.more)

    def mm(self, ct: CTVolume) -> float:
        """Length of the line, the first arm or axis or the diagonal, or radius of the region, in mm."""
        return self._apart(ct, self.start, self.end)

    def second_mm(self, ct: CTVolume) -> float | None:
        """Length of the second of two axes in mm."""
        return self._apart(ct, *self.more) if self.kind == "axes" else None

    def degrees(self, ct: CTVolume) -> float | None:
        """Of an angle, from 0 to 180; 0 where an arm has no length."""
        if self.kind != "angle":
            return None
        first, vertex, second = ct.ijk_to_ras_mm(np.array(self.places))
        one, other = first - vertex, second - vertex
        both = np.linalg.norm(one) * np.linalg.norm(other)
        return float(np.degrees(np.arccos(np.clip(one @ other / both, -1, 1)))) if both else 0.0

    @staticmethod
    def _apart(ct: CTVolume, a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
        start, end = ct.ijk_to_ras_mm(np.array([a, b]))
        return float(np.linalg.norm(end - start))

    def region(self, ct: CTVolume) -> Region:
        """What is measured in a region: of a rectangle the voxels whose centres lie between its corners, else those
        whose centres lie at most the radius from its centre.

        A circle or rectangle holds voxels of its slice only. A region so small that it holds no centre is the voxel it
        lies in.
        """
        axis, centre, half = PLANES[self.plane], np.array(self.start), np.zeros(3)
        if self.kind == "rectangle":
            centre, half = (centre + self.end) / 2, np.abs(centre - self.end) / 2 + 1e-6
            half[axis] = 1
        radius, flat = self.mm(ct), self.kind != "sphere"
        reach = (half if half.any() else radius / np.array(ct.spacing_mm)) + 1
        low = np.clip(np.floor(centre - reach).astype(int), 0, None)
        high = np.clip(np.ceil(centre + reach).astype(int) + 1, None, ct.shape)
        if flat:
            low[axis], high[axis] = self.slice, self.slice + 1
        grid = np.stack(np.meshgrid(*(np.arange(l, h) for l, h in zip(low, high, strict=True)), indexing="ij"), -1)
        far = np.linalg.norm((grid - centre) @ ct.affine[:3, :3].T, axis=-1)
        inside = (np.abs(grid - centre) <= half).all(axis=-1) if self.kind == "rectangle" else far <= radius + 1e-06
        if not inside.any():
            inside = far == far.min()
        hu = ct.hu[tuple(slice(l, h) for l, h in zip(low, high, strict=True))][inside].astype(np.float64)
        size = len(hu) * ct.voxel_volume_ml
        area = size * 1000 / ct.spacing_mm[axis] if flat else None
        between = np.percentile(hu, (5, 50, 95))
        return Region(len(hu), hu.mean(), hu.std(), hu.min(), hu.max(), *between, area, None if flat else size)

    def check(self, ct: CTVolume) -> Length:
        """Itself, if it lies on a slice of the scan.

        Raises:
            ExportError: it does not; a number is not finite; or there is no such plane.
        """
        if len(self.places) != PLACES.get(self.kind):
            raise ExportError("A measurement is a line, an angle, two axes or a region; one of these is not.")
        if self.plane not in PLANES:
            raise ExportError("A length lies in an axial, coronal or sagittal plane; one of these does not.")
        axis, ends = PLANES[self.plane], np.array(self.places, dtype=np.float64)
        if ends.shape != (len(self.places), 3) or not np.isfinite(ends).all():
            raise ExportError("The ends of a length are places in the scan; those of one are not numbers.")
        edge = np.array(ct.shape) - 0.5
        if (ends < -0.5 - _ON_SLICE).any() or (ends > edge + _ON_SLICE).any():
            raise ExportError("A length reaches out of the scan. Remove it, or draw it again on this scan.")
        if not 0 <= self.slice < ct.shape[axis] or (np.abs(ends[:, axis] - self.slice) > _ON_SLICE).any():
            raise ExportError("Both ends of a length lie on its slice; those of one do not. Draw it again.")
        return self
