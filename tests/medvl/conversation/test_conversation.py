"""A conversation streams steps, masks and words, ends with Done, stops at once, and never tells a number it has not."""

from __future__ import annotations

import threading

import pytest

from medvl.conversation import guard
from medvl.conversation.contract import Done, Words
from medvl.conversation.conversation import Conversation
from medvl.errors import MedVLError
from medvl.language.calls import Compare, Segment
from medvl.structures.found import Found
from medvl.tools.pieces import MaskRef, Step, View

from ..scenes import finder_of, sample, talking_case

QUESTIONS = [
    "segment the liver and both kidneys",
    "how big is the spleen?",
    "where is the stomach?",
    "in which slices is the bladder?",
    "how wide is the aorta?",
    "how long is the left kidney?",
    "which kidney is larger?",
    "is the spleen brighter than the liver?",
    "how far is the spleen from the gallbladder?",
    "what is nearest to the duodenum?",
    "where is the spleen relative to the liver?",
    "is there a gallbladder?",
    "segment the larger kidney",
    "segment the prostate",
    "is there calcium in the aorta?",
    "was contrast given?",
    "which region does the scan cover?",
    "what organs can you see?",
    "what is the voxel size?",
    "does he have cancer?",
    "hello",
    "qwerty uiop",
    "",
    "remove the liver",
]


class Fixed:
    """A planner that always has the same plan."""

    name = "fixed"

    def __init__(self, *calls):
        self.calls = calls

    def plan(self, message, state, cancel=None):
        return self.calls


def run(conversation, text, cancel=None):
    pieces = list(conversation.ask(text, cancel))
    assert isinstance(pieces[-1], Done)
    assert not any(isinstance(p, Done) for p in pieces[:-1])
    return pieces, pieces[-1].answer


def test_every_answer_is_what_was_streamed_and_true_to_its_facts():
    conversation = Conversation(sample())
    for question in QUESTIONS:
        pieces, answer = run(conversation, question)
        assert answer.text == "".join(p.text for p in pieces if isinstance(p, Words)), question
        assert answer.text, question
        announced = {p.mask.id for p in pieces if isinstance(p, MaskRef)}
        for told in answer.sentences:
            assert guard.holds(told), told.text
            assert set(told.mask_ids) <= announced


def test_rewind_forgets_the_turns_after():
    conversation = Conversation(sample())
    run(conversation, "how big is the spleen?")
    run(conversation, "how big is the liver?")
    abandoned = conversation.ask("how big is the aorta?")
    next(abandoned)
    abandoned.close()  # never remembered
    conversation.rewind(1)
    assert [turn[0].structures for turn in conversation.history] == [("spleen",)]
    _, answer = run(conversation, "segment it")
    assert answer.calls[0].structures == ("spleen",)
    conversation.rewind(9)
    assert len(conversation.history) == 2


@pytest.mark.parametrize(
    "text",
    [
        "segment the pineal gland",
        "how big is the blargh?",
        "where is the pineal gland?",
        "hide the blargh",
        "remove the foo",
    ],
)
def test_an_unknown_noun_is_not_what_was_spoken_of(text, model):
    case = talking_case(model, sample())
    conversation = case.conversation
    run(conversation, "segment the liver")
    pieces, answer = run(conversation, text)
    assert all("liver" not in request.structures for request in answer.calls)
    assert not any(isinstance(piece, MaskRef | View) for piece in pieces)
    assert [mask.name for mask in case.masks.values()] == ["Liver"]
    assert answer.text


def test_what_the_program_did_is_not_said_to_be_of_the_scan(model):
    conversation = talking_case(model, sample()).conversation
    run(conversation, "segment the spleen and the liver")
    for order in ("hide the spleen", "show the spleen again", "lung window", "make the liver red", "remove the liver"):
        _, answer = run(conversation, order)
        assert {told.source for told in answer.sentences} == {"program"}, order
    assert {told.source for told in run(conversation, "what is the voxel size?")[1].sentences} == {"scan"}


def test_steps_begin_and_end_and_are_shown_once():
    conversation = Conversation(sample())
    steps = [p for p in run(conversation, "segment the liver and the spleen")[0] if isinstance(p, Step)]
    assert [s.label for s in steps if s.seconds is not None] == ["Segment liver", "Segment spleen"]
    assert all(s.outcome.endswith("mL") for s in steps if s.seconds is not None)
    assert not [p for p in run(conversation, "how big is the liver?")[0] if isinstance(p, Step)]


def test_wrong_premises_are_denied():
    conversation = Conversation(sample())
    assert run(conversation, "is the spleen on the right?")[1].text.startswith(
        "No: the spleen lies on the patient's left"
    )
    assert run(conversation, "is the spleen larger than the liver?")[1].text.startswith("No: the liver is larger")
    assert run(conversation, "is the bladder above the liver?")[1].text.startswith("No: the urinary bladder lies below")


def test_larger_is_about_size_also_after_a_question_about_hu():
    request = Compare(("left_kidney", "right_kidney"), "mean_hu", which="larger")
    told = run(Conversation(sample(), planners=[Fixed(request)]), "x")[1].text
    assert told.startswith("The right kidney is larger than the left kidney")


def test_follow_ups_and_a_chosen_structure_are_remembered():
    conversation = Conversation(sample())
    run(conversation, "segment the larger kidney")
    assert conversation.history[-1][0].structures == ("right_kidney",)
    assert "right kidney" in run(conversation, "what is its volume?")[1].text
    assert "left kidney" in run(conversation, "and the other one?")[1].text
    conversation.clear()
    assert conversation.history == ()


@pytest.mark.parametrize("question", ["segment the prostate", "will he die?", "asdf", "segment the heart"])
def test_refusals_carry_no_mask_and_say_why(question):
    pieces, answer = run(Conversation(sample()), question)
    assert answer.refused
    assert answer.text
    assert not any(isinstance(p, MaskRef) for p in pieces)


def test_unknown_words_get_the_nearest_names():
    request = Segment(unknown=("left renal vein",), nearest=("aorta", "kidneys"))
    answer = run(Conversation(sample(), planners=[Fixed(request)]), "x")[1]
    assert '"left renal vein"' in answer.text
    assert "the aorta, the right kidney and the left kidney" in answer.text


def test_a_stop_within_the_words_keeps_what_was_said():
    cancel = threading.Event()
    said = []
    for piece in Conversation(sample()).ask("how big is the spleen?", cancel):
        if isinstance(piece, Words):
            said.append(piece.text)
            if len(said) == 3:
                cancel.set()
        last = piece
    assert (last.stopped, last.answer.text, len(said)) == (True, "".join(said), 3)


class Slow:
    """Looks until it is told to stop."""

    def __init__(self, finder):
        self.ct, self.known = finder.ct, finder.known
        self.started, self.stopped = threading.Event(), False

    def find(self, structure, cancel=None, progress=None):
        progress(0.25)
        self.started.set()
        self.stopped = cancel.wait(20)
        from medvl.errors import Cancelled

        raise Cancelled("stopped")


def test_a_stop_while_looking_stops_the_finder():
    finder, cancel = Slow(sample()), threading.Event()
    pieces = Conversation(finder).ask("segment the liver", cancel)
    assert next(pieces) == Step("Segment liver")
    assert next(pieces).share == 0.25
    cancel.set()
    assert [type(p) for p in pieces] == [Done]
    assert finder.stopped


def test_a_caller_that_goes_away_stops_the_finder():
    finder = Slow(sample())
    pieces = Conversation(finder).ask("segment the liver")
    next(pieces), next(pieces)
    pieces.close()
    assert finder.stopped


def test_errors_of_the_finder_become_words():
    finder = Slow(sample())

    def fail(structure, cancel=None, progress=None):
        raise MedVLError("The weights are missing.")

    finder.find = fail
    assert run(Conversation(finder), "segment the liver")[1].text == "The weights are missing."


def test_a_corrected_mask_is_measured_from_then_on():
    finder = sample()
    conversation = Conversation(finder)
    before = run(conversation, "how big is the spleen?")[1].sentences[0].facts[0].value
    mask = finder.find("spleen").mask
    half = mask.with_block(mask.box, mask.block & (mask.block.cumsum(axis=2) <= 5))
    corrected = type("Corrected", (), {"ct": finder.ct, "known": finder.known})()
    corrected.find = lambda id, cancel=None, progress=None: Found(id, half) if id == "spleen" else finder.find(id)
    conversation.finder = corrected
    after = run(conversation, "how big is the spleen?")[1].sentences[0].facts[0].value
    assert after == pytest.approx(half.voxels * finder.ct.voxel_volume_ml)
    assert after < before


def test_remove_takes_out_what_was_named(model):
    case = talking_case(model, sample())
    conversation = case.conversation
    run(conversation, "segment the liver and the spleen")
    assert "removed the liver" in run(conversation, "remove the liver")[1].text
    assert [mask.name for mask in case.masks.values()] == ["Spleen"]
    assert "no mask of the liver" in run(conversation, "delete the liver mask")[1].text


@pytest.mark.parametrize(
    ("question", "lead"),
    [
        ("Is the spleen absent?", "No:"),
        ("Has the gallbladder been removed?", "No:"),
        ("Is there a gallbladder?", "Yes:"),
        ("Is the left kidney missing?", "No:"),
    ],
)
def test_asked_for_what_is_missing_the_lead_fits_the_question(question, lead):
    _, answer = run(Conversation(sample()), question)
    assert answer.text.startswith(lead)


def test_a_choice_between_cut_structures_says_that_it_holds_only_for_this_scan():
    kidneys = {
        "right_kidney": (slice(25, 31), slice(5, 10), slice(24, 30)),
        "left_kidney": (slice(5, 11), slice(5, 10), slice(8, 20)),
    }
    answer = next(
        piece.answer
        for piece in Conversation(finder_of(kidneys)).ask("segment the larger kidney")
        if isinstance(piece, Done)
    )
    assert "The right kidney is only partly in the scan (1.1 mL in view), so it cannot be compared" in answer.text
    assert "I take the left kidney, the one that is whole" in answer.text
    assert "larger one" not in answer.text
