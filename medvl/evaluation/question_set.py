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

from ..answering.contract import Intent, Request

Parser = Callable[[str, Sequence[Sequence[Request]]], tuple[Request, ...]]
Answerer = Callable[["Question", Sequence[Sequence[Request]]], bool]


@dataclass(frozen=True)
class Question:
    """One question of the set.

    Attributes:
        id: case id and a number.
        case: id in ``cases.json``.
        part: ``"dev"``, ``"test"`` or ``"fresh"``.
        text: the question.
        previous: earlier turns of the same conversation, oldest first.
        expect: requests it should be understood as.
        also: other readings that are as right.
        outcome: ``found``, ``absent`` or ``unlabelled`` in the reference, ``unknown`` to every preset, ``refuse``,
            ``answer`` where no structure is looked for, ``unclear``: the question should be asked back, ``mixed``.
        checks: facts to be computed from the reference labels: ``fact`` and ``structure`` or ``structures``.
    """

    id: str
    case: str
    part: str
    text: str
    expect: tuple[Request, ...]
    previous: tuple[str, ...] = ()
    also: tuple[tuple[Request, ...], ...] = ()
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
        tuple(map(_request, entry["expect"])),
        tuple(entry.get("previous", ())),
        tuple(tuple(map(_request, reading)) for reading in entry.get("also", ())),
        entry["outcome"],
        tuple(entry.get("checks", ())),
    )


def _request(entry: dict) -> Request:
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return Request(**{**values, "intent": Intent(values["intent"])})


def history(parser: Parser, turns: Iterable[str]) -> list[tuple[Request, ...]]:
    """Requests of earlier turns, each understood with those before it."""
    before: list[tuple[Request, ...]] = []
    for turn in turns:
        before.append(parser(turn, tuple(before)))
    return before


def same(expected: Sequence[Request], got: Sequence[Request]) -> bool:
    """Whether intents, structures, findings and choices are those expected; order counts in relations.

    Of an unknown structure one word in common is enough: "left adrenal" and "adrenal gland" are answered alike.
    """
    return len(expected) == len(got) and all(_same(e, g) for e, g in zip(expected, got, strict=True))


def _same(e: Request, g: Request) -> bool:
    ordered = e.intent is Intent.RELATION or (e.intent is Intent.COMPARE and e.claim != "")
    structures = e.structures == g.structures if ordered else set(e.structures) == set(g.structures)
    if e.intent is Intent.REFUSE and e.topic != "negated":
        structures = True  # what a refused question was about changes nothing in the answer
    unknown = bool(e.unknown) == bool(g.unknown) and all(
        any(set(words.split()) & set(other.split()) for other in g.unknown) for words in e.unknown
    )
    return e.intent is g.intent and structures and unknown and e.finding == g.finding and e.choose == g.choose


def same_detail(expected: Sequence[Request], got: Sequence[Request]) -> bool:
    """Whether attribute, relation, claim and topic are also those expected."""
    return same(expected, got) and all(
        (e.attribute, e.relation, e.claim, e.topic)
        == (g.attribute, g.relation, g.claim, g.topic if e.topic else e.topic)
        for e, g in zip(expected, got, strict=True)
    )


def swapped(expected: Sequence[Request], got: Sequence[Request]) -> bool:
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
    failures: list[tuple[str, str, tuple[Request, ...], tuple[Request, ...]]] = field(default_factory=list)
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
        answerer: called with each question that has checks and the requests of its earlier turns; True when every
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
        refuse = all(any(r.intent is Intent.REFUSE for r in requests) for requests in readings)
        may_refuse = any(any(r.intent is Intent.REFUSE for r in requests) for requests in readings)
        refused = any(r.intent is Intent.REFUSE for r in got)
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
