"""What a person wants: words in, requests out. No network, no image, a few milliseconds.

A message is normalised, cut into clauses, and each clause is asked a row of questions (``_RULES``), the more special
first. A rule looks at three things only: which structures are named (``mentions``), which ideas occur (``cues``), and
what was asked before (``followup``). Whole sentences are nowhere written down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from . import (
    cues,
    cues_talk,
    modifiers,
    openings,
    refusals,
    rules_compare,
    rules_edit,
    rules_masks,
    rules_measure,
    rules_presence,
    rules_reply,
    rules_segment,
    rules_space,
    rules_talk,
    rules_view,
    rules_whole,
)
from .clauses import Clause, split
from .contract import Intent, Request
from .followup import Context
from .lexicon import word_set
from .mentions import lexicon, names_to_mend
from .normalise import Speller, words

Rule = Callable[[Clause], "list[Request] | None"]

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

SPELLER = Speller(names_to_mend() | _MENDED, lexicon() | cues.WORDS | cues.FUNCTION_WORDS | cues_talk.FILLERS)


def parse(text: str, history: Sequence[Sequence[Request]] = ()) -> tuple[Request, ...]:
    """Understand one message.

    Args:
        text: what was typed.
        history: requests of each earlier turn, oldest first, as this function gave them (a caller that has decided a
            ``choose`` on the scan may put the chosen structure in its place).

    Returns:
        One or more requests, in the order spoken.
    """
    message = openings.plain(SPELLER.mend(words(text)))
    whole = refusals.of_message(" ".join(message))
    if whole is not None:
        return (whole,)
    context = Context.of(history)
    wish = modifiers.wish(message)
    if wish.alone and context.last is not None:
        again = wish.again(context.last)
        if again is not None:
            return (again,)
    found: list[Request] = []
    left: list[str] = []  # what is asked and not understood
    for clause_words in split(wish.words):
        clause = Clause.read(clause_words, context)
        for request in _understand(clause):
            context.add(request)
            found.append(request)
            if request.intent is Intent.UNKNOWN and not request.unknown and _asks(clause):
                left.append(" ".join(clause_words).rstrip(" ?.!,"))
    if openings.to_file(message) and all(r.topic != "export" for r in found) and any(r.structures for r in found):
        found.append(Request(Intent.CHAT, topic="export"))
    kept = [*map(wish.on, _tidy(found))]
    if left and kept and all(r.intent is not Intent.UNKNOWN for r in kept):
        kept[-1] = replace(kept[-1], left=tuple(left))
    return tuple(kept) or (Request(Intent.UNKNOWN),)


def _asks(clause: Clause) -> bool:
    """Whether a clause wants an answer; "I am a student" and "I am curious" want none."""
    asks = clause.which or clause.yes_no or clause.ordered or "?" in clause.words
    return len(clause.words) > 2 and (
        asks or clause.words[0] in ("how", "where", "why", "when", "tell", "show", "give")
    )


_RULES: tuple[Rule, ...] = (
    rules_reply.shown,
    rules_reply.judged,
    rules_reply.refused_again,
    rules_reply.unknown_again,
    rules_reply.reworded,
    rules_reply.nth,
    rules_reply.against_water,
    rules_reply.other_way,
    rules_reply.value_judged,
    rules_reply.left_open,
    rules_whole.follow_up,
    rules_masks.edited,
    rules_masks.redone,
    rules_masks.removed,
    rules_edit.restart,
    rules_edit.on_page,
    rules_talk.small_talk,
    refusals.of_clause,
    rules_edit.pointed,
    rules_view.undo,
    rules_segment.declined,
    rules_view.view,
    rules_segment.remove,
    rules_talk.list_kind,
    rules_talk.list_slice,
    rules_talk.knowledge,
    rules_talk.report,
    rules_compare.density,
    rules_measure.finding,
    rules_talk.disease,
    rules_edit.level,
    rules_edit.swapped,
    rules_edit.all_vessels,
    rules_edit.on_side,
    rules_edit.parts_counted,
    rules_edit.part_of_aorta,
    rules_whole.share,
    rules_whole.cut,
    rules_whole.rank,
    rules_whole.difference,
    rules_compare.extreme,
    rules_space.between,
    rules_space.beside,
    rules_talk.list_known,
    rules_talk.unmeasured,
    rules_compare.choice,
    rules_compare.compare,
    rules_measure.relation,
    rules_measure.scan,
    rules_reply.cause,
    rules_measure.measure,
    rules_presence.presence,
    rules_segment.segment,
    rules_segment.open_follow_up,
    rules_segment.named_like,
    rules_segment.described,
    rules_talk.outside,
)


def _understand(clause: Clause) -> list[Request]:
    for rule in _RULES:
        requests = rule(clause)
        if requests:
            return requests
    return [Request(Intent.UNKNOWN)]


_TOLD_BESIDES = frozenset({"export", "accuracy", "edit", "edit_none", "limits", "sources", "units", "page"})
"""Of small talk what is an answer of its own, also beside a measurement."""


def _tidy(requests: list[Request]) -> tuple[Request, ...]:
    """Drops repeats, greetings before a question, and "not the heart" beside what is wanted instead."""
    kept = list(dict.fromkeys(requests))
    for drop in (
        lambda r: r.intent is Intent.CHAT and r.topic in ("greeting", "thanks", "goodbye", "acknowledge"),
        lambda r: (
            r.intent is Intent.CHAT
            and r.topic not in _TOLD_BESIDES
            and any(other.intent is not Intent.CHAT for other in requests)
        ),
        lambda r: r.intent is Intent.UNKNOWN,
        lambda r: r.intent is Intent.REFUSE and r.topic in ("negated", "off_topic"),
    ):
        rest = [r for r in kept if not drop(r)]
        kept = rest or kept[:1]
    merged: list[Request] = []
    for request in kept:
        if (
            merged
            and request.intent is Intent.SEGMENT
            and merged[-1].intent is Intent.SEGMENT
            and not (request.choose or merged[-1].choose or request.referring or merged[-1].referring)
        ):
            last = merged.pop()
            request = replace(
                last,
                structures=tuple(dict.fromkeys(last.structures + request.structures)),
                unknown=last.unknown + request.unknown,
                nearest=tuple(dict.fromkeys(last.nearest + request.nearest)),
            )
        merged.append(request)
    return tuple(merged)
