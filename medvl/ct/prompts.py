"""What a person points at: ``Point`` and ``Box`` in canonical voxel coordinates ``(i, j, k)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import PromptError

Index = tuple[int, int, int]


@dataclass(frozen=True)
class Point:
    """A clicked voxel.

    Attributes:
        ijk: voxel index in RAS+ canonical order.
        positive: True adds what is there to the object, False takes it away.
        axis: normal axis of the plane it was clicked in (0 sagittal, 1 coronal, 2 axial).
    """

    ijk: Index
    positive: bool = True
    axis: int = 2

    def check(self, shape: Index) -> Point:
        """Return self.

        Raises:
            PromptError: outside a volume of ``shape`` or ``axis`` not 0, 1 or 2.
        """
        if len(self.ijk) != 3 or any(not 0 <= v < n for v, n in zip(self.ijk, shape, strict=True)):
            raise PromptError(f"The point {self.ijk} lies outside the volume {tuple(shape)}. Click inside the image.")
        if self.axis not in (0, 1, 2):
            raise PromptError(f"Plane axis {self.axis} is unknown: use 0 (sagittal), 1 (coronal) or 2 (axial).")
        return self


@dataclass(frozen=True)
class Box:
    """A half-open voxel box ``lo <= index < hi``; extent 1 along one axis when drawn in a plane."""

    lo: Index
    hi: Index

    @property
    def size(self) -> Index:
        """Extent along i, j, k in voxels."""
        return tuple(h - l for l, h in zip(self.lo, self.hi, strict=True))

    @property
    def plane_axis(self) -> int | None:
        """Normal axis of the plane it was drawn in, or None for a 3-D box."""
        flat = [axis for axis, n in enumerate(self.size) if n == 1]
        return flat[-1] if flat else None

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index expression of the box."""
        return tuple(slice(l, h) for l, h in zip(self.lo, self.hi, strict=True))

    def check(self, shape: Index) -> Box:
        """Return self.

        Raises:
            PromptError: empty, or not inside a volume of ``shape``.
        """
        if len(self.lo) != 3 or len(self.hi) != 3:
            raise PromptError("A box needs three indices for each corner, (i0, j0, k0) and (i1, j1, k1).")
        if min(self.size) < 1:
            raise PromptError(f"The box {self.lo} to {self.hi} is empty. Drag from one corner to the other.")
        if any(l < 0 or h > n for l, h, n in zip(self.lo, self.hi, shape, strict=True)):
            raise PromptError(f"The box {self.lo} to {self.hi} leaves the volume {tuple(shape)}. Draw it inside.")
        return self

    def union(self, other: Box) -> Box:
        """Smallest box that holds both."""
        return Box(
            tuple(min(a, b) for a, b in zip(self.lo, other.lo, strict=True)),
            tuple(max(a, b) for a, b in zip(self.hi, other.hi, strict=True)),
        )


def bounding_box(array: np.ndarray) -> Box | None:
    """Tight half-open box round the True voxels of ``(i, j, k)``, or None if there are none."""
    spans = []
    for axis in range(3):
        line = np.flatnonzero(array.any(axis=tuple(a for a in range(3) if a != axis)))
        if line.size == 0:
            return None
        spans.append((int(line[0]), int(line[-1]) + 1))
    return Box(tuple(s[0] for s in spans), tuple(s[1] for s in spans))
