"""Regions grown from a click: into a mask, out of it, refused in words, undone like any step."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.errors import MedVLError


def organ(session):
    """A voxel well inside the brightest organ of the phantom, and the range of HU round it."""
    hu = session.ct.hu
    values, counts = np.unique(hu, return_counts=True)
    value = int(max(v for v, n in zip(values.tolist(), counts.tolist(), strict=True) if n > 300))
    where = np.argwhere(hu == value)
    return tuple(int(v) for v in where[np.abs(where - where.mean(axis=0)).sum(axis=1).argmin()]), value


def test_a_region_grows_into_a_new_mask_and_back(opened):
    session = opened.store.get("a")
    seed, value = organ(session)
    click = {"id": None, "at": list(seed), "hu": [value - 5, value + 5], "most": 5000}
    shown = opened.grow("a", click)
    (mask,) = session.case.masks.values()
    assert shown["viewer"]["first"]
    assert f"{value - 5} to {value + 5} HU" in shown["viewer"]["status"]
    assert mask.array[seed]
    assert set(np.unique(session.ct.hu[mask.array])) <= set(range(value - 5, value + 6))
    assert f"{mask.voxels * session.ct.voxel_volume_ml:.3g} mL" in shown["viewer"]["status"]
    again = opened.grow("a", click | {"id": mask.id, "add": False})
    assert "toast" not in again
    assert session.case.masks[mask.id].empty
    opened.action("a", {"name": "undo"})
    assert np.array_equal(session.case.masks[mask.id].array, mask.array)


def test_a_region_that_runs_on_changes_nothing(opened):
    session = opened.store.get("a")
    seed, value = organ(session)
    told = opened.grow("a", {"id": None, "at": list(seed), "hu": [value - 5, value + 5], "most": 0.5})
    assert "beyond 0.5 mL" in told["toast"]
    assert session.case.masks == {}


def test_a_scribble_is_points_of_one_prompt(opened):
    session = opened.store.get("a")
    seed, _ = organ(session)
    points = [[seed[0] + step, seed[1], seed[2]] for step in (-1, 0, 1)]
    list(opened.prompt("a", {"kind": "scribble", "points": points, "positive": True, "axis": 2}))
    (mask,) = session.case.masks.values()
    assert [list(point.ijk) for point in session.case.prompts(mask.id)] == points
    assert len(session.case.masks.steps(mask.id)) == 1


@pytest.mark.parametrize("points", [None, [], 3, [[1, 2]], [[1, 2, 10**6]], [[1, 2, 3]] * 100, [[1, 2, "3"]]])
def test_what_is_no_scribble(opened, points):
    with pytest.raises(MedVLError):
        list(opened.prompt("a", {"kind": "scribble", "points": points, "axis": 2}))
    assert opened.store.get("a").case.masks == {}


@pytest.mark.parametrize(
    "data",
    [
        None, 3, [], {}, {"at": [0, 0, 0]}, {"at": [0, 0, 0], "most": 0}, {"at": [0, 0, 0], "most": "x"},
        {"at": [0, 0, -1], "most": 5}, {"at": [10**9, 0, 0], "most": 5}, {"at": [0.5, 0, 0], "most": 5},
        {"at": [0, 0, 0], "most": 5, "hu": [5, 1]}, {"at": [0, 0, 0], "most": 5, "hu": "all"},
        {"at": [0, 0, 0], "most": float("nan")}, {"at": [0, 0, 0], "most": 10**5, "hu": [-3000, 3000], "id": "m9"},
    ],
)  # fmt: skip
def test_anything_may_arrive(opened, data):
    assert opened.grow("a", data)["toast"]
    assert opened.store.get("a").case.masks == {}
