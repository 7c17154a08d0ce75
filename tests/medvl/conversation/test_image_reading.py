from __future__ import annotations

import pytest

from medvl.conversation import guard
from medvl.conversation.contract import Sentence
from medvl.conversation.image_reading import Cleaner, is_open, name_of, parts
from medvl.language.parse import parse


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["The", " liver", " [SEG]", " is", " fine", "."], "The liver is fine."),
        (["The liver", " [SEG]", "."], "The liver."),
        (["Left kid", "ney [", "SE", "G], right kidney [SEG] and"], "Left kidney, right kidney and"),
        (["<|im_", "start|>", " It is 3 < 4 [a]", " [SEG][SEG]"], "It is 3 < 4 [a]"),
        (["ends in [SE"], "ends in [SE"),
    ],
)
def test_control_tokens_never_show(pieces, shown):
    cleaner = Cleaner(["<|im_start|>"])
    out = [cleaner.add(piece) for piece in pieces]
    assert "".join([*out, cleaner.end()]) == shown
    assert all("[SEG]" not in o and "<|" not in o for o in out)


def test_text_is_cut_where_sentences_end():
    told = []
    for token in ("The liver is 1.5", " cm.", " Fine.\n", "1.", " Spleen", " at L1.", " End"):
        for piece, begins in parts(told[-1] if told else "", token):
            if begins or not told:
                told.append(piece.strip(" "))
            else:
                told[-1] += piece
    assert told == ["The liver is 1.5 cm.", "Fine.\n1. Spleen at L1.", "End"]


@pytest.mark.parametrize(
    ("before", "question", "name"),
    [
        ("The left kidney is", "", "Left kidney"),
        ("The liver is fine, and the spleen", "", "Spleen"),
        ("The kidneys", "", "Kidneys"),
        ("Sure, it is", "Where is the spleen?", "Spleen"),
        ("There is a round thing", "", "Round thing"),
        ("", "?", "What was asked for"),
    ],
)
def test_mask_is_named_after_what_was_said(before, question, name):
    assert name_of(before, question) == name


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("What do you see in this scan?", True),
        ("What can you segment?", False),
        ("Describe this scan.", True),
        ("What is your impression?", True),
        ("What does the image show?", True),
        ("Is there a nodule in the lungs?", True),
        ("Segment the appendix.", True),
        ("Do I have cancer?", False),
        ("Is this malignant?", False),
        ("How large is the liver?", False),
        ("Segment the liver.", False),
        ("Hello", False),
        ("Tell me a joke.", False),
    ],
)
def test_which_questions_are_open(question, wanted):
    assert any(is_open(request, question) for request in parse(question)) is wanted


def test_numbers_of_a_reading_stay_in_it():
    """The guard leaves a reading as it is, and takes the same number out of a sentence that claims to be measured."""
    text = "The lesion is 32 mm large."
    assert guard.ensure(Sentence(text, "model")).text == text
    assert "32" not in guard.ensure(Sentence(text, "measured")).text
