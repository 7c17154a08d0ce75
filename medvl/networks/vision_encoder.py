"""DCFormer: a 3-D convolutional encoder whose kernels are decomposed into three 1-D kernels, summed.

Architecture and sizes: "DCFormer: Efficient 3D Vision-Language Modeling with Decomposed Convolutions"
(arXiv 2502.05091), as used by Med3DVLM (arXiv 2503.20047). Module names are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class VisionEncoderConfig:
    """Shape of the encoder.

    Attributes:
        channels: of the stem and the four stages.
        num_blocks: of the stem (its value is not used: the stem is one block) and the four stages.
        kernel_sizes: of the depthwise convolutions in the four stages.
    """

    channels: tuple[int, ...] = (64, 96, 192, 384, 768)
    num_blocks: tuple[int, ...] = (1, 2, 3, 6, 2)
    kernel_sizes: tuple[int, ...] = (13, 11, 9, 7)


SIZES = {
    "nano": VisionEncoderConfig((32, 32, 64, 128, 256), (1, 1, 1, 1, 1)),
    "naive": VisionEncoderConfig((32, 64, 128, 256, 512), (1, 2, 2, 2, 2)),
    "tiny": VisionEncoderConfig((64, 96, 192, 384, 768), (1, 2, 3, 3, 2)),
    "small": VisionEncoderConfig((64, 96, 192, 384, 768), (1, 2, 3, 6, 2)),
    "base": VisionEncoderConfig((64, 128, 256, 512, 1024), (1, 2, 6, 6, 2)),
    "large": VisionEncoderConfig((64, 256, 512, 1024, 2048), (1, 2, 6, 12, 2)),
}
LAYER_SCALE = 1e-6
REDUCTION = (4, 8, 16, 32, 64)  # of the input size, at the five hidden states


class DecomposedConv(nn.Module):
    """Three 1-D convolutions, one an axis, each with its batch norm; their sum.

    In evaluation the batch norm is folded into the kernel, which gives the same result with three passes fewer.
    """

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        for axis in range(3):
            size, padding = [1, 1, 1], [0, 0, 0]
            size[axis], padding[axis] = kernel, kernel // 2
            conv = nn.Conv3d(cin, cout, tuple(size), stride, tuple(padding), groups=groups)
            self.add_module(f"c{axis + 1}", nn.Sequential(conv, nn.BatchNorm3d(cout)))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, cin, H, W, D]`` -> ``[B, cout, H', W', D']``."""
        branches = (self.c1, self.c2, self.c3)
        if self.training:
            out = self.c1(x) + self.c2(x) + self.c3(x)
        else:
            out = None
            for conv, norm in branches:
                gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
                bias = norm.bias + gain * (conv.bias - norm.running_mean)
                weight = conv.weight * gain.view(-1, 1, 1, 1, 1)
                part = F.conv3d(x, weight, bias, conv.stride, conv.padding, 1, conv.groups)
                out = part if out is None else out.add_(part) if not torch.is_grad_enabled() else out + part
        return out


class _MLP(nn.Module):
    """Linear, GELU, Linear; the indices 0 and 3 are those of the published checkpoints, which had dropout between."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(), nn.Identity(), nn.Linear(4 * dim, dim), nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


class _Block(nn.Module):
    """Decomposed depthwise convolution and MLP under layer scale; the first of a stage halves the grid."""

    def __init__(self, cin: int, cout: int, kernel: int, downsample: bool) -> None:
        super().__init__()
        self.downsample = downsample
        if downsample:
            self.pool = nn.MaxPool3d(3, 2, 1)
            self.proj = nn.Conv3d(cin, cout, 1, bias=False)
        self.dwconv = DecomposedConv(cout, cout, kernel, groups=cout)
        self.mlp = _MLP(cout)
        self.scale = nn.Parameter(LAYER_SCALE * torch.ones(cout))

    def forward(self, x: Tensor) -> Tensor:
        if self.downsample:
            x = self.proj(self.pool(x))
        y = self.dwconv(x).permute(0, 2, 3, 4, 1)  # [B, H, W, D, C]
        return x + (self.scale * self.mlp(y)).permute(0, 4, 1, 2, 3)


class _Stages(nn.Module):
    """The stem ``s0`` and the stages ``s1`` to ``s4``.

    The published stem has no activation: its code hands the GELU over in the place of ``norm``, so that it only turns
    the batch norm on. The published weights were trained that way.
    """

    def __init__(self, config: VisionEncoderConfig) -> None:
        super().__init__()
        first = config.channels[0]
        stem = [DecomposedConv(1, first, 7, stride=4)]
        stem += [DecomposedConv(first, first, 3) for _ in range(3)]
        self.s0 = nn.Sequential(nn.Sequential(*stem))
        for stage in range(1, 5):
            cin, cout = config.channels[stage - 1 : stage + 1]
            blocks = [
                _Block(cin if i == 0 else cout, cout, config.kernel_sizes[stage - 1], downsample=i == 0)
                for i in range(config.num_blocks[stage])
            ]
            self.add_module(f"s{stage}", nn.Sequential(*blocks))
        self.gradient_checkpointing = False  # in training: compute each stage again in the backward pass
        self.recomputed_in: Callable[[], AbstractContextManager] = nullcontext  # what the second computation runs in

    def forward(self, x: Tensor) -> list[Tensor]:
        hidden = []
        for stage in (self.s0, self.s1, self.s2, self.s3, self.s4):
            again = self.gradient_checkpointing and torch.is_grad_enabled()
            x = (
                checkpoint(stage, x, use_reentrant=False, context_fn=lambda: (nullcontext(), self.recomputed_in()))
                if again
                else stage(x)
            )
            hidden.append(x)
        return hidden


class DCFormer(nn.Module):
    """The encoder. Keep it in ``eval()`` at inference: it has batch norms with running statistics."""

    def __init__(self, config: VisionEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config or SIZES["small"]
        self.channels = list(self.config.channels)
        self.encoder = _Stages(self.config)

    def maps(self, volume: Tensor) -> list[Tensor]:
        """Feature maps of the five stages.

        Args:
            volume: ``[B, 1, D, H, W]``, values 0..1.

        Returns:
            Five maps ``[B, C, D', H', W']`` at 1/4, 1/8, ... 1/64 of the size.
        """
        hidden = self.encoder(volume.permute(0, 1, 3, 4, 2))  # the published encoder works on [B, C, H, W, D]
        return [h.permute(0, 1, 4, 2, 3) for h in hidden]

    def forward(self, volume: Tensor) -> list[Tensor]:
        """Hidden states as published: five of ``[B, D' * H' * W', C]``, depth slowest.

        For 128x256x256 and the small size: 131072x64, 16384x96, 2048x192, 256x384, 32x768.
        """
        return [m.flatten(2).transpose(1, 2) for m in self.maps(volume)]


def token_counts(input_size: tuple[int, int, int]) -> list[int]:
    """Tokens of the five hidden states for an input ``(D, H, W)`` whose sides are multiples of 4."""
    sides = [s // 4 for s in input_size]
    counts = []
    for _ in REDUCTION:
        counts.append(sides[0] * sides[1] * sides[2])
        sides = [(s + 1) // 2 for s in sides]  # 3-wide pooling with stride 2 and padding 1 rounds up
    return counts
