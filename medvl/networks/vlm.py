"""The vision-language model: 3-D encoder, projector, language model. Reads Med3DVLM's public checkpoints and our own.

Both have one layout: ``model.vision_tower.vision_tower.*`` the encoder, ``model.mm_projector.*`` the projector,
all other names the language model. It states what the network reads in the image, not what was measured.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import ModelHubMixin, save_torch_state_dict
from torch import Tensor, nn

from ..ct.volume import CTVolume
from ..errors import WeightsError
from ..weights import hub
from ..weights.language_weights import empty_model, read_language_model
from ..weights.placement import DeviceMap, Place, plan
from ..weights.quantization import Precision
from ..weights.tensor_files import check_keys, checkpoint_files, names, put, tensors
from .language_model import IMAGE_TOKEN, Conversation, LanguageModel, Prompt, Token, read_tokenizer
from .preprocess import encoder_input
from .projector import MixerProjector
from .vision_encoder import DCFormer
from .vlm_config import VLMConfig

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "vision_tower.bin"]
TOWER = "model.vision_tower.vision_tower."
PROJECTOR = "model.mm_projector."
REPORT_REQUEST = "Describe the findings of the medical image you see."  # as in M3D-Cap's caption prompts
RENAMED = (".gamma", ".scale")  # the encoder was published with both names for its layer scale


@dataclass(frozen=True, eq=False)
class Seen:
    """One CT as the encoder sees it.

    Attributes:
        tokens: visual tokens ``[T, C]`` for the language model.
        maps: of the stages asked for, each ``[C, D', H', W']`` float32, in the order of the encoder's input.
        low: first voxel ``(i, j, k)`` of the part of the CT that the encoder was shown.
        high: one past its last voxel.
    """

    tokens: Tensor
    maps: tuple[Tensor, ...]
    low: tuple[int, int, int]
    high: tuple[int, int, int]

    @property
    def nbytes(self) -> int:
        """Memory of tokens and maps."""
        return sum(t.nbytes for t in (self.tokens, *self.maps))


class VisionLanguageModel(ModelHubMixin, library_name="medvl", tags=["medical", "ct"]):
    """Weights in memory; shared by all cases."""

    def __init__(self, config: VLMConfig, encoder: DCFormer, projector: MixerProjector, lm: LanguageModel) -> None:
        self.config = config
        self.encoder = encoder.eval()
        self.projector = projector.eval()
        self.lm = lm
        self.image_id = lm.tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        if self.image_id is None or self.image_id == lm.tokenizer.unk_token_id:
            raise WeightsError(f"The tokenizer has no {IMAGE_TOKEN} token. Use the tokenizer saved with the model.")

    # ---- files

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        **options: object,
    ) -> VisionLanguageModel:
        folder = hub.fetch(model_id, FILES, **hub.download_options(options))
        of_loading = ("device", "quantization", "device_map", "max_memory")
        return cls.load(folder, **{name: options[name] for name in of_loading if name in options})

    @classmethod
    def load(
        cls,
        folder: Path,
        device: str | torch.device = "cpu",
        quantization: str = "auto",
        device_map: str | DeviceMap = "auto",
        max_memory: Mapping[Place, int] | None = None,
    ) -> VisionLanguageModel:
        """Read a folder, each tensor straight to its place.

        Args:
            folder: ``config.json``, tokenizer, safetensors; a ``vision_tower.bin`` (published beside the merged
                checkpoint and loaded over it by the published demo) takes the place of the encoder's tensors.
            device: of all parts; ``"cuda"`` may mean several GPUs for the language model.
            quantization: of the language model.
            device_map: of the language model, see ``placement.plan``.
            max_memory: see there.

        Raises:
            WeightsError: files are missing, or names are missing or unexpected.
        """
        config = VLMConfig.load(folder)
        language = empty_model(config.text_config())
        placement = plan(language, quantization, torch.device(device), device_map, max_memory)
        precision, device = placement.precision, placement.main
        with torch.device("meta"):
            parts = {TOWER: DCFormer(config.encoder), PROJECTOR: MixerProjector(config.projector)}
        files, what = checkpoint_files(folder), f"the vision-language model {folder.name!r}"
        expected = {prefix + n for prefix, part in parts.items() for n in part.state_dict()}
        tied = {"lm_head.weight"} if language.config.tie_word_embeddings else set()
        check_keys(expected | set(language.state_dict()), {_renamed(n) for n in names(files)}, what, tied)
        language = read_language_model(folder, language, placement, what, lambda name: _renamed(name) in expected)
        # The encoder and the projector are small: in the precision of the arithmetic, on the first device.
        for name, value in tensors(files, tuple(parts)):
            name = _renamed(name)
            prefix = next(p for p in parts if name.startswith(p))
            put(parts[prefix], name.removeprefix(prefix), value, device, precision.dtype)
        encoder, projector = parts.values()
        tower = folder / "vision_tower.bin"
        if tower.is_file():
            _load_tower(encoder, tower, device, precision)
        tokenizer = read_tokenizer(folder)
        for part in (encoder, projector):
            part.eval().requires_grad_(False)
        return cls(config, encoder, projector, LanguageModel(language, tokenizer, precision, placement))

    def _save_pretrained(self, save_directory: Path, max_shard_size: str = "4GB") -> None:
        if self.lm.precision.mode != "none":
            raise WeightsError("A quantised model is not saved: load it with quantization='none' first.")
        if any(t.is_meta for t in self.lm.model.parameters()):
            raise WeightsError("A model of which parts are offloaded is not saved: load it with device_map='single'.")
        folder = Path(save_directory)
        self.config.save(folder)
        save_torch_state_dict(self.state_dict(), folder, max_shard_size=max_shard_size)
        self.lm.model.generation_config.save_pretrained(folder)
        self.lm.tokenizer.save_pretrained(folder)

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors under their published names; a tied head is left out."""
        state = {TOWER + n: t for n, t in self.encoder.state_dict().items()}
        state |= {PROJECTOR + n: t for n, t in self.projector.state_dict().items()}
        state |= self.lm.model.state_dict()
        if self.lm.model.config.tie_word_embeddings:
            state.pop("lm_head.weight", None)
        return state

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The three networks by name."""
        return {"encoder": self.encoder, "projector": self.projector, "language_model": self.lm.model}

    # ---- image

    @torch.inference_mode()
    def look(self, ct: CTVolume, window: str = "soft", stages: slice | None = None) -> Seen:
        """What the encoder makes of a CT: computed once a case.

        Args:
            ct: any CT.
            window: it is shown in.
            stages: of the encoder whose maps are kept (``SegTokenConfig.stages``); None keeps none.
        """
        given = encoder_input(ct, self.config.input_size, window)
        maps = self.maps(given.image)
        kept = maps[stages] if stages else []
        return Seen(self._project(maps), tuple(m[0].float() for m in kept), given.low, given.high)

    def see(self, ct: CTVolume, window: str = "soft") -> Tensor:
        """Visual tokens of a CT, ``[T, C]``."""
        return self.look(ct, window).tokens

    def maps(self, image: Tensor) -> list[Tensor]:
        """The encoder's five maps of an encoder input ``[1, 1, D, H, W]``, finest first."""
        weight = next(self.projector.parameters())
        return self.encoder.maps(image.to(weight.device, weight.dtype))

    def image_tokens(self, image: Tensor) -> Tensor:
        """Visual tokens ``[T, C]`` of an encoder input ``[1, 1, D, H, W]``."""
        return self._project(self.maps(image))

    def _project(self, maps: list[Tensor]) -> Tensor:
        return self.projector([m.flatten(2).transpose(1, 2) for m in maps])[0]

    # ---- prompts

    def splice(self, ids: list[int], image: Tensor) -> Prompt:
        """Put the visual tokens where the placeholders are.

        Args:
            ids: with one run of placeholders as long as the image.
            image: ``[T, C]``.

        Raises:
            WeightsError: the number of placeholders is not that of the visual tokens.
        """
        count = ids.count(self.image_id)
        first = ids.index(self.image_id) if count else -1
        if count != len(image) or ids[first : first + count] != [self.image_id] * count:
            raise WeightsError(f"The prompt has {count} image placeholders and the image {len(image)} tokens.")
        words = self.lm.embed(ids)
        image = image.to(words.dtype)
        if self.config.splice == "in_place":
            return Prompt(ids, torch.cat([words[:first], image, words[first + count :]]))
        # One position later than the placeholders: the first keeps its embedding, the first text token is lost. The
        # lost token must not count when prompts are compared, so its id is that of a placeholder.
        start = first + 1
        ids = ids[:start] + [self.image_id] * min(count, len(ids) - start) + ids[start + count :]
        return Prompt(ids, torch.cat([words[:start], image, words[start + count :]])[: len(ids)])

    def prompt(
        self, image: Tensor, question: str, history: list[tuple[str, str]] = (), report: bool | None = None
    ) -> Prompt:
        """The model's prompt for a question.

        Args:
            image: visual tokens ``[T, C]``.
            question: what is asked.
            history: earlier (question, answer) pairs. A model with plain prompts was trained on single turns and does
                not see them.
            report: whether a report is asked for, before which Med3DVLM's training put no space, as it did before
                questions; None: only ``REPORT_REQUEST`` asks for one.
        """
        holders = IMAGE_TOKEN * len(image)
        question = self._without_controls(question)
        if self.config.prompt == "plain":
            report = question == REPORT_REQUEST if report is None else report
            return self.splice(self.lm.encode(f"{holders}{'' if report else ' '}{question.lstrip()}"), image)
        turns: list[tuple[str, str]] = []
        for asked, answered in history:
            # A model may say the placeholder's token itself; a second run of them would stand for no image.
            turns += [("user", self._without_controls(asked)), ("assistant", answered.replace(IMAGE_TOKEN, ""))]
        turns.append(("user", question))
        turns[0] = ("user", holders + "\n" + turns[0][1])
        return self.splice(self.lm.chat(turns), image)

    def _without_controls(self, text: str) -> str:
        """A person's words without control tokens, which would end the turn or stand for an image."""
        for token in (IMAGE_TOKEN, *self.lm.tokenizer.all_special_tokens):
            text = text.replace(token, "")
        return text

    def conversation(self, image: Tensor) -> ImageConversation:
        """Start talking about an image."""
        return ImageConversation(self, image)


class ImageConversation:
    """One image, its questions and answers, and the cache behind them."""

    def __init__(self, vlm: VisionLanguageModel, image: Tensor) -> None:
        self.vlm = vlm
        self.image = image
        self.history: list[tuple[str, str]] = []
        self.cache = Conversation(vlm.lm)

    @property
    def nbytes(self) -> int:
        """Memory of the visual tokens and the cache."""
        return self.image.nbytes + self.cache.nbytes

    def clear(self) -> None:
        """Forget what was said; what the cache holds of the image stays."""
        self.history.clear()

    def ask(
        self,
        question: str,
        max_new_tokens: int = 512,
        cancel: threading.Event | None = None,
        fresh: bool = False,
        report: bool | None = None,
    ) -> Iterator[Token]:
        """Stream the answer; what was said of it, even if it was stopped, is remembered for the next question.

        Args:
            question: what is asked.
            max_new_tokens: the answer ends there at the latest.
            cancel: set it to stop before the next token.
            fresh: answer as if nothing had been said before, so that the answer depends on the image alone.
            report: see ``VisionLanguageModel.prompt``.
        """
        prompt = self.vlm.prompt(self.image, question, [] if fresh else self.history, report)
        said = ""
        try:
            for token in self.cache.stream(prompt, max_new_tokens, cancel):
                said += token.text
                yield token
        finally:
            if said:
                self.history.append((question, said))


def _renamed(name: str) -> str:
    return name.removesuffix(RENAMED[0]) + RENAMED[1] if name.endswith(RENAMED[0]) else name


def _load_tower(encoder: DCFormer, file: Path, device: torch.device, precision: Precision) -> None:
    """The encoder's tensors from ``vision_tower.bin``."""
    state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    state = {_renamed(n).removeprefix("vision_tower."): t for n, t in state.items()}
    check_keys(set(encoder.state_dict()), set(state), "the vision encoder in vision_tower.bin")
    for name, value in state.items():
        put(encoder, name, value, device, precision.dtype)
