"""Key slices at the resolution of the scan: what SAM 2 is shown at inference, and where the encoder sees them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from medvl.ct.masks import Mask
from medvl.prompting.planes import to_plane
from medvl.prompting.slice_encoder import SliceEncoder
from medvl.readers import read_ct
from medvl.training.datasets.native import UNIT, key_slices
from medvl.training.datasets.samples import MaskSource, Sample, Turn
from medvl.training.vlm.augment import Augmentation
from medvl.training.vlm.dataset import TrainingSet
from medvl.training.vlm.joint import on_slice

from ..folders import LPS, RAS, labelled, save

SIZE = (16, 32, 32)
STILL = Augmentation(mirror=0, crop=0, phase=1, density=1, noise=0, affine=0, contrast=0, blur=0)


@pytest.mark.parametrize("seed", range(5))
def test_key_slices_begin_with_the_fullest_and_are_spread(seed):
    rng = np.random.default_rng(seed)
    array = rng.random((9, 8, 40)) < np.abs(np.sin(np.arange(40) / 7 + seed)) ** 3 * 0.5
    array[:, :, : 3 + seed] = False
    array[:, :, 20 + seed] = False  # a gap
    mask = Mask.from_array(array)
    sizes = array.sum((0, 1))
    few, many = key_slices(mask, 3), key_slices(mask, 8)
    assert many[:3] == few
    assert len(set(many)) == 8
    assert sizes[many].min() > 0
    assert sizes[many[0]] == sizes.max()
    assert abs(many[1] - many[0]) == 1
    assert max(many) - min(many) >= (mask.box.hi[2] - mask.box.lo[2]) / 2
    assert sorted(key_slices(mask, 100)) != []
    flat = Mask.from_array(array & (np.arange(40) == many[0]))
    assert key_slices(flat, 5) == [many[0]]


@pytest.mark.parametrize("affine", [RAS, LPS], ids=["RAS", "LPS"])
def test_pictures_are_those_of_inference(tmp_path, affine):
    sample = labelled(tmp_path, affine=affine)
    item = TrainingSet([sample], SIZE, STILL, slices=3)[0]  # the slices' HU stay those of the scan
    ct = read_ct(sample.ct)
    shown = SliceEncoder(None, ct)
    assert tuple(item["slices"]) == sample.wanted
    for name, row in item["slices"].items():
        whole = sample.masks[name].read(ct)
        for each in row:
            assert each.crop == shown.crop(2)
            assert np.abs(each.seen - shown._picture(2, each.index, each.window)).max() < 0.502 / 255
            r0, r1, c0, c1 = each.crop
            assert np.array_equal(each.mask.numpy(), to_plane(whole, 2, each.index)[r0:r1, c0:c1])
    assert item["slices"]["mandible"][0].window == "soft"


def dice(one, two):
    return 2 * float((one & two).sum()) / float(one.sum() + two.sum())


@pytest.mark.parametrize("how", [
    None,
    replace(STILL, mirror=1, phase=0, density=0),
    replace(STILL, crop=1, phase=0, density=0),
    replace(STILL, crop=1, mirror=1, phase=0, density=0),
], ids=["plain", "mirrored", "cropped", "both"])  # fmt: skip
@pytest.mark.parametrize("seed", range(3))
def test_the_coarse_map_lies_on_the_slice_where_the_mask_is(tmp_path, how, seed):
    sample = labelled(tmp_path, ("left_parotid", "right_parotid"))
    if seed == 1:  # the body fills a part of the scan: SAM 2's crop and the encoder's are others than the scan
        hu = np.full((40, 36, 24), -1000, np.int16)
        labels = np.zeros(hu.shape, np.uint8)
        hu[8:32, 10:30, 4:20] = 40
        labels[22:28, 14:22, 8:13], labels[10:16, 16:26, 6:15] = 2, 1
        save(tmp_path / "ct.nii.gz", hu)
        save(tmp_path / "labels.nii.gz", labels)
    item = TrainingSet([sample], (24, 48, 48), how, seed=seed, slices=4)[0]
    for name, row in item["slices"].items():
        coarse = item["masks"][name].float() * 16 - 8
        for each, place in zip(row, item["places"][name], strict=True):
            dense = on_slice(coarse, place, 64)
            assert dense.shape == (1, 1, 64, 64)
            there = F.interpolate(each.mask[None, None].float(), (64, 64), mode="area") > 0.5
            assert dice(dense > 0, there) > 0.8
    left, right = (item["slices"][f"{side}_parotid"][0].mask.float().mean(0).argmax() for side in ("left", "right"))
    assert right < left  # columns run from the patient's right to the left, also in a mirror image


def test_a_rotated_image_has_no_places(tmp_path):
    item = TrainingSet([labelled(tmp_path)], SIZE, replace(STILL, affine=1), slices=2)[0]
    assert item["slices"]
    assert item["places"] == {}


def test_scans_published_as_grey_values(tmp_path):
    array = np.random.default_rng(0).random((1, 8, 12, 10)).astype(np.float32)
    mask = np.zeros((8, 12, 10), np.uint8)
    mask[2:6, 3:9, 1:4] = 1
    np.save(tmp_path / "ct.npy", array)
    np.save(tmp_path / "mask.npy", mask)
    turn = Turn("q", "It is [SEG].", ("liver",), "semantic")
    masks = {"liver": MaskSource(tmp_path / "mask.npy", axes="SPL")}
    sample = Sample("s", tmp_path / "ct.npy", (turn,), (), masks, scale="unit")
    row = TrainingSet([sample], (8, 12, 12), slices=2)[0]["slices"]["liver"]
    for each in row:
        assert (each.window, each.crop) == (UNIT, (0, 12, 0, 10))
        assert np.abs(each.seen - array[0, each.index]).max() < 0.502 / 255
        assert torch.equal(each.mask, torch.from_numpy(mask[each.index] > 0))
