"""What a look gives: spots with a mask each, amounts, the thresholds behind them, and what limits them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from ...ct.masks import Mask
from ...ct.prompts import Box
from ..scene import Scene, padded_box

Sureness = Literal["clear", "likely", "unclear"]
"""How sure a look is on this scan: ``clear``: hardly anything else looks like it; ``likely``: something else may, and
``why`` says what; ``unclear``: look at it before it is used."""

NEAR_MM = 60.0  # a spot farther than this from every structure is near none
# Where a spot lies in several structures at once, the narrower one is told.
_WIDE = ("body", "other_bone", "vertebral_column", "right_lung", "left_lung")


@dataclass(frozen=True)
class Place:
    """Where a spot lies.

    Attributes:
        structure: id of the structure that holds most of it; "" where no known structure does.
        side: of the patient, ``"left"``, ``"right"`` or ``"midline"``.
        slice: axial slice of its largest section, counted from 1 at the feet as in the viewer.
        centre_ijk: a voxel of it near its middle, canonical, from 0: where a crosshair goes.
        near: where ``structure`` is "", the nearest one; else "".
        near_mm: how far that is.
        part: of the structure, for instance ``"upper third"`` or ``"infrarenal"``; else "".
    """

    structure: str
    side: str
    slice: int
    centre_ijk: tuple[int, int, int]
    near: str = ""
    near_mm: float = 0.0
    part: str = ""


@dataclass(frozen=True)
class Spot:
    """A connected place in the scan that stands out.

    Attributes:
        mask: on the grid of the CT, without an id: it becomes one of the case when a person keeps it.
        kind: ``bright``, ``dark``, ``gas``, ``fluid``, ``metal``, ``calcium``, ``fat`` or ``solid``.
        volume_ml: voxels times the volume of one.
        mean_hu: mean of its voxels.
        max_hu: highest.
        min_hu: lowest.
        longest_mm: longest diameter in the axial slice of its largest section, voxel edges included.
        short_mm: width across that, in the same slice.
        place: where it lies.
        sureness: see ``Sureness``.
        why: what the sureness rests on, or what else it may be.
        contrast_hu: its mean minus the median of what surrounds it; None where it was not compared.
    """

    mask: Mask
    kind: str
    volume_ml: float
    mean_hu: float
    max_hu: int
    min_hu: int
    longest_mm: float
    short_mm: float
    place: Place
    sureness: Sureness
    why: str = ""
    contrast_hu: float | None = None


@dataclass(frozen=True)
class Amount:
    """One value that a look measured.

    Attributes:
        key: what it is, for instance ``fluid_ml`` or ``width_mm``.
        value: None where the scan does not allow it, ``note`` says why.
        unit: ``"mL"``, ``"HU"``, ``"mm"``, ``"cm²"``, ``"%"`` or "".
        about: ids of the structures it is about.
        side: ``"left"``, ``"right"`` or "".
        part: of the structure, for instance ``"infrarenal"``; else "".
        at_least: whether it is a lower bound, for instance since the scan ends there.
        note: limits of the value.
        slice: axial slice it was measured in, from 1 at the feet; None where it is of a volume.
    """

    key: str
    value: float | int | str | None
    unit: str = ""
    about: tuple[str, ...] = ()
    side: str = ""
    part: str = ""
    at_least: bool = False
    note: str = ""
    slice: int | None = None


@dataclass(frozen=True)
class Rule:
    """A threshold that a look uses.

    Attributes:
        says: the threshold in words.
        source: its publication; "" where it is a rule of this program.
    """

    says: str
    source: str = ""


@dataclass(frozen=True)
class Look:
    """What looking gave.

    Attributes:
        what: id of the look.
        seen: whether anything was found; None where the scan does not allow to say.
        told: what was seen in a sentence without its full stop; never a diagnosis.
        spots: what was found, the most telling first.
        amounts: what was measured.
        rules: thresholds with their sources.
        limits: what was not looked at, or what may deceive, each a sentence without its full stop.
        sureness: of the look as a whole on this scan.
    """

    what: str
    seen: bool | None
    told: str
    spots: tuple[Spot, ...] = ()
    amounts: tuple[Amount, ...] = ()
    rules: tuple[Rule, ...] = ()
    limits: tuple[str, ...] = ()
    sureness: Sureness = "likely"

    def amount(self, key: str, side: str = "", part: str = "") -> Amount | None:
        """The amount of that key, side and part; None where there is none."""
        return next((a for a in self.amounts if (a.key, a.side, a.part) == (key, side, part)), None)


def spot(
    scene: Scene,
    box: Box,
    block: np.ndarray,
    kind: str,
    sureness: Sureness,
    why: str = "",
    name: str = "",
    inside: str = "",
    part: str = "",
    contrast_hu: float | None = None,
    candidates: Iterable[str] | None = None,
) -> Spot:
    """Measure one spot.

    Args:
        scene: the CT and what is known in it.
        box: half-open, on the grid of the CT.
        block: bool voxels inside ``box``, at least one set.
        kind: see ``Spot``.
        sureness: see ``Sureness``.
        why: see ``Spot``.
        name: of the mask; its kind if not given.
        inside: id of the structure it was looked for in, where that is known.
        part: see ``Place``.
        contrast_hu: see ``Spot``.
        candidates: ids of structures that it may lie in or near; all present if not given.
    """
    mask = Mask.from_block(scene.ct.shape, box, block, id="", name=name or f"{kind.capitalize()} spot")
    hu = scene.ct.hu[mask.box.slices][mask.block]
    index, longest, short = axial_size(mask, scene.ct.spacing_mm)
    centre = middle(mask)
    near, near_mm = "", 0.0
    if not inside:
        ids = tuple(candidates) if candidates is not None else scene.present
        inside = holder(scene, mask, ids)
        if not inside:
            near, near_mm = nearest(scene, mask, ids)
    x = float(scene.ct.ijk_to_ras_mm(np.array(centre))[0]) - scene.midline_mm
    side = "midline" if abs(x) < 10 else "right" if x > 0 else "left"
    place = Place(inside, side, index + 1, centre, near, near_mm, part)
    return Spot(
        mask, kind, mask.voxels * scene.ct.voxel_volume_ml, float(hu.mean()), int(hu.max()), int(hu.min()),
        longest, short, place, sureness, why, contrast_hu,
    )  # fmt: skip


def axial_size(mask: Mask, spacing_mm: tuple[float, ...]) -> tuple[int, float, float]:
    """Axial slice of the largest section, and its longest diameter and the width across that, in mm.

    Measured from voxel edge to voxel edge, so that one voxel is as wide as it is.
    """
    k = int(mask.block.sum(axis=(0, 1)).argmax())
    plane = mask.block[:, :, k]
    points = np.argwhere(plane & ~ndimage.binary_erosion(plane)).astype(float)
    corners = np.array([(a, b) for a in (-0.5, 0.5) for b in (-0.5, 0.5)])
    mm = (points[:, None] + corners).reshape(-1, 2) * spacing_mm[:2]
    try:
        mm = mm[ConvexHull(mm).vertices]
    except QhullError:  # cannot be, since the corners of a pixel span a plane; but a spacing of 0 would
        return mask.box.lo[2] + k, 0.0, 0.0
    apart = cdist(mm, mm)
    a, b = np.unravel_index(int(apart.argmax()), apart.shape)
    along = (mm[b] - mm[a]) / max(float(apart[a, b]), 1e-9)
    across = mm @ np.array([-along[1], along[0]])
    return mask.box.lo[2] + k, float(apart[a, b]), float(across.max() - across.min())


def middle(mask: Mask) -> tuple[int, int, int]:
    """The voxel farthest inside the largest axial section: a place inside, also of a crescent."""
    k = int(mask.block.sum(axis=(0, 1)).argmax())
    depth = ndimage.distance_transform_edt(np.pad(mask.block[:, :, k], 1))[1:-1, 1:-1]
    i, j = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(i) + mask.box.lo[0], int(j) + mask.box.lo[1], mask.box.lo[2] + k


def holder(scene: Scene, mask: Mask, ids: Iterable[str], share: float = 0.4) -> str:
    """Structure that holds at least ``share`` of a mask, the narrowest of them; "" where none does."""
    best, most = "", (False, 0.0)
    for id in ids:
        other = scene.mask(id)
        if id == "body" or other is None or not _overlap(mask.box, other.box):
            continue
        held = float((other.region(mask.box) & mask.block).sum()) / mask.voxels
        if held >= share and (id not in _WIDE, held) > most:
            best, most = id, (id not in _WIDE, held)
    return best


def nearest(scene: Scene, mask: Mask, ids: Iterable[str]) -> tuple[str, float]:
    """Structure nearest to a mask and its distance in mm; ``("", 0.0)`` where none is within ``NEAR_MM``."""
    spacing = np.asarray(scene.ct.spacing_mm)
    points = np.argwhere(mask.block & ~ndimage.binary_erosion(mask.block)) + mask.box.lo
    points = points[:: max(1, len(points) // 300)] * spacing
    best, least = "", NEAR_MM
    for id in ids:
        other = scene.mask(id)
        if id == "body" or other is None:
            continue
        lo, hi = np.asarray(other.box.lo) * spacing, np.asarray(other.box.hi) * spacing
        gap = np.maximum(np.maximum(lo - points.max(0), points.min(0) - hi), 0)
        if np.linalg.norm(gap) >= least:
            continue
        edge = np.argwhere(other.block & ~ndimage.binary_erosion(other.block)) + other.box.lo
        edge = edge[:: max(1, len(edge) // 4000)] * spacing
        apart = float(cdist(points, edge).min())
        if apart < least:
            best, least = id, apart
    return best, (least if best else 0.0)


def pieces(block: np.ndarray, least_voxels: int = 1) -> list[tuple[Box, np.ndarray]]:
    """Connected pieces (26 neighbours) of a bool block with their boxes inside it, the largest first."""
    labels, _ = ndimage.label(block, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    where = ndimage.find_objects(labels)
    found = []
    for n in np.argsort(-sizes, kind="stable"):
        if sizes[n] < max(1, least_voxels):
            break
        span = where[n - 1]
        box = Box(tuple(s.start for s in span), tuple(s.stop for s in span))
        found.append((box, labels[span] == n))
    return found


def shifted(box: Box, by: tuple[int, ...]) -> Box:
    """A box moved by a corner."""
    return Box(
        tuple(int(l + b) for l, b in zip(box.lo, by, strict=True)),
        tuple(int(h + b) for h, b in zip(box.hi, by, strict=True)),
    )


def margin_box(mask: Mask, mm: float, spacing_mm: tuple[float, ...]) -> Box:
    """Box of a mask widened by ``mm`` on all sides, within the grid."""
    lo = tuple(max(0, l - int(np.ceil(mm / s))) for l, s in zip(mask.box.lo, spacing_mm, strict=True))
    hi = tuple(min(n, h + int(np.ceil(mm / s))) for n, h, s in zip(mask.shape, mask.box.hi, spacing_mm, strict=True))
    return Box(lo, hi)


def around(scene: Scene, one: Mask, mm: float = 6.0) -> np.ndarray:
    """HU of the voxels just outside a mask: more than a voxel and at most ``mm`` away."""
    box = margin_box(one, mm, scene.ct.spacing_mm)
    away = ndimage.distance_transform_edt(~one.region(box), sampling=scene.ct.spacing_mm)
    return scene.ct.hu[box.slices][(away > max(scene.ct.spacing_mm)) & (away <= mm)]


def _overlap(a: Box, b: Box) -> bool:
    return all(
        l < h
        for l, h in zip(map(max, zip(a.lo, b.lo, strict=True)), map(min, zip(a.hi, b.hi, strict=True)), strict=True)
    )


__all__ = ["Amount", "Look", "Place", "Rule", "Spot", "Sureness", "padded_box", "spot"]
