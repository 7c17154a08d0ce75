"""Many scans from the page: one request for all files of an upload, a table that fills, one zip.

The work is that of ``python -m medvl segment FOLDER`` and ``report FOLDER``; the open scan is not touched. Files and
results lie in the visitor's own folder and go with the session.
"""

from __future__ import annotations

import html
import queue
import shutil
import threading
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medvl.errors import CTReadError, MedVLError
from medvl.jobs.many_scans import TABLE, report_job, save_table, segment_job, values
from medvl.jobs.spread import MANIFEST, RECORD, Alone, Input, Outcome, find_inputs, run
from medvl.model import MedVLSAM2

from .case_session import CaseSession
from .inputs import clean_question
from .scans import taken
from .sessions import SessionStore
from .updates import words

ZIP = "medvl-many-scans.zip"
MOST = 200  # scans of one request
SHOWN = ("volume_ml", "mean_hu")  # measures that the table has room for; the zip has all
WAIT_S = 0.5  # between two looks whether the visitor is still there


class ManyScans:
    """Runs one request a visitor at a time.

    Args:
        model: the loaded model.
        store: the visitors' sessions.
    """

    def __init__(self, model: MedVLSAM2, store: SessionStore) -> None:
        self._model, self._store = model, store
        self._running: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def run(self, key: str, paths: Sequence[str] | None, text: str | None) -> Iterator[str]:
        """Segment what the words name in every scan, or write a report of each where there are none.

        Args:
            key: of the visitor.
            paths: where Gradio put the files; they are taken from there.
            text: names or descriptions of structures.

        Yields:
            The panel's HTML as it is now.
        """
        session = self._store.get(key)
        cancel = threading.Event()
        with self._lock:
            if session.token in self._running:
                raise MedVLError("Many scans are being worked on already. Stop that first, or wait for it to end.")
            self._running[session.token] = cancel
        try:
            asked = clean_question(text) if (text or "").strip() else ""
            with taken(paths) as files:
                yield from self._watch(session, files[0].parent, asked, cancel)
        finally:
            cancel.set()
            with self._lock:
                self._running.pop(session.token, None)

    def stop(self, key: str) -> None:
        """End the visitor's request after the scan at hand has stopped; what was done is offered."""
        session = self._store.find(key)
        with self._lock:
            cancel = self._running.get(session.token) if session is not None else None
        if cancel is not None:
            cancel.set()

    def file(self, token: str) -> Path | None:
        """The zip of the session with this token, for the download's route."""
        session = self._store.by_token(token)
        path = session.folder / ZIP if session is not None else None
        return path if path is not None and path.is_file() else None

    def _watch(self, session: CaseSession, folder: Path, text: str, cancel: threading.Event) -> Iterator[str]:
        """Work in a thread and show what has come; a page that is closed ends it."""
        output = folder.parent / f"{folder.name}-out"
        news: queue.SimpleQueue = queue.SimpleQueue()
        done: list[Outcome] = []
        waiting: list[Input] = []

        def work() -> None:
            try:
                waiting.extend(find_inputs(folder))
                if len(waiting) > MOST:
                    raise CTReadError(f"These are {len(waiting)} scans; at most {MOST} at once. Use the command line.")
                news.put(None)
                with self._store.room() as room:
                    asked = (lambda: self._model), *((text,) if text else ())
                    job = (segment_job if text else report_job)(*asked, cancel=cancel, room=room)
                    about = {"command": "segment" if text else "report", "text": text}

                    def in_turn(*given: Any) -> Any:
                        with self._store.turns.turn(cancel) as turn:
                            turn.come()
                            return job(*given)

                    outcomes = run(folder, output, in_turn, about, Alone(), lambda one: news.put(one))
                _pack(outcomes, output, session.folder / ZIP)
                news.put(outcomes)
            except Exception as error:
                news.put(error)

        thread = threading.Thread(target=work, name="many-scans", daemon=True)
        thread.start()
        try:
            yield table(done, waiting, "Looking at the files")
            while True:
                try:
                    one = news.get(timeout=WAIT_S)
                except queue.Empty:
                    if session.closed:
                        return
                    continue
                if isinstance(one, Exception):
                    yield table(done, [], words(one))
                    return
                if isinstance(one, list):
                    stopped = " Stopped: the others were not begun." if cancel.is_set() else ""
                    told = f"{sum(o.status == 'done' for o in one)} of {len(one)} scans done.{stopped}"
                    yield table(one, [], told, f"medvl/{session.token}/many")
                    return
                if one is not None:
                    done.append(one)
                yield table(done, waiting[len(done) :], f"{len(done)} of {len(waiting)} scans")
        finally:
            cancel.set()
            thread.join(timeout=60)
            shutil.rmtree(output, ignore_errors=True)


def _pack(outcomes: Sequence[Outcome], output: Path, path: Path) -> None:
    """One zip of all results, the table of values and the manifest."""
    save_table(outcomes, output / TABLE)
    names = [TABLE, MANIFEST, *(file for one in outcomes for file in one.files)]
    part = path.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            if not name.endswith(RECORD):
                archive.write(output / name, name)
    part.replace(path)


def table(done: Sequence[Outcome], waiting: Sequence[Input], told: str, href: str = "") -> str:
    """The panel: a line for all, a link to the zip, an entry a scan. Names come from files, so all is escaped."""
    rows = [_row(one.source, one.status, _values(one) or one.message) for one in done]
    rows += [_row(one.source, "running" if n == 0 else "waiting", "") for n, one in enumerate(waiting)]
    link = f'<a class="mp-btn mp-primary" href="{html.escape(href)}" download>Download all (zip)</a>' if href else ""
    line = f'<p class="ms-told" role="status">{html.escape(told)}</p>'
    return f'<div class="ms">{line}{link}<ul class="ms-rows">{"".join(rows)}</ul></div>'


def _row(source: str, state: str, result: str) -> str:
    name, state, result = (html.escape(text) for text in (source, state, result))
    head = f'<span class="ms-name">{name}</span><span class="ms-state">{state}</span>'
    return f"<li>{head}{f'<p>{result}</p>' if result else ''}</li>"


def _values(outcome: Outcome) -> str:
    """Volumes and mean HU by structure, in a line."""
    found: dict[str, dict[str, Any]] = {}
    for structure, measure, value in values(outcome):
        if measure in (*SHOWN, "limits"):
            found.setdefault(structure, {})[measure] = value
    parts = []
    for structure, of in found.items():
        if "volume_ml" not in of:
            continue
        least = "at least " if of.get("limits") else ""
        hu = f", {of['mean_hu']:.0f} HU" if isinstance(of.get("mean_hu"), float) else ""
        parts.append(f"{structure}: {least}{of['volume_ml']:.1f} mL{hu}")
    return "; ".join(parts)
