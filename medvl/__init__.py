"""MedVL-SAM2: read a CT, click or box a structure, get a 3-D mask and its measurements. Research use only.

The names below are imported when they are first used, so that what needs only a part of the package (a decoder that
reads one file) does not load the networks.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .case import Case
    from .ct.masks import Mask
    from .ct.measure import Measurement
    from .ct.prompts import Box, Point
    from .ct.volume import CTVolume
    from .errors import CaseFileError, CTReadError, ExportError, MedVLError, PromptError, WeightsError
    from .model import MedVLSAM2, load, open_case
    from .readers import read_ct
    from .readers.masks import read_masks
    from .report.report import Report
    from .version import __version__
    from .writers.export import save_mask

# Read when torch is imported: what Apple's GPU cannot do goes to the CPU instead of ending the program.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
# Keeps bfloat16 on a CPU repeatable: with AMX two runs of one seed differ from the first step on as soon as there are
# two threads, and oneDNN 3.12, which torch 2.14 has, lists wrong results of these kernels (pytorch/pytorch 169688,
# uxlfoundation/oneDNN 5393 and 5717). oneDNN reads this at its first operation; float32 arithmetic does not use AMX.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")

__all__ = [
    "Box",
    "CTReadError",
    "CTVolume",
    "Case",
    "CaseFileError",
    "ExportError",
    "Mask",
    "Measurement",
    "MedVLError",
    "MedVLSAM2",
    "Point",
    "PromptError",
    "Report",
    "WeightsError",
    "__version__",
    "load",
    "open_case",
    "read_ct",
    "read_masks",
    "save_mask",
]
_HOMES = {
    "case": ("Case",),
    "ct.masks": ("Mask",),
    "ct.measure": ("Measurement",),
    "ct.prompts": ("Box", "Point"),
    "ct.volume": ("CTVolume",),
    "errors": ("CaseFileError", "CTReadError", "ExportError", "MedVLError", "PromptError", "WeightsError"),
    "model": ("MedVLSAM2", "load", "open_case"),
    "readers": ("read_ct",),
    "readers.masks": ("read_masks",),
    "report.report": ("Report",),
    "version": ("__version__",),
    "writers.export": ("save_mask",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
