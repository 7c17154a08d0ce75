"""What is measured on a mask: volume, Hounsfield units, longest diameter, position."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from .prompts import Box
from .volume import CTVolume

PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Measurement:
    """Measurements of one mask on its CT.

    Attributes:
        voxels: number of voxels.
        volume_ml: voxels times the volume of a voxel.
        mean_hu: mean of the Hounsfield units; None when empty, like all that follows, and where the scan has none.
        sd_hu: their population standard deviation.
        longest_diameter_mm: largest distance between two points of the object in 3-D (maximum Feret diameter), from
            voxel face to voxel face: one voxel of 1 x 1 x 5 mm measures 5 mm.
        centroid_ras_mm: mean voxel position in RAS mm; may lie outside a curved object.
        center_ijk: the voxel of the object nearest to the centroid, a place to jump to.
        bounding_box: half-open box in canonical voxels.
        percentiles_hu: of ``PERCENTILES``, between values linearly; None as for the mean.
        slice_range: first and last axial slice ``k`` (canonical, from the feet), both included.
    """

    voxels: int
    volume_ml: float
    mean_hu: float | None = None
    sd_hu: float | None = None
    longest_diameter_mm: float | None = None
    centroid_ras_mm: tuple[float, float, float] | None = None
    center_ijk: tuple[int, int, int] | None = None
    bounding_box: Box | None = None
    slice_range: tuple[int, int] | None = None
    percentiles_hu: tuple[float, ...] | None = None

    @property
    def empty(self) -> bool:
        """True if there was nothing to measure."""
        return self.voxels == 0

    def to_dict(self) -> dict:
        """Plain numbers, lists and None, ready for JSON; the box as ``{"lo": [...], "hi": [...]}``."""
        plain = asdict(self)
        return {key: _plain(value) for key, value in plain.items()}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


def measure(block: np.ndarray, box: Box | None, ct: CTVolume) -> Measurement:
    """Measure an object on the CT it was drawn on.

    Args:
        block: bool voxels inside ``box``, at least one of them set.
        box: half-open, on the grid of the CT; None measures nothing.
        ct: the CT.
    """
    if box is None:
        return Measurement(voxels=0, volume_ml=0.0)
    hu = ct.hu[box.slices][block].astype(np.float64)
    centroid_ijk = _centroid(block) + box.lo
    return Measurement(
        voxels=hu.size,
        volume_ml=hu.size * ct.voxel_volume_ml,
        mean_hu=float(hu.mean()) if ct.hu_trusted else None,
        sd_hu=float(hu.std()) if ct.hu_trusted else None,
        longest_diameter_mm=longest_diameter_mm(block, ct.affine),
        centroid_ras_mm=tuple(float(v) for v in ct.ijk_to_ras_mm(centroid_ijk)),
        center_ijk=_nearest_voxel(block, box.lo, centroid_ijk, ct.affine),
        bounding_box=box,
        slice_range=(box.lo[2], box.hi[2] - 1),
        percentiles_hu=tuple(float(v) for v in np.percentile(hu, PERCENTILES)) if ct.hu_trusted else None,
    )


def longest_diameter_mm(block: np.ndarray, affine: np.ndarray) -> float:
    """Largest distance in mm between two voxel-face centres of the object; 0 when empty.

    The face centres are the voxel centres plus a half step along each axis, so their hull is the hull of the voxel
    centres widened by those steps; the farthest pair is a pair of hull vertices. Exact, also on oblique grids.
    """
    if not block.any():
        return 0.0
    points = _hull(_line_ends(block).astype(np.float64))
    half = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    faces = _hull((points[:, None] + half).reshape(-1, 3))
    mm = faces @ np.asarray(affine, dtype=np.float64)[:3, :3].T
    return max(float(cdist(mm[start : start + 1024], mm).max()) for start in range(0, len(mm), 1024))


def _line_ends(block: np.ndarray) -> np.ndarray:
    """Voxels ``(n, 3)`` that are first or last on their line along i, along j and along k: all that a hull can need."""
    first_k, last_k = _first_last(block, 2)
    i, j = np.nonzero(block.any(axis=2))
    ends = np.concatenate([np.stack([i, j, k[i, j]], axis=1) for k in (first_k, last_k)])  # twice is harmless
    for axis in (0, 1):
        first, last = _first_last(block, axis)
        others = tuple(ends[:, a] for a in range(3) if a != axis)
        ends = ends[(ends[:, axis] == first[others]) | (ends[:, axis] == last[others])]
    return ends


def _first_last(block: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    return block.argmax(axis), block.shape[axis] - 1 - np.flip(block, axis).argmax(axis)


def _hull(points: np.ndarray) -> np.ndarray:
    """Vertices of the convex hull; the points themselves where they are flat or few."""
    if len(points) < 5:
        return points
    try:
        return points[ConvexHull(points).vertices]
    except QhullError:
        return points


def _centroid(block: np.ndarray) -> np.ndarray:
    """Mean voxel index of a bool block."""
    plane = block.sum(axis=2)  # [i, j]
    sums = (plane.sum(axis=1), plane.sum(axis=0), block.sum(axis=(0, 1)))
    total = plane.sum()
    return np.array([float(s @ np.arange(s.size)) / total for s in sums])


def _nearest_voxel(
    block: np.ndarray, lo: tuple[int, int, int], centroid_ijk: np.ndarray, affine: np.ndarray
) -> tuple[int, int, int]:
    """The voxel of a block that begins at ``lo`` nearest to the centroid in mm."""
    rounded = tuple(int(v) for v in np.round(centroid_ijk))
    if block[tuple(v - l for v, l in zip(rounded, lo, strict=True))]:
        return rounded
    voxels = np.argwhere(block) + lo
    distance = np.linalg.norm((voxels - centroid_ijk) @ np.asarray(affine)[:3, :3].T, axis=1)
    return tuple(int(v) for v in voxels[distance.argmin()])
