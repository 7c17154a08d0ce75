"""``VlmReader``: what the vision-language model reads in one CT, as pieces of an answer that are marked as a reading.

Nothing of it is measured. Its numbers stay inside sentences with the source ``"model"``. Where the model points with
[SEG] a mask is made, which can then be measured like any other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import replace

from torch import Tensor

from ..ct.mask_list import MaskList
from ..ct.masks import Mask
from ..ct.volume import CTVolume
from ..errors import Cancelled
from ..networks.seg_head import SegHead
from ..networks.vlm import ImageConversation, Seen, VisionLanguageModel
from ..prompting.pointing import SegSegmenter
from ..prompting.segmenter import Segmenter
from ..tools.pieces import MaskRef, Step
from .contract import Sentence, Words
from .image_reading import Cleaner, name_of, parts

REPORT_QUESTION = "Describe the findings of the medical image you see."  # as in M3D-Cap's caption prompts
MAX_TOKENS = 512
READ = "Read the image with the vision-language model"

Pieces = Iterator[Step | MaskRef | Words]


class VlmReader:
    """The vision-language model on one CT. See ``contract.ImageReader``."""

    def __init__(
        self, ct: CTVolume, vlm: VisionLanguageModel, seg_head: SegHead | None, masks: MaskList, segmenter: Segmenter
    ) -> None:
        """Prepare a CT; nothing is encoded yet.

        Args:
            ct: the CT.
            vlm: the model.
            seg_head: where the model can point with [SEG].
            masks: where masks that it points to are put.
            segmenter: of the same CT.
        """
        self._ct = ct
        self._vlm = vlm
        self._head = seg_head
        self._masks = masks
        self._segmenter = segmenter
        self._seen: Seen | None = None
        self._conversation: ImageConversation | None = None
        self._report: tuple[Sentence, ...] | None = None

    @property
    def nbytes(self) -> int:
        """Memory of what the encoder made of the CT and of the language model's cache."""
        seen = self._seen.nbytes if self._seen else 0
        return seen + (self._conversation.cache.nbytes if self._conversation else 0)

    def conversation(self) -> ImageConversation:
        """The model's conversation about this CT, which is encoded once."""
        if self._conversation is None:
            stages = self._head.config.stages(self._vlm.encoder.config.channels) if self._head else None
            self._seen = self._vlm.look(self._ct, stages=stages)
            self._conversation = self._vlm.conversation(self._seen.tokens)
        return self._conversation

    def clear(self) -> None:
        """Forget what was said; what was made of the image stays."""
        if self._conversation is not None:
            self._conversation.clear()

    def close(self) -> None:
        """Free everything."""
        self._seen = self._conversation = self._report = None

    # ---- reading

    def read(
        self, question: str, told: list[Sentence], cancel: threading.Event | None = None, fresh: bool = False
    ) -> Pieces:
        """Answer from the image, token by token; see ``contract.ImageReader``."""
        cancel = cancel or threading.Event()
        begin, step = time.perf_counter(), Step(READ)
        yield step
        tokens = self.conversation().ask(question, MAX_TOKENS, cancel, fresh)
        telling = Telling(told, self._vlm.lm.tokenizer.all_special_tokens)
        pointed: list[tuple[Tensor, str, int]] = []
        try:
            for token in tokens:
                if step.seconds is None:
                    step = replace(step, seconds=time.perf_counter() - begin, share=1.0)
                    yield step
                if token.state is not None:
                    pointed.append((token.state, name_of(telling.since, question), telling.number))
                yield from telling.add(token.text, points=token.state is not None)
                if cancel.is_set():
                    raise Cancelled("Stopped while reading.")
        finally:
            tokens.close()  # what was said so far is remembered
        if cancel.is_set():
            raise Cancelled("Stopped while reading.")
        yield from telling.end()
        if step.seconds is None:
            yield replace(step, seconds=time.perf_counter() - begin, share=1.0, outcome="nothing was said")
        if self._head is not None:
            for state, name, number in pointed:
                yield from self._point(state, name, min(number, len(told) - 1), told, cancel)

    def read_report(self, told: list[Sentence], cancel: threading.Event | None = None) -> Pieces:
        """The reading that a report holds; see ``contract.ImageReader``."""
        first = len(told)
        if self._report is None:
            yield from self.read(REPORT_QUESTION, told, cancel, fresh=True)
            self._report = tuple(told[first:])
            return
        for number, sentence in enumerate(self._report, start=first):
            told.append(sentence)
            yield Words(f" {sentence.text}", number, "model", sentence.mask_ids)

    # ---- [SEG]

    def _point(
        self, state: Tensor, name: str, number: int, told: list[Sentence], cancel: threading.Event
    ) -> Generator[Step | MaskRef | Words, None, None]:
        """The mask of one [SEG], linked to the sentence that holds it."""
        step, begin = Step(f"Segment what the model points to: {name}"), time.perf_counter()
        yield step
        work = SegSegmenter(self._head, self._seen, self._segmenter).segment(state, cancel)
        try:
            while True:
                yield replace(step, share=next(work))
        except StopIteration as end:
            array = end.value
        seconds = time.perf_counter() - begin
        if array is None or not array.any():
            yield replace(step, seconds=seconds, share=1.0, outcome="nowhere in this scan")
            text = f"The model points to {name[:1].lower() + name[1:]}, but to no place in this scan: no mask was made."
            told.append(Sentence(text, "model"))
            yield Words(f" {text}", len(told) - 1, "model")
            return
        taken = {mask.name for mask in self._masks.values()}
        mask = Mask.from_array(array, id="", name=_free(name, taken), color=self._masks.next_color())
        mask = self._masks.put(mask)
        volume = f"{mask.voxels * self._ct.voxel_volume_ml:,.0f} mL"
        yield replace(step, seconds=seconds, share=1.0, outcome=volume)
        yield MaskRef(mask)
        if number >= 0 and told[number].source == "model":
            told[number] = replace(told[number], mask_ids=(*told[number].mask_ids, mask.id))
            yield Words("", number, "model", told[number].mask_ids)


class Telling:
    """Tokens to sentences, control tokens left out."""

    def __init__(self, told: list[Sentence], controls: list[str]) -> None:
        self._told = told
        self._cleaner = Cleaner(controls)
        self._open = False
        self.since = ""  # what was said since the last [SEG]

    @property
    def number(self) -> int:
        """Index of the sentence that is being told."""
        return len(self._told) - 1 if self._open else len(self._told)

    def add(self, text: str, points: bool = False) -> Iterator[Words]:
        """The next token's text; ``points`` for a [SEG]."""
        self.since = "" if points else self.since + text
        yield from self._tell(self._cleaner.add(text))

    def end(self) -> Iterator[Words]:
        """What the cleaner still held."""
        yield from self._tell(self._cleaner.end())

    def _tell(self, text: str) -> Iterator[Words]:
        for part, begins in parts(self._told[-1].text if self._open else "", text):
            if begins or not self._open:
                self._told.append(Sentence(part.lstrip(), "model"))
                part = part.lstrip() if len(self._told) == 1 else f" {part.lstrip()}"
                self._open = True
            else:
                self._told[-1] = replace(self._told[-1], text=self._told[-1].text + part)
            yield Words(part, len(self._told) - 1, "model", self._told[-1].mask_ids)


def _free(name: str, taken: set[str]) -> str:
    """A name that the list of masks has not: a mask by the model beside one that was found otherwise says so."""
    if name not in taken:
        return name
    plain = f"{name} (model)"
    return plain if plain not in taken else next(t for n in range(2, 1000) if (t := f"{name} (model {n})") not in taken)
