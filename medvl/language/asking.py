"""How the rules turn a clause into calls: by what it names, describes, or takes over from before."""

from __future__ import annotations

from typing import Any, TypeVar

from ..vocabulary.names import GROUPS, counterpart
from . import cues
from .calls import About, Call, Comparing, Described, Finding
from .clauses import Clause
from .referring import Referral, describe

_SOME = cues.cue("(first|former|last|latter) (two|2|ones)")
Named = TypeVar("Named", bound=About)

WHICH_ONE = cues.cue("(which|what) (organ|structure|thing|part|vessel|gland|bone)s?")


def about(clause: Clause, tool: type[Described], **more: Any) -> Any:
    """A call about what the clause names, or what it describes; unknown names go along."""
    referral = referral_of(clause)
    if referral is not None:
        rest = [m for i, m in enumerate(clause.mentions) if i not in referral.used]
        ids = [*referral.ids, *(id for m in rest if m.kind == "known" for id in m.ids)]
        unknown = [m for m in rest if m.kind == "unknown"]
        more = {"choose": referral.choose, "description": referral.text, **more}
    else:
        ids, unknown = [*clause.structures], clause.unknown
        more = {**_chosen_before(clause), **more}
    return tool(
        tuple(dict.fromkeys(ids)),
        unknown=tuple(m.text for m in unknown),
        nearest=tuple(dict.fromkeys(id for m in unknown for id in m.nearest)),
        **more,
    )


def referral_of(clause: Clause) -> Referral | None:
    """What the clause describes rather than names; a question which of two it is describes nothing."""
    if clause.says(WHICH_ONE) and not imperative(clause):
        return None
    referral = describe(clause.words, clause.mentions)
    if referral and clause.yes_no:
        named = [m for i, m in enumerate(clause.mentions) if i not in referral.used and m.kind == "known"]
        if any(m.end <= referral.start for m in named):
            return None  # "is the liver the largest organ"
    return referral


def _chosen_before(clause: Clause) -> dict[str, str]:
    """The open choice that "it" points to: "show the larger kidney", "how big is it"."""
    last = clause.context.last
    if last and not clause.explicit and clause.structures == last.structures:
        if last.choose:
            return {"choose": last.choose, "description": last.description}
        if last.which and isinstance(last, Comparing) and all(m.number == 1 for m in clause.known):
            return {"choose": last.which}
    return {}


def imperative(clause: Clause) -> bool:
    """Whether a mask is ordered, by a strong verb or by a weak one that asks nothing."""
    return clause.ordered or (clause.says(cues.SEGMENT_WEAK) and not clause.yes_no and not clause.which)


def told_width(call: Call) -> bool:
    """Whether what answers a call holds a width, with the slice it was measured in."""
    return call.attribute == "diameter" or (isinstance(call, Finding) and call.id == "aortic_aneurysm")


def group_of(ids: tuple[str, ...]) -> str:
    """Id of what is spoken of: the structure, or the group if it is exactly that."""
    if len(ids) == 1:
        return ids[0]
    return next((group for group, members in GROUPS.items() if set(members) == set(ids)), "")


def pair_of(clause: Clause) -> tuple[str, ...]:
    """The structures of a comparison or relation; what is not said is taken from before, or is the other side."""
    ids = clause.structures
    if len(ids) >= 2:
        return ids
    before = clause.context.last
    if clause.unknown and not clause.context.turns[-1]:
        return ids  # the other one is named, and not known
    some = _SOME.search(clause.text)
    if some and before is not None and len(before.structures) > 2:
        return before.structures[:2] if some[1] in ("first", "former") else before.structures[-2:]
    if len(ids) == 1:
        if before and before.structures != ids:
            others = tuple(id for id in before.structures if id not in ids)
            if len(others) != 1:
                return ids
            # "is the left one larger?" speaks of the left one, "compare with the left" of the one before
            return (*ids, *others) if clause.yes_no and "than" not in clause.words else (*others, *ids)
        other = counterpart(ids[0])
        return (ids[0], other) if other else ids
    return clause.context.two()


def plain(clause: Clause, tool: type[Named], **more: Any) -> Named:
    """A call about what is named, without looking for descriptions."""
    return tool(
        clause.structures,
        unknown=tuple(m.text for m in clause.unknown),
        nearest=tuple(dict.fromkeys(id for m in clause.unknown for id in m.nearest)),
        **more,
    )
