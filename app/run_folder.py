"""One folder for everything temporary of a run: uploads, scans being read, sessions, answers.

It goes when the run ends. A run that was killed leaves it behind, and the next start deletes it: a lock file beside it,
which the system releases with the process, tells whether its run still goes on.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from medvl.errors import MedVLError
from medvl.jobs import locks

PREFIX = "medvl-run-"
LOCK = ".lock"


class FolderError(MedVLError):
    """The folder for temporary files is missing or cannot be written."""


class RunFolder:
    """A folder of this run.

    Args:
        base: where it is made, and where those of killed runs are deleted; None takes the system's temporary folder.

    Raises:
        FolderError: ``base`` cannot be used.

    Attributes:
        path: the folder.
    """

    def __init__(self, base: str | Path | None = None) -> None:
        try:
            base = Path(base or _system_folder())
            sweep(base)
            self.path = base / f"{PREFIX}{secrets.token_hex(8)}"
            self._lock = locks.hold(_lock_of(self.path))
            self.path.mkdir(mode=0o700)
        except OSError as error:
            raise FolderError(
                f"The folder for temporary files {str(base or '')!r} cannot be used ({error.strerror}). Set TMPDIR "
                "(for uploads GRADIO_TEMP_DIR) to a folder that can be written."
            ) from None

    def close(self) -> None:
        """Delete it; again changes nothing."""
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            locks.release(self._lock, _lock_of(self.path))
            self._lock = None


def sweep(base: Path) -> int:
    """Delete the folders of runs that were killed; nothing else is touched.

    Returns:
        How many were deleted.
    """
    gone = 0
    for lock in base.glob(f"{PREFIX}*{LOCK}") if locks.KNOWN else ():
        folder = lock.with_name(lock.name.removesuffix(LOCK))
        with contextlib.suppress(OSError):
            if lock.is_symlink() or folder.is_symlink() or lock.stat().st_uid != os.getuid():
                continue
            handle = locks.hold(lock)
            if handle is not None:
                shutil.rmtree(folder, ignore_errors=True)
                locks.release(handle, lock)
                gone += 1
    return gone


def _system_folder() -> str:
    """The temporary folder; one that is named and cannot be used is an error, not another one."""
    named = os.environ.get("TMPDIR")
    if named and not (os.path.isdir(named) and os.access(named, os.W_OK | os.X_OK)):
        raise FileNotFoundError(2, "missing, or not to be written", named)
    return tempfile.gettempdir()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + LOCK)
