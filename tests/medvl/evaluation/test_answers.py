"""Answers are judged by the labels: right ones pass, and each kind of wrong one is caught."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medvl.conversation.contract import Answer, Sentence
from medvl.conversation.guard import numbers
from medvl.evaluation.answers import expected_yes, judge, remeasured, score_answers, stated
from medvl.evaluation.cases import abdomen_as_structures
from medvl.evaluation.question_facts import reference_value
from medvl.evaluation.question_set import Question, load_questions
from medvl.language.calls import Compare, Measure, Presence, Refuse, Relate
from medvl.tools.fact import Fact


@pytest.fixture(scope="module")
def case():
    return abdomen_as_structures()


def ask(text, *checks, expect=None, **more):
    expect = expect or Measure(("liver",))
    return Question("q", "ts_abdomen", "dev", text, (expect,), checks=checks, **more)


def say(text):
    return Answer((), (Sentence(text, "measured"),))


@pytest.mark.parametrize(
    ("value", "unit", "text", "right"),
    [
        (1125.684, "mL", "1,126 mL", True),
        (1125.684, "mL", "1,125 mL", False),
        (1125.684, "mL", "1.1 L", True),
        (1125.684, "mL", "1.2 L", False),
        (1125.684, "mL", "1,126 HU", False),
        (-12.4, "HU", "-12 HU", True),
        (-12.4, "HU", "12 HU", False),
        (0.02, "mL", "less than 0.1 mL", True),
    ],
)
def test_numbers_are_right_when_rounded_as_shown(value, unit, text, right):
    assert stated(value, unit, numbers(text)) is right


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        ({"fact": "volume_ml", "structure": "left_kidney"}, "It has 137 mL.", "It has 193 mL."),
        ({"fact": "present", "structure": "heart"}, "No: I looked for the heart and did not find it in this scan.",
         "Yes: the heart is in this scan."),
        ({"fact": "larger", "structures": ["left_kidney", "right_kidney"]},
         "The left kidney is smaller than the right kidney.", "The left kidney is larger than the right kidney."),
        ({"fact": "smaller", "structures": ["left_kidney", "right_kidney"]},
         "The right kidney is larger than the left kidney.", "The right kidney is smaller than the left kidney."),
        ({"fact": "above", "structures": ["urinary_bladder", "stomach"]},
         "The stomach lies above the urinary bladder.", "The urinary bladder lies above the stomach."),
        ({"fact": "side", "structures": ["spleen", "liver"]}, "The spleen lies to the left of the liver.",
         "The spleen lies to the right of the liver."),
        ({"fact": "touching", "structures": ["gallbladder", "liver"]}, "The gallbladder and the liver touch.",
         "The gallbladder and the liver do not touch."),
    ],
)  # fmt: skip
def test_closed_answers(case, check, right, wrong):
    question = ask("?", check)
    assert [v.right for v in judge(question, say(right), case)] == [True]
    assert [v.right for v in judge(question, say(wrong), case)] == [False]
    assert [v.right for v in judge(question, say("I cannot tell."), case)] == [False]


@pytest.mark.parametrize(
    ("text", "request_", "yes"),
    [
        ("Is there a spleen?", Presence(("spleen",)), True),
        ("Is the spleen absent?", Presence(("spleen",)), False),
        ("Is the heart missing?", Presence(("heart",)), True),
        ("Is the whole spleen in view?", Presence(("spleen",)), None),
        ("Is the mandible there?", Presence(("mandible",)), None),
        ("Is the liver larger than the spleen?", Compare(("liver", "spleen"), "volume", claim="larger"),
         True),
        ("Is the liver smaller?", Compare(("liver", "spleen"), "volume", claim="smaller"), False),
        ("Is the spleen left of it?", Relate(("spleen", "liver"), "side", claim="left"),
         True),
        ("Is the bladder above it?", Relate(("urinary_bladder", "liver"), "above", claim="above"), False),
        ("Which is larger?", Compare(("liver", "spleen"), "volume"), None),
    ],
)  # fmt: skip
def test_yes_or_no(case, text, request_, yes):
    assert expected_yes(ask(text, expect=request_), case) is yes


def test_facts_measured_again(case):
    volume = reference_value({"fact": "volume_ml", "structure": "liver"}, case)
    first = reference_value({"fact": "slice_range", "structure": "liver"}, case)[0]
    assert remeasured(Fact("volume_ml", volume, "mL", ("liver",)), case) is True
    assert remeasured(Fact("volume_ml", volume + 1, "mL", ("liver",)), case) is False
    assert remeasured(Fact("first_slice", first, "", ("liver",)), case) is True
    assert remeasured(Fact("first_slice", first + 1, "", ("liver",)), case) is False
    assert remeasured(Fact("contrast", "venous"), case) is None


def test_the_bundled_scan_is_answered_truly(case):
    questions = [q for q in load_questions("dev", "ts_abdomen") if q.checks][:12]
    score = score_answers(questions, [case])["dev"]
    assert score.answers == 12
    assert score.closed["number"] == (score.closed["number"][1],) * 2
    assert score.faithful[0] == score.faithful[1] > 0
    assert score.facts[0] == score.facts[1] > 0


def test_refusals_and_sides_are_counted(case):
    refuse = ask("what should I take for it?", expect=Refuse(reason="treatment"))
    wrongly = ask("what should I take for it?", outcome="found")
    side = ask("volume of the left kidney", expect=Measure(("right_kidney",)), outcome="found")
    score = score_answers([refuse, wrongly, replace(side, id="s")], [case])["dev"]
    assert score.refused == (1, 1)
    assert score.refused_wrongly == 1
    assert score.wrong_side == 1
    assert len(score.failures) == 2
