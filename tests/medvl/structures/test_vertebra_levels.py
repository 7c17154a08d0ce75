"""Levels of vertebrae: told from the sacrum, the ribs and the lungs' tips, or not at all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from medvl.structures.spine import find_discs, spine_of
from medvl.structures.vertebra_levels import L5, LEVELS, T1, T12, count, rib_reach, sacrum_top
from medvl.structures.vertebrae import borders

from ...spine_phantom import PROCESSES_MM, SPACING, spine_phantom

RIB, PROCESS, UNSURE, UNSEEN = 52.0, 34.0, 45.0, np.nan


def reach_of(row: str) -> np.ndarray:
    """Of each vertebra, both sides: "r" rib, "p" process, "?" between the two, "-" nothing, "." out of view."""
    return np.array([[{"r": RIB, "p": PROCESS, "?": UNSURE, ".": UNSEEN, "-": 0.0}[c]] * 2 for c in row])


def counted(row: str, on_sacrum: bool = False, apex: float | None = None):
    return count(np.arange(len(row) + 1) * 20.0, reach_of(row), on_sacrum, apex)


def test_levels_go_from_l5_to_t1():
    assert (LEVELS[L5], LEVELS[L5 + 4], LEVELS[T12], LEVELS[T1]) == ("L5", "L1", "T12", "T1")
    assert len(LEVELS) == 17


def test_the_vertebra_on_the_sacrum_is_l5():
    assert counted("ppppp", on_sacrum=True) == (L5, "sacrum", "")
    assert counted("ppppprrrr", on_sacrum=True) == (L5, "sacrum", "")


@pytest.mark.parametrize("row", ["pppprrrr", "pppppprrr"])
def test_ribs_that_do_not_fit_the_sacrum_are_said(row):
    lowest, anchor, doubt = counted(row, on_sacrum=True)
    assert (lowest, anchor) == (L5, "sacrum")
    assert "lowest ribs" in doubt


def test_the_lowest_vertebra_with_ribs_is_t12():
    lowest, anchor, doubt = counted("pprrrr")
    assert (LEVELS[lowest + 2], anchor, doubt) == ("T12", "lowest ribs", "")


def test_the_highest_vertebra_with_ribs_at_the_tips_of_the_lungs_is_t1():
    lowest, anchor, _ = counted("rrrrpp", apex=75.0)
    assert (LEVELS[lowest + 3], anchor) == ("T1", "first ribs")


@pytest.mark.parametrize(
    ("row", "apex"),
    [
        ("rrrr", None),  # the chest without its ends
        (".rrrr", None),  # what lies below the lowest ribs is out of view
        ("?rrrr", None),  # short ribs or long transverse processes
        ("prpp", None),  # ribs at a single vertebra
        ("rrrrpp", 40.0),  # the lungs end far below the highest ribs
        ("rrrrpp", None),  # the lungs' tips are out of view
        ("rprprrr", None),  # ribs below where they seem to end: one was missed in between
        ("-rrrr", None),  # not even a transverse process was found below them
        ("rrrr-rpp", 75.0),  # the same above
        ("ppppp", None),  # neither sacrum nor ribs
    ],
)
def test_where_nothing_tells_the_level_none_is_told(row, apex):
    assert isinstance(counted(row, apex=apex), str)


def test_two_counts_that_contradict_each_other_give_none():
    full = "pp" + 12 * "r" + "p"
    assert counted(full, apex=20.0 * 13.8)[1] == "lowest ribs"
    short = "pp" + 11 * "r" + "p"
    assert "contradict" in counted(short, apex=20.0 * 12.8)


def test_ribs_that_do_not_fit_a_count_from_above_give_none():
    assert "do not fit" in counted("pprrrrrrrrr".replace("pp", "p?", 1) + "pp", apex=20.0 * 10.8)


@pytest.fixture(scope="module")
def chest():
    phantom = spine_phantom("ppsrrrrr")
    spine = spine_of(phantom.column, phantom.box, SPACING)
    discs = find_discs(spine, phantom.ct)
    return phantom, spine, borders(discs, open_below=True)


def test_ribs_reach_farther_than_transverse_processes(chest):
    phantom, spine, edges = chest
    reach = rib_reach(spine, edges, phantom.ct)
    for n, (low, high) in enumerate(pairwise(edges)):
        middle = spine.points[int(np.clip((low + high) / 2, 0, len(spine) - 1)), 2]
        whose = int(np.searchsorted([0.0, *phantom.discs_mm], middle)) - 1
        if not 0 <= whose < 8 or np.isnan(reach[n]).any():
            continue
        assert reach[n, 0] == pytest.approx(reach[n, 1], abs=4)  # the phantom is symmetrical
        if whose < 2:
            assert reach[n].max() <= PROCESSES_MM + 4
        elif whose > 2:
            assert reach[n].min() >= 48


def test_a_sacrum_has_wings_and_a_chest_has_none(chest):
    phantom, spine, _ = chest
    assert sacrum_top(spine, phantom.bone, SPACING) is None
    pelvis = spine_phantom("pppp", sacrum_mm=60)
    below = spine_of(pelvis.column, pelvis.box, SPACING)
    top = sacrum_top(below, pelvis.bone, SPACING)
    assert below.points[top, 2] == pytest.approx(57, abs=5)
    hardly = spine_phantom("pppp", sacrum_mm=12)
    assert sacrum_top(spine_of(hardly.column, hardly.box, SPACING), hardly.bone, SPACING) is None
