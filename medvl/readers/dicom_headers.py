"""De-identified DICOM headers: identifiers and geometry, parsed and written anew; nothing of a person."""

from __future__ import annotations

import re

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ImplicitVRLittleEndian
from pydicom.valuerep import DSfloat

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
UNKNOWN = "unknown modality"


def as_list(value: object) -> list:
    """A multi-valued field as a list, empty when absent."""
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str | float | int) else list(value)


def coded(value: object) -> str:
    """A coded string, or ``UNKNOWN``: a field that someone filled with text is not shown."""
    return str(value) if value and re.fullmatch(r"[A-Z]{2,4}", str(value)) else UNKNOWN


def clean_header(ds: Dataset, *groups: Dataset) -> Dataset:
    """A data set with ``KEPT`` only, the patient's fields present and empty.

    Values are parsed and written anew: a damaged header can hold a name inside of a UID or a number.

    Args:
        ds: a slice, or a multi-frame file.
        groups: functional groups of one frame of that file; what they hold goes before what the file holds.

    Raises:
        ValueError: a value is not what its field holds.
    """
    clean = Dataset()
    for keyword in KEPT:
        found = (group.get(keyword) for group in (*groups, ds))
        value = next((v for v in found if v is not None and v != ""), None)
        if value is None:
            continue
        if keyword.endswith("UID"):
            value = _uid(value)
        elif keyword == "Modality":
            value = coded(value) if coded(value) != UNKNOWN else "OT"
        elif keyword in ("Rows", "Columns", "InstanceNumber"):
            value = int(value)
        else:
            numbers = [DSfloat(float(v), auto_format=True) for v in as_list(value)]
            value = numbers if len(numbers) > 1 else numbers[0]
        setattr(clean, keyword, value)
    for keyword in EMPTY:
        setattr(clean, keyword, "")
    clean.file_meta = FileMetaDataset()
    clean.file_meta.MediaStorageSOPClassUID = clean.SOPClassUID
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    clean.file_meta.TransferSyntaxUID = _uid(ds.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian))
    return clean


def _uid(value: object) -> UID:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", str(value)) or len(str(value)) > 64:
        raise ValueError
    return UID(str(value))
