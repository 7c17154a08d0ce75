"""The detail head: further structures, read off the features of the frozen localiser.

The localiser was trained on many scans, the head on the two whose labels name these structures: it can be small because
the features already tell tissue and place. Its classes have no sides; a pair is divided at the midline of the body.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .localiser import CoarseMap, Localiser, slide
from .volume import CTVolume


@dataclass(frozen=True)
class DetailConfig:
    """Shape of the head.

    Attributes:
        classes: names in the order of its outputs, without sides; the background comes first and is not named here.
        inputs: channels of the localiser's features at 1, 2, 4 and 8 times its spacing.
        width: channels of the head.
        offered: ids of ``detail_masks.DETAILS`` that were found well enough to be offered by name.
    """

    classes: tuple[str, ...] = ()
    inputs: tuple[int, ...] = (24, 48, 112, 224)
    width: int = 48
    offered: tuple[str, ...] = ()


class DetailHead(nn.Module):
    """Features of all levels -> one map at the localiser's spacing -> two 3x3x3 convolutions -> logits."""

    def __init__(self, config: DetailConfig) -> None:
        super().__init__()
        self.config = config
        self.gather = nn.ModuleList(nn.Conv3d(n, config.width, 1) for n in config.inputs)
        self.conv1 = nn.Conv3d(config.width, config.width, 3, 1, 1)
        self.conv2 = nn.Conv3d(config.width, config.width, 3, 1, 1)
        self.logits = nn.Conv3d(config.width, 1 + len(config.classes), 1)

    def forward(self, levels: tuple[Tensor, ...]) -> Tensor:
        """``Localiser.pyramid`` of a patch ``[B, *, D, H, W]`` -> logits ``[B, 1 + classes, D, H, W]``."""
        size = levels[0].shape[2:]
        x = self.gather[0](levels[0])
        for gather, level in zip(self.gather[1:], levels[1:], strict=True):
            x = x + F.interpolate(gather(level), size, mode="trilinear", align_corners=False)
        x = F.leaky_relu(x, 0.01)
        x = x + F.leaky_relu(self.conv1(x), 0.01)
        x = x + F.leaky_relu(self.conv2(x), 0.01)
        return self.logits(x)


def locate_details(
    net: Localiser,
    head: DetailHead,
    ct: CTVolume,
    device: torch.device,
    cancel: threading.Event | None = None,
    progress: Callable[[float], None] | None = None,
) -> CoarseMap:
    """Probabilities of the head's classes over a CT; arguments and errors as of ``localiser.locate``."""
    return slide(lambda maps: head(net.pyramid(maps)), head.config.classes, net.config, ct, device, cancel, progress)
