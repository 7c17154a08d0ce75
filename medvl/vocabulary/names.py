"""The structures that can be named, their many names, and names of what the model does not know.

Three tables, and nothing else is needed to add a name (``further_structures`` and ``unknown_terms`` hold parts):

- ``STRUCTURES``: every structure with an id, its names in English, Latin and clinic, its side and region.
- ``GROUPS``: names for several structures at once ("kidneys").
- ``unknown_terms.UNKNOWN``: structures that people ask for and no preset knows, each with the known names nearest to
  it, so that the answer can say so and offer something.

Names are written as ``normalise.words`` gives them: lower case, no hyphens. Plurals in -s are understood everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from .further import FURTHER, FURTHER_GROUP_NAMES, FURTHER_GROUPS
from .structure import Side, Structure, names, one, pair, word_set
from .vertebra_names import VERTEBRA_GROUP_NAMES, VERTEBRA_GROUPS, VERTEBRAE

_ALL: list[Structure] = [
    one("liver", "abdomen", "hepar, liver parenchyma, hepatic parenchyma, liver tissue, jecur", "hepatic"),
    one("spleen", "abdomen", "lien, splen, milt, splenic parenchyma", "splenic"),
    *pair("kidney", "kidneys", "abdomen", "kidney, ren, renes, nephros, renal parenchyma", "renal"),
    one("stomach", "abdomen", "gaster, ventriculus, tummy bag", "gastric"),
    one(
        "gallbladder",
        "abdomen",
        "gall bladder, vesica fellea, vesica biliaris, bile bladder, gb, cholecyst",
    ),
    one("pancreas", "abdomen", "pancreatic gland, pancreatic parenchyma", "pancreatic"),
    one(
        "aorta",
        "abdomen",
        "main artery, thoracic aorta, abdominal aorta, ascending aorta, descending aorta",
        "aortic",
        "vessel",
        "great_vessels",
        True,
    ),
    one("heart", "chest", "cor, cardiac silhouette, ticker", "cardiac"),
    *pair(
        "lung",
        "lungs",
        "chest",
        "lung, pulmo, pulmones, pulmonary parenchyma, lung parenchyma, lung field, lung base",
        "pulmonary",
    ),
    one("trachea", "chest", "windpipe, wind pipe", "tracheal", "airway", tube=True),
    one(
        "esophagus",
        "chest",
        "oesophagus, gullet, food pipe, foodpipe, alimentary pipe",
        "esophageal, oesophageal",
        tube=True,
    ),
    one("urinary_bladder", "pelvis", "bladder, vesica urinaria, urine bladder", "vesical"),
    one(
        "vertebral_column",
        "abdomen",
        "spine, backbone, back bone, spinal column, vertebrae, vertebral bodies, vertebral body, vertebra, "
        "vertebras, columna vertebralis, ws, wirbelsaule, spines, bones of the spine, bones of the spinal column, "
        "spinal bones, bones of the back",
        "vertebral",
        "bone",
        "bones",
    ),
    one(
        "other_bone",
        "body",
        "other bones, remaining bones, rest of the bones, bones outside the spine",
        "",
        "bone",
        "bones",
    ),
    one(
        "inferior_vena_cava",
        "abdomen",
        "ivc, vena cava inferior, vena cava, inferior caval vein, caval vein, cava, postcava, inferior cava, "
        "inf vena cava",
        "caval",
        "vessel",
        "great_vessels",
        True,
    ),
    one("duodenum", "abdomen", "duodenal loop", "duodenal"),
    one("brainstem", "head_neck", "brain stem, truncus encephali, truncus cerebri", "", "nerve"),
    one(
        "spinal_cord",
        "head_neck",
        "cord, spinal chord, medulla spinalis, myelon, spinal marrow",
        "",
        "nerve",
        tube=True,
    ),
    *pair(
        "parotid",
        "parotids",
        "head_neck",
        "parotid, parotid gland, parotis, parotides, glandula parotis, glandula parotidea, glandulae "
        "parotideae, parotid salivary gland",
    ),
    one("larynx", "head_neck", "voice box, voicebox, laryngeal box", "laryngeal", "airway"),
    one(
        "mandible",
        "head_neck",
        "mandibula, lower jaw, lower jawbone, lower jaw bone, jaw, jawbone, jaw bone",
        "mandibular",
        "bone",
    ),
    one(
        "body",
        "body",
        "body outline, body surface, body contour, outline of the body, skin, skin surface, body mask, whole "
        "body, external contour, surface of the body, outer contour",
        "",
        "surface",
    ),
]

STRUCTURES: dict[str, Structure] = {structure.id: structure for structure in (*_ALL, *FURTHER, *VERTEBRAE)}
"""Structure of each id, in the order answers list them."""

EVERYTHING: tuple[str, ...] = tuple(s.id for s in _ALL if s.id != "body")
"""What "everything", a list and a report look for: the body outline holds no organ of its own; what is known from two
scans only, and single vertebrae, are looked for where they are named."""

GROUPS: dict[str, tuple[str, ...]] = {
    "kidneys": ("right_kidney", "left_kidney"),
    "lungs": ("right_lung", "left_lung"),
    "parotids": ("right_parotid", "left_parotid"),
    "bones": ("vertebral_column", "other_bone"),
    "great_vessels": ("aorta", "inferior_vena_cava"),
    **FURTHER_GROUPS,
    **VERTEBRA_GROUPS,
}
"""Parts of each group, right before left."""

GROUP_NAMES: dict[str, tuple[str, ...]] = {
    "bones": names(
        "bone, bones, skeleton, skeletal system, bony structures, osseous structures, ossa, all bones, bony skeleton"
    ),
    "great_vessels": names("great vessels, large vessels, big vessels, major vessels"),
    "parotids": names("salivary gland"),
    **FURTHER_GROUP_NAMES,
    **VERTEBRA_GROUP_NAMES,
}
"""Names of groups that are not the plural of a paired organ."""


PARTS: frozenset[str] = word_set(
    """
    lobe lobes head tail neck apex dome wall chamber chambers cortex medulla hilum tip segment segments half
    part parts portion quadrant root arch valve vessels surface edge border margin lumen
    """
)
"""A part "of the liver" is not the liver: no preset segments parts."""

PART_HEADS: frozenset[str] = word_set(
    """
    vein veins artery arteries duct ducts nerve nerves muscle muscles ligament ligaments valve valves gland
    wall walls lumen glands node nodes plexus fissure joint cartilage lobe lobes cortex capsule hilum vessels
    """
)
"""After an adjective or another noun these name something of their own: "renal vein", "submandibular gland"."""


def parts(id: str) -> tuple[str, ...]:
    """Structures of a structure or group id."""
    return GROUPS.get(id, (id,))


def name(id: str) -> str:
    """Name for the reader; of a group, its plural noun."""
    return STRUCTURES[id].name if id in STRUCTURES else id.replace("_", " ")


def counterpart(id: str) -> str | None:
    """The same organ on the other side; None for what is not paired."""
    structure = STRUCTURES[id]
    if not structure.paired:
        return None
    return next(other for other in GROUPS[structure.group] if other != id)


def on_side(group: str, side: Side) -> str:
    """The member of a paired group on one side of the patient."""
    return next(id for id in GROUPS[group] if STRUCTURES[id].side == side)


def paired_groups() -> tuple[str, ...]:
    """Groups that are the right and left of one organ."""
    return tuple(g for g, ids in GROUPS.items() if [STRUCTURES[id].side for id in ids] == ["right", "left"])


def in_region(region: str, ids: Iterable[str]) -> tuple[str, ...]:
    """Of some structures those of a region of the body; all where no region is given."""
    if not region:
        return tuple(ids)
    return tuple(id for id in ids if STRUCTURES[id].region == region or (id == "aorta" and region == "chest"))


COLOURS = {
    "red": "#ff6b6b", "blue": "#4dabf7", "green": "#51cf66", "yellow": "#fcc419", "purple": "#cc5de8",
    "violet": "#9c36b5", "orange": "#ff922b", "cyan": "#22b8cf", "turquoise": "#22b8cf", "teal": "#20c997",
    "pink": "#f06595", "magenta": "#f06595", "brown": "#a07855", "white": "#f8f9fa", "gray": "#adb5bd",
    "grey": "#adb5bd",
}  # fmt: skip
