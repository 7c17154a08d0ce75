"""Region growing: the voxels in a range of HU that hang together with a clicked one, up to a volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..errors import PromptError
from .prompts import Box, Index
from .volume import CTVolume

SPREAD = 2.5  # SD of the HU round the click, to either side; as ITK's ConfidenceConnectedImageFilter has it
LEAST_SPREAD_HU = 10.0
LOOK = 2  # voxels round the click
BLUR = 0.7  # voxels; noise of single voxels neither widens the range nor ties organs together
FIRST_MM = 25.0  # half the side of the first box that is looked at


def grow(ct: CTVolume, seed: Index, hu: tuple[float, float] | None, most_ml: float) -> tuple[Box, np.ndarray, tuple]:
    """Grow from a voxel over its face neighbours.

    With a range: all that hangs together with the voxel in it. Without one it is confidence connected growing: mean and
    SD of the slightly blurred HU round the click, then once more of what grew from these. What hangs on by a neck one
    voxel thin is left out, and closed holes are filled.

    Args:
        ct: the scan.
        seed: clicked voxel.
        hu: lowest and highest value, both included; None takes them from the image.
        most_ml: the largest volume.

    Returns:
        Half-open box, bool voxels ``box.size``, and the range of HU.

    Raises:
        PromptError: the clicked voxel is outside the range, or the region is larger than ``most_ml``.
    """
    if hu is not None:
        value = float(ct.hu[seed])
        if not hu[0] <= value <= hu[1]:
            raise PromptError(
                f"The clicked voxel has {value:.0f} HU, outside {hu[0]:.0f} to {hu[1]:.0f}. "
                "Click inside the structure, or change the range."
            )
        return *_connected(ct, seed, hu, most_ml), hu
    lo = [max(0, v - 2 * LOOK) for v in seed]
    hi = [min(n, v + 2 * LOOK + 1) for v, n in zip(seed, ct.shape, strict=True)]
    here = tuple(slice(max(0, v - LOOK) - l, v + LOOK + 1 - l) for v, l in zip(seed, lo, strict=True))
    hu = _range_of(_blurred(ct, lo, hi)[here])
    box, voxels = _connected(ct, seed, hu, most_ml, like=True)
    again = _range_of(_blurred(ct, box.lo, box.hi)[voxels])
    box, voxels = _connected(ct, seed, again, most_ml, like=True)
    values = ct.hu[box.slices]  # the blur took the rim away, which is like the rest by its own HU
    low, high = _range_of(values[voxels])
    rim = (values >= low) & (values <= high)
    return box, voxels | ndimage.binary_dilation(voxels, mask=rim | voxels), (low, high)


def _range_of(values: np.ndarray) -> tuple[float, float]:
    mean, spread = float(values.mean()), max(SPREAD * float(values.std()), LEAST_SPREAD_HU)
    return mean - spread, mean + spread


def _blurred(ct: CTVolume, lo: Sequence[int], hi: Sequence[int]) -> np.ndarray:
    values = ct.hu[tuple(slice(l, h) for l, h in zip(lo, hi, strict=True))]
    return ndimage.gaussian_filter(values.astype(np.float32), BLUR)


def _connected(
    ct: CTVolume, seed: Index, hu: tuple[float, float], most_ml: float, like: bool = False
) -> tuple[Box, np.ndarray]:
    """Voxels of the range that hang together with the seed; the box looked at grows only where they leave it.

    Args:
        ct: the scan.
        seed: where to begin.
        hu: the range.
        most_ml: the largest volume.
        like: blurred, without what hangs on by a thin neck, and with holes filled.
    """
    half = [max(1, round(FIRST_MM / s)) for s in ct.spacing_mm]
    lo = [max(0, v - h) for v, h in zip(seed, half, strict=True)]
    hi = [min(n, v + h + 1) for v, h, n in zip(seed, half, ct.shape, strict=True)]
    most = most_ml / ct.voxel_volume_ml
    while True:
        values = _blurred(ct, lo, hi) if like else ct.hu[tuple(slice(l, h) for l, h in zip(lo, hi, strict=True))]
        region = _round((values >= hu[0]) & (values <= hu[1]), [v - l for v, l in zip(seed, lo, strict=True)], like)
        if np.count_nonzero(region) > most:
            raise PromptError(
                f"From there the region from {hu[0]:.0f} to {hu[1]:.0f} HU runs on beyond {most_ml:g} mL, so nothing "
                "was changed. Narrow the range of HU, or allow more."
            )
        grown = False
        for axis in range(3):
            room = hi[axis] - lo[axis]
            if lo[axis] and region.take(0, axis).any():
                lo[axis], grown = max(0, lo[axis] - room), True
            if hi[axis] < ct.shape[axis] and region.take(-1, axis).any():
                hi[axis], grown = min(ct.shape[axis], hi[axis] + room), True
        if not grown:
            return Box(tuple(lo), tuple(hi)), ndimage.binary_fill_holes(region) if like else region


def _round(inside: np.ndarray, seed: list[int], like: bool) -> np.ndarray:
    """The part of a bool array that hangs together with a voxel, or (``like``) with the nearest one that has a core."""
    core = ndimage.binary_erosion(inside, border_value=1) if like else inside
    if not core[tuple(seed)]:
        lo = [max(0, v - LOOK) for v in seed]
        near = np.argwhere(core[tuple(slice(l, v + LOOK + 1) for l, v in zip(lo, seed, strict=True))]) + lo
        if not len(near):  # something thin
            core, near = inside, np.argwhere(inside[tuple(slice(l, v + 2) for l, v in zip(lo, seed, strict=True))]) + lo
        seed = near[np.abs(near - seed).sum(axis=1).argmin()].tolist() if len(near) else seed
    labels, _ = ndimage.label(core)
    region = labels == labels[tuple(seed)] if core[tuple(seed)] else np.zeros_like(core)
    return ndimage.binary_dilation(region, mask=inside) if core is not inside else region
