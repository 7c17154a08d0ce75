"""``Mask``: one segmented object, kept as a cropped boolean block; run lengths, boolean operations, clean-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from .errors import MedVLError
from .prompts import Box

if TYPE_CHECKING:
    from .measure import Measurement
    from .volume import CTVolume

PALETTE = (
    "#ff6b6b", "#4dabf7", "#51cf66", "#fcc419", "#cc5de8", "#ff922b",
    "#22b8cf", "#f06595", "#94d82d", "#748ffc", "#e8b98a", "#20c997",
    "#ffc9c9", "#1c7ed6", "#b2f2bb", "#e67700", "#9c36b5", "#c5f6fa",
    "#c2255c", "#5c940d", "#bac8ff", "#a07855", "#0b7285", "#ffec99",
)  # fmt: skip


def bounding_box(array: np.ndarray) -> Box | None:
    """Tight half-open box round the True voxels of ``(i, j, k)``, or None if there are none."""
    spans = []
    for axis in range(3):
        line = np.flatnonzero(array.any(axis=tuple(a for a in range(3) if a != axis)))
        if line.size == 0:
            return None
        spans.append((int(line[0]), int(line[-1]) + 1))
    return Box(tuple(s[0] for s in spans), tuple(s[1] for s in spans))


def encode_runs(array: np.ndarray) -> np.ndarray:
    """Run lengths of a bool array in C order (last axis fastest).

    Args:
        array: bool, any shape.

    Returns:
        uint32 lengths that alternate False, True, False, ...; the first is 0 when the first voxel is True. They add
        up to ``array.size``; an empty array gives no runs.
    """
    flat = np.ascontiguousarray(array, dtype=bool).ravel()
    if flat.size == 0:
        return np.zeros(0, np.uint32)
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(starts, prepend=0, append=flat.size)
    return np.concatenate([[0], runs] if flat[0] else [runs]).astype(np.uint32)


def decode_runs(runs: Sequence[int] | np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The bool array of ``shape`` that ``encode_runs`` made ``runs`` of.

    Raises:
        MedVLError: the runs do not add up to the size of ``shape``, or one is negative.
    """
    runs = np.asarray(runs, dtype=np.int64)
    size = int(np.prod(shape))
    if runs.ndim != 1 or (runs < 0).any() or int(runs.sum()) != size:
        raise MedVLError(
            f"The run lengths hold {int(runs.sum())} voxels, but the shape {tuple(shape)} needs {size}. "
            "The coded mask is damaged or belongs to another box."
        )
    return np.repeat(np.arange(runs.size) % 2 == 1, runs).reshape(shape)


@dataclass(frozen=True)
class Mask:
    """A 3-D object on a CT's canonical grid.

    Attributes:
        shape: grid of the CT, ``(i, j, k)``.
        box: half-open bounding box of the object; None when empty.
        block: bool voxels inside ``box``.
        id: stable handle, unique in a case.
        name: shown to people.
        color: ``#rrggbb``.
    """

    shape: tuple[int, int, int]
    box: Box | None
    block: np.ndarray = field(repr=False)
    id: str = "m1"
    name: str = "Object 1"
    color: str = PALETTE[0]

    @classmethod
    def from_array(cls, array: np.ndarray, **labels: str) -> Mask:
        """Crop a full bool array ``(i, j, k)``; ``labels`` are id, name and color."""
        array = np.asarray(array, dtype=bool)
        box = bounding_box(array)
        block = array[box.slices].copy() if box else np.zeros((0, 0, 0), bool)
        return cls(array.shape, box, block, **labels)

    @classmethod
    def from_block(cls, shape: tuple[int, int, int], box: Box | None, block: np.ndarray, **labels: str) -> Mask:
        """Crop the bool voxels of a box in a grid of ``shape``; cheaper than ``from_array`` for a small box."""
        block = np.asarray(block, dtype=bool)
        tight = bounding_box(block) if box else None
        if tight is None:
            return cls(tuple(shape), None, np.zeros((0, 0, 0), bool), **labels)
        lo = tuple(b + t for b, t in zip(box.lo, tight.lo, strict=True))
        hi = tuple(b + t for b, t in zip(box.lo, tight.hi, strict=True))
        return cls(tuple(shape), Box(lo, hi), block[tight.slices].copy(), **labels)

    @classmethod
    def from_runs(
        cls, shape: tuple[int, int, int], box: Box | None, runs: Sequence[int] | np.ndarray, **labels: str
    ) -> Mask:
        """The mask whose ``box`` and ``runs`` these are."""
        block = decode_runs(runs, box.size if box else (0, 0, 0))
        return cls.from_block(shape, box, block, **labels)

    @property
    def runs(self) -> np.ndarray:
        """Run lengths of the voxels inside ``box``; see ``encode_runs``."""
        return encode_runs(self.block)

    @property
    def array(self) -> np.ndarray:
        """Full bool array ``(i, j, k)``; built on each access."""
        full = np.zeros(self.shape, dtype=bool)
        if self.box:
            full[self.box.slices] = self.block
        return full

    @property
    def empty(self) -> bool:
        """True if no voxel is set."""
        return self.box is None

    @property
    def voxels(self) -> int:
        """Number of voxels set."""
        return int(self.block.sum())

    def region(self, box: Box) -> np.ndarray:
        """Bool voxels of any half-open box, ``box.size``; what lies outside the grid or the object is False."""
        out = np.zeros(box.size, dtype=bool)
        if self.box is None:
            return out
        lo = tuple(max(a, b) for a, b in zip(self.box.lo, box.lo, strict=True))
        hi = tuple(min(a, b) for a, b in zip(self.box.hi, box.hi, strict=True))
        if all(l < h for l, h in zip(lo, hi, strict=True)):
            here = tuple(slice(l - o, h - o) for l, h, o in zip(lo, hi, self.box.lo, strict=True))
            there = tuple(slice(l - o, h - o) for l, h, o in zip(lo, hi, box.lo, strict=True))
            out[there] = self.block[here]
        return out

    def slice(self, axis: int, index: int) -> np.ndarray:
        """One plane of the whole grid, bool, the two other axes in order; without building the volume.

        Raises:
            MedVLError: no such plane.
        """
        if axis not in (0, 1, 2) or not 0 <= index < self.shape[axis]:
            raise MedVLError(f"There is no slice {index} along axis {axis} in a volume of shape {self.shape}.")
        lo = tuple(index if a == axis else 0 for a in range(3))
        hi = tuple(index + 1 if a == axis else n for a, n in enumerate(self.shape))
        return self.region(Box(lo, hi)).squeeze(axis)

    def with_block(self, box: Box | None, block: np.ndarray) -> Mask:
        """The same object (id, name, colour) with the voxels of a box."""
        return Mask.from_block(self.shape, box, block, id=self.id, name=self.name, color=self.color)

    def with_array(self, array: np.ndarray) -> Mask:
        """The same object (id, name, colour) with other voxels."""
        return Mask.from_array(array, id=self.id, name=self.name, color=self.color)

    def renamed(self, name: str) -> Mask:
        """The same voxels under another name."""
        return replace(self, name=name)

    def measure(self, ct: CTVolume) -> Measurement:
        """Volume, HU statistics, longest diameter, box and centroid; see ``medvl.measure``."""
        from .measure import measure

        return measure(self, ct)


def _same_grid(a: Mask, b: Mask) -> None:
    if tuple(a.shape) != tuple(b.shape):
        raise MedVLError(
            f"'{a.name}' lies on a grid of {tuple(a.shape)} voxels and '{b.name}' on {tuple(b.shape)}. "
            "Only masks of the same scan can be combined."
        )


def union(a: Mask, b: Mask) -> Mask:
    """Voxels of either; id, name and colour of ``a``."""
    _same_grid(a, b)
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
