"""Short words after an answer: what they are about is the answer before, whatever the wording."""

from __future__ import annotations

import pytest

from medvl.conversation.contract import Done
from medvl.conversation.conversation import Conversation
from medvl.evaluation.question_set import history
from medvl.language.calls import Call, Chat, Finding, Lookup, Measure, Neighbours, Rank, Refuse, Segment, Show
from medvl.language.parse import parse

from ...scenes import finder_of, sample


def talk(*turns: str) -> tuple[Call, ...]:
    """Requests of the last turn."""
    return parse(turns[-1], tuple(history(parse, turns[:-1])))


def answers(conversation: Conversation, *turns: str) -> list[str]:
    """The text of each answer."""
    texts = []
    for text in turns:
        pieces = list(conversation.ask(text))
        assert isinstance(pieces[-1], Done)
        texts.append(pieces[-1].answer.text)
    return texts


NORMAL = ["is that normal?", "normal?", "is it too big?", "is that a lot", "so is this large?", "within normal limits?",
          "does it look normal", "is that ok?", "is that a normal size?"]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "finding"),
    [
        ("spleen?", "splenomegaly"),
        ("how big is the liver", "hepatomegaly"),
        ("is there a heart", "cardiomegaly"),
        ("how wide is the aorta", "aortic_aneurysm"),
        ("mean HU of the liver", "steatosis"),
        ("hu of the spine", "bone_density"),
    ],
)
@pytest.mark.parametrize("words", NORMAL)
def test_normal_is_told_by_the_rule_on_what_was_asked(before, finding, words):
    (request,) = talk(before, words)
    assert (type(request), request.id) == (Finding, finding)


@pytest.mark.parametrize("before", ["pancreas volume", "distance from the liver to the spleen", "HU of the pancreas"])
@pytest.mark.parametrize("words", NORMAL[:5])
def test_normal_without_a_rule_says_why_there_is_none(before, words):
    (request,) = talk(before, words)
    assert (type(request), request.topic) == (Lookup, "reference_ranges")


@pytest.mark.parametrize(
    "words", ["is it dangerous?", "is that a problem", "could it be harmful?", "should i be worried"]
)
def test_what_it_means_for_a_person_is_not_told(words):
    (request,) = talk("how big is my heart", words)
    assert (type(request), request.reason) == (Refuse, "diagnosis")


@pytest.mark.parametrize("words", ["show me", "show", "let me see", "can I see it?", "show it on the scan please"])
@pytest.mark.parametrize("before", ["how big is the liver", "liver", "is there a liver"])
def test_show_me_is_what_was_spoken_of(before, words):
    (request,) = talk(before, words)
    assert isinstance(request, Segment | Show)
    assert request.structures == ("liver",)


def test_show_it_after_a_comparison_is_the_one_that_was_named():
    (request,) = talk("segment both kidneys", "which one is larger?", "show it")
    assert (request.structures, request.choose) == (("right_kidney", "left_kidney"), "larger")


@pytest.mark.parametrize("before", ["are there liver mets", "any hydronephrosis?", "is there a fracture"])
@pytest.mark.parametrize(
    "words",
    ["how many?", "where are they exactly?", "and on the other side?", "how big are they", "on which side", "sure?"],
)
def test_what_goes_on_about_a_refused_thing_is_refused_again(before, words):
    (request,) = talk(before, words)
    assert (type(request), request.reason) == (Refuse, "diagnosis")


@pytest.mark.parametrize("words", ["how big is the spleen", "segment the liver", "is the aorta dilated"])
def test_a_new_question_after_a_refusal_is_answered(words):
    (request,) = talk("does he have cancer", words)
    assert not isinstance(request, Refuse)


def test_it_after_a_refusal_about_a_structure_is_that_structure():
    (request,) = talk("does the liver look inflamed", "how big is it")
    assert (type(request), request.structures) == (Measure, ("liver",))


@pytest.mark.parametrize(
    "words", ["make it shorter", "in layman's terms please", "tl;dr", "can you simplify that", "in plain English"]
)
def test_other_words_for_an_answer(words):
    assert talk("write a report", words) == (Chat("report_form"),)
    assert talk("is the liver fatty", words)[0].topic == "steatosis"
    assert talk("how big is the liver", words)[0].topic == "wording"


@pytest.mark.parametrize("word", ["second largest", "third biggest", "2nd smallest"])
def test_second_of_all_is_told_by_their_order(word):
    (request,) = parse(f"what is the {word} organ")
    assert (type(request), request.which, request.attribute) == (Rank, "", "volume")
    assert len(request.structures) > 5


@pytest.mark.parametrize(
    ("words", "claim"), [("and below?", "below"), ("what about to the left of it", "left"), ("and behind", "behind")]
)
def test_another_side_of_the_same(words, claim):
    (request,) = talk("what lies above the spleen", words)
    assert request == Neighbours(("spleen",), claim)


@pytest.mark.parametrize("structure", ["spleen", "left kidney", "aorta"])
def test_why_it_is_so_is_not_invented(structure):
    assert talk(f"how big is the {structure}", "why is it so big")[0].reason == "cause"
    assert talk(f"hu of the {structure}", "why is it so low")[0].topic == "hounsfield_unit"


def test_answers_of_a_dialogue_are_about_the_same_spleen():
    told = answers(Conversation(sample()), "spleen?", "is that normal?", "why?", "show me")
    assert all("spleen" in text for text in told)
    assert "Source" in told[1]
    assert "Source" in told[2]


def test_what_was_made_is_listed_without_a_search():
    looked: list[str] = []
    finder = finder_of(
        {"liver": (slice(2, 20), slice(4, 20), slice(4, 20)), "spleen": (slice(25, 35), slice(4, 12), slice(4, 12))}
    )
    find = finder.find

    def counted(structure, cancel=None, progress=None):
        looked.append(structure)
        return find(structure, cancel, progress)

    finder.find = counted
    conversation = Conversation(finder)
    first, _, second = answers(
        conversation, "which masks are there", "segment the liver", "what did you segment so far"
    )
    assert "No structure" in first
    assert "liver" in second
    assert "spleen" not in second
    assert looked == ["liver"]


@pytest.mark.parametrize("words", ["make the smaller one yellow", "hide the smaller one", "zoom in on the smaller one"])
def test_the_viewer_gets_the_one_of_a_pair(words):
    blocks = {
        "liver": (slice(2, 20), slice(4, 20), slice(4, 20)),
        "spleen": (slice(25, 33), slice(6, 14), slice(6, 14)),
    }
    conversation = Conversation(finder_of(blocks))
    answers(conversation, "segment liver and spleen")
    pieces = list(conversation.ask(words))
    view = next(piece for piece in pieces if type(piece).__name__ == "View")
    assert view.mask_ids == (conversation.scene.mask("spleen").id,)


@pytest.mark.parametrize(
    "words", ["compared to normal", "how does that compare to a normal adult", "and versus the average?"]
)
def test_compared_to_normal_is_the_rule(words):
    (request,) = talk("spleen size", words)
    assert (type(request), request.id) == (Finding, "splenomegaly")


@pytest.mark.parametrize(("plane", "axis", "at"), [("axial", 2, 20), ("coronal", 1, 9), ("sagittal", 0, 30)])
def test_what_a_slice_shows_is_what_has_voxels_in_it(plane, axis, at):
    blocks = {
        "liver": (slice(2, 20), slice(14, 30), slice(2, 10)),
        "spleen": (slice(25, 35), slice(4, 12), slice(15, 25)),
    }
    conversation = Conversation(finder_of(blocks))
    (told,) = answers(conversation, f"what is visible in {plane} slice {at}?")
    for structure in blocks:
        there = conversation.scene.mask(structure).slice(axis, at - 1).any()
        assert (structure in told) == bool(there)
    assert talk(f"what is visible in {plane} slice {at}?", "go there") == (
        Show(action="slice", plane=plane, number=at),
    )


def test_a_slice_beyond_the_scan_is_said_to_be():
    (told,) = answers(
        Conversation(finder_of({"liver": (slice(2, 20), slice(14, 30), slice(2, 10))})), "what is in slice 99"
    )
    assert "counted from 1 to 30" in told


@pytest.mark.parametrize("words", ["why couldnt you find it", "why can't you see it?", "why is it missing"])
def test_why_it_was_not_found(words):
    assert talk("pancreas", words)[-1].topic == "not_found"


@pytest.mark.parametrize(
    "words", ["what can u tell me about the kidneys", "please describe the kidneys", "how are the kidneys looking"]
)
def test_a_structure_described_is_measured(words):
    assert [r.attribute for r in parse(words)] == ["volume", "mean_hu"]


def test_water_is_what_the_scale_is_made_of():
    assert talk("liver hu", "how does that compare to water")[0].topic == "hounsfield_unit"


@pytest.mark.parametrize("words", ["its counterpart", "and the counterpart?"])
def test_a_counterpart_is_the_other_side(words):
    assert talk("left kidney please", words)[0].structures == ("right_kidney",)


def test_danger_is_not_told_of_radiation_where_a_structure_was_meant():
    *_, last = parse("how wide is the aorta, and is it dangerous?")
    assert (type(last), last.reason) == (Refuse, "diagnosis")
    assert parse("is a ct dangerous")[0].topic == "radiation"
