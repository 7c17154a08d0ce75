"""Structures held against values that a message names."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.conversation.contract import Done
from medvl.conversation.conversation import Conversation
from medvl.conversation.planners.against import against
from medvl.conversation.state import State, Turn
from medvl.language.calls import Finding, Measure

from ...scenes import finder_of

LIVER, SPLEEN = (slice(5, 15), slice(5, 15), slice(5, 15)), (slice(20, 25), slice(5, 15), slice(5, 15))


def talk() -> Conversation:
    """A liver of 6.0 mL, a fifth of it at 20 HU and the rest at 60, and a spleen of 3.0 mL at 50 HU."""
    hu = np.zeros((40, 36, 30), np.int16)
    hu[LIVER], hu[SPLEEN] = 60, 50
    hu[5:7, 5:15, 5:15] = 20
    return Conversation(finder_of({"liver": LIVER, "spleen": SPLEEN}, hu=hu))


def answer(conversation: Conversation, text: str) -> str:
    return next(piece.answer.text for piece in conversation.ask(text) if isinstance(piece, Done))


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("is the spleen more than a quarter litre?", Measure(("spleen",), than=250, than_is="more")),
        ("Is the aorta wider than 2.5 cm", Measure(("aorta",), "diameter", than=25, than_is="more")),
        ("is the liver denser than 40 HU", Measure(("liver",), "mean_hu", than=40, than_is="more")),
        ("are the kidneys smaller than 100 ml", Measure(("right_kidney", "left_kidney"), than=100, than_is="less")),
        ("what fraction of the liver is below 40 HU", Measure(("liver",), high_hu=40)),
        ("how much of the spleen is between 20 and 60 HU", Measure(("spleen",), low_hu=20, high_hu=60)),
    ],
)
def test_the_value_is_read(text, call):
    assert against(text, State()) == (call,)


@pytest.mark.parametrize(
    "text",
    [
        "is the liver above the kidney", "is the liver larger than the spleen", "grow the liver by more than 5 mm",
        "keep only above 150 HU of the liver", "how big is the liver", "is the prostate larger than 30 ml", "",
        "is there a nodule above 6 mm", "show the liver; is it more than 2 L?",
    ],
)  # fmt: skip
def test_other_messages_are_left_to_the_planners(text):
    assert against(text, State()) is None


def test_a_range_goes_on_and_air_in_lungs_is_the_published_sign():
    before = State([Turn("", (Measure(("liver",), low_hu=150),))])
    assert against("and under 0?", before) == (Measure(("liver",), high_hu=0),)
    assert against("is it more than a litre", before) == (Measure(("liver",), than=1000, than_is="more"),)
    (call,) = against("what percent of the lungs is below -950 HU", State())
    assert isinstance(call, Finding)
    assert call.id == "emphysema"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("is the liver more than 5 ml?", ["Yes: the liver has a volume of 6.0 mL, more than 5.0 mL"]),
        ("is the liver less than 5 ml?", ["No: the liver has a volume of 6.0 mL, more than 5.0 mL"]),
        ("is the spleen more than half a litre?", ["No: the spleen has a volume of 3.0 mL, less than 500 mL"]),
        ("is the spleen brighter than 40 HU?", ["Yes: the spleen has a mean of 50 HU, more than 40 HU"]),
        ("how much of the liver is below 40 HU?", ["1.2 mL of the liver is at 40 HU or below, 20% of it"]),
        ("what part of the spleen lies between 40 and 60 HU?", ["3.0 mL of the spleen", "100% of it"]),
    ],
)
def test_the_answer_says_yes_or_no_and_counts(text, told):
    said = answer(talk(), text)
    assert all(part in said for part in told), said


def test_what_is_cut_is_more_or_cannot_be_told():
    cut = (slice(5, 15), slice(5, 15), slice(20, 30))  # reaches the upper border
    conversation = Conversation(finder_of({"liver": cut}))
    assert "Yes: the liver has a volume of at least 6.0 mL" in answer(conversation, "is the liver more than 5 ml?")
    assert "cannot be told" in answer(conversation, "is the liver more than 8 ml?")
