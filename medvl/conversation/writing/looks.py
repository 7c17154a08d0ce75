"""What was seen, in sentences: how many, how large, where, how sure; thresholds with their source; never a disease."""

from __future__ import annotations

from collections.abc import Sequence

from ...ct.masks import Mask
from ...language.calls import Call, Probe
from ...tools.executor import Seen
from ...tools.fact import Fact, shown
from ...tools.looks import LOOKS, Look, Spot
from ...tools.seen import of_spot
from ...vocabulary.numbers import show
from ...vocabulary.spoken import listing, name, sentence, the
from ..contract import Sentence

CLICK = "Click on it in the viewer with the point tool: I make a mask of it and measure it."
UNJUDGED = "What such a spot is cannot be told from its HU and shape alone: that is for a radiologist."
_SURE = {"clear": "clear", "likely": "likely", "unclear": "unsure"}
_JUDGED_BY_EYE = frozenset({"dark", "bright", "solid"})


def told(seen: Sequence[Seen]) -> list[Sentence]:
    """What the looks of one call gave: what was seen first, then what was not, then how sure that is, and by what rule.

    Of several looks those that the scan does not allow are told only where none is possible.
    """
    possible = [one for one in seen if one.look.seen is not None]
    if not seen:
        return []
    if not possible:
        return [_barred(seen[0].look)] if len(seen) == 1 else [_all_barred([one.look for one in seen])]
    found = [one for one in possible if one.look.seen or one.look.spots]
    order = [*found, *(one for one in possible if one not in found)]
    sentences = [sentence for one in order for sentence in looked(one)]
    main = [one.look for one in (found or order)]
    sentences += limited(main)
    spots = [spot for one in order for spot in one.look.spots]
    if any(one.masks for one in order):
        many = "Each spot is a mask in the list: click one" if len(spots) > 1 else "It is a mask in the list: click it"
        sentences.append(Sentence(f"{many} to go there, and I measure it.", "program"))
    if any(spot.kind in _JUDGED_BY_EYE for spot in spots):
        sentences.append(Sentence(UNJUDGED, "program"))
    return sentences + sources(main)


def brief(one: Seen) -> Sentence:
    """The first sentence of a look: what was seen."""
    ids = tuple(mask.id for mask in one.masks)
    return Sentence(f"{sentence(one.look.told)}.", "measured", ids, one.facts)


def limited(looks: Sequence[Look]) -> list[Sentence]:
    """How sure looks without spots are on this scan, and what may deceive any of them."""
    text = "; ".join(dict.fromkeys(limit for look in looks for limit in look.limits))
    plain = [look for look in looks if not look.spots]
    unsure = any(look.sureness == "unclear" for look in plain)
    if not text and not unsure:
        return []
    lead = f"How sure on this scan: {'unsure' if unsure else 'likely'}" if plain else "To be kept in mind"
    words = f"{lead}{'; ' if plain else ': '}{text}." if text else f"{lead}."
    doubts = tuple(dict.fromkeys(map(_doubt, looks)))
    return [Sentence(words, "measured", (), (Fact("limits", text), *doubts))]


def looked(one: Seen, most: int | None = None) -> list[Sentence]:
    """What one look saw, and its first spots; ``most`` of them at most."""
    sentences = [brief(one)]
    spots = one.look.spots
    if not spots or _told_whole(one.look):
        return sentences
    before = ""
    for number, (spot, mask) in enumerate(zip(spots[:most], one.masks, strict=False), start=1):
        sentences.append(_spot(spot, mask, number if len(spots) > 1 else 0, spot.why != before))
        before = spot.why
    more = len(spots) - len(one.masks[:most])
    if more > 0 and one.masks:
        rest = Fact("further_spots", more)
        are = "is" if more == 1 else "are"
        sentences.append(Sentence(f"{shown(rest)} more {are} smaller or less telling.", "measured", (), (rest,)))
    return sentences


def _told_whole(look: Look) -> bool:
    """Whether the first sentence holds all of a single spot."""
    return look.what == "what_is"


def _spot(spot: Spot, mask: Mask, number: int, why: bool) -> Sentence:
    """One spot: place, size, HU, how sure, and why where the one before did not say so."""
    facts = {fact.key: fact for fact in of_spot(spot, mask.id)}
    said = [Fact("number", number), Fact("name", mask.name, source="program"), *facts.values()]
    lead = f"{number}:" if number else "It measures"
    hu = f"{shown(facts['spot_mean_hu'])} on average"
    if spot.kind in ("calcium", "metal", "bright"):
        hu += f", {shown(facts['spot_max_hu'])} at most"
    elif spot.kind in ("dark", "gas", "fat"):
        hu += f", {shown(facts['spot_min_hu'])} at least"
    if "contrast_hu" in facts and spot.kind in ("dark", "bright"):
        over = Fact("difference_hu", abs(spot.contrast_hu), "HU", facts["spot_mean_hu"].structures)
        said.append(over)
        hu += f" ({shown(over)} {'below' if spot.contrast_hu < 0 else 'above'} what surrounds it)"
    size = f"{shown(facts['spot_volume_ml'])}, {_by(spot)}"
    text = f"{lead} {size}, {hu}, {_where(spot)} (slice {shown(facts['slice'])})"
    sure = f"; {_SURE[spot.sureness]}{f', since {spot.why}' if spot.why and why else ''}"
    said.append(Fact("why", spot.why))
    return Sentence(f"{text}{sure}.", "measured", (mask.id,), tuple(said))


def _by(spot: Spot) -> str:
    long, short = show(spot.longest_mm, "mm"), show(spot.short_mm, "mm")
    return f"{long} by {short}" if short != long else f"{long} across"


def _where(spot: Spot) -> str:
    place = spot.place
    side = "" if place.side == "midline" else f"on the patient's {place.side}"
    if place.structure:
        sided = place.structure.startswith(("left_", "right_"))
        part = f"in the {place.part} of {the(place.structure)}" if place.part.endswith("third") else (
            f"in the {place.part} part of {the(place.structure)}" if place.part else f"in {the(place.structure)}"
        )  # fmt: skip
        return part if sided or not side or place.part else f"{part} {side}"
    if place.near:
        return f"{show(place.near_mm, 'mm')} from {the(place.near)}{f', {side}' if side else ''}"
    return side or "in the midline"


PARTS = {"abdominal": ("suprarenal", "infrarenal"), "thoracic": ("ascending", "descending")}
"""Parts of the aorta that are made of measured ones."""


def part_told(seen: Seen, part: str, before: Sequence[Fact] = ()) -> list[Sentence]:
    """The width of one part of the aorta, or why there is none; against the part told before, where there is one."""
    look = seen.look
    those = PARTS.get(part, (part,))
    widths = [fact for fact in seen.facts if fact.key == "width_mm" and fact.part in those]
    rules = tuple(fact for fact in seen.facts if fact.key == "rule")
    if not widths:
        others = [amount.part for amount in look.amounts if amount.key == "width_mm" and amount.part]
        text = f"the {part} aorta is not measured on this scan"
        if others:
            text += f"; measured {'are its' if len(others) > 1 else 'is its'} {listing(others)} part"
            text += "s" if len(others) > 1 else ""
        why = Fact("limits", "; ".join(look.limits), structures=("aorta",))
        return [Sentence(f"{sentence(text)}: {why.value}.", "measured", (), (why, *rules))]
    width = max(widths, key=lambda fact: fact.value)
    at = Fact("cross_slice", width.slice, "", ("aorta",), part=width.part)
    where = f", in its {width.part} part" if width.part != part else ""
    text = f"the {part} aorta is {shown(width)} wide at its widest{where}, in slice {shown(at)}"
    said = [width, at]
    limit = next((f for f in seen.facts if f.key == "threshold_mm" and f.part == width.part), None)
    if limit is not None:
        text += f", {'below' if width.value < limit.value else 'at or above'} the threshold of {shown(limit)}"
        said.append(limit)
    told = [Sentence(f"{sentence(text)}.", "measured", (), (*said, *rules))]
    other = next((f for f in before if f.key == "width_mm" and f.part not in ("", width.part)), None)
    if other is not None:
        wide, narrow = sorted((width, other), key=lambda fact: -fact.value)
        apart = Fact("difference_mm", wide.value - narrow.value, "mm", ("aorta",))
        words = (
            f"The {wide.part} part is the wider one: {shown(wide)} against {shown(narrow)} of the {narrow.part} part"
        )
        told.append(Sentence(f"{words}, a difference of {shown(apart)}.", "measured", (), (wide, narrow, apart)))
    return told + limited([look]) + sources([look])


def _barred(look: Look) -> Sentence:
    """Why a look is not possible on this scan."""
    what = _name(look)
    why = Fact("limits", "; ".join(look.limits))
    return Sentence(f"{sentence(what)} cannot be told on this scan: {why.value}.", "measured", (), (why, _doubt(look)))


def _all_barred(looks: Sequence[Look]) -> Sentence:
    """Why none of several looks is possible, and what a person can do."""
    names = listing([_name(look) for look in looks])
    why = Fact("limits", "; ".join(dict.fromkeys(limit for look in looks for limit in look.limits)))
    text = f"I could not look for any of these on this scan: {names}, since {why.value}. {CLICK}"
    return Sentence(text, "measured", (), (why, *map(_doubt, looks)))


def _name(look: Look) -> str:
    name = LOOKS[look.what].name if look.what in LOOKS else "this"
    return name[:1].lower() + name[1:]


def _doubt(look: Look) -> Fact:
    return Fact(
        "sureness", look.sureness, note=look.what, sureness="doubtful" if look.sureness == "unclear" else "whole"
    )


def sources(looks: Sequence[Look]) -> list[Sentence]:
    """The thresholds: each publication, and what is a rule of this program, once."""
    rules = dict.fromkeys(rule for look in looks for rule in look.rules)
    sentences = []
    published = [rule.source for rule in rules if rule.source]
    own = [rule.says for rule in rules if not rule.source]
    if published:
        text = "; ".join(dict.fromkeys(published))
        sentences.append(Sentence(f"Source: {text}.", "knowledge", (), (Fact("rule", None, reference=text),)))
    if own:
        text = "; ".join(dict.fromkeys(own))
        rule = Fact("rule", None, reference=text)
        sentences.append(Sentence(f"Rule of this program: {text}.", "knowledge", (), (rule,)))
    return sentences


# ---- masks that are no structure's


def antecedent(last: Sequence[Call], text: str) -> Sentence:
    """Where nothing is meant by "it": the question which structure is, or that the look before saw nothing."""
    if any(isinstance(call, Probe) for call in last):
        return Sentence(f"Nothing was seen that I could take for it. {CLICK}", "program")
    return Sentence(text, "knowledge")


def gone_to(fact: Fact) -> Sentence:
    """The view went to where a value was measured."""
    at = Fact("measured_slice", fact.slice, "", fact.structures, part=fact.part)
    what = f" of the {fact.part} part" if fact.part and not fact.part.endswith("third") else ""
    whose = f" of {the(fact.structures[0])}" if len(fact.structures) == 1 and not fact.mask_id else ""
    text = f"{shown(fact)}{what}{whose} was measured in axial slice {shown(at)}, which the viewer shows now"
    return Sentence(f"{sentence(text)}.", "measured", (fact.mask_id,) if fact.mask_id else (), (fact, at))


def named(masks: Sequence[Mask]) -> str:
    """Names of masks in a row."""
    return listing(f'"{mask.name}"' for mask in masks)


def parts_of(ids: Sequence[str]) -> str:
    """Structures to choose from: "the left kidney or the right kidney"."""
    return listing([f"the {name(id)}" for id in ids], "or")
