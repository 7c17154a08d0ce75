"""``Teller``: sentences of one answer as a stream of words, each sentence checked by the guard."""

from __future__ import annotations

import re
import threading
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from ..ct.masks import Mask
from ..errors import Cancelled
from ..tools.fact import Fact
from ..tools.pieces import MaskRef, Step
from ..tools.scene import Scene
from . import guard
from .contract import Sentence, Words

T = TypeVar("T")


class Teller:
    """Streams sentences word by word, each checked, none twice; announces each mask once."""

    def __init__(self, cancel: threading.Event | None, listed: Mapping[str, Mask] | None = None) -> None:
        self._listed = listed or {}
        self.told: list[Sentence] = []
        self._cancel = cancel
        self._masks: dict[str, object] = {}

    def is_new(self, ref: MaskRef) -> bool:
        """Whether a mask was not announced yet."""
        new = self._masks.get(ref.mask.id) is not ref.mask
        self._masks[ref.mask.id] = ref.mask
        return new

    def new(self, pieces: Generator[Step | MaskRef, None, T]) -> Generator[Step | MaskRef, None, T]:
        """What a tool yields, without masks that were announced before; returns what the tool returns."""
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                return end.value
            if not isinstance(piece, MaskRef) or self.is_new(piece):
                yield piece

    @property
    def facts(self) -> list[Fact]:
        """Facts of what was told, in order."""
        return [fact for told in self.told for fact in told.facts]

    @property
    def announced(self) -> tuple[str, ...]:
        """Ids of the masks that were announced, in order."""
        return tuple(self._masks)

    def tell(self, new: list[Sentence], scene: Scene) -> Iterator[Words | MaskRef]:
        """Sentences as words, each checked, after the masks that it speaks of."""
        by_id = {**self._listed, **{mask.id: mask for mask in scene.masks(*scene.present)}}
        for sentence in map(guard.ensure, guard.believed(new, scene.ct)):
            if any(_repeats(sentence, earlier) for earlier in self.told):
                continue
            for id in sentence.mask_ids:
                if id in by_id and self.is_new(MaskRef(by_id[id])):
                    yield MaskRef(by_id[id])
            number = len(self.told)
            self.told.append(replace(sentence, text=""))
            for word in re.findall(r"\s*\S+", sentence.text):
                if self._cancel is not None and self._cancel.is_set():
                    if not self.told[-1].text:
                        self.told.pop()
                    raise Cancelled("Stopped while answering.")
                shown = word if self.told[-1].text or number == 0 else f" {word.lstrip()}"
                self.told[-1] = replace(self.told[-1], text=self.told[-1].text + word)
                yield Words(shown, number, sentence.source, sentence.mask_ids)


def _repeats(sentence: Sentence, earlier: Sentence) -> bool:
    """Whether a sentence says what an earlier one of the same answer said: the same words, or the same volume again."""
    volume = len(sentence.facts) == 1 and sentence.facts[0].key == "volume_ml"
    return sentence.text == earlier.text or (volume and sentence.facts[0] in earlier.facts)
