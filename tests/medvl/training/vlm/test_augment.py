"""Augmentation: mirror images keep left and right, crops keep what is spoken of, image and masks move together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from medvl.ct.masks import Mask
from medvl.ct.prompts import Box
from medvl.training.datasets.samples import Image, MaskSource, Sample, Turn, read_image, read_masks
from medvl.training.vlm import augment as aug
from medvl.training.vlm.augment import Augmentation

from ..folders import centre, cube, labelled


def test_swapping_twice_is_the_identity(tmp_path):
    sample = labelled(tmp_path)
    turn = Turn("Is the LEFT kidney larger?", "Right.", (), "presence", ("left_parotid",))
    sample = replace(sample, turns=(*sample.turns, turn), captions=("Left and right; RUL, leftward.",))
    once = aug.swap_sides(sample)
    assert once != sample
    assert once.turns[0].targets == ("right_parotid", "left_parotid", "mandible")
    assert once.turns[0].question == "Segment the right parotid, the left parotid, the mandible."
    assert once.captions == ("Right and left; LUL, rightward.",)
    assert aug.swap_sides(once) == sample


def test_mirroring_never_leaves_a_left_label_on_the_right(tmp_path):
    sample = labelled(tmp_path)
    array, affine = read_image(sample)
    swapped = aug.swap_sides(sample)
    masks = {name: aug.mirror(mask) for name, mask in read_masks(swapped, Image(array, affine)).items()}
    middle = (array.shape[0] - 1) / 2
    for side, grows in (("left", -1), ("right", 1)):
        name = f"{side}_parotid"
        assert (centre(masks[name])[0] - middle) * grows > 0
    picture = aug.mirror(array)
    assert (picture[masks["right_parotid"]] == 150).all()  # it was drawn as the left one


@pytest.mark.parametrize(
    ("names", "captions", "kind", "allowed"),
    [
        (("left_parotid", "mandible"), (), "semantic", True),
        (("left_kidney",), (), "semantic", False),  # a mirrored trunk has its liver on the left
        (("mandible",), ("A text.",), "semantic", False),
        (("mandible",), (), "report", False),
    ],
)
def test_only_symmetric_anatomy_is_mirrored(tmp_path, names, captions, kind, allowed):
    sample = replace(labelled(tmp_path, names, kind=kind), captions=captions)
    assert aug.mirrorable(sample) is allowed


@pytest.mark.parametrize("seed", range(25))
def test_a_crop_keeps_what_is_spoken_of(seed):
    state = np.random.RandomState(seed)
    shape = tuple(int(n) for n in state.randint(10, 60, 3))
    keep = []
    for _ in range(3):
        lo = [int(state.randint(0, n - 3)) for n in shape]
        keep.append(Box(tuple(lo), tuple(l + 3 for l in lo)))
    box = aug.field_of_view(shape, [*keep, None], 0.5, state)
    for axis, size in enumerate(shape):
        assert 0 <= box.lo[axis] <= min(b.lo[axis] for b in keep)
        assert max(b.hi[axis] for b in keep) <= box.hi[axis] <= size
        assert box.size[axis] >= 0.5 * size


def test_free_text_is_neither_cropped_nor_recoloured(tmp_path):
    source = {"liver": MaskSource(tmp_path / "x.nii.gz")}
    for kind, crop, colour in (
        ("semantic", True, True), ("absent", True, True), ("measured", True, False), ("caption", False, False),
        ("report", False, False), ("open_vqa", False, False),
    ):  # fmt: skip
        sample = Sample("s", tmp_path, (Turn("q", "a", (), kind, ("liver",)),), (), source)
        assert aug.croppable(sample) is crop
        assert aug.recolourable(sample) is colour


@pytest.mark.parametrize("seed", range(4))
def test_mask_and_image_move_together(seed):
    """A mask that is where the image is above one half is so after any rotation and scale."""
    state = np.random.RandomState(seed)
    image = torch.zeros(1, 20, 24, 22)
    image[0, 5:13, 6:15, 4:12] = 1
    image[0, 14:18, 16:20, 14:20] = 1
    moved = aug.move(torch.cat([image, image.clone()]), Augmentation(rotate_degrees=25, scale=0.2), state)
    assert torch.equal(moved[0] > 0.5, moved[1] > 0.5)
    assert not torch.equal(moved[0], image[0])
    ratio = float((moved[1] > 0.5).sum()) / float(image.sum())
    assert 0.4 < ratio < 2.0


def test_shade_stays_a_picture_and_depends_on_the_state():
    image = torch.rand(1, 12, 14, 16, generator=torch.Generator().manual_seed(0))
    how = Augmentation(contrast=1, noise=1, blur=1)
    one, two, other = (aug.shade(image, how, 400.0, np.random.RandomState(s)) for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert 0 <= float(one.min()) <= float(one.max()) <= 1
    assert type(one) is torch.Tensor


def test_contrast_phase_changes_vessels_and_not_gas():
    hu = np.full((24, 24, 24), 40, np.int16)
    hu[:, :, :12] = -900
    aorta = cube(hu.shape, (8, 8, 8), 8).astype(bool)
    changed = aug.contrast_phase(hu, {"aorta": Mask.from_array(aorta)}, np.random.RandomState(3)).astype(int)
    change = changed - hu
    assert (change[:, :, :12] == 0).all()
    assert (change[:3] == 0).all()
    inside = np.abs(change[10:14, 10:14, 14])
    assert inside.min() > 5
    assert inside.min() > np.abs(change[7, 12, 14]) > 0  # fades at the border of the label
    assert (aug.contrast_phase(hu, {}, np.random.RandomState(3)) == hu).all()


def test_density_leaves_air():
    hu = np.array([[[-1000, -500, 40, 200]]], np.int16)
    changed = aug.density(hu, Augmentation(stretch=0.1, shift_hu=10), np.random.RandomState(0))
    assert (changed[..., :2] == hu[..., :2]).all()
    assert changed.dtype == np.int16
    assert abs(int(changed[0, 0, 3]) - 200) <= 26
    assert (changed != hu).any()
