"""``CaseSession``: one visitor's open scan, its jobs, the prompts that wait, and its temporary files."""

from __future__ import annotations

import itertools
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from medvl.case import Case
from medvl.ct.masks import Mask
from medvl.ct.measure import Measurement
from medvl.ct.prompts import Box, Point
from medvl.ct.volume import CTVolume
from medvl.ct.windows import BODY_HU
from medvl.errors import MedVLError
from medvl.readers.case_zip import SavedPrior

from .chat import Chat
from .examples import examples
from .prior import PriorScan
from .report_state import ReportState
from .viewer import Beside, Board

TEMP_PREFIX = "medvl-session-"
MOST_OF_BODY = 0.5  # of the voxels that are no air: a mask that is more is drawn without a fill


class SessionEndedError(MedVLError):
    """The visitor's session is gone: idle for long, or the server was restarted."""


@dataclass
class Target:
    """The object that prompts go to; ``mask_id`` is None until its first mask exists."""

    mask_id: str | None = None


@dataclass(frozen=True)
class PendingPrompt:
    """A prompt that was given and is not yet in a mask."""

    prompt: Point | Box
    target: Target


class CaseSession:
    """One visitor's open scan: the CT, its case, what the viewer shows, and a folder for temporary files.

    Attributes:
        token: unguessable key of the viewer's and the download's routes.
        ct: the volume; may be shared (read-only) with other visitors of the same sample.
        case: prompts, masks and history.
        board: what the browser shows.
        title: what the visitor calls the scan; shown to nobody else and never logged.
        sample_id: which of the bundled samples it is, if it is one.
        folder: temporary files; removed with the session.
        target: the object that prompts go to.
        following: the object that is being followed on after a stop, None while none is.
        tab: the tab of the page that is open.
        unasked: masks that an answer only measured against, listed with the eye closed.
        files: folder of the files it was read from, where they hold more scans to choose from; inside ``folder``.
        chat: the conversation about this scan.
        report: its report, as far as it has come.
        prior: the earlier scan that stands beside it, None where none is open.
        awaited: that of a saved case whose file does not hold it, and what the visitor called it; None where none is.
    """

    def __init__(self, ct: CTVolume, case: Case, title: str, sample_id: str | None = None) -> None:
        self.token = secrets.token_urlsafe(24)
        self.ct, self.case, self.title, self.sample_id = ct, case, title, sample_id
        self.board = Board(ct, self.token)
        self.folder = Path(tempfile.mkdtemp(prefix=TEMP_PREFIX))
        self.files: Path | None = None
        self.prior: PriorScan | None = None
        self.awaited: tuple[SavedPrior, str] | None = None
        self.target = Target()
        self.following: str | None = None
        self.tab = "chat"
        self.chat, self.report = Chat(), ReportState()
        self._revisions = itertools.count(1)
        self.styles: dict[str, dict[str, object]] = {}
        self.unasked: set[str] = set()
        self.lock = threading.RLock()
        self.last_seen = time.monotonic()
        self.left_at: float | None = None
        self.closed = False
        self._measured: dict[str, tuple[object, Measurement]] = {}
        self._pending: list[PendingPrompt] = []
        self._job = threading.Lock()
        self._running: threading.Event | None = None
        self._waiting: set[threading.Event] = set()
        self._released = False

    @property
    def nbytes(self) -> int:
        """Memory that closing would free."""
        scan = 0 if self.sample_id else self.ct.hu.nbytes  # samples are shared
        scan += self.prior.nbytes if self.prior else 0
        return scan + self.case.nbytes + self.board.nbytes + self.chat.nbytes + self.report.nbytes

    @cached_property
    def examples(self) -> list[str]:
        """Questions that fit the scan."""
        return examples(self.ct)

    @property
    def offers(self) -> list[Mask]:
        """Objects that were stopped while they were followed, to go on with."""
        return [mask for mask in list(self.case.masks.values()) if mask.stopped and mask.id != self.following]

    def next_revision(self) -> int:
        """Grows; the browser drops a value of the chat or the report that a newer one has overtaken."""
        return next(self._revisions)

    @property
    def busy(self) -> bool:
        """True while a segmentation runs."""
        return self._running is not None

    def keep(self, files: Path) -> None:
        """Take over a folder of files; it goes with the session."""
        self.files = Path(shutil.move(files, self.folder / "files"))

    def stand_beside(self, prior: PriorScan) -> None:
        """Show an earlier scan beside the open one, whose case holds it already."""
        self.prior, self.awaited = prior, None
        self.board.beside = Beside(prior.board, prior.title)

    def drop_prior(self) -> None:
        """Close the earlier scan, if there is one."""
        self.case.drop_prior()
        self.prior = self.board.beside = self.awaited = None

    def touch(self) -> None:
        """The visitor is there."""
        self.last_seen = time.monotonic()
        self.left_at = None

    # ---- jobs

    def stop(self) -> None:
        """Stop what runs and forget what waits; returns at once, the job ends within one slice."""
        with self.lock:
            self._pending.clear()
            self._stop_jobs()

    def leave(self, now: float) -> None:
        """The page is away, for good or until the network is back: stop what runs; prompts that wait stay.

        Args:
            now: seconds, by the store's clock.
        """
        with self.lock:
            self.left_at = now  # first: a job that is stopped looks at it
            self._stop_jobs()

    def _stop_jobs(self) -> None:
        with self.lock:
            for event in (*self._waiting, *([self._running] if self._running else [])):
                event.set()

    @contextmanager
    def job(self) -> Iterator[threading.Event]:
        """Run as this session's only job; one that runs is stopped first and its result is kept.

        Yields:
            The event that asks this job to stop.

        Raises:
            SessionEndedError: the session was closed meanwhile.
        """
        cancel = threading.Event()
        with self.lock:
            self._waiting.add(cancel)
            if self._running:
                self._running.set()
        self._job.acquire()
        try:
            with self.lock:
                self._waiting.discard(cancel)
                if self.closed:
                    raise SessionEndedError("This scan was closed. Open it again.")
                self._running = cancel
            yield cancel
        finally:
            with self.lock:
                self._waiting.discard(cancel)
                self._running = None
            self._job.release()
            if self.closed:
                self._release()

    # ---- prompts that wait for their job

    def push(self, prompt: Point | Box) -> None:
        """Remember a prompt for the object that is active now."""
        with self.lock:
            self._pending.append(PendingPrompt(prompt, self.target))

    def take(self) -> tuple[Target, list[PendingPrompt]] | None:
        """The oldest waiting prompts that one run can take: one object, any points, at most one box."""
        with self.lock:
            if not self._pending:
                return None
            target, taken, boxes = self._pending[0].target, [], 0
            while self._pending and self._pending[0].target is target:
                boxes += isinstance(self._pending[0].prompt, Box)
                if boxes > 1:
                    break
                taken.append(self._pending.pop(0))
            return target, taken

    @property
    def has_pending(self) -> bool:
        """True if a prompt waits for its run."""
        return bool(self._pending)

    @property
    def preempted(self) -> bool:
        """True if another job waits for the running one to end."""
        return bool(self._waiting)

    def put_back(self, taken: list[PendingPrompt]) -> None:
        """Prompts that were stopped before they gave anything wait again, in front."""
        with self.lock:
            self._pending[:0] = taken

    def drop_pending(self) -> bool:
        """Forget the newest waiting prompt; True if there was one."""
        with self.lock:
            return bool(self._pending and self._pending.pop())

    # ---- masks

    def show(self, mask: Mask, changed: Box | None = None) -> None:
        """Put a mask and its prompts on the board; one that is most of the body as an outline, or it hides the scan."""
        self.board.set_mask(mask, changed)
        if "opacity" not in self.styles.get(mask.id, {}) and mask.voxels > MOST_OF_BODY * self._body_voxels:
            self.styles.setdefault(mask.id, {})["opacity"] = 0.0
            self.board.style(mask.id, opacity=0.0)
        if mask.id in self.case.masks:
            self.board.set_prompts(mask.id, self.case.prompts(mask.id))

    @cached_property
    def _body_voxels(self) -> int:
        return int(np.count_nonzero(self.ct.hu > BODY_HU))

    def activate(self, mask_id: str | None) -> None:
        """Choose the object that prompts go to; None: the next prompt starts a new one."""
        with self.lock:
            if mask_id is None or mask_id != self.target.mask_id:
                self.target = Target(mask_id)
            self.board.active = mask_id

    def measure(self, mask: Mask) -> Measurement:
        """The mask's measurements, computed once per version of it."""
        known = self._measured.get(mask.id)
        if known is None or known[0] is not mask.block:
            known = (mask.block, mask.measure(self.ct))
            self._measured[mask.id] = known
        return known[1]

    # ---- end

    def close(self) -> None:
        """Stop the job, free the memory and delete the temporary files (a running job does it as it ends)."""
        with self.lock:
            self.closed = True
            self.stop()
            idle = self._job.acquire(blocking=False)
        if idle:
            self._job.release()
            self._release()

    def _release(self) -> None:
        with self.lock:
            if self._released:
                return
            self._released = True
        self.case.close()
        self.prior = self.board.beside = None
        shutil.rmtree(self.folder, ignore_errors=True)
