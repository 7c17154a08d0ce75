"""What the browser sends, checked: prompts and names. Anything may arrive here."""

from __future__ import annotations

from typing import Any

from medvl.errors import PromptError
from medvl.prompts import Box, Point
from medvl.volume import CTVolume

NAME_LENGTH = 60
QUESTION_LENGTH = 1000
SENTENCE_LENGTH = 2000


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
