"""Codes of what a segment shows: SNOMED CT, as DICOM Segmentations carry them."""

from __future__ import annotations

import re
from typing import NamedTuple

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

_SCT = codes.SCT


class PropertyCodes(NamedTuple):
    """What a segment is.

    Attributes:
        category: an anatomical structure, an abnormal one, or a place.
        kind: the structure.
        side: the patient's side, as a modifier of ``kind``.
        region: where it lies, of a kind that is found in many places.
    """

    category: Code
    kind: Code
    side: Code | None = None
    region: Code | None = None


# Checked against the meanings in pydicom's dictionaries, but for two that are in none of them: what TotalSegmentator
# calls autochthon and iliopsoas, with the codes of its own table.
_DEEP_BACK_MUSCLE = Code("244849004", "SCT", "Deep muscle of back")
_ILIOPSOAS = Code("68455001", "SCT", "Iliopsoas muscle")
_SPINE = Code(_SCT.StructureOfVertebralColumn.value, "SCT", "Vertebral column")
ORGANS: dict[str, Code] = {
    "liver": _SCT.Liver, "spleen": _SCT.Spleen, "kidney": _SCT.Kidney,
    "stomach": _SCT.Stomach, "pancreas": _SCT.Pancreas, "gallbladder": _SCT.Gallbladder,
    "bladder": _SCT.Bladder, "urinary bladder": _SCT.Bladder, "aorta": _SCT.Aorta,
    "thoracic aorta": _SCT.ThoracicAorta, "abdominal aorta": _SCT.AbdominalAorta,
    "inferior vena cava": _SCT.InferiorVenaCava, "superior vena cava": _SCT.SuperiorVenaCava,
    "portal vein": _SCT.PortalVein, "pulmonary artery": _SCT.PulmonaryArtery, "heart": _SCT.Heart,
    "lung": _SCT.Lung, "upper lobe": _SCT.UpperLobeOfLung, "lower lobe": _SCT.LowerLobeOfLung,
    "middle lobe": _SCT.MiddleLobeOfRightLung, "trachea": _SCT.Trachea, "esophagus": _SCT.Esophagus,
    "oesophagus": _SCT.Esophagus, "duodenum": _SCT.Duodenum, "colon": _SCT.Colon,
    "small intestine": _SCT.SmallIntestine, "small bowel": _SCT.SmallIntestine,
    "rectum": _SCT.Rectum, "adrenal gland": _SCT.AdrenalGland, "adrenal": _SCT.AdrenalGland,
    "prostate": _SCT.Prostate, "uterus": _SCT.Uterus, "brain": _SCT.Brain, "brainstem": _SCT.BrainStem,
    "parotid": _SCT.ParotidGland, "parotid gland": _SCT.ParotidGland, "larynx": _SCT.Larynx,
    "thyroid": _SCT.Thyroid, "spinal cord": _SCT.SpinalCord, "vertebra": _SCT.Vertebra,
    "vertebral column": _SPINE, "spine": _SPINE,
    "rib": _SCT.Rib, "ribs": _SCT.Rib, "femur": _SCT.Femur, "sternum": _SCT.Sternum, "skull": _SCT.Skull,
    "mandible": _SCT.Mandible, "scapula": _SCT.Scapula, "clavicle": _SCT.Clavicle, "humerus": _SCT.Humerus,
    "sacrum": _SCT.Sacrum, "hip bone": _SCT.Bone, "bone": _SCT.Bone, "bones": _SCT.Bone, "other bone": _SCT.Bone,
    "other bones": _SCT.Bone, "bones outside the spine": _SCT.Bone,
    "back muscles": _DEEP_BACK_MUSCLE, "iliopsoas": _ILIOPSOAS, "gluteal muscles": _SCT.SkeletalMuscle,
    "body": _SCT.EntireBody, "body outline": _SCT.EntireBody,
    **{f"{level} vertebra".lower(): getattr(_SCT, f"{level}Vertebra") for level in (
        *(f"C{n}" for n in range(1, 8)), *(f"T{n}" for n in range(1, 13)), *(f"L{n}" for n in range(1, 6)),
    )},
}  # fmt: skip
FINDINGS: dict[str, Code] = {
    "mass": _SCT.Mass, "lesion": _SCT.Lesion, "tumor": _SCT.Neoplasm, "tumour": _SCT.Neoplasm,
    "nodule": _SCT.Nodule, "cyst": _SCT.Cyst, "hematoma": _SCT.Hematoma, "haematoma": _SCT.Hematoma,
}  # fmt: skip
# What a look saw and offered as a mask, by the words that its name begins with: matter, or an area of another density.
# Calcium is coded by its deposit; an area whose nature nobody judged is a lesion in the sense of DICOM's CID 6335.
_CALCIUM = PropertyCodes(_SCT.MorphologicallyAbnormalStructure, _SCT.PathologicCalcification)
_AREA = PropertyCodes(_SCT.MorphologicallyAbnormalStructure, _SCT.Lesion)
SPOTS: dict[str, PropertyCodes] = {
    "fluid": PropertyCodes(_SCT.BodySubstance, _SCT.BodyFluid),
    "gas": PropertyCodes(_SCT.BodySubstance, _SCT.Gas),
    "metal": PropertyCodes(_SCT.PhysicalObject, _SCT.ForeignBody),
    "calcium": _CALCIUM,
    "fat": PropertyCodes(_SCT.Tissue, _SCT.AdiposeTissue),
    "bright": _AREA, "dark": _AREA, "solid": _AREA, "spot": _AREA,
}  # fmt: skip
REGIONS: dict[str, Code] = {"hip bone": _SCT.Hip, "gluteal muscles": _SCT.Buttock}
SIDES = {"left": _SCT.Left, "right": _SCT.Right}
_PAIRED = frozenset(
    {
        "kidney", "lung", "upper lobe", "lower lobe", "adrenal gland", "adrenal", "parotid", "parotid gland", "rib",
        "ribs", "femur", "scapula", "clavicle", "humerus", "hip bone", "back muscles", "iliopsoas", "gluteal muscles",
    }
)  # fmt: skip


def property_codes(name: str) -> PropertyCodes:
    """Codes of what a mask is called; a name that says nothing ("Object 1") is a region that somebody selected.

    The mask of a spot that a look saw ("Dark area, liver 2", "Fluid beside the right lung") has the code of its matter.

    ``"Left kidney"``, ``"kidney_left"`` and ``"left kidney 2"`` all give the kidney with the side Left; ``"L1
    vertebra"`` and ``"T12"`` give that very vertebra.
    """
    words = re.sub(r"[\W_]+", " ", name.lower()).split()
    side = next((SIDES[w] for w in words if w in SIDES), None)
    bare = [w for w in words if w not in SIDES]
    if len(bare) == 1 and re.fullmatch(r"[ctl]\d{1,2}", bare[0]):
        bare.append("vertebra")
    for called in (" ".join(bare), " ".join(w for w in bare if not w.isdigit())):  # "liver 2" is a second mask
        if called in ORGANS and (side is None or called in _PAIRED):
            return PropertyCodes(_SCT.AnatomicalStructure, ORGANS[called], side, REGIONS.get(called))
        if called in FINDINGS:
            return PropertyCodes(_SCT.MorphologicallyAbnormalStructure, FINDINGS[called])
    if bare and bare[0] in SPOTS:
        return SPOTS[bare[0]]
    return PropertyCodes(_SCT.SpatialAndRelationalConcept, codes.DCM.SelectedRegion)
