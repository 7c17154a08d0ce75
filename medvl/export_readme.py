"""README.txt of an export: what the files are, in which geometry and units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .masks import Mask
from .volume import CTVolume

NOTICE = "Research use only, not for diagnosis."


def readme(ct: CTVolume, masks: Sequence[Mask], notes: Sequence[str]) -> str:
    """README.txt of an export.

    Args:
        ct: the scan.
        masks: those that were written, in the order of the labels.
        notes: what was left out, and why; what is approximate.
    """
    spacing = " x ".join(f"{s:.4g}" for s in np.linalg.norm(ct.source.affine[:3, :3], axis=0))
    shape = " x ".join(str(n) for n in ct.source.shape)
    lines = [
        "Segmentations made with MedVL-SAM2",
        NOTICE.upper(),
        "",
        f"Scan: {ct.file_format}, {shape} voxels of {spacing} mm, axes growing to {ct.source.orientation}.",
        "",
        "labels.nii.gz     one label map in the grid and affine of the scan's file; labels.json lists the labels.",
        "                  Where masks overlap, the later label wins; the single masks keep every voxel.",
        "masks/*.nii.gz    single masks, 0 and 1, uint8, in the grid and affine of the scan's file.",
        "stl/*.stl         surfaces in mm, LPS coordinates (the DICOM convention: x left, y posterior, z superior);",
        "                  smoothed and, when large, coarsened: measure volumes on the masks, not on them.",
        "measurements.csv  volume in mL, Hounsfield units (mean, population SD), longest 3-D diameter in mm,",
        "                  centroid in RAS mm, first and last axial slice counted from the feet and from 1.",
        "lengths.csv       lengths drawn in the viewer, if any: plane, slice from 1, both ends (RAS) and length in mm.",
        "segmentation.dcm  DICOM Segmentation that refers to the slices of the source series, or to the frames of a",
        "                  multi-frame file; no patient fields.",
        "A file that is not in this zip was not asked for, or see the notes.",
        "",
        "Labels:",
        *([f"  {value}  {mask.name}" for value, mask in enumerate(masks, start=1)] or ["  none"]),
    ]
    return "\n".join([*lines, *(["", "Notes:", *(f"  {note}" for note in notes)] if notes else []), ""])
