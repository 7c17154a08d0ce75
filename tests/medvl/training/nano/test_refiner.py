"""Training of the refiner: crops that keep image, labels and first stage together, and what may be learned."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from medvl.errors import TrainingError
from medvl.networks.refiner import Refiner, RefinerConfig
from medvl.training.nano import refiner
from medvl.training.nano.refiner import Crops, TrainingScan, load_scan, loss_of, train

from .phantoms import write_cases

CONFIG = RefinerConfig(("liver", "kidney", "pancreas"), patch=16, spacing_mm=4.0, widths=(4, 8, 12, 16), embedding=8)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="module")
def loaded(cases):
    entry = json.loads(cases.read_text())[0]
    scan = load_scan(cases.parent, entry, CONFIG, np.zeros((3, 2, 2, 2), np.uint8))
    told = [F.interpolate((scan.labels == n).float()[None, None], scale_factor=0.5)[0, 0] for n in (1, 2, 3)]
    return TrainingScan(scan.id, scan.hu, scan.labels, (torch.stack(told) * 255).byte(), scan.known, scan.voxels)


def test_a_kind_is_both_sides_and_only_what_is_complete_is_known(loaded):
    assert loaded.known.tolist() == [True, True, False]
    i = loaded.voxels[1][:, 0]
    middle = loaded.hu.shape[0] / 2
    assert (i < middle).any()
    assert (i > middle).any()
    assert loaded.hu[loaded.labels == 1].float().median() == pytest.approx(115, abs=10)


def test_half_a_pair_that_is_labelled_is_not_known(cases):
    entry = json.loads(cases.read_text())[0]
    entry["complete"].remove("left_kidney")
    scan = load_scan(cases.parent, entry, CONFIG, np.zeros((3, 2, 2, 2), np.uint8))
    assert scan.known.tolist() == [True, False, False]
    assert set(scan.voxels) == {0}


def test_crops_keep_image_labels_and_first_stage_together(loaded):
    torch.manual_seed(0)
    crops, overlaps = Crops([loaded], CONFIG, seed=1), []
    for _ in range(40):
        sample = crops.draw()
        assert sample["maps"].shape == (6, 16, 16, 16)
        assert sample["labels"].shape == (16, 16, 16)
        assert torch.isfinite(sample["maps"]).all()
        liver, told = sample["labels"] == 1, sample["maps"][3] > 0.5
        if liver.sum() > 200 and told.any():
            overlaps.append(float(2 * (liver & told).sum() / (liver.sum() + told.sum())))
            # A liver of 115 HU and fat round it, whatever scanner it seems to come from.
            assert sample["maps"][0][liver].mean() > sample["maps"][0][sample["labels"] == 0].mean()
    assert len(overlaps) > 5
    assert 0.5 < np.mean(overlaps) < 0.97  # the first stage errs, and is not somewhere else


def test_the_part_of_a_volume_that_a_grid_samples_gives_the_same_values():
    rng, volume = np.random.default_rng(0), torch.rand(1, 1, 30, 40, 50, generator=torch.Generator().manual_seed(0))
    for _ in range(4):
        theta = refiner._deformation(rng, rng.uniform(0, 30, 3), np.array([30, 40, 50]), 12, rng.uniform(0.8, 1.25, 3))
        grid = F.affine_grid(theta, (1, 1, 12, 12, 12), align_corners=True)
        part, inner = refiner._round(grid, np.array([30, 40, 50]))
        some = F.grid_sample(volume[(..., *part)], inner, align_corners=True)
        assert torch.allclose(some, F.grid_sample(volume, grid, align_corners=True), atol=1e-4)


def test_what_is_unknown_counts_nothing():
    torch.manual_seed(0)
    labels = torch.zeros(1, 6, 6, 6, dtype=torch.long)
    labels[:, 2:4, 1:5] = 1
    labels[:, 5] = 255
    batch = {"labels": labels, "known": torch.tensor([[True, True, False]])}
    logits = torch.randn(1, 3, 6, 6, 6)
    other = logits.clone()
    other[:, 2] = 50
    other[:, :, 5] = -50
    assert torch.equal(loss_of(logits, batch)[0], loss_of(other, batch)[0])
    other[:, 1] = 50
    assert loss_of(other, batch)[0] > loss_of(logits, batch)[0]


def test_right_masks_cost_little():
    labels = torch.zeros(1, 8, 8, 8, dtype=torch.long)
    labels[:, 2:6, 2:6, 2:6] = 2
    right = torch.stack([torch.full((1, 8, 8, 8), -9.0), torch.where(labels == 2, 9.0, -9.0)], 1)
    batch = {"labels": labels, "known": torch.tensor([[True, True]])}
    good, dice = loss_of(right, batch)
    assert good < 0.01
    assert dice[0, 1] > 0.99
    assert torch.isnan(dice[0, 0])
    assert loss_of(-right, batch)[0] > 1


def test_learns_saves_what_loads_and_repeats_itself(cases, loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(refiner, "coarse_of", lambda *_: loaded.coarse.numpy())
    monkeypatch.setattr(refiner, "read_networks", lambda *_: None)
    told = [train(cases, tmp_path / n, 0, tmp_path, steps=40, config=CONFIG, rate=2e-2) for n in "ab"]
    assert told[0] == told[1]
    assert np.mean(told[0][-10:]) < 0.85 * np.mean(told[0][:10])
    one, two = (load_file(tmp_path / n / "refiner.safetensors") for n in "ab")
    assert all(torch.equal(one[name], two[name]) for name in one)
    saved = json.loads((tmp_path / "a" / "refiner.json").read_text())
    assert saved == json.loads(json.dumps(asdict(CONFIG)))
    Refiner(CONFIG).load_state_dict(one)


def test_without_a_case_to_train_on_it_says_so(cases, tmp_path):
    entries = [entry | {"split": "val"} for entry in json.loads(cases.read_text())]
    (tmp_path / "cases.json").write_text(json.dumps(entries))
    with pytest.raises(TrainingError, match="train split"):
        train(tmp_path / "cases.json", tmp_path / "out", 1, tmp_path)
