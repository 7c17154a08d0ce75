"""What of an open case goes into its file, and how a case goes on from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .conversation.conversation import Conversation
from .conversation.state import Question, Turn
from .ct.fingerprint import fingerprint
from .ct.mask_list import MaskList, Step
from .ct.masks import Mask
from .ct.prompts import Box, Point
from .ct.volume import CTVolume
from .errors import CallError, CaseFileError
from .language.calls.schema import from_dict, to_dict
from .readers.case_zip import SavedCase, SavedMask, SavedStep, ScanPrint
from .report.parts import as_dict
from .report.saved import from_saved, saved_fact, to_saved
from .structures.finder import TextSegmenter
from .structures.found import Found

SAME_MM = 0.05  # scans whose affines differ by less lie in the same place


@dataclass(frozen=True)
class SavedState:
    """The prompts of a step that comes from a saved case; the slices of its model are not kept."""

    prompts: tuple[Point | Box, ...]
    slices: Mapping[int, Any] = field(default_factory=dict)


def snapshot(
    ct: CTVolume, masks: MaskList, finder: TextSegmenter, conversation: Conversation, page: dict[str, Any] | None
) -> SavedCase:
    """What there is now: masks with their history, what was found and said, the report.

    Args:
        ct: the scan, of which only a fingerprint is kept.
        masks: of the case.
        finder: of the case.
        conversation: of the case.
        page: what a page keeps beside; see ``SavedCase.page``.
    """
    found = [
        {"structure": f.structure, "mask": f.mask.id if f.mask else None, "status": f.status, "note": f.note}
        for f in finder.found
        if f.mask is None or f.mask.id in masks
    ]
    report = conversation.report
    return SavedCase(
        ScanPrint(ct.shape, ct.affine, fingerprint(ct), ct.info.file_name, ct.file_format),
        tuple(_saved(masks, mask) for mask in masks.values()),
        masks.clicked,
        tuple(found),
        tuple([to_dict(call) for call in turn] for turn in conversation.history),
        tuple(_told(turn) for turn in conversation.state.turns),
        to_saved(report) if report is not None else None,
        page or {},
        order=masks.order,
    )


def take_over(
    saved: SavedCase, ct: CTVolume, masks: MaskList, finder: TextSegmenter, conversation: Conversation
) -> None:
    """Go on from a saved case of this scan.

    Raises:
        CaseFileError: it belongs to another scan, or there are masks already.
    """
    if len(masks):
        raise CaseFileError("This scan has masks already. Open the scan anew, then the saved case.")
    same_place = np.allclose(saved.scan.affine, ct.affine, atol=SAME_MM)
    if saved.scan.digest != fingerprint(ct) or not same_place:
        raise CaseFileError(
            f"The saved case belongs to another scan ({saved.scan}) than the one that is open "
            f"({' x '.join(map(str, ct.shape))} voxels). Open its scan first, then the case."
        )
    for one in saved.masks:
        past, future = (
            [Step(s.mask, None if s.prompts is None else SavedState(s.prompts)) for s in line]
            for line in (one.past, one.future)
        )
        masks.restore(one.mask, past, future)
    if saved.order:  # none in files of a version before
        masks.restore_order(saved.order)
    masks.clicked = saved.clicked
    found = [
        Found(f["structure"], masks[f["mask"]] if f["mask"] else None, f["status"], note=f["note"]) for f in saved.found
    ]
    finder.recall(found)
    known = [one for one in finder.found if one.structure in {f.structure for f in found}]
    conversation.recall(_turns(saved, masks), known, from_saved(saved.report) if saved.report else None)


def _saved(masks: MaskList, mask: Mask) -> SavedMask:
    def steps(known: list[Step]) -> tuple[SavedStep, ...]:
        return tuple(SavedStep(s.mask, tuple(s.state.prompts) if s.state else None) for s in known)

    return SavedMask(mask, steps(masks.steps(mask.id)), steps(masks.undone(mask.id)))


def _told(turn: Turn) -> dict[str, Any]:
    """What later turns refer to."""
    question = turn.question
    return {
        "message": turn.message,
        "facts": [as_dict(fact) for fact in turn.facts],
        "masks": list(turn.masks),
        "spots": list(turn.spots),
        "question": None
        if question is None
        else {
            "options": list(question.options),
            "message": question.message,
            "call": None if question.call is None else to_dict(question.call),
        },
    }


def _turns(saved: SavedCase, masks: MaskList) -> list[Turn]:
    """What was said; nothing where this version knows other tools than the one that saved it."""
    try:
        turns = [Turn(calls=tuple(from_dict(call) for call in turn)) for turn in saved.turns]
        if len(saved.told) == len(turns):
            turns = [_with_told(turn, told, masks) for turn, told in zip(turns, saved.told, strict=True)]
    except (CallError, AttributeError, KeyError, TypeError, ValueError):
        return []
    return turns


def _with_told(turn: Turn, told: dict[str, Any], masks: MaskList) -> Turn:
    asked = told["question"]
    question = asked and Question(
        tuple(map(str, asked["options"])), str(asked["message"]), asked["call"] and from_dict(asked["call"])
    )
    facts = tuple(map(saved_fact, told["facts"]))
    shown, spots = (tuple(id for id in told[key] if id in masks) for key in ("masks", "spots"))
    return Turn(str(told["message"]), turn.calls, facts, shown, spots, question=question)
