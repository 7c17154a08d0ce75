"""Phantoms, the bundled abdomen and cases of ../shared/data, as finders and scenes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medvl.case import Case
from medvl.conversation.conversation import Conversation
from medvl.ct.geometry import SourceGeometry, to_canonical
from medvl.ct.volume import CTVolume
from medvl.evaluation.cases import abdomen_sample, labelled_cases
from medvl.evaluation.label_finder import LabelFinder
from medvl.model import MedVLSAM2
from medvl.report.build import build_report
from medvl.structures.found import Found
from medvl.tools.looking import look
from medvl.tools.scene import Scene

CASES = next(
    (
        p
        for p in (Path(__file__).resolve().parents[3] / "shared/data/cases.json", Path("../shared/data/cases.json"))
        if p.exists()
    ),
    None,
)


def finder_of(
    blocks: dict[str, tuple], shape=(40, 36, 30), affine=None, hu=None, codes: str | None = None
) -> LabelFinder:
    """A finder over boxes of the canonical grid: structure -> (slice, slice, slice); no two may overlap."""
    affine = np.diag([1.0, 2.0, 3.0, 1.0]) if affine is None else affine
    labels = np.zeros(shape, np.int16)
    names = {}
    for value, (structure, where) in enumerate(blocks.items(), start=1):
        labels[where] = value
        names[value] = structure
    hu = np.zeros(shape, np.int16) if hu is None else hu
    if codes:  # store along other axes, then read back
        turn = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(codes))
        stored = affine @ nib.orientations.inv_ornt_aff(turn, shape)
        labels, hu = (nib.apply_orientation(a, turn) for a in (labels, hu))
    else:
        stored = affine
    source = SourceGeometry(labels.shape, stored)
    array, canonical = to_canonical(hu, stored)
    return LabelFinder(CTVolume(array, canonical, source), to_canonical(labels, stored)[0], names)


def scene_of(finder: LabelFinder) -> Scene:
    """Everything the finder knows, looked for."""
    scene = Scene(finder.ct)
    list(look(scene, finder, sorted(finder.known)))
    return scene


@cache
def sample() -> LabelFinder:
    """The bundled abdomen."""
    case = abdomen_sample()
    return LabelFinder(case.ct, case.labels, case.names, case.complete)


@cache
def shared(id: str) -> LabelFinder:
    """A case of ../shared/data; skips in a clone without it."""
    if CASES is None:
        pytest.skip("needs ../shared/data, which is not part of the repository")
    case = next(labelled_cases(CASES, ids=[id]))
    return LabelFinder(case.ct, case.labels, case.names, case.complete)


class ListedFinder:
    """Another finder's structures as masks of a case, as ``TextSegmenter`` keeps them."""

    def __init__(self, case: Case, labels: LabelFinder) -> None:
        self.ct, self._case, self._labels = labels.ct, case, labels
        self._found: dict[str, Found] = {}

    @property
    def known(self) -> frozenset[str]:
        return self._labels.known

    def find(self, structure, cancel=None, progress=None) -> Found:
        found = self._found.get(structure)
        if found is None:
            found = self._labels.find(structure, cancel, progress)
            found = replace(found, mask=self._case.put(replace(found.mask, id=""))) if found.mask else found
        elif found.mask is not None:
            found = replace(
                found, mask=self._case.masks.get(found.mask.id) or self._case.put(replace(found.mask, id=""))
            )
        self._found[structure] = found
        return found


def talking_case(model: MedVLSAM2, labels: LabelFinder) -> Case:
    """A real case (masks, history, conversation) whose named structures are those of labels."""
    case = model.open(labels.ct)
    finder = ListedFinder(case, labels)
    case.conversation = Conversation(finder, listed=case.masks, write_report=partial(build_report, finder))
    return case
