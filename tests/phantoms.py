"""Small synthetic CTs with a label map, and writers for every format the reader takes.

Everything is deterministic. ``Phantom.hu`` and ``Phantom.labels`` are ``(i, j, k)`` in RAS+ order; writers take any
array with its affine (voxel -> RAS mm), so a reoriented or oblique phantom is written as it stands.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, RLELossless

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
ORGANS = {"liver": 1, "spleen": 2, "kidney_right": 3, "kidney_left": 4, "aorta": 5, "spine": 6, "bladder": 7}
# name: (HU, centre, half axes), both as fractions of the volume along R, A, S; x grows to the patient's right
_ELLIPSOIDS = {
    "liver": (115, (0.68, 0.56, 0.56), (0.15, 0.17, 0.16)),
    "spleen": (130, (0.27, 0.42, 0.60), (0.08, 0.10, 0.11)),
    "kidney_right": (185, (0.66, 0.33, 0.38), (0.065, 0.07, 0.12)),
    "kidney_left": (185, (0.34, 0.33, 0.40), (0.065, 0.07, 0.12)),
    "bladder": (5, (0.50, 0.56, 0.12), (0.10, 0.10, 0.08)),
}
PATIENT_NAME = "Secret^Person"
PATIENT_ID = "ID-4711-SECRET"


@dataclass(frozen=True)
class Phantom:
    """A synthetic CT.

    Attributes:
        hu: int16 ``(i, j, k)``, RAS+.
        labels: uint8 ``(i, j, k)``; values in ``ORGANS``.
        affine: ``(4, 4)`` voxel -> RAS mm.
    """

    hu: np.ndarray
    labels: np.ndarray
    affine: np.ndarray

    def organ(self, name: str) -> np.ndarray:
        """Bool array of one organ of ``ORGANS``."""
        return self.labels == ORGANS[name]

    def centre(self, name: str) -> tuple[int, int, int]:
        """A voxel well inside an organ: the middle of its voxels' indices."""
        return tuple(round(float(v)) for v in np.argwhere(self.organ(name)).mean(axis=0))


def affine_of(spacing: Sequence[float], origin: Sequence[float], degrees: Sequence[float] = (0, 0, 0)) -> np.ndarray:
    """Affine with the given spacing (mm), origin (RAS mm) and rotation about x, y, z."""
    rotation = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        rotation = turn @ rotation
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(spacing)
    affine[:3, 3] = origin
    return affine


def phantom(
    shape: Sequence[int] = (48, 40, 36),
    spacing: Sequence[float] = (2.0, 2.5, 3.0),
    degrees: Sequence[float] = (0, 0, 0),
    noise: float = 8.0,
) -> Phantom:
    """A body ellipse with lungs, spine, aorta and ellipsoid organs; no axis is symmetric.

    Args:
        shape: voxels along i, j, k.
        spacing: mm along i, j, k.
        degrees: rotation about x, y, z for an oblique affine.
        noise: standard deviation of the noise in HU.
    """
    shape = tuple(int(n) for n in shape)
    x, y, z = np.meshgrid(*[(np.arange(n) + 0.5) / n for n in shape], indexing="ij", sparse=True)

    def inside(centre: Sequence[float], half: Sequence[float]) -> np.ndarray:
        return sum(((v - c) / h) ** 2 for v, c, h in zip((x, y, z), centre, half, strict=True)) <= 1

    hu = np.full(shape, -1000.0, dtype=np.float32)
    labels = np.zeros(shape, dtype=np.uint8)
    body = (((x - 0.5) / 0.45) ** 2 + ((y - 0.48) / 0.42) ** 2 <= 1) & (z > -1)
    hu[body] = -95
    hu[(((x - 0.5) / 0.41) ** 2 + ((y - 0.48) / 0.37) ** 2 <= 1) & (z > -1)] = 45
    for side in (0.29, 0.71):
        hu[inside((side, 0.52, 0.90), (0.14, 0.22, 0.20))] = -830
    for name, (value, centre, half) in _ELLIPSOIDS.items():
        where = inside(centre, half)
        hu[where] = value
        labels[where] = ORGANS[name]
    for name, value, centre, radius in (("spine", 420, (0.5, 0.22), 0.07), ("aorta", 300, (0.46, 0.37), 0.04)):
        where = (((x - centre[0]) ** 2 + (y - centre[1]) ** 2) <= radius**2) & (z > 0.05)
        hu[where] = value
        labels[where] = ORGANS[name]
    if noise:
        hu += np.random.default_rng(7).normal(0, noise, shape).astype(np.float32)
    origin = [-0.5 * n * s for n, s in zip(shape, spacing, strict=True)]
    origin[2] -= 17.25
    return Phantom(np.rint(np.maximum(hu, -1024)).astype(np.int16), labels, affine_of(spacing, origin, degrees))


def reorient(array: np.ndarray, affine: np.ndarray, axcodes: str) -> tuple[np.ndarray, np.ndarray]:
    """The same voxels stored along other axes, for instance ``"LPS"`` or ``"SAR"``; any of the 48."""
    ornt = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(axcodes))
    moved = np.ascontiguousarray(nib.apply_orientation(array, ornt))
    return moved, affine @ nib.orientations.inv_ornt_aff(ornt, array.shape)


def write_nifti(
    path: Path | str,
    array: np.ndarray,
    affine: np.ndarray,
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
    version: int = 1,
    codes: tuple[int, int] = (1, 1),
    unit: str = "mm",
    big_endian: bool = False,
) -> Path:
    """Write NIfTI; ``array`` holds stored values (before slope), ``codes`` are (sform, qform)."""
    cls, header_cls = (nib.Nifti1Image, nib.Nifti1Header) if version == 1 else (nib.Nifti2Image, nib.Nifti2Header)
    header = header_cls(endianness=">" if big_endian else "<")
    header.set_data_dtype(array.dtype)
    header.set_xyzt_units(unit)
    image = cls(array, affine, header)
    image.set_sform(affine, code=codes[0])
    image.set_qform(affine, code=codes[1])
    image.header.set_slope_inter(slope, intercept)
    nib.save(image, str(path))
    return Path(path)


def sitk_image(array: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """A SimpleITK image (LPS) of an ``(i, j, k)`` array with its RAS affine."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def write_itk(path: Path | str, array: np.ndarray, affine: np.ndarray, compress: bool = False) -> Path:
    """Write NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd) by the extension."""
    sitk.WriteImage(sitk_image(array, affine), str(path), compress)
    return Path(path)


def uid(*parts: object) -> str:
    """A deterministic UID of the given parts."""
    return pydicom.uid.generate_uid(entropy_srcs=[str(p) for p in parts])


def _dicom_header(series: int, modality: str, sop_class: str, sop_uid: str, description: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, sop_uid
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = PATIENT_NAME, PATIENT_ID, "19500101", "F"
    ds.InstitutionName, ds.ReferringPhysicianName = "Secret Hospital", "Secret^Doctor"
    ds.StudyDescription, ds.SeriesDescription = "Secret study", description
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20200102", "101112", "77", "ACC-SECRET"
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = uid("study"), uid("frame")
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.Modality = uid("series", series), series, modality
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    return ds


def write_dicom_series(
    folder: Path | str,
    volume: np.ndarray,
    affine: np.ndarray,
    *,
    series: int = 4,
    modality: str = "CT",
    sop_class: str = CTImageStorage,
    slope: float | Callable[[int], float] = 1.0,
    intercept: float | Callable[[int], float] = -1024.0,
    signed: bool = False,
    drop: Sequence[int] = (),
    duplicate: Sequence[int] = (),
    tilt_degrees: float = 0.0,
    positions_mm: Sequence[float] | None = None,
    phases: int = 1,
    localizer: bool = False,
    colour: bool = False,
    syntax: str = "explicit",
    preamble: bool = True,
    edit: Callable[[Dataset, int], None] | None = None,
) -> Path:
    """Write a classical series, one file a slice, with the slices along the third axis of ``volume``.

    Args:
        folder: made if missing; files are named so that their order is not the slice order.
        volume: int16 HU ``(columns, rows, slices)``.
        affine: ``(4, 4)`` voxel -> RAS mm.
        series: SeriesNumber; another number is another series of the same study.
        modality: Modality.
        sop_class: SOP class UID.
        slope: RescaleSlope, or a function of the slice index.
        intercept: RescaleIntercept, or a function of the slice index.
        signed: store signed instead of unsigned pixels.
        drop: slice indices that are not written.
        duplicate: slice indices that are written twice (same SOP instance).
        tilt_degrees: gantry tilt: every slice moves along its rows' normal in the plane with the table.
        positions_mm: distance of each slice from the first along the normal, instead of uniform.
        phases: write the volume so many times at the same places with another AcquisitionNumber (+100 HU each).
        localizer: mark the files as localizers.
        colour: write RGB.
        syntax: ``explicit``, ``implicit``, ``big``, ``deflated``, ``rle``, ``jpeg`` or ``jpeg2000`` (lossless).
        preamble: write the 128-byte preamble and file meta information.
        edit: last change to each data set, called with it and its slice index.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lps = LPS @ np.asarray(affine, dtype=np.float64)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    row, col = lps[:3, 0] / spacing[0], lps[:3, 1] / spacing[1]
    step = lps[:3, 2] / spacing[2]
    n = volume.shape[2]
    distance = np.arange(n) * spacing[2] if positions_mm is None else np.asarray(positions_mm, dtype=np.float64)
    for phase in range(phases):
        for k in range(n):
            if k in drop:
                continue
            ds = _dicom_header(series, modality, sop_class, uid(series, phase, k), PATIENT_NAME)
            ds.AcquisitionNumber = phase + 1
            ds.InstanceNumber = phase * n + n - k
            if localizer:
                ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            position = lps[:3, 3] + distance[k] * (step + np.tan(np.deg2rad(tilt_degrees)) * col)
            ds.ImagePositionPatient = [round(float(v), 6) for v in position]
            ds.ImageOrientationPatient = [round(float(v), 10) for v in (*row, *col)]
            ds.PixelSpacing = [round(float(spacing[1]), 8), round(float(spacing[0]), 8)]
            ds.SliceThickness = round(float(spacing[2]), 6)
            m = slope(k) if callable(slope) else slope
            b = intercept(k) if callable(intercept) else intercept
            ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = f"{m:g}", f"{b:g}", "HU"
            stored = np.rint((volume[:, :, k].T.astype(np.float64) + 100 * phase - b) / m)
            _set_pixels(ds, stored.astype(np.int16 if signed else np.uint16), colour)
            if edit:
                edit(ds, k)
            name = folder / f"IM{(k * 7919 + phase * 31) % 10007:05d}_{series}_{phase}"
            _save(ds, name, syntax, preamble)
            if k in duplicate:
                shutil.copyfile(name, folder / f"copy_{series}_{k}")
    return folder


def _set_pixels(ds: Dataset, stored: np.ndarray, colour: bool) -> None:
    ds.Rows, ds.Columns = stored.shape
    ds.PixelRepresentation = 1 if stored.dtype == np.int16 else 0
    if colour:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        stored = np.repeat((stored % 256).astype(np.uint8)[..., None], 3, axis=2)
    ds.add_new("PixelData", "OB" if colour else "OW", stored.tobytes())


def _save(ds: FileDataset, name: Path, syntax: str, preamble: bool) -> None:
    if syntax in ("jpeg", "jpeg2000"):
        _compress_with_gdcm(ds, name.with_name(name.name + ".tmp.dcm"), syntax.upper())
    elif syntax == "rle":
        ds.compress(RLELossless, generate_instance_uid=False)
    elif syntax == "deflated":
        ds.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    elif syntax == "implicit":
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    elif syntax == "big":
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    if not preamble:
        pydicom.dcmwrite(name, Dataset(ds), implicit_vr=True, little_endian=True, enforce_file_format=False)
    elif syntax == "big":  # a fresh data set, as pydicom does not convert the byte order of one that has another
        fresh = Dataset()
        fresh.update({element.tag: element for element in ds})
        fresh.file_meta, fresh.preamble = ds.file_meta, b"\0" * 128
        pydicom.dcmwrite(name, fresh, enforce_file_format=True)
    else:
        ds.save_as(name, enforce_file_format=True)


def _compress_with_gdcm(ds: Dataset, scratch: Path, compressor: str) -> None:
    """Replace the pixels of ``ds`` by GDCM's lossless JPEG or JPEG 2000 code stream."""
    pixels = np.frombuffer(ds.PixelData, np.int16 if ds.PixelRepresentation else np.uint16)
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(scratch))
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor(compressor)
    writer.Execute(sitk.GetImageFromArray(pixels.reshape(1, ds.Rows, ds.Columns)))
    written = pydicom.dcmread(scratch)
    scratch.unlink()
    ds.file_meta.TransferSyntaxUID = written.file_meta.TransferSyntaxUID
    ds.BitsStored, ds.HighBit = written.BitsStored, written.HighBit
    ds["PixelData"] = written["PixelData"]


def write_enhanced_ct(
    path: Path | str,
    volume: np.ndarray,
    affine: np.ndarray,
    *,
    series: int = 9,
    slope: float | Callable[[int], float] = 1.0,
    rle: bool = False,
    order: Sequence[int] | None = None,
    positions_mm: Sequence[float] | None = None,
    sop_class: str = EnhancedCTImageStorage,
    part: int = 0,
) -> Path:
    """Write one multi-frame Enhanced CT file, slices along the third axis of ``volume``.

    Args:
        path: file to write.
        volume: int16 HU ``(columns, rows, slices)``.
        affine: ``(4, 4)`` voxel -> RAS mm.
        series: SeriesNumber.
        slope: RescaleSlope, or a function of the slice index.
        rle: compress.
        order: slice index of each frame; by default from the last slice to the first.
        positions_mm: distance of each slice from the first along the normal, instead of uniform.
        sop_class: SOP class UID.
        part: another number is another file of the same series.
    """
    lps = LPS @ np.asarray(affine, dtype=np.float64)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    ds = _dicom_header(series, "CT", sop_class, uid("enhanced", series, *([part] if part else [])), PATIENT_NAME)
    step = lps[:3, 2] / spacing[2]
    distance = np.arange(volume.shape[2]) * spacing[2] if positions_mm is None else positions_mm
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [round(float(v), 10) for v in (lps[:3, :2] / spacing[:2]).T.ravel()]
    measures.PixelSpacing = [float(spacing[1]), float(spacing[0])]
    measures.SliceThickness = float(spacing[2])
    shared = Dataset()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    ds.SharedFunctionalGroupsSequence = [shared]
    frames, stored = [], []
    for k in reversed(range(volume.shape[2])) if order is None else order:
        place, value, frame = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [round(float(v), 6) for v in lps[:3, 3] + distance[k] * step]
        m = slope(k) if callable(slope) else slope
        value.RescaleSlope, value.RescaleIntercept, value.RescaleType = f"{m:g}", "-1024", "HU"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [place], [value]
        frames.append(frame)
        stored.append(np.rint((volume[:, :, k].T.astype(np.float64) + 1024) / m).astype(np.uint16))
    ds.PerFrameFunctionalGroupsSequence = frames
    ds.NumberOfFrames = len(frames)
    _set_pixels(ds, stored[0], colour=False)
    ds.PixelData = np.stack(stored).tobytes()
    if rle:
        ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(path, enforce_file_format=True)
    return Path(path)


def zip_folder(folder: Path | str, path: Path | str) -> Path:
    """Zip all files under ``folder``, deflated, keeping the relative names."""
    folder = Path(folder)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(folder).as_posix())
    return Path(path)
