"""What an entry of the vocabulary is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
        kind: ``organ``, ``vessel``, ``airway``, ``bone``, ``muscle``, ``nerve`` or ``surface``.
        tube: its size is asked for as a diameter, not as a volume.
        level: of a single vertebra, for instance "L1"; it too is looked for only where it is named.
        further: known from two scans only, and looked for only where it is named: not when everything is asked for.
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
    further: bool = False
    level: str = ""

    @property
    def paired(self) -> bool:
        """Whether there is one on each side."""
        return self.side != ""


def pair(
    base: str,
    group: str,
    region: Region,
    synonyms: str,
    adjectives: str = "",
    kind: str = "organ",
    tube: bool = False,
    further: bool = False,
) -> list[Structure]:
    """Right and left of a paired organ."""
    noun = base.replace("_", " ")
    called = names(synonyms), names(adjectives)
    return [
        Structure(f"{s}_{base}", f"{s} {noun}", *called, s, group, region, kind, tube, further)
        for s in ("right", "left")
    ]


def one(
    id: str,
    region: Region,
    synonyms: str,
    adjectives: str = "",
    kind: str = "organ",
    group: str = "",
    tube: bool = False,
    further: bool = False,
) -> Structure:
    """An organ that is there once."""
    name = id.replace("_", " ")
    return Structure(id, name, (name, *names(synonyms)), names(adjectives), "", group, region, kind, tube, further)


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


def word_set(text: str) -> frozenset[str]:
    """Words set apart by spaces or line ends."""
    return frozenset(text.split())


def names(text: str) -> tuple[str, ...]:
    """Names of one or more words, set apart by commas."""
    return tuple(" ".join(name.split()) for name in text.split(",") if name.strip())
