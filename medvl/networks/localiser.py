"""The localiser: where in a CT each named structure lies, as a coarse 3-D probability.

A 3-D U-Net turns the CT, resampled to ``spacing_mm``, into *voxel embeddings*; their similarity with the *query* of a
structure is that structure's logit. The queries of the vocabulary are learned with the network; a ``[SEG]`` state of a
language model can be projected into the same space and asked the same way.

What it gives is coarse on purpose: which slices, where, and how sure. ``text_segmenter`` delineates at full resolution.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor, nn

from ..ct.volume import CTVolume
from ..ct.windows import BODY_HU
from ..errors import Cancelled
from ..weights.devices import has_bfloat16
from .sliding import over_patches

HU_SCALES = ((40.0, 200.0), (-600.0, 800.0), (400.0, 900.0))  # (level, half width): soft tissue, lung, bone


@dataclass(frozen=True)
class LocaliserConfig:
    """Shape of the network.

    Attributes:
        structures: ids in the order of the queries; the background comes first and is not named here.
        spacing_mm: voxel edge of its grid.
        patch: voxels that it sees at once, each way; a multiple of 8.
        widths: channels at 1, 2, 4 and 8 times ``spacing_mm``.
        embedding: length of voxel embeddings and queries.
        overlap: share of a patch that neighbours share at inference.
        withheld: structures that the network has a query for and finds too badly to be offered by name.
    """

    structures: tuple[str, ...] = ()
    spacing_mm: float = 4.0
    patch: int = 64
    widths: tuple[int, ...] = (16, 48, 112, 224)
    embedding: int = 24
    overlap: float = 0.25
    withheld: tuple[str, ...] = ()


class _Block(nn.Module):
    """Two 3x3x3 convolutions with instance norm and a shortcut. ``[B, C, D, H, W]``."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.InstanceNorm3d(outputs, affine=True)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.InstanceNorm3d(outputs, affine=True)
        self.short = nn.Conv3d(inputs, outputs, 1, stride, bias=False) if (inputs, stride) != (outputs, 1) else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.norm1(self.conv1(x)), 0.01)
        y = self.norm2(self.conv2(y))
        return F.leaky_relu(y + (x if self.short is None else self.short(x)), 0.01)


class UNet(nn.Module):
    """Maps -> voxel embeddings.

    The finest level has one convolution before and one after the U: a torso has many voxels there, and its
    detail is left to the delineation at full resolution.
    """

    def __init__(self, inputs: int, widths: tuple[int, ...], embedding: int) -> None:
        super().__init__()
        w = widths
        self.stem = nn.Conv3d(inputs, w[0], 3, 1, 1)
        self.down = nn.ModuleList(_Block(w[n], w[n + 1], 2) for n in range(len(w) - 1))
        self.deep = _Block(w[-1], w[-1])
        self.up = nn.ModuleList(nn.Conv3d(w[n + 1], w[n], 1) for n in range(len(w) - 1))
        self.join = nn.ModuleList(_Block(2 * w[n], w[n]) for n in range(1, len(w) - 1))
        self.last = nn.Conv3d(2 * w[0], embedding, 3, 1, 1, bias=False)
        self.last_norm = nn.InstanceNorm3d(embedding, affine=True)

    def pyramid(self, maps: Tensor) -> tuple[Tensor, ...]:
        """Features at 1, 2, 4 and 8 times the spacing, finest (the voxel embeddings) first.

        Args:
            maps: ``[B, inputs, D, H, W]``; sides are multiples of 8.
        """
        x = F.leaky_relu(self.stem(maps), 0.01)
        skips = [x]
        for block in self.down:
            x = block(x)
            skips.append(x)
        x = self.deep(x)
        levels = [x]
        for n in reversed(range(len(self.up))):
            x = F.interpolate(self.up[n](x), scale_factor=2, mode="trilinear", align_corners=False)
            x = torch.cat((x, skips[n]), dim=1)
            x = self.join[n - 1](x) if n else F.leaky_relu(self.last_norm(self.last(x)), 0.01)
            levels.append(x)
        return tuple(levels[::-1])


class Localiser(UNet):
    """HU and place (``make_maps``) -> voxel embeddings -> logits of the structures."""

    def __init__(self, config: LocaliserConfig) -> None:
        super().__init__(len(HU_SCALES) + 2, config.widths, config.embedding)
        self.config = config
        count = len(config.structures) + 1
        self.queries = nn.Parameter(torch.randn(count, config.embedding) * config.embedding**-0.5)
        self.bias = nn.Parameter(torch.zeros(count))

    def embed(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Voxel embeddings ``[B, E, D, H, W]`` and the features at four times the spacing; see ``pyramid``."""
        levels = self.pyramid(maps)
        return levels[0], levels[2]

    def forward(self, maps: Tensor) -> Tensor:
        """Logits ``[B, 1 + structures, D, H, W]``; softmax over dimension 1."""
        embeddings, _ = self.embed(maps)
        return self.ask(embeddings)

    def ask(self, embeddings: Tensor) -> Tensor:
        """Similarity of voxel embeddings ``[B, E, D, H, W]`` with every query: logits ``[B, 1 + structures, ...]``."""
        queries = self.queries[:, :, None, None, None].to(embeddings.dtype)
        return F.conv3d(embeddings, queries, self.bias.to(embeddings.dtype))


def make_maps(hu: Tensor, place: Tensor) -> Tensor:
    """Network input from HU ``[B, D, H, W]`` and place ``[B, 2, D, H, W]``: ``[B, 5, D, H, W]``.

    Three windows of the HU, each -1 to 1, so that no tissue is lost to a single range.
    """
    windows = [((hu - level) / half).clamp(-1, 1) for level, half in HU_SCALES]
    return torch.cat((torch.stack(windows, dim=1), place), dim=1)


def resample(volume: Tensor, size: tuple[int, int, int]) -> Tensor:
    """A volume ``[D, H, W]`` on another number of voxels over the same extent; smoothed where it shrinks.

    Two passes of two-dimensional resampling, which, unlike PyTorch's trilinear one, can low-pass.
    """
    d, h, w = size
    if volume.shape[1:] != (h, w):
        volume = F.interpolate(volume[:, None], (h, w), mode="bilinear", align_corners=False, antialias=True)[:, 0]
    if volume.shape[0] != d:
        flat = volume.reshape(1, 1, volume.shape[0], h * w)
        volume = F.interpolate(flat, (d, h * w), mode="bilinear", align_corners=False, antialias=True)
    return volume.reshape(d, h, w)


def grid_size(shape: tuple[int, ...], spacing: tuple[float, ...], target_mm: float) -> tuple[int, int, int]:
    """Voxels of the localiser's grid over a CT of ``shape`` and ``spacing`` mm."""
    return tuple(max(1, round(n * s / target_mm)) for n, s in zip(shape, spacing, strict=True))


def body_of(hu: np.ndarray) -> np.ndarray:
    """Body on a coarse grid: what is above ``BODY_HU`` or enclosed by it in an axial slice, the largest piece; bool.

    Holes are filled before the opening that cuts the table off, or the thin wall before a lung would go with it.
    """
    solid = hu > BODY_HU
    for k in range(solid.shape[2]):
        solid[:, :, k] = ndimage.binary_fill_holes(solid[:, :, k])
    labels, count = ndimage.label(ndimage.binary_opening(solid, iterations=1))
    if count == 0:
        return np.ones(hu.shape, bool)
    return labels == np.bincount(labels.ravel())[1:].argmax() + 1


def place_of(body: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Where a voxel lies across the body: i and j in units of 100 mm from the body's median; ``[2, D, H, W]`` float32.

    Along the body there is no such map: a scan shows any part of it.
    """
    maps = []
    for axis in (0, 1):
        line = body.sum(axis=tuple(a for a in range(3) if a != axis)).cumsum()
        middle = float(np.searchsorted(line, line[-1] / 2))
        steps = (np.arange(body.shape[axis], dtype=np.float32) - middle) * spacing_mm / 100
        shape = [1, 1, 1]
        shape[axis] = -1
        maps.append(np.broadcast_to(steps.reshape(shape), body.shape))
    return np.stack(maps)


@dataclass(frozen=True, eq=False)
class CoarseMap:
    """Probabilities of all structures over one CT.

    Attributes:
        structures: ids, in order.
        probability: float16 ``[1 + structures, D, H, W]`` on the localiser's grid, background first.
        body: bool ``[D, H, W]``.
        spacing_mm: voxel edges of the grid along i, j, k, in the body as it was looked at.
        magnified: how many times larger than it is the body was looked at; 1 but for small persons.
        hu: int16 ``[D, H, W]``, the CT on that grid; None where a map was made without it.
    """

    structures: tuple[str, ...]
    probability: np.ndarray
    body: np.ndarray
    spacing_mm: tuple[float, float, float]
    hu: np.ndarray | None = None
    magnified: float = 1.0

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.probability.nbytes + self.body.nbytes + (0 if self.hu is None else self.hu.nbytes)

    def of(self, structure: str) -> np.ndarray:
        """Float32 probability of one structure ``[D, H, W]``."""
        return self.probability[1 + self.structures.index(structure)].astype(np.float32)


def locate(
    net: Localiser,
    ct: CTVolume,
    device: torch.device,
    cancel: threading.Event | None = None,
    progress: Callable[[float], None] | None = None,
) -> CoarseMap:
    """Run the localiser over a CT, patch by patch.

    Args:
        net: in eval mode, on ``device``.
        ct: the scan.
        device: where to compute.
        cancel: set it to stop before the next patch.
        progress: called with the share done.

    Raises:
        Cancelled: ``cancel`` was set.
    """
    return slide(net, net.config.structures, net.config, ct, device, cancel, progress)


@torch.inference_mode()
def slide(
    net: Callable[[Tensor], Tensor],
    classes: tuple[str, ...],
    config: LocaliserConfig,
    ct: CTVolume,
    device: torch.device,
    cancel: threading.Event | None = None,
    progress: Callable[[float], None] | None = None,
    extra: Tensor | None = None,
) -> CoarseMap:
    """Run over a CT, patch by patch, what gives ``[B, 1 + classes, P, P, P]`` of maps; see ``locate``.

    Args:
        net: what is run.
        classes: names in the order of its channels, without the background.
        config: of the grid and the patches.
        ct: the scan.
        device: where to compute.
        cancel: set it to stop before the next patch.
        progress: called with the share done.
        extra: further maps ``[C, D, H, W]`` on the localiser's grid, handed over behind those of ``make_maps``.
    """
    size = grid_size(ct.shape, ct.spacing_mm, config.spacing_mm)
    hu = resample(torch.from_numpy(ct.hu.astype(np.float32)), size)
    body = body_of(hu.numpy())
    place = torch.from_numpy(place_of(body, config.spacing_mm))
    # Only the body's box is looked at, with a rim; the rest is air or table.
    spans = []
    for axis in range(3):
        on = np.flatnonzero(body.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(max(0, int(on[0]) - 4), min(size[axis], int(on[-1]) + 5)))
    maps = make_maps(hu[tuple(spans)][None], place[(slice(None), *spans)][None])
    if extra is not None:
        maps = torch.cat((maps, extra[(None, slice(None), *spans)]), dim=1)
    extent = maps.shape[2:]
    step = config.patch * (1 - config.overlap)
    total = int(np.prod([max(1, np.ceil((n - config.patch) / step) + 1) for n in extent]))
    done = 0

    def predict(patches: Tensor) -> Tensor:
        nonlocal done
        if cancel is not None and cancel.is_set():
            raise Cancelled("Stopped while looking for structures.")
        with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
            logits = net(patches)
        done += patches.shape[0]
        if progress:
            progress(min(1.0, done / total))
        return logits.float()

    logits = over_patches(predict, maps, config.patch, config.overlap, device)
    inner = logits[0].softmax(0).half().numpy()
    probability = np.zeros((inner.shape[0], *size), np.float16)
    probability[0] = 1
    probability[(slice(None), *spans)] = inner
    true_spacing = tuple(n * s / m for n, s, m in zip(ct.shape, ct.spacing_mm, size, strict=True))
    return CoarseMap(classes, probability, body, true_spacing, hu.numpy().round().astype(np.int16))
