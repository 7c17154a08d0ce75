"""DICOM Segmentation objects that refer to the slices the CT was read from."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import highdicom as hd
import numpy as np
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from skimage.color import rgb2lab

from ..ct.geometry import restore
from ..ct.masks import Mask
from ..ct.volume import CTVolume
from ..errors import ExportError
from ..version import __version__
from .codes import property_codes
from .dicom_sources import Place, checked, on_slices, places, refer_to_frames, source_images


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
    masks = checked(masks, ct, "DICOM-SEG")
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
    if len({placed[n][1:3] for n in used}) > 1:
        notes.append(
            "The slices of the series are shifted against each other (gantry tilt), and so are the frames of the "
            "DICOM-SEG: a program that stacks them straight, as dcmqi does, puts the masks beside their place. Use the "
            "other files there."
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
            software_versions=__version__,
            device_serial_number="0",
            series_description="MedVL-SAM2, research use only",
            content_label="SEGMENTATION",
            content_description=about,
            content_creator_name="MedVL-SAM2^",
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
    anywhere = np.zeros(ct.shape, bool)
    for mask in masks:
        anywhere[mask.box.slices] |= mask.block
    keep = np.flatnonzero(on_slices(anywhere, ct, placed, range(len(placed))).any(axis=(1, 2))).tolist()
    shape = (len(keep), int(ct.dicom.headers[0].Rows), int(ct.dicom.headers[0].Columns))
    overlap = any((a.block & b.region(a.box)).any() for n, a in enumerate(masks) for b in masks[n + 1 :])
    if overlap:
        pixels = np.moveaxis(np.zeros((len(masks), *shape), np.uint8), 0, -1)  # segments contiguous
    else:
        pixels = np.zeros(shape, np.uint8 if len(masks) < 256 else np.uint16)
    for n, mask in enumerate(masks):
        inside = on_slices(mask.array, ct, placed, keep)
        if overlap:
            pixels[..., n] = inside
        else:
            pixels[inside] = n + 1
    return keep, pixels


def _describe(number: int, mask: Mask) -> hd.seg.SegmentDescription:
    code = property_codes(mask.name)
    label = mask.name.replace("\\", "/").strip()[:64] or f"Segment {number}"
    rgb = np.array([int(mask.color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=code.category,
        segmented_property_type=code.kind,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="MedVL-SAM2", family=codes.DCM.ArtificialIntelligence, version=__version__
        ),
        tracking_uid=generate_uid(),
        tracking_id=label,
        anatomic_regions=None if code.region is None else [code.region],
        display_color=hd.color.CIELabColor(*(float(v) for v in rgb2lab(rgb))),
    )
    if code.side is not None:
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
            hd.sr.CodedConcept.from_code(code.side)
        ]
    if mask.limits:
        description.SegmentDescription = f"At least: it {mask.limits}"  # ST, 1024 characters at most
    return description
