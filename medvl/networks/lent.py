"""What the networks compute on a GPU that is lent a call at a time (``zero_gpu``).

Each function is pure: arrays and words in, arrays and words out. The classes behind them have the interface of the
networks that they stand for and keep, on the caller's side, what a next call needs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..ct.volume import CTVolume
from ..errors import GpuError
from .chat import ChatModel, LocalChat
from .image_text import ImageTextModel, Picture, PictureModel
from .language_model import Token
from .preprocess import encoder_input
from .sam2 import Features, Sam2, SegmenterConfig
from .sam2_video import FrameMask, FramePrompt, Frames, VideoSegmenter
from .vlm import ImageConversation, Seen, VisionLanguageModel
from .zero_gpu import lent, name_of, named

# Seconds asked for. What is not used is given back; on a 7B model in bfloat16 they are about twice what it should take.
START_S = 8  # a process is forked, the weights go to the GPU
TOKENS_PER_S = 25
SLICES_PER_S = 10
READ_AHEAD = 24  # slices that one call encodes: about as long as it takes to get the GPU


def array(tensor: Tensor) -> np.ndarray:
    """A tensor of any device as an array; bfloat16 as float32, which loses nothing."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


# ---- volume -> tokens; tokens and a question -> text


@lent(START_S + 7)
def image_tokens(network: str, image: np.ndarray, stages: slice | None) -> tuple[np.ndarray, list[np.ndarray]]:
    """Visual tokens of a volume.

    Args:
        network: name of a ``VisionLanguageModel``.
        image: encoder input ``[1, 1, D, H, W]``.
        stages: of the encoder whose maps are wanted, None for none.

    Returns:
        Tokens ``[T, C]`` and maps, each ``[C, D', H', W']`` float32.
    """
    vlm = named(network)
    with torch.inference_mode():
        maps = vlm.maps(torch.from_numpy(image))
        tokens = vlm.projector([m.flatten(2).transpose(1, 2) for m in maps])[0]
    return array(tokens), [array(m[0].float()) for m in (maps[stages] if stages else [])]


def _answer_s(network: str, image: object, question: str, history: object, tokens: int, report: object = None) -> int:
    return START_S + tokens // TOKENS_PER_S


@lent(_answer_s)
def answer(
    network: str,
    image: np.ndarray,
    question: str,
    history: list[tuple[str, str]],
    max_new_tokens: int,
    report: bool | None = None,
) -> Iterator[tuple[int, str, np.ndarray | None]]:
    """A language model's answer about a volume, token by token.

    Args:
        network: name of a ``VisionLanguageModel``.
        image: its visual tokens ``[T, C]``.
        question: what is asked.
        history: earlier questions and answers.
        max_new_tokens: the answer ends there at the latest.
        report: see ``VisionLanguageModel.prompt``.

    Yields:
        Id, text, and of [SEG] the hidden state ``[C]``.
    """
    conversation = named(network).conversation(torch.from_numpy(image))
    conversation.history = list(history)
    with closing(conversation.ask(question, max_new_tokens, report=report)) as tokens:
        for token in tokens:
            yield token.id, token.text, None if token.state is None else array(token.state)


# ---- pictures and a question -> text; a conversation -> text


def _reading_s(network: str, question: str, pictures: Sequence, history: object, tokens: int) -> int:
    return START_S + len(pictures) // 2 + tokens // TOKENS_PER_S


@lent(_reading_s)
def reading(
    network: str, question: str, pictures: list[Picture], history: list[tuple[str, str]], max_new_tokens: int
) -> Iterator[str]:
    """An answer about pictures; arguments as of ``PictureModel.stream``, the name of one first."""
    with closing(named(network).stream(question, pictures, history, None, max_new_tokens)) as pieces:
        yield from pieces


def _chat_s(network: str, turns: object, tokens: int, schema: object = None) -> int:
    return START_S + tokens // TOKENS_PER_S


@lent(_chat_s)
def chat(
    network: str, turns: list[tuple[str, str]], max_new_tokens: int, schema: dict[str, object] | None = None
) -> Iterator[str]:
    """An instruct model's answer; arguments as of ``ChatModel.chat``, the name of one first."""
    with closing(named(network).chat(turns, max_new_tokens, None, schema)) as pieces:
        yield from pieces


# ---- slices -> features; a prompt and slices -> masks


def _slices_s(network: str, planes: Sequence) -> int:
    return START_S + len(planes) // SLICES_PER_S


@lent(_slices_s)
def features(network: str, planes: list[np.ndarray]) -> list[tuple[np.ndarray, ...]]:
    """SAM 2's features of slices.

    Args:
        network: name of a ``Sam2``.
        planes: each ``(row, column)`` with values in 0..1.

    Returns:
        Of each slice the embedding, then the finer maps, as in ``Features``.
    """
    found = [named(network).encode(plane) for plane in planes]
    return [tuple(array(t) for t in (f.embedding, *f.fine)) for f in found]


def _masks_s(network: str, planes: np.ndarray, *rest: object) -> int:
    return START_S + len(planes) // SLICES_PER_S


@lent(_masks_s)
def masks(
    network: str,
    planes: np.ndarray,
    first: int,
    window: tuple[float, float],
    count: int,
    key: int,
    prompt: FramePrompt,
    limits: tuple[int, int],
    until_empty: bool = True,
) -> Iterator[tuple[int, np.ndarray]]:
    """An object through the slices, with SAM 2's memory.

    Args:
        network: name of a ``Sam2`` with memory.
        planes: HU ``[slices, rows, columns]`` int16.
        first: index of the first of them in the scan.
        window: ``(level, width)`` they are shown in.
        count: slices of the scan.
        key: index of the prompted slice.
        prompt: on it.
        limits: half-open range of slices that the object may reach.
        until_empty: see ``VideoSegmenter.track``.

    Yields:
        Index of a slice and its mask logits ``[S/4, S/4]``.
    """
    sam2 = named(network)
    frames = Frames(lambda index: planes[index - first], window, sam2.config.image_size, sam2.device)
    with closing(sam2.video().track(frames, count, key, prompt, None, limits, until_empty)) as found:
        for mask in found:
            yield mask.index, array(mask.logits)


# ---- in the place of the networks


class LentVlm(VisionLanguageModel):
    """A vision-language model whose weights are on the lent GPU only."""

    def __init__(self, vlm: VisionLanguageModel) -> None:
        super().__init__(vlm.config, vlm.encoder, vlm.projector, vlm.lm)
        self._held = vlm
        self.name = name_of(vlm)

    def look(self, ct: CTVolume, window: str = "soft", stages: slice | None = None) -> Seen:
        """See ``VisionLanguageModel.look``; the result is on the CPU."""
        given = encoder_input(ct, self.config.input_size, window)
        tokens, maps = image_tokens(self.name, given.image.numpy(), stages)
        return Seen(torch.from_numpy(tokens), tuple(map(torch.from_numpy, maps)), given.low, given.high)

    def conversation(self, image: Tensor) -> LentConversation:
        """See ``VisionLanguageModel.conversation``."""
        return LentConversation(self, image)


class LentConversation(ImageConversation):
    """One image and what was said about it; nothing is kept on the GPU, so each question reads all of it again."""

    vlm: LentVlm

    def ask(
        self,
        question: str,
        max_new_tokens: int = 512,
        cancel: threading.Event | None = None,
        fresh: bool = False,
        report: bool | None = None,
    ) -> Iterator[Token]:
        """See ``ImageConversation.ask``."""
        said, history = "", [] if fresh else list(self.history)
        tokens = answer(self.vlm.name, array(self.image), question, history, max_new_tokens, report)
        try:
            for id, text, state in _until(cancel, tokens):
                said += text
                yield Token(id, text, None if state is None else torch.from_numpy(state))
        finally:
            tokens.close()
            if said:
                self.history.append((question, said))


class LentPictureModel:
    """A ``PictureModel`` on the lent GPU."""

    def __init__(self, model: PictureModel) -> None:
        self._held = model
        self._name = name_of(model)
        self.name, self.notice = model.name, f"{model.notice} On a GPU that the Space lends a call at a time."

    def stream(
        self,
        question: str,
        pictures: Sequence[Picture],
        history: Sequence[tuple[str, str]] = (),
        cancel: threading.Event | None = None,
        max_new_tokens: int = 512,
    ) -> Iterator[str]:
        """See ``PictureModel.stream``."""
        with closing(reading(self._name, question, list(pictures), list(history), max_new_tokens)) as pieces:
            yield from _until(cancel, pieces)


class LentChat:
    """A ``ChatModel`` on the lent GPU."""

    def __init__(self, model: ChatModel) -> None:
        self._held = model
        self._name = name_of(model)
        self.name, self.notice = model.name, f"{model.notice} On a GPU that the Space lends a call at a time."

    def chat(
        self,
        turns: Sequence[tuple[str, str]],
        max_new_tokens: int = 512,
        cancel: threading.Event | None = None,
        schema: dict[str, object] | None = None,
    ) -> Iterator[str]:
        """See ``ChatModel.chat``."""
        with closing(chat(self._name, list(turns), max_new_tokens, schema)) as pieces:
            yield from _until(cancel, pieces)


class LentSam2(Sam2):
    """SAM 2 on the CPU, for single slices and for all that the GPU is not lent for, and once more on the lent GPU."""

    ahead = READ_AHEAD

    def __init__(self, config: SegmenterConfig, folder: Path, gpu: torch.device | None = None) -> None:
        super().__init__(config, folder, torch.device("cpu"))
        self._held = Sam2(config, folder, gpu or torch.device("cuda"))
        self.name = name_of(self._held)

    def encode_many(self, planes: Sequence[np.ndarray]) -> list[Features]:
        """See ``Sam2.encode_many``; on the lent GPU."""
        found = features(self.name, list(planes))
        return [Features(torch.from_numpy(first), tuple(map(torch.from_numpy, fine))) for first, *fine in found]

    def video(self) -> LentVideo:
        """See ``Sam2.video``; on the lent GPU."""
        return LentVideo(self.name, super().video())


class LentVideo:
    """``VideoSegmenter`` on the lent GPU; on the CPU where that one cannot be had."""

    def __init__(self, name: str, here: VideoSegmenter) -> None:
        self._name = name
        self._here = here

    def track(
        self,
        frame: Frames,
        count: int,
        key: int,
        prompt: FramePrompt,
        cancel: threading.Event | None = None,
        limits: tuple[int, int] | None = None,
        until_empty: bool = True,
    ) -> Iterator[FrameMask]:
        """See ``VideoSegmenter.track``."""
        low, high = limits or (0, count)
        low, high = min(low, key), max(high, key + 1)
        planes = np.stack([frame.plane(index) for index in range(low, high)])
        given = (planes, low, frame.window, count, key, prompt, limits or (0, count), until_empty)
        told = set()
        try:
            with closing(masks(self._name, *given)) as found:
                for index, logits in _until(cancel, found):
                    told.add(index)
                    yield FrameMask(index, torch.from_numpy(logits))
        except GpuError:
            for mask in self._here.track(frame, count, key, prompt, cancel, limits, until_empty):
                if mask.index not in told:
                    yield mask


def lend(model: PictureModel | ChatModel | None) -> PictureModel | ChatModel | None:
    """A reader or planner as one on the lent GPU; a server, which has its own, as it is."""
    if isinstance(model, ImageTextModel):
        return LentPictureModel(model)
    return LentChat(model) if isinstance(model, LocalChat) else model


def _until(cancel: threading.Event | None, pieces: Iterator) -> Iterator:
    """Pieces until it is stopped; who closes them ends the work."""
    for piece in pieces:
        yield piece
        if cancel is not None and cancel.is_set():
            return
