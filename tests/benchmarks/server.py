"""The app as its own process for the benchmarks that drive it, and the memory that it takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")


class Server:
    """``python app.py`` on a free port, for use in a ``with`` statement.

    Args:
        arguments: further options of ``app.py``.
        session_gb: byte budget of the sessions (``MEDVL_SESSION_GB``); None leaves the default.
    """

    def __init__(self, *arguments: str, session_gb: float | None = None) -> None:
        environment = os.environ | {"GRADIO_ANALYTICS_ENABLED": "False", "PYTHONUNBUFFERED": "1"}
        if session_gb is not None:
            environment["MEDVL_SESSION_GB"] = str(session_gb)
        command = [sys.executable, "app.py", "--port", str(_free_port()), *arguments]
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.url = self._wait()

    def _wait(self) -> str:
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(r" is at (http://[\w.]+:\d+)", line):  # other lines may name other servers
                return found[1]
        raise SystemExit("The app did not start:\n" + "".join(self.lines))

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.lines += self.process.communicate(timeout=60)[0].splitlines(True)

    @property
    def errors(self) -> list[str]:
        """Lines of its log that tell of an error; complete after the ``with`` block."""
        return [line.rstrip() for line in self.lines if "ERROR" in line or "Traceback" in line]


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _status_mb(pid: int, field: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", text)[1]) / 1024


def resident_mb(pid: int) -> float:
    """Resident memory now, MB (2**20 bytes). Linux."""
    return _status_mb(pid, "VmRSS")


def alone_mb(pid: int) -> float:
    """Memory that no other process shares, MB: what would be free if it ended. Linux."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE)) / 1024


def peak_mb(pid: int) -> float:
    """Highest resident memory since the start, or since ``reset_peak``, MB."""
    return _status_mb(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Let ``peak_mb`` count from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def wait_idle(page, seconds: float = 600) -> float:
    """Wait until a page's viewer has nothing under way; the seconds that it took."""
    begin = time.perf_counter()
    page.wait_for_function(
        "medvlViewer.state().pending === 0 && !medvlViewer.state().busy", timeout=seconds * 1000, polling=100
    )
    return time.perf_counter() - begin
