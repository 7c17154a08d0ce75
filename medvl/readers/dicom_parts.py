"""One DICOM series often holds several scans of one region: phases, passes, kernels. Here they are told apart.

A series is split by what its headers say, never slice by slice. A field (``dicom_slices.TELLING``), the file of a
frame, its dimension indices, the place of the picture in its plane, or the run of instance numbers is believed where
it gives parts that are each a regular stack and overlap along the normal. Parts that only adjoin (the rotations of one
scan, two stations of the table) stay one scan, and so do every second or third slice of one regular stack, unless one
part was made after the other: what is measured slice by slice (trigger time, dose, angle) often changes in a cycle.
Where slices lie at one place and nothing tells them apart, the part says so and is not read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .dicom_slices import TELLING, Slice

SAME_PLACE_MM = 0.01
# Two passes over one region miss each other's places by the accuracy of the table.
_TABLE_MM, _TABLE_SHARE = 0.3, 0.25
_MIN_SLICES = 3  # of a part that is told by nothing but its regularity
_STEP_TOLERANCE_MM, _STEP_TOLERANCE = 0.1, 0.1
_MISSING, _MISSING_SHARE = 3, 0.1
_MAX_SLID = 3  # stacks slid into each other; a field that changes in a cycle makes more of one scan
_PAUSE = 10.0  # times the usual time from slice to slice
# Measured slice by slice; the other fields name a scan, a pass or a reconstruction, and do not change in a cycle.
_MEASURED = {"trigger time", "temporal offset", "slice thickness", "place in the plane"}
_MEASURED |= {name for name, _ in TELLING if name.endswith(("time", "time of day"))}
_ORDERS = ("run of instance numbers", "acquisition time", "acquisition time of day")


@dataclass
class Part:
    """One scan of a series.

    Attributes:
        slices: along the normal, each place once where ``unclear`` is empty.
        told_by: what told it from the others, in the order of splitting.
        left_out: slices at a seam that the neighbouring station holds, too.
        unclear: why it cannot be read, or empty.
    """

    slices: list[Slice]
    told_by: tuple[str, ...] = ()
    left_out: int = 0
    unclear: str = ""


@dataclass(eq=False)
class _Group:
    """Slices with their heights along the normal, sorted; ``lost``: at a seam."""

    slices: list[Slice]
    z: np.ndarray
    lost: int = 0

    @classmethod
    def of(cls, slices: list[Slice], normal: np.ndarray) -> _Group:
        z = np.array([float(s.position @ normal) for s in slices])
        order = np.argsort(z, kind="stable")
        return cls([slices[i] for i in order], z[order])

    def __len__(self) -> int:
        return len(self.slices)

    @property
    def step(self) -> float:
        """Usual distance between neighbours; 0 of a single slice."""
        gaps = np.diff(self.z)
        gaps = gaps[gaps > SAME_PLACE_MM]
        return float(np.median(gaps)) if len(gaps) else 0.0


def same_place_mm(z: np.ndarray) -> float:
    """Slices nearer than this lie at one place; ``z`` are sorted heights."""
    if len(z) < 2:
        return SAME_PLACE_MM
    return max(SAME_PLACE_MM, min(_TABLE_MM, _TABLE_SHARE * float(z[-1] - z[0]) / (len(z) - 1)))


def split(slices: list[Slice], spiral: bool) -> list[Part]:
    """Tell the scans of one series apart.

    Args:
        slices: that fit into one volume (``Slice.like``), copies dropped.
        spiral: the modality does not acquire every other slice first, as MR does; then an order of times counts even
            where no two slices share a place.

    Returns:
        The parts in the order of what tells them apart.
    """
    normal = slices[0].normal
    return _split(_Group.of(slices, normal), normal, spiral)


def _split(group: _Group, normal: np.ndarray, spiral: bool) -> list[Part]:
    tolerance = same_place_mm(group.z)
    several = _most_at_a_place(group.z, tolerance)
    best = _best(group, normal, several, tolerance, spiral)
    if best is not None:
        name, groups = best
        parts = []
        for each in groups:
            for part in _split(each, normal, spiral) if len(each) > 1 else [Part(each.slices)]:
                part.told_by = (name, *part.told_by)
                part.left_out += each.lost
                parts.append(part)
        return parts
    unclear = ""
    if several > 1:
        places = 1 + int(np.count_nonzero(np.diff(group.z) > tolerance))
        unclear = f"{len(group)} slices lie at {places} place{'s' * (places > 1)}"
    elif _interleaved(group.z) or (spiral and _numbered_twice(group)):
        unclear = f"{len(group)} slices are two or more regular stacks, slid into each other"
    return [Part(group.slices, unclear=unclear)]


def _most_at_a_place(z: np.ndarray, tolerance: float) -> int:
    """Most slices within ``tolerance``."""
    return int((np.searchsorted(z, z + tolerance, side="right") - np.arange(len(z))).max()) if len(z) else 0


def _regular(z: np.ndarray) -> bool:
    """Even spacing, a few missing slices allowed."""
    gaps = np.diff(z)
    if len(gaps) == 0:
        return True
    step = float(np.median(gaps))
    if step <= SAME_PLACE_MM:
        return False
    steps = np.maximum(np.rint(gaps / step), 1)
    missing = float((steps - 1).sum())
    return bool(
        (np.abs(gaps - steps * step) <= max(_STEP_TOLERANCE_MM, _STEP_TOLERANCE * step)).all()
        and missing <= max(_MISSING, _MISSING_SHARE * len(z))
    )


def _interleaved(z: np.ndarray) -> bool:
    """True where every second (third) slice makes an even stack, and all together do not."""
    if len(z) < 2 * _MIN_SLICES or _regular(z) or _even(z):
        return False
    return any(len(z) >= n * _MIN_SLICES and all(_even(z[k::n]) for k in range(n)) for n in (2, 3))


def _numbered_twice(group: _Group) -> bool:
    """True where neighbours bear one instance number, all over: two scans of the same numbers, slid into each other."""
    numbers = [s.instance for s in group.slices]
    pairs = [numbers[n : n + 2] for n in range(0, len(numbers), 2)]
    twice = all(len(pair) == 2 and pair[0] == pair[1] for pair in pairs)
    return twice and len(pairs) >= _MIN_SLICES and len({pair[0] for pair in pairs}) == len(pairs)


def _even(z: np.ndarray) -> bool:
    gaps = np.diff(z)
    return bool(np.abs(gaps - gaps.mean()).max() <= max(0.02, 0.02 * gaps.mean()))


def _best(
    group: _Group, normal: np.ndarray, several: int, tolerance: float, spiral: bool
) -> tuple[str, list[_Group]] | None:
    """The first field that tells the scans apart: cleanly, else without two slices at a place, else by a step."""
    if len(group) < 2:
        return None
    tried = [(name, list(_ways(group, name, value, several))) for name, value in _fields(group, normal)]
    for good in (_clean, _separate, _fewer) if several > 1 else (_two_scans,):
        for name, ways in tried:
            if several == 1 and not spiral and name in _ORDERS:
                continue
            for parts in ways:
                made = [_Group.of(part, normal) for part in parts]
                for groups in (_joined(made, tolerance), made):
                    if len(groups) < 2 or not good(groups, several, tolerance):
                        continue
                    if several > 1 or not _measured(name) or not (_regular(group.z) and _in_turns(groups)):
                        return name, groups
    return None


def _measured(name: str) -> bool:
    return name in _MEASURED or name.startswith("dimension ")


def _in_turns(groups: list[_Group]) -> bool:
    """True where the slices were made, or are numbered, one of each group in turn, as those of one scan are."""
    orders: list[Callable[[Slice], object]] = [lambda s: float(s.instance) if s.instance else None]
    orders += [lambda s, name=name: s.tags.get(name) for name in _ORDERS[1:]]
    turns = False
    for order in orders:
        numbered = [(order(s), n) for n, group in enumerate(groups) for s in group.slices]
        values = {value for value, _ in numbered}
        if not all(isinstance(value, float) for value in values):
            continue
        if len(values) * len(groups) <= len(numbered):  # each group is numbered from the beginning
            return False
        changes = sum(a[1] != b[1] for a, b in pairwise(sorted(numbered)))
        if changes < len(groups):  # one group after the other
            return False
        turns |= len(values) == len(numbered) and changes > 0.9 * (len(numbered) - 1)
    return turns


def _fields(group: _Group, normal: np.ndarray) -> Iterator[tuple[str, Callable[[Slice], object]]]:
    """What could tell the slices apart, best first."""
    dimensions = sorted({name for s in group.slices for name in s.tags if name.startswith("dimension ")})
    stamps = next(n for n, (name, _) in enumerate(TELLING) if name == "acquisition time")
    names = [name for name, _ in TELLING]
    for name in (*names[:stamps], *dimensions, "file"):
        yield name, lambda s, name=name: s.tags.get(name)
    first = group.slices[0]

    def in_plane(s: Slice) -> tuple[float, ...]:
        return tuple(np.round(first.orientation @ (s.position - first.position), 1) + 0.0)

    yield "place in the plane", in_plane
    for name in names[stamps:]:
        yield name, lambda s, name=name: s.tags.get(name)
    yield "run of instance numbers", lambda s: float(s.instance)


def _ways(group: _Group, name: str, value: Callable[[Slice], object], several: int) -> Iterator[list[list[Slice]]]:
    """Ways to part the slices by a field: at the largest gaps between numbers; by its values; by runs of its order."""
    values = [value(s) for s in group.slices]
    homes: dict[object, list[Slice]] = defaultdict(list)
    for each, s in zip(values, group.slices, strict=True):
        homes[each].append(s)
    if len(homes) < 2:
        return
    ordered = sorted(homes.items(), key=lambda kv: (0, kv[0], "") if isinstance(kv[0], float) else (1, 0, repr(kv[0])))
    numeric = all(isinstance(each, float) for each in homes)
    scans = max(several, 2)
    if numeric and scans < len(ordered):
        gaps = np.diff([each for each, _ in ordered])
        largest = np.argsort(-gaps, kind="stable")
        # Where no slices share a place, only a pause between two scans is believed.
        least = gaps[largest[scans - 1]] if several > 1 else _PAUSE * np.median(gaps)
        if gaps[largest[scans - 2]] > least:
            edges = [0, *(np.sort(largest[: scans - 1]) + 1).tolist(), len(ordered)]
            yield [[s for _, each in ordered[a:b] for s in each] for a, b in pairwise(edges)]
    if name != "run of instance numbers" and (several > 1 or len(homes) * _MIN_SLICES <= len(group)):
        yield [each for _, each in ordered]
    if not numeric:
        return
    if name == "run of instance numbers" or several > 1:
        yield _runs([s for _, each in ordered for s in sorted(each, key=lambda s: s.instance)], group)


def _runs(slices: list[Slice], group: _Group) -> list[list[Slice]]:
    """Cut a sequence wherever its next slice does not go on in the direction of its run."""
    z = {id(s): height for s, height in zip(group.slices, group.z, strict=True)}
    runs: list[list[Slice]] = []
    for s in slices:
        run = runs[-1] if runs else []
        at = z[id(s)]
        ends = [z[id(run[0])], z[id(run[-1])]] if run else []
        ahead = len(run) == 1 or (len(run) > 1 and (at - ends[1]) * (ends[1] - ends[0]) > 0)
        if run and ahead and abs(at - ends[1]) > SAME_PLACE_MM:
            run.append(s)
        else:
            runs.append([s])
    return runs


def _overlap(a: _Group, b: _Group) -> bool:
    """True where the extents share more than a seam."""
    step = min((g.step for g in (a, b) if g.step), default=0.0) or 1.0
    shared = min(a.z[-1], b.z[-1]) - max(a.z[0], b.z[0]) + step  # each reaches half a step beyond its ends
    seam = 1.1 if min(len(a), len(b)) >= _MIN_SLICES else 0.4
    return bool(shared > seam * step)


def _joined(groups: list[_Group], tolerance: float) -> list[_Group]:
    """Groups that adjoin become one; a place that both have at the seam is the first one's."""
    chains: list[_Group] = []
    for group in groups:
        if not chains or _overlap(chains[-1], group):
            chains.append(group)
            continue
        chain = chains[-1]
        new = [n for n, at in enumerate(group.z) if np.abs(chain.z - at).min() > tolerance]
        z = np.concatenate([chain.z, group.z[new]])
        slices = [*chain.slices, *(group.slices[n] for n in new)]
        order = np.argsort(z, kind="stable")
        lost = chain.lost + len(group) - len(new)
        chains[-1] = _Group([slices[i] for i in order], z[order], lost)
    return chains


def _depth(groups: list[_Group]) -> int:
    """Most groups over one place."""
    low, high = (np.array([g.z[end] for g in groups]) for end in (0, -1))
    return max(int(np.count_nonzero((low <= at + SAME_PLACE_MM) & (high >= at - SAME_PLACE_MM))) for at in low)


def _clean(groups: list[_Group], several: int, tolerance: float) -> bool:
    return _separate(groups, several, tolerance) and all(_regular(g.z) for g in groups)


def _separate(groups: list[_Group], several: int, tolerance: float) -> bool:
    """No two slices of a group at one place, and no more stacks than lie over each other.

    Over one place lie no more stacks than slices: else they have holes that others fill.
    """
    stacks = [g for g in groups if len(g) > 1]
    if not stacks or any(_most_at_a_place(g.z, tolerance) > 1 for g in groups):
        return False
    depth = _depth(stacks)
    return depth <= several and (len(stacks) == depth or all(len(g) >= _MIN_SLICES for g in groups))


def _fewer(groups: list[_Group], several: int, tolerance: float) -> bool:
    """Every group has fewer slices at a place than all together, and is a stack over the same region as the others."""
    fewer = all(_most_at_a_place(g.z, tolerance) < several and len(g) >= _MIN_SLICES for g in groups)
    return fewer and len(groups) == _depth(groups)


def _two_scans(groups: list[_Group], several: int, tolerance: float) -> bool:
    """No two slices of all share a place, but each group is a regular stack of its own over the same region."""
    stacks = all(len(g) >= _MIN_SLICES and _regular(g.z) for g in groups)
    return stacks and len(groups) <= _MAX_SLID and len(groups) == _depth(groups)
