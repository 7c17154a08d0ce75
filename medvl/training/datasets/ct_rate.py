"""CT-RATE (Hamamci et al., arXiv 2403.17834) and RadGenome-Chest CT (Zhang et al., arXiv 2404.16754).

Layouts of the hub's ``ibrahimhamamci/CT-RATE`` and ``RadGenome/RadGenome-ChestCT``. Of both, people have a part of the
scans: volumes that are not on this machine are left out. CT-RATE is read from its ``*_fixed`` folders; the first
release has neither Hounsfield units nor positions in its NIfTI headers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import numpy as np

from ...vocabulary.spoken import listing, sentence
from .common import LazySamples, choose, entry, load_json, need, rng, some, table
from .conversations import given, pick
from .names import canonical, spoken
from .phrases import IMPRESSION_QUESTIONS, REPORT_QUESTIONS
from .samples import SEG, DatasetError, MaskSource, Sample, Turn

logger = logging.getLogger(__name__)
TURNS = 6
_REPORT = ("VolumeName", "Findings_EN", "Impressions_EN")
_REGION = ("Volumename", "Anatomy", "Sentence")
_FINDING_QUESTIONS = ("Is there {x}?", "Does this scan show {x}?", "Do you see {x} in this CT?", "Any sign of {x}?")
_COUNTED = frozenset({"hiatal hernia", "lung nodule", "lung opacity", "pericardial effusion", "pleural effusion"})
_TASKS = re.compile(r"<(image|multiple_choice|long_answer|short_answer|report_generation)>")


@dataclass
class _Volume:
    """What is known of one volume."""

    name: str
    path: Path
    findings: str = ""
    impression: str = ""
    labels: dict[str, bool] = field(default_factory=dict)
    talk: list[tuple[str, str, str]] = field(default_factory=list)
    regions: dict[str, str] = field(default_factory=dict)


def volume_path(folder: Path, name: str) -> Path | None:
    """File of a volume: ``train_1_a_2.nii.gz`` lies in ``train_1/train_1_a`` (CT-RATE) or ``train_1/train_1a``."""
    stem = name.removesuffix(".nii.gz")
    parts = stem.split("_")
    if len(parts) != 4:
        raise DatasetError(f"The volume name {name!r} is not of the form train_1_a_1.nii.gz.")
    patient = "_".join(parts[:2])
    for study in (f"{patient}_{parts[2]}", f"{patient}{parts[2]}"):
        path = folder / patient / study / f"{stem}.nii.gz"
        if path.exists():
            return path
    return None


def _present(names: Iterable[str], folder: Path) -> dict[str, _Volume]:
    names = list(dict.fromkeys(names))
    found = {name: _Volume(name, path) for name in names if (path := volume_path(folder, name))}
    if not found:
        raise DatasetError(f"None of the {len(names)} volumes of the table is in {folder}. Download some of them.")
    if len(found) < len(names):
        logger.info("%s: %d of %d volumes are here", folder, len(found), len(names))
    return found


def _place(root: Path, split: str, whose: str) -> tuple[Path, str, str]:
    """The folder, and the two names that its files have for a split."""
    short = choose(split, {"train": "train", "val": "valid"}, whose)
    base = root / "dataset" if (root / "dataset").is_dir() else need(root)
    return base, short, {"train": "train", "valid": "validation"}[short]


def open_ct_rate(root: Path, split: str, seed: int = 0) -> LazySamples[_Volume]:
    """CT-RATE: chest CTs with reports, 18 abnormality labels (by a classifier) and, where downloaded, questions.

    Args:
        root: the repository's folder, or its ``dataset``: ``train_fixed/``,
            ``radiology_text_reports/train_reports.csv``, and optionally ``multi_abnormality_labels/``,
            ``metadata/no_chest_train.txt`` and ``vqa/train_vqa.json``.
        split: ``train`` or ``val``.
        seed: which questions.

    Raises:
        DatasetError: a file or column is missing.
    """
    base, short, long = _place(root, split, "CT-RATE")
    rows = table(base / "radiology_text_reports" / f"{long}_reports.csv", _REPORT)
    no_chest = base / "metadata" / f"no_chest_{short}.txt"
    left_out = {line.strip() for line in no_chest.read_text().splitlines()} if no_chest.exists() else set()
    rows = [row for row in rows if row["VolumeName"] not in left_out]
    if not (base / f"{short}_fixed").exists() and (base / short).exists():
        raise DatasetError(
            f"{base / short} is the first release of CT-RATE, without Hounsfield units and positions. "
            f"Download {short}_fixed."
        )
    volumes = _present((row["VolumeName"] for row in rows), need(base / f"{short}_fixed"))
    for row in rows:
        if volume := volumes.get(row["VolumeName"]):
            volume.findings, volume.impression = given(row["Findings_EN"]), given(row["Impressions_EN"])
    labels = base / "multi_abnormality_labels" / f"{short}_predicted_labels.csv"
    for row in table(labels, ("VolumeName",)) if labels.exists() else ():
        if volume := volumes.get(row.pop("VolumeName")):
            volume.labels = {name: float(value) > 0.5 for name, value in row.items() if name and value}
    _read_talk(base / "vqa" / f"{short}_vqa.json", volumes)
    return LazySamples(
        (v for v in volumes.values() if v.findings or v.impression), lambda v, e: _chest(v, seed, e), attrgetter("name")
    )


def _read_talk(file: Path, volumes: dict[str, _Volume]) -> None:
    """Questions of CT-CHAT's set, if they are there: turns from "human" and "gpt" with task tokens."""
    for number, record in enumerate(load_json(file)) if file.exists() else ():
        entry(record, ("image", "conversations"), f"{file}[{number}]")
        volume = volumes.get(Path(record["image"]).name)
        said = record["conversations"] if volume else ()
        for ask, reply in zip(said[::2], said[1::2], strict=False):
            kind = "closed_vqa" if "<multiple_choice>" in ask["value"] else "open_vqa"
            kind = "report" if "<report_generation>" in ask["value"] else kind
            volume.talk.append((given(_TASKS.sub(" ", ask["value"])), given(reply["value"]), kind))


def _chest(volume: _Volume, seed: int, epoch: int) -> Sample:
    state = rng(seed, volume.name, epoch)
    turns = []
    if volume.findings:
        turns.append(Turn(pick(REPORT_QUESTIONS, state), volume.findings, (), "report"))
    if volume.impression:
        turns.append(Turn(pick(IMPRESSION_QUESTIONS, state), volume.impression, (), "report"))
    asked = [Turn(question, answer, (), kind) for question, answer, kind in volume.talk]
    # Few labels are positive: as many negative ones at most, so that "no" is not what one learns.
    yes = [name for name, value in volume.labels.items() if value]
    no = some([n for n, value in volume.labels.items() if not value], max(1, len(yes)), state)
    asked += [_finding(name, name in yes, state) for name in (*yes, *no)]
    turns += some(asked, TURNS - len(turns), state)
    captions = tuple(text for text in (f"{volume.findings} {volume.impression}".strip(),) if text)
    return Sample(volume.name, volume.path, tuple(turns), captions)


def _finding(name: str, there: bool, state: np.random.Generator) -> Turn:
    words = f"a {name.lower()}" if name.lower() in _COUNTED else name.lower()
    answer = f"Yes, there is {words}." if there else f"No, there is no {name.lower()}."
    return Turn(pick(_FINDING_QUESTIONS, state).format(x=words), answer, (), "closed_vqa")


# ---- RadGenome-Chest CT


def open_radgenome(root: Path, split: str, seed: int = 0) -> LazySamples[_Volume]:
    """RadGenome-Chest CT: each sentence of a report with the region it speaks of, and a mask of the region.

    The masks were made by a network (SAT), and the preprocessed scans have voxels of 1 mm in their headers whatever
    they were: nothing is measured on them.

    Args:
        root: the repository's folder, or its ``dataset``: ``train_preprocessed/``,
            ``train_region_mask/seg_<volume>/<region>.nii.gz``, ``radgenome_files/train_region_report.csv`` and
            optionally ``train_vqa_presence.csv``, ``_location``, ``_size`` and ``_abnormality`` there.
        split: ``train`` or ``val``.
        seed: which questions.

    Raises:
        DatasetError: a file or column is missing.
    """
    base, short, long = _place(root, split, "RadGenome-ChestCT")
    files = base / "radgenome_files"
    rows = table(files / f"{long}_region_report.csv", _REGION)
    volumes = _present((row["Volumename"] for row in rows), need(base / f"{short}_preprocessed"))
    for row in rows:
        volume, text = volumes.get(row["Volumename"]), given(row["Sentence"])
        if volume and text:  # a region may have several rows; an empty one means the whole scan
            region = given(row["Anatomy"])
            volume.regions[region] = f"{volume.regions.get(region, '')} {text}".strip()
    _read_questions(files, long, volumes)
    folder = need(base / f"{short}_region_mask")
    described = (volume for volume in volumes.values() if volume.regions)
    return LazySamples(described, lambda volume, epoch: _grounded(volume, folder, seed, epoch), attrgetter("name"))


def _read_questions(files: Path, split: str, volumes: dict[str, _Volume]) -> None:
    """The four tables of questions, those that are there; the wording is this project's."""
    tables = {"presence": ("Finding", "Presence"), "location": ("Abnormality",), "size": ("Abnormality", "Size")}
    for task, columns in (tables | {"abnormality": ("Abnormality",)}).items():
        file = files / f"{split}_vqa_{task}.csv"
        for row in table(file, ("Volumename", "Anatomy", *columns)) if file.exists() else ():
            volume, region = volumes.get(row["Volumename"]), given(row["Anatomy"]).lower()
            what = given(row[columns[0]]).lower().rstrip(".")
            if volume is None or not what:
                continue
            place = f" in the {region}" if region else " in this scan"
            if task == "presence":
                volume.talk.append((f"Is there {what}{place}?", given(row["Presence"]), "closed_vqa"))
            elif task == "size":
                volume.talk.append((f"How large is the {what}{place}?", given(row["Size"]), "open_vqa"))
            elif task == "location" and region:
                volume.talk.append((f"Where is the {what}?", f"In the {region}.", "open_vqa"))
            elif task == "abnormality":
                volume.talk.append((f"What abnormality is there{place}?", f"{sentence(what)}.", "open_vqa"))


def _grounded(volume: _Volume, folder: Path, seed: int, epoch: int) -> Sample:
    state = rng(seed, volume.name, epoch)
    stem = volume.name.removesuffix(".nii.gz")
    masks = {}
    for region in volume.regions:
        file = folder / f"seg_{stem}" / f"{region}.nii.gz"
        if region and file.exists():
            masks[canonical(region)] = MaskSource(file)
    said = [(region, canonical(region), text) for region, text in volume.regions.items()]
    parts = [f"{sentence(region)} {SEG}: {text}" if id in masks else text for region, id, text in said]
    targets = tuple(id for _, id, _ in said if id in masks)
    whole = " ".join(volume.regions.values())
    turns = [Turn(f"{pick(REPORT_QUESTIONS, state)} Show each region.", " ".join(parts), targets, "report")]
    if not targets:
        turns = [Turn(pick(REPORT_QUESTIONS, state), whole, (), "report")]
    for region, id, text in some([part for part in said if part[1] in masks], 2, state):
        question = pick(
            ("Describe and segment the {}.", "What do you see in the {}? Show it.", "The {}, please."), state
        )
        turns.append(Turn(question.format(region), f"{text} The region is {SEG}.", (id,), "referring"))
    if len(masks) > 1:
        two = some(sorted(masks), 2, state)
        asked = listing([f"the {spoken(id)}" for id in two])
        answer = f"{sentence(listing([f'the {spoken(id)} is {SEG}' for id in two]))}."
        turns.append(Turn(f"Segment {asked}.", answer, tuple(two), "semantic"))
    talk = [Turn(question, answer, (), kind) for question, answer, kind in volume.talk if answer]
    turns += some(talk, max(0, TURNS - len(turns)), state)
    return Sample(volume.name, volume.path, tuple(turns), (whole,), masks)
