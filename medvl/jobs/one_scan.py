"""The jobs of the command line and of the API, from file to result, in the file's own array order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from ..case import Case, SegmentUpdate
from ..ct.geometry import source_index_to_canonical, spacing_mm
from ..ct.masks import Mask
from ..ct.prompts import Box, Point
from ..ct.volume import CTVolume
from ..errors import PromptError
from ..model import MedVLSAM2
from ..readers.isolated import read_isolated as read_ct
from ..writers.export import save_mask

NOTICE = "Research use only, not for diagnosis."


class Room(Protocol):
    """Memory that a job may take, where somebody counts it (a server's budget)."""

    def claim(self, nbytes: int) -> None:
        """Called with the bytes of the volume before it is read; raises a ``MedVLError`` where there is no room."""

    def hold(self, case: Case) -> None:
        """Called with the case that the job works on; its ``nbytes`` grow while it runs."""


@contextmanager
def open_case(model: MedVLSAM2, ct: CTVolume, room: Room | None = None) -> Iterator[Case]:
    """A case that is freed at the end, whatever happens."""
    case = model.open(ct)
    try:
        if room is not None:
            room.hold(case)
        yield case
    finally:
        case.close()


def claim_of(room: Room | None) -> Callable[[int], None] | None:
    """``claim`` for ``read_ct``."""
    return None if room is None else room.claim


def describe(ct: CTVolume) -> dict[str, Any]:
    """What ``info`` tells of a CT, in the file's own array order.

    Returns:
        ``shape``, ``spacing_mm``, ``orientation`` (axis codes of the file's axes), ``hu_range`` (None where the values
        are no Hounsfield units; ``hu_note`` says why), ``value_range``, ``format``, ``series`` (what can be chosen by
        ``series``, as ``SeriesChoice``), ``file``, ``series_description``, ``contrast_by_header``, ``notes``.
    """
    values = [int(ct.hu.min()), int(ct.hu.max())]
    return {
        "shape": [int(n) for n in ct.source.shape],
        "spacing_mm": [round(s, 6) for s in spacing_mm(ct.source.affine)],
        "orientation": ct.source.orientation,
        "hu_range": values if ct.hu_trusted else None,
        "value_range": values,
        "hu_note": ct.hu_note,
        "format": ct.file_format,
        "series": [asdict(choice) for choice in ct.series],
        "file": ct.info.file_name,
        "series_description": ct.info.series_description,
        "contrast_by_header": ct.info.contrast,
        "notes": list(ct.notes),
        "notice": NOTICE,
    }


def point_from_source(index: Sequence[int], ct: CTVolume, positive: bool = True) -> Point:
    """A voxel in the file's own array order -> ``Point`` in the axial plane.

    Raises:
        PromptError: not three whole numbers, or outside the file's grid.
    """
    index = _whole(index, 3, "A point is three whole numbers I J K")
    if any(not 0 <= v < n for v, n in zip(index, ct.source.shape, strict=True)):
        raise PromptError(f"The point {index} lies outside the file's grid {tuple(ct.source.shape)}.")
    ijk = source_index_to_canonical(index, ct.source, ct.affine)
    return Point(tuple(round(v) for v in ijk), positive).check(ct.shape)


def box_from_source(corners: Sequence[int], ct: CTVolume) -> Box:
    """``I0 J0 K0 I1 J1 K1`` (half-open, the file's own array order) -> ``Box``.

    Raises:
        PromptError: not six whole numbers, empty, or outside the file's grid.
    """
    corners = _whole(corners, 6, "A box is six whole numbers I0 J0 K0 I1 J1 K1")
    low, high = corners[:3], corners[3:]
    Box(low, high).check(tuple(ct.source.shape))
    ends = [source_index_to_canonical(c, ct.source, ct.affine) for c in (low, tuple(v - 1 for v in high))]
    first = tuple(round(min(a, b)) for a, b in zip(*ends, strict=True))
    last = tuple(round(max(a, b)) + 1 for a, b in zip(*ends, strict=True))
    return Box(first, last).check(ct.shape)


def prompts_from_source(
    ct: CTVolume,
    points: Sequence[Sequence[int]],
    negative_points: Sequence[Sequence[int]],
    box: Sequence[int] | None,
) -> tuple[list[Point], Box | None]:
    """All prompts of a command.

    Raises:
        PromptError: see ``point_from_source`` and ``box_from_source``.
    """
    prompts = [point_from_source(p, ct) for p in points]
    prompts += [point_from_source(p, ct, positive=False) for p in negative_points]
    return prompts, None if box is None else box_from_source(box, ct)


def segment_file(
    model: MedVLSAM2,
    source: str | Path,
    output: str | Path,
    points: Sequence[Sequence[int]] = (),
    negative_points: Sequence[Sequence[int]] = (),
    box: Sequence[int] | None = None,
    name: str | None = None,
    progress: Callable[[SegmentUpdate], None] | None = None,
    cancel: threading.Event | None = None,
    room: Room | None = None,
    series: str | None = None,
) -> dict[str, Any]:
    """Read a CT, segment one object, write its mask in the input's geometry.

    Args:
        model: from ``medvl.load``.
        source: file, DICOM folder or zip.
        output: NIfTI file to write.
        points: positive voxels, the file's own array order.
        negative_points: voxels that do not belong to the object.
        box: half-open ``I0 J0 K0 I1 J1 K1``.
        name: of the object.
        progress: called after each slice.
        cancel: set it to stop; what is done is written.
        room: counts the memory.
        series: which of several DICOM scans, as ``read_ct`` takes it.

    Returns:
        The mask's measurements (``Measurement.to_dict``, canonical RAS+ voxels) with its name, why they are
        lower bounds ("" where they are not) and the notice.

    Raises:
        CTReadError: the file is not one CT.
        PromptError: no prompt, or one outside the CT.
        ExportError: the mask cannot be written.
    """
    ct = read_ct(source, claim=claim_of(room), series=series)
    prompts, frame = prompts_from_source(ct, points, negative_points, box)
    if frame is None and not any(p.positive for p in prompts):
        raise PromptError("Nothing to segment: give a box, or at least one positive point.")
    with open_case(model, ct, room) as case:
        mask = case.segment(points=prompts, box=frame, name=name, progress=progress, cancel=cancel)
        save_mask(mask, ct, output)
        return {**measured(mask, ct), "notice": NOTICE}


def measured(mask: Mask, ct: CTVolume) -> dict[str, Any]:
    """Name and measurements of a mask; ``limits`` says why its sizes are lower bounds, "" where they are not."""
    return {"name": mask.name, **mask.measure(ct).to_dict(), "limits": mask.limits}


def _whole(values: Sequence[int], count: int, what: str) -> tuple[int, ...]:
    try:
        whole = tuple(int(v) for v in values)
        exact = all(int(v) == v for v in values)
    except (TypeError, ValueError):
        raise PromptError(f"{what}, in the file's own array order.") from None
    if len(whole) != count or not exact:
        raise PromptError(f"{what}, in the file's own array order.")
    return whole
