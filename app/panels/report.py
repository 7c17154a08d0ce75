"""The panel of the report: shows it, edits it, and offers its files."""

from __future__ import annotations

from typing import Any

import gradio as gr

from medvl.report.parts import COLUMNS, Row, cells, limits
from medvl.report.report import Report

from ..case_session import CaseSession
from ..report_state import FILES, ReportState, report_name
from .chat import mask_labels
from .panel import panel_html

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
            "rows": [_row(row) for row in written.table],
        },
        "masks": mask_labels(session, {}),
        "files": [
            {"href": f"{base}.{kind}?v={state.version}", "name": report_name(session.ct, kind), "label": label}
            for kind, (label, _) in FILES.items()
        ],
        "view": f"{base}.html?view=1&v={state.version}",
        "edited": bool(state.edits),
    }


def _row(row: Row) -> dict[str, Any]:
    shown = cells(row)
    return {"name": row.name, "mask": row.mask_id, "cells": [shown[at] for at in SHOWN], "limits": limits(row)}


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
