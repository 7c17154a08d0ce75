"""What the rooms of this package hand to one another: a call, what was found for it, facts, sentences, pieces.

    words -> ``language.parse`` -> Call -> ``Finder.find`` -> Found -> ``tools`` -> Fact -> ``writing`` -> Sentence

A number reaches the reader only as the value of a ``Fact``, and a fact says where it comes from.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..language.calls import Call
from ..tools.fact import Fact, Source
from ..tools.pieces import MaskRef, Step, View


@dataclass(frozen=True)
class Sentence:
    """One sentence for the reader, with the masks it speaks of and the facts it was made from."""

    text: str
    source: Source
    mask_ids: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Answer:
    """All that one message was answered with. ``refused``: nothing was segmented or measured, and the text says why."""

    calls: tuple[Call, ...]
    sentences: tuple[Sentence, ...]
    refused: bool = False

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(sentence.text for sentence in self.sentences)


# ---- pieces of a streamed answer, in the order a person sees them


@dataclass(frozen=True)
class Words:
    """A few words of a sentence, to be appended; ``sentence`` numbers it within the answer."""

    text: str
    sentence: int = 0
    source: Source = "measured"
    mask_ids: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Table:
    """Values of an answer that are read side by side: a head and rows of as many cells, as they are shown."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Done:
    """The end: the whole answer; ``stopped`` if it was cut short."""

    answer: Answer
    stopped: bool = False


Piece = Step | MaskRef | View | Words | Table | Done


class WrittenReport(Protocol):
    """A report, as far as a conversation tells of it."""

    @property
    def sentences(self) -> Sequence[Sentence]:
        """Its sentences, in order."""

    def with_reading(self, told: Sequence[Sentence]) -> WrittenReport:
        """The report with what a vision-language model read."""


class ImageReader(Protocol):
    """Answers from the image itself (the vision-language model in the product), every sentence with source "model"."""

    def read(
        self, question: str, told: list[Sentence], cancel: threading.Event | None = None, fresh: bool = False
    ) -> Iterator[Step | MaskRef | Words]:
        """Answer a question.

        Args:
            question: what a person typed.
            told: sentences of the answer so far; those of the reading are appended as they grow.
            cancel: set it to stop within one token.
            fresh: as if nothing had been said before.

        Yields:
            A step, words as they are generated, and masks that the model points to.

        Raises:
            Cancelled: ``cancel`` was set; what was told stays.
        """

    def read_report(
        self, told: list[Sentence], cancel: threading.Event | None = None
    ) -> Iterator[Step | MaskRef | Words]:
        """Describe the image, as ``read`` does; kept, so that a report holds the same words as the answer before."""

    def clear(self) -> None:
        """Forget what was said."""
