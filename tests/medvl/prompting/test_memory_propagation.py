from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.networks.sam2_video import FrameMask
from medvl.prompting.memory_propagation import MemoryPropagation
from medvl.prompting.plane_masks import SlicePrompts
from medvl.prompting.planes import Patch, to_plane
from medvl.prompting.slice_encoder import SliceEncoder
from medvl.prompting.slice_segmenter import ObjectState, SliceSegmenter

KEY, AXIS = 8, 1


@pytest.fixture
def ball():
    i, j, k = np.meshgrid(*[np.arange(n) for n in (40, 24, 30)], indexing="ij")
    return (i - 14) ** 2 + (2 * (j - KEY)) ** 2 + (k - 18) ** 2 < 81


@pytest.fixture
def propagation(model, ball):
    hu = np.where(ball, 60, 0).astype(np.int16)
    hu[:5] = -1000  # air, so that SAM 2 sees a crop
    affine = np.diag([1.0, 2.0, 1.0, 1.0])
    ct = CTVolume(hu, affine, SourceGeometry(hu.shape, affine))
    return MemoryPropagation(SliceSegmenter(SliceEncoder(model.networks.sam2, ct), model.networks.propagator))


def start(ball):
    plane = to_plane(ball, AXIS, KEY)
    return ObjectState(AXIS, anchors={KEY: SlicePrompts()}, slices={KEY: Patch.from_logits(np.where(plane, 4.0, -4.0))})


def test_tracked_masks_come_back_to_their_place_in_the_plane(propagation, ball, monkeypatch):
    """A tracker that knows the truth in its own pixels: what arrives in the volume is the truth."""
    side = propagation.sam2.config.image_size // 4
    r0, r1, c0, c1 = propagation.slices.encoder.crop(AXIS)
    assert (r1 - r0, c1 - c0) != propagation.slices.frames[AXIS].shape
    given = {}

    def truth(frame, count, key, prompt, cancel, limits):
        given["mask"], given["picture"] = prompt.mask, frame(key)
        for index in (KEY, *range(KEY + 1, count), *range(KEY - 1, -1, -1)):
            plane = to_plane(ball, AXIS, index)[r0:r1, c0:c1].astype(np.float32)
            small = F.interpolate(torch.from_numpy(plane)[None, None], (side, side), mode="bilinear", antialias=True)
            yield FrameMask(index, 8 * (small[0, 0] - 0.5))

    monkeypatch.setattr(propagation.video, "track", truth)
    *_, (_, state) = propagation.propagate(start(ball), threading.Event())
    got = np.zeros_like(ball)
    for index, patch in state.slices.items():
        got[:, index] = propagation.slices.frames[AXIS].to_volume_slice(patch.full_mask(to_plane(ball, AXIS, 0).shape))
    assert 2 * (got & ball).sum() / (got.sum() + ball.sum()) > 0.95
    assert given["mask"].shape == given["picture"].shape[1:] == (side * 4, side * 4)
    # the prompt lies on the bright ball in the picture that the tracker sees
    shown = given["picture"][0]
    assert shown[given["mask"]].mean() > shown[~given["mask"]].mean() + 0.2


def test_stop_ends_before_the_next_slice(propagation, ball):
    cancel, seen = threading.Event(), []
    for index, _ in propagation.propagate(start(ball), cancel):
        seen.append(index)
        cancel.set()
    assert seen == [KEY + 1]


def test_only_a_fresh_object_suits(ball):
    state = start(ball)
    assert MemoryPropagation.suits(state)
    more = ObjectState(AXIS, anchors=state.anchors, slices={**state.slices, KEY + 1: state.slices[KEY]})
    assert not MemoryPropagation.suits(more)
