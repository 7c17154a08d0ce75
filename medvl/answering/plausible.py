"""Which outlines to doubt: of sizes that no organ has, and of structures learned from hardly any scans."""

from __future__ import annotations

from collections.abc import Sequence

from .contract import Fact, Sentence
from .numbers import shown
from .scene import Scene
from .sentences import say
from .vocabulary import STRUCTURES
from .words import all_the, be, the

# Longest diameter in mm, far above what is seen in adults. Rules of this program, without a publication: nothing is
# judged by them but the outline.
LONGEST_MM: dict[str, float] = {
    "kidneys": 150.0, "pancreas": 230.0, "gallbladder": 150.0, "heart": 200.0, "spleen": 260.0, "liver": 340.0,
    "urinary_bladder": 230.0, "parotids": 100.0, "larynx": 110.0, "brainstem": 100.0,
}  # fmt: skip
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


def rough(scene: Scene, structures: Sequence[str]) -> list[Sentence]:
    """A warning where masks are of structures that were learned from the labels of one or two scans only."""
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
