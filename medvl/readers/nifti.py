"""NIfTI-1 and NIfTI-2 in one file, plain or gzip, streamed slab by slab into int16."""

from __future__ import annotations

import gzip
import os
import zlib
from typing import BinaryIO

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from ..ct.geometry import nifti_geometry
from ..errors import CTReadError
from .common import Job, Loaded, check_affine, check_size, volume_shape
from .hounsfield import HounsfieldBuilder

_COLOUR, _NOT_REAL = (128, 2304), (1, 32, 1536, 1792, 2048)
_UNITS_MM = {1: (1000.0, "metres"), 3: (0.001, "micrometres")}
_SLAB_BYTES = 8 << 20
_MAX_OFFSET = 64 << 20
_TRUNCATED = "The NIfTI file is cut short: it ends before the last slice. Download or copy it again."


def read_nifti(path: str, job: Job, data: str | None = None) -> Loaded:
    """Read one NIfTI volume.

    Args:
        path: ``.nii`` or ``.nii.gz``, told apart by content; or the header of a pair.
        job: limits and hooks.
        data: the voxels of a pair (``.img``), plain or gzip.

    Raises:
        CTReadError: see the messages.
    """
    try:
        with _opened(path) as file:
            header = _header(file)
            if data is None:
                return _read(file, header, os.path.getsize(path), int(header.sizeof_hdr), job)
        with _opened(data) as file:
            return _read(file, header, os.path.getsize(data), 0, job)
    except EOFError as error:
        raise CTReadError(_TRUNCATED) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise CTReadError("The .nii.gz file is damaged (gzip error). Download or copy it again.") from error


def _opened(path: str) -> BinaryIO:
    with open(path, "rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    return gzip.GzipFile(path, "rb") if zipped else open(path, "rb")


def _header(file: BinaryIO) -> nib.Nifti1Header:
    start = _exactly(file, 348)
    second = 540 in (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big"))
    block = start + _exactly(file, 540 - 348) if second else start
    try:
        return (nib.Nifti2Header if second else nib.Nifti1Header)(block, check=False)
    except (HeaderDataError, ValueError) as error:
        raise CTReadError("The NIfTI header is damaged. Download or copy the file again.") from error


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _fill(file: BinaryIO, view: memoryview) -> None:
    done = 0
    while done < len(view):
        count = file.readinto(view[done : done + _SLAB_BYTES])
        if not count:
            raise EOFError
        done += count


def _read(file: BinaryIO, header: nib.Nifti1Header, size: int, at: int, job: Job) -> Loaded:
    """The volume of ``file``, of ``size`` bytes as stored, which stands ``at`` so many bytes now."""
    zipped = isinstance(file, gzip.GzipFile)
    count = int(header["dim"][0])
    if not 1 <= count <= 7:
        raise CTReadError(f"The NIfTI header declares {count} dimensions. The file is damaged.")
    code = int(header["datatype"])
    if code in _COLOUR:
        raise CTReadError("This NIfTI holds colours (RGB); a CT has one grey value a voxel. Open the original scan.")
    shape = volume_shape(header["dim"][1 : count + 1].tolist(), "NIfTI")
    try:
        dtype = header.get_data_dtype()
    except (HeaderDataError, KeyError):
        dtype = None
    if dtype is None or code in _NOT_REAL or dtype.kind not in "iuf":
        raise CTReadError(f"The NIfTI data type {code} is not one of a CT. Save the scan as int16.")
    check_size(shape, job)
    affine, notes = _affine(header)
    slope, intercept = _scaling(header)

    voxels = int(np.prod(shape, dtype=np.int64))
    offset = float(header["vox_offset"])
    # After the header of a single file come four bytes at least; a pair's voxels have no such.
    least = 0 if at == 0 else at + 4
    start = (int(offset) or least) if np.isfinite(offset) and 0 <= offset <= _MAX_OFFSET else -1
    if start < least:
        raise CTReadError("The NIfTI header has an impossible data offset. The file is damaged.")
    # Deflate cannot shrink by more than 1032 to 1, so a header that claims more lies, or the file is cut short.
    if start + voxels * dtype.itemsize > (size * 1032 + 4096 if zipped else size):
        raise CTReadError(_TRUNCATED)
    _exactly(file, start - at)

    builder = HounsfieldBuilder(shape)
    plane = shape[0] * shape[1]
    step = max(1, _SLAB_BYTES // (plane * dtype.itemsize))
    direct = dtype.kind == "i" and dtype.itemsize == 2 and slope == 1.0 and intercept == 0.0
    flat = builder.array.reshape(-1, order="F")
    buffer = None if direct else np.empty(plane * min(step, shape[2]), dtype)
    for k in range(0, shape[2], step):
        n = min(step, shape[2] - k)
        part = flat[plane * k : plane * (k + n)] if direct else buffer[: plane * n]
        _fill(file, memoryview(part).cast("B") if direct else memoryview(part.view(np.uint8)))
        if direct:
            if not dtype.isnative:
                part.byteswap(inplace=True)
            builder.seen(k, k + n)
        else:
            builder.put(k, part.reshape((shape[0], shape[1], n), order="F"), slope, intercept)
        job.step((k + n) / shape[2])
    if zipped:
        notes += _check_end(file)
    builder.check()
    expect_hu = job.expect == "CT"
    doubt = (_intent_doubt(header) or builder.doubt()) if expect_hu else ""
    notes += builder.notes(expect_hu)
    return Loaded(builder.array, affine, "NIfTI", notes, nifti=nifti_geometry(header), hu_note=doubt)


def _intent_doubt(header: nib.Nifti1Header) -> str:
    """Why the values are no Hounsfield units, where the header says what they are for."""
    intent = int(header["intent_code"])
    what = "labels" if intent == 1002 else "statistics" if 2 <= intent <= 24 else ""
    if not what:
        return ""
    return (
        f"The header says that the values are {what} (intent code {intent}), not Hounsfield units. Windows, "
        "measurements and masks expect HU."
    )


def _check_end(file: BinaryIO) -> list[str]:
    """Read on to the check sum of a gzip stream, unless much follows the volume; returns notes.

    Raises:
        gzip.BadGzipFile, zlib.error, EOFError: the stream that held the volume is damaged.
    """
    try:
        for _ in range(8):
            if not file.read(_SLAB_BYTES // 8):
                break
    except gzip.BadGzipFile as error:
        # Raised where another member would begin, so the check sum before it was right.
        if not str(error).startswith("Not a gzipped file"):
            raise
        return ["Bytes that belong to no scan follow the compressed volume; they were left out."]
    return []


def _scaling(header: nib.Nifti1Header) -> tuple[float, float]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite(slope) or slope == 0:  # NIfTI: no scaling
        return 1.0, 0.0
    return slope, intercept if np.isfinite(intercept) else 0.0


def _affine(header: nib.Nifti1Header) -> tuple[np.ndarray, list[str]]:
    zooms = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    sform = header.get_sform() if int(header["sform_code"]) > 0 else None
    usable = sform is not None and np.isfinite(sform).all() and abs(np.linalg.det(sform[:3, :3])) >= 1e-9
    good = bool(np.isfinite(zooms).all() and (zooms > 0).all())
    shown = " x ".join(f"{z:g}" for z in zooms)
    if not good and not usable:
        raise CTReadError(f"The NIfTI header declares voxels of {shown}. Correct the spacing (pixdim) in the header.")
    notes = [] if good else [f"The header declares voxels of {shown} (pixdim); its sform gives the spacing instead."]
    qform = _qform(header) if good else None
    if sform is not None and (usable or qform is None):
        affine = sform
        if qform is not None and not _same_grid(sform, qform, header["dim"][1:4]):
            notes.append("The sform and qform of this NIfTI differ; the sform gives the orientation.")
        if good and usable:
            notes += _scale_notes(sform, zooms)
    elif qform is not None:
        affine = qform
        if not np.isfinite(qform).all():
            raise CTReadError("The NIfTI orientation (qform) is damaged. Correct it in the header.")
        if sform is not None:
            notes.append("The sform of this NIfTI is empty or damaged; its qform gives the orientation.")
    else:
        affine = header.get_base_affine()
        notes.append(
            "This NIfTI does not say how the patient lies in it (no sform, no qform). The usual radiological order "
            "is assumed: check left and right, front and back, head and feet."
        )
    affine = np.array(affine, dtype=np.float64)
    unit = int(header["xyzt_units"]) & 7
    if unit in _UNITS_MM and np.isfinite(affine).all():
        factor, name = _UNITS_MM[unit]
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        if (spacing * factor > 100).any() or (spacing * factor < 0.005).any():
            notes.append(f"The header gives {name} but its numbers only make sense in mm; mm are used.")
        else:
            affine[:3] *= factor
            notes.append(f"The header gives {name}; positions were converted to mm.")
    return affine, check_affine(affine, "NIfTI") + notes


def _scale_notes(sform: np.ndarray, zooms: np.ndarray) -> list[str]:
    """Tell where the sform's steps are not the voxel sizes of pixdim: a volume is wrong by one of them."""
    steps = np.linalg.norm(sform[:3, :3], axis=0)
    if np.allclose(steps, zooms, rtol=0.01):
        return []
    factor = float(np.prod(zooms) / abs(np.linalg.det(sform[:3, :3])))
    each, other = (" x ".join(f"{v:.4g}" for v in sizes) for sizes in (steps, zooms))
    return [
        f"The header contradicts itself about the size of a voxel: {each} by its sform, which is used, and {other} by "
        f"pixdim. If pixdim is right, lengths are wrong and volumes have to be multiplied by {factor:.3g}."
    ]


def _qform(header: nib.Nifti1Header) -> np.ndarray | None:
    """The qform's affine, not finite when it is damaged, or None when the header has none."""
    if int(header["qform_code"]) <= 0:
        return None
    header = header.copy()
    if header["pixdim"][0] not in (-1, 1):
        header["pixdim"][0] = 1  # the standard: a qfac of 0 counts as 1
    try:
        return header.get_qform()
    except (HeaderDataError, ValueError, np.linalg.LinAlgError):
        return np.full((4, 4), np.nan)


def _same_grid(first: np.ndarray, second: np.ndarray, dims: np.ndarray) -> bool:
    """True if the corners of the grid agree within half a voxel; a damaged one agrees with nothing."""
    corners = np.stack(np.meshgrid(*[(0, int(n) - 1) for n in dims], indexing="ij"), axis=-1).reshape(-1, 3)
    apart = corners @ (first - second)[:3, :3].T + (first - second)[:3, 3]
    return bool(np.abs(apart).max() <= 0.5 * np.linalg.norm(first[:3, :3], axis=0).min())
