"""Edits by words change the masks of a real case, say so with measured volumes, and are taken back."""

from __future__ import annotations

import re

import numpy as np
import pytest

from medvl.conversation import guard
from medvl.conversation.contract import Done
from medvl.ct import mask_operations as operations
from medvl.ct.mask_operations import components
from medvl.ct.masks import Mask
from medvl.tools.pieces import MaskRef, View

from ..scenes import finder_of, talking_case

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
    case.masks.clicked = clicked.id  # as a run of prompts leaves it
    ask(case, "fill it")
    assert case.masks[clicked.id].voxels == block.sum() + 1
    before = of(case, "Liver")
    ask(case, "how large is the liver?")
    ask(case, "fill it")
    assert of(case, "Liver").voxels > before.voxels


def test_undo_takes_back_what_was_done_on_the_page_before_the_edit(case):
    ask(case, "segment the liver")
    ask(case, "fill the holes")
    mask = of(case, "Liver")
    case.put(mask.with_array(mask.array & (np.arange(30) < 10)))
    told = answer(case, "undo")
    assert "done on the page" in told
    assert "the liver has 33 mL again" in told
    assert np.array_equal(of(case, "Liver").array, mask.array)
    answer(case, "undo")
    assert of(case, "Liver").voxels == mask.voxels - 8


def test_undo_by_words_goes_on_where_the_button_stopped(case):
    ask(case, "segment the liver")
    whole = of(case, "Liver")
    ask(case, "fill the holes")
    ask(case, "grow it by 2 mm")
    case.undo(whole.id)
    assert of(case, "Liver").voxels == whole.voxels + 8
    answer(case, "undo")
    assert of(case, "Liver").voxels == whole.voxels
    assert "no edit" in answer(case, "undo")


def test_grown_and_shrunk_by_a_distance(case):
    ask(case, "segment the spleen")
    before = of(case, "Spleen")
    assert "by 4.0 mm: 8.0 to 19 mL" in answer(case, "expand the spleen by 4 mm")
    grown = of(case, "Spleen")
    assert np.array_equal(grown.array, operations.margin(before, AFFINE.diagonal()[:3], 4).array)
    assert "by 2.0 mm" in answer(case, "shrink it by 2 mm")
    assert before.voxels < of(case, "Spleen").voxels < grown.voxels
    assert "would leave nothing, so it stays" in answer(case, "shrink the spleen by 4 cm")
    answer(case, "undo")
    answer(case, "undo")
    assert np.array_equal(of(case, "Spleen").array, before.array)


def test_a_shell_is_what_lies_under_the_surface(case):
    ask(case, "segment the spleen")
    assert "4.0 mm thick" in answer(case, "make a 4 mm shell of the spleen")
    assert of(case, "Spleen").voxels == 1000 - 6**3


def test_pieces_are_masks_and_go_with_the_step(case):
    ask(case, "segment the liver")
    whole = of(case, "Liver")
    block = whole.array.copy()
    block[30:34, 28:32, 24:28] = True
    case.put(whole.with_array(block))
    told = answer(case, "split it")
    assert re.search(r"3 pieces of 33 mL, 0\.5 mL and less than 0\.1 mL|2 pieces of 33 mL and 0\.5 mL", told), told
    assert '"Liver 2"' in told
    assert {m.name for m in case.masks.values()} == {"Liver", "Liver 2"}
    assert (of(case, "Liver").array | of(case, "Liver 2").array).sum() == block.sum()
    case.undo(whole.id)  # by the button
    assert {m.name for m in case.masks.values()} == {"Liver"}
    case.redo(whole.id)
    assert of(case, "Liver 2").voxels == 64
    answer(case, "undo")  # by words
    assert {m.name for m in case.masks.values()} == {"Liver"}
    assert of(case, "Liver").voxels == block.sum()
    answer(case, "redo")
    assert {m.name for m in case.masks.values()} == {"Liver", "Liver 2"}


def test_a_piece_that_was_worked_on_stays_when_the_split_is_taken_back(case):
    block = np.zeros(SHAPE, bool)
    block[2:8, 2:8, 2:8] = block[20:26, 20:26, 20:24] = True
    case.put(Mask.from_array(block, id="", name="Two"))
    answer(case, "split two")
    case.put(operations.margin(of(case, "Two 2"), AFFINE.diagonal()[:3], 2))
    case.undo(of(case, "Two").id)
    assert {m.name for m in case.masks.values()} == {"Two", "Two 2"}


def test_what_two_masks_share(case):
    ask(case, "segment the spleen")
    other = np.zeros(SHAPE, bool)
    other[20:36, 6:16, 12:17] = True
    case.put(Mask.from_array(other, id="", name="Box"))
    assert "8.0 to 4.0 mL" in answer(case, "intersect the spleen with the box")
    assert of(case, "Spleen").voxels == 500
    answer(case, "undo")
    assert of(case, "Spleen").voxels == 1000
    assert "shares with" in answer(case, "only what both masks share")
    assert "no voxel in common" in answer(case, "intersect the liver with the spleen")


def test_a_range_of_hu_is_kept(case):
    ask(case, "segment the spleen")
    before = of(case, "Spleen")
    case.ct.hu[before.array] = np.arange(before.voxels)
    assert "All of the spleen is" in answer(case, "keep only above -1 HU")
    assert "from 100 HU to 300 HU: 8.0 to 1.6 mL" in answer(case, "limit it to 100 to 300 HU")
    assert of(case, "Spleen").voxels == 201
    answer(case, "undo")
    assert "No voxel of the spleen is" in answer(case, "keep only above 9000 HU")
    assert "which range" in answer(case, "threshold the spleen").lower()
    assert of(case, "Spleen").voxels == before.voxels


def test_slices_between_painted_ones_are_filled(case):
    block = np.zeros(SHAPE, bool)
    block[10:20, 10:20, 4] = block[10:20, 10:20, 10] = True
    case.put(Mask.from_array(block, id="", name="Painted"))
    assert "5 slices" in answer(case, "fill between the slices of painted")
    assert of(case, "Painted").voxels == 700


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
    assert all(len(case.masks.steps(id)) == 1 for id in case.masks)


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
