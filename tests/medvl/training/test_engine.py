"""The stages on a tiny model and a tiny scan: they learn, resume exactly, and what they save is loaded."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import medvl
from medvl.training.config import as_dict, parse
from medvl.training.engine import checkpoints, train
from medvl.training.feed import Order
from medvl.training.losses import siglip
from medvl.training.stages import AlignProjector, read
from medvl.vlm import VisionLanguageModel

from ...phantoms import phantom, write_nifti
from ..tiny_checkpoints import write_language_model

pytest.importorskip("peft")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
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
    return folder


def config_of(cases, output, steps=4, **changes):
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


def losses(history):
    return [entry["loss"] for entry in history if "loss" in entry]


def test_order_is_the_same_from_any_start_and_shared_out():
    whole = iter(Order(5, 2, 0, 0, 1))
    batches = [next(whole) for _ in range(10)]
    later = iter(Order(5, 2, 0, 0, 1, start=6))
    assert [next(later) for _ in range(4)] == batches[6:]
    seen = [place for batch in batches[:5] for place in batch]
    assert sorted(seen) == [(e, i) for e in range(2) for i in range(5)]
    ranks = [iter(Order(5, 1, 0, rank, 2)) for rank in range(2)]
    assert [next(ranks[n % 2])[0] for n in range(10)] == seen


def test_joint_resumes_exactly_and_is_loaded(cases, tmp_path):
    straight = train("joint", config_of(cases, tmp_path / "a"))
    stopped = train("joint", config_of(cases, tmp_path / "b", run={
        "log_every": 1, "save_every": 1, "keep": 1, "device": "cpu", "evaluate_every": 1}), stop_after=2)  # fmt: skip
    assert [c.name for c in checkpoints(tmp_path / "b")] == ["step-00000002"]
    resumed = train("joint", config_of(cases, tmp_path / "b"))
    assert losses(stopped) == losses(straight)[:2]
    assert losses(resumed) == losses(straight)
    assert len(losses(straight)) == 4
    assert np.isfinite(straight[-1]["validation/loss"])
    one, two = (medvl.load(str(tmp_path / n / "model"), "cpu", "none") for n in "ab")
    assert one.vlm.lm.seg_id() is not None
    assert all(torch.equal(t, two.vlm.state_dict()[n]) for n, t in one.vlm.state_dict().items())
    assert all(torch.equal(t, two.seg_head.state_dict()[n]) for n, t in one.seg_head.state_dict().items())


def test_projector_learns_and_the_language_model_stays(cases, tmp_path):
    samples = list(_captioned(cases))
    history = train("align-projector", config_of(cases, tmp_path, steps=12, data={"validation": []}), samples=samples)
    assert losses(history)[-1] < losses(history)[0]
    again = VisionLanguageModel.load(tmp_path / "model" / "vlm", quantization="none")
    before = medvl.language_model.LanguageModel.from_pretrained(cases / "lm", quantization="none")
    for name, tensor in before.model.state_dict().items():
        assert torch.equal(again.lm.model.state_dict()[name][: len(tensor)], tensor)


def test_answers_are_labelled_where_inference_reads_them(cases, tmp_path):
    from medvl.training.samples import Turn

    stage = AlignProjector(config_of(cases, tmp_path), torch.device("cpu"))
    image = torch.randn(6, 64)
    turns = [Turn("where is it ?", "the liver is large"), Turn("what size ?", "normal .")]
    reading = read(stage.vlm, image, turns, 1000)
    tokenizer = stage.vlm.lm.tokenizer
    learned = [i for i in reading.labels.tolist() if i >= 0]
    assert tokenizer.decode(learned) == "the liver is large <|im_end|> normal . <|im_end|>"
    prompt = stage.vlm.prompt(image, turns[1].question, [(turns[0].question, turns[0].answer)])
    assert reading.ids.tolist()[: len(prompt.ids)] == prompt.ids
    assert torch.equal(reading.embeds[: len(prompt.ids)], prompt.embeds)


def test_two_processes_train_one_model(cases, tmp_path):
    """As ``accelerate launch`` starts them."""
    config = config_of(cases, tmp_path / "out", steps=2, loss={"slice": 0.0})
    (tmp_path / "config.json").write_text(json.dumps(as_dict(config)))
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command = [*launch, "-m", "medvl.training", "joint", "--config", str(tmp_path / "config.json")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    history = [json.loads(line) for line in (tmp_path / "out" / "history.jsonl").read_text().splitlines()]
    assert len(losses(history)) == 2
    model = medvl.load(str(tmp_path / "out" / "model"), "cpu", "none")
    assert model.seg_head is not None


def _siglip_of_a_share(rank, port, results):
    """One of two processes: loss and gradient of its half of a batch."""
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    image, text, weight = torch.randn(4, 8), torch.randn(4, 8), torch.eye(8).requires_grad_()
    mine = slice(2 * rank, 2 * rank + 2)
    siglip(image[mine], text[mine] @ weight, torch.tensor(2.0), torch.tensor(-3.0)).backward()
    torch.distributed.all_reduce(weight.grad)
    if rank == 0:
        torch.save(weight.grad / 2, results)
    torch.distributed.destroy_process_group()


def test_negatives_come_from_all_processes(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_siglip_of_a_share, (port, tmp_path / "gradient.pt"), nprocs=2)
    torch.manual_seed(0)
    image, text, weight = torch.randn(4, 8), torch.randn(4, 8), torch.eye(8).requires_grad_()
    siglip(image, text @ weight, torch.tensor(2.0), torch.tensor(-3.0)).backward()
    assert torch.allclose(torch.load(tmp_path / "gradient.pt"), weight.grad, atol=1e-6)


def _captioned(cases):
    from dataclasses import replace

    from medvl.training.readers import open_dataset

    for sample in open_dataset("cases", cases / "cases.json", "train"):
        yield replace(sample, captions=("the liver is large .",))
