"""Files for other programs: NIfTI masks and label maps, STL, CSV, DICOM-SEG, and one zip of them all.

Voxel files go back to the grid of the file that came in (orientation, affine), which is checked before anything is
written. Every function raises ``ExportError`` with what to do when that cannot be.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import nibabel as nib
import numpy as np

from .errors import ExportError
from .export_readme import NOTICE, readme
from .geometry import restore
from .lengths import Length, save_lengths_csv
from .masks import Mask
from .measure import Measurement, measure
from .surfaces import surface
from .volume import CTVolume

FORMATS = ("labels", "masks", "stl", "csv", "dicom_seg")
STL_TRIANGLES = 300_000
CSV_COLUMNS = (
    "label", "name", "voxels", "volume_ml", "mean_hu", "sd_hu", "longest_diameter_mm",
    "centroid_r_mm", "centroid_a_mm", "centroid_s_mm", "first_axial_slice_from_1",
    "last_axial_slice_from_1",
)  # fmt: skip
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
_STL_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


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
    _write_nifti(restore(mask.array.view(np.uint8), ct.affine, ct.source), ct, path)


def save_label_map(masks: Sequence[Mask], ct: CTVolume, path: str | PathLike) -> list[dict]:
    """Write all masks as one NIfTI of labels 1, 2, ... in the order given, and the list of labels beside it.

    Where masks overlap, the voxel belongs to the LATER mask of the list. The list (``NAME.json`` beside
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
    for value, mask in enumerate(masks, start=1):
        if mask.box:
            labels[mask.box.slices][mask.block] = value
    left = [int((labels[m.box.slices] == value).sum()) if m.box else 0 for value, m in enumerate(masks, start=1)]
    _write_nifti(restore(labels, ct.affine, ct.source), ct, path)
    rows = [
        {"value": value, "name": m.name, "color": m.color, "voxels_of_mask": m.voxels, "voxels_in_map": kept}
        for value, (m, kept) in enumerate(zip(masks, left, strict=True), start=1)
    ]
    text = {"notice": NOTICE, "overlap": "the later label of the list wins", "background": 0, "labels": rows}
    beside = Path(path).with_name(re.sub(r"\.nii(\.gz)?$", "", Path(path).name) + ".json")
    beside.write_text(json.dumps(text, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return rows


def save_stl(mask: Mask, ct: CTVolume, path: str | PathLike, max_triangles: int = STL_TRIANGLES) -> None:
    """Write the surface of a mask as binary STL in mm, in LPS coordinates.

    LPS (x to the patient's left, y to posterior, z to superior) is what DICOM uses and what 3D Slicer and most medical
    tools assume of an STL; the header says ``SPACE=LPS``, which 3D Slicer reads. nibabel's RAS has x and y negated.

    Raises:
        ExportError: the mask is empty.
    """
    if mask.empty:
        raise ExportError(f"'{mask.name}' is empty: there is no surface to write.")
    vertices, faces = surface(mask, ct.affine, max_triangles=max_triangles)
    corners = (vertices * np.array([-1, -1, 1], np.float32))[faces]  # RAS -> LPS: a half turn, so faces keep their side
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    facets = np.zeros(len(faces), _STL_FACET)
    facets["normal"] = normal / np.maximum(length, 1e-12)
    facets["corners"] = corners
    header = b"MedVL-SAM2 SPACE=LPS UNIT=mm; research use only, not for diagnosis"
    with open(path, "wb") as file:
        file.write(header.ljust(80)[:80])
        file.write(np.uint32(len(faces)).astype("<u4").tobytes())
        file.write(facets.tobytes())


def save_measurements_csv(
    masks: Sequence[Mask], ct: CTVolume, path: str | PathLike, measurements: Sequence[Measurement] | None = None
) -> None:
    """Write one row a mask, UTF-8, units in the column names; what an empty mask does not have is left blank.

    ``first_axial_slice_from_1`` and ``last_axial_slice_from_1`` count the axial slices from the feet and from 1, as the
    viewer and the chat do; both are part of the mask. (``Measurement.slice_range`` is the same as indices, from 0.)

    Args:
        masks: the objects, in the order of the label map.
        ct: the scan they were drawn on.
        path: file to write.
        measurements: of the masks, when already there.
    """
    measurements = measurements or [measure(mask, ct) for mask in masks]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_COLUMNS)
        for value, (mask, m) in enumerate(zip(masks, measurements, strict=True), start=1):
            numbers = [m.mean_hu, m.sd_hu, m.longest_diameter_mm, *(m.centroid_ras_mm or (None,) * 3)]
            shown = ["" if n is None else f"{n:.2f}" for n in numbers]
            slices = [k + 1 for k in m.slice_range] if m.slice_range else ["", ""]
            writer.writerow([value, _cell(mask.name), m.voxels, f"{m.volume_ml:.4f}", *shown, *slices])


def save_dicom_seg(masks: Sequence[Mask], ct: CTVolume, path: str | PathLike) -> list[str]:
    """Write masks as a DICOM Segmentation, and return notes; see ``medvl.dicom_seg.save_dicom_seg``."""
    from .dicom_seg import save_dicom_seg as save  # highdicom takes a second to import

    return save(masks, ct, path)


def safe_name(name: str, taken: set[str] | None = None) -> str:
    """A file name stem for any mask name: letters of every script stay, separators and control characters do not.

    Args:
        name: what a person called the mask.
        taken: stems used so far, case-folded; the new one differs from them and is added.
    """
    text = unicodedata.normalize("NFC", name)
    text = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" or c in "-_.()" else "_" for c in text)
    text = re.sub(r"_+", "_", text).encode("utf-8")[:100].decode("utf-8", "ignore").strip("._ ") or "mask"
    stem = f"{text}_" if text.split(".")[0].casefold() in _RESERVED else text
    if taken is None:
        return stem
    number, unique = 1, stem
    while unicodedata.normalize("NFKC", unique).casefold() in taken:
        number += 1
        unique = f"{stem}_{number}"
    taken.add(unicodedata.normalize("NFKC", unique).casefold())
    return unique


def export_zip(
    path: str | PathLike,
    ct: CTVolume,
    masks: Sequence[Mask],
    formats: Sequence[str] = FORMATS,
    lengths: Sequence[Length] = (),
) -> list[str]:
    """Write the masks in several formats into one zip with a README.txt.

    ``labels`` label map and its list, ``masks`` one NIfTI a mask, ``stl`` one surface a mask, ``csv`` measurements and
    lengths, ``dicom_seg`` a DICOM Segmentation. With the default formats, DICOM-SEG is left out when the scan did not
    come as DICOM, and the voxel files when the scan was resampled at reading; README.txt says so. Empty masks are left
    out. Lengths without masks give the two CSV files only, that of the measurements without rows.

    Args:
        path: zip to write; appears only when complete.
        ct: the scan the masks were drawn on.
        masks: the objects.
        formats: any of ``FORMATS``.
        lengths: drawn on the same scan.

    Returns:
        Names in the zip.

    Raises:
        ExportError: no mask with voxels and no length that is asked for, an unknown format, a length beside the scan,
            or none of the formats can be written.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise ExportError(f"Unknown export format {', '.join(unknown) or '(none)'}: choose from {', '.join(FORMATS)}.")
    lengths = [length.check(ct) for length in lengths] if "csv" in formats else []
    full = [m for m in masks if not m.empty]
    if not full and not lengths:
        raise ExportError("There is no mask with voxels to export. Segment something first.")
    notes = [f"Left out, because empty: {m.name}" for m in masks if m.empty]
    if not full:
        formats = ["csv"]
        notes.append("There is no mask with voxels: only the lengths were written.")
    with tempfile.TemporaryDirectory(prefix="medvl-export-") as scratch:
        folder = Path(scratch)
        failures, more = _write_formats(folder, ct, full, formats)
        if len(failures) == len(set(formats)):
            raise failures[0]
        notes += [str(failure) for failure in failures] + more
        if lengths:
            save_lengths_csv(lengths, ct, folder / "lengths.csv")
        (folder / "README.txt").write_text(readme(ct, full, notes), encoding="utf-8")
        return _zip(folder, Path(path))


def _write_formats(
    folder: Path, ct: CTVolume, masks: list[Mask], formats: Sequence[str]
) -> tuple[list[ExportError], list[str]]:
    """Write what can be written; also why some could not, and notes on those that could."""
    taken: set[str] = set()
    stems = [safe_name(mask.name, taken) for mask in masks]
    failures, notes = [], []
    for kind in (f for f in FORMATS if f in formats):
        try:
            if kind == "labels":
                save_label_map(masks, ct, folder / "labels.nii.gz")
            elif kind == "csv":
                save_measurements_csv(masks, ct, folder / "measurements.csv")
            elif kind == "dicom_seg":
                notes += save_dicom_seg(masks, ct, folder / "segmentation.dcm")
            else:
                save, suffix = (save_mask, ".nii.gz") if kind == "masks" else (save_stl, ".stl")
                (folder / kind).mkdir()
                for mask, stem in zip(masks, stems, strict=True):
                    save(mask, ct, folder / kind / (stem + suffix))
        except ExportError as error:
            failures.append(error)
    return failures, notes


def _zip(folder: Path, path: Path) -> list[str]:
    """Pack a folder; the zip is built inside it and moved to ``path`` when complete."""
    files = sorted(f for f in folder.rglob("*") if f.is_file())
    packed = folder / "export.zip.part"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in files:
            method = zipfile.ZIP_STORED if file.suffix == ".gz" else zipfile.ZIP_DEFLATED
            archive.write(file, file.relative_to(folder).as_posix(), compress_type=method)
    shutil.move(packed, path)
    return [f.relative_to(folder).as_posix() for f in files]


def _write_nifti(array: np.ndarray, ct: CTVolume, path: str | PathLike) -> None:
    if not str(path).lower().endswith((".nii", ".nii.gz")):
        raise ExportError(f"'{Path(path).name}' is no NIfTI name: let it end with .nii or .nii.gz.")
    image = nib.Nifti1Image(array, ct.source.affine, dtype=array.dtype)
    image.set_sform(ct.source.affine, code="scanner")
    image.set_qform(ct.source.affine, code="scanner" if _is_rigid(ct.source.affine) else "unknown")
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"MedVL-SAM2 mask, research use only"
    nib.save(image, path)


def _is_rigid(affine: np.ndarray) -> bool:
    """True if the axes are orthogonal, which is all that a qform can say; a sheared grid has a sform only."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.allclose(axes.T @ axes, np.eye(3), atol=1e-4))


def _cell(text: str) -> str:
    """A name that a spreadsheet will not take for a formula."""
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text
