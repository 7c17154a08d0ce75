"""Pairs of which the scan holds one only in part: when their sizes are compared, and when not.

A structure that is cut has at least the volume in view. Where the larger is cut, it is larger all the more. Where the
smaller is cut and the larger is whole, nothing is known. Where both are cut, as lungs mostly are, the order holds only
for what is in view, which is said, unless one of them is a tip.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import facts
from .contract import Fact, Sentence
from .numbers import shown
from .scene import Scene
from .sentences import say
from .vocabulary import counterpart
from .words import all_the, be, have, listing, the


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
    ids = [f.structures[0] for f in cut]
    are = be(ids[0]) if len(ids) == 1 else "are"
    text = f"{lead}{all_the(ids)} {are} only partly in the scan ({listing([shown(f) for f in cut])} in view)"
    text += ", so they cannot be compared" if len(cut) > 1 else ", so it cannot be compared with the other"
    if whole:
        one = whole[0].structures[0]
        text += f"; {the(one)}, which is whole, {have(one)} {shown(whole[0])}"
    return say(scene, text, *values)
