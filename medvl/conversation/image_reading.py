"""Which questions are left to the vision-language model's own reading, and how its words are brought to a reader."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import MedVLError
from ..language.calls import (
    Call,
    Clarify,
    Comparing,
    Edit,
    Finding,
    ListStructures,
    Measure,
    Measuring,
    Presence,
    Probe,
    ReadImage,
    Refuse,
    Relating,
    Report,
    Segment,
    changed,
)
from ..language.mentions import find
from ..language.normalise import words
from ..tools.fact import Fact
from ..vocabulary.names import STRUCTURES
from ..vocabulary.structure import word_set
from .contract import Sentence

NO_READER = (
    "That would have to be read in the image, and the model that is loaded reads none. I can look for spots that are "
    "bright or dark, for fluid, gas, metal and calcium, and measure: ask, for instance, any dark spots in the liver."
)
TITLE = "What the vision-language model reads"
PREFACE = "Read in the image by a language model and not measured; numbers in it are the model's own."
MEASURED = "Measured on the same scan"
FOLLOWS = "Nothing of this is measured: it is what the vision-language model reads in the image."
SILENT = "The vision-language model said nothing about it."
# Asked about a person or about what a disease means, not about the picture.
_PERSONAL = re.compile(
    r"\b(i|me|my|he|she|his|her|patient|we|diagnos\w*|malignan\w*|benign|cancer\w*|serious|harmless|worr(y|ied)|sick|"
    r"ill|healthy|bad|stage|staging)\b"
)
_NAMED = (Segment, Measuring, Presence, Relating, Comparing)
# Words by which a look at the picture is asked for, and not a number or a mask.
_DESCRIBING = word_set(
    """
    describe describes describing description characterise characterize appearance appearances appear appears impression
    interpret interpretation comment assess assessment evaluate abnormal abnormality abnormalities wrong suspicious
    remarkable unremarkable unusual findings finding texture normal
    """
)
_SEEING = word_set("see sees seen visible show shows shown read reads")
_WHOLE = word_set("describe description interpret interpretation")
_LOOKING = word_set("look looks looking looked")
_TO_ME = word_set("me us i we let")  # who sees is the person: "let me see the liver" is about the view


def lead(reader: object | None) -> str:
    """What stands above a reading, or that nobody reads."""
    return FOLLOWS if reader else NO_READER


def is_open(call: Call, text: str) -> bool:
    """Whether a call is one that measurements do not answer and a look at the image may.

    Args:
        call: as understood.
        text: the whole message.
    """
    if call.unanswered or isinstance(call, Report | ReadImage):
        return True
    said = words(text)
    if isinstance(call, Probe):  # what is seen is told, and what it may be is read
        return not _PERSONAL.search(" ".join(said))
    if isinstance(call, ListStructures):
        return bool(set(said) & (_SEEING | _LOOKING | _DESCRIBING))
    if isinstance(call, Refuse):
        return call.reason == "diagnosis" and not _PERSONAL.search(" ".join(said))
    return isinstance(call, _NAMED) and bool(call.unknown)


def asks(text: str, calls: Sequence[Call]) -> bool:
    """Whether a message is a question about the picture, which a reader is asked first: one of its calls is open, or it
    asks for a description of what tools can measure too. A report's reading stands behind what was measured.

    Args:
        text: the whole message.
        calls: as understood.
    """
    if any(isinstance(call, Report) for call in calls):
        return False
    calls = [call for call in calls if not isinstance(call, Edit)]  # what is to be done beside it is done after
    if any(is_open(call, text) for call in calls):
        return True
    if not any(isinstance(call, (*_NAMED, Finding)) for call in calls):
        return False
    said = words(text)
    if set(said) & _DESCRIBING or {"tell", "about"} <= set(said):
        return True
    if any(w in _LOOKING and after not in ("at", "for") for w, after in zip(said, [*said[1:], ""], strict=True)):
        return True
    return bool(set(said) & _SEEING) and "you" in said and not set(said) & _TO_ME


def measurable(calls: Sequence[Call], text: str) -> tuple[Call, ...]:
    """What tools tell beside a reading: the calls without what refuses or asks back; where that leaves nothing, size
    and density of what the message names, or all that is in the scan.

    Args:
        calls: as understood.
        text: the whole message.
    """
    kept = []
    for call in calls:
        if isinstance(call, Refuse | Clarify | ReadImage) or call.unanswered:
            continue
        if isinstance(call, _NAMED) and call.unknown:
            if not call.structures:
                continue
            call = changed(call, unknown=(), nearest=())
        kept.append(call)
    if kept:
        return tuple(kept)
    said = words(text)
    mentions = find(said)
    named = [id for call in calls for id in call.structures]
    named += [id for m in mentions if m.kind == "known" for id in m.ids if id in STRUCTURES]
    if named:
        of = tuple(dict.fromkeys(named))
        return tuple(Measure(of, what=what) for what in ("volume", "mean_hu"))
    whole = set(said) & (_SEEING | _LOOKING | _WHOLE) and not any(m.kind == "unknown" for m in mentions)
    return (ListStructures(),) if whole else ()


def failed(error: MedVLError) -> Sentence:
    """Why there is no answer, or no reading; its numbers are the error's own."""
    return Sentence(str(error), "program", (), (Fact("error", str(error), source="program"),))


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
