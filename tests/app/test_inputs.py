"""Lengths from the browser: anything may arrive."""

from __future__ import annotations

import pytest

from app.inputs import MAX_LENGTHS, read_lengths
from medvl.ct.lengths import Length
from medvl.errors import ExportError

GOOD = {"plane": "axial", "slice": 5, "ends": [[1.25, 2, 5], [10, 20.5, 5]]}


def test_lengths_of_the_open_scan(opened):
    session = opened.store.get("a")
    given = {"scan": session.token, "list": [GOOD, {**GOOD, "plane": "sagittal", "slice": 3, "ends": [[3, 0, 0]] * 2}]}
    first, second = read_lengths(given, session.token, session.ct)
    assert first == Length("axial", 5, (1.25, 2.0, 5.0), (10.0, 20.5, 5.0))
    assert second.plane == "sagittal"
    for nothing in (None, {"scan": session.token, "list": []}, {"scan": "", "list": []}):
        assert read_lengths(nothing, session.token, session.ct) == []


@pytest.mark.parametrize(
    "bad",
    [
        "axial",
        None,
        {},
        {**GOOD, "plane": "oblique"},
        {**GOOD, "plane": ["axial"]},
        {**GOOD, "slice": "5"},
        {**GOOD, "slice": True},
        {**GOOD, "slice": 5.0},
        {**GOOD, "slice": -1},
        {**GOOD, "slice": 10**400},
        {**GOOD, "ends": [[1, 2, 5]]},
        {**GOOD, "ends": {"0": 1}},
        {**GOOD, "ends": [[1, 2, 5], [1, 2]]},
        {**GOOD, "ends": [[1, 2, 5], [1, "2", 5]]},
        {**GOOD, "ends": [[1, 2, 5], [1, None, 5]]},
        {**GOOD, "ends": [[1, 2, 5], [float("nan"), 2, 5]]},
        {**GOOD, "ends": [[1, 2, 5], [10**400, 2, 5]]},
        {**GOOD, "ends": [[1, 2, 5], [4000, 2, 5]]},
        {**GOOD, "ends": [[1, 2, 4], [3, 2, 4]]},
    ],
)
def test_a_bad_length_is_refused(opened, bad):
    session = opened.store.get("a")
    with pytest.raises(ExportError, match="length"):
        read_lengths({"scan": session.token, "list": [GOOD, bad]}, session.token, session.ct)


@pytest.mark.parametrize("given", ["x", 5, [], [GOOD], {"list": None}, {"list": {"0": GOOD}}, {"scan": "x"}])
def test_a_list_of_another_form_is_refused(opened, given):
    session = opened.store.get("a")
    with pytest.raises(ExportError, match="Reload"):
        read_lengths(given, session.token, session.ct)


def test_another_scan_and_too_many(opened):
    session = opened.store.get("a")
    for token in ("x" * 32, None, 5):
        with pytest.raises(ExportError, match="another scan"):
            read_lengths({"scan": token, "list": [GOOD]}, session.token, session.ct)
    with pytest.raises(ExportError, match="At most"):
        read_lengths({"scan": session.token, "list": [GOOD] * (MAX_LENGTHS + 1)}, session.token, session.ct)
    assert len(read_lengths({"scan": session.token, "list": [GOOD] * MAX_LENGTHS}, session.token, session.ct)) == 500
