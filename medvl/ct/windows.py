"""HU that the whole package agrees on: display windows, which one fits a structure, and where the body ends."""

from __future__ import annotations

import numpy as np

# (level, width) in HU; which one a slice is shown in depends on what was prompted.
WINDOWS = {"soft": (40.0, 400.0), "lung": (-600.0, 1500.0), "bone": (400.0, 1800.0)}

BODY_HU = -300.0
"""Between fat (about -100) and air or lung: what is above it, or enclosed by that, is body."""


def window_for(hu: np.ndarray) -> str:
    """Window whose range shows tissue of these HU values best, by their median."""
    median = float(np.median(hu)) if hu.size else 40.0
    return "lung" if median < -250 else "bone" if median > 260 else "soft"
