"""BERTScore with a tiny random BERT in a local folder."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from medvl.errors import WeightsError
from medvl.evaluation.bert_score import BertScore
from medvl.evaluation.text_metrics import text_scores

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "liver", "spleen", "is", "normal", "large", "no", "yes", "."]


def write_bert(folder, layers=3):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    PreTrainedTokenizerFast(tokenizer_object=inner, **names).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bert(tmp_path_factory.mktemp("bert") / "tiny-bert")


def test_same_text_scores_one_and_another_less(folder):
    bert = BertScore(folder)
    assert bert.layer == 3
    said = ["the liver is large .", "no", "the the spleen is normal", ""]
    wanted = ["the liver is large .", "yes", "the spleen is normal", "yes"]
    same, other, near, nothing = bert.f1(said, wanted)
    assert same == pytest.approx(1, abs=1e-5)
    assert nothing == 0
    assert other < near < 1
    assert bert.f1(wanted, said)[2] == pytest.approx(near, abs=1e-5)  # F1 is symmetric


def test_figure_by_hand(folder):
    """Precision and recall written out for one pair, one layer."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    states = []
    for text in ("the liver is large", "no spleen"):
        with torch.no_grad():
            out = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True)
        states.append([v / v.norm() for v in out.hidden_states[2][0]])
    a, b = states
    precision = sum(max(float(x @ y) for y in b) for x in a[1:-1]) / len(a[1:-1])
    recall = sum(max(float(x @ y) for x in a) for y in b[1:-1]) / len(b[1:-1])
    expected = 2 * precision * recall / (precision + recall)
    assert BertScore(folder, 2).f1(["the liver is large"], ["no spleen"])[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("bert_score") is None, reason="the bert-score package is not installed")
def test_figures_are_those_of_the_package(folder):
    from bert_score import score

    said, wanted = ["the liver is large", "no"], ["the liver is normal", "the spleen is normal"]
    theirs = score(said, wanted, model_type=str(folder), num_layers=2)[2].tolist()
    assert BertScore(folder, 2).f1(said, wanted) == pytest.approx(theirs, abs=1e-5)


def test_long_texts_are_cut_at_the_length_of_the_model(folder):
    bert = BertScore(folder)
    assert bert.f1(["the liver is normal . " * 40], ["the liver is normal . " * 40])[0] == pytest.approx(1, abs=1e-5)


def test_score_comes_with_the_others_and_says_which_model(folder):
    scores = text_scores(["the liver is large", "no"], ["the liver is normal", "no"], BertScore(folder))
    assert 0.5 < scores.bertscore < 1
    assert "BERTScore F1 with tiny-bert, layer 3, not rescaled" in scores.notes
    assert text_scores(["no"], ["no"]).bertscore is None


def test_wrong_folders_and_layers_are_told(folder, tmp_path):
    with pytest.raises(WeightsError, match=r"config\.json"):
        BertScore(tmp_path)
    with pytest.raises(WeightsError, match="0 to 3; there is no 9"):
        BertScore(folder, 9)


def test_without_a_cached_model_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert BertScore.find() is None
