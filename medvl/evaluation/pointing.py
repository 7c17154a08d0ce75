"""[SEG] protocol: the masks of a language model's [SEG] beside those of the localiser, on the same requests.

A labelled structure is asked for by its name ("Segment the left kidney.") and once more by each description that means
it. The model answers; the state at its first [SEG] gives the coarse map and, with SAM 2, the mask. The localiser of the
same model finds the same structure by its id. Dice on the voxels of the CT; no [SEG], or a map that is empty, counts 0.
Of structures that the labels know to be absent it is counted how often a mask comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import MedVLError
from ..model import MedVLSAM2
from ..prompting.pointing import SegSegmenter
from ..structures.finder import TextSegmenter
from ..training.datasets.names import described, spoken
from ..training.vlm.overfit_check import answer_of, exhaust
from .cases import LabelledCase
from .segmentation_metrics import dice
from .tables import mean, table


@dataclass(frozen=True)
class PointingResult:
    """One request.

    Attributes:
        case: case id.
        structure: id that is meant.
        question: as it was asked.
        answer: what the model said.
        named: whether it was asked for by its name.
        present: whether the reference has it.
        pointed: whether the answer has a [SEG].
        coarse: Dice of the coarse map; None for an absent structure.
        seg: Dice of the mask that SAM 2 delineates, likewise.
        localiser: Dice of the localiser's mask, likewise; None too for what it does not know.
        seg_found: whether a mask came of [SEG].
        localiser_found: whether one came of the localiser; None for what it does not know.
    """

    case: str
    structure: str
    question: str
    answer: str
    named: bool
    present: bool
    pointed: bool
    coarse: float | None
    seg: float | None
    localiser: float | None
    seg_found: bool
    localiser_found: bool | None


def run_case(model: MedVLSAM2, case: LabelledCase, descriptions: bool = False) -> Iterator[PointingResult]:
    """Ask for every labelled structure of a case and for every absent one.

    Args:
        model: from ``medvl.load``, with a language model that was trained to point.
        case: with reference labels.
        descriptions: also by what describes a structure without its name.

    Raises:
        MedVLError: the model does not point.
    """
    head, vlm = model.networks.seg_head, model.vlm
    if head is None or vlm is None:
        raise MedVLError("This model has no [SEG]: give a folder that the joint stage wrote.")
    opened = model.open(case.ct)
    try:
        seen = vlm.look(case.ct, stages=head.config.stages(vlm.encoder.config.channels))
        work = SegSegmenter(head, seen, opened.segmenter)
        finder = TextSegmenter(case.ct, model.networks, opened.masks, opened.encoder)
        present = [name for name in case.names.values() if case.mask(name).any()]
        absent = sorted(case.complete - set(present))
        for name in (*present, *absent):
            reference = case.mask(name) if name in present else None
            found = finder.find(name).mask if name in finder.known else None
            localised = None if found is None else found.array
            words = (f"the {spoken(name)}", *(described(name) if descriptions else ()))
            for number, text in enumerate(words):
                question = f"Segment {text}."
                answer, states = answer_of(model, seen, question)
                coarse = work.coarse(states[0]) if states else None
                final = exhaust(work.segment(states[0])) if states else None
                yield PointingResult(
                    case.id, name, question, answer, number == 0, reference is not None, bool(states),
                    _dice(coarse, reference), _dice(final, reference),
                    _dice(localised, reference) if name in finder.known else None,
                    final is not None, (localised is not None) if name in finder.known else None,
                )  # fmt: skip
    finally:
        opened.close()


def _dice(array: np.ndarray | None, reference: np.ndarray | None) -> float | None:
    if reference is None:
        return None
    return 0.0 if array is None else dice(array, reference)


def summary(results: Sequence[PointingResult]) -> list[str]:
    """A row a structure, the mean of all requests, and the false masks of what is absent."""
    there = [r for r in results if r.present]
    lines: list[str] = []
    for named, title in ((True, "by name"), (False, "by description")):
        mine = [r for r in there if r.named is named]
        if not mine:
            continue
        groups = {name: [r for r in mine if r.structure == name] for name in sorted({r.structure for r in mine})}
        rows = [_row(name, group) for name, group in groups.items()] + [_row("mean of all requests", mine)]
        lines += [*table((title, "requests", "[SEG] said", "coarse", "[SEG]", "localiser"), rows), ""]
    missing = [r for r in results if not r.present]
    if missing:
        known = [r for r in missing if r.localiser_found is not None]
        lines.append(
            f"absent: {len(missing)} requests, a mask of [SEG] in {sum(r.seg_found for r in missing)}, "
            f"of the localiser in {sum(bool(r.localiser_found) for r in known)} of {len(known)}"
        )
    return lines


def _row(label: str, group: Sequence[PointingResult]) -> tuple:
    said = sum(r.pointed for r in group)
    return label, len(group), said, *(mean([getattr(r, key) for r in group]) for key in ("coarse", "seg", "localiser"))
