"""Small persons are looked at larger: the localiser knows organs by their size, and learned them on adults.

On a trunk much smaller than any that it was trained on it takes a kidney for something else. Shown the same trunk at
the size of the smallest that it knows, it finds more of it. Heads and limbs are small by nature and stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ct.volume import CTVolume
from ..networks.localiser import CoarseMap
from ..networks.region_head import REGIONS
from .regions import View
from .thresholds import THRESHOLDS

TRUNK = [REGIONS.index(region) for region in ("chest", "abdomen", "pelvis")]


def magnification(coarse: CoarseMap, view: View) -> float:
    """How many times larger a scan is to be looked at; 1 for most.

    Only whole sections of a trunk count, and only a scan that shows mostly trunk: shoulders below a neck are no small
    trunk, nor is a limb, nor what the scan cuts.

    Args:
        coarse: of the scan as it is.
        view: which regions each of its slices shows.
    """
    seen = view.probability >= view.limit
    trunk = np.flatnonzero(seen[TRUNK].any(0) & ~np.delete(seen, TRUNK, 0).any(0))
    whole = [area for area in (_section(coarse.body[:, :, k]) for k in trunk) if area is not None]
    if len(whole) < coarse.body.any((0, 1)).sum() / 2:
        return 1.0
    area = float(np.median(whole)) * coarse.spacing_mm[0] * coarse.spacing_mm[1]
    times = THRESHOLDS.usual_section_mm / max(2 * np.sqrt(area / np.pi), 1.0)
    return float(min(times, THRESHOLDS.most_magnified)) if times >= THRESHOLDS.least_magnified else 1.0


def _section(body: np.ndarray) -> int | None:
    """Pixels of a section ``(i, j)`` of the body; None of one that the scan cuts."""
    edge = np.concatenate((body[0], body[-1], body[:, 0], body[:, -1]))
    around = 2 * np.sqrt(np.pi * max(int(body.sum()), 1))
    return None if edge.sum() > THRESHOLDS.whole_section * around else int(body.sum())


def enlarged(ct: CTVolume, times: float) -> CTVolume:
    """The same voxels in a body that many times larger."""
    affine = ct.affine.copy()
    affine[:3] *= times
    return replace(ct, affine=affine)
