"""Lengths of the ruler: millimetres, slices as the viewer counts them, and places beside the scan."""

import csv
import math

import numpy as np
import pytest

from medvl.errors import ExportError
from medvl.lengths import LENGTH_COLUMNS, Length, save_lengths_csv
from tests.medvl.export_grids import volume


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_length_in_mm_with_both_ends_in_ras(tmp_path):
    ct = volume("RAS", spacing=(0.9, 1.3, 2.5))
    lengths = [
        Length("axial", 4, (1.5, 2.0, 4.0), (5.5, 7.0, 4.0)),
        Length("coronal", 3, (1.0, 3.0, 0.0), (1.0, 3.0, 8.0)),
        Length("sagittal", 0, (0.0, -0.5, -0.5), (0.0, 10.5, 8.5)),
    ]
    save_lengths_csv(lengths, ct, tmp_path / "l.csv")
    found = rows(tmp_path / "l.csv")
    assert tuple(found[0]) == LENGTH_COLUMNS
    assert [(r["length"], r["plane"], r["slice_from_1"]) for r in found] == [
        ("1", "axial", "5"),
        ("2", "coronal", "4"),
        ("3", "sagittal", "1"),
    ]
    expected = [math.hypot(4 * 0.9, 5 * 1.3), 8 * 2.5, math.hypot(11 * 1.3, 9 * 2.5)]
    assert [float(r["length_mm"]) for r in found] == pytest.approx(expected, abs=0.006)
    origin = -71.5, 43.25, -310.125
    start = [float(found[0][f"start_{axis}_mm"]) for axis in "ras"]
    end = [float(found[0][f"end_{axis}_mm"]) for axis in "ras"]
    np.testing.assert_allclose(start, np.add(origin, (1.5 * 0.9, 2 * 1.3, 4 * 2.5)), atol=0.006)
    np.testing.assert_allclose(end, np.add(origin, (5.5 * 0.9, 7 * 1.3, 4 * 2.5)), atol=0.006)


def test_an_oblique_scan_keeps_the_length(tmp_path):
    for degrees in (0, 25):
        ct = volume("LPS", degrees=degrees)
        save_lengths_csv([Length("axial", 4, (1, 2, 4), (6, 7, 4))], ct, tmp_path / f"{degrees}.csv")
    upright, oblique = rows(tmp_path / "0.csv")[0], rows(tmp_path / "25.csv")[0]
    assert oblique["length_mm"] == upright["length_mm"]
    assert oblique["end_s_mm"] != upright["end_s_mm"]


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (Length("oblique", 4, (1, 2, 4), (6, 7, 4)), "axial, coronal or sagittal"),
        (Length("axial", 4, (1, 2, 4), (6, math.nan, 4)), "not numbers"),
        (Length("axial", 4, (1, 2, 4), (6, math.inf, 4)), "not numbers"),
        (Length("axial", 4, (1, 2), (6, 7)), "not numbers"),
        (Length("axial", 4, (1, 2, 4), (13.6, 7, 4)), "out of the scan"),
        (Length("axial", 4, (-0.6, 2, 4), (6, 7, 4)), "out of the scan"),
        (Length("axial", 3, (1, 2, 4), (6, 7, 4)), "on its slice"),
        (Length("axial", 10**400, (1, 2, 4), (6, 7, 4)), "on its slice"),
        (Length("coronal", 4, (1, 2, 4), (6, 7, 4)), "on its slice"),
    ],
)
def test_what_is_no_length_on_the_scan(tmp_path, length, words):
    ct = volume("RAS")
    with pytest.raises(ExportError, match=words):
        length.check(ct)
    with pytest.raises(ExportError, match=words):
        save_lengths_csv([length], ct, tmp_path / "l.csv")
