"""Comparisons: sums, differences of what was last spoken of, pairs that the scan holds only in part."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.conversation.contract import Answer, Done
from medvl.conversation.conversation import Conversation
from medvl.language.calls import Compare, Finding, Rank
from medvl.language.parse import parse
from medvl.tools.pieces import MaskRef

from ...scenes import finder_of

THREE = {
    "liver": np.s_[5:15, 5:15, 5:15],  # 1000 voxels of 6 mm3
    "spleen": np.s_[20:25, 5:15, 5:15],
    "stomach": np.s_[30:34, 5:15, 5:15],
}


def turns(*texts: str):
    history: list = []
    for text in texts:
        history.append(parse(text, tuple(history)))
    return history[-1]


def answer(talk: Conversation, text: str) -> Answer:
    return next(piece.answer for piece in talk.ask(text) if isinstance(piece, Done))


@pytest.mark.parametrize(
    ("text", "one", "other"),
    [
        ("is the liver larger than the spleen and the stomach together?", ("liver",), ("spleen", "stomach")),
        ("how much bigger is the heart than both lungs combined", ("heart",), ("right_lung", "left_lung")),
        ("are both kidneys together bigger than the spleen", ("right_kidney", "left_kidney"), ("spleen",)),
        ("compare the sum of the kidneys with the spleen", ("right_kidney", "left_kidney"), ("spleen",)),
    ],
)
def test_a_sum_is_one_side(text, one, other):
    (request,) = parse(text)
    assert (type(request), request.structures, request.against) == (Compare, one, other)


def test_sums_are_computed():
    talk = Conversation(finder_of(THREE))
    told = answer(talk, "is the liver bigger than the spleen and the stomach together?").text
    assert told.startswith("Yes: the liver has 6.0 mL and the spleen and the stomach together 5.4 mL")
    assert "1.11 times that, a difference of 0.6 mL" in told
    assert answer(talk, "are the spleen and the stomach combined larger than the liver?").text.startswith("No: ")


@pytest.mark.parametrize(
    ("before", "text", "attribute"),
    [
        ("volume of the liver", "liver minus spleen?", "volume"),
        ("how big is the spleen", "what is the difference, liver minus spleen", "volume"),
        ("compare liver and spleen by size", "so liver minus spleen", "volume"),
        ("how long is the left kidney", "which kidney is longer", "extent"),
        ("which is brighter, the liver or the spleen", "and the heart versus the aorta?", "mean_hu"),
    ],
)
def test_what_was_spoken_of_last_is_compared(before, text, attribute):
    (request,) = turns(before, text)
    assert (type(request), request.attribute) == (Compare, attribute)


@pytest.mark.parametrize("before", ["mean HU of the liver", "hello"])
def test_liver_minus_spleen_is_else_the_attenuation(before):
    (request,) = turns(before, "liver minus spleen")
    assert (type(request), request.id) == (Finding, "liver_spleen_difference")


@pytest.mark.parametrize(
    ("before", "text", "which"),
    [
        ("which organ is the brightest", "and the darkest?", "darker"),
        ("list the three largest organs", "and the smallest", "smaller"),
        ("what is the smallest structure", "and the largest one?", "larger"),
    ],
)
def test_the_other_end_of_an_order(before, text, which):
    (request,) = turns(before, text)
    assert (type(request), request.which) == (Rank, which)
    assert len(request.structures) > 4


def test_more_big_is_bigger():
    (request,) = turns("volume of the kidneys", "which is more big?")
    assert (type(request), request.which) == (Compare, "larger")


def test_a_difference_is_told_in_its_unit_and_in_percent():
    told = answer(Conversation(finder_of(THREE)), "compare the liver with the spleen").text
    assert "6.0 mL against 3.0 mL, a difference of 3.0 mL (50% of the larger)" in told


# the right kidney ends at the upper border, with less in view than the left one
TIP = {"right_kidney": np.s_[25:31, 5:10, 24:30], "left_kidney": np.s_[5:11, 5:10, 8:20]}
# the right kidney is cut, and larger already
CUT_AND_LARGER = {"right_kidney": np.s_[25:35, 5:10, 10:30], "left_kidney": np.s_[5:11, 5:10, 8:20]}
BOTH_CUT = {"right_kidney": np.s_[25:31, 5:10, 10:30], "left_kidney": np.s_[5:11, 5:10, 24:30]}
NEARLY_WHOLE = {"right_kidney": np.s_[25:31, 5:10, 20:30], "left_kidney": np.s_[5:11, 5:10, 22:30]}


@pytest.mark.parametrize(
    "text",
    ["which kidney is larger?", "is the right kidney smaller than the left one", "compare the kidneys", "kidney ratio"],
)
@pytest.mark.parametrize("kidneys", [TIP, BOTH_CUT])
def test_a_tip_is_not_compared(text, kidneys):
    told = answer(Conversation(finder_of(kidneys)), text).text
    assert "only partly in the scan" in told
    assert "cannot be compared" in told or "it cannot" in told
    assert not told.startswith(("Yes", "No"))


def test_what_is_cut_but_mostly_there_is_compared_with_a_word_on_it():
    talk = Conversation(finder_of(NEARLY_WHOLE))
    told = answer(talk, "which kidney is larger?").text
    assert told.startswith("The right kidney is larger than the left kidney: at least")
    assert "the comparison holds only for what is in it" in told
    assert "this holds only for what is in it" in answer(talk, "segment the smaller kidney").text


def test_what_is_larger_already_is_larger():
    told = answer(Conversation(finder_of(CUT_AND_LARGER)), "which kidney is larger?").text
    assert told.startswith("The right kidney is larger than the left kidney: at least 6.0 mL against 2.2 mL")


@pytest.mark.parametrize(
    ("kidneys", "choice", "masks"),
    [(TIP, "larger", 1), (TIP, "smaller", 0), (BOTH_CUT, "smaller", 0), (CUT_AND_LARGER, "smaller", 1)],
)
def test_a_choice_falls_on_what_can_be_known(kidneys, choice, masks):
    pieces = list(Conversation(finder_of(kidneys)).ask(f"outline the {choice} kidney"))
    shown = [piece.mask.name for piece in pieces if isinstance(piece, MaskRef)]
    assert len(shown) == masks
    assert shown in ([], ["Left kidney"])
    assert ("only partly in the scan" in pieces[-1].answer.text) is (kidneys is not CUT_AND_LARGER)


def test_the_brighter_one_does_not_mind_the_border():
    finder = finder_of(TIP)
    finder.ct.hu[TIP["right_kidney"]] = 90
    assert answer(Conversation(finder), "segment the brighter kidney").text.startswith("The brighter one is the right")
