"""Objects that a person prompts, in the list of masks of one CT: each run of the model is a step of its object."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..ct import masks
from ..ct.mask_list import MaskList
from ..ct.masks import Mask
from ..ct.prompts import Box, Point
from ..ct.volume import CTVolume
from ..errors import Cancelled, PromptError
from .end_evidence import End
from .segmenter import ObjectState, Progress, Segmenter


@dataclass(frozen=True)
class SegmentUpdate:
    """What a person should see after one more slice.

    Attributes:
        mask: the whole object now (may be empty).
        changed: half-open voxel box that holds every voxel changed since the last update; None if nothing did.
        slices_done: slices predicted in this run.
        slices_expected: estimate of how many there will be.
        stage: ``"slice"`` (a prompted slice is ready), ``"propagating"`` or ``"done"``.
        stopped: True if ``cancel`` ended it.
        eta_s: estimated seconds left, None before there is a figure.
        ends: where evidence ended the object along its axis; also ``mask.ends``. Known when it is done.
    """

    mask: Mask
    changed: Box | None
    slices_done: int
    slices_expected: int
    stage: str
    stopped: bool
    eta_s: float | None
    ends: tuple[End, ...] = ()


class PromptedObjects:
    """Runs of the model on the objects of one list of masks.

    Args:
        ct: the scan.
        segmenter: of it.
        listed: the list.
    """

    def __init__(self, ct: CTVolume, segmenter: Segmenter, listed: MaskList) -> None:
        self.ct, self.segmenter, self.masks = ct, segmenter, listed

    def follow(self, mask_id: str, cancel: threading.Event) -> Iterator[SegmentUpdate]:
        """Follow an object that was stopped onward from where it ended; see ``Case.follow_stream``."""
        if not self.masks.known(mask_id).stopped:
            raise PromptError(f"{self.masks[mask_id].name} was not stopped: there is nothing to go on with.")
        yield from self.stream([], None, mask_id, None, None, cancel)

    def stream(
        self,
        points: list[Point],
        box: Box | None,
        mask_id: str | None,
        name: str | None,
        color: str | None,
        cancel: threading.Event,
    ) -> Iterator[SegmentUpdate]:
        """Segment a new object, add prompts to one, or go on with one that was stopped; see ``Case.segment_stream``."""
        if mask_id is None:
            state = self.segmenter.start(points, box)
            mask = Mask.from_array(np.zeros(self.ct.shape, dtype=bool), id="")
        else:
            mask = self.masks.known(mask_id)
            state = self._state_of(mask_id, points, box)
        for point in points:
            point.check(self.ct.shape)
        if box is not None:
            box.check(self.ct.shape)
        array = mask.array
        progress: Progress | None = None
        try:
            for progress in self.segmenter.run(state, points, box, cancel):
                if not mask.id and not progress.stopped:  # a run stopped before its first slice takes no number
                    mask = self.masks.begin(mask, name, color)
                changed = self._apply(array, progress)
                mask = mask.with_array(array)
                if progress.stage == "done":
                    break
                yield SegmentUpdate(
                    mask, changed, progress.done, progress.expected, progress.stage, False, progress.eta_s
                )
        finally:
            # Reached too when the consumer goes away in the middle: what is done is kept and can be undone.
            if progress is not None and progress.state.slices:
                axis = progress.state.axis
                ends = tuple(masks.End(axis, end.index, end.reason) for end in progress.state.ends)
                if progress.stopped or progress.stage != "done":
                    slices = progress.state.slices
                    at = [walk.at for walk in progress.state.open if walk.at in slices]
                    ends = masks.with_stops(ends, axis, at or (min(slices), max(slices)))
                mask = replace(self.masks.with_labels(mask), ends=ends)
                self.masks.remember(mask, progress.state)
                self.masks.clicked = mask.id
            elif progress is not None and mask_id is not None:
                self.masks.remember(mask, progress.state)
        if not progress.state.slices and mask_id is None:
            if progress.stopped:
                raise Cancelled("Stopped before the first slice was ready.")
            raise PromptError(
                "Nothing was found there. Click on another spot of the structure, or draw a box round it."
            )
        yield SegmentUpdate(
            mask, changed, progress.done, progress.done, "done", progress.stopped, 0.0, progress.state.ends
        )

    def _apply(self, array: np.ndarray, progress: Progress) -> Box | None:
        """Write the changed slices into the volume; returns the box that holds them."""
        if not progress.changed:
            return None
        state = progress.state
        view = np.moveaxis(array, state.axis, 0)
        frame = self.segmenter.frame(state.axis)
        box = None
        for index in progress.changed:
            patch = state.slices.get(index)
            before = view[index].copy()
            view[index] = False if patch is None else frame.to_volume_slice(patch.full_mask(frame.shape))
            rows, cols = np.nonzero(before | view[index])
            if rows.size:
                low, high = [int(rows.min()), int(cols.min())], [int(rows.max()) + 1, int(cols.max()) + 1]
                low.insert(state.axis, index)
                high.insert(state.axis, index + 1)
                part = Box(tuple(low), tuple(high))
                box = part if box is None else box.union(part)
        return box

    def _state_of(self, mask_id: str, points: list[Point], box: Box | None) -> ObjectState:
        """The prompt state to go on from. A mask made by an operation becomes slices of a new state."""
        past = self.masks.steps(mask_id)
        state = past[-1].state if past else None
        if isinstance(state, ObjectState):
            return state
        mask = self.masks[mask_id]
        stopped = {end.index: end.axis for end in mask.stopped}
        axis = next(iter(stopped.values()), 2)
        if not stopped:
            axis = box.plane_axis if box is not None and box.plane_axis is not None else axis
            axis = points[0].axis if box is None and points else axis
        earlier = next((s.state.prompts for s in reversed(past) if s.state), ())
        return self.segmenter.adopt(mask.array, axis, earlier, stopped)
