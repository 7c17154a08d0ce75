"""Candidates for stones in gallbladder and kidneys, and asymmetry of the kidneys."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..contract import Fact
from ..contrast import given
from ..facts import cut_note
from ..numbers import shown
from ..scene import Scene, core, padded_box
from ..words import all_the, listing, name, the
from .base import CONTRAST_UNKNOWN, Finding, Outcome

_GALL_RULE = (
    "rule of this program, without a publication: a connected spot of at least 100 HU and 0.03 mL in the gallbladder"
)
_ELTON = (
    "Elton DC, Turkbey EB, Pickhardt PJ, Summers RM. Med Phys 2022;49:2545-2554: stones segmented from 130 HU on, on "
    "unenhanced CT; the least size of 0.03 mL is a rule of this program"
)
_HIRSCH = (
    "Hirsch AT, Haskal ZJ, Hertzer NR, et al. (ACC/AHA). Circulation 2006;113:e463-e654: difference in length between "
    "the kidneys above 1.5 cm (15 mm)"
)
GALL_HU, STONE_HU = 100, 130
MIN_SPOT_ML = 0.03
EDGE_MM = 2.0  # spots at the very edge of the mask belong to the neighbour as often as not
ASYMMETRY_MM = 15.0


def gallstones(scene: Scene) -> Outcome:
    """Bright spots in the gallbladder: candidates for calcified stones. No publication sets the limit of 100 HU.

    Bile lies near 0 to 20 HU and contrast may be excreted into it, so a spot is only a candidate, and stones that are
    not calcified cannot be seen.
    """
    contrast = given(scene)
    spots, volume, top = _spots(scene, "gallbladder", GALL_HU, apart=contrast is not False)
    bile = Fact("core_hu", scene.core_hu("gallbladder"), "HU", ("gallbladder",))
    blind = ["stones without calcium cannot be seen on CT"]
    if contrast is not False:
        known = "was given" if contrast else "may be in the scan"
        blind.append(f"contrast {known}, so what is bright and goes on outside the outline is not counted")
    if scene.cut("gallbladder"):
        blind.append("the gallbladder reaches the border of the scan, so only a part of it was looked at")
    if bile.value > GALL_HU / 2:
        told = f"the contents of the gallbladder have a median of {shown(bile)}"
        limit = "they are too bright for stones to be told apart, as with dense bile, sludge or excreted contrast"
        return Outcome("measured", (bile,), told, limits=(limit,))
    if spots.value == 0:
        meaning = "no spot of at least 100 HU was found in the gallbladder"
        return Outcome("not met", (spots, bile), "", meaning, tuple(blind))
    told = _told_spots(spots, volume, top, "gallbladder", "100 HU")
    these = "these are candidates" if spots.value != 1 else "this is a candidate"
    meaning = f"{these} for calcified stones; please look"
    short = "bright spots in the gallbladder, candidates for stones"
    return Outcome("borderline", (spots, volume, top), told, meaning, tuple(blind), short)


def renal_stones(scene: Scene) -> Outcome:
    """Bright spots in the kidneys without contrast: candidates for stones.

    The limit of 130 HU is that of Elton DC, Turkbey EB, Pickhardt PJ, Summers RM. Med Phys 2022;49:2545-2554.
    """
    contrast = given(scene)
    if contrast is not False:
        why = (
            CONTRAST_UNKNOWN if contrast is None else "contrast was given, and it makes the kidneys as bright as stones"
        )
        return Outcome("not assessable", limits=(f"stones in the kidneys cannot be judged, since {why}",))
    facts: list[Fact] = []
    told: list[str] = []
    there = tuple(id for id in ("right_kidney", "left_kidney") if scene.mask(id) is not None)
    for id in there:
        spots, volume, top = _spots(scene, id, STONE_HU)
        facts.append(spots)
        if spots.value:
            facts += [volume, top]
            told.append(_told_spots(spots, volume, top, name(id), "130 HU"))
    blind = [
        "spots smaller than 0.03 mL and stones outside the mask of the kidney, as in the ureter, are not looked for"
    ]
    missing = [id for id in _KIDNEYS if id not in there]
    cut = [id for id in there if scene.cut(id)]
    blind += [f"{all_the(missing)} was not found"] if missing else []
    if cut:
        reach = "reach" if len(cut) > 1 else "reaches"
        blind.append(f"{all_the(cut)} {reach} the border of the scan, so only a part was looked at")
    if not told:
        meaning = f"no spot of at least 130 HU was found in {all_the(there)}"
        return Outcome("not met", tuple(facts), "", meaning, tuple(blind))
    many = sum(f.value for f in facts if f.key == "spots") > 1
    these = "these are candidates for stones" if many else "this is a candidate for a stone"
    meaning = f"{these}; calcified vessels look alike"
    short = "bright spots in a kidney, candidates for stones"
    return Outcome("borderline", tuple(facts), "; ".join(told), meaning, tuple(blind), short)


def _spots(scene: Scene, structure: str, hu_limit: int, apart: bool = False) -> tuple[Fact, Fact, Fact]:
    """Number, volume and highest HU of connected bright spots inside a structure.

    Args:
        scene: holds its mask.
        structure: id.
        hu_limit: what counts as bright.
        apart: leave out what goes on outside the mask: with contrast, neighbours are as bright.
    """
    mask = scene.mask(structure)
    hu = scene.ct.hu[mask.box.slices]
    bright = core(mask.block, scene.ct.spacing_mm, EDGE_MM) & (hu >= hu_limit)
    if apart:
        bright &= ~_going_on(scene, structure, hu_limit)
    labels, count = ndimage.label(bright, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    # at least two voxels, so that noise in one does not count, however large a voxel is
    kept = (sizes * scene.ct.voxel_volume_ml >= MIN_SPOT_ML) & (sizes >= 2)
    inside = kept[labels]
    return (
        Fact("spots", int(kept.sum()), "", (structure,), reference=_ELTON if hu_limit == STONE_HU else _GALL_RULE),
        Fact("spots_ml", float(inside.sum()) * scene.ct.voxel_volume_ml, "mL", (structure,)),
        Fact("spots_highest_hu", int(hu[inside].max()) if inside.any() else None, "HU", (structure,)),
    )


def _going_on(scene: Scene, structure: str, hu_limit: int) -> np.ndarray:
    """Bright voxels of a mask, on its box, that are connected with bright voxels outside the mask."""
    mask = scene.mask(structure)
    wide = padded_box(mask, 1)
    labels, _ = ndimage.label(scene.ct.hu[wide.slices] >= hu_limit, structure=np.ones((3, 3, 3)))
    outside = np.unique(labels[~mask.region(wide)])
    here = tuple(slice(l - o, h - o) for l, h, o in zip(mask.box.lo, mask.box.hi, wide.lo, strict=True))
    return np.isin(labels[here], outside[outside > 0])


def _told_spots(spots: Fact, volume: Fact, top: Fact, organ: str, limit: str) -> str:
    many = spots.value != 1
    return (
        f"the {organ} holds {shown(spots)} bright {'spots' if many else 'spot'} of at least {limit} ({shown(volume)}, "
        f"up to {shown(top)})"
    )


def kidney_asymmetry(scene: Scene) -> Outcome:
    """Lengths of the kidneys from top to bottom; a difference above 1.5 cm counts.

    Hirsch AT, Haskal ZJ, Hertzer NR, et al. ACC/AHA guidelines. Circulation 2006;113:e463-e654. Here the length is the
    longest diameter of the mask.
    """
    pair = ("right_kidney", "left_kidney")
    missing = [id for id in pair if scene.mask(id) is None]
    if missing:
        were = "were" if len(missing) > 1 else "was"
        return Outcome("not assessable", limits=(f"{all_the(missing)} {were} not found in this scan",))
    lengths = [
        Fact("longest_diameter_mm", scene.measure(id).longest_diameter_mm, "mm", (id,), note=cut_note(scene, id))
        for id in pair
    ]
    volumes = [Fact("volume_ml", scene.measure(id).volume_ml, "mL", (id,), note=cut_note(scene, id)) for id in pair]
    difference = Fact(
        "length_difference_mm",
        abs(round(lengths[0].value, 1) - round(lengths[1].value, 1)),
        "mm",
        pair,
        reference=_HIRSCH,
    )
    facts = (*lengths, *volumes, difference)
    told = listing(
        [
            f"{the(id)} is {'at least ' if length.note else ''}{shown(length)} long ({shown(volume)})"
            for id, length, volume in zip(pair, lengths, volumes, strict=True)
        ]
    )
    cut = [id for id, length in zip(pair, lengths, strict=True) if length.note]
    if cut:
        be = "are" if len(cut) > 1 else "is"
        limit = f"{all_the(cut)} {be} cut by the border of the scan, so the kidneys cannot be compared"
        return Outcome("measured", (*lengths, *volumes), told, limits=(limit,))
    told += f", a difference of {shown(difference)}"
    if difference.value > ASYMMETRY_MM:
        meaning = "this is above 15 mm, the published limit for asymmetry"
        return Outcome("met", facts, told, meaning, short="kidneys differ in length by more than 15 mm")
    return Outcome("not met", facts, told, "this is not above 15 mm, the published limit for asymmetry")


_KIDNEYS = ("right_kidney", "left_kidney")
FINDINGS = (
    Finding("gallstones", "Gallstones", ("gallbladder",), ("aorta", "spleen", *_KIDNEYS), _GALL_RULE, gallstones),
    Finding("renal_stones", "Renal stones", _KIDNEYS, ("aorta", "spleen"), _ELTON, renal_stones),
    Finding("kidney_asymmetry", "Symmetry of the kidneys", _KIDNEYS, (), _HIRSCH, kidney_asymmetry),
)
