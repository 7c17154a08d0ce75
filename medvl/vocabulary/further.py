"""Structures that the detail head knows from the labels of two scans: found by name, and not part of "everything"."""

from __future__ import annotations

from functools import partial

from .structure import Structure, names, one, pair

_one = partial(one, further=True)
_pair = partial(pair, further=True)

FURTHER: tuple[Structure, ...] = (
    _one("sacrum", "pelvis", "os sacrum, sacral bone, sacral vertebrae", "", "bone"),
    *_pair(
        "hip_bone",
        "hip_bones",
        "pelvis",
        "hip bone, pelvic bone, innominate bone, os coxae, coxal bone, hemipelvis",
        "",
        "bone",
    ),
    *_pair("femur", "femurs", "pelvis", "femur, femora, thigh bone, thighbone, os femoris", "", "bone"),
    *_pair("ribs", "ribs", "chest", "rib, ribs, costae, costa", "", "bone"),
    _one("sternum", "chest", "breastbone, breast bone", "sternal", "bone"),
    *_pair(
        "back_muscles",
        "back_muscles",
        "abdomen",
        "back muscle, back muscles, autochthonous back muscle, autochthonous muscle, autochthon, erector spinae, "
        "erector spinae muscle, paraspinal muscle, paravertebral muscle, musculus erector spinae, deep back muscle",
        "",
        "muscle",
    ),
    *_pair(
        "iliopsoas",
        "iliopsoas_muscles",
        "pelvis",
        "iliopsoas, iliopsoas muscle, psoas, psoas muscle, psoas major, psoas major muscle, "
        "musculus iliopsoas, musculus psoas",
        "",
        "muscle",
    ),
    *_pair(
        "gluteal_muscles",
        "gluteal_muscles",
        "pelvis",
        "gluteal muscle, gluteal muscles, gluteus, gluteus muscle, glutei, glutes, buttock muscle",
        "",
        "muscle",
    ),
    *_pair("upper_lobe", "upper_lobes", "chest", "upper lobe, superior lobe, upper lung lobe, lobus superior"),
    _one("middle_lobe", "chest", "lobus medius, middle lung lobe, right middle lobe, rml"),
    *_pair("lower_lobe", "lower_lobes", "chest", "lower lobe, inferior lobe, lower lung lobe, lobus inferior"),
)

_LOBES = ("right_upper_lobe", "middle_lobe", "right_lower_lobe", "left_upper_lobe", "left_lower_lobe")

FURTHER_GROUPS: dict[str, tuple[str, ...]] = {
    **{s.group: (s.id, s.id.replace("right_", "left_", 1)) for s in FURTHER if s.side == "right"},
    "lung_lobes": _LOBES,
    "right_lung_lobes": _LOBES[:3],
    "left_lung_lobes": _LOBES[3:],
    "pelvic_bones": ("sacrum", "right_hip_bone", "left_hip_bone"),
}
"""Parts of each group, right before left."""

FURTHER_GROUP_NAMES: dict[str, tuple[str, ...]] = {
    "lung_lobes": names("lung lobe, lung lobes, pulmonary lobe, lobes of the lungs, lobes of the lung"),
    "right_lung_lobes": names("lobes of the right lung, right lung lobes"),
    "left_lung_lobes": names("lobes of the left lung, left lung lobes"),
    "pelvic_bones": names("bony pelvis, pelvis bones, bones of the pelvis, pelvic skeleton"),
    "ribs": names("rib cage, ribcage"),
}
"""Names of groups that are not the plural of a paired organ."""

SIDED_NAMES: dict[str, tuple[str, ...]] = {
    **{
        f"{side}_{part}_lobe": names(
            f"{part} lobe of the {side} lung, {side} {part} lobe of the lung, {part} {side} lobe, "
            f"{side} lung {part} lobe, {side} {part} lung lobe, {side[0]}{part[0]}l"
        )
        for side in ("right", "left")
        for part in ("upper", "lower")
    },
    "middle_lobe": names(
        "middle lobe of the right lung, middle lobe of the lung, right middle lobe of the lung, right lung middle lobe"
    ),
    "upper_lobes": names("upper lobe of the lung, upper lobe of the lungs, lung upper lobe"),
    "lower_lobes": names("lower lobe of the lung, lower lobe of the lungs, lung lower lobe"),
}
"""Names that hold a side, or another structure's name, inside them."""
