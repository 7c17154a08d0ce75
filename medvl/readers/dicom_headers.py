"""DICOM header fields, read so that a damaged one costs itself and not the file; and headers without a person.

pydicom converts a value when it is asked for and raises on one that does not fit its field. Here such a field is as if
it were absent, so that a UID with letters or a decimal comma where nothing depends on it never sinks a slice.
"""

from __future__ import annotations

import re
import struct
import unicodedata
import zlib

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID, ImplicitVRLittleEndian
from pydicom.valuerep import DSfloat

# pydicom's warnings print the value that does not fit its field, and in a damaged header that can be the whole patient.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
# What pydicom raises on damaged files.
BROKEN = (
    InvalidDicomError, BytesLengthException, OSError, EOFError, ValueError, TypeError, KeyError, AttributeError,
    IndexError, NotImplementedError, OverflowError, RecursionError, struct.error, zlib.error,
)  # fmt: skip
# What goes on to a DICOM-SEG: identifiers of study, series and slice, and geometry.
KEPT = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
    "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness",
    "SpacingBetweenSlices", "InstanceNumber",
)  # fmt: skip
EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
# Read only to keep their words out of a series' description, then forgotten.
PEOPLE = (
    "PatientName", "PatientID", "PatientBirthDate", "OtherPatientNames", "OtherPatientIDs", "AccessionNumber",
    "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "RequestingPhysician", "InstitutionName",
)  # fmt: skip
UNKNOWN = "unknown modality"
_GEOMETRY = {
    "PixelSpacing": 2, "ImageOrientationPatient": 6, "ImagePositionPatient": 3, "SliceThickness": 1,
    "SpacingBetweenSlices": 1,
}  # fmt: skip
_TEXT_LENGTH = 64
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2},\d{3}")


def as_list(value: object) -> list:
    """A multi-valued field as a list, empty when absent."""
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str | bytes | float | int) else list(value)


def field(ds: Dataset, keyword: str) -> object:
    """A field's value; None when it is absent, empty or not what the field holds."""
    try:
        value = ds.get(keyword)
    except BROKEN:
        return None
    return None if value is None or value == "" else value


def numbers(ds: Dataset, keyword: str) -> list[float] | None:
    """The numbers of a field, with a decimal comma read as a point; None when it is absent or empty.

    Raises:
        ValueError: it holds something else.
    """
    try:
        values = as_list(ds.get(keyword))
    except BROKEN:
        raw = ds.get_item(keyword).value
        if not isinstance(raw, bytes):
            raise ValueError from None
        values = raw.decode("latin-1").strip(" \0").split("\\")
        if keyword.startswith("Rescale") and any(_THOUSANDS.fullmatch(v.strip()) for v in values):
            raise ValueError from None  # -1,024: a thousand, or one
    found = [float(v.strip().replace(",", ".")) if isinstance(v, str) else float(v) for v in values]
    if not np.isfinite(found).all():
        raise ValueError
    return found or None


def number(ds: Dataset, keyword: str) -> float | None:
    """The first number of a field that can be done without; None when there is none."""
    try:
        found = numbers(ds, keyword)
    except BROKEN:
        return None
    return found[0] if found else None


def text(ds: Dataset, keyword: str) -> str:
    """A field as text, several values joined by a backslash; empty when there is none."""
    try:
        return "\\".join(str(v).strip() for v in as_list(field(ds, keyword))).strip("\0 ")
    except BROKEN:
        return ""


def item(ds: Dataset, keyword: str) -> Dataset:
    """The first item of a sequence, empty when there is none."""
    found = field(ds, keyword)
    return found[0] if isinstance(found, pydicom.Sequence) and len(found) else Dataset()


def coded(value: object) -> str:
    """A coded string, or ``UNKNOWN``: a field that someone filled with text is not shown."""
    return str(value) if value and re.fullmatch(r"[A-Z]{2,4}", str(value)) else UNKNOWN


def free_text(ds: Dataset, keyword: str, whole: Dataset | None = None) -> str:
    """A field of free text in one line; empty when it holds a word of a field of ``whole`` that names a person."""
    shown = "".join(c if c.isprintable() else " " for c in text(ds, keyword))
    shown = " ".join(shown.split())[:_TEXT_LENGTH]
    named = _words(" ".join(text(whole or ds, person) for person in PEOPLE))
    return "" if "^" in shown or any(word in _words(shown) or word in _plain(shown) for word in named) else shown


def contrast_of(ds: Dataset) -> str:
    """The contrast agent that a header says was given, ``"given"`` where it names none, "" where it says nothing."""
    listed = item(ds, "ContrastBolusAgentSequence")
    if len(listed):
        return free_text(listed, "CodeMeaning", ds) or "given"
    agent = free_text(ds, "ContrastBolusAgent")
    if re.fullmatch(r"(no|non|none|n/?a|nil|not? (given|used)|without.*|unenhanced|[0-]+)( contrast.*)?", agent, re.I):
        return ""
    return "given" if re.fullmatch(r"y|yes|contrast|given|true|1", agent, re.I) else agent


def _words(value: str) -> set[str]:
    return {word for word in re.split(r"[\W_]+", _plain(value)) if len(word) > 2}


def _plain(value: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", value.casefold()) if not unicodedata.combining(c))


def clean_header(ds: Dataset, *groups: Dataset) -> Dataset:
    """A data set with ``KEPT`` only, the patient's fields present and empty.

    Values are parsed and written anew: a damaged header can hold a name inside of a UID or a number. A field that does
    not hold what it should is left out; a DICOM-SEG that needs it is refused then, and nothing else.

    Args:
        ds: a slice, or a multi-frame file.
        groups: functional groups of one frame of that file; what they hold goes before what the file holds.
    """
    clean = Dataset()
    for keyword in KEPT:
        for group in (*groups, ds):
            try:
                value = _value(group, keyword)
            except BROKEN:
                continue
            if value is not None:
                setattr(clean, keyword, value)
                break
    for keyword in EMPTY:
        setattr(clean, keyword, "")
    clean.file_meta = FileMetaDataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if keyword in clean:
            setattr(clean.file_meta, f"MediaStorage{keyword}", clean[keyword].value)
    clean.file_meta.TransferSyntaxUID = transfer_syntax(ds)
    return clean


def _value(ds: Dataset, keyword: str) -> object:
    if keyword.endswith("UID"):
        value = field(ds, keyword)
        return None if value is None else _uid(value)
    if keyword == "Modality":
        value = field(ds, keyword)
        return None if value is None else coded(value) if coded(value) != UNKNOWN else "OT"
    values = numbers(ds, keyword)
    if values is None:
        return None
    if keyword not in _GEOMETRY:
        return int(values[0])
    if len(values) != _GEOMETRY[keyword]:
        return None
    values = [DSfloat(v, auto_format=True) for v in values]
    return values if len(values) > 1 else values[0]


def transfer_syntax(ds: Dataset) -> UID:
    """How the file is encoded; implicit little endian where it does not say."""
    try:
        return _uid(ds.file_meta.get("TransferSyntaxUID") or ImplicitVRLittleEndian)
    except (AttributeError, ValueError):
        return ImplicitVRLittleEndian


def _uid(value: object) -> UID:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", str(value)) or len(str(value)) > 64:
        raise ValueError
    return UID(str(value))
