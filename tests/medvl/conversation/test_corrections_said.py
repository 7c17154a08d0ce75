"""What is not wanted, put right while speaking, or asked about the program itself: many wordings of one meaning."""

from __future__ import annotations

import pytest

from medvl.conversation.contract import Done
from medvl.conversation.conversation import Conversation
from medvl.language.calls import Chat, Finding, Lookup, Measure, Presence, Relate, Segment, Show
from medvl.language.parse import parse
from medvl.vocabulary.names import EVERYTHING

from ..scenes import finder_of, sample


def turns(*texts: str):
    history: list = []
    for text in texts:
        history.append(parse(text, tuple(history)))
    return history[-1]


def told(talk: Conversation, text: str) -> str:
    return next(piece.answer.text for piece in talk.ask(text) if isinstance(piece, Done))


@pytest.mark.parametrize(
    "text",
    [
        "except for the bones, show me everything",
        "without the bones, segment all organs",
        "everything but the bones please",
        "leaving aside nothing, segment everything except bones",
    ],
)
def test_everything_but(text):
    (request,) = parse(text)
    assert isinstance(request, Segment)
    assert set(EVERYTHING) - set(request.structures) == {"vertebral_column", "other_bone"}


def test_everything_else_is_without_what_was_named():
    requests = parse("don't segment the liver, segment everything else")
    assert [type(r) for r in requests] == [Segment]
    assert "liver" not in requests[0].structures
    assert "spleen" in requests[0].structures
    (after,) = turns("segment the spleen", "now mask everything else")
    assert "spleen" not in after.structures


@pytest.mark.parametrize(
    ("before", "text", "structures"),
    [
        ("how big is the liver", "not the liver but the spleen", ("spleen",)),
        ("mean HU of the left kidney", "no, not the left one, the right one", ("right_kidney",)),
        ("in which slices is the heart", "not the heart, I meant the aorta", ("aorta",)),
    ],
)
def test_a_correction_keeps_the_question(before, text, structures):
    (first,), (request,) = parse(before), turns(before, text)
    assert (type(request), request.attribute, request.structures) == (Measure, first.attribute, structures)


@pytest.mark.parametrize("text", ["just the liver please", "only the liver", "ok, just the liver"])
def test_just_one_after_hiding(text):
    (request,) = turns("segment liver and lungs", "hide the lungs", text)
    assert (type(request), request.action, request.structures) == (Show, "only", ("liver",))


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("which structures do you get worst", "limits"),
        ("where do you fail", "limits"),
        ("is it ok to trust these values", "accuracy"),
        ("who is liable for errors", "responsible"),
        ("whose fault is it when the outline is wrong", "responsible"),
        ("and in gallons?", "other_units"),
        ("how much is that in ounces", "other_units"),
    ],
)
def test_about_the_program(text, topic):
    (request,) = turns("volume of the liver", text)
    assert (type(request), request.topic) == (Chat, topic)


@pytest.mark.parametrize(
    "text", ["why can't you find the heart?", "why is the heart missing", "why did you not segment the heart"]
)
def test_why_something_is_not_there(text):
    presence, why = parse(text)
    assert (type(presence), presence.structures) == (Presence, ("heart",))
    assert why.topic == "not_found"


@pytest.mark.parametrize(
    "text", ["why do you say that", "which paper is that from?", "what makes you think so", "says who"]
)
def test_a_finding_is_told_again_with_its_source(text):
    (request,) = turns("is the spleen enlarged", text)
    assert (type(request), request.id) == (Finding, "splenomegaly")


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("my doctor said my liver is big, is that true", "hepatomegaly"),
        ("I was told the spleen is large", "splenomegaly"),
        ("they say my heart is enlarged", "cardiomegaly"),
    ],
)
def test_what_was_heard_is_checked(text, finding):
    assert any(isinstance(r, Finding) and r.id == finding for r in parse(text))


@pytest.mark.parametrize(
    ("before", "it"),
    [("how far is the spleen from the liver", "spleen"), ("where does the aorta lie relative to the spine", "aorta")],
)
def test_it_is_what_was_placed(before, it):
    assert turns(before, "how big is it")[0].structures == (it,)


@pytest.mark.parametrize(
    "text", ["where does the spleen lie compared to the left kidney", "where is it in comparison with the left kidney"]
)
def test_where_compared_is_a_place(text):
    (request,) = turns("segment the spleen", text)
    assert (type(request), request.kind) == (Relate, "direction")
    assert request.structures == ("spleen", "left_kidney")


@pytest.mark.parametrize(
    "text", ["how many voxels does the liver mask have", "voxel count of the liver", "liver: number of pixels"]
)
def test_voxels_are_counted(text):
    (request,) = parse(text)
    assert (request.attribute, request.structures) == ("voxels", ("liver",))
    finder = finder_of({"liver": (slice(20, 30), slice(5, 10), slice(10, 14))})
    assert "has 200 voxels of 6.0 mm³ each: 1.2 mL" in told(Conversation(finder), text)


@pytest.mark.parametrize(
    "text", ["what is the volume of one voxel", "voxel volume?", "physical size of a single voxel"]
)
def test_the_volume_of_a_voxel(text):
    assert "a volume of 27.0 mm³" in told(Conversation(sample()), text)


@pytest.mark.parametrize("text", ["what is the uvula", "what is a hilum?", "and what are the trigones"])
def test_what_is_unknown_is_not_explained(text):
    (request,) = parse(text)
    assert (type(request), request.topic) == (Lookup, "no_text")
    assert request.unknown


@pytest.mark.parametrize("text", ["any free fluid?", "is there fluid in the belly", "has it spread to the bones"])
def test_what_is_not_looked_for_is_said(text):
    assert parse(text)[0].reason == "diagnosis"


def test_the_spread_of_values_is_no_disease():
    (request,) = parse("HU of the aorta, and the spread")
    assert (type(request), request.attribute) == (Measure, "mean_hu")
