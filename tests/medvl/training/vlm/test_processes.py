"""Two processes on a CPU (gloo): the stages train one model with the gradients of the whole batch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import medvl
from medvl.training.config import as_dict
from medvl.training.vlm.engine import train

from ...tiny_checkpoints import WORDS
from ..datasets.test_m3d import cap
from ..tiny_stages import config_of, losses, write_cases

pytest.importorskip("peft")
ROOT = Path(__file__).resolve().parents[4]
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
# Despite its name --multi_gpu starts two processes where there is no GPU; --cpu would start them through MPI only.
ACCELERATE = [
    "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
]  # fmt: skip


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder)
    return folder


def two(launcher, arguments):
    """Run a module in two processes, without any GPU."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", *launcher, "-m", *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=-1, stderr=-2, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def moments(folder):
    """The mean gradient so far, of each trained weight: a step's gradient, by a known factor, after one step."""
    state = torch.load(next((folder / "checkpoints").glob("step-*1")) / "optimizer.bin", weights_only=True)["state"]
    return [entry["exp_avg"] for _, entry in sorted(state.items())]


def test_gradients_of_two_processes_are_those_of_the_whole_batch(cases, tmp_path):
    """Captions of one length, so that the mean over tokens is the mean over samples."""
    root = cap(tmp_path / "data", ".npy")
    pairs = json.loads((root / "M3D_Cap.json").read_text())
    both = pairs["train"] + pairs["validation"]
    (root / "M3D_Cap.json").write_text(json.dumps({"train": both, "validation": both, "test": []}))
    for number, file in enumerate(sorted(root.glob("ct_case/*/text.txt"))):
        file.write_text(" ".join(WORDS[2 * number : 2 * number + 5]))
    data = {"train": [{"kind": "m3d-cap", "root": str(root)}], "validation": [], "augment": False}
    optimiser = {"steps": 2, "lr": 1e-3, "mixed_precision": "no"}
    run = {"log_every": 1, "save_every": 1, "device": "cpu"}
    apart = config_of(cases, tmp_path / "two", data=data, optimiser=optimiser | {"batch_size": 1}, run=run)
    (tmp_path / "config.json").write_text(json.dumps(as_dict(apart)))
    told = two(TORCHRUN, ["medvl.training", "align-projector", "--config", str(tmp_path / "config.json")])
    assert "2 samples" in told
    whole = train("align-projector", config_of(
        cases, tmp_path / "one", data=data, optimiser=optimiser | {"batch_size": 2}, run=run))  # fmt: skip
    history = [json.loads(line) for line in (tmp_path / "two" / "history.jsonl").read_text().splitlines()]
    assert losses(history) == pytest.approx(losses(whole), rel=1e-5)
    gradients = moments(tmp_path / "one")
    assert sum(float(g.abs().sum()) for g in gradients) > 0
    for mine, theirs in zip(gradients, moments(tmp_path / "two"), strict=True):
        # float32 sums in another order: small beside the tensor's largest value, not beside each value
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-7 + 1e-4 * float(theirs.abs().max()))


def test_joint_trains_one_model_in_two_processes(cases, tmp_path):
    config = config_of(cases, tmp_path / "out", steps=2, loss={"slice": 0.0}, run={
        "log_every": 1, "save_every": 1, "evaluate_every": 1, "device": "cpu"})  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(as_dict(config)))
    told = two(ACCELERATE, ["medvl.training", "joint", "--config", str(tmp_path / "config.json")])
    assert len(re.findall("joint: 3 samples", told)) == 1  # one of them speaks
    history = [json.loads(line) for line in (tmp_path / "out" / "history.jsonl").read_text().splitlines()]
    assert len(losses(history)) == 2
    assert sum("validation/loss" in entry for entry in history) == 2
    states = list((tmp_path / "out" / "checkpoints" / "step-00000001").glob("random_states_*"))
    assert len(states) == 2
    model = medvl.load(str(tmp_path / "out" / "model"), "cpu", "none")
    assert model.networks.seg_head is not None
    assert load_file(tmp_path / "out" / "checkpoints" / "step-00000001" / "trained.safetensors")
