"""Text protocol, three kinds of requests told apart in every table.

- *semantic*: every labelled structure asked for by its name;
- *referring*: every description of ``questions/referring.json`` whose structure the case has ("the organ that stores
  bile", "the larger kidney"), through the whole conversation;
- *absent*: every structure that the labels know not to be there, by name and by description.

Dice and NSD at native resolution. What is there and not found, or found as something else, counts as 0 where the masks
do not meet. A mask for an absent structure is a *false mask*; its share of all absent requests is reported.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Literal

import numpy as np

from ..conversation.contract import Done
from ..conversation.conversation import Conversation
from ..language.calls import Segment
from ..model import MedVLSAM2
from ..networks.networks import Edge
from ..structures.finder import TextSegmenter
from ..structures.found import Finder
from .cases import LabelledCase
from .question_facts import reference_value
from .segmentation_metrics import dice, surface_dice, tolerance_of
from .tables import mean, table

Kind = Literal["semantic", "referring", "absent"]
REFERRING = "referring.json"
CLEAR_DIFFERENCE = 0.05  # a pair that differs by less in the reference has no larger (or brighter) one


@dataclass(frozen=True)
class TextResult:
    """One request.

    Attributes:
        case: case id.
        kind: of request.
        request: the words.
        structure: id that is meant.
        edge: how the edge was delineated.
        present: whether the reference has it.
        found: whether a mask came back.
        chosen: ids that the words were taken for.
        dice: Dice with the reference; None for an absent structure.
        nsd: normalised surface Dice, likewise.
        tolerance_mm: of the NSD.
        volume_ml: of the mask.
        reference_ml: of the reference.
        seconds: from the request to the mask; the first request of a case bears the localiser's run.
    """

    case: str
    kind: Kind
    request: str
    structure: str
    edge: Edge
    present: bool
    found: bool
    chosen: tuple[str, ...]
    dice: float | None
    nsd: float | None
    tolerance_mm: float
    volume_ml: float
    reference_ml: float
    seconds: float

    @property
    def right_structure(self) -> bool:
        """Whether the words were taken for what is meant and nothing else."""
        return self.chosen == (self.structure,)


@dataclass(frozen=True)
class Referring:
    """A description with what it means on one case."""

    text: str
    structure: str


def referring_requests(case: LabelledCase, known: frozenset[str]) -> list[Referring]:
    """Descriptions that the labels of a case can judge; a choice between two that hardly differ is left out."""
    text = (resources.files(__package__) / "questions" / REFERRING).read_text(encoding="utf-8")
    present = {name for name in case.names.values() if case.mask(name).any()}
    found = []
    for entry in json.loads(text):
        wanted = tuple(entry.get("structures", ())) or (entry["structure"],)
        if not set(wanted) <= known:
            continue
        if len(wanted) == 1 and (wanted[0] in present or wanted[0] in case.complete):
            found.append(Referring(entry["text"], wanted[0]))
        elif len(wanted) > 1 and set(wanted) <= present and _clear(entry["choose"], wanted, case):
            value = reference_value({"fact": entry["choose"], "structures": wanted}, case)
            found.append(Referring(entry["text"], str(value)))
    return found


def _clear(choose: str, structures: Sequence[str], case: LabelledCase) -> bool:
    fact = "volume_ml" if choose in ("larger", "smaller") else "mean_hu"
    a, b = (float(reference_value({"fact": fact, "structure": s}, case)) for s in structures)
    return abs(a - b) > CLEAR_DIFFERENCE * max(abs(a), abs(b))


def run_case(
    model: MedVLSAM2,
    case: LabelledCase,
    edges: Sequence[Edge] = ("hu",),
    show: Callable[[TextResult], None] | None = None,
    tolerances: Mapping[str, float] | None = None,
) -> list[TextResult]:
    """Ask for everything that the labels of a case can judge.

    Args:
        model: from ``medvl.load``.
        case: with reference labels.
        edges: ways to delineate the edge, each its own results.
        show: called with each request when done.
        tolerances: of the NSD, as ``segmentation_metrics.tolerances`` gives them.
    """
    results = []
    opened = model.open(case.ct)
    try:
        for edge in edges:
            finder = TextSegmenter(case.ct, replace(model.networks, edge=edge), opened.masks, opened.encoder)
            for result in ask_all(finder, case, edge, tolerances):
                results.append(result)
                if show:
                    show(result)
    finally:
        opened.close()
    return results


def ask_all(finder: Finder, case: LabelledCase, edge: Edge, tolerances: Mapping[str, float] | None = None):
    """The requests of a case to one finder; yields a ``TextResult`` each."""
    present = [n for n in case.names.values() if n in finder.known and case.mask(n).any()]
    absent = sorted((case.complete & finder.known) - set(present))
    for name in (*present, *absent):
        begin = time.perf_counter()
        mask = finder.find(name).mask
        seconds = time.perf_counter() - begin
        kind: Kind = "semantic" if name in present else "absent"
        array = mask.array if mask else None
        yield _result(case, kind, name.replace("_", " "), name, edge, array, (name,), seconds, tolerances)
    for wanted in referring_requests(case, finder.known):
        begin = time.perf_counter()
        masks, chosen = _described(finder, wanted.text)
        seconds = time.perf_counter() - begin
        kind = "referring" if wanted.structure in present else "absent"
        array = np.any(masks, axis=0) if masks else None
        yield _result(case, kind, wanted.text, wanted.structure, edge, array, chosen, seconds, tolerances)


def _described(finder: Finder, text: str) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Masks of what a description was taken for, and the ids."""
    talk = Conversation(finder)
    answer = next(piece.answer for piece in talk.ask(text) if isinstance(piece, Done))
    chosen = tuple(dict.fromkeys(s for call in answer.calls if isinstance(call, Segment) for s in call.structures))
    return [talk.scene.mask(s).array for s in chosen if talk.scene.mask(s) is not None], chosen


def _result(
    case: LabelledCase,
    kind: Kind,
    request: str,
    structure: str,
    edge: Edge,
    array: np.ndarray | None,
    chosen: tuple[str, ...],
    seconds: float,
    tolerances: Mapping[str, float] | None,
) -> TextResult:
    tolerance = tolerance_of(structure, tolerances)
    there = kind != "absent"
    overlap = nsd = None
    if there:
        reference = case.mask(structure)
        overlap = dice(array, reference) if array is not None else 0.0
        nsd = surface_dice(array, reference, case.ct.spacing_mm, tolerance) if array is not None else 0.0
    voxel = case.ct.voxel_volume_ml
    volume = 0.0 if array is None else float(array.sum()) * voxel
    reference_ml = float(case.mask(structure).sum()) * voxel if there else 0.0
    return TextResult(
        case.id, kind, request, structure, edge, there, array is not None, chosen, overlap, nsd, tolerance, volume,
        reference_ml, seconds,
    )  # fmt: skip


def summary(results: Sequence[TextResult]) -> list[str]:
    """One table each for semantic, referring and absent requests; several edges stand side by side in ``edge``."""
    lines: list[str] = []
    for kind, key in (("semantic", "structure"), ("referring", "request")):
        mine = [r for r in results if r.kind == kind]
        if mine:
            header = (kind, "edge", "cases", "Dice", "NSD", "tolerance mm", "not found", "right structure")
            lines += [*table(header, _rows(mine, key)), ""]
    absent = [r for r in results if r.kind == "absent"]
    if absent:
        rows = [_absent_row(edge, absent) for edge in dict.fromkeys(r.edge for r in absent)]
        lines += table(("absent", "edge", "requests", "false masks", "share %", "which"), rows)
    return lines


def _rows(results: Sequence[TextResult], key: str) -> list[tuple]:
    rows, means = [], []
    for edge in dict.fromkeys(r.edge for r in results):
        mine = [r for r in results if r.edge == edge]
        groups = [[r for r in mine if getattr(r, key) == name] for name in dict.fromkeys(getattr(r, key) for r in mine)]
        rows += [(getattr(group[0], key), edge, *_figures(group)) for group in groups]
        means.append(("mean of all requests", edge, *_figures(mine)))
    return rows + means


def _figures(group: Sequence[TextResult]) -> tuple:
    tolerance = {r.tolerance_mm for r in group}
    return (
        len(group),
        mean([r.dice for r in group]),
        mean([r.nsd for r in group]),
        tolerance.pop() if len(tolerance) == 1 else None,
        sum(not r.found for r in group),
        f"{sum(r.right_structure for r in group)}/{len(group)}",
    )


def _absent_row(edge: str, absent: Sequence[TextResult]) -> tuple:
    mine = [r for r in absent if r.edge == edge]
    wrong = [r for r in mine if r.found]
    which = ", ".join(f"{r.case}: {r.request} ({r.volume_ml:.0f} mL)" for r in wrong)
    return "all", edge, len(mine), len(wrong), 100 * len(wrong) / len(mine), which or "none"
