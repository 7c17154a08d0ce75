"""Words for faults of the machine: a full disk, a temporary folder that is gone, a file that may not be read."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


def explain(error: OSError) -> str:
    """What failed and what to do, without the path, which can hold a name."""
    if error.errno in _FULL:
        return "The disk of the machine that runs this is full. Free some space there and try again."
    if not _temporary_works():
        return (
            "The folder for temporary files is missing or cannot be written. Make it, or set TMPDIR to one that can be "
            "written, and start again."
        )
    if error.errno in _REFUSED:
        return "A file may not be read: its permissions forbid it. Change them, or copy the file."
    if error.errno == errno.EMFILE:
        return "The machine has too many files open. Try again in a moment."
    return "A file could not be read or written. Upload or copy it again."


def _temporary_works() -> bool:
    try:
        folder = Path(tempfile.gettempdir())
        with tempfile.NamedTemporaryFile(dir=folder):
            return True
    except OSError:
        return False
