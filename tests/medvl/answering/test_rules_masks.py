"""Words that ask for a mask to be changed, and words that do not."""

from __future__ import annotations

import pytest

from medvl.answering.contract import POINTED, Intent, Request
from medvl.answering.intent import parse
from medvl.evaluation.question_set import history

LIVER, KIDNEYS = ("liver",), ("right_kidney", "left_kidney")


def talk(*turns: str) -> tuple[Request, ...]:
    """Requests of the last turn."""
    return parse(turns[-1], tuple(history(parse, turns[:-1])))


@pytest.mark.parametrize(
    ("words", "attribute"),
    [
        ("smooth it", "smooth"),
        ("can you smooth the liver", "smooth"),
        ("make the outline smoother", "smooth"),
        ("make it a bit smoother please", "smooth"),
        ("fill the holes", "fill"),
        ("please fill the holes in it", "fill"),
        ("remove the holes", "fill"),
        ("close the gaps in the liver", "fill"),
        ("keep only the largest piece", "largest"),
        ("keep the biggest component of the liver", "largest"),
        ("remove the small islands", "islands"),
        ("get rid of the tiny specks in the liver mask", "islands"),
        ("remove islands", "islands"),
    ],
)
def test_one_mask_is_changed(words, attribute):
    (request,) = talk("segment the liver", words)
    assert (request.intent, request.attribute, request.structures) == (Intent.EDIT, attribute, LIVER)
    assert (request.referring == POINTED) is ("liver" not in words)


@pytest.mark.parametrize(
    ("words", "structures"),
    [
        ("merge the two kidneys", KIDNEYS),
        ("merge both kidneys into one mask", KIDNEYS),
        ("combine liver and spleen", ("liver", "spleen")),
        ("merge the liver with the spleen", ("liver", "spleen")),
        ("add the spleen to the liver", ("liver", "spleen")),
        ("make the liver and the spleen into one mask", ("liver", "spleen")),
    ],
)
def test_masks_are_merged(words, structures):
    (request,) = parse(words)
    assert (request.intent, request.attribute, request.structures) == (Intent.EDIT, "union", structures)


@pytest.mark.parametrize(
    ("words", "structures"),
    [
        ("subtract the aorta from the vertebrae", ("vertebral_column", "aorta")),
        ("remove the gallbladder from the liver", ("liver", "gallbladder")),
        ("cut the gallbladder out of the liver mask", ("liver", "gallbladder")),
        ("subtract the aorta and the heart from the left lung", ("left_lung", "aorta", "heart")),
    ],
)
def test_what_is_subtracted_comes_behind_what_it_is_taken_from(words, structures):
    (request,) = parse(words)
    assert (request.intent, request.attribute, request.structures) == (Intent.EDIT, "subtract", structures)


def test_it_is_what_was_spoken_of():
    (less,) = talk("segment the stomach", "subtract the spleen from it")
    assert less.structures == ("stomach", "spleen")
    (both,) = talk("segment the stomach", "merge it with the spleen")
    assert both.structures == ("stomach", "spleen")
    (them,) = talk("segment liver and spleen", "merge them")
    assert them.structures == ("liver", "spleen")


def test_a_part_that_is_not_known_removes_no_organ():
    (request,) = talk("segment the liver", "now remove the vessels from it")
    assert (request.intent, request.structures, request.unknown) == (Intent.EDIT, LIVER, ("vessels",))
    (request,) = talk("segment the liver", "delete the tumour")
    assert (request.intent, request.structures) == (Intent.REMOVE, ())
    assert request.unknown


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("rename it to hepar 2", "hepar 2"),
        ("call it lesion 1", "lesion 1"),
        ("rename the liver to big organ", "big organ"),
        ("change its name to organ a", "organ a"),
        ("name the liver mask first", "first"),
    ],
)
def test_another_name(words, name):
    (request,) = talk("segment the liver", words)
    assert (request.intent, request.attribute, request.structures, request.topic) == (
        Intent.EDIT,
        "rename",
        LIVER,
        name,
    )


def test_an_edit_after_a_mask_in_one_message():
    made, smoothed, filled = parse("segment the spleen, smooth it and fill the holes")
    assert (made.intent, smoothed.attribute, filled.attribute) == (Intent.SEGMENT, "smooth", "fill")
    assert {made.structures, smoothed.structures, filled.structures} == {("spleen",)}


@pytest.mark.parametrize("words", ["undo", "undo that", "undo the last edit", "undo the smoothing"])
def test_an_edit_is_undone_and_done_again(words):
    (request,) = talk("segment the liver", "smooth it", words)
    assert (request.intent, request.attribute) == (Intent.EDIT, "undo")
    (again,) = talk("segment the liver", "smooth it", words, "redo")
    assert (again.intent, again.attribute) == (Intent.EDIT, "redo")
    (made,) = talk("segment the liver", "smooth it", words, "undo")
    assert (made.intent, made.structures) == (Intent.REMOVE, LIVER)


@pytest.mark.parametrize("words", ["how do I delete a mask", "how can i smooth a mask", "can I merge masks?"])
def test_how_it_is_done_is_told_and_nothing_changed(words):
    (request,) = talk("segment the liver", words)
    assert (request.intent, request.topic) == (Intent.CHAT, "edit")


@pytest.mark.parametrize("words", ["erode it a bit", "grow it by 3 mm", "split the mask", "make it bigger"])
def test_what_there_is_no_tool_for(words):
    (request,) = talk("segment the liver", words)
    assert (request.intent, request.topic) == (Intent.CHAT, "edit_none")


@pytest.mark.parametrize(
    "words",
    ["is the liver smooth?", "how big is the liver", "remove the liver", "hide the liver", "call a doctor",
     "combined volume of the kidneys", "subtract the spleen volume from the liver volume", "the spleen please",
     "which is the largest piece?", "name the organs you see", "add the spleen", "fill me in on the liver",
     "do not smooth it"],
)  # fmt: skip
def test_what_is_no_edit(words):
    assert all(r.intent is not Intent.EDIT for r in talk("segment the liver", words))
