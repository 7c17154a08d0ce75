"""A report as JSON values that give the same report again, key slices included; for the file of a case."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import asdict
from typing import Any, get_args

from ..conversation.contract import Sentence
from ..errors import CaseFileError
from ..tools.fact import Fact, Source, Sureness
from .parts import Origin, Picture, Row, Section, as_dict
from .report import Report

_PNG = b"\x89PNG\r\n\x1a\n"


def to_saved(report: Report) -> dict[str, Any]:
    """The whole report."""
    return {
        "sections": [
            {"title": s.title, "level": s.level, "sentences": [_sentence(told) for told in s.sentences]}
            for s in report.sections
        ],
        "table": [asdict(row) | {"facts": [as_dict(fact) for fact in row.facts]} for row in report.table],
        "pictures": [
            {"title": p.title, "png": base64.b64encode(p.png).decode(), "masks": list(p.masks)} for p in report.pictures
        ],
        "edited": report.edited,
        "origin": asdict(report.origin) if report.origin else None,
    }


def from_saved(value: dict[str, Any]) -> Report:
    """The report of ``to_saved``.

    Raises:
        CaseFileError: it is none.
    """
    try:
        return Report(
            tuple(
                Section(_text(s["title"]), tuple(map(_told, s["sentences"])), 2 if s["level"] == 2 else 1)
                for s in value["sections"]
            ),
            tuple(
                Row(
                    _text(r["structure"]),
                    _text(r["name"]),
                    _color(r["color"]),
                    _text(r["mask_id"]),
                    tuple(map(saved_fact, r["facts"])),
                )
                for r in value["table"]
            ),
            tuple(Picture(_text(p["title"]), _png(p["png"]), _texts(p["masks"])) for p in value["pictures"]),
            value["edited"] is True,
            Origin(**{key: _text(text) for key, text in value["origin"].items()}) if value["origin"] else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CaseFileError("The report of the saved case is damaged. Write it again.") from error


def _sentence(told: Sentence) -> dict[str, Any]:
    facts = [as_dict(fact) for fact in told.facts]
    return {"text": told.text, "source": told.source, "mask_ids": list(told.mask_ids), "facts": facts}


def _told(value: dict[str, Any]) -> Sentence:
    facts = tuple(map(saved_fact, value["facts"]))
    return Sentence(_text(value["text"]), _source(value["source"]), _texts(value["mask_ids"]), facts)


def saved_fact(value: dict[str, Any]) -> Fact:
    """The fact of ``parts.as_dict``.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    known = value["value"]
    if not isinstance(known, float | int | str | bool | None):
        raise TypeError("no value")
    texts = {key: _text(value[key]) for key in ("key", "unit", "note", "reference", "side", "part", "mask_id", "id")}
    sureness, slice_number = value["sureness"], value["slice"]
    if sureness not in get_args(Sureness) or not (slice_number is None or type(slice_number) is int):
        raise ValueError("no fact")
    about = {"structures": _texts(value["structures"]), "source": _source(value["source"])}
    return Fact(value=known, sureness=sureness, slice=slice_number, **about, **texts)


def _source(value: Any) -> Source:
    if value not in get_args(Source):
        raise ValueError("no source")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 10_000:
        raise TypeError("no text")
    return value


def _color(value: Any) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", _text(value)):
        raise ValueError("no colour")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(_text, values))


def _png(value: Any) -> bytes:
    try:
        data = base64.b64decode(_bounded(value), validate=True)
    except binascii.Error as error:
        raise ValueError("no picture") from error
    if not data.startswith(_PNG):
        raise ValueError("no picture")
    return data


def _bounded(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 20_000_000:
        raise TypeError("no picture")
    return value
