"""Training of the localiser: what a partial label allows, and a small network that learns two phantoms."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from medvl.errors import TrainingError
from medvl.networks.localiser import Localiser, LocaliserConfig
from medvl.training.nano.localiser import STRUCTURES, Patches, load_case, loss_of, train

from .phantoms import NAMES, write_cases

CONFIG = LocaliserConfig(STRUCTURES, patch=16, widths=(4, 8, 12, 16), embedding=8)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="module")
def loaded(cases):
    return load_case(cases.parent, json.loads(cases.read_text())[0], CONFIG.spacing_mm)


def test_a_case_lies_on_the_coarse_grid_with_its_labels(loaded):
    assert tuple(loaded.hu.shape) == tuple(loaded.labels.shape) == tuple(loaded.place.shape[1:]) == (48, 45, 45)
    assert {STRUCTURES[n - 1] for n in loaded.present} == set(NAMES.values())
    liver = loaded.hu[loaded.labels == 1 + STRUCTURES.index("liver")].float()
    assert liver.median() == pytest.approx(115, abs=10)


def test_what_is_complete_is_not_in_the_background(loaded):
    complete = {STRUCTURES[n - 1] for n in torch.nonzero(loaded.complete[1:]).flatten().add(1).tolist()}
    assert complete == set(NAMES.values())
    assert loaded.allowed[0]
    assert torch.equal(loaded.allowed[1:], ~loaded.complete[1:])


def test_patches_of_one_seed_are_the_same_and_hold_what_they_say(loaded):
    one, two = (Patches([loaded], CONFIG.patch, seed=3, head_neck_share=0.25) for _ in range(2))
    for patches in (one, two):
        torch.manual_seed(0)
        patches.drawn = [patches.draw() for _ in range(4)]
    for a, b in zip(one.drawn, two.drawn, strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)
        assert a["maps"].shape == (5, 16, 16, 16)
        assert a["labels"].shape == (16, 16, 16)
        assert set(a["labels"].unique().tolist()) <= {0, 255, *loaded.present}


def test_background_may_be_what_is_not_labelled_and_nothing_else():
    labels = torch.zeros(1, 4, 4, 4, dtype=torch.long)
    allowed = torch.tensor([[True, True, False]])
    losses = []
    for channel in range(3):
        logits = torch.zeros(1, 3, 4, 4, 4)
        logits[:, channel] = 10
        loss, _ = loss_of(logits, {"labels": labels, "allowed": allowed, "complete": ~allowed})
        losses.append(float(loss))
    assert max(losses[:2]) < 0.01 < 5 < losses[2]


def test_what_lies_beyond_the_scan_counts_nothing():
    labels = torch.full((1, 4, 4, 4), 255)
    labels[:, :2] = 1
    batch = {"labels": labels, "allowed": torch.tensor([[True, False]]), "complete": torch.tensor([[True, True]])}
    logits = torch.randn(1, 2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    other = logits.clone()
    other[:, :, 2:] = 50
    assert torch.equal(loss_of(logits, batch)[0], loss_of(other, batch)[0])


def test_learns_saves_what_loads_and_repeats_itself(cases, tmp_path):
    told = [train(cases, tmp_path / n, 0, None, rate=0.1, steps=60, config=CONFIG) for n in "ab"]
    assert told[0] == told[1]
    assert len(told[0]) == 60
    assert np.mean(told[0][-10:]) < 0.88 * np.mean(told[0][:10])
    one, two = (load_file(tmp_path / n / "localiser.safetensors") for n in "ab")
    assert all(torch.equal(one[name], two[name]) for name in one)
    saved = json.loads((tmp_path / "a" / "localiser.json").read_text())
    assert saved == json.loads(json.dumps(asdict(CONFIG)))
    net = Localiser(LocaliserConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()}))
    start = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net.load_state_dict(one)  # strict
    assert not any(torch.equal(one[name], start[name]) for name in ("stem.weight", "queries"))
    train(cases, tmp_path / "c", 0, tmp_path / "a" / "localiser.safetensors", rate=0.0, steps=1, config=CONFIG)
    again = load_file(tmp_path / "c" / "localiser.safetensors")
    assert all(torch.equal(one[name], again[name]) for name in one)


def test_without_a_case_to_train_on_it_says_so(cases, tmp_path):
    entries = [entry | {"split": "val"} for entry in json.loads(cases.read_text())]
    (tmp_path / "cases.json").write_text(json.dumps(entries))
    with pytest.raises(TrainingError, match="train split"):
        train(tmp_path / "cases.json", tmp_path / "out", 1, None)
