"""A plan keeps the sides that were said."""

from __future__ import annotations

import itertools

import pytest

from medvl.conversation.planners.sides import sides_hold
from medvl.language.calls import Compare, Measure, Neighbours, Probe, ReadImage, Segment
from medvl.vocabulary.names import STRUCTURES, counterpart, name, on_side, paired_groups

PAIRED = [structure.id for structure in STRUCTURES.values() if structure.paired]


@pytest.mark.parametrize("id", PAIRED)
def test_the_side_said_and_no_other(id):
    message = f"how big is the {name(id)}"
    assert sides_hold(message, [Measure((id,))])
    assert not sides_hold(message, [Measure((counterpart(id),))])
    assert not sides_hold(message, [Measure(("liver",))])  # the side is dropped


@pytest.mark.parametrize("group", paired_groups())
def test_no_side_is_invented(group):
    for side in ("left", "right"):
        assert (
            not sides_hold(f"how big are the {name(group)}", [Measure((on_side(group, side),))])
            or not STRUCTURES[on_side(group, side)].paired
        )


def test_sides_of_earlier_turns_stay_unless_another_is_said():
    before = [Measure(("left_kidney",))]
    assert sides_hold("and its density?", [Measure(("left_kidney",), what="mean_hu")], before)
    assert not sides_hold("and its density?", [Measure(("right_kidney",), what="mean_hu")], before)
    assert sides_hold("and the other one?", [Measure(("right_kidney",))], before)
    assert sides_hold("no, the right", [Measure(("right_kidney",))], before)
    assert not sides_hold("no, the right", [Measure(("left_kidney",))], before)


def test_both_of_a_pair_need_no_side_and_a_side_may_stand_in_another_field():
    both = ("left_kidney", "right_kidney")
    assert sides_hold("which kidney is larger", [Compare(both, which="larger")])
    assert sides_hold("what is left of the liver", [Neighbours(("liver",), side="left")])
    assert sides_hold("is the liver on the right?", [Measure(("liver",), what="position", claim="right")])
    assert not sides_hold("is the liver on the right?", [Measure(("liver",), what="position", claim="left")])


def test_a_question_to_the_picture_carries_its_own_words():
    assert sides_hold("is the left ureter dilated", [ReadImage(question="is the left ureter dilated")])


@pytest.mark.parametrize(
    ("message", "id"),
    [("Zyste in der linken Niere?", "left_kidney"), ("riñón derecho", "right_kidney"), ("右肺有结节吗", "right_lung"),
     ("kyste dans le rein gauche ?", "left_kidney"), ("RK cyst", "right_kidney")],
)  # fmt: skip
def test_sides_in_other_languages_and_short_forms(message, id):
    assert sides_hold(message, [Probe((id,), where="inside")])
    assert not sides_hold(message, [Probe((counterpart(id),), where="inside")])


def test_two_sides_said_need_both():
    said = "left kidney and right lung"
    for ids in itertools.product(("left_kidney", "right_kidney"), ("left_lung", "right_lung")):
        assert sides_hold(said, [Segment(ids)]) is (ids == ("left_kidney", "right_lung"))


def test_the_other_one_is_not_the_same_one():
    left, right = Measure(("left_kidney",)), Measure(("right_kidney",))
    for before in ([left], [right, left], [right, Probe(), left]):
        assert sides_hold("and what is behind the other kidney", [Neighbours(("right_kidney",))], before)
        assert not sides_hold("and what is behind the other kidney", [Neighbours(("left_kidney",))], before)
        assert sides_hold("and its density", [left], before)
    both = [Measure(("left_kidney", "right_kidney"))]
    assert not sides_hold("and its density", [left], both)  # which of the two, only an answer tells
    assert sides_hold("and their density", both, both)
