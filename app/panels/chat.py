"""The panel of the conversation.

Its template is static; words of a person or of a model travel in ``value`` and reach the page only as ``textContent``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr

from medvl.ct.masks import Mask

from ..case_session import CaseSession
from ..chat import Turn
from .panel import panel_html


def chat_html() -> gr.HTML:
    """The conversation; events ``ask`` with ``{"text", "nonce", "at"}`` and ``act`` with ``{"op", ...}``."""
    return panel_html("chat", empty_chat())


def empty_chat() -> dict[str, Any]:
    """The panel before there is a scan."""
    return {
        "scan": "",
        "revision": 0,
        "turns": [],
        "masks": {},
        "examples": [],
        "busy": False,
        "file": "",
        "offers": [],
    }


def chat_value(session: CaseSession) -> dict[str, Any]:
    """The conversation as it is now, with the names and colours that its masks have now."""
    with session.lock:  # so that a higher revision never holds older words
        turns = list(session.chat.turns)
        return {
            "scan": session.token[:8],
            "revision": session.next_revision(),
            "turns": [_turn(turn) for turn in turns],
            "masks": mask_labels(session, {mask_id: was for turn in turns for mask_id, was in turn.masks.items()}),
            "examples": session.examples if not turns else [],
            "busy": session.chat.running is not None,
            "file": f"/medvl/{session.token}/chat.md" if turns else "",
            "offers": [_offer(mask) for mask in session.offers],
        }


def mask_labels(session: CaseSession, known: dict[str, tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Name and colour of masks by id.

    Args:
        session: the visitor's.
        known: name and colour of masks as they were spoken of; one that is gone from the case is marked so.
    """
    now = {mask.id: (mask.name, mask.color) for mask in list(session.case.masks.values())}
    return {
        mask_id: {"name": name, "color": color, "gone": mask_id not in now}
        for mask_id, (name, color) in {**known, **now}.items()
    }


def _offer(mask: Mask) -> dict[str, str]:
    return {"id": mask.id, "text": f"{mask.name} was {mask.where_stopped}. Go on?"}


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "id": turn.id,
        "question": turn.question,
        "nonce": turn.nonce,
        "state": turn.state,
        "note": turn.note,
        "steps": turn.steps.to_list(),
        "sentences": [sentence.to_dict() for sentence in turn.sentences if sentence.text],
        "chips": list(turn.masks),
        "report": turn.report and turn.state == "done",
        "summary": turn.summary,
        "table": asdict(turn.table) if turn.table else None,
    }
