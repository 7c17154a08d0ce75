"""The centreline of a spine and the discs along it."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.ct.prompts import Box
from medvl.structures.spine import find_discs, spine_of

from ...spine_phantom import RADIUS_MM, SHAPE, SPACING, spine_phantom


@pytest.fixture(scope="module")
def phantom():
    return spine_phantom("ppprrrrrr")


@pytest.fixture(scope="module")
def spine(phantom):
    return spine_of(phantom.column, phantom.box, SPACING)


def test_the_centreline_runs_through_the_bodies_a_point_a_millimetre(spine):
    height = spine.points[:, 2]
    assert np.all(np.diff(height) > 0)
    assert np.linalg.norm(np.diff(spine.points, axis=0), axis=1) == pytest.approx(1, abs=0.02)
    away = np.hypot(spine.points[:, 0] - 80, spine.points[:, 1] - (60 + 12 * np.sin(height / 120)))
    assert away.max() < 3
    assert np.median(spine.radius) == pytest.approx(RADIUS_MM, abs=2)


def test_its_axes_stand_on_one_another_and_point_right_forward_and_headward(spine):
    axes = np.stack((spine.right, spine.front, spine.along))
    for a in range(3):
        for b in range(3):
            assert np.allclose((axes[a] * axes[b]).sum(1), float(a == b), atol=1e-6)
        assert np.all(axes[a, :, a] > 0.8)


def test_coordinates_are_millimetres_along_and_across_the_spine(spine):
    at = np.array([40, 120, 200])
    places = spine.points[at] + 9.0 * spine.right[at] - 14.0 * spine.front[at]
    assert spine.coordinates(places) == pytest.approx(np.array([[s, 9, -14] for s in at]), abs=1.5)


def test_samples_are_those_of_the_places_and_nothing_lies_beyond_the_scan(spine):
    heights = np.broadcast_to(np.arange(SHAPE[2]) * SPACING[2], SHAPE)
    got = spine.sample(heights, SPACING, np.array([50.0]), np.array([0.0]), np.array([0.0, 500.0]))
    assert got[0, 0, 0] == pytest.approx(spine.points[50, 2], abs=0.1)
    assert np.isnan(got[0, 0, 1])


def test_every_disc_is_found_where_it_is(phantom, spine):
    discs = find_discs(spine, phantom.ct)
    found = spine.points[discs.at, 2]
    real = np.array([0.0, *phantom.discs_mm])
    nearest = np.abs(found[:, None] - real).argmin(1)
    assert np.abs(found - real[nearest]).max() < 3
    assert np.all(np.diff(nearest) == 1)  # none is left out
    assert nearest[0] <= 1
    assert nearest[-1] >= len(real) - 2  # the outermost ones may be missing


def test_the_row_begins_where_it_is_told_to(phantom, spine):
    second = float(np.abs(spine.points[:, 2] - phantom.discs_mm[1]).argmin())
    discs = find_discs(spine, phantom.ct, (int(second) - 6, int(second) + 6))
    assert spine.points[discs.at[0], 2] == pytest.approx(phantom.discs_mm[1], abs=3)


def test_too_little_of_a_spine_has_no_centreline(phantom):
    assert spine_of(phantom.column[:, :, :20], Box((0, 0, 0), (*SHAPE[:2], 20)), SPACING) is None
    assert spine_of(phantom.column & False, phantom.box, SPACING) is None
