"""What a person wants: words in, requests out. No network, no image, a few milliseconds.

A message is normalised, cut into clauses, and each clause is asked a row of questions (``_RULES``), the more special
first. A rule looks at three things only: which structures are named (``mentions``), which ideas occur (``cues``), and
what was asked before (``followup``). Whole sentences are nowhere written down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..vocabulary.structure import word_set
from . import cues, cues_talk, modifiers, openings
from .calls import Call, Chat, Refuse, Segment
from .clauses import Clause, split
from .followup import Context
from .mentions import lexicon, names_to_mend
from .normalise import Speller, words
from .rules import (
    anatomy,
    changes,
    compare,
    edit,
    measure,
    page,
    presence,
    refuse,
    reply,
    segment,
    space,
    talk,
    view,
    whole,
)

Rule = Callable[[Clause], "list[Call] | None"]

# words of the cues that are worth mending, beside the names of structures
_MENDED = word_set(
    """
    segment segmentation outline delineate contour highlight describe report summarize volume diameter density
    attenuation hounsfield contrast thickness slices which where compare larger smaller bigger brighter darker
    distance between touching nearest closest behind calcium calcification calcified aneurysm emphysema effusion
    pleural steatosis gallstones stones osteoporosis enlarged visible segmented measure please remove length
    everything position located resolution orientation arterial venous organs average voxel window
    """
)

KNOWN_WORDS = lexicon() | cues.WORDS | cues.FUNCTION_WORDS | cues_talk.FILLERS
"""Words that some rule looks at or that say nothing; a message of others may be read over."""

SPELLER = Speller(names_to_mend() | _MENDED, KNOWN_WORDS)


def parse(text: str, history: Sequence[Sequence[Call]] = ()) -> tuple[Call, ...]:
    """Understand one message.

    Args:
        text: what was typed.
        history: requests of each earlier turn, oldest first, as this function gave them (a caller that has decided a
            ``choose`` on the scan may put the chosen structure in its place).

    Returns:
        One or more requests, in the order spoken.
    """
    message = openings.plain(SPELLER.mend(words(text)))
    whole = refuse.of_message(" ".join(message))
    if whole is not None:
        return (whole,)
    context = Context.of(history)
    wish = modifiers.wish(message)
    if wish.alone and context.last is not None:
        again = wish.again(context.last)
        if again is not None:
            return (again,)
    found: list[Call] = []
    left: list[str] = []  # what is asked and not understood
    for clause_words in split(wish.words):
        clause = Clause.read(clause_words, context)
        for request in _understand(clause):
            context.add(request)
            found.append(request)
            if request.unanswered and not request.unknown and _asks(clause):
                left.append(" ".join(clause_words).rstrip(" ?.!,"))
    if openings.to_file(message) and Chat("export") not in found and any(r.structures for r in found):
        found.append(Chat("export"))
    kept = [*map(wish.on, _tidy(found))]
    if left and kept and not any(r.unanswered for r in kept):
        kept.append(Refuse(words=tuple(left)))
    return tuple(kept) or (Refuse(),)


def _asks(clause: Clause) -> bool:
    """Whether a clause wants an answer; "I am a student" and "I am curious" want none."""
    asks = clause.which or clause.yes_no or clause.ordered or "?" in clause.words
    return len(clause.words) > 2 and (
        asks or clause.words[0] in ("how", "where", "why", "when", "tell", "show", "give")
    )


_RULES: tuple[Rule, ...] = (
    reply.shown,
    reply.judged,
    reply.refused_again,
    reply.reworded,
    reply.nth,
    reply.against_water,
    reply.other_way,
    whole.follow_up,
    changes.changes,
    edit.edited,
    edit.redone,
    edit.removed,
    page.restart,
    page.on_page,
    talk.small_talk,
    refuse.of_clause,
    page.pointed,
    view.undo,
    segment.declined,
    view.view,
    segment.remove,
    talk.list_kind,
    talk.list_slice,
    talk.knowledge,
    talk.report,
    compare.density,
    measure.finding,
    talk.disease,
    anatomy.level,
    anatomy.all_vessels,
    anatomy.on_side,
    anatomy.parts_counted,
    anatomy.part_of_aorta,
    whole.share,
    whole.cut,
    whole.rank,
    compare.extreme,
    space.between,
    space.beside,
    talk.list_known,
    talk.unmeasured,
    compare.choice,
    compare.compare,
    measure.relation,
    measure.scan,
    reply.cause,
    measure.measure,
    presence.presence,
    segment.segment,
    segment.open_follow_up,
    segment.described,
    talk.outside,
)


def _understand(clause: Clause) -> list[Call]:
    for rule in _RULES:
        requests = rule(clause)
        if requests:
            return requests
    return [Refuse()]


_TOLD_BESIDES = frozenset({"export", "accuracy", "edit", "edit_none", "limits", "sources", "units", "page"})
"""Of small talk what is an answer of its own, also beside a measurement."""


def _tidy(requests: list[Call]) -> tuple[Call, ...]:
    """Drops repeats, greetings before a question, and "not the heart" beside what is wanted instead."""
    kept = list(dict.fromkeys(requests))
    for drop in (
        lambda r: isinstance(r, Chat) and r.topic in ("greeting", "thanks", "goodbye", "acknowledge"),
        lambda r: (
            isinstance(r, Chat)
            and r.topic not in _TOLD_BESIDES
            and any(not isinstance(other, Chat) for other in requests)
        ),
        lambda r: r.unanswered,
        lambda r: isinstance(r, Refuse) and r.reason in ("negated", "off_topic"),
    ):
        rest = [r for r in kept if not drop(r)]
        kept = rest or kept[:1]
    merged: list[Call] = []
    for request in kept:
        if (
            merged
            and isinstance(request, Segment)
            and isinstance(merged[-1], Segment)
            and not (request.choose or merged[-1].choose or request.description or merged[-1].description)
        ):
            last = merged.pop()
            request = replace(
                last,
                of=tuple(dict.fromkeys(last.of + request.of)),
                unknown=last.unknown + request.unknown,
                nearest=tuple(dict.fromkeys(last.nearest + request.nearest)),
            )
        merged.append(request)
    return tuple(merged)
