"""The process that ``isolated`` starts: it imports the readers once, and forks a child for every scan.

    python -m medvl.readers.decoder FD

FD is a Unix socket. Each message on it brings three descriptors: the child's own connection, a pipe that lives as long
as somebody waits for the child, and the file for the voxels. This process has one thread and never opens a scan itself,
so a fork of it is clean and takes milliseconds. It alone ends and reaps children, so no process id is ever mistaken.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import socket
import sys
import tempfile
import time
from dataclasses import replace
from multiprocessing.connection import Connection

import numpy as np

from ..ct.geometry import SourceGeometry
from ..ct.volume import CTVolume
from ..errors import CTReadError, MedVLError
from . import DEFAULT_MAX_BYTES, read_ct
from .confine import MemoryLimit, confine, limit
from .faults import explain
from .series import series_of

TELL_EVERY_S = 0.1
_WRITE_BYTES = 4 << 20
HEADER_BYTES = 128 << 20  # for the headers, before the size of the volume is known
MASK_VOXEL_BYTES = 24  # of the scan: a label map of 64 bits, one object of it, and the same along other axes
MASK_LIBRARY_BYTES = 1 << 30
SLACK_BYTES = 96 << 20  # address space that is mapped and hardly touched: stacks, arenas, libraries loaded late


def serve(control: socket.socket) -> None:
    """Fork a child for every message, until the other end closes."""
    children: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control, *children], [], [])
        for leash in set(ready) & children.keys():
            _end(leash, children.pop(leash))
        if control not in ready:
            continue
        message, handles, _, _ = socket.recv_fds(control, 1, 3)
        if len(message) == 0 or len(handles) != 3:
            break
        talk, leash, voxels = handles
        child = os.fork()
        if child == 0:
            for other in (control.fileno(), leash, *children):
                os.close(other)
            _child(talk, voxels)
        os.close(talk)
        os.close(voxels)
        children[leash] = child
    for leash, child in children.items():
        _end(leash, child)


def _end(leash: int, child: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(leash)


def _child(talk: int, voxels: int) -> None:
    """Read one scan and leave; nothing of it outlives this process but the voxels and what ``talk`` was told."""
    try:
        with Connection(talk) as connection:
            request = pickle.loads(connection.recv_bytes())  # the parent's own
            options = request["options"]
            tempfile.tempdir = request["scratch"]
            memory = MemoryLimit()
            confine(request["readable"], request["scratch"])
            limit(request["cpu_s"], int(options.get("max_bytes", DEFAULT_MAX_BYTES)) + SLACK_BYTES)
            memory.allow(HEADER_BYTES + SLACK_BYTES)
            if request["task"] == "series":
                given = ("series", [tuple(series_of(path)) for path in request["path"]])
            elif request["task"] == "masks":
                given = _masks(memory, request["path"], **options)
            else:
                given = _read(connection, voxels, memory, request["path"], options)
            connection.send_bytes(pickle.dumps(given))
    finally:
        os._exit(0)


def _read(connection: Connection, voxels: int, memory: MemoryLimit, path: str | list[str], options: dict) -> tuple:
    told = 0.0

    def progress(fraction: float, text: str) -> None:
        nonlocal told
        if time.monotonic() - told >= TELL_EVERY_S:
            told = time.monotonic()
            connection.send_bytes(pickle.dumps(("step", float(fraction), str(text))))

    def claim(nbytes: int) -> None:
        connection.send_bytes(pickle.dumps(("claim", int(nbytes))))
        connection.recv_bytes()  # where there is no room, this process ends here
        memory.allow(int(nbytes) + SLACK_BYTES)

    try:
        volume = read_ct(path, progress=progress, claim=claim, **options)
        _write(voxels, volume.hu)
        headers = b""
        if volume.dicom is not None:  # apart, as their many objects take longer to make than all else that comes back
            headers = pickle.dumps(tuple(volume.dicom.headers))
            volume = replace(volume, dicom=replace(volume.dicom, headers=()))
        return "done", volume.shape, replace(volume, hu=np.empty((0, 0, 0), np.int16)), headers
    except MedVLError as error:
        return "error", error
    except OSError as error:
        return "error", CTReadError(explain(error))


def _write(voxels: int, hu: np.ndarray) -> None:
    """A volume, axial slices contiguous, into a file; faster than through a map, whose pages are cleared first."""
    data = memoryview(hu.reshape(-1, order="F")).cast("B")
    done = 0
    while done < len(data):
        done += os.pwrite(voxels, data[done : done + _WRITE_BYTES], done)


def _masks(memory: MemoryLimit, path: str, shape: tuple[int, int, int], affine: np.ndarray, resample: bool) -> tuple:
    memory.allow(int(np.prod(shape)) * MASK_VOXEL_BYTES + MASK_LIBRARY_BYTES)
    from .masks import read_masks  # not at the start: it takes a while, and few bring masks

    try:
        grid = CTVolume(np.broadcast_to(np.int16(0), shape), affine, SourceGeometry(shape, affine))
        masks = read_masks(path, grid, resample=resample)
        return "masks", [(m.name, m.color, m.box.lo, m.box.hi, m.runs) for m in masks]
    except MedVLError as error:
        return "error", error
    except MemoryError:
        return "error", CTReadError("The masks take more memory than those of this scan can. Crop or resample them.")
    except OSError as error:
        return "error", CTReadError(explain(error))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the program that waits
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
