"""A fact: one value that an answer may state, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ..vocabulary.numbers import show

# In this order of trust: the file's header and geometry; masks measured in this session; a network's own reading of the
# image; general knowledge that says nothing of this scan. "program" is what the program did or says of itself ("I hid
# the spleen"): it states nothing of the scan.
Source = Literal["scan", "measured", "model", "knowledge", "program"]

Sureness = Literal["whole", "at least", "doubtful"]
"""Of a value: as measured; a lower bound; or one that something on this scan speaks against."""


class About(NamedTuple):
    """What a fact is about: which structures, on which side of the patient, in which part of them, which quality."""

    structures: tuple[str, ...]
    side: str
    part: str
    attribute: str


@dataclass(frozen=True)
class Fact:
    """One value that an answer may state.

    Attributes:
        key: what it is, for instance ``volume_ml``, ``mean_hu``, ``distance_mm``, ``contrast``.
        value: the value; None when the scan does not allow it, ``note`` says why.
        unit: ``"mL"``, ``"HU"``, ``"mm"``, ``"%"`` or "".
        structures: ids it is about.
        source: where it comes from.
        note: limits of the value, or why there is none.
        reference: publication and threshold behind an interpretation, else "".
        side: of the patient, ``"left"``, ``"right"``, ``"midline"`` or "".
        part: of the structure, for instance ``"infrarenal"`` or ``"lower third"``; else "".
        sureness: see ``Sureness``.
        slice: axial slice that it was measured in, from 1 at the feet; None where it is of a volume.
        mask_id: the mask in the list that it was measured on, where that is no structure's own.
        id: ``f1``, ``f2``, ... in the order told in a conversation; "" before it is told. No part of what it says.
    """

    key: str
    value: float | int | str | bool | None
    unit: str = ""
    structures: tuple[str, ...] = ()
    source: Source = "measured"
    note: str = ""
    reference: str = ""
    side: str = ""
    part: str = ""
    sureness: Sureness = "whole"
    slice: int | None = None
    mask_id: str = field(default="", compare=False)
    id: str = field(default="", compare=False)

    @property
    def about(self) -> About:
        """Structure, side, part and attribute."""
        return About(self.structures, self.side, self.part, self.key)


def shown(fact: Fact) -> str:
    """Value of a fact with its unit; "not measured" where there is none."""
    return "not measured" if fact.value is None else show(fact.value, fact.unit)
