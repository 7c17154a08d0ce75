"""Overlapping patches against MONAI's."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from medvl.networks.sliding import over_patches, starts


@pytest.mark.parametrize(("size", "overlap"), [((40, 33, 16), 0.25), ((16, 9, 50), 0.5), ((7, 16, 12), 0.25)])
def test_it_says_what_monai_says(size, overlap):
    from monai.inferers.utils import sliding_window_inference

    torch.manual_seed(0)
    maps = torch.randn(1, 2, *size)
    place = torch.randn(1, 1, 16, 16, 16)  # what is said of a voxel depends on where in its patch it lies
    seen = []

    def predict(patch):
        seen.append(patch)
        return torch.cat((patch * place, patch.sum(1, keepdim=True) + place), 1)

    ours = over_patches(predict, maps, 16, overlap, torch.device("cpu"))
    count, theirs = (
        len(seen),
        sliding_window_inference(
            maps, (16,) * 3, 1, predict, overlap=overlap, mode="gaussian", padding_mode="replicate"
        ),
    )
    assert ours.shape == theirs.shape == (1, 3, *size)
    assert len(seen) == 2 * count
    assert all(torch.equal(a, b) for a, b in zip(seen[:count], seen[count:], strict=True))  # in the same order
    assert torch.allclose(ours, theirs, atol=1e-6, rtol=1e-6)


def test_patches_cover_an_axis_to_its_end():
    for extent in range(16, 80):
        begin = starts(extent, 16, 0.25)
        assert begin[0] == 0
        assert begin[-1] == extent - 16
        assert all(0 < b - a <= 12 for a, b in pairwise(begin))
