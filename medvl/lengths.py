"""Lengths that a person drew with the viewer's ruler, and their CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np

from .errors import ExportError
from .volume import CTVolume

PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}  # and the axis through their slices
LENGTH_COLUMNS = (
    "length", "plane", "slice_from_1", "start_r_mm", "start_a_mm", "start_s_mm", "end_r_mm", "end_a_mm", "end_s_mm",
    "length_mm",
)  # fmt: skip
_ON_SLICE = 1e-3  # voxels


@dataclass(frozen=True)
class Length:
    """A straight line on one slice.

    Attributes:
        plane: ``"axial"``, ``"coronal"`` or ``"sagittal"``.
        slice: index of the slice along the plane's axis, from 0.
        start: one end, continuous voxel indices ``(i, j, k)`` from 0; a whole number is a voxel's centre.
        end: the other end.
    """

    plane: str
    slice: int
    start: tuple[float, float, float]
    end: tuple[float, float, float]

    def check(self, ct: CTVolume) -> Length:
        """Itself, if it lies on a slice of the scan.

        Raises:
            ExportError: it does not; a number is not finite; or there is no such plane.
        """
        if self.plane not in PLANES:
            raise ExportError("A length lies in an axial, coronal or sagittal plane; one of these does not.")
        axis, ends = PLANES[self.plane], np.array([self.start, self.end], dtype=np.float64)
        if ends.shape != (2, 3) or not np.isfinite(ends).all():
            raise ExportError("The ends of a length are places in the scan; those of one are not numbers.")
        edge = np.array(ct.shape) - 0.5
        if (ends < -0.5 - _ON_SLICE).any() or (ends > edge + _ON_SLICE).any():
            raise ExportError("A length reaches out of the scan. Remove it, or draw it again on this scan.")
        if not 0 <= self.slice < ct.shape[axis] or (np.abs(ends[:, axis] - self.slice) > _ON_SLICE).any():
            raise ExportError("Both ends of a length lie on its slice; those of one do not. Draw it again.")
        return self


def save_lengths_csv(lengths: Sequence[Length], ct: CTVolume, path: str | PathLike) -> None:
    """Write one row a length, UTF-8, units in the column names.

    ``slice_from_1`` counts as the viewer does: from 1, axial slices from the feet, coronal ones from the back, sagittal
    ones from the left of the patient. The ends are in RAS mm (to the right, to the front, to the head are positive), as
    the centroids of the measurements are.

    Args:
        lengths: in the order in which they are numbered.
        ct: the scan they were drawn on.
        path: file to write.

    Raises:
        ExportError: one does not lie on the scan.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(LENGTH_COLUMNS)
        for number, length in enumerate(lengths, start=1):
            length.check(ct)
            start, end = ct.ijk_to_ras_mm(np.array([length.start, length.end]))
            mm = [*start, *end, np.linalg.norm(end - start)]
            writer.writerow([number, length.plane, length.slice + 1, *(f"{v:.2f}" for v in mm)])
