"""The aorta by segment: width where a section is round, even and free of neighbours, and calcium of the wall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ...vocabulary.numbers import show
from ..contrast import given
from ..scene import Scene
from ..vessels import Section, sections
from .sources import AGATSTON, ISSELBACHER, ROGERS, WANHAINEN
from .spots import Amount, Look, Rule, Spot, pieces, shifted, spot
from .thresholds import DEFAULT, Thresholds

SEGMENTS = ("ascending", "descending", "suprarenal", "infrarenal")
"""From the heart on. The arch is no segment: an axial section cuts it along."""

NEIGHBOURS = ("heart", "inferior_vena_cava", "vertebral_column", "esophagus", "trachea", "left_kidney", "duodenum")
HELPS = ("other_bone", "right_kidney", "left_kidney", "l2_vertebra", "t12_vertebra", "liver", *NEIGHBOURS)
"""What tells where a segment ends, and what may lie in its outline."""


@dataclass(frozen=True)
class Levels:
    """Axial slices that part the segments; None where the scan does not tell.

    Attributes:
        renal: where the renal arteries leave, about the disc between L1 and L2.
        hiatus: where the aorta passes the diaphragm, about the lower end of T12.
        source: what they were read from.
    """

    renal: int | None
    hiatus: int | None
    source: str = ""


def levels(scene: Scene) -> Levels:
    """Levels from L2 and T12 where single vertebrae are known, else from the kidneys: middle and upper end."""
    l2, t12 = scene.mask("l2_vertebra"), scene.mask("t12_vertebra")
    kidneys = [m for m in scene.masks("right_kidney", "left_kidney") if m.voxels * scene.ct.voxel_volume_ml > 30]
    renal = hiatus = None
    source = []
    if l2 is not None and l2.box.hi[2] < scene.ct.shape[2]:
        renal = l2.box.hi[2]
        source.append("L2")
    elif kidneys and not any("I" in scene.cut(id) for id in ("right_kidney", "left_kidney")):
        renal = round(float(np.mean([(m.box.lo[2] + m.box.hi[2]) / 2 for m in kidneys])))
        source.append("the middle of the kidneys")
    if t12 is not None and t12.box.lo[2] > 0:
        hiatus = t12.box.lo[2]
        source.append("T12")
    elif kidneys:
        hiatus = max(m.box.hi[2] for m in kidneys)
        source.append("the upper end of the kidneys")
    return Levels(renal, hiatus, " and ".join(source))


def segment_of(scene: Scene, section: Section, at: Levels) -> str:
    """Segment that a section lies in, "" where it cannot be told.

    Above the diaphragm a section well in front of the spine is of the ascending aorta, one beside it of the descending.
    """
    if at.renal is not None and section.k < at.renal:
        return "infrarenal"
    if at.hiatus is not None and section.k < at.hiatus:
        return "suprarenal" if at.renal is not None else ""
    spine = scene.mask("vertebral_column")
    chest = at.hiatus is not None or scene.mask("trachea") is not None or scene.mask("heart") is not None
    if spine is None or not chest or not spine.box.lo[2] <= section.k < spine.box.hi[2]:
        return ""
    plane = np.argwhere(spine.block[:, :, section.k - spine.box.lo[2]]) + spine.box.lo[:2]
    if not len(plane):
        return ""
    ends = np.array([[*plane[:, :2].mean(0), section.k], [plane[:, 0].mean(), plane[:, 1].max(), section.k]])
    front = scene.ct.ijk_to_ras_mm(ends)[1][1]
    return "ascending" if section.center_mm[1] - front > 35.0 else "descending"


def good_sections(scene: Scene, values: Thresholds = DEFAULT) -> tuple[list[Section], int]:
    """Sections of the aorta that may be measured, and how many were left out.

    A section is measured where it is round (``aorta_aspect``), fills its ellipse, is even inside, does not run into a
    neighbour, and has sections of about the same width above or below.
    """
    every = sections(scene, "aorta")
    mask = scene.mask("aorta")
    kept = []
    for section in every:
        if section.aspect > values.aorta_aspect or section.heart_border > values.aorta_border:
            continue
        plane, origin = _piece(scene, section)
        if plane is None:
            continue
        filled = section.area_mm2 / (np.pi / 4 * section.diameter_mm**2 * section.aspect)
        if not values.aorta_filled[0] <= filled <= values.aorta_filled[1]:
            continue
        if _against(scene, section, plane, origin) > values.aorta_border:
            continue
        inner = ndimage.binary_erosion(plane, iterations=2)
        hu = scene.ct.hu[:, :, section.k][tuple(slice(o, o + n) for o, n in zip(origin, plane.shape, strict=True))]
        if inner.sum() >= 9:
            body = hu[inner]
            body = body[body < np.median(body) + 150]  # calcium is no neighbour
            if body.std() > max(values.aorta_even_hu, values.aorta_even * _noise(scene)):
                continue
        kept.append(section)
    steady = []
    for section in kept:
        near = [
            s.diameter_mm
            for s in kept
            if s is not section
            and abs(s.k - section.k) * scene.ct.spacing_mm[2] <= max(12.0, 2.1 * scene.ct.spacing_mm[2])
            and np.hypot(*np.subtract(s.center_mm, section.center_mm)) < 15
        ]
        if (
            len(near) >= 2
            and abs(section.diameter_mm - float(np.median(near))) <= values.aorta_steady * section.diameter_mm
        ):
            steady.append(section)
    return steady, len(every) - len(steady) if mask is not None else 0


def _noise(scene: Scene) -> float:
    """Spread of HU in the aorta's core over the whole of it: half the gap between the 16th and the 84th percentile."""
    mask = scene.mask("aorta")

    def compute() -> float:
        hu = scene.ct.hu[mask.box.slices]
        found = []
        for k in range(0, mask.block.shape[2], max(1, mask.block.shape[2] // 20)):
            inner = ndimage.binary_erosion(mask.block[:, :, k], iterations=2)
            if inner.sum() >= 9:
                low, high = np.percentile(hu[:, :, k][inner], (16, 84))
                found.append((high - low) / 2)
        return float(np.median(found)) if found else 20.0

    return scene.keep(("aortic noise",), ("aorta",), compute)


def _piece(scene: Scene, section: Section) -> tuple[np.ndarray | None, tuple[int, int]]:
    """The connected piece of the aorta's plane that a section is, and the index of its corner."""
    mask = scene.mask("aorta")
    plane = mask.block[:, :, section.k - mask.box.lo[2]]
    labels, _ = ndimage.label(plane)
    at = scene.ct.ras_mm_to_ijk(np.array([*section.center_mm, 0.0]))[:2] - mask.box.lo[:2]
    points = np.argwhere(plane)
    if not len(points):
        return None, (0, 0)
    nearest = points[int(np.abs(points - at).sum(1).argmin())]
    return labels == labels[tuple(nearest)], (mask.box.lo[0], mask.box.lo[1])


def _against(scene: Scene, section: Section, plane: np.ndarray, origin: tuple[int, int]) -> float:
    """Largest share of the pixels just outside a section that one soft neighbour holds."""
    ring = ndimage.binary_dilation(np.pad(plane, 2), iterations=1) & ~np.pad(plane, 2)
    i, j = np.nonzero(ring)
    i, j = i + origin[0] - 2, j + origin[1] - 2
    good = (i >= 0) & (j >= 0) & (i < scene.ct.shape[0]) & (j < scene.ct.shape[1])
    i, j = i[good], j[good]
    most = 0.0
    for id in NEIGHBOURS:
        other = scene.mask(id)
        if other is None or id == "vertebral_column":
            continue
        if not other.box.lo[2] <= section.k < other.box.hi[2] or not len(i):
            continue
        on = other.slice(2, section.k)[i, j]
        most = max(most, float(on.mean()))
    return most


def widest(good: Sequence[Section]) -> Section | None:
    """The widest of some sections, as wide as the median of it and those beside it; None where there is none."""
    if not good:
        return None
    most = max(good, key=lambda s: s.diameter_mm)
    near = [
        s.diameter_mm
        for s in good
        if abs(s.k - most.k) <= 1 and np.hypot(*np.subtract(s.center_mm, most.center_mm)) < 15
    ]
    return replace(most, diameter_mm=float(np.median(near))) if len(near) > 1 else most


def widths(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Width across the aorta by segment, each against the threshold of that segment."""
    rules = (
        Rule("abdominal aneurysm from 30 mm on", WANHAINEN),
        Rule("ascending aorta: aneurysm from 45 mm on", ISSELBACHER),
        Rule(
            "means of men and women by CT: ascending 34.1 and 31.9 mm, descending 25.8 and 23.1 mm, infrarenal 19.3 "
            "and 16.7 mm; to the descending part no threshold is applied",
            ROGERS,
        ),
    )
    if scene.mask("aorta") is None:
        return Look("aorta_widths", None, "", rules=rules, limits=("the aorta was not found in this scan",))
    at = levels(scene)
    good, left = good_sections(scene, values)
    amounts: list[Amount] = []
    told, met = [], []
    for segment in SEGMENTS:
        mine = [s for s in good if segment_of(scene, s, at) == segment]
        if len(mine) < values.aorta_least:
            continue
        most = widest(mine)
        value = most.diameter_mm
        middle = float(np.median([s.diameter_mm for s in mine]))
        amounts.append(
            Amount("width_mm", value, "mm", ("aorta",), part=segment, slice=most.k + 1, note="at its widest")
        )
        amounts.append(Amount("median_width_mm", middle, "mm", ("aorta",), part=segment))
        told.append(f"{segment} {show(value, 'mm')} (slice {most.k + 1})")
        limit = {"ascending": values.ascending_mm, "descending": None}.get(segment, values.abdominal_mm)
        if limit is not None:
            amounts.append(Amount("threshold_mm", limit, "mm", ("aorta",), part=segment))
            if value >= limit:
                met.append(f"the {segment} part is at or above {limit:.0f} mm")
    limits = ["the arch and the root are not measured, since an axial section does not cut them across"]
    if left:
        limits.append(
            f"{left} of {left + len(good)} sections were left out: not round, not even, or against a neighbour"
        )
    missing = [s for s in SEGMENTS if not any(a.part == s for a in amounts)]
    if missing:
        limits.append(f"not in view, or nowhere fit to be measured: {', '.join(missing)}")
    if at.source:
        limits.append(f"the segments were parted by {at.source}")
    if not told and good:
        most = max(good, key=lambda s: s.diameter_mm)
        note = "which part this is cannot be told, so no threshold is applied"
        amounts.append(Amount("width_mm", most.diameter_mm, "mm", ("aorta",), slice=most.k + 1, note=note))
        text = f"the aorta is {show(most.diameter_mm, 'mm')} wide at its widest (slice {most.k + 1}); {note}"
        return Look("aorta_widths", False, text, (), tuple(amounts), rules, tuple(limits), "unclear")
    if not told:
        return Look("aorta_widths", None, "", rules=rules, limits=tuple(limits), sureness="unclear")
    text = f"the aorta at its widest: {', '.join(told)}" + (f"; {', '.join(met)}" if met else "")
    return Look("aorta_widths", bool(met), text, (), tuple(amounts), rules, tuple(limits))


def calcium(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Calcium of the wall by segment: mL, and a spot each.

    Without contrast from 130 HU and 1 square mm on; with contrast only what is far above the blood, told as a rule of
    this program.
    """
    mask = scene.mask("aorta")
    rules = [Rule("calcium from 130 HU and 1 square mm on, without contrast", AGATSTON)]
    if mask is None:
        return Look("aorta_calcium", None, "", rules=tuple(rules), limits=("the aorta was not found in this scan",))
    contrast = given(scene)
    limits = ["the scan is not gated, so no score is given"]
    blood = float(scene.core_hu("aorta"))
    level = values.stone_hu
    if contrast is not False:
        level = max(values.calcium_contrast_hu, blood + values.calcium_over_blood_hu)
        rules.append(Rule(f"with contrast: from {level:.0f} HU on, well above the blood's {blood:.0f} HU"))
        limits.append("with contrast, thin calcium is as bright as blood and is missed")
    box = mask.box
    hu = scene.ct.hu[box.slices]
    near = ndimage.binary_dilation(mask.block, structure=np.ones((3, 3, 1)))
    bright = near & (hu >= level)
    if contrast is not False:  # a vein full of contrast beside the aorta is no calcium of its wall
        labels, _ = ndimage.label(hu >= level, structure=np.ones((3, 3, 3)))
        sizes, own = (np.bincount(labels[on], minlength=labels.max() + 1) for on in (labels > 0, mask.block))
        bright &= (own >= 0.5 * np.maximum(sizes, 1))[labels]
    for id in ("vertebral_column", "left_ribs", "right_ribs", "sternum"):
        other = scene.mask(id)
        if other is not None and bright.any():
            apart = ndimage.distance_transform_edt(~other.region(box), sampling=scene.ct.spacing_mm)
            bright &= apart > values.calcium_bone_mm
    if scene.mask("other_bone") is not None:
        bright &= ~scene.mask("other_bone").region(box) | mask.block
    noise = _noise(scene)
    least = max(2, int(np.ceil(values.calcium_ml / scene.ct.voxel_volume_ml)), 3 if noise > 30 else 0)
    at = levels(scene)
    spots: list[Spot] = []
    every = sections(scene, "aorta")
    for inner, block in pieces(bright, least):
        made = spot(scene, shifted(inner, box.lo), block, "calcium", "likely" if contrast is False else "unclear",
                    "bone, clips and noise are as bright", "Calcium of the aorta", inside="aorta")  # fmt: skip
        spots.append(_with_segment(scene, made, every, at))
    amounts = []
    told = []
    for segment in (*SEGMENTS, ""):
        mine = [s for s in spots if s.place.part == segment]
        seen = segment and any(segment_of(scene, s, at) == segment for s in every)
        if not mine and not seen:
            continue
        volume = sum(s.volume_ml for s in mine)
        amounts.append(Amount("calcium_ml", volume, "mL", ("aorta",), part=segment))
        if volume:
            told.append(f"{show(volume, 'mL')} {segment or 'where the segment cannot be told'}")
    if not told:
        text = f"no calcium of at least {level:.0f} HU was seen in the wall of the aorta"
        return Look("aorta_calcium", False, text, (), tuple(amounts), tuple(rules), tuple(limits))
    text = f"calcium of the aorta: {', '.join(told)}"
    sureness = "likely" if contrast is False else "unclear"
    return Look("aorta_calcium", True, text, tuple(spots), tuple(amounts), tuple(rules), tuple(limits), sureness)


def _with_segment(scene: Scene, made: Spot, every: list[Section], at: Levels) -> Spot:
    """The spot with the segment of the section nearest to it."""
    x, y, _ = scene.ct.ijk_to_ras_mm(np.array(made.place.centre_ijk))

    def away(s: Section) -> float:
        return float(np.hypot(s.center_mm[0] - x, s.center_mm[1] - y) + abs(s.k - made.place.centre_ijk[2]) * 2)

    if not every:
        return made
    segment = segment_of(scene, min(every, key=away), at)
    return replace(made, place=replace(made.place, part=segment))
