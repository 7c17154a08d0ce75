"""What a message changes in the viewer, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np

from ...ct.lengths import PLANES
from ...ct.masks import Mask
from ...ct.volume import CTVolume
from ...language.calls import Show
from ...tools import facts
from ...tools.fact import Fact, shown
from ...tools.pieces import View
from ...tools.scene import Scene
from ...vocabulary.names import COLOURS
from ...vocabulary.spoken import all_the, listing, the
from ..contract import Sentence
from . import sentences

WINDOW_NAMES = tuple(name for name in get_args(get_type_hints(Show)["window"]) if name)
_DONE = {
    "hide": "I hid {}; the masks stay in the list",
    "show": "{} can be seen again",
    "only": "only {} is shown",
    "centre": "the view is centred on {}",
    "colour": "{} has the colour asked for",
}


def change(scene: Scene, call: Show) -> tuple[View | None, list[Sentence]]:
    """What the viewer should do for a call.

    Returns:
        The change, None if there is nothing to change; and what to say of it.
    """
    action = call.action
    if action == "window" and call.width:
        level = Fact("level_hu", call.level or 0.0, "HU", source="program")
        width = Fact("width_hu", call.width, "HU", source="program")
        text = f"the viewer shows a window of {shown(width)} round {shown(level)}"
        return View("window", value=f"{level.value:g} {width.value:g}"), [
            sentences.say(None, text, level, width, source="program")
        ]
    if action == "window" and not call.window:
        return None, [_say(f"which window do you mean: {listing(WINDOW_NAMES, 'or')}, or a level and a width in HU")]
    if action == "window":
        return View("window", value=call.window), [_say(f"the viewer shows the {call.window.lower()} window")]
    if action == "slice":
        return _to_slice(scene, call.plane or "axial", call.number or 1)
    if call.unknown and not call.structures:
        return None, []  # what is said of the unknown is all
    named = call.structures or tuple(scene.present)
    there = tuple(id for id in named if scene.mask(id) is not None)
    if not there:
        if call.unknown:
            return None, []
        looked = all((found := scene.found(id)) is not None and found.mask is None for id in call.structures)
        if action in ("centre", "only", "colour", "largest_slice") or (call.structures and looked):
            return None, sentences.missing(scene, named)
        what = f"of {all_the(call.structures)} " if call.structures else ""
        return None, [_say(f"there is no mask {what}yet. Ask for it to be segmented first")]
    if action == "centre" and call.plane:
        return _through(scene, call.plane, there[0])
    if action == "largest_slice":
        return _to_largest(scene, there[0])
    ids = tuple(mask.id for mask in scene.masks(*there))
    text = _DONE[action].format(all_the(there))
    if action == "only" and len(there) > 1:
        text = text.replace(" is shown", " are shown")
    if action == "colour":
        text = f"{all_the(there)} {'is' if len(there) == 1 else 'are'} {call.colour} now"
    return View(action, ids, COLOURS.get(call.colour, "") if action == "colour" else ""), [_say(text)]


def of_masks(ct: CTVolume, action: str, masks: Sequence[Mask], colour: str) -> Sentence:
    """What was done to the view of masks that have only a name of their own."""
    named = listing(f'"{mask.name}"' for mask in masks)
    are = "is" if len(masks) == 1 else "are"
    text = {
        "hide": f"I hid {named}; the masks stay in the list",
        "show": f"{named} {are} shown",
        "only": f"only {named} {are} shown",
        "centre": f"the view is centred on {named if len(masks) == 1 else masks[0].name}",
        "colour": f"{named} {are} {colour} now",
    }[action]
    said = [Fact("name", mask.name, source="program") for mask in masks]
    if action == "centre" and len(masks) == 1:
        at = masks[0].box.lo[2] + int(masks[0].block.sum(axis=(0, 1)).argmax()) + 1
        said += [Fact("slice", at, mask_id=masks[0].id), Fact("slices_of_plane", int(ct.shape[2]), source="scan")]
        text += f", whose largest section is in axial slice {shown(said[1])} of {shown(said[2])}"
    told = sentences.say(None, text, *said, source="program")
    return replace(told, mask_ids=tuple(mask.id for mask in masks))


def _to_largest(scene: Scene, structure: str) -> tuple[View, list[Sentence]]:
    """The viewer at the axial slice where a structure is widest, of a vessel, or has its largest section."""
    across = {fact.key: fact for fact in facts.diameter(scene, structure)}
    at = across.get("cross_slice") or facts.largest_slice(scene, structure)[0]
    size = across.get("cross_diameter_mm") or facts.largest_slice(scene, structure)[1]
    what = "is at its widest" if "cross_slice" in across else "has its largest section"
    count = Fact("slices_of_plane", int(scene.ct.shape[2]), source="scan")
    text = f"the viewer shows axial slice {shown(at)} of {shown(count)}, where {the(structure)} {what}: {shown(size)}"
    return View("slice", value=f"2 {at.value - 1}"), [sentences.say(scene, text, at, size, count)]


def _to_slice(scene: Scene, plane: str, number: int) -> tuple[View | None, list[Sentence]]:
    """The viewer at a slice, counted from 1 as the viewer does."""
    axis = PLANES[plane]
    count = Fact("slices_of_plane", int(scene.ct.shape[axis]), source="scan")
    asked = Fact("slice", number, source="scan")
    if not 1 <= asked.value <= count.value:
        text = f"there is no {plane} slice {shown(asked)}: they are counted from 1 to {shown(count)}"
        return None, [sentences.say(None, text, asked, count, Fact("first", 1), source="program")]
    text = f"the viewer shows {plane} slice {shown(asked)} of {shown(count)}"
    view = View("slice", value=f"{axis} {asked.value - 1}")
    return view, [sentences.say(None, text, asked, count, source="program")]


def _through(scene: Scene, plane: str, structure: str) -> tuple[View, list[Sentence]]:
    """The viewer at the slice of a plane through the middle of a structure."""
    axis = PLANES[plane]
    middle = scene.ct.ras_mm_to_ijk(np.array([scene.measure(structure).centroid_ras_mm]))[0]
    at = Fact("slice", int(np.clip(round(float(middle[axis])), 0, scene.ct.shape[axis] - 1)) + 1, "", (structure,))
    count = Fact("slices_of_plane", int(scene.ct.shape[axis]), source="scan")
    text = f"the viewer shows {plane} slice {shown(at)} of {shown(count)}, through the middle of {the(structure)}"
    ids = tuple(mask.id for mask in scene.masks(structure))
    return View("slice", ids, f"{axis} {at.value - 1}"), [sentences.say(scene, text, at, count)]


def _say(text: str) -> Sentence:
    return sentences.say(None, text, source="program")
