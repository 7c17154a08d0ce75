"""Where a scan comes from: the bundled samples, or files that a visitor uploaded."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medvl.ct.masks import Mask
from medvl.ct.volume import CTVolume
from medvl.errors import CaseFileError, CTReadError
from medvl.readers import read_ct
from medvl.readers.case_zip import PRIOR, SavedCase, is_case, read_case, take_scan
from medvl.readers.faults import explain
from medvl.readers.isolated import masks_isolated, read_isolated
from medvl.readers.masks import holds_masks

from .files import PREFIX

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
    """The bundled samples. Each is read once; its voxels are read-only and shared by all who open it.

    Args:
        folder: with ``samples.json``.
        default: the sample that opens with the page; None takes the first.
    """

    def __init__(self, folder: Path = SAMPLES, default: str | None = None) -> None:
        self.folder, self._default = folder, default
        path = folder / "samples.json"
        listed = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        names = Sample.__dataclass_fields__
        self.samples = {s["id"]: Sample(**{k: v for k, v in s.items() if k in names}) for s in listed}
        self._volumes: dict[str, CTVolume] = {}
        self._lock = threading.Lock()

    @property
    def default(self) -> str | None:
        """The one that opens with the page."""
        return self._default or next(iter(self.samples), None)

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

    Gradio's upload folder serves whatever lies in it to everybody who knows the address, so nothing stays there,
    whatever happens.

    Raises:
        CTReadError: nothing was uploaded, it is gone, or it cannot be moved.
    """
    if not paths:
        raise CTReadError("No file arrived. Choose a NIfTI, NRRD or MetaImage file, a zip, or DICOM files.")
    folder = None
    try:
        try:
            folder = Path(tempfile.mkdtemp(prefix=UPLOAD_PREFIX))
            moved = [_take(Path(path), folder, number) for number, path in enumerate(paths)]
        except OSError as error:
            raise CTReadError(explain(error)) from None
        yield moved
    finally:
        for path in map(Path, paths):
            _forget(path)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Opened:
    """A scan that is to be shown.

    Attributes:
        ct: the volume.
        title: what the visitor would call it.
        files: folder of the files that are kept because they hold more scans, which is the caller's now.
        case: a saved case of this scan.
        sample: which of the samples it is.
        prior: the earlier scan that stood beside it, where the case holds it.
    """

    ct: CTVolume
    title: str
    files: Path | None = None
    case: SavedCase | None = None
    sample: Sample | None = None
    prior: CTVolume | None = None


def read_upload(
    paths: Sequence[str | Path],
    claim: Callable[[int], None] = lambda nbytes: None,
    known: Callable[[SavedCase], Opened | None] = lambda case: None,
) -> Opened:
    """Read uploaded files in a process of their own and delete them, whether or not that works.

    Files that hold several scans are kept for as long as one of them is open, so that another can be chosen. A saved
    case among them takes its scan from the other files, from within itself, or from what is known.

    Args:
        paths: where Gradio put them.
        claim: as ``read_ct`` takes it.
        known: the scan of a case, where it is at hand.

    Raises:
        CTReadError: it is not one CT.
        CaseFileError: a saved case cannot be read, or its scan is not there.
    """
    with taken(paths) as moved:
        cases = [path for path in moved if is_case(path)]
        rest = [path for path in moved if path not in cases]
        if not cases:
            return _opened(rest, claim)
        if len(cases) > 1:
            raise CaseFileError(f"These are {len(cases)} saved cases. Open one at a time.")
        held = []
        case = read_case(cases[0], held.append)

        def with_masks(nbytes: int) -> None:
            claim(nbytes + held[0])

        if rest:
            opened = _opened(rest, with_masks)
        elif case.has_scan:
            opened = _opened([take_scan(cases[0], cases[0].parent)], with_masks)
            info = replace(opened.ct.info, file_name=case.scan.file_name)
            opened = replace(opened, ct=replace(opened.ct, info=info), title=_title(case.scan.file_name or "scan"))
        else:
            opened = known(case)
            if opened is None:
                raise CaseFileError(
                    f"The saved case belongs to a scan that is not open here ({case.scan}). Open that scan first, or "
                    "both files together."
                )
            claim(held[0])
        prior = None
        if case.prior is not None and case.prior.case.has_scan:
            file = take_scan(cases[0], cases[0].parent, PRIOR)
            first = held[0] + 2 * opened.ct.hu.nbytes  # the prior's copy on the present grid, too
            prior = read_isolated(file, claim=lambda nbytes: claim(first + nbytes))
            prior = replace(prior, info=replace(prior.info, file_name=case.prior.case.scan.file_name))
        return replace(opened, case=case, prior=prior)


MASK_NAMES = (".json", ".txt", ".label")  # files beside a label map that name its labels


def read_masks_of(
    paths: Sequence[str | Path] | None, ct: CTVolume, resample: bool, claim: Callable[[int], None]
) -> list[Mask]:
    """Read uploaded masks in a process of their own and delete the files, whether or not that works.

    Raises:
        CTReadError: one of them holds no masks of this scan.
    """
    with taken(paths) as moved:
        files = [path for path in moved if not path.name.lower().endswith(MASK_NAMES)]
        if not files:
            raise CTReadError("These files name labels, but hold no masks. Choose the label map together with them.")
        return [mask for path in files for mask in masks_isolated(path, ct, resample, claim)]


def bring_masks(paths: Sequence[str | Path]) -> bool:
    """Whether all uploaded files say of themselves that they hold masks."""
    try:
        return bool(paths) and all(holds_masks(path) for path in paths)
    except OSError:
        return False


def _opened(paths: list[Path], claim: Callable[[int], None]) -> Opened:
    ct = read_isolated(paths[0] if len(paths) == 1 else paths, claim=claim)
    title = _title(paths[0].name) if len(paths) == 1 else f"{len(paths)} files"
    return Opened(ct, title, _kept(paths) if len(ct.series) > 1 else None)


def read_series(folder: Path, series: str, claim: Callable[[int], None] | None = None) -> tuple[CTVolume, Path]:
    """Read another scan of files that were kept.

    Args:
        folder: as ``read_upload`` gave it.
        series: which one.
        claim: as ``read_ct`` takes it.

    Returns:
        The volume, and another folder of the same files, which is the caller's.

    Raises:
        CTReadError: there is no such scan.
    """
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    if not files:
        raise CTReadError("The files of this scan are no longer on the server. Please choose them again.")
    return read_isolated(files[0] if len(files) == 1 else files, claim=claim, series=series), _kept(files)


def _kept(files: Sequence[Path]) -> Path:
    """A folder of its own with the same files; no bytes are copied where the file system has links."""
    folder = Path(tempfile.mkdtemp(prefix=UPLOAD_PREFIX))
    try:
        for file in files:
            try:
                os.link(file, folder / file.name)
            except OSError:
                shutil.copyfile(file, folder / file.name)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise CTReadError(explain(error)) from None
    return folder


def _take(path: Path, folder: Path, number: int) -> Path:
    """Move one uploaded file into ``folder``; files of the same name (DICOM) do not meet."""
    target = folder / (path.name if not (folder / path.name).exists() else f"{number}_{path.name}")
    try:
        os.rename(path, target)
    except FileNotFoundError:
        raise CTReadError("The upload is no longer on the server. Please choose the file again.") from None
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(path, target)  # the upload folder is on another disk
    return target


def _forget(path: Path) -> None:
    """Delete an uploaded file, and the folders that were made for it, if nothing else lies in them."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()
        if path.parent.parent.name.startswith(PREFIX):
            path.parent.parent.rmdir()


def _title(name: str) -> str:
    """A file name that fits a line."""
    return name if len(name) <= 48 else f"{name[:30]}…{name[-15:]}"
