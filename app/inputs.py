"""What the browser sends, checked: prompts, lengths and names. Anything may arrive here."""

from __future__ import annotations

from typing import Any

from medvl.errors import ExportError, PromptError
from medvl.lengths import Length
from medvl.prompts import Box, Point
from medvl.volume import CTVolume

NAME_LENGTH = 60
QUESTION_LENGTH = 1000
SENTENCE_LENGTH = 2000
MAX_LENGTHS = 500


def read_prompt(data: Any, ct: CTVolume) -> Point | Box:
    """A prompt from the browser.

    Raises:
        PromptError: it is not one, or lies outside the CT.
    """
    data = data if isinstance(data, dict) else {}
    if data.get("kind") == "point":
        axis = data.get("axis", 2)
        return Point(_index(data.get("ijk")), bool(data.get("positive", True)), axis).check(ct.shape)
    if data.get("kind") == "box":
        return Box(_index(data.get("lo")), _index(data.get("hi"))).check(ct.shape)
    raise PromptError("A prompt is a point or a box.")


def _index(value: Any) -> tuple[int, int, int]:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise PromptError("A voxel has three indices (i, j, k).")
    if any(isinstance(v, bool) or not isinstance(v, int | float) or v % 1 != 0 for v in value):
        raise PromptError("Voxel indices are whole numbers.")
    return tuple(int(v) for v in value)


def read_lengths(data: Any, token: str, ct: CTVolume) -> list[Length]:
    """The lengths of the viewer's ruler, for an export.

    Args:
        data: ``{"scan": token, "list": [{"plane", "slice", "ends": [[i, j, k], [i, j, k]]}, ...]}``, or None.
        token: of the open scan.
        ct: the open scan.

    Raises:
        ExportError: they are of another scan, too many, or one of them is none.
    """
    if data is None:
        return []
    listed = data.get("list") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise ExportError("The lengths came in a form that cannot be read. Reload the page.")
    if not listed:
        return []
    if data.get("scan") != token:
        raise ExportError("The lengths were drawn on another scan. Wait until the new one is shown, then export again.")
    if len(listed) > MAX_LENGTHS:
        raise ExportError(f"At most {MAX_LENGTHS} lengths are exported; these are {len(listed)}. Remove some.")
    return [_length(one).check(ct) for one in listed]


def _length(data: Any) -> Length:
    data = data if isinstance(data, dict) else {}
    plane, number, ends = data.get("plane"), data.get("slice"), data.get("ends")
    places = ends if isinstance(ends, list) and len(ends) == 2 else [None, None]
    if not isinstance(plane, str) or isinstance(number, bool) or not isinstance(number, int):
        raise ExportError("A length has a plane and the index of a slice; one of these has not.")
    for place in places:
        if not isinstance(place, list) or len(place) != 3 or not all(map(_is_number, place)):
            raise ExportError("A length has two ends of three numbers each; one of these has not.")
    start, end = (tuple(float(n) for n in place) for place in places)
    return Length(plane, number, start, end)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6  # not NaN, not endless


def clean_name(value: Any) -> str:
    """A mask name that fits a list: printable, one line, not empty.

    Raises:
        PromptError: nothing is left of it.
    """
    name = " ".join("".join(c for c in str(value or "") if c.isprintable()).split())[:NAME_LENGTH].strip()
    if not name:
        raise PromptError("A mask needs a name.")
    return name


def clean_question(value: Any) -> str:
    """A message to the chat: printable, not empty, not endless.

    Raises:
        PromptError: nothing is left of it, or it is too long.
    """
    lines = ("".join(c for c in line if c.isprintable()).strip() for line in str(value or "").splitlines())
    text = "\n".join(line for line in lines if line)
    if not text:
        raise PromptError("Type a question or the name of a structure first.")
    if len(text) > QUESTION_LENGTH:
        raise PromptError(f"A message has at most {QUESTION_LENGTH} characters; this one has {len(text)}.")
    return text


def clean_sentence(value: Any) -> str:
    """A sentence of a report as a visitor has rewritten it: one printable line, empty to leave it out."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value or "")).split())[:SENTENCE_LENGTH].strip()
