"""TotalSegmentator folders and ``cases.json``: splits, what is present and absent, measured answers, real scans."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from medvl.ct.masks import Mask
from medvl.evaluation.cases import labelled_cases
from medvl.readers import read_ct
from medvl.training.datasets import JoinedSamples, open_dataset
from medvl.training.datasets.names import spoken
from medvl.training.datasets.samples import DatasetError, Image, grid_of, read_image, read_masks

from ..folders import LPS, body, centre, cube, save, table

META = ("image_id", "age", "gender", "institute", "study_type", "split")


def case(folder, shift=0):
    hu = body((22, 18, 14))
    save(folder / "ct.nii.gz", hu, LPS)
    boxes = {"kidney_right": (14, 5, 4), "kidney_left": (4, 5, 4), "liver": (12, 9, 8)}
    for name, lo in boxes.items():
        save(folder / "segmentations" / f"{name}.nii.gz", cube(hu.shape, lo), LPS)
    save(folder / "segmentations" / "urinary_bladder.nii.gz", cube(hu.shape, (5, 5, 5)) * 0, LPS)
    save(folder / "segmentations" / "rib_left_3.nii.gz", cube(hu.shape, (3, 3, 3), 1), LPS)  # a fragment
    for n, lobe in enumerate(("upper", "lower")):
        save(folder / "segmentations" / f"lung_{lobe}_lobe_left.nii.gz", cube(hu.shape, (4, 10, 3 + 4 * n)), LPS)


def test_total_segmentator_public_layout(tmp_path):
    for name in ("s0000", "s0001", "s0002"):
        case(tmp_path / name)
    rows = [("s0000", "", "", "", "", "train"), ("s0001", "", "", "", "", "val"), ("s0002", "", "", "", "", "test")]
    table(tmp_path / "meta.csv", META, rows, ";")
    for split, id in (("train", "s0000"), ("val", "s0001"), ("test", "s0002")):
        assert [s.id for s in open_dataset("total-segmentator", tmp_path, split)] == [id]
    data = open_dataset("total-segmentator", tmp_path, "train")
    samples = [data.draw(0, epoch) for epoch in range(30)]
    masks = read_masks(samples[0], grid_of(samples[0]), samples[0].masks)
    assert centre(masks["right_kidney"])[0] > centre(masks["left_kidney"])[0]
    assert masks["left_lung"].sum() == 2 * 64
    turns = [turn for sample in samples for turn in sample.turns]
    assert {"liver", "right_kidney", "left_kidney", "left_lung", "left_lung_upper_lobe"} <= {
        name for turn in turns for name in turn.targets
    }
    absent = " ".join(turn.answer for turn in turns if turn.kind == "absent")
    assert "urinary bladder" in absent
    assert not re.search("rib|liver|kidney", absent)
    assert not any("rib" in turn.question for turn in turns)  # a fragment is neither there nor absent


def test_total_segmentator_outputs_without_meta(tmp_path):
    for number in range(12):
        case(tmp_path / f"scan{number}")
    train, val = (open_dataset("total-segmentator", tmp_path, split) for split in ("train", "val"))
    assert sorted(train.ids + val.ids) == sorted(f"scan{n}" for n in range(12))
    assert len(train) > len(val) > 0


def test_total_segmentator_errors(tmp_path):
    case(tmp_path / "s0000")
    table(tmp_path / "meta.csv", META[:5], [], ";")
    with pytest.raises(DatasetError, match=r"meta\.csv has no column 'split'"):
        open_dataset("total-segmentator", tmp_path, "train")
    table(tmp_path / "meta.csv", META, [("s0009", "", "", "", "", "train")], ";")
    with pytest.raises(DatasetError, match=r"s0009.ct\.nii\.gz is missing"):
        open_dataset("total-segmentator", tmp_path, "train")
    with pytest.raises(DatasetError, match="no case of split 'val'"):
        open_dataset("total-segmentator", tmp_path, "val")
    table(tmp_path / "meta.csv", META, [("s0000", "", "", "", "", "train")], ";")
    for file in (tmp_path / "s0000/segmentations").iterdir():
        file.unlink()
    with pytest.raises(DatasetError, match=r"segmentations.*no \.nii\.gz"):
        open_dataset("total-segmentator", tmp_path, "train")[0]


@pytest.fixture
def cases(tmp_path):
    """Complete: liver and right kidney (there), gallbladder (absent). Not complete: spleen (drawn in part), stomach."""
    hu = body((22, 18, 14))
    labels = cube(hu.shape, (12, 9, 6)) + 2 * cube(hu.shape, (4, 5, 4)) + 3 * cube(hu.shape, (14, 3, 0))
    save(tmp_path / "ct/one.nii.gz", hu, LPS)
    save(tmp_path / "labels/one.nii.gz", labels, LPS)
    entry = {
        "id": "one",
        "ct": "ct/one.nii.gz",
        "split": "train",
        "labels": "labels/one.nii.gz",
        "label_names": {"1": "liver", "2": "spleen", "3": "right_kidney", "4": "stomach"},
        "complete": ["liver", "right_kidney", "gallbladder"],
        "label_origin": "made up",
    }
    file = tmp_path / "cases.json"
    file.write_text(json.dumps([entry, {**entry, "id": "two", "split": "val"}]))
    return file


def test_cases_partial_labels(cases):
    data = open_dataset("cases", cases, "train")
    assert [s.id for s in data] == list(data.ids) == ["one"]
    assert [s.id for s in open_dataset("cases", cases.parent, "val")] == ["two"]
    turns = [turn for epoch in range(60) for turn in data.draw(0, epoch).turns]
    text = " ".join(turn.question + turn.answer for turn in turns)
    assert "spleen" not in text
    assert "stomach" not in text
    assert {name for turn in turns for name in turn.targets} == {"liver", "right_kidney"}
    absent = [turn for turn in turns if turn.kind == "absent"]
    assert absent
    assert all("gallbladder" in turn.answer for turn in absent)
    measured = [turn for turn in turns if turn.kind == "measured"]
    assert {turn.about for turn in measured} == {("liver",)}  # the kidney is cut by the border of the scan
    assert any("0.8 mL" in turn.answer for turn in measured)  # 64 voxels of 2 x 2 x 3 mm


def test_cases_errors(cases):
    (cases.parent / "ct/one.nii.gz").unlink()
    with pytest.raises(DatasetError, match=r"one\.nii\.gz is missing"):
        open_dataset("cases", cases, "val")[0]
    content = json.loads(cases.read_text())
    del content[0]["complete"]
    cases.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"cases\.json, case one.*'complete'"):
        open_dataset("cases", cases, "train")
    del content[0]["ct"]
    cases.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"cases\.json, case 0.*'ct'"):
        open_dataset("cases", cases, "train")


def test_joined_datasets_repeat(cases):
    train, val = open_dataset("cases", cases, "train"), open_dataset("cases", cases, "val")
    both = JoinedSamples([(train, 3), (val, 1)])
    assert [s.id for s in both] == ["one", "one", "one", "two"]
    assert len({both.draw(n, epoch).turns for n in range(3) for epoch in range(2)}) > 2
    assert both.draw(1, 5) == both.draw(1, 5)


# ---- real scans


def test_train_split_opens(shared_cases):
    data = open_dataset("cases", shared_cases, "train")
    entries = {e["id"]: e for e in json.loads(shared_cases.read_text())}
    assert list(data.ids) == [id for id, e in entries.items() if e["split"] == "train" and "labels" in e]
    assert all(entries[id]["split"] == "train" for id in data.ids)


@pytest.mark.parametrize("id", ["ts_abdomen", "sarcoma_003"])
def test_real_masks_lie_where_the_labels_are(shared_cases, id):
    data = open_dataset("cases", shared_cases, "train")
    index = data.ids.index(id)
    reference = next(labelled_cases(shared_cases, ids=[id]))
    sample = data[index]
    image = Image(*read_image(sample))
    assert (image.array == reference.ct.hu).all()
    np.testing.assert_allclose(image.affine, reference.ct.affine)
    names = [name for name in sample.masks if name in reference.names.values()]
    assert names
    for name, mask in read_masks(sample, image, names).items():
        assert (mask == reference.mask(name)).all()
    absent = set(reference.complete) - set(reference.names.values())
    for epoch in range(15):
        for turn in data.draw(index, epoch).turns:
            if turn.kind == "absent":
                assert any(spoken(name) in turn.answer for name in absent)
            if turn.kind == "measured" and " mL" in turn.answer:
                mask = Mask.from_array(reference.mask(turn.about[0]))
                told = float(re.search(r"([\d,.]+) mL", turn.answer).group(1).replace(",", ""))
                assert told == pytest.approx(mask.measure(read_ct(sample.ct)).volume_ml, abs=0.5)
