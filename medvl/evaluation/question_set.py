"""Questions on real cases with what they ask for, and how well a parser understands them.

No wording comes from a training text or from a template. The first 670 were written before the parser; later batches
were scored once, blind, before they joined the dev part. The ``test`` part was never looked at while the parser was
tuned, so the parts are told apart in every table: dev shows what is covered, test what to expect. The ``fresh`` part
was written afterwards, as a visitor would type, to be scored blind; the rules were not mended against it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources

from ..language.calls import (
    Call,
    Clarify,
    Compare,
    Comparing,
    Finding,
    ListStructures,
    Measuring,
    Neighbours,
    Refuse,
    Relating,
    Share,
)
from ..language.followup import is_rest
from .question_calls import calls_of

Parser = Callable[[str, Sequence[Sequence[Call]]], tuple[Call, ...]]
Answerer = Callable[["Question", Sequence[Sequence[Call]]], bool]


@dataclass(frozen=True)
class Question:
    """One question of the set.

    Attributes:
        id: case id and a number.
        case: id in ``cases.json``.
        part: ``"dev"``, ``"test"`` or ``"fresh"``.
        text: the question.
        previous: earlier turns of the same conversation, oldest first.
        expect: calls it should be understood as.
        also: other readings that are as right.
        outcome: ``found``, ``absent`` or ``unlabelled`` in the reference, ``unknown`` to every preset, ``refuse``,
            ``answer`` where no structure is looked for, ``unclear``: the question should be asked back, ``mixed``.
        checks: facts to be computed from the reference labels: ``fact`` and ``structure`` or ``structures``.
    """

    id: str
    case: str
    part: str
    text: str
    expect: tuple[Call, ...]
    previous: tuple[str, ...] = ()
    also: tuple[tuple[Call, ...], ...] = ()
    outcome: str = "answer"
    checks: tuple[dict, ...] = ()


def load_questions(part: str | None = None, case: str | None = None) -> list[Question]:
    """The questions, all or of one part or case."""
    questions = []
    folder = resources.files(__package__) / "questions"
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".json") and file.name != "referring.json":  # requests for masks, see ``text``
            questions += [_question(entry) for entry in json.loads(file.read_text(encoding="utf-8"))]
    return [q for q in questions if part in (None, q.part) and case in (None, q.case)]


def _question(entry: dict) -> Question:
    return Question(
        entry["id"],
        entry["case"],
        entry["part"],
        entry["text"],
        _calls(entry["expect"]),
        tuple(entry.get("previous", ())),
        tuple(map(_calls, entry.get("also", ()))),
        entry["outcome"],
        tuple(entry.get("checks", ())),
    )


def _calls(entries: Iterable[dict]) -> tuple[Call, ...]:
    return tuple(call for entry in entries for call in calls_of(entry))


def history(parser: Parser, turns: Iterable[str]) -> list[tuple[Call, ...]]:
    """Calls of earlier turns, each understood with those before it."""
    before: list[tuple[Call, ...]] = []
    for turn in turns:
        before.append(parser(turn, tuple(before)))
    return before


def same(expected: Sequence[Call], got: Sequence[Call]) -> bool:
    """Whether what is asked, structures, findings and choices are those expected; order counts in relations.

    Of an unknown structure one word in common is enough: "left adrenal" and "adrenal gland" are answered alike.
    """
    got = [call for call in got if not is_rest(call)]
    return len(expected) == len(got) and all(_same(e, g) for e, g in zip(expected, got, strict=True))


def refusal(call: Call) -> bool:
    """Whether a call turns down what was understood."""
    return isinstance(call, Refuse) and not call.unanswered


def _intent(call: Call) -> object:
    """What calls of several tools have in common: measuring, comparing, placing, not understanding."""
    if call.unanswered:
        return "unanswered"
    return next((kind for kind in (Measuring, Comparing, Relating) if isinstance(call, kind)), type(call))


def _same(e: Call, g: Call) -> bool:
    ordered = isinstance(e, Relating) or (isinstance(e, Compare) and e.claim != "")
    structures = e.structures == g.structures if ordered else set(e.structures) == set(g.structures)
    if refusal(e) and e.reason != "negated":
        structures = True  # what a refused question was about changes nothing in the answer
    unknown = bool(e.unknown) == bool(g.unknown) and all(
        any(set(words.split()) & set(other.split()) for other in g.unknown) for words in e.unknown
    )
    if isinstance(e, Finding) and isinstance(g, Finding) and e.id != g.id:
        return False
    return _intent(e) == _intent(g) and structures and unknown and e.choose == g.choose


def same_detail(expected: Sequence[Call], got: Sequence[Call]) -> bool:
    """Whether attribute, relation, claim and topic are also those expected."""
    got = [call for call in got if not is_rest(call)]
    return same(expected, got) and all(_detail(e, g) for e, g in zip(expected, got, strict=True))


def _detail(e: Call, g: Call) -> bool:
    if isinstance(e, Share | Relating) and type(e) is not type(g):
        return False
    weighed = {"weight": "volume"}  # what is told of it
    if weighed.get(e.attribute, e.attribute) != weighed.get(g.attribute, g.attribute) or (e.claim, _side(e)) != (
        g.claim,
        _side(g),
    ):
        return False
    if isinstance(e, Refuse | Clarify) and _reason(e) not in ("not_understood", _reason(g)):
        return False
    if isinstance(e, ListStructures) and e != g:
        return False
    return all(not (told := getattr(e, name, "")) or told == getattr(g, name, "") for name in _DETAILS)


def _side(call: Call) -> str:
    return call.side if isinstance(call, Neighbours) else ""


def _reason(call: Call) -> str:
    return call.reason if isinstance(call, Refuse) else type(call).__name__


_DETAILS = (
    "kind", "topic", "action", "colour", "window", "plane", "number", "op", "name", "radius_mm",
)  # fmt: skip
"""Fields that must be as expected where a question says them."""


def swapped(expected: Sequence[Call], got: Sequence[Call]) -> bool:
    """Whether a left organ was taken for the right one or the reverse: one side asked for, only the other given."""
    wanted = {id for r in expected for id in r.structures}
    given = {id for r in got for id in r.structures}
    for id in given - wanted:
        side, _, organ = id.partition("_")
        other = f"{'left' if side == 'right' else 'right'}_{organ}"
        if side in ("left", "right") and other in wanted and other not in given:
            return True
    return False


@dataclass
class Score:
    """Counts over the questions of one part.

    Attributes:
        questions: how many.
        understood: intent and structures right.
        detail: attribute, relation, claim and topic right as well.
        refusals: questions that must be refused, and how many were.
        false_refusals: questions refused that must not be.
        swapped: wrong-side errors.
        seconds: mean time of a parse.
        failures: id, text, what was expected, what was given.
        answered: with an answerer: questions with checks, and how many had every number right.
    """

    questions: int = 0
    understood: int = 0
    detail: int = 0
    refusals: tuple[int, int] = (0, 0)
    false_refusals: int = 0
    swapped: int = 0
    seconds: float = 0.0
    failures: list[tuple[str, str, tuple[Call, ...], tuple[Call, ...]]] = field(default_factory=list)
    answered: tuple[int, int] = (0, 0)

    def row(self) -> dict[str, float | int | str]:
        """For a table or JSON; shares in percent."""
        share = 100 / max(1, self.questions)
        row: dict[str, float | int | str] = {
            "questions": self.questions,
            "intent and structures %": round(share * self.understood, 1),
            "with attribute, relation, topic %": round(share * self.detail, 1),
            "refusals right": f"{self.refusals[1]}/{self.refusals[0]}",
            "refused wrongly": self.false_refusals,
            "wrong side": self.swapped,
            "ms a question": round(1000 * self.seconds, 2),
        }
        if self.answered[0]:
            row["numbers right"] = f"{self.answered[1]}/{self.answered[0]}"
        return row


def score(parser: Parser, questions: Iterable[Question], answerer: Answerer | None = None) -> dict[str, Score]:
    """Score a parser, part by part.

    Args:
        parser: ``intent.parse`` or anything with its interface.
        questions: for instance ``load_questions()``.
        answerer: called with each question that has checks and the calls of its earlier turns; True when every
            number in the answer is that of the reference. Without it only understanding is scored.

    Returns:
        A score for each part that occurs.
    """
    scores: dict[str, Score] = {}
    for question in questions:
        result = scores.setdefault(question.part, Score())
        before = history(parser, question.previous)
        start = time.perf_counter()
        got = parser(question.text, tuple(before))
        result.seconds += time.perf_counter() - start
        readings = (question.expect, *question.also)
        reading = next((r for r in readings if same(r, got)), question.expect)
        right = same(reading, got)
        result.questions += 1
        result.understood += right
        result.detail += any(same_detail(r, got) for r in readings)
        result.swapped += swapped(reading, got)
        # where one right reading is no refusal, refusing is neither demanded nor an error
        refuse = all(any(refusal(r) for r in calls) for calls in readings)
        may_refuse = any(any(refusal(r) for r in calls) for calls in readings)
        refused = any(refusal(r) for r in got)
        result.refusals = (result.refusals[0] + refuse, result.refusals[1] + (refuse and refused))
        result.false_refusals += refused and not may_refuse
        if not right:
            result.failures.append(
                (question.id, " >> ".join((*question.previous, question.text)), question.expect, got)
            )
        if answerer and question.checks:
            result.answered = (result.answered[0] + 1, result.answered[1] + answerer(question, before))
    for result in scores.values():
        result.seconds /= max(1, result.questions)
    return scores
