"""What earlier turns add to a message: "it", "both", "the other one", "the left", "and the spleen?".

The history is what was asked, turn by turn, so nothing here needs an image: a request says what it was about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..vocabulary.names import GROUPS, STRUCTURES, counterpart, on_side
from .calls import (
    Between,
    Call,
    Compare,
    Comparing,
    Edit,
    Finding,
    Lookup,
    Measure,
    Measuring,
    Presence,
    Refuse,
    Relating,
    Remove,
    Segment,
    Share,
    Show,
    changed,
    turned,
)
from .mentions import PAIRED, Mention

_CARRIED = (Segment, Measuring, Comparing, Relating, Presence, Finding, Remove, Edit, Show, Lookup)


def _is_carried(call: Call) -> bool:
    """Whether "it" may mean what a call was about, also where what was asked of it is not answered."""
    return isinstance(call, _CARRIED) or (
        isinstance(call, Refuse) and call.reason in ("diagnosis", "unjudged", "cause")
    )


def is_rest(call: Call) -> bool:
    """Whether a call only says which part of a message was not understood."""
    return isinstance(call, Refuse) and bool(call.words)


def _kin(call: Call) -> tuple[type, str]:
    """What calls have in common that ask the same of several structures."""
    return next((kind for kind in _CARRIED if isinstance(call, kind)), type(call)), call.choose


@dataclass
class Context:
    """Calls so far, oldest first: those of earlier turns, then those found in this message.

    Attributes:
        turns: calls of each turn; the message being read is the last.
    """

    turns: list[list[Call]] = field(default_factory=list)

    @staticmethod
    def of(history: Sequence[Sequence[Call]]) -> Context:
        """From the calls of each earlier turn, oldest first, without what of a message was not understood."""
        return Context([[call for call in turn if not is_rest(call)] for turn in history] + [[]])

    def add(self, call: Call) -> None:
        """A call of the message being read."""
        self.turns[-1].append(call)

    @property
    def last(self) -> Call | None:
        """The last call that was about structures; of several at once, their union."""
        for turn in reversed(self.turns):
            about = [call for call in turn if call.structures and _is_carried(call)]
            if about:
                same = [call for call in about if _kin(call) == _kin(about[-1])]
                if isinstance(about[-1], Between):
                    return about[-1]
                return replace(about[-1], of=tuple(dict.fromkeys(id for call in same for id in call.structures)))
        return None

    @property
    def last_finding(self) -> Finding | None:
        """The last call for a finding in this conversation."""
        found = [call for turn in self.turns for call in turn if isinstance(call, Finding)]
        return found[-1] if found else None

    def one(self) -> tuple[str, ...]:
        """What "it" means: what the last call was about; of a relation, what was placed."""
        last = self.last
        if last is None:
            return ()
        placed = isinstance(last, Relating) and len(last.structures) == 2
        return last.structures[:1] if placed else last.structures

    def two(self) -> tuple[str, ...]:
        """What "both" and "each other" mean: those of the last call, or the last two asked about in turn."""
        last = self.last
        if last is None:
            return ()
        if len(last.structures) >= 2:
            return last.structures
        seen: list[str] = []
        for turn in reversed(self.turns):
            for request in reversed(turn):
                new = [id for id in request.structures if id not in seen] if _is_carried(request) else []
                seen += new if not seen or len(request.structures) == 1 else []
                if len(seen) >= 2:
                    return (seen[1], seen[0])
        group = STRUCTURES[seen[0]].group if seen else ""
        return GROUPS[group] if group in PAIRED else tuple(seen)

    def paired(self) -> str | None:
        """Group of the last paired organ asked about."""
        for turn in reversed(self.turns):
            for request in reversed(turn):
                for id in reversed(request.structures):
                    if STRUCTURES[id].paired:
                        return STRUCTURES[id].group
        return None

    def resolve(self, mentions: list[Mention]) -> list[Mention]:
        """The mentions with those that point back turned into structures.

        A pointer that means something in its own sentence ("the kidney and its volume") is dropped: the structure is
        there already. A side that fits no paired organ is left as it is: it is a claim ("is the heart on the left?").
        """
        resolved: list[Mention] = []
        for mention in mentions:
            before = [m for m in resolved if m.kind == "known"]
            if mention.kind in ("known", "unknown"):
                resolved.append(mention)
            elif mention.kind == "side":
                resolved.append(self._side(mention, before, mentions))
            elif mention.kind == "other":
                resolved += self._other(mention, before)
            elif not before:
                ids = self.two() if mention.number == 2 else self.one()
                if ids:
                    resolved.append(replace(mention, kind="known", ids=ids))
                elif not any(m.kind == "known" for m in mentions):
                    resolved.append(mention)
        return resolved

    def _side(self, mention: Mention, before: list[Mention], mentions: list[Mention]) -> Mention:
        groups = [m.concept for m in before if m.concept in PAIRED]
        # "is it bigger than the left one": the organ that "it" means
        groups += [STRUCTURES[id].group for m in before if not m.concept for id in m.ids if STRUCTURES[id].paired]
        groups += [m.concept for m in mentions if m.kind == "known" and m.concept in PAIRED]
        if not groups:
            named = any(m.kind in ("known", "unknown") for m in mentions)
            group = None if named else self.paired()
        else:
            group = groups[-1] if len(before) and before[-1].concept == groups[-1] else groups[0]
        if group is None:
            return mention
        return replace(mention, kind="known", ids=(on_side(group, mention.side),), concept=group)

    def _other(self, mention: Mention, before: list[Mention]) -> list[Mention]:
        ids = before[-1].ids if before else (self.last.structures if self.last else ())
        if mention.concept:  # "the other kidney": of the kidney that was spoken of last, both if none was
            members = GROUPS[mention.concept]
            spoken = [id for turn in self.turns for r in turn for id in r.structures if id in members]
            single = next((id for id in [id for m in before for id in m.ids][::-1] if id in members), None)
            single = single or (spoken[-1] if spoken else None)
            chosen = tuple(id for id in members if id != single)
            return [replace(mention, kind="known", ids=chosen)]
        single = ids[-1] if ids else None
        other = counterpart(single) if single else None
        if other is None:
            return []
        return [replace(mention, kind="known", ids=(other,), concept=STRUCTURES[other].group)]

    def carry(self, structures: tuple[str, ...], unknown: tuple[str, ...], nearest: tuple[str, ...]) -> Call | None:
        """The last call again, about other structures: "and the spleen?"; None where there is none to repeat."""
        last = self.last
        if last is None or (isinstance(last, Edit) and (not last.changed or last.op in ("undo", "redo", "rename"))):
            return None
        new = {"unknown": unknown, "nearest": nearest, "description": "", "choose": "", "part": ""}
        fresh = changed(last, of=structures, **new)
        whole = last.whole if isinstance(last, Share) else last.against if isinstance(last, Compare) else ()
        if whole and structures and not set(structures) & set(whole):
            return changed(fresh, claim="")  # another part of the same whole, or another to compare with the same sum
        if isinstance(last, Relating) and len(last.structures) == 2 and len(structures) == 1:
            pair = (structures[0], last.structures[structures[0] != last.structures[1]])
            return replace(fresh, of=(), ends=pair) if isinstance(fresh, Between) else replace(fresh, of=pair)
        if isinstance(last, Comparing) and len(structures) == 1:
            # after a comparison, one more structure is asked for the same quality
            return turned(fresh, Measure, what=last.attribute or "volume")
        if isinstance(last, Lookup):
            about = structures[0] if len(structures) == 1 else STRUCTURES[structures[0]].group if structures else ""
            return replace(fresh, topic=about)
        return changed(fresh, claim="") if isinstance(last, Measure | Presence) else fresh
