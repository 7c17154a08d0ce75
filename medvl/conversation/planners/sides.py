"""Whether a plan keeps the sides that were said: a wrong side is worse than no plan."""

from __future__ import annotations

from collections.abc import Sequence

from ...language.calls import Call, Chat, Clarify, Lookup, ReadImage, Refuse
from ...language.foreign import english
from ...language.mentions import find
from ...language.normalise import words
from ...language.parse import SPELLER
from ...vocabulary.names import STRUCTURES, counterpart

SIDES = frozenset({"left", "right"})
_OTHER = frozenset({"other", "opposite", "second", "contralateral", "counterpart"})
_TELL = (Chat, Clarify, Lookup, ReadImage, Refuse)  # nothing is measured or drawn on a side


def sides_hold(message: str, calls: Sequence[Call], before: Sequence[Call] = ()) -> bool:
    """Whether each side said stands in the calls, and each side in the calls was said or spoken of before.

    Args:
        message: as typed.
        calls: planned for it.
        before: calls of earlier turns, oldest first.
    """
    said_words = SPELLER.mend(words(english(message)))
    said = SIDES & set(said_words)
    mentioned = [mention.ids for mention in find(said_words)]
    named = {id for ids in mentioned for id in ids if counterpart(id) not in ids}  # "kidneys" names neither side
    earlier = {id for call in before for id in call.structures}
    last = next((set(call.structures) for call in reversed(before) if call.structures), set())
    others = _OTHER & set(said_words)
    alone = {mention.side for mention in find(said_words) if mention.kind == "side"}  # "..., the right one green"
    used = {id for call in calls for id in call.structures}
    planned: set[str] = set()
    for call in calls:
        ids = {id for field in ("of", "against", "whole", "ends") for id in getattr(call, field, ())} & set(STRUCTURES)
        planned |= {value for value in (getattr(call, "claim", ""), getattr(call, "side", "")) if value in SIDES}
        for id in ids:
            side, twin = STRUCTURES[id].side, counterpart(id)
            if not side:
                continue
            planned.add(side)
            if twin in ids or id in named:
                continue
            other = twin in (named | last) and others
            after = side in alone and twin in named & used  # of what the message itself named with the other side
            # of what was spoken of before: not one of two, of which only an answer tells which, and not "the other"
            again = id in earlier and not said and twin not in last and not (others - {"second"} and not named)
            if not (other or after or (side in said and twin not in named) or again):
                return False
    return said <= planned or all(isinstance(call, _TELL) for call in calls)
