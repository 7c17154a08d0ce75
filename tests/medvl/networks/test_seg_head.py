from __future__ import annotations

import numpy as np
import pytest
import torch

from medvl.networks.sam2 import decode
from medvl.networks.seg_head import SegHead, SegTokenConfig, localise

CONFIG = SegTokenConfig(hidden_dim=16, channels=(8, 12), voxel_dim=6)


@pytest.fixture
def head():
    torch.manual_seed(0)
    return SegHead(CONFIG)


def test_several_states_give_each_its_own_map_and_prompt(head):
    maps = [torch.randn(1, 8, 4, 6, 8), torch.randn(1, 12, 2, 3, 4)]
    voxels = head.voxels(maps)
    assert voxels.shape == (1, 6, 4, 6, 8)
    states = torch.randn(3, 16)
    logits = head.coarse_logits(states, voxels[0])
    assert logits.shape == (3, 4, 6, 8)
    assert torch.allclose(head.coarse_logits(states[1:2], voxels[0])[0], logits[1], atol=1e-6)
    assert not torch.allclose(logits[0], logits[1])
    assert head.prompts(states).shape == (3, 1, 256)
    with pytest.raises(ValueError, match="1 maps"):
        head.voxels(maps[:1])


def test_untrained_head_finds_nothing(head):
    voxels = head.voxels([torch.randn(1, 8, 4, 6, 8) * 0.01, torch.randn(1, 12, 2, 3, 4) * 0.01])
    logits = head.coarse_logits(torch.randn(1, 16) * 0.01, voxels[0])[0].detach().numpy()
    assert localise(logits, 20) is None


def test_head_learns_to_find_one_of_two_objects_by_its_state(head):
    """Two states, two places in one volume: after a few steps each state's map peaks in its own place."""
    torch.manual_seed(1)
    maps = [torch.randn(1, 8, 4, 6, 8), torch.randn(1, 12, 2, 3, 4)]
    states = torch.randn(2, 16)
    target = torch.zeros(2, 4, 6, 8)
    target[0, :2, :3], target[1, 2:, 3:] = 1, 1
    optimiser = torch.optim.Adam(head.parameters(), 0.02)
    for _ in range(60):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            head.coarse_logits(states, head.voxels(maps)[0]), target
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = head.coarse_logits(states, head.voxels(maps)[0]) > 0
    assert (found == target.bool()).float().mean() > 0.95


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_key_slice_and_extent_are_those_of_the_object(axis):
    """A ball on the fine grid, looked at on a grid four times as coarse."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in (48, 64, 80)], indexing="ij"), -1)
    centre, radius = np.array([20, 30, 50]), 12
    signed = radius - np.linalg.norm(grid - centre, axis=-1)
    coarse = signed[2::4, 2::4, 2::4]
    found = localise(coarse, signed.shape[axis], axis)
    assert abs(found.key - centre[axis]) <= 2
    assert abs(found.first - (centre[axis] - radius)) <= 3
    assert abs(found.last - (centre[axis] + radius)) <= 3
    assert found.limits == (found.first - 2, found.last + 3)  # a coarse slice is four fine ones
    plane = np.moveaxis(signed, axis, 0)[found.key] > 0
    dense = found.dense(found.key, plane.shape) > 0
    assert 2 * (dense & plane).sum() / (dense.sum() + plane.sum()) > 0.9


def test_of_two_pieces_the_larger_counts_and_absence_is_none():
    logits = np.full((8, 8, 20), -6.0)
    logits[2:6, 2:6, 3:9] = 6
    logits[2:4, 2:4, 14:16] = 6
    found = localise(logits, 20)
    assert (found.first, found.last) == (3, 8)
    assert localise(np.full((8, 8, 20), -6.0), 20) is None


def test_a_widened_plane_reaches_one_coarse_cell_further_and_beyond_the_ends():
    logits = np.full((8, 8, 10), -6.0)
    logits[3:5, 3:5, 4:6] = 6
    found = localise(logits, 20)
    plain, wide = (found.dense(found.key, (8, 8), widened) > 0 for widened in (0, 1))
    assert plain.sum() == 4
    assert wide[2:6, 2:6].all()
    assert wide.sum() == 16
    assert (found.dense(found.limits[0], (8, 8)) == found.dense(found.first, (8, 8))).all()


def test_sam2_takes_the_prompt_and_a_dense_one(model):
    """The prompts reach the mask decoder: other states, other masks; and a pass without them is the plain decoder."""
    plane = np.kron(np.random.default_rng(0).uniform(0, 1, (8, 8)), np.ones((16, 16)))
    features = model.networks.sam2.encode(plane)
    torch.manual_seed(0)
    prompts = torch.randn(2, 1, 256)
    logits, iou = decode(model.networks.sam2, features, prompts)
    side = model.networks.sam2.config.image_size // 4
    assert logits.shape == (2, 4, side, side)
    assert iou.shape == (2, 4)
    assert not torch.allclose(logits[0], logits[1], atol=1e-2)
    one, _ = decode(model.networks.sam2, features, prompts[:1])
    assert torch.allclose(one[0], logits[0], atol=1e-3)
    dense, _ = decode(model.networks.sam2, features, prompts[:1], torch.full((1, 1, side, side), -8.0))
    assert not torch.allclose(dense, one, atol=1e-2)
