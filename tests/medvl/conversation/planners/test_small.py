"""The small planner: whatever its weights say, what comes out are calls, and no side is invented."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from medvl.conversation.planners import small
from medvl.conversation.planners.sides import sides_hold
from medvl.conversation.planners.small import BundledPlanner, SmallPlanner, Sure
from medvl.conversation.planning import checked
from medvl.conversation.state import State, Turn
from medvl.language.calls import TOOLS, Measure, Probe, Show
from medvl.language.encoding import prepare
from medvl.language.mentions import find
from medvl.training.talk.corpus import generated

from ...small_planner import VOCABULARY, network, planner

HOSTILE = [
    "", " ", "?" * 500, "\u0000\u0007", "left " * 3000, "肝" * 3000, "[CLS] [SEP] [unused1] liver", "\u202eliver",
    '{"tool": "remove"}', "a" * 50_000, "\n\n\n", "и почка", "[unused1]", "of of of of, and and; . . .",
]  # fmt: skip


@pytest.fixture(scope="module")
def messages():
    return [example.text for example in generated(seed=5, per_template=1)][::11]


@pytest.mark.parametrize("seed", range(4))
def test_calls_of_any_weights_are_calls_and_keep_sides(seed, messages):
    made = planner(seed, Sure(0, 0, 0, 0, 0))
    before = (Measure(("left_kidney",)),)
    state = State([Turn("how big is the left kidney", before)], crosshair=(1, 2, 3))
    plans = [made.plan(message, state) for message in messages]
    assert sum(plan is not None for plan in plans) > 0.1 * len(plans)
    for message, plan in zip(messages, plans, strict=True):
        if plan is not None:
            checked(plan)
            assert sides_hold(message, plan, before)


@pytest.mark.parametrize("message", HOSTILE)
def test_any_text_comes_through(message):
    made = planner()
    assert made.plan(message, State()) == made.plan(message, State())


def test_what_it_is_not_sure_of_is_left_to_the_next(messages):
    made = planner(sure=Sure(2, 2, 2, 2, 2))
    assert all(made.plan(message, State()) is None for message in messages)


def test_what_came_after_its_training_is_left_to_the_rules():
    made = planner(sure=Sure(0, 0, 0, 1.1, 0))
    made.net.sizes["heads"]["edit.op"] = 9  # as a planner that was saved before there was more to do
    assert made.plan("grow the liver by 5 mm", State()) is None
    assert made._needed("smooth the liver by 5 mm", State(), ()) < 1


def test_a_request_that_the_rules_understand_is_not_read_over():
    made = planner(sure=Sure(0, 0, 0, 1.1, 0))
    for message in ("grow the spleen by 4 mm and hide the liver", "how big is the spleen and hide the liver"):
        whole = made._rules.plan(message, State())
        assert made._needed(message, State(), whole) == 0
        assert made._needed(message, State(), [c for c in whole if not isinstance(c, Show)]) > 1


@pytest.mark.parametrize(
    ("text", "begins", "parts"),
    [
        ("show the liver , then hide it", {3, 4, 5}, ["show the liver , then", "hide it"]),
        ("show the liver and spleen", {3}, ["show the liver", "and spleen"]),
        ("show the liver and spleen", set(), ["show the liver and spleen"]),
        ("liver , spleen , heart", {2, 4}, ["liver ,", "spleen ,", "heart"]),
    ],
)
def test_a_message_is_cut_where_calls_begin_and_joints_are_no_part(text, begins, parts):
    made = planner()
    prepared = prepare(text.split())
    said, place = made._said(prepared)
    logits = torch.full_like(said.starts, -9.0)
    for token, word in enumerate(prepared.begins, start=prepared.own):
        if word in begins:
            logits[0, place[token]] = 9.0
    spans = made._spans(prepared, replace(said, starts=logits), place)
    assert [" ".join(text.split()[s.start : s.stop]) for s in spans] == parts


def test_a_tool_that_came_after_its_training_is_the_rules():
    made = planner(sure=Sure(0, 0, 0, 0, 0))
    made.net.sizes["heads"]["tool"] = list(TOOLS).index("changes")
    assert made.plan("compare the liver with last time", State()) is None


def test_a_plan_is_no_surer_than_its_doubt_whether_a_further_call_begins():
    made = planner()
    prepared = prepare(["show", "the", "liver", "and", "spleen"])
    said, place = made._said(prepared)
    sure = [
        made._surely_cut(prepared, replace(said, starts=torch.full_like(said.starts, made.sure.cut + far)), place)
        for far in (-9.0, -0.1, 0.1, 9.0)
    ]
    assert min(sure[0], sure[3]) > 0.99
    assert max(sure[1], sure[2]) < 0.6


def test_nothing_is_pointed_to_that_is_not_there():
    assert not small._can_point([Probe(("crosshair",), where="at")], State())
    assert small._can_point([Probe(("crosshair",), where="at")], State(crosshair=(0, 0, 0)))
    assert not small._can_point([Measure(("clicked",))], State())
    assert not small._can_point([Measure(("it",))], State())
    assert not small._can_point([Measure(("f7",))], State([Turn("x", (Measure(("liver",)),))]))


def test_what_was_found_is_not_the_organ_that_was_searched():
    searched = State([Turn("any lesions in the liver", (Probe(("liver",), where="inside"),))])
    assert small._strays((), [Measure(("liver",))], searched)
    assert not small._strays((), [Measure(("it",))], searched)
    assert not small._strays(find(["the", "liver"]), [Measure(("liver",))], searched)
    assert not small._strays((), [Measure(("liver",))], State([Turn("liver", (Measure(("liver",)),))]))


def test_a_message_of_several_names_is_about_these():
    said = find(["right", "kidney", "versus", "left", "kidney"])
    assert small._strays(said, [Measure(("right_kidney", "left_kidney", "liver"))], State())
    assert not small._strays(said, [Measure(("right_kidney", "left_kidney"))], State())


def test_a_name_of_no_structure_is_not_dropped():
    said = find(["segment", "the", "bladder", "and", "the", "uterus"])
    assert small._forgets(said, [Measure(("urinary_bladder",))])
    assert not small._forgets(said, [Measure(("urinary_bladder",), unknown=("uterus",))])


def test_the_bundled_one_is_read_with_the_first_message_and_may_be_missing(tmp_path, caplog):
    missing = BundledPlanner(tmp_path / "none")
    assert missing.plan("how big is the liver", State()) is None
    assert "rules alone" in caplog.text
    network(1).save(tmp_path / "there", VOCABULARY)
    read = small._read_once.cache_info().currsize
    there = BundledPlanner(tmp_path / "there")
    assert small._read_once.cache_info().currsize == read
    there.plan("how big is the liver", State())
    assert isinstance(small._read_once(tmp_path / "there"), SmallPlanner)
