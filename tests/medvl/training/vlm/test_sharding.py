"""Two processes on a CPU: what they learn is what one learns, with gradients alone or everything shared out."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import medvl
from medvl.errors import ConfigError
from medvl.training import __main__ as training
from medvl.training.config import TrainingConfig, as_dict, parse
from medvl.training.datasets import open_dataset
from medvl.training.datasets.samples import Turn
from medvl.training.vlm import sharding
from medvl.training.vlm.engine import KINDS, train
from medvl.training.vlm.joint import Joint
from medvl.training.vlm.losses import siglip

from ...tiny_checkpoints import WORDS
from ..datasets.test_m3d import cap
from ..tiny_stages import NEEDS_PEFT, config_of, losses, write_cases, write_remembering

pytestmark = NEEDS_PEFT
# One turn for all scans: the mean over tokens and structures is then the mean over samples.
TURN = Turn("where is the liver ?", "the liver is [SEG] .", ("liver",))
WHOLE = {"lora": None, "train_encoder": True}
MEMORY = {"slices": 2, "memory": 1.0, "max_targets": 1}


class Still(Joint):
    """Without dropout in SAM 2's memory, which each process draws for itself."""

    def __init__(self, *given) -> None:
        super().__init__(*given)
        for module in self.memory.modules():
            for name in ("p", "dropout_p"):
                if hasattr(module, name):
                    setattr(module, name, 0.0)


KINDS["still"] = Still


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder)
    write_remembering(folder)
    return folder


def settings(cases: Path, output: Path, batch: int, shard: bool, **changes) -> TrainingConfig:
    config = config_of(
        cases,
        output,
        data={"validation": changes.pop("validation", []), "augment": False, "cache": True, "turns": 1},
        loss={"slice": 0.0, "train_mask_decoder": True} | changes.pop("loss", {}),
        # A small rate: AdamW moves a weight whose gradient is nothing but rounding as far as any other.
        optimiser={"steps": 3, "batch_size": batch, "accumulate": 2, "lr": 2e-5, "warmup": 0.0, "clip": 0.5,
                   "mixed_precision": "no", "weight_decay": 0.01} | changes.pop("optimiser", {}),
        run={"log_every": 1, "save_every": 1, "evaluate_every": 1, "device": "cpu", "shard": shard},
    )  # fmt: skip
    return replace(config, model=replace(config.model, **WHOLE | changes))


def samples(cases: Path) -> list:
    opened = open_dataset("cases", cases / "cases.json", "train")
    return [replace(opened[n], turns=(TURN,), captions=("the liver is large .",)) for n in range(2)]


def same_gradients(one: Path, two: Path) -> None:
    """AdamW's first moments after a step are its gradients, by a known factor."""
    file = Path("checkpoints", "step-00000001", "optimizer.bin")
    states = [torch.load(f / file, weights_only=True)["state"] for f in (one, two)]
    assert states[0].keys() == states[1].keys()
    largest = max(float(entry["exp_avg"].abs().max()) for entry in states[0].values())
    for place, entry in states[0].items():
        mine, theirs = entry["exp_avg"], states[1][place]["exp_avg"]
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-5 * largest + 3e-2 * float(mine.abs().max()))


def captions(folder: Path, cases: Path) -> None:
    """Captions of one length, so that the mean over tokens is the mean over samples, and how they are trained on."""
    root = cap(folder / "captions", ".npy")
    pairs = json.loads((root / "M3D_Cap.json").read_text())
    both = pairs["train"] + pairs["validation"]
    (root / "M3D_Cap.json").write_text(json.dumps({"train": both, "validation": both, "test": []}))
    for number, file in enumerate(sorted(root.glob("ct_case/*/text.txt"))):
        file.write_text(" ".join(WORDS[2 * number : 2 * number + 5]))
    data = {"train": [{"kind": "m3d-cap", "root": str(root)}], "validation": [], "augment": False}
    for name, batch in (("projector_one", 2), ("projector_two", 1)):
        optimiser = {"steps": 2, "lr": 1e-3, "mixed_precision": "no", "batch_size": batch}
        run = {"log_every": 1, "save_every": 1, "device": "cpu"}
        config = config_of(cases, folder / name, data=data, optimiser=optimiser, run=run)
        (folder / f"{name}.json").write_text(json.dumps(as_dict(config)))


def begin(folder: Path, name: str, checkpoint: Path) -> Path:
    """A run that was interrupted after a checkpoint."""
    (folder / name / "checkpoints").mkdir(parents=True)
    shutil.copytree(checkpoint, folder / name / "checkpoints" / checkpoint.name)
    return folder / name


def siglip_of(rank: int, folder: Path) -> None:
    """Gradient of the half of a batch that one of two processes has, and its mean with the other's."""
    torch.manual_seed(0)
    image, text, weight = torch.randn(4, 8), torch.randn(4, 8), torch.eye(8).requires_grad_()
    mine = slice(2 * rank, 2 * rank + 2)
    siglip(image[mine], text[mine] @ weight, torch.tensor(2.0), torch.tensor(-3.0)).backward()
    torch.distributed.all_reduce(weight.grad)
    if rank == 0:
        torch.save(weight.grad / 2, folder / "siglip.pt")


def process(rank: int, port: int, cases: Path, folder: Path) -> None:
    """One of two: everything that they do, in one start."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": str(port), "CUDA_VISIBLE_DEVICES": ""}  # fmt: skip
    torch.set_num_threads(1)
    given = samples(cases)
    told, share_out = {"sizes": []}, sharding.shard

    def looked_at(stage: torch.nn.Module, *rest: object) -> None:
        whole = sum(p.numel() for p in stage.parameters())
        share_out(stage, *rest)
        held = sum(getattr(p, "to_local", lambda p=p: p)().numel() for p in stage.parameters())
        told["sizes"].append((whole, held))

    sharding.shard = looked_at

    def run(
        name: str, stage: str = "joint", batch: int = 1, shard: bool = True, end: int | None = 2, **changes
    ) -> None:
        config = settings(cases, folder / name, batch, shard, **changes)
        told[name] = losses(train(stage, config, stop_after=end, samples=given))

    run("two", end=None)
    torch.distributed.barrier()
    if rank == 0:
        for name, start in (("again", "two"), ("from_one", "one")):
            begin(folder, name, folder / start / "checkpoints" / "step-00000001")
    torch.distributed.barrier()
    run("again", validation=[{"kind": "cases", "root": str(cases / "cases.json"), "limit": 1}])
    run("from_one")
    run("bf16", end=1, optimiser={"mixed_precision": "bf16"})
    run("memory", "still", end=1, loss=MEMORY, start=str(cases / "start"))
    for name, shard in (("encoder_apart", False), ("encoder_shared", True)):
        run(name, "align-encoder", 2, shard, 1, optimiser={"clip": 1e9})
    command = ["align-projector", "--config", str(folder / "projector_two.json")]
    assert training.main(command) == 0
    siglip_of(rank, folder)
    (folder / f"told{rank}.json").write_text(json.dumps(told))
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def runs(cases, tmp_path_factory):
    """The folder of the runs, what one process told and what each of two did."""
    folder = tmp_path_factory.mktemp("runs")
    one = losses(train("joint", settings(cases, folder / "one", 2, False), samples=samples(cases)))
    alone = settings(cases, folder / "memory_alone", 2, False, loss=MEMORY, start=str(cases / "start"))
    train("still", alone, 1, samples(cases))
    captions(folder, cases)
    assert training.main(["align-projector", "--config", str(folder / "projector_one.json")]) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Both are forked from one process in which what training imports is there already: that takes ten seconds.
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        ["peft", "monai.transforms", "medvl.training.vlm.engine"]
    )
    torch.multiprocessing.start_processes(process, (port, cases, folder), nprocs=2, start_method="forkserver")
    return folder, one, [json.loads((folder / f"told{rank}.json").read_text()) for rank in range(2)]


def test_losses_are_those_of_one_process_step_by_step(runs):
    _, one, told = runs
    assert len(one) == 3
    assert one[-1] < one[0] - 0.01
    for mine in told:
        assert mine["two"] == pytest.approx(one, rel=1e-5)


def test_resumes_exactly_also_from_one_process_and_in_one(runs, cases):
    folder, one, told = runs
    for mine in told:
        assert mine["again"] == mine["two"][1:2]
        assert mine["from_one"] == pytest.approx(one[1:2], rel=1e-5)
    states = [load_file(folder / n / "checkpoints" / "step-00000002" / "trained.safetensors") for n in ("two", "again")]
    assert all(torch.equal(t, states[1][n]) for n, t in states[0].items())  # looked at in between or not
    output = begin(folder, "in_one", folder / "two" / "checkpoints" / "step-00000001")
    alone = settings(cases, output, 2, True)  # with nobody to share with
    assert losses(train("joint", alone, 2, samples(cases))) == pytest.approx(one[1:2], rel=1e-5)


def test_checkpoint_and_model_are_those_of_one_process(runs, cases):
    folder, _, _ = runs
    states = [load_file(folder / n / "checkpoints" / "step-00000001" / "trained.safetensors") for n in ("two", "one")]
    assert states[0].keys() == states[1].keys()
    assert any(n.startswith("lm.") for n in states[0])
    assert any(n.startswith("decoder.") for n in states[0])
    assert all(torch.allclose(t, states[1][n], atol=4.1e-5) for n, t in states[0].items())
    same_gradients(folder / "one", folder / "two")
    names = sorted(f.relative_to(folder / "one").as_posix() for f in (folder / "one" / "model").rglob("*"))
    assert names == sorted(f.relative_to(folder / "two").as_posix() for f in (folder / "two" / "model").rglob("*"))
    one, two = (medvl.load(str(folder / n / "model"), "cpu", "none") for n in ("one", "two"))
    for part in (lambda m: m.vlm, lambda m: m.networks.seg_head, lambda m: m.networks.sam2.net):
        state = part(two).state_dict()
        assert all(torch.allclose(t, state[n], atol=1.3e-4) for n, t in part(one).state_dict().items())
    before = medvl.networks.language_model.LanguageModel.from_pretrained(cases / "lm", quantization="none")
    moved = two.vlm.lm.model.state_dict()["model.layers.0.mlp.up_proj.weight"]
    assert not torch.equal(moved, before.model.state_dict()["model.layers.0.mlp.up_proj.weight"])


def test_gradients_of_two_processes_are_those_of_the_whole_batch(runs):
    one, two = (runs[0] / f"projector_{name}" for name in ("one", "two"))
    histories = [[json.loads(line) for line in (f / "history.jsonl").read_text().splitlines()] for f in (one, two)]
    assert len(losses(histories[0])) == 2
    assert losses(histories[1]) == pytest.approx(losses(histories[0]), rel=1e-5)
    gradients = moments(one)
    assert sum(float(g.abs().sum()) for g in gradients) > 0
    for mine, theirs in zip(gradients, moments(two), strict=True):
        # float32 sums in another order: small beside the tensor's largest value, not beside each value
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-7 + 1e-4 * float(theirs.abs().max()))


def moments(folder: Path) -> list[torch.Tensor]:
    """The mean gradient so far, of each trained weight: a step's gradient, by a known factor, after one step."""
    state = torch.load(next((folder / "checkpoints").glob("step-*1")) / "optimizer.bin", weights_only=True)["state"]
    return [entry["exp_avg"] for _, entry in sorted(state.items())]


def test_each_process_holds_half(runs):
    _, _, told = runs
    for (whole, one), (same, other) in zip(*(mine["sizes"] for mine in told), strict=True):
        assert whole == same
        assert whole <= one + other < 1.01 * whole
        assert max(one, other) < 0.51 * whole


def test_mixed_precision_and_the_encoders_stage_are_shared_out_too(runs):
    folder, one, told = runs
    assert told[0]["bf16"] == pytest.approx(one[:1], rel=0.02)
    assert told[0]["encoder_shared"] == pytest.approx(told[0]["encoder_apart"], rel=1e-5)
    same_gradients(folder / "encoder_apart", folder / "encoder_shared")


def test_sam2_memory_is_shared_out_too(runs):
    folder, _, told = runs
    (alone,), (shared,) = (
        [json.loads(line) for line in (folder / name / "history.jsonl").read_text().splitlines()]
        for name in ("memory_alone", "memory")
    )
    assert alone["memory"] > 0.1
    assert shared["memory"] == pytest.approx(alone["memory"], rel=1e-5)
    assert all(mine["memory"] == pytest.approx([alone["loss"]], rel=1e-5) for mine in told)
    same_gradients(folder / "memory_alone", folder / "memory")
    file = Path("checkpoints", "step-00000001", "trained.safetensors")
    states = [load_file(folder / n / file) for n in ("memory_alone", "memory")]
    assert states[0].keys() == states[1].keys()
    assert any(n.startswith("memory.") for n in states[1])


def test_negatives_come_from_all_processes(runs):
    torch.manual_seed(0)
    image, text, weight = torch.randn(4, 8), torch.randn(4, 8), torch.eye(8).requires_grad_()
    siglip(image, text @ weight, torch.tensor(2.0), torch.tensor(-3.0)).backward()
    assert torch.allclose(torch.load(runs[0] / "siglip.pt"), weight.grad, atol=1e-6)


@pytest.mark.parametrize(
    ("part", "value"),
    [("model", {"quantization": "4bit"}), ("optimiser", {"mixed_precision": "fp16"})],
)
def test_what_cannot_be_shared_out_is_told_before(part, value):
    with pytest.raises(ConfigError, match=r"run\.shard"):
        parse({"output": "out", part: value, "run": {"shard": True}})


def test_a_quantised_model_is_not_trained_as_a_whole():
    with pytest.raises(ConfigError, match=r"model\.lora: null"):
        parse({"output": "out", "model": {"quantization": "4bit", "lora": None}})
