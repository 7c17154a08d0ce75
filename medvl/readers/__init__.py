"""Reading a CT from whatever a person has: one file, a folder, a zip, or many files at once.

``read_ct`` tells files by content, checks declared sizes before it allocates, converts to int16 HU slab by slab, and
turns the volume to closest RAS+. No field that names a person is read, kept or shown.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..ct.geometry import SourceGeometry, to_canonical
from ..ct.volume import CTVolume, ScanInfo
from ..errors import CTReadError, MedVLError
from .archive import extract
from .beside import NIFTI_DATA, beside, nifti_data
from .common import Job, Loaded, check_bytes
from .dicom import read_dicom
from .faults import explain
from .itk import data_file, header_lines, read_itk
from .nifti import read_nifti
from .sniff import VOLUMES, describe, kind, read_head
from .text_header import check_text_header

__all__ = ["DEFAULT_MAX_BYTES", "DEFAULT_MAX_VOXELS", "read_ct"]

DEFAULT_MAX_VOXELS = 400_000_000  # 512 x 512 x 1500; 0.8 GB as int16
DEFAULT_MAX_BYTES = 2_000_000_000
_MAX_FILES = 20_000
_WORK_BYTES = 48 << 20  # of a reader beside the volume: slabs, buffers, headers
_TOO_MUCH = (
    "Reading takes more memory than there is, or than a scan of this size needs. If the file is not damaged, crop the "
    "scan or resample it to thicker slices."
)
_UNKNOWN = "The file is damaged in a way that its reader does not know ({}). Copy or export it again."


def read_ct(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    max_voxels: int = DEFAULT_MAX_VOXELS,
    max_bytes: int = DEFAULT_MAX_BYTES,
    expect: str | None = "CT",
    progress: Callable[[float, str], None] | None = None,
    cancel: threading.Event | None = None,
    claim: Callable[[int], None] | None = None,
    series: str | None = None,
) -> CTVolume:
    """Read one CT volume.

    Args:
        path: a NIfTI (.nii, .nii.gz), NRRD or MetaImage file; a DICOM folder; a zip of a DICOM series or of one such
            file; or many paths, as a browser sends them. Told apart by content, not by name.
        max_voxels: refuse larger volumes.
        max_bytes: refuse larger files, zips that unpack to more, and volumes that decode to more.
        expect: DICOM modality that is expected; another one is read with a warning in ``notes``. None: no warnings
            about modality or about values that cannot be Hounsfield units.
        progress: called with the fraction done (0 to 1) and a few words.
        cancel: set it to stop with ``Cancelled``.
        claim: called with the bytes that reading will take (the volume and what decoding needs beside it), before they
            are taken, and at the end with those of the volume; what it raises ends the reading.
        series: which of several DICOM scans, as ``CTVolume.series`` names them (``"4"``, ``"4.2"``), or its
            SeriesInstanceUID. None: the largest.

    Returns:
        The volume; ``hu`` int16 ``(i, j, k)`` RAS+ in Fortran order (axial slices contiguous), ``notes`` for a person.

    Raises:
        CTReadError: not readable as one CT volume; the message says why and what to do.
        Cancelled: ``cancel`` was set.
    """
    hooks = _Hooks()
    claim = hooks.watched(claim)
    job = Job(int(max_voxels), int(max_bytes), expect, hooks.watched(progress), cancel, claim, series)
    try:
        job.step(0.0)
        files = _files(path, job)
        loaded = _read_one(files[0][1], job) if len(files) == 1 else _read_many(files, job)
        if series is not None and not loaded.series:
            raise CTReadError("A series can be chosen of DICOM files only; this is one volume. Leave the series out.")
        volume = _canonical(loaded, _file_name(path))
        if claim is not None:
            claim(volume.hu.nbytes)
        job.step(1.0)
        return volume
    except MedVLError as error:
        raise error from None  # what a library said can quote the header
    except MemoryError:
        raise CTReadError(_TOO_MUCH) from None
    except Exception as error:
        if error is hooks.raised:
            raise
        if isinstance(error, OSError) and type(error).__module__ == "builtins":
            raise CTReadError(explain(error)) from None
        raise CTReadError(_UNKNOWN.format(type(error).__name__)) from None


class _Hooks:
    """The caller's functions, and what they raise, which is no fault of the file."""

    raised: Exception | None = None

    def watched(self, hook: Callable[..., None] | None) -> Callable[..., None] | None:
        if hook is None:
            return None

        def call(*values: Any) -> None:
            try:
                hook(*values)
            except Exception as error:
                self.raised = error
                raise

        return call


def _working(job: Job, work: Callable[[int], int]) -> Job:
    """The job for one reader: it claims together with the volume what it needs beside it, or the copy along other axes.

    Args:
        job: of the call.
        work: bytes of the volume -> bytes beside it while it is decoded.
    """
    if job.claim is None:
        return job
    claim = job.claim
    return replace(job, claim=lambda nbytes: claim(nbytes + max(nbytes, work(nbytes)) + _WORK_BYTES))


def _read_text(path: str, found: str, job: Job, others: Sequence[tuple[str, str]] = ()) -> Loaded:
    """NRRD or MetaImage: the header is checked, then ITK holds the stored values, and the packed ones, too."""
    stored = check_text_header(header_lines(path, found), found)
    packed = sum(os.path.getsize(file) for _, file in others) or os.path.getsize(path)
    return read_itk(path, _working(job, lambda nbytes: nbytes // 2 * stored + packed), others)


def _read_dicom(paths: list[str], job: Job) -> Loaded:
    """DICOM: some slices are held as they are decoded, or all frames of one file, with up to 8 bytes a pixel."""
    largest = max(os.path.getsize(path) for path in paths)
    return read_dicom(paths, _working(job, lambda nbytes: 3 * largest + min(4 * nbytes, 80 * largest)))


def _canonical(loaded: Loaded, file_name: str) -> CTVolume:
    source = SourceGeometry(tuple(int(n) for n in loaded.hu.shape), loaded.affine, loaded.nifti)
    hu, affine = to_canonical(loaded.hu, loaded.affine)
    notes = ([loaded.hu_note] if loaded.hu_note else []) + loaded.notes
    return CTVolume(
        np.asfortranarray(hu),
        affine,
        source,
        loaded.file_format,
        tuple(notes),
        loaded.dicom,
        ScanInfo(file_name, loaded.series_description, loaded.contrast),
        loaded.hu_note,
        loaded.series,
    )


def _file_name(path: str | os.PathLike | Sequence[str | os.PathLike]) -> str:
    """What a person calls what was opened: the file or folder, or how many files it was."""
    if isinstance(path, str | os.PathLike):
        return os.path.basename(os.path.abspath(os.fspath(path)))
    paths = list(path)
    return os.path.basename(os.fspath(paths[0])) if len(paths) == 1 else f"{len(paths)} files"


def _files(path: str | os.PathLike | Sequence[str | os.PathLike], job: Job) -> list[tuple[str, str]]:
    """``(base name, path)`` of every file, folders walked; sizes checked."""
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    files: list[tuple[str, str]] = []
    for item in paths:
        item = os.fspath(item)
        if os.path.isdir(item):
            for folder, _, names in os.walk(item):
                files += [(n, os.path.join(folder, n)) for n in sorted(names) if not n.startswith(".")]
                if len(files) > _MAX_FILES:
                    break
        elif os.path.isfile(item):
            files.append((os.path.basename(item), item))
        else:
            raise CTReadError("There is no such file or folder. Check the path.")
    files = [(name, file) for name, file in files if os.path.isfile(file)]
    if not files:
        raise CTReadError("There are no files to read. Choose a CT file, a folder or a zip of DICOM files.")
    if len(files) > _MAX_FILES:
        raise CTReadError(f"That is more than {_MAX_FILES} files. Choose the folder of one series.")
    check_bytes(sum(os.path.getsize(file) for _, file in files), job, "The input")
    return files


def _read_one(path: str, job: Job) -> Loaded:
    head = read_head(path)
    found = kind(head)
    if found == "nifti":
        return read_nifti(path, _working(job, lambda nbytes: 0))
    if found in ("nrrd", "metaimage"):
        return _read_text(path, found, job)
    if found == "dicom":
        return _read_dicom([path], job)
    pair = _pair(path, found)
    if pair is not None:
        return read_nifti(pair[0], _working(job, lambda nbytes: 0), pair[1])
    if found == "zip":
        with tempfile.TemporaryDirectory(prefix="medvl-") as folder:
            return _read_many(extract(path, folder, job), job)
    raise CTReadError(describe(head, os.path.basename(path)))


def _pair(path: str, found: str) -> tuple[str, str] | None:
    """Header and voxels of a two-file NIfTI of which one is ``path``, where the other lies beside it."""
    if found == "nifti-pair":
        data = nifti_data(path, beside(path))
        return None if data is None else (path, data)
    if path.lower().endswith(NIFTI_DATA):
        for _, other in beside(path):
            if other.lower().endswith((".hdr", ".hdr.gz")) and kind(read_head(other)) == "nifti-pair":
                data = nifti_data(other, beside(other))
                if data is not None and os.path.samefile(data, path):
                    return other, data
    return None


def _read_many(files: list[tuple[str, str]], job: Job) -> Loaded:
    """One volume out of many files: a DICOM series, or the only NIfTI, NRRD or MetaImage among them."""
    kinds = {path: kind(read_head(path)) for _, path in files}
    dicom = [path for _, path in files if kinds[path] == "dicom"]
    volumes = [path for _, path in files if kinds[path] in VOLUMES]
    pairs = {path: nifti_data(path, files, name) for name, path in files if kinds[path] == "nifti-pair"}
    volumes += [path for path, data in pairs.items() if data is not None]
    if dicom:
        loaded = _read_dicom(dicom, job)
        if volumes:
            loaded.notes.append(f"{len(volumes)} other volume files beside the DICOM series were not opened.")
        if empty := sum(found == "empty" for found in kinds.values()):
            loaded.notes.append(f"{empty} empty file{'s' * (empty > 1)} beside the slices: was the copy cut off?")
        return loaded
    if len(volumes) > 1:
        raise CTReadError(f"There are {len(volumes)} volumes; one CT is opened at a time. Choose one of them.")
    if volumes:
        path = volumes[0]
        if kinds[path] in ("nifti", "nifti-pair"):
            return read_nifti(path, _working(job, lambda nbytes: 0), pairs.get(path))
        return _read_text(path, kinds[path], job, files if data_file(path) else ())
    if len(files) == 1 or all(found == "empty" for found in kinds.values()):
        raise CTReadError(describe(read_head(files[0][1])))
    telling = next((path for _, path in files if kinds[path] in ("nifti-pair", "analyze")), None)
    if telling is not None:
        raise CTReadError(describe(read_head(telling)))
    if any(found == "zip" for found in kinds.values()):
        raise CTReadError("There are several files and zips together. Choose one zip, or the files of one series.")
    raise CTReadError(
        f"None of the {len(files)} files is a CT: no DICOM, NIfTI, NRRD or MetaImage. Choose the files of the scan."
    )
