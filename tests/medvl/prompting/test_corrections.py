"""What a correction may change on its own slice and on the next ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medvl.prompting.corrections import Change, followed
from medvl.prompting.plane_masks import SlicePrompts, iou_of
from medvl.prompting.planes import Patch, PlaneFrame, to_plane
from medvl.prompting.slice_segmenter import ObjectState
from medvl.prompting.thresholds import THRESHOLDS

SHAPE = (60, 80)
FRAME = PlaneFrame(2, (80, 60, 10), (1.0, 1.0))


def square(r0, r1, c0, c1) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[r0:r1, c0:c1] = True
    return mask


def patch(mask: np.ndarray) -> Patch | None:
    return Patch.from_logits(np.where(mask, 4.0, -4.0))


def mask_of(found: Patch | None) -> np.ndarray:
    return np.zeros(SHAPE, bool) if found is None else found.full_mask(SHAPE)


ORGAN, MISSED, LEAK = square(10, 30, 10, 40), square(10, 30, 40, 48), square(30, 50, 20, 26)


def test_a_positive_click_only_adds_what_hangs_together_with_it():
    elsewhere = square(45, 50, 60, 70)
    worse = (ORGAN & ~square(10, 30, 10, 14)) | MISSED | elsewhere
    change = Change.between(patch(ORGAN), patch(worse), ((20, 44, True),), SHAPE)
    assert np.array_equal(mask_of(change.applied(patch(ORGAN), patch(worse), SHAPE)), ORGAN | MISSED)


def test_a_negative_click_only_takes_away_the_part_it_is_in():
    before, after = ORGAN | LEAK, square(10, 30, 14, 48)
    change = Change.between(patch(before), patch(after), ((40, 23, False),), SHAPE)
    assert np.array_equal(mask_of(change.applied(patch(before), patch(after), SHAPE)), ORGAN)


def test_a_click_that_tells_nothing_new_may_still_add():
    change = Change.between(patch(ORGAN), patch(ORGAN | MISSED), ((20, 20, True),), SHAPE)
    assert np.array_equal(change.added, MISSED)


def test_a_box_may_change_everything():
    change = Change.between(patch(ORGAN), patch(MISSED), (), SHAPE, free=True)
    assert np.array_equal(mask_of(change.applied(patch(ORGAN), patch(MISSED), SHAPE)), MISSED)


def test_what_was_added_goes_on_and_nothing_else_changes():
    change = Change.between(patch(ORGAN), patch(ORGAN | MISSED), ((20, 44, True),), SHAPE)
    predicted = square(10, 20, 10, 46)  # half of the organ lost, and the missed part smaller
    found, following = change.carried(patch(ORGAN), patch(predicted), FRAME)
    assert np.array_equal(mask_of(found), ORGAN | square(10, 20, 40, 46))
    assert np.array_equal(following.added, square(10, 20, 40, 46))
    same, ended = following.carried(patch(ORGAN), patch(square(20, 30, 10, 40)), FRAME)
    assert ended.empty
    assert np.array_equal(mask_of(same), ORGAN)


def test_a_removal_does_not_spread_to_what_was_right():
    change = Change.between(patch(ORGAN | LEAK), patch(ORGAN), ((40, 23, False),), SHAPE)
    found, following = change.carried(patch(ORGAN | LEAK), patch(square(10, 14, 10, 14)), FRAME)
    kept = mask_of(found)
    assert not kept[34:].any()
    assert (kept & ORGAN).sum() > 0.9 * ORGAN.sum()
    assert not following.added.any()


def test_what_was_added_does_not_spread_over_the_next_slice():
    change = Change.between(patch(ORGAN), patch(ORGAN | MISSED), ((20, 44, True),), SHAPE)
    found, following = change.carried(patch(ORGAN), patch(ORGAN | square(10, 55, 40, 75)), FRAME)
    reach = int(THRESHOLDS.spread_mm)
    assert mask_of(found)[20, 44]
    assert not mask_of(found)[30 + reach :].any()
    assert not following.added[:, 48 + reach :].any()


def test_a_prediction_that_finds_nothing_does_not_take_what_is_far_from_the_click():
    change = Change.between(patch(ORGAN | LEAK), patch(ORGAN), ((40, 23, False),), SHAPE)
    kept = mask_of(change.carried(patch(ORGAN | LEAK), None, FRAME, ended=False)[0])
    assert not kept[34:].any()
    assert (kept & ORGAN).sum() > 0.9 * ORGAN.sum()


def test_where_the_object_ends_the_whole_leak_goes():
    end = Change.between(patch(LEAK), None, ((40, 23, False),), SHAPE)
    wider, apart = square(30, 50, 15, 40), square(5, 10, 60, 70)
    found, _ = end.carried(patch(wider | apart), None, FRAME)
    assert np.array_equal(mask_of(found), apart)


def test_a_new_end_is_taken_as_it_is_predicted():
    change = Change.between(None, patch(ORGAN), ((20, 20, True),), SHAPE)
    found, following = change.carried(None, patch(square(12, 28, 12, 38)), FRAME)
    assert np.array_equal(mask_of(found), square(12, 28, 12, 38))
    assert not following.empty


def test_what_was_taken_away_goes_on_as_a_thing_of_its_own_but_does_not_grow():
    before = patch(ORGAN | LEAK)
    change = Change.between(before, patch(ORGAN), ((40, 23, False),), SHAPE)
    same, ended = change.carried(before, before, FRAME)  # predicted again, the leak is filled
    assert ended.empty
    assert np.array_equal(mask_of(same), ORGAN | LEAK)
    found, following = change.carried(before, before, FRAME, gone=square(25, 50, 15, 30))
    assert np.array_equal(mask_of(found), ORGAN)
    assert np.array_equal(following.removed, LEAK)


def test_a_kidney_taken_from_the_liver_is_found_on_the_next_slice(model, abdomen):
    kidney, liver = (to_plane(abdomen.mask(name), 2, 95) for name in ("right_kidney", "liver"))
    segmenter = model.open(abdomen.ct).segmenter
    state = ObjectState(axis=2, slices={95: patch(liver)}, anchors={95: SlicePrompts()})
    found = followed(segmenter.slices, state, kidney, 95, 96)
    assert iou_of(found, to_plane(abdomen.mask("right_kidney"), 2, 96)) > 0.7
    assert followed(segmenter.slices, replace(state, slices={}), kidney, 95, 96) is None
    more = replace(state, slices={95: patch(kidney)})  # the kidney is left, the liver was taken: nothing is followed
    assert followed(segmenter.slices, more, liver, 95, 96) is None
    speck = np.zeros_like(kidney)
    speck[40, 40] = True
    assert followed(segmenter.slices, state, speck, 95, 96) is None
