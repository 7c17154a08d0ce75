"""Answers of the conversation, judged against reference labels.

Segmentation is left out: the conversation runs over the reference labels themselves (``LabelFinder``), so that what is
wrong is wrong in understanding, measuring or telling. What is true comes from ``question_facts``, which is written
apart from the code that answers. Numbers count as right when the answer states the true value rounded to the place that
it shows; nothing else is forgiven. The answer is read as text, as a person reads it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..conversation.contract import Answer, Done
from ..conversation.conversation import Conversation
from ..conversation.guard import Number, numbers, offending
from ..language.calls import Call, Compare, Presence, Probe, Relate
from ..report.build import build_report
from ..tools.fact import Fact
from ..vocabulary.spoken import name
from .cases import LabelledCase
from .label_finder import LabelFinder
from .question_facts import Value, reference_value
from .question_set import Question, refusal, swapped

UNITS = {
    "volume_ml": "mL", "mean_hu": "HU", "distance_mm": "mm", "extent_mm": "mm", "spacing_mm": "mm", "hu_range": "HU",
    "slice_range": "", "shape": "", "slice_count": "",
}  # fmt: skip
"""Checks whose value is one or several numbers, with the unit that the answer must give them."""

CLOSED = {
    "present": "presence", "touching": "touching", "side": "left or right", "above": "above or below",
    "front": "front or behind", "larger": "comparison", "smaller": "comparison", "brighter": "comparison",
    "darker": "comparison",
}  # fmt: skip
"""Checks with one of a few answers, and the type that they are counted under; ``yes or no`` is another type."""

_CLAIMS = {
    "larger": "larger", "smaller": "smaller", "brighter": "brighter", "darker": "darker", "left": "side",
    "right": "side", "above": "above", "below": "above", "front": "front", "behind": "front", "touching": "touching",
}  # fmt: skip
_WAYS = {
    "to the left of": ("side", "left"), "to the right of": ("side", "right"), "above": ("above", "above"),
    "below": ("above", "below"), "in front of": ("front", "front"), "behind": ("front", "behind"),
}  # fmt: skip
_TURNED = {
    "left": "right", "right": "left", "above": "below", "below": "above", "front": "behind", "behind": "front",
}  # fmt: skip
_ORDER = re.compile(r"\b(larger|smaller|brighter|darker)\b")
_LESS = ("smaller", "darker")
_NOT_THERE = re.compile(r"did not find|not be found|not found|cannot be segmented|not in this scan")
_NEGATED = re.compile(r"\b(absent|removed|missing|gone|lacks?|lost|without|taken? out|no [a-z]+, right)\b", re.I)
_WHOLE = re.compile(r"\b(whole|wholly|complete(ly)?|entire(ly)?|outside|beyond|cut|part of)\b", re.I)
_RAS_FACTS = {"first_slice": ("slice_range", 0), "last_slice": ("slice_range", 1)}


@dataclass(frozen=True)
class Verdict:
    """One thing that an answer was to say.

    Attributes:
        kind: type of a closed question, ``number``, or ``yes or no``.
        right: whether it said so.
        expected: what is true, in words.
    """

    kind: str
    right: bool
    expected: str


def conversation_answer(talk: Conversation, question: Question) -> Answer:
    """The answer to a question after its earlier turns; what was said before is forgotten, what was measured is not."""
    talk.clear()
    for turn in question.previous:
        list(talk.ask(turn))
    return next(piece.answer for piece in talk.ask(question.text) if isinstance(piece, Done))


def stated(value: float, unit: str, said: Sequence[Number]) -> bool:
    """Whether one of the numbers of a text is a value, rounded to the place written, in its unit."""
    factors = {("L", "mL"): 1000.0, ("cm", "mm"): 10.0}
    for number in said:
        factor = 1.0 if number.unit == unit else factors.get((number.unit, unit))
        if factor is None:
            continue
        if number.below:
            if 0 <= value < number.value * factor:
                return True
        elif abs(number.value * factor - value) <= factor * number.step / 2 + 1e-6:
            return True
    return False


def judge(question: Question, answer: Answer, case: LabelledCase) -> list[Verdict]:
    """All that the reference can judge of an answer: its checks, and a yes or no."""
    verdicts = []
    for check in question.checks:
        value, fact = reference_value(check, case), check["fact"]
        if fact in UNITS:
            verdicts.append(_numbers_verdict(fact, value, answer))
        else:
            said = _said(fact, check, answer.text)
            about = " ".join(check.get("structures", (check.get("structure", ""),)))
            verdicts.append(Verdict(CLOSED[fact], said == value, f"{fact} ({about}) {value}, said {said}"))
    yes = expected_yes(question, case)
    if yes is not None:
        lead = re.match(r"(Yes|No)\b", answer.text)
        said = None if lead is None else lead[1] == "Yes"
        verdicts.append(Verdict("yes or no", said is yes, f"{'yes' if yes else 'no'}, said {said}"))
    return verdicts


def _numbers_verdict(fact: str, value: Value, answer: Answer) -> Verdict:
    values = value if isinstance(value, tuple) else (value,)
    said = numbers(answer.text)
    if fact == "slice_range":  # of one slice, its number is said once
        values = tuple(dict.fromkeys(values))
    right = all(stated(float(v), UNITS[fact], said) for v in values)
    return Verdict("number", right, f"{fact} {', '.join(f'{float(v):g}' for v in values)} {UNITS[fact]}".rstrip())


def expected_yes(question: Question, case: LabelledCase) -> bool | None:
    """Whether "yes" is the right answer; None where the question is no yes-or-no question that the labels can judge."""
    if len(question.expect) != 1 or question.also:
        return None
    call = question.expect[0]
    labelled = set(case.names.values()) | case.complete
    if not call.structures or not set(call.structures) <= labelled:
        return None
    if isinstance(call, Presence) and not _WHOLE.search(question.text):
        there = all(reference_value({"fact": "present", "structure": s}, case) for s in call.structures)
        return there is not bool(_NEGATED.search(question.text))
    return _claim_holds(call, case)


def _claim_holds(call: Call, case: LabelledCase) -> bool | None:
    fact = _CLAIMS.get(call.claim)
    there = all(reference_value({"fact": "present", "structure": s}, case) for s in call.structures)
    if fact is None or len(call.structures) != 2 or not there:
        return None
    by_volume = isinstance(call, Compare) and call.by == "volume"
    if not (isinstance(call, Relate) or by_volume or (isinstance(call, Compare) and call.by == "mean_hu")):
        return None
    if fact in ("larger", "smaller") and not by_volume:
        return None
    value = reference_value({"fact": fact, "structures": call.structures}, case)
    if isinstance(value, bool):
        return value
    return value == (call.structures[0] if fact == call.claim and fact in (*_LESS, "larger", "brighter")
                     else call.claim)  # fmt: skip


# ---- reading an answer


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+", text)


def _position(structure: str, text: str) -> int:
    return text.lower().find(name(structure).lower())


def _said(fact: str, check: dict, text: str) -> Value | None:
    """What a text says of a closed check; None where it says nothing of it."""
    if fact == "present":
        mine = [s for s in _sentences(text) if _position(check["structure"], s) >= 0]
        return None if not mine else not any(_NOT_THERE.search(s) for s in mine)
    first, second = check["structures"][:2]
    for sentence in _sentences(text):
        if fact in ("larger", "smaller", "brighter", "darker"):
            said = _compared(fact, first, second, sentence)
        elif min(_position(first, sentence), _position(second, sentence)) < 0:
            continue
        elif fact == "touching":
            touch = re.search(r"\btouch(es)?\b", sentence)
            said = None if touch is None else "not touch" not in sentence
        else:
            said = _way(fact, first, second, sentence)
        if said is not None:
            return said
    return None


def _compared(fact: str, first: str, second: str, sentence: str) -> str | None:
    order = _ORDER.search(sentence)
    places = {id: _position(id, sentence) for id in (first, second)}
    if order is None or min(places.values()) < 0:
        return None
    bright = {"brighter", "darker"}
    if (order[1] in bright) is not (fact in bright):
        return None
    # "A is larger than B", "the larger one is A: ... for B": who comes first has more of the word that is said
    lead = min(places, key=places.get)
    other = second if lead == first else first
    return lead if (order[1] in _LESS) is (fact in _LESS) else other


def _way(fact: str, first: str, second: str, sentence: str) -> str | None:
    for words, (kind, way) in _WAYS.items():
        at = sentence.find(f" {words} the ")
        if kind == fact and at >= 0:
            return way if _position(first, sentence) < at < _position(second, sentence) else _TURNED[way]
    return None


# ---- facts, measured again


def remeasured(fact: Fact, case: LabelledCase) -> bool | None:
    """Whether a fact has the value that plain array arithmetic gives; None where that is not done for its kind."""
    if fact.value is None or len(fact.structures) != 1 or fact.structures[0] not in case.names.values():
        return None
    check, index = _RAS_FACTS.get(fact.key, (fact.key, None))
    if check not in ("volume_ml", "mean_hu", "slice_range"):
        return None
    value = reference_value({"fact": check, "structure": fact.structures[0]}, case)
    value = value[index] if index is not None else value
    return abs(float(fact.value) - float(value)) <= 1e-6 * max(1.0, abs(float(value)))


# ---- scores


@dataclass
class AnswerScore:
    """Counts over the answers of one part of the question set.

    Attributes:
        answers: how many questions were answered.
        closed: right and all by type, ``number`` among them.
        faithful: answers with numbers whose every number is in the facts of its sentence, and all with numbers.
        facts: facts that were measured again and agree, and all that could be.
        refused: questions that must be refused and were, or were looked at, and all that must be.
        refused_wrongly: questions on what is there that were refused.
        wrong_side: answers about the other side than the one asked for.
        seconds: of all answers.
        failures: id, question, what was expected, the answer.
    """

    answers: int = 0
    closed: dict[str, tuple[int, int]] = field(default_factory=dict)
    faithful: tuple[int, int] = (0, 0)
    facts: tuple[int, int] = (0, 0)
    refused: tuple[int, int] = (0, 0)
    refused_wrongly: int = 0
    wrong_side: int = 0
    seconds: float = 0.0
    failures: list[tuple[str, str, str, str]] = field(default_factory=list)

    def rows(self) -> list[tuple[str, int, int, float]]:
        """What was counted, right, of how many, percent."""
        counts = dict(sorted(self.closed.items()))
        counts["all numbers in the answer are its facts"] = self.faithful
        counts["facts measured again agree"] = self.facts
        counts["refused where it must"] = self.refused
        return [(what, right, of, 100 * right / of) for what, (right, of) in counts.items() if of]


def score_answers(questions: Iterable[Question], cases: Iterable[LabelledCase]) -> dict[str, AnswerScore]:
    """Answer every question of the cases given over their reference labels, and judge.

    Returns:
        A score for each part that occurs; questions of other cases are left out.
    """
    questions = list(questions)
    scores: dict[str, AnswerScore] = {}
    for case in cases:
        finder = LabelFinder(case.ct, case.labels, case.names, case.complete)
        talk = Conversation(finder, write_report=partial(build_report, finder))
        for question in (q for q in questions if q.case == case.id):
            begin = time.perf_counter()
            answer = conversation_answer(talk, question)
            score = scores.setdefault(question.part, AnswerScore())
            score.seconds += time.perf_counter() - begin
            _count(score, question, answer, case)
    return scores


def _count(score: AnswerScore, question: Question, answer: Answer, case: LabelledCase) -> None:
    score.answers += 1
    wrong = []
    for verdict in judge(question, answer, case):
        score.closed[verdict.kind] = _more(score.closed.get(verdict.kind, (0, 0)), verdict.right)
        wrong += [] if verdict.right else [f"{verdict.kind}: {verdict.expected}"]
    if any(numbers(sentence.text) for sentence in answer.sentences if sentence.source != "knowledge"):
        bad = [n for s in answer.sentences if s.source != "knowledge" for n in offending(s.text, s.facts)]
        score.faithful = _more(score.faithful, not bad)
        wrong += [f"numbers that are no fact: {', '.join(bad)}"] if bad else []
    for fact in dict.fromkeys(fact for sentence in answer.sentences for fact in sentence.facts):
        agrees = remeasured(fact, case)
        if agrees is not None:
            score.facts = _more(score.facts, agrees)
            wrong += [] if agrees else [f"{fact.key} of {fact.structures[0]} is not {fact.value}"]
    readings = (question.expect, *question.also)
    must = all(any(refusal(r) for r in reading) for reading in readings)
    if must:
        # A look says what was seen and names no disease, which the guard sees to: it is as good as a refusal.
        held = answer.refused or any(isinstance(call, Probe) for call in answer.calls)
        score.refused = _more(score.refused, held)
        wrong += [] if held else ["a refusal"]
    elif question.outcome == "found" and answer.refused:
        score.refused_wrongly += 1
        wrong.append("no refusal")
    if all(swapped(reading, answer.calls) for reading in readings):
        score.wrong_side += 1
        wrong.append("the other side")
    if wrong:
        asked = " >> ".join((*question.previous, question.text))
        score.failures.append((question.id, asked, "; ".join(wrong), answer.text))


def _more(count: tuple[int, int], right: bool) -> tuple[int, int]:
    return count[0] + right, count[1] + 1
