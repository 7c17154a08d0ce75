"""Examples for a language model are messages that ask for the same, of whatever structure."""

from __future__ import annotations

import pytest

from medvl.conversation.planners.nearest import nearest


@pytest.mark.parametrize(
    ("message", "tool", "field", "value"),
    [
        ("mean hu of the left femur", "measure", "what", "mean_hu"),
        ("any dark spots in the spleen?", "probe", "what", "dark"),
        ("hide the sternum please", "show", "action", "hide"),
        ("thanks a lot", "chat", "topic", "thanks"),
    ],
)
def test_the_nearest_messages_ask_for_the_same(message, tool, field, value):
    found = nearest().of(message, 6)
    assert len({calls for _, calls in found}) == len(found) == 6
    same = [any(c.tool == tool and getattr(c, field) == value for c in calls) for _, calls in found]
    assert any(same)


def test_without_a_corpus_the_examples_of_the_calls_are_shown(tmp_path):
    (tmp_path / "hands_x.jsonl").write_text("{broken\n", encoding="utf-8")
    found = nearest(tmp_path).of("segment the liver", 3)
    assert len(found) == 3
    assert all(calls for _, calls in found)


def test_a_message_like_no_other_has_no_examples():
    assert nearest().of("zzzz qqqq", 6) == []
