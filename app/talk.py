"""One method per thing that a visitor does in the chat and in the report, in the manner of ``handlers``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import Any

from medvl.errors import Cancelled, PromptError
from medvl.tools.pieces import MaskRef, Step, View
from medvl.writers.export import scan_stem

from . import edits
from .case_session import CaseSession
from .chat import Turn
from .inputs import clean_question, clean_sentence, read_place, read_word
from .panels.chat import chat_value
from .panels.report import report_value
from .report_state import report_name
from .sessions import SessionStore
from .turns import words_of
from .updates import Updates, page, words
from .viewer import viewer_value

UPDATE_EVERY_S = 0.1
STOPPED = "Stopped."
PREEMPTED = "Stopped, because something else was begun."


@dataclass(frozen=True)
class Waiting:
    """An answer waits until ``ahead`` others have computed; 0: it goes on."""

    ahead: int


class Talk:
    """What the chat's and the report's panels call.

    Args:
        store: the visitors' sessions.
        follow: goes on with an object that was stopped; see ``Handlers.follow``.
    """

    def __init__(self, store: SessionStore, follow: Callable[[str, Any], Iterator[Updates]]) -> None:
        self.store, self._follow = store, follow

    # ---- conversation

    def ask(self, key: str, data: Any) -> Iterator[Updates]:
        """A message was sent: ``{"text", "nonce", "at"}``; it stops what runs and is answered piece by piece.

        ``at`` is the voxel of the crosshair, canonical, from 0.
        """
        session = self.store.get(key)
        data = data if isinstance(data, dict) else {}
        question = clean_question(data.get("text"))
        at = read_place(data, session.ct)
        yield from self._turn(session, session.chat.begin(question, str(data.get("nonce", ""))[:40], at))

    def act(self, key: str, data: Any) -> Iterator[Updates]:
        """A button of the chat: ``retry``, ``clear``, ``report``, ``open`` (the report's tab), ``jump`` (to ``id``),
        ``follow`` (on with ``id``).
        """
        session = self.store.get(key)
        data = data if isinstance(data, dict) else {}
        op = read_word(data, "op")
        if op == "retry":
            forgotten = session.chat.last
            turn = session.chat.again()
            if turn is not None:
                yield from self._turn(session, turn, forgotten)
        elif op == "clear":
            with session.job():
                session.chat.clear()
                session.case.conversation.clear()
                yield page(session) | {"chat": chat_value(session)}
        elif op == "report":
            yield from self.write_report(key)
        elif op == "open":
            session.tab = "report"
            yield {"tab": "report"}
        elif op == "jump":
            yield self.jump(key, data)
        elif op == "follow":
            yield from self._follow(key, data)
        else:
            yield {}

    def jump(self, key: str, data: dict) -> Updates:
        """Centre the viewer on a mask, which becomes the one that clicks refine; one that is gone says so."""
        session = self.store.get(key)
        mask_id = str(data.get("id"))
        if mask_id not in session.case.masks:
            raise PromptError("This mask does not exist any more. Ask for it again.")
        _open_eye(session, mask_id)
        edits.LOOKS["jump"](session, mask_id, data)
        return page(session, busy=session.busy)

    def _turn(self, session: CaseSession, turn: Turn, forgotten: Turn | None = None) -> Iterator[Updates]:
        """Answer a turn; ``forgotten`` is the one that it takes the place of."""
        yield {"chat": chat_value(session)}
        try:
            with session.job() as cancel:
                conversation = session.case.conversation
                if forgotten is not None and forgotten.said_before is not None:
                    conversation.rewind(forgotten.said_before)
                turn.said_before = len(conversation.history)
                try:
                    yield from self._answer(session, turn, cancel)
                except Cancelled:
                    turn.end("stopped")
                except Exception as error:
                    turn.end("failed", words(error))
                if turn.state == "stopped":
                    turn.note = PREEMPTED if session.preempted else STOPPED
                if turn.state == "done" and turn.report and conversation.report is not None:
                    turn.summarise(conversation.report)
                if not session.closed:
                    _reconcile(session, visible=turn.report)
                    yield page(session, busy=session.has_pending) | {"chat": chat_value(session)}
                if turn.state == "done" and turn.report:
                    # The answer has found everything already, so this only puts it together.
                    yield from self._write(session, cancel)
        finally:
            if turn.state == "running":  # the visitor went away, or another job closed the scan
                turn.end("stopped", STOPPED)

    def _answer(self, session: CaseSession, turn: Turn, cancel: threading.Event) -> Iterator[Updates]:
        """Pieces of the answer onto the page: news at once, growing words some times a second."""
        pieces = self._in_turn(session.case.ask(turn.question, cancel, turn.at), cancel)
        answer = _paced(session, pieces, turn.take)
        with session.case.masks.together(), closing(answer) as pieces:  # one change: Undo takes all of it back
            for piece, _ in pieces:
                status, shown = _status(turn.steps.running), {}
                if isinstance(piece, MaskRef):
                    _bring(session, piece.mask.id, first=len(turn.masks) == 1)
                    shown = page(session, busy=True, status=status)
                elif isinstance(piece, View):
                    _change_view(session, piece)
                    shown = page(session, busy=True)
                elif isinstance(piece, Step | Waiting):
                    status = words_of(piece.ahead) if isinstance(piece, Waiting) and piece.ahead else status
                    shown = {"viewer": viewer_value(session.board, busy=True, status=status)}
                yield shown | {"chat": chat_value(session)}
        if turn.state == "running" and not session.closed:
            turn.end("stopped" if cancel.is_set() else "done")

    def _in_turn(self, pieces: Generator[Any, None, None], cancel: threading.Event) -> Iterator[Any]:
        """Pieces of an answer, which waits for its turn where it begins to compute.

        What is answered from the header, or from masks that are there, has no such step and waits for nobody.
        """
        place = None
        with ExitStack() as held, closing(pieces):
            for piece in pieces:
                yield piece
                if place is None and isinstance(piece, Step) and piece.seconds is None:
                    place = held.enter_context(self.store.turns.turn(cancel))
                    with suppress(Cancelled):  # the answer sees for itself that it was stopped, and ends as it does
                        yield from map(Waiting, place.wait())
                        yield Waiting(0)

    # ---- report

    def report(self, key: str, data: Any) -> Iterator[Updates]:
        """A button of the report: ``write``, ``edit`` of the sentence ``index``, or ``jump`` to the mask ``id``."""
        data = data if isinstance(data, dict) else {}
        op = read_word(data, "op")
        if op == "write":
            yield from self.write_report(key)
        elif op == "edit":
            yield self.edit_report(key, data)
        elif op == "jump":
            yield self.jump(key, data)
        else:
            yield {}

    def write_report(self, key: str) -> Iterator[Updates]:
        """Write the report anew, with progress; a report that was there stays until the new one is done."""
        session = self.store.get(key)
        session.report.begin()
        session.tab = "report"
        yield {"report": report_value(session), "tab": "report"}
        with session.job() as cancel:
            yield from self._write(session, cancel)

    def _write(self, session: CaseSession, cancel: threading.Event) -> Iterator[Updates]:
        state = session.report
        state.begin()
        try:
            with self.store.turns.turn(cancel) as place:
                for ahead in place.wait():
                    yield {"viewer": viewer_value(session.board, busy=True, status=words_of(ahead))}
                report = _paced(session, session.case.report_stream(cancel), state.take)
                with session.case.masks.together(), closing(report) as pieces:
                    for _, news in pieces:
                        new_masks = news and _reconcile(session)
                        shown = viewer_value(session.board, busy=True, status=_status(state.steps.running))
                        more = page(session, busy=True) if new_masks else {}
                        yield more | {"viewer": shown, "report": report_value(session)}
            if state.state == "running" and not session.closed:
                state.end("stopped")
        except Cancelled:
            state.end("stopped")
        except Exception as error:
            state.end("failed", words(error))
        finally:
            if state.state == "running":  # the visitor went away
                state.end("stopped", STOPPED)
        if state.state == "stopped":
            state.note = PREEMPTED if session.preempted else STOPPED
        if not session.closed:
            _reconcile(session)
            yield page(session, busy=session.has_pending) | {"report": report_value(session)}

    def edit_report(self, key: str, data: dict) -> Updates:
        """The visitor's words for one sentence, none to leave it out; every file has them from now on.

        Raises:
            PromptError: there is no such sentence.
        """
        session = self.store.get(key)
        index, text = data.get("index"), clean_sentence(data.get("text"))
        try:
            with session.lock:
                session.report.edit(index if type(index) is int else -1, text)
        except IndexError:
            raise PromptError("This sentence does not exist any more.") from None
        return {"report": report_value(session)}

    def chat_file(self, token: str) -> tuple[str, bytes] | None:
        """The conversation of the session with this token, name and content; None where nothing was said."""
        session = self.store.by_token(token)
        if session is None or not session.chat.turns:
            return None
        info = session.ct.info
        text = session.chat.markdown(info.file_name, info.series_description)
        return f"{scan_stem(session.ct)}-chat.md", text.encode()

    def report_file(self, token: str, kind: str) -> tuple[str, bytes] | None:
        """The report of the session with this token as a file, name and content, for the download's route."""
        session = self.store.by_token(token)
        content = session.report.file(kind) if session is not None else None
        return None if content is None else (report_name(session.ct, kind), content)


def _paced(
    session: CaseSession, pieces: Generator[Any, None, None], take: Callable[[Any], bool]
) -> Iterator[tuple[Any, bool]]:
    """Pieces after which the page is to change: news at once, the rest some times a second, none once it is closed.

    Args:
        session: the visitor's.
        pieces: closed at the end, whatever ends it.
        take: keeps a piece and says whether it is news.

    Yields:
        The piece, and whether it is news.
    """
    last = 0.0
    with closing(pieces):
        for piece in pieces:
            if session.closed:
                return
            news, now = isinstance(piece, Waiting) or take(piece), time.monotonic()
            if news or now - last >= UPDATE_EVERY_S:
                last = now
                yield piece, news


def _show(session: CaseSession, mask_id: str) -> None:
    """Put a mask of the case on the board, under the looks that it has."""
    if mask_id in session.case.masks:
        session.show(session.case.masks[mask_id])
        session.board.style(mask_id, **session.styles.get(mask_id, {}))


def _bring(session: CaseSession, mask_id: str, first: bool) -> None:
    """Show a mask that an answer speaks of; clicks refine it from now on, unless they refine one that was clicked.

    Args:
        session: the visitor's.
        mask_id: of a mask of the case.
        first: the first one of its answer; if it is new too, the viewer goes there.
    """
    new = mask_id not in session.board.mask_ids
    _show(session, mask_id)
    _open_eye(session, mask_id)
    clicked = session.target.mask_id
    if clicked is None or clicked not in session.case.masks or not session.case.prompts(clicked):
        session.activate(mask_id)
    if first and new:
        edits.focus(session, mask_id)


def _open_eye(session: CaseSession, mask_id: str) -> None:
    """Who asks about a structure, or goes to it, wants to see it."""
    session.unasked.discard(mask_id)
    if not session.styles.get(mask_id, {}).get("visible", True):
        edits.LOOKS["eye"](session, mask_id, {"visible": True})


def _change_view(session: CaseSession, change: View) -> None:
    """Do what the visitor asked of the viewer."""
    if change.action == "window":
        level, _, width = change.value.partition(" ")
        own = width.replace(".", "", 1).isdigit()  # "Soft tissue" is a name
        session.board.window((float(level), float(width)) if own else change.value)
    elif change.action == "slice":
        axis, index = change.value.split()
        session.board.focus(int(index) if n == int(axis) else None for n in range(3))
    if change.action == "only":
        for mask_id in session.case.masks:
            edits.LOOKS["eye"](session, mask_id, {"visible": mask_id in change.mask_ids})
    for mask_id in change.mask_ids:
        if mask_id not in session.case.masks:
            continue
        _show(session, mask_id)
        if change.action in ("hide", "show"):
            edits.LOOKS["eye"](session, mask_id, {"visible": change.action == "show"})
        elif change.action == "colour":
            edits.LOOKS["color"](session, mask_id, {"color": change.value})
    if change.action in ("centre", "only") and change.mask_ids:
        edits.LOOKS["jump"](session, change.mask_ids[0], {})


def _reconcile(session: CaseSession, visible: bool = True) -> bool:
    """Make the board show the case's masks: an answer may find or remove some beside those it names.

    Args:
        session: the visitor's.
        visible: whether new ones are seen; those that an answer only measured against are listed with the eye closed.

    Returns:
        True if something changed.
    """
    now = set(session.case.masks)
    gone, new = session.board.mask_ids - now, now - session.board.mask_ids
    for mask_id in gone:
        edits.forget(session, mask_id)
    for mask_id in sorted(new, key=list(session.case.masks).index):
        _show(session, mask_id)
        if not visible:
            edits.LOOKS["eye"](session, mask_id, {"visible": False})
            session.unasked.add(mask_id)
    if visible:  # a report speaks of these too
        for mask_id in session.unasked & now:
            _open_eye(session, mask_id)
    return bool(gone or new)


def _status(step: Step | None) -> str:
    """The viewer's line while the chat works."""
    return step.label if step else "Answering"
