"""Items of ``TrainingSet``: the encoder's grid, masks where the image shows them, the same item for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from medvl.networks.preprocess import encoder_input
from medvl.readers import read_ct
from medvl.training.datasets import open_dataset
from medvl.training.datasets.samples import DatasetError, MaskSource, NothingToAsk, Sample, Turn
from medvl.training.vlm.augment import Augmentation
from medvl.training.vlm.dataset import TrainingSet, without_empty

from ..folders import LPS, body, centre, labelled, save

SIZE = (16, 32, 32)
HARD = Augmentation(mirror=1, crop=1, phase=1, density=1, noise=1, affine=1, contrast=1, blur=1)


def same(one, two):
    return (
        torch.equal(one["image"], two["image"])
        and one["sample"] == two["sample"]
        and one["masks"].keys() == two["masks"].keys()
        and all(torch.equal(one["masks"][n], two["masks"][n]) for n in one["masks"])
    )


@pytest.mark.parametrize("affine", [None, LPS], ids=["RAS", "LPS"])
def test_plain_item_is_the_encoders_input_with_masks_on_it(tmp_path, affine):
    sample = labelled(tmp_path) if affine is None else labelled(tmp_path, affine=affine)
    item = TrainingSet([sample], SIZE)[0]
    assert torch.equal(item["image"], encoder_input(read_ct(sample.ct), SIZE).image[0])
    assert item["image"].shape == (1, *SIZE)
    assert item["image"].dtype == torch.float32
    assert type(item["image"]) is torch.Tensor  # without MONAI's metadata, which costs memory in workers
    assert tuple(item["masks"]) == sample.wanted
    for value, name in enumerate(sample.wanted, 1):
        mask = item["masks"][name]
        assert mask.dtype == torch.bool
        assert type(mask) is torch.Tensor
        assert mask.shape == SIZE
        # The window starts at -160 HU and is 400 HU wide.
        assert abs(float(item["image"][0][mask].max()) - min(1, (100 + 50 * value + 160) / 400)) < 0.01
    # Columns run from the patient's right to the left.
    assert centre(item["masks"]["right_parotid"])[2] < centre(item["masks"]["left_parotid"])[2]


def test_same_seed_same_item_in_any_order_and_process(tmp_path):
    samples = [replace(labelled(tmp_path / str(n)), id=str(n)) for n in range(3)]
    data = TrainingSet(samples, SIZE, HARD, seed=4)
    data.set_epoch(2)
    first = [data[i] for i in range(3)]
    again = TrainingSet(samples, SIZE, HARD, seed=4)
    again.set_epoch(2)
    assert all(same(again[i], first[i]) for i in (2, 0, 1))
    loaded = list(DataLoader(again, batch_size=None, num_workers=1))
    assert all(same(a, b) for a, b in zip(loaded, first, strict=True))
    again.set_epoch(3)
    assert not same(again[0], first[0])
    assert not same(TrainingSet(samples, SIZE, HARD, seed=5)[0], TrainingSet(samples, SIZE, HARD, seed=4)[0])


def test_workers_that_stay_see_the_next_epoch(tmp_path):
    data = TrainingSet([labelled(tmp_path)], SIZE, HARD)
    loader = DataLoader(data, batch_size=None, num_workers=1, persistent_workers=True)
    (zero,) = list(loader)
    data.set_epoch(1)
    (one,) = list(loader)
    assert same(one, data[0])
    assert not same(one, zero)


@pytest.mark.parametrize("seed", range(6))
def test_augmented_masks_lie_where_the_image_shows_them(tmp_path, seed):
    """Bright cubes in the dark are their own masks, whatever happens; names and words fit the side."""
    sample = labelled(tmp_path, ("left_parotid", "right_parotid"))
    hu = np.full((24, 20, 16), -160, np.int16)  # black in the window
    labels = np.rint(MaskSource(tmp_path / "labels.nii.gz").read(read_ct(sample.ct))).astype(bool)
    hu[labels] = 240  # white
    save(tmp_path / "ct.nii.gz", hu)
    how = Augmentation(mirror=0.5, crop=0.7, phase=0, density=0, noise=0, affine=0.8, contrast=0, blur=0)
    item = TrainingSet([sample], SIZE, how, seed=seed)[0]
    union = torch.stack(list(item["masks"].values())).any(0)
    shown = item["image"][0] > 0.5
    assert float((union ^ shown).sum()) <= 0.02 * float(shown.sum())
    assert float(shown.sum()) > 50
    left, right = item["masks"]["left_parotid"], item["masks"]["right_parotid"]
    assert centre(right)[2] < centre(left)[2]
    assert [n.split("_")[0] for n in item["sample"].turns[0].targets] == [
        w for w in item["sample"].turns[0].answer.split() if w in ("left", "right")
    ]


def test_the_smallest_structure_keeps_a_voxel(tmp_path):
    labels = np.zeros((40, 40, 20), np.uint8)
    labels[20, 20, 10] = 1
    sample = Sample(
        "s", tmp_path / "ct.nii.gz", (Turn("q", "[SEG]", ("dot",), "semantic"),), (),
        {"dot": MaskSource(save(tmp_path / "l.nii.gz", labels))},
    )  # fmt: skip
    save(sample.ct, body(labels.shape))
    for how in (None, True):
        assert TrainingSet([sample], (8, 8, 8), how)[0]["masks"]["dot"].any()


def test_windowed_scans_stay_as_they_are(tmp_path):
    array = np.random.default_rng(0).random((1, 8, 12, 10)).astype(np.float32)
    np.save(tmp_path / "ct.npy", array)
    sample = Sample("s", tmp_path / "ct.npy", (Turn("q", "a", (), "caption"),), ("a",), scale="unit")
    image = TrainingSet([sample], (8, 12, 10))[0]["image"]
    torch.testing.assert_close(image, torch.from_numpy(array))
    assert TrainingSet([sample], SIZE, HARD)[0]["image"].shape == (1, *SIZE)


def test_empty_masks_are_not_pointed_at(tmp_path):
    sample = labelled(tmp_path, ("left_parotid", "right_parotid"))
    report = Turn("r", "Left [SEG]: x. Right [SEG]: y.", ("left_parotid", "right_parotid"), "report")
    one = Turn("q", "It is [SEG].", ("right_parotid",), "semantic")
    left = without_empty(replace(sample, turns=(report, one)), {"left_parotid"})
    assert left.turns == (replace(report, answer="Left: x. Right [SEG]: y.", targets=("right_parotid",)), one)
    assert without_empty(replace(sample, turns=(one,)), {"right_parotid"}) is None
    empty = {**sample.masks, "right_parotid": MaskSource(tmp_path / "labels.nii.gz", (9,))}
    nothing = replace(sample, turns=(one,), masks=empty)
    assert TrainingSet([nothing, sample], SIZE)[0]["sample"].turns == sample.turns
    with pytest.raises(DatasetError, match="Every sample"):
        TrainingSet([nothing], SIZE)[0]


def test_a_sample_without_questions_is_passed_over(tmp_path):
    sample = labelled(tmp_path)

    class Samples(list):
        def draw(self, index, epoch):
            if index == 0:
                raise NothingToAsk("Nothing.")
            return self[index]

    assert TrainingSet(Samples([None, sample]), SIZE)[0]["sample"] == sample


def test_real_case(shared_cases):
    cases = open_dataset("cases", shared_cases, "train")
    index = cases.ids.index("openkbp_train_100")
    data = TrainingSet(cases, (32, 64, 64), True, seed=1)
    one, two = data[index], data[index]
    assert same(one, two)
    assert all(mask.any() for mask in one["masks"].values())
    assert set(one["masks"]) == set(one["sample"].wanted)
