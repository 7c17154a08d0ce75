"""What the page keeps of a case beside masks and conversation, as JSON values, and back: looks, view, lengths, words.

What comes back is a stranger's file: every field is checked, and what is none is left out.
"""

from __future__ import annotations

import math
from typing import Any

from medvl.conversation.contract import Table
from medvl.ct.lengths import Length
from medvl.errors import MedVLError
from medvl.tools.pieces import Step

from . import edits
from .case_session import CaseSession
from .chat import TURNS, ShownSentence, Turn
from .inputs import QUESTION_LENGTH, SENTENCE_LENGTH, clean_name, clean_sentence, read_length
from .viewer.board import PLANE_NAMES

STATES = ("done", "stopped", "failed")
MAX_LENGTHS, MAX_PIECES = 500, 200


def to_page(session: CaseSession, view: Any, lengths: list[Length]) -> dict[str, Any]:
    """What to save.

    Args:
        session: the visitor's.
        view: as the browser told it.
        lengths: drawn in the viewer.
    """
    return {
        "title": session.title,
        "sample": session.sample_id,
        "prior": session.prior.title if session.prior else "",
        "active": session.target.mask_id,
        "styles": {key: style for key, style in session.styles.items() if key in session.case.masks},
        "unasked": sorted(session.unasked),
        "view": read_view(view, session.ct.shape),
        "lengths": [_length(one) for one in lengths],
        "chat": [_turn(turn) for turn in session.chat.turns if turn.state != "running"],
        "edits": {str(index): text for index, text in session.report.edits.items()},
    }


def from_page(session: CaseSession, page: dict[str, Any]) -> None:
    """Put what was saved into a new session whose case has its masks already."""
    masks = session.case.masks
    session.unasked = {mask_id for mask_id in map(str, _list(page.get("unasked"))) if mask_id in masks}
    for mask in masks.values():
        session.show(mask)
    for mask_id, style in _dict(page.get("styles")).items():
        if mask_id in masks:
            for op, key in (("eye", "visible"), ("opacity", "opacity")):
                value = _dict(style).get(key)
                if isinstance(value, bool) or (op == "opacity" and _number(value) and 0 <= value <= 1):
                    edits.LOOKS[op](session, mask_id, {key: value})
    if str(page.get("active")) in masks:
        session.activate(str(page["active"]))
    session.chat.restore([turn for turn in map(_turn_of, _list(page.get("chat"))[-TURNS:]) if turn is not None])
    report = session.case.conversation.report
    if report is not None:
        session.report.restore(report, _edits(page.get("edits"), len(report.sentences)))
    lengths = []
    for one in _list(page.get("lengths"))[:MAX_LENGTHS]:
        try:
            length = read_length(one).check(session.ct)
        except MedVLError:
            continue
        lengths.append(_length(length))
    session.board.show_view(read_view(page.get("view"), session.ct.shape), lengths)
    session.board.mark_saved(masks.values())


def read_view(value: Any, shape: tuple[int, int, int]) -> dict[str, Any]:
    """Where a person looked: crosshair, window, the plane that is alone, zoom and shift of each plane.

    Fields that are none are left out.
    """
    given, view = _dict(value), {}
    ijk = given.get("ijk")
    if isinstance(ijk, list) and len(ijk) == 3 and all(map(_number, ijk)):
        view["ijk"] = [int(min(max(v, 0), n - 1)) for v, n in zip(ijk, shape, strict=True)]
    window = _dict(given.get("window"))
    if _number(window.get("level")) and _number(window.get("width")) and 0 < window["width"] <= 20_000:
        view["window"] = {"level": window["level"], "width": window["width"]}
    if given.get("only") in PLANE_NAMES:
        view["only"] = given["only"]
    zooms = _dict(given.get("zooms"))
    good = {
        name: z
        for name, z in zooms.items()
        if name in PLANE_NAMES and isinstance(z, list) and len(z) == 3 and all(map(_number, z)) and 0.5 <= z[0] <= 20
    }
    return view | ({"zooms": good} if good else {})


def _length(one: Length) -> dict[str, Any]:
    ends = [list(place) for place in one.places]
    return {"plane": one.plane, "slice": one.slice, "ends": ends, "kind": one.kind, "name": one.name}


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "question": turn.question,
        "state": turn.state,
        "note": turn.note,
        "steps": turn.steps.to_list(),
        "sentences": [sentence.to_dict() for sentence in turn.sentences],
        "masks": {key: list(label) for key, label in turn.masks.items()},
        "report": turn.report,
        "summary": turn.summary,
        "said_before": turn.said_before,
        "table": [list(turn.table.head), *map(list, turn.table.rows)] if turn.table else None,
    }


def _turn_of(value: Any) -> Turn | None:
    given = _dict(value)
    question = given.get("question")
    if not isinstance(question, str) or given.get("state") not in STATES:
        return None
    lines = (clean_sentence(line) for line in question[:QUESTION_LENGTH].splitlines())
    turn = Turn(0, "\n".join(lines), state=given["state"], note=clean_sentence(given.get("note")))
    for one in map(_dict, _list(given.get("sentences"))[:MAX_PIECES]):
        source = one.get("source")
        if source in ("measured", "scan", "knowledge", "model", "program"):
            ids = tuple(i for i in _list(one.get("masks")) if isinstance(i, str))
            turn.sentences.append(ShownSentence(clean_sentence(one.get("text"))[:SENTENCE_LENGTH], source, ids))
    for one in map(_dict, _list(given.get("steps"))[:MAX_PIECES]):
        if _number(one.get("seconds")):
            label, outcome = (clean_sentence(one.get(key))[:200] for key in ("label", "outcome"))
            turn.steps.steps.append(Step(label, one["seconds"], 1.0, outcome))
    for key, label in list(_dict(given.get("masks")).items())[:MAX_PIECES]:
        if isinstance(label, list) and len(label) == 2 and all(isinstance(part, str) for part in label):
            try:
                turn.masks[key] = clean_name(label[0]), edits.check_color(label[1])
            except MedVLError:
                continue
    turn.report, turn.summary = given.get("report") is True, given.get("summary") is True
    lines = [
        [clean_sentence(cell)[:200] for cell in line if isinstance(cell, str)]
        for line in _list(given.get("table"))[:MAX_PIECES]
        if isinstance(line, list) and len(line) <= MAX_PIECES
    ]
    if lines and len(set(map(len, lines))) == 1:
        turn.table = Table(tuple(lines[0]), tuple(map(tuple, lines[1:])))
    before = given.get("said_before")
    turn.said_before = before if type(before) is int and before >= 0 else None
    return turn


def _edits(value: Any, count: int) -> dict[int, str]:
    good = {}
    for key, text in _dict(value).items():
        if isinstance(key, str) and key.isdecimal() and len(key) < 6 and int(key) < count and isinstance(text, str):
            good[int(key)] = clean_sentence(text)
    return good


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1e6
