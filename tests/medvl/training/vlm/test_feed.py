"""The order in which samples come."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from medvl.errors import ConfigError
from medvl.training.config import parse
from medvl.training.datasets import JoinedSamples
from medvl.training.vlm.feed import Order, mix_of

MIX = [(6, 3.0), (4, 1.0)]


def passes(count, rank=0, processes=1, start=0, mix=MIX):
    return list(islice(Order(10, 2, 5, rank, processes, start, mix), count))


def part(batch):
    (found,) = {int(index >= 6) for _, index in batch}  # one dataset a pass
    return found


def test_passes_are_of_one_dataset_by_weight():
    drawn = passes(2000)
    share = sum(part(batch) == 0 for batch in drawn) / len(drawn)
    assert share == pytest.approx(0.75, abs=0.03)
    first = [key for batch in drawn if part(batch) == 0 for key in batch][:12]
    assert Counter(first) == Counter([(e, i) for e in (0, 1) for i in range(6)])  # each sample once an epoch of its own
    second = [key for batch in drawn if part(batch) == 1 for key in batch][:8]
    assert Counter(second) == Counter([(e, i) for e in (0, 1) for i in range(6, 10)])


def test_processes_are_at_the_same_dataset_and_share_its_epoch():
    one, two = passes(300, 0, 2), passes(300, 1, 2)
    assert [part(b) for b in one] == [part(b) for b in two]
    keys = [key for a, b in zip(one, two, strict=True) if part(a) == 0 for key in (*a, *b)][:12]
    assert Counter(keys) == Counter([(e, i) for e in (0, 1) for i in range(6)])


def test_a_resumed_run_goes_on_where_it_was():
    assert passes(50, start=37) == passes(87)[37:]


def test_without_weights_all_are_shuffled_together_as_before():
    drawn = passes(5, mix=None)
    assert sorted(index for batch in drawn for _, index in batch) == list(range(10))


def test_weights_come_from_the_configuration():
    train = [{"kind": "m3d-cap", "root": "a", "weight": 3}, {"kind": "ct-rate", "root": "b", "weight": 1, "repeat": 2}]
    config = parse({"output": "out", "data": {"train": train}})
    assert mix_of(config.data.train, JoinedSamples([(["x"] * 6, 1), (["y"] * 2, 2)])) == MIX
    plain = parse({"output": "out", "data": {"train": [dict(t, weight=None) for t in train]}})
    assert mix_of(plain.data.train, JoinedSamples([(["x"] * 6, 1), (["y"] * 2, 2)])) is None
    with pytest.raises(ConfigError, match="all datasets"):
        parse({"output": "out", "data": {"train": [train[0], dict(train[1], weight=None)]}})
    with pytest.raises(ConfigError, match="weight"):
        parse({"output": "out", "data": {"train": [dict(train[0], weight=0)]}})
