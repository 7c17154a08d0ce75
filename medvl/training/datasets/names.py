"""Names of structures for training texts: one id each, how it is said, what else it is called, its mirror image.

Ids are those of ``medvl.vocabulary.names`` where it has one ("left_kidney"); other structures get ids of the same
make (side first) from the names that datasets use ("kidney_left", "adrenal gland left", "postcava").
"""

from __future__ import annotations

import re

from ...vocabulary import spoken as words
from ...vocabulary.names import STRUCTURES
from ...vocabulary.structure import names

_ALIASES = {
    "gall_bladder": "gallbladder",
    "postcava": "inferior_vena_cava",
    "bladder": "urinary_bladder",
    "oesophagus": "esophagus",
    "bone_mandible": "mandible",
    "brain_stem": "brainstem",
    "left_parotid_gland": "left_parotid",
    "right_parotid_gland": "right_parotid",
    "left_suprarenal_gland": "left_adrenal_gland",
    "right_suprarenal_gland": "right_adrenal_gland",
    "small_intestin": "small_bowel",
}
_SPOKEN = {
    "clavicula": "clavicle",
    "iliac_vena": "iliac vein",
    "hip": "hip bone",
    "autochthon": "autochthonous back muscle",
    "iliopsoas": "iliopsoas muscle",
    "gluteus_maximus": "gluteus maximus muscle",
    "gluteus_medius": "gluteus medius muscle",
    "gluteus_minimus": "gluteus minimus muscle",
    "pulmonary_vein": "pulmonary veins",
    "heart_myocardium": "myocardium",
    "portal_vein_and_splenic_vein": "portal and splenic veins",
}
_ORDINALS = names("first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, eleventh, twelfth")
_PLURAL = frozenset(names("costal cartilages, pulmonary veins, portal and splenic veins, lungs, kidneys, stones"))

SYNONYMS: dict[str, tuple[str, ...]] = {
    "kidney": names("kidney, renal parenchyma"),
    "lung": names("lung, pulmonary parenchyma"),
    "parotid": names("parotid, parotid gland"),
    "liver": names("liver, hepatic parenchyma"),
    "spleen": names("spleen, splenic parenchyma"),
    "gallbladder": names("gallbladder, gall bladder"),
    "esophagus": names("esophagus, oesophagus, gullet"),
    "trachea": names("trachea, windpipe"),
    "urinary_bladder": names("urinary bladder, bladder"),
    "inferior_vena_cava": names("inferior vena cava, IVC, inferior caval vein"),
    "superior_vena_cava": names("superior vena cava, SVC"),
    "vertebral_column": names("vertebral column, spine, spinal column"),
    "brainstem": names("brainstem, brain stem"),
    "spinal_cord": names("spinal cord, myelon"),
    "mandible": names("mandible, lower jaw, jawbone"),
    "larynx": names("larynx, voice box"),
    "small_bowel": names("small bowel, small intestine"),
    "colon": names("colon, large bowel, large intestine"),
    "adrenal_gland": names("adrenal gland, suprarenal gland"),
    "clavicula": names("clavicle, collarbone"),
    "scapula": names("scapula, shoulder blade"),
    "femur": names("femur, thigh bone"),
    "sternum": names("sternum, breastbone"),
    "soft_tissue_sarcoma": names("soft tissue sarcoma, soft-tissue tumour, tumor, tumour, GTV, gross tumour volume"),
}
"""Exact synonyms without the side. (The parser's vocabulary also has loose ones, "lung base", that are no training
target.)"""

DESCRIPTIONS: dict[str, tuple[str, ...]] = {
    "liver": names("large gland under the right diaphragm, organ that makes bile, largest solid organ of the abdomen"),
    "spleen": names("lymphatic organ under the left diaphragm, organ that filters old red blood cells"),
    "kidney": names("organ on the {side} that makes urine, {side} one of the paired organs beside the lumbar spine"),
    "stomach": names("organ that food reaches through the esophagus, hollow organ that mixes food with acid"),
    "gallbladder": names("small sac under the liver that stores bile, organ in which bile is kept between meals"),
    "pancreas": names(
        "gland behind the stomach that makes insulin, gland that sends digestive enzymes to the duodenum"
    ),
    "aorta": names("largest artery of the body, vessel that carries blood from the left ventricle"),
    "heart": names("muscle that pumps the blood, organ between the lungs that beats"),
    "lung": names("organ of breathing on the {side}, {side} air-filled organ of the chest"),
    "trachea": names("airway between larynx and main bronchi, tube that brings air down to the lungs"),
    "esophagus": names(
        "muscular tube that brings food to the stomach, tube behind the trachea that is swallowed through"
    ),
    "urinary_bladder": names("hollow pelvic organ that holds urine, organ into which both ureters drain"),
    "vertebral_column": names(
        "column of vertebrae that surrounds the spinal cord, column of bones that carries the trunk"
    ),
    "inferior_vena_cava": names(
        "large vein that brings blood from the abdomen to the heart, largest vein of the abdomen"
    ),
    "duodenum": names("first part of the small bowel, bowel loop round the head of the pancreas"),
    "brainstem": names("part of the brain that goes over into the spinal cord, stalk between cerebrum and spinal cord"),
    "spinal_cord": names("nerve tissue inside the spinal canal, bundle of nerves that runs down the spine"),
    "parotid": names("largest salivary gland on the {side}, salivary gland in front of the {side} ear"),
    "larynx": names("organ of the voice, part of the airway that holds the vocal cords"),
    "mandible": names("bone that carries the lower teeth, only bone of the face that moves in chewing"),
    "adrenal_gland": names(
        "small gland on top of the {side} kidney, gland above the {side} kidney that makes cortisol"
    ),
    "colon": names("bowel that frames the abdomen, last long part of the bowel before the rectum"),
    "soft_tissue_sarcoma": names(
        "abnormal mass in the soft tissue, lesion in this limb, malignant mass among the muscles"
    ),
}
"""What a structure is or does, without its name and without an article; ``{side}`` is its side."""

SYMMETRIC = frozenset(
    names(
        "brainstem, spinal_cord, right_parotid, left_parotid, larynx, mandible, esophagus, vertebral_column, "
        "soft_tissue_sarcoma"
    )
)
"""Structures of the head, the neck and the limbs, which look the same in a mirror. A mirrored trunk would be a situs
inversus."""


def canonical(name: str) -> str:
    """Id of a structure from the name that a dataset uses: lower case, side first, aliases resolved."""
    tokens = re.split(r"[\s_]+", name.strip())
    if tokens[0].lower() == "vertebrae":
        return "_".join(["vertebrae", *tokens[1:]])
    tokens = [token.lower() for token in tokens]
    side = next((token for token in tokens if token in ("left", "right")), None)
    if side:
        tokens.remove(side)
        tokens.insert(0, side)
    id = "_".join(tokens)
    return _ALIASES.get(id, id)


def split_side(id: str) -> tuple[str, str]:
    """Side ("left", "right" or "") and the rest of an id."""
    side, _, rest = id.partition("_")
    return (side, rest) if side in ("left", "right") else ("", id)


def spoken(id: str) -> str:
    """Name for a person, without article: "left kidney", "upper lobe of the left lung", "L1 vertebra"."""
    if id in STRUCTURES:
        return words.name(id)
    side, rest = split_side(id)
    tokens = rest.split("_")
    prefix = f"{side} " if side else ""
    if tokens[0] == "vertebrae" and len(tokens) == 2:
        return f"{tokens[1]} vertebra"
    if tokens[0] == "rib" and len(tokens) == 2 and tokens[1].isdigit() and 1 <= int(tokens[1]) <= len(_ORDINALS):
        return f"{prefix}{_ORDINALS[int(tokens[1]) - 1]} rib"
    if tokens[0] == "lung" and tokens[-1] == "lobe":
        return f"{' '.join(tokens[1:])} of the {prefix}lung"
    if tokens[0] == "heart" and tokens[-1] in ("atrium", "ventricle"):
        return f"{prefix}{tokens[-1]} of the heart"
    if tokens[-1] == "cyst" and side:
        return f"cyst of the {prefix}{' '.join(tokens[:-1])}"
    return prefix + _SPOKEN.get(rest, " ".join(tokens))


def be(id: str) -> str:
    """The verb to a name, "is" or "are"."""
    return "are" if spoken(id) in _PLURAL or id == "other_bone" else "is"


def said(id: str) -> tuple[str, ...]:
    """All names of a structure for a person, the usual one first."""
    side, rest = split_side(id)
    more = tuple(f"{side} {synonym}".strip() for synonym in SYNONYMS.get(rest, ()))
    return tuple(dict.fromkeys((spoken(id), *more)))


def described(id: str) -> tuple[str, ...]:
    """Descriptions of a structure that do not name it, with their article."""
    side, rest = split_side(id)
    return tuple(f"the {text.format(side=side)}" for text in DESCRIPTIONS.get(rest, ()))


# ---- mirror images

_OTHER = {"left": "right", "right": "left"}
_SIDED_WORD = re.compile(r"(?<![A-Za-z])(left|right)(?=(?:wards?|most|sided|hand|handed)?(?![A-Za-z]))", re.IGNORECASE)
_LOBES = re.compile(r"\b([LR])(?=(?:UL|LL|ML)\b)")


def swap_name(id: str) -> str:
    """The id of the structure on the other side; one without a side stays."""
    return "_".join(_OTHER.get(token, token) for token in id.split("_"))


def swap_words(text: str) -> str:
    """A text with left and right exchanged, also in "left-sided", "leftward" and "LUL"; letter case is kept."""

    def other(match: re.Match) -> str:
        word = match.group(1)
        swapped = _OTHER[word.lower()]
        return swapped.upper() if word.isupper() else swapped.capitalize() if word[0].isupper() else swapped

    return _LOBES.sub(lambda m: "R" if m.group(1) == "L" else "L", _SIDED_WORD.sub(other, text))
