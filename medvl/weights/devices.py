"""Which device computes, and in which precision: what was picked, and why, in words."""

from __future__ import annotations

import torch

from ..errors import WeightsError


def pick_device(device: str = "auto") -> torch.device:
    """``"auto"`` -> a CUDA (or ROCm) GPU, else Apple's GPU, else the CPU.

    Raises:
        WeightsError: the device asked for is not there.
    """
    if device == "auto":
        there = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(there)
    try:
        found = torch.device(device)
    except RuntimeError:
        raise WeightsError(f"No device {device!r}. Choose auto, cpu, cuda, cuda:N or mps.") from None
    ready = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}.get(found.type, lambda: True)
    if not ready():
        raise WeightsError(f"There is no device {device!r} that this PyTorch can use. Choose auto or cpu.")
    return found


def has_bfloat16(device: torch.device) -> bool:
    """True where the device computes in bfloat16 itself: compute capability 8.0 (Ampere) or more.

    ``torch.cuda.is_bf16_supported`` is also true of a T4 (7.5), which emulates it slowly.
    """
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def language_precision(device: torch.device) -> tuple[torch.dtype, str]:
    """Precision of a language model's activations and of what is not quantised, with the reason where it needs one."""
    if has_bfloat16(device):
        return torch.bfloat16, ""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return torch.float32, (
            f"float32 activations, because this GPU (compute capability {major}.{minor}) has no bfloat16 and those of "
            "Qwen2 and Gemma go beyond float16's 65,504"
        )
    return torch.float32, ""


def network_precision(device: torch.device) -> torch.dtype:
    """Precision in which SAM 2's encoder and the localiser compute; weights stay in float32."""
    return torch.bfloat16 if has_bfloat16(device) else torch.float32


def described(device: torch.device) -> str:
    """For people."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)} (compute capability {major}.{minor})"
    return {"mps": "Apple GPU (MPS)", "cpu": "CPU"}.get(device.type, device.type)
