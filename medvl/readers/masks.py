"""Masks that a person brings: label maps, 3D Slicer's segmentations, DICOM-SEG and RTSTRUCT -> ``Mask`` on a CT's grid.

Sources of the layouts: 3D Slicer's ``.seg.nrrd`` (``Segment0_Name``, ``Segment0_LabelValue``, ``Segment0_Layer``,
``Segment0_Color``), DICOM PS3.3 A.51 (Segmentation) and A.19 (RT Structure Set), ITK-SNAP's label description file.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813
from scipy import ndimage
from skimage.draw import polygon2mask

from ..ct import geometry
from ..ct.masks import PALETTE, Mask
from ..ct.prompts import Box
from ..ct.volume import CTVolume
from ..errors import CTReadError
from .common import LPS_TO_RAS
from .sniff import kind, read_head

MAX_LABELS = 512  # a volume of more different values is taken for an image, not a label map
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # the second of label maps
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
SAME_MM = 0.05  # grids whose corners differ by less are the same
OFF_SLICE = 0.2  # slices; a contour farther than this from every slice of the CT lies between two of them
ONE_PLANE = 0.05  # slices; contours nearer to each other lie on one plane, and those inside others are holes


@dataclass(frozen=True, eq=False)
class _Part:
    """One object in a file: its name and colour, bool voxels on a grid of its own, and that grid's affine (RAS)."""

    name: str
    color: str | None
    array: np.ndarray
    affine: np.ndarray


def read_masks(path: str | os.PathLike, ct: CTVolume, *, resample: bool = False) -> list[Mask]:
    """Read the masks of a file onto the grid of an open CT.

    Args:
        path: a label map (NIfTI, NRRD, MetaImage; ``labels.json`` or an ITK-SNAP label file beside it gives names),
            a ``.seg.nrrd`` of 3D Slicer, a DICOM Segmentation (of a fractional one what is at least half) or an RT
            Structure Set.
        ct: the CT that they belong to.
        resample: take masks that lie on another grid too, by nearest neighbour; their volumes change a little.

    Returns:
        One mask an object, in the order of the file, without ids. Objects with no voxel on the CT are left out.

    Raises:
        CTReadError: no such masks can be read, or they lie on another grid and ``resample`` is not set.
    """
    path = Path(path)
    if not path.is_file():
        raise CTReadError(f"There is no file {path.name!r} with masks.")
    parts = list(_parts(path, ct, resample))
    masks = [_on_grid(part, ct, resample, number) for number, part in enumerate(parts)]
    masks = [mask for mask in masks if mask is not None]
    if not masks:
        raise CTReadError(
            f"No object of {path.name!r} lies on this scan. Open the scan that it was drawn on, or check the file."
        )
    return masks


def looks_like_labels(ct: CTVolume) -> bool:
    """Whether what was read as a CT is more likely a label map: few values, none negative, none above a few hundred."""
    sample = ct.hu[::2, ::2, ::2]
    low, high = int(ct.hu.min()), int(ct.hu.max())
    return low == 0 and 0 < high <= MAX_LABELS and len(np.unique(sample)) <= min(high + 1, 128)


def labels_of(labels: CTVolume, ct: CTVolume, name: str) -> list[Mask] | None:
    """Masks of what was read as a CT and is a label map of another one; None where it is not, or on another grid.

    Args:
        labels: as ``read_ct`` gave it.
        ct: the scan that is open.
        name: of the file.
    """
    if labels.shape != ct.shape or not _same(labels.affine, ct.affine, ct.shape) or not looks_like_labels(labels):
        return None
    values = [int(v) for v in np.unique(labels.hu) if v]
    masks = [_on_grid(_Part(f"Label {v}", None, labels.hu == v, ct.affine), ct, False, n) for n, v in enumerate(values)]
    return [m.renamed(_stem(Path(name))) for m in masks] if len(masks) == 1 else masks


def holds_masks(path: str | os.PathLike) -> bool:
    """Whether a file says of itself that it holds masks: 3D Slicer's ``.seg.nrrd``, DICOM-SEG or RTSTRUCT."""
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    if head.startswith(b"NRRD"):
        return b"Segment0_" in head.partition(b"\n\n")[0]
    meta = head[128:2048]
    uids = "|".join(map(re.escape, (*SEGMENTATIONS, STRUCTURES)))
    return meta.startswith(b"DICM") and re.search(rf"(?:{uids})(?![\d.])".encode(), meta) is not None


def _parts(path: Path, ct: CTVolume, resample: bool) -> Iterator[_Part]:
    what = kind(read_head(str(path)))
    if what == "dicom":
        return _dicom(path, ct, resample)
    if what in ("nifti", "nrrd", "metaimage"):
        return _label_map(path, what)
    raise CTReadError(
        f"{path.name!r} holds no masks that can be read. Bring NIfTI, NRRD (also .seg.nrrd), MetaImage, DICOM-SEG or "
        "RTSTRUCT."
    )


# ---- label maps


def _label_map(path: Path, what: str) -> Iterator[_Part]:
    layers, affine, described = _nifti(path) if what == "nifti" else _itk(path)
    names = described or _names_beside(path)
    for layer, array in enumerate(layers):
        values = np.unique(array)
        if not np.issubdtype(array.dtype, np.integer):
            if not np.array_equal(values, np.round(values)):
                raise CTReadError(
                    f"{path.name!r} holds fractions, so it is an image or a probability, not a label map. Threshold it."
                )
            array = array.astype(np.int64)
        values = np.unique(array)
        if len(values) > MAX_LABELS or values[0] < 0:
            raise CTReadError(f"{path.name!r} looks like an image ({len(values)} values), not like a label map.")
        for value in values[values != 0]:
            name, color = names.get((layer, int(value)), names.get((None, int(value)), ("", None)))
            plain = f"Label {value}" if len(values) > 2 or len(layers) > 1 else _stem(path)
            yield _Part(name or plain, color, array == value, affine)


def _stem(path: Path) -> str:
    return re.sub(r"(\.seg)?\.(nii|nii\.gz|nrrd|mha|mhd)$", "", path.name, flags=re.IGNORECASE)


def _nifti(path: Path) -> tuple[list[np.ndarray], np.ndarray, dict]:
    try:
        image = nib.load(path)
        array = np.asanyarray(image.dataobj)
    except Exception as error:  # nibabel's errors are of many kinds
        raise CTReadError(f"{path.name!r} could not be read as NIfTI. Save it again.") from error
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 4:
        return [array[..., n] for n in range(array.shape[3])], image.affine, {}
    if array.ndim != 3:
        raise CTReadError(f"{path.name!r} has {array.ndim} dimensions; a label map has 3.")
    return [array], image.affine, {}


def _itk(path: Path) -> tuple[list[np.ndarray], np.ndarray, dict]:
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise CTReadError(f"{path.name!r} could not be read. Save it again.") from error
    if image.GetDimension() != 3:
        raise CTReadError(f"{path.name!r} has {image.GetDimension()} dimensions; a label map has 3.")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image)  # [k, j, i] or [k, j, i, layer]
    layers = [array[..., n] for n in range(array.shape[3])] if array.ndim == 4 else [array]
    keys = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    return [layer.transpose(2, 1, 0) for layer in layers], LPS_TO_RAS @ affine, _slicer_names(keys)


def _slicer_names(keys: dict[str, str]) -> dict[tuple[int, int], tuple[str, str | None]]:
    """(layer, label value) -> (name, colour) as 3D Slicer writes them; before 4.11 each segment had its own layer."""
    names = {}
    for key, name in keys.items():
        if match := re.fullmatch(r"Segment(\d+)_Name", key):
            about = f"Segment{match[1]}_"
            color = keys.get(f"{about}Color", "").split()
            hexed = "#" + "".join(f"{round(255 * min(1.0, max(0.0, float(c)))):02x}" for c in color)
            at = int(keys.get(f"{about}Layer", match[1])), int(keys.get(f"{about}LabelValue", 1))
            names[at] = (name, hexed if len(color) == 3 else None)
    return names


def _names_beside(path: Path) -> dict[tuple[None, int], tuple[str, str | None]]:
    """Names of ``NAME.json`` (as this project's exports hold it) or of an ITK-SNAP label file in the same folder."""
    try:
        listed = json.loads(path.with_name(f"{_stem(path)}.json").read_text(encoding="utf-8"))["labels"]
        return {(None, int(e["value"])): (str(e["name"]), e.get("color")) for e in listed}
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is none, or it is something else of that name
    names = {}
    for file in sorted(path.parent.glob("*.txt"))[:16] + sorted(path.parent.glob("*.label"))[:16]:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        for row in re.finditer(r'^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+[\d.]+\s+\d+\s+\d+\s+"([^"]*)"', text, re.M):
            value, *rgb = (int(v) for v in row.groups()[:4])
            names[None, value] = (row[5], "#" + "".join(f"{min(c, 255):02x}" for c in rgb))
    return names


# ---- DICOM


def _dicom(path: Path, ct: CTVolume, resample: bool) -> Iterator[_Part]:
    import pydicom

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = pydicom.dcmread(path)
            kind_of = str(data.get("SOPClassUID", ""))
    except Exception as error:  # pydicom's errors are of many kinds
        raise CTReadError(f"{path.name!r} could not be read as DICOM.") from error
    if kind_of in SEGMENTATIONS:
        return _segmentation(data, path.name)
    if kind_of == STRUCTURES:
        return _structures(data, ct, path.name, resample)
    raise CTReadError(f"{path.name!r} is DICOM, but neither a Segmentation nor an RT Structure Set.")


def _segmentation(data: object, name: str) -> Iterator[_Part]:
    import highdicom as hd
    from highdicom.color import CIELabColor

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seg = hd.seg.Segmentation.from_dataset(data, copy=False)
            for number in seg.segment_numbers:
                about = seg.get_segment_description(number)
                volume = seg.get_volume(segment_numbers=[number])  # [..., 1]; fractions from 0 to 1
                lab = about.get("RecommendedDisplayCIELabValue")
                color = "#{:02x}{:02x}{:02x}".format(*CIELabColor.from_dicom_value(lab).to_rgb()) if lab else None
                affine = LPS_TO_RAS @ np.asarray(volume.affine, dtype=np.float64)
                yield _Part(about.segment_label, color, volume.array[..., 0] >= 0.5, affine)
    except (AttributeError, KeyError, ValueError, RuntimeError, TypeError, IndexError) as error:
        raise CTReadError(
            f"{name!r} is a DICOM Segmentation that cannot be read as a volume. Save it again."
        ) from error


def _structures(data: object, ct: CTVolume, name: str, resample: bool) -> Iterator[_Part]:
    """Closed planar contours, filled on the CT's own slices; contours inside one another are holes (even-odd rule)."""
    try:
        names = {int(roi.ROINumber): str(roi.get("ROIName", "")) for roi in data.StructureSetROISequence}
        for item in data.get("ROIContourSequence", ()):
            number = int(item.ReferencedROINumber)
            called = names.get(number) or f"Structure {number}"
            contours = [
                ct.ras_mm_to_ijk(np.asarray(c.ContourData, dtype=np.float64).reshape(-1, 3) * (-1, -1, 1))
                for c in item.get("ContourSequence", ())
                if c.get("ContourGeometricType", "CLOSED_PLANAR") in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
            ]
            array = _filled([c for c in contours if len(c) > 2], ct, called, resample)
            rgb = item.get("ROIDisplayColor")
            color = "#{:02x}{:02x}{:02x}".format(*(int(c) for c in rgb)) if rgb else None
            yield _Part(called, color, array, ct.affine)
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        raise CTReadError(f"{name!r} is an RT Structure Set with contours that cannot be read.") from error


def _filled(contours: list[np.ndarray], ct: CTVolume, name: str, resample: bool) -> np.ndarray:
    """Each slice holds the contours of its plane; resampled, those of the nearest plane within half their distance."""
    array = np.zeros(ct.shape, bool)
    for axis in range(3):
        mine = [c for c in contours if np.ptp(c, axis=0).argmin() == axis and np.ptp(c[:, axis]) <= 1]
        planes: dict[int, list[np.ndarray]] = {}
        for contour in mine:
            planes.setdefault(round(float(np.median(contour[:, axis])) / ONE_PLANE), []).append(contour)
        if not planes:
            continue
        at = np.array(sorted(planes)) * ONE_PLANE
        off = bool((np.abs(at - np.round(at)) > OFF_SLICE).any())
        if off and not resample:
            raise CTReadError(
                f"Contours of {name!r} lie between the slices of this scan. Open the scan that they were drawn on, or "
                "have them resampled."
            )
        reach = max(1.0, float(np.median(np.diff(at))) if off and len(at) > 1 else 1.0) / 2
        view = np.moveaxis(array, axis, 0)
        for index in range(ct.shape[axis]):
            nearest = int(np.abs(at - index).argmin())
            if abs(at[nearest] - index) <= reach:
                for contour in planes[round(at[nearest] / ONE_PLANE)]:
                    _fill(view[index], np.delete(contour, axis, axis=1))
    return array


def _fill(plane: np.ndarray, points: np.ndarray) -> None:
    """Turn the pixels inside a contour round; ``points`` are (row, column) of a view into the mask."""
    lo = np.clip(np.floor(points.min(axis=0)).astype(int), 0, plane.shape)
    hi = np.clip(np.ceil(points.max(axis=0)).astype(int) + 1, 0, plane.shape)
    if (hi > lo).all():
        plane[lo[0] : hi[0], lo[1] : hi[1]] ^= polygon2mask(hi - lo, points - lo)


# ---- onto the grid


def _on_grid(part: _Part, ct: CTVolume, resample: bool, number: int) -> Mask | None:
    labels = {"id": "", "name": part.name[:120], "color": part.color or PALETTE[number % len(PALETTE)]}
    array, affine = geometry.to_canonical(part.array, part.affine)
    if array.shape == ct.shape and _same(affine, ct.affine, ct.shape):
        return Mask.from_array(array, **labels) if array.any() else None
    step = np.linalg.inv(ct.affine) @ affine  # voxel of the mask -> voxel of the CT
    if np.allclose(step[:3, :3], np.eye(3), atol=1e-3) and np.allclose(step[:3, 3], np.round(step[:3, 3]), atol=0.02):
        return _placed(array, np.round(step[:3, 3]).astype(int), ct, labels)
    if not resample:
        mine, theirs = (" x ".join(f"{s:.3g}" for s in geometry.spacing_mm(a)) for a in (ct.affine, affine))
        raise CTReadError(
            f"{part.name!r} lies on another grid ({' x '.join(map(str, array.shape))} voxels of {theirs} mm) than this "
            f"scan ({' x '.join(map(str, ct.shape))} of {mine} mm). Open its own scan, or have it resampled."
        )
    back = np.linalg.inv(step)
    moved = ndimage.affine_transform(array.view(np.uint8), back[:3, :3], back[:3, 3], ct.shape, order=0)
    return Mask.from_array(moved > 0, **labels) if moved.any() else None


def _same(a: np.ndarray, b: np.ndarray, shape: tuple[int, int, int]) -> bool:
    """Whether two grids of a shape lie on one another at every corner."""
    corners = np.stack(np.meshgrid(*((0, n - 1) for n in shape), indexing="ij"), -1).reshape(-1, 3)
    return bool(np.abs(geometry.ijk_to_ras_mm(a, corners) - geometry.ijk_to_ras_mm(b, corners)).max() < SAME_MM)


def _placed(array: np.ndarray, offset: np.ndarray, ct: CTVolume, labels: dict[str, str]) -> Mask | None:
    """A mask on a part of the CT's grid (3D Slicer and DICOM-SEG leave out empty borders), or reaching beyond it."""
    lo, hi = np.maximum(offset, 0), np.minimum(offset + array.shape, ct.shape)
    if (hi <= lo).any():
        return None
    inside = array[tuple(slice(a - o, b - o) for a, b, o in zip(lo, hi, offset, strict=True))]
    if not inside.any():
        return None
    box = Box(tuple(int(v) for v in lo), tuple(int(v) for v in hi))
    return Mask.from_block(ct.shape, box, inside, **labels)
