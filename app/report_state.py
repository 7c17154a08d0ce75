"""The report of the open scan, as far as it has come, with the visitor's edits."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field

from medvl.ct.volume import CTVolume
from medvl.report.report import Report
from medvl.tools.pieces import MaskRef, Step
from medvl.writers.export import scan_stem

from .chat import Steps

FILES = {  # ending -> label, media type
    "md": ("Markdown", "text/markdown; charset=utf-8"),
    "html": ("HTML", "text/html; charset=utf-8"),
    "json": ("JSON", "application/json"),
}


def report_name(ct: CTVolume, kind: str) -> str:
    """File name of a report, after the scan."""
    return f"{scan_stem(ct)}-report.{kind}"


@dataclass
class ReportState:
    """What the session knows of its report.

    Attributes:
        written: the last one that was finished, as it was written; None before the first.
        edits: the visitor's texts by the index of the sentence in ``written``; "" leaves a sentence out.
        state: ``"none"``, ``"running"``, ``"done"``, ``"stopped"`` or ``"failed"`` of the last attempt.
        note: words about a stop or a failure.
        version: grows with each change; the files' addresses carry it.
    """

    written: Report | None = None
    edits: dict[int, str] = field(default_factory=dict)
    state: str = "none"
    note: str = ""
    steps: Steps = field(default_factory=Steps)
    version: int = 0

    @property
    def report(self) -> Report | None:
        """The report with the visitor's edits."""
        return self.written.with_text(self.edits) if self.written is not None and self.edits else self.written

    def begin(self) -> None:
        """A new attempt; the report before it stays until this one is done."""
        self.state, self.note, self.steps = "running", "", Steps()

    def take(self, piece: Step | MaskRef | Report) -> bool:
        """Note a step or the report; True if the page should show it at once."""
        if isinstance(piece, Step):
            return self.steps.take(piece)
        if isinstance(piece, MaskRef):
            return True
        self.written, self.edits = piece, {}
        self.version += 1
        self.end("done")
        return True

    def restore(self, written: Report, edits: dict[int, str]) -> None:
        """Take over the report of a saved case, with the visitor's words."""
        self.written, self.edits, self.state = written, edits, "done"
        self.version += 1

    def end(self, state: str, note: str = "") -> None:
        """The attempt is over."""
        self.steps.end()
        self.state, self.note = state, note

    def edit(self, index: int, text: str) -> None:
        """Put the visitor's words in place of a sentence.

        Raises:
            IndexError: there is no such sentence.
        """
        sentences = self.written.sentences if self.written is not None else ()
        if not 0 <= index < len(sentences):
            raise IndexError(index)
        if sentences[index].text == text:
            self.edits.pop(index, None)
        else:
            self.edits = {**self.edits, index: text}
        self.version += 1

    def file(self, kind: str) -> bytes | None:
        """The report as a file of ``FILES``; None if there is no report or no such kind."""
        report = self.report
        if report is None or kind not in FILES:
            return None
        if kind == "json":
            return json.dumps(report.to_dict(), indent=2, ensure_ascii=False).encode()
        return (report.markdown() if kind == "md" else report.html()).encode()

    @property
    def nbytes(self) -> int:
        """Memory of the report: its words and its key slices."""
        if self.written is None:
            return 0
        words = (*(sentence.text for sentence in self.written.sentences), *self.edits.values())
        return sum(map(sys.getsizeof, words)) + sum(len(picture.png) for picture in self.written.pictures)
