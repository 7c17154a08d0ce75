"""``Executor``: runs one call on one CT. It looks, measures, and offers masks; it writes no sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..ct.changes import Change
from ..ct.mask_list import MaskList
from ..ct.masks import Mask
from ..language.calls import (
    Between,
    Call,
    Changes,
    Compare,
    Comparing,
    Finding,
    ListStructures,
    Measure,
    Measuring,
    Neighbours,
    Presence,
    Probe,
    Relate,
    Relating,
    Scan,
    Segment,
    Share,
    Show,
    Total,
)
from ..structures.found import Finder
from ..vocabulary.names import EVERYTHING, in_region
from . import changes, contrast, facts, mask_facts, relations
from .fact import Fact
from .findings import FINDINGS, Outcome
from .findings.base import NO_HU
from .looking import look
from .looks import LOOKS, Look, look_in
from .looks.cavity import LUNGS
from .looks.spots import holder, nearest
from .pieces import MaskRef, Step, View
from .probing import tasks
from .scene import Scene
from .seen import facts_of

OFFERED = 5  # masks of one look; further spots are told by their number
NEAREST = 4  # neighbours of a spot that are told
OFFERED_OF_MANY = 3  # where a call runs several looks
_DIRECT = (Segment, Measuring, Comparing, Presence, Relating)
BESIDES = {"urinary_bladder": "bladder", "gallbladder": "gallbladder"}
"""Looks that tell what the size of an organ is to be held against."""


@dataclass(frozen=True)
class Seen:
    """What one look of a call gave, with the masks that its first spots have."""

    look: Look
    facts: tuple[Fact, ...] = ()
    masks: tuple[Mask, ...] = ()


@dataclass(frozen=True)
class Result:
    """What a call gave.

    Attributes:
        call: as run.
        facts: values that may be told.
        masks: that it is about, the most telling first.
        views: changes of what the viewer shows.
        note: why there is nothing, or "".
        seen: the looks behind it.
        outcome: of a finding.
        changes: what changed since the earlier scan.
    """

    call: Call
    facts: tuple[Fact, ...] = ()
    masks: tuple[Mask, ...] = ()
    views: tuple[View, ...] = ()
    note: str = ""
    seen: tuple[Seen, ...] = ()
    outcome: Outcome | None = None
    changes: tuple[Change, ...] = ()


class Executor:
    """Runs calls.

    Attributes:
        scene: what was found so far.
        crosshair: the voxel that the viewer shows, canonical, from 0; None where it is not known.
        clicked: the mask that was clicked; None where none was.
    """

    def __init__(self, scene: Scene, finder: Finder, listed: MaskList | None = None) -> None:
        """Begin.

        Args:
            scene: takes what is found.
            finder: looks for structures.
            listed: takes the masks of spots; without it they are given and not kept.
        """
        self.scene, self.finder, self._listed = scene, finder, listed
        self.crosshair: tuple[int, int, int] | None = None
        self.clicked: Mask | None = None
        self._offered: dict[str, Mask] = {}
        self._loose: dict[str, Mask] = {}  # masks of spots where there is no list

    def run(self, call: Call, cancel: threading.Event | None = None) -> Result:
        """Run a call to its end; see ``stream``."""
        pieces = self.stream(call, cancel)
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                return end.value

    def stream(
        self, call: Call, cancel: threading.Event | None = None
    ) -> Generator[Step | MaskRef, None, Result]:  # returns the result
        """Run a call.

        Args:
            call: with references resolved.
            cancel: set it to stop within one slice.

        Yields:
            Steps, and masks as they are found.

        Raises:
            Cancelled: ``cancel`` was set.
            PromptError: it points outside the scan.
        """
        if isinstance(call, Changes):
            return (yield from self._changed(call, cancel))
        direct = isinstance(call, _DIRECT) and not call.choose
        announce = call.structures if direct or isinstance(call, Show) else ()
        yield from look(self.scene, self.finder, self.needs(call), cancel, announce)
        if isinstance(call, Probe):
            return (yield from self._probed(call, cancel))
        if isinstance(call, Finding):
            return (yield from self._found(call))
        return self._measured(call)

    def needs(self, call: Call) -> tuple[str, ...]:
        """Structures to look for before a call."""
        known = self.finder.known
        every = tuple(id for id in EVERYTHING if id in known)
        match call:
            case Finding():
                rule = FINDINGS[call.id]
                return rule.needs + self._known(rule.helps)
            case Probe():
                return ()  # each look says what it needs
            case Scan(what="contrast"):
                return self._known(contrast.STRUCTURES)
            case Scan(what="coverage"):
                return self._known(id for ids in facts.REGIONS.values() for id in ids)
            case ListStructures():
                return () if call.which in ("made", "told") or call.kind else in_region(call.region, every)
            case Neighbours() | Between() if call.of or call.structures:
                return call.structures + every
            case Share():
                return call.structures + call.whole
            case Compare() | Total() if call.against:
                return call.structures + call.against
        if call.attribute == "diameter" and "aorta" in call.structures:
            return call.structures + self._known(LOOKS["aorta_widths"].helps)
        looks = isinstance(call, Show) and call.action in ("centre", "only", "colour", "largest_slice")
        return call.structures if looks or isinstance(call, _DIRECT) else ()

    def _known(self, ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(id for id in dict.fromkeys(ids) if id in self.finder.known)

    # ---- two scans

    def _changed(self, call: Changes, cancel: threading.Event | None) -> Generator[Step | MaskRef, None, Result]:
        """Volumes now and in the earlier scan, of what is named, else of all that has a mask."""
        earlier = self.scene.earlier
        if earlier is None:
            return Result(call, note=changes.NO_PRIOR)
        if call.of or call.unknown:
            ids, own = call.structures, tuple(id for id in call.of if id in (self._listed or {}))
        else:
            ids = changes.to_compare(self.scene, earlier)
            own = changes.own_names(self.scene, self._listed, earlier)
        yield from changes.looked(self.scene, self.finder, earlier, ids, cancel)
        told = changes.changes(self.scene, self._listed, earlier, ids, own)
        masks = (*self.scene.masks(*ids), *(self._listed[id] for id in own))
        yield from map(MaskRef, masks if call.of else ())
        values = tuple(fact for change in told for fact in changes.facts_of(change))
        return Result(call, values, masks, changes=told, note="" if told else changes.NOTHING)

    # ---- looks

    def _probed(self, call: Probe, cancel: threading.Event | None) -> Generator[Step | MaskRef, None, Result]:
        if not self.scene.ct.hu_trusted:
            return Result(call, note=NO_HU)
        todo = tasks(call, self.crosshair, self.clicked)
        seen: list[Seen] = []
        for task in todo:
            known = [id for id in task.structures if id in self.finder.known or self.scene.found(id) is not None]
            wanted = known if task.id != "what_is" else self._round_here()
            yield from look(self.scene, self.finder, wanted, cancel)
            label = f"Look: {LOOKS[task.id].name.lower() if task.id in LOOKS else 'what is there'}"
            begin = time.perf_counter()
            yield Step(label)
            found = task.run(self.scene)
            outcome = "not possible on this scan" if found.seen is None else f"{len(found.spots)} seen"
            outcome = "done" if found.seen is not None and not found.spots else outcome
            yield Step(label, seconds=time.perf_counter() - begin, share=1.0, outcome=outcome)
            seen.append(self.offer(found, OFFERED if len(todo) == 1 else OFFERED_OF_MANY))
        masks = tuple(mask for one in seen for mask in one.masks)
        yield from map(MaskRef, masks)
        return Result(call, tuple(f for one in seen for f in one.facts), masks, seen=tuple(seen))

    def _round_here(self) -> tuple[str, ...]:
        """Structures to look for before it is told what is at a place: all, where none that is known holds it."""
        at = self.crosshair
        holds = self.clicked is not None or (
            at is not None
            and any(
                all(l <= v < h for l, v, h in zip(m.box.lo, at, m.box.hi, strict=True))
                and m.block[tuple(v - l for v, l in zip(at, m.box.lo, strict=True))]
                for id in self.scene.present
                if id != "body" and (m := self.scene.mask(id)) is not None
            )
        )
        return () if holds else tuple(id for id in EVERYTHING if id in self.finder.known)

    def _found(self, call: Finding) -> Generator[Step | MaskRef, None, Result]:
        outcome = FINDINGS[call.id].of(self.scene, call.structures)
        seen = (self.offer(outcome.look, OFFERED),) if outcome.look is not None else ()
        masks = tuple(mask for one in seen for mask in one.masks)
        yield from map(MaskRef, masks)
        return Result(call, outcome.facts, masks, seen=seen, outcome=outcome)

    @property
    def offered(self) -> tuple[Mask, ...]:
        """Masks of spots that were offered so far."""
        return tuple(self._offered.values())

    @property
    def offered_ids(self) -> frozenset[str]:
        """Ids of ``offered``."""
        return frozenset(self._offered)

    def offer(self, found: Look, most: int = OFFERED) -> Seen:
        """A look with a mask in the list for each of its first spots; one that is there already is taken again."""
        names = [spot.mask.name for spot in found.spots]
        masks = []
        for number, spot in enumerate(found.spots[:most]):
            many = names.count(spot.mask.name) > 1
            named = replace(spot.mask, name=f"{spot.mask.name} {number + 1}" if many else spot.mask.name)
            masks.append(self._listed_as(named))
        self._offered |= {mask.id: mask for mask in masks}
        return Seen(found, facts_of(found, [mask.id for mask in masks]), tuple(masks))

    def _listed_as(self, mask: Mask) -> Mask:
        known = self._loose if self._listed is None else self._listed
        for other in known.values():
            if other.box == mask.box and np.array_equal(other.block, mask.block):
                return other
        if self._listed is None:
            made = replace(mask, id=f"s{len(known) + 1}")
            self._loose[made.id] = made
            return made
        made = self._listed.begin(mask, mask.name)
        self._listed.remember(made)
        return made

    # ---- measurements

    def _measured(self, call: Call) -> Result:
        scene = self.scene
        there = [id for id in call.structures if scene.mask(id) is not None]
        own = [self._listed[id] for id in call.of if self._listed is not None and id in self._listed]
        attribute = {"weight": "volume", "": "volume"}.get(call.attribute, call.attribute)
        told: list[Fact] = [fact for mask in own for fact in mask_facts.of_mask(scene.ct, mask, attribute)]
        attribute = "mean_hu" if attribute == "rim" else attribute  # of a whole organ
        seen: tuple[Seen, ...] = ()
        if isinstance(call, Segment | Measuring | Comparing | Presence) and attribute != "count":
            told += [fact for id in there for fact in facts.of_structure(scene, id, attribute)]
            if isinstance(call, Measure) and (call.low_hu, call.high_hu) != (None, None):
                told += [fact for id in there for fact in facts.in_range(scene, id, call.low_hu, call.high_hu)]
            if isinstance(call, Measure) and (call.margin_mm, call.margin_voxels) != (None, None):
                moved = [(mask, ()) for mask in own] + [(scene.mask(id), (id,)) for id in there]
                told = [f for one, ids in moved for f in mask_facts.moved_facts(
                    scene.ct, one, call.margin_mm, call.margin_voxels, ids)]  # fmt: skip
            elif isinstance(call, Measuring) and scene.ct.hu_trusted:
                if attribute == "diameter" and "aorta" in there and call.part:
                    seen = (self.offer(look_in("aorta_widths", scene)),)
                elif attribute in ("volume", "diameter", "extent"):
                    seen = tuple(self.offer(look_in(BESIDES[id], scene)) for id in there if id in BESIDES)
        elif attribute == "count":
            told += facts.count(scene, call.structures)
        elif isinstance(call, Relate) and call.kind == "overlap" and len(own) + len(there) > 1:
            first, *others = (*own, *there)
            told += [fact for other in others for fact in relations.overlap(scene, first, other)]
        elif isinstance(call, Relate) and call.kind == "surface" and (own or there):
            told += self._depth(own, there)
        elif isinstance(call, Neighbours) and own and call.side:
            told += relations.along(scene, own[0], call.side)
        elif isinstance(call, Neighbours) and own:
            near = [relations.apart(scene, own[0], id) for id in scene.present if id != "body"]
            told += sorted(near, key=lambda fact: (fact.note != "touching", fact.value))[:NEAREST]
        elif isinstance(call, Relate) and own and len(own) + len(there) > 1:
            told += [relations.apart(scene, own[0], other) for other in (*own[1:], *there)]
        elif isinstance(call, Relate) and len(there) > 1:
            told += [f for other in there[1:] for f in relations.distance(scene, there[0], other)]
        elif isinstance(call, Scan):
            told += _of_scan(scene, call.what)
        masks = (*scene.masks(*there), *own)
        return Result(call, (*told, *(f for one in seen for f in one.facts)), masks, seen=seen)

    def _depth(self, own: list[Mask], there: list[str]) -> tuple[Fact, ...]:
        """How far the first of some masks or structures is from the outside of what holds it."""
        first, about = (own[0], ()) if own else (self.scene.mask(there[0]), (there[0],))
        around = [id for id in there if id not in about]
        held = around[0] if around else holder(self.scene, first, (id for id in self.scene.present if id not in about))
        held = held or nearest(self.scene, first, [id for id in self.scene.present if id in LUNGS])[0]
        return mask_facts.depth(self.scene, first, held, about) if held else ()


def _of_scan(scene: Scene, what: str) -> tuple[Fact, ...]:
    of_ct = {"spacing": facts.spacing, "size": facts.size, "orientation": facts.orientation,
             "hu_range": facts.hu_range, "slices": facts.slice_count}  # fmt: skip
    if what in of_ct:
        return of_ct[what](scene.ct)
    return facts.coverage(scene) if what == "coverage" else (contrast.phase(scene), *contrast.levels(scene))
