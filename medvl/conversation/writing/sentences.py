"""Facts to plain English: segmenting, measuring, presence, and what is not there or not known.

Every sentence keeps its facts and the ids of its masks. Where there are several ways to say a thing, the structure and
the attribute choose one, so that the same question gets the same answer.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace

from ...language.calls import Call, Measuring, Total
from ...language.modifiers import _NUMBER, _PER_UNIT, _PLACES
from ...language.sights import narrows
from ...tools import facts
from ...tools.fact import Fact, Source, shown
from ...tools.scene import Scene
from ...vocabulary.names import GROUPS
from ...vocabulary.numbers import show
from ...vocabulary.spoken import all_the, be, have, listing, sentence, the, verb
from ..contract import Sentence


def say(
    scene: Scene | None, text: str, *said: Fact, structures: Sequence[str] = (), source: Source = "measured"
) -> Sentence:
    """A sentence with the masks of the structures it is about (of its facts, if none are named).

    Args:
        scene: where the masks are; None for a sentence without masks.
        text: words; gets a capital, and a full stop where it has no end.
        said: facts that its numbers come from.
        structures: ids it is about.
        source: where it comes from.
    """
    text = sentence(text.strip())
    about = structures or tuple(dict.fromkeys(id for fact in said for id in fact.structures))
    ids = tuple(mask.id for mask in scene.masks(*about)) if scene is not None else ()
    return Sentence(text if text.endswith((".", "?", "!")) else f"{text}.", source, ids, said)


def variant(key: str, options: Sequence[str]) -> str:
    """One of several wordings, always the same for the same key."""
    return options[zlib.crc32(key.encode()) % len(options)]


def plain(sentence_facts: Sequence[Fact]) -> str:
    """What is left to say when a text is not true to its facts: each fact by its name."""
    parts = []
    for fact in sentence_facts:
        if fact.key == "rule":
            continue
        words = fact.key.removesuffix(f"_{fact.unit.lower()}").replace("_", " ")
        parts.append(f"{words}{f' of {all_the(fact.structures)}' if fact.structures else ''}: {shown(fact)}")
    return f"{sentence('; '.join(parts))}." if parts else "I have no measured value for that."


# ---- what is not there


def absent(structures: Sequence[str]) -> Sentence:
    """Looked for, and not in the scan."""
    it = "them" if len(structures) > 1 or structures[0] == "other_bone" else "it"
    options = (
        f"I looked for {all_the(structures)} and did not find {it} in this scan",
        f"{all_the(structures)} could not be found in this scan, so there is no mask",
    )
    return say(None, variant(str(structures), options), not_found(structures))


def not_found(structures: Sequence[str]) -> Fact:
    """That structures were looked for and not found."""
    return Fact("found", False, "", tuple(structures))


def out_of_view(structures: Sequence[str], reason: str) -> Sentence:
    """Not in the part of the body that the scan shows."""
    are = "are" if len(structures) > 1 or structures[0] == "other_bone" else "is"
    text = f"{all_the(structures)} {are} not in view, so there is no mask: {reason}"
    return say(None, text, replace(not_found(structures), note=reason))


def not_known(structures: Sequence[str]) -> Sentence:
    """Named, but no class of the model that is loaded."""
    text = (
        f"{all_the(structures)} cannot be segmented by the model that is loaded, so I have no mask and no measurement"
    )
    return say(None, text, source="program")


def unknown(words: Sequence[str], nearest: Sequence[str] = ()) -> Sentence:
    """Words that name no known structure, and the nearest known names."""
    what = listing([f'"{one}"' for one in words], "or")
    said = tuple(Fact("said", one, source="knowledge") for one in words)
    none = "none of them is" if len(said) > 1 else "it is not"
    text = f"I cannot segment or measure {what}: {none} among the structures I know"
    if nearest:
        near = tuple(dict.fromkeys(part for id in nearest for part in GROUPS.get(id, (id,))))
        text += f"; the nearest that I know {'are' if len(near) > 1 else 'is'} {all_the(near)}"
    return say(None, text, *said, source="knowledge")


def not_told_apart(call: Call) -> Sentence | None:
    """That a value is of a whole structure, where a part of it was asked for; None where something else is unknown."""
    if not call.structures or not all(map(narrows, call.unknown)):
        return None
    what = listing([f'"{one}"' for one in call.unknown])
    text = f"{what} is not told apart by any tool: what is told is of all of {all_the(call.structures)}"
    said = tuple(Fact("said", one, source="program") for one in call.unknown)
    return say(None, text, *said, source="program")


def left_out(parts: Sequence[str]) -> Sentence:
    """What of a message is not answered, in its own words."""
    said = tuple(Fact("said", words, source="program") for words in parts)
    what = listing([f'"{words}"' for words in parts])
    return say(
        None,
        f"not answered, because I did not understand it: {what}. Please ask it in other words",
        *said,
        source="program",
    )


def untold(structures: Sequence[str], why: str) -> Sentence:
    """Single vertebrae of which the scan does not tell which they are."""
    which = all_the(structures) if len(structures) < 4 else "any single vertebra"
    text = f"I cannot tell which bone is {which} on this scan: {why}, and a wrong level would be worse than none"
    return say(None, text)


def missing(scene: Scene, structures: Sequence[str]) -> list[Sentence]:
    """What to say of those that have no mask."""
    of = {status: [] for status in ("absent", "unknown")}
    why: dict[str, list[str]] = {}
    outside: dict[str, list[str]] = {}
    for id in structures:
        found = scene.found(id)
        if scene.mask(id) is not None:
            continue
        if found is not None and found.reason:
            outside.setdefault(found.reason, []).append(id)
        elif found is not None and found.note:
            why.setdefault(found.note, []).append(id)
        else:
            of["unknown" if found is not None and found.status == "unknown" else "absent"].append(id)
    told = [out_of_view(ids, reason) for reason, ids in outside.items()]
    told += [untold(ids, note) for note, ids in why.items()]
    told += [absent(of["absent"])] if of["absent"] else []
    return told + ([not_known(of["unknown"])] if of["unknown"] else [])


# ---- what is there


def segmented(scene: Scene, structures: Sequence[str]) -> list[Sentence]:
    """Structures now have masks: their volumes, and which are cut."""
    there = [id for id in structures if scene.mask(id) is not None]
    if not there:
        return missing(scene, structures)
    volumes = [facts.volume(scene, id)[0] for id in there]
    if len(there) == 1:
        least = "at least " if volumes[0].note else ""
        text = variant(
            there[0],
            (
                f"I segmented {the(there[0])}: {least}{shown(volumes[0])}",
                f"here {be(there[0])} {the(there[0])}, with a volume of {least}{shown(volumes[0])}",
                f"{the(there[0])} {be(there[0])} segmented, with a volume of {least}{shown(volumes[0])}",
            ),
        )
    else:
        parts = [f"{the(id)} ({'at least ' if v.note else ''}{shown(v)})" for id, v in zip(there, volumes, strict=True)]
        text = f"I segmented {listing(parts)}"
    told = [say(scene, text, *volumes)]
    cut = [id for id in there if facts.cut_note(scene, id)]
    if len(cut) == 1:
        note = facts.cut_note(scene, cut[0]).removeprefix(f"{facts.AT_LEAST}, since it ")
        note = note.replace("reaches", verb(cut[0], "reaches") if cut[0] != "other_bone" else "reach", 1)
        beyond = "outside it" if scene.cut(cut[0]) else "beyond"
        told.append(say(scene, f"{the(cut[0])} {note} and may go on {beyond}", *_ended(scene, cut), structures=cut))
    elif ended := _ended(scene, cut):
        limits = [f"{the(id)} {scene.mask(id).limits}" for id in cut]
        told.append(say(scene, f"{listing(limits)}; they may go on", *ended, structures=cut))
    elif cut:
        told.append(say(scene, f"{all_the(cut)} reach a border of the scan and may go on outside it", structures=cut))
    return told + missing(scene, structures)


def measured(scene: Scene, call: Measuring, structures: Sequence[str]) -> list[Sentence]:
    """One attribute of one or several structures; a wrong premise is corrected."""
    there = [id for id in structures if scene.mask(id) is not None]
    told: list[Sentence] = []
    if call.attribute == "count":
        return counted(scene, structures)
    for id in there:
        what = {"weight": "volume", "rim": "mean_hu"}.get(call.attribute, call.attribute)
        told.append(_MEASURED[what](scene, id, facts.of_structure(scene, id, what), call.claim))
    pair = len(there) == 2 and set(there) in [set(g) for g in GROUPS.values()]
    if call.attribute in ("volume", "weight") and (pair or (isinstance(call, Total) and len(there) > 1)):
        volumes = [facts.volume(scene, id)[0] for id in there]
        total = Fact(
            "total_volume_ml",
            sum(v.value for v in volumes),
            "mL",
            tuple(there),
            note=next((v.note for v in volumes if v.note), ""),
        )
        told.append(say(scene, f"together they have {'at least ' if total.note else ''}{shown(total)}", total))
    return told + missing(scene, structures)


_OF_MANY = frozenset({"vertebral_column", "other_bone", "right_ribs", "left_ribs"})
"""Structures of many bones under one mask."""


def counted(scene: Scene, structures: Sequence[str]) -> list[Sentence]:
    """How many of what was asked for were found."""
    number = facts.count(scene, tuple(structures))[0]
    there = [id for id in structures if scene.mask(id) is not None]
    many = [id for id in there if id in _OF_MANY]
    if many and len(many) == len(there):
        mask = f"{be(many[0])} one mask" if len(many) == 1 else "are one mask each"
        text = f"{all_the(many)} {mask}: the single bones in it are not counted"
        return [say(scene, text, structures=there), *missing(scene, structures)]
    if not there:
        return missing(scene, structures)
    return [say(scene, f"I found {shown(number)}: {all_the(there)}", number), *missing(scene, structures)]


def present(scene: Scene, structures: Sequence[str], denied: bool = False) -> list[Sentence]:
    """Whether structures are in the scan, and whether wholly; ``denied``: it was asked whether they are missing."""
    yes, no = ("no: ", "Yes: ") if denied else ("yes: ", "No: ")
    there = [id for id in structures if scene.mask(id) is not None]
    if not there:
        first, *rest = missing(scene, structures)
        unknown_to_model = all((f := scene.found(id)) is not None and f.status == "unknown" for id in structures)
        return [first if unknown_to_model else _prefixed(no, first), *rest]
    told = []
    for n, id in enumerate(there):
        volume = facts.volume(scene, id)[0]
        lead = yes if n == 0 and len(there) == len(structures) else ""
        if volume.note:
            why = volume.note.removeprefix(f"{facts.AT_LEAST}, since it ")
            text = (
                f"{lead}{the(id)} {be(id)} in this scan, but perhaps not all of it, since the mask {why} "
                f"(at least {shown(volume)})"
            )
        else:
            text = f"{lead}{the(id)} {be(id)} in this scan, not cut by its borders ({shown(volume)})"
        told.append(say(scene, text, volume))
    return told + missing(scene, structures)


def _prefixed(lead: str, told: Sentence) -> Sentence:
    text = told.text if told.text.startswith("I ") else told.text[:1].lower() + told.text[1:]
    return Sentence(lead + text, told.source, told.mask_ids, told.facts)


# ---- one attribute of one structure


def _volume(scene: Scene, id: str, values: tuple[Fact, ...], claim: str) -> Sentence:
    value = f"{_least(values[0])}{shown(values[0])}"
    text = variant(
        f"{id} volume",
        (
            f"{the(id)} {have(id)} a volume of {value}",
            f"the volume of {the(id)} is {value}",
            f"{the(id)} {verb(id, 'measures')} {value} in volume",
        ),
    )
    return say(scene, text + _since(values[0]), *values)


def _voxels(scene: Scene, id: str, values: tuple[Fact, ...], claim: str) -> Sentence:
    number, one, volume = values
    text = f"the mask of {the(id)} has {shown(number)} voxels of {shown(one)} each: {_least(volume)}{shown(volume)}"
    return say(scene, text + _since(volume), *values)


def _mean_hu(scene: Scene, id: str, values: tuple[Fact, ...], claim: str) -> Sentence:
    mean, sd = map(shown, values)
    text = variant(
        f"{id} hu",
        (
            f"{the(id)} {have(id)} a mean of {mean} (standard deviation {sd})",
            f"the mean attenuation of {the(id)} is {mean}, with a standard deviation of {sd}",
        ),
    )
    return say(scene, text, *values)


def _diameter(scene: Scene, id: str, values: tuple[Fact, ...], claim: str) -> Sentence:
    of = {fact.key: fact for fact in values}
    if "cross_diameter_mm" in of:
        wide, at = of["cross_diameter_mm"], of["cross_slice"]
        fit = " where its section is round and its outline runs against no neighbour" if id == "aorta" else ""
        return say(
            scene,
            f"{the(id)} {be(id)} up to {shown(wide)} wide across{fit}, in slice {shown(at)} ({facts.COUNTED})",
            wide,
            at,
        )
    longest = values[0]
    if id == "aorta":  # its length is no width
        why = Fact("limits", "nowhere round, even and apart from its neighbours", structures=(id,))
        return say(scene, f"the aorta is {why.value} in this scan, so no width of it is told", why)
    text = variant(
        f"{id} diameter",
        (
            f"the longest diameter of {the(id)} is {_least(longest)}{shown(longest)}",
            f"{the(id)} {verb(id, 'measures')} {_least(longest)}{shown(longest)} at the longest",
        ),
    )
    return say(scene, text + _since(longest), longest)


def _extent(scene: Scene, id: str, values: tuple[Fact, ...], claim: str) -> Sentence:
    of = {fact.key: fact for fact in values}
    parts = [
        f"{_least(of[key])}{shown(of[key])} {words}"
        for key, words in (
            ("length_mm", "from top to bottom"),
            ("width_mm", "from side to side"),
            ("depth_mm", "from front to back"),
        )
    ]
    note = next((f for f in values if f.note), values[0])
    return say(scene, f"{the(id)} {verb(id, 'measures')} {listing(parts)}{_since(note)}", *values)


def _slices(scene: Scene, id: str, values: tuple[Fact, ...], claim: str) -> Sentence:
    first, last, number, end = map(shown, values)
    where = f"slice {first}" if first == last else f"slices {first} to {last}"
    many = "slice" if values[2].value == 1 else "slices"
    text = f"{the(id)} {verb(id, 'lies')} in {where}: {number} {many}, {facts.COUNTED} up to {end}"
    return say(scene, text, *values)


def _largest_slice(scene: Scene, id: str, values: tuple[Fact, ...], claim: str) -> Sentence:
    at, area = map(shown, values)
    text = f"the axial section of {the(id)} is largest in slice {at} ({facts.COUNTED}): {area}"
    return say(scene, text, *values)


def _position(scene: Scene, id: str, values: tuple[Fact, ...], claim: str) -> Sentence:
    side, off, depth, level, at = values
    own = f"{verb(id, 'lies')} {side_words(scene, id)}"
    if claim in ("left", "right"):
        lead = "yes: " if claim == side.value else "no: "
        return say(scene, f"{lead}{the(id)} {own}", side, off)
    deep = {"front": ", toward the front", "back": ", toward the back", "middle": ""}[depth.value]
    text = (
        f"{the(id)} {own}{deep}, in the {level.value} of the scan; the centre is in slice {shown(at)} ({facts.COUNTED})"
    )
    return say(scene, text, *values)


def side_words(scene: Scene, id: str) -> str:
    """Side and distance from the midline, for instance "on the patient's left, its centre 80 mm from the midline"."""
    side, off = facts.position(scene, id)[:2]
    its = "their" if id == "other_bone" else "its"
    if side.value != "midline":
        return f"on the patient's {side.value}, {its} centre {shown(off)} from the midline"
    return f"in the midline, {its} centre within {shown(off)} of it"


def _ended(scene: Scene, structures: Sequence[str]) -> list[Fact]:
    """Where the propagation of a structure was ended."""
    return [Fact("ended", str(end), "", (id,)) for id in structures for end in scene.mask(id).ends]


def _least(fact: Fact) -> str:
    return "at least " if fact.note.startswith(facts.AT_LEAST) else ""


def _since(fact: Fact) -> str:
    return fact.note.removeprefix(facts.AT_LEAST) if fact.note.startswith(facts.AT_LEAST) else ""


def _hu_range(scene: Scene, id: str, values: tuple[Fact, ...], claim: str) -> Sentence:
    mean, sd = map(shown, values[:2])
    lead = f"over all voxels of its mask, {the(id)} {have(id)} a mean of {mean} (standard deviation {sd})"
    text = f"{lead}; its {ranged(values)}"
    return say(scene, text, *values)


def ranged(facts: Sequence[Fact]) -> str:
    """Least, greatest, median and percentiles of HU in words, of ``facts.percentiles``."""
    of = {fact.key: shown(fact) for fact in facts}
    shares = [shown(fact) for fact in facts if fact.key == "percentile"]
    values = listing([f"{of[f'p{share}_hu']} (percentile {share})" for share in shares])
    return f"HU go from {of['lowest_hu']} to {of['highest_hu']}, the median being {of['median_hu']}; {values}"


_MEASURED = {
    "hu_range": _hu_range,
    "volume": _volume,
    "voxels": _voxels,
    "mean_hu": _mean_hu,
    "diameter": _diameter,
    "extent": _extent,
    "slices": _slices,
    "position": _position,
    "largest_slice": _largest_slice,
}


def styled(sentence: Sentence, call: Call) -> Sentence:
    """A sentence with its values in the unit and with the places that were asked for.

    Only numbers that are the value of a fact are rewritten, each from that fact.
    """
    if (not call.unit and call.decimals is None) or " x " in sentence.text:
        return sentence

    def write(match: re.Match[str]) -> str:
        fact = next((f for f in sentence.facts if _is(f, match)), None)
        if fact is None:
            return match.group()
        factor = _PER_UNIT.get((match[2], call.unit), 1.0)
        unit = call.unit if (match[2], call.unit) in _PER_UNIT else match[2]
        places = call.decimals
        if places is None:
            if unit not in _PLACES:
                return f"{match[1]} {unit}"
            places = _PLACES[unit]
        return f"{fact.value / factor:,.{places}f} {unit}"

    return replace(sentence, text=_NUMBER.sub(write, sentence.text))


def _is(fact: Fact, match: re.Match[str]) -> bool:
    number = isinstance(fact.value, (int, float)) and not isinstance(fact.value, bool)
    return number and fact.unit == match[2] and show(fact.value, fact.unit) == match.group()
