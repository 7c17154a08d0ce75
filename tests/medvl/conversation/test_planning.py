"""Planners in a row, references out of the state, and messages that only point back."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.conversation import planning
from medvl.conversation.contract import Done
from medvl.conversation.conversation import Conversation
from medvl.conversation.planners import following
from medvl.conversation.planners.rules import RulesPlanner
from medvl.conversation.references import resolved
from medvl.conversation.state import Question, State, Turn
from medvl.ct.mask_list import MaskList
from medvl.ct.masks import Mask
from medvl.errors import CallError
from medvl.language.calls import Clarify, Compare, Finding, Measure, Probe, Rank, ReadImage, Refuse, Segment, Show
from medvl.tools.fact import Fact

from ..scenes import sample


class Planned:
    """A planner that does one thing."""

    def __init__(self, name, does):
        self.name, self._does = name, does

    def plan(self, message, state, cancel=None):
        return self._does()


def broken():
    raise CallError("no such tool")


def block(id: str, size: int) -> Mask:
    array = np.zeros((20, 20, 20), bool)
    array[:size, :size, :size] = True
    return Mask.from_array(array, id=id, name=f"Dark area {id}")


def told(*calls, facts=(), spots=(), question=None) -> Turn:
    return Turn("x", calls, tuple(facts), spots, spots, None, question)


@pytest.fixture
def state() -> State:
    masks = {id: block(id, n) for id, n in (("m1", 3), ("m2", 5), ("m3", 4))}
    return State([told(Probe(("liver",), where="inside"), spots=tuple(masks))], masks)


def test_a_plan_that_cannot_be_run_falls_to_the_next_planner():
    good = Measure(("spleen",))
    row = [
        Planned("silent", lambda: None),
        Planned("broken", broken),
        Planned("unknown", lambda: [Measure(("no_such_organ",))]),
        Planned("no call", lambda: ["measure"]),
        Planned("good", lambda: [good]),
        Planned("late", lambda: [Segment(("liver",))]),
    ]
    assert planning.plan(row, "x", State()) == ((good,), "good", ("silent", "broken", "unknown", "no call"))
    assert planning.plan(row[:2], "x", State())[0] == ()


def test_which_planner_understood_is_a_step():
    talk = Conversation(sample(), planners=[Planned("network", broken)])
    pieces = list(talk.ask("how big is the spleen?"))
    step = next(p for p in pieces if getattr(p, "label", "") == "Understand the message")
    assert step.outcome == "by rules; network had no plan"
    assert isinstance(pieces[-1], Done)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("show them", Show(("m1", "m2", "m3"), action="show")),
        ("hide them", Show(("m1", "m2", "m3"), action="hide")),
        ("which is the biggest of them?", Rank(("m1", "m2", "m3"), which="larger")),
        ("the darkest one", Rank(("m1", "m2", "m3"), by="mean_hu", which="darker")),
        ("measure the second one", Measure(("m2",))),
        ("how big is the last one?", Measure(("m3",))),
        ("go to the third", Show(("m3",), action="centre")),
    ],
)
def test_spots_are_pointed_at(state, message, call):
    assert following.follows(message, state) == (call,)


@pytest.mark.parametrize(
    "message", ["show the spleen", "how big is the liver?", "hello", "what is a cyst", "undo that"]
)
def test_what_names_something_of_its_own_is_left_to_the_rules(state, message):
    assert following.pointed(message, state) is None


def test_what_is_this_is_asked_of_what_is_pointed_at(state):
    assert following.pointed("what is this?", state) is None
    state.crosshair = (1, 2, 3)
    assert following.pointed("what is this?", state) == (Probe(("crosshair",), where="at"),)
    state.clicked = "m2"
    assert following.pointed("what is this?", state) == (Probe(("clicked",), where="at"),)


def test_references_come_out_of_the_state(state):
    state.turns += [
        told(Measure(("left_kidney",)), facts=[Fact("volume_ml", 150.0, "mL", ("left_kidney",), id="f1")]),
    ]
    assert resolved(Measure(("it",)), state).of == ("left_kidney",)
    assert resolved(Measure(("other",)), state).of == ("right_kidney",)
    assert resolved(Measure(("f1",)), state).of == ("left_kidney",)
    assert resolved(Show(("f1",)), state).of == ("f1",)
    state.clicked = "m3"
    assert resolved(Measure(("it",)), state).of == ("m3",)


def test_a_comparison_that_names_nothing_is_of_the_two_spoken_of_last():
    state = State([told(Measure(("liver",))), told(Measure(("spleen",)))])
    assert following.left_open("which is denser?", state) == (
        Compare(("liver", "spleen"), by="mean_hu", which="brighter"),
    )
    alone = State([told(Measure(("liver",)))])
    assert following.left_open("which is denser?", alone) == (Clarify(),)  # asked back, nothing guessed


def test_our_question_is_answered():
    asked = Question(("right_femur", "left_femur"), "segment the femoral head", Segment(unknown=("femoral head",)))
    state = State([told(Segment(unknown=("femoral head",)), question=asked)])
    assert following.answered("yes", state) == (Segment(("right_femur", "left_femur")),)
    assert following.answered("the left one", state) == (Segment(("left_femur",)),)
    assert following.answered("how big is the spleen?", state) is None
    open_question = State([told(Refuse(), question=Question((), "how big is it?"))])
    assert following.answered("the spleen", open_question) == (Measure(("spleen",)),)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("is there a mass in the liver", Probe(("liver",), where="inside")),
        ("any metal or implant in this patient?", Probe(what="metal")),
        ("is there fluid round the lung", Probe(("right_lung", "left_lung"), what="fluid", where="around")),
        ("PTX?", Probe(("right_lung", "left_lung"), what="gas", where="around")),
        ("ascites", Probe(what="fluid", region="abdomen")),
        ("dark spots in the kidneys", Probe(("right_kidney", "left_kidney"), what="dark", where="inside")),
        ("what is the bright thing in the left kidney", Probe(("left_kidney",), what="bright", where="inside")),
        ("how much fat at L3", Probe(("l3_vertebra",), what="fat", where="inside")),
        ("infrarenal aortic diameter", Measure(("aorta",), what="diameter", part="infrarenal")),
        ("emphysema", Finding(("right_lung", "left_lung"), id="emphysema")),
    ],
)
def test_what_is_refused_or_unknown_is_looked_at(message, call):
    assert RulesPlanner().plan(message, State()) == (call,)


@pytest.mark.parametrize(
    "message", ["what is a pneumothorax?", "is this cancer?", "should I take medication for it?", "hello"]
)
def test_what_asks_for_no_look_gets_none(message):
    assert not any(isinstance(call, Probe) for call in RulesPlanner().plan(message, State()))


def test_what_is_unknown_beside_a_look_is_said():
    (call,) = RulesPlanner().plan("is there a lesion in the adrenal?", State())
    assert call.unknown
    talk = Conversation(sample(), listed=MaskList())
    answer = next(p for p in talk.ask("give me the femoral heads and the nail") if isinstance(p, Done)).answer
    assert "femoral heads" in answer.text


def test_facts_are_numbered_and_rewound():
    talk = Conversation(sample())
    list(talk.ask("how big is the spleen?"))
    list(talk.ask("and the liver?"))
    ids = list(talk.state.facts)
    assert ids == [f"f{n + 1}" for n in range(len(ids))]
    talk.rewind(1)
    assert all(fact.structures == ("spleen",) for fact in talk.state.facts.values())


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("volume of the upper pole of the left kidney", "upper pole"),
        ("length of the distal esophagus", "distal"),
        ("diameter of the infrarenal IVC", "infrarenal"),
    ],
)
def test_a_word_that_narrows_is_never_dropped(message, words):
    (call,) = RulesPlanner().plan(message, State())
    assert call.unknown == (words,)
    answer = next(p for p in Conversation(sample()).ask(message) if isinstance(p, Done)).answer
    assert f'"{words}"' in answer.text


@pytest.mark.parametrize("message", ["volume of the right upper lobe", "how big is the left kidney?", "upper lobes"])
def test_a_structures_own_name_narrows_nothing(message):
    assert not any(call.unknown for call in RulesPlanner().plan(message, State()))


def test_several_things_in_one_message_are_all_looked_for():
    assert [c.what for c in RulesPlanner().plan("is there free fluid or free air?", State())] == ["fluid", "gas"]
    calls = RulesPlanner().plan("ascending aorta diameter and volume of the spleen", State())
    assert [(c.of, c.what, c.part) for c in calls] == [
        (("aorta",), "diameter", "ascending"),
        (("spleen",), "volume", ""),
    ]
    (one,) = RulesPlanner().plan("any lesions in liver or spleen", State())
    assert one.of == ("liver", "spleen")


@pytest.mark.parametrize(
    "message",
    [
        "does the gallbladder touch the liver?",
        "is the liver above the bladder?",
        "is the aorta between the kidneys?",
        "is there a spleen?",
        "is the gallbladder missing?",
        "is the pancreas missing?",
        "could the heart be missing?",
        "s/p cholecystectomy?",
        "is the liver on the right?",
        "is the left kidney larger than the right one?",
        "what touches the spleen?",
        "what is below the stomach?",
        "which organs are here?",
        "what is on slice 60?",
        "which organs are cut?",
    ],
)
def test_the_guard_lets_every_true_answer_through(message):
    answer = next(p for p in Conversation(sample()).ask(message) if isinstance(p, Done)).answer
    assert "no measured value" not in answer.text
    assert not any(
        sentence.text.startswith(("Seen", "Found", "Touching", "Volume of")) for sentence in answer.sentences
    )


def test_having_the_image_read_is_the_last_resort_where_nothing_reads_it():
    asks = Planned("reads", lambda: (ReadImage("is it bad?"),))
    knows, not_ = Planned("knows", lambda: (Measure(("liver",)),)), Planned("not", lambda: (Refuse(),))
    assert planning.plan((asks, knows), "x", State())[1] == "reads"
    assert planning.plan((asks, knows), "x", State(), reads=False)[1] == "knows"
    assert planning.plan((asks, not_), "x", State(), reads=False)[1] == "reads"
    assert planning.plan((asks,), "x", State(), reads=False)[1] == "reads"
