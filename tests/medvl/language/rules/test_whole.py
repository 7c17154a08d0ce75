"""Several structures at once: shares, orders, what is cut, sums; and short words after an answer."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.conversation.contract import Done
from medvl.conversation.conversation import Conversation
from medvl.language.calls import (
    Chat,
    Finding,
    ListStructures,
    Measure,
    Rank,
    Relate,
    Segment,
    Share,
    Show,
    Total,
)
from medvl.language.parse import parse

from ...scenes import finder_of

TWO = {"liver": np.s_[5:15, 5:15, 5:15], "spleen": np.s_[20:25, 5:15, 5:15]}  # the liver has twice the voxels


def turns(*texts: str):
    history: list = []
    for text in texts:
        history.append(parse(text, tuple(history)))
    return history[-1]


@pytest.mark.parametrize(
    ("text", "part", "whole"),
    [
        ("what percentage of the body is bone", ("vertebral_column", "other_bone"), ("body",)),
        ("what fraction of the lungs is the left lung", ("left_lung",), ("right_lung", "left_lung")),
        ("the right kidney in percent of the liver", ("right_kidney",), ("liver",)),
    ],
)
def test_a_share_has_a_part_and_a_whole(text, part, whole):
    (request,) = parse(text)
    assert request == Share(part, whole)


@pytest.mark.parametrize("text", ["rank the organs by size", "volumes of all organs", "list all organs by volume"])
def test_all_are_put_in_order(text):
    (request,) = parse(text)
    assert (type(request), request.by, request.which) == (Rank, "volume", "")
    assert {"liver", "spleen", "heart"} <= set(request.structures)
    assert "aorta" not in request.structures  # a vessel is no organ


@pytest.mark.parametrize(
    "text", ["what organs are cut off at the edge?", "which structures are complete", "are any organs truncated"]
)
def test_what_is_cut(text):
    (request,) = parse(text)
    assert request == ListStructures("cut")


def test_parts_with_their_own_attribute_are_told_apart():
    asked = parse("I need the hepatic volume, the splenic volume, and the length of the spleen")
    assert [(r.structures, r.attribute) for r in asked] == [
        (("liver",), "volume"),
        (("spleen",), "volume"),
        (("spleen",), "extent"),
    ]
    (request,) = parse("volume of the liver, the spleen and the stomach")
    assert request.structures == ("liver", "spleen", "stomach")


def test_follow_ups():
    (request,) = turns("how big is the heart", "is that normal")
    assert request.id == "cardiomegaly"
    assert [r.attribute for r in turns("liver volume", "more details")] == ["mean_hu", "extent", "position"]
    (request,) = turns("spleen volume", "and the liver", "sum?")
    assert request == Total(("spleen", "liver"))
    (request,) = turns("is the aorta dilated", "why?")
    assert request.id == "aortic_aneurysm"


def finder():
    """A liver of 200 and a spleen of 100 voxels of 6 mm3, the spleen at the upper border."""
    return finder_of(
        {"liver": (slice(20, 30), slice(5, 10), slice(10, 14)), "spleen": (slice(2, 7), slice(5, 10), slice(26, 30))}
    )


def said(talk: Conversation, text: str) -> str:
    return next(piece.answer.text for piece in talk.ask(text) if isinstance(piece, Done))


def test_answers_are_computed():
    talk = Conversation(finder())
    assert "50%" in said(talk, "what percentage of the liver is the spleen by volume")
    assert "1.8 mL" in said(talk, "add the volumes of liver and spleen")
    assert said(talk, "rank the organs by size").startswith("The liver is larger than the spleen")
    cut = said(talk, "which organs are cut off?")
    assert "spleen reaches the upper border" in cut
    assert "liver lies wholly inside" in cut


def test_a_volume_is_told_once():
    text = said(Conversation(finder()), "segment the liver and tell me its volume")
    assert text.count("mL") == 1


@pytest.mark.parametrize(
    ("before", "text", "finding", "structures"),
    [
        ("are there gallstones?", "what about the kidneys?", "renal_stones", ("right_kidney", "left_kidney")),
        ("any kidney stones?", "and in the gallbladder?", "gallstones", ("gallbladder",)),
        ("is the spleen enlarged?", "and the aorta?", "aortic_aneurysm", ("aorta",)),
        ("compare the kidneys", "is that difference significant?", "kidney_asymmetry", ("right_kidney", "left_kidney")),
    ],
)
def test_a_question_about_another_organ_asks_for_the_same(before, text, finding, structures):
    (request,) = turns(before, text)
    assert (type(request), request.id, request.structures) == (Finding, finding, structures)


@pytest.mark.parametrize(
    "text",
    [
        "how many times larger is the liver than the spleen?",
        "ratio of liver to spleen",
        "is the liver twice as big as the spleen",
    ],
)
def test_a_ratio_is_told_as_one(text):
    finder = finder_of(TWO)
    answer = next(p for p in Conversation(finder).ask(text) if isinstance(p, Done)).answer
    assert "2 times the volume of the spleen" in answer.text


@pytest.mark.parametrize("text", ["sum of both kidneys", "add up the kidneys", "the total of the two kidneys"])
def test_a_sum_is_measured_not_drawn(text):
    (request,) = parse(text)
    assert request == Total(("right_kidney", "left_kidney"))


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ("in what slice is the liver largest?", "largest_slice"),
        ("which slice shows the spleen best?", "largest_slice"),
        ("where is the aorta widest?", "diameter"),  # told with its slice
        ("at which level is the bladder biggest?", "largest_slice"),
    ],
)
def test_where_it_is_largest(text, attribute):
    (request,) = parse(text)
    assert (type(request), request.attribute) == (Measure, attribute)


def test_the_largest_section_is_that_of_the_mask():
    finder = finder_of(TWO)
    mask = finder.find("liver").mask
    answer = next(
        p for p in Conversation(finder).ask("in which slice is the liver largest?") if isinstance(p, Done)
    ).answer
    facts = {fact.key: fact.value for sentence in answer.sentences for fact in sentence.facts}
    areas = mask.array.sum(axis=(0, 1))
    assert facts["largest_slice"] == areas.argmax() + 1
    assert facts["section_cm2"] == pytest.approx(areas.max() * finder.ct.spacing_mm[0] * finder.ct.spacing_mm[1] / 100)


@pytest.mark.parametrize(
    ("text", "kind"), [("which vessels can you segment?", "vessel"), ("what bones do you know", "bone")]
)
def test_what_is_known_of_a_kind_needs_no_look_at_the_scan(text, kind):
    (request,) = parse(text)
    assert request == ListStructures(kind=kind)
    pieces = list(Conversation(finder_of(TWO)).ask(text))
    assert {type(p).__name__ for p in pieces} == {"Words", "Done"}


def test_what_of_a_region_is_there_leaves_the_others_out():
    (request,) = parse("which organs in the chest can you find?")
    assert request == ListStructures(region="chest")


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("what can you not do?", "limits"),
        ("are you a real doctor?", "identity"),
        ("I think the liver mask is wrong", "accuracy"),
        ("export the liver as nifti", "export"),
        ("how do I fix the spleen?", "page"),
    ],
)
def test_about_the_program(text, topic):
    (request,) = parse(text)
    assert (type(request), request.topic) == (Chat, topic)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (("which organ is the biggest?", "and the smallest?"), (Rank, "smaller")),
        (("segment the heart and the aorta", "which is higher?"), (Relate, "")),
        (("segment the liver", "remove it", "undo"), (Segment, "")),
    ],
)
def test_short_words_go_on_about_what_was_said(said, wanted):
    (request,) = turns(*said)
    assert (type(request), request.which) == wanted


@pytest.mark.parametrize(
    "text", ["segment liver, no wait, the spleen", "the heart, sorry, the spleen", "liver, I mean spleen"]
)
def test_who_corrects_himself_gets_what_he_meant(text):
    (request,) = parse(text)
    assert (type(request), request.structures) == (Segment, ("spleen",))


def test_undo_after_hiding_shows_again():
    (request,) = turns("segment liver and heart", "hide the heart", "undo that")
    assert (type(request), request.action, request.structures) == (Show, "show", ("heart",))


def test_a_difference_is_told_in_its_unit_and_in_percent():
    *_, done = Conversation(finder_of(TWO)).ask("which is larger, the liver or the spleen?")
    facts = {fact.key: fact for sentence in done.answer.sentences for fact in sentence.facts}
    assert facts["difference"].unit == "mL"
    assert facts["difference_percent"].value == pytest.approx(50)
