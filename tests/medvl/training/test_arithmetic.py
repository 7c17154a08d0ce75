"""Convolutions in mixed precision on a CPU: their gradients are right, and the same twice."""

from __future__ import annotations

import pytest
import torch

from medvl.training.arithmetic import Float32Convolutions


def dirty_memory() -> None:
    """Leave NaN in memory that the next tensors will get."""
    held = [torch.full((n,), torch.nan) for n in (10, 100, 1000, 5000, 20_000, 100_000, 400_000) for _ in range(6)]
    del held


def gradient(kernel: tuple[int, ...], side: int, mixed: bool) -> torch.Tensor:
    torch.manual_seed(0)
    convolution = torch.nn.Conv3d(16, 16, kernel, padding=tuple(k // 2 for k in kernel))
    image, wanted = torch.randn(2, 16, side, side, side), torch.randn(2, 16, side, side, side)
    dirty_memory()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        made = convolution(image)
        dirty_memory()
        (made.float() * wanted).sum().backward()
    return convolution.weight.grad


@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 1, 1), (1, 1, 3)])
@pytest.mark.parametrize("side", [1, 2, 4])
def test_gradients_of_small_maps_are_those_of_float32(kernel, side):
    with Float32Convolutions():
        found = [gradient(kernel, side, True) for _ in range(3)]
    for each in found:
        assert torch.equal(each, gradient(kernel, side, False))


def test_everything_else_stays_as_autocast_has_it():
    line, image = torch.nn.Linear(8, 8), torch.randn(1, 8, 4, 4)
    with Float32Convolutions(), torch.autocast("cpu", torch.bfloat16):
        assert line(torch.randn(2, 8)).dtype == torch.bfloat16
        assert torch.nn.functional.conv2d(image.bfloat16(), torch.randn(8, 8, 3, 3)).dtype == torch.float32
        assert torch.is_autocast_enabled("cpu")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.nn.functional.conv2d(image, torch.randn(8, 8, 3, 3)).dtype == torch.bfloat16
