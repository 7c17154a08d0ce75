"""What can be done to masks: history, looks, clean-up and combination. Plain functions on a ``CaseSession``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from medvl import masks as operations
from medvl.errors import PromptError
from medvl.masks import Mask

from .case_session import CaseSession
from .inputs import clean_name


def _undo(session: CaseSession) -> None:
    mask_id = session.target.mask_id or session.last_id
    if mask_id and session.case.can_undo(mask_id):
        _refresh(session, mask_id, session.case.undo(mask_id))


def _redo(session: CaseSession) -> None:
    mask_id = session.target.mask_id or session.last_id
    if mask_id and session.case.can_redo(mask_id):
        _refresh(session, mask_id, session.case.redo(mask_id))


def _clear(session: CaseSession) -> None:
    """Take every prompt of the active object back; Redo brings them again, one by one."""
    mask_id = session.target.mask_id
    while mask_id and session.case.can_undo(mask_id):
        session.case.undo(mask_id)
    if mask_id:
        _refresh(session, mask_id, session.case.masks.get(mask_id))


def _new(session: CaseSession) -> None:
    session.activate(None)


def _refresh(session: CaseSession, mask_id: str, mask: Mask | None) -> None:
    """Show an object as its history now has it: perhaps gone."""
    if mask is None:
        session.board.remove_mask(mask_id)
        session.activate(None)
        session.last_id = mask_id  # Redo finds it
        return
    session.show(mask)
    session.board.style(mask_id, **session.styles.get(mask_id, {}))
    session.activate(mask_id)


def _select(session: CaseSession, mask_id: str, _: dict) -> None:
    session.activate(mask_id)


def _jump(session: CaseSession, mask_id: str, _: dict) -> None:
    session.activate(mask_id)
    focus(session, mask_id)


def focus(session: CaseSession, mask_id: str) -> None:
    """Centre the viewer on a mask, if it holds a voxel."""
    measured = session.measure(session.case.masks[mask_id])
    if measured.center_ijk is not None:
        session.board.focus(measured.center_ijk)


def _rename(session: CaseSession, mask_id: str, data: dict) -> None:
    name = clean_name(data.get("name"))
    session.case.relabel(mask_id, name=name)
    session.board.style(mask_id, name=name)


def _recolor(session: CaseSession, mask_id: str, data: dict) -> None:
    color = str(data.get("color")).lower()
    if not re.fullmatch(r"#[0-9a-f]{6}", color):
        raise PromptError("A colour is written as #rrggbb.")
    session.case.relabel(mask_id, color=color)
    session.board.style(mask_id, color=color)


def _eye(session: CaseSession, mask_id: str, data: dict) -> None:
    _style(session, mask_id, visible=bool(data.get("visible")))


def _opacity(session: CaseSession, mask_id: str, data: dict) -> None:
    value = data.get("opacity")
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise PromptError("Opacity lies between 0 and 1.")
    _style(session, mask_id, opacity=float(value))


def _style(session: CaseSession, mask_id: str, **style: Any) -> None:
    session.styles.setdefault(mask_id, {}).update(style)
    session.board.style(mask_id, **style)


def _keep_largest(session: CaseSession, mask_id: str, _: dict) -> None:
    put(session, operations.keep_largest(session.case.masks[mask_id]))


def _fill_holes(session: CaseSession, mask_id: str, _: dict) -> None:
    put(session, operations.fill_holes(session.case.masks[mask_id]))


def _smooth(session: CaseSession, mask_id: str, _: dict) -> None:
    put(session, operations.smooth(session.case.masks[mask_id], session.ct))


def _union(session: CaseSession, mask_id: str, data: dict) -> None:
    put(session, operations.union(session.case.masks[mask_id], _other(session, mask_id, data)))


def _subtract(session: CaseSession, mask_id: str, data: dict) -> None:
    put(session, operations.subtract(session.case.masks[mask_id], _other(session, mask_id, data)))


def _other(session: CaseSession, mask_id: str, data: dict) -> Mask:
    other = session.case.masks.get(str(data.get("other")))
    if other is None or other.id == mask_id:
        raise PromptError("Choose another mask to combine with.")
    return other


def put(session: CaseSession, mask: Mask) -> None:
    """Keep the result of an operation, show it, and go on with it."""
    session.show(session.case.put(mask))
    session.activate(mask.id)


def _delete(session: CaseSession, mask_id: str, _: dict) -> None:
    session.case.remove(mask_id)
    forget(session, mask_id)


def forget(session: CaseSession, mask_id: str) -> None:
    """Take a mask that is gone from the case off the board."""
    session.board.remove_mask(mask_id)
    session.styles.pop(mask_id, None)
    if session.last_id == mask_id:
        session.last_id = None
    if session.target.mask_id == mask_id:
        session.activate(None)


Edit = Callable[[CaseSession, str, dict], None]
STEPS: dict[str, Callable[[CaseSession], None]] = {"undo": _undo, "redo": _redo, "clear": _clear, "new": _new}
LOOKS: dict[str, Edit] = {
    "select": _select,
    "jump": _jump,
    "rename": _rename,
    "color": _recolor,
    "eye": _eye,
    "opacity": _opacity,
}
CHANGES: dict[str, Edit] = {
    "largest": _keep_largest,
    "fill": _fill_holes,
    "smooth": _smooth,
    "union": _union,
    "subtract": _subtract,
    "delete": _delete,
}
