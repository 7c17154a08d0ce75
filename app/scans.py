"""Where a scan comes from: the bundled samples, or files that a visitor uploaded."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medvl.errors import CTReadError
from medvl.readers import read_ct
from medvl.volume import CTVolume

SAMPLES = Path(__file__).resolve().parent.parent / "assets" / "samples"
UPLOAD_PREFIX = "medvl-upload-"


@dataclass(frozen=True)
class Sample:
    """One bundled CT, as ``assets/samples/samples.json`` describes it."""

    id: str
    title: str
    file: str
    description: str = ""
    source: str = ""
    licence: str = ""
    labels: str | None = None

    @property
    def about(self) -> str:
        """What it shows, where it is from and under which licence, in a few words."""
        return " ".join(part for part in (self.description, f"{self.licence}, from {self.source}.") if part)


class SampleShelf:
    """The bundled samples. Each is read once; its voxels are read-only and shared by all who open it."""

    def __init__(self, folder: Path = SAMPLES) -> None:
        self.folder = folder
        path = folder / "samples.json"
        listed = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        names = Sample.__dataclass_fields__
        self.samples = {s["id"]: Sample(**{k: v for k, v in s.items() if k in names}) for s in listed}
        self._volumes: dict[str, CTVolume] = {}
        self._lock = threading.Lock()

    @property
    def default(self) -> str | None:
        """The one that opens with the page: the first."""
        return next(iter(self.samples), None)

    def choices(self) -> list[tuple[str, str]]:
        """``(title, id)`` for a drop-down."""
        return [(s.title, s.id) for s in self.samples.values()]

    def read(self, sample_id: str) -> CTVolume:
        """The sample's volume.

        Raises:
            CTReadError: there is no such sample.
        """
        sample = self.samples.get(sample_id)
        if sample is None:
            raise CTReadError("There is no such sample. Choose one of the list.")
        with self._lock:
            if sample_id not in self._volumes:
                volume = read_ct(self.folder / sample.file)
                volume.hu.flags.writeable = False
                self._volumes[sample_id] = volume
            return self._volumes[sample_id]


@contextlib.contextmanager
def taken(paths: Sequence[str | Path] | None) -> Iterator[list[Path]]:
    """Uploaded files, moved to a folder of their own that is deleted at the end.

    Gradio's upload folder serves whatever lies in it to everybody who knows the address, so nothing stays there. Its
    folder names are content hashes: two visitors may have uploaded to the same one.

    Raises:
        CTReadError: nothing was uploaded, or it is gone.
    """
    if not paths:
        raise CTReadError("No file arrived. Choose a NIfTI, NRRD or MetaImage file, a zip, or DICOM files.")
    folder = Path(tempfile.mkdtemp(prefix=UPLOAD_PREFIX))
    try:
        yield [_take(Path(path), folder, number) for number, path in enumerate(paths)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_upload(paths: Sequence[str | Path], claim: Callable[[int], None] | None = None) -> tuple[CTVolume, str]:
    """Read uploaded files and delete them, whether or not that works.

    Args:
        paths: where Gradio put them.
        claim: as ``read_ct`` takes it.

    Returns:
        The volume and what the visitor would call it: the file's name, or how many files it was.

    Raises:
        CTReadError: it is not one CT.
    """
    with taken(paths) as moved:
        if len(moved) == 1:
            return read_ct(moved[0], claim=claim), _title(moved[0].name)
        return read_ct(moved, claim=claim), f"{len(moved)} files"


def _take(path: Path, folder: Path, number: int) -> Path:
    """Move one uploaded file into ``folder``; files of the same name (DICOM) do not meet."""
    target = folder / (path.name if not (folder / path.name).exists() else f"{number}_{path.name}")
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise CTReadError("The upload is no longer on the server. Please choose the file again.") from None
    except OSError:
        shutil.copyfile(path, target)
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # holds another visitor's file, or is gone
        path.parent.rmdir()
    return target


def _title(name: str) -> str:
    """A file name that fits a line."""
    return name if len(name) <= 48 else f"{name[:30]}…{name[-15:]}"
