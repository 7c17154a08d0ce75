"""A synthetic torso: vertebrae of known heights in a curve, ribs or transverse processes, and a sacrum with wings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medvl.ct.geometry import SourceGeometry
from medvl.ct.prompts import Box
from medvl.ct.volume import CTVolume

SPACING = (2.0, 2.0, 2.0)
SHAPE = (80, 70, 190)
RADIUS_MM, DISC_MM = 14.0, 6.0
RIBS_MM, PROCESSES_MM = 70.0, 34.0


@dataclass(frozen=True)
class SpinePhantom:
    """A scan and what is known of it.

    Attributes:
        ct: the scan.
        column: bool ``SHAPE``: vertebrae, discs and sacrum.
        bone: bool: the column, ribs, and wings of the sacrum.
        owner: int ``SHAPE``: 1 + number of the vertebra from below; 0 elsewhere.
        discs_mm: height of each disc's middle above the lower end of the scan, from below.
    """

    ct: CTVolume
    column: np.ndarray
    bone: np.ndarray
    owner: np.ndarray
    discs_mm: tuple[float, ...]

    @property
    def box(self) -> Box:
        """The whole grid."""
        return Box((0, 0, 0), SHAPE)


def spine_phantom(reach: str, sacrum_mm: float = 0.0, begin_mm: float = 0.0, bend_mm: float = 12.0) -> SpinePhantom:
    """Build one.

    Args:
        reach: one letter a vertebra from below: "r" bears ribs, "p" has transverse processes, "s" short ribs.
        sacrum_mm: how much of a sacrum is seen at the lower end; 0: none, the lowest vertebra begins at ``begin_mm``.
        begin_mm: where it begins; negative: the scan cuts it.
        bend_mm: how far the spine curves forward.
    """
    x, y, z = (axis * s for axis, s in zip(np.indices(SHAPE), SPACING, strict=True))
    bow = 60 + bend_mm * np.sin(z / 120)
    aside, front = x - 80.0, y - bow
    away = np.hypot(aside, front)
    hu = np.where((np.abs(aside) < 76) & (np.abs(y - 65) < 60), 40, -1000)
    column, bone = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    owner = np.zeros(SHAPE, int)
    low = sacrum_mm or begin_mm
    discs = [low] if sacrum_mm else []
    if sacrum_mm:
        below = z < low - DISC_MM / 2
        wings = below & (np.abs(aside) < 50) & (np.abs(front) < RADIUS_MM)
        column |= below & (away < RADIUS_MM)
        bone |= wings
        hu[wings] = 180
    for n, kind in enumerate(reach):
        high = low + 30.0 - 1.0 * n
        here = (z >= low) & (z < high)
        inner = (z >= low + DISC_MM / 2) & (z < high - DISC_MM / 2)
        body = inner & (away < RADIUS_MM)
        ends = body & ((z < low + DISC_MM / 2 + 3) | (z >= high - DISC_MM / 2 - 3))
        hu[here & (away < RADIUS_MM)] = 80
        hu[body] = 170
        hu[ends | (body & (away > RADIUS_MM - 2.5))] = 450
        share = (z - low) / (high - low)
        pedicle = (share > 0.45) & (share < 0.85) & (np.abs(np.abs(aside) - 10) < 4) & (front < -9) & (front > -26)
        spinous = (share > 0.3) & (share < 0.8) & (np.abs(aside) < 4) & (front < -26) & (front > -44)
        lamina = (share > 0.45) & (share < 0.8) & (np.abs(aside) < 14) & (front < -24) & (front > -30)
        arch = pedicle | spinous | lamina
        hu[arch] = 350
        column |= (here & (away < RADIUS_MM)) | arch
        owner[body | arch] = n + 1
        out = {"r": RIBS_MM, "s": 45.0, "p": PROCESSES_MM}[kind]
        rib = (np.abs(share - 0.6) < 0.16) & (np.abs(aside) > 12) & (np.abs(aside) < out) & (np.abs(front + 22) < 4)
        hu[rib] = 350
        bone |= rib
        discs.append(high)
        low = high
    hu = hu + np.random.default_rng(0).normal(0, 10, SHAPE)
    affine = np.diag([*SPACING, 1.0])
    ct = CTVolume(hu.astype(np.int16), affine, SourceGeometry(SHAPE, affine))
    return SpinePhantom(ct, column, bone | column, owner, tuple(d for d in discs if d < SHAPE[2] * SPACING[2]))
