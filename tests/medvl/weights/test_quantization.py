from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from medvl.errors import WeightsError
from medvl.networks.language_model import LanguageModel
from medvl.weights.quantization import choose, footprint, quantizable

from ..tiny_checkpoints import language_model, write_language_model

CPU = torch.device("cpu")
# Qwen2.5-7B: weights in the decoder's linear layers; embeddings and head of Med3DVLM's vocabulary, norms and biases.
LINEAR, OTHER = 6_525_616_128, 2 * 151_666 * 3584 + 300_000


@pytest.mark.parametrize(
    ("free_gb", "mode"), [(80, "none"), (24, "8bit"), (12, "4bit"), (1, "4bit")], ids=["80", "24", "12", "1"]
)
def test_auto_takes_the_most_precise_that_fits(free_gb, mode):
    picked = choose("auto", CPU, LINEAR, OTHER, free=int(free_gb * 1e9))
    assert picked.mode == mode
    assert "GB" in picked.reason
    if free_gb == 12:
        assert "would not fit" in picked.reason


def test_less_memory_never_means_more_precision():
    order = {"4bit": 0, "8bit": 1, "none": 2}
    picks = [order[choose("auto", CPU, LINEAR, OTHER, free=g * 10**9).mode] for g in range(1, 60, 3)]
    assert picks == sorted(picks)


def test_a_wish_is_followed_and_nonsense_is_refused():
    assert choose("8bit", CPU, LINEAR, OTHER, free=1).mode == "8bit"
    with pytest.raises(WeightsError, match="4bit, 8bit, none, auto"):
        choose("3bit", CPU, LINEAR, OTHER)


def test_the_7b_model_in_4_bit_stays_within_6_gb():
    assert footprint("4bit", torch.bfloat16, LINEAR, OTHER) < 6e9


def test_the_head_is_not_quantised():
    names = quantizable(language_model())
    assert names
    assert not any("lm_head" in n for n in names)


def test_no_note_about_an_optional_package(tmp_path):
    """In a fresh process, because the note comes once: quantise and run a layer, and nothing is said."""
    code = (
        "import logging; logging.basicConfig()\n"
        "import torch\n"
        "from medvl.weights.quantization import bitsandbytes\n"
        "bnb = bitsandbytes()\n"
        "layer = bnb.nn.Linear4bit(64, 64, quant_type='nf4').to('cpu')\n"
        "with torch.inference_mode(): layer(torch.zeros(1, 64))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "kernels" not in done.stdout + done.stderr


def test_nf4_is_double_quantised_and_computes_in_the_precision_of_the_device(tmp_path, monkeypatch):
    moved = []
    plain = torch.nn.Module.to
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *a, **k: moved.append(self) or plain(self, *a, **k))
    write_language_model(tmp_path)
    lm = LanguageModel.from_pretrained(tmp_path, quantization="4bit")
    layers = [m for m in lm.model.modules() if type(m).__name__ == "Linear4bit"]
    assert len(layers) == 2 * 7
    for layer in layers:
        state = layer.weight.quant_state
        assert (state.quant_type, state.nested) == ("nf4", True)
        assert layer.compute_dtype == torch.float32
        assert layer.weight.dtype == torch.uint8
    assert {p.dtype for p in lm.model.get_input_embeddings().parameters()} == {torch.float32}
    quantised = {id(m) for m in lm.model.modules() if type(getattr(m, "weight", None)).__name__ == "Params4bit"}
    assert not any(id(inner) in quantised for module in moved for inner in module.modules())
