from __future__ import annotations

import math

import pytest

from medvl.evaluation.text_metrics import (
    bleu1,
    choice_correct,
    meteor,
    rouge1,
    text_scores,
    tokens_13a,
)

REFERENCE = "The liver is enlarged, and the spleen measures 12.5 cm."


@pytest.mark.parametrize("score", [bleu1, rouge1])
def test_same_text_scores_one_and_another_zero(score):
    assert score(REFERENCE, REFERENCE) == 1
    assert score("Nothing similar", REFERENCE) == 0
    assert score("", REFERENCE) == 0


def test_bleu1_by_hand():
    # 3 words said, 2 of them wanted ("the" once only); 4 wanted: brevity penalty exp(1 - 4/3)
    assert bleu1("the the liver", "the liver is normal") == pytest.approx(math.exp(1 - 4 / 3) * 2 / 3)
    assert bleu1("the liver is very normal", "the liver is normal") == pytest.approx(4 / 5)


def test_tokens_keep_decimals_and_part_punctuation():
    assert tokens_13a("12.5 cm, (liver).") == ["12.5", "cm", ",", "(", "liver", ")", "."]


def test_rouge1_by_hand():
    precision, recall = 2 / 3, 2 / 4
    assert rouge1("the the liver", "the liver is normal") == pytest.approx(
        2 * precision * recall / (precision + recall)
    )


def test_meteor_by_hand_and_stems():
    # all 4 words match in one piece: penalty 0.5 * (1/4)^3
    assert meteor("the liver is normal", "the liver is normal") == pytest.approx(1 - 0.5 * (1 / 4) ** 3)
    # "kidneys" and "kidney" have one stem
    assert meteor("kidneys", "kidney") == pytest.approx(0.5)
    assert meteor("lungs", "kidney") == 0


def test_means_are_over_samples():
    scores = text_scores([REFERENCE, "no"], [REFERENCE, "yes"])
    assert scores.samples == 2
    assert scores.bleu1 == pytest.approx(0.5)
    assert scores.rouge1 == pytest.approx(0.5)
    assert 0.4 < scores.meteor < 0.5
    assert "mean of per-sample scores" in scores.notes
    with pytest.raises(ValueError, match="1 predictions and 2 references"):
        text_scores(["a"], ["a", "b"])


def test_choice_is_right_by_the_published_rule():
    assert choice_correct("B. Portal venous", "B")
    assert not choice_correct("B. Portal venous", "A")
    assert not choice_correct("b", "B")
