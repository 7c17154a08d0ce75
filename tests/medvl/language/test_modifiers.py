"""Units and places after the point that a person asks for are those of the answer, and each number stays its fact."""

from __future__ import annotations

import pytest

from medvl.conversation import guard
from medvl.conversation.contract import Done, Sentence
from medvl.conversation.conversation import Conversation
from medvl.conversation.writing.sentences import styled
from medvl.language.calls import Measure
from medvl.language.modifiers import wish
from medvl.language.parse import parse
from medvl.tools.fact import Fact

from ..scenes import sample


@pytest.mark.parametrize(
    ("text", "unit", "decimals", "rest"),
    [
        ("how wide is the aorta in cm", "cm", None, "how wide is the aorta"),
        ("liver volume in liters with two decimals", "L", 2, "liver volume in liters"),
        ("spleen volume in cc", "cc", None, "spleen volume in cc"),
        ("length of the spleen , rounded to one decimal", "", 1, "length of the spleen"),
        ("volumes of the kidneys in a table", "", None, "volumes of the kidneys"),
        ("is the liver in the scan", "", None, "is the liver in the scan"),
    ],
)
def test_what_is_wished_is_taken_out_of_the_message(text, unit, decimals, rest):
    asked = wish(text.split())
    assert (asked.unit, asked.decimals, " ".join(asked.words)) == (unit, decimals, rest)


def test_a_length_is_no_volume():
    (request,) = parse("how big is the spleen in cm")
    assert (type(request), request.attribute, request.unit) == (Measure, "extent", "cm")
    (request,) = parse("spleen volume in cm")
    assert request.attribute == "volume"


def test_a_unit_alone_asks_the_last_question_again():
    history = [parse("aorta width")]
    (request,) = parse("no, i meant in cm", history)
    assert (request.structures, request.attribute, request.unit) == (("aorta",), "diameter", "cm")
    (request,) = parse("and in litres?", [parse("segment the liver")])
    assert (request.structures, request.attribute, request.unit) == (("liver",), "volume", "L")


@pytest.mark.parametrize(
    ("value", "unit", "text", "asked", "told"),
    [
        (28.94, "mm", "28.9 mm", Measure(unit="cm"), "2.9 cm"),
        (1512.4, "mL", "1,512 mL", Measure(unit="L"), "1.51 L"),
        (1512.4, "mL", "1,512 mL", Measure(unit="cc"), "1,512 cc"),
        (1512.4, "mL", "1,512 mL", Measure(decimals=1), "1,512.4 mL"),
        (28.94, "mm", "28.9 mm", Measure(), "28.9 mm"),
    ],
)
def test_values_are_rewritten_from_their_facts(value, unit, text, asked, told):
    sentence = Sentence(f"It has {text}, above 30 mm.", "measured", (), (Fact("x", value, unit, reference="30 mm"),))
    again = styled(sentence, asked)
    assert told in again.text
    assert "30 mm" in again.text  # a threshold is no fact and stays as it was published
    assert guard.holds(again)


def test_the_answer_is_in_the_unit():
    talk = Conversation(sample())
    for question, unit in (("left kidney length in cm", " cm"), ("liver volume in litres", " L"), ("in mm", " mm")):
        answer = next(piece.answer for piece in talk.ask(question) if isinstance(piece, Done))
        assert unit in answer.text, answer.text
        assert all(map(guard.holds, answer.sentences))
