"""A tiny base model, tiny scans and the configuration of a stage on them."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from sam2.build_sam import build_sam2

from medvl.model import MedVLSAM2
from medvl.networks.config import ModelConfig
from medvl.networks.networks import read_networks
from medvl.networks.sam2 import SegmenterConfig
from medvl.training.config import TrainingConfig, parse
from medvl.weights import hub

from ...phantoms import phantom, write_nifti
from ..networks.test_sam2_video import randomised
from ..tiny_checkpoints import write_language_model

# Looked for and not imported: every process of a test run collects all tests, few run these.
NEEDS_PEFT = pytest.mark.skipif(find_spec("peft") is None, reason="needs the package peft")
CONFIG, SIDE = "configs/sam2.1/sam2.1_hiera_t.yaml", 128


def write_cases(folder: Path) -> None:
    """Three labelled scans as ``cases.json``, and under ``lm`` a tiny language model."""
    entries = []
    for number in range(3):
        body = phantom(noise=5.0 + 5 * number)
        write_nifti(folder / f"ct{number}.nii.gz", body.hu, body.affine)
        write_nifti(folder / f"labels{number}.nii.gz", body.labels, body.affine)
        names = {"1": "liver", "2": "spleen"}
        entry = {"id": f"c{number}", "ct": f"ct{number}.nii.gz", "labels": f"labels{number}.nii.gz", "split": "train"}
        entries.append(entry | {"label_names": names, "complete": ["liver", "spleen", "trachea"]})
    (folder / "cases.json").write_text(json.dumps(entries))
    write_language_model(folder / "lm")


def write_remembering(folder: Path) -> Path:
    """A model whose SAM 2 has a memory, of random weights; as training starts from it."""
    torch.manual_seed(0)
    net = build_sam2(CONFIG, None, "cpu", hydra_overrides_extra=[f"++model.image_size={SIDE}"])
    torch.save({"model": randomised(net).state_dict()}, folder / "tiny.pt")
    nano = hub.find_model("nano")
    config = replace(ModelConfig.load(nano), segmenter=SegmenterConfig(CONFIG, "tiny", SIDE))
    networks = read_networks(nano, torch.device("cpu"), config, folder)
    MedVLSAM2(networks, (nano,)).save_pretrained(folder / "start")
    return folder / "start"


def config_of(cases: Path, output: Path, steps: int = 4, **changes: dict) -> TrainingConfig:
    """A stage on ``write_cases``; ``changes`` replaces values of its parts, and of ``model`` too."""
    dataset = {"kind": "cases", "root": str(cases / "cases.json")}
    raw = {
        "output": str(output),
        "model": {
            "language_model": str(cases / "lm"), "encoder": "nano", "input_size": (32, 64, 64),
            "low_tokens": (6, 4), "high_tokens": (3, 2), "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
        },
        "data": {"train": [dataset], "validation": [dataset | {"limit": 1}], "turns": 2, "workers": 0},
        "loss": {"max_targets": 1},
        "optimiser": {"steps": steps, "batch_size": 1, "lr": 3e-3, "mixed_precision": "no"},
        "run": {"log_every": 1, "save_every": 0, "evaluate_every": 0, "device": "cpu"},
    }  # fmt: skip
    for part, values in changes.items():
        raw[part] = raw[part] | values if part in raw else values
    return parse(raw)


def losses(history: list[dict]) -> list[float]:
    """Of the training steps."""
    return [entry["loss"] for entry in history if "loss" in entry]
