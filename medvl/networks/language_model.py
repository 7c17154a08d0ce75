"""Any Hugging Face causal language model: greedy streaming, a Stop within one token, a kept key-value cache."""

from __future__ import annotations

import inspect
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from huggingface_hub import save_torch_state_dict
from torch import Tensor, nn

from ..errors import WeightsError
from ..weights.language_weights import empty_model, read_language_model
from ..weights.placement import DeviceMap, Place, Placement, plan
from ..weights.quantization import Precision, stored_mode

if TYPE_CHECKING:
    from .grammar import Grammar

SEG_TOKEN = "[SEG]"
IMAGE_TOKEN = "<im_patch>"
PREFILL_CHUNK = 256  # tokens between two looks at the Stop while a prompt is read
# An answer that says the same words three times in a row goes on like that for ever: greedy decoding has no way out.
LOOP = (8, 96)  # least and most tokens of what is repeated


def read_tokenizer(folder: Path, **options: object) -> object:
    """The tokenizer of a model folder.

    An empty config is given so that transformers does not read the folder's own config.json, which in published
    checkpoints names code to run; that code is never run.
    """
    from transformers import AutoTokenizer, PretrainedConfig

    return AutoTokenizer.from_pretrained(
        folder, config=PretrainedConfig(), local_files_only=True, trust_remote_code=False, **options
    )


class LanguageModel:
    """A causal language model with its tokenizer; shared by all conversations."""

    def __init__(
        self, model: nn.Module, tokenizer: object, precision: Precision, placement: Placement | None = None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.precision = precision
        self.placement = placement
        self.lock = threading.Lock()  # one forward pass at a time: two would only share the same cores

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        device: torch.device | str = "cpu",
        quantization: str = "auto",
        gguf_file: str | None = None,
        device_map: str | DeviceMap = "auto",
        max_memory: Mapping[Place, int] | None = None,
    ) -> LanguageModel:
        """Read a model folder in the Hugging Face layout.

        Args:
            folder: with ``config.json``, a tokenizer and safetensors, or with a GGUF file.
            device: where it goes.
            quantization: ``"4bit"``, ``"8bit"``, ``"none"`` or ``"auto"``.
            gguf_file: in the folder, read instead of safetensors (slow: convert once); it goes to one device.
            device_map: see ``placement.plan``.
            max_memory: see there.

        Raises:
            WeightsError: files are missing or do not fit.
        """
        from transformers import AutoConfig

        folder, device = Path(folder), torch.device(device)
        if not folder.is_dir():
            raise WeightsError(f"There is no model folder {folder.name!r}.")
        if gguf_file is not None:
            return cls._from_gguf(folder, gguf_file, device, quantization)
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        model = empty_model(config)
        placement = plan(model, stored_mode(config) or quantization, device, device_map, max_memory)
        if stored_mode(config):
            reason = placement.precision.reason.replace("as asked", "as it is stored")
            placement = replace(placement, precision=replace(placement.precision, reason=reason))
        model = read_language_model(folder, model, placement, f"the language model {folder.name!r}")
        return cls(model, read_tokenizer(folder), placement.precision, placement)

    @classmethod
    def _from_gguf(cls, folder: Path, gguf_file: str, device: torch.device, quantization: str) -> LanguageModel:
        """Through a copy in safetensors, which is deleted again: transformers does not quantise what it reads here."""
        from transformers import AutoModelForCausalLM

        try:
            import gguf  # noqa: F401 - transformers reads the file through it
        except ImportError:
            raise WeightsError("Reading GGUF needs the gguf package: pip install gguf.") from None
        source = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=gguf_file, local_files_only=True, dtype=torch.float32
        )
        own = (folder / "tokenizer.json").is_file()
        tokenizer = read_tokenizer(folder, **({} if own else {"gguf_file": gguf_file}))
        with tempfile.TemporaryDirectory() as copy:
            if hasattr(source.config, "quantization_config"):  # transformers calls the file's format one
                del source.config.quantization_config
            source.config.save_pretrained(copy)
            source.generation_config.save_pretrained(copy)
            save_torch_state_dict(source.state_dict(), copy)
            tokenizer.save_pretrained(copy)
            del source
            return cls.from_pretrained(copy, device, quantization, device_map="single")

    @property
    def device(self) -> torch.device:
        """Where the embeddings live, or are brought to."""
        weight = self.model.get_input_embeddings().weight
        return self.placement.main if weight.is_meta else weight.device

    @property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end an answer: of the tokenizer and of the generation config."""
        ids = getattr(self.model.generation_config, "eos_token_id", None)
        ids = list(ids) if isinstance(ids, (list, tuple)) else [ids]
        return frozenset(i for i in (*ids, self.tokenizer.eos_token_id) if i is not None)

    def next_token(self, logits: Tensor, seen: list[int]) -> int:
        """The most likely token, after the repetition penalty and the ban of n-grams of the checkpoint's own settings.

        Args:
            logits: ``[V]``.
            seen: tokens that count as said.
        """
        from transformers import NoRepeatNGramLogitsProcessor, RepetitionPenaltyLogitsProcessor

        settings, scores = self.model.generation_config, logits.float()[None]
        ids = torch.tensor([seen], dtype=torch.long, device=logits.device)
        penalty, size = settings.repetition_penalty or 1.0, settings.no_repeat_ngram_size or 0
        if penalty != 1.0 and seen:
            scores = RepetitionPenaltyLogitsProcessor(penalty)(ids, scores)
        if size and seen:
            scores = NoRepeatNGramLogitsProcessor(size)(ids, scores)
        return int(scores[0].argmax())

    def embed(self, ids: list[int]) -> Tensor:
        """Embeddings ``[T, C]`` of token ids."""
        return self.model.get_input_embeddings()(torch.tensor(ids, device=self.device))

    def encode(self, text: str) -> list[int]:
        """Ids of a text as it stands: nothing is added."""
        return self.tokenizer.encode(text, add_special_tokens=False)

    def chat(self, turns: list[tuple[str, str]]) -> list[int]:
        """Ids of a conversation in the model's own chat template, ready for the next answer.

        Args:
            turns: (role, text) with the roles ``system``, ``user``, ``assistant``.

        Raises:
            WeightsError: the tokenizer has no chat template.
        """
        if not self.tokenizer.chat_template:
            raise WeightsError("This language model's tokenizer has no chat template; use plain prompts.")
        messages = [{"role": role, "content": text} for role, text in turns]
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return self.encode(text)

    def seg_id(self) -> int | None:
        """Id of the [SEG] token; None if the model was not trained with one."""
        token = self.tokenizer.convert_tokens_to_ids(SEG_TOKEN)
        return None if token is None or token == self.tokenizer.unk_token_id else token


@dataclass(frozen=True, eq=False)
class Prompt:
    """Tokens to read: ids, and embeddings where they are no words.

    Attributes:
        ids: one a position.
        embeds: ``[T, C]``, or None for the plain embeddings of ``ids``.
    """

    ids: list[int]
    embeds: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Token:
    """One generated token.

    Attributes:
        id: in the vocabulary.
        text: what it adds to the answer; empty while a character is incomplete.
        state: ``[C]`` last hidden state at this token, only for [SEG].
    """

    id: int
    text: str
    state: Tensor | None = None


def loops(said: list[int]) -> bool:
    """True if an answer ends with the same words three times over."""
    lengths = range(LOOP[0], min(LOOP[1], len(said) // 3) + 1)
    return any(said[-n:] == said[-2 * n : -n] == said[-3 * n : -2 * n] for n in lengths)


class Conversation:
    """The key-value cache of one image and one conversation.

    A prompt is compared with what the cache holds; the common beginning (image, earlier turns) is not read again.
    Embeddings of equal ids at equal positions must be equal, so a conversation belongs to one image.
    """

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm
        known = inspect.signature(lm.model.forward).parameters
        self._cache_argument = "cache" if "cache" in known else "past_key_values"  # renamed in transformers 5
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        from transformers import DynamicCache

        self._cache = DynamicCache(config=self.lm.model.config)
        self._held: list[int] = []
        self.prefilled = 0  # tokens read for the last answer, for tests and benchmarks

    @property
    def nbytes(self) -> int:
        """Memory of the cache."""
        keys = [
            t for layer in self._cache.layers for t in (getattr(layer, "keys", None), getattr(layer, "values", None))
        ]
        return sum(t.nbytes for t in keys if t is not None)

    @torch.inference_mode()
    def stream(
        self,
        prompt: Prompt,
        max_new_tokens: int = 512,
        cancel: threading.Event | None = None,
        grammar: Grammar | None = None,
    ) -> Iterator[Token]:
        """Answer greedily, token by token.

        Args:
            prompt: the whole conversation so far.
            max_new_tokens: the answer ends there if the model does not end it before, or begins to go round in a loop.
            cancel: set it to stop before the next token.
            grammar: that the answer follows, from its beginning.

        Yields:
            Tokens; the one that ends the answer is not among them.
        """
        cancel = cancel or threading.Event()
        lm = self.lm
        logits = self._prefill(prompt, cancel)
        if logits is None:
            return
        stop, seg, shown, ids = lm.stop_ids, lm.seg_id(), "", []
        # As ``generate`` does, for which a prompt of embeddings has no ids that the penalty could count.
        before, said = (prompt.ids if prompt.embeds is None else []), []
        forced: list[int] = []  # tokens of which a grammar leaves no choice: they are read together
        unread: list[int] = []
        for _ in range(max_new_tokens):
            if forced:
                token = forced.pop(0)
            else:
                token = lm.next_token(logits if grammar is None else grammar.allowed(logits), before + said)
            if token in stop or cancel.is_set() or loops(said):
                return
            if grammar is not None:
                grammar.take(token)
                forced = forced or grammar.forced()
            unread.append(token)
            ids.append(token)
            said.append(token)
            text = lm.tokenizer.decode(ids, skip_special_tokens=False)
            if text.endswith("\ufffd"):
                added = ""
            else:
                added, ids, shown = self._grown(text, shown, ids)
            state = None
            if token == seg:
                # the state at [SEG] needs the token read, which also yields the next one's logits
                logits, state = self._forward(lm.embed(unread), unread, want_state=True)
                unread = []
            yield Token(token, added, state)
            if cancel.is_set() or (grammar is not None and grammar.ended):
                return
            if unread and not forced:
                logits, _ = self._forward(lm.embed(unread), unread)
                unread = []

    @staticmethod
    def _grown(text: str, shown: str, ids: list[int]) -> tuple[str, list[int], str]:
        """What the newest token added; at a line's end the window of ids starts anew, so decoding stays cheap."""
        added = text[len(shown) :]
        return (added, [], "") if added.endswith("\n") else (added, ids, text)

    def _prefill(self, prompt: Prompt, cancel: threading.Event) -> Tensor | None:
        ids = prompt.ids
        common = 0
        while common < min(len(ids) - 1, len(self._held)) and ids[common] == self._held[common]:
            common += 1
        if common == 0 or not self._cut(common):
            self.reset()
            common = 0
        embeds = self.lm.embed(ids) if prompt.embeds is None else prompt.embeds
        self.prefilled = len(ids) - common
        logits = None
        for start in range(common, len(ids), PREFILL_CHUNK):
            if cancel.is_set():
                return None
            stop = min(start + PREFILL_CHUNK, len(ids))
            logits, _ = self._forward(embeds[start:stop], ids[start:stop])
        return logits

    def _cut(self, count: int) -> bool:
        """Keep the first tokens of the cache only; False where that cannot be done."""
        if count < len(self._held):
            try:
                self._cache.crop(count - len(self._held))  # negative: how many to remove
            except (RuntimeError, ValueError):  # a sliding window that has moved on has forgotten what was before
                return False
            self._held = self._held[:count]
        return True

    def _forward(self, embeds: Tensor, ids: list[int], want_state: bool = False) -> tuple[Tensor, Tensor | None]:
        """Read tokens; returns the logits ``[V]`` after the last one and, if wanted, its last hidden state ``[C]``."""
        model = self.lm.model
        try:
            with self.lm.lock:
                out = model(
                    inputs_embeds=embeds[None].to(self.lm.precision.dtype),
                    **{self._cache_argument: self._cache},
                    use_cache=True,
                    logits_to_keep=1,
                    output_hidden_states=want_state,
                )
        except Exception:
            self.reset()  # some layers may have read the tokens and others not
            raise
        self._held += ids
        return out.logits[0, -1], out.hidden_states[-1][0, -1] if want_state else None
