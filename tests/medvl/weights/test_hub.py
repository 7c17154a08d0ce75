from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from medvl.errors import WeightsError
from medvl.networks.config import ModelConfig
from medvl.weights import hub


def test_bundled_model_is_complete():
    folder = hub.find_model("nano")
    weights = hub.read_weights(folder, "sam2_hiera_tiny")
    assert sum(v.numel() for v in weights.values()) > 31e6
    assert max(f.stat().st_size for f in folder.iterdir()) <= 48e6


def test_shards_are_read_as_one(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "w-1.safetensors")
    save_file({"b": torch.zeros(3)}, tmp_path / "w-2.safetensors")
    index = {"weight_map": {"a": "w-1.safetensors", "b": "w-2.safetensors"}}
    (tmp_path / "w.safetensors.index.json").write_text(json.dumps(index))
    assert set(hub.read_weights(tmp_path, "w")) == {"a", "b"}
    (tmp_path / "w-2.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"w-2\.safetensors is missing"):
        hub.read_weights(tmp_path, "w")


def test_missing_and_unexpected_keys_are_named():
    module = nn.Linear(2, 2)
    with pytest.raises(WeightsError, match="bias"):
        hub.load_strict(module, {"weight": torch.ones(2, 2)}, "a layer")
    with pytest.raises(WeightsError, match="extra"):
        hub.load_strict(module, {**module.state_dict(), "extra": torch.ones(1)}, "a layer")
    hub.load_strict(module, {"weight": torch.ones(2, 2)}, "a layer", optional=("bias",))


def test_unknown_model_says_what_there_is():
    with pytest.raises(WeightsError, match="nano"):
        hub.find_model("no-such-model")


def test_config_round_trip(tmp_path):
    ModelConfig().save(tmp_path)
    assert ModelConfig.load(tmp_path) == ModelConfig()
    (tmp_path / "config.json").write_text('{"name": "x"}')
    with pytest.raises(WeightsError, match="does not fit"):
        ModelConfig.load(tmp_path)
