"""Trabecular attenuation of the vertebrae."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..contrast import given
from ..fact import Fact, shown
from ..scene import Scene
from .base import Finding, Outcome

_PICKHARDT = (
    "Pickhardt PJ, Pooler BD, Lauder T, et al. Ann Intern Med 2013;158:588-595: L1 trabecular attenuation of 160 HU or "
    "less (sensitive) and 110 HU or less (specific) for osteoporosis"
)
LOW_HU, NORMAL_HU = 110, 160
# The core of a vertebral body: a circle of this share of the largest circle in the body's section.
CORE_SHARE = 0.6
# A section through the middle of a body has a bright rim of cortical bone; one through a disc has not.
RIM_HU = 40
MIN_RADIUS_MM = 9.0
LEAST_OF_ONE = 2  # slices through one vertebra; 5 mm slices leave that many without its endplates


L1 = "l1_vertebra"


def bone_density(scene: Scene) -> Outcome:
    """Median HU of trabecular bone of L1; low at 110 HU or less, unclear up to 160 HU.

    Pickhardt PJ, Pooler BD, Lauder T, et al. Ann Intern Med 2013;158:588-595, for L1, where 160 HU was sensitive and
    110 HU specific for osteoporosis. Where the scan does not tell which vertebra is L1, those in the slices of the
    kidneys, about T12 to L3, are measured, and without kidneys those in the slices of the liver.
    """
    measured = _of_l1(scene) or _beside_organs(scene)
    if isinstance(measured, Outcome):
        return measured
    value, about, where, limits = measured
    hu = Fact("trabecular_hu", value, "HU", about, reference=_PICKHARDT)
    told = f"trabecular bone in the {where} has a median of {shown(hu)}"
    contrast = given(scene)
    if contrast:
        limits.append("contrast raises the value a little, and the thresholds are those of mostly unenhanced scans")
    elif contrast is None:
        limits.append("whether contrast was given could not be told")
    if where.endswith("liver"):
        limits.append("the thresholds are those of L1, and vertebrae higher up are denser, so they are not applied")
        return Outcome("measured", (hu,), told, limits=tuple(limits))
    if value <= LOW_HU:
        meaning = "this is at or below 110 HU, the published specific threshold for osteoporosis"
        return Outcome("met", (hu,), told, meaning, tuple(limits), "trabecular bone at or below 110 HU")
    if value <= NORMAL_HU:
        meaning = "this lies between 110 and 160 HU, where low bone density is possible"
        return Outcome("borderline", (hu,), told, meaning, tuple(limits), "trabecular bone between 110 and 160 HU")
    return Outcome("not met", (hu,), told, "this is above 160 HU, the published sensitive threshold", tuple(limits))


def _of_l1(scene: Scene) -> tuple[float, tuple[str, ...], str, list[str]] | None:
    """Value, structures, place and limits where L1 is known and wholly in view; else None."""
    mask = scene.mask(L1)
    if mask is None or set(scene.cut(L1)) & {"I", "S"}:
        return None
    value = scene.keep(
        ("trabecular", L1), (L1,), lambda: trabecular_hu(scene, mask.box.lo[2], mask.box.hi[2], L1, LEAST_OF_ONE)
    )
    note = scene.found(L1).note
    return None if value is None else (value, (L1,), "L1 vertebra", [f"L1 is {note}"] if note else [])


def _beside_organs(scene: Scene) -> tuple[float, tuple[str, ...], str, list[str]] | Outcome:
    """The same of the vertebrae beside the kidneys or the liver, or why there is no value."""
    organs = [m for m in scene.masks("right_kidney", "left_kidney")] or scene.masks("liver")
    level = "kidneys" if scene.masks("right_kidney", "left_kidney") else "liver"
    if not organs:
        limit = "neither kidneys nor liver show which vertebrae these are, so bone density is not judged"
        return Outcome("not assessable", limits=(limit,))
    low, high = min(m.box.lo[2] for m in organs), max(m.box.hi[2] for m in organs)
    about = ("vertebral_column",)
    value = scene.keep(("trabecular", low, high), about, lambda: trabecular_hu(scene, low, high))
    if value is None:
        limit = "no vertebral body could be measured at the level of the organs that mark the place"
        return Outcome("not assessable", limits=(limit,))
    found = scene.found(L1)
    why = f", since {found.note}" if scene.mask(L1) is None and found is not None and found.note else ""
    limits = [f"L1 could not be measured by itself{why}, so this is not exactly L1"]
    return value, about, f"vertebrae at the level of the {level}", limits


def trabecular_hu(
    scene: Scene, low: int, high: int, structure: str = "vertebral_column", least: int = 3
) -> float | None:
    """Median over the slices from ``low`` to before ``high`` of the core of the vertebral body.

    In each slice the body is the largest circle that fits into the vertebra; the core is the circle of the same centre
    with 0.6 of its radius. Slices without a bright rim round the core (discs) are left out; with fewer than ``least``
    there is no value.
    """
    mask = scene.mask(structure)
    spacing = scene.ct.spacing_mm[:2]
    found = []
    for k in range(max(low, mask.box.lo[2]), min(high, mask.box.hi[2])):
        plane = np.pad(mask.block[:, :, k - mask.box.lo[2]], 1)
        inside = ndimage.distance_transform_edt(plane, sampling=spacing)
        radius = float(inside.max())
        if radius < MIN_RADIUS_MM:
            continue
        hu = np.pad(scene.ct.hu[mask.box.slices[:2]][:, :, k], 1)
        centre = np.unravel_index(int(inside.argmax()), inside.shape)
        rows, columns = (np.arange(n) - c for n, c in zip(plane.shape, centre, strict=True))
        away = np.hypot(rows[:, None] * spacing[0], columns[None, :] * spacing[1])
        inner = hu[away <= CORE_SHARE * radius]
        rim = hu[plane & (away <= 1.3 * radius) & (away > 0.75 * radius)]
        value = float(np.median(inner))
        if rim.size and inner.size >= 5 and np.percentile(rim, 75) - value > RIM_HU:
            found.append(value)
    return float(np.median(found)) if len(found) >= least else None


FINDINGS = (
    Finding(
        "bone_density",
        "Trabecular bone of the spine",
        ("vertebral_column",),
        ("right_kidney", "left_kidney", "liver", "aorta", L1),
        _PICKHARDT,
        bone_density,
    ),
)
