"""Width and calcification of the aorta."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from ...vocabulary.numbers import show
from ...vocabulary.spoken import listing
from ..fact import Fact, shown
from ..looks import LOOKS, look_in
from ..scene import Scene
from ..seen import facts_of
from .base import Finding, Outcome, needs_no_contrast, seen_as

_GUIDELINES = (
    "abdominal aneurysm from 30 mm on: Wanhainen A, Verzini F, Van Herzeele I, et al. (ESVS). Eur J Vasc Endovasc Surg "
    "2019;57:8-93; ascending aorta aneurysm from 45 mm on: Isselbacher EM, Preventza O, Black JH, et al. (ACC/AHA). "
    "Circulation 2022;146:e334-e482"
)
_AGATSTON = (
    "Agatston AS, Janowitz WR, Hildner FJ, et al. J Am Coll Cardiol 1990;15:827-832: calcium from 130 HU and 1 square "
    "mm on, without contrast"
)
CALCIUM_HU = 130
CALCIUM_MM2 = 1.0
BONE_MM = 4.0  # calcium nearer to the spine than this may be bone
MIN_CALCIUM_ML = 0.02


def aneurysm(scene: Scene) -> Outcome:
    """Width across the aorta by segment, each against the threshold of that segment; see ``looks.aorta``.

    ESVS guidelines: Wanhainen A, et al. Eur J Vasc Endovasc Surg 2019;57:8-93 (abdominal). ACC/AHA guideline:
    Isselbacher EM, et al. Circulation 2022;146:e334-e482 (ascending aorta from 45 mm on).
    """
    look = look_in("aorta_widths", scene)
    judged = [amount for amount in look.amounts if amount.key == "threshold_mm"]
    if look.seen is not None and not judged:
        limit = "no threshold is applied, since none is published for the part of the aorta that is in view"
        return Outcome("measured", facts_of(look), look.told, limits=(*look.limits, limit), look=look)
    outcome = seen_as(look, "aorta at or above the threshold for an aneurysm")
    if outcome.verdict == "not met":
        parts = listing([f"{a.part} part ({show(a.value, 'mm')})" for a in judged])
        return replace(outcome, meaning=f"this is below the threshold of the {parts}")
    return outcome


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
        LOOKS["aorta_widths"].helps,
        _GUIDELINES,
        aneurysm,
        by_hu=False,
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
