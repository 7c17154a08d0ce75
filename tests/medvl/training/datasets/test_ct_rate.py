"""CT-RATE and RadGenome-Chest CT in their published layouts."""

from __future__ import annotations

import json

import pytest

from medvl.training.datasets import open_dataset
from medvl.training.datasets.samples import DatasetError, Image, read_image, read_masks

from ..folders import LPS, body, centre, cube, save, table

REPORT = ("VolumeName", "ClinicalInformation_EN", "Technique_EN", "Findings_EN", "Impressions_EN")


def ct_rate(root):
    data = root / "dataset"
    for name in ("train_1_a_1", "train_2_b_1"):
        patient, study = name[:7], name[:9]
        save(data / "train_fixed" / patient / study / f"{name}.nii.gz", body(), LPS)
    save(data / "valid_fixed/valid_1/valid_1_a/valid_1_a_1.nii.gz", body(), LPS)
    rows = [
        ("train_1_a_1.nii.gz", "Not given.", "CT", "Heart is large.\n No effusion.", "Cardiomegaly"),
        ("train_2_b_1.nii.gz", "", "", "Brain.", ""),
        ("train_3_a_1.nii.gz", "", "", "Not downloaded.", ""),
    ]
    reports = data / "radiology_text_reports"
    table(reports / "train_reports.csv", REPORT, rows)
    table(reports / "validation_reports.csv", REPORT, [("valid_1_a_1.nii.gz", "", "", "Not given.", "Normal")])
    labels = ("VolumeName", "Cardiomegaly", "Lung nodule", "Emphysema")
    table(data / "multi_abnormality_labels/train_predicted_labels.csv", labels, [("train_1_a_1.nii.gz", 1, 0, 0)])
    (data / "metadata").mkdir()
    (data / "metadata/no_chest_train.txt").write_text("train_2_b_1.nii.gz\n")
    (data / "vqa").mkdir()
    talk = [
        {"from": "human", "value": "<image>\nHow is the heart?<long_answer>"},
        {"from": "gpt", "value": "It is large."},
        {"from": "human", "value": "Choose: (a) 1 (b) 2 <multiple_choice>"},
        {"from": "gpt", "value": "(a)"},
    ]
    (data / "vqa/train_vqa.json").write_text(json.dumps([{"image": "train_1_a_1.nii.gz", "conversations": talk}]))
    return root


def test_ct_rate(tmp_path):
    root = ct_rate(tmp_path)
    train, val = open_dataset("ct-rate", root, "train"), open_dataset("ct-rate", root / "dataset", "val")
    assert [s.id for s in train] == ["train_1_a_1.nii.gz"]  # what is no chest or not here is left out
    assert [t.answer for t in val[0].turns] == ["Normal"]
    sample = train[0]
    assert train.ids == tuple(s.id for s in train)
    assert sample.captions == ("Heart is large. No effusion. Cardiomegaly",)
    turns = {turn for epoch in range(20) for turn in train.draw(0, epoch).turns}
    answers = {turn.answer for turn in turns}
    assert {
        "Heart is large. No effusion.",
        "Cardiomegaly",
        "Yes, there is cardiomegaly.",
        "It is large.",
        "(a)",
    } <= answers
    assert "No, there is no lung nodule." in answers
    assert not any("<" in turn.question for turn in turns)
    assert {t.kind for t in turns if t.answer == "(a)"} == {"closed_vqa"}
    array, affine = read_image(sample)
    assert affine[0, 0] > 0
    assert array.min() == -1000


def test_ct_rate_errors(tmp_path):
    root = ct_rate(tmp_path)
    with pytest.raises(DatasetError, match="no split 'test'"):
        open_dataset("ct-rate", root, "test")
    reports = root / "dataset/radiology_text_reports/train_reports.csv"
    table(reports, REPORT[:3], [])
    with pytest.raises(DatasetError, match=r"train_reports\.csv has no column 'Findings_EN', 'Impressions_EN'"):
        open_dataset("ct-rate", root, "train")
    table(reports, REPORT, [("train_9_a_1.nii.gz", "", "", "x", "")])
    with pytest.raises(DatasetError, match="None of the 1 volumes"):
        open_dataset("ct-rate", root, "train")
    (root / "dataset/train_fixed").rename(root / "dataset/train")
    with pytest.raises(DatasetError, match="Download train_fixed"):
        open_dataset("ct-rate", root, "train")


def radgenome(root):
    data = root / "dataset"
    save(data / "train_preprocessed/train_1/train_1a/train_1_a_1.nii.gz", body(), LPS)
    folder = data / "train_region_mask/seg_train_1_a_1"
    save(folder / "lung.nii.gz", cube(body().shape, (12, 5, 5)), LPS)
    save(folder / "trachea and bronchie.nii.gz", cube(body().shape, (4, 5, 5)), LPS)
    files = data / "radgenome_files"
    name = "train_1_a_1.nii.gz"
    rows = [
        (name, "lung", "No nodule."),
        (name, "trachea and bronchie", "They are open."),
        (name, "heart", "It is normal."),
        (name, "", "Arms are raised."),
    ]
    table(files / "train_region_report.csv", ("Volumename", "Anatomy", "Sentence"), rows)
    table(
        files / "train_vqa_presence.csv",
        ("Volumename", "Anatomy", "Finding", "Presence"),
        [(name, "lung", "Nodule.", "No")],
    )
    table(
        files / "train_vqa_location.csv", ("Volumename", "Anatomy", "Abnormality"), [(name, "left upper lobe", "Cyst")]
    )
    table(files / "train_vqa_size.csv", ("Volumename", "Anatomy", "Abnormality", "Size"), [(name, "", "Cyst", "4 mm")])
    return root


def test_radgenome(tmp_path):
    data = open_dataset("radgenome", radgenome(tmp_path), "train")
    assert len(data) == 1
    sample = data[0]
    assert set(sample.masks) == {"lung", "trachea_and_bronchie"}
    report = sample.turns[0]
    assert report.answer == (
        "Lung [SEG]: No nodule. Trachea and bronchie [SEG]: They are open. It is normal. Arms are raised."
    )
    assert report.targets == ("lung", "trachea_and_bronchie")
    masks = read_masks(sample, Image(*read_image(sample)))
    assert centre(masks["lung"])[0] > centre(masks["trachea_and_bronchie"])[0]
    said = {turn.question: turn.answer for epoch in range(20) for turn in data.draw(0, epoch).turns}
    assert said["Is there nodule in the lung?"] == "No"
    assert said["Where is the cyst?"] == "In the left upper lobe."
    assert said["How large is the cyst in this scan?"] == "4 mm"
    assert any(answer == "No nodule. The region is [SEG]." for answer in said.values())


def test_radgenome_errors(tmp_path):
    root = radgenome(tmp_path)
    table(root / "dataset/radgenome_files/train_vqa_size.csv", ("Volumename", "Anatomy", "Abnormality"), [])
    with pytest.raises(DatasetError, match=r"train_vqa_size\.csv has no column 'Size'"):
        open_dataset("radgenome", root, "train")
    with pytest.raises(DatasetError, match=r"validation_region_report\.csv is missing"):
        open_dataset("radgenome", root, "val")
