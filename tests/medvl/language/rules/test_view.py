"""What the viewer is asked to do in words, on reference labels."""

from __future__ import annotations

import pytest

from medvl.conversation.contract import Done
from medvl.conversation.conversation import Conversation
from medvl.language.calls import Chat, Compare, Lookup, Refuse, Remove, Segment, Show
from medvl.language.parse import parse
from medvl.language.rules.view import COLOURS
from medvl.tools.pieces import MaskRef, View

from ...scenes import sample


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("hide the spleen", Show(("spleen",), "hide")),
        ("please turn the spleen off", Show(("spleen",), "hide")),
        ("show only the liver and the spleen", Show(("liver", "spleen"), "only")),
        ("hide everything but the heart", Show(("heart",), "only")),
        ("show the spleen again", Show(("spleen",), "show")),
        ("zoom in on the left kidney", Show(("left_kidney",), "centre")),
        ("go to the aorta", Show(("aorta",), "centre")),
        ("make the liver red", Show(("liver",), "colour", colour="red")),
        ("switch to the bone window", Show(action="window", window="Bone")),
        ("set the window to soft tissue", Show(action="window", window="Soft tissue")),
        ("hide all masks", Show(action="hide")),
    ],
)
def test_orders_to_the_viewer(text, call):
    assert parse(text) == (call,)


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        ("what is a lung window?", Lookup),
        ("show the liver", Segment),
        ("segment only the liver", Segment),
        ("remove the spleen", Remove),
        ("is the liver brighter than the spleen?", Compare),
        ("why is the aorta white?", Lookup),
    ],
)
def test_other_requests_stay_what_they_are(text, tool):
    assert type(parse(text)[0]) is tool


def test_it_is_what_was_spoken_of():
    before = parse("how big is the spleen?")
    (request,) = parse("hide it", [before])
    assert (type(request), request.structures) == (Show, ("spleen",))


def test_the_window_is_one_of_the_viewer():
    from app.viewer.board import WINDOWS
    from medvl.language.rules import view as rules_view

    assert set(rules_view.WINDOWS.values()) == {name for name, _, _ in WINDOWS}


class TestOnAScan:
    @staticmethod
    def pieces(talk, text):
        found = list(talk.ask(text))
        return [p for p in found if isinstance(p, View)], found

    def test_hiding_keeps_the_mask_and_says_so(self):
        talk = Conversation(sample())
        (mask,) = [p.mask for p in talk.ask("segment the liver") if isinstance(p, MaskRef)]
        views, found = self.pieces(talk, "hide it")
        assert views == [View("hide", (mask.id,))]
        assert "hid the liver" in found[-1].answer.text
        assert talk.scene.mask("liver") is not None

    def test_nothing_to_hide(self):
        views, found = self.pieces(Conversation(sample()), "hide the liver")
        assert views == []
        assert "no mask of the liver" in found[-1].answer.text

    def test_going_somewhere_finds_it_first(self):
        views, found = self.pieces(Conversation(sample()), "go to the liver")
        (mask,) = [p.mask for p in found if isinstance(p, MaskRef)]
        assert views == [View("centre", (mask.id,))]

    def test_a_colour(self):
        views, _ = self.pieces(Conversation(sample()), "make the liver green")
        assert views[0].action == "colour"
        assert views[0].value == COLOURS["green"]

    def test_a_window_needs_no_mask(self):
        views, found = self.pieces(Conversation(sample()), "lung window please")
        assert views == [View("window", value="Lung")]
        assert isinstance(found[-1], Done)
        assert not found[-1].answer.refused

    def test_a_slice_is_counted_as_the_viewer_counts(self):
        views, found = self.pieces(Conversation(sample()), "jump to slice 5")
        assert views == [View("slice", value="2 4")]
        assert "slice 5 of" in found[-1].answer.text
        views, _ = self.pieces(Conversation(sample()), "show coronal slice number 1")
        assert views == [View("slice", value="1 0")]

    def test_a_slice_that_is_not_there_is_refused_with_the_range(self):
        views, found = self.pieces(Conversation(sample()), "go to slice 4000")
        assert views == []
        assert "counted from 1 to" in found[-1].answer.text

    @pytest.mark.parametrize("text", ["bring the others back", "show the rest again", "show them again", "unhide all"])
    def test_after_showing_one_the_others_come_back(self, text):
        talk = Conversation(sample())
        masks = [p.mask.id for p in talk.ask("segment liver, spleen and stomach") if isinstance(p, MaskRef)]
        list(talk.ask("show only the spleen"))
        (change,), _ = self.pieces(talk, text)
        assert change.action == "show"
        assert set(change.mask_ids) == set(masks)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("skip the lungs, just show the liver", ("liver",)),
        ("leave out the heart, only show the spleen and the liver", ("spleen", "liver")),
        ("hide everything except the aorta", ("aorta",)),
        ("without the bones, show only the kidneys", ("right_kidney", "left_kidney")),
    ],
)
def test_what_is_not_wanted_is_not_shown(text, shown):
    requests = [r for r in parse(text) if isinstance(r, Show)]
    assert [(r.action, r.structures) for r in requests] == [("only", shown)]


def talk_of(*texts: str):
    history: list = []
    for text in texts:
        history.append(parse(text, tuple(history)))
    return history[-1]


@pytest.mark.parametrize(
    "text", ["undo", "undo that please", "no wait, undo", "revert that", "put it back", "can you undo it?"]
)
@pytest.mark.parametrize(
    ("before", "tool", "action", "structures"),
    [
        (["segment the liver", "hide it"], Show, "show", ("liver",)),
        (["segment liver and spleen", "show only the spleen"], Show, "show", ()),
        (["segment the heart"], Remove, "", ("heart",)),
        (["segment the heart", "delete it"], Segment, "", ("heart",)),
        (["segment all organs", "hide the bones", "what is a voxel"], Show, "show", None),
    ],
)
def test_the_last_thing_done_is_undone(text, before, tool, action, structures):
    (request,) = talk_of(*before, text)
    assert (type(request), getattr(request, "action", "")) == (tool, action)
    assert structures is None or request.structures == structures


def test_what_cannot_be_undone_is_said():
    assert talk_of("lung window", "undo") == (Chat("undo"),)
    assert talk_of("undo") == (Chat("undo"),)


@pytest.mark.parametrize(
    "text", ["leave the liver out", "without the liver", "no liver please", "don't show the liver"]
)
def test_what_was_made_is_hidden_when_it_is_not_wanted(text):
    (request,) = talk_of("segment all organs", text)
    assert (type(request), request.action, request.structures) == (Show, "hide", ("liver",))
    (alone,) = parse("leave the liver out")
    assert isinstance(alone, Refuse)  # nothing to hide


@pytest.mark.parametrize(
    "text", ["show the kidneys only", "display the right and left kidney alone", "see both kidneys only please"]
)
def test_only_may_stand_last(text):
    (request,) = parse(text)
    assert (type(request), request.action) == (Show, "only")
    assert request.structures == ("right_kidney", "left_kidney")


@pytest.mark.parametrize(
    "text", ["bring everything back", "now all of them again", "everything back on", "the others again"]
)
def test_all_come_back(text):
    (request,) = talk_of("segment liver and spleen", "show only the spleen", "how big is it", text)
    assert (type(request), request.action, request.structures) == (Show, "show", ())


@pytest.mark.parametrize(
    ("before", "text", "structures"),
    [
        ("how wide is the aorta", "take me there", ("aorta",)),
        ("in which slice is the liver largest", "show me that slice", ("liver",)),
        ("segment the spleen", "go to its largest slice", ("spleen",)),
        ("hello", "jump to the biggest section of the left kidney", ("left_kidney",)),
    ],
)
def test_to_the_slice_spoken_of(before, text, structures):
    (request,) = talk_of(before, text)
    assert (request.action, request.structures) == ("largest_slice", structures)


def test_the_viewer_goes_to_the_slice_that_is_told():
    pieces = list(Conversation(sample()).ask("go to the largest slice of the liver"))
    (view,) = [p for p in pieces if isinstance(p, View)]
    told = next(
        p.answer.text for p in Conversation(sample()).ask("in what slice is the liver largest") if isinstance(p, Done)
    )
    assert f"slice {int(view.value.split()[1]) + 1} " in told


def test_a_structure_that_was_not_made_yet_is_made_to_be_shown():
    pieces = list(Conversation(sample()).ask("make visible the spleen"))
    assert [p.mask.name for p in pieces if isinstance(p, MaskRef)] == ["Spleen"]


def test_what_is_forgotten_beside_a_wish_needs_no_mask():
    talk = Conversation(sample())
    text = next(p.answer.text for p in talk.ask("forget the spleen, show the liver") if isinstance(p, Done))
    assert "spleen" not in text


@pytest.mark.parametrize("text", ["zoom in on it", "centre it", "go to it"])
def test_it_is_gone_to(text):
    (request,) = talk_of("segment the spleen", text)
    assert (type(request), request.action, request.structures) == (Show, "centre", ("spleen",))
