"""Dual-stream MLP-Mixer: the last two hidden states of the encoder -> visual tokens in the language model's space.

As published with Med3DVLM (arXiv 2503.20047); module names are those of its checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ProjectorConfig:
    """Shape of the projector.

    Attributes:
        low_input: (tokens, channels) of the last hidden state but one.
        high_input: (tokens, channels) of the last hidden state.
        low_tokens: tokens after each mixer layer of the low stream.
        high_tokens: tokens after each mixer layer of the high stream.
        output_dim: hidden size of the language model; a multiple of ``2 ** (layers - 1)``.
    """

    low_input: tuple[int, int] = (256, 384)
    high_input: tuple[int, int] = (32, 768)
    low_tokens: tuple[int, ...] = (192, 128)
    high_tokens: tuple[int, ...] = (64, 128)
    output_dim: int = 3584

    @property
    def tokens(self) -> int:
        """Visual tokens that come out."""
        return self.low_tokens[-1] + self.high_tokens[-1]


class _MLP(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.mm_projector = nn.Sequential(nn.Linear(cin, cout), nn.Sequential(nn.GELU(), nn.Linear(cout, cout)))

    def forward(self, x: Tensor) -> Tensor:
        return self.mm_projector(x)


class _MixerLayer(nn.Module):
    """Mixes tokens, then channels; changes both counts, so there is no residual."""

    def __init__(self, size_in: tuple[int, int], size_out: tuple[int, int]) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(size_in[1])
        self.ln2 = nn.LayerNorm(size_in[1])
        self.mlp1 = _MLP(size_in[0], size_out[0])
        self.mlp2 = _MLP(size_in[1], size_out[1])

    def forward(self, x: Tensor) -> Tensor:
        x = self.mlp1(self.ln1(x).transpose(1, 2)).transpose(1, 2)  # [B, N', C]
        return self.mlp2(self.ln2(x))  # [B, N', C']


class MixerProjector(nn.Module):
    """Two streams of mixer layers, concatenated along the tokens."""

    def __init__(self, config: ProjectorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ProjectorConfig()
        layers = len(config.low_tokens)
        if len(config.high_tokens) != layers or config.output_dim % 2 ** (layers - 1):
            raise ValueError(
                f"Streams need the same number of layers, and output_dim be a multiple of {2 ** (layers - 1)}: {config}"
            )
        self.low_mixer = self._stream(config.low_input, config.low_tokens, config.output_dim)
        self.high_mixer = self._stream(config.high_input, config.high_tokens, config.output_dim)

    @staticmethod
    def _stream(size: tuple[int, int], tokens: Sequence[int], output_dim: int) -> nn.ModuleList:
        layers = nn.ModuleList()
        for index, count in enumerate(tokens):
            target = (count, output_dim // 2 ** (len(tokens) - 1 - index))
            layers.append(_MixerLayer(size, target))
            size = target
        return layers

    def forward(self, hidden: Sequence[Tensor]) -> Tensor:
        """Visual tokens.

        Args:
            hidden: the encoder's last two hidden states, ``[B, N, C]`` each (longer lists: the last two count).

        Returns:
            ``[B, config.tokens, output_dim]``.
        """
        low, high = hidden[-2], hidden[-1]
        for layer in self.low_mixer:
            low = layer(low)
        for layer in self.high_mixer:
            high = layer(high)
        return torch.cat([low, high], dim=1)
