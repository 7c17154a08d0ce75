from __future__ import annotations

import numpy as np
import pytest
import torch

import medvl
from medvl import MedVLSAM2, hub
from medvl.vlm import VisionLanguageModel

from .tiny_checkpoints import write_med3dvlm


def test_saved_folder_loads_as_the_same_model(model, tmp_path, monkeypatch):
    monkeypatch.setattr("medvl.model_hub.SHARD", "40MB")
    model.save_pretrained(tmp_path)
    assert len(list(tmp_path.glob(f"{model.config.segmenter.weights}-*.safetensors"))) > 1
    for again in (medvl.load(str(tmp_path), device="cpu"), MedVLSAM2.from_pretrained(str(tmp_path), device="cpu")):
        assert again.config == model.config
        assert again.vlm is None
        assert not again.sam2.has_memory
        kept = hub.read_weights(tmp_path, model.config.segmenter.weights)
        assert all(torch.equal(model.sam2.net.state_dict()[n], t) for n, t in kept.items())
        for part in ("propagator", "localiser"):
            one, two = getattr(model, part), getattr(again, part)
            if one is not None:
                assert all(torch.equal(t, two.state_dict()[n]) for n, t in one.state_dict().items())
    plane = np.kron(np.random.default_rng(0).uniform(0, 1, (8, 8)), np.ones((16, 16)))
    assert torch.equal(model.sam2.encode(plane).embedding, again.sam2.encode(plane).embedding)


def test_language_model_travels_along(model, tmp_path, monkeypatch):
    write_med3dvlm(tmp_path / "hub")
    vlm = VisionLanguageModel.load(tmp_path / "hub", quantization="none")
    monkeypatch.setattr(model, "vlm", vlm)
    model.save_pretrained(tmp_path / "saved")
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
