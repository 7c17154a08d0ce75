"""Set operations, components, filling and smoothing of masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from scipy import ndimage

from ..errors import MedVLError
from .masks import Mask
from .prompts import Box
from .volume import CTVolume


def _same_grid(a: Mask, b: Mask) -> None:
    if tuple(a.shape) != tuple(b.shape):
        raise MedVLError(
            f"'{a.name}' lies on a grid of {tuple(a.shape)} voxels and '{b.name}' on {tuple(b.shape)}. "
            "Only masks of the same scan can be combined."
        )


def union(a: Mask, b: Mask) -> Mask:
    """Voxels of either; id, name and colour of ``a``, and the ends of both."""
    _same_grid(a, b)
    a = replace(a, ends=tuple(dict.fromkeys((*a.ends, *b.ends))))
    if a.empty or b.empty:
        return a.with_block(b.box, b.block) if a.empty else a
    box = a.box.union(b.box)
    return a.with_block(box, a.region(box) | b.region(box))


def subtract(a: Mask, b: Mask) -> Mask:
    """Voxels of ``a`` that are not in ``b``; id, name and colour of ``a``."""
    _same_grid(a, b)
    return a.with_block(a.box, a.block & ~b.region(a.box)) if a.box else a


def intersect(a: Mask, b: Mask) -> Mask:
    """Voxels of both; id, name and colour of ``a``."""
    _same_grid(a, b)
    return a.with_block(a.box, a.block & b.region(a.box)) if a.box else a


def paint(mask: Mask, box: Box, voxels: np.ndarray, add: bool = True) -> Mask:
    """Add voxels to a mask by hand, or take them away; it is no longer cut off where its propagation was ended.

    Args:
        mask: may be empty.
        box: half-open, inside the grid.
        voxels: bool, ``box.size``.
        add: False takes away.
    """
    box.check(mask.shape)
    if not add:
        here = voxels & mask.region(box)
        return subtract(mask, Mask.from_block(mask.shape, box, here)) if here.any() else mask
    whole = box if mask.box is None else mask.box.union(box)
    block = mask.region(whole)
    block[tuple(slice(l - o, h - o) for l, h, o in zip(box.lo, box.hi, whole.lo, strict=True))] |= voxels
    return mask.with_block(whole, block)


MAX_MARGIN_MM = 100


def margin(mask: Mask, grid: CTVolume | Sequence[float], mm: float) -> Mask:
    """Grow a mask by a distance on all sides, or shrink it.

    A voxel belongs to the grown mask when its centre lies at most ``mm`` from the centre of one of the mask's voxels,
    and to the shrunk one when it lies farther than ``mm`` from all outside it. Beyond the border of the scan nothing is
    known: a mask that is cut by it does not shrink from there.

    Args:
        mask: the object.
        grid: the CT, or its spacing in mm along i, j, k.
        mm: how far; negative shrinks.

    Raises:
        MedVLError: farther than 100 mm.
    """
    if not abs(mm) <= MAX_MARGIN_MM:
        raise MedVLError(f"A margin of {mm:g} mm makes no sense: use up to {MAX_MARGIN_MM} mm.")
    if mask.box is None or mm == 0:
        return mask
    spacing = tuple(float(s) for s in getattr(grid, "spacing_mm", grid))
    reach = [int(np.ceil(abs(mm) / s)) + 1 for s in spacing]
    lo = tuple(max(0, l - r) for l, r in zip(mask.box.lo, reach, strict=True))
    hi = tuple(min(n, h + r) for n, h, r in zip(mask.shape, mask.box.hi, reach, strict=True))
    box = Box(lo, hi)
    block = mask.region(box)
    if mm > 0:
        return mask.with_block(box, ndimage.distance_transform_edt(~block, sampling=spacing) <= mm + 1e-6)
    if block.all():
        return mask
    return mask.with_block(box, ndimage.distance_transform_edt(block, sampling=spacing) > -mm + 1e-6)


def hollow(mask: Mask, grid: CTVolume | Sequence[float], mm: float) -> Mask:
    """The shell of a mask, ``mm`` thick inwards from its surface.

    Raises:
        MedVLError: the thickness is not between 0 and 100 mm.
    """
    if not 0 < mm <= MAX_MARGIN_MM:
        raise MedVLError(f"A shell of {mm:g} mm makes no sense: use more than 0 and up to {MAX_MARGIN_MM} mm.")
    return subtract(mask, margin(mask, grid, -mm))


def within_hu(mask: Mask, ct: CTVolume, low: float, high: float) -> Mask:
    """The voxels of a mask whose HU lie between two values, both included.

    Raises:
        MedVLError: ``low`` is above ``high``.
    """
    if not low <= high:
        raise MedVLError(f"A range of HU goes from the lower to the higher value, not from {low:g} to {high:g}.")
    if mask.box is None:
        return mask
    hu = ct.hu[mask.box.slices]
    return mask.with_block(mask.box, mask.block & (hu >= low) & (hu <= high))


def moved(before: Mask, after: Mask) -> int:
    """Voxels that one of two masks has and the other has not."""
    return subtract(after, before).voxels + subtract(before, after).voxels


def interpolate(mask: Mask, grid: CTVolume | Sequence[float]) -> tuple[Mask, int]:
    """Fill the empty slices between slices that were painted.

    The signed distance to the outline, in mm in the plane, goes linearly from one painted slice to the next, and what
    lies inside belongs to the mask (shape-based interpolation, Raya and Udupa 1990). Where two outlines do not overlap
    they are first laid on one another by their centres, so that an oblique vessel stays whole. The planes are those of
    the axis along which the fewest slices of the mask's extent are painted.

    Args:
        mask: the object, painted on some slices.
        grid: the CT, or its spacing in mm along i, j, k.

    Returns:
        The mask, and how many slices were filled.
    """
    if mask.box is None:
        return mask, 0
    painted = [mask.block.any(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    axis = int(np.argmin([used.mean() for used in painted]))
    spacing = tuple(float(s) for a, s in enumerate(getattr(grid, "spacing_mm", grid)) if a != axis)
    planes = np.moveaxis(mask.block, axis, 0).copy()
    used = np.flatnonzero(painted[axis])
    filled = 0
    for first, last in pairwise(used.tolist()):
        if last - first < 2:
            continue
        a, b = planes[first], planes[last]
        outlines = [_signed_distance(plane, spacing) for plane in (a, b)]
        centres = [np.zeros(2)] * 2 if (a & b).any() else [np.argwhere(plane).mean(0) for plane in (a, b)]
        for index in range(first + 1, last):
            share = (index - first) / (last - first)
            centre = (1 - share) * centres[0] + share * centres[1]
            moved = [
                ndimage.shift(outline, centre - own, order=1, mode="nearest") if (centre != own).any() else outline
                for outline, own in zip(outlines, centres, strict=True)
            ]
            planes[index] = (1 - share) * moved[0] + share * moved[1] <= 0
            filled += 1
    return (mask.with_block(mask.box, np.moveaxis(planes, 0, axis)) if filled else mask), filled


def _signed_distance(plane: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Distance in mm from the outline of a 2-D mask, negative inside."""
    padded = np.pad(plane, 1)
    outside, inside = (ndimage.distance_transform_edt(part, sampling=spacing) for part in (~padded, padded))
    return (outside - inside)[1:-1, 1:-1]


def _label(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """26-connected labels and their sizes, ``sizes[0]`` (background) set to 0."""
    labels, _ = ndimage.label(block, structure=np.ones((3, 3, 3), bool))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels, sizes


def components(mask: Mask, min_voxels: int = 1) -> list[Mask]:
    """Connected pieces, the largest first, each with the id, name and colour of ``mask``.

    Voxels that touch by a face, an edge or a corner are connected (26 neighbours), so that a thin oblique vessel stays
    one piece. Pieces below ``min_voxels`` are left out.
    """
    if mask.box is None:
        return []
    labels, sizes = _label(mask.block)
    spans = ndimage.find_objects(labels)
    pieces = []
    for label in np.argsort(-sizes, kind="stable"):
        if sizes[label] < max(1, min_voxels):
            break
        span = spans[label - 1]
        lo = tuple(o + s.start for o, s in zip(mask.box.lo, span, strict=True))
        hi = tuple(o + s.stop for o, s in zip(mask.box.lo, span, strict=True))
        pieces.append(mask.with_block(Box(lo, hi), labels[span] == label))
    return pieces


LEAST_PIECE_ML, MOST_PIECES = 0.05, 20


def split(mask: Mask, grid: CTVolume | Sequence[float]) -> list[Mask]:
    """Connected pieces of at least 0.05 mL, the largest first, 20 at most; what is smaller stays with the largest.

    Args:
        mask: the object.
        grid: the CT, or its spacing in mm along i, j, k.
    """
    voxel_ml = float(np.prod(getattr(grid, "spacing_mm", grid))) / 1000
    _, *others = components(mask, int(np.ceil(LEAST_PIECE_ML / voxel_ml)))[:MOST_PIECES] or [mask]
    rest = mask
    for piece in others:
        rest = subtract(rest, piece)
    return [rest, *others]


def keep_largest(mask: Mask) -> Mask:
    """The largest 26-connected piece; of equal ones the first in index order."""
    if mask.box is None:
        return mask
    labels, sizes = _label(mask.block)
    return mask.with_block(mask.box, labels == int(sizes.argmax()))


def fill_holes(mask: Mask, axis: int | None = None) -> Mask:
    """Fill what the object encloses.

    Args:
        mask: the object.
        axis: None fills cavities that are closed in 3-D (face neighbours), which never closes a tube such as a bowel
            or a ring of bone. 0, 1 or 2 fills holes slice by slice in the planes normal to that axis, which does.

    Returns:
        The filled mask. A hole open to the border of the scan is not filled.
    """
    if mask.box is None:
        return mask
    structure = ndimage.generate_binary_structure(3, 1)
    if axis is not None:
        structure[tuple(slice(None) if a != axis else [0, 2] for a in range(3))] = False
    pad = [(0, 0) if a == axis else (1, 1) for a in range(3)]
    outside, _ = ndimage.label(np.pad(~mask.block, pad, constant_values=True), structure=structure)
    # The frame of each plane (or of the block) is background and one component: whatever else is not it, is inside.
    corner = tuple(slice(None) if a == axis else slice(0, 1) for a in range(3))
    inner = tuple(slice(None) if a == axis else slice(1, -1) for a in range(3))
    return mask.with_block(mask.box, (outside != outside[corner])[inner])


def smoothing_radius(grid: CTVolume | Sequence[float]) -> float:
    """Radius in mm that ``smooth`` takes by itself: 2, or four thirds of the smallest voxel side where that is more.

    A smaller one changes nothing on a coarse grid: a blur far below the size of a voxel turns none.
    """
    return max(2.0, 4 / 3 * min(getattr(grid, "spacing_mm", grid)))


def smooth(mask: Mask, grid: CTVolume | Sequence[float], radius_mm: float | None = None) -> Mask:
    """Round off bumps, notches and specks smaller than about ``radius_mm``; the volume stays.

    A Gaussian of ``radius_mm / 1.5`` (an isolated ball of that radius then falls below one half at its centre) blurs
    the object in mm, and the threshold is the one that keeps the number of voxels. Where the object is cut by the
    border of the scan it is continued as it is, so that the cut stays flat.

    Args:
        mask: the object.
        grid: the CT, or its spacing in mm along i, j, k.
        radius_mm: size of the details to lose; ``smoothing_radius`` if not given.

    Raises:
        MedVLError: ``radius_mm`` is not between 0 and 50.
    """
    radius_mm = smoothing_radius(grid) if radius_mm is None else radius_mm
    if not 0 < radius_mm <= 50:
        raise MedVLError(f"A smoothing radius of {radius_mm} mm makes no sense: use more than 0 and up to 50 mm.")
    if mask.box is None:
        return mask
    spacing = np.asarray(getattr(grid, "spacing_mm", grid), dtype=np.float64)
    sigma = radius_mm / 1.5 / spacing  # voxels
    margin = np.ceil(3 * sigma).astype(int)
    lo = tuple(max(0, l - m) for l, m in zip(mask.box.lo, margin.tolist(), strict=True))
    hi = tuple(min(n, h + m) for n, h, m in zip(mask.shape, mask.box.hi, margin.tolist(), strict=True))
    box = Box(lo, hi)
    blurred = ndimage.gaussian_filter(mask.region(box).astype(np.float32), sigma, mode="nearest", truncate=3.0)
    # 2**14 steps are finer than a float32 blur of zeros and ones can be told apart in practice; a sort would be slower.
    counts = np.bincount((blurred.ravel() * 16384 + 0.5).astype(np.int32), minlength=16385)
    at_least = counts[::-1].cumsum()[::-1]
    level = int(np.abs(at_least[1:] - mask.voxels).argmin()) + 1
    return mask.with_block(box, blurred * 16384 + 0.5 >= level)
