"""Masks and label maps as NIfTI, on the grid of the file that came in."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from ..ct.geometry import restore
from ..ct.masks import Mask
from ..ct.prompts import Box
from ..ct.volume import CTVolume
from ..errors import ExportError
from .packed import PackedFile

NOTICE = "Research use only, not for diagnosis."
SAID_SHARE = 0.01  # of a mask: an overlap that is larger is told


class Overlap(NamedTuple):
    """Two masks that share voxels, by their index in the list.

    Attributes:
        under: the larger one, which loses these voxels in a label map.
        over: the smaller one, which has them.
        of_under: their share of the larger one, 0 to 1.
        of_over: their share of the smaller one.
    """

    under: int
    over: int
    of_under: float
    of_over: float


def check_grid(ct: CTVolume, masks: Sequence[Mask] = ()) -> None:
    """Check that the CT can be put back on the grid of its file, and that the masks lie on the CT's grid.

    Raises:
        ExportError: they cannot or do not.
    """
    for mask in masks:
        if tuple(mask.shape) != tuple(ct.shape):
            raise ExportError(
                f"'{mask.name}' has a grid of {tuple(mask.shape)} voxels and the scan {tuple(ct.shape)}. "
                "Export a mask with the scan it was drawn on."
            )
    try:
        restore(np.broadcast_to(np.False_, ct.shape), ct.affine, ct.source)
    except ExportError as error:
        raise ExportError(
            f"The scan in memory ({tuple(ct.shape)} voxels) is not on the grid of its file "
            f"({tuple(ct.source.shape)} voxels, orientation {ct.source.orientation}): it was resampled at reading, for "
            "instance for gantry tilt. Masks cannot be put back voxel by voxel; STL and CSV still work."
        ) from error


def save_mask(mask: Mask, ct: CTVolume, path: str | PathLike) -> None:
    """Write one mask as NIfTI (0 and 1, uint8) in the shape, orientation and affine of the file that came in.

    Args:
        mask: the object; may be empty.
        ct: the scan it was drawn on.
        path: ends with ``.nii`` or ``.nii.gz``.

    Raises:
        ExportError: another grid, or another kind of path.
    """
    check_grid(ct, [mask])
    _write(restore(mask.array.view(np.uint8), ct.affine, ct.source), ct, path)


def save_scan(ct: CTVolume, path: str | PathLike) -> None:
    """Write the HU of a scan (int16) in the shape, orientation and affine of the file that came in; no other field.

    Raises:
        ExportError: it was resampled at reading, or ``path`` does not end with ``.nii`` or ``.nii.gz``.
    """
    check_grid(ct)
    _write(restore(np.asarray(ct.hu), ct.affine, ct.source), ct, path, "MedVL-SAM2 scan, research use only")


def paint_order(masks: Sequence[Mask]) -> list[int]:
    """Indices of the masks in the order in which a label map takes them: the largest first.

    So what holds another one (a body outline, a box laid round an organ) goes under it, and of two that overlap the
    smaller keeps all its voxels; of equal ones the later.
    """
    return sorted(range(len(masks)), key=lambda n: -masks[n].voxels)


def overlaps(masks: Sequence[Mask]) -> list[Overlap]:
    """Pairs of masks that share more than ``SAID_SHARE`` of one of them, the greatest loss first."""
    found = []
    order = [n for n in paint_order(masks) if masks[n].box is not None]
    for at, under in enumerate(order):
        for over in order[at + 1 :]:
            both = _shared(masks[under], masks[over])
            if both > SAID_SHARE * masks[over].voxels:
                found.append(Overlap(under, over, both / masks[under].voxels, both / masks[over].voxels))
    return sorted(found, key=lambda overlap: -overlap.of_under)


def _shared(a: Mask, b: Mask) -> int:
    """Voxels in both."""
    lo = tuple(map(max, zip(a.box.lo, b.box.lo, strict=True)))
    hi = tuple(map(min, zip(a.box.hi, b.box.hi, strict=True)))
    if any(low >= high for low, high in zip(lo, hi, strict=True)):
        return 0
    both = Box(lo, hi)
    return int((a.region(both) & b.region(both)).sum())


def save_label_map(masks: Sequence[Mask], ct: CTVolume, path: str | PathLike) -> list[dict]:
    """Write all masks as one NIfTI of labels 1, 2, ... in the order given, and the list of labels beside it.

    Where masks overlap, the voxel belongs to the smaller one (``paint_order``). The list (``NAME.json`` beside
    ``NAME.nii.gz``) tells of each label its name, colour, voxels of the mask and voxels left in the map, so that a loss
    by overlap shows.

    Args:
        masks: the objects.
        ct: the scan they were drawn on.
        path: ends with ``.nii`` or ``.nii.gz``.

    Returns:
        The list of labels that was written.

    Raises:
        ExportError: no masks, another grid, or another kind of path.
    """
    if not masks:
        raise ExportError("There are no masks to write. Segment something first.")
    check_grid(ct, masks)
    labels = np.zeros(ct.shape, np.uint8 if len(masks) < 256 else np.uint16)
    for n in paint_order(masks):
        if masks[n].box:
            labels[masks[n].box.slices][masks[n].block] = n + 1
    left = [int((labels[m.box.slices] == value).sum()) if m.box else 0 for value, m in enumerate(masks, start=1)]
    _write(restore(labels, ct.affine, ct.source), ct, path)
    rows = [
        {
            "value": value,
            "name": m.name,
            "color": m.color,
            "voxels_of_mask": m.voxels,
            "voxels_in_map": kept,
            "limits": m.limits,
            "doubt": m.doubt,
        }
        for value, (m, kept) in enumerate(zip(masks, left, strict=True), start=1)
    ]
    text = {
        "notice": NOTICE,
        "scan": ct.info.file_name,
        "overlap": "the smaller of two masks has the voxels of both",
        "background": 0,
        "labels": rows,
    }
    beside = Path(path).with_name(re.sub(r"\.nii(\.gz)?$", "", Path(path).name) + ".json")
    beside.write_text(json.dumps(text, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return rows


def _write(
    array: np.ndarray, ct: CTVolume, path: str | PathLike, about: str = "MedVL-SAM2 mask, research use only"
) -> None:
    """Write voxels of the file's grid with the geometry of the file.

    A NIfTI file's qform, sform, both codes and unit go over as they are, so that each reader, whichever of them it
    follows, puts the mask where it puts the scan. Of other formats the affine is the sform, and the nearest rigid
    qform stands beside it.
    """
    if not str(path).lower().endswith((".nii", ".nii.gz")):
        raise ExportError(f"'{Path(path).name}' is no NIfTI name: let it end with .nii or .nii.gz.")
    affine, given = ct.source.affine, ct.source.nifti
    version = nib.Nifti2Image if isinstance(given, nib.Nifti2Header) else nib.Nifti1Image
    image = version(array, affine, dtype=array.dtype)
    header = image.header
    if given is not None and _usable(given):
        for name in given:
            if name.endswith("form_code") or name.startswith(("quatern_", "qoffset_", "srow_")):
                header[name] = given[name]
        header["pixdim"][:4] = given["pixdim"][:4]
        header["xyzt_units"] = given["xyzt_units"]
        image = version(array, None, header)  # nibabel would write an affine that it was given into both forms
    else:
        image.set_qform(_nearest_rigid(affine, array.shape), code="scanner")
        image.set_sform(affine, code="scanner")
        header.set_xyzt_units("mm")
    image.header["descrip"] = about.encode()
    if str(path).lower().endswith(".gz"):
        with PackedFile(path) as file:
            image.to_stream(file)
    else:
        nib.save(image, path)


def _usable(header: nib.Nifti1Header) -> bool:
    """Whether other programs can open a file with these voxel sizes."""
    sizes = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    return bool(np.isfinite(sizes).all() and (sizes > 0).all())


def _nearest_rigid(affine: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The affine with orthogonal axes that is nearest to ``affine``; the centre of the grid stays where it is."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing)
    rigid = np.eye(4)
    rigid[:3, :3] = left @ right * spacing
    middle = (np.asarray(shape, dtype=np.float64) - 1) / 2
    rigid[:3, 3] = affine[:3, 3] + (affine[:3, :3] - rigid[:3, :3]) @ middle
    return rigid
