"""A reading beside what tools measure of the same thing: what it claims that can be measured, and where they differ.

The sentences of a reading are understood as a person's messages are (``language.parse``); what of it a tool can check
is looked up, and the model's words stand as a quotation.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import Cancelled, MedVLError
from ..language.calls import Call, Finding, Measure, Presence, ReadImage, Segment
from ..language.mentions import find
from ..language.normalise import words
from ..language.parse import parse
from ..tools.fact import Fact, shown
from ..tools.facts import AT_LEAST, of_structure
from ..tools.findings import FINDINGS
from ..tools.pieces import MaskRef
from ..tools.scene import Scene
from ..vocabulary.spoken import the
from ..vocabulary.structure import word_set
from . import guard, image_reading
from .contract import ImageReader, Piece, Sentence, Words
from .teller import Teller

MOST = 4  # claims of one reading that are checked, the first ones
APART = 0.1  # share of the measured value from which two values differ; a rule of this program
_POINTING = word_set("it its")
_UNITS = {"volume": ("mL", "L"), "mean_hu": ("HU",)}

_NO = word_set("no not without absent negative none never neither nor unremarkable normal resected removed free")
_DENIAL = re.compile(r"\b(?:not|no|without|never)\b(?: evidence of| signs? of)?", re.IGNORECASE)
_CERTAIN_NOT = word_set("absent missing resected removed")
_SEEN = word_set("seen visible visualised visualized identified present found")
# What is said with these is no claim.
_UNSURE = word_set(
    """
    may might could cannot possible possibly probable probably likely unlikely suspicious suspected suggest suggests
    suggestive question questionable exclude excluded versus borderline mild mildly minimal unclear uncertain if should
    recommend recommended
    """
)


def read_first(
    reader: ImageReader,
    text: str,
    planned: Sequence[Call],
    teller: Teller,
    scene: Scene,
    cancel: threading.Event | None = None,
) -> Generator[Piece, None, tuple[Sentence, ...]]:
    """One line on what a reading is, then the reading; where there is none, why, and no such line.

    Args:
        reader: is asked.
        text: the whole message.
        planned: the calls that it was understood as.
        teller: of the answer.
        scene: of the scan.
        cancel: set it to stop.

    Returns:
        What was read.
    """
    asked = next((call.question for call in planned if isinstance(call, ReadImage) and call.question), text)
    first = len(teller.told)

    def led(told: list[Sentence], cancel: threading.Event | None) -> Iterator[Piece]:
        """The line comes with the first word: what is said instead of a reading, or measured, must not follow it."""
        pieces, waits = reader.read(asked, told, cancel), True
        try:
            for piece in pieces:
                if waits and isinstance(piece, MaskRef | Words):
                    begun = told[first:]
                    del told[first:]
                    yield from teller.tell([Sentence(image_reading.FOLLOWS, "program")], scene)
                    told += begun
                    if isinstance(piece, Words):
                        piece = replace(piece, text=f" {piece.text.lstrip()}", sentence=len(told) - 1)
                    waits = False
                yield piece
        finally:
            pieces.close()

    said = yield from read(led, teller, scene, cancel)
    if len(teller.told) == first:
        yield from teller.tell([Sentence(image_reading.SILENT, "program")], scene)
    return said


def read(
    reading: Callable[[list[Sentence], threading.Event | None], Iterator[Piece]],
    teller: Teller,
    scene: Scene,
    cancel: threading.Event | None = None,
) -> Generator[Piece, None, tuple[Sentence, ...]]:
    """A reading, or why there is none: a server that is away, a GPU that is not lent.

    Args:
        reading: a method of an ``ImageReader``.
        teller: of the answer.
        scene: of the scan.
        cancel: set it to stop.

    Returns:
        What was read.
    """
    first = len(teller.told)
    try:
        yield from reading(teller.told, cancel)
    except Cancelled:
        raise
    except MedVLError as error:
        yield from teller.tell([image_reading.failed(error)], scene)
    return tuple(sentence for sentence in teller.told[first:] if sentence.source == "model")


@dataclass(frozen=True)
class Claim:
    """Something that a reading says and a tool can check.

    Attributes:
        text: the clause, without its stop.
        call: that checks it.
        holds: whether the clause says that it is so.
        value: of a measure, the value in the unit of its fact; else None.
        step: of a value, half of what its last digit stands for.
    """

    text: str
    call: Call
    holds: bool = True
    value: float | None = None
    step: float = 0.0


def claims(reading: Iterable[Sentence]) -> tuple[Claim, ...]:
    """What a reading claims, each thing once, the first time that it is said.

    Args:
        reading: sentences with the source "model".
    """
    found: dict[tuple, Claim] = {}
    about: tuple[Call, ...] = ()  # what "its" is of
    for sentence in reading:
        for clause in re.split(r"(?<=[a-z\d])[.;:](?:\s|$)|,\s|\bbut\b|\bhowever\b|\n", sentence.text):
            clause = clause.strip(" .,;:-*")
            claim = _claim(clause, about) if clause else None
            named = [m.ids for m in find(words(clause)) if m.kind == "known"]
            about = (Measure(named[0]),) if len(named) == 1 else () if named else about
            if claim is not None:
                found.setdefault((claim.call.tool, getattr(claim.call, "id", ""), claim.call.structures), claim)
    return tuple(found.values())[:MOST]


def _claim(clause: str, about: tuple[Call, ...] = ()) -> Claim | None:
    said = words(clause)
    if set(said) & _UNSURE or clause.endswith("?"):
        return None
    before = about if _POINTING & set(said) else ()
    calls = parse(_DENIAL.sub(" ", clause), (before,) if before else ())  # what it is about, whether it is so or not
    if len(calls) != 1 or calls[0].unknown:
        return None
    call = calls[0]
    if isinstance(call, Finding):
        return Claim(clause, Finding(call.of, id=call.id), not _denied(said))
    if isinstance(call, Presence | Segment) and len(call.structures) == 1:
        gone = set(said) & _CERTAIN_NOT or ("not" in said and set(said) & _SEEN)
        return Claim(clause, Presence(call.structures), holds=False) if gone and "no" not in said else None
    if isinstance(call, Measure) and len(call.structures) == 1 and call.attribute in _UNITS:
        values = [n for n in guard.numbers(clause) if n.unit in _UNITS[call.attribute]]
        if len(values) == 1:
            factor = 1000.0 if values[0].unit == "L" else 1.0
            measure = Measure(call.structures, what=call.attribute)
            return Claim(clause, measure, value=factor * values[0].value, step=factor * values[0].step / 2)
    return None


def _denied(said: Sequence[str]) -> bool:
    """Whether a clause says that something is not so; "not normal" denies nothing."""
    left = [w for n, w in enumerate(said) if not (w in ("normal", "unremarkable") and n and said[n - 1] == "not")]
    if len(left) < len(said):
        left.remove("not")
    return bool(set(left) & _NO)


def difference(claim: Claim, scene: Scene) -> Sentence | None:
    """That a claim and what was measured differ, in words; None where they do not, or nothing was measured.

    Args:
        claim: of a reading.
        scene: in which what it needs was looked for.
    """
    call, facts = claim.call, []
    if isinstance(call, Finding):
        verdict = FINDINGS[call.id].of(scene).verdict
        if verdict not in ("met", "not met") or (verdict == "met") == claim.holds:
            return None
        against = f"by the rule that is cited above it is {'so' if verdict == 'met' else 'not so'}"
    elif isinstance(call, Presence):
        if scene.mask(call.structures[0]) is None:
            return None
        against = f"{the(call.structures[0])} was found in this scan"
    else:
        key = {"volume": "volume_ml"}.get(call.attribute, call.attribute)
        known = [f for f in of_structure(scene, call.structures[0], call.attribute) if f.key == key]
        fact = known[0] if known and known[0].value is not None else None
        if fact is None or abs(claim.value - fact.value) <= APART * abs(fact.value) + claim.step:
            return None
        least = call.attribute == "volume" and (fact.sureness == "at least" or fact.note.startswith(AT_LEAST))
        if least and claim.value > fact.value:
            return None  # what lies outside the scan may make up for it
        facts, against = [fact], f"measured is {'at least ' if least else ''}{shown(fact)}"
    quoted = Fact("reading", claim.text, source="model")
    text = f"The reading and the measurement differ: the model says \u201c{claim.text}\u201d, and {against}."
    return Sentence(text, "program", scene_masks(scene, call), (quoted, *facts))


def scene_masks(scene: Scene, call: Call) -> tuple[str, ...]:
    """Ids of the masks that a call is about."""
    return tuple(mask.id for mask in scene.masks(*(id for id in call.structures if scene.mask(id) is not None)))
