"""Candidates for stones in gallbladder and kidneys, and asymmetry of the kidneys."""

from __future__ import annotations

from collections.abc import Sequence

from ...vocabulary.spoken import all_the, listing, the
from ..contrast import STRUCTURES as CONTRAST
from ..fact import Fact, shown
from ..facts import cut_note
from ..looks.bright import KIDNEYS, stones
from ..looks.sources import ELTON
from ..scene import Scene
from .base import Finding, Outcome, seen_as

_GALL_RULE = "rule of this program, without a publication: a connected spot of at least 100 HU in the gallbladder"
_HIRSCH = (
    "Hirsch AT, Haskal ZJ, Hertzer NR, et al. (ACC/AHA). Circulation 2006;113:e463-e654: difference in length between "
    "the kidneys above 1.5 cm (15 mm)"
)
ASYMMETRY_MM = 15.0


def gallstones(scene: Scene) -> Outcome:
    """Bright spots in the gallbladder: candidates for calcified stones; see ``looks.bright``."""
    look = stones(scene, organs=("gallbladder",))
    return seen_as(look, "bright spots in the gallbladder, candidates for stones", "borderline")


def renal_stones(scene: Scene, kidneys: Sequence[str] = KIDNEYS) -> Outcome:
    """Bright spots in kidneys without contrast: candidates for stones; see ``looks.bright``."""
    look = stones(scene, organs=tuple(id for id in kidneys if scene.mask(id) is not None))
    return seen_as(look, "bright spots in a kidney, candidates for stones", "borderline")


def kidney_asymmetry(scene: Scene) -> Outcome:
    """Lengths of the kidneys from top to bottom; a difference above 1.5 cm counts.

    Hirsch AT, Haskal ZJ, Hertzer NR, et al. ACC/AHA guidelines. Circulation 2006;113:e463-e654. Here the length is the
    longest diameter of the mask.
    """
    pair = KIDNEYS
    missing = [id for id in pair if scene.mask(id) is None]
    if missing:
        were = "were" if len(missing) > 1 else "was"
        return Outcome("not assessable", limits=(f"{all_the(missing)} {were} not found in this scan",))
    lengths = [
        Fact("longest_diameter_mm", scene.measure(id).longest_diameter_mm, "mm", (id,), note=cut_note(scene, id))
        for id in pair
    ]
    volumes = [Fact("volume_ml", scene.measure(id).volume_ml, "mL", (id,), note=cut_note(scene, id)) for id in pair]
    difference = Fact(
        "length_difference_mm",
        abs(round(lengths[0].value, 1) - round(lengths[1].value, 1)),
        "mm",
        pair,
        reference=_HIRSCH,
    )
    facts = (*lengths, *volumes, difference)
    told = listing(
        [
            f"{the(id)} is {'at least ' if length.note else ''}{shown(length)} long ({shown(volume)})"
            for id, length, volume in zip(pair, lengths, volumes, strict=True)
        ]
    )
    cut = [id for id, length in zip(pair, lengths, strict=True) if length.note]
    if cut:
        be = "are" if len(cut) > 1 else "is"
        limit = f"{all_the(cut)} {be} cut by the border of the scan, so the kidneys cannot be compared"
        return Outcome("measured", (*lengths, *volumes), told, limits=(limit,))
    told += f", a difference of {shown(difference)}"
    if difference.value > ASYMMETRY_MM:
        meaning = "this is above 15 mm, the published limit for asymmetry"
        return Outcome("met", facts, told, meaning, short="kidneys differ in length by more than 15 mm")
    return Outcome("not met", facts, told, "this is not above 15 mm, the published limit for asymmetry")


FINDINGS = (
    Finding("gallstones", "Gallstones", ("gallbladder",), CONTRAST, _GALL_RULE, gallstones),
    Finding("renal_stones", "Renal stones", KIDNEYS, CONTRAST, ELTON, renal_stones, by_side=True),
    Finding("kidney_asymmetry", "Symmetry of the kidneys", KIDNEYS, (), _HIRSCH, kidney_asymmetry, by_hu=False),
)
