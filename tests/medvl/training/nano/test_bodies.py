"""Other bodies out of those at hand: fat goes and nothing else does, contrast medium goes from organs alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from medvl.training.nano.bodies import infiltrated, leaner, plain


@pytest.fixture(scope="module")
def trunk() -> tuple[np.ndarray, np.ndarray]:
    """HU of a round trunk of fat with two organs off its middle, and which organ each voxel is."""
    i, j, _ = np.meshgrid(np.arange(64), np.arange(64), np.arange(12), indexing="ij")
    hu = np.where(np.hypot(i - 32, j - 32) < 28, -100.0, -1000.0).astype(np.float32)
    organs = np.zeros(hu.shape, np.uint8)
    organs[np.hypot(i - 22, j - 30) < 7] = 1
    organs[np.hypot(i - 42, j - 36) < 6] = 2
    hu[organs > 0] = 50
    return hu, organs


@pytest.mark.parametrize("left", [0.3, 0.6])
def test_a_leaner_body_has_less_fat_and_the_same_organs(trunk, left):
    hu, organs = trunk
    source = leaner(hu, hu > -500, left)
    moved = ndimage.map_coordinates(hu, source, order=1, mode="nearest")
    named = ndimage.map_coordinates(organs, source, order=0, mode="nearest")
    fat, before = ((np.abs(one + 100) < 40).sum() for one in (moved, hu))
    assert left - 0.15 < fat / before < left + 0.15
    for organ in (1, 2):
        assert (named == organ).sum() == pytest.approx((organs == organ).sum(), rel=0.15)
    gaps = [np.subtract(*(ndimage.center_of_mass(one == n)[0] for n in (2, 1))) for one in (organs, named)]
    assert gaps[1] < gaps[0] - 1  # what fat kept apart comes together


def test_all_fat_left_is_the_body_itself(trunk):
    hu, _ = trunk
    here = np.stack(np.meshgrid(*(np.arange(n) for n in hu.shape), indexing="ij"))
    np.testing.assert_allclose(leaner(hu, hu > -500, 1.0), here, atol=1e-3)


def test_contrast_medium_goes_from_organs_and_vessels_and_not_from_bone():
    hu = torch.full((20, 20, 20), 40.0)
    labels = torch.zeros(20, 20, 20, dtype=torch.long)
    labels[2:8, 2:8, 2:8] = 1  # aorta, full of contrast medium
    labels[12:18, 12:18, 12:18] = 2  # bone
    hu[labels > 0] = 300.0
    hu[2:6, 14:18, 2:6] = 250.0  # a vessel without a label
    hu[14:18, 2:6, 2:6] = -100.0
    out = plain(hu, labels, ("aorta", "other_bone"), ("other_bone",), 0.1)
    assert out[labels == 1].max() < 60
    assert out[3:5, 15:17, 3:5].max() < 100
    assert torch.equal(out[labels == 2], hu[labels == 2])
    assert torch.equal(out[hu == -100], hu[hu == -100])


def test_a_body_without_contrast_medium_stays_as_it_is():
    hu = torch.full((8, 8, 8), 40.0)
    labels = torch.ones(8, 8, 8, dtype=torch.long)
    assert torch.equal(plain(hu, labels, ("aorta", "other_bone"), ("other_bone",), 0.1), hu)


def test_only_fat_becomes_more_like_soft_tissue():
    hu = torch.tensor([[[-900.0, -100.0, 40.0, 700.0]]])
    assert infiltrated(hu, torch.full_like(hu, 0.5)).flatten().tolist() == [-900.0, -40.0, 40.0, 700.0]
