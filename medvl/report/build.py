"""A grounded report: what was measured on one CT, by organ, each sentence with its masks and facts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..conversation import guard
from ..conversation.contract import ImageReader, Sentence, Words
from ..conversation.writing import changes as told_changes
from ..conversation.writing import plausible
from ..conversation.writing import scan as told_scan
from ..conversation.writing.sentences import not_found, say
from ..structures.found import Finder
from ..tools import changes, facts
from ..tools.executor import OFFERED_OF_MANY, Executor, Seen
from ..tools.fact import Fact, shown
from ..tools.findings import FINDINGS, Outcome
from ..tools.looking import look
from ..tools.looks import LOOKS
from ..tools.pieces import MaskRef, Step
from ..tools.scene import Scene
from ..vocabulary.names import EVERYTHING, STRUCTURES
from ..vocabulary.spoken import all_the, be, have, listing, name, sentence, the
from . import closing as report_closing
from . import seen as seen_in
from .parts import Origin, Row, Section
from .report import IMPRESSION, Report

if TYPE_CHECKING:
    from ..ct.mask_list import MaskList
    from ..ct.masks import Mask

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
    ("Abdomen", (), ()),
    ("Vessels", ("aorta", "inferior_vena_cava"), ("aortic_aneurysm", "aortic_calcification")),
    ("Spine and other bones", ("vertebral_column", "other_bone", "spinal_cord"), ("bone_density",)),
    ("Whole body", (), ()),
)
"""Headings of the findings, with the structures and the rules under each."""

# Of these volume and mean HU say little (filling, air, how much of them the scan holds): the table has them.
_TABLE_ONLY = frozenset(
    {"vertebral_column", "other_bone", "stomach", "duodenum", "esophagus", "trachea", "spinal_cord", "body"}
)


def build_report(
    finder: Finder,
    progress: Callable[[float], None] | None = None,
    cancel: threading.Event | None = None,
    scene: Scene | None = None,
    reader: ImageReader | None = None,
    listed: MaskList | None = None,
) -> Iterator[Step | MaskRef | Report]:
    """Look for everything the finder knows, measure it, and write the report.

    Args:
        finder: looks for structures.
        progress: called with the share done, 0 to 1.
        cancel: set it to stop within one slice.
        scene: of a conversation about the same CT, so that nothing is looked for twice.
        reader: reads the image; its words are a section of their own.
        listed: takes the masks of spots; without it they are told and have no mask.

    Yields:
        Steps and masks as they come, and the ``Report`` last.

    Raises:
        Cancelled: ``cancel`` was set.
    """
    scene = scene or Scene(finder.ct)
    wanted = [id for id in EVERYTHING if id in finder.known]
    kinds = [LOOKS[id] for ids in seen_in.BY_HEADING.values() for id in ids]
    helps = dict.fromkeys(id for kind in (*FINDINGS.values(), *kinds) for id in kind.helps)
    helping = [id for id in helps if id in finder.known and id not in wanted]
    tell = progress or (lambda share: None)
    for n, structure in enumerate((*wanted, *helping)):
        for piece in look(scene, finder, [structure], cancel, [structure]):
            if isinstance(piece, Step):
                tell((n + piece.share) / (len(wanted) + len(helping) + 1))
            yield piece
    writing = Step("Measure and write the report")
    yield writing
    seen: dict[str, Seen] = {}
    executor = Executor(scene, finder, listed)
    for piece in seen_in.looked(executor):
        if isinstance(piece, Step):
            yield piece
        else:
            seen = piece
    if scene.earlier is not None:
        present = [id for id in wanted if scene.mask(id) is not None]
        yield from changes.looked(scene, finder, scene.earlier, present, cancel)
    report = write(scene, wanted, seen, executor)
    yield from map(MaskRef, executor.offered)
    tell(1.0)
    yield replace(writing, seconds=0.0, share=1.0, outcome="done")
    if reader is not None:
        told: list[Sentence] = []
        for piece in reader.read_report(told, cancel):
            if not isinstance(piece, Words):
                yield piece
        report = report.with_reading(told)
    yield report


def write(scene: Scene, looked_for: Sequence[str], seen: dict[str, Seen], executor: Executor) -> Report:
    """The report of a scene in which everything of ``looked_for`` was looked for, and what looks gave."""
    outcomes = {
        id: rule.of(scene) for id, rule in FINDINGS.items() if any(scene.mask(need) is not None for need in rule.needs)
    }
    of_rules = {id: executor.offer(o.look, OFFERED_OF_MANY) for id, o in outcomes.items() if o.look is not None}
    origin = Origin.of(scene.ct.info)
    sections = [Section("Technique", (origin.sentence(), *_technique(scene))), Section("Findings", ())]
    for title, structures, rules in ORGANS:
        told = _organ(
            scene,
            [id for id in structures if id in looked_for],
            [r for r in rules if r in outcomes],
            outcomes,
            of_rules,
        )
        told += [said for id in seen_in.BY_HEADING.get(title, ()) if id in seen for said in seen_in.told(seen[id])]
        if told:
            sections.append(Section(title, tuple(told), 2))
    if scene.earlier is not None:
        compared = changes.changes(scene, None, scene.earlier, [id for id in looked_for if scene.mask(id) is not None])
        told = told_changes.told(scene, compared, len(compared))
        sections.append(Section("Changes", (_held_against(scene), *told)))
    groups = [structures for _, structures, _ in ORGANS]
    sections.append(Section(IMPRESSION, report_closing.impression(scene, outcomes, seen)))
    sections.append(
        Section(
            "Not measured, not judged",
            (*report_closing.limits(scene, outcomes, looked_for, groups), *seen_in.limits(seen)),
        )
    )
    sections.append(Section("Sources", (*report_closing.sources(outcomes), *seen_in.sources(seen, outcomes))))
    if not scene.ct.hu_trusted:  # said once, before anything else; what states HU is left out
        told = {s.title: tuple(guard.believed(s.sentences, scene.ct)[1:]) for s in sections}
        warning = guard.believed((), scene.ct)
        sections = [replace(s, sentences=told[s.title]) for s in sections]
        sections[0] = replace(sections[0], sentences=(*warning, *sections[0].sentences))
    checked = tuple(replace(s, sentences=tuple(map(guard.ensure, s.sentences))) for s in sections)
    from .pictures import key_slices

    return Report(checked, _table(scene), key_slices(scene), origin=origin)


def _held_against(scene: Scene) -> Sentence:
    """Which earlier scan the changes are since."""
    name, found = scene.earlier.scene.ct.info.file_name, scene.earlier.found
    similarity = Fact("similarity", round(found.similarity, 2), "", source="scan")
    which = f" ({name})" if name else ""
    text = f"held against an earlier scan{which}, laid over this one (correlation {shown(similarity)})"
    return say(None, text, similarity, Fact("said", name), source="scan")


def _technique(scene: Scene) -> tuple[Sentence, ...]:
    told = [*told_scan.scan(scene, "size"), *told_scan.scan(scene, "spacing"), *told_scan.coverage(scene)]
    phase = told_scan.contrast_told(scene)
    notes = [
        Sentence(note if note.endswith(".") else f"{note}.", "scan", (), (Fact("note", note, source="scan"),))
        for note in scene.ct.notes
        if note != scene.ct.hu_note
    ]
    return (*told, *phase, *notes, Sentence(UNDER_MASKS, "program"))


def _organ(
    scene: Scene,
    structures: Sequence[str],
    rules: Sequence[str],
    outcomes: Mapping[str, Outcome],
    of_rules: Mapping[str, Seen],
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
        told.append(say(scene, f"{all_the(plain)} {were} found", Fact("found", True, "", tuple(plain))))
    told += [width for width in widths.values() if width]
    for id in there:
        if scene.mask(id).ends:
            ended = Fact("ended", scene.mask(id).limits, "", (id,))
            told.append(say(scene, f"{the(id)} {ended.value} and may go on: its sizes are lower bounds", ended))
    told += [
        warning for id in there for warning in (plausible.doubt(scene, id), plausible.unsure(scene, id)) if warning
    ]
    gone = [id for id in structures if scene.mask(id) is None and not _out_of_view(scene, id)]
    if gone:
        were = "were" if len(gone) > 1 or gone[0] == "other_bone" else "was"
        told.append(say(None, f"{all_the(gone)} {were} looked for and not found in this scan", not_found(gone)))
    for id in rules:
        outcome = outcomes[id]
        if id in of_rules:
            told += seen_in.told(of_rules[id])
            if outcome.meaning:
                told.append(say(scene, outcome.meaning, *outcome.facts))
        elif outcome.verdict in ("met", "not met", "borderline"):
            told += told_scan.outcome_told(scene, outcome, FINDINGS[id])
        elif outcome.told and id != "liver_spleen_difference":  # with contrast the difference says nothing
            told += told_scan.outcome_told(scene, replace(outcome, limits=(), meaning=""), FINDINGS[id])
    return told


def _out_of_view(scene: Scene, id: str) -> bool:
    found = scene.found(id)
    return found is not None and bool(found.reason)  # said at the end, with the reason


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


_NO_HU = (Fact("mean_hu", None, "HU"), Fact("sd_hu", None, "HU"))


def _table(scene: Scene) -> tuple[Row, ...]:
    rows = []
    for id in STRUCTURES:
        mask: Mask | None = scene.mask(id)
        if mask is None or id == "body":
            continue
        values = (
            *facts.volume(scene, id),
            *(facts.mean_hu(scene, id) if scene.ct.hu_trusted else _NO_HU),
            facts.diameter(scene, id)[0],
            facts.extent(scene, id)[0],
        )
        rows.append(Row(id, sentence(name(id)), mask.color, mask.id, values))
    return tuple(rows)
