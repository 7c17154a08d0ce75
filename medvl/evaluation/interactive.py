"""Interactive protocol: one box on the largest slice, then clicks at the centre of the largest error.

A *method* is anything with ``box(case, box) -> bool array`` and ``click(points) -> bool array``; ours, the naive SAM 2
recipe and LiteMedSAM run through the same loop (``peers.py``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy import ndimage

from ..masks import bounding_box
from ..model import MedVLSAM2
from ..prompts import Box, Point
from ..volume import CTVolume
from .cases import LabelledCase


class Method(Protocol):
    """What the protocol needs of a segmenter."""

    name: str
    clicks: bool  # False: takes boxes only

    def open(self, ct: CTVolume) -> None:
        """Start a case."""

    def box(self, box: Box) -> np.ndarray:
        """Segment a new object from a box in an axial slice; bool ``(i, j, k)``."""

    def click(self, point: Point) -> np.ndarray:
        """Correct the last object with a point."""


class Ours:
    """The model of this package, as the app uses it."""

    name = "MedVL-SAM2 nano"
    clicks = True

    def __init__(self, model: MedVLSAM2) -> None:
        self.model = model

    def open(self, ct: CTVolume) -> None:
        """Start a case."""
        self.case = self.model.open(ct)

    def box(self, box: Box) -> np.ndarray:
        """Segment a new object."""
        self.mask = self.case.segment(box=box)
        return self.mask.array

    def click(self, point: Point) -> np.ndarray:
        """Refine the last object."""
        self.mask = self.case.refine(self.mask, points=[point])
        return self.mask.array


def dice(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Dice overlap of two bool arrays; 1.0 when both are empty."""
    total = predicted.sum() + reference.sum()
    return float(2 * np.logical_and(predicted, reference).sum() / total) if total else 1.0


def box_on_largest_slice(reference: np.ndarray, axis: int = 2) -> Box:
    """Tight box round the reference on its slice of largest area."""
    areas = np.moveaxis(reference, axis, 0).reshape(reference.shape[axis], -1).sum(1)
    index = int(areas.argmax())
    only = np.zeros_like(reference)
    view, source = np.moveaxis(only, axis, 0), np.moveaxis(reference, axis, 0)
    view[index] = source[index]
    return bounding_box(only)


def centre_of_largest_error(predicted: np.ndarray, reference: np.ndarray, spacing_mm: tuple) -> Point | None:
    """Deepest voxel of the largest connected wrong region; positive where the reference was missed."""
    best: tuple[int, np.ndarray, bool] | None = None
    for wrong, positive in ((reference & ~predicted, True), (predicted & ~reference, False)):
        labels, count = ndimage.label(wrong)
        if count:
            sizes = np.bincount(labels.ravel())
            sizes[0] = 0
            if best is None or sizes.max() > best[0]:
                best = (int(sizes.max()), labels == sizes.argmax(), positive)
    if best is None:
        return None
    box = bounding_box(best[1])
    depth = ndimage.distance_transform_edt(np.pad(best[1][box.slices], 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    inside = np.unravel_index(depth.argmax(), depth.shape)
    return Point(tuple(int(low + v) for low, v in zip(box.lo, inside, strict=True)), best[2])


@dataclass
class Result:
    """One structure of one case: Dice after the box and after each click, and the seconds each took."""

    method: str
    case: str
    structure: str
    dice: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def run_case(
    method: Method, case: LabelledCase, structures: list[str], clicks: int, show: Callable[[Result], None] | None = None
) -> list[Result]:
    """The protocol on some structures of a case (those without a voxel are left out)."""
    method.open(case.ct)
    results = []
    for name in structures:
        reference = case.mask(name) if name in case.names.values() else np.zeros(1, bool)
        if not reference.any():
            continue
        result = Result(method.name, case.id, name)
        begin = time.perf_counter()
        predicted = method.box(box_on_largest_slice(reference))
        result.seconds.append(time.perf_counter() - begin)
        result.dice.append(dice(predicted, reference))
        for _ in range(clicks if method.clicks else 0):
            point = centre_of_largest_error(predicted, reference, case.ct.spacing_mm)
            if point is not None:
                begin = time.perf_counter()
                predicted = method.click(point)
                result.seconds.append(time.perf_counter() - begin)
            result.dice.append(dice(predicted, reference))
        results.append(result)
        if show:
            show(result)
    return results
