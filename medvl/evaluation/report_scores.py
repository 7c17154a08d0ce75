"""Reports of labelled cases, scored: numbers against masks, structures and volumes against the reference labels.

- *numbers*: share of sentences with numbers whose every number is a value of the sentence's facts, and share of facts
  (volume, mean HU) that plain array arithmetic on the report's own masks gives again;
- *structures*: what the report says is in the scan against the labels; only what these can judge, that is labelled
  structures and those known to be absent;
- *volumes*: of each structure found, against the reference, in mL and percent; a reference of which the scan holds a
  part is compared as far as both go;
- *text*: where a reference text is given, BLEU-1, ROUGE-1, METEOR (and BERTScore where its model is here) of findings
  and impression.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..case import Case
from ..conversation.guard import numbers, offending
from ..ct.masks import Mask
from ..ct.volume import CTVolume
from ..errors import MedVLError
from ..model import MedVLSAM2
from ..report.report import Report
from ..tools.fact import Fact
from ..vocabulary.spoken import name
from .bert_score import BertScore
from .cases import LabelledCase
from .tables import mean, table
from .text_metrics import TextScores, bleu1, meteor, rouge1, text_scores

_NOT_TEXT = frozenset({"Technique", "Not measured, not judged", "Sources"})


@dataclass(frozen=True)
class Volume:
    """One structure that both the report and the reference have."""

    structure: str
    volume_ml: float
    reference_ml: float

    @property
    def error_ml(self) -> float:
        """Report minus reference."""
        return self.volume_ml - self.reference_ml

    @property
    def error_percent(self) -> float:
        """Of the reference."""
        return 100 * self.error_ml / self.reference_ml


@dataclass(frozen=True)
class ReportScore:
    """One report.

    Attributes:
        case: case id.
        sentences: that hold numbers, and how many of them are true to their facts.
        facts: measured again, and how many of them agree.
        found: structures the report has and the reference too.
        missed: the reference has them, the report says that they are not there.
        false: the report has them, the labels say that they are absent.
        absent: rightly not found.
        not_told: structures of the report's table that its text never names.
        volumes: of ``found``.
        seconds: from the open scan to the report.
        text: BLEU-1, ROUGE-1 and METEOR where there is a reference text.
    """

    case: str
    sentences: tuple[int, int]
    facts: tuple[int, int]
    found: tuple[str, ...]
    missed: tuple[str, ...]
    false: tuple[str, ...]
    absent: tuple[str, ...]
    not_told: tuple[str, ...]
    volumes: tuple[Volume, ...]
    seconds: float
    text: dict[str, float] | None = None


def load_references(path: Path) -> dict[str, str]:
    """Reference texts by case id.

    Raises:
        MedVLError: the file is no JSON object of texts.
    """
    try:
        texts = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MedVLError("The references cannot be read: give a JSON file of case id -> report text.") from error
    if not isinstance(texts, dict) or not all(isinstance(text, str) and text.strip() for text in texts.values()):
        raise MedVLError("The references must be one JSON object: case id -> report text.")
    return texts


def write_report(model: MedVLSAM2, case: LabelledCase) -> tuple[Report, dict[str, Mask], float]:
    """The report of a case, its masks by id, and the seconds it took."""
    opened: Case = model.open(case.ct)
    try:
        begin = time.perf_counter()
        report = next(p for p in opened.report_stream(threading.Event()) if isinstance(p, Report))
        return report, dict(opened.masks), time.perf_counter() - begin
    finally:
        opened.close()


def score_report(
    report: Report,
    masks: Mapping[str, Mask],
    known: frozenset[str],
    case: LabelledCase,
    seconds: float,
    reference: str | None = None,
) -> ReportScore:
    """Score one report.

    Args:
        report: to be scored.
        masks: that it was measured on, by id.
        known: structures that were looked for.
        case: with reference labels.
        seconds: that it took.
        reference: text of a person's report of the same scan.
    """
    told = [s for s in report.sentences if s.source != "knowledge" and numbers(s.text)]
    true = sum(not offending(s.text, s.facts) for s in told)
    by_structure = {row.structure: masks[row.mask_id] for row in report.table if row.mask_id in masks}
    every = dict.fromkeys(f for s in report.sentences for f in s.facts) | dict.fromkeys(
        f for row in report.table for f in row.facts
    )
    again = [agrees for fact in every if (agrees := remeasured(fact, by_structure, case.ct)) is not None]
    there = {n for n in case.names.values() if n in known and case.mask(n).any()}
    gone = (case.complete & known) - there
    has = {row.structure for row in report.table}
    text = " ".join(s.text for s in report.sentences).lower()
    voxel = case.ct.voxel_volume_ml
    volumes = tuple(
        Volume(s, by_structure[s].voxels * voxel, float(case.mask(s).sum()) * voxel)
        for s in sorted(has & there & set(by_structure))
    )
    return ReportScore(
        case.id,
        (len(told), true),
        (len(again), sum(again)),
        tuple(sorted(has & there)),
        tuple(sorted(there - has)),
        tuple(sorted(has & gone)),
        tuple(sorted(gone - has)),
        tuple(sorted(s for s in has if name(s).lower() not in text)),
        volumes,
        seconds,
        None if reference is None else _text(findings_text(report), reference),
    )


def remeasured(fact: Fact, masks: Mapping[str, Mask], ct: CTVolume) -> bool | None:
    """Whether volume or mean HU of one structure is what plain arithmetic gives; None for other facts."""
    if fact.value is None or len(fact.structures) != 1 or fact.structures[0] not in masks:
        return None
    array = masks[fact.structures[0]].array
    if fact.key == "volume_ml":
        value = float(array.sum() * abs(np.linalg.det(ct.affine[:3, :3])) / 1000)
    elif fact.key == "mean_hu":
        value = float(ct.hu[array].astype(np.int64).sum() / array.sum())
    else:
        return None
    return abs(float(fact.value) - value) <= 1e-6 * max(1.0, abs(value))


def findings_text(report: Report) -> str:
    """Findings and impression as one paragraph: what a radiologist's report has, too."""
    return " ".join(s.text for section in report.sections if section.title not in _NOT_TEXT for s in section.sentences)


def _text(said: str, reference: str) -> dict[str, float]:
    return {"bleu1": bleu1(said, reference), "rouge1": rouge1(said, reference), "meteor": meteor(said, reference)}


def summary(scores: Sequence[ReportScore]) -> list[str]:
    """A row a case, the volumes by structure, and what was wrong."""
    header = ("case", "sentences true", "facts agree", "found", "missed", "false", "absent right", "|error| mL",
              "|error| %", "seconds")  # fmt: skip
    rows = [
        (s.case, _of(s.sentences), _of(s.facts), len(s.found), len(s.missed), len(s.false), len(s.absent),
         mean([abs(v.error_ml) for v in s.volumes]), mean([abs(v.error_percent) for v in s.volumes]), s.seconds)
        for s in scores
    ]  # fmt: skip
    counts = [_of(_sum([s.sentences for s in scores])), _of(_sum([s.facts for s in scores]))]
    counts += [sum(row[n] for row in rows) for n in range(3, 7)]
    total = ("all", *counts, *(mean([row[n] for row in rows]) for n in (7, 8, 9)))
    lines = [*table(header, [*rows, total] if len(rows) > 1 else rows), ""]
    volumes = [v for s in scores for v in s.volumes]
    lines += table(
        ("structure", "cases", "mean error mL", "mean |error| mL", "mean |error| %"),
        [
            (structure, len(mine), mean([v.error_ml for v in mine]), mean([abs(v.error_ml) for v in mine]),
             mean([abs(v.error_percent) for v in mine]))
            for structure in sorted({v.structure for v in volumes})
            if (mine := [v for v in volumes if v.structure == structure])
        ],
    )  # fmt: skip
    for s in scores:
        for what in ("missed", "false", "not_told"):
            if getattr(s, what):
                lines.append(f"{s.case}: {what.replace('_', ' ')}: {', '.join(getattr(s, what))}")
    return lines


def text_summary(scores: Sequence[ReportScore], total: TextScores) -> list[str]:
    """BLEU-1, ROUGE-1 and METEOR a case, their means with BERTScore, and what a reader must know."""
    rows = [(s.case, *s.text.values(), None) for s in scores if s.text]
    means = ("mean", total.bleu1, total.rouge1, total.meteor, total.bertscore)
    lines = table(("case", "BLEU-1", "ROUGE-1", "METEOR", "BERTScore"), [*rows, means])
    return [*lines, f"({'; '.join(total.notes)})"]


def total_text(texts: Sequence[tuple[str, str]], bert: BertScore | None = None) -> TextScores:
    """Scores of ``(text of a report, reference)`` pairs; ``bert`` as in ``text_scores``."""
    return text_scores([said for said, _ in texts], [wanted for _, wanted in texts], bert)


def as_json(score: ReportScore) -> dict:
    """Ready for JSON, errors of volumes included."""
    volumes = [{**asdict(v), "error_ml": v.error_ml, "error_percent": v.error_percent} for v in score.volumes]
    return {**asdict(score), "volumes": volumes}


def _of(count: tuple[int, int]) -> str:
    return f"{count[1]}/{count[0]}"


def _sum(counts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(c[0] for c in counts), sum(c[1] for c in counts)
