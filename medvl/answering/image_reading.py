"""Which questions are left to the vision-language model's own reading, and how its words are brought to a reader."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .contract import Intent, Request
from .lexicon import word_set
from .mentions import find
from .normalise import words
from .vocabulary import STRUCTURES

TITLE = "What the vision-language model reads"
PREFACE = "Read in the image by a language model and not measured; numbers in it are the model's own."
FOLLOWS = "No measurement answers this. What follows is what the vision-language model reads in the image."

_SEEING = re.compile(r"\b(see|sees|seen|visible|show|shows|shown|in (this|the) (scan|image|picture|ct))\b")
# Asked about a person or about what a disease means, not about the picture.
_PERSONAL = re.compile(
    r"\b(i|me|my|he|she|his|her|patient|we|diagnos\w*|malignan\w*|benign|cancer\w*|serious|harmless|worr(y|ied)|sick|"
    r"ill|healthy|bad|stage|staging)\b"
)
_NAMED = frozenset({Intent.SEGMENT, Intent.MEASURE, Intent.PRESENCE, Intent.RELATION, Intent.COMPARE})


def is_open(request: Request, text: str) -> bool:
    """Whether a request is one that measurements do not answer and a look at the image may.

    Args:
        request: as understood.
        text: the whole message.
    """
    if request.intent in (Intent.UNKNOWN, Intent.REPORT):
        return True
    if request.intent is Intent.LIST:
        return bool(_SEEING.search(text.lower()))
    if request.intent is Intent.REFUSE:
        return request.topic == "diagnosis" and not _PERSONAL.search(" ".join(words(text)))
    return request.intent in _NAMED and bool(request.unknown)


# ---- words of a model


class Cleaner:
    """Leaves control tokens out of a text that comes in pieces.

    What might become a control token, and white space before one, is held back until it is clear.
    """

    def __init__(self, controls: Sequence[str]) -> None:
        """Begin a text.

        Args:
            controls: never shown; [SEG] is always among them.
        """
        self._controls = sorted({"[SEG]", *controls} - {""}, key=len, reverse=True)
        one = "|".join(map(re.escape, self._controls))
        self._before_mark = re.compile(rf"\s*(?:{one})(?:\s|{one})*(?=[.,;:!?)])")
        self._elsewhere = re.compile(rf"\s*(?:{one})(?:\s|{one})*")
        self._tail = re.compile(rf"(?:\s|{one})*$")
        self._held = ""
        self._any = False

    def add(self, text: str) -> str:
        """What can be shown after the next piece."""
        held = self._held + text
        stem = len(held) - self._begun(held)
        cut = self._tail.search(held[:stem]).start()
        self._held = held[cut:]
        return self._clean(held[:cut])

    def end(self) -> str:
        """The rest."""
        rest, self._held = self._held, ""
        return self._clean(rest).rstrip()

    def _begun(self, text: str) -> int:
        """Length of the end of a text that may be the beginning of a control token."""
        return max(
            (n for c in self._controls for n in range(1, min(len(c), len(text) + 1)) if text.endswith(c[:n])), default=0
        )

    def _clean(self, text: str) -> str:
        text = self._elsewhere.sub(" ", self._before_mark.sub("", text))
        if not self._any:
            text = text.lstrip()
            self._any = bool(text)
        return text


def parts(current: str, added: str) -> list[tuple[str, bool]]:
    """Cut what is added to a sentence where sentences end.

    Args:
        current: the sentence so far.
        added: what comes next, with its leading space.

    Returns:
        Pieces, each with whether a new sentence begins with it.
    """
    found = []
    for piece in re.split(r"(?<=[.!?\n])(?=\s)", added):
        if not piece:
            continue
        # "1. Liver": the point behind a number of a list ends no sentence.
        ended = re.search(r"(?<!\d)[.!?]$|(?<=\w\d)[.]$|\d\d[.]$|\n$", current.rstrip(" "))
        begins = bool(ended) and piece[0].isspace() and bool(piece.strip())
        found.append((piece, begins))
        current = piece if begins else current + piece
    return found


_FILLERS = word_set(
    """
    the a an is are was were be it its here this that these those there and or of in at on to as with by sure yes
    okay shows show shown see seen located segmentation segmented mask masks region area result answer
    """
)


def name_of(before: str, question: str) -> str:
    """What a [SEG] stands for.

    Args:
        before: what the model said since its last [SEG].
        question: what it was asked.

    Returns:
        The structure named last before it, else the last words of its clause, else the structure that the question
        names; with a capital.
    """
    said = _mentioned(before)
    if not said:
        clause = [c for c in re.split(r"[,.;:!?()\n]", before) if c.strip()][-1:]
        content = [w for w in " ".join(clause).split() if w.lower() not in _FILLERS]
        said = " ".join(content[-4:]) or _mentioned(question) or "what was asked for"
    return said[:1].upper() + said[1:]


def _mentioned(text: str) -> str:
    """Name of the structure that a text names last, known or not; "" for none."""
    named = [m for m in find(words(text)) if m.kind in ("known", "unknown")]
    if not named:
        return ""
    last = named[-1]
    if last.kind == "unknown":
        return last.text
    if len(last.ids) == 1:
        return STRUCTURES[last.ids[0]].name
    return last.concept.replace("_", " ")
