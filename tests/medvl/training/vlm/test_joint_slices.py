"""The joint stage on key slices at the resolution of the scan, and SAM 2's memory on neighbouring ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import medvl
from medvl.errors import ConfigError
from medvl.training.config import parse
from medvl.training.datasets import open_dataset
from medvl.training.datasets.samples import Turn
from medvl.training.prepare import prepare
from medvl.training.vlm import feed
from medvl.training.vlm.engine import train
from medvl.training.vlm.joint import MEMORY, Joint

from ..tiny_stages import NEEDS_PEFT, config_of, losses, write_cases, write_remembering

pytestmark = NEEDS_PEFT
TURN = Turn("where is the liver ?", "the liver is [SEG] .", ("liver",))


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder)
    return folder


@pytest.fixture(scope="module")
def remembering(tmp_path_factory):
    return write_remembering(tmp_path_factory.mktemp("model"))


def settings(cases, output, start, slices=2, memory=1.0, **loss):
    config = config_of(
        cases,
        output,
        steps=8,
        data={"validation": [], "augment": False, "cache": True, "turns": 1},
        loss={"max_targets": 1, "slices": slices, "memory": memory, "text": 0.0, "coarse": 0.0, "slice": 0.0} | loss,
        optimiser={"lr": 3e-4, "schedule": "constant_with_warmup", "warmup": 0.0},
    )
    return replace(config, model=replace(config.model, start=str(start)))


def one(cases):
    return [replace(open_dataset("cases", cases / "cases.json", "train")[0], turns=(TURN,))]


def items(config, stage, samples):
    return [feed.Feed(samples, config, stage.size, stage.draw, True)[0, 0]]


def test_only_if_asked_memory_gets_gradients(cases, remembering, tmp_path):
    for memory in (0.0, 1.0):
        config = settings(cases, tmp_path, remembering, memory=memory, slice=1.0)
        stage = Joint(config, torch.device("cpu"))
        stage.train()
        parts = stage(items(config, stage, one(cases)))
        parts["loss"].backward()
        net = stage.model.networks.sam2.net
        touched = {
            name for name in MEMORY for p in getattr(net, name).parameters() if p.grad is not None and p.grad.any()
        }
        trained = {n.split(".")[1] for n, p in stage.named_parameters() if n.startswith("memory.")}
        assert touched == trained == (set(MEMORY) if memory else set())
        assert ("memory" in parts) == bool(memory)
        assert all(p.grad is None for n, p in net.named_parameters() if not n.startswith(MEMORY))


def test_memory_learns_a_phantom_and_is_saved(cases, remembering, tmp_path):
    history = train("joint", settings(cases, tmp_path, remembering), samples=one(cases))
    told = [entry["memory"] for entry in history]
    assert told == pytest.approx(losses(history), rel=1e-5)
    assert min(told[-2:]) < 0.9 * told[0]
    saved, before = (medvl.load(str(f), "cpu", "none").networks.sam2 for f in (tmp_path / "model", remembering))
    assert saved.has_memory
    for name, tensor in saved.net.state_dict().items():
        same = torch.equal(tensor, before.net.state_dict()[name])
        assert same or name.startswith(MEMORY)
    moved = "memory_encoder.out_proj.weight"
    assert not torch.equal(saved.net.state_dict()[moved], before.net.state_dict()[moved])


def test_prepared_slices_give_the_losses_of_the_scans(cases, remembering, tmp_path):
    """Through the files of ``prepare``, several slices a structure, with the coarse map as a dense prompt."""
    config = settings(cases, tmp_path, remembering, slices=3, slice=1.0, coarse=1.0)
    stage = Joint(config, torch.device("cpu")).eval()
    ready = prepare("cases", cases, tmp_path / "ready", size=stage.size, workers=1, slices=3)
    (sample,) = one(cases)
    with torch.no_grad():
        own = stage(items(config, stage, [sample]))
        stage._slices.clear()
        fast = stage(items(config, stage, [replace(sample, ready=ready.images[0])]))
        few = stage(items(replace(config, loss=replace(config.loss, slices=2)), stage, [sample]))
    assert float(own["memory"]) == float(fast["memory"])
    assert float(own["slice"]) == pytest.approx(float(fast["slice"]), rel=1e-3)
    assert float(own["slice"]) != float(few["slice"])


def test_what_memory_needs_is_told(cases, tmp_path):
    with pytest.raises(ConfigError, match=r"loss\.slices"):
        parse({"output": "out", "loss": {"memory": 1.0}})
    with pytest.raises(ConfigError, match="no memory"):
        Joint(settings(cases, tmp_path, "nano"), torch.device("cpu"))
