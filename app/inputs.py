"""What the browser sends, checked: prompts, lengths and names. Anything may arrive here."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from medvl.ct.lengths import PLACES, Length
from medvl.ct.masks import decode_runs
from medvl.ct.prompts import Box, Point
from medvl.ct.volume import CTVolume
from medvl.errors import ExportError, MedVLError, PromptError

NAME_LENGTH = 60
QUESTION_LENGTH = 1000
SENTENCE_LENGTH = 2000
MAX_LENGTHS = 500
MAX_SCRIBBLE = 32


UNREADABLE = "The page sent something that cannot be read. Reload it and try again; what you had is still there."


def read_word(data: Any, key: str) -> str:
    """A word of an event, such as the name of a button; empty where it has none, which no button is named."""
    word = data.get(key) if isinstance(data, dict) else None
    return word if isinstance(word, str) else ""


def read_prompts(data: Any, ct: CTVolume) -> list[Point | Box]:
    """What a person pointed at in one go: a point, a box, or the points of a scribble.

    Raises:
        PromptError: it is none of these, or lies outside the CT.
    """
    data = data if isinstance(data, dict) else {}
    if data.get("kind") != "scribble":
        return [read_prompt(data, ct)]
    points = data.get("points")
    if not isinstance(points, list) or not 0 < len(points) <= MAX_SCRIBBLE:
        raise PromptError(f"A scribble has 1 to {MAX_SCRIBBLE} points.")
    return [read_prompt(data | {"kind": "point", "ijk": at}, ct) for at in points]


def read_prompt(data: Any, ct: CTVolume) -> Point | Box:
    """A point or a box from the browser.

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


def read_place(data: Any, ct: CTVolume) -> tuple[int, int, int] | None:
    """The voxel of the crosshair that came with a message; None where there is none of this scan."""
    try:
        at = _index(data.get("at") if isinstance(data, dict) else None)
    except PromptError:
        return None  # a message is answered without it
    return at if all(0 <= v < n for v, n in zip(at, ct.shape, strict=True)) else None


def _index(value: Any) -> tuple[int, int, int]:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise PromptError("A voxel has three indices (i, j, k).")
    if any(isinstance(v, bool) or not isinstance(v, int | float) or v % 1 != 0 for v in value):
        raise PromptError("Voxel indices are whole numbers.")
    return tuple(int(v) for v in value)


MAX_STROKE_SLICES, MAX_RUNS = 4096, 2_000_000


@dataclass(frozen=True, eq=False)
class Stroke:
    """What was painted by hand.

    Attributes:
        number: the browser's own count of its strokes.
        mask_id: of the mask it goes to; None: a new one.
        add: False takes away.
        box: half-open voxel box.
        voxels: bool ``box.size``.
        hu: only voxels in this range, None for all.
    """

    number: int
    mask_id: str | None
    add: bool
    box: Box
    voxels: np.ndarray
    hu: tuple[float, float] | None


def read_stroke(data: Any, ct: CTVolume) -> Stroke:
    """A stroke: ``{"n", "id", "add", "hu", "slices": [[k, i0, j0, width, height, off, on, off, ...], ...]}``.

    Raises:
        PromptError: it is none, or leaves the scan.
    """
    data = data if isinstance(data, dict) else {}
    rows, hu, number = data.get("slices"), data.get("hu"), data.get("n")
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_STROKE_SLICES:
        raise PromptError("A stroke has slices; this one has none.")
    if not all(isinstance(row, list) and len(row) >= 6 and all(type(v) is int for v in row) for row in rows):
        raise PromptError(UNREADABLE)
    if sum(map(len, rows)) > MAX_RUNS:
        raise PromptError("This stroke is too large. Paint in several strokes.")
    hu = _range_of_hu(hu)
    boxes = [Box((i, j, k), (i + w, j + h, k + 1)).check(ct.shape) for k, i, j, w, h, *_ in rows]
    box = functools.reduce(Box.union, boxes)
    voxels = np.zeros(box.size, bool)
    for row, part in zip(rows, boxes, strict=True):
        try:
            plane = decode_runs(row[5:], (row[4], row[3]))
        except MedVLError:
            raise PromptError(UNREADABLE) from None
        at = tuple(slice(l - o, h - o) for l, h, o in zip(part.lo, part.hi, box.lo, strict=True))
        voxels[at] |= plane.T[:, :, None]
    mask_id = data.get("id")
    known = mask_id if isinstance(mask_id, str) else None
    return Stroke(number if type(number) is int else 0, known, data.get("add") is not False, box, voxels, hu)


@dataclass(frozen=True)
class Growth:
    """A click that a region grows from.

    Attributes:
        mask_id: of the mask it goes to; None: a new one.
        add: False takes away.
        seed: the clicked voxel.
        hu: the range it stays in; None: as round the click.
        most_ml: the largest volume.
    """

    mask_id: str | None
    add: bool
    seed: tuple[int, int, int]
    hu: tuple[float, float] | None
    most_ml: float


def read_growth(data: Any, ct: CTVolume) -> Growth:
    """A click to grow from: ``{"id", "add", "at": [i, j, k], "hu": [low, high] or null, "most": mL}``.

    Raises:
        PromptError: it is none, or lies outside the scan.
    """
    data = data if isinstance(data, dict) else {}
    seed, most, mask_id = Point(_index(data.get("at"))).check(ct.shape).ijk, data.get("most"), data.get("id")
    if not _is_number(most) or most <= 0:
        raise PromptError("The largest volume of a region is a number of mL above 0.")
    known = mask_id if isinstance(mask_id, str) else None
    return Growth(known, data.get("add") is not False, seed, _range_of_hu(data.get("hu")), float(most))


def _range_of_hu(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(map(_is_number, value)) or value[0] > value[1]:
        raise PromptError("A range of HU goes from the lower to the higher value.")
    return float(value[0]), float(value[1])


def read_lengths(data: Any, token: str, ct: CTVolume) -> list[Length]:
    """The lengths of the viewer's ruler, for an export.

    Args:
        data: ``{"scan": token, "list": [{"plane", "slice", "ends": [[i, j, k], ...], "kind"}, ...]}``, or None.
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
    return [read_length(one).check(ct) for one in listed]


def read_length(data: Any) -> Length:
    """A length ``{"plane", "slice", "ends"}``; whether it lies on the scan is not checked.

    Raises:
        ExportError: it is none.
    """
    data = data if isinstance(data, dict) else {}
    plane, number, ends = data.get("plane"), data.get("slice"), data.get("ends")
    places = ends if isinstance(ends, list) and 2 <= len(ends) <= max(PLACES.values()) else [None, None]
    if not isinstance(plane, str) or isinstance(number, bool) or not isinstance(number, int):
        raise ExportError("A length has a plane and the index of a slice; one of these has not.")
    for place in places:
        if not isinstance(place, list) or len(place) != 3 or not all(map(_is_number, place)):
            raise ExportError("A length has two ends of three numbers each; one of these has not.")
    start, end, *more = (tuple(float(n) for n in place) for place in places)
    kind, name = data.get("kind", "line"), data.get("name", "")
    if not isinstance(kind, str) or not isinstance(name, str):
        raise ExportError("A measurement has a kind and a name; one of these has not.")
    return Length(plane, number, start, end, kind, clean_sentence(name)[:NAME_LENGTH], tuple(more))


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
    said = value if isinstance(value, str) else ""
    lines = ("".join(c for c in line if c.isprintable()).strip() for line in said.splitlines())
    text = "\n".join(line for line in lines if line)
    if not text:
        raise PromptError("Type a question or the name of a structure first.")
    if len(text) > QUESTION_LENGTH:
        raise PromptError(f"A message has at most {QUESTION_LENGTH} characters; this one has {len(text)}.")
    return text


def clean_sentence(value: Any) -> str:
    """A sentence of a report as a visitor has rewritten it: one printable line, empty to leave it out."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value or "")).split())[:SENTENCE_LENGTH].strip()
