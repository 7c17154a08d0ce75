"""Other bodies out of those at hand: leaner ones, and the same without contrast medium.

The localiser learns from a few torsos of well fed adults. What it then misses most are lean bodies, where organs touch
and no fat tells them apart.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import fft, ndimage
from torch import Tensor

FAT_HU = (-160, -25)
# HU without contrast medium.
PLAIN_HU = {
    "aorta": 40.0, "heart": 40.0, "inferior_vena_cava": 38.0, "right_kidney": 32.0, "left_kidney": 32.0,
    "liver": 55.0, "spleen": 45.0, "pancreas": 38.0, "urinary_bladder": 8.0, "gallbladder": 10.0, "stomach": 35.0,
    "duodenum": 35.0, "esophagus": 35.0,
}  # fmt: skip


def leaner(hu: np.ndarray, body: np.ndarray, left: float, steps: int = 4) -> np.ndarray:
    """Where a body with less fat takes its voxels from.

    Fat shrinks in small steps: the displacement of a step is the gradient of what solves Poisson's equation with the
    fat of a section as its sink, so that everything that is no fat keeps its area and moves in.

    Args:
        hu: ``[D, H, W]`` on a coarse grid.
        body: of the same shape.
        left: share of the fat's area that is left in each section.
        steps: into which the way is cut.

    Returns:
        Indices i, j and k into the old grid, float32 ``[3, D, H, W]``.
    """
    size = hu.shape
    fat = ((hu > FAT_HU[0]) & (hu < FAT_HU[1]) & body).astype(np.float32)
    fat = ndimage.gaussian_filter(fat, (0.7, 0.7, 1.5))
    fi, fj = np.meshgrid(fft.fftfreq(2 * size[0]), fft.rfftfreq(2 * size[1]), indexing="ij")
    wave = (2j * np.pi * np.stack((fi, fj))).astype(np.complex64)
    square = (wave**2).sum(0).real
    square[0, 0] = 1
    source = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in size), indexing="ij"))
    here = source.copy()
    share = left ** (1 / steps) - 1
    for _ in range(steps):
        now = ndimage.map_coordinates(fat, source, order=1, mode="nearest")
        padded = np.zeros((2 * size[0], 2 * size[1], size[2]), np.float32)
        padded[: size[0], : size[1]] = share * now
        waves = fft.rfft2(padded, axes=(0, 1)) / square[..., None]
        waves[0, 0] = 0
        moved = fft.irfft2(wave[..., None] * waves[None], padded.shape[:2], axes=(1, 2))[:, : size[0], : size[1]]
        # The new voxel x comes from x - u of the body as it was a step before.
        at = here.copy()
        at[:2] -= ndimage.gaussian_filter(moved, (0, 0, 0, 1.5))
        source[:2] = [ndimage.map_coordinates(s, at, order=1, mode="nearest") for s in source[:2]]
    return source.astype(np.float32)


def plain(hu: Tensor, labels: Tensor, structures: tuple[str, ...], bones: tuple[str, ...], share: float) -> Tensor:
    """The same body without contrast medium: organs come to ``PLAIN_HU``, what else is bright but no bone to 60 HU.

    Args:
        hu: ``[D, H, W]``.
        labels: of the same shape; 1 + index into ``structures``.
        structures: names.
        bones: those that stay as bright as they are, with a rim of a voxel.
        share: of the differences within an organ, and of what is bright elsewhere, that is left.
    """
    hard = torch.zeros_like(labels, dtype=torch.bool)
    for name in bones:
        hard |= labels == 1 + structures.index(name)
    hard = F.max_pool3d(hard[None, None].float(), 3, 1, 1)[0, 0] > 0
    out = hu
    for name in [one for one in structures if one in PLAIN_HU]:
        level = PLAIN_HU[name]
        part = labels == 1 + structures.index(name)
        tissue = hu[part & (hu > -20)]
        if tissue.numel() == 0 or tissue.median() < level + 8:
            continue  # nothing of it here, or no contrast medium in it
        # A rim of a voxel changes with it, less and less: partial volumes.
        soft = F.avg_pool3d(part[None, None].float(), 3, 1, 1)[0, 0].masked_fill(part, 1.0)
        soft = soft * ((hu > max(level - 60, 0)) & (part | ~hard))
        out = out + soft * (level + (hu - tissue.median()) * share - hu)
    return torch.where((out > 60) & ~hard, 60 + (out - 60) * share, out)


def infiltrated(hu: Tensor, amount: Tensor) -> Tensor:
    """Fat that looks more like soft tissue, as where there is little of it; ``amount`` 0 to 1, of ``hu``'s shape."""
    fat = ((hu > FAT_HU[0]) & (hu < FAT_HU[1])).float()
    return hu + amount * fat * (20 - hu)
