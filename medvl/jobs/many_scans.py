"""``segment`` and ``report`` on a folder of scans: what ``spread.run`` does with each, and what is told of them all."""

from __future__ import annotations

import csv
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..case import Case
from ..errors import Cancelled, ExportError, PromptError
from ..model import MedVLSAM2
from ..writers.tables import escape_cell
from .by_words import FORMATS, render, report_file, segment_text_file
from .one_scan import Room
from .spread import MANIFEST, Job, Outcome, Spread, processes, run

Load = Callable[[], MedVLSAM2]
TABLE = "results.csv"
TABLE_COLUMNS = ("scan", "status", "structure", "measure", "value", "message")


class Once:
    """Loads the model when the first scan needs it, and never again."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._model: MedVLSAM2 | None = None

    def __call__(self) -> MedVLSAM2:
        """The model."""
        if self._model is None:
            self._model = self._load()
        return self._model

    def told(self) -> dict[str, Any]:
        """Weights, their revisions and licences, and the precision, once it is loaded; for the manifest."""
        if self._model is None:
            return {}
        return {"weights": list(self._model.weights), "notices": self._model.notices()}


def is_batch(source: str, output: str | None, endings: Sequence[str]) -> bool:
    """Whether a command means a folder of many scans: its input is a folder, its output is not named like a file."""
    return output is not None and Path(source).is_dir() and not str(output).lower().endswith(tuple(endings))


class _Choice:
    """Room for one scan that also sees which of the scans in its files was read."""

    def __init__(self, room: Room | None) -> None:
        self._room = room
        self.told: dict[str, Any] = {}

    def claim(self, nbytes: int) -> None:
        """See ``Room.claim``."""
        if self._room is not None:
            self._room.claim(nbytes)

    def hold(self, case: Case) -> None:
        """See ``Room.hold``."""
        if self._room is not None:
            self._room.hold(case)
        there = case.ct.series
        if len(there) > 1:
            opened = ", ".join(f"{one.id} ({one.slices} slices)" for one in there if one.opened)
            others = ", ".join(one.id for one in there if not one.opened)
            note = f"Of {len(there)} scans in these files {opened} was read; --series chooses: {others}."
            self.told = {"note": note, "series": [asdict(one) for one in there]}


def segment_job(
    load: Load,
    text: str,
    cancel: threading.Event | None = None,
    room: Room | None = None,
    series: str | None = None,
) -> Job:
    """Masks of what a text names: one mask, or a label map with its list of labels.

    Where a scan's files hold several, the result says which was read (``note``, ``series``).

    Args:
        load: gives the model.
        text: names or descriptions of structures.
        cancel: set it to stop; what is left then fails at once.
        room: counts the memory.
        series: which scan of each DICOM series, as ``read_ct`` takes it; None: the largest.
    """

    def job(paths: Sequence[Path], stem: Path) -> tuple[list[Path], dict[str, Any]]:
        _go_on(cancel)
        choice = _Choice(room)
        output = stem.with_name(stem.name + ".nii.gz")
        result = segment_text_file(load(), _source(paths), text, output, cancel=cancel, room=choice, series=series)
        return sorted(stem.parent.iterdir()), result | choice.told

    return job


def report_job(
    load: Load, cancel: threading.Event | None = None, room: Room | None = None, series: str | None = None
) -> Job:
    """A report as Markdown, HTML and JSON; arguments as those of ``segment_job``."""

    def job(paths: Sequence[Path], stem: Path) -> tuple[list[Path], dict[str, Any]]:
        _go_on(cancel)
        choice = _Choice(room)
        report = report_file(load(), _source(paths), cancel=cancel, room=choice, series=series)
        for suffix in FORMATS:
            stem.with_name(stem.name + suffix).write_text(render(report, suffix), encoding="utf-8")
        found = {row.structure: {fact.key: fact.value for fact in row.facts} for row in report.table}
        return sorted(stem.parent.iterdir()), {"measurements": found} | choice.told

    return job


def segment_folder(
    folder: str,
    output: str,
    text: str | None,
    load: Load,
    parameters: dict[str, Any],
    spread: Spread | None = None,
    series: str | None = None,
) -> int:
    """``segment FOLDER -o OUT --text WORDS``; returns the exit code, of the main process 1 when a scan failed.

    Raises:
        PromptError: no text.
        CTReadError: nothing to read.
        ExportError: the output folder cannot be made.
    """
    if not (text or "").strip():
        raise PromptError('A folder of scans is segmented by name: give --text, for instance --text "liver".')
    parameters = {"command": "segment", "text": text, **_chosen(series), **parameters}
    once = Once(load)
    return _run(folder, output, segment_job(once, text, series=series), parameters, spread, once)


def report_folder(
    folder: str,
    output: str,
    load: Load,
    parameters: dict[str, Any],
    spread: Spread | None = None,
    series: str | None = None,
) -> int:
    """``report FOLDER -o OUT``; returns the exit code, of the main process 1 when a scan failed.

    Raises:
        CTReadError: nothing to read.
        ExportError: the output folder cannot be made.
    """
    once = Once(load)
    parameters = {"command": "report", **_chosen(series), **parameters}
    return _run(folder, output, report_job(once, series=series), parameters, spread, once)


def _chosen(series: str | None) -> dict[str, str]:
    """For the manifest; results made before there was a choice are still those of the largest."""
    return {"series": series} if series else {}


def _run(folder: str, output: str, job: Job, parameters: dict[str, Any], spread: Spread | None, once: Once) -> int:
    spread = spread or processes(parameters.get("device", "auto"))
    outcomes = run(Path(folder), Path(output), job, parameters, spread, lambda done: _tell(line(done)), once.told)
    if not spread.is_main_process:
        return 0  # a launcher ends all processes at the first failure, and the main one may still write the manifest
    save_table(outcomes, Path(output) / TABLE)
    _tell(summary(outcomes))
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


def line(outcome: Outcome) -> str:
    """One case in a line."""
    why = f" ({re.sub(r'[.]$', '', outcome.message)})" if outcome.message else ""
    return f"{outcome.name}: {outcome.status}{why}, {outcome.seconds:.1f} s"


def values(outcome: Outcome) -> Iterator[tuple[str, str, Any]]:
    """``(structure, measure, value)`` of all that was measured in a case, by masks or by a report."""
    result = outcome.result
    told = result.get("measurements") or {
        one["name"]: one for one in result.get("objects") or [result] if "name" in one
    }
    for structure, measures in told.items():
        for measure, value in measures.items():
            if isinstance(value, int | float | str) and measure not in ("name", "notice") and value != "":
                yield structure, measure, value


def save_table(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write what was measured in all scans as one CSV, a value a row, so that it can be pooled and pivoted.

    A scan without a value has one row that says why.

    Raises:
        ExportError: the file cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(TABLE_COLUMNS)
            for one in outcomes:
                for structure, measure, value in [*values(one)] or [("", "", "")]:
                    cells = (one.source, one.status, structure, measure, value, one.message)
                    table.writerow([escape_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    except OSError as error:
        raise ExportError(f"The table {TABLE} cannot be written: {error.strerror}.") from error


def _go_on(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled("Stopped before this scan was begun.")


def summary(outcomes: Sequence[Outcome]) -> str:
    """Counts, and a list of what failed."""
    counts = ", ".join(
        f"{n} {status}"
        for status in ("done", "nothing found", "failed")
        if (n := sum(o.status == status for o in outcomes))
    )
    resumed = sum(o.resumed for o in outcomes)
    lines = [f"{len(outcomes)} scans: {counts} ({resumed} of them by an earlier run); see {MANIFEST} and {TABLE}."]
    lines += [f"failed: {o.source}: {o.message}" for o in outcomes if o.status == "failed"]
    return "\n".join(lines)


def _source(paths: Sequence[Path]) -> Path | list[Path]:
    return paths[0] if len(paths) == 1 else list(paths)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
