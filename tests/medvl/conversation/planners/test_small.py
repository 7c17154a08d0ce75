"""The small planner: whatever its weights say, what comes out are calls, and no side is invented."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from medvl.conversation import planning
from medvl.conversation.planners import small
from medvl.conversation.planners.rules import RulesPlanner
from medvl.conversation.planners.sides import sides_hold
from medvl.conversation.planners.small import BundledPlanner, SmallPlanner, Sure
from medvl.conversation.planning import checked
from medvl.conversation.state import State, Turn
from medvl.language.calls import TOOLS, Changes, Finding, ListStructures, Measure, Probe, Refuse, Remove, Segment, Show
from medvl.language.encoding import prepare
from medvl.language.formulas import formula
from medvl.language.mentions import find
from medvl.language.normalise import words
from medvl.language.parse import SPELLER
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
    assert sum(plan is not None for plan in plans) > 0.05 * len(plans)
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
    prose = [message for message in messages if formula(SPELLER.mend(words(message))) is None]
    assert len(prose) > 0.9 * len(messages)
    assert all(made.plan(message, State()) is None for message in prose)


def test_what_came_after_its_training_is_left_to_the_rules():
    made = planner(sure=Sure(0, 0, 0, 1.1, 0))
    made.net.sizes["heads"]["edit.op"] = 9  # as a planner that was saved before there was more to do
    assert made.plan("grow the liver by 5 mm", State()) is None
    smooth = "smooth the liver by 5 mm"
    assert made._needed(smooth, State(), (), made._rules.plan(smooth, State())) < 1


def test_a_request_that_the_rules_understand_is_not_read_over():
    made = planner(sure=Sure(0, 0, 0, 1.1, 0))
    for message in ("grow the spleen by 4 mm and hide the liver", "how big is the spleen and hide the liver"):
        whole = made._rules.plan(message, State())
        assert made._needed(message, State(), whole, whole) == 0
        assert made._needed(message, State(), [c for c in whole if not isinstance(c, Show)], whole) > 1


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


def test_what_changed_asks_of_all_where_nothing_is_named():
    assert small._strays((), [Changes(("spleen",))], State())
    assert not small._strays(find(["has", "the", "spleen", "changed"]), [Changes(("spleen",))], State())
    assert not small._strays((), [Changes()], State())


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


def test_what_is_measured_of_one_after_the_other_is_one_request():
    one, other = Measure(("liver",)), Measure(("spleen",))
    assert small._joined([one], [other]) == [Measure(("liver", "spleen"))]
    assert small._joined([one], [Measure(("spleen",), "mean_hu")]) == [one, Measure(("spleen",), "mean_hu")]
    parts = [Measure(("aorta",), "diameter", part=part) for part in ("arch", "descending")]
    assert small._joined(parts[:1], parts[1:]) == parts


def test_a_request_that_names_nothing_is_on_what_the_one_before_it_named():
    colour = Show(action="colour", colour="red")
    assert small._on_the_same(colour, [Measure(("liver",))]) == Show(("liver",), action="colour", colour="red")
    assert small._on_the_same(colour, []) == colour
    hide_all = Show(action="hide")
    assert small._on_the_same(hide_all, [Measure(("liver",))]) == hide_all
    assert small._on_the_same(Measure(unknown=("prostate",)), [Measure(("liver",))]) == Measure(unknown=("prostate",))


def test_requests_of_the_rules_are_counted_by_what_was_asked():
    stones = (Finding(("gallbladder",), "gallstones"), Finding(("left_kidney",), "renal_stones"))
    assert small._understood("any stones", stones) == 1
    assert small._understood("the liver, how big", (Segment(("liver",)), Measure(("liver",)))) == 1
    assert small._understood("segment the liver, how big", (Segment(("liver",)), Measure(("liver",)))) == 2
    assert small._understood("x", (Measure(("liver",)), Refuse())) == 0


@pytest.fixture(scope="module")
def bundled() -> SmallPlanner:
    return SmallPlanner.load(small.FOLDER)


@pytest.mark.parametrize(
    ("message", "tools"),
    [
        (
            "Segment the liver and spleen, hide the spleen and go to the largest slice of the liver",
            ["segment", "show", "show"],
        ),
        ("Liver volume, spleen volume, and is there any ascites?", ["measure", "probe"]),
        ("paint the heart green and hide the lungs", ["show", "show"]),
        ("Measure the spleen craniocaudally. Is it enlarged?", ["measure", "finding"]),
        ("colour the right lung red, the left one blue", ["show", "show"]),
    ],
)
def test_no_request_of_a_message_is_lost(bundled, message, tools):
    state = State()
    calls = planning.plan((bundled, RulesPlanner()), message, state)[0]
    assert [call.tool for call in calls] == tools
    hidden = {id for call in calls if isinstance(call, Show) and call.action == "hide" for id in call.of}
    assert "liver" not in hidden
    assert sides_hold(message, calls)


@pytest.mark.parametrize("message", ["list again", "any focal liver lesions?", "remove the second"])
def test_nothing_is_deleted_and_no_place_dropped_that_was_not_said(bundled, message):
    for call in bundled.plan(message, State([Turn("list all masks", (ListStructures("made"),))])) or ():
        assert not (isinstance(call, Remove) and not call.of)
        assert not (isinstance(call, Probe) and not call.of)
