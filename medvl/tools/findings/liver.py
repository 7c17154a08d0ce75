"""Attenuation and size of liver and spleen."""

from __future__ import annotations

import numpy as np

from ..fact import Fact, shown
from ..facts import cut_note, extent
from ..scene import Scene
from .base import Finding, Outcome, needs_no_contrast

_BOYCE = (
    "Boyce CJ, Pickhardt PJ, Kim DH, et al. AJR 2010;194:623-628: unenhanced liver of 40 HU or less, "
    "moderate to severe steatosis"
)
_PARK = (
    "Park SH, Kim PN, Kim KW, et al. Radiology 2006;239:105-112: liver minus spleen below -9 HU on unenhanced CT, "
    "macrovesicular steatosis of 30% or more"
)
_PRASSOPOULOS = (
    "Prassopoulos P, Daskalogiannaki M, Raissaki M, et al. Eur Radiol 1997;7:246-248: normal splenic volume on CT "
    "107 to 315 mL in adults"
)
_KRATZER = (
    "Kratzer W, Fritz V, Mason RA, et al. J Ultrasound Med 2003;22:1155-1161: liver above 16 cm (160 mm) in the "
    "midclavicular line, on ultrasound"
)
SPLEEN_ML = 314.5
LIVER_MM = 160.0


def _liver_hu(scene: Scene) -> Fact:
    return Fact("liver_core_hu", scene.core_hu("liver"), "HU", ("liver",), reference=_BOYCE)


def steatosis(scene: Scene) -> Outcome:
    """Liver attenuation without contrast; at 40 HU or less moderate to severe steatosis.

    Boyce CJ, Pickhardt PJ, Kim DH, et al. AJR 2010;194:623-628. Kodama Y, Ng CS, Wu TT, et al. AJR 2007;188:1307-1312
    found about 40 HU at a fat content of 30% too. Measured as the median of the liver 4 mm inside its outline, where
    the publications used regions of interest.
    """
    hu = _liver_hu(scene)
    told = f"the median attenuation of the liver is {shown(hu)}"
    limit = needs_no_contrast(scene)
    if limit:
        return Outcome("measured", (hu,), told, limits=(f"steatosis cannot be judged from it: {limit}",))
    if hu.value <= 40:
        return Outcome(
            "met",
            (hu,),
            told,
            "this is at or below 40 HU, the published threshold for moderate to severe steatosis",
            short="liver attenuation at or below the threshold for moderate to severe steatosis",
        )
    return Outcome(
        "not met",
        (hu,),
        told,
        "this is above 40 HU, the published threshold for moderate to severe steatosis; mild steatosis is not excluded",
    )


def liver_spleen(scene: Scene) -> Outcome:
    """Liver minus spleen attenuation without contrast; below -9 HU steatosis of 30% or more.

    Park SH, Kim PN, Kim KW, et al. Radiology 2006;239:105-112.
    """
    values = {id: scene.core_hu(id) for id in ("liver", "spleen")}
    missing = [id for id, value in values.items() if value is None]
    if missing:
        return Outcome("not assessable", limits=(f"the {missing[0]} was not found in this scan",))
    # the difference of the values as they are told, so that a reader who subtracts gets the same
    difference = Fact(
        "liver_minus_spleen_hu",
        float(np.rint(values["liver"]) - np.rint(values["spleen"])),
        "HU",
        ("liver", "spleen"),
        reference=_PARK,
    )
    facts = (difference, *(Fact("core_hu", value, "HU", (id,)) for id, value in values.items()))
    told = f"liver minus spleen is {shown(facts[0])} (liver {shown(facts[1])}, spleen {shown(facts[2])}, medians)"
    limit = needs_no_contrast(scene)
    if limit:
        return Outcome("measured", facts, told, limits=(f"steatosis cannot be judged from it: {limit}",))
    if difference.value < -9:
        meaning = "this is below -9 HU, the published threshold for steatosis of 30% or more"
        return Outcome("met", facts, told, meaning, short="liver darker than the spleen, as in steatosis")
    return Outcome(
        "not met", facts, told, "this is not below -9 HU, the published threshold for steatosis of 30% or more"
    )


def splenomegaly(scene: Scene) -> Outcome:
    """Volume of the spleen above 314.5 mL, the largest of a normal group.

    Prassopoulos P, Daskalogiannaki M, Raissaki M, et al. Eur Radiol 1997;7:246-248.
    """
    volume = Fact(
        "volume_ml",
        scene.measure("spleen").volume_ml,
        "mL",
        ("spleen",),
        note=cut_note(scene, "spleen"),
        reference=_PRASSOPOULOS,
    )
    length = next(f for f in extent(scene, "spleen") if f.key == "length_mm")
    cut = bool(volume.note)
    least = "at least " if cut else ""
    told = f"the spleen has a volume of {least}{shown(volume)} and measures {least}{shown(length)} from top to bottom"
    if volume.value > SPLEEN_ML:
        meaning = "its volume is above 315 mL, the upper end of the published normal range"
        return Outcome("met", (volume, length), told, meaning, short="splenic volume above the published normal range")
    if cut:
        limit = "the spleen is cut by the border of the scan, so enlargement cannot be judged"
        return Outcome("measured", (volume, length), told, limits=(limit,))
    meaning = "its volume is not above 315 mL, the upper end of the published normal range"
    return Outcome("not met", (volume, length), told, meaning)


def hepatomegaly(scene: Scene) -> Outcome:
    """Height of the liver in the midclavicular line above 16 cm.

    Kratzer W, Fritz V, Mason RA, et al. J Ultrasound Med 2003;22:1155-1161: in a survey of 2080 people few livers
    exceeded it. It is a threshold of ultrasound; here the height is that of the mask in a band of 20 mm halfway
    between the midline and the right surface of the body.
    """
    mask = scene.mask("liver")
    volume = Fact("volume_ml", scene.measure("liver").volume_ml, "mL", ("liver",), note=cut_note(scene, "liver"))
    height = Fact("midclavicular_mm", _midclavicular_mm(scene), "mm", ("liver",), reference=_KRATZER)
    cut = bool(set(scene.cut("liver")) & {"I", "S"})
    least = "at least " if volume.note else ""
    told = f"the liver has a volume of {least}{shown(volume)}"
    if height.value is None or mask is None:
        limit = "its height in the midclavicular line could not be measured"
        return Outcome("measured", (volume,), told, limits=(limit,))
    told += f" and a height of {'at least ' if cut else ''}{shown(height)} halfway between midline and right body wall"
    facts = (volume, height)
    if height.value > LIVER_MM:
        meaning = "this is above 160 mm, a published threshold for ultrasound in the midclavicular line"
        return Outcome("met", facts, told, meaning, short="height of the liver above 160 mm, a threshold of ultrasound")
    if cut:
        limit = "the liver is cut by the border of the scan, so enlargement cannot be judged"
        return Outcome("measured", facts, told, limits=(limit,))
    meaning = "this is not above 160 mm, a published threshold for ultrasound in the midclavicular line"
    return Outcome("not met", facts, told, meaning)


def _midclavicular_mm(scene: Scene) -> float | None:
    mask = scene.mask("liver")
    (_, half_width), _, _ = scene.body_mm
    line = scene.midline_mm + half_width / 2
    i = np.arange(*_span(mask.box, 0))
    centre = np.tile((np.asarray(mask.box.lo) + mask.box.hi) / 2.0, (i.size, 1))
    centre[:, 0] = i
    near = np.abs(scene.ct.ijk_to_ras_mm(centre)[:, 0] - line) <= 10
    if not near.any():
        return None
    band = mask.block[near].any(axis=(0, 1))
    k = np.flatnonzero(band)
    return float((k[-1] - k[0] + 1) * scene.ct.spacing_mm[2]) if k.size else None


def _span(box: object, axis: int) -> tuple[int, int]:
    return box.lo[axis], box.hi[axis]


_CONTRAST = ("aorta", "right_kidney", "left_kidney", "spleen")
FINDINGS = (
    Finding("steatosis", "Liver attenuation (steatosis)", ("liver",), _CONTRAST, _BOYCE, steatosis),
    Finding(
        "liver_spleen_difference",
        "Liver minus spleen attenuation",
        ("liver", "spleen"),
        _CONTRAST[:3],
        _PARK,
        liver_spleen,
    ),
    Finding("splenomegaly", "Size of the spleen", ("spleen",), (), _PRASSOPOULOS, splenomegaly, by_hu=False),
    Finding("hepatomegaly", "Size of the liver", ("liver",), (), _KRATZER, hepatomegaly, by_hu=False),
)
