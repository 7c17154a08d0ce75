"""Strokes as they come from a browser: checked, merged, refused in words."""

from __future__ import annotations

import numpy as np
import pytest

from app.inputs import read_stroke
from medvl.errors import MedVLError

GOOD = {"n": 1, "id": None, "add": True, "hu": None, "slices": [[3, 10, 12, 4, 2, 1, 3, 2, 2]]}


def test_runs_lie_where_they_are_said_to(opened):
    ct = opened.store.get("a").ct
    stroke = read_stroke(GOOD | {"slices": [[3, 10, 12, 4, 2, 1, 3, 2, 2], [5, 0, 0, 1, 1, 0, 1]]}, ct)
    voxels = {tuple(v) for v in (np.argwhere(stroke.voxels) + stroke.box.lo).tolist()}
    assert voxels == {(11, 12, 3), (12, 12, 3), (13, 12, 3), (12, 13, 3), (13, 13, 3), (0, 0, 5)}


@pytest.mark.parametrize(
    "change",
    [
        {"slices": []},
        {"slices": None},
        {"slices": [[3, 10, 12, 4, 2, 1, 3]]},
        {"slices": [[3, 10, 12, 4, 2, -1, 9]]},
        {"slices": [[3, 10, 12, 0, 2, 0]]},
        {"slices": [[300, 10, 12, 4, 2, 8]]},
        {"slices": [[3, -1, 12, 4, 2, 8]]},
        {"slices": [[3, 10, 12, 40000, 40000, 8]]},
        {"slices": [[3.5, 10, 12, 4, 2, 8]]},
        {"slices": [["3", 10, 12, 4, 2, 8]]},
        {"slices": [[3, 10, 12, 4, 2]]},
        {"slices": [[0, 0, 0, 1, 1, 0, 1]] * 5000},
        {"hu": [300, 0]},
        {"hu": [0, float("nan")]},
        {"hu": "all"},
    ],
)
def test_what_is_no_stroke(opened, change):
    session = opened.store.get("a")
    with pytest.raises(MedVLError):
        read_stroke(GOOD | change, session.ct)
    updates = opened.stroke("a", GOOD | change)
    assert updates["toast"]
    assert session.case.masks == {}
    assert b'"stroke":1' in session.board.delta(-1)  # the browser's own drawing of it goes


@pytest.mark.parametrize("data", [None, 3, [], "x"])
def test_anything_may_arrive(opened, data):
    assert opened.stroke("a", data)["toast"]


def test_a_new_mask_then_more_of_it_then_less(opened):
    session = opened.store.get("a")
    first = opened.stroke("a", GOOD)
    assert first["viewer"]["first"]
    (mask,) = session.case.masks.values()
    assert mask.voxels == 5
    assert session.board.active == mask.id
    before = session.board.revision
    opened.stroke("a", {"n": 2, "id": mask.id, "slices": [[9, 10, 12, 2, 2, 0, 4]]})
    assert session.case.masks[mask.id].voxels == 9
    delta = session.board.delta(before)
    assert b'"slices":[[9,' in delta  # what changed, and nothing else
    assert b"[3,10" not in delta
    opened.stroke("a", {"n": 3, "id": mask.id, "add": False, "slices": [[3, 0, 0, 40, 40, 0, 1600]]})
    assert session.case.masks[mask.id].voxels == 4
    for wanted in (9, 5):
        opened.action("a", {"name": "undo"})
        assert session.case.masks[mask.id].voxels == wanted
    opened.action("a", {"name": "redo"})
    assert session.case.masks[mask.id].voxels == 9


def test_a_mask_that_is_gone(opened):
    assert "does not exist" in opened.stroke("a", GOOD | {"id": "m77"})["toast"]


def test_the_server_holds_the_range_of_hu(opened):
    session = opened.store.get("a")
    opened.stroke("a", GOOD | {"hu": [-100, 300], "slices": [[20, 0, 0, 48, 44, 0, 48 * 44]]})
    (mask,) = session.case.masks.values()
    hu = session.ct.hu[:, :, 20]
    assert np.array_equal(mask.array[:, :, 20], (hu >= -100) & (hu <= 300))
    assert "HU in the range" in opened.stroke("a", GOOD | {"n": 2, "hu": [30000, 31000]})["toast"]
