"""Which structure a description with a choice means ("the larger kidney"), and the sentence that says so."""

from __future__ import annotations

from . import facts
from .contract import Fact, Request, Sentence
from .numbers import shown
from .scene import Scene
from .sentences import say
from .words import all_the, listing, the


def chosen(scene: Scene, request: Request, structure: str) -> Sentence | None:
    """Which of several was meant by "the larger kidney"; or what a description was taken for."""
    if request.choose:
        bright = request.choose in ("brighter", "darker")
        values = [
            facts.mean_hu(scene, id)[0] if bright else facts.volume(scene, id)[0]
            for id in request.structures
            if scene.mask(id) is not None
        ]
        if len(values) < 2:
            return None
        mine = next(f for f in values if f.structures == (structure,))
        others = [f for f in values if f is not mine]
        best = {"larger": "largest", "smaller": "smallest", "brighter": "brightest", "darker": "darkest"}
        word = request.choose if len(values) == 2 else best[request.choose]
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
    if request.referring and request.structures:
        said = Fact("said", request.referring, source="knowledge")
        return say(
            scene,
            f'by "{request.referring}" I take you to mean {all_the(request.structures)}',
            said,
            structures=request.structures,
        )
    return None


def choose(scene: Scene, request: Request) -> str | None:
    """The structure that a request describes by size or brightness, None where none of them has a mask."""
    there = [id for id in request.structures if scene.mask(id) is not None]
    if not there:
        return None
    bright = request.choose in ("brighter", "darker")
    value = (lambda id: scene.measure(id).mean_hu) if bright else (lambda id: scene.measure(id).volume_ml)
    return (min if request.choose in ("smaller", "darker") else max)(there, key=value)
