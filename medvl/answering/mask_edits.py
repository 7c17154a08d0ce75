"""Masks changed by words: what an EDIT request does to the list of masks, what it says of it, and how it is taken back.

The operations are those of the list of masks on the page (``medvl.masks``). What is changed is a step of the mask's
own history; what is merged becomes a new mask, so that the volume of a structure stays that of the structure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from .. import masks as operations
from ..errors import MedVLError
from ..masks import Mask
from . import cues, sentences
from .contract import LISTED, POINTED, Fact, Finder, MaskList, Request, Sentence, View
from .normalise import words
from .numbers import show
from .scene import Scene
from .vocabulary import GROUPS
from .words import have, listing, name, sentence, the

SPECK_ML = 0.5  # what goes as an island of a structure that has many pieces by nature
NAME_LENGTH = 60
_OF_MANY = frozenset({"vertebral_column", "other_bone", "right_ribs", "left_ribs"})
_UNNAMED = cues.FUNCTION_WORDS | {"mask", "masks", "object", "piece", "hole", "holes", "all", "smooth", "fill"}


@dataclass
class Edited:
    """What an edit gave: the request as it was done, sentences, masks as they are now, a change of the view."""

    request: Request
    told: list[Sentence]
    masks: list[Mask] = field(default_factory=list)
    view: View | None = None


@dataclass
class _Entry:
    """An edit that can be taken back: masks as it left them; of ``rename`` the names before, of ``union`` the parts."""

    turn: int
    kind: str
    after: dict[str, Mask]
    names: dict[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()


class MaskEditor:
    """Does what EDIT requests ask of one list of masks, and takes it back.

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
        for at, mask in sorted(enumerate(self._list.masks.values()), key=lambda item: -len(item[1].name)):
            said = words(mask.name)
            if said and said != words(own.get(mask.id, "")) and not set(said) <= _UNNAMED:
                text = re.sub(rf"(?<!\w){re.escape(mask.name)}(?!\w)", f" listed{at} ", text, flags=re.IGNORECASE)
        return text

    def named(self, handle: str) -> Mask | None:
        """The mask that a ``LISTED`` word stands for."""
        masks, at = list(self._list.masks.values()), int(handle.removeprefix("listed"))
        return masks[at] if at < len(masks) else None

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
            mask = self.named(handle)
            wanted = wanted.replace(handle, mask.name if mask else handle)
        wanted = "".join(c for c in wanted if c.isprintable()).strip(" .,;:!?\"'`\u201c\u201d\u2018\u2019")
        return wanted[:NAME_LENGTH].strip()

    @property
    def last(self) -> tuple[str, ...]:
        """Ids of the masks of the last edit that are still there."""
        return tuple(id for id in self._last if id in self._list.masks)

    # ---- the edits

    def apply(self, request: Request, turn: int, after_edit: bool) -> Edited:
        """Do it.

        Args:
            request: an EDIT; its structures have been looked for.
            turn: number of the message, from 0.
            after_edit: whether the request before was an edit too: "it" is what that one gave.
        """
        if request.attribute in ("undo", "redo"):
            return self._again(request)
        targets, told = self._targets(request, after_edit)
        try:
            if request.attribute in ("union", "subtract"):
                done = self._combined(request, targets, turn, told)
            elif not targets:
                done = Edited(request, told or [_say("which mask is meant? Name it, for instance: smooth the liver")])
            elif request.attribute == "rename":
                done = self._renamed(request, targets, turn)
            else:
                done = self._each(request, targets, turn)
        except MedVLError as error:
            done = Edited(request, [_say(str(error), Fact("error", str(error), source="program"))])
        done.told += [s for s in told if s not in done.told]
        if done.masks:
            self._last = tuple(mask.id for mask in done.masks)
        else:
            done.request = replace(done.request, attribute="")
        return done

    def _targets(self, request: Request, after_edit: bool) -> tuple[list[Mask], list[Sentence]]:
        """The masks that are meant, in order, and what to say of those that are not there."""
        listed = self._list.masks
        told: list[Sentence] = []
        found: list[Mask] = []
        if request.referring == POINTED:
            clicked = self._list.clicked if self._list.clicked in listed else None
            found = [listed[clicked]] if clicked else [listed[id] for id in self.last] if after_edit else []
        if not found or request.attribute in ("union", "subtract"):
            found += [mask for mask in self._scene.masks(*request.structures) if mask.id in listed]
            told += sentences.missing(self._scene, request.structures)
        if not found and not request.structures and not request.unknown and len(listed) == 1:
            found = list(listed.values())
        for word in request.unknown:
            if LISTED.fullmatch(word):
                mask = self.named(word)
                found += [mask] if mask is not None else []
        strange = tuple(word for word in request.unknown if not LISTED.fullmatch(word))
        if strange:
            told.append(sentences.unknown(replace(request, unknown=strange)))
        if request.referring == POINTED and len(found) > 1 and request.attribute in ("union", "subtract"):
            first = found[0]  # what was clicked or edited takes the place of what was spoken of before
            if not self._structure(first) and after_edit and request.attribute == "subtract":
                found = [first, *(m for m in found[1:] if m.id not in self._parts_of(first.id))]
        return list({mask.id: mask for mask in found if not mask.empty}.values()), told

    def _parts_of(self, mask_id: str) -> tuple[str, ...]:
        """Masks that a merged one was made of."""
        return next((e.parts for e in reversed(self._done) if e.kind == "union" and mask_id in e.after), ())

    def _each(self, request: Request, targets: list[Mask], turn: int) -> Edited:
        told, after = [], {}
        for mask in targets:
            new, text, facts = self._changed(mask, request)
            told.append(Sentence(sentence(f"{text}."), "measured", (mask.id,), facts))
            if new is not None:
                after[mask.id] = self._list.put(new)
        self._note(_Entry(turn, "put", after))
        return Edited(request, told, list(after.values()))

    def _changed(self, mask: Mask, request: Request) -> tuple[Mask | None, str, tuple[Fact, ...]]:
        """One mask after an operation (None if it is as it was), and what to say of it."""
        label, id = self._label(mask), self._structure(mask)
        pieces, extra = 0, (self._name_fact(mask),)
        if request.attribute == "smooth":
            radius = float(request.topic or operations.smoothing_radius(self._scene.ct))
            new = operations.smooth(mask, self._scene.ct, radius)
            extra += (Fact("radius_mm", radius, "mm", source="program"),)
            text, none = (
                f"I smoothed {label} by {show(radius, 'mm')}",
                f"{label} has no detail under {show(radius, 'mm')} to smooth",
            )
        elif request.attribute == "fill":
            new = operations.fill_holes(mask)
            text, none = f"I filled the holes of {label}", f"{label} has no closed hole to fill"
        else:
            parts = operations.components(mask)
            many = request.attribute == "islands" and id in _OF_MANY
            least = math.ceil(SPECK_ML / self._scene.ct.voxel_volume_ml) if many else parts[0].voxels
            kept = [part for part in parts if part.voxels >= least][: None if many else 1]
            pieces = len(parts) - len(kept)
            new = mask
            if pieces and kept:
                new = operations.keep_largest(mask) if not many else _joined(kept)
            extra += (Fact("pieces", pieces), Fact("least_ml", SPECK_ML, "mL", source="program"))
            gone = "one smaller piece" if pieces == 1 else f"{pieces:,} smaller pieces"
            text = f"I kept the largest piece of {label} and took {gone} away"
            none = f"{label} is one piece already"
            if many:
                text = f"I took {gone} under {show(SPECK_ML, 'mL')} away from {label}, which {have(id)} several"
                none = f"{label} {have(id)} no piece under {show(SPECK_ML, 'mL')}"
        same = new.box == mask.box and bool((new.block == mask.block).all())
        before, after = self._volume(mask, "volume_before_ml"), self._volume(new, "volume_ml")
        if same:
            return None, f"{none}: {show(before.value, 'mL')} as before", (before, *extra)
        return new, f"{text}: {_from_to(before, after)}", (before, after, *extra)

    def _renamed(self, request: Request, targets: list[Mask], turn: int) -> Edited:
        if len(targets) > 1:
            return Edited(request, [_say("a new name is for one mask. Name the one that is meant")])
        if not request.topic:
            return Edited(request, [_say("a mask needs a name, for instance: rename it to tumour")])
        (mask,) = targets
        new = self._list.relabel(mask.id, name=request.topic)
        said = Fact("said", request.topic, source="knowledge")
        text = f'the mask of {self._label(mask)} is called "{request.topic}" now'
        text = text if self._structure(mask) else f'the mask {self._label(mask)} is called "{request.topic}" now'
        self._note(_Entry(turn, "rename", {mask.id: new}, {mask.id: mask.name}))
        told = Sentence(sentence(f"{text}."), "program", (mask.id,), (said, self._name_fact(mask)))
        return Edited(request, [told], [new])

    def _combined(self, request: Request, targets: list[Mask], turn: int, told: list[Sentence]) -> Edited:
        if len(targets) < 2:
            what = "merging" if request.attribute == "union" else "subtracting"
            how = "merge the two kidneys" if request.attribute == "union" else "subtract the gallbladder from the liver"
            one = f", and I have only {self._label(targets[0])}" if targets else ""
            facts = tuple(map(self._name_fact, targets))
            return Edited(request, [*told, _say(f"{what} needs two masks{one}. For instance: {how}", *facts)])
        combine = self._union if request.attribute == "union" else self._less
        return combine(request, targets, turn)

    def _less(self, request: Request, targets: list[Mask], turn: int) -> Edited:
        mask, *others = targets
        new = mask
        for other in others:
            new = operations.subtract(new, other)
        before, after = self._volume(mask, "volume_before_ml"), self._volume(new, "volume_ml")
        names = tuple(map(self._name_fact, targets))
        gone, label = listing(map(self._label, others)), self._label(mask)
        if new.empty:
            return Edited(request, [_say(f"nothing would be left of {label}, so it stays as it is", *names)])
        if new.voxels == mask.voxels:
            text = f"{label} and {gone} have no voxel in common, so nothing was taken away: {show(before.value, 'mL')}"
            return Edited(request, [Sentence(f"{sentence(text)}.", "measured", (mask.id,), (before, *names))])
        put = self._list.put(new)
        self._note(_Entry(turn, "put", {put.id: put}))
        text = f"I subtracted {gone} from {label}: {_from_to(before, after)}"
        return Edited(request, [Sentence(f"{text}.", "measured", (put.id,), (before, after, *names))], [put])

    def _union(self, request: Request, targets: list[Mask], turn: int) -> Edited:
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
        return Edited(request, told, [new], View("hide", ids))

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
        now = self._list.masks
        return all(
            id in now and now[id].block is mask.block and (entry.kind != "rename" or now[id].name == mask.name)
            for id, mask in entry.after.items()
        )

    def _again(self, request: Request) -> Edited:
        """Undo and redo of the last edit."""
        undo = request.attribute == "undo"
        stack = self._done if undo else self._undone
        if not stack:
            nothing = "there is no edit of this conversation to " + ("take back" if undo else "do again")
            return Edited(replace(request, attribute=""), [_say(nothing)])
        if undo and not self._unchanged(stack[-1]):
            text = "the mask was changed on the page since then. Undo in the list of masks takes that back"
            return Edited(replace(request, attribute=""), [_say(text)])
        entry = stack.pop()
        if undo:
            self._take_back(entry)
            self._undone.append(entry)
        else:
            entry = self._do_again(entry)
            self._done.append(entry)
        masks = [self._list.masks[id] for id in (*entry.after, *entry.parts) if id in self._list.masks]
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
        return Edited(request, [told], masks, view)

    def _take_back(self, entry: _Entry) -> None:
        for id in entry.after:
            if entry.kind == "union":
                self._list.remove(id)
            elif entry.kind == "rename":
                self._list.relabel(id, name=entry.names[id])
            else:
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
                new = self._list.redo(id)
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


def _from_to(before: Fact, after: Fact) -> str:
    old, new = show(before.value, "mL"), show(after.value, "mL")
    return f"{new} before and after" if old == new else f"{old.removesuffix(' mL')} to {new}"


def _joined(parts: list[Mask]) -> Mask:
    whole = parts[0]
    for part in parts[1:]:
        whole = operations.union(whole, part)
    return whole
