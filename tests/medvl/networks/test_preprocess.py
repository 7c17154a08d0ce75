from __future__ import annotations

import numpy as np
import torch

from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.networks.preprocess import encoder_input


def volume(hu):
    return CTVolume(hu, np.eye(4), SourceGeometry(hu.shape, np.eye(4)))


def phantom(shape=(60, 50, 40)):
    """Air round a body of 40 HU with a bone at the patient's right, front, top."""
    hu = np.full(shape, -1000, np.int16)
    hu[10:50, 10:40, 5:35] = 40
    hu[44:50, 34:40, 29:35] = 1000
    return volume(hu)


def test_shape_range_and_window_first():
    image = encoder_input(phantom()).image
    assert image.shape == (1, 1, 128, 256, 256)
    assert type(image) is torch.Tensor  # without MONAI's metadata
    assert image.dtype == torch.float32
    assert float(image.min()) >= 0
    assert float(image.max()) <= 1
    assert abs(float(image[0, 0, 64, 128, 128]) - 0.5) < 1e-4  # 40 HU is the middle of the soft-tissue window


def test_value_does_not_depend_on_what_else_is_in_the_scan():
    """A window, not a min-max: metal somewhere does not darken the liver."""
    ct = phantom()
    metal = ct.hu.copy()
    metal[12, 12, 8] = 3000
    one, two = encoder_input(ct, (32, 64, 64)).image, encoder_input(volume(metal), (32, 64, 64)).image
    assert torch.equal(one[0, 0, 16, 20:40, 20:40], two[0, 0, 16, 20:40, 20:40])


def test_air_is_cut_away():
    seen = encoder_input(phantom(), (32, 64, 64))
    assert seen.low == (10, 10, 5)
    assert seen.high == (50, 40, 35)
    whole = encoder_input(phantom(), (32, 64, 64), crop=False)
    assert (whole.low, whole.high) == ((0, 0, 0), (60, 50, 40))
    assert encoder_input(volume(np.full((9, 9, 9), -1000, np.int16)), (32, 64, 64)).high == (9, 9, 9)


def test_depth_runs_to_the_head_and_slices_are_radiological():
    image = encoder_input(phantom(), (32, 64, 64)).image[0, 0]
    assert float(image[-2, 3, 3]) > 0.95  # i grows to the right of RAS, j to the front, k to the head
    for corner in ((1, 3, 3), (-2, -4, 3), (-2, 3, -4)):
        assert abs(float(image[corner]) - 0.5) < 0.01


def test_maps_go_back_to_the_axes_of_the_ct():
    seen = encoder_input(phantom(), (32, 64, 64))
    back = seen.to_volume_order(seen.image[0, 0])
    assert back.shape == (64, 64, 32)
    assert float(back[-4, -4, -2]) > 0.95
    assert abs(float(back[3, 3, 1]) - 0.5) < 0.01
