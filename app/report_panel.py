"""The panel of the report: shows it, edits it, and offers its files."""

from __future__ import annotations

from typing import Any

import gradio as gr

from .case_session import CaseSession
from .chat_panel import mask_labels
from .panel import panel_html
from .report_state import FILES, ReportState


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
        "masks": {},
        "files": [],
        "view": "",
        "edited": False,
    }


def report_value(session: CaseSession) -> dict[str, Any]:
    """The report as it is now."""
    with session.lock:  # so that a higher revision never holds older words
        return _value(session, session.report, session.report.report)


def _value(session: CaseSession, state: ReportState, report: Any) -> dict[str, Any]:
    base = f"/medvl/{session.token}/report"
    value = empty_report() | {
        "scan": session.token[:8],
        "revision": session.next_revision(),
        "state": state.state,
        "note": state.note,
        "steps": state.steps.to_list(),
    }
    if report is None:
        return value
    return value | {
        "title": report.title,
        "sections": _sections(report, state.edited),
        "masks": mask_labels(session, {}),
        "files": [
            {"href": f"{base}.{kind}?v={state.version}", "name": f"medvl-report.{kind}", "label": label}
            for kind, (label, _) in FILES.items()
        ],
        "view": f"{base}.html?view=1&v={state.version}",
        "edited": bool(state.edited),
    }


def _sections(report: Any, edited: set[int]) -> list[dict[str, Any]]:
    """Sections with their sentences, each under its index in ``report.sentences``."""
    index, sections = 0, []
    for name, sentences in dict(report.sections).items():
        rows = []
        for sentence in sentences:
            rows.append(
                {
                    "index": index,
                    "text": sentence.text,
                    "source": sentence.source,
                    "masks": list(sentence.mask_ids),
                    "edited": index in edited,
                }
            )
            index += 1
        sections.append({"name": name, "sentences": rows})
    return sections
