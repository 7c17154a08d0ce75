from __future__ import annotations

import numpy as np
import pytest

from medvl.ct.masks import Mask
from medvl.tools.looks.grid import Grid, closed, grown, opened

from .phantom import Phantom


@pytest.mark.parametrize("shape", [(64, 60, 40), (63, 61, 37)])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.5), (0.8, 0.8, 5.0)])
def test_down_and_up_keep_volume_and_place(shape, spacing):
    p = Phantom(shape=shape, spacing=spacing)
    ball = p.ellipsoid((2, -3, 4), (20, 18, 16))
    grid = Grid.of(p.ct(), 3.0)
    box, block = grid.up(grid.down(Mask.from_array(ball)))
    back = np.zeros(shape, bool)
    back[box.slices] = block
    assert back.sum() == pytest.approx(ball.sum(), rel=0.06)
    assert 2 * (back & ball).sum() / (back.sum() + ball.sum()) > 0.94


def test_blocks_hold_the_mean():
    p = Phantom(shape=(10, 10, 10), spacing=(1.5, 1.5, 3.0), noise=0)
    p.hu[:] = np.arange(10)[:, None, None] * 10
    grid = Grid.of(p.ct(), 3.0)
    assert grid.step == (2, 2, 1)
    assert np.allclose(grid.hu[:, 0, 0], [5, 25, 45, 65, 85])


def test_opening_removes_sheets_and_keeps_slabs():
    block = np.zeros((40, 40, 40), bool)
    block[:, :, 5:7] = block[:, :, 20:34] = True
    out = opened(block, 4.0, (1.0, 1.0, 1.0))
    assert not out[:, :, 5:7].any()
    assert out[20, 20, 20:34].all()


def test_closing_fills_a_gap_also_at_the_border_of_the_array():
    block = np.zeros((30, 30, 30), bool)
    block[:12] = block[18:] = True
    assert closed(block, 4.0, (1.0, 1.0, 1.0))[15, 15, 15]
    assert not closed(block, 2.0, (1.0, 1.0, 1.0))[15, 15, 15]


def test_growing_reaches_exactly_that_far():
    block = np.zeros((21, 21, 21), bool)
    block[10, 10, 10] = True
    out = grown(block, 4.0, (1.0, 2.0, 1.0))
    assert [bool(out[i, 10, 10]) for i in (14, 15)] == [True, False]
    assert [bool(out[10, j, 10]) for j in (12, 13)] == [True, False]
    assert not grown(np.zeros((3, 3, 3), bool), 2.0, (1.0, 1.0, 1.0)).any()
