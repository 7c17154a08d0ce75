"""Width and calcification of the aorta."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..contract import Fact
from ..numbers import shown
from ..scene import Scene
from ..vessels import Section, against_heart, widest
from ..words import listing
from .base import Finding, Outcome, needs_no_contrast

_GUIDELINES = (
    "abdominal aneurysm from 30 mm on: Wanhainen A, Verzini F, Van Herzeele I, et al. (ESVS). Eur J Vasc Endovasc Surg "
    "2019;57:8-93; ascending aorta aneurysm from 45 mm on: Isselbacher EM, Preventza O, Black JH, et al. (ACC/AHA). "
    "Circulation 2022;146:e334-e482"
)
_AGATSTON = (
    "Agatston AS, Janowitz WR, Hildner FJ, et al. J Am Coll Cardiol 1990;15:827-832: calcium from 130 HU and 1 square "
    "mm on, without contrast"
)
ABDOMINAL_MM = 30.0
THORACIC_MM = 45.0
ELSEWHERE_MM = 1.5  # a wider place without a threshold is told if it is wider by more than outlines vary
CALCIUM_HU = 130
CALCIUM_MM2 = 1.0
BONE_MM = 4.0  # calcium nearer to the spine than this may be bone
MIN_CALCIUM_ML = 0.02


def aneurysm(scene: Scene) -> Outcome:
    """Width across the aorta against 30 mm in the abdomen and 45 mm in the chest.

    ESVS guidelines: Wanhainen A, et al. Eur J Vasc Endovasc Surg 2019;57:8-93 (abdominal). ACC/AHA guideline:
    Isselbacher EM, et al. Circulation 2022;146:e334-e482 (ascending aorta from 45 mm on). The width is the minor axis
    of the mask's axial sections, so an oblique course does not widen it; the arch and forks are left out.
    The abdomen begins at the upper end of the kidneys, the chest above the liver; between them no threshold is applied.
    """
    tops = [scene.mask(id).box.hi[2] for id in ("right_kidney", "left_kidney") if scene.mask(id) is not None]
    liver = scene.mask("liver")
    abdomen_top = max(tops, default=None)
    if liver is not None:
        chest_bottom = liver.box.hi[2]
    else:
        heart = scene.mask("heart")
        chest_bottom = heart.box.lo[2] if heart is not None else None
    top = scene.ct.shape[2]
    abdomen = widest(scene, "aorta", 0, abdomen_top) if abdomen_top else None
    chest = widest(scene, "aorta", chest_bottom, top) if chest_bottom is not None and chest_bottom < top else None
    anywhere = widest(scene, "aorta")
    if anywhere is None:
        limit = "the aorta runs too obliquely in this scan for a width across it"
        return Outcome("not assessable", limits=(limit,))
    facts: list[Fact] = []
    parts: list[str] = []
    met: list[str] = []
    for section, where, limit in ((abdomen, "abdomen", ABDOMINAL_MM), (chest, "chest", THORACIC_MM)):
        if section is None:
            continue
        width, at = _facts(section)
        facts += [width, at]
        parts.append(f"{shown(width)} in the {where} (slice {shown(at)})")
        if width.value >= limit:
            met.append(where)
    if not parts:
        width, at = _facts(anywhere)
        told = f"the aorta is at most {shown(width)} wide (slice {shown(at)})"
        limit = (
            "no threshold is applied, since neither kidneys nor liver nor heart show which part of the aorta this is"
        )
        return Outcome("measured", (width, at), told, limits=(limit,))
    if anywhere.diameter_mm > max(f.value for f in facts if f.unit) + ELSEWHERE_MM:
        width, at = _facts(anywhere)
        facts += [width, at]
        parts.append(f"{shown(width)} elsewhere (slice {shown(at)}), where no threshold is applied")
    told = f"the aorta is at its widest {listing(parts)}"
    limits = []
    if abdomen is None:
        limits.append("the abdominal aorta is not in this scan, or its level is not known")
    if against_heart(scene):
        limits.append("where the aorta lies against the heart (the aortic root) it is not measured")
    if met:
        limits_of = {"abdomen": "30 mm, the threshold for an abdominal aneurysm",
                     "chest": "45 mm, the threshold for an aneurysm of the ascending aorta"}  # fmt: skip
        meaning = "this is at or above " + " and ".join(limits_of[where] for where in met)
        short = f"aorta at or above the threshold for an aneurysm in the {' and '.join(met)}"
        return Outcome("met", tuple(facts), told, meaning, tuple(limits), short)
    below = []
    if abdomen is not None:
        below.append("the width in the abdomen is below 30 mm, the threshold for an abdominal aneurysm")
    if chest is not None:
        width = "that in the chest" if below else "the width in the chest"
        below.append(f"{width} is below 45 mm, the threshold for an aneurysm of the ascending aorta")
    return Outcome("not met", tuple(facts), told, " and ".join(below), tuple(limits))


def _facts(section: Section) -> tuple[Fact, Fact]:
    return (
        Fact("cross_diameter_mm", section.diameter_mm, "mm", ("aorta",), reference=_GUIDELINES),
        Fact("cross_slice", section.k + 1, "", ("aorta",)),
    )


def calcification(scene: Scene) -> Outcome:
    """Volume of calcium in the aorta: connected voxels of at least 130 HU and 1 square mm, without contrast.

    Agatston AS, Janowitz WR, Hildner FJ, et al. J Am Coll Cardiol 1990;15:827-832. The volume is given, not the score,
    which is defined on 3 mm slices of a gated scan. Voxels within 4 mm of the spine are left out as possible bone.
    """
    limit = needs_no_contrast(scene)
    if limit:
        return Outcome(
            "not assessable",
            limits=(
                f"calcification of the aorta cannot be measured at 130 HU: {limit}, since bright blood looks alike",
            ),
        )
    mask = scene.mask("aorta")
    hu = scene.ct.hu[mask.box.slices]
    bright = mask.block & (hu >= CALCIUM_HU)
    noise = float(hu[mask.block & ~bright].std()) if (mask.block & ~bright).any() else 0.0
    spine = scene.mask("vertebral_column")
    if spine is not None and bright.any():
        apart = ndimage.distance_transform_edt(~spine.region(mask.box), sampling=scene.ct.spacing_mm)
        bright &= apart > BONE_MM
    structure = np.zeros((3, 3, 3))
    structure[:, :, 1] = 1  # connected in a slice, as in the publication
    labels, count = ndimage.label(bright, structure=structure)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    pixel = scene.ct.spacing_mm[0] * scene.ct.spacing_mm[1]
    kept = (sizes * pixel >= CALCIUM_MM2)[labels]
    if noise > 30:
        # At such noise single voxels of blood pass 130 HU: a speck has to be larger to count.
        kept &= (sizes >= 3)[labels]
    volume = Fact("calcium_ml", float(kept.sum()) * scene.ct.voxel_volume_ml, "mL", ("aorta",), reference=_AGATSTON)
    if volume.value < MIN_CALCIUM_ML:
        return Outcome("not met", (volume,), "", "no calcification of at least 130 HU was found in the aorta")
    told = f"the aorta holds {shown(volume)} of at least 130 HU, the published threshold for calcium"
    limits = ("the scan is not gated, so no calcium score is given",)
    return Outcome("met", (volume,), told, "", limits, "calcification of the aorta")


FINDINGS = (
    Finding(
        "aortic_aneurysm",
        "Width of the aorta",
        ("aorta",),
        ("right_kidney", "left_kidney", "liver", "heart"),
        _GUIDELINES,
        aneurysm,
    ),
    Finding(
        "aortic_calcification",
        "Calcification of the aorta",
        ("aorta",),
        ("right_kidney", "left_kidney", "vertebral_column"),
        _AGATSTON,
        calcification,
    ),
)
