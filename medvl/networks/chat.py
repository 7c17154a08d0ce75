"""Language models that talk without a picture: one on this machine, or one on a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch

from ..weights.download import download
from ..weights.placement import DeviceMap, Place
from .grammar import grammar_of
from .image_text import FILES, ImageTextModel, PictureModel
from .language_model import Conversation, LanguageModel, Prompt
from .openai_server import OpenAIServer, is_url


class ChatModel(Protocol):
    """An instruct model.

    Attributes:
        name: for people.
    """

    name: str

    def chat(
        self,
        turns: Sequence[tuple[str, str]],
        max_new_tokens: int = 512,
        cancel: threading.Event | None = None,
        schema: dict[str, object] | None = None,
    ) -> Iterator[str]:
        """Pieces of the next answer.

        Args:
            turns: (role, text) with the roles ``system``, ``user``, ``assistant``.
            max_new_tokens: the answer ends there at the latest.
            cancel: set it to stop before the next token.
            schema: JSON schema that the answer follows. A server may read over it, and the tokens may end before the
                answer does, so what comes has to be checked.
        """


class LocalChat:
    """A language model of this machine, in its own chat template.

    What earlier prompts began with (instructions, tools) is read once: the key-value cache is kept.
    """

    def __init__(self, lm: LanguageModel, name: str) -> None:
        self.lm = lm
        self.name = name
        self._cache = Conversation(lm)
        self._lock = threading.Lock()

    @property
    def notice(self) -> str:
        """How it is held in memory and why."""
        return f"Planner {self.name}: {self.lm.precision.reason}."

    def chat(
        self,
        turns: Sequence[tuple[str, str]],
        max_new_tokens: int = 512,
        cancel: threading.Event | None = None,
        schema: dict[str, object] | None = None,
    ) -> Iterator[str]:
        """See ``ChatModel``."""
        with self._lock:
            grammar = None if schema is None else grammar_of(self.lm.tokenizer, self.lm.stop_ids, schema)
            for token in self._cache.stream(Prompt(self.lm.chat(list(turns))), max_new_tokens, cancel, grammar):
                yield token.text


def open_reader(
    source: str,
    device: torch.device,
    quantization: str = "auto",
    device_map: str | DeviceMap = "auto",
    max_memory: Mapping[Place, int] | None = None,
) -> PictureModel:
    """What ``--reader`` names: a server's address, a folder or a repository of the hub.

    Raises:
        WeightsError: it cannot be reached or read.
    """
    if is_url(source):
        return OpenAIServer(source)
    return ImageTextModel.from_pretrained(source, device, quantization, device_map, max_memory)


def open_planner(
    source: str,
    device: torch.device,
    quantization: str = "auto",
    device_map: str | DeviceMap = "auto",
    max_memory: Mapping[Place, int] | None = None,
) -> ChatModel:
    """What ``--planner`` names: a server's address, a folder or a repository of the hub.

    Raises:
        WeightsError: it cannot be reached or read.
    """
    if is_url(source):
        return OpenAIServer(source)
    folder = Path(source) if Path(source).is_dir() else download(source, FILES)
    lm = LanguageModel.from_pretrained(folder, device, quantization, None, device_map, max_memory)
    return LocalChat(lm, Path(source).name if Path(source).is_dir() else source)
