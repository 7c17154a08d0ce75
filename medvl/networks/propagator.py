"""Learned slice-to-slice propagation: the object's mask on one slice -> its mask on the next.

The bundled SAM 2 weights have no memory attention (``assets/nano/README.md``), and handing the previous mask to SAM 2's
prompt encoder stops early at thin organ ends and leaks into touching organs. ``SlicePropagator`` stands in that place:
a small class-agnostic U-Net that sees the previous mask, the slices before, at and after the wanted one, the HU
statistics of the object, the slice gap and the clicks on the slice. Trained in ``medvl.training.nano.propagator``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 10
CLICK_SIGMA_PX = 2.0


@dataclass(frozen=True)
class PropagatorConfig:
    """Shape of the propagation network; saved in ``config.json`` beside the weights."""

    widths: tuple[int, ...] = (24, 48, 96)
    canvas_px: int = 128
    margin: float = 1.5
    min_margin_mm: float = 10.0


class _Block(nn.Module):
    """Two 3x3 convolutions with group norm; residual."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(4, cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(4, cout)
        self.skip = nn.Conv2d(cin, cout, 1, bias=False) if cin != cout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self.norm1(self.conv1(x)))
        return F.silu(self.norm2(self.conv2(y)) + self.skip(x))


class SlicePropagator(nn.Module):
    """U-Net over ``CHANNELS`` maps (see ``make_inputs``); returns mask logits."""

    def __init__(self, config: PropagatorConfig | None = None) -> None:
        super().__init__()
        self.config = config or PropagatorConfig()
        widths = self.config.widths
        # Working at half resolution makes a step three times as fast; the last layer writes 2x2 pixels at once.
        first = (4 * CHANNELS, *widths[:-1])
        self.down = nn.ModuleList(_Block(cin, cout) for cin, cout in zip(first, widths, strict=True))
        self.middle = _Block(widths[-1], widths[-1])
        self.up = nn.ModuleList(
            _Block(cin + skip, skip) for cin, skip in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[B, CHANNELS, H, W]`` (H, W multiples of 8) -> logits ``[B, H, W]``."""
        x = F.pixel_unshuffle(x, 2)  # [B, 4 * CHANNELS, H/2, W/2]
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.avg_pool2d(x, 2))  # [B, widths[level], H / 2^(level+1), ...]
            skips.append(x)
        x = self.middle(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(torch.cat((x, skip), dim=1))
        return F.pixel_shuffle(self.head(x), 2)[:, 0]


def make_inputs(
    previous: Tensor,
    hu_previous: Tensor,
    hu_current: Tensor,
    hu_next: Tensor,
    statistics: Tensor,
    gap_mm: Tensor,
    pixel_mm: Tensor,
    positive: Tensor | None = None,
    negative: Tensor | None = None,
) -> Tensor:
    """Stack the network's maps.

    Args:
        previous: probability of the object on the slice it comes from, ``[B, H, W]``.
        hu_previous: HU of that slice, ``[B, H, W]``.
        hu_current: HU of the wanted slice.
        hu_next: HU of the slice beyond it (the wanted slice again at the volume's edge).
        statistics: mean and SD of the object's HU, ``[B, 2]``.
        gap_mm: distance between the two slices, ``[B]``; 0 asks to correct the mask on its own slice.
        pixel_mm: pixel edge, ``[B]``.
        positive: heat map of positive clicks on the wanted slice, ``[B, H, W]`` in 0..1; None for none.
        negative: the same of negative clicks.

    Returns:
        ``[B, CHANNELS, H, W]``.
    """
    mean = statistics[:, 0, None, None]
    sd = statistics[:, 1, None, None].clamp(min=12.0)

    def relative(hu: Tensor) -> Tensor:
        return ((hu - mean) / sd).clamp(-4, 4) / 2

    zeros = torch.zeros_like(previous)
    return torch.stack(
        (
            previous * 2 - 1,
            ((hu_current - 40) / 200).clamp(-2, 2),
            relative(hu_current),
            relative(hu_previous),
            relative(hu_next),
            ((hu_current + 200) / 800).clamp(-1.2, 1.5),
            zeros if positive is None else positive,
            zeros if negative is None else negative,
            zeros + (gap_mm / 5)[:, None, None],
            zeros + torch.log2(pixel_mm)[:, None, None] / 2,
        ),
        dim=1,
    )


def click_map(points_rc: list[tuple[float, float]], size: tuple[int, int]) -> Tensor:
    """Heat map of clicks: 1 at each ``(row, column)``, Gaussian fall-off; ``[H, W]``."""
    rows = torch.arange(size[0])[:, None]
    cols = torch.arange(size[1])[None, :]
    heat = torch.zeros(size)
    for r, c in points_rc:
        heat = torch.maximum(heat, torch.exp(-((rows - r) ** 2 + (cols - c) ** 2) / (2 * CLICK_SIGMA_PX**2)))
    return heat


def object_statistics(hu: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Robust mean and SD of HU inside a mask: the 5th to 95th percentile, so that a rim of fat does not widen it."""
    values = hu[mask].astype(np.float32)
    if values.size == 0:
        return 40.0, 60.0
    low, high = np.percentile(values, (5, 95))
    core = values[(values >= low) & (values <= high)]
    return float(core.mean()), float(max(core.std() * 1.3, 1.0))
