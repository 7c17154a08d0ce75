"""Messages of several parts: each part is answered, or it is said which one is not."""

from __future__ import annotations

import pytest

from medvl.answering.contract import Done, Intent
from medvl.answering.conversation import Conversation
from medvl.answering.intent import parse
from tests.medvl.answering.scenes import sample


@pytest.mark.parametrize(
    ("words", "intents"),
    [
        ("measure the stomach and save it as nifti", [Intent.MEASURE, Intent.CHAT]),
        ("segment the liver and tell me how accurate it is", [Intent.SEGMENT, Intent.CHAT]),
        ("emphysema index, and lung volumes, and aortic diameter", [Intent.FINDING, Intent.MEASURE, Intent.MEASURE]),
        ("1) liver volume 2) mean HU of the spleen 3) is there contrast", [Intent.MEASURE] * 2 + [Intent.SCAN]),
        ("spleen and liver: volume, mean hu, longest diameter", [Intent.MEASURE] * 3),
        ("is the aorta calcified or dilated?", [Intent.FINDING] * 2),
        ("liver volume\nis there contrast", [Intent.MEASURE, Intent.SCAN]),
        ("outline the pancreas and say if it is atrophic", [Intent.SEGMENT, Intent.REFUSE]),
        ("lungs in blue, heart in red, nothing else", [Intent.VIEW] * 3),
    ],
)
def test_every_part_is_a_request(words, intents):
    assert [request.intent for request in parse(words)] == intents


def test_a_part_that_is_not_understood_is_said():
    (done,) = [p for p in Conversation(sample()).ask("How big is the liver? Is it shiny?") if isinstance(p, Done)]
    assert "mL" in done.answer.text
    assert 'Not answered, because I did not understand it: "is it shiny"' in done.answer.text


@pytest.mark.parametrize("words", ["I am a student. How big is the liver?", "hello, how big is the liver"])
def test_chatter_is_not_called_unanswered(words):
    (request,) = parse(words)
    assert not request.left


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
    assert [request.topic for request in parse(words)] == [topic]


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
    assert (request.intent, request.structures) == (Intent.SEGMENT, (structure,))


def test_a_problem_is_not_confirmed():
    requests = parse("do you see any problem with the gallbladder")
    assert [request.intent for request in requests] == [Intent.REFUSE]


def test_a_normal_size_is_told_with_its_source():
    (done,) = [p for p in Conversation(sample()).ask("whats a normal spleen size") if isinstance(p, Done)]
    assert "107 to 315 mL" in done.answer.text
    assert "Prassopoulos" in done.answer.text
