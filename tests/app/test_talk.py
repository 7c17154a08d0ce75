"""What a visitor can do in the chat and the report, without a browser: real masks, a stand-in for the language.

Longer than other files: its visitors and their stand-in are shared by every way in which an answer can end.
"""

from __future__ import annotations

import json
import threading
import time

import pytest

from app import talk
from app.chat import TURNS, Chat, Steps
from app.handlers import Handlers
from app.inputs import clean_question, clean_sentence
from app.scans import SampleShelf
from app.sessions import SessionStore
from app.updates import packed
from medvl.errors import MedVLError, PromptError
from medvl.tools.pieces import Step

from .talking import TalkingModel
from .test_handlers import last
from .viewer.unwire import unpack_delta

ORGANS = {"liver": "liver", "spleen": "spleen", "bladder": "bladder"}


@pytest.fixture
def talking(shelf_folder, phantom):
    """Handlers with the phantom open for visitor ``a``, by a model that knows three of its organs."""
    model = TalkingModel({name: phantom.organ(organ) for name, organ in ORGANS.items()})
    handlers = Handlers(model, SessionStore(budget_bytes=10**9), SampleShelf(shelf_folder))
    list(handlers.open_default("a"))
    yield handlers
    handlers.store.shutdown()


def ask(handlers, text, key="a"):
    return last(handlers.talk.ask(key, {"text": text, "nonce": "n"}))


def act(handlers, op, key="a", **more):
    return last(handlers.talk.act(key, {"op": op, **more}))


def turn(page, number=-1):
    return page["chat"]["turns"][number]


def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Background(threading.Thread):
    """Runs a handler to its end and keeps its updates."""

    def __init__(self, stream) -> None:
        super().__init__(daemon=True)
        self.stream, self.updates = stream, []
        self.start()

    def run(self):
        for update in self.stream:
            self.updates.append(update)


class TestAsking:
    def test_an_answer_with_steps_masks_and_sources(self, talking, phantom):
        page = ask(talking, "How big are the liver and the spleen?")
        given = turn(page)
        assert given["state"] == "done"
        assert given["nonce"] == "n"
        assert [(s["label"], s["seconds"] is not None) for s in given["steps"]] == [
            ("Segment liver", True),
            ("Segment spleen", True),
        ]
        assert [s["source"] for s in given["sentences"]] == ["measured"] * 4 + ["scan"]
        assert f"{phantom.organ('liver').sum() * 0.252:.0f} mL" in given["sentences"][0]["text"]
        assert given["sentences"][0]["masks"] == given["chips"][:1]
        assert [page["chat"]["masks"][i]["name"] for i in given["chips"]] == ["Liver", "Spleen"]
        assert [m["name"] for m in page["masks"]["masks"]] == ["Liver", "Spleen"]
        assert not page["viewer"]["busy"]
        assert not page["chat"]["busy"]
        json.dumps(page["chat"])

    def test_the_question_is_there_before_its_answer_and_words_grow(self, talking):
        talking.model.word_s = 0.03
        updates = list(talking.talk.ask("a", {"text": "liver", "nonce": "x"}))
        assert updates[0]["chat"]["turns"][0]["question"] == "liver"
        assert updates[0]["chat"]["busy"]
        lengths = [sum(len(s["text"]) for s in turn(u)["sentences"]) for u in updates if "chat" in u]
        assert lengths == sorted(lengths)
        assert len(set(lengths)) > 3
        revisions = [u["chat"]["revision"] for u in updates if "chat" in u]
        assert revisions == sorted(set(revisions))

    def test_words_do_not_flood_the_page(self, talking):
        talking.model.word_s = 0.002
        started = time.monotonic()
        updates = list(talking.talk.ask("a", {"text": "liver, spleen, bladder"}))
        # Beside ten a second: begun and done of each step, each mask, the question and the end.
        assert len(updates) <= 10 * (time.monotonic() - started) + 3 * 3 + 4

    def test_the_viewer_goes_to_a_new_mask_and_stays_for_a_known_one(self, talking, phantom):
        ask(talking, "liver")
        board = talking.store.get("a").board
        centre = board._focus["ijk"]
        assert phantom.organ("liver")[tuple(centre)]
        ask(talking, "spleen")
        revision = board._focus["revision"]
        ask(talking, "How big is the liver?")
        assert board._focus["revision"] == revision

    def test_an_object_that_was_clicked_stays_the_one_that_clicks_refine(self, talking, phantom):
        point = {"kind": "point", "ijk": list(phantom.centre("bladder"))}
        last(talking.prompt("a", point))
        clicked = talking.store.get("a").target.mask_id
        page = ask(talking, "How big is the liver?")
        assert page["masks"]["active"] == clicked
        assert {row["name"] for row in page["masks"]["masks"]} >= {"Liver"}
        talking.action("a", {"name": "new"})
        assert ask(talking, "How big is the spleen?")["masks"]["active"] != clicked

    def test_a_click_refines_the_mask_of_the_chat(self, talking, phantom):
        page = ask(talking, "Segment the liver")
        (row,) = page["masks"]["masks"]
        assert page["masks"]["active"] == row["id"]
        click = {"kind": "point", "ijk": list(phantom.centre("spleen")), "positive": True, "axis": 2}
        page = last(talking.prompt("a", click))
        (refined,) = page["masks"]["masks"]
        assert refined["id"] == row["id"]
        assert refined["name"] == "Liver"
        assert len(talking.store.get("a").case.prompts(row["id"])) == 1

    def test_masks_of_chat_and_clicks_are_one_list(self, talking, phantom):
        click = {"kind": "point", "ijk": list(phantom.centre("bladder")), "positive": True, "axis": 2}
        last(talking.prompt("a", click))
        page = ask(talking, "liver")
        assert [m["name"] for m in page["masks"]["masks"]] == ["Object 1", "Liver"]
        assert talking.store.get("a").board.mask_ids == {m["id"] for m in page["masks"]["masks"]}

    def test_asking_again_finds_nothing_twice(self, talking):
        ask(talking, "liver")
        page = ask(talking, "How big is the liver?")
        assert len(page["masks"]["masks"]) == 1
        assert turn(page)["steps"] == []
        assert turn(page)["chips"] == turn(page, 0)["chips"]

    def test_a_refusal_has_no_mask(self, talking):
        page = ask(talking, "Where is the flux capacitor?")
        assert turn(page)["state"] == "done"
        assert turn(page)["chips"] == []
        assert page["masks"]["masks"] == []

    def test_names_and_colours_follow_the_list(self, talking):
        (mask_id,) = turn(ask(talking, "liver"))["chips"]
        page = talking.edit("a", {"op": "rename", "id": mask_id, "name": "Hepar"})
        assert page["chat"]["masks"][mask_id]["name"] == "Hepar"
        page = talking.edit("a", {"op": "delete", "id": mask_id})
        assert page["chat"]["masks"][mask_id]["gone"]
        assert turn(page)["chips"] == [mask_id]

    def test_the_chat_hides_colours_and_shows_masks(self, talking):
        ask(talking, "segment the liver and the spleen")
        session = talking.store.get("a")
        ids = {m.name.lower(): m.id for m in session.case.masks.values()}
        ask(talking, "just the liver")
        assert session.styles[ids["liver"]]["visible"]
        assert not session.styles[ids["spleen"]]["visible"]
        ask(talking, "the liver in red")
        assert session.case.masks[ids["liver"]].color == "#ff0000"
        ask(talking, "how big is the spleen?")  # who asks about it wants to see it
        assert session.styles[ids["spleen"]]["visible"]
        assert len(session.case.masks) == 2

    def test_what_was_only_measured_against_is_listed_and_not_drawn(self, talking):
        page = ask(talking, "liver against spleen")
        shown = {m["name"]: m["visible"] for m in page["masks"]["masks"]}
        assert shown == {"Liver": True, "Spleen": False}
        session = talking.store.get("a")
        spleen = next(m.id for m in session.case.masks.values() if m.name == "Spleen")
        act(talking, "jump", id=spleen)  # who goes to it wants to see it
        assert session.styles[spleen]["visible"]

    def test_a_report_shows_what_was_only_measured_against(self, talking):
        ask(talking, "liver against spleen")
        page = last(talking.talk.write_report("a"))
        assert all(m["visible"] for m in page["masks"]["masks"])

    def test_another_window(self, talking):
        board = talking.store.get("a").board
        before = board.revision
        ask(talking, "lung window please")
        header = unpack_delta(board.delta(before))[0]
        assert board.info()["windows"][header["window"]["index"]]["name"] == "Lung"
        ask(talking, "window 50 400")
        header = unpack_delta(board.delta(before))[0]
        assert header["window"]["own"] == {"level": 50, "width": 400}

    def test_a_mask_that_the_chat_removes_leaves_the_viewer(self, talking):
        (mask_id,) = turn(ask(talking, "liver"))["chips"]
        page = ask(talking, "forget the liver")
        assert page["masks"]["masks"] == []
        assert page["masks"]["active"] is None
        assert page["chat"]["masks"][mask_id]["gone"]
        assert talking.store.get("a").board.mask_ids == set()

    def test_undo_takes_all_that_an_answer_made_back_and_redo_brings_it(self, talking):
        ask(talking, "liver and spleen")
        page = talking.action("a", {"name": "undo"})
        assert page["masks"]["masks"] == []
        assert page["viewer"]["status"] == "Taken back: 2 masks"
        assert talking.store.get("a").board.mask_ids == set()
        page = talking.action("a", {"name": "redo"})
        assert [m["name"] for m in page["masks"]["masks"]] == ["Liver", "Spleen"]
        assert not page["masks"]["redo"]

    def test_undo_brings_a_deleted_mask_back_with_its_looks(self, talking):
        (mask_id,) = turn(ask(talking, "liver"))["chips"]
        talking.edit("a", {"op": "rename", "id": mask_id, "name": "Mine"})
        talking.edit("a", {"op": "delete", "id": mask_id})
        page = talking.action("a", {"name": "undo"})
        assert [m["name"] for m in page["masks"]["masks"]] == ["Mine"]
        assert page["masks"]["active"] == mask_id
        page = talking.action("a", {"name": "undo"})
        assert [m["name"] for m in page["masks"]["masks"]] == ["Liver"]

    def test_jump(self, talking, phantom):
        (liver,) = turn(ask(talking, "liver"))["chips"]
        ask(talking, "spleen")
        page = act(talking, "jump", id=liver)
        session = talking.store.get("a")
        assert phantom.organ("liver")[tuple(session.board._focus["ijk"])]
        assert page["masks"]["active"] == liver
        with pytest.raises(PromptError, match="does not exist"):
            act(talking, "jump", id="m99")


class TestWhatGoesWrong:
    def test_a_crash_is_words_and_nothing_is_lost(self, talking, caplog):
        ask(talking, "liver")
        page = ask(talking, "crash please")
        assert turn(page)["state"] == "failed"
        assert "secret" not in turn(page)["note"] + caplog.text
        assert len(page["masks"]["masks"]) == 1
        assert turn(page, 0)["state"] == "done"
        assert not page["chat"]["busy"]
        assert turn(ask(talking, "spleen"))["state"] == "done"

    def test_the_packages_own_errors_are_said(self, talking):
        assert turn(ask(talking, "refuse loudly"))["note"] == "This cannot be answered here."

    @pytest.mark.parametrize("data", [None, "liver", {"text": "  \n "}, {"text": None}, {"text": "x" * 5000}])
    def test_bad_messages(self, talking, data):
        with pytest.raises(MedVLError):
            list(talking.talk.ask("a", data))
        assert talking.store.get("a").chat.turns == []

    def test_unknown_operations_do_nothing(self, talking):
        for data in (None, {}, {"op": "explode"}, {"name": "stop"}):
            assert last(talking.talk.act("a", data)) == {}
            assert last(talking.talk.report("a", data)) == {}

    def test_a_visitor_who_goes_away_in_the_middle(self, talking):
        stream = talking.talk.ask("a", {"text": "liver"})
        next(stream)
        next(stream)
        stream.close()
        session = talking.store.get("a")
        assert session.chat.running is None
        assert not session.busy
        assert turn(ask(talking, "spleen"))["state"] == "done"


class TestStopping:
    def test_stop_while_it_looks(self, talking):
        talking.model.find_s = 5.0
        run = Background(talking.talk.ask("a", {"text": "liver"}))
        wait_until(lambda: any("viewer" in u for u in run.updates))
        talking.stop("a")
        run.join(60)
        given = turn(run.updates[-1])
        assert (given["state"], given["note"], given["steps"]) == ("stopped", talk.STOPPED, [])
        assert not run.updates[-1]["viewer"]["busy"]

    def test_stop_while_it_speaks_keeps_the_words(self, talking):
        talking.model.word_s = 0.2
        run = Background(talking.talk.ask("a", {"text": "liver"}))
        wait_until(lambda: any("chat" in u and turn(u)["sentences"] for u in run.updates))
        talking.stop("a")
        run.join(2)
        given = turn(run.updates[-1])
        assert given["state"] == "stopped"
        assert given["sentences"]
        assert given["chips"]

    def test_a_click_goes_first(self, talking, phantom):
        talking.model.find_s = 5.0
        run = Background(talking.talk.ask("a", {"text": "liver"}))
        wait_until(lambda: any("viewer" in u for u in run.updates))
        click = {"kind": "point", "ijk": list(phantom.centre("spleen")), "positive": True, "axis": 2}
        page = last(talking.prompt("a", click))
        run.join(2)
        assert [m["name"] for m in page["masks"]["masks"]] == ["Object 1"]
        assert turn(page)["state"] == "stopped"
        assert turn(page)["note"] == talk.PREEMPTED

    def test_retry(self, talking):
        talking.model.find_s = 5.0
        run = Background(talking.talk.ask("a", {"text": "liver"}))
        wait_until(lambda: any("viewer" in u for u in run.updates))
        talking.stop("a")
        run.join(2)
        talking.model.find_s = 0.0
        page = act(talking, "retry")
        assert len(page["chat"]["turns"]) == 1
        assert turn(page)["state"] == "done"
        assert turn(page)["question"] == "liver"

    def test_retry_forgets_what_was_asked_before(self, talking):
        ask(talking, "spleen")
        talking.model.find_s = 5.0
        run = Background(talking.talk.ask("a", {"text": "liver"}))
        wait_until(lambda: any("viewer" in u for u in run.updates))
        talking.stop("a")
        run.join(2)
        case = talking.store.get("a").case
        assert case.history == ["spleen", "liver"]
        talking.model.find_s = 0.0
        act(talking, "retry")
        assert case.history == ["spleen", "liver"]
        act(talking, "retry")  # a failed or finished one likewise
        assert case.history == ["spleen", "liver"]
        ask(talking, "crash")  # leaves nothing behind, so there is nothing to forget
        act(talking, "retry")
        assert case.history == ["spleen", "liver"]

    def test_a_report_is_told_by_its_impression(self, talking):
        page = ask(talking, "Describe this scan")
        given = turn(page)
        assert given["report"]
        assert given["summary"]
        assert [s["text"] for s in given["sentences"]] == ["All is where it belongs."]
        assert len(given["chips"]) == 3
        assert sum(len(section["sentences"]) for section in page["report"]["sections"]) > 3

    def test_lists_within_lists_travel_as_one_piece(self, talking):
        page = ask(talking, "liver") | talking.talk.jump("a", {"id": "m1"})
        sent = packed(page)
        assert [json.loads(given) for given in sent["chat"]["turns"]] == page["chat"]["turns"]
        assert sent["masks"] == page["masks"]
        page = last(talking.talk.write_report("a"))
        assert [json.loads(s) for s in packed(page)["report"]["sections"]] == page["report"]["sections"]

    def test_clear_stops_and_keeps_the_masks(self, talking):
        ask(talking, "liver")
        talking.model.find_s = 5.0
        run = Background(talking.talk.ask("a", {"text": "spleen"}))
        wait_until(lambda: any("viewer" in u for u in run.updates))
        page = act(talking, "clear")
        run.join(2)
        assert page["chat"]["turns"] == []
        assert page["chat"]["examples"]
        assert page["chat"]["revision"] > max(u["chat"]["revision"] for u in run.updates if "chat" in u)
        assert [m["name"] for m in page["masks"]["masks"]] == ["Liver"]
        assert talking.store.get("a").case.cleared == 1

    def test_retry_and_clear_of_nothing(self, talking):
        assert act(talking, "retry") == {}
        assert act(talking, "clear")["chat"]["turns"] == []


class TestPrivacy:
    def test_another_scan_has_its_own_conversation(self, talking):
        ask(talking, "liver")
        last(talking.talk.write_report("a"))
        page = last(talking.open_sample("a", "again"))
        assert page["chat"]["turns"] == []
        assert page["report"]["sections"] == []

    def test_two_visitors_do_not_meet(self, talking):
        list(talking.open_default("b"))
        ask(talking, "liver")
        page = ask(talking, "spleen", key="b")
        assert [t["question"] for t in page["chat"]["turns"]] == ["spleen"]
        assert [m["name"] for m in page["masks"]["masks"]] == ["Spleen"]

    def test_memory_counts_the_conversation(self, talking):
        session = talking.store.get("a")
        ask(talking, "liver")
        before = session.nbytes
        ask(talking, "How big is the liver? " + "x" * 800)
        assert session.nbytes >= before + 800

    def test_a_conversation_does_not_grow_for_ever(self):
        chat = Chat()
        for number in range(TURNS + 20):
            chat.begin(str(number))
        assert len(chat.turns) == TURNS
        assert chat.turns[-1].question == str(TURNS + 19)


class TestReport:
    def test_writing(self, talking):
        updates = list(talking.talk.write_report("a"))
        assert updates[0]["tab"] == "report"
        assert updates[0]["report"]["state"] == "running"
        page = {}
        for update in updates:
            page |= update
        report = page["report"]
        assert report["state"] == "done"
        assert [s["name"] for s in report["sections"]] == ["Technique", "Findings", "Organs", "Impression"]
        rows = [row for section in report["sections"] for row in section["sentences"]]
        assert [row["index"] for row in rows] == list(range(len(rows)))
        assert len(report["steps"]) == 3
        assert {i for row in rows for i in row["masks"]} == {m["id"] for m in page["masks"]["masks"]}
        assert talking.store.get("a").board.mask_ids == {m["id"] for m in page["masks"]["masks"]}

    def test_asking_for_it_in_the_chat(self, talking):
        page = ask(talking, "Describe this scan")
        assert turn(page)["report"]
        assert page["report"]["state"] == "done"
        assert act(talking, "open")["tab"] == "report"

    def test_edits_are_in_every_file(self, talking):
        last(talking.talk.write_report("a"))
        token = talking.store.get("a").token
        before = talking.talk.report_file(token, "md")
        words = 'Unremarkable <b>liver</b> & "spleen".'
        page = last(talking.talk.report("a", {"op": "edit", "index": 1, "text": f"  {words}\n"}))
        (row,) = [r for s in page["report"]["sections"] for r in s["sentences"] if r["edited"]]
        assert (row["index"], row["text"]) == (1, words)
        assert page["report"]["edited"]
        after = talking.talk.report_file(token, "md")[1].decode()
        assert words in after
        assert after != before[1].decode()
        assert words in json.dumps(json.loads(talking.talk.report_file(token, "json")[1]), ensure_ascii=False).replace(
            '\\"', '"'
        )
        html = talking.talk.report_file(token, "html")[1].decode()
        assert "<b>liver" not in html
        assert "Unremarkable" in html

    def test_a_sentence_left_out_can_come_back(self, talking):
        last(talking.talk.write_report("a"))
        token = talking.store.get("a").token
        whole = talking.talk.report_file(token, "md")
        first, second = (s.text for s in talking.store.get("a").report.written.sentences[1:3])
        last(talking.talk.report("a", {"op": "edit", "index": 1, "text": " \n"}))
        last(talking.talk.report("a", {"op": "edit", "index": 2, "text": "Changed."}))
        words = talking.talk.report_file(token, "md")[1].decode()
        assert first not in words
        assert second not in words
        assert "Changed." in words
        last(talking.talk.report("a", {"op": "edit", "index": 1, "text": first}))
        page = last(talking.talk.report("a", {"op": "edit", "index": 2, "text": second}))
        assert talking.talk.report_file(token, "md") == whole
        assert not page["report"]["edited"]

    @pytest.mark.parametrize("data", [{"index": 99}, {"index": -1}, {"index": True}, {"index": "1"}, {}])
    def test_bad_edits(self, talking, data):
        last(talking.talk.write_report("a"))
        before = talking.talk.report_file(talking.store.get("a").token, "json")
        with pytest.raises(PromptError):
            last(talking.talk.report("a", {"op": "edit", "text": "words", **data}))
        assert talking.talk.report_file(talking.store.get("a").token, "json") == before

    def test_stop_keeps_the_report_before(self, talking):
        last(talking.talk.write_report("a"))
        last(talking.talk.report("a", {"op": "edit", "index": 1, "text": "Mine."}))
        session = talking.store.get("a")
        session.case.found.clear()
        talking.model.find_s = 5.0
        run = Background(talking.talk.report("a", {"op": "write"}))
        wait_until(lambda: any(u.get("report", {}).get("steps") for u in run.updates))
        talking.stop("a")
        run.join(2)
        report = run.updates[-1]["report"]
        assert report["state"] == "stopped"
        assert "Mine." in [r["text"] for s in report["sections"] for r in s["sentences"]]

    def test_no_file_without_a_report_or_for_a_stranger(self, talking):
        token = talking.store.get("a").token
        assert talking.talk.report_file(token, "md") is None
        last(talking.talk.write_report("a"))
        assert talking.talk.report_file(token, "md")
        assert talking.talk.report_file(token, "exe") is None
        assert talking.talk.report_file("x" * 32, "md") is None


class TestPieces:
    def test_steps_of_the_same_label_are_one_until_it_is_done(self):
        steps = Steps()
        assert steps.take(Step("Segment liver"))
        assert not steps.take(Step("Segment liver", share=0.5))
        assert steps.take(Step("Segment liver", seconds=2.0, share=1.0))
        assert steps.take(Step("Segment liver"))
        assert [s.seconds for s in steps.steps] == [2.0, None]
        steps.end()
        assert [s.seconds for s in steps.steps] == [2.0]

    def test_messages_keep_their_lines_and_lose_what_cannot_be_seen(self):
        assert clean_question(" a\x00b \n\n\u202e c ") == "ab\nc"
        assert clean_sentence(" a\nb\tc ") == "a b c"
