"""Which DICOM files make up the volume: headers, series, duplicates, order. No pixels, no names.

Only the tags listed here are ever read, and none of them describes a person. Notes and errors show series numbers,
counts and positions; descriptions, which people fill with names, are not read at all.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from ..errors import CTReadError
from .common import Job
from .dicom_headers import KEPT, as_list, clean_header, coded

_TAGS = (
    *KEPT, "ImageType", "SeriesNumber", "AcquisitionNumber", "SamplesPerPixel", "NumberOfFrames", "RescaleSlope",
    "RescaleIntercept", "PhotometricInterpretation", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_NO_VOLUME = {"SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "RTIMAGE", "SR", "PR", "KO", "REG", "DOC", "OT"}
_SAME_PLACE_MM = 0.01
# pydicom's warnings print the value that does not fit its field, and in a damaged header that can be the whole patient.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
# What pydicom raises on damaged files.
BROKEN = (
    InvalidDicomError, OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, IndexError,
    NotImplementedError, OverflowError, RecursionError, struct.error, zlib.error,
)  # fmt: skip
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_MAX_INFLATED = 64 << 20


@dataclass
class Slice:
    """One source slice.

    Attributes:
        path: file.
        frame: index in a multi-frame file, else None.
        position: LPS mm of the first pixel's centre.
        orientation: ``(2, 3)`` LPS unit vectors along a row and along a column.
        spacing: mm between columns, mm between rows.
        size: columns, rows.
        instance: InstanceNumber, to break ties.
        acquisition: AcquisitionNumber.
        rescale: slope and intercept, or None when the header has none.
        header: de-identified header.
        inverted: MONOCHROME1; only the display is inverted, HU are as everywhere.
    """

    path: str
    frame: int | None
    position: np.ndarray
    orientation: np.ndarray
    spacing: tuple[float, float]
    size: tuple[int, int]
    instance: int
    acquisition: int
    rescale: tuple[float, float] | None
    header: Dataset
    inverted: bool = False

    @property
    def normal(self) -> np.ndarray:
        """Unit vector through the slices."""
        return np.cross(self.orientation[0], self.orientation[1])

    def like(self, other: Slice) -> bool:
        """True if both fit into one volume: size, spacing, orientation; and both or none are frames of a file."""
        return (
            self.size == other.size
            and (self.frame is None) == (other.frame is None)
            and np.allclose(self.spacing, other.spacing, rtol=1e-3)
            and np.allclose(self.orientation, other.orientation, atol=2e-3)
        )


@dataclass
class Series:
    """Slices of one SeriesInstanceUID, localizers apart."""

    uid: str
    number: str
    modality: str
    localizer: bool
    study: str
    slices: list[Slice] = field(default_factory=list)

    def __str__(self) -> str:
        """What may be shown of it."""
        kind = "localizer" if self.localizer else self.modality
        return f"series {self.number} ({len(self.slices)} slice{'s' * (len(self.slices) != 1)}, {kind})"


def scan(paths: list[str], job: Job) -> tuple[list[Series], Counter]:
    """Read all headers.

    Returns:
        The series that have slices with a place in space, and how many files were left out for which reason.
    """
    found: dict[tuple[str, bool], Series] = {}
    refused: Counter = Counter()
    for number, path in enumerate(paths):
        job.step(0.3 * number / len(paths), "Reading headers")
        try:
            _check_deflated(path)
            ds = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
            reason = _refuse(ds)
            slices = [] if reason else _slices(ds, path)
            home = _home(ds)
        except BROKEN:
            reason, slices = "damaged", []
        if not slices:
            refused[reason or "without a position in space"] += 1
            continue
        found.setdefault((home.uid, home.localizer), home).slices += slices
    return list(found.values()), refused


def _check_deflated(path: str) -> None:
    """Bound the memory of a deflated data set, which pydicom and GDCM inflate as a whole."""
    with open(path, "rb") as file:
        if _DEFLATED not in file.read(1024):
            return
        meta = pydicom.filereader.read_file_meta_info(path)
        file.seek(128 + 4 + 12 + int(meta.FileMetaInformationGroupLength))
        if len(zlib.decompressobj(-15).decompress(file.read(), _MAX_INFLATED)) >= _MAX_INFLATED:
            raise ValueError


def _home(ds: Dataset) -> Series:
    localizer = "LOCALIZER" in [str(v).upper() for v in as_list(ds.get("ImageType"))]
    series, study = (str(ds.get(keyword, "")) for keyword in ("SeriesInstanceUID", "StudyInstanceUID"))
    return Series(series, _number(ds), coded(ds.get("Modality")), localizer, study)


def _number(ds: Dataset) -> str:
    try:
        return str(int(ds.SeriesNumber))
    except (AttributeError, TypeError, ValueError):
        return "without number"


def _refuse(ds: Dataset) -> str | None:
    if str(ds.get("Modality", "")) in _NO_VOLUME:
        return "not images of a scan"
    if not ds.get("SOPClassUID") or not ds.get("Rows"):
        declared = ds.get("SOPClassUID") or ds.file_meta.get("MediaStorageSOPClassUID") or ""
        return "damaged" if "Image Storage" in UID(declared).name else "not images of a scan"
    if int(ds.get("SamplesPerPixel") or 1) != 1:
        return "in colour"
    return None


def _slices(ds: Dataset, path: str) -> list[Slice]:
    if "PerFrameFunctionalGroupsSequence" not in ds:
        if "ImagePositionPatient" not in ds or "ImageOrientationPatient" not in ds or "PixelSpacing" not in ds:
            return []
        if int(ds.get("NumberOfFrames") or 1) > 1:
            return []
        slope = ds.get("RescaleSlope")
        rescale = None if slope in (None, "") else (float(slope), float(ds.get("RescaleIntercept") or 0))
        return [_slice(ds, path, None, ds, ds, ds, rescale)]
    shared = (ds.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    slices = []
    for index, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):

        def group(name: str, frame: Dataset = frame) -> Dataset:
            return ((frame.get(name) or shared.get(name)) or [Dataset()])[0]

        value = group("PixelValueTransformationSequence")
        slope = value.get("RescaleSlope")
        rescale = None if slope in (None, "") else (float(slope), float(value.get("RescaleIntercept") or 0))
        place, plane, measure = (
            group(n) for n in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        )
        slices.append(_slice(ds, path, index, place, plane, measure, rescale))
    return slices


def _slice(
    ds: Dataset,
    path: str,
    frame: int | None,
    place: Dataset,
    plane: Dataset,
    measure: Dataset,
    rescale: tuple[float, float] | None,
) -> Slice:
    position = np.array([float(v) for v in place.ImagePositionPatient])
    orientation = np.array([float(v) for v in plane.ImageOrientationPatient]).reshape(2, 3)
    between_rows, between_columns = (float(v) for v in measure.PixelSpacing)
    numbers = (*position, *orientation.ravel(), between_rows, between_columns, *(rescale or ()))
    if position.shape != (3,) or not np.isfinite(numbers).all():
        raise ValueError
    lengths = np.linalg.norm(orientation, axis=1)
    if (np.abs(lengths - 1) > 0.01).any() or abs(orientation[0] @ orientation[1]) > 0.01:
        raise ValueError
    return Slice(
        path,
        frame,
        position,
        orientation / lengths[:, None],
        (between_columns, between_rows),
        (int(ds.Columns), int(ds.Rows)),
        int(ds.get("InstanceNumber") or 0) if frame is None else frame,
        int(ds.get("AcquisitionNumber") or 0),
        rescale,
        clean_header(ds, *(() if frame is None else (place, plane, measure))),
        str(ds.get("PhotometricInterpretation", "")) == "MONOCHROME1",
    )


def choose(series: list[Series], refused: Counter, job: Job) -> tuple[Series, list[str]]:
    """The series to open: most slices of the expected modality, localizers last; and notes.

    Raises:
        CTReadError: no series is a volume.
    """
    scans = [s for s in series if not s.localizer]
    if not scans:
        raise CTReadError(_nothing(series, refused))
    wanted = [s for s in scans if s.modality == job.expect] or scans
    best = max(wanted, key=lambda s: (len(s.slices), s.number))
    notes = []
    others = [s for s in series if s is not best]
    if others:
        listed = ", ".join(str(s) for s in sorted(others, key=lambda s: -len(s.slices))[:8])
        more = f" and {len(others) - 8} more" if len(others) > 8 else ""
        notes.append(f"Of {len(series)} series, the largest was opened: {best}. Not opened: {listed}{more}.")
    if len({s.study for s in series}) > 1:
        notes.append("The files come from more than one study. Open one study at a time to be sure of the patient.")
    left = {reason: n for reason, n in refused.items() if reason != "not images of a scan"}
    if left:
        notes.append("Files left out: " + ", ".join(f"{n} {reason}" for reason, n in left.items()) + ".")
    if job.expect and best.modality != job.expect:
        notes.append(
            f"This is {best.modality}, not {job.expect}. Its values are not Hounsfield units: windows, measurements "
            "and masks were made for CT and cannot be relied on."
        )
    return best, notes


def _nothing(series: list[Series], refused: Counter) -> str:
    if series:
        return "These DICOM files are localizers (scout views) only. Choose the series with the slices."
    if set(refused) == {"in colour"}:
        return "These DICOM images are in colour, such as screen captures; a CT has grey values. Choose the CT series."
    if set(refused) == {"not images of a scan"}:
        return "These DICOM files hold no image slices (reports, structures, a directory). Choose the CT series."
    reasons = ", ".join(f"{n} {reason}" for reason, n in refused.items()) or "none"
    return f"None of the DICOM files is a slice of a scan ({reasons}). Choose the CT series."


def in_order(series: Series) -> tuple[list[Slice], list[str]]:
    """The slices of one volume along their normal, each place once; and notes.

    Raises:
        CTReadError: fewer than two slices.
    """
    notes: list[str] = []
    groups: list[list[Slice]] = []
    for item in series.slices:
        home = next((g for g in groups if g[0].like(item)), None)
        groups.append([item]) if home is None else home.append(item)
    slices = max(groups, key=len)
    if len(groups) > 1:
        notes.append(
            f"{len(series.slices) - len(slices)} slices of the series have another size, spacing, direction or kind of "
            "file and were left out."
        )
    seen = {(s.header.get("SOPInstanceUID"), s.frame): s for s in reversed(slices)}
    copies = len(slices) - len(seen)
    normal = slices[0].normal
    slices = sorted(seen.values(), key=lambda s: (float(s.position @ normal), s.acquisition, s.instance))
    if copies:
        notes.append(f"{copies} duplicate slice{'s were' if copies > 1 else ' was'} dropped.")
    unique = _first_of_place(slices, normal)
    if len(unique) < len(slices):
        acquisitions: dict[int, list[Slice]] = {}
        for item in slices:
            acquisitions.setdefault(item.acquisition, []).append(item)
        number, best = max(acquisitions.items(), key=lambda kv: (len(_first_of_place(kv[1], normal)), -kv[0]))
        best = _first_of_place(best, normal)
        if len(acquisitions) > 1 and len(best) >= 0.9 * len(unique):
            notes.append(
                f"The series holds {len(acquisitions)} scans of the same region; acquisition {number} was opened "
                f"({len(best)} slices)."
            )
            unique = best
        else:
            notes.append(
                f"{len(slices) - len(unique)} slices lie at the place of another one; the first of each place, by "
                "instance number, was kept."
            )
    if len(unique) < 2:
        raise CTReadError(
            "This is a single DICOM slice; a CT volume has many. Choose the whole folder of the series, or a zip of it."
        )
    return unique, notes


def _first_of_place(slices: list[Slice], normal: np.ndarray) -> list[Slice]:
    kept: list[Slice] = []
    for item in slices:
        if not kept or float((item.position - kept[-1].position) @ normal) > _SAME_PLACE_MM:
            kept.append(item)
    return kept
