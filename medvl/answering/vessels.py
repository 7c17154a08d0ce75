"""How wide a tube is across, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .scene import Scene

# An ellipse longer than this times its width is a tube cut along (the arch) or two tubes at a fork: not measured.
MAX_ASPECT = 1.6
MIN_PIXELS = 9


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
    """

    k: int
    diameter_mm: float
    center_mm: tuple[float, float]
    aspect: float
    area_mm2: float


def sections(scene: Scene, structure: str) -> list[Section]:
    """Every connected piece of a tube in every axial slice, without those cut along their length."""
    return scene.keep(("sections", structure), (structure,), lambda: _sections(scene, structure))


def widest(scene: Scene, structure: str, low: int = 0, high: int | None = None) -> Section | None:
    """The widest section between two slices, ``low`` included and ``high`` not.

    A slice counts with the median over itself and the sections next to it along the tube, so that one bad outline
    does not make an aneurysm.
    """
    chosen = [s for s in sections(scene, structure) if s.k >= low and (high is None or s.k < high)]
    best: Section | None = None
    for section in chosen:
        near = [
            s.diameter_mm
            for s in chosen
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
            found.append(Section(mask.box.lo[2] + k, float(4 * short), (float(x), float(y)), aspect, area))
    return found
