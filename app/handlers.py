"""One method per thing that a visitor does on the page.

Each takes the visitor's key (Gradio's session hash) and plain data from the browser, which is validated here, and
gives updates for the page as a dict: ``viewer`` (the viewer's value), ``masks``, ``facts``, ``export``, ``chat``,
``report`` (values of those panels), ``surface`` (a Plotly figure), ``tab`` (a tab to open) and ``toast`` (words for the
visitor). Nothing here knows Gradio, so that everything is tested without a browser. The chat and the report are in
``talk``.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medvl.ct.fingerprint import fingerprint
from medvl.ct.masks import Mask
from medvl.errors import CTReadError, ExportError, PromptError
from medvl.model import MedVLSAM2
from medvl.readers.case_zip import SUFFIX, SavedCase
from medvl.readers.masks import labels_of
from medvl.tools.changes import known
from medvl.writers.export import export_zip, scan_stem

from . import edits, painting
from .case_page import from_page, to_page
from .case_session import CaseSession
from .inputs import UNREADABLE, clean_name, read_lengths, read_word
from .many import ManyScans
from .panels import panel
from .panels.chat import chat_value
from .panels.report import report_value
from .priors import Priors
from .prompts import Prompts
from .scans import Opened, SampleShelf, bring_masks, read_masks_of, read_series, read_upload
from .sessions import SessionStore
from .talk import Talk
from .updates import Updates, page, surface_figure, words
from .viewer import viewer_value

VOXEL_KINDS = {"labels", "masks", "seg_nrrd", "dicom_seg", "rtstruct"}  # an export with one of these holds the masks


class Handlers:
    """What the page calls.

    Args:
        model: the loaded model, shared by all visitors.
        store: the visitors' sessions.
        shelf: the bundled samples.
    """

    def __init__(self, model: MedVLSAM2, store: SessionStore, shelf: SampleShelf) -> None:
        self.model, self.store, self.shelf = model, store, shelf
        self.prompts = Prompts(store)
        self.talk = Talk(store, self.prompts.follow)
        self.many = ManyScans(model, store)
        self.priors = Priors(model, store, self._facts)
        self._opening: set[tuple[str, str]] = set()  # visitor and sample
        self._lock = threading.Lock()

    # ---- opening a scan

    def open_default(self, key: str, token: Any = "") -> Iterator[Updates]:
        """The page was loaded: open the first sample, or what the page had open before.

        Args:
            key: of the visitor.
            token: that the page kept of its session, if it did.
        """
        session = self.store.find(key) or self.store.resume(key, str(token or ""))
        if session is not None and not session.closed:
            yield self._whole(session)
            if session.has_pending:  # prompts that came before the network went
                yield from self.prompts.run(session)
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

        def read(_: Callable[[int], None]) -> Opened:
            if sample is None:
                raise CTReadError("There is no such sample. Choose one of the list.")
            return Opened(self.shelf.read(sample.id), sample.title, sample=sample)

        try:
            yield from self._open(key, read)
        finally:
            self._opening.discard(job)

    def keep_scan(self, key: str) -> Updates:
        """The visitor chose another scan and then did not want to lose the masks: the list tells what is open."""
        session = self.store.find(key)
        return {"sample": session.sample_id if session is not None else None}

    def open_upload(self, key: str, paths: Sequence[str] | str | None) -> Iterator[Updates]:
        """Files were uploaded."""
        paths = [paths] if isinstance(paths, str) else list(paths or [])
        if self.store.find(key) is not None and bring_masks(paths):
            yield from self.add_masks(key, paths)
            return
        yield from self._open(key, lambda claim: read_upload(paths, claim, lambda case: self._scan_of(key, case)))

    def add_masks(self, key: str, paths: Sequence[str] | None, resample: Any = False) -> Iterator[Updates]:
        """Masks of the open scan were uploaded: label maps, ``.seg.nrrd``, DICOM-SEG, RTSTRUCT.

        Args:
            key: of the visitor.
            paths: where Gradio put the files.
            resample: take masks of another grid, too.
        """
        session = self.store.get(key)
        yield {"viewer": viewer_value(session.board, busy=session.busy, status="Reading the masks")}
        try:
            with self.store.room() as room:
                masks = read_masks_of(paths, session.ct, resample is True, room.claim)
            yield self._take_masks(session, masks)
        except Exception as error:
            yield page(session, busy=session.busy) | {"toast": words(error)}

    def _take_masks(self, session: CaseSession, masks: Sequence[Mask]) -> Updates:
        """Put masks that were brought into the list, each with a colour of its own."""
        with session.job():
            used = {mask.color for mask in session.case.masks.values()}
            for mask in masks:
                color = mask.color if mask.color not in used else session.case.masks.next_color()
                used.add(color)
                mask = session.case.put(replace(mask, id="", name=clean_name(mask.name or "Mask"), color=color))
                session.show(mask)
                session.board.mark_saved([mask])  # they came from a file
            session.activate(mask.id)
            session.tab = "masks"
            shown = page(session)
            count = f"{len(masks)} mask{'s' * (len(masks) != 1)} added from the file."
            return shown | {"masks": shown["masks"] | {"told": count}, "tab": "masks"}

    def _scan_of(self, key: str, case: SavedCase) -> Opened | None:
        """The scan of a saved case, if it is the one that is open, or a sample."""
        session = self.store.find(key)
        if session is not None and fingerprint(session.ct) == case.scan.digest:
            return Opened(session.ct, session.title, sample=self.shelf.samples.get(session.sample_id or ""))
        sample = self.shelf.samples.get(str(case.page.get("sample")))
        return Opened(self.shelf.read(sample.id), sample.title, sample=sample) if sample else None

    def open_series(self, key: str, data: Any) -> Iterator[Updates]:
        """Another scan of the files that are open was chosen: ``{"id"}``."""
        session = self.store.get(key)
        wanted = str(data.get("id")) if isinstance(data, dict) else ""
        choice = next((c for c in session.ct.series if c.id == wanted), None)
        if choice is None or session.files is None:
            raise CTReadError("There is no such scan in these files. Choose one of the list.")
        if choice.problem:
            raise CTReadError(choice.problem)
        if choice.opened:
            return

        def read(claim: Callable[[int], None]) -> Opened:
            ct, files = read_series(session.files, wanted, claim)
            return Opened(ct, session.title, files)

        yield from self._open(key, read)

    def _open(
        self,
        key: str,
        read: Callable[[Callable[[int], None]], Opened],
    ) -> Iterator[Updates]:
        """Read, then swap: until the new scan is ready, and if it cannot be read, the old one stays."""
        before = self.store.find(key)
        if before:
            before.stop()
        yield {"viewer": viewer_value(before.board if before else None, status="Reading the scan")}
        session = files = None
        try:
            with self.store.room(key) as room:  # whose scan is too much is told so before it is read
                opened = read(room.claim)
                brought = labels_of(opened.ct, before.ct, opened.title) if before and opened.case is None else None
                if brought:
                    yield self._take_masks(before, brought)
                    return
                ct, files, sample = opened.ct, opened.files, opened.sample
                session = CaseSession(ct, self.model.open(ct), opened.title, sample.id if sample else None)
                if opened.case is not None:
                    session.case.restore(opened.case)
                    from_page(session, opened.case.page)
                    self.priors.of_case(session, opened, before)
            if files is not None:
                session.keep(files)
            session.tab = before.tab if before else session.tab
            self.store.open(key, session)
        except Exception as error:
            if files is not None:
                shutil.rmtree(files, ignore_errors=True)
            if session is not None and session is not self.store.find(key):
                session.close()
            board = before.board if before and not before.closed else None
            yield {"viewer": viewer_value(board), "toast": words(error)}
            return
        yield self._whole(session)

    def _whole(self, session: CaseSession) -> Updates:
        """Everything that the page shows of a session."""
        return {
            "viewer": viewer_value(session.board, busy=session.busy),
            "facts": self._facts(session),
            "masks": panel.masks_value(session),
            "export": panel.export_value(session),
            "chat": chat_value(session),
            "report": report_value(session),
            "surface": surface_figure(session),
            "sample": session.sample_id,
        }

    def _facts(self, session: CaseSession) -> dict[str, Any]:
        sample = self.shelf.samples.get(session.sample_id or "")
        return panel.facts_value(session, sample.about if sample else "")

    # ---- prompts

    def prompt(self, key: str, data: Any) -> Iterator[Updates]:
        """A point was clicked or a box drawn; see ``prompts``."""
        return self.prompts.add(key, data)

    def follow(self, key: str, data: Any) -> Iterator[Updates]:
        """An object that was stopped is to be followed on: ``{"id"}``."""
        return self.prompts.follow(key, data)

    def stop(self, key: str) -> None:
        """The Stop button: ends the run within one slice; what it has is kept."""
        session = self.store.find(key)
        if session is not None:
            session.stop()

    # ---- painting by hand

    def stroke(self, key: str, data: Any) -> Updates:
        """A stroke of the brush or the eraser, or what a lasso holds; see ``inputs.read_stroke``."""
        return painting.stroke(self.store.get(key), data)

    def grow(self, key: str, data: Any) -> Updates:
        """A click that a region of like HU grows from; see ``inputs.read_growth``."""
        return painting.grow(self.store.get(key), data)

    def action(self, key: str, data: Any) -> Updates:
        """A button or key of the viewer or of the masks panel."""
        session = self.store.get(key)
        name = read_word(data, "name")
        if name not in edits.STEPS:
            return {}
        if not session.board.take(read_word(data, "key")):  # sent again by a page that did not hear of it
            return page(session, busy=session.busy)
        with session.job():
            waited = name == "undo" and session.drop_pending()
            return page(session, status="" if waited else edits.STEPS[name](session))

    # ---- the masks panel

    def edit(self, key: str, data: Any) -> Updates:
        """Something was done in the masks panel: ``{"op", "id", ...}``."""
        session = self.store.get(key)
        data = data if isinstance(data, dict) else {}
        op, mask_id = read_word(data, "op"), str(data.get("id"))
        if op in edits.STEPS:
            return self.action(key, {"name": op})
        if op in edits.LOOKS:
            if mask_id in session.case.masks:
                edits.LOOKS[op](session, mask_id, data)
            return page(session)
        if op not in edits.CHANGES:
            return {}
        with session.job():
            if mask_id not in session.case.masks:
                raise PromptError("This object does not exist any more. Select another one.")
            told = edits.CHANGES[op](session, mask_id, data)
            shown = page(session, status=told if op == "delete" else "")  # no mask is selected to tell it under
            return shown | {"masks": shown["masks"] | {"told": told}} if shown else {}

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
        values = {"masks": panel.masks_value, "report": report_value, "export": panel.export_value}
        return {session.tab: values[session.tab](session)} if session.tab in values else {}

    def export(self, key: str, data: Any) -> Updates:
        """Write the chosen kinds of files into one zip in the session's folder and offer it, or save the case."""
        session = self.store.get(key)
        try:
            return self._save_case(session, data) if read_word(data, "op") == "save" else self._export(session, data)
        except Exception as error:
            again = {"attempt": time.time_ns()}  # another value, so that the panel wakes up
            return {"export": panel.export_value(session) | again, "toast": words(error)}

    def _export(self, session: CaseSession, data: Any) -> Updates:
        wanted = data.get("include") if isinstance(data, dict) else None
        if not isinstance(wanted, list):
            raise ExportError(UNREADABLE)
        include = [kind for kind in panel.export_kinds(session) if kind in wanted]
        if not include:
            raise ExportError("Choose at least one kind of file to export.")
        left_out = set() if data.get("hidden") is True else {mask.id for mask in panel.hidden_masks(session)}
        there = [mask for mask in session.case.masks.values() if not mask.empty]
        chosen = [mask for mask in there if mask.id not in left_out]
        lengths = read_lengths(data.get("lengths"), session.token, session.ct)
        if not chosen and not (lengths and "csv" in include):
            if there:
                raise ExportError("Every mask is hidden. Choose Hidden masks too, or show one in the Masks tab.")
            raise ExportError(
                "There is no mask to export. Choose Measurements to export the lengths alone."
                if lengths
                else "There is no mask to export. Click a structure or draw a box round it first."
            )
        path = _export_path(session)
        changes = known(session.case.conversation.scene, session.case.masks) if session.prior else ()
        with self.store.turns.turn() as turn:
            turn.come()
            export_zip(path, session.ct, chosen, formats=include, lengths=lengths, changes=changes)
        if VOXEL_KINDS.intersection(include):
            session.board.mark_saved(chosen)
        return {
            "export": panel.export_value(session, path, panel.left_out(there, chosen)),
            "viewer": viewer_value(session.board, busy=session.busy),
        }

    def _save_case(self, session: CaseSession, data: dict) -> Updates:
        lengths = read_lengths(data.get("lengths"), session.token, session.ct)
        masks = list(session.case.masks.values())
        with session.job():
            page_of = to_page(session, data.get("view"), lengths)
            path = _case_path(session)
            session.case.save(path, scan=data.get("scan") is True, page=page_of)
            session.board.mark_saved(masks)
        return {
            "export": panel.export_value(session, case=path),
            "viewer": viewer_value(session.board, busy=session.busy),
        }

    def saved_case(self, token: str) -> Path | None:
        """The saved case of the session with this token, for its route."""
        session = self.store.by_token(token)
        path = _case_path(session) if session else None
        return path if path is not None and path.is_file() else None

    def download(self, token: str) -> Path | None:
        """The export of the session with this token, for the download's route."""
        session = self.store.by_token(token)
        path = _export_path(session) if session else None
        return path if path is not None and path.is_file() else None


def _export_path(session: CaseSession) -> Path:
    """The zip, named after the scan."""
    return session.folder / f"{scan_stem(session.ct)}-medvl.zip"


def _case_path(session: CaseSession) -> Path:
    return session.folder / f"{scan_stem(session.ct)}{SUFFIX}"
