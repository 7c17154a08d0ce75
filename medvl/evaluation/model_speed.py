"""Speed and memory of the networks on random weights of true shapes: encoder, second turn, loading.

Run it on an idle machine: ``python -m medvl.evaluation.model_speed``. The weights are random, so nothing is downloaded;
time and memory do not depend on their values.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..language_model import Conversation, LanguageModel, Prompt
from ..quantization import Precision
from ..vision_encoder import DCFormer, DecomposedConv

IMAGE_TOKENS = 256
# SmolLM2-135M's shape.
SMALL = {
    "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192, "tie_word_embeddings": True,
    "eos_token_id": None, "bos_token_id": None,
}  # fmt: skip


class PublishedConv(DecomposedConv):
    """The published formulation: three convolutions, three batch norms, a sum."""

    def forward(self, x: Tensor) -> Tensor:
        """As ``DecomposedConv.forward``."""
        return self.c1(x) + self.c2(x) + self.c3(x)


class ViT3D(nn.Module):
    """A plain 3-D ViT of M3D's shape: 32x256x256, patches 4x16x16, 12 layers of 768, one class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv3d(1, 768, (4, 16, 16), (4, 16, 16))
        self.places = nn.Parameter(torch.zeros(1, 2049, 768))
        layer = nn.TransformerEncoderLayer(768, 12, 3072, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)

    def forward(self, volume: Tensor) -> Tensor:
        """``[B, 1, 32, 256, 256]`` -> ``[B, 2049, 768]``."""
        tokens = self.patches(volume).flatten(2).transpose(1, 2)
        return self.layers(F.pad(tokens, (0, 0, 1, 0)) + self.places)


def published(encoder: DCFormer) -> DCFormer:
    """The encoder with every decomposed convolution as published, in place."""
    for module in encoder.modules():
        if type(module) is DecomposedConv:
            module.__class__ = PublishedConv
    return encoder


def seconds(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Best of several runs after one to warm up; the best disturbs least on a shared machine."""
    best = float("inf")
    for number in range(repeats + 1):
        begin = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number:
            best = min(best, time.perf_counter() - begin)
    return best


@torch.inference_mode()
def encoder_speed(device: torch.device, repeats: int = 3) -> dict[str, float]:
    """Seconds of one forward pass: ours, the published formulation, a ViT of M3D's shape; and the first two's ratio."""
    volume = torch.rand(1, 1, 128, 256, 256, device=device)
    ours = DCFormer().to(device).eval()
    times = {"DCFormer small 128x256x256": seconds(lambda: ours(volume), device, repeats)}
    theirs = published(ours)
    times["the same as published"] = seconds(lambda: theirs(volume), device, repeats)
    vit = ViT3D().to(device).eval()
    flat = volume[:, :, ::4]
    times["ViT3D of M3D's shape 32x256x256"] = seconds(lambda: vit(flat), device, repeats)
    first, second = list(times.values())[:2]
    return {**times, "ours / as published": first / second}


def _language_model(device: torch.device) -> LanguageModel:
    from tokenizers import Tokenizer, models
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({f"w{i}": i for i in range(SMALL["vocab_size"])}, unk_token="w0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="w0")
    model = AutoModelForCausalLM.from_config(LlamaConfig(**SMALL)).to(device).eval()
    return LanguageModel(model, tokenizer, Precision("none", torch.float32, "benchmark"))


def turn_speed(device: torch.device, repeats: int = 3) -> dict[str, float]:
    """Seconds to the first token of the first and the second question about one image, the cache kept in between."""
    torch.manual_seed(0)
    lm = _language_model(device)
    question, other = list(range(100, 120)), list(range(200, 220))
    first, second = float("inf"), float("inf")
    for _ in range(repeats):
        conversation = Conversation(lm)
        ids = [7] * IMAGE_TOKENS + question
        begin = time.perf_counter()
        stream = conversation.stream(Prompt(ids), 24)
        answer = [next(stream).id]
        first = min(first, time.perf_counter() - begin)
        answer += [t.id for t in stream]
        begin = time.perf_counter()
        next(conversation.stream(Prompt(ids + answer + other), 1))
        second = min(second, time.perf_counter() - begin)
    return {"first token of turn 1": first, "first token of turn 2": second, "turn 2 / turn 1": second / first}


_CHILD = """
import json, re, sys, torch
import bitsandbytes, transformers
from pathlib import Path
from transformers import AutoConfig, AutoModelForCausalLM
from medvl.language_model import empty_model, fill
from medvl.placement import plan
from medvl.safetensor_files import checkpoint_files
def memory(what):  # of this process alone; getrusage would hand on the peak of its parent
    return 1024 * int(re.search(what + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
folder = Path(sys.argv[1])
config = AutoConfig.from_pretrained(folder)
model = empty_model(config)
before = memory("VmRSS")
placement = plan(model, sys.argv[2], torch.device("cpu"))
fill(model, checkpoint_files(folder), placement, "the benchmark")
print(json.dumps(memory("VmHWM") - before))
"""


def loading_memory(quantization: str = "none") -> dict[str, float]:
    """Peak memory that loading adds to a fresh process, beside the size of the checkpoint (Linux)."""
    if sys.platform != "linux":
        return {}
    with tempfile.TemporaryDirectory() as folder:
        model = _language_model(torch.device("cpu")).model
        model.save_pretrained(folder)
        size = sum(f.stat().st_size for f in Path(folder).glob("*.safetensors"))
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, folder, quantization], capture_output=True, text=True, check=True
        )
    peak = json.loads(done.stdout.splitlines()[-1])
    return {"checkpoint MB": size / 1e6, f"peak while loading ({quantization}) MB": peak / 1e6, "ratio": peak / size}


def measure(device: torch.device) -> dict[str, float]:
    """All figures, in the order they are shown."""
    return {**encoder_speed(device), **turn_speed(device), **loading_memory()}


def main(arguments: list[str] | None = None) -> None:
    """Command line: print the figures."""
    parser = argparse.ArgumentParser(prog="python -m medvl.evaluation.model_speed", description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(parser.parse_args(arguments).device)
    for name, value in measure(device).items():
        print(f"{name:40s} {value:10.3f}")
    print(f"on {device}, {torch.get_num_threads()} threads, torch {torch.__version__}")


if __name__ == "__main__":
    main()
