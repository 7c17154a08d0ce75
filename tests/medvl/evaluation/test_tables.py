from __future__ import annotations

import json

import pytest

from medvl.errors import ExportError
from medvl.evaluation.interactive import Result
from medvl.evaluation.tables import cell, mean, save_json, table


def test_columns_are_aligned():
    lines = table(("structure", "Dice", "which"), [("liver", 0.95, "a"), ("inferior_vena_cava", None, "none at all")])
    assert lines[2].index("0.950") + 5 == lines[0].index("Dice") + 4 == lines[3].index("-") + 1
    assert lines[0].index("which") == lines[2].index("a", 20) == lines[3].index("none at all")


def test_decimals_are_those_of_the_column():
    lines = table(("a", "b"), [(1.25, 0.5), (123.45, 0.25)])
    assert [line.split() for line in lines[2:]] == [["1.2", "0.500"], ["123.5", "0.250"]]


def test_a_table_without_rows_has_its_header():
    assert table(("a", "b"), [])[0] == "a  b"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (float("nan"), "-"), (0.12345, "0.123"), (123.45, "123.450"), (7, "7"), (True, "yes")],
)
def test_cells(value, shown):
    assert cell(value) == shown


def test_mean_leaves_out_what_is_not_there():
    assert mean([1, None, 3, float("nan")]) == 2
    assert mean([None]) is None


def test_json(tmp_path):
    save_json(tmp_path / "r.json", results=[Result("m", "c", "liver", 2.0, [1.0])], names=frozenset("ba"))
    read = json.loads((tmp_path / "r.json").read_text())
    assert read["results"][0]["dice"] == [1.0]
    assert read["names"] == ["a", "b"]
    with pytest.raises(ExportError):
        save_json(tmp_path / "none" / "r.json", a=1)
