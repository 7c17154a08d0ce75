from __future__ import annotations

import re
from typing import get_args

from medvl.conversation import guard
from medvl.conversation.contract import Sentence
from medvl.conversation.writing import knowledge
from medvl.language.calls import TOPICS
from medvl.language.calls.base import ChatTopic, FindingId, Reason
from medvl.language.cues import FINDING_STRUCTURES
from medvl.language.cues_talk import CHAT
from medvl.language.cues_talk import TOPICS as GENERAL
from medvl.tools.findings import FINDINGS
from medvl.vocabulary.names import GROUPS, STRUCTURES

CALLED = {*TOPICS, *get_args(ChatTopic), *get_args(Reason)} - {"not_understood"}
"""What calls may ask to be told."""


def test_every_topic_has_a_text_of_its_own():
    topics = knowledge.TOPICS | CALLED | {*STRUCTURES, *GROUPS, *CHAT, *GENERAL, *FINDING_STRUCTURES} - {""}
    without = [topic for topic in sorted(topics) if knowledge.text(topic) == knowledge.text("")]
    assert without == [""]
    assert [topic for topic in topics if not knowledge.text(topic).endswith((".", "?"))] == []


def test_every_finding_of_a_call_has_a_rule():
    assert set(get_args(FindingId)) == set(FINDINGS)


def test_no_text_states_a_number():
    """Numbers are facts with a source; the scale of CT is told in words."""
    for topic in knowledge.TOPICS:
        assert guard.holds(Sentence(knowledge.text(topic), "knowledge")), topic  # or it would not be told
        assert not re.search(r"\d", re.sub(r"MedVL-SAM2|SAM 2|3-D", "", knowledge.text(topic))), topic


def test_pair_shares_one_text():
    assert knowledge.text("left_kidney") == knowledge.text("right_kidney") == knowledge.text("kidneys")


def test_unknown_topic_offers_examples():
    assert knowledge.text("no such topic") == knowledge.text("")
