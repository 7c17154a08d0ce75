"""A DICOM series -> volume: stored values -> HU, uneven spacing and gantry tilt made regular.

Decisions:

* A regular series keeps its grid: array axes are columns, rows, slices along the normal.
* A few missing slices are filled, and uneven spacing is made even, by linear interpolation between neighbours.
* Gantry tilt: the slices keep their planes and are shifted within them (linear interpolation), so that the grid is
  upright to its slices. A sheared grid would be exact too, but sagittal and coronal planes would be drawn slanted.
* In both cases positions in mm stay true, and NIfTI exports lie on the new grid.
* The headers of the slices, or of a multi-frame file's frames, go along for DICOM-SEG, which goes back to them, and
  with them which plane of the grid each slice is. A slice that was filled in has none; where the slices were
  interpolated to even spacing, each has the plane next to it.
* Padding (PixelPaddingValue) has no value: it is air where it stands, and no neighbour is blended with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ct.volume import DicomReference
from ..errors import CTReadError
from .common import LPS_TO_RAS, Job, Loaded, check_affine, check_bytes, check_size, volume_shape
from .dicom_parts import same_place_mm
from .dicom_pixels import Decoder, check_bits
from .dicom_series import choose, repeated
from .dicom_slices import Slice, scan
from .hounsfield import AIR_HU, HounsfieldBuilder

# More than this cannot be guessed from the neighbours; the series is incomplete.
MAX_FILLED_RUN = 3
MAX_FILLED_SHARE = 0.1
_MAX_LEAN = 0.5  # pixels that slices may be shifted against each other without being moved


@dataclass(frozen=True, eq=False)
class _Grid:
    """Where each output slice comes from: between source slices ``low`` and ``low + 1``, by ``weight``.

    ``planes``: the output slice that each source slice is, or lies next to if the spacing was ``uneven``.
    """

    low: np.ndarray
    weight: np.ndarray
    step_mm: float
    notes: list[str]
    planes: np.ndarray
    uneven: bool = False


def read_dicom(paths: list[str], job: Job) -> Loaded:
    """Read the series that was asked for, or the largest of the expected modality.

    Args:
        paths: DICOM files in any order, of one or several series.
        job: limits and hooks.

    Raises:
        CTReadError: see the messages.
    """
    series, refused = scan(paths, job)
    chosen, choices, notes = choose(series, refused, job)
    slices = _each_place_once(chosen.part.slices)
    first = slices[0]
    volume_shape((*first.size, len(slices)), "DICOM series")
    if min(first.spacing) <= 0:
        raise CTReadError("The DICOM header declares a pixel spacing of zero. Correct PixelSpacing.")
    for item in slices:
        check_bits(item)
    grid = _grid(slices)
    offsets, shifted = _in_plane(slices)
    if any(s.slope == 0 for s in slices):
        raise CTReadError("The DICOM header declares a rescale slope of zero. Export the series again.")
    if chosen.series.modality == "CT":
        notes += _rescale_notes(slices)
    if lossy := sum(s.pixels.lossy for s in slices):
        who = "The slices were" if lossy == len(slices) else f"{lossy} slice{'s were' if lossy > 1 else ' was'}"
        notes.append(f"{who} compressed with loss: fine detail and HU are not quite those that were measured.")

    low = (offsets.min(axis=0) + offsets.max(axis=0)) / 2  # unmoved slices lie at most half of _MAX_LEAN beside it
    size = np.array(first.size)
    if shifted:
        low, high = np.floor(offsets.min(axis=0) + 1e-3), np.ceil(offsets.max(axis=0) - 1e-3)
        if (high - low > 2 * size).any():
            raise CTReadError("The slices of the DICOM series do not lie above each other. Export the series again.")
        size = size + (high - low).astype(int)
        offsets = offsets - low
        notes.append(
            "The slices are shifted against each other (gantry tilt): they were moved within their planes to an "
            "upright grid. Positions in mm are true."
        )
    shape = volume_shape((*size.tolist(), len(grid.low)), "DICOM series")
    check_size(shape, job)
    check_bytes(2 * int(np.prod(shape, dtype=np.int64)), job, "The DICOM volume")

    affine = np.eye(4)
    affine[:3, 0] = first.orientation[0] * first.spacing[0]
    affine[:3, 1] = first.orientation[1] * first.spacing[1]
    affine[:3, 2] = first.normal * grid.step_mm
    affine[:3, 3] = first.position + first.orientation.T @ (low * first.spacing)
    affine = LPS_TO_RAS @ affine
    notes += grid.notes + check_affine(affine, "DICOM")

    builder = HounsfieldBuilder(shape)
    padding = _fill(builder, slices, grid, offsets if shifted else None, job)
    builder.check()
    if padding:
        notes.append(f"{padding} voxels outside the scanned field (PixelPaddingValue) are shown as air ({AIR_HU} HU).")
    doubt = _doubt(chosen.series.modality, slices, builder, job)
    frames = None if first.frame is None else tuple(s.frame + 1 for s in slices)
    reason = _no_segmentation(slices)
    headers = tuple(s.header for s in slices)
    dicom = DicomReference(headers, tuple(grid.planes.tolist()), frames, grid.uneven, reason)
    told = {"series_description": chosen.choice.description, "contrast": chosen.series.contrast}
    notes += builder.notes(bool(job.expect))
    return Loaded(builder.array, affine, "DICOM", notes, dicom, hu_note=doubt, series=tuple(choices), **told)


def _each_place_once(slices: list[Slice]) -> list[Slice]:
    """Slices along their normal; a part holds no two at a place."""
    heights = np.array([float(s.position @ slices[0].normal) for s in slices])
    if len(slices) < 2 or heights[-1] - heights[0] <= same_place_mm(heights):
        raise CTReadError(
            "This is a single DICOM slice; a CT volume has many. Choose the whole folder of the series, or a zip of it."
        )
    return slices


def _rescale_notes(slices: list[Slice]) -> list[str]:
    """What was taken where the header does not say how stored values become HU."""
    notes = []
    neither = sum(s.slope is None and s.intercept is None for s in slices)
    slope = sum(s.slope is None for s in slices) - neither
    intercept = sum(s.intercept is None for s in slices) - neither
    for count, what in (
        (neither, "without rescale slope and intercept: stored values are taken as HU"),
        (slope, "without rescale slope: it is taken as 1"),
        (intercept, "without rescale intercept: it is taken as 0"),
    ):
        if count:
            who = "Slices" if count == len(slices) else f"{count} slice{'s' * (count > 1)}"
            notes.append(f"{who} {what}.")
    return notes


def _doubt(modality: str, slices: list[Slice], builder: HounsfieldBuilder, job: Job) -> str:
    """Why the values are no Hounsfield units, or empty."""
    if not job.expect:
        return ""
    if modality != job.expect:
        return (
            f"This is {modality}, not {job.expect}. Its values are not Hounsfield units: windows, measurements and "
            "masks were made for CT and cannot be relied on."
        )
    unit = next((s.unit for s in slices if s.unit), "")
    if unit:
        return (
            f"The header says that the values of this scan are no Hounsfield units ({unit}): no HU can be told of it, "
            "and windows and masks, which were made for HU, cannot be relied on."
        )
    without = sum(s.intercept is None for s in slices)
    if job.expect == "CT" and 0 < without < len(slices):
        return (
            f"{without} of {len(slices)} slices have no rescale intercept while the others have one: what their stored "
            "values mean is not known, and HU of them cannot be relied on."
        )
    return builder.doubt() if job.expect == "CT" else ""


def _no_segmentation(slices: list[Slice]) -> str:
    """Why no DICOM-SEG can refer to the slices, or empty."""
    if repeated(slices):
        return (
            "Several slices of this series bear the same identifier (SOPInstanceUID), so a DICOM-SEG cannot refer to "
            "them. Export NIfTI instead."
        )
    if any("SOPInstanceUID" not in s.header or "SOPClassUID" not in s.header for s in slices):
        return (
            "Slices of this series have no valid identifier (SOPInstanceUID), so a DICOM-SEG cannot refer to them. "
            "Export NIfTI instead."
        )
    return ""


def _grid(slices: list[Slice]) -> _Grid:
    """Even spacing along the normal.

    Raises:
        CTReadError: too much is missing.
    """
    normal = slices[0].normal
    at = np.array([float((s.position - slices[0].position) @ normal) for s in slices])
    gaps = np.diff(at)
    n = len(at)
    even = at[-1] * np.arange(n) / (n - 1)
    step = at[-1] / (n - 1)
    if np.abs(at - even).max() <= max(0.05, 0.02 * step):
        return _Grid(np.arange(n), np.zeros(n), step, [], np.arange(n))
    step = float(np.sort(gaps)[(n - 2) // 2])
    steps = np.maximum(np.rint(gaps / step), 1)
    missing = int((steps - 1).sum())

    def where(index: int) -> str:
        if abs(normal[2]) < 0.7:
            return f"between {at[index]:.1f} and {at[index + 1]:.1f} mm from the first slice"
        ends = sorted(float(slices[i].position[2]) for i in (index, index + 1))
        return f"between z = {ends[0]:.1f} and {ends[1]:.1f} mm"

    worst = int(steps.argmax())
    if steps.max() - 1 > MAX_FILLED_RUN or missing > max(MAX_FILLED_RUN, MAX_FILLED_SHARE * n):
        raise CTReadError(
            f"The DICOM series is incomplete or uneven: about {missing} slices are missing, {int(steps[worst]) - 1} of "
            f"them {where(worst)}. Too many to fill in: upload the whole series."
        )
    exact = np.abs(gaps - steps * step) <= max(0.1, 0.1 * step)
    uneven = not (exact.all() and missing)
    if not uneven:
        index = np.concatenate([[0], np.cumsum(steps)]).astype(int)
        step, planes = float(at[-1] / index[-1]), index
        target = np.interp(np.arange(index[-1] + 1), index, at)
        holes = "; ".join(where(i) for i in np.flatnonzero(steps > 1)[:5])
        notes = [
            f"{missing} slice{'s are' if missing > 1 else ' is'} missing ({holes}) and filled in by interpolation. "
            "A DICOM-SEG leaves out what lies there."
        ]
    else:
        planes = np.rint(at / step).astype(int)  # the last plane may lie a little beyond the last slice
        target = np.arange(planes[-1] + 1) * step
        notes = [
            f"The slices are unevenly spaced ({gaps.min():.2f} to {gaps.max():.2f} mm) and were interpolated to "
            f"{step:.2f} mm. A DICOM-SEG gives each slice the mask of the plane next to it."
        ]
    low = np.clip(np.searchsorted(at, target + 1e-6, side="right") - 1, 0, n - 1)
    following = np.minimum(low + 1, n - 1)
    weight = np.divide(target - at[low], at[following] - at[low], out=np.zeros(len(target)), where=following > low)
    weight[weight < 1e-4] = 0
    return _Grid(low, weight, step, notes, planes, uneven)


def _in_plane(slices: list[Slice]) -> tuple[np.ndarray, bool]:
    """In-plane offset of each slice from the first one in pixels ``(n, 2)``, and whether it must be taken out.

    A smaller one is not worth an interpolation, and it does not lean the grid either: a grid whose axes are not at
    right angles is one that ITK and what is built on it refuse.
    """
    first = slices[0]
    apart = np.stack([s.position - first.position for s in slices])
    offsets = apart @ first.orientation.T / first.spacing  # [n, 2] along columns, rows
    return offsets, bool(np.ptp(offsets, axis=0).max() > _MAX_LEAN)


def _fill(builder: HounsfieldBuilder, slices: list[Slice], grid: _Grid, offsets: np.ndarray | None, job: Job) -> int:
    """Put every slice of the grid; returns how many voxels of the source slices are padding."""
    held: dict[int, np.ndarray] = {}
    blends = offsets is not None or bool(grid.weight.any())
    padded = 0

    def plane(index: int) -> np.ndarray:
        """HU of a source slice ``(columns, rows)`` on the output grid; NaN is no value where slices are blended."""
        nonlocal padded
        if index not in held:
            for old in [k for k in held if k < index - 1]:
                del held[old]
            stored, padding = decoder.read(slices[index])
            values = _scaled(stored, slices[index])
            if padding is not None:
                padded += int(np.count_nonzero(padding))
                values = values.astype(np.float64) if blends else np.array(values)
                values[padding] = np.nan if blends else AIR_HU
            held[index] = values if offsets is None else _shift(values, offsets[index], builder.array.shape[:2])
        return held[index]

    with Decoder() as decoder:
        for k, (low, weight) in enumerate(zip(grid.low.tolist(), grid.weight.tolist(), strict=True)):
            job.step(0.3 + 0.7 * k / len(grid.low), "Reading slices")
            values = plane(low)
            if weight:
                values = _blend(values.astype(np.float64), plane(low + 1).astype(np.float64), weight)
            if blends:
                values = np.where(np.isnan(values), AIR_HU, values)
            builder.put(k, values[:, :, None])
    return padded


def _scaled(stored: np.ndarray, item: Slice) -> np.ndarray:
    """Stored values -> HU; a slope that the header does not give is 1, an intercept 0."""
    slope, intercept = 1.0 if item.slope is None else item.slope, item.intercept or 0.0
    if slope == 1.0 and intercept.is_integer() and stored.dtype.itemsize <= 2 and abs(intercept) < 1 << 24:
        return stored.astype(np.int32) + int(intercept) if intercept else stored
    return stored * slope + intercept


def _blend(a: np.ndarray, b: np.ndarray, weight: float) -> np.ndarray:
    """``a`` and ``b`` weighted by ``1 - weight`` and ``weight``; where one has no value, the nearer one as it is."""
    mixed = a * (1 - weight) + b * weight
    nearer = a if weight < 0.5 else b
    return np.where(np.isnan(mixed), nearer, mixed)


def _shift(values: np.ndarray, offset: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Place ``(columns, rows)`` at a fractional pixel offset on a larger plane of no values, interpolated linearly."""
    for axis in (0, 1):
        whole = int(np.floor(offset[axis] + 1e-3))
        part = offset[axis] - whole
        size = list(values.shape)
        size[axis] = shape[axis]
        moved = np.full(size, np.nan, dtype=np.float64)
        n = values.shape[axis]
        target = np.moveaxis(moved, axis, 0)
        source = np.moveaxis(values, axis, 0).astype(np.float64)
        if part > 2e-3:
            target[whole + 1 : whole + n] = _blend(source[1:], source[:-1], part)
            edge = (whole, 0) if part < 0.5 else (whole + n, -1)  # half a pixel at each end: nearest
            target[edge[0]] = source[edge[1]]
        else:
            target[whole : whole + n] = source
        values = moved
    return values
