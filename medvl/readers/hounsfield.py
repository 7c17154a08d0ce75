"""Stored values of any type -> int16 Hounsfield units, slab by slab, with checks on what the values look like."""

from __future__ import annotations

import numpy as np

from ..errors import CTReadError

AIR_HU = -1024
INT16_MIN, INT16_MAX = -32768, 32767
# Some pipelines pad outside the field of view with NaN; more than this share of a volume is a broken file.
MAX_NAN_FRACTION = 0.05
# Metal artefacts stay below 1e5 HU; anything above is another quantity or a damaged file.
MAX_ABSOLUTE_HU = 1e6
_CHUNK_VOXELS = 1 << 21


class HounsfieldBuilder:
    """Collects slabs of a volume as int16 HU and keeps count of what had to be changed.

    Memory beyond the int16 volume is a few MB, whatever the stored type is.

    Attributes:
        array: int16 ``(a, b, c)`` in Fortran order, so that a slice of the last axis is contiguous.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        """Allocate the volume; check ``shape`` against the limits before."""
        self.array = np.empty(shape, dtype=np.int16, order="F")
        self._low, self._high = np.inf, -np.inf
        self._nan = self._infinite = self._clipped = 0

    def put(self, start: int, slab: np.ndarray, slope: float = 1.0, intercept: float = 0.0) -> None:
        """Convert ``slab`` ``(a, b, n)`` and store it as slices ``start`` to ``start + n`` of the last axis."""
        if slab.dtype.kind not in "iuf":
            raise CTReadError(f"Voxels of type {slab.dtype} are not numbers of a CT. Save the scan as int16.")
        step = max(1, _CHUNK_VOXELS // max(1, slab.shape[0] * slab.shape[1]))
        for k in range(0, slab.shape[2], step):
            part = slab[:, :, k : k + step]
            self.array[:, :, start + k : start + k + part.shape[2]] = self._convert(part, slope, intercept)

    def seen(self, start: int, stop: int) -> None:
        """Count slices of ``array`` that were filled directly with HU."""
        part = self.array[:, :, start:stop]
        self._range(int(part.min()), int(part.max()))

    def _range(self, low: float, high: float) -> None:
        self._low, self._high = min(self._low, low), max(self._high, high)

    def _convert(self, part: np.ndarray, slope: float, intercept: float) -> np.ndarray:
        if part.dtype.kind in "iu" and slope == 1.0 and intercept == 0.0:
            low, high = int(part.min()), int(part.max())
            self._range(low, high)
            if low < INT16_MIN or high > INT16_MAX:
                self._clipped += int(np.count_nonzero((part < INT16_MIN) | (part > INT16_MAX)))
                part = np.clip(part, INT16_MIN, INT16_MAX)
            return part
        values = part.astype(np.float64)
        if slope != 1.0:
            values *= slope
        if intercept != 0.0:
            values += intercept
        finite = np.isfinite(values)
        if not finite.all():
            nan = int(np.count_nonzero(np.isnan(values)))
            self._nan += nan
            self._infinite += int(values.size - np.count_nonzero(finite)) - nan
            values[~finite] = AIR_HU
        np.rint(values, out=values)
        low, high = float(values.min()), float(values.max())
        self._range(low, high)
        if low < INT16_MIN or high > INT16_MAX:
            self._clipped += int(np.count_nonzero((values < INT16_MIN) | (values > INT16_MAX)))
            np.clip(values, INT16_MIN, INT16_MAX, out=values)
        return values

    def check(self) -> None:
        """Refuse values that no CT has.

        Raises:
            CTReadError: infinite or huge values, or too many NaN.
        """
        if self._infinite:
            raise CTReadError(
                f"The volume holds {self._infinite} infinite values. Replace them by numbers "
                f"(for instance {AIR_HU}, air) and open it again."
            )
        if self._nan > MAX_NAN_FRACTION * self.array.size:
            raise CTReadError(
                f"{self._nan / self.array.size:.0%} of the voxels are not numbers (NaN). Replace them "
                f"(for instance by {AIR_HU}, air) and open it again."
            )
        worst = max(abs(self._low), abs(self._high))
        if worst > MAX_ABSOLUTE_HU:
            raise CTReadError(
                f"The volume holds values up to {worst:.3g}; Hounsfield units stay within some thousands. Check the "
                "data type and the rescale slope of the file."
            )

    def notes(self, expect_hu: bool = True) -> list[str]:
        """What a person should know of the values; call after ``check``."""
        notes = []
        if self._nan:
            notes.append(f"{self._nan} voxels were not numbers (NaN) and are shown as air ({AIR_HU} HU).")
        if self._clipped:
            notes.append(f"{self._clipped} voxels beyond the 16-bit range were cut to {INT16_MIN} or {INT16_MAX} HU.")
        if not expect_hu:
            return notes
        low, high = int(self._low), int(self._high)
        if low == high:
            notes.append(f"Every voxel has the same value ({low}): there is nothing to see in this volume.")
        elif high - low <= 25:
            notes.append(
                f"The values span only {low} to {high}: this looks like a label map or a normalised image, not "
                "Hounsfield units. Windows, measurements and masks expect HU."
            )
        elif low >= 0 and high <= 255:
            notes.append(
                f"The values lie between {low} and {high}: this looks like an 8-bit picture or a label map, not "
                "Hounsfield units. Windows, measurements and masks expect HU."
            )
        elif low >= 0:
            notes.append(
                f"No value is below 0 (lowest {low}), while air is about -1000 HU: the rescale intercept may be "
                "missing. HU and windows may be off by about 1024."
            )
        return notes
