"""Messages that go on from the turns before."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.conversation.planners.following import elliptic, follows, removed
from medvl.conversation.planners.rules import RulesPlanner
from medvl.conversation.references import resolved
from medvl.conversation.state import State, Turn
from medvl.ct.masks import Mask
from medvl.language.calls import (
    Compare,
    Finding,
    ListStructures,
    Lookup,
    Measure,
    Probe,
    Rank,
    Relate,
    Remove,
    Show,
)
from medvl.tools.fact import Fact

KIDNEYS = ("right_kidney", "left_kidney")


def after(*turns: tuple) -> State:
    return State([Turn("", calls) for calls in turns])


@pytest.mark.parametrize(
    ("before", "text", "call"),
    [
        (Probe(("spleen",), where="inside"), "in the liver?", Probe(("liver",), where="inside")),
        (Probe(("left_kidney",), where="inside"), "and the other one?", Probe(("right_kidney",), where="inside")),
        (Probe(("right_lung",), what="gas", where="around"), "left?",
         Probe(("left_lung",), what="gas", where="around")),
        (Probe(KIDNEYS, what="calcium", where="inside"), "and in the gallbladder?",
         Probe(("gallbladder",), what="calcium", where="inside")),
        (Measure(("aorta",), "diameter", part="infrarenal"), "and suprarenal?",
         Measure(("aorta",), "diameter", part="suprarenal")),
        (Relate(KIDNEYS, kind="distance"), "and between the liver and the spleen?",
         Relate(("liver", "spleen"), kind="distance")),
        (Measure(unknown=("prostate",)), "then the bladder", Measure(("urinary_bladder",))),
        (Probe(("l3_vertebra",), what="soft", where="inside"), "and the fat?",
         Probe(("l3_vertebra",), what="fat", where="inside")),
    ],
)  # fmt: skip
def test_the_last_question_about_something_else(before, text, call):
    assert elliptic(text, after((before,))) == (call,)


def test_what_was_shown_in_between_asks_nothing():
    stones = Finding(KIDNEYS, "renal_stones")
    shown = after((stones,), (Show(("m3",)),))
    assert RulesPlanner().plan("and in the gallbladder?", shown) == (Finding(("gallbladder",), "gallstones"),)
    looked = after((Probe(("liver",), where="inside"),), (Show(("m3",)),))
    assert elliptic("and in the spleen?", looked) == (Probe(("spleen",), where="inside"),)


@pytest.mark.parametrize("text", ["how big is the liver", "segment the spleen", "hide the kidneys", "report", ""])
def test_a_question_of_its_own_is_no_ellipsis(text):
    assert elliptic(text, after((Probe(("liver",), where="inside"),))) is None
    assert follows("and the spleen?", State()) is None


def test_deleting_by_number_or_all_but_one_takes_no_other_mask():
    array = np.ones((3, 3, 3), bool)
    masks = {
        f"m{n}": Mask.from_array(array, id=f"m{n}", name=name) for n, name in enumerate(("Liver", "Spleen", "Spot"), 1)
    }
    state = State([Turn("list", (ListStructures("made"),), masks=("m2", "m1", "m3"))], masks)
    assert removed("remove the second", state) == (Remove(("m1",)),)
    assert removed("delete every mask except the liver", state) == (Remove(("m2", "m3")),)
    (call,) = removed("delete the fifth", state)
    assert not isinstance(call, Remove)
    assert removed("remove the liver", state) is None


@pytest.mark.parametrize(
    ("call", "full"),
    [
        (Compare(("liver",), by="mean_hu"), Compare(("liver", "spleen"), by="mean_hu")),
        (Compare(("left_kidney",)), Compare(("left_kidney", "spleen"))),
        (Lookup(("pancreas",)), Lookup(("pancreas",), "pancreas")),
        (Measure(("crosshair",), "mean_hu"), Probe(("crosshair",), where="at")),
        (Probe(("l3_vertebra",), what="soft", where="at"), Probe(("l3_vertebra",), what="soft", where="inside")),
        (Probe(("crosshair",), where="at"), Probe(("crosshair",), where="at")),
        (Rank(("liver", "spleen")), Rank(("liver", "spleen"))),
    ],
)
def test_what_a_call_leaves_open_is_filled_from_the_state(call, full):
    assert resolved(call, after((Measure(("spleen",)),))) == full


def test_a_rank_of_nothing_named_is_of_every_organ():
    ranked = resolved(Rank(which="larger"), State())
    assert {"liver", "spleen"} <= set(ranked.of)


def test_it_is_what_the_crosshair_was_told_to_lie_in():
    place = Turn("what is this", (Probe(("crosshair",), where="at"),), (Fact("hu", 50, "HU", ("liver",)),))
    (call,) = RulesPlanner().plan("is it brighter than the spleen?", State([place], crosshair=(1, 1, 1)))
    assert isinstance(call, Compare)
    assert set(call.of) == {"liver", "spleen"}
