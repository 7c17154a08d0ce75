"""Points, scribbles and boxes: who runs the model on them, and what the page sees meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from medvl.case import SegmentUpdate
from medvl.ct.prompts import Box, Point
from medvl.errors import Cancelled, MedVLError

from .case_session import CaseSession
from .inputs import read_prompts, read_word
from .panels import panel
from .panels.chat import chat_value
from .sessions import SessionStore
from .turns import words_of
from .updates import Updates, first_time, page, with_first, words
from .viewer import viewer_value

UPDATE_EVERY_S = 0.2


class Prompts:
    """Takes prompts to their objects.

    Args:
        store: the visitors' sessions.
    """

    def __init__(self, store: SessionStore) -> None:
        self.store = store

    def add(self, key: str, data: Any) -> Iterator[Updates]:
        """A point was clicked or a box drawn: it goes to the active object, or starts a new one.

        A prompt that comes while an earlier one propagates stops that one, and goes on from what it had. One that has
        come before, from a page that did not hear so, changes nothing.
        """
        session = self.store.get(key)
        if not session.board.take(read_word(data, "key")):
            yield {"viewer": viewer_value(session.board, busy=session.busy)}
            return
        for prompt in read_prompts(data, session.ct):
            session.push(prompt)
        yield from self.run(session)

    def run(self, session: CaseSession) -> Iterator[Updates]:
        """Run the model on the prompts that wait, if there are some."""
        with session.job() as cancel, self.store.turns.turn(cancel) as turn:
            try:
                for ahead in turn.wait() if session.has_pending else ():
                    yield {"viewer": viewer_value(session.board, busy=True, status=words_of(ahead))}
            except Cancelled:  # prompts that still wait are taken along by the job that stopped this one
                yield page(session, status="Stopped", busy=session.has_pending)
                return
            work = session.take()  # nothing: an earlier call took it along
            while work is not None and not session.closed:
                target, taken = work
                try:
                    yield from self._run(session, target, taken, cancel)
                except Cancelled:
                    # Stopped before it gave anything: by the visitor, by a job that now takes these prompts along, or
                    # because the page is away: then they wait for it.
                    if session.preempted or session.left_at is not None:
                        session.put_back(taken)
                    yield page(session, status="Stopped", busy=session.has_pending)
                    return
                except (MedVLError, ArithmeticError, ValueError, RuntimeError) as error:
                    self._after_failure(session, target)
                    yield page(session) | {"toast": words(error)}
                work = None if cancel.is_set() else session.take()

    def follow(self, key: str, data: Any) -> Iterator[Updates]:
        """An object that was stopped is to be followed on: ``{"id"}``."""
        session = self.store.get(key)
        mask_id = read_word(data, "id")
        with session.job() as cancel, self.store.turns.turn(cancel) as turn:
            session.activate(session.case.masks.known(mask_id).id)
            stream = session.case.follow_stream(mask_id, cancel)
            session.following = mask_id
            try:
                yield {"chat": chat_value(session)}
                for ahead in turn.wait():
                    yield {"viewer": viewer_value(session.board, busy=True, status=words_of(ahead))}
                yield from self._streamed(session, session.target, stream, [], cancel)
            except Cancelled:  # stopped while it waited for its turn
                yield page(session, status="Stopped")
            except (MedVLError, ArithmeticError, ValueError, RuntimeError) as error:
                session.following = None
                self._after_failure(session, session.target)
                yield page(session) | {"toast": words(error)}
            finally:
                session.following = None

    def _run(self, session: CaseSession, target: Any, taken: list, cancel: Any) -> Iterator[Updates]:
        """One run of the model on prompts."""
        points = [p.prompt for p in taken if isinstance(p.prompt, Point)]
        box = next((p.prompt for p in taken if isinstance(p.prompt, Box)), None)
        stream = session.case.segment_stream(points=points, box=box, mask_id=target.mask_id, cancel=cancel)
        yield from self._streamed(session, target, stream, [*points, *([box] if box else [])], cancel)

    def _streamed(
        self, session: CaseSession, target: Any, stream: Iterator[SegmentUpdate], prompts: list, cancel: Any
    ) -> Iterator[Updates]:
        """What a run of the model has, onto the board, and a few times a second onto the page."""
        earlier = session.case.prompts(target.mask_id) if target.mask_id in session.case.masks else []
        first = target.mask_id is None and first_time(session)
        drawn, last = False, 0.0
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
                    session.board.set_prompts(update.mask.id, [*earlier, *prompts])
                elif update.changed is not None:
                    session.board.set_mask(update.mask, update.changed)
                now = time.monotonic()
                if update.stage == "done":
                    session.following = None
                    self._finish(session, update)
                elif update.stage == "slice" or now - last >= UPDATE_EVERY_S:
                    last = now
                    viewer = viewer_value(session.board, busy=True, status=status_line(update))
                    masks = panel.masks_value(session, running=update.mask)
                    yield with_first({"viewer": viewer, "masks": masks}, first)
        if not session.closed:
            # Another prompt may be waiting for this one to end: then the page stays busy, without a flicker.
            more = session.has_pending
            mask = session.case.masks.get(target.mask_id or "")
            stopped = f"{mask.where_stopped.capitalize()}. Go on?" if mask is not None and mask.stopped else "Stopped"
            status = "Segmenting" if more else stopped if cancel.is_set() else ""
            yield with_first(page(session, status=status, busy=more), first)

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


def status_line(update: SegmentUpdate) -> str:
    """For instance ``Slice 12 of about 40, 6 s left``."""
    if update.stage == "slice":
        return "Following the structure through the slices"
    expected = max(update.slices_expected, update.slices_done)
    left = "" if update.eta_s is None else f", {max(1, round(update.eta_s))} s left"
    return f"Slice {update.slices_done} of about {expected}{left}"
