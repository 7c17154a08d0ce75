"""``ImageReader``: what the vision-language model reads in one CT, as pieces of an answer that are marked as a reading.

Nothing of it is measured. Its numbers stay inside sentences with the source ``"model"``. Where the model points with
[SEG] a mask is made, which can then be measured like any other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from .answering.contract import MaskRef, Sentence, Step, Words
from .answering.image_reading import Cleaner, name_of, parts
from .errors import Cancelled
from .masks import Mask
from .seg_segmenter import SegSegmenter
from .vlm import ImageConversation, Seen

if TYPE_CHECKING:
    from .case import Case

REPORT_QUESTION = "Describe the findings of the medical image you see."  # as in M3D-Cap's caption prompts
MAX_TOKENS = 512
READ = "Read the image with the vision-language model"

Pieces = Iterator[Step | MaskRef | Words]


class ImageReader:
    """The vision-language model on one case. See ``answering.contract.Reader``."""

    def __init__(self, case: Case) -> None:
        self._case = case
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
            model, head = self._case.model, self._case.model.seg_head
            stages = head.config.stages(model.vlm.encoder.config.channels) if head else None
            self._seen = model.vlm.look(self._case.ct, stages=stages)
            self._conversation = model.vlm.conversation(self._seen.tokens)
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
        """Answer from the image, token by token; see ``answering.contract.Reader``."""
        cancel = cancel or threading.Event()
        begin, step = time.perf_counter(), Step(READ)
        yield step
        tokens = self.conversation().ask(question, MAX_TOKENS, cancel, fresh)
        telling = _Telling(told, self._case.model.vlm.lm.tokenizer.all_special_tokens)
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
        if self._case.model.seg_head is not None:
            for state, name, number in pointed:
                yield from self._point(state, name, min(number, len(told) - 1), told, cancel)

    def read_report(self, told: list[Sentence], cancel: threading.Event | None = None) -> Pieces:
        """The reading that a report holds; see ``answering.contract.Reader``."""
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
        case = self._case
        step, begin = Step(f"Segment what the model points to: {name}"), time.perf_counter()
        yield step
        work = SegSegmenter(case.model.seg_head, self._seen, case.segmenter).segment(state, cancel)
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
        taken = {mask.name for mask in case.masks.values()}
        mask = Mask.from_array(array, id="", name=_free(name, taken), color=case.next_color())
        mask = case.put(mask)
        volume = f"{mask.voxels * case.ct.voxel_volume_ml:,.0f} mL"
        yield replace(step, seconds=seconds, share=1.0, outcome=volume)
        yield MaskRef(mask)
        if number >= 0 and told[number].source == "model":
            told[number] = replace(told[number], mask_ids=(*told[number].mask_ids, mask.id))
            yield Words("", number, "model", told[number].mask_ids)


class _Telling:
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
