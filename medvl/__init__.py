"""MedVL-SAM2: read a CT, click or box a structure, get a 3-D mask and its measurements. Research use only."""

from __future__ import annotations

from .case import Case
from .errors import CTReadError, ExportError, MedVLError, PromptError, WeightsError
from .export import save_mask
from .masks import Mask
from .measure import Measurement
from .model import MedVLSAM2, load
from .prompts import Box, Point
from .readers import read_ct
from .report import Report
from .volume import CTVolume

__version__ = "0.1.0"  # as in pyproject.toml

__all__ = [
    "Box",
    "CTReadError",
    "CTVolume",
    "Case",
    "ExportError",
    "Mask",
    "Measurement",
    "MedVLError",
    "MedVLSAM2",
    "Point",
    "PromptError",
    "Report",
    "WeightsError",
    "load",
    "read_ct",
    "save_mask",
]
