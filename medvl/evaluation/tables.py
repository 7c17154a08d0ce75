"""Aligned tables for the screen, and the JSON beside them."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import ExportError

NONE = "-"


def cell(value: object, places: int = 3) -> str:
    """A value as a table shows it; "-" where there is none."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{places}f}"
    return str(value)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines with a header; columns as wide as their widest cell, text to the left, numbers to the right.

    Numbers of one column have the same decimals: three where all are below 10, else one.
    """
    places = [
        1 if any(isinstance(v, float) and abs(v) >= 10 for v in column) else 3 for column in zip(*rows, strict=True)
    ]
    shown = [[cell(value, n) for value, n in zip(row, places, strict=True)] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *shown, strict=True)]
    right = [
        bool(rows) and all(v is None or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in column)
        for column in (zip(*rows, strict=True) if rows else [()] * len(header))
    ]

    def line(cells: Sequence[str]) -> str:
        parts = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)]
        return "  ".join(parts).rstrip()

    return [line(header), "  ".join("-" * width for width in widths), *map(line, shown)]


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of those that are numbers; None if there are none."""
    numbers = [float(v) for v in values if v is not None and not np.isnan(v)]
    return float(np.mean(numbers)) if numbers else None


def about(**more: object) -> dict[str, Any]:
    """Where figures were measured, for the JSON."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        **more,
    }


def save_json(path: Path | None, **content: object) -> None:
    """Write the results of a command; None writes nothing.

    Raises:
        ExportError: the file cannot be written.
    """
    if path is None:
        return
    text = json.dumps(content, indent=1, ensure_ascii=False, default=_plain) + "\n"
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExportError(f"The JSON could not be written: {error.strerror}.") from error


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
