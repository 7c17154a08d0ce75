"""Many scans: every CT of a folder, spread over accelerate's processes, one result a case, resumable.

    python -m medvl segment FOLDER -o OUT --text "liver"
    accelerate launch --multi_gpu -m medvl report FOLDER -o OUT
    accelerate launch --multi_gpu --num_processes 2 -m medvl report FOLDER -o OUT    # also without a GPU, or torchrun

Results are named after the input's path below the folder: ``a/b.nii.gz`` gives ``OUT/a/b.nii.gz`` (a mask) or
``OUT/a/b.md``, ``.html`` and ``.json`` (a report). A DICOM series is one scan wherever its files lie, and has the name
of the folder that holds them all (with the number of the series, if there are more in it).

Results are written in a temporary folder and moved into place, the record ``b.result.json`` last: a case is finished
when its record is there, tells of the same source and parameters, and its files exist. Each process keeps a part of the
manifest; the main process merges them into ``OUT/manifest.json``. One run at a time has a lock on OUT.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal, Protocol

from ..errors import CTReadError, ExportError, MedVLError, PromptError
from ..readers.faults import explain
from ..readers.isolated import series_isolated
from ..readers.series import SeriesOf
from ..readers.sniff import VOLUMES, kind, read_head
from . import locks

MANIFEST = "manifest.json"
RECORD = ".result.json"
LOCK = ".medvl-lock"
SCRATCH = ".medvl-"  # what a run that goes on writes, and a killed one leaves
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip")
_SCANS = {*VOLUMES, "zip", "nifti-pair", "analyze"}  # an Analyze header is refused by its reader, which says why
_PACKAGES = (
    "torch", "torchvision", "transformers", "bitsandbytes", "accelerate", "huggingface_hub", "sam2", "monai", "numpy",
    "scipy", "nibabel", "pydicom", "SimpleITK",
)  # fmt: skip
_HEADERS_AT_ONCE = 2000  # files that one child process looks at
_WAIT = timedelta(days=7)  # a process that is done waits for the slowest one

Status = Literal["done", "nothing found", "failed"]


class Spread(Protocol):
    """What is used of ``accelerate.PartialState``."""

    process_index: int
    num_processes: int
    device: object

    @property
    def is_main_process(self) -> bool:
        """Whether this one merges the manifest."""

    def wait_for_everyone(self) -> None:
        """Return when every process is here."""


@dataclass(frozen=True)
class Alone:
    """This process and no other: what runs within a server, where a launcher's processes are somebody else's."""

    device: object = "cpu"
    process_index: int = 0
    num_processes: int = 1
    is_main_process: bool = True

    def wait_for_everyone(self) -> None:
        """Nobody to wait for."""


@dataclass(frozen=True)
class Input:
    """One scan of a folder.

    Attributes:
        name: of its results, relative, with ``/``.
        source: its path relative to the folder, ``.`` for the folder itself.
        paths: what ``read_ct`` reads: a file, or the DICOM files of one series.
    """

    name: str
    source: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Outcome:
    """One case in the manifest.

    Attributes:
        name: of its results.
        source: path relative to the input folder.
        status: ``nothing found``: the scan was read, and what was named is not in it.
        seconds: that it took, when it was run.
        message: why it failed, or what was said.
        files: written, relative to the output folder.
        process: index of the process that ran it.
        resumed: finished by an earlier run and left as it is.
        result: measurements and the like.
    """

    name: str
    source: str
    status: Status
    seconds: float
    message: str = ""
    files: tuple[str, ...] = ()
    process: int = 0
    resumed: bool = False
    result: dict[str, Any] = field(default_factory=dict)


Job = Callable[[Sequence[Path], Path], tuple[list[Path], dict[str, Any]]]
"""``(paths of a scan, stem to write to) -> (files written, result)``; its ``note`` is for a person."""


def find_inputs(folder: Path, leave_out: Path | None = None) -> list[Input]:
    """Scans of a folder and its subfolders, sorted: volumes and zips by file, DICOM by series.

    Files are told by content; one that only its name calls a scan is listed, too, so that it is reported as broken.
    Where a folder holds CT series, its localizers, reports and series of other modalities are no scans.

    Args:
        folder: where to look.
        leave_out: a folder inside it that is not looked into: that of the results.

    Raises:
        CTReadError: no such folder, or nothing in it that could be a scan.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CTReadError("There is no such folder. Give a folder of scans.")
    hidden = None if leave_out is None else Path(leave_out).resolve()
    found: dict[str, tuple[Path, ...]] = {}
    dicom: dict[Path, SeriesOf] = {}
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (here / f).resolve() != hidden)
        of_series = []
        for file in sorted(f for f in files if not f.startswith(".")):
            path = here / file
            content = _kind(path)
            if content == "dicom" or (content == "unknown" and path.suffix.lower() == ".dcm"):
                of_series.append(path)
            elif content in _SCANS or file.lower().endswith(_ENDINGS):
                found[path.relative_to(folder).as_posix()] = (path,)
        for n in range(0, len(of_series), _HEADERS_AT_ONCE):
            part = of_series[n : n + _HEADERS_AT_ONCE]
            dicom |= zip(part, series_isolated(part), strict=True)
    found |= _by_series(dicom, folder)
    if not found:
        raise CTReadError("The folder holds no CT: no DICOM, NIfTI, NRRD, MetaImage or zip. Choose another one.")
    return _named(found, folder)


def _by_series(files: dict[Path, SeriesOf], folder: Path) -> dict[str, tuple[Path, ...]]:
    """DICOM files -> source of each scan and its files."""
    series: dict[tuple, list[Path]] = {}
    for path, of in files.items():
        if of.kind != "directory":  # a damaged file belongs to whatever lies beside it
            series.setdefault((of.uid or str(path.parent), of.kind == "localizer"), []).append(path)
    homes: dict[Path, list[tuple[SeriesOf, list[Path]]]] = {}
    for paths in series.values():
        home = Path(os.path.commonpath([path.parent for path in paths]))
        homes.setdefault(home, []).append((files[paths[0]], paths))
    found: dict[str, tuple[Path, ...]] = {}
    for home, here in homes.items():
        scans = [one for one in here if one[0].kind == "slices"]
        scans = [one for one in scans if one[0].modality == "CT"] or scans
        source = home.relative_to(folder).as_posix()
        if len(scans) < 2:
            # Nothing that is a scan, or one: the reader says what it makes of all that lies there.
            whole = scans[0][1] if scans else [path for _, paths in here for path in paths]
            found[source] = tuple(sorted(whole))
            continue
        for of, paths in sorted(scans, key=lambda one: (one[0].number.zfill(12), one[0].uid)):
            name, number = (home.relative_to(folder) / f"series-{of.number or 'without-number'}").as_posix(), 1
            while (key := name if number == 1 else f"{name}-{number}") in found:
                number += 1
            found[key] = tuple(sorted(paths))
    return found


def _kind(path: Path) -> str:
    try:
        return kind(read_head(str(path)))
    except OSError:
        return "unreadable"


def _named(found: dict[str, tuple[Path, ...]], folder: Path) -> list[Input]:
    """Names without endings, where these tell nothing apart; case counts as little as on some file systems."""
    stems = {source: _stem(source) if source != "." else folder.resolve().name for source in found}
    many = [stem.casefold() for stem in stems.values()]
    inputs, taken = [], set()
    for source, stem in sorted(stems.items()):
        name = stem if many.count(stem.casefold()) == 1 else f"{stem}_{source[len(stem) :].strip('.') or 'folder'}"
        name, number = (name if name.casefold() not in taken else f"{name}_2"), 2
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        inputs.append(Input(name, source, found[source]))
    return inputs


def _stem(source: str) -> str:
    ending = next((e for e in (*_ENDINGS, ".hdr.gz", ".hdr") if source.lower().endswith(e)), "")
    return source[: len(source) - len(ending)]


# ---- running


def processes(device: str = "auto") -> Spread:
    """Accelerate's processes: those of ``accelerate launch``, or this one alone."""
    import torch
    from accelerate import PartialState

    cpu = device == "cpu" or not torch.cuda.is_available()
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    return PartialState(cpu=cpu) if alone else PartialState(cpu=cpu, timeout=_WAIT)


def run(
    folder: Path,
    output: Path,
    job: Job,
    parameters: dict[str, Any],
    spread: Spread,
    tell: Callable[[Outcome], None] | None = None,
    model: Callable[[], dict[str, Any]] = dict,
) -> list[Outcome]:
    """Run a job on every scan of a folder that is not finished.

    Args:
        folder: scans.
        output: folder of the results, made where it is missing.
        job: what is done with one; a ``MedVLError`` or another exception of it is recorded, and the next scan follows.
        parameters: of the job; a result of other parameters is made anew.
        spread: processes; each takes its share.
        tell: called with each case as it ends.
        model: what the manifest says of the model that this process ran; asked when a case is done.

    Returns:
        All outcomes on the main process (in the order of names), those of its own share on others.

    Raises:
        CTReadError: nothing to read.
        ExportError: the output folder cannot be written, or another run writes into it.
    """
    folder, output, tell = Path(folder), Path(output), tell or (lambda outcome: None)
    lock = _claim(output) if spread.is_main_process else None
    try:
        return _run(folder, output, job, parameters, spread, tell, model)
    finally:
        if lock is not None:
            locks.release(lock, output / LOCK)


def _claim(output: Path) -> int:
    """Make the folder of the results this run's, and clear away what a killed run left in it."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock = locks.hold(output / LOCK)
        if lock is None:
            raise ExportError(
                "Another run is writing into this folder of results. Wait for it to end, or give another folder."
            )
        for left in output.rglob(f"{SCRATCH}*"):
            if left.is_dir() and not left.is_symlink() and left.parent == output:
                shutil.rmtree(left, ignore_errors=True)
            elif left.name.endswith(".tmp"):
                left.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"The folder of the results cannot be made: {error.strerror}.") from error
    return lock


def _run(
    folder: Path,
    output: Path,
    job: Job,
    parameters: dict[str, Any],
    spread: Spread,
    tell: Callable[[Outcome], None],
    model: Callable[[], dict[str, Any]],
) -> list[Outcome]:
    """``run`` in a folder of results that nobody else writes into."""
    inputs = find_inputs(folder, output)
    started = _now()
    finished = {i.name: done for i in inputs if (done := finished_before(i, output, parameters)) is not None}
    pending = [i for i in inputs if i.name not in finished]
    part = _part(output, spread)
    spread.wait_for_everyone()  # all have looked before the first result is written: everybody sees the same list
    if spread.is_main_process:
        for old in output.glob(".manifest-part-*.json"):
            old.unlink(missing_ok=True)
    spread.wait_for_everyone()
    about = {"device": str(spread.device), "process": spread.process_index, "started": started}
    mine: list[Outcome] = []
    try:
        for item in pending[spread.process_index :: spread.num_processes]:
            outcome = _one(item, output, job, parameters, spread.process_index)
            mine.append(outcome)
            tell(outcome)
            _keep(part, {**about, "model": model(), "ended": _now(), "cases": [asdict(o) for o in mine]})
    finally:
        _keep(part, {**about, "model": model(), "ended": _now(), "cases": [asdict(o) for o in mine]})
    spread.wait_for_everyone()
    if not spread.is_main_process:
        return mine
    own = {**about, "model": model(), "ended": _now(), "cases": [asdict(o) for o in mine]}
    try:
        return _merge(output, list(finished.values()), parameters, started, part, own)
    except OSError as error:
        raise ExportError(f"The list of results {MANIFEST} could not be written: {explain(error)}") from None


def _one(item: Input, output: Path, job: Job, parameters: dict[str, Any], process: int) -> Outcome:
    begin = time.perf_counter()
    files: list[str] = []
    result: dict[str, Any] = {}
    status: Status = "done"
    message = ""
    target = output / item.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name(target.name + RECORD).unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=output) as scratch:
            written, result = job(item.paths, Path(scratch) / target.name)
            for path in written:
                os.replace(path, target.parent / path.name)
                files.append((target.parent / path.name).relative_to(output).as_posix())
            message = str(result.pop("note", ""))
    except PromptError as error:
        status, message = "nothing found", str(error)
    except MedVLError as error:
        status, message = "failed", str(error)
    except OSError as error:
        status, message = "failed", explain(error)
    except Exception as error:
        # Where it failed, not the message: that may quote the scan's header.
        print(*traceback.format_tb(error.__traceback__), type(error).__name__, sep="", file=sys.stderr)
        status, message = "failed", f"Unexpected {type(error).__name__} (details on stderr)."
    seconds = round(time.perf_counter() - begin, 2)
    outcome = Outcome(item.name, item.source, status, seconds, message, tuple(files), process, result=result)
    if status == "failed":  # it is tried again
        return outcome
    try:
        _write(target.with_name(target.name + RECORD), {**asdict(outcome), "parameters": parameters})
    except (OSError, TypeError, ValueError) as error:
        why = (
            explain(error) if isinstance(error, OSError) else f"its record cannot be written ({type(error).__name__})."
        )
        return replace(outcome, status="failed", message=why, result={})
    return outcome


def finished_before(item: Input, output: Path, parameters: dict[str, Any]) -> Outcome | None:
    """The outcome of an earlier run with the same source and parameters whose files are all there, else None."""
    target = output / item.name
    try:
        record = json.loads(target.with_name(target.name + RECORD).read_text(encoding="utf-8"))
        same = record.pop("parameters") == json.loads(json.dumps(parameters)) and record["source"] == item.source
        there = all((output / file).is_file() for file in record["files"])
        newest = max(path.stat().st_mtime for path in item.paths)
        fresh = newest <= target.with_name(target.name + RECORD).stat().st_mtime
        if not (same and there and fresh):
            return None
        return Outcome(**{**record, "files": tuple(record["files"]), "resumed": True})
    except (OSError, ValueError, KeyError, TypeError):
        return None


# ---- manifest


def _part(output: Path, spread: Spread) -> Path:
    return output / f".manifest-part-{spread.process_index:05d}-of-{spread.num_processes:05d}.json"


def _merge(
    output: Path, finished: list[Outcome], parameters: dict[str, Any], started: str, part: Path, own: dict[str, Any]
) -> list[Outcome]:
    """``manifest.json`` out of this process's ``own`` part and those of others, which go; returns all outcomes."""
    parts = sorted(output.glob(".manifest-part-*.json"))
    told = [own, *(json.loads(path.read_text(encoding="utf-8")) for path in parts if path != part)]
    told.sort(key=lambda one: one["process"])
    new = [Outcome(**{**case, "files": tuple(case["files"])}) for one in told for case in one["cases"]]
    outcomes = sorted([*finished, *new], key=lambda o: o.name)
    statuses = [o.status for o in outcomes]
    manifest = {
        "notice": "Research use only, not for diagnosis.",
        "started": started,
        "ended": _now(),
        "parameters": parameters,
        "versions": versions(),
        "processes": [{key: part[key] for key in ("process", "device", "model", "started", "ended")} for part in told],
        "counts": {status: statuses.count(status) for status in dict.fromkeys(statuses)},
        "cases": [asdict(outcome) for outcome in outcomes],
    }
    _write(output / MANIFEST, manifest)
    for path in parts:
        path.unlink(missing_ok=True)
    return outcomes


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    import platform
    from importlib import metadata

    from ..version import __version__

    found = {"medvl": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _write(path: Path, content: dict[str, Any]) -> None:
    """JSON under a temporary name, then renamed, so that nobody reads half of it.

    A byte of a file name that is no UTF-8 becomes an escape of JSON, which gives the same name back.
    """
    scratch = path.with_name(f"{SCRATCH}{os.getpid()}-{hash(path.name) & 0xFFFFFF:x}.tmp")
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    try:
        scratch.write_bytes(text.encode("utf-8", "backslashreplace"))
        os.replace(scratch, path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


def _keep(path: Path, content: dict[str, Any]) -> None:
    """A part of the manifest, for other processes; what cannot be written now is written with the next case."""
    with contextlib.suppress(OSError):
        _write(path, content)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
