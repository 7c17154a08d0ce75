"""The written report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from ..conversation import image_reading
from ..conversation.contract import Sentence
from .html import page
from .parts import (
    COLUMNS,
    EDITED,
    IMPRESSION,
    LISTED,
    NOTICE,
    Origin,
    Picture,
    Row,
    Section,
    as_dict,
    cells,
    limits,
    under_table,
)


@dataclass(frozen=True)
class Report:
    """A report. Exports use the texts as they are, also after ``with_text``.

    Attributes:
        sections: in the order of reading.
        table: measurements.
        pictures: key slices.
        edited: whether a person changed the text.
        origin: which scan it is of, and what wrote it when.
    """

    sections: tuple[Section, ...]
    table: tuple[Row, ...] = ()
    pictures: tuple[Picture, ...] = field(default=(), repr=False)
    edited: bool = False
    origin: Origin | None = None

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """All sentences, in order; their index is the key of ``with_text``."""
        return tuple(told for section in self.sections for told in section.sentences)

    def with_text(self, texts: Sequence[str] | Mapping[int, str]) -> Report:
        """The report with other texts of its sentences; masks and facts stay with them, an empty text drops one.

        Args:
            texts: one for each sentence, or those that changed by their index.

        Raises:
            ValueError: another number of texts than sentences, or no such index.
        """
        count = len(self.sentences)
        if not isinstance(texts, Mapping):
            if len(texts) != count:
                raise ValueError(f"The report has {count} sentences, but {len(texts)} texts came.")
            texts = dict(enumerate(texts))
        elif any(not 0 <= index < count for index in texts):
            raise ValueError(f"The report has {count} sentences, numbered from 0.")
        index, changed, sections = 0, False, []
        for section in self.sections:
            kept = []
            for told in section.sentences:
                text = texts.get(index, told.text).strip()
                changed |= text != told.text
                index += 1
                if text:
                    kept.append(replace(told, text=text))
            sections.append(replace(section, sentences=tuple(kept)))
        return replace(self, sections=tuple(sections), edited=self.edited or changed)

    def with_reading(self, told: Sequence[Sentence]) -> Report:
        """The report with what a vision-language model read in the image, as a section of its own."""
        if not told:
            return self
        section = Section(image_reading.TITLE, (Sentence(image_reading.PREFACE, "knowledge"), *told))
        others = [s for s in self.sections if s.title != image_reading.TITLE]
        at = next((n + 1 for n, s in enumerate(others) if s.title == IMPRESSION), len(others))
        return replace(self, sections=(*others[:at], section, *others[at:]))

    def markdown(self) -> str:
        """The report as Markdown, with the table, without pictures."""
        lines = ["# CT report", "", f"**{NOTICE}**", ""]
        for section in self.sections:
            if section.sentences or section.level == 1:
                lines += [f"{'#' * (section.level + 1)} {section.title}", ""]
            if section.title in LISTED:
                lines += [*(f"- {told.text}" for told in section.sentences), ""]
            elif section.sentences:
                lines += [" ".join(told.text for told in section.sentences), ""]
        if self.table:
            lines += ["## Measurements", "", f"| Structure | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
            lines += [f"| {row.name} | {' | '.join(cells(row))} |" for row in self.table]
            lines += ["", under_table(self.table)]
        if self.edited:
            lines += ["", EDITED]
        return "\n".join(lines).rstrip() + "\n"

    def html(self) -> str:
        """A page of its own, printable on A4, with key slices as embedded pictures."""
        return page(self.sections, self.table, self.pictures, self.edited)

    def to_dict(self) -> dict:
        """Sections, sentences with their masks, sources and facts, and the table, ready for JSON."""
        return {
            "notice": NOTICE,
            "scan": asdict(self.origin) if self.origin else None,
            "edited": self.edited,
            "sections": [
                {
                    "title": section.title,
                    "level": section.level,
                    "sentences": [
                        {
                            "text": told.text,
                            "source": told.source,
                            "mask_ids": list(told.mask_ids),
                            "facts": [as_dict(fact) for fact in told.facts],
                        }
                        for told in section.sentences
                    ],
                }
                for section in self.sections
            ],
            "measurements": [
                {
                    "structure": row.structure,
                    "name": row.name,
                    "mask_id": row.mask_id,
                    **{fact.key: fact.value for fact in row.facts},
                    "lower_bound": any(fact.note for fact in row.facts),
                    "limits": limits(row),
                }
                for row in self.table
            ],
        }
