"""Interactive 3-D segmentation: points and boxes on slices -> one mask through the volume.

SAM 2 delineates the slices that carry prompts (*anchors*). From each anchor the mask is carried to its neighbours by
``SlicePropagator`` and sharpened there by SAM 2, in both directions, until the object ends or another anchor is met;
between two anchors the two predictions are blended by distance. A later prompt makes its slice an anchor; what it
changed there is followed through the slices on both sides, up to the next anchors (``corrections``).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..ct.prompts import Box, Point
from ..ct.windows import window_for
from ..errors import Cancelled, PromptError
from ..networks.propagator import SlicePropagator, object_statistics
from .clicks import obey
from .corrections import Change, followed
from .end_evidence import TOO_LONG, End, extent_mm, open_ends
from .memory_propagation import MemoryPropagation
from .object_ends import one_piece, without_tails
from .plane_masks import SlicePrompts, iou_of
from .planes import Patch, PlaneFrame, to_plane
from .slice_encoder import SliceEncoder
from .slice_segmenter import Carried, ObjectState, OpenWalk, SliceSegmenter
from .thresholds import THRESHOLDS


@dataclass(frozen=True)
class Progress:
    """One step of a segmentation: the object now, which slice changed, how far it is."""

    state: ObjectState
    changed: tuple[int, ...]
    stage: str
    done: int
    expected: int
    stopped: bool = False
    eta_s: float | None = None


class Segmenter:
    """Segments objects on one CT. Holds no object itself: states go in and out."""

    def __init__(self, encoder: SliceEncoder, propagator: SlicePropagator) -> None:
        self.ct = encoder.ct
        self.slices = SliceSegmenter(encoder, propagator)
        self.memory = MemoryPropagation(self.slices) if encoder.sam2.has_memory else None

    # ---- prompts -------------------------------------------------------------------------------------------------

    def start(self, points: list[Point], box: Box | None) -> ObjectState:
        """An empty object whose planes are those of the first prompt.

        Where the slices of the scan lie far apart, it is carried across them, whatever plane the prompt was given in: a
        coronal plane of 5 mm slices shows SAM 2 a coarse picture, and the way along the slices is many times longer.

        Raises:
            PromptError: there is neither a box nor a positive point.
        """
        if box is None and not any(p.positive for p in points):
            raise PromptError("A new object needs a positive point or a box. Click on the structure first.")
        axis = box.plane_axis if box is not None else points[0].axis
        coarse = int(np.argmax(self.ct.spacing_mm))
        if axis is None or self.ct.spacing_mm[coarse] >= THRESHOLDS.coarse_ratio * self.ct.spacing_mm[axis]:
            axis = coarse if axis is not None else 2
        return ObjectState(axis=axis)

    def run(
        self, state: ObjectState, points: list[Point], box: Box | None, cancel: threading.Event | None = None
    ) -> Iterator[Progress]:
        """Add prompts to an object and yield it after each slice; an object that was stopped is followed on.

        Args:
            state: from ``start`` or an earlier run.
            points: new points, any plane; none and no box: only what was stopped goes on.
            box: new box: in a plane, or 3-D.
            cancel: set it to stop before the next slice; what is done stays.

        Raises:
            PromptError: a prompt is outside the volume.
        """
        for point in points:
            point.check(self.ct.shape)
        if box is not None:
            box.check(self.ct.shape)
        cancel = cancel or threading.Event()
        begin = time.monotonic()
        left, before = state.open, state.slices
        new, changes = not before, {}
        state, touched = self._place(state, points, box)
        ahead = [walk for walk in left if walk.at == walk.start and walk.start not in before]  # not even delineated
        touched += [i for i in dict.fromkeys(walk.start for walk in ahead) if i not in touched]
        left = tuple(walk for walk in left if walk not in ahead)

        def opened(state: ObjectState) -> ObjectState:
            starts = [i for i in touched if i in changes or i not in before]
            return replace(state, open=_walks(left, starts, changes))

        # What was stopped and then not changed goes on as if it had not been: of a changed object every slice stays.
        plain = all(anchor.points or anchor.box for anchor in state.anchors.values())
        plain = plain and not points and box is None and all(walk.change is None for walk in left)
        earlier = {} if plain else before
        done = 0
        for index in touched:
            if cancel.is_set():
                yield Progress(opened(state), (), "done", done, done, stopped=True)
                return
            state = self._anchor(state, index)
            if not new:
                changes[index], state = self._change(state, before.get(index), index, points, box)
            done += 1
            yield Progress(opened(state), (index,), "slice", done, done)
        if new:
            seen, state = state, self._recognise(state, touched, cancel)
            moved = tuple(i for i in touched if state.slices.get(i) is not seen.slices.get(i))
            if moved:
                yield Progress(opened(state), moved, "slice", done, done)
        state = opened(state)
        starts = [walk.start for walk in state.open]
        for index, moved in self._propagate(state, cancel):
            state = moved
            done += 1
            expected = max(done, self._expected(state, starts) - (0 if touched else len(before)))
            eta = (time.monotonic() - begin) / done * (expected - done)
            yield Progress(state, (index,), "propagating", done, expected, eta_s=eta)
        carried, stopped = state, cancel.is_set() and bool(state.open)
        if not stopped:
            state = without_tails(one_piece(state, earlier), self.ct.spacing_mm[state.axis], earlier)
            state = replace(state, ends=open_ends(state.ends, state.slices), open=())
        changed = tuple(i for i in carried.slices if state.slices.get(i) is not carried.slices[i])
        yield Progress(state, changed, "done", done, done, stopped=stopped, eta_s=0.0)

    def _place(self, state: ObjectState, points: list[Point], box: Box | None) -> tuple[ObjectState, list[int]]:
        """Sort new prompts to slices of the object's axis; returns the slices touched, the first prompt's first."""
        frame = self.slices.frames[state.axis]
        anchors = dict(state.anchors)
        touched: list[int] = []

        def add(index: int, point: tuple[int, int, bool] | None, rect: tuple[int, int, int, int] | None) -> None:
            old = anchors.get(index, SlicePrompts())
            anchors[index] = SlicePrompts(old.points + ((point,) if point else ()), rect or old.box)
            if index not in touched:
                touched.append(index)

        limits = state.limits
        if box is not None:
            if box.plane_axis == state.axis:
                add(box.lo[state.axis], None, frame.rect(box))
            elif box.plane_axis is None:
                limits = (box.lo[state.axis], box.hi[state.axis])
                add((limits[0] + limits[1] - 1) // 2, None, frame.rect(box))
            else:
                limits = (box.lo[state.axis], box.hi[state.axis])
                for point in self._across(box, state.axis):
                    add(point.ijk[state.axis], (*frame.pixel(point.ijk), True), None)
        for point in points:
            add(point.ijk[state.axis], (*frame.pixel(point.ijk), point.positive), None)
        if limits is not None:  # who clicks beyond them wants more than the box said
            clicked = [p.ijk[state.axis] for p in points if p.positive]
            limits = (min([limits[0], *clicked]), max([limits[1], *(c + 1 for c in clicked)]))
        prompts = state.prompts + ((box,) if box is not None else ()) + tuple(points)
        slices = state.slices
        if limits is not None:
            slices = {i: p for i, p in slices.items() if limits[0] <= i < limits[1]}
        return replace(state, anchors=anchors, prompts=prompts, limits=limits, slices=slices), touched

    def _across(self, box: Box, axis: int) -> list[Point]:
        """Points for an object along ``axis`` from a box drawn in another plane: SAM 2 looks there, and the deepest
        spots of what it finds at three heights, with one on each side of them, become positive points.
        """
        other = box.plane_axis
        frame = self.slices.frames[other]
        window = window_for(self.ct.hu[box.slices])
        mask = self.slices.first(other, box.lo[other], SlicePrompts(box=frame.rect(box)), window) > 0
        found = frame.to_volume_slice(mask)
        remaining = [a for a in range(3) if a != other]
        points = []
        low, high = box.lo[axis], box.hi[axis]
        for share in (0.5, 0.2, 0.8):
            index = int(low + share * (high - 1 - low))
            line = found.take(index, axis=remaining.index(axis))
            depth = ndimage.distance_transform_edt(np.pad(line, 1))[1:-1]
            if depth.max() == 0:
                continue
            middle = int(depth.argmax())
            aside = int(depth.max() / 2)  # one point may mean a part of the thing only
            for place in dict.fromkeys((middle, middle - aside, middle + aside)):
                ijk = [0, 0, 0]
                ijk[other], ijk[axis], ijk[3 - other - axis] = box.lo[other], index, place
                points.append(Point(tuple(ijk), True, axis))
        if not points:
            raise PromptError("Nothing was found in this box. Draw it closer round the structure, or click a point.")
        return points

    # ---- one slice -----------------------------------------------------------------------------------------------

    def _anchor(self, state: ObjectState, index: int) -> ObjectState:
        """Delineate a prompted slice."""
        prompts = state.anchors[index]
        first = not state.slices and len(state.anchors) == 1
        hu = to_plane(self.ct.hu, state.axis, index)
        if first:
            state = replace(state, window=self.slices.choose_window(state.axis, index, prompts))
        old = state.slices.get(index)
        nearest = min(state.slices, key=lambda i: abs(i - index), default=None)
        if old is None and nearest is not None:
            old = self.slices.carry(state, nearest, index, open_end=True).patch
        if old is None and prompts.box is None and not any(on for _, _, on in prompts.points):
            return state  # "not here" where the object is not: nothing to do
        if prompts.box is not None:
            logits = self.slices.first(state.axis, index, prompts, state.window)
        elif old is None:
            logits = self.slices.first(state.axis, index, prompts, state.window)
            if nearest is not None:  # a point beside the object means more of it, not all that is alike there
                logits = self.slices.as_lump(state, nearest, index, logits)
        else:
            logits = self.slices.correct(state, index, old, prompts)
        mask = obey(self.slices, state, index, logits, old, prompts)
        slices = dict(state.slices)
        if mask.any():
            slices[index] = Patch.from_logits(np.where(mask, np.maximum(logits, 1.0), np.minimum(logits, -1.0)))
        else:
            slices.pop(index, None)
        if (first or len(state.slices) <= 1) and mask.any():
            state = replace(state, statistics=object_statistics(hu, mask))
        return replace(state, slices=slices)

    def _recognise(self, state: ObjectState, touched: list[int], cancel: threading.Event) -> ObjectState:
        """A new object is compared with the structures that the localiser knows."""
        index = next((i for i in touched if i in state.slices), None)
        if self.slices.prior is None or self.memory or index is None:
            return state
        mask = state.slices[index].full_mask(self.slices.frames[state.axis].shape)
        box = state.anchors[index].box
        try:
            plane = to_plane(self.ct.hu, state.axis, index)
            points = state.anchors[index].points
            structure = self.slices.prior.recognise(state.axis, index, mask, box, cancel, plane, points)
        except Cancelled:  # what is done stays; the run ends before its next slice
            return state
        state = replace(state, structure=structure)
        word = self.slices.prior.logits(structure, state.axis, index) if structure else None
        if word is None or iou_of(word > 0, mask) >= THRESHOLDS.match_iou:
            return state
        # The box is that structure's, what SAM 2 saw in it is not: it is asked again with the structure shown to it.
        hu = to_plane(self.ct.hu, state.axis, index)
        window = window_for(hu[word > 0])
        logits = self.slices.guided(state.axis, index, state.anchors[index], window, word)
        for r, c, positive in points:
            logits[r, c] = 1.0 if positive else -1.0
        patch = Patch.from_logits(logits)
        if patch is None:
            return state
        statistics = object_statistics(hu, logits > 0)
        return replace(state, window=window, statistics=statistics, slices=state.slices | {index: patch})

    def _change(
        self, state: ObjectState, before: Patch | None, index: int, points: list[Point], box: Box | None
    ) -> tuple[Change, ObjectState]:
        """What the new prompts changed on their slice, and the object with no more changed there than they ask for."""
        frame, axis = self.slices.frames[state.axis], state.axis
        clicks = tuple((*frame.pixel(p.ijk), p.positive) for p in points if p.ijk[axis] == index)
        change = Change.between(before, state.slices.get(index), clicks, frame.shape, free=box is not None)
        slices = dict(state.slices)
        patch = slices.pop(index, None)
        if patch := change.applied(before, patch, frame.shape):
            slices[index] = patch
        return change, replace(state, slices=slices)

    def _propagate(
        self, state: ObjectState, cancel: threading.Event, near: Callable[[int], np.ndarray] | None = None
    ) -> Iterator[tuple[int, ObjectState]]:
        """Go on with the open walks of an object in turn, yielding each slice that was predicted; those that are still
        open are in the state.
        """
        if self.memory and self.memory.suits(state):
            (key,) = state.anchors
            for index, moved in self.memory.propagate(state, cancel, near):
                ways = ((1, max(moved.slices)), (-1, min(moved.slices)))  # from there on slice by slice
                yield index, replace(moved, open=tuple(OpenWalk(key, step, at) for step, at in ways))
            return
        pending = deque((self._walk(walk, state), walk, True) for walk in state.open)
        while pending and not cancel.is_set():
            walk, way, fresh = pending.popleft()
            try:
                index, patch, end, change = next(walk) if fresh else walk.send(state)
            except StopIteration:
                state = replace(state, open=tuple(other for _, other, _ in pending))
                continue
            if end is not None:
                others = tuple(e for e in state.ends if e.step != end.step)
                state = replace(state, ends=(*others, end))
            slices = dict(state.slices)
            if patch is not None and near is not None:
                patch = patch.within(near(index))
            if patch is None:
                slices.pop(index, None)
            else:
                slices[index] = patch
            pending.append((walk, replace(way, at=index, change=change), False))
            state = replace(state, slices=slices, open=tuple(other for _, other, _ in pending))
            yield index, state

    def _walk(
        self, way: OpenWalk, state: ObjectState
    ) -> Generator[tuple[int, Patch | None, End | None, Change | None], ObjectState, None]:
        """Slices from where a walk is on in its direction, up to the next anchor or the object's end; of a correction,
        as far as its change goes on, which comes with each slice. With a slice that evidence ended the object before
        comes that end.
        """
        start, step, change = way.start, way.step, way.change
        low, high = state.limits or (0, self.ct.shape[state.axis])
        ahead = [a for a in state.anchors if (a - start) * step > 0]
        stop = min(ahead, key=lambda a: abs(a - start)) if ahead else None
        end = stop if stop is not None else (high if step > 0 else low - 1)
        frame, old = self.slices.frames[state.axis], state.slices
        positive_ahead = stop is not None and stop in old
        prompts = state.anchors[start]
        less = prompts.box is None and not any(on for _, _, on in prompts.points)
        reach = max(1.0, THRESHOLDS.correction_reach_mm / self.ct.spacing_mm[state.axis])
        calm, ended, end_here = 0, False, None
        far = max(1.0, THRESHOLDS.negative_far_mm / self.ct.spacing_mm[state.axis])
        # What a correction changed is a lump, too: it is about as long as it is wide.
        wide = np.inf if change is None else extent_mm(change.added | change.removed, frame)
        long = max(1.0, THRESHOLDS.reach * wide / self.ct.spacing_mm[state.axis])
        for index in range(way.at + step, end, step):
            if less and abs(index - start) > far:
                return
            previous = state.slices.get(index - step)
            if abs(index - start) > long:
                if previous is not None and old.get(index) is None:  # it ends where it may go on
                    yield index, None, End(index - step, step, TOO_LONG), change
                return
            found = (
                Carried() if previous is None or ended else self.slices.carry(state, index - step, index, start, less)
            )
            patch = found.patch
            if found.reason:
                end_here = End(index - step, step, found.reason)
            distance = abs(index - start)
            if stop is not None and (positive_ahead or previous is None):
                weight = 1 - distance / min(abs(stop - start), reach)
                if weight <= 0:
                    return
                if less:  # "not here" is said of the slice and what is near it, not of half the way to the object
                    weight = min(
                        weight, 0.5 ** (distance * self.ct.spacing_mm[state.axis] / THRESHOLDS.negative_reach_mm)
                    )
                # Of a new object nothing is known between two prompted slices but what the other one's walk found.
                other = old.get(index) if change is not None else state.slices.get(index)
                if other is not None or change is not None:
                    patch = Patch.blend(patch, other, weight, frame.shape)
            before = old.get(index)
            if change is not None:
                near = distance <= (reach if stop is None else min(reach, abs(stop - start) / 2))
                gone = followed(self.slices, state, change.removed, index - step, index) if less and near else None
                patch, change = change.carried(before, patch, frame, gone, previous is None)
                if change.empty:
                    if end_here is not None and before is None:
                        yield index, None, end_here, change
                    return
            if patch is None and before is None:
                if not positive_ahead:
                    if end_here is not None:
                        yield index, None, end_here, change
                    return
                ended = True
            if change is not None:
                calm = calm + 1 if change.slight(frame) else 0
            state = yield index, patch, end_here, change  # the walks in turn change one state
            if calm >= 2:
                return

    def _expected(self, state: ObjectState, touched: list[int]) -> int:
        """Estimate of the slices of this run: an organ is about as long as it is wide on its first slice."""
        frame, first = self.slices.frames[state.axis], state.slices.get(touched[0] if touched else -1)
        width_mm = 0.0
        if first is not None:
            width_mm = max(n * size for n, size in zip(first.logits.shape, frame.pixel_size_mm, strict=True))
        guess = width_mm / self.ct.spacing_mm[state.axis]
        return int(max(guess, len(state.slices) * 1.1)) + len(touched)

    def follow(
        self, state: ObjectState, cancel: threading.Event, near: Callable[[int], np.ndarray] | None = None
    ) -> Iterator[ObjectState]:
        """Carry an object of one slice both ways through ``state.limits``, yielding it after each slice.

        Args:
            state: one slice with its anchor.
            cancel: set it to stop before the next slice.
            near: of a slice: bool ``(row, column)`` where the object may be; None for everywhere.
        """
        for _, moved in self._propagate(replace(state, open=_walks((), state.anchors, {})), cancel, near=near):
            state = moved
            yield state
        if not cancel.is_set():
            yield one_piece(replace(state, open=()))

    def frame(self, axis: int) -> PlaneFrame:
        """Bookkeeping of the planes with normal ``axis``."""
        return self.slices.frames[axis]

    def adopt(
        self, array: np.ndarray, axis: int, prompts: tuple[Point | Box, ...] = (), stopped: Container[int] = ()
    ) -> ObjectState:
        """State of a mask ``(i, j, k)`` that no prompt made (an operation, a text), so that clicks can refine it.

        Its largest slice becomes an anchor: the object stays attached to it. Where its first or last slice is one of
        ``stopped``, it goes on beyond with the next run.
        """
        view = np.moveaxis(array, axis, 0)
        areas = view.reshape(len(view), -1).sum(1)
        slices, largest = {}, int(areas.argmax())
        for index in np.flatnonzero(areas):
            mask = to_plane(array, axis, int(index))
            if patch := Patch.from_logits(np.where(mask, 4.0, -4.0)):
                slices[int(index)] = patch
        hu = np.moveaxis(self.ct.hu, axis, 0)[view]
        inside = np.ones(hu.shape, dtype=bool)
        outer = ((1, max(slices, default=0)), (-1, min(slices, default=0)))
        walks = tuple(OpenWalk(largest, step, at) for step, at in outer if at in stopped)
        anchors = {largest: SlicePrompts()}
        return ObjectState(axis, window_for(hu), object_statistics(hu, inside), prompts, anchors, slices, open=walks)


def _walks(left: tuple[OpenWalk, ...], starts: Iterable[int], changes: Mapping[int, Change]) -> tuple[OpenWalk, ...]:
    """Walks that are left, and new ones both ways from slices, of corrections with what they changed there."""
    return (*left, *(OpenWalk(start, step, start, changes.get(start)) for start in starts for step in (1, -1)))
