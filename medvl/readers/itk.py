"""NRRD and MetaImage through SimpleITK, after their text header was checked."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import contextmanager

import numpy as np
import SimpleITK as sitk  # noqa: N813

from ..errors import CTReadError
from .beside import beside, named, nearest
from .common import LPS_TO_RAS, MAX_SPACING_MM, Job, Loaded, check_affine, check_bytes, check_size, volume_shape
from .hounsfield import HounsfieldBuilder
from .sniff import kind, read_head

_IO = {"nrrd": ("NrrdImageIO", "NRRD"), "metaimage": ("MetaImageIO", "MetaImage")}
_KEY = {
    "nrrd": re.compile(r"^\s*data ?file:\s*(.*)$", re.I),
    "metaimage": re.compile(r"^\s*ElementDataFile\s*=\s*(.*)$"),
}
_HEADER_BYTES = 1 << 20
_HEADER_END = {
    "nrrd": re.compile(rb"\r?\n\r?\n"),
    "metaimage": re.compile(rb"^\s*ElementDataFile[ \t]*=[^\n]*\n", re.I | re.M),
}
_PACKED_BYTES = 1 << 20  # read at once
_CUT_SHORT = "The {} file is cut short: it ends before the last slice. Copy it again."
_LENGTHS = {  # mm; an empty unit and a question mark say nothing
    "": 1.0, "?": 1.0, "???": 1.0, "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "centimeter": 10.0,
    "centimetre": 10.0, "m": 1000.0, "meter": 1000.0, "metre": 1000.0, "um": 1e-3, "\N{MICRO SIGN}m": 1e-3,
    "\N{GREEK SMALL LETTER MU}m": 1e-3, "micron": 1e-3, "micrometer": 1e-3, "micrometre": 1e-3, "nm": 1e-6,
}  # fmt: skip
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
        line = raw.rstrip(b"\r").decode("latin-1")  # one character a byte; names are decoded where they are used
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
    spelt = [name.encode("latin-1").decode(coding, "replace") for coding in ("utf-8", "cp1252", "latin-1")]
    data = named(spelt, nearest(path, others or beside(path)))
    if data is None or os.path.islink(data) or not os.path.isfile(data):
        raise CTReadError(
            f"This is a {_IO[found][1]} header without its data file. Choose both together, or pack them in a zip."
        )
    size = os.path.getsize(data)
    with tempfile.TemporaryDirectory(prefix="medvl-") as folder:
        # Uploads lie in one folder each, and a name with other letters than ASCII is spelt in more than one way.
        header = os.path.join(folder, "header.nhdr" if found == "nrrd" else "header.mhd")
        plain = "voxels" + "".join(c for c in os.path.splitext(data)[1] if c.isascii())
        with open(path, "rb") as source, open(header, "wb") as target:
            target.write(_with_data_file(source.read(_HEADER_BYTES), found, plain.encode()))
        try:
            os.symlink(os.path.abspath(data), os.path.join(folder, plain))
        except OSError:  # no symlinks on this file system
            shutil.copyfile(data, os.path.join(folder, plain))
        return _read(header, size, found, job)


def _with_data_file(text: bytes, found: str, name: bytes) -> bytes:
    """The header with another name of its data file."""
    key = rb"^(\s*data ?file:[ \t]*)[^\r\n]*" if found == "nrrd" else rb"^(\s*ElementDataFile[ \t]*=[ \t]*)[^\r\n]*"
    return re.sub(key, lambda m: m.group(1) + name, text, count=1, flags=re.I | re.M)


def _read(path: str, size: int, found: str, job: Job) -> Loaded:
    lines = header_lines(path, found)
    kinds = _kinds_without_list(lines) if found == "nrrd" else None
    if kinds is None:
        return _read_checked(path, size, found, lines, job)
    with tempfile.TemporaryDirectory(prefix="medvl-") as folder:
        changed = os.path.join(folder, os.path.basename(path) if path.isascii() else "scan.nrrd")
        _copy_with_kinds(path, changed, kinds)
        name = data_file(path)
        if name is not None:
            os.symlink(os.path.join(os.path.dirname(path), name), os.path.join(folder, name))
        return _read_checked(changed, size, found, header_lines(changed, found), job)


def _kinds_without_list(lines: list[str]) -> list[str] | None:
    """Kinds of axes that ITK understands, where the fourth axis is of one entry and called otherwise; else None."""
    fields = _fields(lines)
    sizes = fields.get("sizes", "").split()
    kinds = fields.get("kinds", "").split() or ["domain"] * len(sizes)
    directions = re.findall(r"\([^)]*\)|none", fields.get("space directions", ""), re.I)
    if not len(sizes) == len(kinds) == len(directions) == 4 or sizes.count("1") != 1:
        return None
    axis = sizes.index("1")
    if directions[axis].lower() != "none":  # a space of four dimensions, which ITK reads
        return None
    spatial = ("domain", "space", "time", "???", "none")
    if kinds[axis].lower() not in spatial or not all(k.lower() in spatial for k in kinds):
        return None
    return ["list" if n == axis else "domain" for n in range(4)]


def _copy_with_kinds(path: str, target: str, kinds: list[str]) -> None:
    with open(path, "rb") as source, open(target, "wb") as out:
        while (line := source.readline(_HEADER_BYTES)).strip():
            if not re.match(rb"kinds:", line, re.I):
                out.write(line)
        out.write(f"kinds: {' '.join(kinds)}\n".encode() + line)
        shutil.copyfileobj(source, out)


def _fields(lines: list[str]) -> dict[str, str]:
    """Fields of an NRRD header, keys in lower case."""
    pairs = (line.split(":", 1) for line in lines[1:] if ":" in line and ":=" not in line and line[:1] != "#")
    return {key.strip().lower(): value.strip() for key, value in pairs}


def _read_checked(path: str, size: int, found: str, lines: list[str], job: Job) -> Loaded:
    io, what = _IO[found]
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
        shape = volume_shape([reader.GetSize()[axis] for axis in _axes(reader.GetSize())], what)
        if volume_shape(dims, what) != shape:
            raise CTReadError(f"The {what} header contradicts itself about the size. The file is damaged.")
        check_size(shape, job)
        voxel = _voxel_bytes(reader.GetPixelID(), what)
        total = int(np.prod(shape, dtype=np.int64)) * voxel
        check_bytes(total, job, f"The {what} volume")
        packed = _packed(lines, found)
        if total > (size * 1032 + 4096 if packed else size):
            raise CTReadError(_CUT_SHORT.format(what))
        job.step(0.05)
        if _is_deflated(lines, found):
            values = _inflated(path, lines, found, reader.GetPixelID(), total, job)
        else:
            try:
                image = reader.Execute()  # has to live as long as what is seen of it
                values = sitk.GetArrayViewFromImage(image)
            except (RuntimeError, MemoryError) as error:
                raise CTReadError(_explain(error, what)) from error
    job.step(0.6)
    notes = [] if packed or data_file(path) is None else _length_notes(lines, found, size, total)
    return _convert(reader, values.reshape(shape[::-1]).T, notes, lines, found, job)


def _inflated(path: str, lines: list[str], found: str, pixel: int, total: int, job: Job) -> np.ndarray:
    """Voxels of a compressed file: ITK takes a damaged stream, or one of unknown length, as it comes out."""
    name, what = data_file(path), _IO[found][1]
    with open(path if name is None else os.path.join(os.path.dirname(path), name), "rb") as file:
        skip = next((int(m.group(1)) for line in lines if (m := re.match(r"^HeaderSize\s*=\s*(\d+)\s*$", line))), 0)
        head = _HEADER_END[found].search(file.read(_HEADER_BYTES)) if name is None else None
        file.seek(skip if head is None else head.end())
        voxels, at, stream = np.empty(total, np.uint8), 0, zlib.decompressobj(47)  # with zlib's header, or gzip's
        try:
            while at < total and (part := stream.unconsumed_tail or file.read(_PACKED_BYTES)):
                plain = stream.decompress(part, total - at)
                voxels[at : at + len(plain)] = np.frombuffer(plain, np.uint8)
                at += len(plain)
                job.step(0.05 + 0.5 * at / total)
                if stream.eof:
                    break
            while not stream.eof and (part := stream.unconsumed_tail or file.read(_PACKED_BYTES)):
                if stream.decompress(part, 1):  # nothing but the check sum may follow
                    raise zlib.error
        except zlib.error as error:
            raise CTReadError(_explain(error, what)) from error
    if at < total or not stream.eof:
        raise CTReadError(_CUT_SHORT.format(what))
    big = any(_says(lines, field, "True") for field in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"))
    big = big if found == "metaimage" else _fields(lines).get("endian", "").lower() == "big"
    kind = np.dtype(_STORED[_SCALAR.get(pixel, pixel)]).newbyteorder(">" if big else "<")
    return voxels.view(kind)


def _is_deflated(lines: list[str], found: str) -> bool:
    """Whether the voxels are one stream of zlib or gzip from their beginning on."""
    if found == "metaimage":
        return _says(lines, "CompressedData", "True")
    fields = _fields(lines)
    skips = [fields.get(key, "0") for key in ("byte skip", "byteskip", "line skip", "lineskip")]
    return fields.get("encoding", "").lower() in ("gzip", "gz") and set(skips) == {"0"}


def _length_notes(lines: list[str], found: str, size: int, total: int) -> list[str]:
    """What a separate data file has beyond the voxels: whoever wrote the header may have forgotten a skip."""
    pattern = r"^(byte|line) ?skip:\s*\S" if found == "nrrd" else r"^HeaderSize\s*="
    if size == total or any(re.match(pattern, line, re.I) for line in lines):
        return []
    return [
        f"The data file is {size - total} bytes longer than the {_IO[found][1]} header says. If they stand before the "
        "voxels, the picture is shifted: check it, and say so in the header."
    ]


def _says(lines: list[str], field: str, value: str) -> bool:
    return any(re.match(rf"^\s*{field}\s*=\s*{value}\s*$", line, re.I) for line in lines)


def _axes(size: Sequence[int]) -> list[int]:
    """Axes that stay: of four or more all that have more than one entry, where these are three."""
    several = [axis for axis, n in enumerate(size) if n != 1]
    return several if len(size) > 3 and len(several) == 3 else list(range(len(size)))


def _convert(
    image: sitk.ImageFileReader, values: np.ndarray, notes: list[str], lines: list[str], found: str, job: Job
) -> Loaded:
    """The volume of stored values ``(i, j, k)`` and of the geometry that ITK has read."""
    what, shape = _IO[found][1], values.shape
    axes, kept = image.GetDimension(), _axes(image.GetSize())[:3]
    direction = np.array(image.GetDirection()).reshape(axes, axes)[np.ix_(kept, kept)]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(image.GetSpacing())[kept]
    affine[:3, 3] = np.array(image.GetOrigin())[kept]
    affine, units = _in_mm(affine, lines, found)
    affine = LPS_TO_RAS @ affine
    notes = notes + units + check_affine(affine, what) + _spacing_notes(lines, found) + _orientation_notes(lines, found)
    slope, intercept = _rescale(lines) if found == "metaimage" else (1.0, 0.0)
    builder = HounsfieldBuilder(shape)
    step = max(1, (4 << 20) // (shape[0] * shape[1]))
    for k in range(0, shape[2], step):
        builder.put(k, values[:, :, k : k + step], slope, intercept)
        job.step(0.6 + 0.4 * k / shape[2])
    builder.check()
    expect_hu = job.expect == "CT"
    doubt = (_modality_doubt(lines, found) or builder.doubt()) if expect_hu else ""
    return Loaded(builder.array, affine, what, notes + builder.notes(expect_hu), hu_note=doubt)


def _declared(lines: list[str], found: str, what: str) -> list[int]:
    """The size in the header's own words, so that an absurd one is refused before ITK sees it."""
    pattern = r"^DimSize\s*=\s*(.+)$"
    row = next((m.group(1) for line in lines if (m := re.match(pattern, line))), None)
    row = _fields(lines).get("sizes") if found == "nrrd" else row
    try:
        dims = [int(v) for v in row.split()] if row else None
    except ValueError as error:
        raise CTReadError(f"The {what} header gives a size that is not a number. The file is damaged.") from error
    if found == "nrrd" and dims:
        _check_nrrd(lines)
        kinds = _fields(lines).get("kinds", "").split()
        vector = [k for k in kinds if k.lower() not in ("domain", "space", "time", "???", "none")]
        if vector and any(n != 1 for n, k in zip(dims, kinds, strict=False) if k in vector):
            raise CTReadError(
                f"This NRRD has several values a voxel ({vector[0]}): colours or vectors. A CT has one. Open the "
                "original scan."
            )
    if not dims:
        raise CTReadError(f"The {what} header gives no size. The file is damaged.")
    dims = [dims[axis] for axis in _axes(dims)]
    volume_shape(dims, what)
    return dims


def _check_nrrd(lines: list[str]) -> None:
    """Refuse with its reason what NRRD has and ITK does not read.

    Raises:
        CTReadError: a packing, a grid or a byte order that is not read here.
    """
    fields = _fields(lines)
    encoding = fields.get("encoding", "").lower()
    if encoding in ("bzip2", "bz2"):
        raise CTReadError("This NRRD is packed with bzip2, which is not read here. Save it with gzip, or unpacked.")
    if encoding == "raw" and "endian" not in fields and not re.search(r"char|int8|block", fields.get("type", "")):
        raise CTReadError("The NRRD header does not give the byte order of its voxels (endian). Correct the header.")
    spaced = {"spacings", "space directions"} & fields.keys()
    if not spaced and {"axis mins", "axis maxs", "axismins", "axismaxs"} & fields.keys():
        raise CTReadError(
            "This NRRD gives its grid by the ends of its axes (axis mins, axis maxs), which is not read here. Save it "
            "with spacings or space directions."
        )


def _modality_doubt(lines: list[str], found: str) -> str:
    """Why the values are no Hounsfield units, where the header names what made them."""
    key = r"Modality\s*=\s*MET_MOD_" if found == "metaimage" else r"modality:=\s*"
    pattern = rf"^{key}([A-Z]{{2,4}})\s*$"
    named = next((m.group(1).upper() for line in lines if (m := re.match(pattern, line, re.I))), "CT")
    if named not in ("MR", "NM", "PT", "PET", "US"):
        return ""
    return (
        f"This is {named}, not CT. Its values are not Hounsfield units: windows, measurements and masks were made for "
        "CT and cannot be relied on."
    )


def _voxel_bytes(pixel: int, what: str) -> int:
    stored = _STORED.get(_SCALAR.get(pixel, pixel))
    if stored is None:
        raise CTReadError(f"This {what} holds no plain numbers (complex, vector or unknown type). Save it as int16.")
    return np.dtype(stored).itemsize


_STORED = {
    sitk.sitkInt8: "i1", sitk.sitkUInt8: "u1", sitk.sitkInt16: "i2", sitk.sitkUInt16: "u2", sitk.sitkInt32: "i4",
    sitk.sitkUInt32: "u4", sitk.sitkInt64: "i8", sitk.sitkUInt64: "u8", sitk.sitkFloat32: "f4", sitk.sitkFloat64: "f8",
}  # fmt: skip


# ITK calls a list axis of one entry a vector of one component.
_SCALAR = {
    getattr(sitk, f"sitkVector{kind}"): getattr(sitk, f"sitk{kind}")
    for kind in (
        "Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float32", "Float64",
    )
}  # fmt: skip


def _in_mm(affine: np.ndarray, lines: list[str], found: str) -> tuple[np.ndarray, list[str]]:
    """Positions in mm where the header gives another unit of length, which ITK does not look at; and notes.

    Raises:
        CTReadError: a unit that is no known length.
    """
    factors, names = _units(lines, found)
    if (factors == 1).all():
        return affine, []
    what, converted = _IO[found][1], affine.copy()
    converted[:3] *= factors[:, None]
    sizes = np.linalg.norm(converted[:3, :3], axis=0)
    if sizes.max() > MAX_SPACING_MM or sizes.min() < 0.005:
        return affine, [f"The {what} header gives {names} but its numbers only make sense in mm; mm are used."]
    return converted, [f"The {what} header gives {names}; positions were converted to mm."]


def _units(lines: list[str], found: str) -> tuple[np.ndarray, str]:
    """Mm of each axis of space, and what the header calls them."""
    if found == "metaimage":
        pattern = r"^\s*(?:DistanceUnits|ElementSpacingUnits)\s*=\s*(\S+)"
        given = [m.group(1) for line in lines if (m := re.match(pattern, line, re.I))][:1] * 3
    else:
        fields = _fields(lines)
        given = _words(fields.get("space units", ""))
        if not given:
            given, sizes = _words(fields.get("units", "")), fields.get("sizes", "").split()
            if len(given) == len(sizes) and all(n.isdigit() for n in sizes):
                given = [given[axis] for axis in _axes([int(n) for n in sizes])]
    if not given:
        return np.ones(3), "no unit"
    given = [word.strip().lower().removesuffix("s") if len(word.strip()) > 2 else word.strip() for word in given]
    unknown = [word for word in given if word not in _LENGTHS]
    if unknown or len(given) < 3:
        raise CTReadError(
            f"The {_IO[found][1]} header gives its positions in a unit that is no known length. Write them in mm and "
            'say so in the header ("mm").'
        )
    factors = np.array([_LENGTHS[word] for word in given[:3]])
    return factors, ", ".join(dict.fromkeys(word or "no unit" for word in given[:3]))


def _words(value: str) -> list[str]:
    """Quoted strings, or words, of an NRRD field."""
    value = value.encode("latin-1").decode("utf-8", "replace")
    return re.findall(r'"([^"]*)"', value) if '"' in value else value.split()


def _packed(lines: list[str], found: str) -> bool:
    if found == "nrrd":
        return _fields(lines).get("encoding", "").lower() != "raw"
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
