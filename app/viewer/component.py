"""The viewer as a Gradio component: a static template, a style sheet and one script, read from the files beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from .board import Board

FOLDER = Path(__file__).parent
SCRIPTS = (  # in the order in which they build on one another
    "geometry.js",
    "volume.js",
    "contour.js",
    "masks.js",
    "region.js",
    "ruler.js",
    "brush.js",
    "lasso.js",
    "slab.js",
    "plane.js",
    "prior.js",
    "cine.js",
    "gestures.js",
    "pointing.js",
    "outbox.js",
    "toolbar.js",
    "keys.js",
    "cover.js",
    "foot.js",
    "frames.js",
    "session.js",
    "viewer.js",
    "start.js",
)


def viewer_html(elem_id: str = "viewer") -> gr.HTML:
    """The viewer component.

    Its value comes from ``viewer_value``; its events are ``prompt``, ``stroke`` and ``action`` (listen with
    ``viewer.prompt(fn)``, where ``fn`` takes an ``evt: gr.EventData``; ``evt._data`` is the dict from the browser).
    """
    return gr.HTML(
        value=viewer_value(None),
        html_template=(FOLDER / "viewer.html").read_text(encoding="utf-8"),
        css_template=(FOLDER / "viewer.css").read_text(encoding="utf-8"),
        js_on_load=viewer_script(),
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=["medvl-viewer"],
    )


def viewer_script() -> str:
    """All scripts as one function body, which Gradio runs with ``element``, ``trigger``, ``props`` and ``watch``."""
    parts = [(FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return "'use strict';\n" + "\n".join(parts)


def viewer_value(board: Board | None, busy: bool = False, status: str = "") -> dict[str, Any]:
    """The component's value: a few numbers and the route, never voxels.

    Args:
        board: what to show; None for an empty viewer.
        busy: a segmentation runs, so Stop is offered.
        status: short line in the viewer, for instance ``"Slice 12 of 40, 8 s left"``.
    """
    if board is None:
        return {"token": "", "base": "", "revision": 0, "case": 0, "busy": busy, "status": status, "prior": None}
    return {
        "token": board.token,
        "base": f"/medvl/{board.token}",
        "revision": board.revision,
        "case": board.case,
        "busy": busy,
        "status": status,
        "prior": _prior(board),
    }


def _prior(board: Board) -> dict[str, Any] | None:
    beside = board.beside
    if beside is None:
        return None
    base = f"/medvl/{board.token}/prior"
    return {"base": base, "case": beside.board.case, "revision": beside.board.revision, "title": beside.title}
