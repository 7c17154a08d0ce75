"""What is brighter than any tissue: metal, and stones in kidneys, gallbladder and bladder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ...ct.prompts import Box
from ...vocabulary.numbers import show
from ...vocabulary.spoken import all_the, name
from ..contrast import given
from ..scene import Scene, core
from .organs import third
from .sources import ELTON
from .spots import Amount, Look, Rule, Spot, margin_box, pieces, shifted, spot
from .thresholds import DEFAULT, Thresholds

BONES = (
    "vertebral_column", "sacrum", "right_hip_bone", "left_hip_bone", "right_femur", "left_femur", "right_ribs",
    "left_ribs", "sternum", "mandible", "other_bone",
)  # fmt: skip
KIDNEYS = ("right_kidney", "left_kidney")


def metal(scene: Scene, values: Thresholds = DEFAULT) -> Look:
    """Pieces of metal in the body, the largest first, with the bone or organ that each lies in or near.

    A piece has a core of at least ``metal_hu`` and goes on to ``metal_edge_hu``. Dense contrast in a vein, teeth and
    compact bone come near that; dark streaks round a piece speak for metal.
    """
    rules = (
        Rule(
            f"a core of at least {values.metal_hu:.0f} HU, above compact bone, joined with what is at least "
            f"{values.metal_edge_hu:.0f} HU"
        ),
    )
    ct = scene.ct
    body = scene.mask("body")
    box = body.box if body is not None else Box((0, 0, 0), ct.shape)
    hot = ct.hu[box.slices] >= values.metal_edge_hu
    if body is not None:
        hot &= body.block
    spots: list[Spot] = []
    for inner, block in pieces(hot, 2):
        part = shifted(inner, box.lo)
        hu = ct.hu[part.slices][block]
        if int((hu >= values.metal_hu).sum()) < 2 or block.sum() * ct.voxel_volume_ml < values.metal_ml:
            continue
        made = spot(scene, part, block, "metal", "likely", "", "Metal", candidates=[*BONES, *_not_bone(scene)])
        spots.append(_how_sure(scene, made))
    limits = ["thin wires and clips may stay below the threshold, and streaks widen what is seen"]
    ceiling = int(ct.hu.max())
    if ceiling < values.metal_hu:
        limits.append(f"no voxel of this scan is above {ceiling} HU")
    amounts = (
        Amount("metal_pieces", len(spots), ""),
        Amount("metal_ml", sum(s.volume_ml for s in spots), "mL", note="streaks make it larger than it is"),
    )
    if not spots:
        text = f"nothing as bright as metal ({values.metal_hu:.0f} HU) was seen in the body"
        return Look("metal", False, text, (), amounts, rules, tuple(limits), "likely")
    spots.sort(key=lambda s: (s.sureness == "unclear", -s.volume_ml))
    first = spots[0]
    where = f"in the {name(first.place.structure)}" if first.place.structure else f"on the {first.place.side}"
    if not first.place.structure and first.place.near:
        where = f"{show(first.place.near_mm, 'mm')} from the {name(first.place.near)}"
    many = "pieces" if len(spots) > 1 else "piece"
    text = (
        f"{len(spots)} {many} as bright as metal, the largest {where}, {show(first.longest_mm, 'mm')} long in slice "
        f"{first.place.slice}, up to {first.max_hu:,} HU"
    )
    return Look("metal", True, text, tuple(spots), amounts, rules, tuple(limits), first.sureness)


def _not_bone(scene: Scene) -> list[str]:
    return [id for id in scene.present if id not in BONES and not id.endswith(("_vertebra", "_muscles"))]


def _how_sure(scene: Scene, made: Spot) -> Spot:
    """With what a piece may be confused, from contrast, place and streaks."""
    box = margin_box(made.mask, 15.0, scene.ct.spacing_mm)
    hu = scene.ct.hu[box.slices]
    body = scene.mask("body")
    inside = body.region(box) if body is not None else hu > -300
    lungs = np.zeros(box.size, bool)
    for mask in scene.masks("right_lung", "left_lung", "trachea"):
        lungs |= ndimage.binary_dilation(mask.region(box), iterations=3)
    around = inside & ~lungs & ~made.mask.region(box)
    streaks = float((hu[around] < -250).mean()) if around.any() else 0.0
    place = made.place.structure or made.place.near
    bone = made.place.structure in BONES or (made.place.near_mm < 3 and place in BONES)
    if place == "mandible":
        return replace(made, sureness="unclear", why="teeth and fillings are as bright")
    if given(scene) is not False and (not bone or place == "other_bone"):  # a bright vein is taken for bone
        return replace(made, sureness="unclear", why="dense contrast in a vein or in bowel is as bright")
    if streaks > 0.02:
        return replace(made, sureness="clear", why="dark streaks lie round it, as round metal")
    return replace(made, why="compact bone comes near it where there are no streaks")


STONY = (*KIDNEYS, "gallbladder", "urinary_bladder")
"""Organs in which stones are looked for."""


def stones(scene: Scene, values: Thresholds = DEFAULT, organs: Sequence[str] = STONY) -> Look:
    """Bright spots in kidneys, gallbladder and bladder (those of ``organs``): where stones would be.

    Kidneys and bladder only without contrast, from 130 HU on; the gallbladder from 100 HU on, where bile is not bright
    itself. The ureters are not looked at, since nothing in this program follows them.
    """
    rules = []
    if set(organs) - {"gallbladder"}:
        rules.append(Rule("kidneys and bladder: from 130 HU on, without contrast", ELTON))
    if "gallbladder" in organs:
        rules.append(Rule(f"gallbladder: from {values.gallstone_hu:.0f} HU on"))
    contrast = given(scene)
    spots: list[Spot] = []
    amounts: list[Amount] = []
    limits = ["the ureters are not looked at"] if set(organs) & set(KIDNEYS) else []
    limits.append("stones without calcium are not seen on CT")
    looked = []
    for organ in organs:
        mask = scene.mask(organ)
        if mask is None:
            continue
        if organ != "gallbladder" and contrast is not False:
            known = "was" if contrast else "may have been"
            limits.insert(0, f"contrast {known} given, so the {name(organ)} is not judged")
            continue
        level = values.gallstone_hu if organ == "gallbladder" else values.stone_hu
        if organ == "gallbladder" and scene.core_hu(organ) > level / 2:
            limits.append("the content of the gallbladder is too bright for stones to be told apart")
            continue
        if scene.cut(organ):
            limits.append(f"the {name(organ)} reaches the border of the scan, so only a part of it was looked at")
        looked.append(organ)
        mine = _stones_in(scene, organ, level, contrast, values)
        spots += mine
        side = organ.split("_")[0] if organ in KIDNEYS else ""
        amounts.append(Amount("bright_spots", len(mine), "", (organ,), side))
        if mine:
            amounts.append(Amount("bright_ml", sum(s.volume_ml for s in mine), "mL", (organ,), side))
            amounts.append(Amount("longest_mm", max(s.longest_mm for s in mine), "mm", (organ,), side))
    if not looked:
        return Look("stones", None, "", (), (), tuple(rules), tuple(limits), "unclear")
    if not spots:
        return Look(
            "stones",
            False,
            f"no bright spot was seen in {all_the(looked)}",
            (),
            tuple(amounts),
            tuple(rules),
            tuple(limits),
        )
    spots.sort(key=lambda s: -s.volume_ml)
    each = [
        f"{sum(s.place.structure == organ for s in spots)} in the {name(organ)}"
        for organ in looked
        if any(s.place.structure == organ for s in spots)
    ]
    first = spots[0]
    text = (
        f"bright spots where stones would be: {', '.join(each)}; the largest is {show(first.longest_mm, 'mm')} long, "
        f"up to {first.max_hu:,} HU, in the {first.place.part} of the {name(first.place.structure)}"
    )
    return Look("stones", True, text, tuple(spots), tuple(amounts), tuple(rules), tuple(limits), first.sureness)


def _stones_in(scene: Scene, organ: str, level: float, contrast: bool | None, values: Thresholds) -> list[Spot]:
    mask = scene.mask(organ)
    hu = scene.ct.hu[mask.box.slices]
    deep = core(mask.block, scene.ct.spacing_mm, values.stone_edge_mm)
    bright = mask.block & (hu >= level)
    labels, _ = ndimage.label(bright, structure=np.ones((3, 3, 3)))
    inside = np.unique(labels[deep & bright])
    wide = margin_box(mask, max(scene.ct.spacing_mm), scene.ct.spacing_mm)
    outside, _ = ndimage.label(scene.ct.hu[wide.slices] >= level, structure=np.ones((3, 3, 3)))
    goes_on = np.unique(outside[~mask.region(wide)])
    at = tuple(slice(l - o, l - o + n) for l, o, n in zip(mask.box.lo, wide.lo, mask.box.size, strict=True))
    kept = np.isin(labels, inside[inside > 0])
    if organ == "gallbladder" and contrast is not False:
        kept &= ~np.isin(outside[at], goes_on[goes_on > 0])
    found = []
    for box, block in pieces(kept, 2):
        if block.sum() * scene.ct.voxel_volume_ml < values.stone_ml:
            continue
        part = shifted(box, mask.box.lo)
        border = bool(np.isin(outside[at][box.slices][block], goes_on[goes_on > 0]).any())
        sure, why = "likely", "it is apart from the organ's border; calcium in a vessel's wall looks alike"
        if border:
            sure, why = "unclear", "it goes on outside the organ, where a vessel or bowel may be bright"
        title = f"Bright spot, {name(organ)}"
        made = spot(scene, part, block, "calcium", sure, why, title, inside=organ, part=third(scene, organ, part))
        found.append(made)
    return found
