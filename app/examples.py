"""Example questions that fit an open scan, told from its voxels before anything was segmented."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from medvl.ct.volume import CTVolume

GRID_MM = 6.0  # lungs and heads are large: a coarse grid tells them
AIR_HU, SOLID_HU = -400, -300
LUNGS_ML = 600  # air enclosed by the body beyond this is lung: bowel gas and airways hold less
LUNG_HU, LUNG_SHARE = (-950, -500), 0.15  # of the middle of a slice that cuts the lungs
CHEST_SLICES = 0.4  # a scan with lungs on fewer of its slices is one of the abdomen, which begins above the diaphragm
HEAD_MM = 230  # a body no wider than this over the uppermost slices is a head or a neck

CHEST = (
    "Segment both lungs",
    "How big is the heart?",
    "Is there emphysema?",
    "How wide is the aorta?",
    "Was contrast given?",
    "Describe this scan",
)
ABDOMEN = (
    "Segment the liver",
    "How big is the spleen?",
    "Which kidney is larger?",
    "Is there calcium in the aorta?",
    "How far is the spleen from the left kidney?",
    "Describe this scan",
)
HEAD = (
    "Segment the mandible",
    "Where is the spinal cord?",
    "Are the parotid glands the same size?",
    "What is the voxel size?",
    "Describe this scan",
)


def examples(ct: CTVolume) -> list[str]:
    """Four to six questions about what is probably in the field of view.

    A guess, to save typing: an answer about something that is not there says so.

    Args:
        ct: the open scan.
    """
    steps = [max(1, round(GRID_MM / spacing)) for spacing in ct.spacing_mm]
    hu = np.asarray(ct.hu)[:: steps[0], :: steps[1], :: steps[2]]
    voxel_ml = ct.voxel_volume_ml * steps[0] * steps[1] * steps[2]
    if _enclosed_air_ml(hu, voxel_ml) > LUNGS_ML and _share_with_lungs(hu) >= CHEST_SLICES:
        return list(CHEST)
    return list(HEAD if _top_width_mm(hu, ct.spacing_mm[0] * steps[0]) < HEAD_MM else ABDOMEN)


def _enclosed_air_ml(hu: np.ndarray, voxel_ml: float) -> float:
    """The largest piece of air that does not reach the sides of the volume."""
    labels, count = ndimage.label(hu < AIR_HU)
    if not count:
        return 0.0
    outside = np.unique(np.concatenate([face.ravel() for face in (labels[0], labels[-1], labels[:, 0], labels[:, -1])]))
    sizes = np.bincount(labels.ravel())
    sizes[outside] = 0
    sizes[0] = 0
    return float(sizes.max()) * voxel_ml


def _share_with_lungs(hu: np.ndarray) -> float:
    """Share of the axial slices that cut the lungs."""
    nx, ny = hu.shape[:2]
    middle = hu[nx // 4 : 3 * nx // 4, ny // 4 : 3 * ny // 4]
    air = ((middle > LUNG_HU[0]) & (middle < LUNG_HU[1])).mean(axis=(0, 1))
    return float((air > LUNG_SHARE).mean())


def _top_width_mm(hu: np.ndarray, spacing_mm: float) -> float:
    """Left to right extent of the body over the uppermost quarter of the slices: the middle value."""
    top = hu[:, :, -max(1, hu.shape[2] // 4) :] > SOLID_HU
    widths = []
    for k in range(top.shape[2]):
        labels, count = ndimage.label(top[:, :, k])
        if count:
            body = np.bincount(labels.ravel())[1:].argmax() + 1
            columns = np.flatnonzero((labels == body).any(axis=1))
            widths.append((columns[-1] - columns[0] + 1) * spacing_mm)
    return float(np.median(widths)) if widths else 0.0
