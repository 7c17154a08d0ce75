"""The corpus: every call exists, every tool has messages, held messages are in no other part."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

from medvl.language.calls import TOOLS
from medvl.training.talk.corpus import HELD, composed, generated, left_out, written
from medvl.training.talk.measure import unlearned


def test_every_written_message_has_calls_that_exist():
    messages = written()  # a call that does not exist is an error
    assert len(messages) > 1800
    assert all(message.text.strip() and message.calls for message in messages)
    learned = Counter(call.tool for m in messages if m.by not in HELD for call in m.calls)
    assert min(learned[tool] for tool in TOOLS) >= 10


def test_held_messages_are_not_trained_on():
    asked = {m.text.lower() for m in unlearned(HELD) if not m.turns}
    assert len(asked) > 500
    assert not asked & {m.text.lower() for m in written() if m.by not in HELD and not left_out(m)}
    whole = [m for m in written(parts=HELD) if not m.turns]
    assert len(asked) > 0.85 * len(whole)  # few are what anybody types


def test_the_core_makes_thousands_of_messages_the_same_each_time():
    first = list(generated(seed=0, per_template=5))
    assert len(first) > 3500
    assert {call.tool for message in first for call in message.calls} == set(TOOLS)
    assert len({message.text for message in first}) > 0.8 * len(first)
    assert first[:200] == list(generated(seed=0, per_template=5))[:200]


def test_a_message_of_several_requests_says_where_each_begins():
    made = [m for m in generated(seed=1, per_template=1) if len(m.calls) > 1 and m.starts is not None]
    assert len(made) > 300
    for message in made:
        assert len(message.starts) == len(message.calls) - 1
        assert all(message.text[at - 1] in " \n" and message.text[at:].strip() for at in message.starts)
        assert " / " not in message.text


def test_messages_are_joined_with_their_calls_in_the_order_spoken():
    single = [m for m in written() if m.by not in HELD and len(m.calls) == 1 and not m.turns]
    for message in composed(single, 200, random.Random(0)):
        parts = [message.text[a:b] for a, b in pairwise((0, *message.starts, len(message.text)))]
        assert len(parts) == len(message.calls) >= 2
        assert all(part.strip() for part in parts)
