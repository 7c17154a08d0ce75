"""Words for what may be seen where no structure is named: matter, its brightness, and the words that place it.

This is a vocabulary, not a rule on sentences: it says what is looked for, and ``tools.probing`` how.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..vocabulary.structure import word_set
from .calls import Probe
from .calls.base import Region
from .mentions import find
from .normalise import words

STONES = word_set("stone stones calculus calculi lithiasis nephrolithiasis urolithiasis cholelithiasis concrement")
METAL = word_set(
    """
    metal metallic implant implants prosthesis prostheses hardware screw screws nail nails rod rods plate plates clip
    clips stent stents pacemaker wire wires osteosynthesis endoprosthesis electrode electrodes
    """
)
FLUID = word_set("fluid fluids liquid effusion effusions ascites hydrothorax hemothorax collection collections water")
GAS = word_set("gas air pneumothorax ptx pneumoperitoneum pneumothoraces")
SPOTS = word_set(
    """
    mass masses lesion lesions tumor tumors tumour tumours nodule nodules metastasis metastases mets growth growths lump
    lumps cyst cysts abscess abscesses neoplasm neoplasms met spot spots foci focus
    """
)
DARK = word_set("dark darker hypodense hypodensity hypodensities hypoattenuating lucent black")
BRIGHT = word_set("bright white hyperdense hyperdensity hyperdensities hyperattenuating dense shiny")
THINGS = word_set(
    """
    thing things spot spots area areas dot dots region regions stuff bit bits speck specks patch patches blob blobs foci
    focus lesion lesions mass masses object objects part parts something
    """
)
CALCIUM = word_set("calcium calcification calcifications calcified plaque plaques calcific")
FAT = word_set("fat adipose")
MUSCLE = word_set("muscle muscles muscular sarcopenia")
SOFT = word_set(
    "consolidation consolidations opacity opacities opacification pneumonia atelectasis atelectatic collapsed collapse "
    "infiltrate infiltrates"
)
WORDS = STONES | METAL | FLUID | GAS | SPOTS | CALCIUM | SOFT | word_set("hypodense hyperdense hypodensity")
"""Words that say alone that something is looked for. "Fat", "dark" and "bright" need a place or a thing beside them."""

MATTER = STONES | METAL | FLUID | GAS | SPOTS | CALCIUM | FAT | MUSCLE | SOFT
"""Every word that names what is looked for."""

_AROUND = word_set("around round surrounding beside near outside along adjacent next")
_REGIONS: dict[str, Region] = {
    "abdomen": "abdomen", "abdominal": "abdomen", "belly": "abdomen", "tummy": "abdomen", "peritoneal": "abdomen",
    "peritoneum": "abdomen", "intraperitoneal": "abdomen", "ascites": "abdomen", "pneumoperitoneum": "abdomen",
    "pelvis": "pelvis", "pelvic": "pelvis", "chest": "chest", "thorax": "chest", "thoracic": "chest",
}  # fmt: skip
_LUNGS = ("right_lung", "left_lung")
_PLEURAL = word_set("pleural pleura hydrothorax hemothorax effusion effusions hemithorax thorax")
_PERICARDIAL = word_set("pericardial pericardium")
_VESSELS = word_set("vessel vessels vascular artery arteries arterial atherosclerosis")
_STONY = ("right_kidney", "left_kidney", "gallbladder", "urinary_bladder")
_JOINTS = frozenset({"and", "or", ",", ";", "?", "."})
_NARROWS = word_set(
    "distal proximal infrarenal suprarenal infrahepatic suprahepatic retrohepatic enhancing cortical medullary "
    "peripheral cervical intrathoracic"
)
_ENDS = word_set("upper lower middle anterior posterior medial lateral cranial caudal central front back")
_PARTS = word_set("pole poles part parts half third end portion section segment border surface margin tip")
_OF_LUNGS = word_set("nodule nodules") | SOFT


CONTENTS = {"urine": "urinary bladder", "bile": "gallbladder"}
"""What an organ holds, by the organ whose mask holds it."""


def holder_said(message: str) -> str:
    """A message with organs in the place of what they hold; as it is where it names an organ besides."""
    if any(mention.kind == "known" for mention in find(words(message))):
        return message
    return re.sub(rf"\b(?:{'|'.join(CONTENTS)})\b", lambda m: CONTENTS[m.group().lower()], message, flags=re.IGNORECASE)


def sought(message: Sequence[str]) -> Probe | None:
    """What a message looks for; None where it names nothing that is seen.

    Args:
        message: of ``normalise.words``, mended.
    """
    said = set(message)
    mentions = find([w for w in message if w not in WORDS])  # "lesion of the liver" is no structure, the liver is
    of = tuple(dict.fromkeys(id for m in mentions if m.kind == "known" for id in m.ids))
    sides = said & {"left", "right"}
    what = kind(said, bool(of))
    if not what:
        return None
    region = next((_REGIONS[w] for w in message if w in _REGIONS), "")
    near = _near(message)
    strange = [
        m
        for m in mentions
        if m.kind == "unknown" and not m.lesion and not set(m.text.split()) & (FAT | MUSCLE | _PLEURAL)
    ]
    strange = [m for m in strange if m.text not in ("lobe", "lobes")]  # "which lobe" asks where
    unknown = tuple(m.text for m in strange)
    nearest = tuple(dict.fromkeys(id for m in strange for id in m.nearest))
    lobes = [m for m in strange if m.text.split()[-1] in ("lobe", "lobes")]
    if lobes and said & {"right", "left"} and not of and not said & _OF_LUNGS and what in ("dark", "spots", "bright"):
        of, nearest = ("liver",), ()  # of lungs it would be named; that a lobe is not told apart is said
    if what == "fluid" and said & _PERICARDIAL:
        return Probe(("heart",), what="fluid", where="around")
    pleural = said & _PLEURAL or said & {"ptx", "pneumothorax", "pneumothoraces"}
    if what == "gas" and of and set(of) <= set(_LUNGS) and not (pleural or near):
        return None  # lungs are full of it
    if what in ("fluid", "gas") and ((pleural and not set(of) - set(_LUNGS)) or (of and set(of) <= set(_LUNGS))):
        ids = of or tuple(f"{side}_lung" for side in ("right", "left") if side in sides) or _LUNGS
        return Probe(ids, what=what, where="around")
    if said & _OF_LUNGS and not of and not unknown:
        ids = tuple(f"{side}_lung" for side in ("right", "left") if side in sides) or _LUNGS
        return Probe(ids, what=what, where="inside")
    if what == "calcium" and said & _VESSELS and not of:
        return Probe(("aorta",), what=what, where="inside")
    if said & STONES and not set(of) & set(_STONY) and not unknown:
        return Probe(_STONY, what="calcium", where="inside")
    at_l3 = "l3_vertebra" in of or not set(of) - {"body"}
    if what in ("fat", "soft") and at_l3 and not region and said & (FAT | MUSCLE):
        return Probe(("l3_vertebra",), what=what, where="inside")  # the level that is published for them
    if of:
        where = "between" if "between" in said and len(of) > 1 else "around" if near else "inside"
        return Probe(of, unknown=unknown, nearest=nearest, what=what, where=where)
    return Probe(unknown=unknown, nearest=nearest, what=what, region=region)


def _near(message: Sequence[str]) -> bool:
    """Whether a look is wanted beside what is named: the word for it stands before the name, not behind ("...it")."""
    first = next((m.start for m in find(list(message)) if m.kind == "known"), len(message))
    return any(word in _AROUND for word in message[max(0, first - 6) : first])


def every(message: Sequence[str]) -> tuple[Probe, ...]:
    """All that a message looks for: each of its parts where several look for something, else the whole of it."""
    several = tuple(dict.fromkeys(probe for part in parts(message) if (probe := sought(part)) is not None))
    kinds = {probe.what for probe in several}
    if kinds & {"calcium", "metal"}:  # what is bright, dark or a spot says less than what it is made of
        several = tuple(probe for probe in several if probe.what not in ("bright", "spots"))
    if len(kinds) > 1 and several:
        return several
    whole = sought(message)
    return () if whole is None else (whole,)


def parts(message: Sequence[str]) -> list[list[str]]:
    """What a message says, cut at "and", "or" and punctuation; none of them empty."""
    found: list[list[str]] = [[]]
    for word in message:
        if word in _JOINTS:
            found.append([])
        else:
            found[-1].append(word)
    return [part for part in found if part]


def narrowed(message: Sequence[str]) -> tuple[str, ...]:
    """Words that narrow a structure to a part that no tool measures alone ("upper pole", "distal").

    Words of a structure's own name ("right upper lobe") narrow nothing.
    """
    named = {n for m in find(list(message)) if m.kind != "side" for n in range(m.start, m.end)}
    found: list[str] = []
    for n, word in enumerate(message):
        ahead = message[n + 1] if n + 1 < len(message) else ""
        if n in named:
            continue
        if word in _NARROWS:
            found.append(f"{word} {ahead}" if ahead in _PARTS else word)
        elif word in _ENDS and ahead in _PARTS:
            found.append(f"{word} {ahead}")
    return tuple(dict.fromkeys(found))


def narrows(words: str) -> bool:
    """Whether words narrow a structure to a part; see ``narrowed``."""
    return words.split()[0] in _NARROWS | _ENDS


def kind(said: set[str], placed: bool) -> str:
    """The kind of matter that words name, "" for none; the more telling word first."""
    things = bool(said & THINGS)
    matters = {"metal": METAL, "calcium": STONES | CALCIUM, "fluid": FLUID, "gas": GAS, "soft": SOFT}
    for what, named in matters.items():
        if said & named:
            return what
    if said & DARK and (things or said & WORDS):
        return "dark"
    if said & BRIGHT and (things or said & WORDS):
        return "bright"
    level = any(w[:1] == "l" and w[1:].isdigit() for w in said)
    if said & MUSCLE and (level or said & {"sarcopenia", "area", "areas", "mass", "hu", "density"}):
        return "soft"
    if said & FAT and (placed or said & {"visceral", "subcutaneous", "abdominal"}):
        return "fat"
    return "spots" if said & SPOTS else ""
