"""``python -m medvl.training overfit``: does the whole of training work? All four stages with a tiny new model.

Two labelled cases are learned by heart on the CPU, in minutes: a small random DCFormer and mixer, a tiny Qwen2 that was
first taught the words of the conversations (in place of a pretrained language model), and the bundled SAM 2. The model
is saved, loaded again as anybody would, asked a question and told to segment. What it learns is of no use on any other
scan; what it shows is that every loss reaches the weights it should, and that what was trained is what is loaded.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import torch

from ..config import STAGES, DatasetSettings, parse
from .engine import train
from .feed import open_samples
from .overfit_check import check, lesson, rows
from .words import pairs_of, write_language_model

logger = logging.getLogger(__name__)
SIZE = (64, 96, 96)
SHARE = {"align-encoder": 1 / 3, "align-projector": 1 / 3, "instruct": 1 / 3, "joint": 1.0}  # of the steps
LR = {"align-encoder": 1e-3, "align-projector": 1e-3, "instruct": 2e-3, "joint": 2e-3}


def overfit(cases: Path, output: Path, ids: list[str], steps: int) -> dict:
    """Run all stages and look at the result.

    Args:
        cases: ``cases.json``.
        output: folder for everything; ``joint/model`` is the model.
        ids: cases of the train split.
        steps: optimiser steps of the joint stage; the others take a third of it.

    Returns:
        What is written to ``overfit.json``: per stage first and last loss and seconds, and what ``check`` found.
    """
    torch.manual_seed(0)
    begin = time.monotonic()
    dataset = DatasetSettings("cases", cases, "train", tuple(ids))
    samples = [lesson(s) for s in open_samples([dataset])]
    language_model = output / "language_model"
    result: dict = {"cases": ids, "language model": write_language_model(language_model, pairs_of(samples), 2 * steps)}
    curves, before = {}, {"start": "nano", "language_model": str(language_model)}
    for stage in STAGES:
        config = parse(
            {
                "output": str(output / stage),
                "model": {
                    **before,
                    "encoder": "nano",
                    "input_size": SIZE,
                    "low_tokens": (16, 8),
                    "high_tokens": (8, 8),
                    "seg": {"maps": 5, "voxel_dim": 32},
                    "lora": {"rank": 32, "alpha": 64, "dropout": 0.0},
                    "train_encoder": stage == "joint",
                },
                "text": {"dim": 64},
                "data": {"augment": False, "cache": True, "turns": 4, "workers": 0},
                "loss": {"max_targets": 2},
                "optimiser": {
                    "steps": max(1, round(SHARE[stage] * steps)),
                    "batch_size": len(samples),
                    "lr": LR[stage],
                    "mixed_precision": "no",
                    "gradient_checkpointing": False,
                },
                "run": {"log_every": 1, "save_every": 0, "resume": False, "device": "cpu"},
            }
        )
        since = time.monotonic()
        curves[stage] = train(stage, config, samples=samples)
        first, last = (curves[stage][at] for at in (0, -1))
        result[stage] = {"loss": [first["loss"], last["loss"]], "seconds": round(time.monotonic() - since, 1)} | {
            name: [first[name], last[name]] for name in ("retrieved", "dice", "slice_dice") if name in last
        }
        logger.info("%s: %s", stage, json.dumps(result[stage]))
        before = {"start": str(output / stage / "model")}
    result["check"] = check(output / STAGES[-1] / "model", samples)
    result["seconds"] = round(time.monotonic() - begin, 1)
    (output / "overfit.json").write_text(json.dumps(result, indent=2) + "\n")
    _draw(curves, output)
    for stage in STAGES:
        print(f"{stage}: loss {' -> '.join(f'{loss:.4g}' for loss in result[stage]['loss'])}")
    print(*rows(result["check"]), f"{result['seconds']} s", sep="\n")
    return result


def _draw(curves: dict[str, list[dict]], output: Path) -> None:
    """Loss curves as ``losses.json`` and as a page, ``losses.html``."""
    from plotly.subplots import make_subplots

    (output / "losses.json").write_text(json.dumps(curves, indent=1) + "\n")
    figure = make_subplots(2, 2, subplot_titles=list(curves))
    skipped = {"step", "lr", "samples_per_second"}
    for at, curve in enumerate(curves.values()):
        for name in sorted(set(curve[-1]) - skipped):
            line = {"x": [e["step"] for e in curve], "y": [e.get(name) for e in curve], "name": name}
            figure.add_scatter(**line, row=at // 2 + 1, col=at % 2 + 1)
    figure.update_layout(title="Losses and scores by step", height=800)
    figure.write_html(output / "losses.html")
