"""The example configurations as they stand, in a folder laid out as they say, one after another as a person runs them.

Only sizes are made smaller: a key that does not exist, a dataset kind or a path that is wrong fails here.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

import medvl
from medvl.training.__main__ import main
from medvl.training.config import STAGES, read_config
from medvl.weights import hub

from ..tiny_checkpoints import write_language_model
from .datasets.test_ct_rate import ct_rate, radgenome
from .datasets.test_labels import META, case
from .datasets.test_m3d import VQA, cap, seg
from .folders import body, cube, save, table
from .tiny_stages import NEEDS_PEFT
from .vlm.test_text_encoder import write_bert

pytestmark = NEEDS_PEFT
EXAMPLES = Path(__file__).resolve().parents[3] / "assets" / "training"
SMALL = {
    "model": {"encoder": "nano", "input_size": [32, 64, 64], "low_tokens": [6, 4], "high_tokens": [3, 2]},
    "loss": {"max_targets": 1},
    "data": {"workers": 0},
    "optimiser": {"steps": 2, "batch_size": 2},
    "run": {"log_every": 1, "evaluate_every": 1, "evaluate_samples": 1, "save_every": 1, "device": "cpu"},
}


def write_data(root: Path) -> None:
    """The published datasets in their published or prepared layouts, a scan or two each."""
    cap(root, ".npy")
    path = "M3D_Cap_npy/ct_case/000006/Axial.npy"
    row = (path, "What is seen?", "Liver", "Spleen", "Heart", "Lung", "Spleen", "B", 3)
    for split in ("train", "val"):
        table(root / "M3D-VQA" / f"M3D_VQA_{split}.csv", VQA, [row, row])
    ct_rate(root / "CT-RATE")
    radgenome(root / "RadGenome-ChestCT")
    seg(root / "M3D_Seg_npy", True)
    referred = root / "M3D_RefSeg_npy"
    save(referred / "s0000" / "ct.nii.gz", body((10, 9, 8)))
    save(referred / "s0000" / "mask.nii.gz", cube((10, 9, 8), (6, 4, 3), 2) * 2)
    paths = [f"M3D_RefSeg_npy/s0000/{name}.nii.gz" for name in ("ct", "mask")]
    columns = ("Image", "Mask", "Mask_ID", "Question_Type", "Question", "Answer")
    table(referred / "M3D_RefSeg.csv", columns, [(*paths, 2, 0, "Where is the cyst?", "It is <SEG>.")])
    for name in ("s0000", "s0001"):
        case(root / "TotalSegmentator" / name)
    rows = [("s0000", "", "", "", "", "train"), ("s0001", "", "", "", "", "val")]
    table(root / "TotalSegmentator" / "meta.csv", META, rows, ";")


def write_base(folder: Path) -> None:
    """The bundled preset with smaller slices, so that SAM 2 takes less time."""
    shutil.copytree(hub.BUNDLED / "nano", folder, copy_function=lambda a, b: Path(b).symlink_to(a))
    config = json.loads((folder / "config.json").read_text())
    config["segmenter"]["image_size"] = 128
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with everything that the examples name; models of the hub as folders of the same names."""
    folder = tmp_path_factory.mktemp("work")
    write_data(folder / "data")
    write_base(folder / "base" / "nano")
    write_bert(folder / "medicalai" / "ClinicalBERT", "distilbert")
    write_language_model(folder / "Qwen" / "Qwen2.5-7B-Instruct")
    return folder


def smaller(stage: str) -> dict:
    raw = yaml.safe_load((EXAMPLES / f"{stage}.yaml").read_text())
    for part, values in SMALL.items():
        taken = {k: v for k, v in values.items() if part != "model" or k in raw["model"]}
        raw[part] = raw.get(part, {}) | taken
    raw["optimiser"]["accumulate"] = min(2, raw["optimiser"].get("accumulate", 1))
    return raw


def scalars(folder: Path) -> dict[str, list[int]]:
    """Steps by tag of the TensorBoard events."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [e.step for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_examples_run_one_after_another(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setattr("medvl.weights.hub.BUNDLED", place / "base")
    checkpointed, kept = [], torch.utils.checkpoint.checkpoint
    for place_of_use in ("medvl.networks.vision_encoder", "transformers.modeling_utils"):
        monkeypatch.setattr(f"{place_of_use}.checkpoint", lambda *a, **k: checkpointed.append(1) or kept(*a, **k))
    for stage in STAGES:
        raw = smaller(stage)
        Path(f"{stage}.yaml").write_text(yaml.safe_dump(raw))
        assert main([stage, "--config", f"{stage}.yaml"]) == 0, capsys.readouterr().err
        told = capsys.readouterr().err
        assert re.search(rf"{stage}: 100%.*2/2 \[\d\d:\d\d<\d\d:\d\d", told), told[-500:]
        assert re.search(rf"{stage}:  50%.*1/2 \[\d\d:\d\d<(\d\d:\d\d|\?)", told)  # with the time that is left
        output = Path(raw["output"])
        assert [c.name for c in sorted(output.glob("checkpoints/*"))] == ["step-00000001"]
        seen = scalars(output)
        assert seen["train/loss"] == seen["train/lr"] == seen["validation/loss"] == [1, 2]
        if stage == "joint":
            assert seen["train/coarse"] == seen["train/slice"] == [1, 2]
        assert checkpointed, f"{stage}: activations are kept, although gradient_checkpointing is on by default"
        checkpointed.clear()
    model = medvl.load("runs/joint/model", "cpu", "none")
    assert model.vlm.lm.seg_id() is not None
    assert model.networks.seg_head is not None


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_is_a_configuration(file):
    assert read_config(file).data.train


@pytest.mark.parametrize("stage", STAGES)
def test_folders_that_examples_name_are_the_published_ones(stage, place):
    """Also those that two steps do not come to: every dataset gives a sample of every split that is named."""
    from medvl.training.datasets import open_dataset
    from medvl.training.datasets.samples import read_image

    raw = yaml.safe_load((EXAMPLES / f"{stage}.yaml").read_text())
    for dataset in raw["data"]["train"] + raw["data"].get("validation", []):
        samples = open_dataset(dataset["kind"], place / dataset["root"], dataset.get("split", "train"))
        array, _ = read_image(samples[0])
        assert array.size, dataset
