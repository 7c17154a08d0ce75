"""DICOM Segmentation objects that refer to the slices the CT was read from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from os import PathLike

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from skimage.color import rgb2lab

from .errors import ExportError
from .geometry import restore
from .masks import Mask
from .volume import CTVolume

# SNOMED CT codes of names that mean one thing, checked against the DICOM dictionaries in pydicom.
ORGANS: dict[str, Code] = {
    "liver": codes.SCT.Liver, "spleen": codes.SCT.Spleen, "kidney": codes.SCT.Kidney,
    "stomach": codes.SCT.Stomach, "pancreas": codes.SCT.Pancreas, "gallbladder": codes.SCT.Gallbladder,
    "bladder": codes.SCT.Bladder, "urinary bladder": codes.SCT.Bladder, "aorta": codes.SCT.Aorta,
    "thoracic aorta": codes.SCT.ThoracicAorta, "abdominal aorta": codes.SCT.AbdominalAorta,
    "inferior vena cava": codes.SCT.InferiorVenaCava, "superior vena cava": codes.SCT.SuperiorVenaCava,
    "portal vein": codes.SCT.PortalVein, "pulmonary artery": codes.SCT.PulmonaryArtery, "heart": codes.SCT.Heart,
    "lung": codes.SCT.Lung, "trachea": codes.SCT.Trachea, "esophagus": codes.SCT.Esophagus,
    "oesophagus": codes.SCT.Esophagus, "duodenum": codes.SCT.Duodenum, "colon": codes.SCT.Colon,
    "small intestine": codes.SCT.SmallIntestine, "small bowel": codes.SCT.SmallIntestine,
    "rectum": codes.SCT.Rectum, "adrenal gland": codes.SCT.AdrenalGland, "adrenal": codes.SCT.AdrenalGland,
    "prostate": codes.SCT.Prostate, "uterus": codes.SCT.Uterus, "brain": codes.SCT.Brain,
    "thyroid": codes.SCT.Thyroid, "spinal cord": codes.SCT.SpinalCord, "vertebra": codes.SCT.Vertebra,
    "rib": codes.SCT.Rib, "femur": codes.SCT.Femur, "sternum": codes.SCT.Sternum, "skull": codes.SCT.Skull,
    "scapula": codes.SCT.Scapula, "clavicle": codes.SCT.Clavicle, "humerus": codes.SCT.Humerus,
    "sacrum": codes.SCT.Sacrum, "bone": codes.SCT.Bone,
}  # fmt: skip
FINDINGS: dict[str, Code] = {
    "mass": codes.SCT.Mass, "lesion": codes.SCT.Lesion, "tumor": codes.SCT.Neoplasm, "tumour": codes.SCT.Neoplasm,
    "nodule": codes.SCT.Nodule, "cyst": codes.SCT.Cyst, "hematoma": codes.SCT.Hematoma,
    "haematoma": codes.SCT.Hematoma,
}  # fmt: skip
# Paired organs; DICOM says the side by a modifier of the property type.
SIDES = {"left": codes.SCT.Left, "right": codes.SCT.Right}
_PAIRED = {"kidney", "lung", "adrenal gland", "adrenal", "rib", "femur", "scapula", "clavicle", "humerus"}
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


def property_codes(name: str) -> tuple[Code, Code, Code | None]:
    """Category, type and side of what a mask is called; an unknown name is a "Tissue".

    ``"Left kidney"``, ``"kidney_left"`` and ``"left kidney 2"`` all give the kidney with the side Left.
    """
    words = re.sub(r"[\W_]+|\d+", " ", name.lower()).split()
    side = next((SIDES[w] for w in words if w in SIDES), None)
    bare = " ".join(w for w in words if w not in SIDES)
    if bare in ORGANS and (side is None or bare in _PAIRED):
        return codes.SCT.AnatomicalStructure, ORGANS[bare], side
    if bare in FINDINGS:
        return codes.SCT.MorphologicallyAbnormalStructure, FINDINGS[bare], None
    return codes.SCT.Tissue, codes.SCT.Tissue, None


def places(ct: CTVolume) -> dict[int, tuple[int, int]]:
    """Where the source slices lie on the grid the masks go back to.

    Returns:
        Source slice -> first column and first row of the grid that it covers: (0, 0), but for a tilted series, whose
        slices were shifted within their planes. Slices that were filled in are left out.

    Raises:
        ExportError: the CT was no DICOM series, was resampled, or its headers are incomplete.
    """
    if ct.dicom is None:
        why = (
            "this one is a multi-frame file, or was interpolated at reading (unevenly spaced slices)"
            if ct.file_format == "DICOM"
            else f"this scan was read from {ct.file_format}"
        )
        raise ExportError(f"DICOM-SEG refers to the slices of a DICOM series, but {why}. Export NIfTI instead.")
    headers, shape = ct.dicom.headers, tuple(ct.source.shape)
    if len(headers) != shape[2]:
        raise ExportError(
            f"The scan has {shape[2]} slices but {len(headers)} DICOM headers, so slices were dropped or filled in at "
            "reading. Export NIfTI instead of DICOM-SEG."
        )
    return {index: _place(header, index, ct) for index, header in enumerate(headers) if header is not None}


def _place(header: Dataset, index: int, ct: CTVolume) -> tuple[int, int]:
    """First column and row of the grid's plane ``index`` that the slice covers."""
    missing = [key for key in _NEEDED if header.get(key) in (None, "")]
    if missing:
        raise ExportError(f"DICOM-SEG needs {', '.join(missing)}, which slice {index} lacks. Export NIfTI instead.")
    affine = ct.source.affine
    position = np.array([float(v) for v in header.ImagePositionPatient]) * (-1, -1, 1)  # LPS -> RAS
    steps = np.array([float(v) for v in header.ImageOrientationPatient]).reshape(2, 3) * (-1, -1, 1)
    row_mm, column_mm = (float(v) for v in header.PixelSpacing)
    in_plane = np.stack([steps[0] * column_mm, steps[1] * row_mm], axis=1)
    # Columns, rows and slices from the plane's corner; an upright grid of a tilted series is met to half a pixel.
    apart = np.linalg.solve(affine[:3, :3], position - affine[:3, 3] - affine[:3, 2] * index)
    first = np.rint(apart[:2]).astype(int)
    last = first + np.array([int(header.Columns), int(header.Rows)])
    off_mm = abs(apart[2]) * np.linalg.norm(affine[:3, 2])
    if (
        not np.allclose(in_plane, affine[:3, :2], atol=1e-3)
        or off_mm > max(0.05, 0.1 * np.linalg.norm(affine[:3, 2]))
        or (first < 0).any()
        or (last > ct.source.shape[:2]).any()
    ):
        raise ExportError(
            f"The grid of the scan is not that of its DICOM slices (slice {index} differs): it was resampled at "
            "reading. Export NIfTI instead of DICOM-SEG."
        )
    return int(first[0]), int(first[1])


def save_dicom_seg(masks: Sequence[Mask], ct: CTVolume, path: str | PathLike) -> None:
    """Write masks as one binary DICOM Segmentation, a segment each; masks may overlap.

    Only slices with voxels become frames; each refers to its source slice. Study, frame of reference and slice UIDs
    are those of the source; patient fields are empty. What lies on a slice that was filled in at reading, or beside
    the slices of a tilted series, has no source and is left out.

    Args:
        masks: the objects; empty ones are left out.
        ct: the scan they were drawn on, read from DICOM.
        path: file to write, usually ``.dcm``.

    Raises:
        ExportError: nothing to write, another grid, or no usable DICOM source.
    """
    masks = [m for m in masks if not m.empty]
    if not masks:
        raise ExportError("There is no mask with voxels to write as DICOM-SEG. Segment something first.")
    if any(tuple(m.shape) != tuple(ct.shape) for m in masks):
        raise ExportError("A mask lies on another grid than the scan. Export it with the scan it was drawn on.")
    placed = places(ct)
    if len(placed) < ct.source.shape[2]:
        real = list(placed)
        masks = [m for m in masks if restore(m.array, ct.affine, ct.source)[:, :, real].any()]
    used, pixels = _pixels(masks, ct, placed)
    if not used:
        raise ExportError("The masks lie on no slice of the DICOM series. Export NIfTI instead.")
    sources = [_clean_header(ct.dicom.headers[s]) for s in used]
    described = [_describe(number, mask) for number, mask in enumerate(masks, start=1)]
    try:
        segmentation = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=pixels,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=described,
            series_instance_uid=generate_uid(),
            series_number=900,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="MedVL-SAM2",
            manufacturer_model_name="MedVL-SAM2",
            software_versions=_version(),
            device_serial_number="0",
            series_description="MedVL-SAM2, research use only",
            content_label="SEGMENTATION",
            content_description="Research use only, not for diagnosis",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            omit_empty_frames=True,
        )
    except ValueError as error:
        raise ExportError(
            "The headers of the DICOM series do not allow a DICOM-SEG that refers to it. Export NIfTI instead."
        ) from error
    segmentation.SpecificCharacterSet = "ISO_IR 192"  # UTF-8, for the names
    segmentation.save_as(path)


def _pixels(masks: Sequence[Mask], ct: CTVolume, placed: dict[int, tuple[int, int]]) -> tuple[list[int], np.ndarray]:
    """Source slices that hold voxels, and their pixels: label map ``[s, row, column]``, or one more axis on overlap."""
    size = next((int(h.Rows), int(h.Columns)) for h in ct.dicom.headers if h is not None)

    def frames(array: np.ndarray, slices: Sequence[int]) -> np.ndarray:
        """The source slices' parts of a canonical bool array, ``[slice, row, column]``."""
        planes = restore(array, ct.affine, ct.source).transpose(2, 1, 0)
        out = np.zeros((len(slices), *size), bool)
        for n, k in enumerate(slices):
            column, row = placed[k]
            out[n] = planes[k, row : row + size[0], column : column + size[1]]
        return out

    anywhere = np.zeros(ct.shape, bool)
    for mask in masks:
        anywhere[mask.box.slices] |= mask.block
    hold = frames(anywhere, list(placed)).any(axis=(1, 2))
    keep = [k for k, held in zip(placed, hold.tolist(), strict=True) if held]
    shape = (len(keep), *size)
    overlap = any((a.block & b.region(a.box)).any() for n, a in enumerate(masks) for b in masks[n + 1 :])
    if overlap:
        pixels = np.moveaxis(np.zeros((len(masks), *shape), np.uint8), 0, -1)  # segments contiguous
    else:
        pixels = np.zeros(shape, np.uint8 if len(masks) < 256 else np.uint16)
    for n, mask in enumerate(masks):
        inside = frames(mask.array, keep)
        if overlap:
            pixels[..., n] = inside
        else:
            pixels[inside] = n + 1
    return keep, pixels


def _clean_header(header: Dataset) -> Dataset:
    """A copy with the allowed fields only, and the empty fields that highdicom expects to find."""
    clean = Dataset()
    for keyword in _KEPT:
        if header.get(keyword) not in (None, ""):
            setattr(clean, keyword, header.get(keyword))
    clean.Modality = header.get("Modality") or "CT"
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(clean, keyword, "")
    clean.StudyDate = clean.StudyTime = None
    clean.SliceThickness = header.get("SliceThickness") or None
    return clean


def _describe(number: int, mask: Mask) -> hd.seg.SegmentDescription:
    category, kind, side = property_codes(mask.name)
    label = mask.name.replace("\\", "/").strip()[:64] or f"Segment {number}"
    rgb = np.array([int(mask.color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="MedVL-SAM2", family=codes.DCM.ArtificialIntelligence, version=_version()
        ),
        tracking_uid=generate_uid(),
        tracking_id=label,
        display_color=hd.color.CIELabColor(*(float(v) for v in rgb2lab(rgb))),
    )
    if side is not None:
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
            hd.sr.CodedConcept.from_code(side)
        ]
    return description


def _version() -> str:
    try:
        return version("medvl")
    except PackageNotFoundError:  # run from a checkout
        return "checkout"
