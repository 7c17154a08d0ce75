"""Speed and memory of the networks on random weights of true shapes: encoder, second turn, loading.

Run it on an idle machine: ``python -m medvl.evaluation.model_speed``. The weights are random, so nothing is downloaded;
time and memory do not depend on their values.
"""

from __future__ import annotations

import argparse
import copy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..networks.language_model import Conversation, LanguageModel, Prompt
from ..networks.vision_encoder import DCFormer, DecomposedConv
from ..weights.quantization import Precision
from .tables import about, cell, save_json

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

    def __init__(self, layers: int = 12) -> None:
        super().__init__()
        self.patches = nn.Conv3d(1, 768, (4, 16, 16), (4, 16, 16))
        self.places = nn.Parameter(torch.zeros(1, 2049, 768))
        layer = nn.TransformerEncoderLayer(768, 12, 3072, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

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


def seconds(
    runs: Sequence[Callable[[], object]], device: torch.device, repeats: int, warm_up: bool = True
) -> list[float]:
    """Best of several runs of each, after one to warm up.

    They take turns, so that what else a shared machine does disturbs all of them alike; the best disturbs least.
    """
    best = [float("inf")] * len(runs)
    for number in range(0 if warm_up else 1, repeats + 1):
        for index, run in enumerate(runs):
            begin = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number:
                best[index] = min(best[index], time.perf_counter() - begin)
    return best


@torch.inference_mode()
def encoder_speed(
    device: torch.device,
    repeats: int = 3,
    size: tuple[int, int, int] = (128, 256, 256),
    warm_up: bool = True,
    vit_layers: int = 12,
) -> dict[str, float]:
    """Seconds of one forward pass: ours, the published formulation, a ViT of M3D's shape; and the ratios.

    Args:
        device: where they run.
        repeats: the best of so many counts.
        size: ``(D, H, W)`` of the volume; the ViT always sees 32x256x256.
        warm_up: run each once before.
        vit_layers: of the ViT; M3D's has 12.
    """
    volume, flat = torch.rand(1, 1, *size, device=device), torch.rand(1, 1, 32, 256, 256, device=device)
    ours = DCFormer().to(device).eval()
    theirs = published(copy.deepcopy(ours))
    vit = ViT3D(vit_layers).to(device).eval()
    first, second, third = seconds(
        (lambda: ours(volume), lambda: theirs(volume), lambda: vit(flat)), device, repeats, warm_up
    )
    return {
        f"DCFormer small {'x'.join(map(str, size))}": first,
        "the same as published": second,
        "ViT3D of M3D's shape 32x256x256": third,
        "ours / as published": first / second,
        "ours / ViT3D": first / third,
    }


def _language_model(device: torch.device, changes: dict[str, object] | None = None) -> LanguageModel:
    from tokenizers import Tokenizer, models
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

    shape = {**SMALL, **(changes or {})}
    inner = Tokenizer(models.WordLevel({f"w{i}": i for i in range(shape["vocab_size"])}, unk_token="w0"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="w0")
    model = AutoModelForCausalLM.from_config(LlamaConfig(**shape)).to(device).eval()
    return LanguageModel(model, tokenizer, Precision("none", torch.float32, "benchmark"))


def turn_speed(device: torch.device, repeats: int = 3, shape: dict[str, object] | None = None) -> dict[str, float]:
    """Seconds to the first token of the first and the second question about one image, the cache kept in between."""
    torch.manual_seed(0)
    lm = _language_model(device, shape)
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
import re, sys
import bitsandbytes, torch, transformers
from pathlib import Path
from medvl.networks.language_model import LanguageModel, read_tokenizer
from medvl.networks.sam2 import Sam2, SegmenterConfig
from medvl.weights.language_weights import empty_model
def memory(what):  # of this process alone; getrusage would hand on the peak of its parent
    return 1024 * int(re.search(what + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
folder, what = Path(sys.argv[1]), sys.argv[2]
segmenter = SegmenterConfig("configs/sam2.1/sam2.1_hiera_t.yaml", "sam2", 512)
# What the libraries take at first use.
if what == "sam2":
    from sam2.build_sam import build_sam2
    build_sam2(segmenter.sam2_config, None, "cpu", hydra_overrides_extra=["++model.image_encoder.trunk.embed_dim=16",
        "++model.image_encoder.neck.backbone_channel_list=[128,64,32,16]"], apply_postprocessing=False)
else:
    import accelerate.big_modeling, transformers.integrations.bitsandbytes, transformers.quantizers.auto
    bitsandbytes.nn.Linear4bit(64, 64, quant_type="nf4").to("cpu")
    empty_model(transformers.AutoConfig.from_pretrained(folder)), read_tokenizer(folder)
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = memory("VmRSS")
if what == "sam2":
    model = Sam2(segmenter, folder, torch.device("cpu"))
else:
    model = LanguageModel.from_pretrained(folder, quantization=what)
    for p in model.model.parameters():
        p.detach().flatten()[::512].sum()  # plain weights are mapped until they are used
print(memory("VmHWM") - before)
"""


def loading_memory(modes: Sequence[str] = ("4bit", "none"), shape: dict[str, object] | None = None) -> dict[str, float]:
    """Peak memory that loading a language model adds to a process, beside its checkpoint in float32 (Linux only).

    Args:
        modes: quantisations, each in a process of its own: what one leaves behind would serve the next.
        shape: fields of the language model's config that differ from SmolLM2-135M's.
    """
    if sys.platform != "linux":
        return {}
    with tempfile.TemporaryDirectory() as folder:
        lm = _language_model(torch.device("cpu"), shape)
        lm.model.save_pretrained(folder)
        lm.tokenizer.save_pretrained(folder)
        del lm
        size = sum(f.stat().st_size for f in Path(folder).glob("*.safetensors"))
        figures = {"checkpoint, float32, MB": size / 1e6}
        for mode in modes:
            peak = _peak(folder, mode)
            figures[f"peak while loading ({mode}), MB"] = peak / 1e6
            figures[f"peak ({mode}) / checkpoint"] = peak / size
    return figures


def sam2_loading_memory() -> dict[str, float]:
    """The same of SAM 2.1 hiera-tiny in its true size (random weights), from a ``.pt`` file as it is published."""
    from sam2.build_sam import build_sam2

    if sys.platform != "linux":
        return {}
    with tempfile.TemporaryDirectory() as folder:
        net = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", None, "cpu", apply_postprocessing=False)
        file = Path(folder) / "sam2.pt"
        torch.save({"model": net.state_dict()}, file)
        del net
        size, peak = file.stat().st_size, _peak(folder, "sam2")
    return {
        "SAM 2.1 checkpoint, MB": size / 1e6,
        "peak while loading (SAM 2.1), MB": peak / 1e6,
        "peak (SAM 2.1) / checkpoint": peak / size,
    }


def _peak(folder: str, what: str) -> int:
    """Bytes that loading adds to a process of its own at most; ``what`` is a quantisation, or ``"sam2"``."""
    command = [sys.executable, "-c", _CHILD, folder, what]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


PARTS: tuple[Callable[[torch.device], dict[str, float]], ...] = (
    turn_speed,
    lambda device: loading_memory(),
    lambda device: sam2_loading_memory(),
    lambda device: encoder_speed(device, repeats=2),
)


def main(arguments: list[str] | None = None) -> None:
    """Command line: print each figure when it is there, write all as JSON."""
    parser = argparse.ArgumentParser(prog="python -m medvl.evaluation.model_speed", description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, metavar="OUT", help="results as JSON, written anew after each part")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    print(
        f"seconds, MB or ratio, on {device}, {torch.get_num_threads()} threads, torch {torch.__version__}", flush=True
    )
    figures: dict[str, float] = {}
    for part in PARTS:
        found = part(device)
        figures |= found
        for what, value in found.items():
            print(f"{what:<42}{cell(value, 1 if abs(value) >= 10 else 3):>10}", flush=True)
        save_json(options.json, about=about(device=str(device)), figures=figures)


if __name__ == "__main__":
    main()
