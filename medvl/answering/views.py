"""What a message changes in the viewer, and the sentence that says so."""

from __future__ import annotations

from . import facts, sentences
from .colours import COLOURS
from .contract import Fact, Request, Sentence, View
from .numbers import shown
from .scene import Scene
from .words import all_the, the

_DONE = {
    "hide": "I hid {}; the masks stay in the list",
    "show": "{} can be seen again",
    "only": "only {} is shown",
    "centre": "the view is centred on {}",
    "colour": "{} has the colour asked for",
}


def change(scene: Scene, request: Request) -> tuple[View | None, list[Sentence]]:
    """What the viewer should do for a VIEW request.

    Returns:
        The change, None if there is nothing to change; and what to say of it.
    """
    action = request.attribute
    if action == "window":
        return View("window", value=request.topic), [_say(f"the viewer shows the {request.topic.lower()} window")]
    if action == "slice" and not request.structures:
        return _to_slice(scene, request.topic)
    if request.unknown and not request.structures:
        return None, []  # what is said of the unknown is all
    named = request.structures or tuple(scene.present)
    there = tuple(id for id in named if scene.mask(id) is not None)
    if not there:
        if request.unknown:
            return None, []
        looked = all((found := scene.found(id)) is not None and found.mask is None for id in request.structures)
        if action in ("centre", "only", "colour", "slice") or (request.structures and looked):
            return None, sentences.missing(scene, named)
        what = f"of {all_the(request.structures)} " if request.structures else ""
        return None, [_say(f"there is no mask {what}yet. Ask for it to be segmented first")]
    if action == "slice":
        return _to_largest(scene, there[0])
    ids = tuple(mask.id for mask in scene.masks(*there))
    text = _DONE[action].format(all_the(there))
    if action == "only" and len(there) > 1:
        text = text.replace(" is shown", " are shown")
    if action == "colour":
        text = f"{all_the(there)} {'is' if len(there) == 1 else 'are'} {request.topic} now"
    return View(action, ids, COLOURS.get(request.topic, "") if action == "colour" else ""), [_say(text)]


def _to_largest(scene: Scene, structure: str) -> tuple[View, list[Sentence]]:
    """The viewer at the axial slice where a structure is widest, of a vessel, or has its largest section."""
    across = {fact.key: fact for fact in facts.diameter(scene, structure)}
    at = across.get("cross_slice") or facts.largest_slice(scene, structure)[0]
    size = across.get("cross_diameter_mm") or facts.largest_slice(scene, structure)[1]
    what = "is at its widest" if "cross_slice" in across else "has its largest section"
    count = Fact("slices_of_plane", int(scene.ct.shape[2]), source="scan")
    text = f"the viewer shows axial slice {shown(at)} of {shown(count)}, where {the(structure)} {what}: {shown(size)}"
    return View("slice", value=f"2 {at.value - 1}"), [sentences.say(scene, text, at, size, count)]


def _to_slice(scene: Scene, topic: str) -> tuple[View | None, list[Sentence]]:
    """The viewer at a slice, counted from 1 as the viewer does."""
    plane, number = topic.split()
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    count = Fact("slices_of_plane", int(scene.ct.shape[axis]), source="scan")
    asked = Fact("slice", int(number), source="scan")
    if not 1 <= asked.value <= count.value:
        text = f"there is no {plane} slice {shown(asked)}: they are counted from 1 to {shown(count)}"
        return None, [sentences.say(None, text, asked, count, Fact("first", 1), source="program")]
    text = f"the viewer shows {plane} slice {shown(asked)} of {shown(count)}"
    view = View("slice", value=f"{axis} {asked.value - 1}")
    return view, [sentences.say(None, text, asked, count, source="program")]


def _say(text: str) -> Sentence:
    return sentences.say(None, text, source="program")
