"""Requests as lines of text and back: the whole language that the small language model may speak.

One request a line, ``head: structures``, for instance::

    segment: left kidney, liver
    measure density: liver
    compare volume claim larger: left kidney, right kidney
    segment choose brighter: kidneys
    segment: ?prostate

The head is the intent, then the one field that it needs (attribute, relation, finding or topic), then ``claim``,
``choose`` and ``which`` with their value. A name after ``?`` is one that no preset knows, in the words of the message.
No number has a place in it, and what is not in the tables of this file is no request.
"""

from __future__ import annotations

from collections.abc import Sequence

from .contract import Intent, Request
from .findings import FINDINGS
from .knowledge import TOPICS
from .mentions import find
from .normalise import words
from .vocabulary import EVERYTHING, GROUPS, STRUCTURES

ATTRIBUTES = ("volume", "mean_hu", "diameter", "slices", "position", "extent", "count", "voxels")
SCAN_ATTRIBUTES = ("spacing", "size", "contrast", "orientation", "coverage", "hu_range", "slices")
RELATIONS = ("side", "above", "front", "distance", "touching", "nearest", "direction")
VIEWS = ("hide", "show", "only", "centre")  # colours and windows are left to the rules
CHOICES = ("larger", "smaller", "brighter", "darker")
CLAIMS = ("left", "right", "above", "below", "front", "behind", "touching", "absent", *CHOICES)
MAX_REQUESTS = 6

# the field of each intent that stands right after it, and its values; "" may always be left out
_FIELD: dict[Intent, tuple[str, frozenset[str]]] = {
    Intent.MEASURE: ("attribute", frozenset(ATTRIBUTES)),
    Intent.COMPARE: ("attribute", frozenset(ATTRIBUTES)),
    Intent.SCAN: ("attribute", frozenset(SCAN_ATTRIBUTES)),
    Intent.VIEW: ("attribute", frozenset(VIEWS)),
    Intent.RELATION: ("relation", frozenset(RELATIONS)),
    Intent.FINDING: ("finding", frozenset(FINDINGS)),
    Intent.KNOWLEDGE: ("topic", TOPICS),
    Intent.CHAT: ("topic", TOPICS),
    Intent.REFUSE: ("topic", TOPICS),
    Intent.UNKNOWN: ("topic", TOPICS),
}
_NEEDED = frozenset({Intent.MEASURE, Intent.COMPARE, Intent.SCAN, Intent.RELATION, Intent.FINDING, Intent.KNOWLEDGE})
_WORDS = {"mean_hu": "density", "hu_range": "range"}
_VALUES = {word: value for value, word in _WORDS.items()}
_NAMES: dict[tuple[str, ...], str] = {
    EVERYTHING: "everything",
    **{members: group.replace("_", " ") for group, members in GROUPS.items()},
    **{(id,): structure.name for id, structure in STRUCTURES.items()},
}
_IDS = {name: ids for ids, name in _NAMES.items()}


class LineError(ValueError):
    """A line is no request; says what was wrong. The reader takes the rules instead."""


def write(requests: Sequence[Request]) -> str:
    """The lines of requests, without what the lines cannot say (``referring``, ``nearest``)."""
    return "\n".join(map(_line, requests))


def _line(request: Request) -> str:
    head = [request.intent.value]
    if request.intent in _FIELD:
        value = getattr(request, _FIELD[request.intent][0])
        head += [_WORDS.get(value, value).replace("_", " ")] if value else []
    for key in ("claim", "choose", "which"):
        head += [key, getattr(request, key)] if getattr(request, key) else []
    items = [*_structure_names(request.structures), *("?" + words for words in request.unknown)]
    return " ".join(head) + (": " + ", ".join(items) if items else "")


def _structure_names(ids: tuple[str, ...]) -> list[str]:
    if ids in _NAMES:
        return [_NAMES[ids]]
    names, i = [], 0
    while i < len(ids):
        step = 2 if ids[i : i + 2] in _NAMES else 1
        names.append(_NAMES[ids[i : i + step]])
        i += step
    return names


def read(text: str) -> tuple[Request, ...]:
    """The requests of lines.

    Raises:
        LineError: a line is not in the language.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    if not 0 < len(lines) <= MAX_REQUESTS:
        raise LineError(f"{len(lines)} requests in one message")
    return tuple(map(_request, lines))


def _request(line: str) -> Request:
    head, _, tail = line.strip().partition(":")
    word, *rest = head.split()
    try:
        intent = Intent(word)
    except ValueError:
        raise LineError(f"no intent {word!r}") from None
    if intent is Intent.EDIT:
        raise LineError("masks are changed by the rules alone")
    values: dict[str, str] = {}
    while len(rest) >= 2 and rest[-2] in ("claim", "choose", "which"):
        key, value = rest[-2:]
        if value not in (CLAIMS if key == "claim" else CHOICES):
            raise LineError(f"no {key} {value!r}")
        values[key] = value
        rest = rest[:-2]
    if rest or intent in _NEEDED:
        field, allowed = _FIELD.get(intent, ("", frozenset()))
        value = "_".join(rest)
        value = _VALUES.get(value, value)
        if value not in allowed:
            raise LineError(f"no {field or 'field'} {value!r} of {intent.value}")
        values[field] = value
    structures: list[str] = []
    unknown: list[str] = []
    for item in tail.split(",") if tail.strip() else ():
        item = item.strip()
        if item.startswith("?") and item[1:].strip():
            unknown.append(item[1:].strip())
        elif item in _IDS:
            structures += _IDS[item]
        else:
            raise LineError(f"no structure {item!r}")
    near = (id for said in unknown for m in find(words(said)) if m.kind == "unknown" for id in m.nearest)
    return Request(
        intent,
        tuple(dict.fromkeys(structures)),
        unknown=tuple(dict.fromkeys(unknown)),
        nearest=tuple(dict.fromkeys(near)),
        **values,
    )
