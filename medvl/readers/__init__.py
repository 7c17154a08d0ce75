"""Reading a CT from whatever a person has: one file, a folder, a zip, or many files at once.

``read_ct`` tells files by content, checks declared sizes before it allocates, converts to int16 HU slab by slab, and
turns the volume to closest RAS+. No field that names a person is read, kept or shown.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import CTReadError
from ..geometry import SourceGeometry, to_canonical
from ..volume import CTVolume
from .archive import extract
from .common import Job, Loaded, check_bytes
from .dicom import read_dicom
from .itk import data_file, read_itk
from .nifti import read_nifti
from .sniff import VOLUMES, describe, kind, read_head

__all__ = ["DEFAULT_MAX_BYTES", "DEFAULT_MAX_VOXELS", "read_ct"]

DEFAULT_MAX_VOXELS = 400_000_000  # 512 x 512 x 1500; 0.8 GB as int16
DEFAULT_MAX_BYTES = 2_000_000_000
_MAX_FILES = 20_000


def read_ct(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    max_voxels: int = DEFAULT_MAX_VOXELS,
    max_bytes: int = DEFAULT_MAX_BYTES,
    expect: str | None = "CT",
    progress: Callable[[float, str], None] | None = None,
    cancel: threading.Event | None = None,
    claim: Callable[[int], None] | None = None,
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
        claim: called with the bytes that the volume will take, before it is allocated; what it raises ends the reading.

    Returns:
        The volume; ``hu`` int16 ``(i, j, k)`` RAS+ in Fortran order (axial slices contiguous), ``notes`` for a person.

    Raises:
        CTReadError: not readable as one CT volume; the message says why and what to do.
        Cancelled: ``cancel`` was set.
    """
    job = Job(int(max_voxels), int(max_bytes), expect, progress, cancel, claim)
    job.step(0.0)
    files = _files(path, job)
    try:
        loaded = _read_one(files[0][1], job) if len(files) == 1 else _read_many(files, job)
    except MemoryError as error:
        raise CTReadError("The volume does not fit into memory. Crop it or resample it to thicker slices.") from error
    except OSError as error:
        raise CTReadError("A file could not be read from disk. Upload or copy it again.") from error
    volume = _canonical(loaded)
    job.step(1.0)
    return volume


def _canonical(loaded: Loaded) -> CTVolume:
    source = SourceGeometry(tuple(int(n) for n in loaded.hu.shape), loaded.affine)
    hu, affine = to_canonical(loaded.hu, loaded.affine)
    return CTVolume(np.asfortranarray(hu), affine, source, loaded.file_format, tuple(loaded.notes), loaded.dicom)


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
        return read_nifti(path, job)
    if found in ("nrrd", "metaimage"):
        return read_itk(path, job)
    if found == "dicom":
        return read_dicom([path], job)
    if found == "zip":
        with tempfile.TemporaryDirectory(prefix="medvl-") as folder:
            return _read_many(extract(path, folder, job), job)
    raise CTReadError(describe(head))


def _read_many(files: list[tuple[str, str]], job: Job) -> Loaded:
    """One volume out of many files: a DICOM series, or the only NIfTI, NRRD or MetaImage among them."""
    kinds = {path: kind(read_head(path)) for _, path in files}
    dicom = [path for _, path in files if kinds[path] == "dicom"]
    volumes = [path for _, path in files if kinds[path] in VOLUMES]
    if dicom:
        loaded = read_dicom(dicom, job)
        if volumes:
            loaded.notes.append(f"{len(volumes)} other volume files beside the DICOM series were not opened.")
        return loaded
    if len(volumes) > 1:
        raise CTReadError(f"There are {len(volumes)} volumes; one CT is opened at a time. Choose one of them.")
    if volumes:
        path = volumes[0]
        if kinds[path] == "nifti":
            return read_nifti(path, job)
        return read_itk(path, job, files if data_file(path) else ())
    if len(files) == 1 or all(found == "empty" for found in kinds.values()):
        raise CTReadError(describe(read_head(files[0][1])))
    if any(found == "zip" for found in kinds.values()):
        raise CTReadError("There are several files and zips together. Choose one zip, or the files of one series.")
    raise CTReadError(
        f"None of the {len(files)} files is a CT: no DICOM, NIfTI, NRRD or MetaImage. Choose the files of the scan."
    )
