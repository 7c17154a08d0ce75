"""What mixed precision leaves in float32 on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

CONVOLUTIONS = frozenset(getattr(torch, f"conv{kind}{n}d") for kind in ("", "_transpose") for n in (1, 2, 3))


class Float32Convolutions(TorchFunctionMode):
    """Inside it, convolutions under autocast are computed in float32; everything else as autocast has it.

    oneDNN's bfloat16 gradient of a 3-D convolution's weights reads memory that nobody wrote where the map is smaller
    than the kernel reaches: with torch 2.14 on an AVX-512 processor a 3x3x3 convolution of a map of 2 voxels each way
    is wrong by any factor, and another time by another one. The forward pass has faults of its own with AMX
    (pytorch/pytorch 169688).
    """

    def __torch_function__(
        self, func: Callable, types: Iterable[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch in place of ``func``."""
        if func not in CONVOLUTIONS:
            return func(*args, **(kwargs or {}))
        with torch.autocast("cpu", enabled=False):
            return func(*map(_float32, args), **{name: _float32(value) for name, value in (kwargs or {}).items()})


def _float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
