"""Lungs and heart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ct.masks import Mask
from ...ct.volume import CTVolume
from ...vocabulary.spoken import all_the, listing, the
from ..fact import Fact, shown
from ..facts import AT_LEAST
from ..looks import LOOKS, look_in
from ..looks.sources import ABRAMOWITZ
from ..scene import Scene
from .base import Finding, Outcome, seen_as

_GEVENOIS = (
    "Gevenois PA, De Vuyst P, de Maertelaer V, et al. Am J Respir Crit Care Med 1996;154:187-192: lung below -950 HU; "
    "Lowe KE, Regan EA, Anzueto A, et al. Chronic Obstr Pulm Dis 2019;6:384-399 (COPDGene): emphysema on CT from 5% on"
)
_DANZER = (
    "Danzer CS. Am J Med Sci 1919;157:513-521: width of the heart above 0.5 of the chest's, on an upright chest "
    "radiograph"
)
LUNGS = ("right_lung", "left_lung")
EMPHYSEMA_HU = -950
EMPHYSEMA_PERCENT = 5.0
# The index was set up on sections of 1 mm; thicker ones average holes away. Beyond this it is only told, not judged.
MAX_SLICE_MM = 3.0


def emphysema(scene: Scene) -> Outcome:
    """Share of the lung below -950 HU; from 5% on, emphysema on CT in COPDGene.

    Gevenois PA, De Vuyst P, de Maertelaer V, et al. Am J Respir Crit Care Med 1996;154:187-192 (threshold in HU, thin
    sections in full inspiration). Lowe KE, Regan EA, Anzueto A, et al. Chronic Obstr Pulm Dis 2019;6:384-399 (5%).
    """
    there = tuple(id for id in LUNGS if scene.mask(id) is not None)
    low = total = 0
    for id in there:
        mask = scene.mask(id)
        hu = scene.ct.hu[mask.box.slices][mask.block]
        low += int((hu < EMPHYSEMA_HU).sum())
        total += hu.size
    index = Fact("laa950_percent", 100.0 * low / total, "%", there, reference=_GEVENOIS)
    volume = Fact("volume_ml", total * scene.ct.voxel_volume_ml, "mL", there)
    told = f"of {all_the(there)}, {shown(index)} lies below -950 HU (emphysema index, over {shown(volume)} of lung)"
    each = []
    if len(there) > 1:
        for id in there:
            mask = scene.mask(id)
            share = 100.0 * float((scene.ct.hu[mask.box.slices][mask.block] < EMPHYSEMA_HU).mean())
            each.append(Fact("laa950_percent", share, "%", (id,), reference=_GEVENOIS))
        told += f": {listing([f'{shown(fact)} of {the(fact.structures[0])}' for fact in each])}"
    limits = []
    missing = [id for id in LUNGS if id not in there]
    if missing:
        limits.append(f"{all_the(missing)} was not found")
    if any(set(scene.cut(id)) & {"I", "S"} for id in there):
        limits.append("the scan holds only a part of the lungs")
    if scene.ct.spacing_mm[2] > MAX_SLICE_MM:
        spacing = Fact("spacing_z_mm", round(scene.ct.spacing_mm[2], 3), "mm", source="scan")
        limits.append(f"slices every {shown(spacing)} are too thick for the index")
        return _unjudged(index, (index, volume, *each, spacing), told, limits)
    if limits:
        return _unjudged(index, (index, volume, *each), told, limits)
    unsure = ("noise, a sharp kernel or shallow breath change the index, and the file does not tell them",)
    if index.value >= EMPHYSEMA_PERCENT:
        meaning = "this is at or above 5%, the published limit for emphysema on CT"
        return Outcome("met", (index, volume, *each), told, meaning, unsure, "emphysema index at or above 5%")
    meaning = "this is below 5%, the published limit for emphysema on CT"
    return Outcome("not met", (index, volume, *each), told, meaning, unsure)


def _unjudged(index: Fact, facts: tuple[Fact, ...], told: str, limits: list[str]) -> Outcome:
    return Outcome("measured", facts, told, limits=(f"emphysema is not judged from it, since {listing(limits)}",))


def pleural_effusion(scene: Scene) -> Outcome:
    """What lies between lung and chest wall at the density of fluid; see ``looks.fluid``. No effusion is diagnosed."""
    return seen_as(look_in("pleural_fluid", scene), "fluid density between lung and chest wall")


def widest_slice(ct: CTVolume, masks: Sequence[Mask]) -> tuple[float, int]:
    """Greatest extent of masks together from side to side in one axial slice, in mm, and that slice, from 1."""
    ends: dict[int, list[int]] = {}
    for mask in masks:
        for k in range(mask.block.shape[2]):
            columns = np.flatnonzero(mask.block[:, :, k].any(axis=1)) + mask.box.lo[0]
            if columns.size:
                ends.setdefault(mask.box.lo[2] + k, []).extend((int(columns[0]), int(columns[-1])))
    at = max(ends, key=lambda k: max(ends[k]) - min(ends[k]))
    return (max(ends[at]) - min(ends[at]) + 1) * ct.spacing_mm[0], at + 1


def cardiomegaly(scene: Scene) -> Outcome:
    """Cardiothoracic ratio on CT against 0.5, the limit of the upright chest radiograph.

    Danzer CS. Am J Med Sci 1919;157:513-521. Width of the heart over the outer width of both lungs. A CT lying down,
    at any phase of breath, gives another ratio than a radiograph, so what is above the limit is called borderline.
    """
    across, at = widest_slice(scene.ct, scene.masks("heart"))
    heart = Fact("heart_width_mm", across, "mm", ("heart",), slice=at)
    told = f"the heart is {shown(heart)} wide in slice {at}"
    seen_at = Fact("slice", at, "", ("heart",))
    cut = scene.cut("heart")
    if cut:
        least = Fact(heart.key, heart.value, "mm", ("heart",), note=AT_LEAST, slice=at)
        limit = "the heart is cut by the border of the scan, so its size cannot be judged"
        return Outcome("measured", (least,), f"the heart is at least {shown(heart)} wide", limits=(limit,))
    if len(scene.masks(*LUNGS)) < 2 or any(set(scene.cut(id)) & {"L", "R"} for id in LUNGS):
        limit = "both lungs are needed to compare its width with the chest's"
        return Outcome("measured", (heart, seen_at), told, limits=(limit,))
    width, level = widest_slice(scene.ct, scene.masks(*LUNGS))
    inner = Fact("chest_width_mm", width, "mm", LUNGS, slice=level)
    ratio = Fact(
        "cardiothoracic_ratio", round(float(np.divide(heart.value, width)), 2), "", ("heart", *LUNGS), reference=_DANZER
    )
    told += f" and the lungs together {shown(inner)} in slice {level}, a ratio of {shown(ratio)}"
    facts = (heart, inner, ratio, seen_at, Fact("slice", level, "", LUNGS))
    if ratio.value > 0.5:
        meaning = (
            "this is above 0.5, the limit of the upright chest radiograph; a CT lying down gives larger ratios, so it "
            "is a hint only"
        )
        return Outcome("borderline", facts, told, meaning, short="cardiothoracic ratio above 0.5, measured lying down")
    return Outcome("not met", facts, told, "this is not above 0.5, the limit of the upright chest radiograph")


FINDINGS = (
    Finding("emphysema", "Emphysema index", LUNGS, (), _GEVENOIS, emphysema),
    Finding("pleural_effusion", "Pleural fluid", LUNGS, LOOKS["pleural_fluid"].helps, ABRAMOWITZ, pleural_effusion),
    Finding("cardiomegaly", "Size of the heart", ("heart",), LUNGS, _DANZER, cardiomegaly, by_hu=False),
)
