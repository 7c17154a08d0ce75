"""The protocol of the CVPR 2025 challenge on interactive 3-D segmentation: a box, then five corrective clicks.

As ``CVPR25_iter_eval.py`` and ``get_boxes.py`` of JunMa11/CVPR-MedSegFMCompetition do it:

- the box is tight on the median slice of the object's voxels, widened by 0 to 5 pixels of a 256-pixel slice, and comes
  with the object's first and last slice;
- each click is at the voxel deepest inside the largest 26-connected component of all wrong voxels, depth in voxels,
  ties drawn with seed 42; it is positive where the reference was missed;
- NSD at 2 mm, 0 where Dice is 0.2 or less; the AUC is the trapezoid over the five scores after clicks, one step apart,
  so that it is 4 at most; final scores are those after the last click.

What differs: axial slices are those of the canonical volume, one structure is run at a time, and the seconds are of the
prediction alone (the challenge times a container that reads its files anew for each click).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..ct.prompts import Box, Point, bounding_box
from .interactive import Result, Rules
from .segmentation_metrics import area_under_curve
from .tables import mean, table

CLICKS = 5
SECONDS_A_STRUCTURE = 90.0
"""The challenge's limit for all six predictions of one structure."""


def challenge_box(case: str, structure: str, reference: np.ndarray) -> tuple[Box, tuple[int, int]]:
    """Box in the median slice and the half-open range of slices; the widening is drawn from the names.

    Args:
        case: id.
        structure: name.
        reference: bool ``(i, j, k)`` with voxels.
    """
    counts = reference.sum(axis=(0, 1)).cumsum()
    middle = int(np.searchsorted(counts, counts[-1] // 2, side="right"))
    rows, cols = (np.flatnonzero(reference[:, :, middle].any(axis=axis)) for axis in (1, 0))
    wider = int(np.random.default_rng(zlib.crc32(f"{case}/{structure}".encode())).integers(0, 6))
    low, high = [], []
    for line, n in zip((rows, cols), reference.shape[:2], strict=True):
        shift = int(wider * n / 256)
        low.append(max(0, int(line[0]) - shift))
        high.append(min(n, int(line[-1]) + 1 + shift))
    slices = np.flatnonzero(counts - np.r_[0, counts[:-1]])
    return Box((*low, middle), (*high, middle + 1)), (int(slices[0]), int(slices[-1]) + 1)


def challenge_click(predicted: np.ndarray, reference: np.ndarray, spacing_mm: tuple) -> Point | None:
    """Deepest voxel of the largest 26-connected component of wrong voxels; None when nothing is wrong.

    ``spacing_mm`` is not used: the challenge measures depth in voxels.
    """
    components, count = ndimage.label(predicted != reference, structure=np.ones((3, 3, 3)))
    if not count:
        return None
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    largest = components == sizes.argmax()
    box = bounding_box(largest)
    depth = ndimage.distance_transform_edt(np.pad(largest[box.slices], 1))[1:-1, 1:-1, 1:-1]
    deepest = np.argwhere(depth == depth.max())
    chosen = deepest[np.random.RandomState(42).choice(len(deepest))]
    ijk = tuple(int(low + v) for low, v in zip(box.lo, chosen, strict=True))
    return Point(ijk, bool(reference[ijk]))


RULES = Rules("cvpr25", challenge_box, challenge_click, nsd_above=0.2)


@dataclass(frozen=True)
class ChallengeScore:
    """The challenge's figures of one structure, or means of several.

    Attributes:
        dsc_auc: area under Dice over the scores after clicks, 0 to 4; None for a method without clicks.
        nsd_auc: the same of NSD.
        dsc_final: Dice after the last click (of the box, without clicks).
        nsd_final: the same of NSD.
        seconds_box: of the first prediction.
        seconds_a_click: mean over the clicks that were given.
        seconds: of all predictions.
    """

    dsc_auc: float | None
    nsd_auc: float | None
    dsc_final: float
    nsd_final: float
    seconds_box: float
    seconds_a_click: float | None
    seconds: float


def challenge_score(result: Result) -> ChallengeScore:
    """The figures of one structure."""
    dsc, nsd = result.dice[1:], result.nsd[1:]
    return ChallengeScore(
        area_under_curve(dsc) if len(dsc) > 1 else None,
        area_under_curve(nsd) if len(nsd) > 1 else None,
        result.dice[-1],
        result.nsd[-1],
        result.seconds[0],
        mean(result.seconds[1:]),
        sum(result.seconds),
    )


HEADER = (
    "method", "case", "structure", "DSC box", "DSC AUC", "NSD AUC", "DSC final", "NSD final", "s box", "s/click",
    "s all",
)  # fmt: skip


def challenge_table(results: Sequence[Result]) -> list[str]:
    """One row a structure, then the mean of each case (over its structures) and of each method (over its cases)."""
    rows, means = [], []
    for method in dict.fromkeys(r.method for r in results):
        of_cases = []
        for case in dict.fromkeys(r.case for r in results if r.method == method):
            mine = [r for r in results if (r.method, r.case) == (method, case)]
            values = [_values(r) for r in mine]
            rows += [(method, case, r.structure, *v) for r, v in zip(mine, values, strict=True)]
            of_cases.append(_means(values))
            means.append((method, case, f"mean of {len(mine)}", *of_cases[-1]))
        if len(of_cases) > 1:
            means.append((method, f"mean of {len(of_cases)}", "", *_means(of_cases)))
    slow = [f"{r.case}:{r.structure}" for r in results if sum(r.seconds) > SECONDS_A_STRUCTURE]
    told = [f"AUC over the {CLICKS} scores after clicks, 4 at most; NSD at the tolerance of each row's structure."]
    told.append(f"Over {SECONDS_A_STRUCTURE:.0f} s a structure, the challenge's limit: {' '.join(slow) or 'none'}.")
    return table(HEADER, rows + means) + told


def _values(result: Result) -> tuple[float | None, ...]:
    s = challenge_score(result)
    return (
        result.dice[0], s.dsc_auc, s.nsd_auc, s.dsc_final, s.nsd_final, s.seconds_box, s.seconds_a_click, s.seconds,
    )  # fmt: skip


def _means(rows: Sequence[Sequence[float | None]]) -> tuple[float | None, ...]:
    return tuple(mean(column) for column in zip(*rows, strict=True))
