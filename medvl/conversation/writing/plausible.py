"""Which outlines to doubt: of sizes that no organ has, learned from hardly any scans, or counted."""

from __future__ import annotations

from collections.abc import Sequence

from ...structures.thresholds import THRESHOLDS
from ...tools.fact import Fact, shown
from ...tools.scene import Scene
from ...vocabulary.names import STRUCTURES
from ...vocabulary.spoken import all_the, be, listing, the
from ..contract import Sentence
from .sentences import say

# Longest diameter in mm, far above what is seen in adults. Rules of this program, without a publication: nothing is
# judged by them but the outline.
LONGEST_MM: dict[str, float] = {
    "kidneys": 150.0, "pancreas": 230.0, "gallbladder": 150.0, "heart": 200.0, "spleen": 260.0, "liver": 340.0,
    "urinary_bladder": 230.0, "parotids": 100.0, "larynx": 110.0, "brainstem": 100.0,
}  # fmt: skip
SURE_FROM = "measured on the validation scans of this program"
FURTHER_SCANS = 2  # whose labels name the structures that are ``further``


def doubt(scene: Scene, structure: str) -> Sentence | None:
    """A warning where the mask of a structure is longer than the structure can be; None where there is none to give."""
    limit = LONGEST_MM.get(STRUCTURES[structure].group or structure) if structure in STRUCTURES else None
    if limit is None or scene.mask(structure) is None:
        return None
    longest = scene.measure(structure).longest_diameter_mm
    if longest <= limit:
        return None
    fact = Fact("longest_diameter_mm", longest, "mm", (structure,))
    most = Fact("implausible_above_mm", limit, "mm", (structure,), "knowledge", reference="rule of this program")
    text = (
        f"at {shown(fact)} {the(structure)} is longer than is plausible (more than {shown(most)}, a rule of "
        f"this program): "
        "its outline probably takes in something else, so please check it before using its values"
    )
    return say(scene, text, fact, most, structures=(structure,))


def unsure(scene: Scene, structure: str) -> Sentence | None:
    """A warning where the model itself is unsure of a mask; None where it is not, or where a person corrected it."""
    found, mask = scene.found(structure), scene.mask(structure)
    if mask is None or not mask.doubt or found.sure is None:
        return None
    sure = Fact("sure_percent", 100 * found.sure, "%", (structure,))
    limit = Fact("sure_limit_percent", 100 * THRESHOLDS.sure, "%", (structure,), "knowledge", reference=SURE_FROM)
    text = (
        f"{the(structure)} is doubtful: the model is sure of it to {shown(sure)}, and below {shown(limit)} most "
        "outlines were wrong on scans with labels, so please check it before using its values"
    )
    return say(scene, text, sure, limit, structures=(structure,))


def rough(scene: Scene, structures: Sequence[str]) -> list[Sentence]:
    """A warning where masks are of structures that were learned from hardly any scans, or that were counted."""
    doubtful = [told for id in structures if (told := unsure(scene, id))]
    return [*doubtful, *_few_scans(scene, structures), *_counted(scene, structures)]


def _counted(scene: Scene, structures: Sequence[str]) -> list[Sentence]:
    """How single vertebrae were told apart, and what speaks against their levels."""
    told = []
    ids = [id for id in structures if id in STRUCTURES and STRUCTURES[id].level and scene.mask(id) is not None]
    for note in dict.fromkeys(scene.found(id).note for id in ids):
        alike = [id for id in ids if scene.found(id).note == note]
        which = all_the(alike) if len(alike) < 4 else listing([the(alike[0]), the(alike[-1])], "to")
        verb = be(alike[0]) if len(alike) == 1 else "are"
        text = f"{which} {verb} {note}: please check the level before using values"
        told.append(say(scene, text, structures=alike, source="program"))
    return told


def _few_scans(scene: Scene, structures: Sequence[str]) -> list[Sentence]:
    ids = [id for id in structures if id in STRUCTURES and STRUCTURES[id].further and scene.mask(id) is not None]
    if not ids:
        return []
    scans = Fact("scans_learned_from", FURTHER_SCANS, "", tuple(ids), "knowledge")
    verb, outline = (be(ids[0]), "its outline") if len(ids) == 1 else ("are", "their outlines")
    outline = "their outline" if verb == "are" and len(ids) == 1 else outline
    text = (
        f"{all_the(ids)} {verb} among the structures that were learned from {shown(scans)} scans at most, so "
        f"{outline} may be rough: please check before using values"
    )
    return [say(scene, text, scans, structures=ids, source="program")]
