"""Training of the slice propagator: what its windows, damages and clicks are, and that it learns two phantoms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from medvl.errors import TrainingError
from medvl.networks.propagator import SlicePropagator
from medvl.training.nano.propagator import STEPS, Objects, damage, largest_error, loss_of, rollout, train

from .phantoms import write_cases


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("cases"))


def disc(radius: float, size: int = 48) -> torch.Tensor:
    rows, cols = np.mgrid[:size, :size] - size // 2
    return torch.from_numpy((rows**2 + cols**2 <= radius**2).astype(np.float32))


def test_windows_start_on_the_object_and_give_mm(cases):
    torch.manual_seed(0)
    data = Objects(cases, "train", set(), seed=1)
    assert len(data.items) == 3  # one case has two label maps
    drawn = [window for _ in range(40) if (window := data.draw(96))]
    assert len(drawn) > 20
    for window in drawn:
        assert window["hu"].shape == window["mask"].shape == (STEPS + 2, 96, 96)
        assert window["mask"][0].sum() > 4
        assert {float(v) for v in window["mask"].unique()} <= {0.0, 1.0}
        assert round(float(window["gap"]), 4) in (4.0, 4.5, 5.0)
        assert 20 < float(window["pixel"]) * 96 < 500


def test_held_out_cases_are_left_out_and_nothing_left_is_told(cases):
    assert len(Objects(cases, "train", {"phantom_1"}).items) == 1
    with pytest.raises(TrainingError, match="no labelled object"):
        Objects(cases, "val", set())


def test_damage_keeps_most_of_a_mask_and_never_empties_it():
    rng, mask = np.random.default_rng(0), disc(12)
    overlap = []
    for _ in range(30):
        damaged = damage(mask, rng)
        assert damaged.any()
        overlap.append(float(2 * (damaged * mask).sum() / (damaged.sum() + mask.sum())))
    assert 0.6 < min(overlap) < 0.99
    assert max(overlap) == 1.0


def test_a_click_goes_into_the_largest_error():
    target, predicted = disc(14), disc(14)
    predicted[:, 30:] = 0  # a large piece is missing
    predicted[2:5, 2:5] = 1  # a small one is too much
    (row, col), positive = largest_error(predicted, target)
    assert positive
    assert target[row, col]
    assert not predicted[row, col]
    (row, col), positive = largest_error(disc(14), disc(8))
    assert not positive
    assert largest_error(target, target) is None


def test_loss_falls_with_the_overlap_and_ends_with_the_object():
    sure = [loss_of((2 * disc(r)[None] - 1) * 8, disc(12)[None]).item() for r in (4, 8, 12)]
    assert sure[0] > sure[1] > sure[2]
    assert sure[2] < 0.01
    nothing = torch.zeros(1, 48, 48)
    assert loss_of(nothing - 8, nothing) < 0.1 < loss_of((2 * disc(12)[None] - 1) * 8, nothing)


def test_a_rollout_goes_over_every_slice_and_teaches_every_weight(cases):
    torch.manual_seed(0)
    data, model = Objects(cases, "train", set()), SlicePropagator()
    windows = [w for _ in range(20) if (w := data.draw(96))][:2]
    batch = {key: torch.stack([w[key] for w in windows]).float() for key in windows[0]}
    loss, dice = rollout(model, batch, np.random.default_rng(0))
    loss.backward()
    assert 0 <= float(dice) <= 1
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_learns_saves_what_loads_and_repeats_itself(cases, tmp_path):
    told = [train(cases, tmp_path / n, 0, set(), batch_size=2, steps=20) for n in "ab"]
    assert told[0] == told[1]
    assert len(told[0]) == 20
    assert np.mean(told[0][-4:]) < 0.85 * np.mean(told[0][:4])
    one, two = (load_file(tmp_path / n / "propagator.safetensors") for n in "ab")
    assert all(torch.equal(one[name], two[name]) for name in one)
    SlicePropagator().load_state_dict(one)  # strict


def test_the_command_takes_steps(cases, tmp_path, monkeypatch):
    from medvl.training.nano import propagator

    monkeypatch.setattr("sys.argv", ["propagator", "--cases", str(cases), "--output", str(tmp_path), "--steps", "1"])
    propagator.main()
    assert [path.name for path in tmp_path.iterdir()] == ["propagator.safetensors"]
