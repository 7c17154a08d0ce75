"""What the page keeps of a case: whole when it is its own, and harmless when it is a stranger's."""

from __future__ import annotations

import pytest

from app.case_page import from_page, read_view, to_page
from app.case_session import CaseSession
from app.chat import ShownSentence
from medvl.ct.lengths import Length
from medvl.ct.prompts import Point

from ..app.stand_in import StandInModel
from ..phantoms import phantom

BAD_TURN = {
    "question": "b",
    "state": "done",
    "steps": [{"seconds": "x"}],
    "sentences": [{"text": "<b>", "source": "evil"}],
    "masks": {"m1": ["n", "url(x)"]},
}


@pytest.fixture
def session(opened):
    session = opened.store.get("a")
    list(opened.prompt("a", {"kind": "point", "ijk": list(phantom((48, 44, 40), noise=0).centre("liver"))}))
    return session


def fresh(session):
    new = CaseSession(session.ct, StandInModel().open(session.ct), "x")
    for mask in session.case.masks.values():
        new.case.masks.restore(mask)
    return new


def test_looks_lengths_and_words_come_back(session):
    (mask_id,) = session.case.masks
    session.styles[mask_id] = {"visible": False, "opacity": 0.5}
    session.unasked.add(mask_id)
    turn = session.chat.begin("How big is\nthe liver?")
    turn.sentences = [ShownSentence("It has 3 mL.", "measured", (mask_id,))]
    turn.masks[mask_id] = ("Liver", "#ff6b6b")
    turn.end("done")
    view = {"ijk": [1, 2, 3], "window": {"level": 40, "width": 400}, "only": "coronal", "zooms": {"axial": [2, 5, -3]}}
    page = to_page(session, view, [Length("axial", 4, (1.0, 2.0, 4.0), (9.5, 3.0, 4.0))])
    new = fresh(session)
    from_page(new, page)
    assert to_page(new, view, []) | {"title": "Phantom", "sample": "phantom", "lengths": page["lengths"]} == page
    shown = new.board._view
    assert shown["view"] == view
    assert shown["lengths"] == page["lengths"]
    assert new.chat.begin("next").id == 2


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"styles": 3, "chat": {"a": 1}, "lengths": "x", "view": [1], "edits": None, "unasked": 4, "active": ["m1"]},
        {"styles": {"m1": {"visible": "yes", "opacity": 7}, "m99": {"visible": False}}},
        {"chat": [3, {"question": 3}, {"question": "a", "state": "running"}, BAD_TURN]},
        {"lengths": [{"plane": "axial", "slice": 400, "ends": [[0, 0, 400], [1, 1, 400]]}, {"ends": "x"}, 7]},
        {"view": {"ijk": [1e9, -4, float("nan")], "window": {"level": 1, "width": -3}, "only": "x"}},
        {"view": {"zooms": {"axial": [99, 0, 0], "y": [1, 0, 0], "coronal": [1, "a", 0]}}},
    ],
)  # fmt: skip
def test_what_is_none_is_left_out(session, page):
    new = fresh(session)
    from_page(new, page)
    assert new.styles.get("m1", {}).get("visible", True) is True
    assert new.board._view["lengths"] == []
    assert new.board._view["view"] == {}
    assert all(turn.sentences == [] and turn.masks == {} for turn in new.chat.turns)


def test_a_view_is_held_in_the_scan():
    assert read_view({"ijk": [-5, 900, 2.0]}, (10, 10, 10)) == {"ijk": [0, 9, 2]}


def test_prompts_survive_the_file(session, opened, tmp_path):
    (mask_id,) = session.case.masks
    session.case.save(tmp_path / "a.medvl.zip")
    case = StandInModel().open(session.ct)
    from medvl.readers.case_zip import read_case

    case.restore(read_case(tmp_path / "a.medvl.zip"))
    assert isinstance(case.prompts(mask_id)[0], Point)
    assert case.prompts(mask_id) == session.case.prompts(mask_id)
