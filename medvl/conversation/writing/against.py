"""What was measured, held against a value that a person names."""

from __future__ import annotations

from collections.abc import Sequence

from ...language.calls import Measure
from ...tools import facts
from ...tools.fact import Fact, shown
from ...tools.scene import Scene
from ...vocabulary.spoken import be, have, the
from ..contract import Sentence
from .sentences import missing, say

_KEYS = {"volume": "volume_ml", "mean_hu": "mean_hu"}
_QUALITY = {"volume": "a volume of", "mean_hu": "a mean of", "diameter": "a longest diameter of"}


def held_against(scene: Scene, call: Measure, structures: Sequence[str]) -> list[Sentence]:
    """Whether each structure has more or less than the value of a call, or how much of it lies in its range of HU."""
    there = [id for id in structures if scene.mask(id) is not None]
    told = _in_range if call.than is None else _compared
    return [told(scene, call, id) for id in there] + missing(scene, structures)


def _compared(scene: Scene, call: Measure, id: str) -> Sentence:
    values = {fact.key: fact for fact in facts.of_structure(scene, id, call.what)}
    wide = values.get("cross_diameter_mm")
    value = wide or values.get(_KEYS.get(call.what, "")) or next(iter(values.values()))
    unit = value.unit
    bound = Fact("bound", call.than, unit, (id,), "program")
    least = value.note.startswith(facts.AT_LEAST)
    more = value.value > call.than
    since = value.note.removeprefix(facts.AT_LEAST) if least else ""
    measured = f"{the(id)} {have(id)} {_QUALITY[call.what]} {'at least ' if least else ''}{shown(value)}{since}"
    if wide is not None:
        measured = f"{the(id)} {be(id)} up to {shown(wide)} wide across, in slice {shown(values['cross_slice'])}"
    said = (value, bound) if wide is None else (wide, bound, values["cross_slice"])
    if least and not more:
        return say(scene, f"whether it is {call.than_is} than {shown(bound)} cannot be told: {measured}", *said)
    lead = "yes" if more is (call.than_is == "more") else "no"
    return say(scene, f"{lead}: {measured}, {'more' if more else 'less'} than {shown(bound)}", *said)


def _in_range(scene: Scene, call: Measure, id: str) -> Sentence:
    volume, share, *bounds = facts.in_range(scene, id, call.low_hu, call.high_hu)
    ends = [shown(bound) for bound in bounds]
    where = f"between {ends[0]} and {ends[1]}" if len(ends) > 1 else f"at {ends[0]}"
    if len(ends) == 1:
        where += " or above" if call.high_hu is None else " or below"
    cut = ", as far as it is in this scan" if volume.note else ""
    return say(
        scene, f"{shown(volume)} of {the(id)} {be(id)} {where}, {shown(share)} of it{cut}", volume, share, *bounds
    )
