"""Training of the small planner, on a tiny random encoder: it learns what it is shown, and keeps what was left out."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import BertModel

from medvl.conversation.planners.small import SmallPlanner
from medvl.language.calls import TOOLS, Measure, Probe, Segment, Show
from medvl.networks.message_encoder import VOCABULARY
from medvl.training.talk.corpus import Example, generated, left_out, written
from medvl.training.talk.train import OF_ANY, Options, _go_on, lessons, train, varied

from ... import small_planner

TAUGHT = [
    Example("how big is the liver", (Measure(("liver",)),)),
    Example("show the left kidney", (Segment(("left_kidney",)),)),
    Example("hide the spleen", (Show(("spleen",), action="hide"),)),
    Example("any metal", (Probe(what="metal"),)),
    Example("any fluid around the liver", (Probe(("liver",), what="fluid", where="around"),)),
    Example("hu", (Measure(("spleen",), what="mean_hu"),), before=(Measure(("spleen",)),)),
]


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    encoder, output = tmp_path_factory.mktemp("encoder"), tmp_path_factory.mktemp("planner")
    BertModel(small_planner.config(), add_pooling_layer=False).save_pretrained(encoder)
    (encoder / VOCABULARY).write_text("\n".join(small_planner.VOCABULARY) + "\n", encoding="utf-8")
    train(encoder, output, lessons(TAUGHT) * 24, Options(steps=300, rate=2e-3, frozen=0))
    return SmallPlanner.load(output)


@pytest.mark.parametrize("example", TAUGHT, ids=lambda example: example.text)
def test_what_was_taught_is_planned(taught, example):
    assert taught.read(example.text, example.before).calls == example.calls


def test_a_message_by_hand_of_several_calls_is_cut_where_each_part_leads_to_its_call():
    calls = (Measure(("liver",)), Show(("left_kidney",), action="hide"), Segment(("spleen",)))
    text = "how big is the liver and hide the left kidney, then show me the spleen"
    whole, *parts = lessons([Example(text, calls, starts=None)])
    assert [whole.prepared.words[at] for at in whole.starts] == ["hide", "show"]
    assert [list(TOOLS)[part.labels.choices["tool"]] for part in parts] == ["measure", "show", "segment"]


def test_other_structures_are_of_the_same_kind_and_side_and_keep_their_roles():
    rng = random.Random(0)
    changed = 0
    for lesson in lessons(list(generated(seed=4, per_template=1))):
        other = varied(lesson, rng)
        assert len(other.prepared.anchors) == len(lesson.prepared.anchors)
        for token, _ in other.prepared.anchors:
            assert other.prepared.tokens[token].startswith("[unused")
        assert other.labels is None or len(other.labels.tags) == len(other.prepared.at)
        sides = [
            sorted(w for w in p.tokens[p.own :] if w in ("left", "right")) for p in (lesson.prepared, other.prepared)
        ]
        assert sides[0] == sides[1]
        changed += other.prepared.tokens != lesson.prepared.tokens
        if other.prepared.tokens != lesson.prepared.tokens:
            assert list(TOOLS)[lesson.labels.choices["tool"]] in OF_ANY
    assert changed > 200


def test_each_call_of_a_message_is_taught_in_view_of_the_others():
    calls = (Show(("left_kidney",), action="hide"), Show(("right_kidney",), action="colour", colour="red"))
    _, first, second = lessons([Example("hide the left and paint the right kidney red", calls, starts=(13,))])
    assert first.prepared.tokens == second.prepared.tokens[-len(first.prepared.tokens) :]  # the first is told before
    assert first.prepared.said == ("hide", "the", "left", "and")  # the joint belongs to what stands before it
    assert second.prepared.said == ("paint", "the", "right", "kidney", "red")


def test_two_qualities_of_one_name_are_both_learned_from_it():
    calls = (Measure(("spleen",)), Measure(("spleen",), what="mean_hu"))
    _, *parts = lessons([Example("volume and density of the spleen", calls, starts=(11,))])
    assert [part.labels.roles for part in parts] == [(1,), (1,)]
    assert [part.prepared.said[-1] for part in parts] == ["and", "spleen"]


def test_writers_are_left_out_whole_and_always_the_same():
    hands = [e for e in written() if not e.by.startswith("rules_")]
    out = {e.hand for e in hands if left_out(e)}
    assert 0.05 < sum(e.hand in out for e in hands) / len(hands) < 0.2
    assert not {e.hand for e in hands if not left_out(e)} & out


def test_heads_that_have_more_options_now_keep_what_they_had():
    earlier, now = small_planner.network(seed=1), small_planner.network(seed=2)
    wider = torch.nn.Linear(now.heads["tool"].in_features, now.heads["tool"].out_features + 2)
    now.heads["tool"] = wider
    _go_on(now, earlier)
    torch.testing.assert_close(now.heads["tool"].weight[:-2], earlier.heads["tool"].weight)
    torch.testing.assert_close(now.roles.weight, earlier.roles.weight)
