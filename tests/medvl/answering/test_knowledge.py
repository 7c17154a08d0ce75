from __future__ import annotations

import re

import pytest

from medvl.answering import guard, knowledge
from medvl.answering.contract import Sentence
from medvl.answering.cues import FINDING_STRUCTURES
from medvl.answering.cues_talk import CHAT
from medvl.answering.cues_talk import TOPICS as GENERAL
from medvl.answering.vocabulary import GROUPS, STRUCTURES


@pytest.mark.parametrize(
    "topic", sorted(knowledge.TOPICS | set(STRUCTURES) | set(GROUPS) | {*CHAT, *GENERAL, *FINDING_STRUCTURES})
)
def test_every_topic_has_a_text_of_its_own(topic):
    text = knowledge.text(topic)
    assert text.endswith((".", "?"))
    assert topic == "" or text != knowledge.text("")


def test_no_text_states_a_number():
    """Numbers are facts with a source; the scale of CT is told in words."""
    for topic in knowledge.TOPICS:
        assert guard.holds(Sentence(knowledge.text(topic), "knowledge")), topic  # or it would not be told
        assert not re.search(r"\d", re.sub(r"MedVL-SAM2|SAM 2|3-D", "", knowledge.text(topic))), topic


def test_pair_shares_one_text():
    assert knowledge.text("left_kidney") == knowledge.text("right_kidney") == knowledge.text("kidneys")


def test_unknown_topic_offers_examples():
    assert knowledge.text("no such topic") == knowledge.text("")
