"""Sections, rows and pictures of a report."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from ..conversation.contract import Sentence
from ..ct.volume import ScanInfo
from ..tools.fact import Fact, shown
from ..tools.facts import AT_LEAST
from ..version import __version__

NOTICE = "Research use only, not for diagnosis."
IMPRESSION = "Impression"  # title of its section
LISTED = frozenset({IMPRESSION, "Not measured, not judged", "Sources"})  # sections whose sentences stand in a list
COLUMNS = ("Volume", "Mean HU", "SD HU", "Longest diameter", "Top to bottom")

AT_LEAST_SIGN = "\u2265 "

LOWER_BOUND = "A value after \u2265 is a lower bound"
HU_OVER_ALL = (
    "Mean and SD of HU are over all voxels of an outline, its edge included; the medians in the text are taken inside."
)

EDITED = "The text was edited by a person; numbers in edited sentences are not checked against the measurements."


@dataclass(frozen=True)
class Origin:
    """Which scan a report is of, and what wrote it when.

    Attributes:
        file_name: of the scan, without its path; no patient field.
        series_description: of a DICOM series, else "".
        date: of the report, ISO 8601.
        program_version: of this package.
    """

    file_name: str
    series_description: str
    date: str
    program_version: str

    @classmethod
    def of(cls, info: ScanInfo) -> Origin:
        """That of a report written now."""
        return cls(info.file_name, info.series_description, datetime.date.today().isoformat(), __version__)

    def sentence(self) -> Sentence:
        """For the reader."""
        series = f", series \u201c{self.series_description}\u201d" if self.series_description else ""
        scan = f"Scan: {self.file_name}{series}. " if self.file_name or series else ""
        text = f"{scan}Report of {self.date}, written by MedVL-SAM2 {self.program_version}."
        return Sentence(text, "scan", (), (Fact("origin", text, source="scan"),))


@dataclass(frozen=True)
class Section:
    """A heading with its sentences; ``level`` 2 stands under the last heading of level 1."""

    title: str
    sentences: tuple[Sentence, ...]
    level: int = 1


@dataclass(frozen=True)
class Row:
    """A structure in the table of measurements; the facts are volume, mean and SD of HU, longest diameter, height."""

    structure: str
    name: str
    color: str
    mask_id: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Picture:
    """A key slice: what it shows, and its PNG."""

    title: str
    png: bytes = field(repr=False)
    masks: tuple[str, ...] = ()


def cells(row: Row) -> list[str]:
    """Values of a row as the table shows them."""
    return [(AT_LEAST_SIGN if fact.note else "") + shown(fact) for fact in row.facts]


def limits(row: Row) -> str:
    """Why sizes of a row are lower bounds, "" where none is."""
    note = next((fact.note for fact in row.facts if fact.note), "")
    return note.removeprefix(f"{AT_LEAST}, since it ")


def under_table(rows: Sequence[Row]) -> str:
    """What is to be known of a table: which values are lower bounds and why, and what the HU are over."""
    alike: dict[str, list[str]] = {}
    for row in rows:
        if limits(row):
            alike.setdefault(limits(row), []).append(row.name)
    why = "; ".join(f"{', '.join(names)}: {limit}" for limit, names in alike.items())
    return f"{LOWER_BOUND}. {why}. {HU_OVER_ALL}" if why else HU_OVER_ALL


def as_dict(fact: Fact) -> dict:
    """A fact ready for JSON."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(fact).items()}
