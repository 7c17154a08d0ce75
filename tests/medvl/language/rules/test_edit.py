"""Words that ask for a mask to be changed, and words that do not."""

from __future__ import annotations

import pytest

from medvl.evaluation.question_set import history
from medvl.language.calls import IT, Call, Chat, Edit, Remove, Segment
from medvl.language.parse import parse

LIVER, KIDNEYS = ("liver",), ("right_kidney", "left_kidney")


def talk(*turns: str) -> tuple[Call, ...]:
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
    assert (type(request), request.op, request.structures) == (Edit, attribute, LIVER)
    assert (IT in request.of) is ("liver" not in words)


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
    assert (type(request), request.op, request.structures) == (Edit, "union", structures)


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
    assert (type(request), request.op, request.structures) == (Edit, "subtract", structures)


def test_it_is_what_was_spoken_of():
    (less,) = talk("segment the stomach", "subtract the spleen from it")
    assert less.structures == ("stomach", "spleen")
    (both,) = talk("segment the stomach", "merge it with the spleen")
    assert both.structures == ("stomach", "spleen")
    (them,) = talk("segment liver and spleen", "merge them")
    assert them.structures == ("liver", "spleen")


def test_a_part_that_is_not_known_removes_no_organ():
    (request,) = talk("segment the liver", "now remove the vessels from it")
    assert (type(request), request.structures, request.unknown) == (Edit, LIVER, ("vessels",))
    (request,) = talk("segment the liver", "delete the tumour")
    assert (type(request), request.structures) == (Remove, ())
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
    assert (type(request), request.op, request.structures, request.name) == (Edit, "rename", LIVER, name)


def test_an_edit_after_a_mask_in_one_message():
    made, smoothed, filled = parse("segment the spleen, smooth it and fill the holes")
    assert (type(made), smoothed.op, filled.op) == (Segment, "smooth", "fill")
    assert {made.structures, smoothed.structures, filled.structures} == {("spleen",)}


@pytest.mark.parametrize("words", ["undo", "undo that", "undo the last edit", "undo the smoothing"])
def test_an_edit_is_undone_and_done_again(words):
    (request,) = talk("segment the liver", "smooth it", words)
    assert (type(request), request.op) == (Edit, "undo")
    (again,) = talk("segment the liver", "smooth it", words, "redo")
    assert (type(again), again.op) == (Edit, "redo")
    (made,) = talk("segment the liver", "smooth it", words, "undo")
    assert (type(made), made.structures) == (Remove, LIVER)


@pytest.mark.parametrize(
    ("words", "op", "structures", "values"),
    [
        ("expand it by 5 mm", "grow", LIVER, {"radius_mm": 5}),
        ("grow the spleen by 0.5 cm", "grow", ("spleen",), {"radius_mm": 5}),
        ("make it a bit bigger", "grow", LIVER, {}),
        ("add a 3 mm margin to the spleen", "grow", ("spleen",), {"radius_mm": 3}),
        ("shrink the liver mask by 2 mm", "shrink", LIVER, {"radius_mm": 2}),
        ("make a 3 mm shell of the heart", "hollow", ("heart",), {"radius_mm": 3}),
        ("keep only above 150 HU", "threshold", LIVER, {"low_hu": 150}),
        ("keep only voxels < -900 HU", "threshold", LIVER, {"high_hu": -900}),
        ("limit the aorta to -50 to 300 HU", "threshold", ("aorta",), {"low_hu": -50, "high_hu": 300}),
        ("remove everything below 100 HU from the spleen", "threshold", ("spleen",), {"low_hu": 100}),
        ("split it", "split", LIVER, {}),
        ("separate the spleen into its pieces", "split", ("spleen",), {}),
        ("keep what the liver and the stomach share", "intersect", ("liver", "stomach"), {}),
        ("intersect the stomach with the liver", "intersect", ("stomach", "liver"), {}),
        ("fill between the slices", "interpolate", LIVER, {}),
    ],
)  # fmt: skip
def test_edits_with_a_length_a_range_or_a_table_word(words, op, structures, values):
    (request,) = talk("segment the liver", words)
    assert (type(request), request.op, request.structures) == (Edit, op, structures)
    numbers = {name: getattr(request, name) for name in ("radius_mm", "low_hu", "high_hu")}
    assert {name: value for name, value in numbers.items() if value is not None} == values


@pytest.mark.parametrize("words", ["how do I delete a mask", "how can i smooth a mask", "can I merge masks?"])
def test_how_it_is_done_is_told_and_nothing_changed(words):
    (request,) = talk("segment the liver", words)
    assert (type(request), request.topic) == (Chat, "edit")


@pytest.mark.parametrize("words", ["invert it", "crop the mask", "duplicate the mask", "make it rounder"])
def test_what_there_is_no_tool_for(words):
    (request,) = talk("segment the liver", words)
    assert (type(request), request.topic) == (Chat, "edit_none")


@pytest.mark.parametrize(
    "words",
    ["is the liver smooth?", "how big is the liver", "remove the liver", "hide the liver", "call a doctor",
     "combined volume of the kidneys", "subtract the spleen volume from the liver volume", "the spleen please",
     "which is the largest piece?", "name the organs you see", "add the spleen", "fill me in on the liver",
     "do not smooth it", "do not grow it", "keep only the smaller kidney", "make the smaller kidney red",
     "is the liver enlarged?", "what is the overlap of the liver and the stomach", "split the screen",
     "voxels above 150 HU in the liver", "only the kidneys"],
)  # fmt: skip
def test_what_is_no_edit(words):
    assert all(not isinstance(r, Edit) for r in talk("segment the liver", words))
