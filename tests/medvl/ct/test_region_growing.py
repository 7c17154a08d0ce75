"""Region growing takes what hangs together in a range, and stops in words where it runs on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medvl.ct.geometry import SourceGeometry
from medvl.ct.region_growing import grow
from medvl.ct.volume import CTVolume
from medvl.errors import PromptError

SPACING = (1.0, 1.5, 2.0)


def scan(noise=8.0):
    """A ball of 150 HU and a bar that touches it at a corner only, in 40 HU; another ball apart."""
    shape = (90, 70, 60)
    rng = np.random.default_rng(3)
    hu = 40 + noise * rng.standard_normal(shape)
    grid = np.indices(shape)
    ball = sum(((grid[a] - c) * s) ** 2 for a, (c, s) in enumerate(zip((45, 35, 30), SPACING, strict=True))) <= 18**2
    other = sum(((grid[a] - c) * s) ** 2 for a, (c, s) in enumerate(zip((10, 10, 10), SPACING, strict=True))) <= 6**2
    hu[ball | other] += 110
    affine = np.diag([*SPACING, 1.0])
    return CTVolume(hu.astype(np.int16), affine, SourceGeometry(shape, affine)), ball


def whole(ct, box, voxels):
    array = np.zeros(ct.shape, bool)
    array[box.slices] = voxels
    return array


def test_a_typed_range_gives_what_a_label_of_the_whole_scan_gives():
    ct, ball = scan()
    for low, high in ((100, 300), (100, 160), (20, 90)):
        seed = (45, 35, 30) if low == 100 else (80, 60, 50)
        inside = (ct.hu >= low) & (ct.hu <= high)
        seed = tuple(np.argwhere(inside)[np.abs(np.argwhere(inside) - seed).sum(axis=1).argmin()])
        labels, _ = ndimage.label(inside)
        box, voxels, hu = grow(ct, seed, (low, high), 1e6)
        assert hu == (low, high)
        assert np.array_equal(whole(ct, box, voxels), labels == labels[seed])
    assert 2 * (whole(ct, *grow(ct, (45, 35, 30), (100, 300), 1e6)[:2]) & ball).sum() > 1.95 * ball.sum()


@pytest.mark.parametrize("noise", [0.0, 5.0, 15.0])
def test_without_a_range_the_click_tells_it(noise):
    ct, ball = scan(noise)
    box, voxels, (low, high) = grow(ct, (45, 35, 30), None, 100)
    array = whole(ct, box, voxels)
    assert low < 150 < high
    assert (array & ~ball).sum() < 0.01 * ball.sum()
    assert (array & ball).sum() > 0.93 * ball.sum()


def test_what_runs_on_is_refused():
    ct, ball = scan()
    ml = ball.sum() * ct.voxel_volume_ml
    with pytest.raises(PromptError, match=r"beyond 5 mL.*nothing was changed"):
        grow(ct, (45, 35, 30), (100, 300), 5)
    grow(ct, (45, 35, 30), (100, 300), ml * 1.01)
    with pytest.raises(PromptError, match="clicked voxel has"):
        grow(ct, (45, 35, 30), (-100, 60), 1e6)


def test_at_a_corner_of_the_scan():
    ct, _ = scan()
    inside = (ct.hu >= 0) & (ct.hu <= 90)
    box, voxels, _ = grow(ct, (0, 0, 0), (0, 90), 1e6)
    labels, _ = ndimage.label(inside)
    assert np.array_equal(whole(ct, box, voxels), labels == labels[0, 0, 0])
