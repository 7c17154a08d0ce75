"""What the tables ask of a GPU, in under eight minutes: the `7b` preset's networks in their true shapes, and a box.

    python -m tests.benchmarks.gpu [--json OUT] [--limit 480]     on a GPU with 24 GB or more, 20 GB of disk
    python -m tests.benchmarks.gpu --dry-run                      small shapes on any machine, for the script itself

Weights are random but for the bundled ones, so nothing is downloaded; time and memory do not depend on their values.
Parts run in the order of what is asked first; what would pass the limit is left out, and said to be.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

import medvl
from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.evaluation.tables import about, cell, save_json
from medvl.networks.language_model import IMAGE_TOKEN
from medvl.networks.projector import MixerProjector, ProjectorConfig
from medvl.networks.sam2 import Sam2, SegmenterConfig
from medvl.networks.sam2_video import OVERRIDES, FramePrompt, Frames
from medvl.networks.vision_encoder import SIZES, DCFormer, token_counts
from medvl.networks.vlm import PROJECTOR, TOWER, VisionLanguageModel
from medvl.networks.vlm_config import VLMConfig
from medvl.weights.devices import described
from medvl.weights.language_weights import empty_model

# Qwen2.5-7B's shape, as Med3DVLM-Qwen-2.5-7B has it.
QWEN_7B = {
    "model_type": "qwen2", "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944,
    "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 32768,
    "tie_word_embeddings": False, "rope_theta": 1e6, "eos_token_id": None, "bos_token_id": None,
}  # fmt: skip
SMALL = QWEN_7B | {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 2048,
}  # fmt: skip
TOKENS = 64  # of an answer
SHARD = 4 * 10**9  # bytes


@dataclass(frozen=True)
class Shapes:
    """How large everything is.

    Attributes:
        text: the language model's config.
        encoder: a name of ``SIZES``.
        volume: ``(D, H, W)`` that the encoder sees.
        ct: ``(i, j, k)`` of the scan.
        sam2: Hydra configs of SAM 2.1 by name.
        pixels: that a slice is seen in.
        modes: of quantisation.
    """

    text: dict
    encoder: str
    volume: tuple[int, int, int]
    ct: tuple[int, int, int]
    sam2: dict[str, str]
    pixels: tuple[int, ...]
    modes: tuple[str, ...] = ("none", "4bit")


HIERA = "configs/sam2.1/sam2.1_hiera_{}.yaml"
TRUE = Shapes(
    QWEN_7B, "small", (128, 256, 256), (512, 512, 100), {"tiny": HIERA.format("t"), "large": HIERA.format("l")},
    (512, 1024),
)  # fmt: skip
DRY = Shapes(SMALL, "nano", (32, 64, 64), (96, 96, 12), {"tiny": HIERA.format("t")}, (256,))

Rows = Iterator[tuple[str, float | str]]


class Clock:
    """Seconds of GPU work, and memory at most."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def of(self, work: Callable[[], object], repeats: int = 1) -> float:
        """Best of several runs."""
        best = float("inf")
        for _ in range(repeats):
            begin = self.now()
            work()
            best = min(best, self.now() - begin)
        return best

    def fresh(self) -> None:
        """Everything that is not held is freed, and the peak begins anew."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def memory(self) -> Rows:
        if self.device.type == "cuda":
            yield "held, GB", torch.cuda.memory_allocated(self.device) / 1e9
            yield "at most, GB", torch.cuda.max_memory_allocated(self.device) / 1e9


# ---- inputs


def scan(shape: tuple[int, int, int]) -> CTVolume:
    """A body of water with an organ in its middle, in air; noise of 10 HU."""
    rng = np.random.default_rng(0)
    place = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij", sparse=True)
    body = (place[0] / 0.8) ** 2 + (place[1] / 0.6) ** 2 < 1
    organ = (place[0] / 0.3) ** 2 + (place[1] / 0.25) ** 2 + (place[2] / 0.6) ** 2 < 1
    hu = np.where(organ, 120, np.where(body, 20, -1000)).astype(np.int16)
    hu += (10 * rng.standard_normal(shape, dtype=np.float32)).astype(np.int16)
    affine = np.diag([350 / shape[0], 350 / shape[1], 3.0, 1.0])
    return CTVolume(hu, affine, SourceGeometry(hu.shape, affine))


def middle_box(shape: tuple[int, int, int]) -> medvl.Box:
    """A box round the organ on the middle slice."""
    half = [n // 2 for n in shape]
    reach = int(0.17 * shape[0]), int(0.145 * shape[1])
    low = (half[0] - reach[0], half[1] - reach[1], half[2])
    return medvl.Box(low, (half[0] + reach[0], half[1] + reach[1], half[2] + 1))


def write_vlm(folder: Path, shapes: Shapes, device: torch.device) -> int:
    """A checkpoint in Med3DVLM's shape with random weights; returns its bytes."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    counts = token_counts(shapes.volume)[-2:]
    channels = SIZES[shapes.encoder].channels[-2:]
    true = ProjectorConfig()
    projector = replace(
        true,
        low_input=(counts[0], channels[0]),
        high_input=(counts[1], channels[1]),
        output_dim=shapes.text["hidden_size"],
    )
    config = VLMConfig(shapes.text, SIZES[shapes.encoder], projector, shapes.volume)
    config.save(folder)
    words = {f"w{n}": n for n in range(shapes.text["vocab_size"] - 1)} | {IMAGE_TOKEN: shapes.text["vocab_size"] - 1}
    inner = Tokenizer(models.WordLevel(words, unk_token="w0"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="w0",
        additional_special_tokens=[IMAGE_TOKEN],
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    with torch.device("meta"):
        parts = {TOWER: DCFormer(SIZES[shapes.encoder]), PROJECTOR: MixerProjector(projector)}
    parts[""] = empty_model(config.text_config())
    shard, size, total, index = {}, 0, 0, {}

    def flush() -> None:
        nonlocal shard, size
        file = f"model-{len(set(index.values())):05d}.safetensors"
        save_file(shard, folder / file, {"format": "pt"})
        index.update(dict.fromkeys(shard, file))
        shard, size = {}, 0

    for prefix, part in parts.items():
        for name, empty in part.state_dict().items():
            kind = torch.bfloat16 if empty.is_floating_point() else empty.dtype
            if not empty.is_floating_point():
                tensor = torch.zeros(empty.shape, dtype=kind)
            elif empty.ndim > 1:
                tensor = (0.02 * torch.randn(empty.shape, device=device)).to(kind).cpu()
            else:
                tensor = torch.ones(empty.shape, dtype=kind)
            shard[prefix + name] = tensor
            size, total = size + tensor.nbytes, total + tensor.nbytes
            if size >= SHARD:
                flush()
    flush()
    weights = {"metadata": {"total_size": total}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(weights))
    return total


def write_sam2(folder: Path, config: str, pixels: int) -> SegmenterConfig:
    """SAM 2.1 with random weights."""
    from sam2.build_sam import build_sam2

    torch.manual_seed(0)
    extra = [f"++model.image_size={pixels}", *OVERRIDES]
    net = build_sam2(config, None, "cpu", hydra_overrides_extra=extra, apply_postprocessing=False)
    torch.save({"model": net.state_dict()}, folder / "sam2.pt")
    return SegmenterConfig(config, "sam2", pixels)


# ---- parts


def language(shapes: Shapes, device: torch.device, folder: Path) -> Rows:
    """Memory, loading, the volume, first and second question, tokens a second; of each precision."""
    clock, ct = Clock(device), scan(shapes.ct)
    size = write_vlm(folder, shapes, device)
    yield "checkpoint, GB", size / 1e9
    for mode in shapes.modes:
        clock.fresh()
        name = {"none": "bf16" if device.type == "cuda" else "float32", "4bit": "4 bit"}[mode]
        loaded = []
        seconds = clock.of(partial(_load, loaded, folder, device, mode))
        vlm = loaded.pop()
        yield f"{name}: loading, s", seconds
        yield from ((f"{name}: {what}", value) for what, value in clock.memory())
        clock.of(partial(vlm.see, ct))  # kernels are chosen at first use
        yield f"{name}: volume to tokens, s", clock.of(partial(vlm.see, ct))
        talk = vlm.conversation(vlm.see(ct))
        list(talk.ask("w1 w2 w3", 4))  # the same
        talk.cache.reset()
        talk.clear()
        for number, question in enumerate(("w10 w11 w12 w13 w14", "w20 w21 w22 w23"), start=1):
            begin = clock.now()
            stream = talk.ask(question, TOKENS)
            next(stream)
            first = clock.now()
            count = sum(1 for _ in stream)
            end = clock.now()
            yield f"{name}: question {number}, first token, s", first - begin
            yield f"{name}: question {number}, tokens read", talk.cache.prefilled
            if count:
                yield f"{name}: question {number}, tokens/s", count / (end - first)
        yield from ((f"{name}: with a conversation, {what}", value) for what, value in clock.memory())
        del vlm, talk


def _load(into: list, folder: Path, device: torch.device, mode: str) -> None:
    into.append(VisionLanguageModel.load(folder, device, mode))


def _exhaust(stream: Callable[..., Iterator], given: tuple) -> None:
    for _ in stream(*given):
        pass


def slices(shapes: Shapes, device: torch.device, folder: Path) -> Rows:
    """SAM 2.1: encoding a slice, decoding a point, carrying an object one slice on with its memory."""
    clock, ct = Clock(device), scan(shapes.ct)
    plane = np.clip((ct.hu[:, :, ct.shape[2] // 2].astype(np.float32) - 40) / 400 + 0.5, 0, 1)
    for name, config in shapes.sam2.items():
        for pixels in shapes.pixels:
            clock.fresh()
            sam2 = Sam2(write_sam2(folder, config, pixels), folder, device)
            label = f"SAM 2.1 {name} at {pixels}"
            features = sam2.encode(plane)
            yield f"{label}: encoding a slice, ms", 1e3 * clock.of(partial(sam2.encode, plane), 5)
            point, positive = torch.tensor([[[pixels / 2, pixels / 2]]]), torch.ones(1, 1, dtype=torch.int32)
            prompt = point.to(device), positive.to(device), None
            yield f"{label}: decoding a point, ms", 1e3 * clock.of(partial(sam2.decode, features, *prompt), 5)
            mask = torch.zeros(pixels, pixels, dtype=torch.bool)
            mask[pixels // 3 : pixels // 2, pixels // 3 : pixels // 2] = True
            frames = Frames(lambda k: ct.hu[:, :, k], (40.0, 400.0), pixels, device)
            key, count = ct.shape[2] // 2, min(24, ct.shape[2])
            limits = key - count // 2, key + count // 2
            track = (frames, ct.shape[2], key, FramePrompt(mask=mask), None, limits, False)
            seconds = clock.of(partial(_exhaust, sam2.video().track, track))
            yield f"{label}: carrying on, ms a slice", 1e3 * seconds / count
            yield from ((f"{label}: {what}", value) for what, value in clock.memory())
            del sam2


def box(shapes: Shapes, device: torch.device, folder: Path) -> Rows:
    """The bundled networks: a box to a mask through the scan, and a name to a mask."""
    clock, ct = Clock(device), scan(shapes.ct)
    clock.fresh()
    model = medvl.load("nano", device=str(device))
    if device.type == "cuda":  # kernels are chosen at first use
        model.open(scan(DRY.ct)).segment(box=middle_box(DRY.ct))
    case, found = model.open(ct), []
    what = "x".join(map(str, shapes.ct))
    seconds = clock.of(lambda: found.append(case.segment(box=middle_box(ct.shape))))
    yield f"box to mask on {what}, s", seconds
    yield f"box to mask on {what}, slices", found[0].box.size[2]
    centre = medvl.Point(tuple(n // 2 for n in ct.shape))
    yield f"a click more on {what}, s", clock.of(lambda: case.refine(found[0], points=[centre]))
    yield f"liver by name on {what}, s", clock.of(lambda: case.segment_text("liver"))
    yield from ((f"bundled networks: {name}", value) for name, value in clock.memory())


PARTS: dict[str, tuple[Callable[[Shapes, torch.device, Path], Rows], int]] = {
    "slices": (slices, 60),
    "box": (box, 40),
    "language": (language, 180),
}
"""Parts by name, with the seconds that each is expected to take; chosen, not measured."""


def main(arguments: list[str] | None = None) -> dict[str, float | str]:
    """Run the parts; print each figure when it is there, and write all as JSON after each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="small shapes, on the CPU where there is no GPU")
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--limit", type=float, default=480, metavar="SECONDS", help="no part begins that would pass it")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available() and not options.dry_run:
        parser.error("there is no GPU that this PyTorch can use; --dry-run tries the script with small shapes")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    shapes, begin = DRY if options.dry_run else TRUE, time.perf_counter()
    print(f"{described(device)}, torch {torch.__version__}{', dry run' if options.dry_run else ''}", flush=True)
    figures: dict[str, float | str] = {}
    for name in options.parts:
        part, expected = PARTS[name]
        if time.perf_counter() - begin + expected > options.limit:
            figures[name] = "left out: it would pass the limit"
            print(f"{name}: {figures[name]}", flush=True)
            continue
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            try:
                for what, value in part(shapes, device, Path(folder)):
                    figures[what] = value
                    print(f"{what:<58}{cell(value, 1 if value >= 10 else 3):>12}", flush=True)
            except (medvl.MedVLError, RuntimeError) as error:  # out of memory too: the other parts still count
                figures[name] = f"failed: {error}"
                print(f"{name} {figures[name]}", flush=True)
        figures[f"{name}: the whole part, s"] = time.perf_counter() - start
        save_json(options.json, about=about(device=described(device), dry_run=options.dry_run), figures=figures)
    return figures


if __name__ == "__main__":
    main()
