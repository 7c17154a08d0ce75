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
_SAMPLE_VOXELS = 2_000_000  # that the histogram is made of
_GAP_HU = 100  # between padding and what was measured
_NOTHING_HU, _BELOW_AIR = -1500, 0.05  # what is measured is no lower; interpolation beside padding makes a few


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
        """What had to be changed; call after ``check``."""
        notes = []
        if self._nan:
            notes.append(f"{self._nan} voxels were not numbers (NaN) and are shown as air ({AIR_HU} HU).")
        if self._clipped:
            notes.append(f"{self._clipped} voxels beyond the 16-bit range were cut to {INT16_MIN} or {INT16_MAX}.")
        if expect_hu and self._low == self._high:
            notes.append(f"Every voxel has the same value ({int(self._low)}): there is nothing to see in this volume.")
        return notes

    def doubt(self) -> str:
        """Why the values cannot be Hounsfield units, judged by what they are; empty when they can be."""
        low, high = int(self._low), int(self._high)
        if low == high:
            return ""
        if high - low <= 25:
            return (
                f"The values span only {low} to {high}: this looks like a label map or a normalised image, not "
                "Hounsfield units. Windows, measurements and masks expect HU."
            )
        if low >= 0 and high <= 255:
            return (
                f"The values lie between {low} and {high}: this looks like an 8-bit picture or a label map, not "
                "Hounsfield units. Windows, measurements and masks expect HU."
            )
        if shift := offset_of(self.array):
            air, tissue = shift
            where = f"most tissue near {tissue}, where HU have 40"
            if air is not None:
                where = f"air lies near {air} and most tissue near {tissue}, where HU have -1000 and 40"
            return (
                f"The values look shifted by 1024: {where}: the rescale intercept may be "
                f"{'missing' if tissue > 0 else 'applied twice'}. HU, windows and what is judged by them are off by "
                "about 1024."
            )
        if low >= 0:
            return (
                f"No value is below 0 (lowest {low}), while air is about -1000 HU: the rescale intercept may be "
                "missing. HU and windows may be off, most often by 1024."
            )
        below = _below_air(self.array)
        if below > _BELOW_AIR:
            return (
                f"{below:.0%} of the values lie below {_NOTHING_HU} HU, far below air, where nothing is: the rescale "
                "slope or intercept may be wrong. HU and windows cannot be relied on."
            )
        return ""


def _counts(hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each int16 value is there, in a sample, as it is and without padding (lone values far below others)."""
    step = max(1, round((hu.size / _SAMPLE_VOXELS) ** (1 / 3)))
    counts = np.bincount(hu[::step, ::step, ::step].ravel().astype(np.int32) - INT16_MIN, minlength=1 << 16)
    measured, at = counts.copy(), np.flatnonzero(counts)
    while len(at) > 1 and at[1] - at[0] > _GAP_HU and _padding(int(at[0]) + INT16_MIN):
        measured[at[0]] = 0
        at = at[1:]
    return counts, measured


def _below_air(hu: np.ndarray) -> float:
    """Share of voxels lower than anything is; the two commonest values, padding of scanner and converter, left out."""
    counts, _ = _counts(hu)
    below = counts[: _NOTHING_HU - INT16_MIN]
    return float(np.sort(below)[:-2].sum() / counts.sum())


def offset_of(hu: np.ndarray) -> tuple[int | None, int] | None:
    """Where air (None: there is none) and tissue lie in a scan whose values are off by 1024, or None if they are not.

    Padding (one value far below all others) is left out, so that it does not hide that there is no air at -1000. What
    counts is where the tissue is: a scan without air, or a crop of it, is not shifted for that reason.

    Args:
        hu: int16 ``(a, b, c)``.
    """
    whole, counts = _counts(hu)

    def share(low: int, high: int, of: np.ndarray = counts) -> float:
        return float(of[low - INT16_MIN : high + 1 - INT16_MIN].sum()) / of.sum()

    for shift in (1024, -1024):
        tissue = (shift - 130, shift + 230)
        there = share(*tissue) >= 0.05
        missing = share(INT16_MIN, -400) < 0.01 if shift > 0 else share(-200, INT16_MAX) < 0.03
        if there and missing and (shift > 0 or share(-2150, -1850, whole) >= 0.05):
            air = (-1000 + shift - 150, -1000 + shift + 150)
            return _peak(whole if shift < 0 else counts, *air), _peak(counts, *tissue)
    return None


def _padding(value: int) -> bool:
    """A lone value that is no air as phantoms have it."""
    return value < -200 and not -1015 <= value <= -985


def _peak(counts: np.ndarray, low: int, high: int) -> int | None:
    there = counts[low - INT16_MIN : high + 1 - INT16_MIN]
    return low + int(there.argmax()) if there.any() else None
