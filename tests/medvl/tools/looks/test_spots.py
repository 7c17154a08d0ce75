from __future__ import annotations

import numpy as np
import pytest

from medvl.ct.masks import Mask
from medvl.tools.looks.spots import axial_size, middle, pieces, spot

from .phantom import Phantom


def test_size_of_a_rectangle_is_its_diagonal_and_the_width_across_it():
    array = np.zeros((20, 20, 5), bool)
    array[3:13, 4:8, 2] = True
    array[5:7, 5:7, 3] = True
    k, longest, short = axial_size(Mask.from_array(array), (1.0, 2.0, 5.0))
    assert k == 2
    assert longest == pytest.approx(np.hypot(10, 8))
    assert short == pytest.approx(2 * 10 * 8 / np.hypot(10, 8))


def test_one_voxel_is_as_wide_as_it_is():
    array = np.zeros((5, 5, 5), bool)
    array[2, 2, 2] = True
    _, longest, short = axial_size(Mask.from_array(array), (3.0, 3.0, 3.0))
    assert longest == pytest.approx(3 * np.sqrt(2))
    assert short == pytest.approx(3 * np.sqrt(2))


def test_the_middle_of_a_crescent_lies_in_it():
    p = Phantom()
    ring = p.tube((0, 0), (40, 40)) & ~p.tube((12, 0), (34, 34)) & (np.abs(p.z) < 6)
    mask = Mask.from_array(ring)
    assert ring[middle(mask)]


def test_a_spot_tells_side_slice_structure_and_the_nearest_where_there_is_none():
    p = Phantom(noise=0)
    p.put(p.tube((0, 0), (140, 100)), 0, "body")
    p.put(p.ellipsoid((70, 0, 0), (40, 40, 40)), 60, "liver")
    inside, outside = p.ellipsoid((70, 0, 21), (9, 9, 9)), p.ellipsoid((-70, 0, 0), (9, 9, 9))
    p.hu[inside] = 20
    scene = p.scene()
    for where, structure, side in ((inside, "liver", "right"), (outside, "", "left")):
        mask = Mask.from_array(where)
        made = spot(scene, mask.box, mask.block, "dark", "likely")
        assert (made.place.structure, made.place.side) == (structure, side)
        assert where[made.place.centre_ijk]
        assert where[:, :, made.place.slice - 1].sum() == where.sum(axis=(0, 1)).max()
        assert made.volume_ml == pytest.approx(where.sum() * p.voxel_ml)
    assert made.place.near == "liver" or made.place.near_mm == 0  # farther than the farthest that is told


def test_pieces_come_with_the_largest_first_and_without_small_ones():
    array = np.zeros((20, 20, 20), bool)
    array[1:3, 1:3, 1:3] = array[10:15, 10:15, 10:15] = array[18, 18, 18] = True
    found = pieces(array, 2)
    assert [int(block.sum()) for _, block in found] == [125, 8]
    assert found[0][0].lo == (10, 10, 10)
