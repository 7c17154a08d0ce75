"""A grounded report: what was measured on one CT, by organ, each sentence with its masks and facts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from . import report_closing
from .answering import facts, guard, image_reading, plausible, told_scan
from .answering.contract import Fact, Finder, MaskRef, Reader, Sentence, Step, Words
from .answering.findings import FINDINGS, Outcome
from .answering.looking import look
from .answering.numbers import shown
from .answering.scene import Scene
from .answering.sentences import say
from .answering.vocabulary import EVERYTHING, STRUCTURES
from .answering.words import all_the, be, have, listing, name, sentence, the

if TYPE_CHECKING:
    from .masks import Mask

NOTICE = "Research use only, not for diagnosis."
IMPRESSION = "Impression"  # title of its section
LISTED = frozenset({IMPRESSION, "Not measured, not judged", "Sources"})  # sections whose sentences stand in a list
UNDER_MASKS = (
    "Structures were outlined automatically and every number is measured on these outlines: please check them."
)

ORGANS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Head and neck", ("brainstem", "right_parotid", "left_parotid", "mandible", "larynx"), ()),
    ("Lungs and airways", ("right_lung", "left_lung", "trachea"), ("emphysema", "pleural_effusion")),
    ("Heart", ("heart",), ("cardiomegaly",)),
    ("Liver", ("liver",), ("hepatomegaly", "steatosis", "liver_spleen_difference")),
    ("Gallbladder", ("gallbladder",), ("gallstones",)),
    ("Spleen", ("spleen",), ("splenomegaly",)),
    ("Pancreas and upper digestive tract", ("pancreas", "esophagus", "stomach", "duodenum"), ()),
    ("Kidneys", ("right_kidney", "left_kidney"), ("renal_stones", "kidney_asymmetry")),
    ("Urinary bladder", ("urinary_bladder",), ()),
    ("Vessels", ("aorta", "inferior_vena_cava"), ("aortic_aneurysm", "aortic_calcification")),
    ("Spine and other bones", ("vertebral_column", "other_bone", "spinal_cord"), ("bone_density",)),
)
"""Headings of the findings, with the structures and the rules under each."""

# Of these volume and mean HU say little (filling, air, how much of them the scan holds): the table has them.
_TABLE_ONLY = frozenset(
    {"vertebral_column", "other_bone", "stomach", "duodenum", "esophagus", "trachea", "spinal_cord", "body"}
)


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


@dataclass(frozen=True)
class Report:
    """A report. Exports use the texts as they are, also after ``with_text``.

    Attributes:
        sections: in the order of reading.
        table: measurements.
        pictures: key slices.
        edited: whether a person changed the text.
    """

    sections: tuple[Section, ...]
    table: tuple[Row, ...] = ()
    pictures: tuple[Picture, ...] = field(default=(), repr=False)
    edited: bool = False

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
            lines += ["", LOWER_BOUND]
        if self.edited:
            lines += ["", EDITED]
        return "\n".join(lines).rstrip() + "\n"

    def html(self) -> str:
        """A page of its own, printable on A4, with key slices as embedded pictures."""
        from .report_html import page

        return page(self)

    def to_dict(self) -> dict:
        """Sections, sentences with their masks, sources and facts, and the table, ready for JSON."""
        return {
            "notice": NOTICE,
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
                            "facts": [_fact(fact) for fact in told.facts],
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
                }
                for row in self.table
            ],
        }


COLUMNS = ("Volume", "Mean HU", "SD HU", "Longest diameter", "Top to bottom")
AT_LEAST_SIGN = "\u2265 "
LOWER_BOUND = (
    "A value after \u2265 is a lower bound: the structure reaches the border of the scan. Mean and SD of HU are "
    "over all "
    "voxels of an outline, its edge included; the medians in the text are taken inside."
)
EDITED = "The text was edited by a person; numbers in edited sentences are not checked against the measurements."


def cells(row: Row) -> list[str]:
    """Values of a row as the table shows them."""
    return [(AT_LEAST_SIGN if fact.note else "") + shown(fact) for fact in row.facts]


def _fact(fact: Fact) -> dict:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(fact).items()}


def build_report(
    finder: Finder,
    progress: Callable[[float], None] | None = None,
    cancel: threading.Event | None = None,
    scene: Scene | None = None,
    reader: Reader | None = None,
) -> Iterator[Step | MaskRef | Report]:
    """Look for everything the finder knows, measure it, and write the report.

    Args:
        finder: looks for structures.
        progress: called with the share done, 0 to 1.
        cancel: set it to stop within one slice.
        scene: of a conversation about the same CT, so that nothing is looked for twice.
        reader: reads the image; its words are a section of their own.

    Yields:
        Steps and masks as they come, and the ``Report`` last.

    Raises:
        Cancelled: ``cancel`` was set.
    """
    scene = scene or Scene(finder.ct)
    wanted = [id for id in EVERYTHING if id in finder.known]
    helping = [id for rule in FINDINGS.values() for id in rule.helps if id in finder.known and id not in wanted]
    tell = progress or (lambda share: None)
    for n, structure in enumerate((*wanted, *helping)):
        for piece in look(scene, finder, [structure], cancel, [structure]):
            if isinstance(piece, Step):
                tell((n + piece.share) / (len(wanted) + len(helping) + 1))
            yield piece
    writing = Step("Measure and write the report")
    yield writing
    report = write(scene, wanted)
    tell(1.0)
    yield replace(writing, seconds=0.0, share=1.0, outcome="done")
    if reader is not None:
        told: list[Sentence] = []
        for piece in reader.read_report(told, cancel):
            if not isinstance(piece, Words):
                yield piece
        report = report.with_reading(told)
    yield report


def write(scene: Scene, looked_for: Sequence[str]) -> Report:
    """The report of a scene in which everything of ``looked_for`` was looked for."""
    outcomes = {
        id: rule.of(scene) for id, rule in FINDINGS.items() if any(scene.mask(need) is not None for need in rule.needs)
    }
    sections = [Section("Technique", _technique(scene)), Section("Findings", ())]
    for title, structures, rules in ORGANS:
        told = _organ(
            scene, [id for id in structures if id in looked_for], [r for r in rules if r in outcomes], outcomes
        )
        if told:
            sections.append(Section(title, tuple(told), 2))
    groups = [structures for _, structures, _ in ORGANS]
    sections.append(Section(IMPRESSION, report_closing.impression(scene, outcomes)))
    sections.append(Section("Not measured, not judged", report_closing.limits(scene, outcomes, looked_for, groups)))
    sections.append(Section("Sources", report_closing.sources(outcomes)))
    checked = tuple(replace(s, sentences=tuple(map(guard.ensure, s.sentences))) for s in sections)
    from .report_pictures import key_slices

    return Report(checked, _table(scene), key_slices(scene))


def _technique(scene: Scene) -> tuple[Sentence, ...]:
    told = [*told_scan.scan(scene, "size"), *told_scan.scan(scene, "spacing"), *told_scan.coverage(scene)]
    phase = told_scan.contrast_told(scene)
    notes = [
        Sentence(note if note.endswith(".") else f"{note}.", "scan", (), (Fact("note", note, source="scan"),))
        for note in scene.ct.notes
    ]
    return (*told, *phase, *notes, Sentence(UNDER_MASKS, "program"))


def _organ(
    scene: Scene, structures: Sequence[str], rules: Sequence[str], outcomes: Mapping[str, Outcome]
) -> list[Sentence]:
    told = []
    there = [id for id in structures if scene.mask(id) is not None]
    if not there:
        return []  # said once for all of them, at the end
    widths = {id: _width(scene, id) for id in there if id in ("inferior_vena_cava", "trachea")}
    plain = [id for id in there if id in _TABLE_ONLY and not widths.get(id)]
    for id in there:
        # The rules on liver and spleen tell volume and attenuation themselves.
        if id not in _TABLE_ONLY and not (id == "liver" and "steatosis" in rules):
            told += _described(scene, id, volume_too=id != "spleen")
    if plain:
        were = "were" if len(plain) > 1 or plain[0] == "other_bone" else "was"
        told.append(say(scene, f"{all_the(plain)} {were} found", structures=plain))
    told += [width for width in widths.values() if width]
    told += [warning for id in there if (warning := plausible.doubt(scene, id))]
    gone = [id for id in structures if scene.mask(id) is None]
    if gone:
        were = "were" if len(gone) > 1 or gone[0] == "other_bone" else "was"
        told.append(say(None, f"{all_the(gone)} {were} looked for and not found in this scan"))
    for id in rules:
        outcome = outcomes[id]
        if outcome.verdict in ("met", "not met", "borderline"):
            told += told_scan.outcome_told(scene, outcome, FINDINGS[id])
        elif outcome.told and id != "liver_spleen_difference":  # with contrast the difference says nothing
            told += told_scan.outcome_told(scene, replace(outcome, limits=(), meaning=""), FINDINGS[id])
    return told


def _described(scene: Scene, id: str, volume_too: bool) -> list[Sentence]:
    """Size and attenuation of an organ; a lower bound is named as such."""
    values: list[Fact] = []
    parts: list[str] = []
    if volume_too:
        volume = facts.volume(scene, id)[0]
        values.append(volume)
        parts.append(f"a volume of {'at least ' if volume.note else ''}{shown(volume)}")
    mean, sd = facts.mean_hu(scene, id)
    parts.append(f"a mean of {shown(mean)} (standard deviation {shown(sd)})")
    return [say(scene, f"{the(id)} {have(id)} {listing(parts)}", *values, mean, sd)]


def _width(scene: Scene, id: str) -> Sentence | None:
    wide = next((f for f in facts.diameter(scene, id) if f.key == "cross_diameter_mm"), None)
    return say(scene, f"{the(id)} {be(id)} up to {shown(wide)} wide across", wide) if wide is not None else None


def _table(scene: Scene) -> tuple[Row, ...]:
    rows = []
    for id in STRUCTURES:
        mask: Mask | None = scene.mask(id)
        if mask is None or id == "body":
            continue
        values = (
            *facts.volume(scene, id),
            *facts.mean_hu(scene, id),
            facts.diameter(scene, id)[0],
            facts.extent(scene, id)[0],
        )
        rows.append(Row(id, sentence(name(id)), mask.color, mask.id, values))
    return tuple(rows)
