"""Files for other programs: NIfTI masks and label maps, STL, CSV, DICOM-SEG, RTSTRUCT, and one zip of them all.

Voxel files go back to the grid of the file that came in (orientation, affine), which is checked before anything is
written. Every function raises ``ExportError`` with what to do when that cannot be.
"""

from __future__ import annotations

import datetime
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from ..ct.changes import Change
from ..ct.lengths import REGIONS, Length
from ..ct.masks import Mask
from ..ct.volume import CTVolume
from ..errors import ExportError
from ..version import __version__
from .nifti import NOTICE, save_label_map, save_mask
from .slicer import save_seg_nrrd, save_snap_labels
from .surfaces import surface
from .tables import overlaps_told, save_changes_csv, save_lengths_csv, save_measurements_csv, save_regions_csv

FORMATS = ("labels", "masks", "seg_nrrd", "stl", "csv", "dicom_seg", "rtstruct")
STL_TRIANGLES = 300_000
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
_STL_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


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


def scan_stem(ct: CTVolume) -> str:
    """A file name stem for what is written of a scan: the name of its file without the endings of formats."""
    name = re.sub(r"(?i)(\.(nii|gz|nrrd|nhdr|mha|mhd|hdr|img|zip|dcm))+$", "", ct.info.file_name)
    return safe_name(name or "scan")


def save_dicom_seg(masks: Sequence[Mask], ct: CTVolume, path: str | PathLike) -> list[str]:
    """Write masks as a DICOM Segmentation, and return notes; see ``medvl.writers.dicom_seg.save_dicom_seg``."""
    from .dicom_seg import save_dicom_seg as save

    return save(masks, ct, path)


def save_rtstruct(masks: Sequence[Mask], ct: CTVolume, path: str | PathLike) -> list[str]:
    """Write masks as an RT Structure Set, and return notes; see ``medvl.writers.rtstruct.save_rtstruct``."""
    from .rtstruct import save_rtstruct as save

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
    changes: Sequence[Change] = (),
) -> list[str]:
    """Write the masks in several formats into one zip with a README.txt.

    ``labels`` label map and its lists, ``masks`` one NIfTI a mask, ``seg_nrrd`` a segmentation of 3D Slicer, ``stl``
    one surface a mask, ``csv`` measurements and lengths, ``dicom_seg`` a DICOM Segmentation, ``rtstruct`` an RT
    Structure Set. With the default formats, these two are left out when the scan did not come as DICOM, and the voxel
    files when the scan was resampled at reading; README.txt says so. Empty masks are left out. Lengths without masks
    give the two CSV files only, that of the measurements without rows.

    Args:
        path: zip to write; appears only when complete.
        ct: the scan the masks were drawn on.
        masks: the objects.
        formats: any of ``FORMATS``.
        lengths: lines, angles, axes and regions drawn on the same scan.
        changes: since an earlier scan; written with ``csv``.

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
        lines = [one for one in lengths if one.kind not in REGIONS]
        regions = [one for one in lengths if one.kind in REGIONS]
        if lines:
            save_lengths_csv(lines, ct, folder / "lengths.csv")
        if changes and "csv" in formats:
            save_changes_csv(changes, ct, folder / "changes.csv")
        if regions:
            save_regions_csv(regions, ct, folder / "regions.csv")
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
                save_snap_labels(masks, folder / "labels.txt")
            elif kind == "seg_nrrd":
                save_seg_nrrd(masks, ct, folder / "segmentation.seg.nrrd")
            elif kind == "csv":
                save_measurements_csv(masks, ct, folder / "measurements.csv")
            elif kind == "dicom_seg":
                notes += save_dicom_seg(masks, ct, folder / "segmentation.dcm")
            elif kind == "rtstruct":
                notes += save_rtstruct(masks, ct, folder / "structures.dcm")
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


def _label(value: int, mask: Mask) -> str:
    return (
        f"  {value}  {mask.name}"
        + (f" (at least: it {mask.limits})" if mask.limits else "")
        + (f" (doubtful: {mask.doubt})" if mask.doubt else "")
    )


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
        f"Scan: {ct.info.file_name or 'without a name'}",
        *([f"Series: {ct.info.series_description}"] if ct.info.series_description else []),
        f"Format: {ct.file_format}, {shape} voxels of {spacing} mm, axes growing to {ct.source.orientation}.",
        f"Written: {datetime.date.today().isoformat()} by MedVL-SAM2 {__version__}",
        "",
        "labels.nii.gz     one label map in the grid and affine of the scan's file; labels.json lists the labels.",
        "                  Where masks overlap, the smaller one has the voxels; the single masks keep every voxel.",
        "labels.txt        names and colours of the labels, as ITK-SNAP's label description file.",
        "segmentation.seg.nrrd  all masks with names and colours for 3D Slicer; those that overlap keep every voxel.",
        "masks/*.nii.gz    single masks, 0 and 1, uint8, in the grid and affine of the scan's file.",
        "stl/*.stl         surfaces in mm, LPS coordinates (the DICOM convention: x left, y posterior, z superior);",
        "                  smoothed and, when large, coarsened: measure volumes on the masks, not on them.",
        "measurements.csv  volume in mL, Hounsfield units (mean, population SD), longest 3-D diameter in mm,",
        "                  centroid in RAS mm, first and last axial slice counted from the feet and from 1; at_least",
        "                  says that sizes are lower bounds, limits why; doubt that an outline is doubtful;",
        "                  overlaps says what a mask shares with others.",
        "lengths.csv       lengths drawn in the viewer, if any: plane, slice from 1, ends (RAS), mm or degrees.",
        "regions.csv       circles, rectangles and spheres drawn in the viewer, if any: centre (RAS), radius in mm,",
        "                  Hounsfield units of the voxels whose centres lie in it (mean, population SD, range and",
        "                  percentiles), area or volume.",
        "changes.csv       volumes now and in the earlier scan that was open beside, if any: change in mL and percent.",
        "segmentation.dcm  DICOM Segmentation that refers to the slices of the source series, or to the frames of a",
        "                  multi-frame file; no patient fields.",
        "structures.dcm    RT Structure Set: outlines on the slices of the source series, halfway between the voxel",
        "                  centres inside and outside; outlines inside one another are holes. No patient fields.",
        "A file that is not in this zip was not asked for, or see the notes.",
        "",
        "Labels:",
        *([_label(value, mask) for value, mask in enumerate(masks, start=1)] or ["  none"]),
    ]
    shared = overlaps_told(masks)
    if shared:
        lines += ["", "Overlaps:", *(f"  {masks[n].name}: {told}" for n, told in shared.items())]
    return "\n".join([*lines, *(["", "Notes:", *(f"  {note}" for note in notes)] if notes else []), ""])
