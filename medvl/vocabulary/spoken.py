"""Small pieces of English that all sentences share: names with articles, lists, verbs, sides."""

from __future__ import annotations

from collections.abc import Iterable

from .names import STRUCTURES

_SPECIAL = {"other_bone": "bones outside the spine", "body": "body outline"}
_PLURAL = frozenset({"other_bone"} | {id for id in STRUCTURES if id.endswith(("_ribs", "_muscles", "_cartilages"))})
SIDES = {"L": "left", "R": "right", "P": "back", "A": "front", "I": "lower", "S": "upper"}


def name(structure: str) -> str:
    """Name of a structure for the reader, without article: "left kidney"."""
    if structure in _SPECIAL:
        return _SPECIAL[structure]
    return STRUCTURES[structure].name if structure in STRUCTURES else structure.replace("_", " ")


def the(structure: str) -> str:
    """Name with its article: "the left kidney"."""
    return f"the {name(structure)}"


def be(structure: str) -> str:
    """The verb to a name, "is" or "are"."""
    return "are" if structure in _PLURAL else "is"


def have(structure: str) -> str:
    """The verb to a name, "has" or "have"."""
    return "have" if structure in _PLURAL else "has"


def verb(structure: str, singular: str) -> str:
    """A regular verb for one or several: "lies", "lie"."""
    return singular[:-1] if structure in _PLURAL else singular


def listing(parts: Iterable[str], last: str = "and") -> str:
    """Parts in a row: "a, b and c"."""
    parts = list(parts)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""


def all_the(structures: Iterable[str], last: str = "and") -> str:
    """Names in a row: "the liver, the spleen and the left kidney"."""
    return listing([the(id) for id in structures], last)


def sentence(text: str) -> str:
    """With a capital at its start."""
    return text[:1].upper() + text[1:]
