"""Readers of messages: the rules, a small language model, or the rules with the model where they are unsure.

All have the interface of ``intent.parse``. What the model says counts only after ``objection`` had none: it must be in
the line language, name no side that was not said, and no structure without support in the message or in what was asked
before. Else the rules' reading stands. The model gives requests and nothing else; no number can come from it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ..language_model import Conversation, LanguageModel, Prompt
from . import cues, cues_talk, intent
from .contract import Intent, Request
from .findings import FINDINGS
from .mentions import find, lexicon, names_to_mend
from .normalise import words
from .reader_prompt import prompt
from .request_lines import LineError, read
from .vocabulary import EVERYTHING, STRUCTURES, counterpart

History = Sequence[Sequence[Request]]
MAX_TOKENS = 96
_OTHER = frozenset({"other", "opposite", "contralateral", "counterpart"})
_NAMING = frozenset({Intent.SEGMENT, Intent.MEASURE, Intent.COMPARE, Intent.PRESENCE, Intent.RELATION, Intent.REMOVE})


class RequestReader(Protocol):
    """Understands one message; ``intent.parse`` is one."""

    def __call__(self, text: str, history: History = ()) -> tuple[Request, ...]:
        """Requests of a message, with those of each earlier turn, oldest first."""


class ModelReader:
    """A language model that writes request lines, read at the first use.

    Attributes:
        fallback: reads what the model's answer was refused for.
        refused: why the last answer was refused, "" if it was taken.
    """

    def __init__(self, load: Callable[[], LanguageModel], fallback: RequestReader = intent.parse) -> None:
        """From a function that gives the model; it is called once, at the first message."""
        self.fallback = fallback
        self.refused = ""
        self._load = load
        self._lm: LanguageModel | None = None
        self._lock = threading.Lock()

    @classmethod
    def of_folder(cls, folder: Path, quantization: str = "4bit") -> ModelReader:
        """From a model folder in the Hugging Face layout, on the CPU.

        Raises:
            WeightsError: at the first message, where files are missing or do not fit.
        """
        return cls(lambda: LanguageModel.from_pretrained(folder, "cpu", quantization))

    def lines(self, text: str, history: History = ()) -> str:
        """What the model writes, greedily, unchecked."""
        with self._lock:
            if self._lm is None:
                self._lm = self._load()
        lm = self._lm
        stream = Conversation(lm).stream(Prompt(lm.encode(prompt(text, history))), MAX_TOKENS)
        return "".join(token.text for token in stream)

    def __call__(self, text: str, history: History = ()) -> tuple[Request, ...]:
        """The model's reading where it holds, else that of ``fallback``."""
        return self.held(text, history) or self.fallback(text, history)

    def held(self, text: str, history: History = ()) -> tuple[Request, ...] | None:
        """The model's reading; None where it is refused, ``refused`` says why."""
        try:
            requests = read(self.lines(text, history))
        except LineError as error:
            self.refused = str(error)
            return None
        self.refused = objection(requests, text, history)
        return None if self.refused else requests


class CombinedReader:
    """The rules, and the model where they are unsure."""

    def __init__(self, model: ModelReader, rules: RequestReader = intent.parse) -> None:
        self.model = model
        self.rules = rules

    def __call__(self, text: str, history: History = ()) -> tuple[Request, ...]:
        """The rules' reading unless it is unsure and the model has one that holds."""
        sure = self.rules(text, history)
        if not unsure(sure, text):
            return sure
        other = self.model.held(text, history)
        if other is None or all(r.intent in (Intent.UNKNOWN, Intent.CHAT) for r in other):
            return sure
        return other


def unsure(requests: Sequence[Request], text: str) -> bool:
    """Whether the rules understood nothing of English words, or took them for another subject."""
    if len(text.split()) < 2:
        return False
    return any(
        (r.intent is Intent.UNKNOWN and not r.unknown) or (r.intent is Intent.REFUSE and r.topic == "off_topic")
        for r in requests
    )


def unrecognised(text: str) -> tuple[str, ...]:
    """Words of a message that no lexicon of the rules holds, after mending."""
    known = lexicon() | names_to_mend() | cues.WORDS | cues.FUNCTION_WORDS | cues_talk.FILLERS
    return tuple(w for w in intent.SPELLER.mend(words(text)) if w.isalpha() and len(w) > 3 and w not in known)


def objection(requests: Sequence[Request], text: str, history: History = ()) -> str:
    """Why requests cannot be what a message means; "" where nothing speaks against it.

    Args:
        requests: a reading, in ids of the vocabulary.
        text: the message.
        history: requests of earlier turns.
    """
    said = intent.SPELLER.mend(words(text))
    spoken = set(said)
    named = [m for m in find(said) if m.kind == "known"]
    ids = {id for m in named for id in m.ids}
    groups = {STRUCTURES[id].group or id for id in ids}
    before = {id for turn in history for r in turn for id in r.structures}
    for request in requests:
        for id in request.structures:
            structure = STRUCTURES[id]
            other = counterpart(id)
            if other and other not in request.structures:
                carried = id in before and not ({"left", "right"} - {structure.side}) & spoken
                pointed = other in before and bool(spoken & _OTHER)
                if not (structure.side in spoken or carried or pointed):
                    return f"{structure.name}: the message says no {structure.side}"
            supported = (
                (structure.group or id) in groups
                or id in before
                or (other in before if other else False)
                or (request.intent is Intent.FINDING and id in FINDINGS[request.finding].needs)
                or request.structures == EVERYTHING
                or (not named and len(said) >= 3)  # a description: "the organ that stores urine"
            )
            if not supported:
                return f"{structure.name}: the message does not speak of it"
        for words_said in request.unknown:
            if not set(words(words_said)) <= set(words(text)):
                return f"{words_said!r}: not in the message"
        if request.choose and len(request.structures) < 2:
            return "a choice needs two structures"
        if request.intent is Intent.RELATION and request.relation != "nearest" and len(request.structures) != 2:
            return "a relation needs two structures"
    given = {STRUCTURES[id].group or id for r in requests for id in r.structures}
    if all(r.intent in _NAMING for r in requests) and not cues.NEGATIONS.search(" ".join(said)) and groups - given:
        return f"left out: {', '.join(sorted(groups - given))}"
    return ""
