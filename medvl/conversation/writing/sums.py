"""Sentences about sums: a share of a whole, and one side against the sum of another, by volume."""

from __future__ import annotations

from ...language.calls import Compare, Share, Total
from ...tools import facts
from ...tools.fact import Fact, shown
from ...tools.scene import Scene
from ...vocabulary.numbers import decimals
from ...vocabulary.spoken import all_the, have, the
from ..contract import Sentence
from .relations import OPPOSITE, of_fact
from .sentences import missing, say


def summed(scene: Scene, call: Compare) -> list[Sentence]:
    """One side against the other, by the sum of the volumes of each."""
    gone = missing(scene, (*call.structures, *call.against))
    sides = []
    for ids in (call.structures, call.against):
        there = [facts.volume(scene, id)[0] for id in ids if scene.mask(id) is not None]
        if len(there) < len(ids):
            return gone  # a sum without one of its parts is none
        note = next((f.note for f in there if f.note), "")
        sides.append(Fact("volume_ml", sum(f.value for f in there), "mL", ids, note=note))
    one, other = sides
    names = [f"{all_the(f.structures)}{' together' if len(f.structures) > 1 else ''}" for f in sides]
    has = have(one.structures[0]) if len(one.structures) == 1 else "have"
    larger = one.value > other.value
    lead = "" if call.claim not in OPPOSITE else "yes: " if larger is (call.claim == "larger") else "no: "
    both = (*one.structures, *other.structures)
    ratio = Fact("ratio", round(one.value / other.value, 2), "", both)
    apart = abs(round(one.value, decimals(one.value, "mL")) - round(other.value, decimals(other.value, "mL")))
    difference = Fact("difference", apart, "mL", both)
    text = (
        f"{lead}{names[0]} {has} {of_fact(one)} and {names[1]} {of_fact(other)}: {shown(ratio)} times that, "
        f"a difference of {shown(difference)}"
    )
    told = [say(scene, text, one, other, ratio, difference)]
    if one.note or other.note:
        told.append(say(scene, "some of it reaches the border of the scan, so this holds only for what is in it"))
    return told


def left(scene: Scene, call: Total) -> list[Sentence]:
    """The sum of some volumes less others; volumes as numbers, whatever the masks share."""
    ids = (*call.structures, *call.against)
    gone = missing(scene, ids)
    if gone:
        return gone  # a sum without one of its parts is none
    values = [facts.volume(scene, id)[0] for id in ids]
    added, taken = values[: len(call.structures)], values[len(call.structures) :]
    rest = Fact("rest_ml", sum(f.value for f in added) - sum(f.value for f in taken), "mL", ids)
    terms = " + ".join(f"{the(f.structures[0])} ({of_fact(f)})" for f in added)
    terms += "".join(f" - {the(f.structures[0])} ({of_fact(f)})" for f in taken)
    told = [say(scene, f"{terms} = {shown(rest)}", *values, rest)]
    if any(f.note for f in values):
        told.append(say(scene, "some of it reaches the border of the scan, so this holds only for what is in it"))
    return told


def shared(scene: Scene, call: Share) -> list[Sentence]:
    """How much of a whole some structures make up, by volume."""
    ids = (*call.structures, *call.whole)
    gone = missing(scene, ids)
    part = [facts.volume(scene, id)[0] for id in call.structures if scene.mask(id) is not None]
    whole = [facts.volume(scene, id)[0] for id in call.whole if scene.mask(id) is not None]
    if not part or not whole:
        return gone
    both = (*(f.structures[0] for f in part), *(f.structures[0] for f in whole))
    sums = [
        Fact("volume_ml", sum(f.value for f in values), "mL", tuple(f.structures[0] for f in values))
        for values in (part, whole)
    ]
    percent = Fact("share_percent", 100 * sums[0].value / sums[1].value, "%", tuple(dict.fromkeys(both)))
    mine, all_of = (all_the(f.structures) for f in sums)
    makes = "make" if len(part) > 1 or part[0].structures[0] == "other_bone" else "makes"
    text = f"{mine} {makes} up {shown(percent)} of {all_of} by volume: {shown(sums[0])} of {shown(sums[1])}"
    if any(f.note for f in (*part, *whole)):
        text += ", as far as they are in this scan"
    return [say(scene, text, percent, *sums), *gone]
