"""Looks: what is seen where no name is known, with masks, amounts, and thresholds with their sources."""

from .catalogue import LOOKS, LookKind, look, look_in, probe_in, scene_of, what_is_at
from .probe import KINDS, probe, what_is
from .spots import Amount, Look, Place, Rule, Spot

__all__ = [
    "KINDS", "LOOKS", "Amount", "Look", "LookKind", "Place", "Rule", "Spot", "look", "look_in", "probe", "probe_in",
    "scene_of", "what_is", "what_is_at",
]  # fmt: skip
