from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import medvl
from medvl import MedVLSAM2
from medvl.networks.config import ModelConfig
from medvl.networks.seg_head import SegHead
from medvl.networks.vlm import VisionLanguageModel
from medvl.weights import hub

from .tiny_checkpoints import seg_head_config, write_med3dvlm, write_model_folder


def test_saved_folder_loads_as_the_same_model(model, tmp_path, monkeypatch):
    monkeypatch.setattr("medvl.model.SHARD", "40MB")
    model.save_pretrained(tmp_path)
    assert len(list(tmp_path.glob(f"{model.config.segmenter.weights}-*.safetensors"))) > 1
    for again in (medvl.load(str(tmp_path), device="cpu"), MedVLSAM2.from_pretrained(str(tmp_path), device="cpu")):
        assert again.config == model.config
        assert again.vlm is None
        assert not again.networks.sam2.has_memory
        kept = hub.read_weights(tmp_path, model.config.segmenter.weights)
        assert all(torch.equal(model.networks.sam2.net.state_dict()[n], t) for n, t in kept.items())
        for part in ("propagator", "localiser"):
            one, two = getattr(model.networks, part), getattr(again.networks, part)
            if one is not None:
                assert all(torch.equal(t, two.state_dict()[n]) for n, t in one.state_dict().items())
    plane = np.kron(np.random.default_rng(0).uniform(0, 1, (8, 8)), np.ones((16, 16)))
    assert torch.equal(model.networks.sam2.encode(plane).embedding, again.networks.sam2.encode(plane).embedding)


def test_language_model_travels_along(model, tmp_path):
    write_med3dvlm(tmp_path / "hub")
    vlm = VisionLanguageModel.load(tmp_path / "hub", quantization="none")
    MedVLSAM2(replace(model.networks, vlm=vlm)).save_pretrained(tmp_path / "saved")
    again = medvl.load(str(tmp_path / "saved"), device="cpu", quantization="none")
    image = torch.rand(1, 1, 32, 64, 64)
    answers = [
        [t.id for t in v.conversation(v.image_tokens(image)).ask("where is the large liver ?", 6)]
        for v in (vlm, again.vlm)
    ]
    assert answers[0] == answers[1]
    assert "float32" in again.notices()[0]


def test_nothing_is_loaded_from_a_folder_with_a_missing_part(model, tmp_path):
    model.save_pretrained(tmp_path)
    (tmp_path / "propagator.safetensors").unlink()
    with pytest.raises(medvl.WeightsError, match=r"propagator\.safetensors"):
        medvl.load(str(tmp_path), device="cpu")


def test_seg_head_is_saved_and_loaded_with_the_model(model, tmp_path):
    write_model_folder(tmp_path / "one", model)
    first = medvl.load(str(tmp_path / "one"), device="cpu", quantization="none")
    assert first.config.seg_head == seg_head_config()
    first.save_pretrained(tmp_path / "two")
    again = medvl.load(str(tmp_path / "two"), device="cpu", quantization="none")
    assert again.config == first.config
    state = again.networks.seg_head.state_dict()
    assert state.keys() == first.networks.seg_head.state_dict().keys()
    assert all(torch.equal(t, state[n]) for n, t in first.networks.seg_head.state_dict().items())
    image, states = torch.rand(1, 1, 32, 64, 64), torch.randn(2, 64)
    stages = first.config.seg_head.stages(first.vlm.encoder.config.channels)
    maps, prompts = [], []
    for each in (first, again):
        voxels = each.networks.seg_head.voxels(each.vlm.encoder.maps(image)[stages])
        maps.append(each.networks.seg_head.coarse_logits(states, voxels[0]))
        prompts.append(each.networks.seg_head.prompts(states))
    assert torch.equal(*maps)
    assert torch.equal(*prompts)
    assert maps[0].std() > 0


def test_seg_head_that_does_not_fit_is_refused(model, tmp_path):
    write_model_folder(tmp_path, model)
    weights = hub.read_weights(tmp_path, "seg_head")
    save_file({**weights, "extra": torch.zeros(1)}, tmp_path / "seg_head.safetensors")
    with pytest.raises(medvl.WeightsError, match="extra"):
        medvl.load(str(tmp_path), device="cpu", quantization="none")
    config = replace(ModelConfig.load(tmp_path), seg_head=replace(seg_head_config(), hidden_dim=32))
    config.save(tmp_path)
    save_file(SegHead(config.seg_head).state_dict(), tmp_path / "seg_head.safetensors")
    with pytest.raises(medvl.WeightsError, match="32 values"):
        medvl.load(str(tmp_path), device="cpu", quantization="none")
    (tmp_path / "seg_head.safetensors").unlink()
    with pytest.raises(medvl.WeightsError, match=r"seg_head\.safetensors"):
        medvl.load(str(tmp_path), device="cpu", quantization="none")
