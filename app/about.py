"""What runs behind the page: the model's notices, and the memory that is in use now."""

from __future__ import annotations

from typing import Any

import gradio as gr
import psutil
import torch

from medvl.model import MedVLSAM2

from .panel import panel_html
from .sessions import SessionStore

USE = "Research use only, not for diagnosis."


def about_html(value: dict[str, Any]) -> gr.HTML:
    """A line that opens; event ``look`` asks for the figures of now."""
    return panel_html("about", value)


def about_value(model: MedVLSAM2, preset: str, store: SessionStore | None = None, key: str | None = None) -> dict:
    """What the panel shows.

    Args:
        model: the loaded model.
        preset: its name, as it was started.
        store: the visitors' sessions.
        key: of the visitor who looks, for the memory of their scan.
    """
    device = getattr(model, "device", torch.device("cpu"))
    vlm = getattr(model, "vlm", None)
    rows = [
        ("Preset", preset),
        ("Device", torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"),
        ("Language model", _precision(vlm) if vlm else "none: words are understood by rules"),
        ("Memory of the program", _gb(psutil.Process().memory_info().rss)),
    ]
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        rows.append(("GPU memory in use", f"{_gb(total - free)} of {_gb(total)}"))
    session = store.find(key) if store is not None and key else None
    if session is not None:
        rows.append(("Memory of your scan", _gb(session.nbytes)))
    notices = list(model.notices()) if hasattr(model, "notices") else []
    return {"rows": [list(row) for row in rows], "notices": [*notices, USE]}


def _precision(vlm: Any) -> str:
    precision = vlm.lm.precision
    held = {"4bit": "4-bit NF4", "8bit": "8-bit"}.get(precision.mode, str(precision.dtype).removeprefix("torch."))
    return f"{held}, for image, chat and report"


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
