"""NRRD and MetaImage through SimpleITK, after their text header was checked."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager

import numpy as np
import SimpleITK as sitk  # noqa: N813

from ..errors import CTReadError
from .common import LPS_TO_RAS, Job, Loaded, check_affine, check_bytes, check_size, volume_shape
from .hounsfield import HounsfieldBuilder
from .sniff import kind, read_head

_IO = {"nrrd": ("NrrdImageIO", "NRRD"), "metaimage": ("MetaImageIO", "MetaImage")}
_KEY = {
    "nrrd": re.compile(r"^\s*data ?file:\s*(.*)$", re.I),
    "metaimage": re.compile(r"^\s*ElementDataFile\s*=\s*(.*)$"),
}
_HEADER_BYTES = 1 << 20
# NRRD spaces whose axes ITK can turn into left, posterior, superior.
_NRRD_PATIENT = re.compile(r"^(?:3D-)?(?:[LR][AP]S|(?:left|right)-(?:anterior|posterior)-superior)(?:-time)?$", re.I)


@contextmanager
def quiet_itk():
    """Keep ITK's warnings, which can name files, off stderr."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def header_lines(path: str, found: str) -> list[str]:
    """Lines of the text header of an NRRD or MetaImage file.

    Args:
        path: the file.
        found: ``"nrrd"`` or ``"metaimage"``.
    """
    with open(path, "rb") as file:
        text = file.read(_HEADER_BYTES)
    lines = []
    for raw in text.split(b"\n"):
        line = raw.rstrip(b"\r").decode("latin-1")
        if found == "nrrd" and not line:
            break
        lines.append(line)
        if found == "metaimage" and "elementdatafile" in line.lower():
            break
    return lines


def data_file(path: str) -> str | None:
    """Name of the separate data file that a header points to, or None when the data are in the same file.

    A header is strangers' text and ITK would open any path in it, so only a plain name is let through.

    Raises:
        CTReadError: it points to several files, or out of its own folder.
    """
    found = kind(read_head(path))
    key = re.compile("data ?file" if found == "nrrd" else "elementdatafile", re.I)
    lines = [line for line in header_lines(path, found) if key.search(line) and not line.startswith("#")]
    names = [m.group(1).strip() for line in lines if (m := _KEY[found].match(line)) and "\r" not in line]
    if len(names) != len(lines) or len(names) > 1 or (found == "metaimage" and not names):
        raise CTReadError(f"The {_IO[found][1]} header is damaged: it does not say where its voxels are.")
    if not names or names[0].upper() == "LOCAL":
        return None
    name = names[0][2:] if names[0].startswith("./") else names[0]
    if name.upper().startswith("LIST") or "%" in name:
        raise CTReadError(
            "This header spreads the volume over several data files. Save it as one file (.nrrd, .mha or .nii.gz)."
        )
    if not name or name != os.path.basename(name.replace("\\", "/")) or name in (".", ".."):
        raise CTReadError(
            "This header points to a data file in another folder. Put both into one folder, or save one .nrrd or .mha."
        )
    return name


def read_itk(path: str, job: Job, others: Sequence[tuple[str, str]] = ()) -> Loaded:
    """Read one NRRD or MetaImage volume.

    Args:
        path: the file, or its header (.nhdr, .mhd).
        job: limits and hooks.
        others: ``(name, path)`` of files that came with it; a separate data file is looked for there first, then
            beside the header.

    Raises:
        CTReadError: see the messages.
    """
    found = kind(read_head(path))
    name = data_file(path)
    if name is None:
        return _read(path, os.path.getsize(path), found, job)
    data = next((p for n, p in others if n == name), os.path.join(os.path.dirname(os.path.abspath(path)), name))
    if os.path.islink(data) or not os.path.isfile(data):
        raise CTReadError(
            f"This is a {_IO[found][1]} header without its data file. Choose both together, or pack them in a zip."
        )
    size = os.path.getsize(data)
    if os.path.dirname(os.path.abspath(data)) == os.path.dirname(os.path.abspath(path)) and data.endswith(name):
        return _read(path, size, found, job)
    with tempfile.TemporaryDirectory(prefix="medvl-") as folder:  # browser uploads lie in one folder each
        header = os.path.join(folder, "header.nhdr" if found == "nrrd" else "header.mhd")
        with open(path, "rb") as source, open(header, "wb") as target:
            target.write(source.read(_HEADER_BYTES))
        try:
            os.symlink(os.path.abspath(data), os.path.join(folder, name))
        except OSError:  # no symlinks on this file system
            shutil.copyfile(data, os.path.join(folder, name))
        return _read(header, size, found, job)


def _read(path: str, size: int, found: str, job: Job) -> Loaded:
    io, what = _IO[found]
    lines = header_lines(path, found)
    dims = _declared(lines, found, what)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(io)
    reader.SetFileName(path)
    with quiet_itk():
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise CTReadError(_explain(error, what)) from error
        if reader.GetNumberOfComponents() != 1:
            raise CTReadError(
                f"This {what} has {reader.GetNumberOfComponents()} values a voxel (colours or vectors); a CT has one. "
                "Open the original scan."
            )
        shape = volume_shape(reader.GetSize(), what)
        if dims is not None and volume_shape(dims, what) != shape:
            raise CTReadError(f"The {what} header contradicts itself about the size. The file is damaged.")
        check_size(shape, job)
        voxel = _voxel_bytes(reader.GetPixelID(), what)
        total = int(np.prod(shape, dtype=np.int64)) * voxel
        check_bytes(total, job, f"The {what} volume")
        packed = _packed(lines, found)
        if total > (size * 1032 + 4096 if packed else size):
            raise CTReadError(f"The {what} file is cut short: it ends before the last slice. Copy it again.")
        job.step(0.05)
        try:
            image = reader.Execute()
        except (RuntimeError, MemoryError) as error:
            raise CTReadError(_explain(error, what)) from error
    job.step(0.6)
    return _convert(image, shape, lines, found, job)


def _convert(image: sitk.Image, shape: tuple[int, int, int], lines: list[str], found: str, job: Job) -> Loaded:
    what = _IO[found][1]
    axes = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(axes, axes)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    affine = LPS_TO_RAS @ affine
    notes = check_affine(affine, what) + _spacing_notes(lines, found) + _orientation_notes(lines, found)
    slope, intercept = _rescale(lines) if found == "metaimage" else (1.0, 0.0)
    values = sitk.GetArrayViewFromImage(image).reshape(shape[::-1]).T
    builder = HounsfieldBuilder(shape)
    step = max(1, (4 << 20) // (shape[0] * shape[1]))
    for k in range(0, shape[2], step):
        builder.put(k, values[:, :, k : k + step], slope, intercept)
        job.step(0.6 + 0.4 * k / shape[2])
    builder.check()
    return Loaded(builder.array, affine, what, notes + builder.notes(job.expect == "CT"))


def _declared(lines: list[str], found: str, what: str) -> list[int] | None:
    """The size in the header's own words, so that an absurd one is refused before ITK sees it; None if not found."""
    pattern = r"^sizes:\s*(.+)$" if found == "nrrd" else r"^DimSize\s*=\s*(.+)$"
    row = next((m.group(1) for line in lines if (m := re.match(pattern, line))), None)
    try:
        dims = [int(v) for v in row.split()] if row else None
    except ValueError as error:
        raise CTReadError(f"The {what} header gives a size that is not a number. The file is damaged.") from error
    if found == "nrrd" and dims:
        kinds = next((line.split(":", 1)[1].split() for line in lines if line.startswith("kinds:")), [])
        vector = [k for k in kinds if k.lower() not in ("domain", "space", "time", "???", "none")]
        if vector and any(n != 1 for n, k in zip(dims, kinds, strict=False) if k in vector):
            raise CTReadError(
                f"This NRRD has several values a voxel ({vector[0]}): colours or vectors. A CT has one. Open the "
                "original scan."
            )
        if vector:
            return None
    if not dims:
        raise CTReadError(f"The {what} header gives no size. The file is damaged.")
    volume_shape(dims, what)
    return dims


def _voxel_bytes(pixel: int, what: str) -> int:
    size = {
        sitk.sitkInt8: 1, sitk.sitkUInt8: 1, sitk.sitkInt16: 2, sitk.sitkUInt16: 2, sitk.sitkInt32: 4,
        sitk.sitkUInt32: 4, sitk.sitkInt64: 8, sitk.sitkUInt64: 8, sitk.sitkFloat32: 4, sitk.sitkFloat64: 8,
    }.get(pixel)  # fmt: skip
    if size is None:
        raise CTReadError(f"This {what} holds no plain numbers (complex, vector or unknown type). Save it as int16.")
    return size


def _packed(lines: list[str], found: str) -> bool:
    if found == "nrrd":
        encoding = next((line.split(":", 1)[1].strip().lower() for line in lines if line.startswith("encoding:")), "")
        return encoding != "raw"
    return any(re.match(r"^(CompressedData\s*=\s*True|BinaryData\s*=\s*False)", line, re.I) for line in lines)


def _rescale(lines: list[str]) -> tuple[float, float]:
    """MetaImage's slope and offset, which ITK reads but does not apply."""
    values = {"Slope": 1.0, "Offset": 0.0}
    for line in lines:
        if m := re.match(r"^ElementToIntensityFunction(Slope|Offset)\s*=\s*(\S+)", line):
            try:
                values[m.group(1)] = float(m.group(2))
            except ValueError as error:
                raise CTReadError("The MetaImage header gives a slope that is not a number.") from error
    if not np.isfinite(list(values.values())).all() or values["Slope"] == 0:
        raise CTReadError("The MetaImage header gives an impossible intensity slope or offset. Correct the header.")
    return values["Slope"], values["Offset"]


def _spacing_notes(lines: list[str], found: str) -> list[str]:
    """ITK takes 1 mm where the header gives no spacing."""
    given = r"^(spacings|space directions):(?!.*nan)" if found == "nrrd" else r"^Element(Spacing|Size)\s*="
    if any(re.match(given, line, re.I) for line in lines):
        return []
    return [
        f"This {_IO[found][1]} does not give its voxel spacing. 1 mm is assumed along each axis: if that is not so, "
        "shapes, lengths and volumes are wrong."
    ]


def _orientation_notes(lines: list[str], found: str) -> list[str]:
    if found == "nrrd":
        space = next((line.split(":", 1)[1].strip() for line in lines if line.lower().startswith("space:")), "")
        known = bool(_NRRD_PATIENT.match(space))
    else:
        known = any(re.match(r"^(TransformMatrix|Rotation|Orientation)\s*=", line) for line in lines)
    if known:
        return []
    return [
        f"This {_IO[found][1]} does not say how the patient lies in it. Left, posterior, superior axes are assumed: "
        "check left and right, front and back, head and feet."
    ]


def _explain(error: Exception, what: str) -> str:
    text = str(error)
    if "spacing" in text.lower():
        return f"The {what} header declares a voxel spacing of zero. Correct the spacing in the header."
    if "determinant" in text.lower():
        return f"The {what} orientation is impossible: its axes lie in one plane. Correct it in the header."
    if isinstance(error, MemoryError) or "allocat" in text.lower():
        return f"The {what} volume does not fit into memory. Crop it or resample it to thicker slices."
    return f"The {what} file is damaged or cut short, or of a kind that cannot be read. Copy it again or use .nii.gz."
