"""Messages that are no prose: sums with a minus, a window in numbers, the overlap of two masks, a plane through one.

Each is made of names, numbers and a few words of its own; a message that says anything else is none of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import get_args

from ..vocabulary.structure import word_set
from . import cues
from .calls import Call, Relate, Show, Total
from .calls.base import Plane
from .mentions import Mention, find
from .quantities import window_hu

_BESIDE = cues.FUNCTION_WORDS | word_set("please what show me give . ? , ( ) !")
_SUM = _BESIDE | word_set(
    "plus minus volume volumes sum total together left over ml milliliters calculate compute equals"
)
_WINDOW = _BESIDE | word_set("window level width ww wl w l left liters center set change to hu from and between at")
_OVERLAP = word_set("dice jaccard iou overlap overlaps overlapping")
_MASKS = (
    _BESIDE
    | _OVERLAP
    | word_set("score coefficient mask masks between ml volume much how do does is there any compute in share by")
)
_PLANES = frozenset(get_args(Plane)) - {""}
_VIEW = _BESIDE | _PLANES | word_set("view slice plane cut image picture section through of at level go take middle")


def formula(said: Sequence[str]) -> Call | None:
    """The call that a message spells; None where it is none of these.

    Args:
        said: of ``normalise.words``, mended.
    """
    words = set(said)
    if "window" in words or words & {"ww", "wl"} or words >= {"level", "width"}:
        return _window(said)
    named = find(list(said))
    if not named or any(mention.kind != "known" for mention in named):
        return None
    rest = {word for at, word in enumerate(said) if not any(m.start <= at < m.end for m in named)}
    rest -= {mention.side for mention in named}  # "left and right lung"
    ids = tuple(dict.fromkeys(id for mention in named for id in mention.ids))
    if "minus" in rest and rest <= _SUM:
        return _sum(said, named)
    if rest & _OVERLAP and rest <= _MASKS and len(ids) == 2:
        return Relate(ids, kind="overlap")
    if len(planes := rest & _PLANES) == 1 and rest <= _VIEW and len(named) == 1:
        return Show(ids, action="centre", plane=planes.pop())
    return None


def _window(said: Sequence[str]) -> Show | None:
    if {word for word in said if not re.fullmatch(r"-?\d+(\.\d+)?", word)} <= _WINDOW and (told := window_hu(said)):
        return Show(action="window", level=told[0], width=told[1])
    return None


def _sum(said: Sequence[str], named: Sequence[Mention]) -> Total | None:
    added: list[str] = []
    taken: list[str] = []
    into, starts = added, {mention.start: mention for mention in named}
    for at, word in enumerate(said):
        if mention := starts.get(at):
            into += mention.ids
        into = taken if word == "minus" else added if word == "plus" else into
    return Total(tuple(added), against=tuple(taken)) if added and taken and not set(added) & set(taken) else None
