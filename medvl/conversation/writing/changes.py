"""What changed since an earlier scan: a sentence each for a few structures, a summary of many, and the table of all."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from ...ct.changes import Change
from ...tools.changes import facts_of
from ...tools.executor import Result
from ...tools.fact import Fact
from ...tools.facts import AT_LEAST
from ...tools.scene import Scene
from ...vocabulary.numbers import show
from ...vocabulary.spoken import be, have, listing, the
from ..contract import Sentence, Table
from .sentences import say

EACH = 3  # of more than these the table tells the values, and a sentence the greatest change
HEAD = ("", "Now", "Before", "Change", "%", "")


def answer(scene: Scene, result: Result) -> Generator[Table, None, list[Sentence]]:
    """Yields the table of several changes, returns what is said of them, or why there are none."""
    if len(result.changes) > 1:
        yield table(result.changes)
    note = [say(None, result.note, source="program")] if result.note and not result.call.unknown else []
    return note + told(scene, result.changes)


def told(scene: Scene, changes: Sequence[Change], each: int = EACH) -> list[Sentence]:
    """Sentences on changes, what is doubtful besides.

    Args:
        scene: the present scan.
        changes: what changed.
        each: most changes that get a sentence of their own.
    """
    both = [change for change in changes if change.change_ml is not None]
    said = [_one(scene, change) for change in (both if len(both) <= each else [])]
    if len(both) > each:
        said += _greatest(scene, both)
    for change in changes:
        if change.change_ml is None:
            said.append(_one_sided(scene, change))
    doubtful = [change for change in both if change.doubts]
    return said + [_doubt(scene, change) for change in doubtful]


def table(changes: Sequence[Change]) -> Table:
    """Volumes now, before, and what they differ by, with what limits each."""
    return Table(HEAD, tuple(tuple(row(change)) for change in changes))


def row(change: Change) -> list[str]:
    """Cells of a change, as ``HEAD`` names them."""
    return [
        change.name,
        _volume(change.now_ml, change.now_note),
        _volume(change.prior_ml, change.prior_note),
        _signed(change.change_ml, "mL"),
        _signed(change.change_percent, "%"),
        "doubtful" if change.doubts else "" if change.whole or change.change_ml is None else "lower bounds",
    ]


def _volume(value: float | None, note: str) -> str:
    if value is None:
        return "not found" if note else ""
    return ("\u2265 " if note.startswith(AT_LEAST) else "") + show(value, "mL")


def _signed(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    text = show(value, unit)
    return f"+{text}" if value > 0 and text[:1] != "0" else text


def _one(scene: Scene, change: Change) -> Sentence:
    least, before = ("at least " if note.startswith(AT_LEAST) else "" for note in (change.now_note, change.prior_note))
    text = (
        f"{_what(change)} {_has(change)} {least}{show(change.now_ml, 'mL')} now and {before}"
        f"{show(change.prior_ml, 'mL')} in the prior"
    )
    if least or before:  # what is cut differs by how much of it each scan holds
        return _say(scene, change, f"{text}; it is not whole in both, so no change is told")
    text += f": a change of {_signed(change.change_ml, 'mL')}"
    if change.change_percent is not None:
        text += f" ({_signed(change.change_percent, '%')})"
    return _say(scene, change, text)


def _greatest(scene: Scene, both: Sequence[Change]) -> list[Sentence]:
    """How many were compared, and which of those that can be compared changed the most."""
    count = Fact("count", len(both))
    whole = [change for change in both if change.whole and change.change_percent is not None]
    said = [say(None, f"{count.value} structures have a volume in both scans; the table tells each", count)]
    if whole:
        most = max(whole, key=lambda change: abs(change.change_percent))
        text = (
            f"of those that are whole in both, {_what(most)} changed the most in proportion: "
            f"{_signed(most.change_ml, 'mL')} ({_signed(most.change_percent, '%')})"
        )
        said.append(_say(scene, most, text))
    return said


def _one_sided(scene: Scene, change: Change) -> Sentence:
    if change.now_ml is None and change.prior_ml is None:
        return _say(scene, change, f"{_what(change)} {_is(change)} in neither scan: {change.now_note}", False)
    now = change.now_ml is not None
    value, note = (change.now_ml, change.prior_note) if now else (change.prior_ml, change.now_note)
    where = "now" if now else "in the prior"
    return _say(scene, change, f"{_what(change)} {_has(change)} {show(value, 'mL')} {where} and was {note}", False)


def _doubt(scene: Scene, change: Change) -> Sentence:
    """Why a difference may be none."""
    why = list(change.doubts)
    for note, when in ((change.now_note, "in this scan"), (change.prior_note, "in the prior")):
        if note.startswith(AT_LEAST):
            why.append(f"{when} it {note.removeprefix(f'{AT_LEAST}, since it ')}")
    text = f"the difference of {_what(change)} is not to be relied on: {listing(why)}"
    told = Fact("limits", text, structures=(change.structure,) if change.structure else ())
    return say(scene, text, told, structures=told.structures)


def _say(scene: Scene, change: Change, text: str, found: bool = True) -> Sentence:
    structures = (change.structure,) if change.structure else ()
    facts = [*facts_of(change), Fact("said", change.name, structures=structures)]
    if not found:
        facts.append(Fact("found", False, "", structures))
    said = say(scene, text, *facts, structures=structures)
    return said if change.structure or not change.mask_id else Sentence(
        said.text, said.source, (change.mask_id,), said.facts
    )  # fmt: skip


def _what(change: Change) -> str:
    return the(change.structure) if change.structure else f'"{change.name}"'


def _has(change: Change) -> str:
    return have(change.structure) if change.structure else "has"


def _is(change: Change) -> str:
    return be(change.structure) if change.structure else "is"
