"""Pairs of which the scan holds one only in part: when their sizes are compared, and when not.

A structure that is cut has at least the volume in view. Where the larger is cut, it is larger all the more. Where the
smaller is cut and the larger is whole, nothing is known. Where both are cut, as lungs mostly are, the order holds only
for what is in view, which is said, unless one of them is a tip.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...tools import facts
from ...tools.fact import Fact, shown
from ...tools.scene import Scene
from ...vocabulary.names import counterpart
from ...vocabulary.spoken import be, have, listing, the
from ..contract import Sentence
from .sentences import say


def is_cut(fact: Fact) -> bool:
    """Whether a value is only a lower bound."""
    return fact.note.startswith(facts.AT_LEAST)


_TIP = 0.5
"""A structure with less than this share of its counterpart in view is a tip; a rule of this program."""


def undecided(values: Sequence[Fact]) -> bool:
    """Whether these are the sizes of a pair that cannot be ordered, since the smaller goes on outside the scan."""
    if len(values) != 2 or counterpart(values[0].structures[0]) != values[1].structures[0]:
        return False
    small, big = sorted(values, key=lambda fact: fact.value)
    return is_cut(small) and (not is_cut(big) or small.value < _TIP * big.value)


def cannot_compare(scene: Scene, values: Sequence[Fact], lead: str = "") -> Sentence:
    """Which are only partly in the scan, how much of each is in view, and that this decides nothing."""
    cut = [f for f in values if is_cut(f)]
    whole = [f for f in values if not is_cut(f)]
    if len(cut) > 1:  # each number beside its organ
        seen = listing([f"{the(f.structures[0])} ({shown(f)} in view)" for f in cut])
        text = f"{lead}{seen} are only partly in the scan, so they cannot be compared"
    else:
        id = cut[0].structures[0]
        text = f"{lead}{the(id)} {be(id)} only partly in the scan ({shown(cut[0])} in view)"
        text += ", so it cannot be compared with the other"
    if whole:
        one = whole[0].structures[0]
        text += f"; {the(one)}, which is whole, {have(one)} {shown(whole[0])}"
    return say(scene, text, *values)
