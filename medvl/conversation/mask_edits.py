"""Masks changed by words: what an edit does to the list of masks, what it says of it, and how it is taken back.

The operations are those of the list of masks on the page (``medvl.ct.masks``). What is changed is a step of the mask's
own history; what is merged becomes a new mask, so that the volume of a structure stays that of the structure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..ct import mask_operations as operations
from ..ct.mask_list import NAME_LENGTH, MaskList
from ..ct.masks import Mask
from ..errors import MedVLError
from ..language import cues
from ..language.calls import IT, LISTED, Edit, mask_of
from ..language.normalise import words
from ..structures.found import Finder
from ..tools.fact import Fact
from ..tools.pieces import View
from ..tools.scene import Scene
from ..vocabulary.names import GROUPS, STRUCTURES
from ..vocabulary.numbers import show
from ..vocabulary.spoken import listing, name, sentence, the
from . import mask_changes
from .contract import Sentence
from .writing import sentences

_SETS = {  # what needs two masks: what it is called, an example
    "union": ("merging", "merge the two kidneys"),
    "subtract": ("subtracting", "subtract the gallbladder from the liver"),
    "intersect": ("intersecting", "intersect the liver with the stomach"),
}
_UNNAMED = cues.FUNCTION_WORDS | {"mask", "masks", "object", "piece", "hole", "holes", "all", "smooth", "fill"}


@dataclass
class Edited:
    """What an edit gave: the call as it was done, sentences, masks as they are now, a change of the view."""

    call: Edit
    told: list[Sentence]
    masks: list[Mask] = field(default_factory=list)
    view: View | None = None


@dataclass
class _Entry:
    """An edit that can be taken back.

    Attributes:
        turn: number of the message.
        kind: ``put`` (steps of the masks' own histories), ``union`` or ``rename``.
        after: masks as the edit left them.
        names: of ``rename``, those before.
        parts: of ``union``, ids of what was merged.
        made: ids in ``after`` that come and go with the step of another.
    """

    turn: int
    kind: str
    after: dict[str, Mask]
    names: dict[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    made: frozenset[str] = frozenset()


class MaskEditor:
    """Does what edits ask of one list of masks, and takes it back.

    Args:
        scene: what the conversation has found.
        finder: gives a structure's mask as it is after an edit.
        listed: the list of masks.
    """

    def __init__(self, scene: Scene, finder: Finder, listed: MaskList) -> None:
        self._scene, self._finder, self._list = scene, finder, listed
        self._done: list[_Entry] = []
        self._undone: list[_Entry] = []
        self._last: tuple[str, ...] = ()  # masks of the last edit: "it" afterwards

    def clear(self) -> None:
        """Forget what was edited; the masks stay as they are."""
        self._done, self._undone, self._last = [], [], ()

    def rewind(self, turns: int) -> None:
        """Take back what was edited after the first ``turns`` turns."""
        while self._done and self._done[-1].turn >= turns and self._unchanged(self._done[-1]):
            self._take_back(self._done.pop())
        self._undone = []

    # ---- masks known by their own names

    def with_handles(self, text: str) -> str:
        """The message with the names of masks that no structure has ("Object 2") put as ``LISTED`` words."""
        own = {mask.id: name(id) for id in self._scene.present if (mask := self._scene.mask(id))}
        for mask in sorted(self._list.values(), key=lambda mask: -len(mask.name)):
            said = words(mask.name)
            if said and said != words(own.get(mask.id, "")) and not set(said) <= _UNNAMED:
                text = re.sub(
                    rf"(?<!\w){re.escape(mask.name)}(?!\w)", f" listed{mask.id[1:]} ", text, flags=re.IGNORECASE
                )
        return text

    def spelt(self, text: str, wanted: str, mend: Callable[[list[str]], list[str]]) -> str:
        """A new name as it stands in the message: ``wanted`` is it in plain words ("tumor" for "Tumour")."""
        tokens = text.split()
        for start in range(len(tokens)):
            for end in range(len(tokens), start, -1):
                if mend([w for w in words(" ".join(tokens[start:end])) if w.isalnum()]) == [
                    w for w in wanted.split() if w.isalnum()
                ]:
                    wanted = " ".join(tokens[start:end])
                    break
            else:
                continue
            break
        for handle in LISTED.findall(wanted):
            mask = self._list.get(mask_of(handle))
            wanted = wanted.replace(handle, mask.name if mask else handle)
        wanted = "".join(c for c in wanted if c.isprintable()).strip(" .,;:!?\"'`\u201c\u201d\u2018\u2019")
        return wanted[:NAME_LENGTH].strip()

    @property
    def last(self) -> tuple[str, ...]:
        """Ids of the masks of the last edit that are still there."""
        return tuple(id for id in self._last if id in self._list)

    # ---- the edits

    def apply(self, call: Edit, turn: int, after_edit: bool) -> Edited:
        """Do it.

        Args:
            call: what to do; its structures have been looked for.
            turn: number of the message, from 0.
            after_edit: whether the call before was an edit too: "it" is what that one gave.
        """
        if call.op in ("undo", "redo"):
            return self._again(call)
        targets, told = self._targets(call, after_edit)
        try:
            if call.op in _SETS:
                done = self._combined(call, targets, turn, told)
            elif not targets:
                done = Edited(call, told or [_say("which mask is meant? Name it, for instance: smooth the liver")])
            elif call.op == "rename":
                done = self._renamed(call, targets, turn)
            else:
                done = self._each(call, targets, turn)
        except MedVLError as error:
            done = Edited(call, [_say(str(error), Fact("error", str(error), source="program"))])
        done.told += [s for s in told if s not in done.told]
        if done.masks:
            self._last = tuple(mask.id for mask in done.masks)
        else:
            done.call = replace(done.call, changed=False)
        return done

    def _targets(self, call: Edit, after_edit: bool) -> tuple[list[Mask], list[Sentence]]:
        """The masks that are meant, in order, and what to say of those that are not there."""
        listed = self._list
        told: list[Sentence] = []
        found: list[Mask] = []
        both = call.op in _SETS
        if IT in call.of:
            clicked = self._list.clicked if self._list.clicked in listed else None
            found = [listed[clicked]] if clicked else [listed[id] for id in self.last] if after_edit else []
        skipped = bool(found) and not both  # "it" is what was clicked or edited, not what was spoken of before
        for one in call.of:
            mask = self._scene.mask(one) if one in STRUCTURES and not skipped else None
            mask = listed.get(mask.id if mask is not None else one)
            found += [mask] if mask is not None else []
        told += [] if skipped else sentences.missing(self._scene, call.structures)
        if not found and not call.structures and not call.unknown and len(listed) == 1:
            found = list(listed.values())
        pointed = IT in call.of or not call.of
        if call.op in ("union", "intersect") and pointed and not told and not call.unknown and len(listed) == 2:
            found += list(listed.values())  # "what both share"
        if call.unknown:
            told.append(sentences.unknown(call.unknown, call.nearest))
        if IT in call.of and len(found) > 1 and both:
            first = found[0]  # what was clicked or edited takes the place of what was spoken of before
            if not self._structure(first) and after_edit and call.op == "subtract":
                found = [first, *(m for m in found[1:] if m.id not in self._parts_of(first.id))]
        return list({mask.id: mask for mask in found if not mask.empty}.values()), told

    def _parts_of(self, mask_id: str) -> tuple[str, ...]:
        """Masks that a merged one was made of."""
        return next((e.parts for e in reversed(self._done) if e.kind == "union" and mask_id in e.after), ())

    def _each(self, call: Edit, targets: list[Mask], turn: int) -> Edited:
        told, after, made = [], {}, []
        for mask in targets:
            change = mask_changes.change(mask, self._label(mask), self._structure(mask), call, self._scene.ct)
            if change.missing:
                return Edited(call, [_say(change.missing, *change.facts)])
            new, *pieces = change.masks
            before, now = self._volume(mask, "volume_before_ml"), self._volume(new, "volume_ml")
            facts = (before, *change.facts, self._name_fact(mask))
            if new.empty:
                told.append(_say(f"{change.gone}, so it stays as it is", *facts))
                continue
            if operations.moved(mask, new) == 0:
                text = f"{change.none}: {show(before.value, 'mL')} as before"
            elif pieces:
                new, *pieces = self._list.split(new, pieces)
                made += [piece.id for piece in pieces]
                after |= {piece.id: piece for piece in (new, *pieces)}
                facts += tuple(map(self._name_fact, pieces))
                own = f'"{pieces[0].name}"' if len(pieces) == 1 else f'"{pieces[0].name}" to "{pieces[-1].name}"'
                text = f"{change.done}. The largest keeps its name and has {_of(now)}; the others are {own}"
                facts += (now,)
            else:
                after[mask.id] = self._list.put(new)
                text, facts = f"{change.done}: {_from_to(before, now)}", (*facts, now)
            told.append(Sentence(sentence(f"{text}."), "measured", (mask.id,), facts))
        self._note(_Entry(turn, "put", after, made=frozenset(made)))
        return Edited(call, told, list(after.values()))

    def _renamed(self, call: Edit, targets: list[Mask], turn: int) -> Edited:
        if len(targets) > 1:
            return Edited(call, [_say("a new name is for one mask. Name the one that is meant")])
        if not call.name:
            return Edited(call, [_say("a mask needs a name, for instance: rename it to tumour")])
        (mask,) = targets
        new = self._list.relabel(mask.id, name=call.name)
        said = Fact("said", call.name, source="knowledge")
        text = f'the mask of {self._label(mask)} is called "{call.name}" now'
        text = text if self._structure(mask) else f'the mask {self._label(mask)} is called "{call.name}" now'
        self._note(_Entry(turn, "rename", {mask.id: new}, {mask.id: mask.name}))
        told = Sentence(sentence(f"{text}."), "program", (mask.id,), (said, self._name_fact(mask)))
        return Edited(call, [told], [new])

    def _combined(self, call: Edit, targets: list[Mask], turn: int, told: list[Sentence]) -> Edited:
        if len(targets) < 2:
            what, how = _SETS[call.op]
            one = f", and I have only {self._label(targets[0])}" if targets else ""
            facts = tuple(map(self._name_fact, targets))
            return Edited(call, [*told, _say(f"{what} needs two masks{one}. For instance: {how}", *facts)])
        combine = self._union if call.op == "union" else self._less
        return combine(call, targets, turn)

    def _less(self, call: Edit, targets: list[Mask], turn: int) -> Edited:
        """The first without the others, or what it shares with them."""
        mask, *others = targets
        shared = call.op == "intersect"
        new = mask
        for other in others:
            new = (operations.intersect if shared else operations.subtract)(new, other)
        before, after = self._volume(mask, "volume_before_ml"), self._volume(new, "volume_ml")
        names = tuple(map(self._name_fact, targets))
        rest, label = listing(map(self._label, others)), self._label(mask)
        none, same = f"{label} and {rest} have no voxel in common", f"all of {label} lies in {rest}"
        if new.empty:
            why = none if shared else f"nothing would be left of {label}"
            return Edited(call, [_say(f"{why}, so it stays as it is", *names)])
        if new.voxels == mask.voxels:
            text = f"{same if shared else none}, so nothing was taken away: {show(before.value, 'mL')}"
            return Edited(call, [Sentence(f"{sentence(text)}.", "measured", (mask.id,), (before, *names))])
        put = self._list.put(new)
        self._note(_Entry(turn, "put", {put.id: put}))
        text = f"I kept what {label} shares with {rest}" if shared else f"I subtracted {rest} from {label}"
        text = f"{text}: {_from_to(before, after)}"
        return Edited(call, [Sentence(f"{text}.", "measured", (put.id,), (before, after, *names))], [put])

    def _union(self, call: Edit, targets: list[Mask], turn: int) -> Edited:
        mask, *others = targets
        values = tuple(self._volume(m, "volume_ml") for m in targets)
        parts = listing(f"{self._label(m)} ({show(v.value, 'mL')})" for m, v in zip(targets, values, strict=True))
        new = mask
        for other in others:
            new = operations.union(new, other)
        new = replace(new, id="", name=self._joint_name(targets), color=self._list.next_color())
        new = self._list.put(new)
        whole = Fact("volume_ml", new.voxels * self._scene.ct.voxel_volume_ml, "mL")
        ids = tuple(m.id for m in targets)
        self._note(_Entry(turn, "union", {new.id: new}, parts=ids))
        facts = (*values, whole, *map(self._name_fact, (*targets, new)))
        text = f'I merged {parts} into a new mask, "{new.name}": {show(whole.value, "mL")}'
        stay = f"The {'two' if len(ids) == 2 else 'parts'} stay in the list, hidden."
        told = [Sentence(f"{text}.", "measured", (new.id,), facts), Sentence(stay, "program")]
        return Edited(call, told, [new], View("hide", ids))

    def _joint_name(self, targets: list[Mask]) -> str:
        ids = {id for m in targets if (id := self._structure(m))}
        group = next((g for g, members in GROUPS.items() if set(members) == ids and len(ids) == len(targets)), "")
        if group:
            return sentence(group.replace("_", " "))
        first, *rest = [m.name for m in targets]
        joint = listing([first, *(n[:1].lower() + n[1:] for n in rest)])
        return joint if len(joint) <= NAME_LENGTH else f"{first} and {len(rest)} more"[:NAME_LENGTH]

    # ---- back and forth

    def _note(self, entry: _Entry) -> None:
        if entry.after:
            self._done.append(entry)
            self._undone = []
            self._look_again(entry.after)

    def _unchanged(self, entry: _Entry) -> bool:
        """Whether the masks are as an edit left them: what a person did on the page since is not taken back."""
        now = self._list
        return all(
            id in now and now[id].block is mask.block and (entry.kind != "rename" or now[id].name == mask.name)
            for id, mask in entry.after.items()
        )

    def _gone(self, entry: _Entry) -> bool:
        """Whether the page's own Undo took an edit back, or what it made was deleted."""
        return not any(
            any(step.mask.block is mask.block for step in self._list.steps(id)) for id, mask in entry.after.items()
        )

    def _page_step_back(self, call: Edit, entry: _Entry) -> Edited:
        """The last step that a person did on the page on a mask of an edit, taken back before the edit is."""
        masks = []
        for id, mask in entry.after.items():
            steps = self._list.steps(id)
            if id in self._list and steps and steps[-1].mask.block is not mask.block:
                masks.append(self._list.undo(id) or mask)
        masks = [mask for mask in masks if mask.id in self._list]
        if not masks:
            text = "the mask was changed on the page since then. Undo in the list of masks takes that back"
            return Edited(replace(call, changed=False), [_say(text)])
        self._look_again({mask.id: mask for mask in masks})
        facts = [self._volume(mask, "volume_ml") for mask in masks]
        said = listing(f"{self._label(m)} has {_of(f)} again" for m, f in zip(masks, facts, strict=True))
        told = Sentence(
            f"I took back what was done on the page: {said}.",
            "measured",
            tuple(mask.id for mask in masks),
            (*facts, *map(self._name_fact, masks)),
        )
        return Edited(replace(call, changed=False), [told], masks)  # the edit itself is still to be taken back

    def _again(self, call: Edit) -> Edited:
        """Undo and redo of the last edit."""
        undo = call.op == "undo"
        stack = self._done if undo else self._undone
        while undo and stack and self._gone(stack[-1]):
            stack.pop()
        if not stack:
            nothing = "there is no edit of this conversation to " + ("take back" if undo else "do again")
            return Edited(replace(call, changed=False), [_say(nothing)])
        if undo and not self._unchanged(stack[-1]):
            return self._page_step_back(call, stack[-1])
        entry = stack.pop()
        if undo:
            self._take_back(entry)
            self._undone.append(entry)
        else:
            entry = self._do_again(entry)
            self._done.append(entry)
        masks = [self._list[id] for id in (*entry.after, *entry.parts) if id in self._list]
        self._last = tuple(mask.id for mask in masks)
        facts = tuple(self._volume(m, "volume_ml") for m in masks)
        named = tuple(map(self._name_fact, masks))
        lead = "I took that back" if undo else "I did that again"
        if entry.kind == "rename":
            said = listing(f'"{mask.name}"' for mask in masks)
            told = Sentence(f"{lead}: the mask is called {said}.", "program", self._last, named)
        elif entry.kind == "union" and undo:
            gone = listing(f'"{mask.name}"' for mask in entry.after.values())
            text = f"{lead}: {gone} is gone, and {listing(map(self._label, masks))} are shown again."
            told = Sentence(text, "program", self._last, (*named, *map(self._name_fact, entry.after.values())))
        else:
            again = " again" if undo else ""
            said = listing(
                f"{self._label(m)} has {show(f.value, 'mL')}{again}" for m, f in zip(masks, facts, strict=True)
            )
            told = Sentence(f"{lead}: {said}." if said else f"{lead}.", "measured", self._last, (*facts, *named))
        view = View("show" if undo else "hide", entry.parts) if entry.parts else None
        return Edited(call, [told], masks, view)

    def _take_back(self, entry: _Entry) -> None:
        for id in entry.after:
            if entry.kind == "union":
                self._list.remove(id)
            elif entry.kind == "rename":
                self._list.relabel(id, name=entry.names[id])
            elif id not in entry.made:
                self._list.undo(id)
        self._look_again(entry.after)

    def _do_again(self, entry: _Entry) -> _Entry:
        after = {}
        for id, mask in entry.after.items():
            if entry.kind == "union":
                new = self._list.put(replace(mask, id=""))
            elif entry.kind == "rename":
                new = self._list.relabel(id, name=mask.name)
            else:
                new = self._list[id] if id in entry.made else self._list.redo(id)
            after[new.id] = new
        self._look_again(after)
        return replace(entry, after=after)

    def _look_again(self, changed: dict[str, Mask]) -> None:
        """The scene measures the masks as they are now."""
        for id in self._scene.present:
            if self._scene.mask(id).id in changed:
                self._scene.put(self._finder.find(id))

    # ---- words

    def _structure(self, mask: Mask) -> str:
        """The structure that a mask is of, "" for one that clicks or a merge made."""
        return next((id for id in self._scene.present if self._scene.mask(id).id == mask.id), "")

    def _label(self, mask: Mask) -> str:
        id = self._structure(mask)
        return the(id) if id else f'"{mask.name}"'

    def _name_fact(self, mask: Mask) -> Fact:
        """Numbers in the name of a mask are its name."""
        return Fact("name", mask.name, source="program")

    def _volume(self, mask: Mask, key: str) -> Fact:
        id = self._structure(mask)
        return Fact(key, mask.voxels * self._scene.ct.voxel_volume_ml, "mL", (id,) if id else ())


def _say(text: str, *facts: Fact) -> Sentence:
    return sentences.say(None, text, *facts, source="program")


def _of(volume: Fact) -> str:
    return show(volume.value, "mL")


def _from_to(before: Fact, after: Fact) -> str:
    old, new = show(before.value, "mL"), show(after.value, "mL")
    return f"{new} before and after" if old == new else f"{old.removesuffix(' mL')} to {new}"
