"""``SessionStore``: one ``CaseSession`` per visitor, a byte budget over all of them, and an idle reaper.

A visitor is known by the session hash of the page; what the routes serve is keyed by an unguessable token that is new
with every opened scan. Nothing of a visitor is reachable from another one's handlers, and everything (voxels,
masks, temporary files) goes when the tab is closed, the visitor is idle for long, or another scan is opened.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.viewer import Board
from medvl.errors import MedVLError
from medvl.masks import Mask
from medvl.measure import Measurement
from medvl.model import Case
from medvl.prompts import Box, Point
from medvl.volume import CTVolume

log = logging.getLogger(__name__)

IDLE_S = 2 * 3600  # a reader who only scrolls sends nothing, so this is long
EVICT_IDLE_S = 15 * 60  # idle for this long, a session makes way when the memory is needed
GRACE_S = 15  # after the tab is gone; a broken connection may come back
TEMP_PREFIX = "medvl-session-"


class SessionEndedError(MedVLError):
    """The visitor's session is gone: idle for long, or the server was restarted."""


class ServerFullError(MedVLError):
    """The byte budget leaves no room for another scan."""


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
        folder: temporary files; removed with the session.
        target: the object that prompts go to.
        last_id: the mask that was changed last; undo and redo fall back on it.
        tab: the tab of the page that is open.
    """

    def __init__(self, ct: CTVolume, case: Case, title: str, shared_ct: bool = False) -> None:
        self.token = secrets.token_urlsafe(24)
        self.ct, self.case, self.title = ct, case, title
        self.board = Board(ct, self.token)
        self.folder = Path(tempfile.mkdtemp(prefix=TEMP_PREFIX))
        self.target = Target()
        self.last_id: str | None = None
        self.tab = "scan"
        self.styles: dict[str, dict[str, object]] = {}
        self.lock = threading.RLock()
        self.last_seen = time.monotonic()
        self.left_at: float | None = None
        self.closed = False
        self._shared_ct = shared_ct
        self._measured: dict[str, tuple[object, Measurement]] = {}
        self._pending: list[PendingPrompt] = []
        self._job = threading.Lock()
        self._running: threading.Event | None = None
        self._waiting: set[threading.Event] = set()
        self._released = False

    @property
    def nbytes(self) -> int:
        """Memory that closing would free."""
        return (0 if self._shared_ct else self.ct.hu.nbytes) + self.case.nbytes + self.board.nbytes

    @property
    def busy(self) -> bool:
        """True while a segmentation runs."""
        return self._running is not None

    def touch(self) -> None:
        """The visitor is there."""
        self.last_seen = time.monotonic()
        self.left_at = None

    # ---- jobs

    def stop(self) -> None:
        """Stop what runs and what waits; returns at once, the job ends within one slice."""
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
        """Put a mask and its prompts on the board."""
        self.board.set_mask(mask, changed)
        if mask.id in self.case.masks:
            self.board.set_prompts(mask.id, self.case.prompts(mask.id))

    def activate(self, mask_id: str | None) -> None:
        """Choose the object that prompts go to; None: the next prompt starts a new one."""
        with self.lock:
            if mask_id is None or mask_id != self.target.mask_id:
                self.target = Target(mask_id)
            self.board.active = mask_id
            if mask_id:
                self.last_id = mask_id

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
        shutil.rmtree(self.folder, ignore_errors=True)


class SessionStore:
    """All visitors' sessions.

    Args:
        budget_bytes: memory over all sessions; None takes ``default_budget``.
        max_sessions: visitors at once.
        clock: seconds; a test's own.
    """

    def __init__(
        self,
        budget_bytes: int | None = None,
        max_sessions: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget_bytes = default_budget() if budget_bytes is None else budget_bytes
        self.max_sessions = max_sessions
        self._clock = clock
        self._sessions: dict[str, CaseSession] = {}
        self._tokens: dict[str, CaseSession] = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._reaper: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def nbytes(self) -> int:
        """Memory of all sessions."""
        with self._lock:
            return sum(s.nbytes for s in self._sessions.values())

    def get(self, key: str | None) -> CaseSession:
        """The visitor's session.

        Raises:
            SessionEndedError: there is none.
        """
        session = self.find(key)
        if session is None:
            raise SessionEndedError("This session has ended. Open the scan again (tab Scan) to go on.")
        session.touch()
        return session

    def find(self, key: str | None) -> CaseSession | None:
        """The visitor's session, or None."""
        with self._lock:
            return self._sessions.get(key or "")

    def by_token(self, token: str) -> CaseSession | None:
        """The session with this token, or None."""
        with self._lock:
            session = self._tokens.get(token)
        if session is not None:
            session.last_seen = time.monotonic()  # a request in flight does not bring back a tab that was closed
        return session

    def find_board(self, token: str) -> Board | None:
        """For the viewer's routes."""
        session = self.by_token(token)
        return session.board if session else None

    def check_room(self, key: str, nbytes: int) -> None:
        """Make sure that ``nbytes`` more fit, evicting sessions that are idle or left.

        Raises:
            ServerFullError: they do not fit.
        """
        with self._lock:
            if nbytes > self.budget_bytes:
                raise ServerFullError(
                    f"This scan needs {nbytes / 1e9:.1f} GB in memory; the server keeps {self.budget_bytes / 1e9:.1f} "
                    "GB for all its visitors. Crop or resample it, or run the app on a larger machine."
                )
            others = sorted(((k, s) for k, s in self._sessions.items() if k != key), key=lambda item: item[1].last_seen)
            used, count = sum(s.nbytes for _, s in others), len(others)
            for other, session in others:
                if used + nbytes <= self.budget_bytes and count < self.max_sessions:
                    return
                if session.left_at is not None or self._clock() - session.last_seen > EVICT_IDLE_S:
                    used, count = used - session.nbytes, count - 1
                    self.close(other)
            if used + nbytes > self.budget_bytes or count >= self.max_sessions:
                raise ServerFullError(
                    f"The server is full: {count} other visitors use its memory. Please try again in some minutes. "
                    "What you had open is still there."
                )

    def open(self, key: str, session: CaseSession) -> CaseSession:
        """Make ``session`` the visitor's; the one before is closed.

        Raises:
            ServerFullError: there is no room; ``session`` is closed, the one before stays.
        """
        with self._lock:
            try:
                self.check_room(key, session.nbytes)
            except ServerFullError:
                session.close()
                raise
            self.close(key)
            self._sessions[key] = session
            self._tokens[session.token] = session
            session.touch()
            return session

    def leave(self, key: str | None) -> None:
        """The tab was closed: stop its job now; the reaper frees it after ``GRACE_S`` unless it comes back."""
        session = self.find(key)
        if session is not None:
            session.stop()
            session.left_at = self._clock()
            self.start_reaper()

    def close(self, key: str | None) -> None:
        """Free a visitor's session; an unknown key is ignored."""
        with self._lock:
            session = self._sessions.pop(key or "", None)
            if session is not None:
                self._tokens.pop(session.token, None)
        if session is not None:
            session.close()

    def sweep(self) -> int:
        """Close the sessions that were left or are idle for long; returns how many."""
        now = self._clock()
        with self._lock:
            gone = [
                key
                for key, s in self._sessions.items()
                if (s.left_at is not None and now - s.left_at >= GRACE_S) or now - s.last_seen >= IDLE_S
            ]
        for key in gone:
            self.close(key)
        return len(gone)

    def start_reaper(self, every_s: float = 5.0) -> None:
        """Sweep regularly in the background, until ``shutdown``."""
        with self._lock:
            if self._reaper is not None or self._stop.is_set():
                return
            self._reaper = threading.Thread(target=self._reap, args=(every_s,), name="session-reaper", daemon=True)
            self._reaper.start()

    def _reap(self, every_s: float) -> None:
        while not self._stop.wait(every_s):
            try:
                self.sweep()
            except Exception:
                log.exception("The session reaper failed; it goes on.")

    def shutdown(self) -> None:
        """Close everything; called as the app ends."""
        self._stop.set()
        for key in list(self._sessions):
            self.close(key)


def default_budget() -> int:
    """Half of the machine's (or container's) memory, or ``MEDVL_SESSION_GB``."""
    if os.environ.get("MEDVL_SESSION_GB"):
        return int(float(os.environ["MEDVL_SESSION_GB"]) * 1e9)
    total = 8 * 10**9
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and limit.read_text().strip().isdigit():
        total = min(total, int(limit.read_text()))
    return max(10**9, total // 2)
