"""The text header of NRRD and MetaImage files, checked before ITK parses it.

ITK's parsers have fixed tables: an NRRD field of some thousand characters, whichever it is, or a MetaImage of 8192
dimensions, ends the process. What no scan has is refused here, with the reason.
"""

from __future__ import annotations

import re

from ..errors import CTReadError

MAX_DIMENSION = 8  # a list axis, a time axis and the three of space fit
MAX_VALUE = 1024  # characters of a field; free text may be longer
MAX_TEXT = 1 << 16
MAX_LINES = 20_000

_NAMES = {"nrrd": "NRRD", "metaimage": "MetaImage"}
_PER_AXIS = {  # NRRD fields with a value for each axis
    "sizes", "spacings", "thicknesses", "axis mins", "axis maxs", "axismins", "axismaxs", "centers", "centerings",
    "labels", "units", "kinds", "space directions", "space units", "space origin",
}  # fmt: skip
_PER_AXIS_META = {  # MetaImage fields -> power of the number of axes
    "DimSize": 1, "ElementSpacing": 1, "ElementSize": 1, "Offset": 1, "Position": 1, "Origin": 1,
    "CenterOfRotation": 1, "TransformMatrix": 2, "Rotation": 2, "Orientation": 2,
}  # fmt: skip
_NRRD_BYTES = {
    1: ("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"),
    2: ("short", "short int", "signed short", "signed short int", "int16", "int16_t", "ushort", "unsigned short",
        "unsigned short int", "uint16", "uint16_t"),
    4: ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"),
    8: ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t",
        "ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t", "double"),
}  # fmt: skip
_META_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 8, "ULONG": 8, "FLOAT": 4, "DOUBLE": 8,
    "LONG_LONG": 8, "ULONG_LONG": 8,
}  # fmt: skip


def check_text_header(lines: list[str], found: str) -> int:
    """Refuse a header that no scan has.

    Args:
        lines: of the header.
        found: ``"nrrd"`` or ``"metaimage"``.

    Returns:
        Bytes of a stored voxel; 8, the most, where the header gives no known type.

    Raises:
        CTReadError: too many dimensions, values or characters.
    """
    what = _NAMES[found]
    if len(lines) > MAX_LINES:
        raise CTReadError(f"The {what} header has more than {MAX_LINES} lines. The file is damaged.")
    fields = _nrrd_fields(lines) if found == "nrrd" else _meta_fields(lines)
    dimension = next((value for key, value in fields if key in ("dimension", "NDims")), "")
    if not re.fullmatch(r"\s*\d{1,4}\s*", dimension):
        raise CTReadError(f"The {what} header does not give its number of dimensions. The file is damaged.")
    axes = int(dimension)
    if not 1 <= axes <= MAX_DIMENSION:
        raise CTReadError(f"The {what} header declares {axes} dimensions; a CT volume has 3. The file is damaged.")
    seen = set()
    for key, value in fields:
        if key in seen and (key in _PER_AXIS or key in _PER_AXIS_META or key in ("dimension", "NDims", "type")):
            raise CTReadError(f"The {what} header gives the same field twice. The file is damaged.")
        seen.add(key)
        known = key in _PER_AXIS or key in _PER_AXIS_META
        if len(value) > (MAX_VALUE if known else MAX_TEXT):
            raise CTReadError(f"A field of the {what} header is {len(value)} characters long. The file is damaged.")
        if known and _count(key, value, found) > axes ** _PER_AXIS_META.get(key, 1):
            raise CTReadError(f"A field of the {what} header has more values than the scan has axes. It is damaged.")
    return _voxel_bytes(dict(reversed(fields)), found)


def _nrrd_fields(lines: list[str]) -> list[tuple[str, str]]:
    fields = []
    for line in lines[1:]:
        free = line.startswith("#") or ":=" in line.partition(": ")[0]  # a comment, or a key of somebody's own
        if len(line) > (MAX_TEXT if free else MAX_VALUE):
            raise CTReadError(f"A line of the NRRD header is {len(line)} characters long. The file is damaged.")
        if free or ": " not in line:
            continue
        key, _, value = line.partition(": ")
        fields.append((key.strip().lower(), value.strip()))
    return fields


def _meta_fields(lines: list[str]) -> list[tuple[str, str]]:
    fields = []
    for line in lines:
        key, equals, value = (*re.split("([=:])", line, maxsplit=1), "", "")[:3]  # MetaIO takes a colon, too
        if len(key) > MAX_VALUE or (not equals and len(line) > MAX_VALUE):
            raise CTReadError("A line of the MetaImage header is too long. The file is damaged.")
        if equals:
            fields.append((key.strip(), value.strip()))
    return fields


def _count(key: str, value: str, found: str) -> int:
    if found == "nrrd" and key in ("labels", "units", "space units"):
        return len(re.findall(r'"(?:[^"\\]|\\.)*"?|\S+', value))
    if key in ("space directions", "space origin"):
        return len(re.findall(r"\([^)]*\)?|none\b", value))
    return len(value.split())


def _voxel_bytes(fields: dict[str, str], found: str) -> int:
    if found == "nrrd":
        stored = " ".join(fields.get("type", "").lower().split())
        return next((size for size, names in _NRRD_BYTES.items() if stored in names), 8)
    return _META_BYTES.get(fields.get("ElementType", "").upper().removeprefix("MET_"), 8) * _channels(fields)


def _channels(fields: dict[str, str]) -> int:
    value = fields.get("ElementNumberOfChannels", "1")
    return min(int(value), 16) if re.fullmatch(r"\d{1,4}", value) and int(value) else 1
