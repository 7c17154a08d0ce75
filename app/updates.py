"""What every handler gives back: the page as it is now, and words for what went wrong."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

from medvl.errors import MedVLError
from medvl.readers.faults import explain

from . import surface
from .case_session import CaseSession
from .panels import panel
from .panels.chat import chat_value
from .panels.report import report_value
from .viewer import viewer_value

log = logging.getLogger(__name__)

Updates = dict[str, Any]
UNEXPECTED = "Something went wrong on the server. What you had is still there; please try again."


def page(session: CaseSession, status: str = "", busy: bool = False) -> Updates:
    """Viewer and masks as they are now, what speaks of the masks, and the 3-D view if it is looked at."""
    if session.closed:
        return {}
    if session.prior is not None:
        session.prior.sync(session.case.masks.values())
    updates = {
        "viewer": viewer_value(session.board, busy=busy, status=status),
        "masks": panel.masks_value(session),
        "chat": chat_value(session),
    }
    if session.report.written is not None:
        updates["report"] = report_value(session)
    if session.tab == "surface":
        updates["surface"] = surface_figure(session)
    return updates


def first_time(session: CaseSession) -> bool:
    """Whether a mask made now opens the masks tab: the first of a visitor who is in no other one and does not talk."""
    return session.tab in ("chat", "scan") and not session.case.masks and not session.chat.turns


def with_first(shown: Updates, first: bool) -> Updates:
    """The updates with word of a first mask: the browser opens its tab, unless somebody types or went elsewhere."""
    return shown | {"viewer": shown["viewer"] | {"first": True}} if first else shown


def surface_figure(session: CaseSession) -> Any:
    """The visible masks in 3-D."""
    visible = [m for m in session.case.masks.values() if session.styles.get(m.id, {}).get("visible", True)]
    return surface.figure(visible, session.ct)


def packed(given: Updates) -> Updates:
    """The updates as they travel: items that hold lists of their own are JSON.

    Of a value in a stream Gradio sends what differs from the one before. Its difference of a list within a list is
    wrong where the inner one has lost two items or more, as an answer does that is cut down to a summary.
    """
    given = dict(given)
    if "chat" in given:
        given["chat"] = given["chat"] | {"turns": _json(given["chat"]["turns"])}
    if "report" in given:
        report = given["report"]
        table = report["table"] | {"rows": _json(report["table"]["rows"])}
        given["report"] = report | {"sections": _json(report["sections"]), "table": table}
    return given


def _json(items: list) -> list[str]:
    return [json.dumps(item, ensure_ascii=False) for item in items]


def words(error: Exception) -> str:
    """What the visitor reads. Only the package's own messages are made for that."""
    if isinstance(error, MedVLError):
        return str(error)
    if isinstance(error, OSError):  # a full disk, a temporary folder that is gone
        log.error("A handler failed: %s", type(error).__name__)
        return f"{explain(error)} What you had is still there."
    # Where it failed, not the message: that may hold a file's name.
    log.error("A handler failed: %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
    return UNEXPECTED
