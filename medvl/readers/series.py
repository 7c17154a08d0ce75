"""Which series each DICOM file of a folder belongs to, from a few fields of its header."""

from __future__ import annotations

from typing import NamedTuple

import pydicom

from .dicom_headers import BROKEN, as_list, coded

_TAGS = ("SOPClassUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "ImageType", "Rows", "PixelSpacing")
_DIRECTORY = "1.2.840.10008.1.3.10"


class SeriesOf(NamedTuple):
    """What tells series apart. Nothing in it is of a person; the identifier is compared and never shown.

    Attributes:
        uid: SeriesInstanceUID; empty where it cannot be read.
        number: SeriesNumber, or ``""``.
        modality: as coded.
        kind: ``"slices"``, ``"localizer"``, ``"directory"`` (a DICOMDIR), ``"other"`` (no image) or ``"damaged"``.
    """

    uid: str
    number: str
    modality: str
    kind: str


DAMAGED = SeriesOf("", "", "", "damaged")


def series_of(path: str) -> SeriesOf:
    """The series of one file; one that cannot be parsed is ``DAMAGED``."""
    try:
        ds = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
        stored = str(ds.get("SOPClassUID") or ds.file_meta.get("MediaStorageSOPClassUID") or "")
        number = ds.get("SeriesNumber")
        if stored == _DIRECTORY:
            kind = "directory"
        elif not ds.get("Rows"):
            kind = "other"
        else:
            parts = [str(part).upper() for part in as_list(ds.get("ImageType"))]
            kind = "localizer" if "LOCALIZER" in parts else "slices"
        uid = str(ds.get("SeriesInstanceUID") or "")
        return SeriesOf(uid, "" if number in (None, "") else str(int(number)), coded(ds.get("Modality")), kind)
    except (*BROKEN, MemoryError):
        return DAMAGED
