"""Vision-language models that look at pictures: any ``image-text-to-text`` model of transformers.

MedGemma, Gemma 3, Qwen2.5-VL, Qwen3-VL, InternVL and others load by ``AutoModelForImageTextToText`` with their own
processor and chat template. ``openai_server`` gives the same from a server. What they say is a reading of the pictures
that they are shown, not a measurement.
"""

from __future__ import annotations

import io
import math
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import nn

from ..errors import WeightsError
from ..weights.download import download
from ..weights.language_weights import empty_model, read_language_model
from ..weights.placement import DeviceMap, Place, Placement, plan
from .language_model import loops

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
VISION = ("vision", "visual", "projector", "connector")  # in names of what is not quantised
POLL_S = 0.1


@dataclass(frozen=True)
class Picture:
    """One slice, or several in a montage, as a person would see it.

    Attributes:
        png: the picture, with side letters and a scale in mm.
        caption: what it shows, in words.
    """

    png: bytes
    caption: str

    def image(self) -> Image.Image:
        """The picture in RGB."""
        return Image.open(io.BytesIO(self.png)).convert("RGB")


class PictureModel(Protocol):
    """Answers a question about pictures.

    Attributes:
        name: for people.
    """

    name: str

    def stream(
        self,
        question: str,
        pictures: Sequence[Picture],
        history: Sequence[tuple[str, str]] = (),
        cancel: threading.Event | None = None,
        max_new_tokens: int = 512,
    ) -> Iterator[str]:
        """Pieces of the answer as they come.

        Args:
            question: with all instructions.
            pictures: in the order of their captions.
            history: earlier questions and answers, whose pictures are not shown again.
            cancel: set it to stop before the next token.
            max_new_tokens: the answer ends there at the latest.
        """


class ImageTextModel:
    """A model of transformers, shared by all cases; one answer at a time."""

    def __init__(self, model: nn.Module, processor: object, placement: Placement, name: str) -> None:
        self.model = model
        self.processor = processor
        self.placement = placement
        self.name = name
        self.several = True  # whether the processor takes several pictures; found out with the first
        self.lock = threading.Lock()

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: torch.device | str = "cpu",
        quantization: str = "auto",
        device_map: str | DeviceMap = "auto",
        max_memory: Mapping[Place, int] | None = None,
        revision: str | None = None,
    ) -> ImageTextModel:
        """Read a folder or a repository of the hub.

        Args:
            source: folder, or ``owner/name``.
            device: where it goes.
            quantization: of the language part, see ``placement.plan``.
            device_map: see there.
            max_memory: see there.
            revision: of the repository.

        Raises:
            WeightsError: files are missing, do not fit, or are of no image-text-to-text model.
        """
        from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

        folder = Path(source) if Path(source).is_dir() else download(str(source), FILES, revision)
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model = empty_model(config, AutoModelForImageTextToText)
            processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (ValueError, OSError, KeyError) as error:
            raise WeightsError(
                f"{source} is not an image-text-to-text model that this transformers knows ({error}). Code that comes "
                "with weights is not run."
            ) from error
        placement = plan(model, quantization, torch.device(device), device_map, max_memory)
        what = f"the image-text model {str(source)!r}"
        model = read_language_model(
            folder, model, placement, what, auto=AutoModelForImageTextToText, kept=lambda n: any(v in n for v in VISION)
        )
        return cls(model, processor, placement, Path(source).name if Path(source).is_dir() else str(source))

    @property
    def notice(self) -> str:
        """How it is held in memory and why."""
        return f"Reader {self.name}: {self.placement.precision.reason}."

    def inputs(
        self, question: str, pictures: Sequence[Picture], history: Sequence[tuple[str, str]] = ()
    ) -> Mapping[str, torch.Tensor]:
        """What the model is given, in its own chat template; several pictures, or one montage of them."""
        if self.several and len(pictures) > 1:
            try:
                return self._inputs(question, pictures, history)
            except (ValueError, TypeError, IndexError):  # each processor refuses in its own way
                self.several = False
        shown = [montage(pictures)] if len(pictures) > 1 else pictures
        return self._inputs(question, shown, history)

    def _inputs(
        self, question: str, pictures: Sequence[Picture], history: Sequence[tuple[str, str]]
    ) -> Mapping[str, torch.Tensor]:
        messages = []
        for asked, answered in history:
            messages.append({"role": "user", "content": [{"type": "text", "text": asked}]})
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answered}]})
        content = []
        for picture in pictures:
            content += [{"type": "text", "text": picture.caption}, {"type": "image", "image": picture.image()}]
        messages.append({"role": "user", "content": [*content, {"type": "text", "text": question}]})
        given = self.processor.apply_chat_template(
            messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        weight = self.model.get_input_embeddings().weight
        device = self.placement.main if weight.is_meta else weight.device
        return given.to(device, dtype=self.placement.precision.dtype)

    def stream(
        self,
        question: str,
        pictures: Sequence[Picture],
        history: Sequence[tuple[str, str]] = (),
        cancel: threading.Event | None = None,
        max_new_tokens: int = 512,
    ) -> Iterator[str]:
        """See ``PictureModel``. Greedy, with the stop ids and the repetition penalty of the checkpoint."""
        from transformers import StoppingCriteriaList, TextIteratorStreamer

        cancel, gone, failed = cancel or threading.Event(), threading.Event(), []
        streamer = TextIteratorStreamer(self.processor.tokenizer, skip_prompt=True, skip_special_tokens=True)
        given = self.inputs(question, pictures, history)
        length = given["input_ids"].shape[1]

        def ended(ids: torch.Tensor, scores: torch.Tensor, **_: object) -> torch.Tensor:
            stop = cancel.is_set() or gone.is_set() or loops(ids[0, length:].tolist())
            return torch.full((len(ids),), stop, dtype=torch.bool, device=ids.device)

        def work() -> None:
            try:
                with self.lock, torch.inference_mode():
                    if not (cancel.is_set() or gone.is_set()):
                        self.model.generate(
                            **given, streamer=streamer, max_new_tokens=max_new_tokens, do_sample=False,
                            temperature=None, top_p=None, top_k=None, stopping_criteria=StoppingCriteriaList([ended]),
                        )  # fmt: skip
            except Exception as error:
                failed.append(error)
            finally:
                streamer.end()

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            while not cancel.is_set():
                try:
                    piece = streamer.text_queue.get(timeout=POLL_S)
                except queue.Empty:
                    continue
                if piece is streamer.stop_signal:
                    worker.join()  # it ends now, and leaves the lock
                    break
                if piece:
                    yield piece
        finally:
            gone.set()
        if failed:
            raise failed[0]


def montage(pictures: Sequence[Picture]) -> Picture:
    """Several pictures as one, row by row; each keeps its letters and its scale."""
    images = [p.image() for p in pictures]
    columns = math.ceil(math.sqrt(len(images)))
    rows = -(-len(images) // columns)
    width, height = max(i.width for i in images), max(i.height for i in images)
    whole = Image.new("RGB", (columns * width, rows * height))
    for n, image in enumerate(images):
        whole.paste(image, (n % columns * width, n // columns * height))
    buffer = io.BytesIO()
    whole.save(buffer, format="PNG")
    captions = " ".join(p.caption for p in pictures)
    return Picture(buffer.getvalue(), f"One picture with {rows} rows of {columns}, left to right: {captions}")
