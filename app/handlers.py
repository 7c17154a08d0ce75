"""One method per thing that a visitor does on the page.

Each takes the visitor's key (Gradio's session hash) and plain data from the browser, which is validated here, and
gives updates for the page as a dict: ``viewer`` (the viewer's value), ``masks``, ``facts``, ``export``, ``chat``,
``report`` (values of those panels), ``surface`` (a Plotly figure), ``tab`` (a tab to open) and ``toast`` (words for the
visitor). Nothing here knows Gradio, so that everything is tested without a browser. The chat and the report are in
``talk``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from medvl.case import SegmentUpdate
from medvl.errors import Cancelled, ExportError, MedVLError, PromptError
from medvl.export import export_zip
from medvl.model import MedVLSAM2
from medvl.prompts import Box, Point
from medvl.volume import CTVolume

from . import edits, panel, surface
from .case_session import CaseSession
from .chat_panel import chat_value
from .inputs import read_lengths, read_prompt
from .report_panel import report_value
from .scans import Sample, SampleShelf, read_upload
from .sessions import SessionStore
from .talk import Talk
from .updates import Updates, page, surface_figure, words
from .viewer import viewer_value

UPDATE_EVERY_S = 0.2
EXPORT_NAME = "medvl-export.zip"
VOXEL_KINDS = {"labels", "masks", "dicom_seg"}  # an export with one of these holds the masks


class Handlers:
    """What the page calls.

    Args:
        model: the loaded model, shared by all visitors.
        store: the visitors' sessions.
        shelf: the bundled samples.
    """

    def __init__(self, model: MedVLSAM2, store: SessionStore, shelf: SampleShelf) -> None:
        self.model, self.store, self.shelf = model, store, shelf
        self.talk = Talk(store)
        self._opening: set[tuple[str, str]] = set()  # visitor and sample
        self._lock = threading.Lock()

    # ---- opening a scan

    def open_default(self, key: str) -> Iterator[Updates]:
        """The page was loaded: open the first sample. A page that comes back after a lost connection keeps its scan."""
        session = self.store.find(key)
        if session is not None and not session.closed:
            yield page(session, busy=session.busy)
        elif self.shelf.default:
            yield from self.open_sample(key, self.shelf.default)
        else:
            yield {"masks": panel.empty_masks(), "facts": panel.empty_facts()}

    def open_sample(self, key: str, sample_id: Any) -> Iterator[Updates]:
        """A sample was chosen. While it is being opened, being told so again (Gradio's list does) changes nothing."""
        sample = self.shelf.samples.get(str(sample_id))
        job = (key, str(sample_id))
        with self._lock:
            if job in self._opening:
                return
            self._opening.add(job)

        def read(_: Callable[[int], None]) -> tuple[CTVolume, str]:
            return self.shelf.read(str(sample_id)), sample.title

        try:
            yield from self._open(key, read, sample=sample)
        finally:
            self._opening.discard(job)

    def keep_scan(self, key: str) -> Updates:
        """The visitor chose another scan and then did not want to lose the masks: the list tells what is open."""
        session = self.store.find(key)
        return {"sample": session.sample_id if session is not None else None}

    def open_upload(self, key: str, paths: Sequence[str] | str | None) -> Iterator[Updates]:
        """Files were uploaded."""
        paths = [paths] if isinstance(paths, str) else list(paths or [])
        yield from self._open(key, lambda claim: read_upload(paths, claim))

    def _open(
        self,
        key: str,
        read: Callable[[Callable[[int], None]], tuple[CTVolume, str]],
        sample: Sample | None = None,
    ) -> Iterator[Updates]:
        """Read, then swap: until the new scan is ready, and if it cannot be read, the old one stays."""
        before = self.store.find(key)
        if before:
            before.stop()
        yield {"viewer": viewer_value(before.board if before else None, status="Reading the scan")}
        session = None
        try:
            with self.store.room(key) as room:  # whose scan is too much is told so before it is read
                ct, title = read(room.claim)
                session = CaseSession(ct, self.model.open(ct), title, sample.id if sample else None)
            session.tab = before.tab if before else session.tab
            self.store.open(key, session)
        except Exception as error:
            board = before.board if before and not before.closed else None
            yield {"viewer": viewer_value(board), "toast": words(error)}
            return
        yield {
            "viewer": viewer_value(session.board),
            "facts": panel.facts_value(session, sample.about if sample else ""),
            "masks": panel.masks_value(session),
            "export": panel.export_value(session),
            "chat": chat_value(session),
            "report": report_value(session),
            "surface": surface.figure([], ct),
        }

    # ---- prompts

    def prompt(self, key: str, data: Any) -> Iterator[Updates]:
        """A point was clicked or a box drawn: it goes to the active object, or starts a new one.

        A prompt that comes while an earlier one propagates stops that one, and goes on from what it had.
        """
        session = self.store.get(key)
        prompt = read_prompt(data, session.ct)
        session.push(prompt)
        with session.job() as cancel:
            work = session.take()  # nothing: an earlier call took it along
            while work is not None and not session.closed:
                target, taken = work
                try:
                    yield from self._run(session, target, taken, cancel)
                except Cancelled:
                    # Stopped before it gave anything: by the visitor, or by a job that now takes these prompts along.
                    if session.preempted:
                        session.put_back(taken)
                    yield page(session, status="Stopped", busy=session.has_pending)
                    return
                except (MedVLError, ArithmeticError, ValueError, RuntimeError) as error:
                    self._after_failure(session, target)
                    yield page(session) | {"toast": words(error)}
                work = None if cancel.is_set() else session.take()

    def _run(self, session: CaseSession, target: Any, taken: list, cancel: Any) -> Iterator[Updates]:
        """One run of the model: stream what it has onto the board, a few times a second onto the page."""
        points = [p.prompt for p in taken if isinstance(p.prompt, Point)]
        box = next((p.prompt for p in taken if isinstance(p.prompt, Box)), None)
        earlier = _prompts(session, target.mask_id)
        new = target.mask_id is None
        drawn, last = False, 0.0
        stream = session.case.segment_stream(points=points, box=box, mask_id=target.mask_id, cancel=cancel)
        yield {"viewer": viewer_value(session.board, busy=True, status="Segmenting")}
        with closing(stream):
            for update in stream:
                if session.closed:
                    return
                if not drawn:
                    drawn = True
                    target.mask_id = update.mask.id
                    session.board.set_mask(update.mask, update.changed)
                    if session.target is target:
                        session.activate(update.mask.id)
                    session.last_id = update.mask.id
                    session.board.set_prompts(update.mask.id, [*earlier, *points, *([box] if box else [])])
                elif update.changed is not None:
                    session.board.set_mask(update.mask, update.changed)
                now = time.monotonic()
                if update.stage == "done":
                    self._finish(session, update)
                elif update.stage == "slice" or now - last >= UPDATE_EVERY_S:
                    last = now
                    yield {
                        "viewer": viewer_value(session.board, busy=True, status=status_line(update)),
                        "masks": panel.masks_value(session, running=update.mask),
                    } | ({"tab": "masks"} if new and _first_time(session) else {})
        if not session.closed:
            # Another prompt may be waiting for this one to end: then the page stays busy, without a flicker.
            more = session.has_pending
            yield page(session, status="Segmenting" if more else "Stopped" if cancel.is_set() else "", busy=more)

    def _finish(self, session: CaseSession, update: SegmentUpdate) -> None:
        """The run has ended, or was stopped: name, colour and prompts as the case keeps them."""
        mask = session.case.masks.get(update.mask.id)
        if mask is None:
            return
        nothing = Box(mask.box.lo, mask.box.lo) if mask.box else None
        session.show(mask, update.changed or nothing)

    def _after_failure(self, session: CaseSession, target: Any) -> None:
        """Show what the case has, not what the failed run had drawn."""
        mask_id = target.mask_id
        if mask_id is None:
            return
        if mask_id in session.case.masks:
            session.show(session.case.masks[mask_id])
        else:
            session.board.remove_mask(mask_id)
            target.mask_id = None

    def stop(self, key: str) -> None:
        """The Stop button: ends the run within one slice; what it has is kept."""
        session = self.store.find(key)
        if session is not None:
            session.stop()

    # ---- undo, redo, clear, new

    def action(self, key: str, data: Any) -> Updates:
        """A button or key of the viewer or of the masks panel."""
        session = self.store.get(key)
        name = data.get("name") if isinstance(data, dict) else None
        if name not in edits.STEPS:
            return {}
        with session.job():
            if name != "undo" or not session.drop_pending():
                edits.STEPS[name](session)
            return page(session)

    # ---- the masks panel

    def edit(self, key: str, data: Any) -> Updates:
        """Something was done in the masks panel: ``{"op", "id", ...}``."""
        session = self.store.get(key)
        data = data if isinstance(data, dict) else {}
        op, mask_id = str(data.get("op")), str(data.get("id"))
        if op in edits.STEPS:
            return self.action(key, {"name": op})
        if op in edits.LOOKS:
            if mask_id not in session.case.masks:
                return page(session)
            edits.LOOKS[op](session, mask_id, data)
            return page(session)
        if op not in edits.CHANGES:
            return {}
        with session.job():
            if mask_id not in session.case.masks:
                raise PromptError("This object does not exist any more. Select another one.")
            edits.CHANGES[op](session, mask_id, data)
            return page(session)

    # ---- tabs, surfaces, export

    def tab(self, key: str, name: Any) -> Updates:
        """Another tab was opened: the 3-D view is made when it is looked at.

        Gradio loses the value of a panel that has not been opened yet while an event streams without it, so a panel
        gets its value again.
        """
        session = self.store.find(key)
        if session is None:
            return {}
        session.tab = str(name)
        if session.tab == "surface":
            return {"surface": surface_figure(session)}
        values = {"masks": panel.masks_value, "report": report_value}
        return {session.tab: values[session.tab](session)} if session.tab in values else {}

    def export(self, key: str, data: Any) -> Updates:
        """Write the chosen kinds of files into one zip in the session's folder and offer it."""
        session = self.store.get(key)
        try:
            return self._export(session, data)
        except Exception as error:
            again = {"attempt": time.time_ns()}  # another value, so that the panel wakes up
            return {"export": panel.export_value(session) | again, "toast": words(error)}

    def _export(self, session: CaseSession, data: Any) -> Updates:
        wanted = data.get("include") if isinstance(data, dict) else None
        include = [kind for kind in panel.export_kinds(session) if kind in (wanted or [])]
        if not include:
            raise ExportError("Choose at least one kind of file to export.")
        chosen = [mask for mask in session.case.masks.values() if not mask.empty]
        lengths = read_lengths(data.get("lengths"), session.token, session.ct)
        if not chosen and not (lengths and "csv" in include):
            raise ExportError(
                "There is no mask to export. Choose Measurements to export the lengths alone."
                if lengths
                else "There is no mask to export. Click a structure or draw a box round it first."
            )
        path = session.folder / EXPORT_NAME
        export_zip(path, session.ct, chosen, formats=include, lengths=lengths)
        if VOXEL_KINDS.intersection(include):
            session.board.mark_saved(chosen)
        return {
            "export": panel.export_value(session, path, "" if chosen else "No masks: only the lengths were written."),
            "viewer": viewer_value(session.board, busy=session.busy),
        }

    def download(self, token: str) -> Path | None:
        """The export of the session with this token, for the download's route."""
        session = self.store.by_token(token)
        path = session.folder / EXPORT_NAME if session else None
        return path if path is not None and path.is_file() else None


def status_line(update: SegmentUpdate) -> str:
    """For instance ``Slice 12 of about 40, 6 s left``."""
    if update.stage == "slice":
        return "Following the structure through the slices"
    expected = max(update.slices_expected, update.slices_done)
    left = "" if update.eta_s is None else f", {max(1, round(update.eta_s))} s left"
    return f"Slice {update.slices_done} of about {expected}{left}"


def _prompts(session: CaseSession, mask_id: str | None) -> list[Point | Box]:
    return session.case.prompts(mask_id) if mask_id in session.case.masks else []


def _first_time(session: CaseSession) -> bool:
    """True once a session: its first mask opens the masks tab, unless the visitor is in another one or talks."""
    first = session.tab in ("chat", "scan") and not session.case.masks and not session.chat.turns
    if first:
        session.tab = "masks"
    return first
