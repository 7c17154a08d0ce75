"""The command in two processes on a CPU (gloo), as it is started; what they learn is in ``test_sharding``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

import medvl
from medvl.training.config import as_dict

from ..tiny_stages import NEEDS_PEFT, config_of, losses, write_cases

pytestmark = NEEDS_PEFT
ROOT = Path(__file__).resolve().parents[4]
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
