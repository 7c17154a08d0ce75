"""Sentences about masks that are no structure's: spots that a look saw, and what a person drew."""

from __future__ import annotations

from collections.abc import Sequence

from ...ct.masks import Mask
from ...language.calls import Call, Compare, Measure, Neighbours, Rank, Relate, Relating
from ...tools.fact import Fact, shown
from ...tools.scene import Scene
from ...vocabulary.spoken import listing, sentence, the
from ..contract import Sentence
from .sentences import missing, ranged, styled


def told(scene: Scene, call: Call, own: Sequence[Mask], found: Sequence[Fact]) -> list[Sentence]:
    """What a call that measures or relates gave of masks; of structures beside them only what is told of both.

    Args:
        scene: of the structures.
        call: as run.
        own: masks that it is about, in the order that they are told.
        found: its facts.
    """
    if isinstance(call, Rank | Compare) and len(own) > 1:
        return ranked(own, found, call.attribute, call.which or call.claim)
    if isinstance(call, Relate) and call.kind == "surface":
        return missing(scene, call.structures) or deep(own[:1], [fact for fact in found if fact.key == "surface_mm"])
    if alike(call):
        return all_moved(scene, call, own, found)
    if isinstance(call, Neighbours):
        return [beside(own[0], call.side, [fact for fact in found if fact.key in ("distance_mm", "through_mm")])]
    values = apart(own, found) if isinstance(call, Relating) else measured(own, found, call)
    return [styled(said, call) for said in values]


_TOWARDS = {"left": "to the patient's left", "right": "to the patient's right", "front": "to the front",
            "behind": "to the back", "above": "upwards", "below": "downwards"}  # fmt: skip


def beside(mask: Mask, way: str, found: Sequence[Fact]) -> Sentence:
    """What lies nearest to a mask, or on the straight way from its middle to one side."""
    name = Fact("name", mask.name, source="program")
    if way:
        met = listing(f"{the(fact.structures[0])} ({shown(fact)})" for fact in found)
        text = f'straight {_TOWARDS[way]} from the middle of "{mask.name}" lies {met or "nothing that I know"}'
        text += ", in that order; bowel and other things that I do not know are not told" if met else ""
    else:
        near = [
            f"{the(f.structures[0])} ({'touching it' if f.note == 'touching' else f'{shown(f)} away'})" for f in found
        ]
        text = f'nearest to "{mask.name}" {"are" if len(near) > 1 else "is"} {listing(near)}, of what I know'
    return Sentence(f"{sentence(text)}.", "measured", (mask.id,), (*found, name, Fact("found", False)))


def alike(call: Call) -> bool:
    """Whether what is told of structures is told as of other masks: an outline moved, a distance to a surface."""
    if isinstance(call, Relate):
        return call.kind == "surface"
    return isinstance(call, Measure) and (call.margin_mm, call.margin_voxels) != (None, None)


def all_moved(scene: Scene, call: Measure, own: Sequence[Mask], found: Sequence[Fact]) -> list[Sentence]:
    """Masks and structures with their outlines moved, each with those of the facts that are of it."""
    length = found[-1:]
    told = [s for mask in own for s in moved((mask.id,), [*(f for f in found if f.mask_id == mask.id), *length])]
    for id in call.structures:
        mine = [f for f in found if f.structures == (id,)]
        told += moved([m.id for m in scene.masks(id)], [*mine, *length]) if mine else []
    return list(dict.fromkeys(told)) + missing(scene, call.structures)


def apart(own: Sequence[Mask], found: Sequence[Fact]) -> list[Sentence]:
    """How far the first of some masks is from the others, or from a structure; or what they share."""
    names = [f'"{mask.name}"' for mask in own]
    called = tuple(Fact("name", mask.name, source="program") for mask in own)
    told = []
    shared = [fact for fact in found if fact.key in ("shared_ml", "dice")]
    for number, (volume, dice) in enumerate(zip(shared[::2], shared[1::2], strict=True), start=1):
        other = the(volume.structures[0]) if volume.structures else names[number]
        text = f"{names[0]} and {other} share {shown(volume)}: their Dice is {shown(dice)}."
        told.append(Sentence(sentence(text), "measured", tuple(mask.id for mask in own), (volume, dice, *called)))
    for number, fact in enumerate((fact for fact in found if fact.key == "distance_mm"), start=1):
        other = the(fact.structures[0]) if fact.structures else names[number]
        at = Fact("nearest_slice", fact.slice, "", fact.structures, mask_id=fact.mask_id)
        touch = "overlap" if not fact.value else f"touch (the centres of their nearest voxels are {shown(fact)} apart)"
        lie = touch if fact.note == "touching" else f"are {shown(fact)} apart at the nearest, in slice {shown(at)}"
        text = sentence(f"{names[0]} and {other} {lie}.")
        told.append(Sentence(text, "measured", tuple(mask.id for mask in own), (fact, at, *called)))
    return told


def measured(masks: Sequence[Mask], facts: Sequence[Fact], call: Call) -> list[Sentence]:
    """Sizes, HU and slices of masks that have only a name of their own, and what a call asks besides."""
    sentences = []
    for mask in masks:
        of = {fact.key: fact for fact in facts if fact.mask_id == mask.id}
        least = "at least " if of["volume_ml"].sureness == "at least" else ""
        text = (
            f'"{mask.name}" holds {least}{shown(of["volume_ml"])}, {shown(of["mean_hu"])} on average (standard '
            f"deviation {shown(of['sd_hu'])}). In axial slice {shown(of['slice'])}, its largest section, it measures "
            f"{shown(of['spot_longest_mm'])} by {shown(of['spot_short_mm'])}; it is {shown(of['height_mm'])} from top "
            f"to bottom, in slices {shown(of['first_slice'])} to {shown(of['last_slice'])}"
        )
        said = (Fact("name", mask.name, source="program"), *of.values())
        sentences.append(Sentence(f"{text}.", "measured", (mask.id,), said))
        if "p10_hu" in of:
            sentences.append(_ranged(mask, facts))
        if "edge_hu" in of:
            sentences.append(_rim(mask, of))
        if getattr(call, "than", None) is not None and (value := of.get(_THAN[call.attribute])):
            sentences.append(_held(mask, value, call.than))
    if len(masks) > 1 and call.attribute == "volume":
        parts = [fact for fact in facts if fact.key == "volume_ml" and fact.mask_id]
        total = Fact("total_volume_ml", sum(fact.value for fact in parts), "mL")
        sentences.append(
            Sentence(f"Together they hold {shown(total)}.", "measured", tuple(m.id for m in masks), (total,))
        )
    return sentences


_THAN = {"volume": "volume_ml", "mean_hu": "mean_hu", "diameter": "spot_longest_mm", "extent": "spot_longest_mm"}


def _held(mask: Mask, value: Fact, than: float) -> Sentence:
    """A value of a mask against one that a person named."""
    bound = Fact("bound", than, value.unit, source="program")
    more = "more" if value.value > than else "less"
    name = Fact("name", mask.name, source="program")
    text = f'{shown(value)} of "{mask.name}" is {more} than {shown(bound)}.'
    return Sentence(text, "measured", (mask.id,), (value, bound, name))


def _ranged(mask: Mask, facts: Sequence[Fact]) -> Sentence:
    own = [fact for fact in facts if fact.mask_id == mask.id or fact.key == "percentile"]
    return Sentence(f"{sentence(ranged(own))}.", "measured", (mask.id,), tuple(own))


def _rim(mask: Mask, of: dict[str, Fact]) -> Sentence:
    """How the HU of a mask run from its middle outwards."""
    words = (("core_hu", "in its middle"), ("edge_hu", "along its edge"), ("surrounding_hu", "just outside"))
    parts = [f"{shown(of[key])} {where}" for key, where in words if key in of]
    text = f'"{mask.name}" has {listing(parts)}, each a mean'
    if "core_hu" in of and "surrounding_hu" in of:
        low, high = sorted((of["core_hu"].value, of["surrounding_hu"].value))
        edge = of["edge_hu"].value
        text += (
            ": its edge lies between both, so no ring stands out"
            if low <= edge <= high
            else f": its edge is {'brighter' if edge > high else 'darker'} than both"
        )
    return Sentence(f"{text}.", "measured", (mask.id,), (*of.values(), Fact("name", mask.name, source="program")))


def moved(masks: Sequence[str], facts: Sequence[Fact]) -> list[Sentence]:
    """Volume and HU with an outline moved by a length, against those of the mask as it is.

    Args:
        masks: ids.
        facts: of one ``mask_facts.moved_facts``.
    """
    before = {fact.key: fact for fact in facts if not fact.part}
    after = {fact.key: fact for fact in facts if fact.part}
    by = before.pop("moved_by")
    length = shown(by) if by.unit else f"{shown(by)} voxel{'s' if by.value != 1 else ''}"
    inward = not after or after["volume_ml"].value < before["volume_ml"].value
    whose = f" of {the(before['volume_ml'].structures[0])}" if before["volume_ml"].structures else ""
    lead = f"with the outline{whose} moved {'inwards' if inward else 'outwards'} by {length}"
    if not after:
        return [
            Sentence(
                f"{sentence(lead)}, nothing is left of {shown(before['volume_ml'])}.",
                "measured",
                tuple(masks),
                tuple(facts),
            )
        ]
    change = abs(after["volume_ml"].value - before["volume_ml"].value)
    percent = Fact("change_percent", 100 * change / before["volume_ml"].value, "%", before["volume_ml"].structures)
    values = (
        f"{shown(after['volume_ml'])} instead of {shown(before['volume_ml'])} ({shown(percent)} "
        f"{'less' if inward else 'more'}), {shown(after['mean_hu'])} on average instead of {shown(before['mean_hu'])}, "
        f"standard deviation {shown(after['sd_hu'])} instead of {shown(before['sd_hu'])}"
    )
    told = Sentence(f"{sentence(lead)}: {values}.", "measured", tuple(masks), (*facts, percent))
    return [told, Sentence("The mask in the list stays as it is.", "program")]


def deep(masks: Sequence[Mask], facts: Sequence[Fact]) -> list[Sentence]:
    """How far something lies from the surface of what holds it, of ``mask_facts.depth``."""
    if not facts:
        return [
            Sentence(
                "Its distance to the surface is not measured: what holds it, or that surface, is not in this scan.",
                "measured",
                (),
                (Fact("found", False),),
            )
        ]
    (fact,) = facts
    whose = the(fact.structures[0]) if len(fact.structures) > 1 else f'"{masks[0].name}"'
    holder = fact.structures[-1]
    skin = "the skin" if holder == "body" else f"the outer surface of {the(holder)}"
    side = {"front": "in front", "back": "at the back", "above": "above", "below": "below"}.get(
        fact.note, f"on the patient's {fact.note}"
    )
    at = Fact("surface_slice", fact.slice, "", fact.structures, mask_id=fact.mask_id)
    near = f"reaches {skin}" if fact.value == 0 else f"comes within {shown(fact)} of {skin}"
    name = tuple(Fact("name", mask.name, source="program") for mask in masks)
    text = (
        f"{whose} {near}, {side}, in axial slice {shown(at)}; a distance to what the scan does not show may be shorter"
    )
    return [Sentence(f"{sentence(text)}.", "measured", tuple(mask.id for mask in masks), (fact, at, *name))]


def ranked(masks: Sequence[Mask], facts: Sequence[Fact], by: str, which: str) -> list[Sentence]:
    """Which of several masks is the largest, smallest, brightest or darkest."""
    key = "mean_hu" if by == "mean_hu" else "volume_ml"
    values = {fact.mask_id: fact for fact in facts if fact.key == key}
    order = in_order(masks, facts, by, which)
    word = {"larger": "largest", "smaller": "smallest", "brighter": "densest", "darker": "least dense"}[
        which or "larger"
    ]
    first, rest = order[0], order[1:]
    text = f'The {word} of them is "{first.name}": {shown(values[first.id])}'
    if rest:
        text += ", against " + listing(f'{shown(values[mask.id])} of "{mask.name}"' for mask in rest)
    names = tuple(Fact("name", mask.name, source="program") for mask in order)
    facts_said = (*names, *(values[mask.id] for mask in order))
    return [Sentence(f"{text}.", "measured", tuple(mask.id for mask in order), facts_said)]


def in_order(masks: Sequence[Mask], facts: Sequence[Fact], by: str, which: str) -> list[Mask]:
    """Masks by volume or mean HU, first what ``which`` asks for."""
    key = "mean_hu" if by == "mean_hu" else "volume_ml"
    values = {fact.mask_id: fact.value for fact in facts if fact.key == key}
    return sorted(masks, key=lambda mask: values[mask.id], reverse=which not in ("smaller", "darker"))
