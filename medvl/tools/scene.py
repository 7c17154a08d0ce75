"""``Scene``: one CT with the structures found in it, and what is measured on them, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import ndimage

from ..ct.mask_list import MaskList
from ..ct.masks import Mask
from ..ct.measure import Measurement
from ..ct.prompts import Box
from ..ct.registration import Registration
from ..ct.volume import CTVolume
from ..ct.windows import BODY_HU
from ..structures.found import Finder, Found

T = TypeVar("T")
CORE_MM = 4.0  # how far inside the edge an organ's HU are free of partial volume and of small errors of the outline


@dataclass(frozen=True)
class Earlier:
    """An earlier scan that stands beside the present one.

    Attributes:
        scene: what was found in it.
        finder: looks for structures in it.
        found: where a place of the present scan lies in it.
        listed: its masks.
    """

    scene: Scene
    finder: Finder
    found: Registration
    listed: MaskList


class Scene:
    """What is known of a CT so far.

    A structure that is found again with another mask (a person corrected it) is measured again; all else is kept.

    Attributes:
        ct: the volume.
        earlier: the scan that this one is held against; None where none is open.
    """

    def __init__(self, ct: CTVolume) -> None:
        self.ct = ct
        self.earlier: Earlier | None = None
        self._found: dict[str, Found] = {}
        self._kept: dict[tuple, tuple[tuple, object]] = {}

    def put(self, found: Found) -> None:
        """Remember what looking for a structure gave."""
        self._found[found.structure] = found

    def found(self, structure: str) -> Found | None:
        """What is known of a structure; None when it was never looked for."""
        return self._found.get(structure)

    @property
    def present(self) -> tuple[str, ...]:
        """Structures that have a mask, in the order they were found."""
        return tuple(id for id in self._found if self.mask(id) is not None)

    def mask(self, structure: str) -> Mask | None:
        """Mask of a structure, None when it has none or an empty one."""
        found = self._found.get(structure)
        return found.mask if found and found.mask is not None and not found.mask.empty else None

    def masks(self, *structures: str) -> list[Mask]:
        """Masks of those that have one."""
        return [mask for mask in map(self.mask, structures) if mask is not None]

    def cut(self, structure: str) -> tuple[str, ...]:
        """Sides of the scan that a structure touches, among L R P A I S."""
        found = self._found.get(structure)
        return found.cut if found else ()

    def keep(self, key: tuple, structures: tuple[str, ...], compute: Callable[[], T]) -> T:
        """``compute()``, done once for the present masks of ``structures``."""
        masks = tuple(self.mask(id) for id in structures)
        known = self._kept.get(key)
        if (
            known is None
            or len(known[0]) != len(masks)
            or any(a is not b for a, b in zip(known[0], masks, strict=True))
        ):
            known = (masks, compute())
            self._kept[key] = known
        return known[1]  # type: ignore[return-value]

    def measure(self, structure: str) -> Measurement:
        """Measurements of a structure that has a mask.

        Raises:
            KeyError: it has none.
        """
        mask = self.mask(structure)
        if mask is None:
            raise KeyError(structure)
        return self.keep(("measure", structure), (structure,), lambda: mask.measure(self.ct))

    def core_hu(self, structure: str) -> float | None:
        """Median HU at least ``CORE_MM`` inside the edge of a structure (of all of it, if that is too little)."""
        mask = self.mask(structure)
        if mask is None:
            return None

        def compute() -> float:
            inside = core(mask.block, self.ct.spacing_mm, CORE_MM)
            return float(np.median(self.ct.hu[mask.box.slices][inside if inside.sum() >= 30 else mask.block]))

        return self.keep(("core", structure), (structure,), compute)

    def forget(self, structure: str) -> None:
        """Forget that a structure was looked for."""
        self._found.pop(structure, None)

    @property
    def midline_mm(self) -> float:
        """R-L position of the body's middle in RAS mm, from its outline, whatever was found before."""
        return self.body_mm[0][0]

    @property
    def body_mm(self) -> tuple[tuple[float, float], ...]:
        """Of the body along R, A, S: median position and half of its extent, RAS mm, from tissue above ``BODY_HU``."""

        def compute() -> tuple[tuple[float, float], ...]:
            step = [max(1, round(4.0 / s)) for s in self.ct.spacing_mm]
            tissue = self.ct.hu[tuple(slice(None, None, s) for s in step)] > BODY_HU
            tissue = ndimage.binary_opening(tissue, iterations=2) if min(tissue.shape) > 8 else tissue
            labels, count = ndimage.label(tissue)
            if count == 0:
                points = np.array([[(n - 1) / 2 for n in self.ct.shape]])
            else:
                largest = 1 + int(np.bincount(labels.ravel())[1:].argmax())
                points = np.argwhere(labels == largest) * step
            mm = self.ct.ijk_to_ras_mm(points)
            low, high = np.percentile(mm, (1, 99), axis=0)
            return tuple((float(m), float(h)) for m, h in zip(np.median(mm, axis=0), (high - low) / 2, strict=True))

        return self.keep(("body",), (), compute)


def core(block: np.ndarray, spacing_mm: tuple[float, ...], depth_mm: float) -> np.ndarray:
    """Voxels of a bool block more than ``depth_mm`` from its outside; beyond the block is outside."""
    padded = np.pad(block, 1)
    return (ndimage.distance_transform_edt(padded, sampling=spacing_mm) > depth_mm)[1:-1, 1:-1, 1:-1]


def padded_box(mask: Mask, margin: int) -> Box:
    """Box of a mask widened by ``margin`` voxels, within the grid."""
    lo = tuple(max(0, v - margin) for v in mask.box.lo)
    hi = tuple(min(n, v + margin) for n, v in zip(mask.shape, mask.box.hi, strict=True))
    return Box(lo, hi)
