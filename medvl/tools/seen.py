"""What a look gave, as facts: each amount and each spot, bound to structure, side, part and mask."""

from __future__ import annotations

from collections.abc import Sequence

from .fact import Fact, Sureness
from .looks.spots import Amount, Look, Spot

SEEN = "seen"
"""Key of the fact that says whether a look saw anything: its value is true or false, its note the look's id."""


def facts_of(look: Look, mask_ids: Sequence[str] = ()) -> tuple[Fact, ...]:
    """Facts of a look.

    Args:
        look: what looking gave.
        mask_ids: of the masks in the list that its first spots have.

    Returns:
        Whether anything was seen, how many spots, each amount, each spot's values, and each rule.
    """
    about = tuple(dict.fromkeys(id for amount in look.amounts for id in amount.about))
    found = [] if look.seen is None else [Fact(SEEN, look.seen, "", about, note=look.what)]
    doubt: Sureness = "doubtful" if look.sureness == "unclear" else "whole"
    if look.spots:
        found.append(Fact("spots", len(look.spots), "", sureness=doubt))
    for amount in look.amounts:
        found.append(_of_amount(amount, doubt))
        if amount.slice is not None:
            found.append(Fact("slice", amount.slice, "", amount.about, part=amount.part))
    for number, spot in enumerate(look.spots):
        named = about if look.what == "probe" else ()  # a spot near the cava, seen around the spine, is told of both
        found += of_spot(spot, mask_ids[number] if number < len(mask_ids) else "", named)
    found += [Fact("rule", None, reference=f"{rule.says} {rule.source}".strip()) for rule in look.rules]
    return tuple(dict.fromkeys(found))


def of_spot(spot: Spot, mask_id: str = "", named: tuple[str, ...] = ()) -> tuple[Fact, ...]:
    """Facts of one spot; ``named``: structures that were asked about, besides the one that it lies in or near."""
    place = spot.place
    holder = place.structure or place.near
    named = {
        "structures": tuple(dict.fromkeys((*_with_lung(holder), *named))) if holder else (),
        "side": place.side,
        "part": place.part,
        "sureness": "doubtful" if spot.sureness == "unclear" else "whole",
        "slice": place.slice,
        "mask_id": mask_id,
    }
    values: list[tuple[str, float | int | None, str]] = [
        ("spot_volume_ml", spot.volume_ml, "mL"), ("spot_mean_hu", spot.mean_hu, "HU"),
        ("spot_max_hu", spot.max_hu, "HU"),
        ("spot_min_hu", spot.min_hu, "HU"), ("spot_longest_mm", spot.longest_mm, "mm"),
        ("spot_short_mm", spot.short_mm, "mm"),
        ("slice", place.slice, ""),
    ]  # fmt: skip
    if spot.contrast_hu is not None:
        values.append(("contrast_hu", spot.contrast_hu, "HU"))
    if place.near:
        values.append(("near_mm", place.near_mm, "mm"))
    return tuple(Fact(key, value, unit, **named) for key, value, unit in values)


def _with_lung(structure: str) -> tuple[str, ...]:
    """A structure, and of a lobe its lung besides: what is said of one may be said of the other."""
    if not structure.endswith("_lobe"):
        return (structure,)
    return (structure, "left_lung" if structure.startswith("left") else "right_lung")


def _of_amount(amount: Amount, doubt: Sureness) -> Fact:
    return Fact(
        amount.key,
        amount.value,
        amount.unit,
        amount.about,
        note=f"at least{f', {amount.note}' if amount.note else ''}" if amount.at_least else amount.note,
        side=amount.side,
        part=amount.part,
        sureness="at least" if amount.at_least else doubt,
        slice=amount.slice,
    )
