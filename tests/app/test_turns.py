"""A few compute at once; the others wait in order, are told how many are ahead, and can stop."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from app.handlers import Handlers
from app.scans import SampleShelf
from app.sessions import SessionStore
from app.turns import Turns, words_of
from medvl.errors import Cancelled

from .talking import TalkingModel
from .test_handlers import last


def test_no_more_than_asked_compute_at_once():
    turns, lock = Turns(2), threading.Lock()
    working, most, done = 0, 0, 0
    full = threading.Barrier(2)

    def work():
        nonlocal working, most, done
        with turns.turn() as turn:
            turn.come()
            with lock:
                working += 1
                most = max(most, working)
            full.wait(60)  # goes on only when two work at once
            with lock:
                working -= 1
                done += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (most, done) == (2, 8)


def test_who_came_first_computes_first_and_the_others_are_told():
    turns = Turns(1)
    with turns.turn() as first:
        assert list(first.wait()) == []
        with turns.turn() as second, turns.turn() as third:
            assert (second.ahead, third.ahead) == (1, 2)
            assert next(third.wait()) == 2
    with turns.turn() as alone:
        assert alone.ahead == 0


def test_who_leaves_the_line_makes_room():
    turns = Turns(1)
    first, second = ExitStack(), ExitStack()
    first.enter_context(turns.turn())
    second.enter_context(turns.turn())
    with turns.turn() as third:
        told = third.wait()
        assert next(told) == 2
        second.close()  # was stopped
        assert next(told) == 1
        first.close()
        assert list(told) == []


def test_waiting_can_be_stopped():
    turns, cancel = Turns(1), threading.Event()
    with turns.turn() as first:
        first.come()
        with turns.turn(cancel) as second:
            told = second.wait()
            assert next(told) == 1
            cancel.set()
            with pytest.raises(Cancelled):
                next(told)
        with turns.turn() as third:
            assert third.ahead == 1  # the one that was stopped has left


@pytest.mark.parametrize(("ahead", "said"), [(1, "Waiting for 1 other"), (3, "Waiting for 3 others")])
def test_words(ahead, said):
    assert words_of(ahead) == said


class TestOnThePage:
    @pytest.fixture
    def busy(self, opened):
        """Somebody else computes, as many as may."""
        opened.store.turns = Turns(1)
        with opened.store.turns.turn() as other:
            other.come()
            yield opened

    def prompt(self, handlers, phantom):
        return handlers.prompt(
            "a", {"kind": "point", "ijk": list(phantom.centre("liver")), "positive": True, "axis": 2}
        )

    def test_a_click_waits_says_so_and_comes(self, opened, phantom):
        opened.store.turns = turns = Turns(1)
        with turns.turn() as other:
            other.come()
            updates = self.prompt(opened, phantom)
            first = next(updates)["viewer"]
            assert (first["busy"], first["status"]) == (True, "Waiting for 1 other")
        page = last(updates)
        assert len(opened.store.get("a").case.masks) == 1
        assert not page["viewer"]["busy"]

    def test_a_click_that_waits_can_be_stopped(self, busy, phantom):
        updates = self.prompt(busy, phantom)
        next(updates)
        busy.stop("a")
        page = last(updates)
        assert (page["viewer"]["status"], page["viewer"]["busy"]) == ("Stopped", False)
        assert not busy.store.get("a").case.masks

    def test_a_click_beside_one_that_waits_is_not_lost(self, opened, phantom):
        opened.store.turns = turns = Turns(1)
        with turns.turn() as other:
            other.come()
            waiting = self.prompt(opened, phantom)
            next(waiting)
            pages = []
            further = {"kind": "point", "ijk": list(phantom.centre("liver")), "positive": True, "axis": 2}
            thread = threading.Thread(target=lambda: pages.append(last(opened.prompt("a", further))))
            thread.start()
            while not opened.store.get("a").preempted:
                time.sleep(0.001)
            last(waiting)
        thread.join(60)
        (mask_id,) = opened.store.get("a").case.masks
        assert len(opened.store.get("a").case.prompts(mask_id)) == 2

    def test_the_report_waits_and_can_be_stopped(self, busy):
        updates = busy.talk.write_report("a")
        next(updates)
        assert next(updates)["viewer"]["status"] == "Waiting for 1 other"
        busy.stop("a")
        assert last(updates)["report"]["state"] == "stopped"


class TestAQuestion:
    @pytest.fixture
    def talking(self, shelf_folder, phantom):
        model = TalkingModel({"liver": phantom.organ("liver")})
        handlers = Handlers(model, SessionStore(budget_bytes=10**9), SampleShelf(shelf_folder))
        list(handlers.open_default("a"))
        handlers.store.turns = Turns(1)
        yield handlers
        handlers.store.shutdown()

    def ask(self, talking, text):
        return talking.talk.ask("a", {"text": text, "nonce": "n"})

    def said(self, page):
        return page["chat"]["turns"][-1]["state"]

    def test_that_computes_nothing_waits_for_nobody(self, talking):
        last(self.ask(talking, "Show the liver"))
        with talking.store.turns.turn() as other:
            other.come()
            for text in ("Use the lung window", "How big is the liver?", "Who are you?"):
                updates = list(self.ask(talking, text))
                assert self.said(updates[-1]) == "done"
                assert not any("Waiting" in u.get("viewer", {}).get("status", "") for u in updates)

    def test_that_computes_waits_says_so_and_comes(self, talking):
        with talking.store.turns.turn() as other:
            other.come()
            updates = self.ask(talking, "Show the liver")
            waits = next(u for u in updates if "Waiting" in u.get("viewer", {}).get("status", ""))
            assert waits["viewer"]["status"] == "Waiting for 1 other"
            assert not talking.store.get("a").case.masks
        page = last(updates)
        assert self.said(page) == "done"
        assert len(talking.store.get("a").case.masks) == 1
        with talking.store.turns.turn() as place:
            assert place.ahead == 0  # it has given its place up

    def test_that_waits_can_be_stopped(self, talking):
        with talking.store.turns.turn() as other:
            other.come()
            updates = self.ask(talking, "Show the liver")
            next(u for u in updates if "Waiting" in u.get("viewer", {}).get("status", ""))
            talking.stop("a")
            page = last(updates)
            assert self.said(page) == "stopped"
            assert not page["viewer"]["busy"]
            assert not talking.store.get("a").case.masks
            with talking.store.turns.turn() as place:
                assert place.ahead == 1
