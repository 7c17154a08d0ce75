"""Tools of the masks panel: what each does to the mask, what it says, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.ct import mask_operations as operations
from medvl.errors import MedVLError


@pytest.fixture
def painted(opened):
    """Two balls of one mask, and a box that covers the first."""
    session = opened.store.get("a")
    grid = np.indices(session.ct.shape)
    balls = sum(((grid[a] - c) ** 2 for a, c in enumerate((14, 20, 20)))) <= 36
    balls |= sum(((grid[a] - c) ** 2 for a, c in enumerate((34, 20, 20)))) <= 16
    for array, name in ((balls, "Balls"), (grid[0] < 22, "Side")):
        from medvl.ct.masks import Mask

        session.show(session.case.put(Mask.from_array(array, id="", name=name)))
    return opened, session


def edit(opened, op, mask_id="m1", **more):
    return opened.edit("a", {"op": op, "id": mask_id} | more)


@pytest.mark.parametrize(("op", "more"), [("grow", 1), ("shrink", -1), ("hollow", -1)])
def test_margins_say_what_they_changed_and_undo_brings_it_back(painted, op, more):
    opened, session = painted
    before = session.case.masks["m1"]
    told = edit(opened, op, mm=7)["masks"]["told"]
    after = session.case.masks["m1"]
    assert np.sign(after.voxels - before.voxels) == more
    change = abs(after.voxels - before.voxels) * session.ct.voxel_volume_ml
    assert f"{change:.3g} mL {'added' if more > 0 else 'taken away'}" in told
    opened.action("a", {"name": "undo"})
    assert np.array_equal(session.case.masks["m1"].array, before.array)


def test_intersect_and_its_end(painted):
    opened, session = painted
    both = operations.intersect(session.case.masks["m1"], session.case.masks["m2"])
    edit(opened, "intersect", other="m2")
    assert np.array_equal(session.case.masks["m1"].array, both.array)
    edit(opened, "subtract", "m2", other="m1")
    with pytest.raises(MedVLError, match=r"no voxel in common.*stays as it is"):
        edit(opened, "intersect", other="m2")
    assert np.array_equal(session.case.masks["m1"].array, both.array)


def test_split_gives_each_piece_a_mask(painted):
    opened, session = painted
    whole = session.case.masks["m1"].array
    assert "2 pieces" in edit(opened, "split")["masks"]["told"]
    first, second = session.case.masks["m1"], session.case.masks["m3"]
    assert second.name == "Balls 2"
    assert second.color != first.color
    assert np.array_equal(first.array | second.array, whole)
    assert not (first.array & second.array).any()
    assert {"m1", "m2", "m3"} == session.board.mask_ids
    assert "one piece" in edit(opened, "split")["masks"]["told"]


def test_a_range_of_hu_is_kept(painted):
    opened, session = painted
    edit(opened, "hu", low=0, high=120)
    kept = session.ct.hu[session.case.masks["m1"].array]
    assert kept.size
    assert kept.min() >= 0
    assert kept.max() <= 120
    with pytest.raises(MedVLError, match="No voxel has HU"):
        edit(opened, "hu", low=9000, high=9001)


def test_nothing_to_change_is_said_and_is_no_step(painted):
    opened, session = painted
    steps = len(session.case.masks.steps("m1"))
    assert edit(opened, "fill")["masks"]["told"] == "Nothing to change."
    assert len(session.case.masks.steps("m1")) == steps


@pytest.mark.parametrize(
    ("op", "more"),
    [
        ("grow", {}),
        ("grow", {"mm": 0}),
        ("grow", {"mm": 500}),
        ("grow", {"mm": "5"}),
        ("shrink", {"mm": float("nan")}),
        ("shrink", {"mm": 99}),
        ("hu", {"low": 3}),
        ("hu", {"low": 300, "high": 0}),
        ("intersect", {"other": "m1"}),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(painted, op, more):
    opened, session = painted
    before = session.case.masks["m1"]
    with pytest.raises(MedVLError):
        edit(opened, op, **more)
    assert session.case.masks["m1"] is before


def test_smoothing_says_what_it_moved(painted):
    opened, session = painted
    before = session.case.masks["m1"]
    told = edit(opened, "smooth")["masks"]["told"]
    after = session.case.masks["m1"]
    ml = operations.moved(before, after) * session.ct.voxel_volume_ml
    assert ml > 0
    assert f"{ml:.3g} mL of its border moved" in told
    assert f"{after.voxels * session.ct.voxel_volume_ml:.4g} mL" in told


def test_slices_between_painted_ones_are_filled(painted):
    opened, session = painted
    assert "No empty slice" in edit(opened, "interpolate", "m2")["masks"]["told"]
    array = np.zeros(session.ct.shape, bool)
    array[5:15, 5:15, 2] = array[5:15, 5:15, 8] = True
    from medvl.ct.masks import Mask

    session.show(session.case.put(Mask.from_array(array, id="", name="Painted")))
    assert "Filled 5 slices" in edit(opened, "interpolate", "m3")["masks"]["told"]
    assert session.case.masks["m3"].voxels == 700
    opened.action("a", {"name": "undo"})
    assert session.case.masks["m3"].voxels == 200


def test_pieces_go_with_the_split(painted):
    opened, session = painted
    whole = session.case.masks["m1"]
    edit(opened, "split")
    opened.action("a", {"name": "undo"})
    assert set(session.case.masks) == {"m1", "m2"} == session.board.mask_ids
    assert np.array_equal(session.case.masks["m1"].array, whole.array)
    opened.action("a", {"name": "redo"})
    assert set(session.case.masks) == {"m1", "m2", "m3"} == session.board.mask_ids
