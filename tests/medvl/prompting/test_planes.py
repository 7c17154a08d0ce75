from __future__ import annotations

import numpy as np
import pytest
import torch

from medvl.ct.prompts import Box
from medvl.prompting.planes import CanvasWindow, Patch, PlaneFrame


def blob(shape=(90, 70), centre=(40, 30), radius=12.0) -> np.ndarray:
    r, c = np.ogrid[: shape[0], : shape[1]]
    return (radius - np.hypot(r - centre[0], c - centre[1])).astype(np.float32)


def test_patch_keeps_the_mask_and_nearly_the_logits():
    logits = blob()
    patch = Patch.from_logits(logits)
    assert np.array_equal(patch.full_mask(logits.shape), logits > 0)
    near = np.abs(logits) < 3
    assert np.abs(patch.full_logits(logits.shape)[near] - logits[near]).max() < 0.05


def test_empty_patch_is_none():
    assert Patch.from_logits(np.full((9, 9), -1.0)) is None
    assert Patch.blend(None, None, 0.5, (9, 9)) is None


@pytest.mark.parametrize("pixel", [(1.0, 1.0), (0.7, 2.5)])
def test_canvas_there_and_back(pixel):
    logits = blob()
    window = CanvasWindow(logits.shape, (40.0, 30.0), 60.0 * max(pixel), pixel, 256)
    back = window.restore(window.sample(torch.from_numpy(logits), -8.0))
    wanted = logits > 0
    assert 2 * (wanted & (back > 0)).sum() / (wanted.sum() + (back > 0).sum()) > 0.98


def test_canvas_position_of_a_pixel():
    window = CanvasWindow((90, 70), (40.0, 30.0), 60.0, (1.0, 1.0), 128)
    picture = torch.zeros(90, 70)
    picture[52, 21] = 1
    peak = np.unravel_index(int(window.sample(picture, 0.0).argmax()), (128, 128))
    assert np.allclose(window.to_canvas(52, 21), peak, atol=1.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_frame_maps_voxels_and_boxes_alike(axis):
    class Ct:
        shape = (7, 8, 9)
        spacing_mm = (1.0, 2.0, 3.0)

    frame = PlaneFrame.of(Ct, axis)
    volume = np.zeros(Ct.shape, bool)
    low, high = [1, 2, 3], [4, 6, 8]
    low[axis], high[axis] = 5, 6
    box = Box(tuple(low), tuple(high))
    volume[box.slices] = True
    from medvl.prompting.planes import to_plane

    plane = to_plane(volume, axis, 5)
    r0, c0, r1, c1 = frame.rect(box)
    assert plane.sum() == plane[r0:r1, c0:c1].sum() == (r1 - r0) * (c1 - c0)
    assert plane[frame.pixel(box.lo)]
    assert np.array_equal(frame.to_volume_slice(plane), np.moveaxis(volume, axis, 0)[5])
