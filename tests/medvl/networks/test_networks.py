"""The weights of a model in memory: read in one pass, frozen, told what is missing."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from medvl.errors import WeightsError
from medvl.networks.config import ModelConfig
from medvl.networks.networks import read_networks
from medvl.weights import checksums, hub

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    """A copy of the bundled model folder, of links."""
    source = hub.find_model("nano")
    shutil.copytree(source, tmp_path / "nano", copy_function=lambda a, b: (tmp_path / b).symlink_to(a))
    return tmp_path / "nano"


def test_everything_is_read_frozen_and_in_float32(model):
    networks = read_networks(hub.find_model("nano"), CPU)
    assert networks.config == ModelConfig.load(hub.find_model("nano"))
    assert networks.vlm is None
    assert networks.seg_head is None
    assert networks.edge == "hu"
    for part in ("propagator", "localiser", "detail_head"):
        read = getattr(networks, part)
        assert not read.training
        assert all(p.dtype == torch.float32 and not p.requires_grad and p.device == CPU for p in read.parameters())
        held = getattr(model.networks, part).state_dict()
        assert all(torch.equal(tensor, held[name]) for name, tensor in read.state_dict().items())
    with pytest.raises(dataclasses.FrozenInstanceError):
        networks.edge = "sam2"


def test_another_config_leaves_parts_out(folder):
    for name in ("localiser.safetensors", "detail_head.safetensors"):
        (folder / name).unlink()
    config = replace(ModelConfig.load(folder), localiser=None)
    networks = read_networks(folder, CPU, config, edge="sam2")
    assert networks.localiser is None
    assert networks.detail_head is None  # it reads the localiser's features
    assert networks.edge == "sam2"


def test_sam2_may_stand_in_a_folder_of_its_own(folder, tmp_path):
    (tmp_path / "sam2").mkdir()
    stem = ModelConfig.load(folder).segmenter.weights
    for path in folder.glob(f"{stem}*"):
        path.rename(tmp_path / "sam2" / path.name)
    with pytest.raises(WeightsError):
        read_networks(folder, CPU)
    assert read_networks(folder, CPU, sam2_folder=tmp_path / "sam2").sam2.net is not None


@pytest.mark.parametrize("part", ["propagator", "localiser", "detail_head"])
def test_a_missing_file_is_named(folder, part):
    (folder / f"{part}.safetensors").unlink()
    with pytest.raises(WeightsError, match=part):
        read_networks(folder, CPU)


def test_weights_of_another_shape_are_refused(folder):
    path = folder / "propagator.safetensors"
    state = load_file(path)
    path.unlink()
    save_file({name: torch.zeros(3) if name == "head.bias" else tensor for name, tensor in state.items()}, path)
    config = (folder / "config.json").read_text()
    (folder / "config.json").unlink()  # a link to the bundled one
    (folder / "config.json").write_text(config)
    checksums.record(folder)  # replaced on purpose
    with pytest.raises(WeightsError, match=r"head\.bias"):
        read_networks(folder, CPU)
