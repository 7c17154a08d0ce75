"""The panel of the report: shows it, edits it, and offers its files."""

from __future__ import annotations

from typing import Any

import gradio as gr

from medvl.report import COLUMNS, Report, cells

from .case_session import CaseSession
from .chat_panel import mask_labels
from .panel import panel_html
from .report_state import FILES, ReportState

TITLE = "CT report"
SHOWN = (0, 1, 3)  # columns of the table that the panel has room for; the files have all


def report_html() -> gr.HTML:
    """The report; event ``act`` with ``{"op", ...}``."""
    return panel_html("report", empty_report())


def empty_report() -> dict[str, Any]:
    """The panel before there is a scan."""
    return {
        "scan": "",
        "revision": 0,
        "state": "none",
        "note": "",
        "steps": [],
        "title": "",
        "sections": [],
        "table": {"columns": [], "rows": []},
        "masks": {},
        "files": [],
        "view": "",
        "edited": False,
    }


def report_value(session: CaseSession) -> dict[str, Any]:
    """The report as it is now."""
    with session.lock:  # so that a higher revision never holds older words
        return _value(session, session.report)


def _value(session: CaseSession, state: ReportState) -> dict[str, Any]:
    base = f"/medvl/{session.token}/report"
    value = empty_report() | {
        "scan": session.token[:8],
        "revision": session.next_revision(),
        "state": state.state,
        "note": state.note,
        "steps": state.steps.to_list(),
    }
    written = state.written
    if written is None:
        return value
    return value | {
        "title": TITLE,
        "sections": _sections(written, state.edits),
        "table": {
            "columns": [COLUMNS[at] for at in SHOWN],
            "rows": [
                {"name": r.name, "mask": r.mask_id, "cells": [cells(r)[at] for at in SHOWN]} for r in written.table
            ],
        },
        "masks": mask_labels(session, {}),
        "files": [
            {"href": f"{base}.{kind}?v={state.version}", "name": f"medvl-report.{kind}", "label": label}
            for kind, (label, _) in FILES.items()
        ],
        "view": f"{base}.html?view=1&v={state.version}",
        "edited": bool(state.edits),
    }


def _sections(written: Report, edits: dict[int, str]) -> list[dict[str, Any]]:
    """Sections with their sentences, each under its index in ``written.sentences``."""
    index, sections = 0, []
    for section in written.sections:
        rows = []
        for sentence in section.sentences:
            rows.append(
                {
                    "index": index,
                    "text": edits.get(index, sentence.text),
                    "source": sentence.source,
                    "masks": list(sentence.mask_ids),
                    "edited": index in edits,
                }
            )
            index += 1
        sections.append({"name": section.title, "level": section.level, "sentences": rows})
    return sections
