"""``SessionStore``: one ``CaseSession`` per visitor, a byte budget over all of them, and an idle reaper.

A visitor is known by the session hash of the page; what the routes serve is keyed by an unguessable token that is new
with every opened scan. Nothing of a visitor is reachable from another one's handlers, and everything (voxels,
masks, temporary files) goes some minutes after the tab is closed (a reload or a lost network finds it again until
then), when the visitor is idle for long, or when another scan is opened.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from medvl.case import Case
from medvl.errors import MedVLError

from .case_session import CaseSession, SessionEndedError
from .turns import Turns
from .viewer import Board

log = logging.getLogger(__name__)

IDLE_S = 2 * 3600  # a reader who only scrolls sends nothing, so this is long
EVICT_IDLE_S = 15 * 60  # idle for this long, a session makes way when the memory is needed
PROGRAM_BYTES = 3 * 10**9  # networks, libraries, and what two visitors' computations take at most (tests/benchmarks)
GRACE_S = 20 * 60  # after the tab is gone: it may be loaded again, or have lost its network; memory is given up sooner


class ServerFullError(MedVLError):
    """The byte budget leaves no room for another scan."""


class Room:
    """Memory of work that is no session yet, or never becomes one (a call of the API), within the store's budget."""

    def __init__(self, store: SessionStore, key: str | None) -> None:
        self._store, self._key = store, key
        self._claimed = 0
        self._case: Case | None = None

    @property
    def nbytes(self) -> int:
        """What is claimed, and what the case has taken by now."""
        return self._claimed + (self._case.nbytes if self._case else 0)

    def claim(self, nbytes: int) -> None:
        """Take ``nbytes`` for what is about to be read, instead of those claimed before.

        Raises:
            ServerFullError: they do not fit.
        """
        with self._store.lock:
            if nbytes <= self._claimed:  # gives back
                self._claimed = nbytes
                return
            self._claimed = 0
            self._store.check_room(self._key, nbytes, self)
            self._claimed = nbytes

    def hold(self, case: Case) -> None:
        """Count a case as well, as it grows."""
        self._case = case


class SessionStore:
    """All visitors' sessions.

    Args:
        budget_bytes: memory over all sessions; None takes ``default_budget``.
        max_sessions: visitors at once.
        clock: seconds; a test's own.

    Attributes:
        turns: who of them computes now.
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
        self.turns = Turns()
        self.chores: list[Callable[[], object]] = []  # what else the reaper does
        self._sessions: dict[str, CaseSession] = {}
        self._tokens: dict[str, CaseSession] = {}
        self._rooms: list[Room] = []
        self.lock = threading.RLock()
        self._stop = threading.Event()
        self._reaper: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def nbytes(self) -> int:
        """Memory of all sessions, and of what is being read or answered beside them."""
        with self.lock:
            return sum(s.nbytes for s in (*self._sessions.values(), *self._rooms))

    @contextmanager
    def room(self, key: str | None = None) -> Iterator[Room]:
        """Room for work beside the sessions, given back at the end.

        Args:
            key: of the visitor whose session the work will take the place of; None for a call of the API.
        """
        room = Room(self, key)
        with self.lock:
            self._rooms.append(room)
        try:
            yield room
        finally:
            with self.lock:
                self._rooms.remove(room)

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
        with self.lock:
            return self._sessions.get(key or "")

    def by_token(self, token: str) -> CaseSession | None:
        """The session with this token, or None."""
        with self.lock:
            session = self._tokens.get(token)
        if session is not None:
            session.last_seen = time.monotonic()  # a request in flight does not bring back a tab that was closed
        return session

    def find_board(self, token: str) -> Board | None:
        """For the viewer's routes."""
        session = self.by_token(token)
        return session.board if session else None

    def check_room(self, key: str | None, nbytes: int, room: Room | None = None) -> None:
        """Make sure that ``nbytes`` more fit, evicting sessions that are idle or left.

        Args:
            key: of the visitor whose session they replace; None for a call of the API, which is no visitor.
            nbytes: wanted.
            room: that asks; it is not counted.

        Raises:
            ServerFullError: they do not fit.
        """
        with self.lock:
            if nbytes > self.budget_bytes:
                raise ServerFullError(
                    f"This scan needs {nbytes / 1e9:.1f} GB in memory; the server keeps {self.budget_bytes / 1e9:.1f} "
                    "GB for all its visitors. Crop or resample it, or run the app on a larger machine."
                )
            others = sorted(((k, s) for k, s in self._sessions.items() if k != key), key=lambda item: item[1].last_seen)
            used = sum(s.nbytes for _, s in others) + sum(r.nbytes for r in self._rooms if r is not room)
            count = len(others) if key is not None else 0
            used -= self._forget_features(used + nbytes - self.budget_bytes, [s for _, s in others])
            for other, session in others:
                if used + nbytes <= self.budget_bytes and count < self.max_sessions:
                    return
                if session.left_at is not None or self._clock() - session.last_seen > EVICT_IDLE_S:
                    used, count = used - session.nbytes, count - 1
                    self.close(other)
            if used + nbytes > self.budget_bytes or count >= self.max_sessions:
                raise ServerFullError(
                    f"The server is full: {len(self._sessions)} visitors use its memory. Please try again in some "
                    "minutes. What you had open is still there."
                )

    def open(self, key: str, session: CaseSession) -> CaseSession:
        """Make ``session`` the visitor's; the one before is closed.

        Raises:
            ServerFullError: there is no room; ``session`` is closed, the one before stays.
        """
        with self.lock:
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

    def resume(self, key: str, token: str) -> CaseSession | None:
        """A page was loaded again: its session goes on under the visitor's new key.

        Args:
            key: of the visitor now.
            token: that the page kept.

        Returns:
            The session, or None where there is none of this token any more.
        """
        with self.lock:
            session = self._tokens.get(token)
            old = next((known for known, s in self._sessions.items() if s is session), None)
            if session is None or session.closed or old is None:
                return None
            if key != old:
                self.close(key)
            self._sessions[key] = self._sessions.pop(old)
            session.touch()
            return session

    def alive(self, token: str) -> bool:
        """A page says that it is still there, perhaps after a time without network; False if its session is gone."""
        with self.lock:
            session = self._tokens.get(token)
            if session is not None:
                session.touch()
            return session is not None

    def leave(self, key: str | None) -> None:
        """The tab was closed: stop its job now; the reaper frees it after ``GRACE_S`` unless it comes back."""
        session = self.find(key)
        if session is not None:
            session.leave(self._clock())
            self.start_reaper()

    def close(self, key: str | None) -> None:
        """Free a visitor's session; an unknown key is ignored."""
        with self.lock:
            session = self._sessions.pop(key or "", None)
            if session is not None:
                self._tokens.pop(session.token, None)
        if session is not None:
            session.close()

    def _forget_features(self, too_many: int, sessions: Iterable[CaseSession]) -> int:
        """Forget what was computed of slices, first of who is longest away and works at nothing now.

        Nothing that a visitor made goes, only time to compute it again.

        Args:
            too_many: bytes to free.
            sessions: of whom.

        Returns:
            Bytes that were freed.
        """
        freed = 0
        for session in sorted(sessions, key=lambda s: (s.busy, s.last_seen)):
            if freed >= too_many:
                break
            freed += session.case.forget_features()
        return freed

    def sweep(self) -> int:
        """Close the sessions that were left or are idle for long, and keep the others within the budget.

        Returns:
            How many were closed.
        """
        now = self._clock()
        with self.lock:
            self._forget_features(self.nbytes - self.budget_bytes, [*self._sessions.values()])
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
        with self.lock:
            if self._reaper is not None or self._stop.is_set():
                return
            self._reaper = threading.Thread(target=self._reap, args=(every_s,), name="session-reaper", daemon=True)
            self._reaper.start()

    def _reap(self, every_s: float) -> None:
        while not self._stop.wait(every_s):
            try:
                self.sweep()
                for chore in self.chores:
                    chore()
            except Exception:
                log.exception("The session reaper failed; it goes on.")

    def shutdown(self) -> None:
        """Close everything; called as the app ends."""
        self._stop.set()
        for key in list(self._sessions):
            self.close(key)


def default_budget() -> int:
    """Half of the machine's (or container's) memory, less where the program itself needs more than the other half; or
    ``MEDVL_SESSION_GB``.
    """
    if os.environ.get("MEDVL_SESSION_GB"):
        return int(float(os.environ["MEDVL_SESSION_GB"]) * 1e9)
    total = 8 * 10**9
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and limit.read_text().strip().isdigit():
        total = min(total, int(limit.read_text()))
    return max(10**9, min(total // 2, total - PROGRAM_BYTES))
