"""The jobs ``ask`` and ``report`` of the command line and of the API, from file to result."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .answering.contract import Answer, Done, Piece, Step
from .errors import ExportError
from .model import MedVLSAM2
from .readers import read_ct
from .report import NOTICE, Report

FORMATS = (".md", ".html", ".json")


def ask_file(
    model: MedVLSAM2,
    source: str | Path,
    question: str,
    tell: Callable[[Piece], None] | None = None,
    cancel: threading.Event | None = None,
) -> dict[str, Any]:
    """Answer one question about a CT.

    Args:
        model: from ``medvl.load``.
        source: file, DICOM folder or zip.
        question: words.
        tell: called with each piece of the answer as it comes.
        cancel: set it to stop.

    Returns:
        See ``answer_dict``.

    Raises:
        CTReadError: the file is not one CT.
    """
    case = model.open(read_ct(source))
    try:
        for piece in case.ask(question, cancel):
            if tell:
                tell(piece)
            if isinstance(piece, Done):
                done = piece
        return answer_dict(done.answer, {id: mask.name for id, mask in case.masks.items()}) | {"stopped": done.stopped}
    finally:
        case.close()


def answer_dict(answer: Answer, names: dict[str, str]) -> dict[str, Any]:
    """An answer ready for JSON: text, sentences with source, masks and facts.

    Args:
        answer: of a conversation.
        names: name of each mask by its id.
    """
    return {
        "answer": answer.text,
        "refused": answer.refused,
        "sentences": [
            {
                "text": told.text,
                "source": told.source,
                "masks": [names[id] for id in told.mask_ids if id in names],
                "facts": [
                    {
                        "key": fact.key,
                        "value": fact.value,
                        "unit": fact.unit,
                        "structures": list(fact.structures),
                        "source": fact.source,
                        "note": fact.note,
                        "reference": fact.reference,
                    }
                    for fact in told.facts
                ],
            }
            for told in answer.sentences
        ],
        "notice": NOTICE,
    }


def report_file(
    model: MedVLSAM2,
    source: str | Path,
    output: str | Path | None = None,
    tell: Callable[[Step], None] | None = None,
    cancel: threading.Event | None = None,
) -> Report:
    """Write a report of a CT.

    Args:
        model: from ``medvl.load``.
        source: file, DICOM folder or zip.
        output: ``.md``, ``.html`` or ``.json``; None writes nothing.
        tell: called with each step.
        cancel: set it to stop; nothing is written then.

    Returns:
        The report.

    Raises:
        CTReadError: the file is not one CT.
        ExportError: another ending of ``output``, or it cannot be written.
        Cancelled: ``cancel`` was set.
    """
    suffix = Path(output).suffix.lower() if output else ""
    if output and suffix not in FORMATS:
        raise ExportError(f"A report is written as {', '.join(FORMATS)}; choose one of these endings.")
    case = model.open(read_ct(source))
    try:
        for piece in case.report_stream(cancel):
            if isinstance(piece, Report):
                report = piece
            elif tell and isinstance(piece, Step):
                tell(piece)
    finally:
        case.close()
    if output:
        try:
            Path(output).write_text(render(report, suffix), encoding="utf-8")
        except OSError as error:
            raise ExportError(f"The report could not be written: {error.strerror}.") from error
    return report


def render(report: Report, suffix: str) -> str:
    """A report in the format of a file ending of ``FORMATS``."""
    if suffix == ".json":
        return json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"
    return report.html() if suffix == ".html" else report.markdown()
