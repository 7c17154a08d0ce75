"""How two structures lie to each other: direction, distance, contact, nearest; exact on their masks.

Directions are the patient's, from centre to centre in RAS mm. The distance of two structures is that between the
centres of their nearest voxels; two structures touch when a voxel of one shares a face with a voxel of the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..masks import Mask
from .contract import Fact
from .scene import Scene

# Centres that differ less than this along an axis are said to be level along it.
LEVEL_MM = 10.0
AXES = {"side": 0, "front": 1, "above": 2}
"""Axis of each relation along one axis of the body, RAS."""
WORDS = (("left", "right"), ("behind", "front"), ("below", "above"))
"""What it is called to have the smaller and the larger RAS coordinate, by axis."""


@dataclass(frozen=True)
class Gap:
    """Shortest way between two masks.

    Attributes:
        mm: between the centres of the nearest voxels.
        contact: voxels of the first mask that share a face with the second; 0 when they do not touch.
    """

    mm: float
    contact: int


def offset_mm(scene: Scene, a: str, b: str) -> tuple[float, float, float]:
    """Centre of ``a`` minus centre of ``b`` along R, A, S in mm."""
    at, to = scene.measure(a).centroid_ras_mm, scene.measure(b).centroid_ras_mm
    return tuple(float(p - q) for p, q in zip(at, to, strict=True))


def direction(scene: Scene, a: str, b: str) -> tuple[Fact, ...]:
    """Where the centre of ``a`` lies to that of ``b``: one fact an axis, the largest offset first.

    ``key`` is ``offset_side_mm``, ``offset_front_mm`` or ``offset_above_mm``; the value is the size of the offset and
    ``note`` its direction (``left``, ``right``, ``behind``, ``front``, ``below``, ``above``), "" below ``LEVEL_MM``.
    """
    facts = []
    for relation, axis in AXES.items():
        value = offset_mm(scene, a, b)[axis]
        way = "" if abs(value) < LEVEL_MM else WORDS[axis][int(value > 0)]
        facts.append(Fact(f"offset_{relation}_mm", abs(value), "mm", (a, b), note=way))
    return tuple(sorted(facts, key=lambda fact: -fact.value))


def gap(scene: Scene, a: str, b: str) -> Gap:
    """Shortest distance between two structures; see ``Gap``."""
    return scene.keep(("gap", a, b), (a, b), lambda: gap_between(scene.mask(a), scene.mask(b), scene.ct.spacing_mm))


def gap_between(a: Mask, b: Mask, spacing_mm: tuple[float, float, float]) -> Gap:
    """Shortest distance and contact of two masks that are not empty, on a grid with right angles."""
    grown = ndimage.binary_dilation(np.pad(b.block, 1))
    at = np.subtract(b.box.lo, 1)
    lo = np.maximum(a.box.lo, at)
    hi = np.minimum(a.box.hi, at + grown.shape)
    contact = 0
    if (lo < hi).all():
        mine = a.block[tuple(slice(l - o, h - o) for l, h, o in zip(lo, hi, a.box.lo, strict=True))]
        theirs = grown[tuple(slice(l - o, h - o) for l, h, o in zip(lo, hi, at, strict=True))]
        contact = int((mine & theirs).sum())
    spacing = np.asarray(spacing_mm)
    # The nearest voxels lie on the surfaces, so the insides need not be searched.
    distance, _ = cKDTree((_surface(b.block) + b.box.lo) * spacing).query((_surface(a.block) + a.box.lo) * spacing)
    return Gap(float(distance.min()), contact)


def nearest(scene: Scene, structure: str, others: tuple[str, ...]) -> list[tuple[str, Gap]]:
    """The other structures with a mask: those that touch, the longest contact first, then the others by distance."""
    found = [(id, gap(scene, structure, id)) for id in others if id != structure and scene.mask(id) is not None]
    return sorted(found, key=lambda pair: (-pair[1].contact, pair[1].mm))


def distance(scene: Scene, a: str, b: str) -> tuple[Fact, ...]:
    """Between the nearest voxels, and from centre to centre."""
    centres = float(np.linalg.norm(offset_mm(scene, a, b)))
    return (
        Fact("distance_mm", gap(scene, a, b).mm, "mm", (a, b)),
        Fact("centre_distance_mm", centres, "mm", (a, b)),
    )


def _surface(block: np.ndarray) -> np.ndarray:
    """Voxels ``(n, 3)`` of a block that have a face to its outside."""
    padded = np.pad(block, 1)
    inner = ndimage.binary_erosion(padded)[1:-1, 1:-1, 1:-1]
    return np.argwhere(block & ~inner)
