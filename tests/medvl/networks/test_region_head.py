"""What the region head reads of a slice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from medvl.networks.localiser import CoarseMap
from medvl.networks.region_head import REGIONS, RegionConfig, RegionHead, descriptors, regions_of

STRUCTURES = ("liver", "right_lung")


@pytest.fixture
def coarse() -> CoarseMap:
    i, j = np.indices((24, 20))
    body = np.repeat((np.hypot(i - 12, j - 10) < 9)[:, :, None], 16, 2)
    hu = np.where(body, 40, -1000).astype(np.int16)
    hu[10:14, 8:12] = 500
    probability = np.zeros((3, *body.shape), np.float16)
    probability[1, 8:12, 8:12, 4:9] = 0.9
    probability[0] = 1 - probability[1:].sum(0)
    return CoarseMap(STRUCTURES, probability, body, (4.0, 4.0, 4.0), hu)


def test_one_finite_row_a_slice(coarse):
    config = RegionConfig(STRUCTURES)
    rows = descriptors(coarse, STRUCTURES)
    assert rows.shape == (16, config.inputs)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()


def test_a_slice_without_a_body_is_finite_too(coarse):
    body = coarse.body.copy()
    body[:, :, 3] = False
    assert np.isfinite(descriptors(replace(coarse, body=body), STRUCTURES)).all()


def test_slices_far_away_do_not_count(coarse):
    long = np.tile(coarse.hu, (1, 1, 4)), np.tile(coarse.body, (1, 1, 4)), np.tile(coarse.probability, (1, 1, 1, 4))
    one = CoarseMap(STRUCTURES, long[2], long[1], (4.0, 4.0, 4.0), long[0])
    changed = one.hu.copy()
    changed[:, :, 50:] = -500
    other = descriptors(replace(one, hu=changed), STRUCTURES)
    assert np.array_equal(descriptors(one, STRUCTURES)[:30], other[:30])
    assert not np.array_equal(descriptors(one, STRUCTURES)[49], other[49])


def test_probabilities_of_every_region_on_every_slice(coarse):
    torch.manual_seed(0)
    found = regions_of(RegionHead(RegionConfig(STRUCTURES)).eval(), coarse)
    assert found.shape == (len(REGIONS), 16)
    assert ((found >= 0) & (found <= 1)).all()


def test_a_map_without_hu_is_refused(coarse):
    with pytest.raises(ValueError, match="HU"):
        descriptors(replace(coarse, hu=None), STRUCTURES)
