"""One positive click on a structure: the mask of its slice, and of the whole volume.

Each structure is clicked on its largest slice and near its lower end (the first slice with ``END_SHARE`` of the largest
area), at the deepest pixel and at others that are not close to its edge, as people click.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ..case import Case
from ..ct.prompts import Point
from ..errors import PromptError
from ..model import MedVLSAM2
from .cases import LabelledCase
from .segmentation_metrics import dice

STRUCTURES = (
    "liver", "spleen", "right_kidney", "left_kidney", "stomach", "urinary_bladder", "heart", "aorta", "right_lung",
    "left_lung", "pancreas", "gallbladder",
)  # fmt: skip
END_SHARE = 0.4
DEEP_SHARE = 0.4  # of the largest depth, from which on a pixel is not close to the edge
LEAST_VOXELS = 200  # a structure with fewer is left out


@dataclass
class ClickResult:
    """One structure of one case.

    Attributes:
        case: case id.
        structure: name.
        clicked: voxels that were clicked.
        slice_dice: Dice on the clicked slice, one a click.
        volume_dice: 3-D Dice of the first click, followed through the volume; None where that was not asked for.
        seconds: to the mask of the slice, one a click.
    """

    case: str
    structure: str
    clicked: list[tuple[int, int, int]] = field(default_factory=list)
    slice_dice: list[float] = field(default_factory=list)
    volume_dice: float | None = None
    seconds: list[float] = field(default_factory=list)


def clicks_on(reference: np.ndarray, per_slice: int, rng: np.random.Generator) -> Iterator[tuple[int, int, int]]:
    """Voxels that a person would click.

    Args:
        reference: bool ``(i, j, k)``, not empty.
        per_slice: clicks on each of the two slices.
        rng: chooses all but the first of each slice.
    """
    areas = reference.sum((0, 1))
    for k in dict.fromkeys((int(areas.argmax()), int(np.flatnonzero(areas >= END_SHARE * areas.max())[0]))):
        depth = ndimage.distance_transform_edt(np.pad(reference[:, :, k], 1))[1:-1, 1:-1]
        deep = np.argwhere(depth >= DEEP_SHARE * depth.max())
        spots = [np.unravel_index(depth.argmax(), depth.shape)]
        spots += [deep[rng.integers(len(deep))] for _ in range(per_slice - 1)]
        for i, j in spots:
            yield int(i), int(j), k


def run_case(
    model: MedVLSAM2,
    case: LabelledCase,
    structures: list[str],
    per_slice: int = 3,
    volume: bool = False,
    show: Callable[[ClickResult], None] | None = None,
    seed: int = 0,
) -> list[ClickResult]:
    """Click each structure of a case that is there; every click starts a new object.

    Args:
        model: what is measured.
        case: with reference labels.
        structures: names.
        per_slice: clicks on each of the two slices.
        volume: follow the first click of each structure through the volume.
        show: called with each structure when done.
        seed: of the clicks.
    """
    opened, results = model.open(case.ct), []
    rng = np.random.default_rng(seed)
    for name in structures:
        reference = case.mask(name) if name in case.names.values() else np.zeros((1, 1, 1), bool)
        if reference.sum() < LEAST_VOXELS:
            continue
        result = ClickResult(case.id, name)
        for ijk in clicks_on(reference, per_slice, rng):
            _click(opened, ijk, reference, volume and not result.clicked, result)
        results.append(result)
        if show:
            show(result)
    return results


def _click(opened: Case, ijk: tuple[int, int, int], reference: np.ndarray, whole: bool, result: ClickResult) -> None:
    """One click, scored into ``result``; ``whole``: followed through the volume."""
    plane, mask, begin = np.zeros(reference.shape[:2], bool), None, time.perf_counter()
    seconds = float("nan")
    try:
        with closing(opened.segment_stream(points=[Point(ijk)])) as updates:
            for update in updates:
                mask = update.mask
                if update.stage == "slice":
                    plane, seconds = mask.array[:, :, ijk[2]], time.perf_counter() - begin
                elif not whole:
                    break
    except PromptError:  # nothing was found there: that is a Dice of 0
        mask = None
    result.clicked.append(ijk)
    result.slice_dice.append(dice(plane, reference[:, :, ijk[2]]))
    result.seconds.append(seconds)
    if whole:
        result.volume_dice = dice(mask.array if mask else np.zeros_like(reference), reference)
