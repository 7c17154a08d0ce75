"""The source slices that a DICOM-SEG or RTSTRUCT refers to: where they lie on the grid, and what is told of them.

A slice is a file of a classical series or a frame of a multi-frame file (Enhanced CT, legacy-converted), whose frames
may be stored in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import numpy as np
from pydicom import Dataset
from pydicom.uid import EnhancedCTImageStorage

from ..ct.geometry import restore
from ..ct.masks import Mask
from ..ct.volume import CTVolume
from ..errors import ExportError

# What may go on from the source headers: identifiers of study and slice, geometry. Nothing about a person.
_KEPT = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
    "Rows", "Columns", "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "ImageType", "InstanceNumber",
)  # fmt: skip
_NEEDED = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Rows", "Columns",
    "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing",
)  # fmt: skip
_MEASURES = ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices")


class Place(NamedTuple):
    """Where a source slice lies on the grid that the masks go back to.

    Attributes:
        plane: index along the grid's last axis.
        column: first column that the slice covers; not 0 in a tilted series, whose slices were shifted within planes.
        row: first row that it covers.
        off_mm: how far the slice lies from the plane.
    """

    plane: int
    column: int
    row: int
    off_mm: float


def checked(masks: Sequence[Mask], ct: CTVolume, what: str) -> list[Mask]:
    """Masks that are not empty, on the scan's grid.

    Args:
        masks: to write.
        ct: the scan.
        what: name of the format, for the errors.

    Raises:
        ExportError: there is none, or one lies on another grid.
    """
    masks = [m for m in masks if not m.empty]
    if not masks:
        raise ExportError(f"There is no mask with voxels to write as {what}. Segment something first.")
    if any(tuple(m.shape) != tuple(ct.shape) for m in masks):
        raise ExportError("A mask lies on another grid than the scan. Export it with the scan it was drawn on.")
    return masks


def on_slices(array: np.ndarray, ct: CTVolume, placed: Sequence[Place], slices: Sequence[int]) -> np.ndarray:
    """The source slices' parts of a canonical bool array, ``[slice, row, column]``.

    Args:
        array: ``(i, j, k)``, on the scan's grid.
        ct: read from DICOM.
        placed: as ``places`` gives it.
        slices: indices into the headers.
    """
    size = int(ct.dicom.headers[0].Rows), int(ct.dicom.headers[0].Columns)
    planes = restore(array, ct.affine, ct.source).transpose(2, 1, 0)
    out = np.zeros((len(slices), *size), bool)
    for n, index in enumerate(slices):
        plane, column, row, _ = placed[index]
        out[n] = planes[plane, row : row + size[0], column : column + size[1]]
    return out


def places(ct: CTVolume, what: str = "DICOM-SEG") -> list[Place]:
    """The place of each source slice, in the order of the headers.

    Args:
        ct: the scan.
        what: name of the format that refers to them, for the errors.

    Raises:
        ExportError: the CT was no DICOM series, was resampled, or its headers are incomplete.
    """
    if ct.dicom is None:
        raise ExportError(
            f"{what} refers to the slices of a DICOM series, but this scan was read from {ct.file_format}. Export "
            "NIfTI instead."
        )
    if ct.dicom.refused:
        raise ExportError(ct.dicom.refused)
    headers, shape = ct.dicom.headers, tuple(ct.source.shape)
    planes = range(shape[2]) if ct.dicom.planes is None else ct.dicom.planes
    if len(headers) != len(planes):
        raise ExportError(
            f"The scan has {shape[2]} slices but {len(headers)} DICOM headers, so slices were dropped or filled in at "
            f"reading. Export NIfTI instead of {what}."
        )
    return [
        _place(header, index, plane, ct, what)
        for index, (header, plane) in enumerate(zip(headers, planes, strict=True))
    ]


def _place(header: Dataset, index: int, plane: int, ct: CTVolume, what: str) -> Place:
    """Where slice ``index`` lies, which is to be on the grid's ``plane`` or, if the spacing was uneven, next to it."""
    missing = [key for key in _NEEDED if header.get(key) in (None, "")]
    if missing:
        raise ExportError(f"{what} needs {', '.join(missing)}, which slice {index} lacks. Export NIfTI instead.")
    affine = ct.source.affine
    position = np.array([float(v) for v in header.ImagePositionPatient]) * (-1, -1, 1)  # LPS -> RAS
    steps = np.array([float(v) for v in header.ImageOrientationPatient]).reshape(2, 3) * (-1, -1, 1)
    row_mm, column_mm = (float(v) for v in header.PixelSpacing)
    in_plane = np.stack([steps[0] * column_mm, steps[1] * row_mm], axis=1)
    # Columns, rows and slices from the plane's corner; an upright grid of a tilted series is met to half a pixel.
    apart = np.linalg.solve(affine[:3, :3], position - affine[:3, 3] - affine[:3, 2] * plane)
    first = np.rint(apart[:2]).astype(int)
    last = first + np.array([int(header.Columns), int(header.Rows)])
    step_mm = np.linalg.norm(affine[:3, 2])
    off_mm = float(abs(apart[2]) * step_mm)
    if (
        not np.allclose(in_plane, affine[:3, :2], atol=1e-3)
        or off_mm > max(0.05, (0.51 if ct.dicom.uneven else 0.1) * step_mm)
        or (first < 0).any()
        or (last > ct.source.shape[:2]).any()
    ):
        raise ExportError(
            f"The grid of the scan is not that of its DICOM slices (slice {index} differs): it was resampled at "
            f"reading. Export NIfTI instead of {what}."
        )
    return Place(plane, int(first[0]), int(first[1]), off_mm)


def source_images(ct: CTVolume, used: Sequence[int]) -> list[Dataset]:
    """The source images for highdicom, without pixels and patient: a data set a slice, or one multi-frame data set.

    That one holds the used frames only, in the order given, even of several files: highdicom takes one file and no
    frame twice at a place. ``refer_to_frames`` puts the true files and frame numbers in afterwards.

    Args:
        ct: read from DICOM.
        used: the slices, as indices into the headers.
    """
    headers = [_clean_header(ct.dicom.headers[n], ct.dicom.uneven) for n in used]
    if ct.dicom.frames is None:
        return headers
    image = deepcopy(headers[0])
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = image.ImageOrientationPatient
    for keyword in _MEASURES:
        if keyword in image:
            setattr(measures, keyword, image.get(keyword))
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    frames = []
    for header in headers:
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = header.ImagePositionPatient
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    for keyword in ("ImageOrientationPatient", "ImagePositionPatient", *_MEASURES):
        image.pop(keyword, None)
    image.SOPClassUID = EnhancedCTImageStorage  # highdicom asks the class whether there are frames
    image.NumberOfFrames = len(frames)
    image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence = [shared], frames
    return [image]


def refer_to_frames(segmentation: Dataset, ct: CTVolume, used: Sequence[int]) -> None:
    """Turn the references to the frames of ``source_images`` into those to the files and frames that came in.

    Args:
        segmentation: made from ``source_images(ct, used)``; changed in place. That of single slices stays as it is.
        ct: read from DICOM.
        used: the slices, as indices into the headers.
    """
    if ct.dicom.frames is None:
        return
    true = {}  # highdicom shares the references among the segments; so it is done here
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        for derived in group.DerivationImageSequence:
            (source,) = derived.SourceImageSequence
            number = int(source.ReferencedFrameNumber)
            if number not in true:
                header, frame = ct.dicom.headers[used[number - 1]], ct.dicom.frames[used[number - 1]]
                true[number] = deepcopy(source)
                true[number].update(instance(header))
                true[number].ReferencedFrameNumber = frame
            derived.SourceImageSequence = [true[number]]
    files = {ct.dicom.headers[n].SOPInstanceUID: ct.dicom.headers[n] for n in used}
    segmentation.SourceImageSequence = [instance(header) for header in files.values()]
    (series,) = segmentation.ReferencedSeriesSequence
    series.ReferencedInstanceSequence = [instance(header) for header in files.values()]


def instance(header: Dataset) -> Dataset:
    """A reference to a source file."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    return item


def _clean_header(header: Dataset, uneven: bool) -> Dataset:
    """A copy with the allowed fields only, and the empty fields that highdicom expects to find."""
    clean = Dataset()
    for keyword in _KEPT:
        if header.get(keyword) not in (None, ""):
            setattr(clean, keyword, header.get(keyword))
    if uneven:
        clean.pop("SpacingBetweenSlices", None)  # not true of all
    clean.Modality = header.get("Modality") or "CT"
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(clean, keyword, "")
    clean.StudyDate = clean.StudyTime = None
    clean.SliceThickness = header.get("SliceThickness") or None
    return clean
