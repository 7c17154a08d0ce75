"""One mask changed by one operation, and the words for it: the operations of the buttons of the page."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..ct import mask_operations as operations
from ..ct.masks import Mask
from ..ct.volume import CTVolume
from ..language.calls import Edit
from ..tools.fact import Fact
from ..vocabulary.numbers import show
from ..vocabulary.spoken import have, listing

SPECK_ML = 0.5  # what goes as an island of a structure that has many pieces by nature
TOLD = 3  # pieces whose volumes are told
_OF_MANY = frozenset({"vertebral_column", "other_bone", "right_ribs", "left_ribs"})


@dataclass(frozen=True)
class Change:
    """What an operation makes of a mask.

    Attributes:
        masks: the mask as it becomes, and masks of their own that were cut from it.
        done: says what was done.
        none: says why nothing came of it, where the mask is as it was.
        gone: says why nothing would be left, where that is so.
        facts: of the numbers in what is said.
        missing: says what the operation needs to be told; "" where it was.
    """

    masks: tuple[Mask, ...] = ()
    done: str = ""
    none: str = ""
    gone: str = ""
    facts: tuple[Fact, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class _Asked:
    """A mask, what it is called, the structure that it is of ("" for none), the call and the scan."""

    mask: Mask
    label: str
    structure: str
    call: Edit
    ct: CTVolume

    @property
    def mm(self) -> float:
        """The length that was said, or the smallest that does something on every grid."""
        return self.call.radius_mm or operations.smoothing_radius(self.ct)


def change(mask: Mask, label: str, structure: str, call: Edit, ct: CTVolume) -> Change:
    """Do it.

    Args:
        mask: not empty.
        label: what it is called in a sentence ("the liver").
        structure: id of the structure that it is of, "" for none.
        call: a change of one mask by itself.
        ct: its scan.

    Raises:
        MedVLError: a length makes no sense, or a range goes from high to low.
    """
    return _CHANGES[call.op](_Asked(mask, label, structure, call, ct))


def _smooth(asked: _Asked) -> Change:
    new = operations.smooth(asked.mask, asked.ct, asked.mm)
    moved = operations.moved(asked.mask, new) * asked.ct.voxel_volume_ml
    mm = show(asked.mm, "mm")
    return Change(
        (new,),
        f"I smoothed {asked.label} by {mm}, which moved {show(moved, 'mL')} of its border",
        f"{asked.label} has no detail under {mm} to smooth",
        facts=(_length(asked), Fact("moved_ml", moved, "mL")),
    )


def _fill(asked: _Asked) -> Change:
    label = asked.label
    return Change(
        (operations.fill_holes(asked.mask),), f"I filled the holes of {label}", f"{label} has no closed hole to fill"
    )


def _pieces(asked: _Asked) -> Change:
    """The largest piece kept, or small islands taken away."""
    mask, label, id = asked.mask, asked.label, asked.structure
    parts = operations.components(mask)
    many = asked.call.op == "islands" and id in _OF_MANY
    least = math.ceil(SPECK_ML / asked.ct.voxel_volume_ml) if many else parts[0].voxels
    kept = [part for part in parts if part.voxels >= least][: None if many else 1]
    pieces = len(parts) - len(kept)
    new = mask
    if pieces and kept:
        new = operations.keep_largest(mask) if not many else _joined(kept)
    gone = "one smaller piece" if pieces == 1 else f"{pieces:,} smaller pieces"
    facts = (Fact("pieces", pieces), Fact("least_ml", SPECK_ML, "mL", source="program"))
    if many:
        speck = show(SPECK_ML, "mL")
        text = f"I took {gone} under {speck} away from {label}, which {have(id)} several"
        return Change((new,), text, f"{label} {have(id)} no piece under {speck}", facts=facts)
    text = f"I kept the largest piece of {label} and took {gone} away"
    return Change((new,), text, f"{label} is one piece already", facts=facts)


def _margin(asked: _Asked) -> Change:
    grow, mm = asked.call.op == "grow", show(asked.mm, "mm")
    new = operations.margin(asked.mask, asked.ct, asked.mm if grow else -asked.mm)
    return Change(
        (new,),
        f"I {'grew' if grow else 'shrank'} {asked.label} by {mm}",
        f"no voxel lies within {mm} {'outside' if grow else 'inside'} the border of {asked.label}",
        f"shrinking {asked.label} by {mm} would leave nothing",
        (_length(asked),),
    )


def _hollow(asked: _Asked) -> Change:
    mm = show(asked.mm, "mm")
    return Change(
        (operations.hollow(asked.mask, asked.ct, asked.mm),),
        f"I kept a shell of {asked.label}, {mm} thick",
        f"{asked.label} is nowhere deeper than {mm} under its surface",
        f"no voxel of {asked.label} lies within {mm} of its surface",
        (_length(asked),),
    )


def _threshold(asked: _Asked) -> Change:
    low, high = asked.call.low_hu, asked.call.high_hu
    if low is None and high is None:
        example = Fact("low_hu", 150.0, "HU", source="program")
        how = f"which range of HU is kept? For instance: keep only above {show(example.value, 'HU')}"
        return Change(missing=how, facts=(example,))
    new = operations.within_hu(
        asked.mask, asked.ct, -math.inf if low is None else low, math.inf if high is None else high
    )
    if low is not None and high is not None:
        range_ = f"from {show(low, 'HU')} to {show(high, 'HU')}"
    else:
        range_ = f"at {show(high, 'HU')} or below" if low is None else f"at {show(low, 'HU')} or above"
    ends = {"low_hu": low, "high_hu": high}
    return Change(
        (new,),
        f"I kept what of {asked.label} is {range_}",
        f"all of {asked.label} is {range_}",
        f"no voxel of {asked.label} is {range_}",
        tuple(Fact(key, end, "HU", source="program") for key, end in ends.items() if end is not None),
    )


def _split(asked: _Asked) -> Change:
    pieces = operations.split(asked.mask, asked.ct)
    volumes = [Fact("volume_ml", piece.voxels * asked.ct.voxel_volume_ml, "mL") for piece in pieces]
    told = [show(fact.value, "mL") for fact in volumes[:TOLD]]
    if len(pieces) > TOLD:
        told.append("smaller ones")
    least = Fact("least_ml", operations.LEAST_PIECE_ML, "mL", source="program")
    return Change(
        tuple(pieces),
        f"I split {asked.label} into {len(pieces)} pieces of {listing(told)}",
        f"{asked.label} is one piece already",
        facts=(Fact("pieces", len(pieces)), least, *volumes[:TOLD]),
    )


def _interpolate(asked: _Asked) -> Change:
    new, filled = operations.interpolate(asked.mask, asked.ct)
    slices = "one slice" if filled == 1 else f"{filled:,} slices"
    return Change(
        (new,),
        f"I filled {slices} between the painted ones of {asked.label}",
        f"{asked.label} has no empty slice between two painted ones",
        facts=(Fact("slices", filled),),
    )


_CHANGES: dict[str, Callable[[_Asked], Change]] = {
    "smooth": _smooth,
    "fill": _fill,
    "largest": _pieces,
    "islands": _pieces,
    "grow": _margin,
    "shrink": _margin,
    "hollow": _hollow,
    "threshold": _threshold,
    "split": _split,
    "interpolate": _interpolate,
}


def _length(asked: _Asked) -> Fact:
    return Fact("radius_mm", asked.mm, "mm", source="program")


def _joined(parts: list[Mask]) -> Mask:
    whole = parts[0]
    for part in parts[1:]:
        whole = operations.union(whole, part)
    return whole
