"""One slice: what a corrected one may gain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medvl.prompting.plane_masks import SlicePrompts
from medvl.prompting.planes import to_plane
from medvl.prompting.slice_segmenter import _leaked

VESSEL = (360.0, 20.0)


@pytest.fixture
def plane():
    """A vessel of 360 HU beside its arch and a large organ of 100 HU; the vessel's mask so far."""
    hu = np.full((80, 80), 100, np.int16)
    hu[10:20, 10:20] = hu[10:20, 20:40] = 360
    before = np.zeros((80, 80), bool)
    before[10:20, 10:20] = True
    return hu, before


def at(*points):
    return SlicePrompts(points)


def test_the_rest_of_a_vessel_is_no_leak(plane):
    hu, before = plane
    assert _leaked(hu == 360, before, hu, VESSEL, at((15, 30, True))) == 0


def test_the_organ_round_it_is_one_and_grows_with_its_size(plane):
    hu, before = plane
    little, much = (hu == 360).copy(), (hu == 360).copy()
    little[20:22, 10:40], much[20:60, 10:40] = True, True
    click = at((15, 30, True))
    assert 0 < _leaked(little, before, hu, VESSEL, click) < _leaked(much, before, hu, VESSEL, click) == 1


def test_a_click_on_other_tissue_asks_for_it(plane):
    """The dark middle of a tumour belongs to it when a person says so."""
    hu, before = plane
    grown = before.copy()
    grown[20:40, 10:20] = True
    assert _leaked(grown, before, hu, VESSEL, at((30, 15, True))) == 0
    assert _leaked(grown, before, hu, VESSEL, at((15, 15, False))) == 1


def test_what_only_shrinks_leaks_nothing(plane):
    hu, before = plane
    assert _leaked(before & (hu > 400), before, hu, VESSEL, at((15, 15, False))) == 0
    assert _leaked(before, np.zeros_like(before), hu, VESSEL, at((15, 15, True))) == 0


def test_a_scribble_tells_more_than_a_click(model, abdomen):
    """Along the stomach of the bundled abdomen, where one click gives a part of it."""
    case = model.open(abdomen.ct)
    labels = abdomen.mask("stomach")
    index = int(labels.sum(axis=(0, 1)).argmax())
    truth = to_plane(labels, 2, index)
    depth = ndimage.distance_transform_edt(truth)
    deep = np.argwhere(depth > 0.4 * depth.max())
    deep = deep[np.argsort((deep - deep.mean(axis=0)) @ np.linalg.svd(deep - deep.mean(axis=0))[2][0])]
    line = tuple((int(r), int(c), True) for r, c in deep[(np.linspace(0.05, 0.95, 6) * (len(deep) - 1)).astype(int)])
    middle = np.unravel_index(depth.argmax(), depth.shape)
    click = ((int(middle[0]), int(middle[1]), True),)

    def dice(points):
        found = case.segmenter.slices.first(2, index, SlicePrompts(points), "soft") > 0
        return 2 * (found & truth).sum() / (found.sum() + truth.sum())

    assert dice(line) > max(0.85, dice(click))
