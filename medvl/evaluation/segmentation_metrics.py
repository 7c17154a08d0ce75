"""Dice, normalised surface Dice and the area under a series of scores, at native resolution.

The rule for empty masks, everywhere: both empty scores 1 (nothing to find, nothing found), one of the two empty
scores 0. MONAI gives NaN for both empty, and the CVPR 2025 challenge never scores a structure without reference voxels.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ..ct.prompts import bounding_box
from ..errors import MedVLError

EMPTY_RULE = "both masks empty: 1; one of them empty: 0"
TOLERANCE_MM = 2.0
"""Deviation of a surface that still counts as right, unless another one is stated; that of the CVPR 2025 challenges."""


def dice(predicted: np.ndarray, reference: np.ndarray) -> float:
    """Dice overlap of two bool arrays; 1.0 when both are empty."""
    total = predicted.sum() + reference.sum()
    return float(2 * np.logical_and(predicted, reference).sum() / total) if total else 1.0


def surface_dice(
    predicted: np.ndarray,
    reference: np.ndarray,
    spacing_mm: Sequence[float],
    tolerance_mm: float = TOLERANCE_MM,
) -> float:
    """Normalised surface Dice (NSD): the share of both surfaces, by area, that lies within a tolerance of the other.

    MONAI's ``compute_surface_dice`` with sub-voxel surface areas, which follows DeepMind's ``surface-distance`` as the
    challenges use it. Where an object is cut by the border of the scan, the cut counts as surface.

    Args:
        predicted: bool ``(i, j, k)``.
        reference: bool, the same grid.
        spacing_mm: voxel size along i, j, k.
        tolerance_mm: allowed deviation in mm, 0 or more.

    Returns:
        0 to 1; 1.0 when both are empty, 0.0 when one is.

    Raises:
        MedVLError: two grids, or a negative tolerance.
    """
    if predicted.shape != reference.shape:
        raise MedVLError(
            f"The masks have grids of {predicted.shape} and {reference.shape} voxels; give two of one grid."
        )
    if not tolerance_mm >= 0:
        raise MedVLError(f"The tolerance of a surface is 0 mm or more, not {tolerance_mm}.")
    there = [bool(mask.any()) for mask in (predicted, reference)]
    if not all(there):
        return 0.0 if any(there) else 1.0
    from monai.metrics import compute_surface_dice  # takes seconds to import

    box = bounding_box(predicted | reference)
    pair = [torch.from_numpy(np.pad(mask[box.slices], 1))[None, None] for mask in (predicted, reference)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI's own call of an argument that it gives up
        score = compute_surface_dice(
            *pair, [float(tolerance_mm)], include_background=True, spacing=[float(s) for s in spacing_mm],
            use_subvoxels=True,
        )  # fmt: skip
    return float(score)


def area_under_curve(scores: Sequence[float]) -> float:
    """Trapezoid area under scores one step apart: n equal scores of 1 give n - 1.

    Raises:
        MedVLError: fewer than two scores.
    """
    if len(scores) < 2:
        raise MedVLError("An area under a curve needs two scores or more.")
    values = np.asarray(scores, dtype=float)
    return float(((values[1:] + values[:-1]) / 2).sum())


def tolerances(words: Sequence[str]) -> Mapping[str, float]:
    """Tolerances as the command line takes them: ``3`` for all structures, ``liver=5`` for one.

    Returns:
        mm by structure; under ``""`` that of all others.

    Raises:
        MedVLError: not a number of 0 or more.
    """
    found = {"": TOLERANCE_MM}
    for word in words:
        name, _, value = word.rpartition("=")
        try:
            mm = float(value)
        except ValueError:
            mm = -1.0
        if not 0 <= mm < float("inf"):
            raise MedVLError(f"'{word}' is no tolerance: give mm for all structures (2) or for one (liver=5).")
        found[name] = mm
    return found


def tolerance_of(structure: str, stated: Mapping[str, float] | None) -> float:
    """The tolerance of a structure in mm: its own, else that of all, else ``TOLERANCE_MM``."""
    stated = stated or {}
    return stated.get(structure, stated.get("", TOLERANCE_MM))
