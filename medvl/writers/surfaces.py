"""Closed triangle surfaces of masks in RAS mm, for the 3-D view and for STL."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from skimage.measure import marching_cubes

from ..ct.geometry import ijk_to_ras_mm, spacing_mm
from ..ct.masks import Mask


def surface(
    mask: Mask, affine: np.ndarray, max_triangles: int = 60_000, smoothing: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Surface of a mask.

    A mask whose surface would have too many triangles is first pooled to a coarser grid (towards cubic cells), whose
    iso level is the one that keeps the volume, so that thin vessels do not vanish. Marching cubes on a padded block
    gives a closed surface; a few Taubin steps (Taubin 1995; no shrinking) take the stair steps away.

    Args:
        mask: the object.
        affine: ``(4, 4)`` voxel -> RAS mm of the mask's grid.
        max_triangles: upper bound, kept to within some percent.
        smoothing: pairs of Taubin steps; 0 leaves the voxel steps.

    Returns:
        Vertices ``(n, 3)`` float32 in RAS mm and faces ``(m, 3)`` int32, counter-clockwise from outside. Both empty
        for an empty mask.
    """
    if mask.box is None:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    affine = np.asarray(affine, dtype=np.float64)
    factors = _pool_factors(mask.block, spacing_mm(affine), max_triangles)
    field, level = _pool(mask.block, factors)
    vertices, faces, _, _ = marching_cubes(np.pad(field, 1), level=level, allow_degenerate=False)
    cells = _taubin(vertices.astype(np.float64), faces, smoothing)
    # Cell c of the padded pooled block holds voxels (c - 1) * f ... (c - 1) * f + f - 1 of the object's box.
    factor = np.array(factors, dtype=np.float64)
    mm = ijk_to_ras_mm(affine, (cells - 1) * factor + (factor - 1) / 2 + mask.box.lo)
    if _signed_volume(mm, faces) < 0:
        faces = faces[:, ::-1]
    if smoothing:
        wanted = mask.voxels * abs(np.linalg.det(affine[:3, :3]))
        mm = _keep_volume(mm, faces, wanted, max_step=0.5 * float((factor * spacing_mm(affine)).min()))
    return mm.astype(np.float32), np.ascontiguousarray(faces, dtype=np.int32)


def _signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Divergence theorem; positive when faces are counter-clockwise from outside."""
    if len(faces) == 0:
        return 0.0
    corners = (vertices - vertices.mean(axis=0)).astype(np.float64)[faces]  # [m, 3 corners, 3]
    return float(np.einsum("mi,mi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6.0


def _pool_factors(block: np.ndarray, spacing: tuple[float, float, float], max_triangles: int) -> tuple[int, int, int]:
    """Smallest pooling, with cells as cubic as may be, whose surface stays below ``max_triangles``.

    Marching cubes puts one vertex on each grid edge between inside and outside, and a closed surface has two triangles
    a vertex, so the exposed voxel faces give the number of triangles; pooling divides the faces across one axis by the
    factors of the two others.
    """
    exposed = [_exposed_faces(block, axis) for axis in range(3)]
    edge = min(spacing)
    while True:
        factors = tuple(max(1, round(edge / s)) for s in spacing)
        cells = np.prod(factors)
        triangles = 2 * sum(n * f / cells for n, f in zip(exposed, factors, strict=True))
        if triangles <= max_triangles or edge > 64 * min(spacing):
            return factors
        edge *= 1.1


def _exposed_faces(block: np.ndarray, axis: int) -> int:
    """Voxel faces normal to ``axis`` between inside and outside."""
    first = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
    second = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
    ends = int(block.take(0, axis).sum()) + int(block.take(-1, axis).sum())
    return int(np.count_nonzero(block[first] != block[second])) + ends


def _pool(block: np.ndarray, factors: tuple[int, int, int]) -> tuple[np.ndarray, float]:
    """Share of True voxels in cells of ``factors`` voxels, float32, and the level that keeps the volume."""
    if factors == (1, 1, 1):
        return block.astype(np.float32), 0.5
    field = block.view(np.uint8).astype(np.uint16)
    for axis, factor in enumerate(factors):
        if factor > 1:
            starts = np.arange(0, field.shape[axis], factor)
            field = np.add.reduceat(field, starts, axis=axis, dtype=np.uint32)
    cells = int(np.prod(factors))
    wanted = np.count_nonzero(block) / cells
    at_least = np.bincount(field.ravel(), minlength=cells + 1)[::-1].cumsum()[::-1]
    count = int(np.abs(at_least[1:] - wanted).argmin()) + 1
    return field.astype(np.float32) / cells, min(0.5, (count - 0.5) / cells)


def _taubin(vertices: np.ndarray, faces: np.ndarray, steps: int, reach: float = 0.35) -> np.ndarray:
    """Taubin's lambda/mu smoothing with uniform weights (SIGGRAPH 1995; 0.5, -0.53), in cell coordinates.

    No vertex goes farther than ``reach`` cells, so that a tube one or two voxels wide does not collapse.
    """
    if steps == 0:
        return vertices
    n = len(vertices)
    rows = faces[:, [0, 1, 2, 1, 2, 0]].ravel()
    columns = faces[:, [1, 2, 0, 0, 1, 2]].ravel()
    neighbours = sparse.csr_matrix((np.ones(rows.size), (rows, columns)), shape=(n, n))
    neighbours.sum_duplicates()
    neighbours.data[:] = 1.0
    mean = sparse.diags(1.0 / np.maximum(1, np.asarray(neighbours.sum(axis=1)).ravel())) @ neighbours
    smooth = vertices
    for _ in range(steps):
        for weight in (0.5, -0.53):
            smooth = smooth + weight * (mean @ smooth - smooth)
    moved = smooth - vertices
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    return vertices + moved * np.minimum(1.0, reach / np.maximum(length, 1e-9))


def _keep_volume(vertices: np.ndarray, faces: np.ndarray, wanted: float, max_step: float) -> np.ndarray:
    """Move the surface along its normals, a fraction of a cell, until it holds the volume wanted (mm3)."""
    faces_of_vertex = sparse.csr_matrix(
        (np.ones(faces.size), (faces.ravel(), np.repeat(np.arange(len(faces)), 3))), shape=(len(vertices), len(faces))
    )
    total = 0.0
    for _ in range(3):
        corners = vertices[faces]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # twice the area
        area = np.linalg.norm(normal, axis=1).sum() / 2
        if area <= 0:
            break
        direction = faces_of_vertex @ normal
        direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-12)
        step = float(np.clip((wanted - _signed_volume(vertices, faces)) / area, -max_step - total, max_step - total))
        total += step
        vertices = vertices + step * direction
    return vertices
