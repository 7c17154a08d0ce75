"""The report of the open scan, as far as it has come, with the visitor's edits."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any

from medvl.answering.contract import MaskRef, Step

from .chat import Steps

FILES = {  # ending -> label, media type
    "md": ("Markdown", "text/markdown; charset=utf-8"),
    "html": ("HTML", "text/html; charset=utf-8"),
    "json": ("JSON", "application/json"),
}


@dataclass
class ReportState:
    """What the session knows of its report.

    Attributes:
        report: the last one that was finished, with the visitor's edits; None before the first.
        state: ``"none"``, ``"running"``, ``"done"``, ``"stopped"`` or ``"failed"`` of the last attempt.
        note: words about a stop or a failure.
        edited: indices of the sentences that the visitor has changed.
        version: grows with each change; the files' addresses carry it.
    """

    report: Any = None
    state: str = "none"
    note: str = ""
    steps: Steps = field(default_factory=Steps)
    edited: set[int] = field(default_factory=set)
    version: int = 0

    def begin(self) -> None:
        """A new attempt; the report before it stays until this one is done."""
        self.state, self.note, self.steps = "running", "", Steps()

    def take(self, piece: Any) -> bool:
        """Note a step or the report; True if the page should show it at once."""
        if isinstance(piece, Step):
            return self.steps.take(piece)
        if isinstance(piece, MaskRef):
            return True
        self.report, self.edited = piece, set()
        self.version += 1
        self.end("done")
        return True

    def end(self, state: str, note: str = "") -> None:
        """The attempt is over."""
        self.steps.end()
        self.state, self.note = state, note

    def edit(self, index: int, text: str) -> None:
        """Put the visitor's words in place of a sentence.

        Raises:
            IndexError: there is no such sentence.
        """
        sentences = list(self.report.sentences) if self.report is not None else []
        if not 0 <= index < len(sentences):
            raise IndexError(index)
        if sentences[index].text == text:
            return
        self.report = self.report.with_text({index: text})
        self.edited.add(index)
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
        """Memory of the report's words; pictures are made as a file is written and not kept."""
        if self.report is None:
            return 0
        return sum(sys.getsizeof(sentence.text) for sentence in self.report.sentences) + 4096
