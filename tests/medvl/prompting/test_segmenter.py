"""The interactive segmenter on the bundled abdomen, against its reference labels."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from medvl.ct.prompts import Box, Point, bounding_box
from medvl.errors import Cancelled, PromptError
from medvl.evaluation.interactive import box_on_largest_slice, centre_of_largest_error, dice
from medvl.prompting.object_ends import without_tails
from medvl.prompting.plane_masks import SlicePrompts
from medvl.prompting.planes import Patch
from medvl.prompting.slice_segmenter import ObjectState
from medvl.prompting.thresholds import THRESHOLDS


@pytest.fixture(scope="module")
def abdomen(coarse_abdomen):
    return coarse_abdomen


@pytest.fixture(scope="module")
def case(model, abdomen):
    """One case for the whole module: slice features are shared between the tests as they are between objects."""
    return model.open(abdomen.ct)


def box_of(abdomen, name: str, axis: int = 2) -> Box:
    return box_on_largest_slice(abdomen.mask(name), axis)


@pytest.mark.parametrize(
    ("name", "least"),
    [("liver", 0.88), ("spleen", 0.85), ("right_kidney", 0.80), ("left_kidney", 0.80), ("aorta", 0.70)],
)
def test_one_box_becomes_the_organ(case, abdomen, name, least):
    mask = case.segment(box=box_of(abdomen, name))
    assert dice(mask.array, abdomen.mask(name)) > least


def test_first_update_is_the_touched_slice_alone(case, abdomen):
    box = box_of(abdomen, "spleen")
    updates = case.segment_stream(box=box)
    first = next(updates)
    assert first.stage == "slice"
    assert first.mask.box.lo[2] == box.lo[2]
    assert first.mask.box.size[2] == 1
    updates.close()


def test_updates_report_every_changed_voxel(case, abdomen):
    seen = np.zeros(abdomen.ct.shape, bool)
    for update in case.segment_stream(box=box_of(abdomen, "left_kidney")):
        if update.changed is not None:
            seen[update.changed.slices] = update.mask.array[update.changed.slices]
        assert np.array_equal(seen, update.mask.array)


def test_features_are_shared_and_only_needed_slices_are_encoded(model, abdomen):
    fresh = model.open(abdomen.ct)
    mask = fresh.segment(box=box_of(abdomen, "right_kidney"))
    encoded = fresh.encoder.encoded
    assert encoded <= mask.box.size[2] + 4
    fresh.segment(box=box_of(abdomen, "right_kidney"), name="again")
    assert fresh.encoder.encoded == encoded


def test_cache_stays_within_its_budget(model, abdomen, monkeypatch):
    fresh = model.open(abdomen.ct)
    one = fresh.encoder.features(2, 30, "soft").nbytes
    budget = type("Config", (), {"cache_mb": 2.5 * one / 2**20})()
    monkeypatch.setattr(fresh.encoder.sam2, "config", budget, raising=True)
    monkeypatch.setattr(
        fresh.encoder.sam2, "encode", lambda plane: fresh.encoder._cache[next(iter(fresh.encoder._cache))]
    )
    for index in (31, 32, 33):
        fresh.encoder.features(2, index, "soft")
    assert fresh.encoder.nbytes <= 2.5 * one


def test_stop_acts_within_one_slice_and_keeps_what_is_done(model, abdomen):
    fresh, cancel = model.open(abdomen.ct), threading.Event()
    sizes = []
    for update in fresh.segment_stream(box=box_of(abdomen, "liver"), cancel=cancel):
        sizes.append(update.mask.box.size[2])
        if len(sizes) == 4:
            cancel.set()
    assert update.stopped
    assert update.stage == "done"
    assert sizes[-1] <= sizes[3] + 1
    assert fresh.masks[update.mask.id].box.size[2] == sizes[-1]


def test_closing_the_stream_keeps_what_is_done(model, abdomen):
    fresh = model.open(abdomen.ct)
    updates = fresh.segment_stream(box=box_of(abdomen, "liver"))
    next(updates)
    update = next(updates)
    updates.close()
    assert fresh.masks[update.mask.id].box.size[2] == 2


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_point_in_any_plane(case, abdomen, axis):
    reference = abdomen.mask("liver")
    low, high = bounding_box(reference).lo, bounding_box(reference).hi
    inside = np.argwhere(reference[:, :, (low[2] + high[2]) // 2 + 4])
    i, j = inside[len(inside) // 2]
    point = Point((int(i), int(j), (low[2] + high[2]) // 2 + 4), axis=axis)
    first = next(case.segment_stream(points=[point]))
    assert first.mask.array[point.ijk]
    assert first.mask.box.size[axis] == 1


def test_clicks_are_honoured_and_raise_dice(model, abdomen):
    fresh, reference = model.open(abdomen.ct), abdomen.mask("right_kidney")
    mask = fresh.segment(box=box_of(abdomen, "right_kidney"))
    before = dice(mask.array, reference)
    for _ in range(2):
        point = centre_of_largest_error(mask.array, reference, abdomen.ct.spacing_mm)
        earlier, mask = mask.array, fresh.refine(mask, points=[point])
        assert mask.array[point.ijk] == point.positive
        unasked = earlier & ~mask.array if point.positive else mask.array & ~earlier
        assert not unasked.any()  # who asks for more loses nothing, who asks for less gets nothing
    assert dice(mask.array, reference) > before - 0.005


def test_undo_and_redo_restore_masks_exactly(model, abdomen):
    fresh = model.open(abdomen.ct)
    first = fresh.segment(box=box_of(abdomen, "left_kidney"))
    i, j, k = (int(v) for v in np.argwhere(first.array)[first.voxels // 2])
    second = fresh.refine(first, points=[Point((i, j, k), positive=False)])
    assert not np.array_equal(first.array, second.array)
    assert np.array_equal(fresh.undo(first.id).array, first.array)
    assert np.array_equal(fresh.redo(first.id).array, second.array)
    fresh.undo(first.id)
    assert fresh.undo(first.id) is None
    assert first.id not in fresh.masks
    assert np.array_equal(fresh.redo(first.id).array, first.array)


def test_a_run_stopped_before_its_first_slice_takes_no_number(model, abdomen):
    fresh, stopped = model.open(abdomen.ct), threading.Event()
    stopped.set()
    with pytest.raises(Cancelled):
        fresh.segment(box=box_of(abdomen, "left_kidney"), cancel=stopped)
    assert fresh.masks == {}
    assert fresh.segment(box=box_of(abdomen, "left_kidney")).name == "Object 1"


def test_refinement_leaves_far_slices_alone(model, abdomen):
    fresh = model.open(abdomen.ct)
    mask = fresh.segment(box=box_of(abdomen, "liver"))
    middle = box_of(abdomen, "liver").lo[2]
    below = np.argwhere(mask.array[:, :, : middle - 6])
    i, j, k = (int(v) for v in below[len(below) // 2])
    after = fresh.refine(mask, points=[Point((i, j, k))])
    changed = np.flatnonzero((mask.array != after.array).any((0, 1)))
    assert changed.size == 0 or changed.max() < middle  # the box's own slice and what lies beyond it stay


def test_a_long_thin_end_without_a_prompt_is_cut_off(case):
    spacing = 3.0  # mm between the slices
    shape = case.segmenter.frame(2).shape

    def disc(radius: int) -> Patch:
        r, c = np.ogrid[: shape[0], : shape[1]]
        return Patch.from_logits(np.where((r - 40) ** 2 + (c - 40) ** 2 <= radius**2, 4.0, -4.0))

    slices = {k: disc(14 if 20 <= k < 30 else 3) for k in range(8, 33)}
    state = ObjectState(axis=2, anchors={25: SlicePrompts()}, slices=slices)
    cut = without_tails(state, spacing).slices
    assert min(cut) == 20 - round(THRESHOLDS.tail_kept_mm / spacing)
    assert max(cut) == 32  # a short end stays
    clicked = replace(state, anchors=state.anchors | {9: SlicePrompts(((40, 40, True),))})
    assert min(without_tails(clicked, spacing).slices) == 8
    assert len(without_tails(replace(state, structure="aorta"), spacing).slices) == len(slices)


def test_three_dimensional_box_bounds_the_slices(case, abdomen):
    whole = bounding_box(abdomen.mask("spleen"))
    middle = (whole.lo[2] + whole.hi[2]) // 2
    box = Box((*whole.lo[:2], middle - 3), (*whole.hi[:2], middle + 3))
    mask = case.segment(box=box)
    assert mask.box.lo[2] >= box.lo[2]
    assert mask.box.hi[2] <= box.hi[2]


def test_an_operation_can_be_refined_and_undone(model, abdomen):
    fresh = model.open(abdomen.ct)
    mask = fresh.segment(box=box_of(abdomen, "left_kidney"))
    array = mask.array
    array[:, :, : mask.box.lo[2] + 3] = False
    cut = fresh.put(mask.with_array(array))
    i, j, k = (int(v) for v in np.argwhere(array)[cut.voxels // 2])
    refined = fresh.refine(cut, points=[Point((i, j, k))])
    assert refined.array[i, j, k]
    fresh.undo(mask.id)
    assert np.array_equal(fresh.undo(mask.id).array, mask.array)


def test_visitors_at_once_get_what_they_get_alone(model, abdomen, networks_compute):
    masks = {name: abdomen.mask(name) for name in ("spleen", "left_kidney")}
    k = int(np.median(np.flatnonzero(np.logical_and(*(mask.any((0, 1)) for mask in masks.values())))))
    affine = abdomen.ct.affine.copy()
    affine[:3, 3] += affine[:3, 2] * (k - 1)
    ct = replace(abdomen.ct, hu=np.ascontiguousarray(abdomen.ct.hu[:, :, k - 1 : k + 2]), affine=affine)
    found_in = {name: bounding_box(mask[:, :, k : k + 1]) for name, mask in masks.items()}
    boxes = {name: Box((*box.lo[:2], 1), (*box.hi[:2], 2)) for name, box in found_in.items()}
    shared = model.open(ct)
    alone = {name: shared.segment(box=box).array for name, box in boxes.items()}
    found: dict[str, np.ndarray] = {}

    def visit(name: str) -> None:
        found[name] = model.open(ct).segment(box=boxes[name]).array

    threads = [threading.Thread(target=visit, args=(name,)) for name in boxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in boxes:
        assert dice(found[name], alone[name]) > 0.999


@pytest.mark.parametrize(
    ("points", "box", "match"),
    [
        ([], None, "Nothing was prompted"),
        ([Point((5000, 0, 0))], None, "outside the volume"),
        ([Point((50, 50, 50), positive=False)], None, "positive point or a box"),
        ([], Box((10, 10, 10), (10, 20, 11)), "empty"),
        ([], Box((0, 0, 0), (999, 5, 1)), "leaves the volume"),
    ],
)
def test_bad_prompts_say_what_to_do(case, points, box, match):
    before = dict(case.masks)
    with pytest.raises(PromptError, match=match):
        case.segment(points=points, box=box)
    assert case.masks == before
