"""Jobs of words, from file to result, for the command line and the API: a question, a mask by name, a report."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..case import Case
from ..conversation.contract import Answer, Done, Piece
from ..ct.masks import Mask
from ..errors import CallError, Cancelled, ExportError, PromptError
from ..language.calls.schema import from_dict, to_dict
from ..model import MedVLSAM2
from ..readers.isolated import read_isolated as read_ct
from ..report.report import Report
from ..tools.pieces import MaskRef, Step
from ..writers.export import save_label_map, save_mask
from .one_scan import NOTICE, Room, claim_of, measured, open_case, prompts_from_source

READING = ("segment", "measure", "total", "compare", "rank", "relate", "presence", "probe", "finding", "scan")
"""Tools that measure or look, and change nothing."""

FORMATS = (".md", ".html", ".json")  # of a report


def ask_file(
    model: MedVLSAM2,
    source: str | Path,
    question: str,
    output: str | Path | None = None,
    tell: Callable[[Piece], None] | None = None,
    cancel: threading.Event | None = None,
    room: Room | None = None,
    series: str | None = None,
) -> dict[str, Any]:
    """Read a CT, answer one message, write the masks that the answer speaks of.

    Args:
        model: from ``medvl.load``.
        source: file, DICOM folder or zip.
        question: the message.
        output: NIfTI label map to write, in the input's geometry; not written when the answer has no mask, or if None.
        tell: called with each piece of the answer as it comes.
        cancel: set it to stop.
        room: counts the memory.
        series: which of several DICOM scans, as ``read_ct`` takes it.

    Returns:
        ``answer`` (text), ``refused``, ``sentences`` (text, source, names of its masks), ``facts`` (``Fact`` as a
        dict), ``labels`` (as ``save_label_map`` gives them, [] when nothing was written) and the notice.

    Raises:
        CTReadError: the file is not one CT.
        PromptError: the question is empty.
        Cancelled: it was stopped.
    """
    ct = read_ct(source, claim=claim_of(room), series=series)
    with open_case(model, ct, room) as case:
        answer, masks = _ask(case, question, tell, cancel)
        labels = save_label_map(masks, ct, output) if masks and output else []
        names = {mask.id: mask.name for mask in case.masks.values()}
        facts = list(dict.fromkeys(fact for sentence in answer.sentences for fact in sentence.facts))
        return {
            "answer": answer.text,
            "refused": answer.refused,
            "sentences": [
                {"text": s.text, "source": s.source, "masks": [names[i] for i in s.mask_ids if i in names]}
                for s in answer.sentences
            ],
            "facts": [asdict(fact) for fact in facts],
            "labels": labels,
            "notice": NOTICE,
        }


def tool_file(
    model: MedVLSAM2,
    source: str | Path,
    call: Mapping[str, Any],
    cancel: threading.Event | None = None,
    room: Room | None = None,
    series: str | None = None,
) -> dict[str, Any]:
    """Read a CT and run one typed call on it: what is measured or seen, with no sentence and no language model.

    Args:
        model: from ``medvl.load``.
        source: file, DICOM folder or zip.
        call: ``{"tool": "measure", "what": "volume", "of": ["spleen"]}``; ``language.calls`` says what there is.
        cancel: set it to stop.
        room: counts the memory.
        series: which of several DICOM scans, as ``read_ct`` takes it.

    Returns:
        ``call`` as it was run, ``facts`` (``Fact`` as a dict), ``seen`` (what looks saw, in a sentence each), ``note``
        where there is nothing, and the notice.

    Raises:
        CTReadError: the file is not one CT.
        CallError: there is no such tool, or it is none that measures or looks.
        Cancelled: it was stopped.
    """
    run = from_dict(call)
    if run.tool not in READING:
        raise CallError(f"{run.tool} changes or words something; these look and measure: {', '.join(READING)}.")
    ct = read_ct(source, claim=claim_of(room), series=series)
    with open_case(model, ct, room) as case:
        result = case.run(run, cancel or threading.Event())
    looks = [one.look for one in result.seen]
    return {
        "call": to_dict(run),
        "facts": [asdict(fact) for fact in result.facts],
        "seen": [look.told or "; ".join(look.limits) for look in looks],
        "note": result.note,
        "notice": NOTICE,
    }


def segment_text_file(
    model: MedVLSAM2,
    source: str | Path,
    text: str,
    output: str | Path,
    points: Sequence[Sequence[int]] = (),
    negative_points: Sequence[Sequence[int]] = (),
    box: Sequence[int] | None = None,
    tell: Callable[[Piece], None] | None = None,
    cancel: threading.Event | None = None,
    room: Room | None = None,
    series: str | None = None,
) -> dict[str, Any]:
    """Read a CT, segment what the words name, refine it by prompts if there are any, and write it.

    Args:
        model: from ``medvl.load``.
        source: file, DICOM folder or zip.
        text: names or descriptions of structures.
        output: NIfTI file to write, in the input's geometry: a mask, or a label map if there are several.
        points: positive voxels, the file's own array order.
        negative_points: voxels that do not belong to the object.
        box: half-open ``I0 J0 K0 I1 J1 K1``.
        tell: called with each piece of the answer as it comes.
        cancel: set it to stop.
        room: counts the memory.
        series: which of several DICOM scans, as ``read_ct`` takes it.

    Returns:
        For one mask its measurements with name and notice, as ``segment_file`` gives them; for several ``objects``
        (the same of each) and ``labels``.

    Raises:
        CTReadError: the file is not one CT.
        PromptError: nothing was found (the message is the answer), or prompts were given for several masks.
        Cancelled: it was stopped.
    """
    ct = read_ct(source, claim=claim_of(room), series=series)
    prompts, frame = prompts_from_source(ct, points, negative_points, box)
    with open_case(model, ct, room) as case:
        answer, masks = _ask(case, text, tell, cancel)
        if not masks:
            raise PromptError(answer.text or "Nothing was found.")
        if prompts or frame is not None:
            if len(masks) > 1:
                raise PromptError(f"Points and a box refine one mask, but '{text}' gave {len(masks)}.")
            masks = [case.refine(masks[0], prompts, frame, cancel=cancel)]
        rows = [measured(mask, ct) for mask in masks]
        if len(masks) == 1:
            save_mask(masks[0], ct, output)
            return {**rows[0], "notice": NOTICE}
        return {"objects": rows, "labels": save_label_map(masks, ct, output), "notice": NOTICE}


def report_file(
    model: MedVLSAM2,
    source: str | Path,
    output: str | Path | None = None,
    tell: Callable[[Step], None] | None = None,
    cancel: threading.Event | None = None,
    room: Room | None = None,
    series: str | None = None,
) -> Report:
    """Write a report of a CT.

    Args:
        model: from ``medvl.load``.
        source: file, DICOM folder or zip.
        output: ``.md``, ``.html`` or ``.json``; None writes nothing.
        tell: called with each step.
        cancel: set it to stop; nothing is written then.
        room: counts the memory.
        series: which of several DICOM scans, as ``read_ct`` takes it.

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
    with open_case(model, read_ct(source, claim=claim_of(room), series=series), room) as case:
        for piece in case.report_stream(cancel or threading.Event()):
            if isinstance(piece, Report):
                report = piece
            elif tell and isinstance(piece, Step):
                tell(piece)
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


def _ask(
    case: Case, question: str, tell: Callable[[Piece], None] | None, cancel: threading.Event | None
) -> tuple[Answer, list[Mask]]:
    """The whole answer, and its masks as the case has them at the end."""
    if not question.strip():
        raise PromptError("Nothing was asked.")
    spoken: dict[str, None] = {}
    answer = None
    for piece in case.ask(question, cancel or threading.Event()):
        if tell:
            tell(piece)
        if isinstance(piece, MaskRef):
            spoken[piece.mask.id] = None
        elif isinstance(piece, Done):
            if piece.stopped:
                raise Cancelled("Stopped before the answer was complete.")
            answer = piece.answer
    return answer, [case.masks[mask_id] for mask_id in spoken if mask_id in case.masks]
