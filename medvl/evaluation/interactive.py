"""Interactive protocols: a box, then clicks where the error is largest.

A *method* is anything with ``box(case, box) -> bool array`` and ``click(points) -> bool array``; ours, the naive SAM 2
recipe and LiteMedSAM run through the same loop (``peers.py``). ``Rules`` say which box and which clicks: ``PLAIN`` is a
tight box on the largest slice and clicks in mm, ``cvpr25.RULES`` are those of the CVPR 2025 challenge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy import ndimage

from ..ct.masks import Mask
from ..ct.prompts import Box, Point, bounding_box
from ..ct.volume import CTVolume
from ..errors import PromptError
from ..model import MedVLSAM2
from .cases import LabelledCase
from .segmentation_metrics import dice, surface_dice, tolerance_of

ORGANS = ("liver", "spleen", "right_kidney", "left_kidney", "urinary_bladder", "stomach", "aorta")


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
        self.mask: Mask | None = None

    def open(self, ct: CTVolume) -> None:
        """Start a case."""
        self.case = self.model.open(ct)

    def box(self, box: Box) -> np.ndarray:
        """Segment a new object."""
        self.mask = None
        self.mask = self.case.segment(box=box)
        return self.mask.array

    def click(self, point: Point) -> np.ndarray:
        """Refine the last object; where its box found nothing, the click starts it."""
        self.mask = self.case.refine(self.mask, points=[point]) if self.mask else self.case.segment(points=[point])
        return self.mask.array


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


Start = Callable[[str, str, np.ndarray], tuple[Box, tuple[int, int] | None]]


@dataclass(frozen=True)
class Rules:
    """Which prompts a protocol gives, and how it scores.

    Attributes:
        name: of the protocol.
        start: ``(case id, structure, reference) -> (box in an axial slice, half-open range of slices or None)``; where
            a range is given, it is part of the prompt: what is predicted outside it is dropped.
        correct: ``(predicted, reference, spacing in mm) -> next click``; None when nothing is wrong.
        nsd_above: NSD counts as 0 up to this Dice.
    """

    name: str
    start: Start
    correct: Callable[[np.ndarray, np.ndarray, tuple], Point | None]
    nsd_above: float = -1.0


PLAIN = Rules(
    "plain", lambda case, structure, reference: (box_on_largest_slice(reference), None), centre_of_largest_error
)


@dataclass
class Result:
    """One structure of one case: scores after the box and after each click, and the seconds that each took.

    Attributes:
        method: name of the method.
        case: case id.
        structure: name.
        tolerance_mm: of the NSD.
        dice: after the box, after the first click, ...
        nsd: normalised surface Dice, likewise.
        seconds: of the box and of each click that was given.
    """

    method: str
    case: str
    structure: str
    tolerance_mm: float
    dice: list[float] = field(default_factory=list)
    nsd: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def structures_of(case: LabelledCase, asked: Sequence[str] | None = None) -> list[str]:
    """Which structures of a case are run.

    Args:
        case: with reference labels.
        asked: names, or ``["all"]``. Where none are given: those of ``ORGANS`` that the case has a name for, and where
            it has none of them (a tumour, the head and neck) all that it has.
    """
    labelled = list(dict.fromkeys(case.names.values()))
    if asked:
        return labelled if list(asked) == ["all"] else list(asked)
    return [name for name in ORGANS if name in labelled] or labelled


def run_case(
    method: Method,
    case: LabelledCase,
    structures: list[str],
    clicks: int,
    show: Callable[[Result], None] | None = None,
    rules: Rules = PLAIN,
    tolerances: Mapping[str, float] | None = None,
) -> list[Result]:
    """A protocol on some structures of a case (those without a voxel are left out).

    Args:
        method: what is measured.
        case: with reference labels.
        structures: names.
        clicks: how many after the box; a method of boxes gets none.
        show: called with each structure when done.
        rules: which box and which clicks.
        tolerances: of the NSD, as ``segmentation_metrics.tolerances`` gives them.
    """
    method.open(case.ct)
    results = []
    for name in structures:
        reference = case.mask(name) if name in case.names.values() else np.zeros(1, bool)
        if not reference.any():
            continue
        result = Result(method.name, case.id, name, tolerance_of(name, tolerances))
        box, span = rules.start(case.id, name, reference)
        predicted = _timed(result, np.zeros_like(reference), lambda box=box: method.box(box), span)
        _score(result, predicted, reference, case, rules)
        for _ in range(clicks if method.clicks else 0):
            point = rules.correct(predicted, reference, case.ct.spacing_mm)
            if point is None:  # nothing is wrong: the scores stay
                result.dice.append(result.dice[-1])
                result.nsd.append(result.nsd[-1])
                continue
            predicted = _timed(result, predicted, lambda point=point: method.click(point), span)
            _score(result, predicted, reference, case, rules)
        results.append(result)
        if show:
            show(result)
    return results


def _timed(
    result: Result, before: np.ndarray, work: Callable[[], np.ndarray], span: tuple[int, int] | None
) -> np.ndarray:
    """The prediction within the prompt's slices; what was there before, where the method says that it found nothing."""
    begin = time.perf_counter()
    try:
        predicted = work()
    except PromptError:
        predicted = before
    result.seconds.append(time.perf_counter() - begin)
    if span is None:
        return predicted
    inside = np.zeros_like(predicted)
    inside[:, :, span[0] : span[1]] = predicted[:, :, span[0] : span[1]]
    return inside


def _score(result: Result, predicted: np.ndarray, reference: np.ndarray, case: LabelledCase, rules: Rules) -> None:
    result.dice.append(dice(predicted, reference))
    counts = result.dice[-1] > rules.nsd_above
    nsd = surface_dice(predicted, reference, case.ct.spacing_mm, result.tolerance_mm) if counts else 0.0
    result.nsd.append(nsd)
