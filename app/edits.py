"""What can be done to masks: history, looks, clean-up and combination. Plain functions on a ``CaseSession``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from medvl.ct import mask_operations as operations
from medvl.ct.masks import Mask
from medvl.errors import PromptError

from .case_session import CaseSession
from .inputs import clean_name

Edit = Callable[[CaseSession, str, dict], "str | None"]


def _undo(session: CaseSession) -> str:
    """Take back the last change of the list, whatever it was."""
    return _settled(session, session.case.masks.undo_last, "Taken back")


def _redo(session: CaseSession) -> str:
    return _settled(session, session.case.masks.redo_last, "Done again")


def _settled(session: CaseSession, turn: Callable[[], tuple[str, ...]], lead: str) -> str:
    """Turn the list back or forth by one change, and show it as it is then; says of which masks."""
    before = dict(session.case.masks)
    ids = turn()
    now = session.case.masks
    for mask_id in session.board.mask_ids - set(now):
        forget(session, mask_id)
    for mask_id, mask in now.items():
        if mask_id in ids or mask_id not in session.board.mask_ids:
            session.show(mask)
            session.board.style(mask_id, name=mask.name, color=mask.color, **session.styles.get(mask_id, {}))
    there = [mask_id for mask_id in ids if mask_id in now]
    if ids:
        session.activate(there[-1] if there else None)
    names = list(dict.fromkeys((before.get(i) or now[i]).name for i in ids if i in before or i in now))
    what = names[0] if len(names) == 1 else f"{len(names)} masks"
    return f"{lead}: {what}" if names else ""


def _clear(session: CaseSession) -> str:
    """Take every prompt of the active object back; Redo brings them again, one by one."""
    mask_id = session.target.mask_id
    while mask_id and session.case.can_undo(mask_id):
        session.case.undo(mask_id)
    if mask_id:
        _refresh(session, mask_id, session.case.masks.get(mask_id))
    return ""


def _new(session: CaseSession) -> str:
    session.activate(None)
    return ""


def _refresh(session: CaseSession, mask_id: str, mask: Mask | None) -> None:
    """Show an object as its history now has it: perhaps gone."""
    if mask is None:
        session.board.remove_mask(mask_id)
        session.activate(None)
        return
    for other in session.board.mask_ids - set(session.case.masks):
        forget(session, other)  # pieces go with the step that made them
    for other in set(session.case.masks) - session.board.mask_ids:
        session.show(session.case.masks[other])
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


def check_color(value: Any) -> str:
    """A colour in small letters.

    Raises:
        PromptError: it is none.
    """
    color = str(value).lower()
    if not re.fullmatch(r"#[0-9a-f]{6}", color):
        raise PromptError("A colour is written as #rrggbb.")
    return color


def _recolor(session: CaseSession, mask_id: str, data: dict) -> None:
    color = check_color(data.get("color"))
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


def _changed(session: CaseSession, mask: Mask, new: Mask, empty: str) -> str:
    """Keep the result of an operation and say what it changed; nothing is kept where nothing is left.

    Args:
        session: the visitor's.
        mask: before.
        new: after.
        empty: what to say where no voxel would be left.
    """
    if new.empty and not mask.empty:
        raise PromptError(empty)
    added, taken = operations.subtract(new, mask).voxels, operations.subtract(mask, new).voxels
    if not added and not taken:
        return "Nothing to change."
    put(session, new)
    ml = session.ct.voxel_volume_ml
    parts = [f"{n * ml:.3g} mL {word}" for n, word in ((added, "added"), (taken, "taken away")) if n]
    return f"{' and '.join(parts)}; {mask.voxels * ml:.4g} to {new.voxels * ml:.4g} mL."


def _operation(operate: Callable[[Mask, CaseSession, dict], Mask], empty: str = "Nothing would be left.") -> Edit:
    def edit(session: CaseSession, mask_id: str, data: dict) -> str:
        mask = session.case.masks[mask_id]
        return _changed(session, mask, operate(mask, session, data), f"{empty} The mask stays as it is.")

    return edit


def _with_other(combine: Callable[[Mask, Mask], Mask], empty: str = "") -> Edit:
    return _operation(lambda mask, session, data: combine(mask, _other(session, mask.id, data)), empty)


def _mm(data: dict) -> float:
    value = data.get("mm")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= operations.MAX_MARGIN_MM:
        raise PromptError(f"A distance lies between 0 and {operations.MAX_MARGIN_MM} mm.")
    return float(value)


def _hu(data: dict) -> tuple[float, float]:
    low, high = data.get("low"), data.get("high")
    if not all(isinstance(v, int | float) and abs(v) < 1e6 for v in (low, high)):
        raise PromptError("A range of HU has a lower and a higher value.")
    return float(low), float(high)


def _smooth(session: CaseSession, mask_id: str, _: dict) -> str:
    """Smoothing keeps the volume, so what it did is told by the voxels that changed sides."""
    mask = session.case.masks[mask_id]
    radius = operations.smoothing_radius(session.ct)
    new, ml = operations.smooth(mask, session.ct, radius), session.ct.voxel_volume_ml
    moved = operations.moved(mask, new)
    if not moved:
        return f"No detail under {radius:.1f} mm to smooth."
    put(session, new)
    before, after = f"{mask.voxels * ml:.4g}", f"{new.voxels * ml:.4g}"
    volume = f"{after} mL as before" if before == after else f"{before} to {after} mL"
    return f"Smoothed by {radius:.1f} mm: {moved * ml:.3g} mL of its border moved, volume {volume}."


def _interpolate(session: CaseSession, mask_id: str, _: dict) -> str:
    mask = session.case.masks[mask_id]
    new, filled = operations.interpolate(mask, session.ct)
    if not filled:
        return "No empty slice lies between two painted ones. Paint two slices that are apart."
    return f"Filled {filled} {'slice' if filled == 1 else 'slices'}: {_changed(session, mask, new, '')}"


def _split(session: CaseSession, mask_id: str, _: dict) -> str:
    """One mask for each piece; the largest keeps the name. One step: Undo takes the pieces away again."""
    rest, *pieces = operations.split(session.case.masks[mask_id], session.ct)
    if not pieces:
        return "It is one piece already."
    rest, *made = session.case.masks.split(rest, pieces)
    for piece in (*made, rest):
        session.show(piece)
    session.activate(mask_id)
    return f"{1 + len(made)} pieces, the largest first, each a mask of its own. Undo joins them again."


def _other(session: CaseSession, mask_id: str, data: dict) -> Mask:
    other = session.case.masks.get(str(data.get("other")))
    if other is None or other.id == mask_id:
        raise PromptError("Choose another mask to combine with.")
    return other


def put(session: CaseSession, mask: Mask) -> None:
    """Keep the result of an operation, show it, and go on with it."""
    session.show(session.case.put(mask))
    session.activate(mask.id)


def _delete(session: CaseSession, mask_id: str, _: dict) -> str:
    name = session.case.masks[mask_id].name
    session.case.remove(mask_id)
    forget(session, mask_id)
    return f"Deleted: {name}. Undo brings it back."


def forget(session: CaseSession, mask_id: str) -> None:
    """Take a mask that is gone from the case off the board."""
    session.board.remove_mask(mask_id)
    session.styles.pop(mask_id, None)
    if session.target.mask_id == mask_id:
        session.activate(None)


STEPS: dict[str, Callable[[CaseSession], str]] = {"undo": _undo, "redo": _redo, "clear": _clear, "new": _new}
LOOKS: dict[str, Edit] = {
    "select": _select,
    "jump": _jump,
    "rename": _rename,
    "color": _recolor,
    "eye": _eye,
    "opacity": _opacity,
}
CHANGES: dict[str, Edit] = {
    "largest": _operation(lambda mask, *_: operations.keep_largest(mask)),
    "fill": _operation(lambda mask, *_: operations.fill_holes(mask)),
    "smooth": _smooth,
    "interpolate": _interpolate,
    "grow": _operation(lambda mask, session, data: operations.margin(mask, session.ct, _mm(data))),
    "shrink": _operation(
        lambda mask, session, data: operations.margin(mask, session.ct, -_mm(data)), "Nothing would be left inside."
    ),
    "hollow": _operation(lambda mask, session, data: operations.hollow(mask, session.ct, _mm(data))),
    "hu": _operation(
        lambda mask, session, data: operations.within_hu(mask, session.ct, *_hu(data)), "No voxel has HU in this range."
    ),
    "split": _split,
    "union": _with_other(operations.union),
    "subtract": _with_other(operations.subtract, "Nothing would be left."),
    "intersect": _with_other(operations.intersect, "The two masks have no voxel in common."),
    "delete": _delete,
}
