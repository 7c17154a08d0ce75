"""One method per thing that a visitor does with an earlier scan, in the manner of ``handlers``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from medvl.ct.fingerprint import fingerprint
from medvl.ct.volume import CTVolume
from medvl.errors import CTReadError
from medvl.model import MedVLSAM2
from medvl.readers.case_zip import SavedPrior

from .case_session import CaseSession
from .inputs import clean_sentence, read_word
from .prior import PriorScan
from .scans import Opened, read_series, read_upload
from .sessions import SessionStore
from .updates import Updates, page, words
from .viewer import viewer_value


class Priors:
    """What the page calls for the earlier scan.

    Args:
        model: the loaded model.
        store: the visitors' sessions.
        facts: value of the facts panel.
    """

    def __init__(self, model: MedVLSAM2, store: SessionStore, facts: Callable[[CaseSession], dict[str, Any]]) -> None:
        self.model, self.store, self._facts = model, store, facts

    def open(self, key: str, paths: Sequence[str] | None) -> Iterator[Updates]:
        """Files of an earlier scan were uploaded, perhaps with a saved case of it."""
        yield from self._open(key, lambda claim: read_upload(list(paths or []), claim))

    def of_case(self, session: CaseSession, opened: Opened, before: CaseSession | None) -> None:
        """The earlier scan of a case that was opened: from its file, or the one that stood beside on the page.

        Args:
            session: of the case.
            opened: what was opened.
            before: the visitor's session until now.
        """
        saved = opened.case.prior
        if saved is None:
            return
        ct = opened.prior
        if ct is None and before is not None and before.prior is not None:
            ct = before.prior.ct if fingerprint(before.prior.ct) == saved.case.scan.digest else None
        title = opened.case.page.get("prior")
        name = clean_sentence(title)[:60] if isinstance(title, str) else ""
        self.take_saved(session, saved, ct, name or saved.case.scan.file_name or "The prior")

    def take_saved(self, session: CaseSession, saved: SavedPrior, ct: CTVolume | None, title: str) -> None:
        """Stand the earlier scan of a saved case beside the open one again; without its scan it is waited for.

        Raises:
            CaseFileError: it is another scan.
        """
        if ct is None:
            session.awaited = saved, title
            return
        case = self.model.open(ct)
        try:
            found = session.case.restore_prior(saved, case)
        except Exception:
            case.close()
            raise
        session.stand_beside(PriorScan(ct, case, title, found, session.ct, session.token))

    def act(self, key: str, data: Any) -> Iterator[Updates]:
        """A button of the facts panel: ``close``, or ``prior`` with the ``id`` of another scan of the open files."""
        session = self.store.get(key)
        op = read_word(data, "op")
        if op == "close":
            with session.job():
                session.drop_prior()
            yield page(session) | {"facts": self._facts(session)}
        elif op == "prior":
            choice = next((c for c in session.ct.series if c.id == read_word(data, "id")), None)
            if choice is None or session.files is None or choice.opened or choice.problem:
                raise CTReadError("There is no such scan in these files. Choose another one of the list.")

            def read(claim: Callable[[int], None]) -> Opened:
                ct, files = read_series(session.files, choice.id, claim)
                return Opened(ct, choice.description or f"Series {choice.id}", files)

            yield from self._open(key, read)
        else:
            yield {}

    def _open(self, key: str, read: Callable[[Callable[[int], None]], Opened]) -> Iterator[Updates]:
        """Read, lay over, show. Whatever fails, the open scan and the prior before stay."""
        session = self.store.get(key)
        yield {"viewer": viewer_value(session.board, busy=session.busy, status="Reading the prior")}
        case = opened = None
        try:
            with self.store.room() as room:
                # Its copy on the present grid counts, too.
                opened = read(lambda nbytes: room.claim(nbytes + session.ct.hu.nbytes))
                awaited = session.awaited
                if awaited is not None and fingerprint(opened.ct) == awaited[0].case.scan.digest:
                    with session.job():
                        self.take_saved(session, awaited[0], opened.ct, opened.title)
                    yield page(session) | {"facts": self._facts(session)}
                    return
                case = self.model.open(opened.ct)
                if opened.case is not None:
                    case.restore(opened.case)
                yield {"viewer": viewer_value(session.board, busy=True, status="Laying the prior over this scan")}
                with session.job() as cancel, self.store.turns.turn(cancel) as turn:
                    turn.come()
                    found = session.case.hold_against(case)
                    args = (opened.ct, case, opened.title, found, session.ct, session.token)
                    session.stand_beside(PriorScan(*args))
            yield page(session) | {"facts": self._facts(session)}
        except Exception as error:
            if case is not None and session.case.prior is not case:
                case.close()
            yield page(session, busy=session.busy) | {"toast": words(error)}
        finally:
            if opened is not None and opened.files is not None:  # of a prior one scan is read, once
                shutil.rmtree(opened.files, ignore_errors=True)
