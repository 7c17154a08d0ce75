"""``read_isolated``: ``read_ct`` in a process of its own, for files of strangers.

Readers of image formats are large C and C++ libraries, and a header made for it (or only damaged) makes them crash,
hang or take all memory. Here that ends one child, and the caller gets a ``CTReadError``. The child may read the scan
and nothing else, has no network, and is bounded in time and memory (``confine``); what it will take is claimed before.
Voxels come back in memory that both map, everything else as a pickle of which only plain data are accepted.

One process (``decoder``) imports the readers and is kept; each scan gets a fresh fork of it. Systems without Unix
sockets (Windows) read in the calling process.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import io
import mmap
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from ..ct.masks import Mask
from ..ct.prompts import Box
from ..ct.volume import CTVolume
from ..errors import Cancelled, CTReadError, MedVLError
from . import read_ct
from .decoder import MASK_VOXEL_BYTES
from .faults import explain
from .masks import read_masks
from .series import DAMAGED, SeriesOf, series_of

AT_ONCE = 4  # children; more scans wait for their turn
HEADER_BYTES = 128 << 20
_ROOT = Path(__file__).resolve().parents[2]
# What the child is told of the machine: no token, no address, no name of a user's service.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Threads map address space that they do not use, and that counts.
_SMALL = {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1", "MALLOC_ARENA_MAX": "1", "PYTHONDONTWRITEBYTECODE": "1"}
_POLL_S = 0.1
_META_BYTES = 256 << 20  # of the headers that come back

_CRASHED = (
    "The file makes its reader fail: it is damaged, or of a kind that cannot be read here. Copy or export it again, as "
    "NIfTI (.nii.gz) if you can."
)
_SLOW = "The file keeps its reader busy for too long: it is damaged, or packed in a way that no scanner uses."


@dataclass(frozen=True)
class TimeLimits:
    """Seconds after which a reading is given up.

    Attributes:
        silent_s: without a step forward.
        whole_s: altogether.
        cpu_s: of computing.
    """

    silent_s: float = 90.0
    whole_s: float = 900.0
    cpu_s: int = 600


class Decoder:
    """The process that forks a child for every scan; started when it is first needed, and again when it is gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        self.slots = threading.BoundedSemaphore(AT_ONCE)

    def start(self) -> None:
        """Start it if it does not run. It needs about a second, which nobody waits for here.

        Raises:
            CTReadError: the system gives no process.
        """
        with self._lock:
            self._start()

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._close()
        ours, theirs = socket.socketpair()
        environment = {key: os.environ[key] for key in _ENVIRONMENT if key in os.environ} | _ONE_THREAD | _SMALL
        before = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *([before] if before else [])])
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.decoder", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
                cwd=os.sep,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # what libraries print there can hold a name
            )
        except OSError as error:
            ours.close()
            raise CTReadError(explain(error)) from None
        finally:
            theirs.close()
        self._control = ours

    def stop(self) -> None:
        """End it and its children at once."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.5)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process = None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @contextmanager
    def child(self, voxels: int) -> Iterator[Connection]:
        """A new child, which ends with the block.

        Args:
            voxels: descriptor of the file that it writes the volume to.

        Yields:
            The connection to it.
        """
        ours, theirs = socket.socketpair()
        leash, held = os.pipe()
        try:
            try:
                with self._lock:
                    self._start()
                    try:
                        socket.send_fds(self._control, [b"+"], [theirs.fileno(), leash, voxels])
                    except OSError:  # it has ended since
                        self._close()
                        self._start()
                        socket.send_fds(self._control, [b"+"], [theirs.fileno(), leash, voxels])
            finally:
                theirs.close()
                os.close(leash)
            with Connection(ours.detach()) as connection:
                yield connection
        finally:
            ours.close()
            os.close(held)


DECODER = Decoder()
atexit.register(DECODER.stop)


def read_isolated(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    progress: Callable[[float, str], None] | None = None,
    cancel: threading.Event | None = None,
    claim: Callable[[int], None] | None = None,
    time_limits: TimeLimits | None = None,
    **options: Any,
) -> CTVolume:
    """Read one CT volume in a child process.

    Args:
        path: as ``read_ct`` takes it.
        progress: called with the fraction done (0 to 1) and a few words.
        cancel: set it to stop with ``Cancelled``; the child ends at once, whatever it does.
        claim: called with the bytes that the child will take, before it may take them, and at the end with those of
            the volume; what it raises ends the reading.
        time_limits: None takes the defaults.
        **options: the rest that ``read_ct`` takes.

    Returns:
        What ``read_ct`` returns.

    Raises:
        CTReadError: as ``read_ct``; or the file made its reader crash, hang or take too much memory.
        Cancelled: ``cancel`` was set.
    """
    if not hasattr(socket, "send_fds"):
        return read_ct(path, progress=progress, cancel=cancel, claim=claim, **options)
    watch = _Watch(progress, cancel, claim, time_limits or TimeLimits())
    return _run("read", path, options, watch)


def series_isolated(paths: Sequence[str | os.PathLike]) -> list[SeriesOf]:
    """``series_of`` each of many DICOM files, in a child process; all are ``DAMAGED`` where one ends the child."""
    if not hasattr(socket, "send_fds"):
        return [series_of(os.fspath(path)) for path in paths]
    try:
        found = _run("series", list(paths), {}, _Watch(None, None, None, TimeLimits()))
    except CTReadError:
        return [DAMAGED] * len(paths)
    return found if len(found) == len(paths) else [DAMAGED] * len(paths)


def masks_isolated(
    path: str | os.PathLike, ct: CTVolume, resample: bool = False, claim: Callable[[int], None] | None = None
) -> list[Mask]:
    """``read_masks`` in a child process.

    Args:
        path: as ``read_masks`` takes it.
        ct: the scan that they belong to; only its grid goes to the child.
        resample: take masks of another grid too.
        claim: called with the bytes that reading takes; what it raises ends it.

    Raises:
        CTReadError: as ``read_masks``; or the file made its reader crash, hang or take too much memory.
    """
    if not hasattr(socket, "send_fds"):
        return read_masks(path, ct, resample=resample)
    if claim is not None:
        claim(int(np.prod(ct.shape)) * MASK_VOXEL_BYTES)
    options = {"shape": tuple(ct.shape), "affine": np.asarray(ct.affine), "resample": resample}
    found = _run("masks", path, options, _Watch(None, None, None, TimeLimits()))
    try:
        return [
            Mask.from_runs(ct.shape, Box(lo, hi).check(ct.shape), runs, id="", name=str(name), color=str(color))
            for name, color, lo, hi, runs in found
        ]
    except (MedVLError, TypeError, ValueError):
        raise CTReadError(_CRASHED) from None


def _run(task: str, path: str | os.PathLike | Sequence[str | os.PathLike], options: dict[str, Any], watch: _Watch):
    single = isinstance(path, str | os.PathLike)
    paths = [os.path.abspath(os.fspath(item)) for item in ([path] if single else path)]
    request = {
        "task": task,
        # A volume's data file may lie beside its header, so the folder of each file is open, too.
        "readable": sorted({item if os.path.isdir(item) else os.path.dirname(item) for item in paths}),
        "path": paths[0] if single else paths,
        "options": options,
        "cpu_s": watch.limits.cpu_s,
    }
    try:
        with _slot(watch.cancel), tempfile.TemporaryDirectory(prefix="medvl-decode-") as scratch:
            return _ask(request | {"scratch": scratch}, watch)
    except OSError as error:
        raise CTReadError(explain(error)) from None


@contextmanager
def _slot(cancel: threading.Event | None) -> Iterator[None]:
    """Wait for a turn."""
    while not DECODER.slots.acquire(timeout=_POLL_S):
        if cancel is not None and cancel.is_set():
            raise Cancelled("Reading was stopped.")
    try:
        yield
    finally:
        DECODER.slots.release()


@dataclass
class _Watch:
    """What the caller wants to know and may refuse, and how long it waits."""

    progress: Callable[[float, str], None] | None
    cancel: threading.Event | None
    claim: Callable[[int], None] | None
    limits: TimeLimits

    def __post_init__(self) -> None:
        self.begun = self.heard = time.monotonic()

    def look(self) -> None:
        """Raise where it is time to give up."""
        now = time.monotonic()
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("Reading was stopped.")
        if now - self.heard > self.limits.silent_s or now - self.begun > self.limits.whole_s:
            raise CTReadError(_SLOW)


def _ask(request: dict[str, Any], watch: _Watch) -> CTVolume | list[SeriesOf]:
    if watch.claim is not None:
        watch.claim(HEADER_BYTES)
    voxels = _shared_file()
    try:
        with DECODER.child(voxels) as connection:
            try:
                connection.send_bytes(pickle.dumps(request))
                given = _listen(connection, watch)
            except (EOFError, BrokenPipeError, ConnectionResetError):
                raise CTReadError(_CRASHED) from None
            if isinstance(given, list):
                return given
            shape, volume, headers = given
            volume = replace(volume, hu=_map(voxels, shape))
            if volume.dicom is not None:
                volume = replace(volume, dicom=replace(volume.dicom, headers=Headers(headers)))
        if watch.claim is not None:
            watch.claim(volume.hu.nbytes)
        return volume
    finally:
        os.close(voxels)


def _listen(connection: Connection, watch: _Watch) -> tuple[tuple[int, int, int], CTVolume, bytes] | list[SeriesOf]:
    while True:
        watch.look()
        if not connection.poll(_POLL_S):
            continue
        message = _unpickle(connection.recv_bytes(_META_BYTES))
        watch.heard = time.monotonic()
        match message:
            case ("step", float(fraction), str(text)):
                if watch.progress is not None:
                    watch.progress(fraction, text)
            case ("claim", int(nbytes)):
                if watch.claim is not None:
                    watch.claim(nbytes + HEADER_BYTES)  # the headers are still there
                connection.send_bytes(b"+")
            case ("done", (int(), int(), int()) as shape, CTVolume() as volume, bytes(headers)):
                return shape, volume, headers
            case ("series", list(found)):
                return [SeriesOf(*map(str, one)) for one in found]
            case ("masks", list(found)):
                return found
            case ("error", MedVLError() as error):
                raise error
            case _:
                raise CTReadError(_CRASHED)


# ---- voxels


def _shared_file() -> int:
    """A file without a name, in memory where the system has such; the limit of ``/dev/shm`` does not count for it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("medvl-voxels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile(prefix="medvl-voxels-") as file:
        return os.dup(file.fileno())


def _map(voxels: int, shape: tuple[int, int, int]) -> np.ndarray:
    """The volume that a child has written; the memory goes with the array."""
    size = 2 * int(np.prod(shape, dtype=np.int64))
    if hasattr(fcntl, "F_ADD_SEALS"):  # a file that shrinks under a map ends the process that looks
        fcntl.fcntl(voxels, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    if min(shape) < 1 or os.fstat(voxels).st_size != size:
        raise CTReadError(_CRASHED)
    populate = getattr(mmap, "MAP_POPULATE", 0)  # all pages at once: a fault a page takes longer
    memory = mmap.mmap(voxels, size, flags=mmap.MAP_SHARED | populate)
    return np.frombuffer(memory, np.int16).reshape(shape, order="F")


# ---- what comes back: only classes that hold data, so that a child which was taken over can call nothing here

_PLAIN = {
    "builtins": {"object", "set", "frozenset", "bytearray", "complex", "slice", "range"},
    "collections": {"OrderedDict", "Counter"},
    "copyreg": {"__newobj__", "_reconstructor"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "numpy": {"ndarray", "dtype"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy._core.numeric": {"_frombuffer"},
    "pathlib": {"PurePosixPath", "PosixPath", "PureWindowsPath"},
}
_DATA_MODULES = {
    f"pydicom.{name}" for name in ("dataset", "dataelem", "uid", "valuerep", "multival", "sequence", "tag")
}
_DATA_MODULES |= {"nibabel.nifti1", "nibabel.nifti2"}  # the header of SourceGeometry
_OWN = ("medvl.ct.", "medvl.errors")


def _converter_of(owner: Any, name: str) -> Any:
    """Stands for ``getattr``: a list of values in pydicom keeps the method of its element that converts one."""
    if isinstance(owner, DataElement) and name == "_convert":
        return owner._convert
    raise pickle.UnpicklingError


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Known data classes only."""
        if (module, name) == ("builtins", "getattr"):
            return _converter_of
        if name in _PLAIN.get(module, ()):
            return super().find_class(module, name)
        if (module in _DATA_MODULES or module.startswith(_OWN)) and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type):
                return found
        raise pickle.UnpicklingError


def _unpickle(data: bytes) -> Any:
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except Exception:
        raise CTReadError(_CRASHED) from None


class Headers(Sequence):
    """``DicomReference.headers`` of a volume that a child has read; made of its bytes when they are first wanted."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @cached_property
    def _made(self) -> tuple[Dataset, ...]:
        made = _unpickle(self._data)
        if not isinstance(made, tuple) or not all(isinstance(one, Dataset) for one in made):
            raise CTReadError(_CRASHED)
        return made

    def __len__(self) -> int:
        return len(self._made)

    def __getitem__(self, index: int | slice) -> Dataset | tuple[Dataset, ...]:
        return self._made[index]

    def __eq__(self, other: object) -> bool:
        return self._made == tuple(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # like that of a tuple of datasets
