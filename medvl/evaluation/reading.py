"""The vision-language model's own answers on a published dataset, scored as M3D and Med3DVLM do.

For ``m3d-vqa`` every row of the table is asked twice: with its four choices (accuracy by type of question; right if the
letter with its full stop stands anywhere in the answer) and openly (BLEU-1, ROUGE-1, METEOR and BERTScore per sample,
by type). Of other datasets the questions are those that their readers ask: findings of M3D-Cap, reports of CT-RATE,
questions of RadGenome. Requests to segment are left to ``text``. Answers are greedy, each as if nothing was asked
before; published scripts of M3D sample. A yes or no is right if the answer begins with it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..errors import MedVLError
from ..networks.vlm import ImageConversation, VisionLanguageModel
from .bert_score import BertScore
from .tables import table
from .text_metrics import VQA_TYPES, TextScores, choice_correct, text_scores

MAX_TOKENS = 256  # as the published scripts allow
REPORTS = ("caption", "report")


@dataclass(frozen=True)
class Asked:
    """One question.

    Attributes:
        text: with its choices, if it has some.
        reference: the right answer.
        how: ``closed`` (of choices), ``yes or no``, ``open`` or ``report``.
        type: of the question, as a word.
        letter: of the right choice, else "".
    """

    text: str
    reference: str
    how: str
    type: str
    letter: str = ""


@dataclass(frozen=True)
class Answered:
    """A question with what the model said.

    Attributes:
        scan: id of the scan in its dataset.
        asked: the question.
        said: the answer, without control tokens.
        right: of questions with one right answer, else None.
        seconds: to the whole answer, the image encoded before.
    """

    scan: str
    asked: Asked
    said: str
    right: bool | None
    seconds: float


def questions_of(dataset: str, root: Path, split: str) -> Iterator[tuple[object, list[Asked]]]:
    """Scans of a dataset (``training.samples.Sample``) with all that is asked of each.

    Args:
        dataset: a name of ``training.readers``.
        root: its folder.
        split: ``train``, ``val`` or ``test``.

    Raises:
        DatasetError: no such dataset or split, or a file or column is missing.
    """
    from ..training.datasets import open_dataset

    if dataset == "m3d-vqa":
        yield from _m3d_vqa(root, split)
        return
    samples = open_dataset(dataset, root, split)
    for index in range(len(samples)):
        sample = samples[index]
        asked = [
            Asked(t.question, t.answer, "report" if t.kind in REPORTS else "open", t.kind or "question")
            for t in sample.turns
            if not t.targets and t.kind != "absent"
        ]
        if asked:
            yield sample, asked


def _m3d_vqa(root: Path, split: str) -> Iterator[tuple[object, list[Asked]]]:
    from ..training.datasets.m3d import vqa_rows
    from ..training.datasets.samples import Sample, Turn

    for path, image, rows in vqa_rows(root, split):
        asked: list[Asked] = []
        for row in rows:
            kind = str(row.get("Question Type", "")).strip()
            kind = VQA_TYPES.get(int(kind), f"type {kind}") if kind.isdigit() else "no type"
            question, answer = row["Question"].strip(), row["Answer"].strip()
            letter = (row.get("Answer Choice") or "").strip()
            if not letter:
                asked.append(Asked(question, answer, "yes or no", kind))
                continue
            choices = " ".join(f"{c}. {row[f'Choice {c}'].strip()}" for c in "ABCD")
            closed = Asked(f"{question} Choices: {choices}", f"{letter}. {answer}", "closed", kind, letter)
            asked += [closed, replace(closed, text=question, reference=answer, how="open", letter="")]
        yield Sample(path, image, (Turn("", ""),), scale="unit"), asked


def answer_all(
    vlm: VisionLanguageModel,
    scans: Iterator[tuple[object, list[Asked]]],
    limit: int | None = None,
    show: Callable[[Answered], None] | None = None,
    max_tokens: int = MAX_TOKENS,
) -> list[Answered]:
    """Ask everything.

    Args:
        vlm: that is asked.
        scans: from ``questions_of``.
        limit: most questions.
        show: called with each answer.
        max_tokens: an answer ends there at the latest.
    """
    from ..training.vlm.dataset import TrainingSet

    answers: list[Answered] = []
    for sample, asked in scans:
        if limit is not None and len(answers) >= limit:
            break
        image = TrainingSet([sample], vlm.config.input_size)[0]["image"]
        with torch.inference_mode():
            talk = vlm.conversation(vlm.image_tokens(image[None]))
        for question in asked[: None if limit is None else limit - len(answers)]:
            begin = time.perf_counter()
            said = say(talk, question, max_tokens)
            answers.append(Answered(sample.id, question, said, _right(question, said), time.perf_counter() - begin))
            if show:
                show(answers[-1])
    return answers


def say(talk: ImageConversation, question: Asked, max_tokens: int = MAX_TOKENS) -> str:
    """The model's answer, control tokens left out."""
    asked = talk.ask(question.text, max_tokens, threading.Event(), fresh=True, report=question.how == "report")
    tokens = [t.id for t in asked]
    return talk.vlm.lm.tokenizer.decode(tokens, skip_special_tokens=True).strip()


def _right(question: Asked, said: str) -> bool | None:
    if question.how == "closed":
        return choice_correct(said, question.letter)
    if question.how == "yes or no":
        return re.match(rf"{re.escape(question.reference)}\b", said, re.IGNORECASE) is not None
    return None


@dataclass(frozen=True)
class ReadingScore:
    """Figures of a dataset.

    Attributes:
        accuracy: (how, type) -> (right, asked), for closed questions; the type ``all`` sums up.
        texts: (how, type) -> scores of open questions and reports, likewise.
    """

    accuracy: dict[tuple[str, str], tuple[int, int]]
    texts: dict[tuple[str, str], TextScores]


def score(answers: Sequence[Answered], bert: BertScore | None = None) -> ReadingScore:
    """Accuracy of closed questions and text scores of the others, by type.

    Raises:
        MedVLError: nothing was asked.
    """
    if not answers:
        raise MedVLError("The dataset holds no question for a language model.")
    accuracy: dict[tuple[str, str], tuple[int, int]] = {}
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for answer in answers:
        for kind in (answer.asked.type, "all"):
            key = (answer.asked.how, kind)
            if answer.right is None:
                pairs.setdefault(key, []).append((answer.said, answer.asked.reference))
            else:
                right, count = accuracy.get(key, (0, 0))
                accuracy[key] = (right + answer.right, count + 1)
    texts = {key: text_scores(*zip(*found, strict=True), bert=bert) for key, found in pairs.items()}
    return ReadingScore(dict(_sorted(accuracy)), dict(_sorted(texts)))


def _sorted(found: dict) -> list:
    return sorted(found.items(), key=lambda entry: (entry[0][0], entry[0][1] == "all", entry[0][1]))


def summary(result: ReadingScore) -> list[str]:
    """Tables for the screen."""
    lines: list[str] = []
    if result.accuracy:
        rows = [(how, kind, n, right, 100 * right / n) for (how, kind), (right, n) in result.accuracy.items()]
        lines += table(("questions", "type", "asked", "right", "accuracy %"), rows)
    if result.texts:
        rows = [(how, kind, t.samples, t.bleu1, t.rouge1, t.meteor, t.bertscore)
                for (how, kind), t in result.texts.items()]  # fmt: skip
        lines += [""] * bool(lines)
        lines += table(("questions", "type", "samples", "BLEU-1", "ROUGE-1", "METEOR", "BERTScore"), rows)
        lines.append(f"({'; '.join(next(iter(result.texts.values())).notes)})")
    return lines


def as_json(result: ReadingScore) -> dict:
    """Ready for JSON."""
    accuracy = [
        {"questions": how, "type": kind, "asked": n, "right": right, "accuracy": right / n}
        for (how, kind), (right, n) in result.accuracy.items()
    ]
    texts = [{"questions": how, "type": kind, **vars(t)} for (how, kind), t in result.texts.items()]
    return {"accuracy": accuracy, "texts": texts}
