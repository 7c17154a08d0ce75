"""Why a GPU without bfloat16 computes in float32: what goes beyond float16's largest number, layer by layer, on a CPU.

Set MEDVL_TEST_LANGUAGE_MODEL to the folder of a real checkpoint to see its layers.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from medvl.networks.language_model import LanguageModel

from ..tiny_checkpoints import write_language_model

LIMIT = torch.finfo(torch.float16).max  # 65,504


def largest(lm, text):
    """Largest absolute activation after each layer and within its gated product, in float32, by name."""
    found = {}

    def hook(name):
        def note(module, given, out):
            out = out[0] if isinstance(out, tuple) else out
            found[name] = max(found.get(name, 0.0), float(out.abs().max()), float(given[0].abs().max()))

        return note

    kinds = ("mlp", "self_attn.o_proj", "mlp.down_proj")
    watched = {
        n: m for n, m in lm.model.named_modules() if n.endswith(kinds) or n.rpartition(".")[0].endswith(".layers")
    }
    handles = [module.register_forward_hook(hook(name)) for name, module in watched.items()]
    with torch.inference_mode():
        logits = lm.model(torch.tensor([lm.encode(text)])).logits
    for handle in handles:
        handle.remove()
    return found, logits


@pytest.fixture
def folder(tmp_path):
    """A model with the massive activations that Qwen2 is known for: one feed-forward layer writes far beyond 65,504."""
    model = write_language_model(tmp_path, num_hidden_layers=3)
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight *= 3e4
    model.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("mode", ["none", "4bit"])
def test_the_layers_that_overflow_are_named_and_float32_carries_them(folder, mode):
    lm = LanguageModel.from_pretrained(folder, quantization=mode)
    found, logits = largest(lm, "where is the large liver ?")
    beyond = {name for name, value in found.items() if value > LIMIT}
    assert {"model.layers.1.mlp", "model.layers.1", "model.layers.2"} <= beyond  # and on through the residual stream
    assert not any(name.startswith("model.layers.0") for name in beyond)
    assert torch.isfinite(logits).all()
    if mode == "none":
        half = lm.model.half()
        with torch.inference_mode():
            assert not torch.isfinite(half(torch.tensor([lm.encode("where is the large liver ?")])).logits).all()


@pytest.mark.skipif("MEDVL_TEST_LANGUAGE_MODEL" not in os.environ, reason="no folder of a real checkpoint is named")
def test_a_real_checkpoint(capsys):
    lm = LanguageModel.from_pretrained(Path(os.environ["MEDVL_TEST_LANGUAGE_MODEL"]), quantization="none")
    found, logits = largest(lm, "The patient has a large hypodense lesion in segment VI of the liver. " * 8)
    with capsys.disabled():
        for name, value in sorted(found.items(), key=lambda item: -item[1])[:12]:
            print(f"{name:<40}{value:>14,.0f}{'  beyond float16' if value > LIMIT else ''}")
    assert torch.isfinite(logits).all()
