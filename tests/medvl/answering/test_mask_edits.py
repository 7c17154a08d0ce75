"""Edits by words change the masks of a real case, say so with measured volumes, and are taken back."""

from __future__ import annotations

import re

import numpy as np
import pytest

from medvl.answering import guard
from medvl.answering.contract import Done, MaskRef, View
from medvl.masks import Mask, components
from tests.medvl.answering.scenes import finder_of, talking_case

SHAPE, AFFINE = (40, 36, 30), np.diag([2.0, 2.0, 2.0, 1.0])
ML = 0.008  # a voxel


@pytest.fixture
def case(model):
    """A liver with a cavity and a speck beside it, two kidneys, and a spleen."""
    blocks = {
        "liver": (slice(2, 18), slice(4, 20), slice(4, 20)),
        "right_kidney": (slice(4, 10), slice(26, 32), slice(4, 14)),
        "left_kidney": (slice(28, 34), slice(26, 32), slice(4, 10)),
        "spleen": (slice(26, 36), slice(6, 16), slice(12, 22)),
    }
    labels = finder_of(blocks, SHAPE, AFFINE)
    labels._labels[8:10, 10:12, 10:12] = 0
    labels._labels[20:21, 28:30, 24:25] = 1
    return talking_case(model, labels)


def ask(case, text):
    pieces = list(case.ask(text))
    assert isinstance(pieces[-1], Done)
    for told in pieces[-1].answer.sentences:
        assert guard.holds(told), told.text
    return pieces


def answer(case, text) -> str:
    return ask(case, text)[-1].answer.text


def of(case, name) -> Mask:
    return next(mask for mask in case.masks.values() if mask.name == name)


def test_holes_are_filled_and_islands_go_step_by_step(case):
    ask(case, "segment the liver")
    before = of(case, "Liver")
    assert "33 mL before and after" in answer(case, "fill the holes")
    filled = of(case, "Liver")
    assert filled.voxels == before.voxels + 8
    told = answer(case, "remove the small islands")
    assert "one smaller piece" in told
    assert len(components(of(case, "Liver"))) == 1
    assert of(case, "Liver").voxels == filled.voxels - 2
    assert case.can_undo(before.id)
    answer(case, "undo")
    assert of(case, "Liver").voxels == filled.voxels
    answer(case, "undo")
    assert np.array_equal(of(case, "Liver").array, before.array)
    answer(case, "redo")
    assert of(case, "Liver").voxels == filled.voxels


def test_what_is_asked_next_is_measured_on_the_edited_mask(case):
    ask(case, "segment the liver and the spleen")
    other = np.zeros(SHAPE, bool)
    other[26:36, 6:16, 12:17] = True
    mask = case.put(Mask.from_array(other, id="", name="Lower half"))
    told = answer(case, "subtract lower half from the spleen")
    assert "8.0 to 4.0 mL" in told
    assert 'I subtracted "Lower half" from the spleen' in told
    assert "4.0 mL" in answer(case, "how large is the spleen?")
    assert case.masks[mask.id].voxels == other.sum()


def test_a_smoothed_mask_keeps_its_volume(case):
    pieces = ask(case, "smooth the liver by 4 mm")
    after = of(case, "Liver")
    assert [p.mask for p in pieces if isinstance(p, MaskRef)] == [after]
    assert len(components(after)) == 1  # the speck is gone
    assert after.voxels * ML == pytest.approx(32.7, abs=0.4)
    assert "4.0 mm" in pieces[-1].answer.text


def test_merged_masks_become_a_new_one_and_the_parts_stay(case):
    pieces = ask(case, "merge the two kidneys")
    whole, right, left = of(case, "Kidneys"), of(case, "Right kidney"), of(case, "Left kidney")
    assert whole.voxels == right.voxels + left.voxels
    assert View("hide", (right.id, left.id)) in pieces
    assert re.search(r"right kidney \(2\.9 mL\).*left kidney \(1\.7 mL\).*4\.6 mL", pieces[-1].answer.text)
    assert "2.9 mL" in answer(case, "how large is the right kidney?")
    back = ask(case, "undo")
    assert View("show", (right.id, left.id)) in back
    assert {m.name for m in case.masks.values()} == {"Right kidney", "Left kidney"}


def test_it_is_what_was_merged(case):
    ask(case, "merge the liver and the spleen")
    ask(case, "rename it to Both Organs")
    whole = of(case, "Both Organs")
    assert "by 5.0 mm" in answer(case, "smooth both organs by 5 mm")
    ask(case, "undo")
    ask(case, "keep only the largest piece of both organs")
    assert of(case, "Both Organs").voxels < whole.voxels
    ask(case, "delete both organs")
    assert {m.name for m in case.masks.values()} == {"Liver", "Spleen"}


def test_a_name_is_kept_as_it_was_written_and_taken_back(case):
    ask(case, "segment the spleen")
    assert '"Tumour (T2)"' in answer(case, 'rename it to "Tumour (T2)"')
    assert "by 6.0 mm" in answer(case, "smooth tumour (t2) by 6 mm")
    assert "has 8.0 mL again" in answer(case, "undo")
    assert '"Spleen"' in answer(case, "undo")
    assert of(case, "Spleen")


def test_it_is_what_was_clicked_last(case):
    ask(case, "segment the liver")
    block = np.zeros(SHAPE, bool)
    block[25:30, 6:12, 2:8] = True
    block[27, 8, 4] = False
    clicked = case.put(Mask.from_array(block, id="", name="Object 1"))
    case.clicked = clicked.id  # as a run of prompts leaves it
    ask(case, "fill it")
    assert case.masks[clicked.id].voxels == block.sum() + 1
    before = of(case, "Liver")
    ask(case, "how large is the liver?")
    ask(case, "fill it")
    assert of(case, "Liver").voxels > before.voxels


def test_what_was_changed_on_the_page_since_is_not_taken_back(case):
    ask(case, "segment the liver")
    ask(case, "fill the holes")
    mask = of(case, "Liver")
    case.put(mask.with_array(mask.array & (np.arange(30) < 10)))
    now = of(case, "Liver")
    assert "changed on the page" in answer(case, "undo")
    assert of(case, "Liver") is now


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("smooth it", "which mask"),
        ("merge the liver", "two masks"),
        ("subtract the liver", "two masks"),
        ("smooth the prostate", "prostate"),
        ("remove the spleen from the liver", "no voxel in common"),
        ("keep the largest piece of the spleen", "one piece already"),
        ("smooth the liver by 80 mm", "80"),
        ("rename both kidneys to pair", "one mask"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(case, text, part):
    told = answer(case, text)
    assert part in told.lower()
    assert all(len(case._past[id]) == 1 for id in case.masks)


def test_a_structure_is_not_emptied(case):
    case.put(Mask.from_array(np.ones(SHAPE, bool), id="", name="Everywhere"))
    ask(case, "segment the spleen")
    before = of(case, "Spleen")
    assert "Nothing would be left" in answer(case, "subtract everywhere from the spleen")
    assert of(case, "Spleen") is before


def test_an_answer_given_anew_does_not_edit_twice(case):
    ask(case, "segment the liver")
    before = of(case, "Liver").voxels
    ask(case, "fill the holes")
    case.conversation.rewind(1)
    assert of(case, "Liver").voxels == before
    ask(case, "fill the holes")
    assert of(case, "Liver").voxels == before + 8
