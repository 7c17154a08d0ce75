"""``Mask``: one segmented object, kept as a cropped boolean block; run lengths, boolean operations, clean-up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from ..errors import MedVLError
from .measure import Measurement, measure
from .prompts import Box, bounding_box
from .volume import CTVolume

PALETTE = (
    "#ff6b6b", "#4dabf7", "#51cf66", "#fcc419", "#cc5de8", "#ff922b",
    "#22b8cf", "#f06595", "#94d82d", "#748ffc", "#e8b98a", "#20c997",
    "#ffc9c9", "#1c7ed6", "#b2f2bb", "#e67700", "#9c36b5", "#c5f6fa",
    "#c2255c", "#5c940d", "#bac8ff", "#a07855", "#0b7285", "#ffec99",
)  # fmt: skip


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


_PLANES = ("sagittal", "coronal", "axial")
_SIDES = {"L": "left", "R": "right", "P": "back", "A": "front", "I": "lower", "S": "upper"}


STOPPED = "stopped"


@dataclass(frozen=True)
class End:
    """A slice at which a propagation was ended, although the object may go on.

    Attributes:
        axis: along which it went: 0 (sagittal slices), 1 (coronal) or 2 (axial).
        index: the last slice that has voxels, canonical, from 0.
        reason: why, a few words: ``STOPPED``, ``"the slices beyond it look unlike the object"``.
    """

    axis: int
    index: int
    reason: str = ""

    def __str__(self) -> str:
        """For a person; slices are counted from 1, as in the viewer."""
        if self.reason == STOPPED:
            return f"was stopped at {_PLANES[self.axis]} slice {self.index + 1}"
        why = f" ({self.reason})" if self.reason else ""
        return f"was ended at {_PLANES[self.axis]} slice {self.index + 1}{why}"


def with_stops(ends: tuple[End, ...], axis: int, indices: Iterable[int]) -> tuple[End, ...]:
    """Ends of an object that was stopped at slices while it was followed: it may go on beyond them."""
    known = {end.index for end in ends}
    return (*ends, *(End(axis, index, STOPPED) for index in sorted(set(indices) - known)))


@dataclass(frozen=True, eq=False)
class Mask:
    """A 3-D object on a CT's canonical grid.

    Attributes:
        shape: grid of the CT, ``(i, j, k)``.
        box: half-open bounding box of the object; None when empty.
        block: bool voxels inside ``box``.
        id: stable handle, unique in a case.
        name: shown to people.
        color: ``#rrggbb``.
        ends: where its propagation was ended although it may go on; its sizes are then lower bounds.
        doubt: why its outline is doubtful, as a clause; "" where nothing is known against it.
    """

    shape: tuple[int, int, int]
    box: Box | None
    block: np.ndarray = field(repr=False)
    id: str = "m1"
    name: str = "Object 1"
    color: str = PALETTE[0]
    ends: tuple[End, ...] = ()
    doubt: str = ""

    def __eq__(self, other: object) -> bool:
        """The same voxels on the same grid, the same labels. (Generated, it would ask an array whether it is true.)"""
        if not isinstance(other, Mask):
            return NotImplemented
        same = all(getattr(self, f.name) == getattr(other, f.name) for f in fields(self) if f.name != "block")
        return same and (self.block is other.block or np.array_equal(self.block, other.block))

    __hash__ = None

    @classmethod
    def from_array(cls, array: np.ndarray, **labels: str | tuple[End, ...]) -> Mask:
        """Crop a full bool array ``(i, j, k)``; ``labels`` are id, name, color and ends."""
        array = np.asarray(array, dtype=bool)
        box = bounding_box(array)
        block = array[box.slices].copy() if box else np.zeros((0, 0, 0), bool)
        return cls(array.shape, box, block, **labels)

    @classmethod
    def from_block(
        cls, shape: tuple[int, int, int], box: Box | None, block: np.ndarray, **labels: str | tuple[End, ...]
    ) -> Mask:
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
        cls,
        shape: tuple[int, int, int],
        box: Box | None,
        runs: Sequence[int] | np.ndarray,
        **labels: str | tuple[End, ...],
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

    @property
    def border(self) -> tuple[str, ...]:
        """Sides of the scan that it reaches, patient's letters (i grows to the right, j forward, k headward)."""
        if self.box is None:
            return ()
        low = [side for side, lo in zip("LPI", self.box.lo, strict=True) if lo == 0]
        return tuple(low + [s for s, hi, n in zip("RAS", self.box.hi, self.shape, strict=True) if hi == n])

    @property
    def limits(self) -> str:
        """Why its sizes are lower bounds: "reaches the upper border of the scan", where it was ended; "" if whole."""
        sides = [_SIDES[side] for side in self.border]
        listed = " and ".join(filter(None, [", ".join(sides[:-1]), sides[-1]])) if sides else ""
        reaches = [f"reaches the {listed} border{'s' * (len(sides) > 1)} of the scan"] if sides else []
        return " and ".join([*reaches, *dict.fromkeys(map(str, self.ends))])

    @property
    def stopped(self) -> tuple[End, ...]:
        """Where it was stopped while it was followed; none where it is whole, or evidence ended it."""
        return tuple(end for end in self.ends if end.reason == STOPPED)

    @property
    def where_stopped(self) -> str:
        """For a person: "stopped at axial slices 45 and 60 of 174"; "" where it was not."""
        if not self.stopped:
            return ""
        axis = self.stopped[0].axis
        numbers = sorted(end.index + 1 for end in self.stopped if end.axis == axis)
        listed = " and ".join(filter(None, [", ".join(map(str, numbers[:-1])), str(numbers[-1])]))
        return f"stopped at {_PLANES[axis]} slice{'s' * (len(numbers) > 1)} {listed} of {self.shape[axis]}"

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
        """The same object (id, name, colour, ends) with the voxels of a box."""
        return Mask.from_block(self.shape, box, block, **self._labels)

    def with_array(self, array: np.ndarray) -> Mask:
        """The same object (id, name, colour, ends) with other voxels."""
        return Mask.from_array(array, **self._labels)

    @property
    def _labels(self) -> dict[str, str | tuple[End, ...]]:
        return {"id": self.id, "name": self.name, "color": self.color, "ends": self.ends}

    def renamed(self, name: str) -> Mask:
        """The same voxels under another name."""
        return replace(self, name=name)

    def measure(self, ct: CTVolume) -> Measurement:
        """Volume, HU statistics, longest diameter, box and centroid; see ``medvl.ct.measure``.

        Raises:
            MedVLError: the CT has another grid.
        """
        if tuple(self.shape) != tuple(ct.shape):
            raise MedVLError(
                f"'{self.name}' has a grid of {tuple(self.shape)} voxels and the CT {tuple(ct.shape)}. "
                "Measure a mask on the scan it was drawn on."
            )
        return measure(self.block, self.box, ct)
