"""Looking for structures while telling how far it is: the finder works in a thread, its progress comes out as steps."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Collection, Generator, Iterable

from ..errors import Cancelled
from ..structures.found import Finder, Found
from ..vocabulary.numbers import show
from ..vocabulary.spoken import name
from .pieces import MaskRef, Step
from .scene import Scene

POLL_SECONDS = 0.05


def look(
    scene: Scene,
    finder: Finder,
    structures: Iterable[str],
    cancel: threading.Event | None = None,
    announce: Collection[str] = (),
) -> Generator[Step | MaskRef, None, None]:
    """Find structures, and put them into the scene.

    What the scene has already is asked of the finder again, which is free and gives a mask that a person corrected in
    between; no step is shown for it.

    Args:
        scene: takes what is found.
        finder: looks.
        structures: ids, each once.
        cancel: set it to stop within one slice.
        announce: structures whose mask is told as soon as it is there.

    Yields:
        A step begun, how far it is, and done, of each structure that was not known yet; and masks to announce.

    Raises:
        Cancelled: ``cancel`` was set.
    """
    for structure in dict.fromkeys(structures):
        known = scene.found(structure) is not None
        label = f"Segment {name(structure)}"
        if not known and structure in finder.known:
            yield Step(label)
        begin = time.perf_counter()
        found = None
        for update in _watch(finder, structure, cancel):
            if isinstance(update, Found):
                found = update
            elif not known:
                yield Step(label, share=min(1.0, max(0.0, update)))
        scene.put(found)
        if not known and structure in finder.known:
            yield Step(label, seconds=time.perf_counter() - begin, share=1.0, outcome=outcome(scene, structure))
        if scene.mask(structure) is not None and structure in announce:
            yield MaskRef(found.mask)


def outcome(scene: Scene, structure: str) -> str:
    """Result of looking, for the step: the volume, or that it is not there."""
    mask = scene.mask(structure)
    if mask is None:
        found = scene.found(structure)
        return f"not in view: {found.reason}" if found is not None and found.reason else "not in this scan"
    return show(mask.voxels * scene.ct.voxel_volume_ml, "mL")


def _watch(finder: Finder, structure: str, cancel: threading.Event | None) -> Generator[float | Found, None, None]:
    """Progress of one search, then what it gave. An exception of the search comes out here."""
    updates: queue.SimpleQueue = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        try:
            updates.put(finder.find(structure, cancel=stop, progress=updates.put))
        except BaseException as error:  # every exception belongs to the caller, in the caller's thread
            updates.put(error)

    thread = threading.Thread(target=work, name=f"find {structure}", daemon=True)
    thread.start()
    try:
        while True:
            if cancel is not None and cancel.is_set():
                raise Cancelled("Stopped while looking for a structure.")
            try:
                update = updates.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(update, BaseException):
                raise update
            yield update
            if isinstance(update, Found):
                return
    finally:
        # Also when the caller goes away in the middle: no search may run on behind its back.
        stop.set()
        thread.join()
