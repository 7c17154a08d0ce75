"""The list of masks: names, colours, and a history of every object by itself."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.ct import mask_list
from medvl.ct.mask_list import HISTORY, MaskList
from medvl.ct.masks import PALETTE, Mask
from medvl.errors import PromptError


def mask_of(size: int, **labels: str) -> Mask:
    array = np.zeros((8, 7, 6), bool)
    array[:size] = True
    return Mask.from_array(array, **labels)


def added(masks: MaskList, size: int = 1, **labels: str) -> Mask:
    mask = masks.begin(mask_of(size), **labels)
    masks.remember(mask)
    return mask


def test_masks_get_ids_names_and_colours_of_their_own():
    masks = MaskList()
    made = [added(masks) for _ in range(len(PALETTE) + 1)]
    assert len({m.id for m in made}) == len(made)
    assert [m.name for m in made[:2]] == ["Object 1", "Object 2"]
    assert {m.color for m in made[:-1]} == set(PALETTE)
    assert list(masks.values()) == made  # in the order they were made
    named = added(masks, name="Liver", color="#123456")
    assert (named.name, named.color) == ("Liver", "#123456")


def test_a_colour_that_became_free_is_the_next():
    masks = MaskList()
    first, _ = added(masks), added(masks)
    masks.remove(first.id)
    assert masks.next_color() == first.color


def test_what_was_only_begun_is_not_in_the_list():
    masks = MaskList()
    masks.begin(mask_of(1))
    assert len(masks) == 0
    assert dict(masks) == {}


def test_put_gives_an_id_replaces_and_can_be_undone():
    masks = MaskList()
    first = masks.put(mask_of(1, name="a"))
    assert masks[first.id] is first
    bigger = masks.put(first.with_array(mask_of(3).array))
    assert bigger.id == first.id
    assert masks[first.id].voxels == 3 * 42
    assert masks.undo(first.id).voxels == 42
    assert masks.redo(first.id).voxels == 3 * 42


def test_histories_of_two_objects_do_not_meet():
    masks = MaskList()
    one, two = added(masks, 1), added(masks, 2)
    masks.put(one.with_array(mask_of(4).array))
    masks.undo(one.id)
    assert masks[two.id].voxels == 2 * 42
    assert not masks.can_redo(two.id)
    assert masks.can_redo(one.id)


def test_the_first_step_taken_back_takes_the_object_and_redo_brings_it_again():
    masks = MaskList()
    mask = added(masks)
    assert masks.undo(mask.id) is None
    assert mask.id not in masks
    assert not masks.can_undo(mask.id)
    assert masks.redo(mask.id) == mask
    assert masks[mask.id] == mask


def test_a_new_step_forgets_what_could_be_done_again():
    masks = MaskList()
    mask = added(masks)
    masks.put(mask.with_array(mask_of(2).array))
    masks.undo(mask.id)
    masks.put(mask.with_array(mask_of(5).array))
    assert not masks.can_redo(mask.id)
    assert masks.redo(mask.id).voxels == 5 * 42


def test_names_and_colours_are_no_steps_and_outlive_undo_and_redo():
    masks = MaskList()
    mask = added(masks)
    masks.put(mask.with_array(mask_of(2).array))
    masks.relabel(mask.id, name="Tumour", color="#abcdef")
    assert len(masks.steps(mask.id)) == 2
    for step in (masks.undo, masks.redo):
        now = step(mask.id)
        assert (now.name, now.color) == ("Tumour", "#abcdef")
    assert masks.relabel(mask.id).name == "Tumour"  # nothing given, nothing changed
    assert masks.with_labels(mask).name == "Tumour"


def test_states_stay_with_their_steps():
    masks = MaskList()
    mask = masks.begin(mask_of(1))
    for state in ("first", "second"):
        masks.remember(mask, state)
    assert [s.state for s in masks.steps(mask.id)] == ["first", "second"]
    masks.undo(mask.id)
    assert [s.state for s in masks.steps(mask.id)] == ["first"]
    assert [s.state for s in masks.steps()] == ["first", "second"]  # what is kept in memory, the undone too
    assert masks.steps("m99") == []


def test_history_has_an_end():
    masks = MaskList()
    mask = added(masks)
    for n in range(HISTORY + 5):
        masks.put(mask.with_array(mask_of(1 + n % 7).array))
    assert len(masks.steps(mask.id)) == HISTORY


def test_what_was_removed_is_unknown_and_does_not_come_back():
    masks = MaskList()
    mask, other = added(masks), added(masks)
    masks.remove(mask.id)
    assert list(masks) == [other.id]
    assert masks.undo(mask.id) is None
    assert masks.redo(mask.id) is None
    for act in (masks.known, masks.remove, masks.relabel):
        with pytest.raises(PromptError, match="does not exist any more"):
            act(mask.id)
    assert added(masks).id not in (mask.id, other.id)


def test_what_was_undone_away_is_not_put_again():
    masks = MaskList()
    mask = added(masks)
    masks.undo(mask.id)
    with pytest.raises(PromptError, match="removed"):
        masks.put(mask)


def test_clear_forgets_everything():
    masks = MaskList()
    mask = added(masks)
    masks.clear()
    assert dict(masks) == {}
    assert masks.steps() == []
    assert not masks.can_undo(mask.id)


class TestOneLine:
    """Undo over all objects, in the order that things were done."""

    def test_whatever_was_done_last_goes_first(self):
        masks = MaskList()
        a, b = added(masks), added(masks, 2)
        masks.put(a.with_array(mask_of(3).array))
        masks.relabel(b.id, name="Cyst", color="#123456")
        masks.remove(a.id)
        assert masks.undo_last() == (a.id,)
        assert list(masks) == [a.id, b.id]  # where it was
        assert masks[a.id].voxels == 3 * 42
        assert masks.undo_last() == (b.id,)
        assert (masks[b.id].name, masks[b.id].color) == (b.name, b.color)
        assert masks.undo_last() == (a.id,)
        assert masks[a.id].voxels == 42
        assert masks.undo_last() == (b.id,)
        assert list(masks) == [a.id]
        assert masks.undo_last() == (a.id,)
        assert (dict(masks), masks.undo_last(), masks.can_undo_last) == ({}, (), False)

    def test_all_of_it_can_be_done_again(self):
        masks = MaskList()
        a, b = added(masks), added(masks, 2)
        masks.put(a.with_array(mask_of(3).array))
        masks.relabel(b.id, name="Cyst")
        masks.remove(a.id)
        after = dict(masks)
        for _ in range(5):
            assert masks.undo_last()
        for _ in range(5):
            assert masks.redo_last()
        assert dict(masks) == after
        assert not masks.can_redo_last
        masks.undo_last()
        assert masks[a.id].voxels == 3 * 42
        assert masks.can_undo(a.id)  # with its history

    def test_something_new_ends_what_could_be_done_again(self):
        masks = MaskList()
        added(masks), added(masks, 2)
        masks.undo_last()
        added(masks, 3)
        assert masks.redo_last() == ()

    def test_what_belongs_together_goes_together(self):
        masks = MaskList()
        kept = added(masks)
        with masks.together():
            made = [added(masks, n) for n in (2, 3)]
            masks.remove(kept.id)
        assert set(masks.undo_last()) == {kept.id, *(m.id for m in made)}
        assert list(masks) == [kept.id]
        masks.redo_last()
        assert list(masks) == [m.id for m in made]

    def test_a_split_is_one_change(self):
        masks = MaskList()
        whole = masks.put(mask_of(4))
        rest = whole.with_array(mask_of(2).array)
        masks.split(rest, [mask_of(1), mask_of(1)])
        assert masks.undo_last() == (whole.id,)
        assert list(masks) == [whole.id]
        masks.redo_last()
        assert len(masks) == 3

    def test_an_objects_own_undo_keeps_the_line_true(self):
        masks = MaskList()
        a, b = added(masks), added(masks, 2)
        masks.put(a.with_array(mask_of(3).array))
        masks.put(b.with_array(mask_of(4).array))
        masks.undo(a.id)
        masks.undo_last()
        assert (masks[a.id].voxels, masks[b.id].voxels) == (42, 84)
        masks.undo_last()
        masks.undo_last()
        assert len(masks) == 0

    def test_its_order_comes_back_with_the_masks_of_a_file(self):
        masks = MaskList()
        a, b = added(masks), added(masks, 2)
        masks.put(b.with_array(mask_of(4).array))
        masks.put(a.with_array(mask_of(3).array))
        again = MaskList()
        for mask in masks.values():
            again.restore(mask, masks.steps(mask.id))
        again.restore_order(masks.order)
        assert [again.undo_last() for _ in range(5)] == [(a.id,), (b.id,), (b.id,), (a.id,), ()]
        assert len(again) == 0

    @pytest.mark.parametrize("order", [[["m1"], ["m1"], ["m1"]], [["m7"]]])
    def test_an_order_that_does_not_fit_changes_nothing(self, order):
        masks = MaskList()
        mask = added(masks)
        masks.restore_order(order)
        assert masks.undo_last() == (mask.id,)
        assert len(masks) == 0

    def test_memory_is_bounded_and_masks_stay(self, monkeypatch):
        monkeypatch.setattr(mask_list, "HISTORY_BYTES", 5 * mask_of(8).block.nbytes)
        masks = MaskList()
        a, b = added(masks, 8), added(masks, 8)
        for n in range(20):
            masks.put((a if n % 2 else b).with_array(mask_of(8).array))
        blocks = {id(step.mask.block): step.mask.block.nbytes for step in masks.steps()}
        assert sum(blocks.values()) <= mask_list.HISTORY_BYTES
        while masks.can_undo_last:
            masks.undo_last()
        assert set(masks) == {a.id, b.id}  # the first steps are forgotten: nothing vanishes by undo
        assert not masks.can_undo(a.id)


def test_an_object_with_a_long_history_does_not_vanish_by_undo():
    masks = MaskList()
    mask = added(masks)
    for n in range(HISTORY + 5):
        masks.put(mask.with_array(mask_of(1 + n % 8).array))
    while masks.can_undo(mask.id):
        masks.undo(mask.id)
    assert mask.id in masks


def test_the_list_may_change_while_it_is_looked_through():
    """The server counts the memory of masks while a job makes some and another goes."""
    masks = MaskList()
    first, second = added(masks), added(masks)
    seen = []
    for mask in masks.values():
        seen.append(mask.id)
        if mask.id == first.id:
            added(masks)
            masks.remove(second.id)
    assert seen == [first.id, second.id]
    for known in masks:
        masks.remove(known)
    assert not masks
