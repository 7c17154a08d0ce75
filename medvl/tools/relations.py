"""How two structures lie to each other: direction, distance, contact, nearest; exact on their masks.

Directions are the patient's, from centre to centre in RAS mm. The distance of two structures is that between the
centres of their nearest voxels; two structures touch when a voxel of one shares a face with a voxel of the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..ct.masks import Mask
from .fact import Fact
from .looks.spots import middle
from .scene import Scene

# Centres that differ less than this along an axis are said to be level along it.
LEVEL_MM = 10.0
LINES, POINTS = 600, 80  # of ``between``
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
        slice: axial slice of the nearest voxel of the first mask, from 1 at the feet.
    """

    mm: float
    contact: int
    slice: int = field(default=0, compare=False)

    @property
    def overlap(self) -> bool:
        """Whether a voxel lies in both masks."""
        return self.mm == 0


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
    mine = _surface(a.block) + a.box.lo
    distance, _ = cKDTree((_surface(b.block) + b.box.lo) * spacing).query(mine * spacing)
    return Gap(float(distance.min()), contact, int(mine[distance.argmin()][2]) + 1)


def nearest(scene: Scene, structure: str, others: tuple[str, ...], way: str = "") -> list[tuple[str, Gap]]:
    """The other structures with a mask: those that touch, the longest contact first, then the others by distance.

    Args:
        scene: where they were found.
        structure: id.
        others: ids to choose from.
        way: one of ``WORDS``: only those whose centre lies on that side, and further to it than across it.
    """
    found = [(id, gap(scene, structure, id)) for id in others if id != structure and scene.mask(id) is not None]
    found = [(id, apart) for id, apart in found if not way or _lies(scene, id, structure, way)]
    return sorted(found, key=lambda pair: (-pair[1].contact, pair[1].mm))


def _lies(scene: Scene, id: str, structure: str, way: str) -> bool:
    """Whether a structure lies above, left of, ... another: its centre does, by at least ``LEVEL_MM``, and it is nearer
    to that direction than to any across it (a bone far to the side is not "above").
    """
    axis = next(n for n, words in enumerate(WORDS) if way in words)
    offset = offset_mm(scene, id, structure)
    along = offset[axis] * (1 if way == WORDS[axis][1] else -1)
    across = max(abs(v) for n, v in enumerate(offset) if n != axis)
    return along >= LEVEL_MM and along >= 0.7 * across


def distance(scene: Scene, a: str, b: str) -> tuple[Fact, ...]:
    """Between the nearest voxels, and from centre to centre."""
    centres = float(np.linalg.norm(offset_mm(scene, a, b)))
    way = gap(scene, a, b)
    return (
        Fact("distance_mm", way.mm, "mm", (a, b), slice=way.slice),
        Fact("centre_distance_mm", centres, "mm", (a, b)),
    )


def apart(scene: Scene, own: Mask, other: Mask | str) -> Fact:
    """Distance of a mask that is no structure's to another, or to a structure, between their nearest voxels."""
    mask = other if isinstance(other, Mask) else scene.mask(other)
    way = gap_between(own, mask, scene.ct.spacing_mm)
    about = () if isinstance(other, Mask) else (other,)
    note = "touching" if way.contact or way.overlap else ""
    return Fact("distance_mm", way.mm, "mm", about, note=note, slice=way.slice, mask_id=own.id)


def along(scene: Scene, mask: Mask, way: str) -> tuple[Fact, ...]:
    """Structures on the straight way from the middle of a mask to the outside of the scan, in the order met.

    Args:
        scene: where they were found.
        mask: where the way begins; what it passes of it is not told.
        way: of ``WORDS``.

    Returns:
        ``through_mm`` of each, how far the way runs inside it; the note of each is ``way``.
    """
    axis = next(n for n, words in enumerate(WORDS) if way in words)
    step = 1 if way == WORDS[axis][1] else -1
    at = list(middle(mask))
    met: dict[str, int] = {}
    while 0 <= at[axis] < scene.ct.shape[axis]:
        here = np.array([at])
        if not _inside(mask, here)[0]:
            for id in scene.present:
                if id != "body" and _inside(scene.mask(id), here)[0]:
                    met[id] = met.get(id, 0) + 1
        at[axis] += step
    mm = scene.ct.spacing_mm[axis]
    return tuple(Fact("through_mm", n * mm, "mm", (id,), note=way, mask_id=mask.id) for id, n in met.items())


def overlap(scene: Scene, a: Mask | str, b: Mask | str) -> tuple[Fact, ...]:
    """What two masks both hold, the volume of each, and their Dice coefficient (0 where they share nothing, 1 where
    they are the same).
    """
    masks = [one if isinstance(one, Mask) else scene.mask(one) for one in (a, b)]
    about = tuple(one for one in (a, b) if isinstance(one, str))
    own = next((one.id for one in (a, b) if isinstance(one, Mask)), "")
    shared = int((masks[0].region(masks[1].box) & masks[1].block).sum())
    ml = scene.ct.voxel_volume_ml
    dice = 2 * shared / (masks[0].voxels + masks[1].voxels)
    return (
        Fact("shared_ml", shared * ml, "mL", about, mask_id=own),
        Fact("dice", round(dice, 3), "", about, mask_id=own),
    )


def _surface(block: np.ndarray) -> np.ndarray:
    """Voxels ``(n, 3)`` of a block that have a face to its outside."""
    padded = np.pad(block, 1)
    inner = ndimage.binary_erosion(padded)[1:-1, 1:-1, 1:-1]
    return np.argwhere(block & ~inner)


def between(scene: Scene, a: str, b: str, others: tuple[str, ...]) -> list[tuple[str, float]]:
    """What lies between two structures: of straight lines from one to the other, the share that passes through each.

    Voxels of both are drawn evenly and joined at random with a fixed seed; of the lines the shortest third are kept,
    those between the sides that face each other. What is passed inside ``a`` or ``b`` does not count.

    Returns:
        Structures with their share, 0 to 1, the largest first; those that no line passes are left out.
    """
    there = tuple(id for id in others if id not in (a, b) and scene.mask(id) is not None)
    return scene.keep(("between", a, b, there), (a, b, *there), lambda: _between(scene, a, b, there))


def _between(scene: Scene, a: str, b: str, there: tuple[str, ...]) -> list[tuple[str, float]]:
    ends = [np.argwhere(scene.mask(id).block) + scene.mask(id).box.lo for id in (a, b)]
    random = np.random.default_rng(0)
    starts, stops = (points[random.integers(len(points), size=3 * LINES)] for points in ends)
    order = np.argsort(np.linalg.norm((starts - stops) * scene.ct.spacing_mm, axis=1), kind="stable")[:LINES]
    starts, stops = starts[order], stops[order]
    along = np.linspace(0.0, 1.0, POINTS)[None, :, None]
    points = np.rint(starts[:, None] * (1 - along) + stops[:, None] * along).astype(int)
    inside = [_inside(scene.mask(id), points) for id in (a, b)]
    free = ~(inside[0] | inside[1])
    shares = [(id, float((_inside(scene.mask(id), points) & free).any(axis=1).mean())) for id in there]
    return sorted([pair for pair in shares if pair[1] > 0], key=lambda pair: -pair[1])


def _inside(mask: Mask, points: np.ndarray) -> np.ndarray:
    """Which of points ``(..., 3)`` in voxels lie in a mask."""
    at = points - np.asarray(mask.box.lo)
    near = ((at >= 0) & (at < mask.block.shape)).all(axis=-1)
    found = np.zeros(points.shape[:-1], dtype=bool)
    found[near] = mask.block[tuple(at[near].T)]
    return found


def beside_line(scene: Scene, structure: str, a: str, b: str) -> tuple[float, float]:
    """Where the centre of a structure lies along the line from the centre of ``a`` (0) to that of ``b`` (1), and how
    far beside it in mm.
    """
    start = np.asarray(offset_mm(scene, a, structure))
    way = np.asarray(offset_mm(scene, b, a))
    along = float(-(start @ way) / (way @ way))
    return along, float(np.linalg.norm(start + along * way))
