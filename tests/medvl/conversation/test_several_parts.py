"""Messages of several parts: each part is answered, or it is said which one is not."""

from __future__ import annotations

import pytest

from medvl.conversation.contract import Done
from medvl.conversation.conversation import Conversation
from medvl.language.calls import Chat, Finding, Measure, Refuse, Scan, Segment, Show
from medvl.language.parse import parse

from ..scenes import sample


@pytest.mark.parametrize(
    ("words", "intents"),
    [
        ("measure the stomach and save it as nifti", [Measure, Chat]),
        ("segment the liver and tell me how accurate it is", [Segment, Chat]),
        ("emphysema index, and lung volumes, and aortic diameter", [Finding, Measure, Measure]),
        ("1) liver volume 2) mean HU of the spleen 3) is there contrast", [Measure] * 2 + [Scan]),
        ("spleen and liver: volume, mean hu, longest diameter", [Measure] * 3),
        ("is the aorta calcified or dilated?", [Finding] * 2),
        ("liver volume\nis there contrast", [Measure, Scan]),
        ("outline the pancreas and say if it is atrophic", [Segment, Refuse]),
        ("lungs in blue, heart in red, nothing else", [Show] * 3),
    ],
)
def test_every_part_is_a_request(words, intents):
    assert [type(request) for request in parse(words)] == intents


def test_a_part_that_is_not_understood_is_said():
    (done,) = [p for p in Conversation(sample()).ask("How big is the liver? Is it shiny?") if isinstance(p, Done)]
    assert "mL" in done.answer.text
    assert 'Not answered, because I did not understand it: "is it shiny"' in done.answer.text


@pytest.mark.parametrize("words", ["I am a student. How big is the liver?", "hello, how big is the liver"])
def test_chatter_is_not_called_unanswered(words):
    assert parse(words) == (Measure(("liver",), "volume"),)


@pytest.mark.parametrize(
    ("words", "topic"),
    [
        ("what should i look at first?", "start"),
        ("why is it dark there?", "brightness"),
        ("what is the HU of fat", "typical_hu"),
        ("i dont see the mask", "not_seen"),
        ("where can i download the segmentation", "export"),
        ("how old is patient", "patient"),
    ],
)
def test_questions_of_a_first_visit(words, topic):
    (call,) = parse(words)
    assert (call.reason if isinstance(call, Refuse) else call.topic) == topic


@pytest.mark.parametrize(
    ("words", "structure"),
    [
        ("the thing that carries blood from the heart", "aorta"),
        ("the vessel which carries blood from the heart to the body", "aorta"),
        ("the vein that carries blood from the body to the heart", "inferior_vena_cava"),
    ],
)
def test_from_where_to_where_tells_vessels_apart(words, structure):
    (request,) = parse(words)
    assert (type(request), request.structures) == (Segment, (structure,))


def test_a_problem_is_not_confirmed():
    requests = parse("do you see any problem with the gallbladder")
    assert [type(request) for request in requests] == [Refuse]


def test_a_normal_size_is_told_with_its_source():
    (done,) = [p for p in Conversation(sample()).ask("whats a normal spleen size") if isinstance(p, Done)]
    assert "107 to 315 mL" in done.answer.text
    assert "Prassopoulos" in done.answer.text
