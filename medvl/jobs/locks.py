"""A lock that the system releases with the process that holds it, however that ends."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked
    fcntl = None

KNOWN = fcntl is not None


def hold(path: Path) -> int | None:
    """Make a lock file and hold it.

    Returns:
        A handle for ``release``; None where another process, or another part of this one, holds it.

    Raises:
        OSError: the file cannot be made.
    """
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass  # who held it has just deleted it: again
        except OSError:
            os.close(handle)
            return None
        os.close(handle)


def release(handle: int, path: Path) -> None:
    """Delete the lock file and let go."""
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(handle)
