"""Conversations about labelled scans: from what is labelled to questions and answers with ``[SEG]``.

Everything said is true of the labels. A structure is called absent only where ``Facts.absent`` says so; of a structure
in neither list nothing is known and nothing is said. The same facts and the same random state give the same turns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...vocabulary.names import GROUPS
from ...vocabulary.numbers import show
from ...vocabulary.spoken import listing, sentence
from ...vocabulary.structure import names
from . import phrases
from .names import be, described, said, split_side, spoken, swap_name
from .samples import SEG, Turn

TURNS = 4
MANY = 4  # structures in one answer


@dataclass(frozen=True)
class Measured:
    """What was measured on a label: volume in mL, longest diameter in mm, mean HU."""

    volume_ml: float
    longest_diameter_mm: float
    mean_hu: float


@dataclass(frozen=True)
class Facts:
    """What the labels of a scan say.

    Attributes:
        present: structures with a mask.
        absent: structures that are known not to be in the scan.
        descriptions: structure -> phrases that mean it, with article ("the larger kidney").
        measured: structure -> what was measured on its label; may measure when asked.
        voxels: structure -> size of its label, of those that lie within the scan as a whole.
    """

    present: tuple[str, ...]
    absent: tuple[str, ...] = ()
    descriptions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measured: Mapping[str, Measured] = field(default_factory=dict)
    voxels: Mapping[str, int] = field(default_factory=dict)


def pick(choices: Sequence[str], rng: np.random.Generator) -> str:
    """One of several texts."""
    return choices[int(rng.integers(len(choices)))]


def converse(facts: Facts, rng: np.random.Generator, turns: int = TURNS) -> tuple[Turn, ...]:
    """Turns about a labelled scan.

    Args:
        facts: what is labelled.
        rng: decides everything.
        turns: how many.

    Returns:
        ``turns`` turns or fewer if there is not so much to say; none if nothing is labelled.
    """
    makers: list[tuple[float, Callable[[Facts, np.random.Generator], Turn | None]]] = []
    if facts.present:
        makers += [(0.34, _semantic), (0.08, _group), (0.06, _presence)]
        if len(facts.present) > 1:
            makers += [(0.2, _several)]
        if any(_phrases(facts, name) for name in facts.present):
            makers += [(0.14, _referring)]
    if facts.measured:
        makers += [(0.1, _measured)]
    if facts.absent:
        makers += [(0.16, _absent), (0.04, _absence)]
    if not makers:
        return ()
    weights = np.array([weight for weight, _ in makers])
    said_already: dict[str, Turn] = {}
    for _ in range(6 * turns):
        if len(said_already) == turns:
            break
        _, maker = makers[int(rng.choice(len(makers), p=weights / weights.sum()))]
        turn = maker(facts, rng)
        if turn is not None:
            said_already.setdefault(turn.question, turn)
    return tuple(said_already.values())


# ---- one maker a kind


def _semantic(facts: Facts, rng: np.random.Generator) -> Turn:
    name = pick(facts.present, rng)
    asked = _ask(_the(_called(name, rng)), rng, name)
    templates = phrases.ANSWER if be(name) == "is" else phrases.ANSWER_PLURAL
    return Turn(asked, _fill(pick(templates, rng), name, s=SEG), (name,), "semantic")


def _several(facts: Facts, rng: np.random.Generator) -> Turn:
    """Several targets in one answer, at times with one that is absent."""
    count = int(rng.integers(2, min(MANY, len(facts.present)) + 1))
    here = [facts.present[i] for i in rng.choice(len(facts.present), count, replace=False)]
    missing = [pick(facts.absent, rng)] if facts.absent and rng.random() < 0.25 else []
    asked = here + missing
    rng.shuffle(asked)
    question = _ask(listing([_the(_called(name, rng)) for name in asked]), rng, many=True)
    return Turn(question, _answer_many(asked, here), tuple(n for n in asked if n in here), "semantic")


def _group(facts: Facts, rng: np.random.Generator) -> Turn | None:
    """Such as "segment both kidneys": only where each side is known to be there or not."""
    known = set(facts.present) | set(facts.absent)
    groups = [g for g in ("kidneys", "lungs", "parotids") if set(GROUPS[g]) <= known]
    groups = [g for g in groups if set(GROUPS[g]) & set(facts.present)]
    if not groups:
        return None
    group = pick(groups, rng)
    noun = "parotid glands" if group == "parotids" else group
    asked = pick(("the {}", "both {}", "the right and the left {}", "the two {}"), rng).format(noun)
    here = [n for n in GROUPS[group] if n in facts.present]
    return Turn(_ask(asked, rng, many=True), _answer_many(GROUPS[group], here), tuple(here), "semantic")


def _referring(facts: Facts, rng: np.random.Generator) -> Turn:
    name = pick([n for n in facts.present if _phrases(facts, n)], rng)
    question = _ask(pick(_phrases(facts, name), rng), rng, name)
    return Turn(question, _fill(pick(phrases.ANSWER_REFERRING, rng), name, s=SEG), (name,), "referring")


def _absent(facts: Facts, rng: np.random.Generator) -> Turn:
    name = pick(facts.absent, rng)
    texts = described(name)
    asked = pick(texts, rng) if texts and rng.random() < 0.2 else _the(_called(name, rng))
    return Turn(_ask(asked, rng, name), _fill(pick(phrases.ABSENT, rng), name), (), "absent")


def _presence(facts: Facts, rng: np.random.Generator) -> Turn:
    name = pick(facts.present, rng)
    question = _fill(pick(phrases.PRESENCE, rng), name, x=_the(_called(name, rng)))
    return Turn(question, _fill(pick(phrases.YES, rng), name), (), "presence", (name,))


def _absence(facts: Facts, rng: np.random.Generator) -> Turn:
    name = pick(facts.absent, rng)
    question = _fill(pick(phrases.PRESENCE, rng), name, x=_the(_called(name, rng)))
    return Turn(question, _fill(pick(phrases.NO, rng), name), (), "presence")


def _measured(facts: Facts, rng: np.random.Generator) -> Turn:
    name = pick(tuple(facts.measured), rng)
    attribute, unit, questions, answers = phrases.MEASURES[int(rng.integers(len(phrases.MEASURES)))]
    value = show(float(getattr(facts.measured[name], attribute)), unit)
    question = _fill(pick(questions, rng), name, x=_the(_called(name, rng)))
    return Turn(question, _fill(pick(answers, rng), name, n=value), (), "measured", (name,))


# ---- words


def _called(name: str, rng: np.random.Generator) -> str:
    """The usual name, in four of ten cases a synonym."""
    return pick(said(name), rng) if rng.random() < 0.4 else spoken(name)


def _the(name: str) -> str:
    return f"the {name}"


def _ask(x: str, rng: np.random.Generator, name: str = "", many: bool = False) -> str:
    """A question for masks; of several structures where ``many``, else of ``name``."""
    templates = (*phrases.ASK, *phrases.ASK_MANY) if many else phrases.ASK
    return _agree(pick(templates, rng), many or be(name) == "are", x=x)


def _fill(template: str, name: str, **values: str) -> str:
    the = _the(spoken(name))
    return _agree(template, be(name) == "are", The=sentence(the), the=the, **values)


def _agree(template: str, plural: bool, **values: str) -> str:
    """A template filled, with verbs and pronoun for one or several."""
    be, does, have, it = ("are", "do", "have", "they") if plural else ("is", "does", "has", "it")
    if template.endswith("segment {it}."):
        it = "them" if plural else "it"
    return template.format(be=be, Be=sentence(be), does=does, have=have, it=it, **values)


def _answer_many(asked: Sequence[str], here: Sequence[str]) -> str:
    parts = [f"{_the(spoken(n))} {be(n)} {SEG}" for n in asked if n in here]
    missing = [n for n in asked if n not in here]
    text = sentence(listing(parts)) + "."
    if missing:
        verb = be(missing[0]) if len(missing) == 1 else "are"
        text += f" {sentence(listing([_the(spoken(n)) for n in missing]))} {verb} not in this scan."
    return text


def _phrases(facts: Facts, name: str) -> tuple[str, ...]:
    """What may stand for a structure without naming it."""
    return (*facts.descriptions.get(name, ()), *described(name), *_compared(facts, name))


def _compared(facts: Facts, name: str) -> tuple[str, ...]:
    """Such as "the larger kidney", where both sides are whole and differ clearly."""
    side, rest = split_side(name)
    mine, other = facts.voxels.get(name), facts.voxels.get(swap_name(name))
    if not side or not mine or not other:
        return ()
    word = "larger" if mine > 1.15 * other else "smaller" if other > 1.15 * mine else ""
    noun = rest.replace("_", " ")
    return (f"the {word} {noun}", f"the {word} of the two {noun}s") if word else ()


NOT_GIVEN = frozenset(names("not given., not given, nan, none"))


def given(text: str | None) -> str:
    """A text of a dataset with white space tidied; "" where it says that there is none."""
    text = " ".join((text or "").split())
    return "" if text.lower() in NOT_GIVEN else text
