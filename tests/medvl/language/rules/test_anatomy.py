"""What the page does and the chat does not, what is pointed at, and parts that are not told apart."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.conversation.contract import Done
from medvl.conversation.conversation import Conversation
from medvl.conversation.writing.knowledge import TOPICS
from medvl.evaluation.question_set import history
from medvl.language import glossary
from medvl.language.calls import Call, Chat, Compare, Lookup, Measure, Presence, Refuse, Show
from medvl.language.parse import parse

from ...scenes import sample


def talk(*turns: str) -> tuple[Call, ...]:
    """Requests of the last turn."""
    return parse(turns[-1], tuple(history(parse, turns[:-1])))


def test_how_to_remove_removes_nothing():
    assert isinstance(talk("segment everything", "how do i erase a bit")[0], Chat)


@pytest.mark.parametrize(
    "words",
    ["reset the view", "flip the image", "load my dicom", "screenshot", "show me the sagittal view", "rotate it",
     "make it transparent", "increase contrast", "scroll down", "open another scan", "use the ruler"],
)  # fmt: skip
def test_tools_of_the_page(words):
    (request,) = talk("segment the liver", words)
    assert (type(request), request.topic) == (Chat, "page")


@pytest.mark.parametrize("words", ["clear the chat", "start over", "new conversation", "reset the conversation"])
def test_to_begin_anew_removes_no_mask(words):
    assert talk("segment the liver", words) == (Chat("restart"),)


@pytest.mark.parametrize(
    "words",
    ["what's the big thing on the left side of the picture", "what is that white thing", "what is this?",
     "what is the dark round structure on the right of the image"],
)  # fmt: skip
def test_a_thing_that_is_pointed_at(words):
    (request,) = parse(words)
    assert (type(request), request.reason) == (Refuse, "pointed")


@pytest.mark.parametrize("words", ["what phase is this", "what is the liver", "what is the largest organ"])
def test_what_is_not_pointed_at(words):
    assert not isinstance(parse(words)[0], Refuse)


@pytest.mark.parametrize(
    "words", ["which vertebra is the left kidney at", "at what vertebral level does the left kidney lie"]
)
def test_level_of_the_spine_is_told_as_slices(words):
    level, slices = parse(words)
    assert level.topic == "vertebral_level"
    assert (slices.attribute, slices.structures) == ("slices", ("left_kidney",))


@pytest.mark.parametrize("part", ["ascending", "descending", "thoracic", "abdominal"])
def test_width_of_a_part_of_the_aorta(part):
    for turns in ([f"how wide is the {part} aorta"], ["how wide is the aorta", f"and the {part}?"]):
        note, width = talk(*turns)
        assert (note.topic, width.id) == ("aorta_parts", "aortic_aneurysm")


def test_segmenting_a_part_of_the_aorta_says_that_it_is_all_of_it():
    pieces = list(Conversation(sample()).ask("segment the abdominal aorta"))
    assert isinstance(pieces[-1], Done)
    assert "not told apart" in pieces[-1].answer.text


@pytest.mark.parametrize(
    "quality", ["smooth", "homogeneous", "tortuous", "lobulated", "thickened", "shrunken", "distended"]
)
@pytest.mark.parametrize("organ", ["liver", "spleen", "aorta", "gallbladder"])
def test_a_quality_that_is_not_judged_gets_no_yes(organ, quality):
    (request,) = parse(f"is the {organ} {quality}?")
    assert (type(request), request.reason) == (Refuse, "unjudged")


@pytest.mark.parametrize(
    "words",
    ["is the liver there?", "is the liver visible", "has the liver been removed", "is the liver in the scan?",
     "is the liver cut off", "is the liver completely imaged", "is the liver shown", "is the liver missing?"],
)  # fmt: skip
def test_presence_is_still_presence(words):
    assert isinstance(parse(words)[0], Presence)


def test_a_relation_that_is_not_known_is_no_presence():
    (request,) = talk("show the gallbladder", "is it in the way of the liver?")
    assert (type(request), request.structures) == (Refuse, ("gallbladder",))


@pytest.mark.parametrize(
    "words",
    ["what is hydronephrosis?", "what does hydronephrosis mean", "define hydronephrosis", "explain hydronephrosis"],
)
def test_a_word_is_explained(words):
    (request,) = parse(words)
    assert (type(request), request.topic) == (Lookup, "hydronephrosis")


@pytest.mark.parametrize("words", ["is there hydronephrosis", "what is the tumour", "what does the tumour mean for me"])
def test_a_disease_of_this_scan_is_no_word_to_explain(words):
    assert not isinstance(parse(words)[0], Lookup)


def test_every_meaning_can_be_reached_and_has_a_text():
    assert set(glossary.MEANINGS) <= TOPICS
    reached = {glossary.meant(f"what is {id.replace('_', ' ').replace('tumour', 'tumor')}") for id in glossary.MEANINGS}
    assert reached == set(glossary.MEANINGS)


@pytest.mark.parametrize("second", ["a pneumothorax", "nodules", "a tumour"])
def test_of_two_asked_at_once_the_one_not_looked_for_is_not_left_out(second):
    told, refused = parse(f"is there a pleural effusion or {second}?")
    assert told.id == "pleural_effusion"
    assert refused.reason == "diagnosis"


@pytest.mark.parametrize("words", ["that is not the spleen", "the mask is wrong", "i disagree", "that can't be right"])
def test_a_doubt_orders_nothing(words):
    (request,) = talk("segment the spleen", words)
    assert (type(request), request.topic) == (Chat, "accuracy")


@pytest.mark.parametrize("words", ["you stupid bot", "this is useless", "you suck"])
def test_an_insult_is_answered_calmly(words):
    (request,) = parse(words)
    assert (type(request), request.topic) == (Chat, "insult")


@pytest.mark.parametrize(
    ("words", "plane", "number"),
    [
        ("show slice 50 in coronal", "coronal", 50),
        ("go to sagittal slice 12", "sagittal", 12),
        ("show slice 7", "axial", 7),
    ],
)
def test_plane_of_a_slice_before_or_behind_its_number(words, plane, number):
    assert parse(words) == (Show(action="slice", plane=plane, number=number),)


@pytest.mark.parametrize(
    "words", ["how old is he", "what's her name", "and his age?", "is it a female", "does she smoke?"]
)
def test_who_the_patient_is_is_not_known(words):
    (request,) = parse(words)
    assert (type(request), request.reason) == (Refuse, "patient")


def test_single_ribs_are_not_counted():
    from medvl.conversation.writing import sentences

    from ...scenes import finder_of, scene_of

    scene = scene_of(
        finder_of(
            {
                "right_ribs": (slice(2, 8), slice(4, 9), slice(4, 9)),
                "left_ribs": (slice(20, 28), slice(4, 9), slice(4, 9)),
            }
        )
    )
    (told,) = sentences.counted(scene, ("right_ribs", "left_ribs"))
    assert "not counted" in told.text
    assert not any(c.isdigit() for c in told.text)


@pytest.mark.parametrize(
    "words",
    ["is there air in the stomach", "does the stomach contain air", "can you see gas inside the stomach",
     "does the stomach have a bezoar", "is there something solid in the stomach?"],
)  # fmt: skip
def test_something_in_a_structure_gets_no_yes(words):
    (request,) = parse(words)
    assert isinstance(request, Refuse)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("words", ["is the right lung on the {}?", "are you sure the right lung is on the {}?"])
def test_a_side_of_a_sided_organ_is_checked(words, side):
    (request,) = parse(words.format(side))
    assert (request.structures, request.attribute, request.claim) == (("right_lung",), "position", side)


@pytest.mark.parametrize(
    "words", ["bladder wall thickness", "is the gallbladder wall thickened?", "show the aortic wall"]
)
def test_a_wall_is_not_its_organ(words):
    (request,) = parse(words)
    assert not request.structures
    assert "wall" in request.unknown[0]


@pytest.mark.parametrize("part", ["lobes", "segments"])
def test_parts_that_are_not_known_are_not_counted(part):
    (request,) = parse(f"how many {part} does the liver have")
    assert (request.structures, request.unknown) == ((), (part,))


@pytest.mark.parametrize(
    "words", ["is the liver hypodense to the spleen?", "is the liver hypoattenuating compared with the spleen"]
)
def test_hypodense_to_another_is_a_comparison(words):
    (request,) = parse(words)
    assert (type(request), request.attribute, request.claim) == (Compare, "mean_hu", "darker")


@pytest.mark.parametrize("words", ["how much does my liver weigh", "weight of the liver", "how heavy is the liver"])
def test_a_volume_is_not_called_a_weight(words):
    assert parse(words) == (Measure(("liver",), "weight"),)


def test_all_vessels_are_those_that_are_known():
    (request,) = parse("segment all the vessels")
    assert request.structures == ("aorta", "inferior_vena_cava")
    (longest,) = talk("segment all the vessels", "which of those is longest")
    assert (type(longest), longest.structures) == (Compare, request.structures)


def test_ratio_of_attenuations_is_told_where_it_means_something():
    from ...scenes import finder_of

    hu = np.zeros((40, 36, 30), np.int16)
    hu[2:20], hu[25:35] = 60, 40
    blocks = {
        "liver": (slice(2, 20), slice(4, 20), slice(4, 20)),
        "spleen": (slice(25, 35), slice(4, 12), slice(4, 12)),
    }
    told = {}
    for name, offset in (("above", 0), ("below", -50)):
        conversation = Conversation(finder_of(blocks, hu=hu + offset))
        told[name] = list(conversation.ask("liver/spleen attenuation ratio"))[-1].answer.text
    assert "1.5 times" in told["above"]
    assert "times" not in told["below"]
