"""The slices of DICOM files: where each lies, what its values mean, and what tells it from others. No pixels, no names.

Only the fields listed here are ever read. Those that can name a person serve to keep such words out of a series'
description and are forgotten. Notes and errors show series numbers, counts and positions only.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from .common import Job
from .dicom_headers import (
    BROKEN,
    KEPT,
    PEOPLE,
    as_list,
    clean_header,
    coded,
    contrast_of,
    free_text,
    item,
    number,
    numbers,
    text,
    transfer_syntax,
)
from .dicom_headers import field as field_of

# What can tell two scans of one region apart, in the order in which it is believed: name, fields of a slice or of a
# frame's groups. Times and counters come last: they often differ within one scan, too.
TELLING: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("temporal position", ("TemporalPositionIndex", "TemporalPositionIdentifier")),
    ("cardiac phase", ("NominalPercentageOfCardiacPhase",)),
    ("respiratory phase", ("NominalPercentageOfRespiratoryPhase",)),
    ("trigger time", ("NominalCardiacTriggerDelayTime", "TriggerTime", "NominalRespiratoryTriggerDelayTime")),
    ("temporal offset", ("TemporalPositionTimeOffset",)),
    ("acquisition", ("FrameAcquisitionNumber", "AcquisitionNumber")),
    ("series number", ("SeriesNumber",)),
    ("kernel", ("ConvolutionKernel",)),
    ("reconstruction", ("ReconstructionAlgorithm", "FilterType", "ReconstructionDiameter")),
    ("image type", ("FrameType", "ImageType")),
    ("unit", ("RescaleType",)),
    ("tube voltage", ("KVP",)),
    ("echo", ("EchoNumbers", "EchoTime", "EffectiveEchoTime")),
    ("inversion time", ("InversionTime",)),
    ("diffusion weighting", ("DiffusionBValue",)),
    ("flip angle", ("FlipAngle",)),
    ("sequence", ("SequenceName",)),
    ("slice thickness", ("SliceThickness",)),
    ("contrast", ("ContrastBolusAgent", "ContrastBolusStartTime")),
    ("stack", ("StackID",)),
    ("acquisition identifier", ("AcquisitionUID", "IrradiationEventUID")),
    ("study", ("StudyInstanceUID",)),
    ("frame of reference", ("FrameOfReferenceUID",)),
    ("series description", ("SeriesDescription",)),
    ("comment", ("ImageComments", "FrameComments")),
    ("derivation", ("DerivationDescription",)),
    ("protocol", ("ProtocolName",)),
    ("scan options", ("ScanOptions",)),
    ("acquisition time", ("FrameAcquisitionDateTime", "AcquisitionDateTime")),
    ("acquisition time of day", ("AcquisitionTime",)),
    ("reference time", ("FrameReferenceDateTime", "FrameReferenceTime")),
    ("content time", ("ContentTime",)),
    ("creation time", ("InstanceCreationTime",)),
    ("date", ("AcquisitionDate", "ContentDate", "InstanceCreationDate")),
    ("series time", ("SeriesDate", "SeriesTime")),
)
_TEXT = {
    "ConvolutionKernel", "ReconstructionAlgorithm", "FilterType", "FrameType", "ImageType", "RescaleType",
    "SequenceName", "ContrastBolusAgent", "StackID", "AcquisitionUID", "IrradiationEventUID", "StudyInstanceUID",
    "FrameOfReferenceUID", "SeriesDescription", "ImageComments", "FrameComments", "DerivationDescription",
    "ProtocolName", "ScanOptions",
}  # fmt: skip
# Functional groups of a frame that hold such fields.
_GROUPS = (
    "FrameContentSequence", "CardiacSynchronizationSequence", "RespiratorySynchronizationSequence",
    "TemporalPositionSequence", "CTReconstructionSequence", "CTImageFrameTypeSequence", "CTXRayDetailsSequence",
    "CTAcquisitionDetailsSequence", "PixelValueTransformationSequence", "PixelMeasuresSequence",
    "IrradiationEventIdentificationSequence", "ContrastBolusUsageSequence",
)  # fmt: skip
_TAGS = (
    *KEPT, *PEOPLE, *(keyword for _, keywords in TELLING for keyword in keywords), "SamplesPerPixel", "NumberOfFrames",
    "ContrastBolusAgentSequence",
    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "RealWorldValueMappingSequence", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "LossyImageCompression", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PhotometricInterpretation", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_NO_VOLUME = {"SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "RTIMAGE", "SR", "PR", "KO", "REG", "DOC", "OT"}
_PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
# Multi-frame images whose frames this reader would take for a CT's.
_ENHANCED = {
    "1.2.840.10008.5.1.4.1.1.4.1": "Enhanced MR", "1.2.840.10008.5.1.4.1.1.4.2": "MR spectroscopy",
    "1.2.840.10008.5.1.4.1.1.4.3": "Enhanced MR", "1.2.840.10008.5.1.4.1.1.4.4": "Enhanced MR",
}  # fmt: skip
# Tags of FloatPixelData and DoubleFloatPixelData in both byte orders.
_FLOAT_PIXELS = {bytes.fromhex(tag) for tag in ("e07f0800", "e07f0900", "7fe00008", "7fe00009")}
_LOSSY = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless}
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_MAX_INFLATED = 64 << 20


class Pixels(NamedTuple):
    """How the voxels of a file are stored.

    Attributes:
        syntax: transfer syntax.
        offset: of the PixelData element's tag in the file.
        frames: in the file.
        bits_allocated: of a voxel.
        bits_stored: of these that hold the value.
        high_bit: the highest of them.
        signed: two's complement.
        padding: lowest and highest stored value that mean "no value here", or None; 16-bit words may be given for
            signed voxels.
        lossy: the header, or the transfer syntax, says that they were compressed with loss.
    """

    syntax: UID
    offset: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    padding: tuple[int, int] | None
    lossy: bool


@dataclass(eq=False)
class Slice:
    """One source slice.

    Attributes:
        path: file.
        frame: index in a multi-frame file, else None.
        position: LPS mm of the first pixel's centre.
        orientation: ``(2, 3)`` LPS unit vectors along a row and along a column.
        spacing: mm between columns, mm between rows.
        size: columns, rows.
        instance: InstanceNumber, and the frame's; 0 where there is none.
        identifier: SOPInstanceUID as it stands, valid or not; for comparing only.
        slope: RescaleSlope, or None when the header has none.
        intercept: RescaleIntercept, or None.
        header: de-identified header.
        pixels: how its voxels are stored.
        tags: what tells it apart, by name as in ``TELLING``; never shown as it is.
        unit: what the values are if they are no Hounsfield units, else empty.
    """

    path: str
    frame: int | None
    position: np.ndarray
    orientation: np.ndarray
    spacing: tuple[float, float]
    size: tuple[int, int]
    instance: int
    identifier: str
    slope: float | None
    intercept: float | None
    header: Dataset
    pixels: Pixels
    tags: dict[str, object] = field(default_factory=dict)
    unit: str = ""

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
    description: str = ""
    contrast: str = ""
    slices: list[Slice] = field(default_factory=list)

    def __str__(self) -> str:
        """What a note may show of it."""
        kind = "localizer" if self.localizer else self.modality
        return f"series {self.number} ({len(self.slices)} slice{'s' * (len(self.slices) != 1)}, {kind})"


def scan(paths: list[str], job: Job) -> tuple[list[Series], Counter]:
    """Read all headers.

    Returns:
        The series that have slices with a place in space, and how many files were left out for which reason.
    """
    found: dict[tuple[str, bool], Series] = {}
    refused: Counter = Counter()
    for index, path in enumerate(paths):
        job.step(0.3 * index / len(paths), "Reading headers")
        try:
            _check_deflated(path)
            with open(path, "rb") as file:
                ds = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
                offset = file.tell()
                floats = file.read(4) in _FLOAT_PIXELS
            reason = _refuse(ds) or ("with floating-point voxels" if floats else None)
            slices = [] if reason else _slices(ds, path, offset)
            home = _home(ds)
        except BROKEN:
            reason, slices = "damaged", []
        if not slices:
            refused[reason or "without a position in space"] += 1
            continue
        untold = slices[0].pixels.frames - len(slices)
        if untold > 0:
            refused["frames without a position in space"] += untold
        found.setdefault((home.uid, home.localizer), home).slices += slices
    return list(found.values()), refused


def _check_deflated(path: str) -> None:
    """Bound the memory of a deflated data set, which pydicom inflates as a whole."""
    with open(path, "rb") as file:
        if _DEFLATED not in file.read(1024):
            return
        meta = pydicom.filereader.read_file_meta_info(path)
        file.seek(128 + 4 + 12 + int(meta.FileMetaInformationGroupLength))
        if len(zlib.decompressobj(-15).decompress(file.read(), _MAX_INFLATED)) >= _MAX_INFLATED:
            raise ValueError


def _home(ds: Dataset) -> Series:
    localizer = "LOCALIZER" in text(ds, "ImageType").upper().split("\\")
    given = number(ds, "SeriesNumber")
    series, study = (text(ds, keyword) for keyword in ("SeriesInstanceUID", "StudyInstanceUID"))
    shown = "without number" if given is None else str(int(given))
    return Series(
        series,
        shown,
        coded(field_of(ds, "Modality")),
        localizer,
        study,
        free_text(ds, "SeriesDescription"),
        contrast_of(ds),
    )


def _refuse(ds: Dataset) -> str | None:
    if text(ds, "Modality") in _NO_VOLUME:
        return "not images of a scan"
    kind = text(ds, "SOPClassUID") or str(ds.file_meta.get("MediaStorageSOPClassUID") or "")
    if field_of(ds, "Rows") is None:
        return "damaged" if "Image Storage" in UID(kind).name else "not images of a scan"
    if kind in _ENHANCED:
        return f"{_ENHANCED[kind]} in one file"
    if int(number(ds, "SamplesPerPixel") or 1) != 1 or text(ds, "PhotometricInterpretation") == "PALETTE COLOR":
        return "in colour"
    return None


def _slices(ds: Dataset, path: str, offset: int) -> list[Slice]:
    pixels = _pixels(ds, offset)
    if "PerFrameFunctionalGroupsSequence" not in ds:
        if "ImagePositionPatient" not in ds or "ImageOrientationPatient" not in ds or "PixelSpacing" not in ds:
            return []
        return [] if pixels.frames > 1 else [_slice(ds, path, None, ds, ds, ds, ds, pixels, _tags(ds))]
    shared = item(ds, "SharedFunctionalGroupsSequence")
    common, slices = _tags(ds), []
    for index, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        place, plane, measure, value = (
            item(frame if name in frame else shared, name)
            for name in (
                "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence",
                "PixelValueTransformationSequence",
            )
        )  # fmt: skip
        tags = common | {"file": text(ds, "SOPInstanceUID")}
        for name in _GROUPS:
            tags |= _tags(item(frame if name in frame else shared, name))
        for axis, position in enumerate(as_list(field_of(item(frame, "FrameContentSequence"), "DimensionIndexValues"))):
            tags[f"dimension {axis + 1}"] = float(position)
        slices.append(_slice(ds, path, index, place, plane, measure, value, pixels, tags))
    return slices


def _slice(
    ds: Dataset,
    path: str,
    frame: int | None,
    place: Dataset,
    plane: Dataset,
    measure: Dataset,
    value: Dataset,
    pixels: Pixels,
    tags: dict[str, object],
) -> Slice:
    position = np.array(numbers(place, "ImagePositionPatient"))
    orientation = np.array(numbers(plane, "ImageOrientationPatient")).reshape(2, 3)
    between_rows, between_columns = numbers(measure, "PixelSpacing")
    if position.shape != (3,):
        raise ValueError
    lengths = np.linalg.norm(orientation, axis=1)
    if (np.abs(lengths - 1) > 0.01).any() or abs(orientation[0] @ orientation[1]) > 0.01:
        raise ValueError
    slope, intercept = ((numbers(value, keyword) or [None])[0] for keyword in ("RescaleSlope", "RescaleIntercept"))
    instance = int(number(ds, "InstanceNumber") or 0)
    return Slice(
        path,
        frame,
        position,
        orientation / lengths[:, None],
        (between_columns, between_rows),
        (int(ds.Columns), int(ds.Rows)),
        instance if frame is None else instance * 1_000_000 + frame,
        text(ds, "SOPInstanceUID"),
        slope,
        intercept,
        clean_header(ds, *(() if frame is None else (place, plane, measure))),
        pixels,
        tags,
        _unit(ds, value, tags),
    )


def _pixels(ds: Dataset, offset: int) -> Pixels:
    allocated = int(number(ds, "BitsAllocated") or 16)
    stored = int(number(ds, "BitsStored") or allocated)
    high = number(ds, "HighBit")
    low = _word(ds, "PixelPaddingValue")
    limit = low if (given := _word(ds, "PixelPaddingRangeLimit")) is None else given
    return Pixels(
        transfer_syntax(ds),
        offset,
        int(number(ds, "NumberOfFrames") or 1),
        allocated,
        stored,
        stored - 1 if high is None else int(high),
        bool(number(ds, "PixelRepresentation")),
        None if low is None else (low, limit),
        text(ds, "LossyImageCompression") == "01" or transfer_syntax(ds) in _LOSSY,
    )


def _word(ds: Dataset, keyword: str) -> int | None:
    """A field that is signed or unsigned as the voxels are, and often given as the other one."""
    value = field_of(ds, keyword)
    if isinstance(value, bytes):  # no VR: two bytes as they stand
        value = int.from_bytes(value[:2], "little") if len(value) >= 2 else None
    return None if value is None else int(as_list(value)[0])


def _tags(ds: Dataset) -> dict[str, object]:
    """What of ``TELLING`` a data set holds."""
    found: dict[str, object] = {}
    for name, keywords in TELLING:
        values = tuple(_tag(ds, keyword) for keyword in keywords if keyword in ds)
        if values:
            found[name] = values[0] if len(values) == 1 else values
    return found


def _tag(ds: Dataset, keyword: str) -> object:
    if keyword in _TEXT:
        return text(ds, keyword)
    value = number(ds, keyword)
    return text(ds, keyword) if value is None else value


# ---- what the values mean

# Types of value 4 of a CT's ImageType (PS3.3 C.8.15.3.8, C.8.2.1.1.1.4) whose images are no Hounsfield units.
_MAPS = {
    "MAT_SPECIFIC": "a material map", "MAT_FRACTIONAL": "a material fraction", "EFF_ATOMIC_NUM": "atomic numbers",
    "ELECTRON_DENSITY": "electron densities", "IODINE": "an iodine map", "CBF": "a perfusion map",
    "CBV": "a perfusion map", "MTT": "a perfusion map", "TTP": "a perfusion map", "TMAX": "a perfusion map",
    "MAT_VALUE_BASED": "a material map", "PERFUSION": "a perfusion map", "PERMEABILITY": "a perfusion map",
}  # fmt: skip
_HOUNSFIELD = {"", "HU", "HOUNSFIELD", "HOUNSFIELDUNIT", "HOUNSFIELDUNITS", "[HNSFU]", "HNSFU"}


def _unit(ds: Dataset, value: Dataset, tags: dict[str, object]) -> str:
    """Why the values are no Hounsfield units, or empty; codes of the standard only, no text of the header."""
    given = text(value, "RescaleType")
    if "".join(given.upper().split()).strip("\0") not in _HOUNSFIELD:
        shown = given.upper() if len(given) <= 16 and given.replace("_", "").isalnum() and given.isascii() else "other"
        return f"RescaleType {shown}"
    if field_of(ds, "ModalityLUTSequence") is not None:
        return "a lookup table of their own, which is not applied"
    units = text(item(item(ds, "RealWorldValueMappingSequence"), "MeasurementUnitsCodeSequence"), "CodeValue")
    if units.replace("'", "").upper() not in _HOUNSFIELD:
        return "another unit of their real-world mapping"
    if text(ds, "SOPClassUID") == _PARAMETRIC_MAP:
        return "a parametric map"
    kinds = set(str(tags.get("image type", "")).upper().split("\\"))
    return next((words for kind, words in _MAPS.items() if kind in kinds), "")
