"""Lengths of the ruler: millimetres, slices as the viewer counts them, and places beside the scan."""

import csv
import math

import numpy as np
import pytest

from medvl.ct.geometry import SourceGeometry
from medvl.ct.lengths import Length
from medvl.ct.volume import CTVolume
from medvl.errors import ExportError
from medvl.writers.tables import LENGTH_COLUMNS, save_lengths_csv

from ..export_grids import volume


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


class TestRegions:
    @pytest.fixture
    def ct(self):
        affine = np.array([[0.7, 0, 0, 3], [0, 0.9, 0.3, -5], [0, 0, 2.5, 7], [0, 0, 0, 1.0]])  # tilted
        hu = np.random.default_rng(4).integers(-200, 400, (30, 28, 16)).astype(np.int16)
        return CTVolume(hu, affine, SourceGeometry(hu.shape, affine))

    @pytest.mark.parametrize("kind", ["circle", "sphere"])
    @pytest.mark.parametrize(("plane", "axis"), [("axial", 2), ("coronal", 1), ("sagittal", 0)])
    def test_values_are_those_of_the_voxels_inside(self, ct, kind, plane, axis):
        start, end = [12.3, 11.2, 8.1], [16.9, 14.6, 9.4]
        start[axis] = end[axis] = 9
        one = Length(plane, 9, tuple(start), tuple(end), kind).check(ct)
        grid = np.stack(np.indices(ct.shape), -1)
        far = np.linalg.norm(ct.ijk_to_ras_mm(grid) - ct.ijk_to_ras_mm(np.array(start)), axis=-1)
        inside = far <= one.mm(ct)
        if kind == "circle":
            inside &= grid[..., axis] == 9
        found = one.region(ct)
        assert found.voxels == inside.sum() > 10
        assert (found.least, found.most) == (ct.hu[inside].min(), ct.hu[inside].max())
        assert found.mean == pytest.approx(ct.hu[inside].mean())
        assert found.sd == pytest.approx(ct.hu[inside].std())
        volume = inside.sum() * ct.voxel_volume_ml
        if kind == "sphere":
            assert found.volume_ml == pytest.approx(volume)
            assert found.area_mm2 is None
        else:
            assert found.area_mm2 == pytest.approx(volume * 1000 / ct.spacing_mm[axis])

    @pytest.mark.parametrize(("plane", "axis"), [("axial", 2), ("coronal", 1), ("sagittal", 0)])
    def test_a_rectangle_holds_what_lies_between_its_corners(self, ct, plane, axis):
        start, end = [12.3, 4.6, 8.1], [5.9, 11.2, 3.4]
        start[axis] = end[axis] = 9
        found = Length(plane, 9, tuple(start), tuple(end), "rectangle").check(ct).region(ct)
        wanted = ct.hu[
            tuple(
                slice(9, 10) if a == axis else slice(int(np.ceil(min(p))), int(np.floor(max(p))) + 1)
                for a, p in enumerate(zip(start, end, strict=True))
            )
        ]
        assert found.voxels == wanted.size > 10
        assert found.mean == pytest.approx(wanted.mean())
        assert (found.p5, found.median, found.p95) == pytest.approx(tuple(np.percentile(wanted, (5, 50, 95))))
        assert found.area_mm2 == pytest.approx(wanted.size * ct.voxel_volume_ml * 1000 / ct.spacing_mm[axis])

    def test_angles_and_axes(self, ct):
        corner = Length("axial", 3, (4.0, 5.0, 3.0), (4.0, 9.0, 3.0), "angle", more=((10.0, 9.0, 3.0),)).check(ct)
        assert corner.degrees(ct) == pytest.approx(90)
        assert corner.second_mm(ct) is None
        flat = Length("axial", 3, (4.0, 5.0, 3.0), (6.0, 5.0, 3.0), "angle", more=((9.0, 5.0, 3.0),))
        assert flat.degrees(ct) == pytest.approx(180)
        axes = Length("axial", 3, (4.0, 5.0, 3.0), (14.0, 5.0, 3.0), "axes", more=((9.0, 3.0, 3.0), (9.0, 7.0, 3.0)))
        assert axes.check(ct).mm(ct) == pytest.approx(7.0)
        assert axes.second_mm(ct) == pytest.approx(4 * np.hypot(0.9, 0))
        assert axes.degrees(ct) is None

    @pytest.mark.parametrize(("kind", "more"), [("line", 1), ("angle", 0), ("angle", 2), ("axes", 1), ("circle", 1)])
    def test_too_many_or_too_few_places(self, ct, kind, more):
        with pytest.raises(ExportError, match="two axes or a region"):
            Length("axial", 3, (4.0, 5.0, 3.0), (5.0, 5.0, 3.0), kind, more=((6.0, 5.0, 3.0),) * more).check(ct)

    def test_the_smallest_is_the_voxel_it_lies_in(self, ct):
        found = Length("axial", 3, (4.3, 5.2, 3.0), (4.31, 5.2, 3.0), "circle").region(ct)
        assert found.voxels == 1
        assert found.mean == ct.hu[4, 5, 3]

    def test_at_the_border_it_is_what_lies_in_the_scan(self, ct):
        found = Length("axial", 0, (0.0, 0.0, 0.0), (9.0, 0.0, 0.0), "sphere").region(ct)
        assert 10 < found.voxels < ct.hu.size

    def test_no_such_kind(self, ct):
        with pytest.raises(ExportError, match="two axes or a region"):
            Length("axial", 3, (4.0, 5.0, 3.0), (5.0, 5.0, 3.0), "square").check(ct)
