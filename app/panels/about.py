"""What runs behind the page: preset, device, precision, memory in use now, weights and their licences."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr
import psutil
import torch

from medvl.conversation.planners.small import FOLDER
from medvl.model import MedVLSAM2
from medvl.weights.devices import described

from ..sessions import GRACE_S, SessionStore
from .panel import panel_html

USE = "Research use only, not for diagnosis."
NO_LANGUAGE_MODEL = "none"
UNDERSTOOD = "a sentence encoder trained on typed calls (all-MiniLM-L6-v2), then rules"


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
    device, vlm = _device(model), getattr(model, "vlm", None)
    rows = [
        ("Preset", preset),
        ("Device", _device_name(device)),
        ("Weights", ", ".join(getattr(model, "weights", ())) or "none"),
        ("Language model", f"{_precision(vlm)}, for image, chat and report" if vlm else NO_LANGUAGE_MODEL),
        ("Segmentation", getattr(model, "segmentation", "float32")),
        *_outside(model),
        ("Words understood by", UNDERSTOOD if (FOLDER / "config.json").is_file() else "rules"),
        ("Memory of the program", _gb(psutil.Process().memory_info().rss)),
    ]
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        rows.append(("GPU memory in use", f"{_gb(total - free)} of {_gb(total)}"))
    session = store.find(key) if store is not None and key else None
    if session is not None:
        rows.append(("Memory of your scan", _gb(session.nbytes)))
    notices = list(model.notices()) if hasattr(model, "notices") else []
    notices = [n for n in notices if not n.startswith("Segmentation:")]  # a row of its own
    return {"rows": [list(row) for row in rows], "notices": [*notices, USE]}


def _outside(model: MedVLSAM2) -> list[tuple[str, str]]:
    """The reader and the planner that were named at the start."""
    networks = getattr(model, "networks", None)
    named = [(what.capitalize(), getattr(networks, what, None)) for what in ("reader", "planner")]
    return [(what, found.name) for what, found in named if found is not None]


def footer(model: MedVLSAM2, preset: str) -> str:
    """The line at the foot of the page: use, preset, device, precision, memory in use now, weights.

    Args:
        model: the loaded model.
        preset: its name, as it was started; somebody's folder is told by its last part.
    """
    device, vlm = _device(model), getattr(model, "vlm", None)
    used = psutil.Process().memory_info().rss
    memory = f"{_gb(used)} in use"
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        memory = f"{_gb(total - free)} of {_gb(total)} GPU memory in use"
    name = preset.replace("\\", "/").rstrip("/").rpartition("/")[2] or preset
    words = [
        f"Preset {name} on {_device_name(device)}, {_precision(vlm) if vlm else 'float32'}",
        memory,
        f"Weights: {', '.join(getattr(model, 'weights', ())) or 'none'}",
        f"Your scan is forgotten {GRACE_S // 60} minutes after you close the page",
    ]
    return f"<span><strong>{USE}</strong></span>" + "".join(f"<span>{html.escape(word)}</span>" for word in words)


def _device(model: MedVLSAM2) -> torch.device:
    return getattr(model, "device", torch.device("cpu"))


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else described(device)


def _precision(vlm: Any) -> str:
    precision = vlm.lm.precision
    return {"4bit": "4-bit NF4", "8bit": "8-bit"}.get(precision.mode, str(precision.dtype).removeprefix("torch."))


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
