"""Sentences about two structures: which is larger or brighter, how they lie to each other, how far apart."""

from __future__ import annotations

from collections.abc import Sequence

from ...language.calls import Between, Compare, Neighbours, Rank, Relate, changed
from ...tools import facts, relations
from ...tools.fact import Fact, shown
from ...tools.scene import Scene
from ...vocabulary.names import STRUCTURES, counterpart
from ...vocabulary.numbers import decimals
from ...vocabulary.spoken import all_the, be, have, listing, the, verb
from ..contract import Sentence
from . import partial
from .sentences import missing, not_found, say

OPPOSITE = {"larger": "smaller", "smaller": "larger", "brighter": "darker", "darker": "brighter"}
_SURE_PERCENT = 5.0  # what two outlines of the same organ differ by in volume or length, roughly
_WAY = {
    "left": "to the left of",
    "right": "to the right of",
    "above": "above",
    "below": "below",
    "front": "in front of",
    "behind": "behind",
}
_FURTHER = {
    "left": "further to the patient's left",
    "right": "further to the patient's right",
    "above": "higher",
    "below": "lower",
    "front": "further forward",
    "behind": "further back",
}


def compared(scene: Scene, call: Compare | Rank) -> list[Sentence]:
    """Which of two or more is larger, brighter or wider; a wrong supposition is denied."""
    if call.attribute == "mean_hu" and {call.claim, call.which} & {"larger", "smaller"}:
        call = changed(call, by="volume")  # "which is larger" after a question about HU is about size
    there = [id for id in call.structures if scene.mask(id) is not None]
    # who asks to rank everything did not ask for what is not there
    gone = missing(scene, call.structures) if len(call.structures) <= 8 else []
    if len(there) < 2:
        values = [_value(scene, id, call.attribute) for id in there]
        alone = [
            say(scene, f"there is nothing to compare {the(id)} with ({of_fact(v)})", v)
            for id, v in zip(there, values, strict=True)
        ]
        return gone + alone
    values = [_value(scene, id, call.attribute) for id in there]
    bright = call.attribute == "mean_hu"
    more = (
        "brighter"
        if bright
        else "wider"
        if values[0].key == "cross_diameter_mm"
        else "longer"
        if values[0].key in ("longest_diameter_mm", "length_mm")
        else "larger"
    )
    if len(there) > 2:
        ranked = sorted(values, key=lambda fact: -fact.value)
        if call.which:
            return [_extreme(scene, call.which, ranked)]
        least = {"brighter": "darkest", "wider": "narrowest", "longer": "shortest", "larger": "smallest"}[more]
        text = f"from the {more.removesuffix('r')}st to the {least}: " + listing(
            [f"{the(f.structures[0])} ({of_fact(f)})" for f in ranked]
        )
        return [say(scene, text, *ranked), *gone]
    a, b = values
    told = []
    if partial.undecided(values):
        return [partial.cannot_compare(scene, values), *gone]
    if isinstance(call, Compare) and call.ratio and min(a.value, b.value) > 0:  # of HU below water a ratio says nothing
        told.append(_ratio(scene, a, b, call.attribute))
    elif shown(a) == shown(b):
        lead = "no: " if call.claim else ""
        told.append(say(scene, f"{lead}{all_the(there)} are equal within rounding: {of_fact(a)} each", a, b))
    else:
        big, small = (a, b) if a.value > b.value else (b, a)
        percent = 100 * (big.value - small.value) / big.value if not bright else 0.0
        share = Fact("difference_percent", percent, "%", tuple(there))
        # of the values as they are told, so that a reader who subtracts gets the same
        places = [decimals(f.value, f.unit) for f in values]
        apart = abs(round(a.value, places[0]) - round(b.value, places[1]))
        difference = Fact("difference", apart, a.unit, tuple(there))
        lead = ""
        if call.claim in OPPOSITE:
            supposed = a if call.claim in ("larger", "brighter") else b
            lead = "yes: " if supposed is big else "no: "
        first, second = (small, big) if (call.claim or call.which) in ("smaller", "darker") else (big, small)
        word = (
            {"larger": "smaller", "brighter": "darker", "wider": "narrower", "longer": "shorter"}[more]
            if first is small
            else more
        )
        one, other = first.structures[0], second.structures[0]
        text = f"{lead}{the(one)} {be(one)} {word} than {the(other)}: {of_fact(first)} against {of_fact(second)}"
        text += f", a difference of {shown(difference)}"
        if bright:
            told.append(say(scene, text, a, b, difference))
        else:
            told.append(say(scene, f"{text} ({shown(share)} of the {more})", a, b, difference, share))
            if counterpart(one) == other and percent < _SURE_PERCENT:
                told.append(say(scene, "so small a difference can come from the outlines alone", structures=there))
    cut = [f for f in values if f.note.startswith(facts.AT_LEAST)]
    if cut:
        who = [f.structures[0] for f in cut]
        told.append(
            say(
                scene,
                f"{all_the(who)} {'reach' if len(who) > 1 or who[0] == 'other_bone' else 'reaches'} the border of the "
                "scan, so the comparison holds only for what is in it",
                structures=who,
            )
        )
    return told + gone


def _ratio(scene: Scene, a: Fact, b: Fact, attribute: str) -> Sentence:
    """How many times the second value the first is."""
    one, other = a.structures[0], b.structures[0]
    ratio = Fact("ratio", round(a.value / b.value, 2), "", (one, other))
    what = {"volume": "volume", "extent": "height", "mean_hu": "mean HU"}.get(attribute, "diameter")
    text = f"{the(one)} {have(one)} {shown(ratio)} times the {what} of {the(other)}: {of_fact(a)} against {of_fact(b)}"
    return say(scene, text, ratio, a, b)


def _extreme(scene: Scene, which: str, ranked: list[Fact]) -> Sentence:
    """The first of many, and the two that follow; values fall."""
    ranked = ranked[::-1] if which in ("smaller", "darker") else ranked
    first, *after = ranked[:3]
    most = {"larger": "largest", "smaller": "smallest", "brighter": "brightest", "darker": "darkest"}[which]
    then = " and ".join(f"{the(f.structures[0])} ({of_fact(f)})" for f in after)
    text = f"of what I found, {the(first.structures[0])} {be(first.structures[0])} the {most}: {of_fact(first)}"
    return say(scene, f"{text}, before {then}", first, *after)


def _value(scene: Scene, id: str, attribute: str) -> Fact:
    if attribute == "mean_hu":
        return facts.mean_hu(scene, id)[0]
    if attribute == "extent":
        return facts.extent(scene, id)[0]
    if attribute == "diameter":
        values = facts.diameter(scene, id)
        return next((f for f in values if f.key == "cross_diameter_mm"), values[0])
    return facts.volume(scene, id)[0]


def of_fact(fact: Fact) -> str:
    """A value as it is told, "at least" where it is cut."""
    return f"{'at least ' if fact.note.startswith(facts.AT_LEAST) else ''}{shown(fact)}"


def related(scene: Scene, call: Relate | Neighbours | Between, candidates: Sequence[str] = ()) -> list[Sentence]:
    """How structures lie to each other.

    Args:
        scene: with everything asked for looked for.
        call: what is asked.
        candidates: structures that may be neighbours, or lie between.
    """
    there = [id for id in call.structures if scene.mask(id) is not None]
    gone = missing(scene, call.structures)
    if isinstance(call, Neighbours):
        return [*(_nearest(scene, id, candidates, call.side) for id in there[:1]), *gone]
    if isinstance(call, Between):
        return gone or [_between(scene, call, candidates)]
    if len(there) < 2:
        return gone or [say(None, "name two structures, and I say how they lie to each other", source="knowledge")]
    a, others = there[0], there[1:]
    told = []
    for b in others:
        if call.kind == "distance":
            told.append(_distance(scene, a, b))
        elif call.kind == "touching":
            told.append(_touching(scene, a, b, call.claim))
        elif call.kind == "overlap":
            told.append(_overlap(scene, a, b))
        elif call.kind in relations.AXES:
            told.append(_along(scene, a, b, call.kind, call.claim))
        else:
            told.append(_direction(scene, a, b))
    return told + gone


def _distance(scene: Scene, a: str, b: str) -> Sentence:
    apart, centres = relations.distance(scene, a, b)
    if relations.gap(scene, a, b).overlap:
        text = (
            f"the masks of {all_the((a, b))} overlap, so their distance is {shown(apart)} and one of the outlines is a "
            f"little too large; their centres are {shown(centres)} apart"
        )
    elif relations.gap(scene, a, b).contact:
        text = (
            f"{all_the((a, b))} touch; the centres of their nearest voxels are {shown(apart)} apart, their own "
            f"centres {shown(centres)}"
        )
    else:
        text = f"{all_the((a, b))} are {shown(apart)} apart at the nearest, and {shown(centres)} from centre to centre"
    return say(scene, text, apart, centres)


def _touching(scene: Scene, a: str, b: str, claim: str) -> Sentence:
    apart = relations.distance(scene, a, b)[0]
    if relations.gap(scene, a, b).contact:
        text = f"{'yes: ' if claim else ''}{all_the((a, b))} touch, as far as their masks and this resolution tell"
        return say(scene, text, Fact("touching", True, "", (a, b)))
    text = f"{'no: ' if claim else ''}{all_the((a, b))} do not touch; at the nearest they are {shown(apart)} apart"
    voxel = Fact("largest_voxel_edge_mm", round(max(scene.ct.spacing_mm), 3), "mm", source="scan")
    if apart.value <= 2.01 * voxel.value:
        return say(
            scene,
            f"{text}, no more than two voxels ({shown(voxel)} each), so the outlines decide",
            apart,
            voxel,
            Fact("voxels", 2),
        )
    return say(scene, text, apart)


def _overlap(scene: Scene, a: str, b: str) -> Sentence:
    shared, dice = relations.overlap(scene, a, b)
    what = shown(shared) if shared.value else "no voxel"
    return say(scene, f"the masks of {all_the((a, b))} share {what}: their Dice is {shown(dice)}", shared, dice)


def _along(scene: Scene, a: str, b: str, relation: str, claim: str) -> Sentence:
    fact = next(f for f in relations.direction(scene, a, b) if f.key == f"offset_{relation}_mm")
    if not fact.note:
        lead = "no: " if claim else ""
        level = {"side": "from side to side", "front": "from front to back", "above": "in height"}[relation]
        return say(
            scene,
            f"{lead}{all_the((a, b))} lie at about the same place {level}; their centres differ by {shown(fact)}",
            fact,
        )
    lead = "" if not claim else "yes: " if claim == fact.note else "no: "
    text = (
        f"{lead}{the(a)} {verb(a, 'lies')} {_WAY[fact.note]} {the(b)}, its centre {shown(fact)} {_FURTHER[fact.note]}"
    )
    return say(scene, text.replace("its centre", "their centre") if a == "other_bone" else text, fact)


def _direction(scene: Scene, a: str, b: str) -> Sentence:
    used = [fact for fact in relations.direction(scene, a, b) if fact.note]
    if not used:
        centres = relations.distance(scene, a, b)[1]
        return say(
            scene, f"the centres of {all_the((a, b))} are at about the same place, {shown(centres)} apart", centres
        )
    ways = listing([_WAY[fact.note] for fact in used])
    offsets = listing([f"{shown(fact)} {_FURTHER[fact.note]}" for fact in used])
    return say(scene, f"{the(a)} {verb(a, 'lies')} {ways} {the(b)}: its centre is {offsets}", *used)


_MIN_SHARE = 0.1  # of the lines between two structures; what fewer pass lies beside them rather than between


def _between(scene: Scene, call: Between, candidates: Sequence[str]) -> Sentence:
    """What lies between two structures, or whether one does."""
    asked, (a, b) = call.of, call.ends
    passed = relations.between(scene, a, b, tuple(id for id in candidates if id in STRUCTURES and id != "body"))
    shares = {id: Fact("lines_percent", 100 * share, "%", (id, a, b)) for id, share in passed}
    how = f"of straight lines from {the(a)} to {the(b)}"
    if asked:
        share = shares.get(asked[0], Fact("lines_percent", 0.0, "%", (asked[0], a, b)))
        lead = "yes" if share.value >= 100 * _MIN_SHARE else "no"
        along, off = relations.beside_line(scene, asked[0], a, b)
        if lead == "no" and 0.1 < along < 0.9 and 2 * off < relations.distance(scene, a, b)[1].value:
            beside = Fact("beside_line_mm", off, "mm", (asked[0], a, b))
            theirs = f"lies between theirs, {shown(beside)} beside the line that joins them"
            text = f"yes: the centre of {the(asked[0])} {theirs}"
            return say(scene, text, beside)
        return say(scene, f"{lead}: {how}, {shown(share)} pass through {the(asked[0])}", share)
    told = [fact for id, fact in shares.items() if fact.value >= 100 * _MIN_SHARE and id != "other_bone"][:4]
    if not told:
        apart = Fact("distance_mm", relations.gap(scene, a, b).mm, "mm", (a, b))
        near = "they touch" if relations.gap(scene, a, b).contact else f"at the nearest they are {shown(apart)} apart"
        return say(scene, f"none of the structures I know lies between {all_the((a, b))}; {near}", apart)
    parts = listing([f"{the(fact.structures[0])} ({shown(fact)})" for fact in told])
    text = f"between {all_the((a, b))} {'lie' if len(told) > 1 else 'lies'} {parts}: the share {how} that pass through"
    return say(scene, text, *told)


def _nearest(scene: Scene, structure: str, candidates: Sequence[str], way: str = "") -> Sentence:
    order = [
        (id, gap)
        for id, gap in relations.nearest(scene, structure, tuple(candidates), way)
        if id in STRUCTURES and id != "body" and not (way and id == "other_bone")  # its centre tells no place
    ]
    if way:
        if not order:
            return say(
                scene, f"none of the structures I know lies {_WAY[way]} {the(structure)}", structures=(structure,)
            )
        gaps = [Fact("distance_mm", gap.mm, "mm", (structure, id)) for id, gap in order[:3]]
        parts = [
            f"{the(id)} ({'touching it' if gap.contact else f'{shown(fact)} away'})"
            for (id, gap), fact in zip(order, gaps, strict=False)
        ]
        many = len(parts) > 1
        text = (
            f"{_WAY[way]} {the(structure)} {'lie' if many else 'lies'} {listing(parts)}, judged by "
            f"{'their centres' if many else 'its centre'}"
        )
        return say(scene, text, *gaps)
    if not order:
        return say(
            scene,
            f"no other structure was found to compare {the(structure)} with",
            not_found(()),
            structures=(structure,),
        )
    touching = [id for id, gap in order if gap.contact]
    if touching:
        text = f"{the(structure)} {'touch' if structure == 'other_bone' else 'touches'} {all_the(touching)}"
        if len(touching) > 1:
            text += f"; the longest contact is with {the(touching[0])}"
        return say(scene, text, Fact("touching", True, "", (structure, *touching)))
    id, gap = order[0]
    fact = Fact("distance_mm", gap.mm, "mm", (structure, id))
    return say(
        scene, f"of the structures I know, {the(id)} {be(id)} nearest to {the(structure)}, {shown(fact)} away", fact
    )
