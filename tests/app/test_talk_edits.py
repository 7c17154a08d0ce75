"""Edits of masks by words reach the page: the viewer, the list and the chat, with a real case behind them."""

from __future__ import annotations

import numpy as np
import pytest

from app.case_session import CaseSession
from app.handlers import Handlers
from app.scans import SampleShelf
from app.sessions import SessionStore

from ..medvl.scenes import finder_of, talking_case
from .test_handlers import last

SHAPE = (40, 36, 30)


@pytest.fixture
def open_case(shelf_folder, model):
    """Handlers and the session of visitor ``a``: a liver with a cavity, and two kidneys."""
    blocks = {
        "liver": (slice(2, 18), slice(4, 20), slice(4, 20)),
        "right_kidney": (slice(4, 10), slice(26, 32), slice(4, 14)),
        "left_kidney": (slice(28, 34), slice(26, 32), slice(4, 10)),
    }
    labels = finder_of(blocks, SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))
    labels._labels[8:10, 10:12, 10:12] = 0
    handlers = Handlers(model, SessionStore(budget_bytes=10**9), SampleShelf(shelf_folder))
    session = CaseSession(labels.ct, talking_case(model, labels), "phantom")
    handlers.store.open("a", session)
    yield handlers, session
    handlers.store.shutdown()


def ask(handlers, text):
    return last(handlers.talk.ask("a", {"text": text, "nonce": "n"}))


def row(page, name):
    return next(row for row in page["masks"]["masks"] if row["name"] == name)


def test_the_viewer_shows_the_edited_mask_and_the_list_undoes_it(open_case):
    handlers, session = open_case
    before = row(ask(handlers, "segment the liver"), "Liver")
    page = ask(handlers, "fill the holes")
    after = row(page, "Liver")
    assert after["volume_ml"] == pytest.approx(before["volume_ml"] + 8 * 0.008)
    assert session.board._entries[after["id"]].mask is session.case.masks[after["id"]]
    assert page["masks"]["active"] == after["id"]
    assert page["masks"]["undo"]
    undone = handlers.action("a", {"name": "undo"})
    assert row(undone, "Liver")["volume_ml"] == before["volume_ml"]
    assert "no edit" in ask(handlers, "undo")["chat"]["turns"][-1]["sentences"][0]["text"]


def test_pieces_come_and_go_with_the_button(open_case):
    handlers, session = open_case
    ask(handlers, "segment both kidneys")
    ask(handlers, "merge the two kidneys")
    page = ask(handlers, "split it")
    assert {"Kidneys", "Kidneys 2"} <= {row["name"] for row in page["masks"]["masks"]}
    undone = handlers.action("a", {"name": "undo"})
    assert "Kidneys 2" not in {row["name"] for row in undone["masks"]["masks"]}
    assert session.board.mask_ids == set(session.case.masks)
    again = handlers.action("a", {"name": "redo"})
    assert row(again, "Kidneys 2")["volume_ml"] > 0
    assert session.board.mask_ids == set(session.case.masks)


def test_merged_parts_are_hidden_and_shown_again(open_case):
    handlers, _ = open_case
    page = ask(handlers, "merge the two kidneys")
    assert row(page, "Kidneys")["visible"]
    assert not row(page, "Right kidney")["visible"]
    page = ask(handlers, "undo")
    assert {r["name"] for r in page["masks"]["masks"]} == {"Right kidney", "Left kidney"}
    assert all(r["visible"] for r in page["masks"]["masks"])


def test_a_new_name_is_on_the_page(open_case):
    handlers, session = open_case
    ask(handlers, "segment the liver")
    page = ask(handlers, "rename it to Hepar A")
    mask_id = row(page, "Hepar A")["id"]
    assert session.board._entries[mask_id].mask.name == "Hepar A"
    assert page["chat"]["turns"][-1]["state"] == "done"


def test_retry_edits_once(open_case):
    handlers, _ = open_case
    before = row(ask(handlers, "segment the liver"), "Liver")
    ask(handlers, "fill the holes")
    page = last(handlers.talk.act("a", {"op": "retry"}))
    assert row(page, "Liver")["volume_ml"] == pytest.approx(before["volume_ml"] + 8 * 0.008)
