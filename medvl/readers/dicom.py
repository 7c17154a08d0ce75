"""A DICOM series -> volume: pixels through GDCM (SimpleITK), uneven spacing and gantry tilt made regular.

Decisions:

* A regular series keeps its grid: array axes are columns, rows, slices along the normal.
* A few missing slices are filled, and uneven spacing is made even, by linear interpolation between neighbours.
* Gantry tilt: the slices keep their planes and are shifted within them (linear interpolation), so that the grid is
  upright to its slices. A sheared grid would be exact too, but sagittal and coronal planes would be drawn slanted.
* In both cases positions in mm stay true, and NIfTI exports lie on the new grid.
* The headers of the slices, or of a multi-frame file's frames, go along for DICOM-SEG, which goes back to them, and
  with them which plane of the grid each slice is. A slice that was filled in has none; where the slices were
  interpolated to even spacing, each has the plane next to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from pydicom.uid import UID

from ..errors import CTReadError
from ..volume import DicomReference
from .common import LPS_TO_RAS, Job, Loaded, check_affine, check_bytes, check_size, volume_shape
from .dicom_frames import DamagedFrameError, check_frames
from .dicom_series import BROKEN, Slice, choose, in_order, scan
from .hounsfield import AIR_HU, HounsfieldBuilder
from .itk import quiet_itk

# More than this cannot be guessed from the neighbours; the series is incomplete.
MAX_FILLED_RUN = 3
MAX_FILLED_SHARE = 0.1
_TILT_DEGREES = 0.3


@dataclass(frozen=True)
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
    """Read the largest series of the expected modality.

    Args:
        paths: DICOM files in any order, of one or several series.
        job: limits and hooks.

    Raises:
        CTReadError: see the messages.
    """
    series, refused = scan(paths, job)
    chosen, notes = choose(series, refused, job)
    slices, more = in_order(chosen)
    notes += more
    first = slices[0]
    volume_shape((*first.size, len(slices)), "DICOM series")
    if min(first.spacing) <= 0:
        raise CTReadError("The DICOM header declares a pixel spacing of zero. Correct PixelSpacing.")
    grid = _grid(slices)
    offsets, shifted = _in_plane(slices)
    if any(s.rescale is not None and s.rescale[0] == 0 for s in slices):
        raise CTReadError("The DICOM header declares a rescale slope of zero. Export the series again.")
    if chosen.modality == "CT" and any(s.rescale is None for s in slices):
        notes.append("Slices without rescale slope and intercept: stored values are taken as HU.")

    origin, size = first.position.copy(), np.array(first.size)
    if shifted:
        low, high = np.floor(offsets.min(axis=0) + 1e-3), np.ceil(offsets.max(axis=0) - 1e-3)
        if (high - low > 2 * size).any():
            raise CTReadError("The slices of the DICOM series do not lie above each other. Export the series again.")
        size = size + (high - low).astype(int)
        origin += first.orientation.T @ (low * first.spacing)
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
    if not shifted:  # then all lie on one line, which may lean a little
        whole = slices[-1].position - first.position
        affine[:3, 2] = whole * (grid.step_mm / float(whole @ first.normal))
    affine[:3, 3] = origin
    affine = LPS_TO_RAS @ affine
    notes += grid.notes + check_affine(affine, "DICOM")

    builder = HounsfieldBuilder(shape)
    _fill(builder, slices, grid, offsets if shifted else None, job)
    builder.check()
    frames = None if first.frame is None else tuple(s.frame + 1 for s in slices)
    dicom = DicomReference(tuple(s.header for s in slices), tuple(grid.planes.tolist()), frames, grid.uneven)
    expect_hu = job.expect == "CT" and chosen.modality == "CT"
    return Loaded(builder.array, affine, "DICOM", notes + builder.notes(expect_hu), dicom)


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
    """In-plane offset of each slice from the first one in pixels ``(n, 2)``, and whether it must be taken out."""
    first = slices[0]
    apart = np.stack([s.position - first.position for s in slices])
    offsets = apart @ first.orientation.T / first.spacing  # [n, 2] along columns, rows
    height = apart @ first.normal
    drift_mm = np.abs(offsets * first.spacing).max()
    steady = np.outer(height / height[-1], offsets[-1])
    tilted = drift_mm > np.tan(np.deg2rad(_TILT_DEGREES)) * height[-1] and np.abs(offsets).max() > 0.5
    return offsets, bool(tilted or np.abs(offsets - steady).max() > 0.5)


def _fill(builder: HounsfieldBuilder, slices: list[Slice], grid: _Grid, offsets: np.ndarray | None, job: Job) -> None:
    planes = _planes(slices)
    held: dict[int, np.ndarray] = {}

    def plane(index: int) -> np.ndarray:
        """HU of a source slice ``(columns, rows)`` on the output grid."""
        if index not in held:
            for old in [k for k in held if k < index - 1]:
                del held[old]
            values = planes(index)
            held[index] = values if offsets is None else _shift(values, offsets[index], builder.array.shape[:2])
        return held[index]

    for k, (low, weight) in enumerate(zip(grid.low.tolist(), grid.weight.tolist(), strict=True)):
        job.step(0.3 + 0.7 * k / len(grid.low), "Reading slices")
        values = plane(low)
        if weight:
            values = values.astype(np.float64) * (1 - weight) + plane(low + 1).astype(np.float64) * weight
        builder.put(k, values[:, :, None])


def _shift(values: np.ndarray, offset: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Place ``(columns, rows)`` at a fractional pixel offset on a larger plane of air, by linear interpolation."""
    for axis in (0, 1):
        whole = int(np.floor(offset[axis] + 1e-3))
        part = offset[axis] - whole
        size = list(values.shape)
        size[axis] = shape[axis]
        moved = np.full(size, AIR_HU, dtype=np.float64)
        n = values.shape[axis]
        target = np.moveaxis(moved, axis, 0)
        source = np.moveaxis(values, axis, 0).astype(np.float64)
        if part > 2e-3:
            target[whole + 1 : whole + n] = (1 - part) * source[1:] + part * source[:-1]
            edge = (whole, 0) if part < 0.5 else (whole + n, -1)  # half a pixel at each end: nearest
            target[edge[0]] = source[edge[1]]
        else:
            target[whole : whole + n] = source
        values = moved
    return values


def _planes(slices: list[Slice]) -> Callable[[int], np.ndarray]:
    """A function: index -> HU ``(columns, rows)``."""
    if slices[0].frame is None:
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        return lambda index: _decode(reader, slices[index])
    files: dict[str, tuple[np.ndarray, bool]] = {}

    def frame(index: int) -> np.ndarray:
        item = slices[index]
        if item.path not in files:
            files.clear()
            files[item.path] = _decode_frames(item, {s.rescale for s in slices if s.path == item.path})
        frames, stored = files[item.path]
        values = frames[item.frame].T
        return _scaled(values, item) if stored else values

    return frame


def _decode(reader: sitk.ImageFileReader, item: Slice) -> np.ndarray:
    _check(item)
    if item.inverted:
        return _scaled(_stored(item).T, item)
    reader.SetFileName(item.path)
    with quiet_itk():
        try:
            values = sitk.GetArrayFromImage(reader.Execute())
        except RuntimeError as error:
            raise CTReadError(_explain(item)) from error
    if values.shape != (1, item.size[1], item.size[0]):
        raise CTReadError(f"DICOM slice {item.instance} holds another size than its header says. Export it again.")
    return values[0].T


def _scaled(values: np.ndarray, item: Slice) -> np.ndarray:
    """Stored values -> HU."""
    slope, intercept = item.rescale or (1.0, 0.0)
    return values if (slope, intercept) == (1.0, 0.0) else values * slope + intercept


def _stored(item: Slice) -> np.ndarray:
    """Stored values, by pydicom."""
    try:
        return pydicom.dcmread(item.path).pixel_array
    except (RuntimeError, ValueError, AttributeError, NotImplementedError, EOFError) as error:
        raise CTReadError(_explain(item)) from error


def _decode_frames(item: Slice, rescales: set[tuple[float, float] | None]) -> tuple[np.ndarray, bool]:
    """All frames ``(frames, rows, columns)``, and whether they are stored values that are still to be scaled.

    GDCM applies one slope to all frames and turns MONOCHROME1 over, so pydicom decodes such a file.
    """
    _check(item)
    if len(rescales) == 1 and not item.inverted:
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(item.path)
        with quiet_itk():
            try:
                return sitk.GetArrayFromImage(reader.Execute()), False
            except RuntimeError as error:
                raise CTReadError(_explain(item)) from error
    return _stored(item), True


def _check(item: Slice) -> None:
    """Refuse compressed pixels that would keep the decoder busy, or break it.

    Raises:
        CTReadError: they are not what the header says.
    """
    try:
        check_frames(item.path, UID(item.header.file_meta.TransferSyntaxUID))
    except DamagedFrameError as error:
        raise CTReadError(
            f"DICOM slice {item.instance} is damaged: its compressed picture {error}. Copy or export the series again."
        ) from error
    except BROKEN as error:
        raise CTReadError(_explain(item)) from error


def _explain(item: Slice) -> str:
    syntax = UID(item.header.file_meta.TransferSyntaxUID)
    if syntax.is_transfer_syntax and syntax.is_compressed:
        return (
            f"DICOM slice {item.instance} cannot be decoded: it is damaged, or its compression ({syntax.name}) is not "
            "supported. Export the series uncompressed."
        )
    return f"DICOM slice {item.instance} is damaged or cut short. Copy or export the series again."
