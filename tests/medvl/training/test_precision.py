"""Mixed precision and quantised language models (QLoRA): they learn, resume, and what is saved is whole."""

from __future__ import annotations

import pytest
import torch

import medvl
from medvl.training import build
from medvl.training.engine import train
from medvl.training.joint import Joint
from medvl.training.stages import Instruct

from .tiny_stages import config_of, losses, write_cases

pytest.importorskip("peft")
KINDS = {"instruct": Instruct, "joint": Joint}
WAYS = {"bf16": ("none", "bf16"), "4bit": ("4bit", "no"), "4bit bf16": ("4bit", "bf16"), "8bit": ("8bit", "bf16")}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder)
    return folder


def settings(cases, output, way, steps=6, **run):
    quantization, precision = WAYS[way]
    lora = {"rank": 8, "alpha": 16, "dropout": 0.0}
    base = config_of(cases, output)
    model = {"language_model": str(cases / "lm"), "encoder": "nano", "input_size": (32, 64, 64), "low_tokens": (6, 4),
             "high_tokens": (3, 2), "lora": lora, "quantization": quantization}  # fmt: skip
    return config_of(
        cases,
        output,
        model=model,
        data={"train": [{"kind": "cases", "root": str(base.data.train[0].root), "ids": ("c0",)}], "validation": [],
              "augment": False, "cache": True, "turns": 1, "absent_share": 0.0},
        loss={"slice": 0.0},
        optimiser={"steps": steps, "batch_size": 1, "lr": 1e-2, "mixed_precision": precision, "warmup": 0.0,
                   "schedule": "constant_with_warmup"},
        run={"log_every": 1, "save_every": 0, "evaluate_every": 0, "device": "cpu"} | run,
    )  # fmt: skip


@pytest.mark.parametrize("stage", list(KINDS))
@pytest.mark.parametrize("way", list(WAYS))
def test_learns_resumes_exactly_and_what_is_saved_is_whole(cases, tmp_path, stage, way):
    straight = train(stage, settings(cases, tmp_path / "a", way))
    assert min(losses(straight)[-2:]) < losses(straight)[0]
    stopped = train(stage, settings(cases, tmp_path / "b", way), stop_after=3)
    resumed = train(stage, settings(cases, tmp_path / "b", way))
    assert losses(stopped) == losses(straight)[:3]
    assert losses(resumed) == losses(straight)
    model = medvl.load(str(tmp_path / "a" / "model"), "cpu", "none")
    state = model.vlm.lm.model.state_dict()
    assert all(t.dtype == torch.float32 for t in state.values())
    assert not any("absmax" in n or "lora" in n for n in state)
    assert (model.seg_head is not None) == (stage == "joint")
    before = medvl.language_model.LanguageModel.from_pretrained(cases / "lm", quantization="none").model.state_dict()
    moved = (state["model.layers.0.mlp.up_proj.weight"] - before["model.layers.0.mlp.up_proj.weight"]).abs().max()
    assert 0 < moved < 0.5  # LoRA is merged into the unquantised weights, not into rounded ones
    assert torch.equal(state["model.norm.weight"], before["model.norm.weight"])


@pytest.mark.parametrize("stage", list(KINDS))
def test_around_a_4_bit_model_only_what_should_be_is_trained(cases, tmp_path, stage):
    made = KINDS[stage](settings(cases, tmp_path, "4bit"), torch.device("cpu"))
    kinds = [m.base_layer for m in made.lm.modules() if hasattr(m, "lora_A") and hasattr(m, "base_layer")]
    assert {type(k).__name__ for k in kinds} == {"Linear4bit"}
    assert not any(k.weight.requires_grad for k in kinds)
    trained = {n for n, p in made.named_parameters() if p.requires_grad}
    assert any("lora_A" in n for n in trained)
    assert any("projector" in n for n in trained)
    assert any(n.startswith("head.") for n in trained) == (stage == "joint")
    assert not any("sam2" in n or "encoder." in n for n in trained)
    assert all(p.dtype == torch.float32 for p in made.parameters() if p.requires_grad)
    build.need_vlm(made.model)
