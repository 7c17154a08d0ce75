"""A visitor's conversation about one scan, as far as it has come.

It lives on the ``CaseSession``: it goes with the scan, and nobody else's handlers reach it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from medvl.conversation.contract import Done, Piece, Table, Words
from medvl.language import calls
from medvl.report.parts import NOTICE
from medvl.report.report import IMPRESSION, Report
from medvl.tools.pieces import MaskRef, Step
from medvl.version import __version__

SOURCES = {
    "measured": "measured",
    "scan": "from the scan",
    "knowledge": "general knowledge",
    "model": "the model's reading",
}
TURNS = 100  # kept; the oldest go, so that a page left open for days does not grow


@dataclass
class ShownSentence:
    """A sentence of an answer as far as it has come."""

    text: str = ""
    source: str = "measured"
    mask_ids: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As the browser gets it."""
        return {"text": self.text, "source": self.source, "masks": list(self.mask_ids)}


@dataclass
class Steps:
    """Tool steps in the order they began. The same label is the same step, unless that one is done already."""

    steps: list[Step] = field(default_factory=list)

    def take(self, step: Step) -> bool:
        """Note a step; True if it is new or done, False if only its share grew."""
        for at in range(len(self.steps) - 1, -1, -1):
            known = self.steps[at]
            if known.label == step.label and known.seconds is None:
                self.steps[at] = step
                return step.seconds is not None
        self.steps.append(step)
        return True

    @property
    def running(self) -> Step | None:
        """The step that runs now."""
        return next((step for step in reversed(self.steps) if step.seconds is None), None)

    def end(self) -> None:
        """Nothing runs any more: a step that was cut off goes."""
        self.steps = [step for step in self.steps if step.seconds is not None]

    def to_list(self) -> list[dict[str, Any]]:
        """As the browser gets them."""
        return [
            {"label": s.label, "seconds": s.seconds, "share": round(s.share, 3), "outcome": s.outcome}
            for s in self.steps
        ]


@dataclass
class Turn:
    """One message of the visitor and its answer.

    Attributes:
        id: grows within the conversation.
        question: the visitor's words.
        at: the voxel of the crosshair as it was asked, None where it was not known.
        nonce: the browser's own mark of the message, so that it knows that it has arrived.
        state: ``"running"``, ``"done"``, ``"stopped"`` or ``"failed"``.
        note: words about a stop or a failure.
        report: it was answered with a report, which has its own panel.
        summary: of that report, the turn keeps the impression only.
        table: values that are read side by side, None where there are none.
        said_before: how many turns the case's conversation remembered when this one began; None before that.
        masks: name and colour, as they were, of the masks that the answer speaks of, by id.
    """

    id: int
    question: str
    nonce: str = ""
    state: str = "running"
    note: str = ""
    steps: Steps = field(default_factory=Steps)
    sentences: list[ShownSentence] = field(default_factory=list)
    masks: dict[str, tuple[str, str]] = field(default_factory=dict)
    report: bool = False
    summary: bool = False
    table: Table | None = None
    said_before: int | None = None
    at: tuple[int, int, int] | None = None

    def take(self, piece: Piece) -> bool:
        """Add a piece of the answer; True if the page should show it at once."""
        if isinstance(piece, Step):
            return self.steps.take(piece)
        if isinstance(piece, MaskRef):
            self.masks[piece.mask.id] = (piece.mask.name, piece.mask.color)
            return True
        if isinstance(piece, Table):
            self.table = piece
            return True
        if isinstance(piece, Words):
            while len(self.sentences) <= piece.sentence:
                self.sentences.append(ShownSentence())
            sentence = self.sentences[piece.sentence]
            sentence.text = (sentence.text + piece.text).lstrip()
            sentence.source, sentence.mask_ids = piece.source, tuple(piece.mask_ids)
            return False
        if isinstance(piece, Done):
            self.report = any(isinstance(call, calls.Report) for call in piece.answer.calls)
            self.sentences = [ShownSentence(s.text, s.source, tuple(s.mask_ids)) for s in piece.answer.sentences]
            self.end("stopped" if piece.stopped else "done")
        return True

    def summarise(self, report: Report) -> None:
        """Keep the impression of a report, and the reading: all of it fills screens, and has a panel of its own."""
        impression = [s for section in report.sections if section.title == IMPRESSION for s in section.sentences]
        if impression:
            read = [s for s in self.sentences if s.source == "model"]
            self.summary = True
            self.sentences = [*(ShownSentence(s.text, s.source, tuple(s.mask_ids)) for s in impression), *read]

    def end(self, state: str, note: str = "") -> None:
        """The answer is complete, or will not be."""
        self.steps.end()
        self.state, self.note = state, note

    @property
    def nbytes(self) -> int:
        """Memory of its words; its masks are the case's."""
        texts = [self.question, self.note, *(s.text for s in self.sentences), *(s.label for s in self.steps.steps)]
        return sum(map(sys.getsizeof, texts)) + 512


class Chat:
    """The conversation about one scan."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._last_id = 0

    @property
    def nbytes(self) -> int:
        """Memory of the conversation."""
        return sum(turn.nbytes for turn in self.turns)

    @property
    def running(self) -> Turn | None:
        """The turn that is being answered."""
        return next((turn for turn in reversed(self.turns) if turn.state == "running"), None)

    def begin(self, question: str, nonce: str = "", at: tuple[int, int, int] | None = None) -> Turn:
        """A new message."""
        self._last_id += 1
        turn = Turn(self._last_id, question, nonce, at=at)
        self.turns = [*self.turns[-(TURNS - 1) :], turn]
        return turn

    @property
    def last(self) -> Turn | None:
        """The newest turn."""
        return self.turns[-1] if self.turns else None

    def again(self) -> Turn | None:
        """The last message once more, its answer forgotten; None if there is none."""
        if not self.turns:
            return None
        last = self.turns[-1]
        self.turns = self.turns[:-1]
        return self.begin(last.question, at=last.at)

    def markdown(self, scan: str, series: str = "") -> str:
        """The conversation as a file: questions, answers with where each sentence is from, and tables.

        Args:
            scan: name of its file; no patient field.
            series: description of a DICOM series, else "".
        """
        of = f"Scan: {scan or 'without a name'}{f', series {series}' if series else ''}."
        lines = ["# Conversation about a CT", "", f"**{NOTICE}**", "", of, f"MedVL-SAM2 {__version__}.", ""]
        for turn in self.turns:
            quoted = [f"> {line}" for line in turn.question.splitlines()]
            answer = " ".join(f"{s.text} [{SOURCES[s.source]}]" if s.source in SOURCES else s.text
                              for s in turn.sentences if s.text)  # fmt: skip
            lines += [*quoted, "", *([answer, ""] if answer else []), *([f"*{turn.note}*", ""] if turn.note else [])]
            if turn.table:
                head, *rows = ([cell.replace("|", "/") for cell in row] for row in (turn.table.head, *turn.table.rows))
                lines += [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
                lines += [*(f"| {' | '.join(row)} |" for row in rows), ""]
        return "\n".join(lines).rstrip() + "\n"

    def restore(self, turns: list[Turn]) -> None:
        """Take over the turns of a saved case."""
        for turn in turns:
            self._last_id += 1
            turn.id = self._last_id
        self.turns = turns

    def clear(self) -> None:
        """Forget everything that was said."""
        self.turns = []
