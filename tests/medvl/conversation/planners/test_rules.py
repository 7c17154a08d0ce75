"""Descriptions and contents: what makes a thing is described by it; how much of it there is asks its holder."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from medvl.conversation.planners.rules import RulesPlanner
from medvl.conversation.state import State, Turn
from medvl.evaluation.text import REFERRING
from medvl.language.calls import Finding, Probe

DESCRIBED = [
    (entry["text"], entry["structure"])
    for entry in json.loads((resources.files("medvl.evaluation") / "questions" / REFERRING).read_text("utf-8"))
    if "structure" in entry
]


def test_every_description_of_the_evaluation_is_that_of_one_structure():
    planner = RulesPlanner()
    said = {text: [call.structures for call in planner.plan(text, State())] for text, _ in DESCRIBED}
    assert said == {text: [(structure,)] for text, structure in DESCRIBED}


@pytest.mark.parametrize(
    ("text", "holder"),
    [("how much urine is there?", "urinary_bladder"), ("how many ml of bile", "gallbladder")],
)
def test_an_amount_of_contents_is_that_of_their_holder(text, holder):
    (call,) = RulesPlanner().plan(text, State())
    assert (call.tool, call.structures, call.what) == ("measure", (holder,), "volume")


@pytest.mark.parametrize("call", [Probe(("liver",), what="dark", where="inside"), Finding(id="renal_stones")])
@pytest.mark.parametrize("text", ["show me the biggest one", "the largest?", "go to the first one", "where are they"])
def test_of_nothing_seen_none_is_pointed_at(call, text):
    """The look answers again that it saw none; an organ that was looked into is not taken for it."""
    assert RulesPlanner().plan(text, State([Turn("any?", (call,))])) == (call,)
    seen = State([Turn("any?", (call,), spots=("m1",))])
    assert RulesPlanner().plan(text, seen) != (call,)


def test_a_message_that_names_something_is_no_pointer_at_what_was_not_seen():
    state = State([Turn("any?", (Probe(("liver",), where="inside"),))])
    (call,) = RulesPlanner().plan("show me the spleen", state)
    assert (call.tool, call.of) == ("segment", ("spleen",))


LUNGS = ("right_lung", "left_lung")


@pytest.mark.parametrize(
    ("text", "tools"),
    [
        ("Liver volume, spleen volume, and is there any ascites?", ["measure", "probe"]),
        ("Any pulmonary nodules? Effusion? Pneumothorax?", ["probe", "finding", "probe"]),
        ("is there pleural effusion or ascites", ["finding", "probe"]),
        ("volume of the liver and any lesions in it", ["measure", "probe"]),
        ("ascending aorta diameter, descending aorta diameter and calcifications", ["measure", "measure", "finding"]),
        ("how big is the heart and is it too big", ["measure", "finding"]),
        ("segment the left kidney, then grow it by half a centimetre", ["segment", "edit"]),
        ("lung bases, any nodules", ["probe"]),
        ("does it spot tumors? check the liver", ["probe"]),
        ("Is the stomach full of food or air?", ["probe"]),
        ("Pleural effusion? How much fluid?", ["finding"]),
    ],
)
def test_each_request_of_a_message_is_one(text, tools):
    assert [call.tool for call in RulesPlanner().plan(text, State())] == tools


def test_a_look_in_it_is_where_the_part_before_named():
    calls = RulesPlanner().plan("volume of the liver, any lesions in it?", State())
    assert calls[-1] == Probe(("liver",), where="inside")
