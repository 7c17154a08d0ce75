"""M3D-Cap, M3D-VQA, M3D-Seg and M3D-RefSeg (Bai et al., arXiv 2404.00578) as published and as prepared.

File and column names are those of https://github.com/BAAI-DCAI/M3D and of the hub's ``GoodBaiBai88/M3D-*``. M3D-Cap is
published as folders of pictures; its preparation writes ``.npy``, Med3DVLM's writes ``.nii.gz``. All three are read.

None of these scans keeps Hounsfield units: values are 0..1 (``scale`` "unit"). The arrays keep no orientation either.
Assumed is what the preparation implies: slices from the feet, rows from the front, columns from the patient's right
(``SPL``) for M3D-Cap and M3D-Seg, whose sources are mostly DICOM; ``SRA`` for M3D-RefSeg, made of TotalSegmentator's
RAS files by one transpose. Where the NIfTI itself is there (RefSeg as published), its header counts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from operator import attrgetter, itemgetter
from pathlib import Path

from .common import LazySamples, choose, entry, load_json, locate, need, rng, some, table
from .conversations import Facts, converse, given, pick
from .names import canonical
from .phrases import REPORT_QUESTIONS
from .samples import SEG, DatasetError, MaskSource, NothingToAsk, Sample, Turn
from .total_segmentator import facts_of

TURNS = 6  # questions of one conversation
_VQA = ("Image Path", "Question", "Answer", "Answer Choice", "Choice A", "Choice B", "Choice C", "Choice D")
_YES_NO = ("Image Path", "Question", "Answer")
_REF = ("Image", "Mask", "Mask_ID", "Question", "Answer")
_SHAPE = re.compile(r"\((\d+(?:,\s*\d+){3})\)")
_UNION_OF_NAMES = frozenset({"0009"})  # 3D-IRCADb: a case labels a few of all names, so an empty one may be unlabelled


def findings(text: str) -> str:
    """The findings of a Radiopaedia text, as M3D takes them: after ``study_findings:``, else ``discussion:``."""
    for marker in ("study_findings:", "discussion:"):
        after = given(text.partition(marker)[2])
        if len(after.replace(" ", "")) >= 5:
            return after
    return given(text)


def open_cap(root: Path, split: str, seed: int = 0) -> LazySamples[dict]:
    """M3D-Cap: scans with the findings of their case.

    Args:
        root: holds ``M3D_Cap.json`` (``{"train": [{"image", "text"}, ...], "validation": ..., "test": ...}``).
        split: ``train``, ``val`` or ``test``.
        seed: of the questions' wording.

    Raises:
        DatasetError: a file or key is missing.
    """
    name = choose(split, {"train": "train", "val": "validation", "test": "test"}, "M3D-Cap")
    file = root / "M3D_Cap.json"
    pairs = load_json(file, (name,))[name]
    for number, pair in enumerate(pairs):
        entry(pair, ("image", "text"), f"{file}, {name}[{number}]")

    def make(pair: dict, epoch: int) -> Sample:
        text = findings(need(locate(pair["text"], (root, root.parent))).read_text(encoding="utf-8"))
        question = pick(REPORT_QUESTIONS, rng(seed, pair["image"], epoch))
        image = locate(pair["image"], (root, root.parent))
        return Sample(pair["image"], image, (Turn(question, text, (), "caption"),), (text,), scale="unit")

    return LazySamples(pairs, make, itemgetter("image"))


def open_vqa(root: Path, split: str, seed: int = 0) -> LazySamples[tuple[str, Path, list[dict]]]:
    """M3D-VQA: one sample a scan; a question is asked open or with its four choices.

    Args:
        root: holds ``M3D_VQA_train.csv`` and so on, or a folder ``M3D-VQA`` with them; the scans of M3D-Cap lie there
            or beside it. ``M3D_VQA_yn_train.csv`` is read where it is.
        split: ``train``, ``val`` or ``test``.
        seed: which questions, and which with choices.

    Raises:
        DatasetError: a file or column is missing.
    """

    def make(record: tuple[str, Path, list[dict]], epoch: int) -> Sample:
        path, image, questions = record
        state = rng(seed, path, epoch)
        turns = tuple(_vqa(row, closed=state.random() < 0.5) for row in some(questions, TURNS, state))
        return Sample(path, image, turns, scale="unit")

    return LazySamples(vqa_rows(root, split), make, itemgetter(0))


def vqa_rows(root: Path, split: str) -> list[tuple[str, Path, list[dict]]]:
    """Every scan of M3D-VQA: its path in the table, its file, and its rows (those of the yes-or-no table last).

    Args:
        root: see ``open_vqa``.
        split: likewise.

    Raises:
        DatasetError: a file or column is missing.
    """
    name = choose(split, {"train": "train", "val": "val", "test": "test"}, "M3D-VQA")
    folder = root / "M3D-VQA" if (root / "M3D-VQA").is_dir() else root
    rows = table(folder / f"M3D_VQA_{name}.csv", _VQA)
    yes_no = folder / f"M3D_VQA_yn_{name}.csv"
    rows += table(yes_no, _YES_NO) if yes_no.exists() else []
    scans: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        scans[row["Image Path"]].append(row)
    places = (folder, folder.parent, folder.parent / "M3D-Cap", folder.parent.parent)
    return [(path, locate(path, places), questions) for path, questions in scans.items()]


def _vqa(row: dict, closed: bool) -> Turn:
    question, answer = given(row["Question"]), given(row["Answer"])
    if not row.get("Answer Choice"):  # yes or no
        return Turn(question, answer, (), "closed_vqa")
    if not closed:
        return Turn(question, answer, (), "open_vqa")
    choices = " ".join(f"{letter}. {given(row[f'Choice {letter}'])}" for letter in "ABCD")
    return Turn(f"{question} Choices: {choices}", f"{row['Answer Choice'].strip()}. {answer}", (), "closed_vqa")


# ---- segmentation


@dataclass
class _Scan:
    """A scan of M3D-Seg and where its classes are."""

    code: str
    image: Path
    axes: str
    masks: dict[str, MaskSource] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Dataset and case."""
        return f"{self.code}/{self.image.parent.name}"


def open_seg(root: Path, split: str, seed: int = 0) -> LazySamples[_Scan]:
    """M3D-Seg: 25 public sets, each in a folder of four digits with its ``NNNN.json``.

    As published a scan is ``image.npy`` and ``mask_(C, x, y, z).npz`` (scipy sparse, a row a class); prepared it is
    ``image.npy`` and one ``mask_<class>.npy`` a class, of a single voxel where the class is not in the scan. Classes
    are named by ``labels`` of the json, from 1.

    Args:
        root: ``M3D_Seg`` or ``M3D_Seg_npy``.
        split: ``train``; ``val`` and ``test`` are both the published test split.
        seed: of the conversations.

    Raises:
        DatasetError: a file or key is missing.
    """
    name = choose(split, {"train": "train", "val": "test", "test": "test"}, "M3D-Seg")
    lists = sorted(p for p in need(root).glob("[0-9][0-9][0-9][0-9]/*.json") if p.stem == p.parent.name)
    if not lists:
        raise DatasetError(f"{root} holds no dataset such as 0000/0000.json. Give the folder M3D_Seg or M3D_Seg_npy.")
    scans = [scan for file in lists for scan in _scans(root, file, name)]
    if not scans:
        raise DatasetError(f"{root}: none of the {len(lists)} lists has a scan in {name!r}.")

    def make(scan: _Scan, epoch: int) -> Sample:
        bare = Sample(scan.id, scan.image, (Turn("", ""),), scale="unit", axes=scan.axes)
        facts = facts_of(scan.masks, bare)
        if scan.code in _UNION_OF_NAMES:
            facts = Facts(facts.present)
        turns = converse(facts, rng(seed, scan.id, epoch))
        if not turns:
            raise NothingToAsk(f"{scan.image}: none of its classes has a voxel.")
        return replace(bare, turns=turns, masks={n: scan.masks[n] for n in facts.present})

    return LazySamples(scans, make, attrgetter("id"))


def _scans(root: Path, file: Path, split: str) -> list[_Scan]:
    content = load_json(file, ("labels", split))
    classes = {int(value) - 1: canonical(name) for value, name in content["labels"].items() if value != "0"}
    scans: dict[Path, _Scan] = {}
    for number, pair in enumerate(content[split]):
        entry(pair, ("image", "label"), f"{file}, {split}[{number}]")
        # Written with the paths of the machine that prepared them: NNNN/case/image.npy, NNNN/case/masks/mask_0.npy.
        image = locate(pair["image"], (root,), keep=3)
        prepared = Path(pair["label"]).parent.name == "masks"
        label = locate(pair["label"], (root,), keep=4 if prepared else 3)
        scan = scans.setdefault(image, _Scan(file.stem, image, "SPL" if prepared else "LPS"))
        if prepared:
            index = int(label.stem.removeprefix("mask_"))
            _class(classes, index, file)
            scan.masks[classes[index]] = MaskSource(label, axes=scan.axes)
            continue
        shape = _SHAPE.search(label.name)
        if shape is None:
            raise DatasetError(f"{label} does not say its shape, as in 'mask_(13, 512, 512, 120).npz'.")
        shape = tuple(int(n) for n in shape.group(1).split(","))
        for index in range(shape[0]):
            _class(classes, index, file)
            scan.masks[classes[index]] = MaskSource(label, channel=index, axes=scan.axes, shape=shape)
    return list(scans.values())


def _class(classes: dict[int, str], index: int, file: Path) -> None:
    if index not in classes:
        raise DatasetError(f"{file} names no class {index + 1} in 'labels', but there is a mask of it.")


def open_refseg(root: Path, split: str, seed: int = 0) -> LazySamples[tuple[str, list[dict]]]:
    """M3D-RefSeg: lesions of TotalSegmentator scans, asked for by description or by reasoning.

    Args:
        root: holds ``M3D_RefSeg.csv`` and ``M3D_RefSeg_test.csv``, and a folder a case with ``ct.nii.gz`` and
            ``mask.nii.gz``, or prepared ``ct.npy`` and ``mask.npy``.
        split: ``train``; ``val`` and ``test`` are both the published test list.
        seed: which questions.

    Raises:
        DatasetError: a file or column is missing.
    """
    name = choose(split, {"train": "M3D_RefSeg.csv", "val": "M3D_RefSeg_test.csv", "test": "M3D_RefSeg_test.csv"}, "")
    scans: dict[str, list[dict]] = defaultdict(list)
    for row in table(root / name, _REF):
        scans[row["Image"]].append(row)

    def make(record: tuple[str, list[dict]], epoch: int) -> Sample:
        path, rows = record
        image = locate(path, (root, root.parent), keep=2)
        mask = locate(rows[0]["Mask"], (root, root.parent), keep=2)
        rows = some(rows, TURNS, rng(seed, path, epoch))
        sources = {_lesion(row): MaskSource(mask, (int(float(row["Mask_ID"])),), axes="SRA") for row in rows}
        scale = "unit" if image.suffix == ".npy" else "hu"
        return Sample(Path(path).parent.name, image, tuple(map(_refer, rows)), (), sources, scale, "SRA")

    return LazySamples(scans.items(), make, lambda record: Path(record[0]).parent.name)


def _lesion(row: dict) -> str:
    return f"lesion_{int(float(row['Mask_ID']))}"


def _refer(row: dict) -> Turn:
    answer = re.sub(r"[<\[]\s*SEG\s*[>\]]", SEG, given(row["Answer"]), flags=re.IGNORECASE)
    if SEG not in answer:
        answer = f"{answer} It is {SEG}."
    return Turn(given(row["Question"]), answer, (_lesion(row),) * answer.count(SEG), "referring")
