"""CSV files: units, limits, overlaps, which scan; and no cell that a spreadsheet would run."""

import csv
import datetime
from dataclasses import replace

import numpy as np
import pytest

from medvl.ct.lengths import Length
from medvl.ct.masks import End, Mask
from medvl.ct.volume import ScanInfo
from medvl.version import __version__
from medvl.writers.tables import SCAN_COLUMNS, escape_cell, save_lengths_csv, save_measurements_csv

from ..export_grids import blob, volume


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_units_and_blanks_for_an_empty_mask(tmp_path):
    ct = volume()
    masks = [blob(ct, name="Leber, groß"), Mask.from_array(np.zeros(ct.shape, bool), name="=cmd|' /C calc'!A0")]
    save_measurements_csv(masks, ct, tmp_path / "m.csv")
    rows = rows_of(tmp_path / "m.csv")
    m = masks[0].measure(ct)
    assert rows[0]["name"] == "Leber, groß"
    assert float(rows[0]["volume_ml"]) == pytest.approx(m.volume_ml, abs=1e-4)
    assert float(rows[0]["longest_diameter_mm"]) == pytest.approx(m.longest_diameter_mm, abs=0.006)
    assert float(rows[0]["centroid_a_mm"]) == pytest.approx(m.centroid_ras_mm[1], abs=0.006)
    first, last = (int(rows[0][f"{end}_axial_slice_from_1"]) for end in ("first", "last"))
    held = np.flatnonzero(masks[0].array.any(axis=(0, 1)))
    assert (first, last) == (held[0] + 1, held[-1] + 1)  # the lowest slice of the scan is number 1, as in the viewer
    assert rows[1]["name"].startswith("'=")
    assert (rows[1]["voxels"], rows[1]["mean_hu"], rows[1]["first_axial_slice_from_1"]) == ("0", "", "")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\tplain", " =1", "\u00a0=1", "\u200b=1", "\ufeff=1",
        "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", "\u3000\uff1d1", "\ufe621", "\ufe631", "\u22121", "\x00=1",
    ],
)  # fmt: skip
def test_a_cell_that_begins_like_a_formula_is_escaped(text):
    assert escape_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Liver", "1-2", "a=b", "Läsion +", "左腎", "(=1)", "'=1"])
def test_other_cells_stay(text):
    assert escape_cell(text) == text


def test_at_least_why_and_overlaps_travel_with_the_numbers(tmp_path):
    ct = volume(shape=(20, 20, 20))
    array = np.zeros(ct.shape, bool)
    array[0:10, 2:12, 2:12] = True
    inner = np.zeros(ct.shape, bool)
    inner[2:6, 4:8, 4:8] = True
    apart = np.zeros(ct.shape, bool)
    apart[14:17, 14:17, 14:17] = True
    masks = [
        Mask.from_array(array, name="Liver"),
        Mask.from_array(inner, name="=Cyst", ends=(End(2, 7, "stopped"),)),
        Mask.from_array(apart, name="Spleen"),
    ]
    save_measurements_csv(masks, ct, tmp_path / "m.csv")
    rows = rows_of(tmp_path / "m.csv")
    assert [row["at_least"] for row in rows] == ["yes", "yes", "no"]
    side = {"L": "left", "R": "right", "P": "back", "A": "front", "I": "lower", "S": "upper"}[masks[0].border[0]]
    assert [row["limits"] for row in rows] == [
        f"reaches the {side} border of the scan", "was stopped at axial slice 8", "",
    ]  # fmt: skip
    assert [row["overlaps"] for row in rows] == ["6% also in =Cyst", "100% also in Liver", ""]


def test_every_row_says_which_scan_it_is_of(tmp_path):
    ct = replace(volume(), info=ScanInfo("=a.nii.gz", "Abdomen 1.5 B31f"))
    save_measurements_csv([blob(ct)], ct, tmp_path / "m.csv")
    save_lengths_csv([Length("axial", 2, (1, 1, 2), (4, 5, 2))], ct, tmp_path / "l.csv")
    for name in ("m", "l"):
        (row,) = rows_of(tmp_path / f"{name}.csv")
        told = ["'=a.nii.gz", "Abdomen 1.5 B31f", datetime.date.today().isoformat(), __version__]
        assert [row[column] for column in SCAN_COLUMNS] == told
