"""Memory of the whole process: what was freed goes back to the system, so that a peak does not stay.

glibc keeps an arena for every few threads, and in each what its work once took at most. Elsewhere nothing is done.
"""

from __future__ import annotations

import ctypes
import sys

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
_ARENAS = 2


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None


_LIBC = _glibc()


def few_arenas() -> None:
    """Call it before threads allocate."""
    if _LIBC is not None:
        _LIBC.mallopt(_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Give the system what is free."""
    if _LIBC is not None:
        _LIBC.malloc_trim(0)
