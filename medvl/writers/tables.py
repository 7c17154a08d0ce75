"""CSV files: measurements of masks, and lengths of the ruler."""

from __future__ import annotations

import csv
import datetime
import unicodedata
from collections.abc import Sequence
from os import PathLike

import numpy as np

from ..ct.changes import Change
from ..ct.lengths import Length
from ..ct.masks import Mask
from ..ct.measure import PERCENTILES, Measurement
from ..ct.volume import CTVolume
from ..version import __version__
from .nifti import overlaps

SCAN_COLUMNS = ("scan", "series_description", "date", "program_version")
CSV_COLUMNS = (
    "label", "name", "voxels", "volume_ml", "mean_hu", "sd_hu", "p5_hu", "p25_hu", "median_hu", "p75_hu", "p95_hu",
    "longest_diameter_mm",
    "centroid_r_mm", "centroid_a_mm", "centroid_s_mm", "first_axial_slice_from_1",
    "last_axial_slice_from_1", "at_least", "limits", "doubt", "overlaps", *SCAN_COLUMNS,
)  # fmt: skip
LENGTH_COLUMNS = (
    "length", "plane", "slice_from_1", "start_r_mm", "start_a_mm", "start_s_mm", "end_r_mm", "end_a_mm", "end_s_mm",
    "length_mm", "kind", "second_mm", "angle_degrees", "name", *SCAN_COLUMNS,
)  # fmt: skip
REGION_COLUMNS = (
    "region", "kind", "plane", "slice_from_1", "centre_r_mm", "centre_a_mm", "centre_s_mm", "radius_mm", "voxels",
    "mean_hu", "sd_hu", "min_hu", "max_hu", "p5_hu", "median_hu", "p95_hu", "area_mm2", "volume_ml",
    "name", *SCAN_COLUMNS,
)  # fmt: skip


CHANGE_COLUMNS = (
    "name", "volume_ml", "prior_volume_ml", "change_ml", "change_percent", "at_least", "limits", "prior_limits",
    "doubt", *SCAN_COLUMNS,
)  # fmt: skip


def escape_cell(text: str) -> str:
    """A text that a spreadsheet will not take for a formula: an apostrophe before what begins like one.

    Spreadsheets pass over spaces and control characters, take full-width signs for the plain ones, and take a tab or a
    line end for the end of a cell (OWASP, CSV injection).
    """
    begin = unicodedata.normalize("NFKC", text)
    seen = begin.lstrip("".join(c for c in set(begin) if c.isspace() or unicodedata.category(c)[0] == "C"))
    return f"'{text}" if seen[:1] in ("=", "+", "-", "@", "\u2212") or begin[:1] in ("\t", "\r", "\n") else text


def scan_cells(ct: CTVolume) -> list[str]:
    """Cells of ``SCAN_COLUMNS``: what the scan is called, today, and the program's version."""
    today = datetime.date.today().isoformat()
    return [escape_cell(ct.info.file_name), escape_cell(ct.info.series_description), today, __version__]


def overlaps_told(masks: Sequence[Mask]) -> dict[int, str]:
    """How much each mask shares with which others, by its index in the list, of pairs that share more than 1%."""
    told: dict[int, list[str]] = {}
    for pair in overlaps(masks):
        for mask, other, share in ((pair.under, pair.over, pair.of_under), (pair.over, pair.under, pair.of_over)):
            told.setdefault(mask, []).append(f"{percent(share)} also in {masks[other].name}")
    return {mask: "; ".join(parts) for mask, parts in told.items()}


def percent(share: float) -> str:
    """A share of 0 to 1 for a person: "34%", "0.4%", "less than 0.1%"."""
    value = 100 * share
    return "less than 0.1%" if value < 0.1 else f"{value:.1f}%" if value < 1 else f"{value:.0f}%"


def save_measurements_csv(
    masks: Sequence[Mask], ct: CTVolume, path: str | PathLike, measurements: Sequence[Measurement] | None = None
) -> None:
    """Write one row a mask, UTF-8, units in the column names; what an empty mask does not have is left blank.

    ``first_axial_slice_from_1`` and ``last_axial_slice_from_1`` count the axial slices from the feet and from 1, as the
    viewer and the chat do; both are part of the mask. (``Measurement.slice_range`` is the same as indices, from 0.)
    ``at_least`` is ``yes`` where volume and diameter are lower bounds, for the reason in ``limits``. ``doubt`` says
    why an outline is doubtful, ``overlaps`` what it shares with other masks. The last columns say which scan it is:
    tables can be pooled.

    Args:
        masks: the objects, in the order of the label map.
        ct: the scan they were drawn on.
        path: file to write.
        measurements: of the masks, when already there.
    """
    measurements = measurements or [mask.measure(ct) for mask in masks]
    shared, scan = overlaps_told(masks), scan_cells(ct)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_COLUMNS)
        for n, (mask, m) in enumerate(zip(masks, measurements, strict=True)):
            hu = [m.mean_hu, m.sd_hu, *(m.percentiles_hu or (None,) * len(PERCENTILES))]
            numbers = [*hu, m.longest_diameter_mm, *(m.centroid_ras_mm or (None,) * 3)]
            shown = ["" if value is None else f"{value:.2f}" for value in numbers]
            slices = [k + 1 for k in m.slice_range] if m.slice_range else ["", ""]
            told = [
                "yes" if mask.limits else "no",
                escape_cell(mask.limits),
                mask.doubt,
                escape_cell(shared.get(n, "")),
            ]
            writer.writerow(
                [n + 1, escape_cell(mask.name), m.voxels, f"{m.volume_ml:.4f}", *shown, *slices, *told, *scan]
            )


def save_changes_csv(changes: Sequence[Change], ct: CTVolume, path: str | PathLike) -> None:
    """Write one row a thing that is in this scan and in an earlier one, UTF-8, units in the column names.

    ``at_least`` is ``yes`` where one of the volumes is a lower bound, for the reasons in ``limits`` and
    ``prior_limits``; ``doubt`` says why a comparison is doubtful. The last columns are of the present scan.

    Args:
        changes: in the order of the table.
        ct: the present scan.
        path: file to write.
    """
    scan = scan_cells(ct)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(CHANGE_COLUMNS)
        for change in changes:
            numbers = (change.now_ml, change.prior_ml, change.change_ml, change.change_percent)
            shown = ["" if value is None else f"{value:.4f}" for value in numbers]
            notes = [escape_cell(note) for note in (change.now_note, change.prior_note, "; ".join(change.doubts))]
            least = "yes" if change.now_note or change.prior_note else "no"
            writer.writerow([escape_cell(change.name), *shown, least, *notes, *scan])


def save_lengths_csv(lengths: Sequence[Length], ct: CTVolume, path: str | PathLike) -> None:
    """Write one row a line, angle or pair of axes, UTF-8, units in the column names.

    Of an angle the ends are those of its first arm, the second its vertex, and it has no length; of two axes the ends
    and the length are those of the first, ``second_mm`` is the length of the other. ``slice_from_1`` counts as the
    viewer does: from 1, axial slices from the feet, coronal ones from the back, sagittal ones from the left of the
    patient. The ends are in RAS mm (to the right, to the front, to the head are positive), as the centroids of the
    measurements are.

    Args:
        lengths: in the order in which they are numbered.
        ct: the scan they were drawn on.
        path: file to write.

    Raises:
        ExportError: one does not lie on the scan.
    """
    scan = scan_cells(ct)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(LENGTH_COLUMNS)
        for number, length in enumerate(lengths, start=1):
            length.check(ct)
            start, end = ct.ijk_to_ras_mm(np.array([length.start, length.end]))
            long = None if length.kind == "angle" else length.mm(ct)
            second, degrees = (_cell(v) for v in (length.second_mm(ct), length.degrees(ct)))
            where = [number, length.plane, length.slice + 1, *map(_cell, (*start, *end, long))]
            writer.writerow([*where, length.kind, second, degrees, escape_cell(length.name), *scan])


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def save_regions_csv(regions: Sequence[Length], ct: CTVolume, path: str | PathLike) -> None:
    """Write one row a region, with what is measured in it (``Length.region``); as ``save_lengths_csv``.

    Where the scan's values are no Hounsfield units, none are written.

    Raises:
        ExportError: one does not lie on the scan.
    """
    scan = scan_cells(ct)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(REGION_COLUMNS)
        for number, one in enumerate(regions, start=1):
            found = one.check(ct).region(ct)
            flat = one.kind == "rectangle"  # its centre lies between its corners, and it has no radius
            centre = ct.ijk_to_ras_mm((np.array(one.start) + one.end) / 2 if flat else np.array(one.start))
            hu = [found.mean, found.sd, found.least, found.most, found.p5, found.median, found.p95]
            sizes = ["" if v is None else f"{v:.{n}f}" for v, n in ((found.area_mm2, 2), (found.volume_ml, 4))]
            shown = [_cell(v if ct.hu_trusted else None) for v in hu]
            where = [number, one.kind, one.plane, one.slice + 1, *map(_cell, (*centre, None if flat else one.mm(ct)))]
            writer.writerow([*where, found.voxels, *shown, *sizes, escape_cell(one.name), *scan])
