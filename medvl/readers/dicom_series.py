"""Which DICOM scan to open: series, the scans within each, the one that was asked for or the largest; and notes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..ct.volume import SeriesChoice
from ..errors import CTReadError
from .common import Job
from .dicom_parts import Part, same_place_mm, split
from .dicom_pixels import Decoder
from .dicom_slices import TELLING, Series, Slice

_NO_REASON = "not images of a scan"
# Shown when they tell scans apart; others are counted, as their values are times or somebody's text.
_SHOWN: dict[str, Callable[[object], str]] = {
    "temporal position": lambda v: f"temporal position {_plain(v)}",
    "cardiac phase": lambda v: f"{_plain(v)}% of the cardiac cycle",
    "respiratory phase": lambda v: f"{_plain(v)}% of the respiratory cycle",
    "trigger time": lambda v: f"trigger time {_plain(v)} ms",
    "acquisition": lambda v: f"acquisition {_plain(v)}",
    "tube voltage": lambda v: f"{_plain(v)} kV",
    "echo": lambda v: f"echo {_plain(v)}",
    "slice thickness": lambda v: f"{_plain(v)} mm thick",
    "diffusion weighting": lambda v: f"b = {_plain(v)}",
}
_MAX_SHOWN = 40


@dataclass
class Scan:
    """One scan that can be opened: its series, its slices, what a person is told of it.

    Attributes:
        series: it belongs to.
        part: its slices.
        choice: what a person chooses by.
        notes: for a person, when it is opened.
    """

    series: Series
    part: Part
    choice: SeriesChoice
    notes: list[str]


def choose(series: list[Series], refused: Counter, job: Job) -> tuple[Scan, list[SeriesChoice], list[str]]:
    """The scan to open: the one asked for, else most slices of the expected modality, localizers never.

    Returns:
        It, all that can be chosen (this one marked), and notes.

    Raises:
        CTReadError: no series is a volume, there is none of that name, or the slices of the one to open cannot be told
            apart.
    """
    if all(s.localizer for s in series):
        raise CTReadError(_nothing(series, refused))
    scans = _scans([s for s in series if not s.localizer])
    best = _wanted(scans, job)
    if best.choice.problem:
        raise CTReadError(best.choice.problem)
    notes = []
    others = [s for s in series if s is not best.series]
    if others:
        listed = ", ".join(str(s) for s in sorted(others, key=lambda s: -len(s.slices))[:8])
        more = f" and {len(others) - 8} more" if len(others) > 8 else ""
        which = "this one" if job.series is not None else "the largest"
        notes.append(f"Of {len(series)} series, {which} was opened: {best.series}. Not opened: {listed}{more}.")
    if len({s.study for s in series}) > 1:
        notes.append("The files come from more than one study. Open one study at a time to be sure of the patient.")
    left = {reason: n for reason, n in refused.items() if reason != _NO_REASON}
    if left:
        notes.append("Left out: " + ", ".join(f"{n} {reason}" for reason, n in left.items()) + ".")
    choices = [replace(s.choice, opened=s is best) for s in scans]
    return best, choices, notes + best.notes


def _wanted(scans: list[Scan], job: Job) -> Scan:
    if job.series is not None:
        asked = str(job.series).strip()
        named = [s for s in scans if asked in (s.choice.id, s.series.uid)]
        named = named or [s for s in scans if s.choice.id.rpartition(".")[0] == asked]
        if not named:
            there = ", ".join(s.choice.id for s in scans[:20])
            raise CTReadError(f"There is no such series. Choose one of these: {there}.")
        scans = named
    wanted = [s for s in scans if s.series.modality == job.expect] or scans
    wanted = [s for s in wanted if not s.choice.problem] or wanted
    believed = [s for s in wanted if not s.part.slices[0].unit] or wanted

    def rank(scan: Scan) -> tuple[int, int, str]:
        return len(scan.part.slices), len(scan.series.slices), scan.series.number

    most = max(rank(s) for s in believed)
    return next(s for s in believed if rank(s) == most)


def _nothing(series: list[Series], refused: Counter) -> str:
    if series:
        return "These DICOM files are localizers (scout views) only. Choose the series with the slices."
    enhanced = next((reason for reason in refused if reason.endswith("in one file")), None)
    if enhanced:
        kind = enhanced.removesuffix(" in one file")
        return (
            f"This is {kind}: many frames of one or several contrasts in one file, and no CT. It is not read here; "
            "choose a CT series."
        )
    if set(refused) == {"in colour"}:
        return "These DICOM images are in colour, such as screen captures; a CT has grey values. Choose the CT series."
    if set(refused) == {_NO_REASON}:
        return "These DICOM files hold no image slices (reports, structures, a directory). Choose the CT series."
    reasons = ", ".join(f"{n} {reason}" for reason, n in refused.items()) or "none"
    return f"None of the DICOM files is a slice of a scan ({reasons}). Choose the CT series."


# ---- scans of each series


def _scans(series: list[Series]) -> list[Scan]:
    """All that can be opened, in the order of series numbers and of what tells the scans of a series apart."""
    series = sorted(series, key=lambda s: (not s.number.isdigit(), int(s.number) if s.number.isdigit() else 0))
    bases = [s.number if s.number.isdigit() else "0" for s in series]
    found: list[Scan] = []
    for index, each in enumerate(series):
        base = (
            bases[index]
            if bases.count(bases[index]) == 1
            else f"{bases[index]}-{bases[: index + 1].count(bases[index])}"
        )
        found += _of_series(each, base)
    return found


def _of_series(series: Series, base: str) -> list[Scan]:
    groups: list[list[Slice]] = []
    for item in series.slices:
        home = next((g for g in groups if g[0].like(item)), None)
        groups.append([item]) if home is None else home.append(item)
    parted: list[tuple[Part, list[Part], int]] = []  # a part, those it was told from, copies dropped
    for group in groups:
        kept = _without_copies(group)
        parts = [_settled(part) for part in split(kept, series.modality == "CT")]
        stacks = [part for part in parts if len(part.slices) > 1] or parts[:1]
        parted += [(part, parts, len(group) - len(kept)) for part in stacks]
    if any(len(part.slices) > 1 for part, _, _ in parted):
        parted = [entry for entry in parted if len(entry[0].slices) > 1]
    scans = []
    for n, (part, parts, copies) in enumerate(parted, start=1):
        stacks = [p for p in parts if len(p.slices) > 1]
        label = _label(part, stacks) if len(stacks) > 1 else ""
        own = base if len(parted) == 1 else f"{base}.{n}"
        group = next(g for g in groups if g[0].like(part.slices[0]))
        notes = _notes(series, part, parts, label, copies, len(series.slices) - len(group))
        scans.append(Scan(series, part, _choice(series, part, own, label), notes))
    return scans


def _without_copies(slices: list[Slice]) -> list[Slice]:
    """One of each: a copy bears the same identifier and lies at the same place.

    Where an identifier stands for several places, it names nothing (anonymisers write such), and a copy agrees in all
    that could tell two scans apart.
    """
    places: dict[tuple, set] = {}
    for s in slices:
        places.setdefault(_identifier(s), set()).add(_place(s))
    kept: dict[tuple, Slice] = {}
    for n, s in enumerate(slices):
        name = _identifier(s)
        key = (*name, _place(s))
        if not name[0]:
            key = (n,)
        elif len(places[name]) > 1:
            key = (*key, s.instance, repr(sorted(s.tags.items())))
        kept.setdefault(key, s)
    return list(kept.values())


def _identifier(s: Slice) -> tuple[str, int | None]:
    return s.identifier, s.frame


def _place(s: Slice) -> tuple[float, ...]:
    return tuple(np.round(s.position, 2) + 0.0)


def _settled(part: Part) -> Part:
    """A part whose slices nothing tells apart: where those at one place hold the same voxels, they are copies."""
    if not part.unclear or "slices lie at" not in part.unclear:
        return part
    kept: list[Slice] = []
    heights = np.array([float(s.position @ s.normal) for s in part.slices])
    limit = same_place_mm(heights)
    with Decoder() as decoder:
        for s, z in zip(part.slices, heights, strict=True):
            near = [k for k in kept[-4:] if abs(float(k.position @ k.normal) - z) <= limit]
            if not near:
                kept.append(s)
            elif decoder.digest(s) not in [decoder.digest(k) for k in near]:
                return part
    return Part(kept, part.told_by, part.left_out)


def _choice(series: Series, part: Part, own: str, label: str) -> SeriesChoice:
    first = part.slices[0]
    heights = np.sort([float(s.position @ first.normal) for s in part.slices])
    gaps = np.diff(heights)
    step = float(np.median(gaps[gaps > 0.01])) if (gaps > 0.01).any() else 0.0
    problem = ""
    if part.unclear:
        problem = (
            f"Of series {series.number}, {part.unclear}, so it holds more than one scan, and no field of the headers "
            "tells them apart (phase, acquisition, time, kernel, image type, instance number). Mixing them would show "
            "a scan that never was: export each scan as a series of its own."
        )
    return SeriesChoice(
        own,
        series.description,
        series.modality,
        len(part.slices),
        first.size,
        (round(first.spacing[0], 4), round(first.spacing[1], 4), round(step, 4)),
        _kernel(first),
        label,
        problem=problem,
    )


def _kernel(s: Slice) -> str:
    value = str(s.tags.get("kernel", "")).replace("\\", " ")
    return value if re.fullmatch(r"[A-Za-z0-9][\w .+/()-]{0,23}", value, re.ASCII) else ""


def _plain(value: object) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    numbers = [f"{v:g}" for v in parts if isinstance(v, float)]
    return numbers[0] if numbers else "?"


def _label(part: Part, parts: list[Part]) -> str:
    """What tells a scan from the others of its series: all that it has alone, then which one it is."""
    words = []
    for name, _ in TELLING:
        values = [{_hashable(s.tags.get(name)) for s in p.slices} for p in parts]
        if not all(len(v) == 1 for v in values) or len({next(iter(v)) for v in values}) < 2:
            continue
        value = part.slices[0].tags.get(name)
        if name in _SHOWN and value is not None and _plain(value) != "?":
            words.append(_SHOWN[name](value))
        elif name == "kernel" and _kernel(part.slices[0]):
            words.append(f"kernel {_kernel(part.slices[0])}")
        elif name == "unit":
            words.append("other values" if part.slices[0].unit else "HU")
    number = 1 + next(n for n, p in enumerate(parts) if p is part)
    distinct = list(dict.fromkeys(words))[:2]
    return ", ".join(distinct)[: 2 * _MAX_SHOWN] if distinct else f"scan {number} of {len(parts)}"


def _hashable(value: object) -> object:
    return value if isinstance(value, str | float | tuple | None) else repr(value)


def _notes(series: Series, part: Part, parts: list[Part], label: str, copies: int, other: int) -> list[str]:
    notes = []
    if other:
        notes.append(
            f"{other} slice{'s' * (other > 1)} of the series with another size, spacing, direction or kind of file "
            f"{'were' if other > 1 else 'was'} left out."
        )
    if copies:
        notes.append(f"{copies} duplicate slice{'s were' if copies > 1 else ' was'} dropped.")
    stacks = [p for p in parts if len(p.slices) > 1]
    single = len(parts) - len(stacks)
    if len(stacks) > 1:
        how = " and ".join(dict.fromkeys(name for p in stacks for name in p.told_by))
        notes.append(
            f"The series holds {len(stacks)} scans of the same region (phases, passes or reconstructions), told apart "
            f"by {how}; {label} was opened ({len(part.slices)} slices). The list of series offers the others."
        )
    if single and stacks:
        notes.append(f"{single} single slice{'s' * (single > 1)} beside the scan, of the same region, were left out.")
    if part.left_out:
        notes.append(f"{part.left_out} slices at the seam of two stations, which both hold, were taken from the first.")
    if repeated(part.slices):
        notes.append(
            "Several slices bear one identifier (SOPInstanceUID) though they lie at different places: all were read, "
            "but a DICOM-SEG cannot refer to them."
        )
    return notes


def repeated(slices: list[Slice]) -> bool:
    """True where one identifier stands for several of the slices."""
    names = [_identifier(s) for s in slices if s.identifier]
    return len(set(names)) < len(names)
