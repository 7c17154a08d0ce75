"""Which structure a description with a choice means ("the larger kidney"), and the sentence that says so."""

from __future__ import annotations

from dataclasses import replace

from ...language.calls import Call
from ...tools import facts
from ...tools.fact import Fact, shown
from ...tools.scene import Scene
from ...vocabulary.spoken import all_the, listing, the
from ..contract import Sentence
from . import partial
from .sentences import say


def chosen(scene: Scene, call: Call, structure: str) -> Sentence | None:
    """Which of several was meant by "the larger kidney"; or what a description was taken for."""
    if call.choose:
        bright = call.choose in ("brighter", "darker")
        values = [
            facts.mean_hu(scene, id)[0] if bright else facts.volume(scene, id)[0]
            for id in call.structures
            if scene.mask(id) is not None
        ]
        if len(values) < 2:
            return None
        if not bright and partial.undecided(values):
            return _of_those_whole(scene, values, structure)
        mine = next(f for f in values if f.structures == (structure,))
        others = [f for f in values if f is not mine]
        best = {"larger": "largest", "smaller": "smallest", "brighter": "brightest", "darker": "darkest"}
        word = call.choose if len(values) == 2 else best[call.choose]
        against = listing([f"{shown(f)} for {the(f.structures[0])}" for f in others])
        cut = [f.structures[0] for f in values if not bright and f.note]
        reach = "reach" if len(cut) > 1 or "other_bone" in cut else "reaches"
        only = f"; {all_the(cut)} {reach} the border of the scan, so this holds only for what is in it" if cut else ""
        return say(
            scene,
            f"the {word} one is {the(structure)}: {shown(mine)} against {against}{only}",
            mine,
            *others,
            structures=(structure,),
        )
    if call.description and call.structures:
        said = Fact("said", call.description, source="knowledge")
        return say(
            scene,
            f'by "{call.description}" I take you to mean {all_the(call.structures)}',
            said,
            structures=call.structures,
        )
    return None


def _of_those_whole(scene: Scene, values: list[Fact], structure: str) -> Sentence:
    """Why the sizes of a pair decide nothing, and what is taken instead."""
    told = partial.cannot_compare(scene, values)
    told = replace(told, mask_ids=tuple(mask.id for mask in scene.masks(structure)) if structure else ())
    if not structure:
        return told
    whole = not partial.is_cut(next(f for f in values if f.structures == (structure,)))
    why = "the one that is whole" if whole else "of which more is in view"
    return replace(told, text=f"{told.text.removesuffix('.')}. I take {the(structure)}, {why}.")


def undecidable(scene: Scene, call: Call) -> bool:
    """Whether what is in the scan does not tell which of a pair a call describes, and neither can be taken for it.

    Of a whole kidney and the tip of another, the whole one may stand for "the larger", but none for "the smaller".
    """
    if call.choose not in ("larger", "smaller"):
        return False
    values = [facts.volume(scene, id)[0] for id in call.structures if scene.mask(id) is not None]
    return call.choose == "smaller" and partial.undecided(values)


def choose(scene: Scene, call: Call) -> str | None:
    """The structure that a call describes by size or brightness, None where none of them has a mask."""
    if undecidable(scene, call):
        return None
    there = [id for id in call.structures if scene.mask(id) is not None]
    if not there:
        return None
    bright = call.choose in ("brighter", "darker")
    value = (lambda id: scene.measure(id).mean_hu) if bright else (lambda id: scene.measure(id).volume_ml)
    return (min if call.choose in ("smaller", "darker") else max)(there, key=value)
