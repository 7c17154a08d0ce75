"""Configuration of a training stage: a tree of dataclasses, read from YAML or JSON.

Every stage reads the same tree and takes what it needs of it. A key that does not exist is an error that names it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import field
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ..errors import ConfigError

STAGES = ("align-encoder", "align-projector", "instruct", "joint")
_STRICT = ConfigDict(extra="forbid")


@dataclass(config=_STRICT)
class LoraSettings:
    """LoRA on all linear layers of the language model (arXiv 2106.09685); the defaults are Med3DVLM's.

    Attributes:
        rank: of the update.
        alpha: the update is scaled by ``alpha / rank``.
        dropout: before the update.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05


@dataclass(config=_STRICT)
class SegSettings:
    """The [SEG] head, where the start has none.

    Attributes:
        maps: how many of the encoder's last maps it reads; 3 puts the coarse grid at 1/16 of the image, 4 at 1/8.
        voxel_dim: of the voxel embeddings.
    """

    maps: int = 4
    voxel_dim: int = 64


@dataclass(config=_STRICT)
class ModelSettings:
    """What training starts from.

    Attributes:
        start: ``"nano"``, ``"7b"`` or a folder that an earlier stage wrote: whatever ``medvl.load`` takes.
        language_model: folder or hub id of a causal language model; used if the start has no vision-language model.
        encoder: size of a new encoder.
        encoder_scale: of the residual branches of a new encoder's blocks. The published 1e-6 suits long runs; with 0.1
            a short one need not first find out that the branches are there.
        encoder_weights: ``encoder.safetensors`` of ``align-encoder``, read over the encoder's weights.
        input_size: ``(D, H, W)`` of the image of a new vision-language model, multiples of 4.
        low_tokens: visual tokens after each layer of a new projector's low stream.
        high_tokens: the same of its high stream.
        prompt: of a new vision-language model, see ``vlm_config.VLMConfig``.
        quantization: of the language model while it is trained around: ``"none"``, ``"8bit"`` or ``"4bit"`` (QLoRA,
            arXiv 2305.14314; what is saved is merged into the unquantised weights).
        train_encoder: train the encoder too in ``instruct`` and ``joint`` (its batch statistics stay).
        sam2_size: pixels in which SAM 2 sees a slice in ``joint``, and in the model that is written; ``"auto"``: as the
            start does, on a CPU 512 at most.
        lora: of ``instruct`` and ``joint``; None: all weights of the language model are trained.
        seg: of ``joint``.
    """

    start: str = "nano"
    language_model: str | None = None
    encoder: Literal["nano", "naive", "tiny", "small", "base", "large"] = "small"
    encoder_scale: float = Field(default=1e-6, gt=0)
    encoder_weights: Path | None = None
    input_size: tuple[int, int, int] = (128, 256, 256)
    low_tokens: tuple[int, ...] = (192, 128)
    high_tokens: tuple[int, ...] = (64, 128)
    prompt: Literal["chat", "plain"] = "chat"
    quantization: Literal["none", "8bit", "4bit"] = "none"
    train_encoder: bool = False
    sam2_size: Literal["auto", 256, 512, 1024] = "auto"
    lora: LoraSettings | None = field(default_factory=LoraSettings)
    seg: SegSettings = field(default_factory=SegSettings)


@dataclass(config=_STRICT)
class TextSettings:
    """The text side of ``align-encoder``.

    Attributes:
        model: folder or hub id of a text encoder; None: the mean last state of the language model, which stays frozen.
        pooling: ``"mean"`` of the states or the first one (``"cls"``).
        trained: train the text encoder too (not the language model).
        dim: of the common space.
        max_tokens: longer texts are cut.
    """

    model: str | None = None
    pooling: Literal["mean", "cls"] = "mean"
    trained: bool = True
    dim: int = 768
    max_tokens: int = 256


@dataclass(config=_STRICT)
class DatasetSettings:
    """One dataset, see ``training.readers.open_dataset``.

    Attributes:
        kind: name of its reader.
        root: its folder or file.
        split: of the dataset.
        ids: only these samples; empty: all.
        limit: at most so many samples; None: all.
        repeat: how many times an epoch goes through it.
        weight: how often a pass is drawn from it, beside those of the others; either all have one or none. Each pass
            is then of one dataset and so of one kind of task; without weights all samples are shuffled together.
        prepared: folder that ``python -m medvl.training prepare`` made of this split; its images are taken.
    """

    kind: str
    root: Path
    split: str = "train"
    ids: tuple[str, ...] = ()
    limit: int | None = None
    repeat: int = 1
    weight: float | None = Field(default=None, gt=0)
    prepared: Path | None = None


@dataclass(config=_STRICT)
class DataSettings:
    """What is trained on.

    Attributes:
        train: datasets, put together.
        validation: held-out datasets; empty: no evaluation.
        augment: random changes of image and masks in training.
        turns: at most so many questions of a sample in one conversation.
        absent_share: of samples that have both: how often the question is about something that is not there.
        max_tokens: longer conversations are cut at the end.
        workers: processes that read samples.
        cache: keep read samples with all their masks in memory, so that only words are drawn anew in each epoch; for
            few samples, and not together with ``augment``.
    """

    train: list[DatasetSettings] = field(default_factory=list)
    validation: list[DatasetSettings] = field(default_factory=list)
    augment: bool = True
    turns: int = 1
    absent_share: float = 0.2
    max_tokens: int = 1024
    workers: int = 4
    cache: bool = False


@dataclass(config=_STRICT)
class LossSettings:
    """Of ``joint``: weights of the parts and the form of the mask losses.

    Attributes:
        mask: of SAM 2's masks, with soft Dice: ``"focal"`` (arXiv 1708.02002) or ``"bce"``; the coarse mask's is focal.
        text: weight of the language model's cross-entropy; 0 together with ``names``: no words are read, and only the
            encoder and how the [SEG] head embeds voxels are trained.
        coarse: weight of the coarse 3-D mask.
        names: weight of the same loss for every labelled structure of a scan, each with a query of its own instead of a
            state of the language model, and of how far the query of a [SEG] state is from that of its structure's
            name; 0: none. These queries are for training only.
        slice: weight of SAM 2's mask on the key slice; 0 leaves SAM 2 out.
        memory: weight of SAM 2's mask on the slice beside the key slice, from its memory of the reference there; 0: its
            memory is not trained. It needs ``slices`` of 2 or more and a SAM 2 that has a memory.
        dense_prompt: give SAM 2 the coarse mask as a dense prompt too, as at inference.
        max_targets: at most so many structures of a sample go through SAM 2, for time.
        slices: key slices of each of them, at the resolution of the scan and as SAM 2 sees them at inference; 0: one,
            as the 3-D encoder sees it.
        train_mask_decoder: train SAM 2's mask decoder too. It then answers clicks differently as well.
    """

    mask: Literal["focal", "bce"] = "focal"
    text: float = 1.0
    coarse: float = 1.0
    names: float = Field(default=0.0, ge=0)
    slice: float = 1.0
    memory: float = Field(default=0.0, ge=0)
    dense_prompt: bool = True
    max_targets: int = 4
    slices: int = Field(default=0, ge=0)
    train_mask_decoder: bool = False


@dataclass(config=_STRICT)
class OptimiserSettings:
    """AdamW and its schedule.

    Attributes:
        steps: optimiser steps.
        batch_size: samples a process and pass.
        accumulate: passes a step. The negatives of ``align-encoder`` are those of one pass.
        lr: peak learning rate.
        weight_decay: of matrices; not of biases, norms and scales.
        warmup: share of the steps in which the rate grows from 0.
        schedule: after that.
        clip: largest norm of the gradient.
        mixed_precision: of the arithmetic.
        gradient_checkpointing: compute activations again in the backward pass instead of keeping them.
    """

    steps: int = 1000
    batch_size: int = 4
    accumulate: int = 1
    lr: float = 1e-4
    weight_decay: float = 0.0
    warmup: float = 0.03
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    clip: float = 1.0
    mixed_precision: Literal["no", "bf16", "fp16"] = "bf16"
    gradient_checkpointing: bool = True


@dataclass(config=_STRICT)
class RunSettings:
    """Where results go and how often.

    Attributes:
        log_every: steps.
        evaluate_every: steps; 0: only at the end.
        evaluate_samples: at most so many held-out samples.
        save_every: steps between checkpoints; 0: none.
        keep: newest checkpoints that stay.
        resume: go on from the newest checkpoint in the output folder, if there is one.
        seed: of everything random.
        device: ``"auto"`` or ``"cpu"``.
        shard: share weights, gradients and optimiser state out between the processes (FSDP), for models that one
            device cannot train. A checkpoint can be gone on from without it, and the other way.
    """

    log_every: int = 10
    evaluate_every: int = 500
    evaluate_samples: int = 64
    save_every: int = 500
    keep: int = 2
    resume: bool = True
    seed: int = 0
    device: Literal["auto", "cpu"] = "auto"
    shard: bool = False


@dataclass(config=_STRICT)
class TrainingConfig:
    """One stage.

    Attributes:
        output: folder of checkpoints, TensorBoard events and, under ``model``, the finished model.
    """

    output: Path
    model: ModelSettings = field(default_factory=ModelSettings)
    text: TextSettings = field(default_factory=TextSettings)
    data: DataSettings = field(default_factory=DataSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        weights = [each.weight for each in self.data.train]
        if any(weights) and not all(weights):
            raise ConfigError("Give all datasets of data.train a weight, or none.")
        if self.data.cache and self.data.augment:
            raise ConfigError("data.cache keeps samples as they were first read: set data.augment to false with it.")
        if self.loss.memory and self.loss.slices < 2:
            raise ConfigError("loss.memory needs neighbouring slices: set loss.slices to 2 or more.")
        if self.model.quantization != "none" and (self.run.shard or self.model.lora is None):
            raise ConfigError(
                "A quantised language model is neither trained as a whole (model.lora: null) nor shared out between "
                "processes (run.shard): set model.quantization to none, or train LoRA without run.shard."
            )
        if self.run.shard and self.optimiser.mixed_precision == "fp16":
            raise ConfigError(
                "run.shard takes optimiser.mixed_precision bf16 or no: fp16 was not made to work with it."
            )


def parse(raw: dict) -> TrainingConfig:
    """A configuration from plain values.

    Raises:
        ConfigError: keys are unknown or missing, or values are of the wrong kind; all are named.
    """
    try:
        return TypeAdapter(TrainingConfig).validate_python(raw)
    except ValidationError as error:
        raise ConfigError("The configuration does not fit: " + "; ".join(map(_said, error.errors())) + ".") from None


def _said(error: dict) -> str:
    place = ".".join(map(str, error["loc"])) or "the file"
    if error["type"] == "unexpected_keyword_argument":
        return f"unknown key {place}"
    return f"{place}: {error['msg'][:1].lower()}{error['msg'][1:]}"


def read_config(file: Path) -> TrainingConfig:
    """Read a YAML or JSON file.

    Raises:
        ConfigError: it is missing, is neither, or does not fit.
    """
    try:
        text = Path(file).read_text()
    except OSError:
        raise ConfigError(f"There is no configuration file {Path(file).name!r}.") from None
    if Path(file).suffix == ".json":
        try:
            return parse(json.loads(text))
        except json.JSONDecodeError as error:
            raise ConfigError(f"{Path(file).name} is not JSON: {error}.") from None
    import yaml

    try:
        return parse(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"{Path(file).name} is not YAML: {error}.") from None


def as_dict(config: TrainingConfig) -> dict:
    """Plain values that ``parse`` reads back."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))
