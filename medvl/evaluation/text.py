"""Text protocol: every labelled structure asked for by name; every structure known to be absent, too.

Dice at native resolution. A structure that is there and not found counts as 0. A mask for a structure that the case's
labels say is absent is a *false mask*; its share of all absent requests is reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..model import MedVLSAM2
from ..text_segmenter import Edge, TextSegmenter
from .cases import LabelledCase
from .interactive import dice


@dataclass(frozen=True)
class TextResult:
    """One request.

    Attributes:
        case: case id.
        structure: id asked for.
        edge: how the edge was delineated.
        present: whether the reference has it.
        found: whether a mask came back.
        dice: Dice with the reference; None for an absent structure.
        volume_ml: of the mask.
        reference_ml: of the reference.
        seconds: from the request to the mask; the first request of a case bears the localiser's run.
    """

    case: str
    structure: str
    edge: Edge
    present: bool
    found: bool
    dice: float | None
    volume_ml: float
    reference_ml: float
    seconds: float


def run_case(
    model: MedVLSAM2,
    case: LabelledCase,
    edges: Sequence[Edge] = ("hu",),
    show: Callable[[TextResult], None] | None = None,
) -> list[TextResult]:
    """Ask for everything that the labels of a case can judge."""
    results = []
    opened = model.open(case.ct)
    for edge in edges:
        finder = TextSegmenter(opened, edge)
        present = [n for n in case.names.values() if n in finder.known and case.mask(n).any()]
        absent = sorted((case.complete & finder.known) - set(case.names.values()))
        for name in (*present, *absent):
            begin = time.perf_counter()
            found = finder.find(name)
            seconds = time.perf_counter() - begin
            reference = case.mask(name) if name in present else np.zeros(1, bool)
            volume = found.mask.voxels * case.ct.voxel_volume_ml if found.mask else 0.0
            score = None
            if name in present:
                score = dice(found.mask.array, reference) if found.mask else 0.0
            result = TextResult(
                case.id, name, edge, name in present, found.mask is not None, score, volume,
                float(reference.sum()) * case.ct.voxel_volume_ml if name in present else 0.0, seconds,
            )  # fmt: skip
            results.append(result)
            if show:
                show(result)
    opened.close()
    return results


def summary(results: Sequence[TextResult]) -> list[str]:
    """Mean Dice by structure and edge, with the number of cases, and the share of false masks."""
    lines = []
    edges = list(dict.fromkeys(r.edge for r in results))
    structures = list(dict.fromkeys(r.structure for r in results if r.present))
    lines.append(f"{'structure':20s} cases  " + "  ".join(f"{edge:>6s}" for edge in edges))
    for name in structures:
        scores = {e: [r.dice for r in results if r.structure == name and r.edge == e and r.present] for e in edges}
        lines.append(
            f"{name:20s} {len(scores[edges[0]]):5d}  " + "  ".join(f"{np.mean(scores[e]):6.3f}" for e in edges)
        )
    for edge in edges:
        absent = [r for r in results if not r.present and r.edge == edge]
        wrong = [f"{r.case}:{r.structure} ({r.volume_ml:.0f} mL)" for r in absent if r.found]
        lines.append(f"false masks, edge {edge}: {len(wrong)} of {len(absent)} absent requests {' '.join(wrong)}")
    return lines
