"""M3D's four datasets, written as published and as prepared, read back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK
from PIL import Image as Picture
from scipy import sparse

from medvl.training.datasets import open_dataset
from medvl.training.datasets.m3d import findings
from medvl.training.datasets.samples import DatasetError, Image, grid_of, read_image, read_masks

from ..folders import body, centre, cube, save, table

RAW = "study_findings:\n There is a cyst\nin the left kidney.  discussion: other"
VQA = (
    "Image Path",
    "Question",
    "Choice A",
    "Choice B",
    "Choice C",
    "Choice D",
    "Answer",
    "Answer Choice",
    "Question Type",
)


def cap(root, ending):
    data = root / "M3D_Cap_npy"
    for case in ("000006", "000007"):
        folder = data / "ct_case" / case
        folder.mkdir(parents=True)
        (folder / "text.txt").write_text(RAW)
        array = np.linspace(0, 1, 4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
        if ending == ".npy":
            np.save(folder / "Axial.npy", array[None])
        elif ending == ".nii.gz":
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(folder / "Axial.nii.gz"))
        else:
            (folder / "Axial").mkdir()
            for k, plane in enumerate(array):
                Picture.fromarray((plane * 255).round().astype(np.uint8)).save(folder / "Axial" / f"{k}.png")
    pairs = [{"image": f"ct_case/{c}/Axial", "text": f"ct_case/{c}/text.txt"} for c in ("000006", "000007")]
    if ending:
        pairs = [{**p, "image": f"M3D_Cap_npy/{p['image']}.npy", "text": f"M3D_Cap_npy/{p['text']}"} for p in pairs]
    (data / "M3D_Cap.json").write_text(json.dumps({"train": pairs[:1], "validation": pairs[1:], "test": []}))
    return data


@pytest.mark.parametrize("ending", [".npy", ".nii.gz", ""], ids=["M3D npy", "Med3DVLM NIfTI", "pictures"])
def test_cap(tmp_path, ending):
    """The three forms of the same scan are read as the same RAS+ voxels; the list may still say .npy."""
    root = cap(tmp_path, ending)
    train, val = open_dataset("m3d-cap", root, "train"), open_dataset("m3d-cap", root, "val")
    assert len(train) == len(val) == 1
    sample = train[0]
    assert train.ids == tuple(s.id for s in train)
    assert sample.id != val[0].id
    assert sample.captions == ("There is a cyst in the left kidney. discussion: other",)
    assert sample.turns[0].answer == sample.captions[0]
    assert sample.turns[0].kind == "caption"
    array, _ = read_image(sample)
    assert array.shape == (6, 5, 4)
    assert sample.scale == "unit"
    # first slice, first row (front), first column (the patient's right) is the darkest
    assert np.unravel_index(array.argmin(), array.shape) == (5, 4, 0)
    assert np.unravel_index(array.argmax(), array.shape) == (0, 0, 3)
    assert train.draw(0, 1).turns[0].answer == sample.turns[0].answer
    assert len({train.draw(0, epoch).turns[0].question for epoch in range(12)}) > 3


def test_findings_of_a_text():
    assert findings("title: x discussion: A long story.") == "A long story."
    assert findings("study_findings: - discussion: The story.") == "- discussion: The story."
    assert findings("plain text\nof a prepared file") == "plain text of a prepared file"


@pytest.mark.parametrize("beside", [True, False])
def test_vqa(tmp_path, beside):
    cap(tmp_path, ".npy")
    folder = tmp_path / "M3D-VQA" if beside else tmp_path
    path = "M3D_Cap_npy/ct_case/000006/Axial.npy"
    rows = [(path, f"What is organ {n}?", "Liver", "Spleen", "Heart", "Lung", "Spleen", "B", 3) for n in range(9)] + [
        ("M3D_Cap_npy/ct_case/000007/Axial.npy", "Which plane?", "Axial", "Coronal", "-", "-", "Axial", "A", 1)
    ]
    table(folder / "M3D_VQA_train.csv", VQA, rows)
    table(
        folder / "M3D_VQA_yn_train.csv", (*VQA[:2], "Answer", "Question Type"), [(path, "Is there a cyst?", "Yes", 4)]
    )
    data = open_dataset("m3d-vqa", tmp_path, "train")
    assert len(data) == 2
    turns = [turn for epoch in range(10) for turn in data.draw(0, epoch).turns]
    closed = [t for t in turns if t.kind == "closed_vqa" and "Choices" in t.question]
    assert closed[0].question.endswith("? Choices: A. Liver B. Spleen C. Heart D. Lung")
    assert {t.answer for t in closed} == {"B. Spleen"}
    assert {t.answer for t in turns if t.kind == "open_vqa"} == {"Spleen"}
    assert {t.answer for t in turns if t.question == "Is there a cyst?"} == {"Yes"}
    assert read_image(data[0])[0].shape == (6, 5, 4)
    with pytest.raises(DatasetError, match=r"M3D_VQA_val\.csv is missing"):
        open_dataset("m3d-vqa", tmp_path, "val")


def seg(root, prepared):
    """Two classes and a third that is empty, stored as M3D-Seg's scripts do; returns image and masks in RAS+."""
    image = body((14, 11, 10)).astype(np.float32)
    masks = np.stack([cube(image.shape, (8, 3, 2)), cube(image.shape, (2, 2, 2), 2) * 0, cube(image.shape, (2, 3, 3))])
    lps_image, lps = image[::-1, ::-1], masks[:, ::-1, ::-1]
    case = root / "0010" / "1"
    case.mkdir(parents=True)
    if prepared:
        unit = (lps_image - lps_image.min()) / np.ptp(lps_image)
        np.save(case / "image.npy", unit.T[None])
        (case / "masks").mkdir()
        for n, mask in enumerate(lps):
            turned = mask.T[None].astype(bool) if mask.any() else np.zeros((1, 1, 1, 1), np.int8)
            np.save(case / "masks" / f"mask_{n}.npy", turned)
        away = "/elsewhere/M3D_Seg_npy/"
        pairs = [
            {"image": f"{away}0010/1/image.npy", "label": f"{away}0010/1/masks/mask_{n}.npy"} for n in range(len(lps))
        ]
    else:
        np.save(case / "image.npy", ((lps_image - 20) / 300)[None])
        matrix = sparse.csr_matrix(lps.astype(np.int32).reshape(len(lps), -1))
        sparse.save_npz(case / f"mask_{lps.shape}", matrix)
        pairs = [{"image": "0010/1/image.npy", "label": f"0010/1/mask_{lps.shape}.npz"}]
    labels = {"0": "background", "1": "right kidney", "2": "gall bladder", "3": "left kidney"}
    (root / "0010" / "0010.json").write_text(json.dumps({"labels": labels, "train": pairs, "test": []}))
    return image, masks


@pytest.mark.parametrize("prepared", [False, True])
def test_seg(tmp_path, prepared):
    image, masks = seg(tmp_path, prepared)
    data = open_dataset("m3d-seg", tmp_path, "train")
    sample = data[0]
    assert data.ids == (sample.id,) == ("0010/1",)
    array, affine = read_image(sample)
    np.testing.assert_allclose(array, (image - image.min()) / np.ptp(image), atol=1e-5)
    assert set(sample.masks) == {"right_kidney", "left_kidney"}
    read = read_masks(sample, Image(array, affine), sample.masks)
    assert (read["right_kidney"] == masks[0].astype(bool)).all()
    assert (read["left_kidney"] == masks[2].astype(bool)).all()
    assert centre(read["right_kidney"])[0] > centre(read["left_kidney"])[0]
    turns = [turn for epoch in range(30) for turn in data.draw(0, epoch).turns]
    assert {t for turn in turns for t in turn.targets} == {"right_kidney", "left_kidney"}
    assert any("gallbladder" in turn.answer for turn in turns if turn.kind == "absent")
    with pytest.raises(DatasetError, match="none of the 1 lists"):
        open_dataset("m3d-seg", tmp_path, "val")


def test_seg_with_partial_labels_calls_nothing_absent(tmp_path):
    seg(tmp_path, False)
    for old in (tmp_path / "0010").rglob("0010*"):
        old.rename(old.with_name(old.name.replace("0010", "0009")))
    text = (tmp_path / "0010" / "0009.json").read_text().replace("0010", "0009")
    (tmp_path / "0010" / "0009.json").write_text(text)
    (tmp_path / "0010").rename(tmp_path / "0009")
    data = open_dataset("m3d-seg", tmp_path, "train")
    assert not any("gall" in t.answer for epoch in range(30) for t in data.draw(0, epoch).turns)


@pytest.mark.parametrize("prepared", [False, True])
def test_refseg(tmp_path, prepared):
    image = body((10, 9, 8))
    mask = cube(image.shape, (6, 4, 3), 2) * 2  # on the patient's right
    case = tmp_path / "M3D_RefSeg" / "s0000"
    if prepared:
        case.mkdir(parents=True)
        unit = (image - image.min()) / np.ptp(image)
        np.save(case / "ct.npy", unit.transpose(2, 0, 1)[None])
        np.save(case / "mask.npy", mask.transpose(2, 0, 1)[None].astype(float))
    else:
        save(case / "ct.nii.gz", image)
        save(case / "mask.nii.gz", mask)
    rows = [
        (
            "M3D_RefSeg_npy/s0000/ct.nii.gz",
            "M3D_RefSeg_npy/s0000/mask.nii.gz",
            2,
            0,
            "Where is the cyst?",
            "It is <SEG>.",
        ),
        ("M3D_RefSeg_npy/s0000/ct.nii.gz", "M3D_RefSeg_npy/s0000/mask.nii.gz", 2, 1, "What is odd?", "A cyst."),
    ]
    table(case.parent / "M3D_RefSeg.csv", ("Image", "Mask", "Mask_ID", "Question_Type", "Question", "Answer"), rows)
    data = open_dataset("m3d-refseg", case.parent, "train")
    sample = data[0]
    assert data.ids == (sample.id,) == ("s0000",)
    assert {t.answer for t in sample.turns} == {"It is [SEG].", "A cyst. It is [SEG]."}
    assert sample.wanted == ("lesion_2",)
    assert (read_masks(sample, grid_of(sample))["lesion_2"] == (mask > 0)).all()
    assert sample.scale == ("unit" if prepared else "hu")


def test_missing_things_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r"M3D_Cap\.json is missing"):
        open_dataset("m3d-cap", tmp_path, "train")
    (tmp_path / "M3D_Cap.json").write_text(json.dumps({"train": [{"image": "a"}]}))
    with pytest.raises(DatasetError, match=r"M3D_Cap\.json, train\[0\].*'text'"):
        open_dataset("m3d-cap", tmp_path, "train")
    with pytest.raises(DatasetError, match=r"'validation'"):
        open_dataset("m3d-cap", tmp_path, "val")
    (tmp_path / "M3D_Cap.json").write_text("{")
    with pytest.raises(DatasetError, match="no JSON"):
        open_dataset("m3d-cap", tmp_path, "train")
    table(tmp_path / "M3D_VQA_train.csv", VQA[:5], [])
    with pytest.raises(DatasetError, match=r"M3D_VQA_train\.csv has no column 'Answer'"):
        open_dataset("m3d-vqa", tmp_path, "train")
    table(tmp_path / "M3D_RefSeg.csv", ("Image", "Mask"), [])
    with pytest.raises(DatasetError, match=r"M3D_RefSeg\.csv has no column 'Mask_ID'"):
        open_dataset("m3d-refseg", tmp_path, "train")
    with pytest.raises(DatasetError, match="no dataset such as"):
        open_dataset("m3d-seg", tmp_path, "train")
    with pytest.raises(DatasetError, match="no split 'dev'"):
        open_dataset("m3d-cap", tmp_path, "dev")
    with pytest.raises(DatasetError, match="no reader for 'm4d'"):
        open_dataset("m4d", tmp_path, "train")
