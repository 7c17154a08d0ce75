"""The structures that can be named, their many names, and names of what the model does not know.

Three tables, and nothing else is needed to add a name:

- ``STRUCTURES``: every structure with an id, its names in English, Latin and clinic, its side and region.
- ``GROUPS``: names for several structures at once ("kidneys").
- ``UNKNOWN``: structures that people ask for and no preset knows, each with the known names nearest to it, so that the
  answer can say so and offer something.

Names are written as ``normalise.words`` gives them: lower case, no hyphens. Plurals in -s are understood everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from .lexicon import names, word_set

Region = Literal["head_neck", "chest", "abdomen", "pelvis", "body"]
Side = Literal["left", "right", ""]


@dataclass(frozen=True)
class Structure:
    """A structure that can be asked for.

    Attributes:
        id: canonical id, for instance ``"right_kidney"``.
        name: for the reader, "right kidney".
        synonyms: other nouns for it, without the side.
        adjectives: "hepatic": means the structure before a word such as "volume", not before "vein".
        side: the patient's side of a paired structure, else "".
        group: id of the group it belongs to, else "".
        region: where it lies, or mostly lies.
        kind: ``organ``, ``vessel``, ``airway``, ``bone``, ``nerve`` or ``surface``.
        tube: its size is asked for as a diameter, not as a volume.
    """

    id: str
    name: str
    synonyms: tuple[str, ...]
    adjectives: tuple[str, ...] = ()
    side: Side = ""
    group: str = ""
    region: Region = "abdomen"
    kind: str = "organ"
    tube: bool = False

    @property
    def paired(self) -> bool:
        """Whether there is one on each side."""
        return self.side != ""


def _pair(base: str, group: str, region: Region, synonyms: str, adjectives: str = "") -> list[Structure]:
    """Right and left of a paired organ."""
    return [
        Structure(f"{s}_{base}", f"{s} {base}", names(synonyms), names(adjectives), s, group, region)
        for s in ("right", "left")
    ]


def _one(
    id: str,
    region: Region,
    synonyms: str,
    adjectives: str = "",
    kind: str = "organ",
    group: str = "",
    tube: bool = False,
) -> Structure:
    name = id.replace("_", " ")
    return Structure(id, name, (name, *names(synonyms)), names(adjectives), "", group, region, kind, tube)


_ALL: list[Structure] = [
    _one("liver", "abdomen", "hepar, liver parenchyma, hepatic parenchyma, liver tissue, jecur", "hepatic"),
    _one("spleen", "abdomen", "lien, splen, milt, splenic parenchyma", "splenic"),
    *_pair("kidney", "kidneys", "abdomen", "kidney, ren, renes, nephros, renal parenchyma", "renal"),
    _one("stomach", "abdomen", "gaster, ventriculus, tummy bag", "gastric"),
    _one(
        "gallbladder",
        "abdomen",
        "gall bladder, vesica fellea, vesica biliaris, bile bladder, gb, cholecyst",
    ),
    _one("pancreas", "abdomen", "pancreatic gland, pancreatic parenchyma", "pancreatic"),
    _one(
        "aorta",
        "abdomen",
        "main artery, thoracic aorta, abdominal aorta, ascending aorta, descending aorta",
        "aortic",
        "vessel",
        "great_vessels",
        True,
    ),
    _one("heart", "chest", "cor, cardiac silhouette, ticker", "cardiac"),
    *_pair(
        "lung",
        "lungs",
        "chest",
        "lung, pulmo, pulmones, pulmonary parenchyma, lung parenchyma, lung field, lung base",
        "pulmonary",
    ),
    _one("trachea", "chest", "windpipe, wind pipe", "tracheal", "airway", tube=True),
    _one(
        "esophagus",
        "chest",
        "oesophagus, gullet, food pipe, foodpipe, alimentary pipe",
        "esophageal, oesophageal",
        tube=True,
    ),
    _one("urinary_bladder", "pelvis", "bladder, vesica urinaria, urine bladder", "vesical"),
    _one(
        "vertebral_column",
        "abdomen",
        "spine, backbone, back bone, spinal column, vertebrae, vertebral bodies, vertebral body, vertebra, "
        "vertebras, columna vertebralis, ws, wirbelsaule, spines, bones of the spine, bones of the spinal column, "
        "spinal bones, bones of the back",
        "vertebral",
        "bone",
        "bones",
    ),
    _one(
        "other_bone",
        "body",
        "other bones, remaining bones, rest of the bones, bones outside the spine",
        "",
        "bone",
        "bones",
    ),
    _one(
        "inferior_vena_cava",
        "abdomen",
        "ivc, vena cava inferior, vena cava, inferior caval vein, caval vein, cava, postcava, inferior cava, "
        "inf vena cava",
        "caval",
        "vessel",
        "great_vessels",
        True,
    ),
    _one("duodenum", "abdomen", "duodenal loop", "duodenal"),
    _one("brainstem", "head_neck", "brain stem, truncus encephali, truncus cerebri", "", "nerve"),
    _one(
        "spinal_cord",
        "head_neck",
        "cord, spinal chord, medulla spinalis, myelon, spinal marrow",
        "",
        "nerve",
        tube=True,
    ),
    *_pair(
        "parotid",
        "parotids",
        "head_neck",
        "parotid, parotid gland, parotis, parotides, glandula parotis, glandula parotidea, glandulae "
        "parotideae, parotid salivary gland",
    ),
    _one("larynx", "head_neck", "voice box, voicebox, laryngeal box", "laryngeal", "airway"),
    _one(
        "mandible",
        "head_neck",
        "mandibula, lower jaw, lower jawbone, lower jaw bone, jaw, jawbone, jaw bone",
        "mandibular",
        "bone",
    ),
    _one(
        "body",
        "body",
        "body outline, body surface, body contour, outline of the body, skin, skin surface, body mask, whole "
        "body, external contour, surface of the body, outer contour",
        "",
        "surface",
    ),
]

STRUCTURES: dict[str, Structure] = {structure.id: structure for structure in _ALL}
"""Structure of each id, in the order answers list them."""

EVERYTHING: tuple[str, ...] = tuple(id for id in STRUCTURES if id != "body")
"""What "everything" means: the body outline holds no organ of its own."""

GROUPS: dict[str, tuple[str, ...]] = {
    "kidneys": ("right_kidney", "left_kidney"),
    "lungs": ("right_lung", "left_lung"),
    "parotids": ("right_parotid", "left_parotid"),
    "bones": ("vertebral_column", "other_bone"),
    "great_vessels": ("aorta", "inferior_vena_cava"),
}
"""Parts of each group, right before left."""

GROUP_NAMES: dict[str, tuple[str, ...]] = {
    "bones": names(
        "bone, bones, skeleton, skeletal system, bony structures, osseous structures, ossa, all bones, bony skeleton"
    ),
    "great_vessels": names("great vessels, large vessels, big vessels, major vessels"),
    "parotids": names("salivary gland"),
}
"""Names of groups that are not the plural of a paired organ."""


@dataclass(frozen=True)
class UnknownTerm:
    """A structure, or part of one, that no preset can segment.

    Attributes:
        names: as said.
        nearest: ids to offer; a group id stands for the side that was said, or for both.
        lesion: whether it is a disease rather than anatomy: asked whether it is there, that is a diagnosis.
    """

    names: tuple[str, ...]
    nearest: tuple[str, ...] = ()
    lesion: bool = False


UNKNOWN: tuple[UnknownTerm, ...] = (
    UnknownTerm(
        names("prostate, prostate gland, seminal vesicle, penis, testis, testes, testicle"), ("urinary_bladder",)
    ),
    UnknownTerm(
        names("uterus, womb, ovary, ovaries, cervix, vagina, fallopian tube, placenta, fetus"), ("urinary_bladder",)
    ),
    UnknownTerm(names("ureter, urethra"), ("kidneys", "urinary_bladder")),
    UnknownTerm(
        names(
            "colon, large bowel, large intestine, bowel, bowels, intestine, guts, rectum, sigmoid, sigmoid "
            "colon, caecum, cecum, appendix, vermiform appendix, transverse colon, ascending colon, "
            "descending colon, anus, mesentery, omentum"
        ),
        ("duodenum", "stomach"),
    ),
    UnknownTerm(names("small bowel, small intestine, ileum, jejunum"), ("duodenum",)),
    UnknownTerm(
        names(
            "adrenal, adrenal gland, suprarenal gland, suprarenal, renal pelvis, renal cortex, renal "
            "medulla, renal sinus"
        ),
        ("kidneys",),
    ),
    UnknownTerm(
        names(
            "thyroid, thyroid gland, thyroid cartilage, epiglottis, vocal cord, pharynx, throat, hyoid, "
            "tongue, oral cavity, tonsil, tooth, teeth, submandibular gland, sublingual gland"
        ),
        ("larynx", "mandible"),
    ),
    UnknownTerm(
        names(
            "brain, cerebrum, cerebellum, cerebral hemisphere, encephalon, lateral ventricle, lateral "
            "ventricles, pituitary, optic nerve, optic chiasm, chiasm, eye, eyes, eyeball, lens, cochlea, "
            "orbit, nose, sinuses, hippocampus, thalamus, white matter, grey matter, gray matter"
        ),
        ("brainstem",),
    ),
    UnknownTerm(names("skull, cranium, maxilla, upper jaw"), ("mandible", "other_bone")),
    UnknownTerm(
        names(
            "rib, ribs, rib cage, ribcage, sternum, breastbone, clavicle, collarbone, collar bone, scapula, "
            "shoulder blade, humerus, femur, femora, femoral head, thigh bone, hip, hips, hip bone, pelvic "
            "bone, pelvis bone, pelvic bones, pelvis bones, bony pelvis, ilium, iliac bone, iliac crest, "
            "ischium, pubis, sacrum, os sacrum, coccyx, tailbone, tibia, fibula, knee, elbow, shoulder, "
            "shoulders, radius bone, ulna, patella, arm, arms, leg, legs, hands, foot, feet, thigh, thighs"
        ),
        ("other_bone",),
    ),
    UnknownTerm(
        names(
            "cervical spine, thoracic spine, lumbar spine, c spine, t spine, lumbar vertebra, "
            "lumbar vertebrae, thoracic vertebra, thoracic vertebrae, cervical vertebra, cervical vertebrae, "
            "individual vertebra, individual vertebrae, single vertebra, single vertebrae, each vertebra, "
            "every vertebra, intervertebral disc, intervertebral disk, disc, discs, atlas vertebra, spinal "
            "canal, pedicle, facet joint"
        ),
        ("vertebral_column",),
    ),
    UnknownTerm(
        names("bronchus, bronchi, bronchial tree, bronchial airway, main bronchus, bronchiole, airways, carina"),
        ("trachea", "lungs"),
    ),
    UnknownTerm(
        names(
            "upper lobe, middle lobe, lower lobe, lingula, lung lobe, lung lobes, lung segment, pleura, "
            "pleural space, lung apex, lung vessels, pulmonary vessels"
        ),
        ("lungs",),
    ),
    UnknownTerm(
        names(
            "caudate lobe, quadrate lobe, liver lobe, liver lobes, liver segment, liver segments, hepatic "
            "lobe, couinaud segment, couinaud segments, bile duct, bile ducts, common bile duct, biliary "
            "tree, hepatic duct"
        ),
        ("liver", "gallbladder"),
    ),
    UnknownTerm(
        names(
            "left atrium, right atrium, left ventricle, right ventricle, atrium, ventricle, atria, "
            "ventricles, heart chamber, heart chambers, myocardium, pericardium, septum, heart valve, mitral "
            "valve, aortic valve, tricuspid valve, coronary, coronary artery, coronary arteries, coronaries, "
            "coronary vessel, coronary calcification, coronary calcium, coronary artery calcification, "
            "coronary plaque"
        ),
        ("heart",),
    ),
    UnknownTerm(
        names(
            "superior vena cava, vena cava superior, superior cava, superior caval vein, svc, brachiocephalic "
            "vein, azygos, azygos vein"
        ),
        ("inferior_vena_cava", "heart"),
    ),
    UnknownTerm(
        names("pulmonary artery, pulmonary arteries, pulmonary trunk, pulmonary vein, pulmonary veins"),
        ("heart", "aorta"),
    ),
    UnknownTerm(
        names(
            "portal vein, vena portae, hepatic vein, hepatic veins, hepatic artery, splenic vein, splenic "
            "artery, mesenteric artery, mesenteric vein, superior mesenteric artery, superior mesenteric "
            "vein, celiac trunk, coeliac trunk, sma, smv, renal artery, renal vein, iliac artery, iliac "
            "arteries, iliac vein, iliac, iliacs, femoral artery, carotid, carotid artery, carotids, jugular "
            "vein, subclavian artery, vertebral artery, blood vessel, blood vessels, vessels, arteries, veins"
        ),
        ("aorta", "inferior_vena_cava"),
    ),
    UnknownTerm(
        names(
            "muscle, muscles, psoas, psoas muscle, gluteus, gluteal muscle, autochthon, abdominal muscle, "
            "abdominal wall, abs, iliopsoas"
        ),
        ("vertebral_column", "body"),
    ),
    UnknownTerm(names("fat, visceral fat, subcutaneous fat, adipose tissue, body fat"), ("body",)),
    UnknownTerm(names("diaphragm, hemidiaphragm, hemi diaphragm"), ("lungs", "liver")),
    UnknownTerm(names("mediastinum, thymus"), ("heart", "trachea")),
    UnknownTerm(names("breast, breasts, mammary gland, nipple"), ("lungs", "body")),
    UnknownTerm(names("lymph node, lymph nodes, nodes"), ()),
    UnknownTerm(
        names(
            "free air, free gas, metal, foreign body, table, patient table, couch, stent, catheter, "
            "pacemaker, implant, prosthesis"
        ),
        ("body",),
    ),
    UnknownTerm(
        names(
            "tumour, tumor, tumours, tumors, mass, masses, lesion, lesions, nodule, nodules, metastasis, "
            "metastases, mets, cyst, cysts, cancer, carcinoma, malignancy, abscess, hematoma, haematoma, "
            "thrombus, clot, polyp, growth, lump, neoplasm, adenoma, hemangioma, haemangioma, ascites, "
            "lymphadenopathy, adenopathy, "
            "consolidation, infiltrate, atelectasis, fracture, hernia, gtv, ctv, ptv"
        ),
        (),
        True,
    ),
)
"""What people ask for and no preset knows."""

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
    glands node nodes plexus fissure joint cartilage lobe lobes cortex capsule hilum vessels
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
    return tuple(group for group, members in GROUPS.items() if all(STRUCTURES[id].paired for id in members))


def lies_in(id: str, region: str) -> bool:
    """Whether a structure lies in a region, or passes through it."""
    through = {"aorta": ("chest",), "esophagus": ("abdomen",), "vertebral_column": ("chest", "pelvis"),
               "inferior_vena_cava": ("chest",), "spinal_cord": ("chest", "abdomen"), "other_bone": ("chest", "pelvis"),
               "trachea": ("head_neck",)}  # fmt: skip
    return STRUCTURES[id].region == region or region in through.get(id, ())


KINDS = frozenset(s.kind for s in STRUCTURES.values()) - {"organ", "surface"}
"""Kinds that a list can be asked for: "which vessels do you know"."""


def listed(what: str, ids: Iterable[str]) -> tuple[str, ...]:
    """Of some structures those that a list is about.

    Args:
        what: a region of the body; a kind (nothing of it needs to be looked for: ``()``); else all are meant.
        ids: structures.
    """
    if what in KINDS:
        return ()
    if what not in get_args(Region):
        return tuple(ids)
    return tuple(id for id in ids if STRUCTURES[id].region == what or (id == "aorta" and what == "chest"))
