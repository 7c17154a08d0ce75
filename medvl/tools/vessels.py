"""How wide a tube is across, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..ct.prompts import Box
from .scene import Scene, padded_box

# An ellipse longer than this times its width is a tube cut along (the arch) or two tubes at a fork: not measured.
MAX_ASPECT = 1.6
MIN_PIXELS = 9
# A section of the aorta that shares more of its border than this with the heart lies against it: there the outlines run
# into each other (aortic root, atria), and so do those of the pieces that it continues into at the same place.
MAX_HEART_BORDER = 0.1
SAME_PLACE_MM = 25.0


@dataclass(frozen=True)
class Section:
    """A tube in one axial slice.

    Attributes:
        k: slice.
        diameter_mm: width across: the minor axis of the ellipse with the section's second moments, which for a round
            tube cut obliquely is its true diameter.
        center_mm: RAS mm of its centre, ``(x, y)``.
        aspect: long over short axis.
        area_mm2: area.
        heart_border: share of the voxels just outside its border that belong to the heart.
    """

    k: int
    diameter_mm: float
    center_mm: tuple[float, float]
    aspect: float
    area_mm2: float
    heart_border: float = 0.0


def sections(scene: Scene, structure: str) -> list[Section]:
    """Every connected piece of a tube in every axial slice, without those cut along their length.

    Of the aorta also without those that lie against the heart, if the heart was looked for.
    """
    about = (structure, "heart") if structure == "aorta" else (structure,)
    return scene.keep(("sections", structure), about, lambda: _free_of_heart(scene, _sections(scene, structure)))


def against_heart(scene: Scene) -> bool:
    """Whether sections of the aorta were left out because they lie against the heart."""
    return scene.mask("aorta") is not None and len(sections(scene, "aorta")) < len(
        scene.keep(("all sections", "aorta"), ("aorta",), lambda: _sections(scene, "aorta"))
    )


def _free_of_heart(scene: Scene, found: list[Section]) -> list[Section]:
    touching = [s for s in found if s.heart_border > MAX_HEART_BORDER]
    if not touching:
        return found
    low, high = min(s.k for s in touching), max(s.k for s in touching)

    def near(section: Section) -> bool:
        return any(np.hypot(*np.subtract(section.center_mm, t.center_mm)) < SAME_PLACE_MM for t in touching)

    return [s for s in found if not (low <= s.k <= high and near(s))]


def widest(scene: Scene, structure: str, low: int = 0, high: int | None = None) -> Section | None:
    """The widest section between two slices, ``low`` included and ``high`` not.

    A slice counts with the median over itself and the sections next to it along the tube, so that one bad outline
    does not make an aneurysm.
    """
    every = sections(scene, structure)
    chosen = [s for s in every if s.k >= low and (high is None or s.k < high)]
    best: Section | None = None
    for section in chosen:
        near = [
            s.diameter_mm
            for s in every
            if abs(s.k - section.k) <= 1 and np.hypot(*np.subtract(s.center_mm, section.center_mm)) < 12
        ]
        if len(near) < 2:
            continue
        value = float(np.median(near))
        if best is None or value > best.diameter_mm:
            best = Section(section.k, value, section.center_mm, section.aspect, section.area_mm2)
    return best


def _sections(scene: Scene, structure: str) -> list[Section]:
    mask = scene.mask(structure)
    if mask is None:
        return []
    spacing = np.asarray(scene.ct.spacing_mm[:2])
    heart = scene.mask("heart") if structure == "aorta" else None
    wide = padded_box(mask, 1)
    hearts = heart.region(wide) if heart is not None else None
    found = []
    for k in range(mask.block.shape[2]):
        plane = mask.block[:, :, k]
        labels, count = ndimage.label(plane)
        for n in range(1, count + 1):
            points = np.argwhere(labels == n)
            if len(points) < MIN_PIXELS:
                continue
            mm = points * spacing
            # a pixel is a square with a spread of its own
            spread = np.cov(mm.T, bias=True) + np.diag(spacing**2) / 12
            short, long = np.sqrt(np.linalg.eigvalsh(spread))
            aspect = float(long / short)
            if aspect > MAX_ASPECT:
                continue
            index = [*(points.mean(axis=0) + mask.box.lo[:2]), mask.box.lo[2] + k]
            x, y, _ = scene.ct.ijk_to_ras_mm(np.asarray(index))
            area = len(points) * float(spacing.prod())
            border = _border_in(hearts, wide, labels == n, mask.box.lo, k) if hearts is not None else 0.0
            found.append(Section(mask.box.lo[2] + k, float(4 * short), (float(x), float(y)), aspect, area, border))
    return found


def _border_in(other: np.ndarray, wide: Box, piece: np.ndarray, lo: tuple[int, ...], k: int) -> float:
    """Share of the pixels just outside a piece of a section that belong to another structure, given on ``wide``."""
    plane = other[:, :, k + lo[2] - wide.lo[2]]
    placed = np.zeros(plane.shape, dtype=bool)
    at = [low - first for low, first in zip(lo[:2], wide.lo[:2], strict=True)]
    placed[at[0] : at[0] + piece.shape[0], at[1] : at[1] + piece.shape[1]] = piece
    ring = ndimage.binary_dilation(placed) & ~placed
    return float(plane[ring].mean()) if ring.any() else 0.0
