"""What can be told of sizes when the scan ends within a structure: nothing of which is larger, unless it is plain.

A structure that is cut has at least the volume in view. So the one with more in view is the larger where the other is
whole; where the smaller in view is cut, nobody can know.
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


def undecided(values: Sequence[Fact]) -> bool:
    """Whether the two of a pair cannot be ordered, since the one with less in view goes on outside the scan.

    Different organs are ordered by what is in view, with a word on it: a liver is not doubted for a slice that is
    missing. Of a pair as alike as kidneys, the order is all in that slice.
    """
    if len(values) != 2 or counterpart(values[0].structures[0]) != values[1].structures[0]:
        return False
    return is_cut(min(values, key=lambda fact: fact.value))


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
