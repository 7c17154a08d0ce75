"""Sessions: isolated, within a byte budget, and gone when nobody needs them."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from app.case_session import CaseSession, SessionEndedError
from app.sessions import EVICT_IDLE_S, GRACE_S, IDLE_S, ServerFullError, SessionStore
from medvl.ct.geometry import SourceGeometry
from medvl.ct.masks import Mask
from medvl.ct.prompts import Box, Point
from medvl.ct.volume import CTVolume


class FakeCase:
    """Stands for ``medvl.case.Case`` where no model is needed."""

    def __init__(self, nbytes: int = 0, features: int = 0) -> None:
        self.masks: dict[str, Mask] = {}
        self.kept, self.features = nbytes, features
        self.closed = False

    @property
    def nbytes(self) -> int:
        return self.kept + self.features

    def forget_features(self) -> int:
        freed, self.features = self.features, 0
        return freed

    def prompts(self, mask_id: str) -> list:
        return []

    def close(self) -> None:
        self.closed = True


class Clock:
    """A clock that can be set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def make_ct(n: int = 10) -> CTVolume:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    return CTVolume(np.zeros((n, n, n), np.int16), affine, SourceGeometry((n, n, n), affine))


def make_session(n: int = 10, extra: int = 0, shared: bool = False) -> CaseSession:
    return CaseSession(make_ct(n), FakeCase(extra), "scan", "sample" if shared else None)


@pytest.fixture
def store():
    made = SessionStore(budget_bytes=100_000, max_sessions=3, clock=Clock())
    yield made
    made.shutdown()


class TestIsolation:
    def test_two_visitors_have_their_own(self, store):
        a, b = store.open("a", make_session()), store.open("b", make_session())
        assert store.get("a") is a
        assert store.get("b") is b
        assert a.token != b.token
        assert a.folder != b.folder
        mask = Mask.from_array(np.ones((10, 10, 10), bool), name="of a")
        a.board.set_mask(mask)
        assert b"of a" not in b.board.delta(-1)
        assert store.find_board(a.token) is a.board
        assert store.find_board(b.token) is b.board

    def test_tokens_cannot_be_guessed(self):
        sessions = [make_session() for _ in range(20)]
        assert len({s.token for s in sessions}) == 20
        assert all(len(s.token) >= 32 for s in sessions)
        for session in sessions:
            session.close()

    @pytest.mark.parametrize("key", [None, "", "unknown"])
    def test_unknown_visitor(self, store, key):
        with pytest.raises(SessionEndedError, match="Open the scan again"):
            store.get(key)

    def test_unknown_token(self, store):
        store.open("a", make_session())
        assert store.find_board("a") is None
        assert store.find_board("") is None


class TestLife:
    def test_another_scan_replaces_the_first(self, store):
        first = store.open("a", make_session())
        second = store.open("a", make_session())
        assert store.get("a") is second
        assert first.closed
        assert first.case.closed
        assert not first.folder.exists()
        assert store.find_board(first.token) is None

    def test_closing_deletes_temporary_files(self, store):
        session = store.open("a", make_session())
        (session.folder / "export.zip").write_bytes(b"x")
        store.close("a")
        assert not session.folder.exists()
        assert len(store) == 0

    def test_closed_tab_is_freed_after_a_grace(self, store):
        store.open("a", make_session())
        store.leave("a")
        assert store.sweep() == 0
        store._clock.ahead = GRACE_S + 1
        assert store.sweep() == 1
        assert store.find("a") is None

    def test_broken_connection_that_comes_back(self, store):
        session = store.open("a", make_session())
        store.leave("a")
        store.get("a")
        store._clock.ahead = GRACE_S + 1
        assert store.sweep() == 0
        assert store.find("a") is session

    def test_idle_is_freed(self, store):
        store.open("a", make_session())
        store._clock.ahead = IDLE_S + 1
        assert store.sweep() == 1

    def test_the_reaper_sweeps(self, store):
        store.start_reaper(every_s=0.01)  # before leave(), which would start one that sweeps every few seconds
        store.open("a", make_session())
        store.leave("a")
        store._clock.ahead = GRACE_S + 1
        deadline = time.monotonic() + 30
        while len(store) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(store) == 0

    def test_shutdown_frees_all(self, store):
        sessions = [store.open(key, make_session()) for key in "ab"]
        store.shutdown()
        assert all(s.case.closed for s in sessions)


class TestLooks:
    def test_a_mask_of_most_of_the_body_is_an_outline_until_somebody_fills_it(self):
        session = make_session()
        half = np.zeros((10, 10, 10), bool)
        half[:4] = True
        session.show(Mask.from_array(half, id="m1"))
        assert "opacity" not in session.styles.get("m1", {})
        session.show(Mask.from_array(np.ones((10, 10, 10), bool), id="m2"))
        assert session.styles["m2"]["opacity"] == 0
        session.styles["m2"]["opacity"] = 0.4  # chosen by hand
        session.show(Mask.from_array(np.ones((10, 10, 10), bool), id="m2"))
        assert session.styles["m2"]["opacity"] == 0.4
        session.close()


class TestBudget:
    def test_counts_volume_case_and_board(self):
        session = make_session(10, extra=500)
        assert session.nbytes >= 2000 + 500
        shared = make_session(10, extra=500, shared=True)
        assert session.nbytes - shared.nbytes == 2000
        session.close()
        shared.close()

    def test_full_server_says_so(self, store):
        store.open("a", make_session(10, extra=90_000))
        refused = make_session(20)
        with pytest.raises(ServerFullError, match=r"full.*try again"):
            store.open("b", refused)
        assert refused.closed
        assert not refused.folder.exists()
        assert store.find("a") is not None
        assert store.find("b") is None

    def test_refused_scan_leaves_the_old_one(self, store):
        mine = store.open("b", make_session())
        store.open("a", make_session(10, extra=80_000))
        with pytest.raises(ServerFullError):
            store.open("b", make_session(10, extra=60_000))
        assert store.get("b") is mine
        assert not mine.closed

    def test_larger_than_the_whole_budget(self, store):
        with pytest.raises(ServerFullError, match="needs"):
            store.check_room("a", 10**6)

    def test_own_old_scan_makes_room(self, store):
        store.open("a", make_session(10, extra=90_000))
        store.open("a", make_session(10, extra=90_000))
        assert len(store) == 1

    def test_too_many_visitors(self, store):
        for key in "abc":
            store.open(key, make_session())
        with pytest.raises(ServerFullError):
            store.open("d", make_session())

    def test_who_left_makes_room(self, store):
        store.open("a", make_session(10, extra=90_000))
        store.leave("a")
        store.open("b", make_session(10, extra=90_000))
        assert store.find("a") is None

    def test_idle_makes_room(self, store):
        store.open("a", make_session(10, extra=90_000))
        store._clock.ahead = EVICT_IDLE_S + 1
        store.open("b", make_session(10, extra=90_000))
        assert store.find("a") is None

    def test_slice_features_go_before_anybody_does(self, store):
        first, second = (store.open(key, make_session(10, extra=5_000)) for key in "ab")
        first.case.features, second.case.features = 40_000, 30_000
        third = store.open("c", make_session(10, extra=25_000))
        assert first.case.features == 0  # longest away
        assert second.case.features == 30_000
        assert len(store) == 3
        third.case.features = 60_000  # grows while it works
        store.sweep()
        assert store.nbytes <= store.budget_bytes
        assert len(store) == 3
        assert not any(s.closed for s in (first, second, third))

    def test_who_works_keeps_features_longest(self, store):
        first, second = (store.open(key, make_session(10)) for key in "ab")
        first.case.features = second.case.features = 60_000
        first._running = object()
        store.sweep()
        assert (first.case.features, second.case.features) == (60_000, 0)
        first._running = None


class TestRoom:
    """Memory of what is no session: a scan that is being read, a call of the API."""

    def test_counts_until_the_end_also_on_error(self, store):
        def work(room):
            room.claim(40_000)
            room.hold(FakeCase(20_000))
            assert store.nbytes == 60_000
            raise KeyError

        with pytest.raises(KeyError), store.room() as room:
            work(room)
        assert store.nbytes == 0

    def test_full_for_a_call_beside_sessions(self, store):
        store.open("a", make_session(10, extra=80_000))
        with store.room() as room:
            with pytest.raises(ServerFullError, match=r"full.*try again"):
                room.claim(50_000)
            assert room.nbytes == 0
            room.claim(5_000)
        assert not store.get("a").closed

    def test_calls_leave_no_room_for_a_session(self, store):
        with store.room() as room:
            room.claim(90_000)
            with pytest.raises(ServerFullError):
                store.open("a", make_session(10, extra=20_000))
        store.open("a", make_session(10, extra=20_000))

    def test_a_growing_case_counts(self, store):
        with store.room() as first, store.room() as second:
            case = FakeCase()
            first.claim(10_000)
            first.hold(case)
            case.kept = 60_000
            with pytest.raises(ServerFullError):
                second.claim(40_000)
            case.kept = 0
            second.claim(40_000)

    def test_a_call_is_no_visitor(self, store):
        for key in "abc":
            store.open(key, make_session())
        with store.room() as room:
            room.claim(10_000)

    def test_ones_own_old_scan_is_not_in_the_way(self, store):
        store.open("a", make_session(10, extra=90_000))
        with store.room("a") as room:
            room.claim(90_000)


class TestJobs:
    def test_a_new_job_stops_the_one_that_runs(self):
        session = make_session()
        order = []
        started = threading.Event()

        def first():
            with session.job() as cancel:
                started.set()
                cancel.wait(5)
                order.append("first stopped" if cancel.is_set() else "first ran on")

        thread = threading.Thread(target=first)
        thread.start()
        started.wait(5)
        with session.job() as cancel:
            order.append("second")
            assert not cancel.is_set()
        thread.join(5)
        assert order == ["first stopped", "second"]
        session.close()

    def test_stop_reaches_waiting_jobs(self):
        session = make_session()
        seen = []
        with session.job() as cancel:
            thread = threading.Thread(target=lambda: seen.append(_cancelled(session)))
            thread.start()
            while not session._waiting:
                time.sleep(0.005)
            session.stop()
            assert cancel.is_set()
        thread.join(5)
        assert seen == [True]
        session.close()

    def test_closing_waits_for_the_job_to_end(self):
        session = make_session()
        with session.job() as cancel:
            session.close()
            assert cancel.is_set()
            assert not session.case.closed
            assert session.folder.exists()
        assert session.case.closed
        assert not session.folder.exists()
        with pytest.raises(SessionEndedError), session.job():
            pass

    def test_prompts_of_one_object_go_together(self):
        session = make_session()
        a, b, box = Point((1, 1, 1)), Point((2, 2, 2), positive=False), Box((0, 0, 1), (2, 2, 2))
        session.push(a)
        session.push(box)
        session.push(b)
        session.push(box)
        session.activate(None)
        session.push(a)
        assert [p.prompt for p in session.take()[1]] == [a, box, b]
        assert [p.prompt for p in session.take()[1]] == [box]
        target, last = session.take()
        assert target is session.target
        assert [p.prompt for p in last] == [a]
        assert session.take() is None
        session.put_back(last)
        assert session.drop_pending()
        assert not session.drop_pending()
        session.close()


def _cancelled(session: CaseSession) -> bool:
    with session.job() as cancel:
        return cancel.is_set()


class TestResume:
    def test_prompts_wait_for_a_page_that_left_and_not_after_stop(self, store):
        session = store.open("a", make_session())
        session.push(Point((1, 1, 1)))
        with session.job() as cancel:
            store.leave("a")
            assert cancel.is_set()
        assert session.has_pending
        session.stop()
        assert not session.has_pending

    def test_a_page_that_comes_back_under_another_key(self, store):
        session = store.open("a", make_session())
        store.leave("a")
        assert store.resume("b", session.token) is session
        assert store.get("b") is session
        assert store.find("a") is None
        store._clock.ahead = GRACE_S + 1
        assert store.sweep() == 0  # it is there again

    def test_the_old_key_that_leaves_late_changes_nothing(self, store):
        session = store.open("a", make_session())
        store.resume("b", session.token)
        store.leave("a")
        assert session.left_at is None

    @pytest.mark.parametrize("token", ["", "unknown"])
    def test_nobody_else_gets_it(self, store, token):
        store.open("a", make_session())
        assert store.resume("b", token) is None
        assert store.find("b") is None

    def test_what_was_opened_meanwhile_is_closed(self, store):
        first, other = store.open("a", make_session()), store.open("b", make_session())
        assert store.resume("b", first.token) is first
        assert other.closed
        assert len(store) == 1

    def test_a_page_that_tells_that_it_is_there(self, store):
        session = store.open("a", make_session())
        store.leave("a")
        assert store.alive(session.token)
        assert session.left_at is None
        assert not store.alive("unknown")

    def test_memory_of_one_that_left_goes_first(self, store):
        session = store.open("a", make_session(30))
        store.leave("a")
        store.open("b", make_session(30))
        assert session.closed
        assert store.resume("c", session.token) is None
