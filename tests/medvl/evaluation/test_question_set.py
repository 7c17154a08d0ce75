"""The question set is sound, and the parser understands it."""

from __future__ import annotations

import json

import pytest

from medvl.evaluation.question_facts import FACTS
from medvl.evaluation.question_set import load_questions, same, score, swapped
from medvl.language.calls import (
    TOOLS,
    Between,
    Changes,
    Clarify,
    Lookup,
    Probe,
    ReadImage,
    Refuse,
    Relate,
    Segment,
    Share,
    Total,
)
from medvl.language.calls.schema import from_dict, to_dict
from medvl.language.parse import parse
from medvl.vocabulary.names import STRUCTURES

QUESTIONS = load_questions()


def test_size_cases_and_parts():
    assert len(QUESTIONS) >= 300
    assert len({q.case for q in QUESTIONS}) >= 6
    assert len({q.id for q in QUESTIONS}) == len(QUESTIONS)
    assert 0.25 < len(load_questions("test")) / len(QUESTIONS) < 0.45
    assert len({(q.previous, q.text.lower()) for q in QUESTIONS}) > 0.97 * len(QUESTIONS)


def test_every_intent_is_asked_for():
    beyond = {Probe, ReadImage}  # what the rules do not call
    beyond |= {Changes}  # of two scans
    beyond |= {Total, Share, Between, Clarify}  # what the entries do not tell from measuring, comparing, refusing
    assert {type(r) for q in QUESTIONS for r in q.expect} == set(TOOLS.values()) - beyond


def test_every_name_and_fact_exists():
    for q in QUESTIONS:
        for r in q.expect:
            assert set(r.structures) <= set(STRUCTURES), q.id
            if not isinstance(r, Lookup):  # one entry expects a topic that there is no text on
                assert from_dict(to_dict(r)) == r, q.id
        for check in q.checks:
            assert check["fact"] in FACTS, q.id


def test_outcomes_follow_the_labels(shared_cases):
    """Found, absent and unlabelled are what the labels say."""
    cases = {entry["id"]: entry for entry in json.loads(shared_cases.read_text())}
    for q in QUESTIONS:
        labels = set(cases[q.case]["label_names"].values()) | {"body"}
        complete = set(cases[q.case]["complete"])
        wanted = {id for r in q.expect for id in r.structures}
        if q.outcome == "found":
            assert wanted <= labels, q.id
        if q.outcome == "absent":
            assert wanted <= complete - labels, q.id


@pytest.mark.parametrize("part", ["dev", "test"])
def test_parser_reaches_its_goals(part):
    result = score(parse, load_questions(part))[part]
    assert result.understood >= 0.95 * result.questions
    assert result.refusals[1] >= 0.95 * result.refusals[0]
    assert result.swapped == 0


def test_a_parser_that_swaps_sides_is_caught():
    def swapping(text, history):
        swap = {"left": "right", "right": "left"}
        return parse(" ".join(swap.get(word, word) for word in text.split()), history)

    assert score(swapping, load_questions())["dev"].swapped > 20


def test_a_parser_that_refuses_all_is_caught():
    result = score(lambda text, history: (Refuse(reason="diagnosis"),), load_questions("dev"))["dev"]
    assert result.refusals[0] == result.refusals[1]
    assert result.false_refusals > 0.85 * result.questions
    assert result.understood < 0.15 * result.questions


def test_order_counts_in_relations_only():
    one, two = ("liver", "spleen"), ("spleen", "liver")
    assert same([Segment(one)], [Segment(two)])
    assert not same([Relate(one, "side")], [Relate(two, "side")])


def test_swapped_needs_the_asked_side_to_be_missing():
    left, right = (Segment((f"{s}_kidney",)) for s in ("left", "right"))
    assert swapped([left], [right])
    assert not swapped([left], [left])
    assert not swapped([left], [Segment(("left_kidney", "right_kidney"))])


def test_answerer_is_asked_where_there_are_checks():
    asked = []
    result = score(parse, load_questions("dev"), lambda question, before: not asked.append(question.id))["dev"]
    assert result.answered == (len(asked), len(asked))
    assert len(asked) == sum(bool(q.checks) for q in load_questions("dev"))
