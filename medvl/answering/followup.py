"""What earlier turns add to a message: "it", "both", "the other one", "the left", "and the spleen?".

The history is what was asked, turn by turn, so nothing here needs an image: a request says what it was about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .contract import Intent, Request
from .mentions import PAIRED, Mention
from .vocabulary import GROUPS, STRUCTURES, counterpart, on_side

_CARRIED = {
    Intent.SEGMENT,
    Intent.MEASURE,
    Intent.COMPARE,
    Intent.RELATION,
    Intent.PRESENCE,
    Intent.FINDING,
    Intent.REMOVE,
    Intent.EDIT,
    Intent.VIEW,
    Intent.KNOWLEDGE,
}


def _is_carried(request: Request) -> bool:
    """Whether "it" may mean what a request was about, also where what was asked of it is not answered."""
    return request.intent in _CARRIED or request.topic in ("diagnosis", "unjudged", "cause")


@dataclass
class Context:
    """Requests so far, oldest first: those of earlier turns, then those found in this message.

    Attributes:
        turns: requests of each turn; the message being read is the last.
    """

    turns: list[list[Request]] = field(default_factory=list)

    @staticmethod
    def of(history: Sequence[Sequence[Request]]) -> Context:
        """From the requests of each earlier turn, oldest first."""
        return Context([[*turn] for turn in history] + [[]])

    def add(self, request: Request) -> None:
        """A request of the message being read."""
        self.turns[-1].append(request)

    @property
    def last(self) -> Request | None:
        """The last request that was about structures; of several at once, their union."""
        for turn in reversed(self.turns):
            about = [r for r in turn if r.structures and _is_carried(r)]
            if about:
                same = [r for r in about if (r.intent, r.choose) == (about[-1].intent, about[-1].choose)]
                ids = dict.fromkeys(id for r in same for id in r.structures)
                said = about[-1].referring if about[-1].intent is not Intent.EDIT else ""
                return replace(about[-1], structures=tuple(ids), referring=said)
        return None

    @property
    def last_finding(self) -> Request | None:
        """The last request for a finding in this conversation."""
        found = [r for turn in self.turns for r in turn if r.intent is Intent.FINDING]
        return found[-1] if found else None

    def one(self) -> tuple[str, ...]:
        """What "it" means: what the last request was about; of a relation, what was placed."""
        last = self.last
        if last is None:
            return ()
        placed = last.intent is Intent.RELATION and len(last.structures) == 2
        return last.structures[:1] if placed else last.structures

    def two(self) -> tuple[str, ...]:
        """What "both" and "each other" mean: those of the last request, or the last two asked about in turn."""
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

    def carry(self, structures: tuple[str, ...], unknown: tuple[str, ...], nearest: tuple[str, ...]) -> Request | None:
        """The last request again, about other structures: "and the spleen?"; None where there is none to repeat."""
        last = self.last
        if last is None or (last.intent is Intent.EDIT and last.attribute in ("", "undo", "redo", "rename")):
            return None
        fresh = replace(
            last,
            structures=structures,
            unknown=unknown,
            nearest=nearest,
            referring="",
            choose="",
            topic=last.topic if last.topic != "aorta_parts" else "",
        )
        if last.whole and structures and not set(structures) & set(last.whole):
            return replace(fresh, claim="")  # another part of the same whole, or another to compare with the same sum
        if last.intent is Intent.RELATION and len(last.structures) == 2 and len(structures) == 1:
            anchor = last.structures[structures[0] != last.structures[1]]
            return replace(fresh, structures=(structures[0], anchor))
        if last.intent is Intent.COMPARE and len(structures) == 1:
            # after a comparison, one more structure is asked for the same quality
            kept = "volume" if last.attribute == "share" else last.attribute
            return replace(fresh, intent=Intent.MEASURE, attribute=kept, claim="", which="", whole=())
        if last.intent is Intent.KNOWLEDGE:
            about = structures[0] if len(structures) == 1 else STRUCTURES[structures[0]].group if structures else ""
            return replace(fresh, topic=about)
        if last.intent is Intent.EDIT:
            return replace(fresh, referring="")
        if last.intent in (Intent.MEASURE, Intent.REMOVE, Intent.SEGMENT, Intent.PRESENCE):
            return replace(fresh, claim="")
        return fresh
