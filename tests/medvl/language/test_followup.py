"""What a message takes over from earlier turns."""

from __future__ import annotations

import pytest

from medvl.evaluation.question_set import history
from medvl.language.calls import Call, Clarify, Compare, Edit, Measure, Segment
from medvl.language.parse import parse


def talk(*turns: str) -> tuple[Call, ...]:
    """Requests of the last turn."""
    return parse(turns[-1], tuple(history(parse, turns[:-1])))


@pytest.mark.parametrize(("side", "other"), [("left", "right"), ("right", "left")])
@pytest.mark.parametrize("organ", ["kidney", "lung", "parotid"])
@pytest.mark.parametrize(
    "words", ["and the other one?", "the other {organ} please", "other side", "and the {other}?", "{other}?"]
)
def test_the_other_one_keeps_the_question(side, other, organ, words):
    (request,) = talk(f"volume of the {side} {organ}", words.format(organ=organ, other=other))
    assert (type(request), request.structures) in (
        (Measure, (f"{other}_{organ}",)),
        (Segment, (f"{other}_{organ}",)),  # "please" may ask for a mask
    )


@pytest.mark.parametrize("pointer", ["it", "that", "this organ"])
def test_pronoun_is_the_last_structure(pointer):
    assert talk("where is the spleen", f"segment {pointer}")[0].structures == ("spleen",)


def test_small_talk_between_is_skipped():
    assert talk("segment the heart", "thanks!", "what is its volume")[0].structures == ("heart",)


def test_both_are_the_last_two():
    assert talk("how big is the liver", "and the spleen?", "show both")[0].structures == ("liver", "spleen")


def test_comparison_takes_the_one_before():
    (request,) = talk("mean HU of the liver", "compare that with the spleen")
    assert (type(request), request.structures, request.attribute) == (Compare, ("liver", "spleen"), "mean_hu")


def test_relation_takes_the_one_before():
    (request,) = talk("segment the esophagus", "is it behind the trachea?")
    assert (request.structures, request.kind, request.claim) == (("esophagus", "trachea"), "front", "behind")


def test_choice_stays_open_until_the_scan_decides():
    (request,) = talk("show me the larger kidney", "what is its mean HU?")
    assert (request.structures, request.choose) == (("right_kidney", "left_kidney"), "larger")
    (request,) = talk("show me the larger kidney", "what is its mean HU?", "and the smaller one?")
    assert (request.attribute, request.choose) == ("mean_hu", "smaller")


def test_it_after_which_is_the_one_named_in_the_answer():
    (request,) = talk("which lung is smaller?", "segment it")
    assert (type(request), request.choose) == (Segment, "smaller")


def test_decided_choice_is_taken_from_the_history():
    """A caller may put what it chose in the history's place."""
    decided = Segment(("left_kidney",))
    assert parse("how big is it?", ((decided,),))[0].structures == ("left_kidney",)


def test_nothing_to_point_to_is_asked_back():
    (request,) = parse("how big is it?")
    assert request == Clarify()


def test_new_name_beats_the_history():
    assert talk("segment the left kidney", "how big is the liver?")[0].structures == ("liver",)


def test_side_of_an_unpaired_organ_is_a_claim_not_a_pointer():
    (request,) = talk("segment the left kidney", "is the heart on the right?")
    assert (request.structures, request.attribute, request.claim) == (("heart",), "position", "right")


def test_history_is_not_changed():
    before = (parse("segment the left kidney"),)
    copy = tuple(before)
    parse("and the other one?", before)
    assert before == copy


@pytest.mark.parametrize("edit", ["expand it by 5 mm", "keep only above 60 HU"])
def test_names_alone_after_an_edit_ask_for_masks(edit):
    for words in ("spleen and left kidney", "the spleen", "both kidneys"):
        assert {type(call) for call in talk("liver", edit, words)} == {Segment}
    (again,) = talk("liver", edit, "and the spleen?")
    assert (type(again), again.structures) == (Edit, ("spleen",))
    (fresh,) = talk("liver", edit, "undo", "and the spleen?")
    assert (type(fresh), fresh.structures) == (Segment, ("spleen",))
