"""BLEU-1, ROUGE-1, METEOR and BERTScore of answers, and accuracy of multiple-choice answers.

As in the evaluation of M3D (arXiv 2404.00578) and Med3DVLM (arXiv 2503.20047): each score is computed per sample and
then averaged, texts are only stripped, and a multiple-choice answer is right if the letter with its full stop stands
anywhere in the output. Everything here works without a network:

- BLEU-1 is clipped unigram precision with the brevity penalty (Papineni et al. 2002), on mteval-13a style tokens.
- ROUGE-1 is the F-measure of Google's ``rouge_score``, without stemming.
- METEOR is NLTK's. Its synonym stage needs WordNet; where that is not installed, only exact and stem matches count and
  the table says so. Such a figure is slightly lower and not comparable with published ones.
- BERTScore is given only where a model for it is on this machine (``bert_score``).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .bert_score import BertScore

# The types of M3D's closed questions, in its numbering.
VQA_TYPES = {1: "plane", 2: "phase", 3: "organ", 4: "abnormality", 5: "location"}


@dataclass(frozen=True)
class TextScores:
    """Means over samples; None where a score could not be computed here, ``notes`` says why.

    Attributes:
        samples: how many.
        bleu1: 0 to 1.
        rouge1: 0 to 1.
        meteor: 0 to 1.
        bertscore: F1.
        notes: what a reader must know to compare the figures.
    """

    samples: int
    bleu1: float
    rouge1: float
    meteor: float
    bertscore: float | None
    notes: tuple[str, ...]


def tokens_13a(text: str) -> list[str]:
    """Tokens as mteval-v13a makes them for BLEU: punctuation apart, decimal points and thousands commas kept."""
    text = f" {text.strip()} ".replace("\n", " ")
    text = re.sub(r"([{-~\[-` -&(-+:-@/])", r" \1 ", text)
    text = re.sub(r"([^0-9])([.,])", r"\1 \2 ", text)
    text = re.sub(r"([.,])([^0-9])", r" \1 \2", text)
    return re.sub(r"([0-9])(-)", r"\1 \2 ", text).split()


def bleu1(prediction: str, reference: str) -> float:
    """BLEU with unigrams of one sample, unsmoothed; 0 for an empty prediction."""
    said, wanted = tokens_13a(prediction), tokens_13a(reference)
    if not said:
        return 0.0
    hits = sum((Counter(said) & Counter(wanted)).values())
    penalty = 1.0 if len(said) > len(wanted) else math.exp(1 - len(wanted) / len(said))
    return penalty * hits / len(said)


def rouge1(prediction: str, reference: str) -> float:
    """ROUGE-1 F-measure of one sample."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1"]).score(reference.strip(), prediction.strip())["rouge1"].fmeasure


class _NoSynonyms:
    """Stands for WordNet where it is not installed: no word has a synonym."""

    @staticmethod
    def synsets(_word: str) -> list:
        return []


def _wordnet() -> object | None:
    """NLTK's WordNet if its files are on this machine; nothing is downloaded."""
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        return None
    return wordnet


def meteor(prediction: str, reference: str, wordnet: object | None = None) -> float:
    """METEOR of one sample (alpha 0.9, beta 3, gamma 0.5, as published in 2007 and used by the field).

    Args:
        prediction: what was said.
        reference: what should be said.
        wordnet: NLTK's corpus for synonyms; None counts exact and stem matches only.
    """
    from nltk.tokenize.destructive import NLTKWordTokenizer
    from nltk.translate.meteor_score import single_meteor_score

    split = NLTKWordTokenizer().tokenize  # words of a sentence; needs no downloaded sentence model
    return single_meteor_score(split(reference.strip()), split(prediction.strip()), wordnet=wordnet or _NoSynonyms())


def text_scores(predictions: Sequence[str], references: Sequence[str], bert: BertScore | None = None) -> TextScores:
    """Score answers against references.

    Args:
        predictions: one a sample.
        references: one a sample.
        bert: model of the BERTScore; None leaves it out.

    Raises:
        ValueError: none, or not equally many.
    """
    if not predictions or len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions and {len(references)} references: give one of each a sample.")
    pairs = list(zip(predictions, references, strict=True))
    wordnet, notes = _wordnet(), ["mean of per-sample scores"]
    if wordnet is None:
        notes.append("METEOR without synonyms (no WordNet here)")
    if bert is None:
        notes.append("no BERTScore (no model for it here)")
    else:
        notes.append(f"BERTScore F1 with {bert.name}, layer {bert.layer}, not rescaled")
    return TextScores(
        len(pairs),
        float(np.mean([bleu1(p, r) for p, r in pairs])),
        float(np.mean([rouge1(p, r) for p, r in pairs])),
        float(np.mean([meteor(p, r, wordnet) for p, r in pairs])),
        None if bert is None else float(np.mean(bert.f1(predictions, references))),
        tuple(notes),
    )


def choice_correct(output: str, letter: str) -> bool:
    """The published rule: right if the letter with its full stop is in the output. It is lenient on long outputs."""
    return f"{letter}." in output
