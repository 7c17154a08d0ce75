"""bitsandbytes for the language model: 4-bit NF4 with double quantisation, 8-bit, or none, chosen from free memory.

Only the linear layers of the decoder are quantised; embeddings, the output head, the vision encoder, the projector and
SAM 2 keep their precision.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from ..errors import WeightsError
from .devices import has_bfloat16, language_precision

Mode = Literal["4bit", "8bit", "none"]
MODES = ("4bit", "8bit", "none", "auto")
# Bytes a weight: NF4 is half a byte plus, with double quantisation, 0.127 bit of statistics (QLoRA, arXiv 2305.14314).
BYTES = {"4bit": 0.5 + 0.127 / 8, "8bit": 1.0 + 0.01}
HEADROOM = 0.8  # of the free memory; the rest is for the key-value cache, the image and SAM 2


@dataclass(frozen=True)
class Precision:
    """How the language model is held.

    Attributes:
        mode: quantisation of its linear layers.
        dtype: of everything else in it, and of the arithmetic.
        reason: why, for the person who looks.
    """

    mode: Mode
    dtype: torch.dtype
    reason: str


def free_memory(device: torch.device) -> int:
    """Free bytes on a device; on the CPU what the system could hand out."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil

    return psutil.virtual_memory().available


def footprint(mode: Mode, dtype: torch.dtype, linear_weights: int, other_weights: int) -> int:
    """Bytes of a language model.

    Args:
        mode: quantisation.
        dtype: of what is not quantised.
        linear_weights: count of weights in the decoder's linear layers.
        other_weights: count of all others (embeddings, head, norms).
    """
    plain = torch.empty((), dtype=dtype).element_size()
    return round(linear_weights * BYTES.get(mode, plain) + other_weights * plain)


def choose(
    wanted: str, device: torch.device, linear_weights: int, other_weights: int, free: int | None = None
) -> Precision:
    """Settle the precision.

    Args:
        wanted: ``"4bit"``, ``"8bit"``, ``"none"``, or ``"auto"``: the most precise one that fits.
        device: where the model goes. bfloat16 on a GPU that has it, else float32.
        linear_weights: see ``footprint``.
        other_weights: see ``footprint``.
        free: bytes that may be used; None asks the device.

    Raises:
        WeightsError: ``wanted`` is none of these.
    """
    if wanted not in MODES:
        raise WeightsError(f"No quantization {wanted!r}. Choose one of: {', '.join(MODES)}.")
    dtype, why = language_precision(device)
    free = free_memory(device) if free is None else free
    need = {m: footprint(m, dtype, linear_weights, other_weights) for m in modes_of(device, "auto")}
    why = why and f"; {why}"
    name = str(dtype).removeprefix("torch.")
    if wanted != "auto":
        size = gigabytes(footprint(wanted, dtype, linear_weights, other_weights))
        return Precision(wanted, dtype, f"{mode_label(wanted, name)} as asked, about {size}{why}")
    for mode, size in need.items():
        if size <= HEADROOM * free:
            said = f"{mode_label(mode, name)}: about {gigabytes(size)} of {gigabytes(free)} free on {device.type}"
            better = [m for m in need if m != mode and need[m] > HEADROOM * free]
            if better:
                said += f"; {' and '.join(mode_label(m, name) for m in better)} would not fit with room to work"
            return Precision(mode, dtype, said + why)
    return Precision(
        mode,
        dtype,
        f"{mode_label(mode, name)}, the smallest, although its {gigabytes(size)} leave little of the "
        f"{gigabytes(free)} free on {device.type}{why}",
    )


def modes_of(device: torch.device, wanted: str) -> tuple[Mode, ...]:
    """Modes to try for a wish, the most precise first.

    8-bit arithmetic is in float16, which is not for a GPU without bfloat16 (see ``devices``); bitsandbytes has no
    kernels for Apple's GPU.
    """
    if wanted != "auto":
        return (wanted,)
    if device.type == "mps":
        return ("none",)
    return ("none", "4bit") if device.type == "cuda" and not has_bfloat16(device) else ("none", "8bit", "4bit")


def mode_label(mode: str, dtype: str) -> str:
    """For people."""
    return {"4bit": "4-bit NF4", "8bit": "8-bit"}.get(mode, dtype)


def gigabytes(size: float) -> str:
    """For people; small sizes in MB."""
    return f"{size / 1e9:.1f} GB" if size >= 5e7 else f"{size / 1e6:.1f} MB"


HEADS = ("lm_head", "embed_out")
OUTPUTS = 32  # that the 4-bit kernels of the CPU take at a time; a layer with another number is a gate or very small


def quantizable(model: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers that quantisation is for: all but the output head and small gates."""
    return {
        n: m
        for n, m in model.named_modules()
        if isinstance(m, nn.Linear) and n.split(".")[-1] not in HEADS and m.out_features % OUTPUTS == 0
    }


def stored_mode(config: object) -> Mode | None:
    """The mode that a checkpoint is stored in already, by bitsandbytes; None for plain weights."""
    given = getattr(config, "quantization_config", None) or {}
    given = given if isinstance(given, dict) else given.to_dict()
    return "4bit" if given.get("load_in_4bit") else "8bit" if given.get("load_in_8bit") else None


def bitsandbytes_config(
    model: nn.Module,
    precision: Precision,
    offloaded: Callable[[str], bool],
    kept: Callable[[str], bool] = lambda name: False,
) -> object | None:
    """What transformers quantises by; None for nothing.

    Args:
        model: on the meta device.
        precision: of it.
        offloaded: true of the names of layers that are not where it computes; they stay as they are.
        kept: true of others that stay as they are.

    Raises:
        WeightsError: bitsandbytes is not installed, or there is nothing to quantise.
    """
    if precision.mode == "none":
        return None
    bitsandbytes()
    from transformers import BitsAndBytesConfig

    layers = quantizable(model)
    if not layers:
        raise WeightsError(
            f"{type(model).__name__} has no linear layers that bitsandbytes could hold in {precision.mode}; choose "
            "quantization='none'."
        )
    plain = [
        n for n, m in model.named_modules() if isinstance(m, nn.Linear) and (n not in layers or offloaded(n) or kept(n))
    ]
    return BitsAndBytesConfig(
        load_in_4bit=precision.mode == "4bit",
        load_in_8bit=precision.mode == "8bit",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=precision.dtype,
        llm_int8_skip_modules=plain,
        llm_int8_enable_fp32_cpu_offload=any(map(offloaded, layers)),
    )


def bitsandbytes():
    """The library, with two notes kept quiet: on an optional package that would ask a hub for kernels, and one a layer
    on the cast that 8-bit arithmetic always makes.

    Raises:
        WeightsError: it is not installed.
    """
    for name in ("bitsandbytes.backends.cpu.ops", "bitsandbytes.autograd._functions"):
        logger = logging.getLogger(name)
        if not any(isinstance(f, _Quiet) for f in logger.filters):
            logger.addFilter(_Quiet())
    try:
        import bitsandbytes as library
    except ImportError:
        raise WeightsError(
            "Quantisation needs bitsandbytes. Install it (pip install bitsandbytes) or choose quantization='none'."
        ) from None
    return library


class _Quiet(logging.Filter):
    """Drops those notes; other records pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return not ("install kernels" in text or text.startswith("MatMul8bitLt: inputs will be cast"))
