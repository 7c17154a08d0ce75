"""Opportunistic findings: published rules on measured values, each with its source and with what it needs of a scan."""

from __future__ import annotations

from . import aorta, bones, chest, liver, stones
from .base import Finding, Outcome

FINDINGS: dict[str, Finding] = {
    finding.id: finding for room in (liver, chest, aorta, bones, stones) for finding in room.FINDINGS
}
"""Every finding by its id."""

__all__ = ["FINDINGS", "Finding", "Outcome"]
