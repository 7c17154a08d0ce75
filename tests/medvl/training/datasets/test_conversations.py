"""Conversations say what the facts say, never more; the words of sides and numbers are right."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.training.datasets.conversations import Facts, Measured, converse
from medvl.training.datasets.names import be, canonical, described, said, split_side, spoken, swap_name, swap_words

FACTS = Facts(
    ("costal_cartilages", "left_kidney", "liver", "other_bone", "right_kidney", "right_rib_3"),
    ("gallbladder", "urinary_bladder"),
    {"liver": ("the organ with the bright lesion",)},
    {"left_kidney": Measured(150.2, 110.25, 90.4), "other_bone": Measured(1234.5, 300.0, 410.0)},
    {"left_kidney": 1000, "right_kidney": 1500},
)
ALL = [turn for seed in range(400) for turn in converse(FACTS, np.random.default_rng(seed))]


def test_same_seed_same_words_and_wide_paraphrase():
    assert converse(FACTS, np.random.default_rng(3)) == converse(FACTS, np.random.default_rng(3))
    liver = {t.question for t in ALL if t.targets == ("liver",) and t.kind == "semantic"}
    assert len(liver) > 20
    assert {t.kind for t in ALL} == {"semantic", "referring", "absent", "presence", "measured"}
    assert any(len(t.targets) > 2 for t in ALL)


def test_nothing_is_said_of_what_is_not_known():
    """The spleen is in neither list: no question and no answer speaks of it. Absence is told of the two absent only."""
    for turn in ALL:
        assert "spleen" not in turn.question + turn.answer
        denied = [s for s in turn.answer.replace("I cannot", "cannot").split(". ") if " not " in s or "no mask" in s]
        for sentence in denied:
            assert "gallbladder" in sentence or "urinary bladder" in sentence
        if turn.kind == "absent":
            assert not turn.targets
            assert "[SEG]" not in turn.answer


@pytest.mark.parametrize("turn", [t for t in ALL if t.kind == "semantic" and len(t.targets) > 1][:40])
def test_several_targets_stand_in_the_order_of_the_answer(turn):
    places = [turn.answer.lower().index(f"the {spoken(name)}") for name in turn.targets]
    assert places == sorted(places)


def test_sides_in_question_answer_and_target_agree():
    for turn in ALL:
        if len(turn.targets) == 1 and turn.kind == "semantic" and "gallbladder" not in turn.answer:
            side, _ = split_side(turn.targets[0])
            other = {"left": "right", "right": "left"}.get(side)
            words = (turn.question + turn.answer).lower().replace(".", " ").split()
            assert other not in words or not other
            if side and "kidneys" not in turn.question:
                assert side in words


def test_numbers_are_those_of_the_label():
    numbers = {t.answer for t in ALL if t.kind == "measured" and "kidney" in t.question}
    assert any("150 mL" in a for a in numbers)
    assert any("90 HU" in a for a in numbers)
    assert all("150 mL" in a or "90 HU" in a or "110 mm" in a for a in numbers)
    assert not any("mL" in t.answer and t.about == ("right_kidney",) for t in ALL)


def test_the_larger_kidney_is_the_larger_one():
    for turn in ALL:
        if "larger" in turn.question and "kidney" in turn.question:
            assert turn.targets == ("right_kidney",)
        if "smaller" in turn.question:
            assert turn.targets == ("left_kidney",)


def test_plural_names_have_plural_verbs():
    texts = [t.question + " " + t.answer for t in ALL if t.targets == ("other_bone",) or t.about == ("other_bone",)]
    assert len(texts) > 20
    assert not any("bones outside the spine is" in t and "of the bones outside the spine is" not in t for t in texts)


def test_no_facts_no_turns():
    assert converse(Facts(()), np.random.default_rng(0)) == ()


@pytest.mark.parametrize(
    ("dataset", "id", "words"),
    [
        ("kidney_left", "left_kidney", "left kidney"),
        ("adrenal gland right", "right_adrenal_gland", "right adrenal gland"),
        ("lung_upper_lobe_left", "left_lung_upper_lobe", "upper lobe of the left lung"),
        ("rib_right_10", "right_rib_10", "right tenth rib"),
        ("vertebrae_L1", "vertebrae_L1", "L1 vertebra"),
        ("heart_atrium_left", "left_heart_atrium", "left atrium of the heart"),
        ("iliac_vena_left", "left_iliac_vena", "left iliac vein"),
        ("Gall Bladder", "gallbladder", "gallbladder"),
        ("postcava", "inferior_vena_cava", "inferior vena cava"),
        ("other_bone", "other_bone", "bones outside the spine"),
    ],
)
def test_names(dataset, id, words):
    assert canonical(dataset) == id
    assert spoken(id) == words == said(id)[0]
    assert swap_name(swap_name(id)) == id


def test_description_does_not_name_its_structure():
    for id in ("liver", "left_kidney", "right_parotid", "aorta", "larynx"):
        assert described(id)
        for text in described(id):
            assert split_side(id)[1] not in text
    assert all("left" in text for text in described("left_lung"))
    assert be("costal_cartilages") == "are"


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("The left kidney.", "The right kidney."),
        ("LEFT, Right and left-sided; leftward", "RIGHT, Left and right-sided; rightward"),
        ("Nodule in the RUL and LLL.", "Nodule in the LUL and RLL."),
        ("bright, cleft, lefty, copyright, upright", "bright, cleft, lefty, copyright, upright"),
        ("rightmost left_kidney", "leftmost right_kidney"),
    ],
)
def test_swapped_words(text, mirrored):
    assert swap_words(text) == mirrored
    assert swap_words(mirrored) == text
