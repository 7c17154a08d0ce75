"""bitsandbytes for the language model: 4-bit NF4 with double quantisation, 8-bit, or none, chosen from free memory.

Only the linear layers of the decoder are quantised; embeddings, the output head, the vision encoder, the projector and
SAM 2 keep their precision. A quantised module is built on the meta device, filled tensor by tensor on its final device
(``put``) and never moved afterwards: moving loses the quantisation state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .errors import WeightsError

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
        device: where the model goes. bfloat16 on a GPU that has it (else float16), float32 on the CPU.
        linear_weights: see ``footprint``.
        other_weights: see ``footprint``.
        free: bytes that may be used; None asks the device.

    Raises:
        WeightsError: ``wanted`` is none of these.
    """
    if wanted not in MODES:
        raise WeightsError(f"No quantization {wanted!r}. Choose one of: {', '.join(MODES)}.")
    if device.type == "cuda":
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    else:
        dtype = torch.float32
    free = free_memory(device) if free is None else free
    need = {m: footprint(m, dtype, linear_weights, other_weights) for m in ("none", "8bit", "4bit")}
    name = str(dtype).removeprefix("torch.")
    if wanted != "auto":
        return Precision(wanted, dtype, f"{mode_label(wanted, name)} as asked, about {gigabytes(need[wanted])}")
    for mode, size in need.items():
        if size <= HEADROOM * free:
            said = f"{mode_label(mode, name)}: about {gigabytes(size)} of {gigabytes(free)} free on {device.type}"
            better = [m for m in ("none", "8bit") if need[m] > HEADROOM * free]
            if better:
                said += f"; {' and '.join(mode_label(m, name) for m in better)} would not fit with room to work"
            return Precision(mode, dtype, said)
    return Precision(
        "4bit",
        dtype,
        f"4-bit, the smallest, although its {gigabytes(need['4bit'])} leave little of the {gigabytes(free)} free on "
        f"{device.type}",
    )


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


def fused_weights(model: nn.Module) -> int:
    """Count of weights of a mixture of experts that are fused into one tensor a layer, which is no linear layer."""
    return sum(p.numel() for n, p in model.named_parameters() if p.ndim == 3 and "experts" in n.split("."))


def prepare(model: nn.Module, precision: Precision, but: Callable[[str], bool] = lambda name: False) -> None:
    """Replace the linear layers by quantised ones, in place. The model must be on the meta device.

    Args:
        model: changed.
        precision: of it.
        but: true of the names of layers that stay as they are.

    Raises:
        WeightsError: bitsandbytes is not installed, or there is nothing to quantise.
    """
    if precision.mode == "none":
        return
    bnb = bitsandbytes()
    layers = quantizable(model)
    if not layers:
        raise WeightsError(
            f"{type(model).__name__} has no linear layers that bitsandbytes could hold in {precision.mode}; choose "
            "quantization='none'."
        )
    for name, linear in layers.items():
        if but(name):
            continue
        bias = linear.bias is not None
        if precision.mode == "4bit":
            new = bnb.nn.Linear4bit(
                linear.in_features,
                linear.out_features,
                bias,
                compute_dtype=precision.dtype,
                compress_statistics=True,
                quant_type="nf4",
                device="meta",
            )
        else:
            new = bnb.nn.Linear8bitLt(
                linear.in_features, linear.out_features, bias, has_fp16_weights=False, threshold=6.0, device="meta"
            )
        new.requires_grad_(False)
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, new)


def put(model: nn.Module, name: str, value: Tensor, device: torch.device, dtype: torch.dtype) -> None:
    """Fill one parameter or buffer of a meta model on its final device, quantising it if its layer is.

    Args:
        model: on the meta device, after ``prepare``.
        name: dotted name.
        value: on the CPU; it is not kept.
        device: where the tensor is to live.
        dtype: for floating-point values that are not quantised.
    """
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    old = getattr(module, leaf)
    if type(old).__name__ in ("Params4bit", "Int8Params"):
        half = value.to(torch.float16 if type(old).__name__ == "Int8Params" else dtype).contiguous()
        bnb = bitsandbytes()
        if type(old).__name__ == "Params4bit":
            new = bnb.nn.Params4bit(
                half, requires_grad=False, compress_statistics=True, quant_type="nf4", module=module
            )
        else:
            new = bnb.nn.Int8Params(half, requires_grad=False, has_fp16_weights=False)
        setattr(module, leaf, new.to(device))  # quantises on the way
        return
    # copy: a tensor of a memory-mapped file would keep the whole file mapped
    tensor = value.to(device=device, dtype=dtype if value.is_floating_point() else value.dtype, copy=True)
    if leaf in module._parameters:
        module._parameters[leaf] = nn.Parameter(tensor, requires_grad=old.requires_grad)
    else:
        module._buffers[leaf] = tensor


_STATISTICS = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", ".quant_state.bitsandbytes__nf4")


class PackedWeights:
    """Fills a model from a checkpoint some of whose weights are stored in NF4, as bitsandbytes writes them.

    Such a weight comes as a row of bytes and several tensors of statistics; it is put in place once all have been read.

    Attributes:
        names: of the weights, without the names of their statistics.
    """

    def __init__(self, names: set[str]) -> None:
        """From all names of the checkpoint."""
        self._wanted: dict[str, set[str]] = {}
        for name in names:
            base = next((name.removesuffix(end) for end in _STATISTICS if name.endswith(end)), None)
            if base is not None:
                self._wanted.setdefault(base, {base}).add(name)
        self._base = {part: base for base, parts in self._wanted.items() for part in parts}
        self._held: dict[str, dict[str, Tensor]] = {}
        self.names = {name for name in names if self._base.get(name, name) == name}

    def put(self, model: nn.Module, name: str, value: Tensor, device: torch.device, dtype: torch.dtype) -> None:
        """As ``put`` of this module, for a weight or a part of a stored one."""
        base = self._base.get(name)
        if base is None:
            put(model, name, value, device, dtype)
            return
        held = self._held.setdefault(base, {})
        held[name] = value.clone()  # a tensor of a memory-mapped file would keep the whole file mapped
        if len(held) < len(self._wanted[base]):
            return
        parts = self._held.pop(base)
        bnb = bitsandbytes()
        path, _, leaf = base.rpartition(".")
        module = model.get_submodule(path)
        stored = bnb.nn.Params4bit.from_prequantized(
            data=parts.pop(base), quantized_stats=parts, requires_grad=False, device=device
        )
        if type(getattr(module, leaf)).__name__ == "Params4bit":
            stored.module = module
            module.quant_state = stored.quant_state
            setattr(module, leaf, stored)
        else:  # held in another precision than it is stored in
            put(model, base, bnb.functional.dequantize_4bit(stored.data, stored.quant_state), device, dtype)


def packed_state(model: nn.Module) -> dict[str, Tensor]:
    """Tensors of a 4-bit model as ``PackedWeights`` reads them: NF4 with its statistics, all else in float16."""
    tied = getattr(getattr(model, "config", None), "tie_word_embeddings", False)
    state = {n: t for n, t in model.state_dict().items() if not (tied and n == "lm_head.weight")}
    nf4 = PackedWeights(set(state))
    return {
        n: (t if not t.is_floating_point() or n in nf4._base else t.to(torch.float16)).contiguous()
        for n, t in state.items()
    }


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
