"""The stages as networks: what is trained, what a batch is, and the loss. ``joint`` is in ``joint.py``.

A stage's ``forward`` takes a list of items (see ``feed.Feed``) and gives the parts of the loss by name, their weighted
sum as ``"loss"``. What it does not train is in evaluation mode and frozen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ...model import MedVLSAM2
from ...networks.vlm import VisionLanguageModel
from ..arithmetic import Float32Convolutions
from ..config import TrainingConfig
from ..datasets.samples import Turn
from . import build, feed
from .losses import IGNORED, next_token, siglip
from .sharding import part_like


class Stage(nn.Module, ABC):
    """What the stages share.

    Attributes:
        model: everything, as it will be saved.
        size: ``(D, H, W)`` of the images.
        draw: what is said about an item of the training set, see ``feed``.
        kept: modules that stay in evaluation mode.
    """

    model: MedVLSAM2
    size: tuple[int, int, int]
    draw: Callable
    kept: tuple[nn.Module, ...] = ()

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        super().__init__()
        self.config = config
        self.device = device

    def train(self, mode: bool = True) -> Stage:
        """As ``nn.Module.train``; batch norms and dropout of what is not trained stay off."""
        super().train(mode)
        for module in self.kept:
            module.eval()
        return self

    def images(self, items: list[feed.Item]) -> Tensor:
        """``[B, 1, D, H, W]``."""
        return torch.stack([item["image"] for item in items]).to(self.device).float()

    def trained_state(self) -> dict[str, Tensor]:
        """Tensors that training changes, by name."""
        names = {n for n, p in self.named_parameters() if p.requires_grad}
        names |= {
            f"{path}.{n}"
            for path, m in self.named_modules()
            if isinstance(m, nn.BatchNorm3d) and m.training
            for n, _ in m.named_buffers()
        }
        return {n: t.detach() for n, t in self.state_dict().items() if n in names}

    def load_trained(self, state: dict[str, Tensor]) -> None:
        """Put back what ``trained_state`` gave."""
        own = self.state_dict()
        with torch.no_grad():
            for name, value in state.items():
                own[name].copy_(part_like(value, own[name]))

    def place(self, device: torch.device) -> None:
        """Compute on a device; weights of modules are moved by who shares them out."""
        self.device = device

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the finished model, which ``medvl.load`` reads."""


def trainable(module: nn.Module) -> nn.Module:
    """Unfreeze a module; its weights are kept in float32, whatever the arithmetic is."""
    return module.float().requires_grad_(True)


class AlignEncoder(Stage):
    """``align-encoder``: encoder and text encoder pull pairs of image and text together (SigLIP)."""

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        super().__init__(config, device)
        self.model = build.start(config.model, device)
        if config.text.model is None:
            build.need_vlm(self.model)
        vlm = self.model.vlm
        self.encoder = trainable(vlm.encoder if vlm else build.new_encoder(config.model).to(device))
        self.encoder.encoder.gradient_checkpointing = config.optimiser.gradient_checkpointing
        if device.type == "cpu":
            self.encoder.encoder.recomputed_in = Float32Convolutions
        self.size = vlm.config.input_size if vlm else config.model.input_size
        self.draw = feed.caption
        if config.text.model is None:
            self.tokenizer, self.text = vlm.lm.tokenizer, vlm.lm.model
            self.kept, width = (self.text,), self.text.get_input_embeddings().weight.shape[1]
        else:
            from transformers import AutoModel, AutoTokenizer

            self.tokenizer = AutoTokenizer.from_pretrained(config.text.model)
            self.text = AutoModel.from_pretrained(config.text.model).requires_grad_(config.text.trained).to(device)
            for name, parameter in self.text.named_parameters():
                if "pooler" in name:  # behind the states that are used
                    parameter.requires_grad_(False)
            self.kept, width = () if config.text.trained else (self.text,), self.text.config.hidden_size
        self.image_head = nn.Linear(self.encoder.channels[-1], config.text.dim, device=device)
        self.text_head = nn.Linear(width, config.text.dim, device=device)
        # initial values of the paper: inverse temperature 10, bias -10
        self.log_scale = nn.Parameter(torch.tensor(10.0, device=device).log())
        self.bias = nn.Parameter(torch.tensor(-10.0, device=device))

    def text_states(self, texts: list[str]) -> Tensor:
        """Pooled states ``[B, C]``."""
        settings, tokenizer = self.config.text, self.tokenizer
        ids = [tokenizer(t, truncation=True, max_length=settings.max_tokens)["input_ids"] for t in texts]
        ids = [torch.tensor(i, device=self.device) for i in ids]
        mask = pad_sequence([torch.ones_like(i) for i in ids], batch_first=True)
        ids = pad_sequence(ids, batch_first=True)
        if settings.model is None:
            with torch.no_grad():
                out = self.text(input_ids=ids, attention_mask=mask, output_hidden_states=True, logits_to_keep=1)
            states = out.hidden_states[-1]
        else:
            states = self.text(input_ids=ids, attention_mask=mask).last_hidden_state
            if settings.pooling == "cls":
                return states[:, 0].float()
        weights = mask[..., None].float()
        return (states.float() * weights).sum(1) / weights.sum(1)

    def forward(self, items: list[feed.Item]) -> dict[str, Tensor]:
        """SigLIP loss, and how often an image finds its own text among those of the batch."""
        image = self.image_head(self.encoder.maps(self.images(items))[-1].mean((2, 3, 4)))
        text = self.text_head(self.text_states([item["turns"][0].answer for item in items]))
        image, text = image.float(), text.float()
        with torch.no_grad():
            nearest = (nn.functional.normalize(image, dim=-1) @ nn.functional.normalize(text, dim=-1).T).argmax(1)
            found = (nearest == torch.arange(len(items), device=self.device)).float().mean()
        return {"loss": siglip(image, text, self.log_scale, self.bias), "retrieved": found}

    def export(self, folder: Path) -> None:
        """The start's folder with the new encoder, and the encoder and the text side in files of their own."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {n: t.cpu().contiguous() for n, t in self.encoder.state_dict().items()}
        save_file(state, folder / build.ENCODER_FILE)
        text = {n: t.cpu().contiguous() for n, t in self.trained_state().items() if not n.startswith("encoder.")}
        save_file(text, folder / "text_alignment.safetensors")
        build.save(self.model, folder)


@dataclass(frozen=True, eq=False)
class Reading:
    """A conversation as the language model reads it.

    Attributes:
        ids: ``[T]``, placeholders where the image is.
        embeds: ``[T, C]``.
        labels: ``[T]``, the tokens of the answers, ``IGNORED`` elsewhere.
        targets: structures of the learned answers, one a [SEG], in order; the last may have been cut away.
    """

    ids: Tensor
    embeds: Tensor
    labels: Tensor
    targets: tuple[str, ...]


def read(vlm: VisionLanguageModel, image: Tensor, turns: list[Turn], max_tokens: int) -> Reading:
    """Lay out a conversation with the prompts of inference; the answers are what is learned, each with its end.

    Args:
        vlm: its prompts; a model with plain prompts has single turns, of which the last counts.
        image: visual tokens ``[T, C]``.
        turns: questions and answers.
        max_tokens: the rest is cut.
    """
    lm, history, seen, labels, targets = vlm.lm, [], [], [], []
    for turn in turns:
        prompt = vlm.prompt(image, turn.question, history, turn.kind in ("report", "caption"))
        if prompt.ids[: len(seen)] != seen:  # a template that writes earlier turns differently: learn the last only
            labels, targets = [], []
        answer = [*lm.encode(turn.answer), lm.tokenizer.eos_token_id]
        labels = labels + [IGNORED] * (len(prompt.ids) - len(labels)) + answer
        seen = prompt.ids + answer
        targets += turn.targets
        history.append((turn.question, turn.answer))
    embeds = torch.cat([prompt.embeds, lm.embed(answer).to(prompt.embeds.dtype)])
    ids, labels = (torch.tensor(v[:max_tokens], device=image.device) for v in (seen, labels))
    return Reading(ids, embeds[:max_tokens], labels, tuple(targets))


class AlignProjector(Stage):
    """``align-projector``: the projector learns to speak to a frozen language model, on captions."""

    train_encoder = False
    want_states = False

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        super().__init__(config, device)
        self.model = build.start(config.model, device)
        self.vlm = build.need_vlm(self.model)
        self.size = self.vlm.config.input_size
        self.encoder, self.projector = self.vlm.encoder, trainable(self.vlm.projector)
        # Its batch statistics stay those of align-encoder: the batches of these stages are too small for new ones.
        self.kept = (self.encoder,)
        if self.train_encoder:
            trainable(self.encoder)
            self.encoder.encoder.gradient_checkpointing = config.optimiser.gradient_checkpointing
            if device.type == "cpu":
                self.encoder.encoder.recomputed_in = Float32Convolutions
        self.draw = self.drawing()
        self.lm = self.language_model()
        if config.optimiser.gradient_checkpointing:
            self.vlm.lm.model.gradient_checkpointing_enable({"use_reentrant": False})

    def drawing(self) -> Callable:
        """What is drawn of a sample."""
        return feed.caption

    def language_model(self) -> nn.Module:
        """The language model with what is trained on it."""
        return self.vlm.lm.model

    def maps(self, items: list[feed.Item]) -> list[Tensor]:
        """The encoder's maps."""
        images = self.images(items).to(next(self.encoder.parameters()).dtype)
        with nullcontext() if self.train_encoder else torch.no_grad():
            return self.encoder.maps(images)

    def speak(self, items: list[feed.Item], maps: list[Tensor]) -> tuple[Tensor, list[Reading], Tensor | None]:
        """Read the conversations.

        Returns:
            Cross-entropy of the answers, the conversations, and, if ``want_states``, the last hidden states
            ``[B, T, C]``.
        """
        tokens = self.projector([m.flatten(2).transpose(1, 2).float() for m in maps[-2:]])
        readings = [
            read(self.vlm, image, item["turns"], self.config.data.max_tokens)
            for image, item in zip(tokens, items, strict=True)
        ]
        embeds = pad_sequence([r.embeds for r in readings], batch_first=True)
        labels = pad_sequence([r.labels for r in readings], batch_first=True, padding_value=IGNORED)
        mask = pad_sequence([torch.ones_like(r.ids) for r in readings], batch_first=True)
        # The logits before the first answer are not needed, and with a large vocabulary they are most of the memory.
        learned = (labels != IGNORED).any(0).nonzero()
        last = labels.shape[1] - int(learned[0]) + 1 if len(learned) else 1
        out = self.lm(
            inputs_embeds=embeds,
            attention_mask=mask,
            logits_to_keep=last,
            use_cache=False,
            output_hidden_states=self.want_states,
        )
        if not len(learned):  # an answer that was cut away whole
            return out.logits.sum() * 0.0, readings, out.hidden_states[-1] if self.want_states else None
        loss = next_token(out.logits, labels[:, -last:])
        return loss, readings, out.hidden_states[-1] if self.want_states else None

    def forward(self, items: list[feed.Item]) -> dict[str, Tensor]:
        """Cross-entropy of the answers."""
        loss, _, _ = self.speak(items, self.maps(items))
        return {"loss": loss}

    def finish(self) -> None:
        """Take off what only training needs."""

    def export(self, folder: Path) -> None:
        """Write the model; around a quantised language model it is put together anew with the unquantised one."""
        if self.vlm.lm.precision.mode != "none":
            config = replace(self.config, model=replace(self.config.model, quantization="none"))
            whole = type(self)(config, torch.device("cpu"))
            whole.load_trained(self.trained_state())
            whole.export(folder)
            return
        self.vlm.lm.model.gradient_checkpointing_disable()
        self.finish()
        build.save(self.model, folder)


class Instruct(AlignProjector):
    """``instruct``: projector and LoRA on the language model, or all of it, on answers."""

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        self.train_encoder = config.model.train_encoder
        super().__init__(config, device)

    def drawing(self) -> Callable:
        """Questions that segment nothing."""
        return partial(feed.answers, count=self.turns)

    @property
    def turns(self) -> int:
        """Questions in one conversation; a model with plain prompts was made for one."""
        return self.config.data.turns if self.vlm.config.prompt == "chat" else 1

    def language_model(self) -> nn.Module:
        """With LoRA, or all of it."""
        return build.tuned(self.vlm.lm, self.config.model)

    def finish(self) -> None:
        """Merge LoRA."""
        build.merge(self.vlm, self.lm)
