"""RT Structure Sets (RTSTRUCT): the outlines of masks on the slices the CT was read from, for planning systems."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from os import PathLike

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid
from skimage.measure import find_contours

from ..ct.masks import Mask
from ..ct.volume import CTVolume
from ..errors import ExportError
from ..version import __version__
from .dicom_sources import checked, instance, on_slices, places

STUDY = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, which PS3.3 C.8.8.5 names for the referenced study


def save_rtstruct(masks: Sequence[Mask], ct: CTVolume, path: str | PathLike) -> list[str]:
    """Write masks as one RT Structure Set, a region of interest each; masks may overlap.

    An outline runs halfway between the voxel centres inside and outside, so that who fills it by centres has the mask
    again. Outlines inside one another are holes (even-odd rule), as in 3D Slicer, plastimatch and ``medvl.readers``.
    Each refers to its source slice, or to its frame of a multi-frame file. Study, frame of reference and slice UIDs are
    those of the source; patient fields are empty.

    Args:
        masks: the objects; empty ones are left out.
        ct: the scan they were drawn on, read from DICOM.
        path: file to write, usually ``.dcm``.

    Returns:
        Notes for a person: what was left out, what is approximate.

    Raises:
        ExportError: nothing to write, another grid, or no usable DICOM source.
    """
    masks = checked(masks, ct, "RTSTRUCT")
    placed = places(ct, "RTSTRUCT")
    drawn = [(mask, _contours(mask, ct, placed)) for mask in masks]
    notes = [f"Not in the RTSTRUCT, because on no slice of the series: {m.name}" for m, found in drawn if not found]
    drawn = [(mask, found) for mask, found in drawn if found]
    if not drawn:
        raise ExportError("The masks lie on no slice of the DICOM series. Export NIfTI instead.")
    if ct.dicom.uneven:
        notes.append(
            "The slices of the series are unevenly spaced. In the RTSTRUCT each has the outlines of the nearest plane "
            "of the even grid; the other files lie on that grid."
        )
    data = _header(ct)
    data.StructureSetROISequence = [_roi(n, mask, ct) for n, (mask, _) in enumerate(drawn, start=1)]
    data.ROIContourSequence = [_outline(n, mask, found) for n, (mask, found) in enumerate(drawn, start=1)]
    data.RTROIObservationsSequence = [_observation(n) for n in range(1, len(drawn) + 1)]
    data.save_as(path, enforce_file_format=True)
    return notes


def _contours(mask: Mask, ct: CTVolume, placed: Sequence) -> list[Dataset]:
    slices = range(len(placed))
    found = []
    for index, plane in zip(slices, on_slices(mask.array, ct, placed, slices), strict=True):
        if not plane.any():
            continue
        header = ct.dicom.headers[index]
        corner = np.array([float(v) for v in header.ImagePositionPatient])
        steps = np.array([float(v) for v in header.ImageOrientationPatient]).reshape(2, 3)
        row_mm, column_mm = (float(v) for v in header.PixelSpacing)
        for outline in find_contours(np.pad(plane, 1).astype(np.float32), 0.5):
            rows, columns = (outline[:-1] - 1).T  # closed: its last point is its first; one pixel of padding
            points = corner + np.outer(columns * column_mm, steps[0]) + np.outer(rows * row_mm, steps[1])
            item = Dataset()
            item.ContourImageSequence = [_image(ct, index)]
            item.ContourGeometricType = "CLOSED_PLANAR"
            item.NumberOfContourPoints = len(points)
            item.ContourData = [f"{v:.3f}" for v in points.ravel()]
            found.append(item)
    return found


def _image(ct: CTVolume, index: int) -> Dataset:
    item = instance(ct.dicom.headers[index])
    if ct.dicom.frames is not None:
        item.ReferencedFrameNumber = ct.dicom.frames[index]
    return item


def _header(ct: CTVolume) -> Dataset:
    """The structure set without its structures."""
    first, now = ct.dicom.headers[0], datetime.datetime.now()
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SpecificCharacterSet = "ISO_IR 192"  # UTF-8, for the names
    data.SOPClassUID, data.SOPInstanceUID = RTStructureSetStorage, generate_uid()
    data.Modality = "RTSTRUCT"
    data.StudyInstanceUID, data.SeriesInstanceUID = first.StudyInstanceUID, generate_uid()
    data.SeriesNumber, data.InstanceNumber = 901, 1
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(data, keyword, "")
    data.StudyDate = data.StudyTime = data.ReferringPhysicianName = data.OperatorsName = ""
    data.Manufacturer = data.ManufacturerModelName = "MedVL-SAM2"
    data.SoftwareVersions = __version__
    data.SeriesDescription = "MedVL-SAM2, research use only"
    data.StructureSetLabel = "MedVL-SAM2"
    data.StructureSetDescription = "Research use only, not for diagnosis"
    data.StructureSetDate, data.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    data.InstanceCreationDate, data.InstanceCreationTime = data.StructureSetDate, data.StructureSetTime
    data.ApprovalStatus = "UNAPPROVED"
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    series.ContourImageSequence = [_image(ct, n) for n in range(len(ct.dicom.headers))]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = STUDY, first.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = data.FrameOfReferenceUID = first.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    data.ReferencedFrameOfReferenceSequence = [frame]
    return data


def _roi(number: int, mask: Mask, ct: CTVolume) -> Dataset:
    item = Dataset()
    item.ROINumber = number
    item.ReferencedFrameOfReferenceUID = ct.dicom.headers[0].FrameOfReferenceUID
    item.ROIName = mask.name.replace("\\", "/").strip()[:64] or f"Structure {number}"
    item.ROIGenerationAlgorithm = "SEMIAUTOMATIC"
    if mask.limits:
        item.ROIDescription = f"At least: it {mask.limits}"  # ST, 1024 characters at most
    return item


def _outline(number: int, mask: Mask, contours: list[Dataset]) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor = [int(mask.color[i : i + 2], 16) for i in (1, 3, 5)]
    item.ContourSequence = contours
    item.ReferencedROINumber = number
    return item


def _observation(number: int) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    item.RTROIInterpretedType = item.ROIInterpreter = ""
    return item
