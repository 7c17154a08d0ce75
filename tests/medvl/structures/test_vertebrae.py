"""Single vertebrae: on a phantom, and on the bundled abdomen against its labels."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from medvl.ct.geometry import to_canonical
from medvl.ct.prompts import Box, bounding_box
from medvl.evaluation.interactive import dice
from medvl.structures.vertebrae import divide
from medvl.weights import hub

from ...spine_phantom import SPACING, spine_phantom

LABELS = {"L5": 27, "L4": 28, "L3": 29, "L2": 30, "L1": 31, "T12": 32}  # of TotalSegmentator
COLUMN, PELVIS_AND_RIBS = tuple(range(25, 34)), (77, 78, *range(92, 116))


@pytest.fixture(scope="module")
def labels():
    image = nib.load(hub.BUNDLED / "samples" / "abdomen_labels.nii.gz")
    return to_canonical(np.asarray(image.dataobj), image.affine)[0]


def divided(ct, column, bone):
    box = bounding_box(column)
    found = divide(column[box.slices], box, bone, ct)
    full = {}
    for level in found.levels:
        full[level] = np.zeros(column.shape, bool)
        full[level][box.slices] = found.of(level)
    return found, full


def test_vertebrae_of_the_bundled_abdomen_are_those_of_its_labels(abdomen, labels):
    column = np.isin(labels, COLUMN)
    found, masks = divided(abdomen.ct, column, column | np.isin(labels, PELVIS_AND_RIBS))
    assert (found.levels, found.anchor, found.doubt) == (tuple(LABELS), "sacrum", "")
    for level, value in LABELS.items():
        assert dice(masks[level], labels == value) > 0.9, level
    assert found.of("T5") is None


def test_they_do_not_overlap_and_lie_one_above_the_other(abdomen, labels):
    column = np.isin(labels, COLUMN)
    found, masks = divided(abdomen.ct, column, column | np.isin(labels, PELVIS_AND_RIBS))
    assert np.sum(list(masks.values()), axis=0).max() == 1
    assert not (np.any(list(masks.values()), axis=0) & ~column).any()
    heights = [np.argwhere(masks[level])[:, 2].mean() for level in found.levels]
    assert heights == sorted(heights)


def test_without_sacrum_and_ribs_no_level_is_told(abdomen, labels):
    column = np.isin(labels, COLUMN)
    high = np.zeros(column.shape, bool)
    high[:, :, int(np.argwhere(labels == LABELS["L5"])[:, 2].mean()) :] = True
    found, _ = divided(abdomen.ct, column & high, column & high)  # from the middle of L5 upward
    assert (found.levels, found.anchor) == ((), None)
    assert "sacrum" in found.refusal
    assert not found.labels.any()


def test_every_vertebra_of_a_phantom_is_its_own():
    phantom = spine_phantom("ppppprrrr", sacrum_mm=60)
    found = divide(phantom.column, phantom.box, phantom.bone, phantom.ct)
    assert found.levels[:8] == ("L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10")
    assert (found.anchor, found.doubt) == ("sacrum", "")
    for n, level in enumerate(found.levels[:8]):
        assert dice(found.of(level), phantom.owner == n + 1) > 0.88, level


def test_ribs_tell_the_level_where_the_sacrum_is_out_of_view():
    phantom = spine_phantom("pprrrrrr")
    found = divide(phantom.column, phantom.box, phantom.bone, phantom.ct)
    assert found.anchor == "lowest ribs"
    assert dice(found.of("T12"), phantom.owner == 3) > 0.88
    assert dice(found.of("L1"), phantom.owner == 2) > 0.88


def test_a_mirrored_scan_gives_the_mirrored_vertebrae():
    phantom = spine_phantom("pprrrrrr")
    straight = divide(phantom.column, phantom.box, phantom.bone, phantom.ct)
    flipped = type(phantom.ct)(phantom.ct.hu[::-1].copy(), phantom.ct.affine, phantom.ct.source)
    mirrored = divide(phantom.column[::-1], phantom.box, phantom.bone[::-1], flipped)
    assert mirrored.levels == straight.levels
    assert dice(mirrored.of("T12"), straight.of("T12")[::-1]) > 0.95


def test_what_is_too_short_is_refused():
    phantom = spine_phantom("pprrrrrr")
    short = phantom.column[:, :, :20]
    found = divide(short, Box((0, 0, 0), short.shape), phantom.bone, phantom.ct)
    assert "too little" in found.refusal
    assert SPACING[2] * 20 < 60
