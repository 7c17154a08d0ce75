from __future__ import annotations

import itertools
from collections import Counter

from medvl.answering.contract import Intent
from medvl.answering.reading import objection
from medvl.answering.request_lines import read, write
from medvl.evaluation.question_set import load_questions, same_detail
from medvl.training.requests import folded, pairs

SOME = list(itertools.islice(pairs(3), 1500))


def test_targets_read_back_as_the_same_requests():
    for pair in SOME:
        for requests in (*pair.history, pair.requests):
            back = read(write(requests))
            assert same_detail(requests, back)
            assert [r.which for r in requests] == [r.which for r in back]


def test_no_wording_of_the_question_set_is_trained_on():
    asked = {folded(text) for q in load_questions() for text in (q.text, *q.previous)}
    assert not asked & {folded(pair.text) for pair in itertools.islice(pairs(1), 3000)}


def test_the_same_seed_gives_the_same_pairs():
    assert list(itertools.islice(pairs(3), 50)) == SOME[:50]
    assert list(itertools.islice(pairs(4), 50)) != SOME[:50]


def test_every_intent_and_follow_ups_occur_in_varied_words():
    intents = Counter(r.intent for pair in SOME for r in pair.requests)
    assert set(intents) == set(Intent) - {Intent.EDIT}  # masks are changed by the rules alone
    assert sum(bool(pair.history) for pair in SOME) > 100
    assert len({folded(pair.text) for pair in SOME}) > 0.8 * len(SOME)


def test_names_to_be_copied_stand_in_the_message():
    for pair in SOME:
        for request in pair.requests:
            for name in request.unknown:
                assert folded(name) in folded(pair.text)


def test_the_truth_of_nearly_every_pair_would_be_accepted():
    refused = [pair for pair in SOME if objection(pair.requests, pair.text, pair.history)]
    assert len(refused) < 0.08 * len(SOME), refused[:5]  # typos in names, and sides in other spelling
