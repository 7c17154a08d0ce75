"""What a message begins with asks nothing by itself."""

from __future__ import annotations

import pytest

from medvl.language.calls import Presence
from medvl.language.parse import parse


@pytest.mark.parametrize(
    "question", ["where is the spleen?", "which kidney sits higher up?", "how wide is the aorta", "is the liver fatty"]
)
@pytest.mark.parametrize(
    "opening", ["hey, quick q: ", "Quick question: ", "one more thing, ", "stupid question, ", "ok last question. "]
)
def test_chatter_before_a_question_changes_nothing(opening, question):
    assert parse(opening + question) == parse(question)


@pytest.mark.parametrize(
    "opening",
    [
        "are you sure that",
        "do you think",
        "can you tell me if",
        "I was wondering whether",
        "please check if",
        "is it true that",
    ],
)
@pytest.mark.parametrize(
    ("said", "asked"),
    [("the liver is fatty", "is the liver fatty"), ("the aorta is dilated", "is the aorta dilated"),
     ("there is a gallbladder", "is there a gallbladder"),
     ("the spleen is larger than the liver", "is the spleen larger than the liver")],
)  # fmt: skip
def test_an_indirect_question_is_the_direct_one(opening, said, asked):
    assert parse(f"{opening} {said}?") == parse(f"{asked}?")


@pytest.mark.parametrize("words", ["are you sure?", "can you check that", "do you think so", "what do you think?"])
def test_without_a_question_nothing_is_made_one(words):
    assert all(not isinstance(request, Presence) for request in parse(words))
