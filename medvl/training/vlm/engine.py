"""The loop: processes and precision (accelerate), exact resume, evaluation, TensorBoard, progress."""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...errors import TrainingError
from ..arithmetic import Float32Convolutions
from ..config import TrainingConfig, as_dict
from ..datasets.samples import Sample
from . import feed, sharding
from .joint import Joint
from .stages import AlignEncoder, AlignProjector, Instruct, Stage

logger = logging.getLogger(__name__)
KINDS: dict[str, type[Stage]] = {
    "align-encoder": AlignEncoder,
    "align-projector": AlignProjector,
    "instruct": Instruct,
    "joint": Joint,
}
TRAINED = "trained.safetensors"
HISTORY = "history.jsonl"


def train(
    name: str, config: TrainingConfig, stop_after: int | None = None, samples: Sequence[Sample] | None = None
) -> list[dict[str, float]]:
    """Run a stage and write its model to ``config.output / "model"``.

    Args:
        name: of the stage.
        config: of the stage.
        stop_after: leave off after this step as if interrupted, with a checkpoint and without a finished model.
        samples: instead of ``config.data.train``.

    Returns:
        What was logged, oldest first: ``step``, loss parts, ``lr``, ``samples_per_second``; evaluations have
        ``validation/...`` keys.

    Raises:
        MedVLError: the model, the data or a value do not fit.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import set_seed
    from tqdm import tqdm
    from transformers import get_scheduler

    settings, run = config.optimiser, config.run
    AcceleratorState._reset_state()  # an earlier stage in this process may have had another precision
    accelerator = Accelerator(
        cpu=run.device == "cpu",
        mixed_precision=settings.mixed_precision,
        gradient_accumulation_steps=settings.accumulate,
    )
    set_seed(run.seed)  # new weights must be the same in all processes
    shared = run.shard and accelerator.num_processes > 1
    stage = KINDS[name](config, torch.device("cpu") if shared else accelerator.device)
    if shared:
        stage.place(accelerator.device)
        sharding.shard(stage, accelerator.device, settings.mixed_precision)
    trained = [p for p in stage.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in trained if p.ndim == 1], "weight_decay": 0.0},
            {"params": [p for p in trained if p.ndim == 0], "weight_decay": 0.0},  # apart: these are not shared out
        ],
        lr=settings.lr,
    )
    # Not prepared by accelerate, which would step it once a process.
    scheduler = get_scheduler(settings.schedule, optimiser, math.ceil(settings.warmup * settings.steps), settings.steps)
    if shared:
        sharding.whole_states(optimiser)
        wrapped = accelerator.prepare_model(stage, device_placement=False, evaluation_mode=True)  # precision only
        optimiser = accelerator.prepare_optimizer(optimiser, device_placement=False)
    else:
        wrapped, optimiser = accelerator.prepare(stage, optimiser)
    accelerator.register_for_checkpointing(scheduler)
    _keep_only_trained(accelerator, stage)
    set_seed(run.seed, device_specific=True)  # dropout differs between processes

    output, first = config.output, 0
    newest = checkpoints(output)[-1:] if run.resume else []
    if newest:
        accelerator.load_state(str(newest[0]), map_location="cpu")
        first = int(newest[0].name.removeprefix("step-"))
    samples = feed.open_samples(config.data.train) if samples is None else samples
    order = feed.Order(
        len(samples),
        settings.batch_size,
        run.seed,
        accelerator.process_index,
        accelerator.num_processes,
        first * settings.accumulate,
        feed.mix_of(config.data.train, samples),
    )
    stage.train()
    books = _Books(output, accelerator, config, first)
    books.introduce(name, stage, len(samples))
    held_out = _held_out(config, stage, accelerator)
    last = min(settings.steps, stop_after or settings.steps)
    bar = tqdm(total=settings.steps, initial=first, desc=name, disable=not accelerator.is_local_main_process)
    batches = iter(feed.loader(feed.Feed(samples, config, stage.size, stage.draw, True), order, config.data.workers))
    careful = Float32Convolutions() if accelerator.device.type == "cpu" else nullcontext()
    for step in range(first + 1, last + 1):
        for _ in range(settings.accumulate):
            items = next(batches)
            with accelerator.accumulate(wrapped), careful:
                parts = wrapped(items)
                accelerator.backward(parts["loss"])
                if accelerator.sync_gradients:
                    (sharding.finish_gradients if shared else accelerator.clip_grad_norm_)(trained, settings.clip)
                optimiser.step()
                optimiser.zero_grad()
            books.add(parts, len(items))
        scheduler.step()
        bar.update()
        if step % run.log_every == 0 or step == last:
            entry = books.log(step, scheduler.get_last_lr()[0])
            bar.set_postfix(loss=f"{entry['loss']:.4g}")
        if held_out and (step == settings.steps or (run.evaluate_every and step % run.evaluate_every == 0)):
            if shared:
                sharding.same_buffers(stage)
            books.write(step, evaluate(accelerator, stage, held_out), "validation/")
        if step == stop_after or (run.save_every and step % run.save_every == 0 and step < settings.steps):
            save_checkpoint(accelerator, output, step, run.keep)
    bar.close()
    if last == settings.steps:
        accelerator.wait_for_everyone()
        state = _trained_state(stage) if shared else {}
        if accelerator.is_main_process:
            if shared:  # put together anew, on the CPU
                set_seed(run.seed)
                stage = KINDS[name](config, torch.device("cpu"))
                stage.load_trained(state)
            stage.eval()
            stage.export(output / "model")
            logger.info("model: %s", output / "model")
        accelerator.wait_for_everyone()
    books.close()
    accelerator.free_memory()
    return books.history


def evaluate(accelerator: object, stage: Stage, batches: Iterable[list[feed.Item]]) -> dict[str, float]:
    """Mean of the loss parts over held-out samples of all processes, in evaluation mode."""
    stage.eval()
    sums = _Sums()
    with torch.no_grad(), accelerator.autocast():
        for items in batches:
            sums.add(stage(items), len(items))
    stage.train()
    return sums.mean(accelerator)


def _held_out(config: TrainingConfig, stage: Stage, accelerator: object) -> Iterable | None:
    if not config.data.validation:
        return None
    samples = feed.open_samples(config.data.validation)
    keys = feed.held_out(
        len(samples),
        config.run.evaluate_samples,
        config.optimiser.batch_size,
        accelerator.process_index,
        accelerator.num_processes,
    )
    return feed.loader(feed.Feed(samples, config, stage.size, stage.draw, False), keys, config.data.workers)


# ---- checkpoints


def checkpoints(output: Path) -> list[Path]:
    """Complete checkpoints in a folder, oldest first."""
    return sorted(output.glob("checkpoints/step-*"))


def save_checkpoint(accelerator: object, output: Path, step: int, keep: int) -> None:
    """Weights that are trained, optimiser, schedule and random states of every process; the newest ``keep`` stay."""
    final = output / "checkpoints" / f"step-{step:08d}"
    part = final.with_name(f"part-{step:08d}")
    accelerator.save_state(str(part))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)  # a checkpoint that was not written to its end never looks like one
        for old in checkpoints(output)[:-keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def _keep_only_trained(accelerator: object, stage: Stage) -> None:
    """A checkpoint need not hold the frozen weights, which are most of a language model."""

    def save(models: list, weights: list, folder: str) -> None:
        weights.clear()
        state = _trained_state(stage)
        if accelerator.is_main_process:
            save_file(state, Path(folder) / TRAINED)

    def load(models: list, folder: str) -> None:
        models.clear()
        stage.load_trained(load_file(Path(folder) / TRAINED))

    accelerator.register_save_state_pre_hook(save)
    accelerator.register_load_state_pre_hook(load)


def _trained_state(stage: Stage) -> dict[str, Tensor]:
    """Whole tensors in main memory, where weights are shared out in the first process; called by all."""
    return {n: sharding.whole(t).clone().contiguous() for n, t in stage.trained_state().items()}


# ---- bookkeeping


class _Sums:
    """Means of loss parts, weighted by samples; a part that is not a number for want of data does not count."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}
        self.samples = 0

    def add(self, parts: dict[str, Tensor], count: int) -> None:
        for name, value in parts.items():
            value = value.detach().float()
            known = ~value.isnan() | torch.tensor(name == "loss", device=value.device)
            pair = torch.stack((torch.where(known, value, 0.0), known.float())) * count
            self.values[name] = self.values[name] + pair if name in self.values else pair
        self.samples += count

    def mean(self, accelerator: object) -> dict[str, float]:
        names = sorted(self.values)
        pairs = accelerator.reduce(torch.stack([self.values[n].to(accelerator.device) for n in names]), "sum").cpu()
        return {n: float(p[0] / p[1]) if p[1] else math.nan for n, p in zip(names, pairs, strict=True)}


class _Books:
    """Writes what happens to TensorBoard and ``history.jsonl`` (main process) and keeps it."""

    def __init__(self, output: Path, accelerator: object, config: TrainingConfig, first: int) -> None:
        self.accelerator, self.config, self.output = accelerator, config, output
        self.history: list[dict[str, float]] = []
        self.sums, self.since = _Sums(), time.monotonic()
        self.writer = None
        if accelerator.is_main_process:
            from torch.utils.tensorboard import SummaryWriter

            output.mkdir(parents=True, exist_ok=True)
            (output / "config.json").write_text(json.dumps(as_dict(config), indent=2) + "\n")
            file = output / HISTORY
            if file.exists():  # steps after the checkpoint are done again
                self.history = [e for e in map(json.loads, file.read_text().splitlines()) if e["step"] <= first]
            file.write_text("".join(json.dumps(e) + "\n" for e in self.history))
            self.writer = SummaryWriter(str(output), purge_step=first + 1)

    def introduce(self, name: str, stage: Stage, samples: int) -> None:
        weights = sum(p.numel() for p in stage.parameters() if p.requires_grad)
        whole = sum(p.numel() for p in stage.parameters())
        if self.accelerator.is_main_process:
            logger.info("%s: %d samples, %.3g of %.3g weights trained", name, samples, weights, whole)

    def add(self, parts: dict[str, Tensor], count: int) -> None:
        self.sums.add(parts, count)

    def log(self, step: int, lr: float) -> dict[str, float]:
        count = self.sums.samples * self.accelerator.num_processes
        entry = self.sums.mean(self.accelerator) | {
            "lr": lr,
            "samples_per_second": count / (time.monotonic() - self.since),
        }
        self.sums, self.since = _Sums(), time.monotonic()
        if not math.isfinite(entry["loss"]):
            raise TrainingError(
                f"The loss is {entry['loss']} at step {step}. Lower optimiser.lr, or use bf16 instead of fp16."
            )
        self.write(step, entry, "train/")
        return entry

    def write(self, step: int, entry: dict[str, float], prefix: str) -> None:
        names = {n if prefix == "train/" else prefix + n: v for n, v in entry.items()}
        self.history.append({"step": step, **names})
        if self.writer:
            for name, value in entry.items():
                self.writer.add_scalar(prefix + name, value, step)
            with (self.output / HISTORY).open("a") as file:
                file.write(json.dumps(self.history[-1]) + "\n")

    def close(self) -> None:
        if self.writer:
            self.writer.close()
