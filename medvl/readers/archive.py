"""Safe extraction of a zip: images only, under names of our own, within limits, never outside the folder."""

from __future__ import annotations

import errno
import lzma
import os
import stat
import zipfile
import zlib
from pathlib import PurePosixPath

from ..errors import CTReadError
from .common import Job, check_bytes
from .sniff import HEAD_BYTES, VOLUMES, kind

MAX_MEMBERS = 20_000
# A CT packs 2 to 10 times, a synthetic one up to 200 times; only a bomb is both large and packed more than this.
MAX_RATIO = 400
_RATIO_FROM_BYTES = 64 << 20
_CHUNK = 1 << 20
_DAMAGED = "The zip is damaged or cut short. Pack or upload it again."


def extract(path: str, folder: str, job: Job) -> list[tuple[str, str]]:
    """Extract what looks like an image.

    Every member is told by its first bytes; pictures, documents and the like stay packed. A data file without a
    header of its own (``.raw``) is extracted only when a detached header is there too.

    Args:
        path: the zip.
        folder: an empty folder; the caller removes it.
        job: limits; ``max_bytes`` bounds the sum of all extracted bytes.

    Returns:
        ``(base name in the zip, extracted path)`` of each file.

    Raises:
        CTReadError: damaged, encrypted, a bomb, unsafe names, nothing to read in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _extract(archive, folder, job)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise CTReadError(_DAMAGED) from error
    except NotImplementedError as error:
        raise CTReadError("The zip uses a packing method that cannot be read here. Pack it as plain .zip.") from error
    except ValueError as error:
        raise CTReadError(_DAMAGED) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise CTReadError("The disk is full: the zip cannot be unpacked." if full else _DAMAGED) from error


def _extract(archive: zipfile.ZipFile, folder: str, job: Job) -> list[tuple[str, str]]:
    members = [m for m in archive.infolist() if not m.is_dir()]
    _check(members, job)
    taken: list[tuple[str, str]] = []
    rest: list[zipfile.ZipInfo] = []
    nested, used, detached = 0, 0, False
    homes: dict[str, str] = {}
    for number, member in enumerate(members):
        job.step(number / len(members), "Unpacking")
        if not _wanted(member):
            continue
        with archive.open(member) as file:
            head = file.read(HEAD_BYTES)
            found = kind(head)
            nested += found == "zip"
            if found not in (*VOLUMES, "dicom", "nifti-pair", "analyze"):
                rest.append(member)
                continue
            target, written = _copy(head, file, _home(folder, member, homes), len(taken), used, job)
        used += written
        detached = detached or found == "nifti-pair" or (found in ("nrrd", "metaimage") and _is_detached(head))
        taken.append((_base(member.filename), target))
    if detached:
        for member in rest:
            with archive.open(member) as file:
                target, written = _copy(b"", file, _home(folder, member, homes), len(taken), used, job)
            used += written
            taken.append((_base(member.filename), target))
    if not taken:
        if nested:
            raise CTReadError("The zip holds another zip. Unpack it and open the inner one.")
        raise CTReadError(
            f"The zip holds {len(members)} files but no CT: no DICOM, NIfTI, NRRD or MetaImage. Choose the zip of the "
            "scan."
        )
    return taken


def _check(members: list[zipfile.ZipInfo], job: Job) -> None:
    if not members:
        raise CTReadError("The zip is empty. Choose the zip of the scan.")
    if len(members) > MAX_MEMBERS:
        raise CTReadError(f"The zip holds {len(members)} files; the limit is {MAX_MEMBERS}. Pack one series only.")
    if any(m.flag_bits & 1 for m in members):
        raise CTReadError("The zip is protected by a password. Unpack it and pack it again without one.")
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
            raise CTReadError("The zip holds names that point outside of it. It is not safe to open; pack it again.")
    total, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if total > _RATIO_FROM_BYTES and total > MAX_RATIO * max(packed, 1):
        raise CTReadError(
            f"The zip grows {total / max(packed, 1):.0f} times when unpacked, as no CT does (a zip bomb). It is not "
            "opened."
        )
    check_bytes(total, job, "Unpacked, the zip")


def _wanted(member: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    link = stat.S_ISLNK(member.external_attr >> 16)
    hidden = any(p == "__MACOSX" or p.startswith("._") or p in (".DS_Store", "Thumbs.db") for p in parts)
    return member.file_size > 0 and not link and not hidden


def _home(folder: str, member: zipfile.ZipInfo, homes: dict[str, str]) -> str:
    """A folder for each of the zip's, so that a header finds the data file beside it and not one of the same name."""
    place = member.filename.replace("\\", "/").rpartition("/")[0]
    if place not in homes:
        homes[place] = os.path.join(folder, f"f{len(homes):05d}")
        os.mkdir(homes[place])
    return homes[place]


def _base(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _is_detached(head: bytes) -> bool:
    lower = head.lower()
    if lower.startswith(b"nrrd"):
        header = lower.split(b"\n\n", 1)[0]
        return b"\ndata file:" in header or b"\ndatafile:" in header
    return b"elementdatafile" in lower and b"local" not in lower.split(b"elementdatafile", 1)[1][:16]


def _copy(head: bytes, file: zipfile.ZipExtFile, folder: str, number: int, used: int, job: Job) -> tuple[str, int]:
    """Write one member; counts real bytes, as the sizes that a zip declares can lie."""
    target = os.path.join(folder, f"{number:06d}")
    written = len(head)
    with open(target, "wb") as out:
        out.write(head)
        while chunk := file.read(_CHUNK):
            written += len(chunk)
            check_bytes(used + written, job, "Unpacked, the zip")
            job.check_cancel()
            out.write(chunk)
    return target, written
