"""Contrast phase, from the HU of blood and organs."""

from __future__ import annotations

from .fact import Fact
from .scene import Scene

STRUCTURES = ("aorta", "inferior_vena_cava", "liver", "right_kidney", "left_kidney", "spleen", "heart")
"""What the phase is read from, the most telling first; any of the first six is enough."""

# Unenhanced blood, liver, spleen and kidney lie between about 30 and 70 HU, and noise of a median is small, so what
# is above these limits took up iodine. In the arterial phase the aorta is far brighter than the veins and the liver is
# not enhanced yet; in the portal venous phase aorta and veins come near each other and the liver is.
BLOOD_HU = 85.0
KIDNEY_HU = 75.0
ORGAN_HU = 85.0
ARTERIAL_HU = 180.0
VENOUS_GAP_HU = 80.0
LIVER_VENOUS_HU = 80.0
RULE = (
    "Rule of this program, on medians inside the organs: blood of aorta or vena cava above 85 HU, a kidney above 75 HU "
    "or the spleen above 85 HU means contrast; arterial if the aorta is at least 180 HU and the liver is below 80 HU "
    "or the vena cava 80 HU darker than the aorta; portal venous if the liver is at least 80 HU and the aorta is below "
    "the arterial limit or near the vena cava."
)


def phase(scene: Scene) -> Fact:
    """Contrast phase of the scan.

    Returns:
        A fact with value ``"none"``, ``"arterial"``, ``"portal venous"``, ``"other"`` (contrast, phase not clear), or
        None where nothing that tells it was found. ``reference`` states the rule, which is this program's own.
    """
    if not scene.ct.hu_trusted:
        return Fact("contrast", None, note="the values of this scan are no Hounsfield units")
    return scene.keep(("contrast",), STRUCTURES, lambda: _phase(scene))


def levels(scene: Scene) -> tuple[Fact, ...]:
    """Median HU that the phase was read from."""
    used = [id for id in STRUCTURES if scene.mask(id) is not None]
    return tuple(Fact("core_hu", scene.core_hu(id), "HU", (id,)) for id in used)


def given(scene: Scene) -> bool | None:
    """Whether contrast was given; None if that cannot be told."""
    value = phase(scene).value
    return None if value is None else value != "none"


def _phase(scene: Scene) -> Fact:
    hu = {id: scene.core_hu(id) for id in STRUCTURES}
    used = tuple(id for id in STRUCTURES if hu[id] is not None)
    kidneys = [v for v in (hu["right_kidney"], hu["left_kidney"]) if v is not None]
    kidney = max(kidneys, default=None)
    aorta, cava, liver, spleen, heart = (hu[id] for id in ("aorta", "inferior_vena_cava", "liver", "spleen", "heart"))
    blood = [v for v in (aorta, cava, heart) if v is not None]
    if not blood and kidney is None and spleen is None:
        note = "neither a great vessel nor kidney or spleen was found"
        return Fact("contrast", None, "", used, note=note, reference=RULE)
    enhanced = (
        any(v > BLOOD_HU for v in blood)
        or (kidney is not None and kidney > KIDNEY_HU)
        or (spleen is not None and spleen > ORGAN_HU)
    )
    if not enhanced:
        return Fact("contrast", "none", "", used, reference=RULE)
    value = "other"
    if aorta is not None:
        cool = liver is not None and liver < LIVER_VENOUS_HU
        gap = cava is not None and aorta - cava >= VENOUS_GAP_HU
        near = cava is not None and aorta - cava < VENOUS_GAP_HU
        warm = liver is not None and liver >= LIVER_VENOUS_HU
        if aorta >= ARTERIAL_HU and (cool or (gap and not warm) or (gap and aorta >= 2 * ARTERIAL_HU)):
            value = "arterial"
        elif warm and (aorta < ARTERIAL_HU or near):
            value = "portal venous"
    elif liver is not None and liver >= LIVER_VENOUS_HU and kidney is not None:
        value = "portal venous"
    return Fact("contrast", value, "", used, reference=RULE)
