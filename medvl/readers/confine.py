"""What a process that decodes strangers' bytes may still do: read its files, write its scratch folder, compute.

Linux's kernel holds it: Landlock bounds the files, seccomp refuses sockets, programs and other processes. Where the
kernel has neither, and on other systems, Python's own calls are refused, and the limits below still count.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterable

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_EPERM, _ALLOW, _ERRNO = 1, 0x7FFF0000, 0x00050000
# socket, connect, execve, execveat, ptrace, process_vm_readv, process_vm_writev, kill, pidfd_send_signal,
# io_uring_setup: AUDIT_ARCH and numbers of each machine.
_FORBIDDEN = {
    "x86_64": (0xC000003E, (41, 42, 59, 322, 101, 310, 311, 62, 424, 425)),
    "aarch64": (0xC00000B7, (198, 203, 221, 281, 117, 270, 271, 129, 424, 425)),
}
_LANDLOCK = (444, 445, 446)  # the same on every machine
_READ = 1 << 2 | 1 << 3  # files, folders
_ALL = (1 << 13) - 1  # of Landlock's first version
_REFUSED = ("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.system", "os.fork", "os.kill")
_SYSTEM = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/dev/urandom")


class MemoryLimit:
    """Bounds what this process may map. Make it before ``confine``, which closes ``/proc``.

    Where the system has no such limit (macOS) nothing is bounded.
    """

    def __init__(self) -> None:
        try:
            self._mapped = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._mapped = None

    def allow(self, nbytes: int) -> None:
        """Let the process map ``nbytes`` more than it has now; more is a ``MemoryError``."""
        if self._mapped is None:
            return
        pages = int(os.pread(self._mapped, 100, 0).split()[0])
        wanted = pages * resource.getpagesize() + nbytes
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))


def limit(cpu_s: int, file_bytes: int) -> None:
    """No core file, and bounds on computing time and on the size of a file that is written."""
    for what, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, file_bytes),
    ):
        _, hard = resource.getrlimit(what)
        value = value if hard < 0 else min(value, hard)
        resource.setrlimit(what, (value, value))


def confine(readable: Iterable[str], scratch: str) -> None:
    """Give up, for good, everything that decoding does not need.

    Args:
        readable: files and folders that may be read, besides what Python itself is made of.
        scratch: folder that may be read and written.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
            own = [path for path in (*sys.path, sys.prefix, sys.base_prefix, sys.exec_prefix) if path]
            _landlock(libc, [*readable, *own, *_SYSTEM], scratch)
            _seccomp(libc)

    def refuse(event: str, _: tuple) -> None:
        if event.startswith(_REFUSED):
            raise PermissionError("A decoder does no such thing.")

    sys.addaudithook(refuse)


def _landlock(libc: ctypes.CDLL, readable: Iterable[str], scratch: str) -> None:
    create, add_rule, restrict = _LANDLOCK
    if libc.syscall(create, None, 0, 1) < 1:  # its version
        return
    ruleset = libc.syscall(create, struct.pack("=Q", _ALL), 8, 0)
    if ruleset < 0:
        return
    try:
        for path, access in [*((path, _READ) for path in readable), (scratch, _ALL)]:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            if not os.path.isdir(path):
                access &= 1 << 1 | 1 << 2  # what a file can have: writing, reading
            libc.syscall(add_rule, ruleset, 1, struct.pack("=Qi", access, place), 0)
            os.close(place)
        libc.syscall(restrict, ruleset, 0)
    finally:
        os.close(ruleset)


def _seccomp(libc: ctypes.CDLL) -> None:
    arch, calls = _FORBIDDEN.get(platform.machine(), (0, ()))
    if not calls:
        return
    count = len(calls)
    program = [(0x20, 0, 0, 4), (0x15, 1, 0, arch), (0x06, 0, 0, _ERRNO | _EPERM), (0x20, 0, 0, 0)]
    program += [(0x15, count - n, 0, call) for n, call in enumerate(calls)]  # equal: go to the refusal
    program += [(0x06, 0, 0, _ALLOW), (0x06, 0, 0, _ERRNO | _EPERM)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    rules = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, rules, 0, 0)
