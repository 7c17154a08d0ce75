"""DICOM Segmentation objects that refer to the slices the CT was read from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from os import PathLike

import highdicom as hd
import numpy as np
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from skimage.color import rgb2lab

from .dicom_sources import Place, places, refer_to_frames, source_images
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


def save_dicom_seg(masks: Sequence[Mask], ct: CTVolume, path: str | PathLike) -> list[str]:
    """Write masks as one binary DICOM Segmentation, a segment each; masks may overlap.

    Only slices with voxels become frames; each refers to its source slice, or to its frame of a multi-frame file.
    Study, frame of reference and slice UIDs are those of the source; patient fields are empty. What lies on a slice
    that was filled in at reading, or beside the slices of a tilted series, has no source and is left out. Where the
    slices were interpolated to even spacing, each takes the mask of the grid's nearest plane.

    Args:
        masks: the objects; empty ones are left out.
        ct: the scan they were drawn on, read from DICOM.
        path: file to write, usually ``.dcm``.

    Returns:
        Notes for a person: what was left out, what is approximate.

    Raises:
        ExportError: nothing to write, another grid, or no usable DICOM source.
    """
    masks = [m for m in masks if not m.empty]
    if not masks:
        raise ExportError("There is no mask with voxels to write as DICOM-SEG. Segment something first.")
    if any(tuple(m.shape) != tuple(ct.shape) for m in masks):
        raise ExportError("A mask lies on another grid than the scan. Export it with the scan it was drawn on.")
    placed = places(ct)
    notes = []
    real = sorted({place.plane for place in placed})
    if len(real) < ct.source.shape[2]:
        there = [restore(m.array, ct.affine, ct.source)[:, :, real].any() for m in masks]
        lost = [m.name for m, on_slice in zip(masks, there, strict=True) if not on_slice]
        notes = [f"Not in the DICOM-SEG, because on no slice of the series: {name}" for name in lost]
        masks = [m for m, on_slice in zip(masks, there, strict=True) if on_slice]
    used, pixels = _pixels(masks, ct, placed)
    if not used:
        raise ExportError("The masks lie on no slice of the DICOM series. Export NIfTI instead.")
    about = "Research use only, not for diagnosis"
    if ct.dicom.uneven:
        about += "; nearest interpolated plane"  # 64 characters at most
        notes.append(
            "The slices of the series are unevenly spaced. In the DICOM-SEG each has the masks of the nearest plane of "
            f"the even grid, at most {max(placed[n].off_mm for n in used):.2f} mm away; the other files lie on that "
            "grid."
        )
    described = [_describe(number, mask) for number, mask in enumerate(masks, start=1)]
    try:
        segmentation = hd.seg.Segmentation(
            source_images=source_images(ct, used),
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
            content_description=about,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            omit_empty_frames=True,
        )
    except ValueError as error:
        raise ExportError(
            "The headers of the DICOM series do not allow a DICOM-SEG that refers to it. Export NIfTI instead."
        ) from error
    refer_to_frames(segmentation, ct, used)
    segmentation.SpecificCharacterSet = "ISO_IR 192"  # UTF-8, for the names
    segmentation.save_as(path)
    return notes


def _pixels(masks: Sequence[Mask], ct: CTVolume, placed: Sequence[Place]) -> tuple[list[int], np.ndarray]:
    """Source slices that hold voxels, and their pixels: label map ``[s, row, column]``, or one more axis on overlap."""
    size = int(ct.dicom.headers[0].Rows), int(ct.dicom.headers[0].Columns)

    def frames(array: np.ndarray, slices: Sequence[int]) -> np.ndarray:
        """The source slices' parts of a canonical bool array, ``[slice, row, column]``."""
        planes = restore(array, ct.affine, ct.source).transpose(2, 1, 0)
        out = np.zeros((len(slices), *size), bool)
        for n, index in enumerate(slices):
            plane, column, row, _ = placed[index]
            out[n] = planes[plane, row : row + size[0], column : column + size[1]]
        return out

    anywhere = np.zeros(ct.shape, bool)
    for mask in masks:
        anywhere[mask.box.slices] |= mask.block
    keep = np.flatnonzero(frames(anywhere, range(len(placed))).any(axis=(1, 2))).tolist()
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
