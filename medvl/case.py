"""``Case``: one open CT with its masks, their history, and the conversation about it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .answering.contract import Done, Intent, Piece, Step
from .answering.conversation import Conversation
from .errors import Cancelled, PromptError
from .masks import PALETTE, Mask
from .prompts import Box, Point
from .reader import ImageReader
from .report import Report, build_report
from .segmenter import ObjectState, Progress, Segmenter
from .slice_encoder import SliceEncoder
from .structure_prior import StructurePrior
from .text_segmenter import TextSegmenter
from .vlm import ImageConversation
from .volume import CTVolume

if TYPE_CHECKING:
    from .model import MedVLSAM2

HISTORY = 50  # undo steps kept for one object


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
    """

    mask: Mask
    changed: Box | None
    slices_done: int
    slices_expected: int
    stage: str
    stopped: bool
    eta_s: float | None


@dataclass(frozen=True)
class _Step:
    """One point of an object's history: its prompt state (None after a mask operation) and its mask."""

    state: ObjectState | None
    mask: Mask


class Case:
    """One open CT: slice features, masks and their undo history. One job at a time; guarded by a lock."""

    clicked: str | None = None  # the mask that prompts went to since the last message of the conversation

    def __init__(self, model: MedVLSAM2, ct: CTVolume) -> None:
        self.model = model
        self.ct = ct
        self.masks: dict[str, Mask] = {}
        self.encoder = SliceEncoder(model.sam2, ct)
        self.finder = TextSegmenter(self, model.edge)
        self.reader = ImageReader(self) if model.vlm else None
        self.conversation = Conversation(self.finder, listed=self, reader=self.reader)
        self.segmenter = Segmenter(self.encoder, model.propagator)
        if model.localiser:
            structures = tuple(self.finder.known & set(model.localiser.config.structures))
            self.segmenter.slices.prior = StructurePrior(self.ct.shape, structures, self.finder.coarse)
        self._past: dict[str, list[_Step]] = {}
        self._future: dict[str, list[_Step]] = {}
        self._numbers = itertools.count(1)
        self._job = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Memory held besides the CT itself: slice features, masks, history."""
        steps = [s for line in (*self._past.values(), *self._future.values()) for s in line]
        masks = {id(m.block): m.block.nbytes for m in (*self.masks.values(), *(s.mask for s in steps))}
        patches = {id(p): p.logits.nbytes for s in steps if s.state for p in s.state.slices.values()}
        read = self.reader.nbytes if self.reader else 0
        return read + self.encoder.nbytes + self.finder.nbytes + sum(masks.values()) + sum(patches.values())

    def close(self) -> None:
        """Free everything."""
        self.encoder.clear()
        if self.reader:
            self.reader.close()
        self.masks.clear()
        self._past.clear()
        self._future.clear()

    def reading(self) -> ImageConversation | None:
        """The vision-language model's conversation about this scan; None where the preset has no such model.

        The scan is encoded once. What it says is the model's own reading and not a measurement.
        """
        return self.reader.conversation() if self.reader else None

    # ---- segmentation by prompts

    def segment_stream(
        self,
        points: list[Point] | None = None,
        box: Box | None = None,
        mask_id: str | None = None,
        name: str | None = None,
        color: str | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[SegmentUpdate]:
        """Segment a new object, or add prompts to one, and yield after each slice.

        Args:
            points: new points.
            box: a box in a plane, or 3-D.
            mask_id: the object to refine; None starts a new one.
            name: of a new object.
            color: of a new object, ``#rrggbb``.
            cancel: set it to stop before the next slice; what is done is kept.

        Raises:
            PromptError: a prompt is outside the CT, or there is none, or ``mask_id`` is unknown.
        """
        points = list(points or [])
        if not points and box is None:
            raise PromptError("Nothing was prompted. Click a point or draw a box.")
        with self._job:
            yield from self._stream(points, box, mask_id, name, color, cancel or threading.Event())

    def _stream(
        self,
        points: list[Point],
        box: Box | None,
        mask_id: str | None,
        name: str | None,
        color: str | None,
        cancel: threading.Event,
    ) -> Iterator[SegmentUpdate]:
        if mask_id is None:
            state = self.segmenter.start(points, box)
            mask = Mask.from_array(np.zeros(self.ct.shape, dtype=bool), id="")
        else:
            mask = self._known(mask_id)
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
                    number = next(self._numbers)
                    mask = replace(
                        mask,
                        id=f"m{number}",
                        name=name or f"Object {number}",
                        color=color or self.next_color(),
                    )
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
                mask = self._with_labels(mask)
                self._remember(mask.id, _Step(progress.state, mask))
                self.clicked = mask.id
            elif progress is not None and mask_id is not None:
                self._remember(mask.id, _Step(progress.state, mask))
        if not progress.state.slices and mask_id is None:
            if progress.stopped:
                raise Cancelled("Stopped before the first slice was ready.")
            raise PromptError(
                "Nothing was found there. Click on another spot of the structure, or draw a box round it."
            )
        yield SegmentUpdate(mask, changed, progress.done, progress.done, "done", progress.stopped, 0.0)

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
        past = self._past[mask_id]
        state = past[-1].state if past else None
        if state is not None:
            return state
        axis = box.plane_axis if box is not None and box.plane_axis is not None else (points[0].axis if points else 2)
        earlier = next((s.state.prompts for s in reversed(past) if s.state), ())
        return self.segmenter.adopt(self.masks[mask_id].array, axis, earlier)

    def segment(
        self,
        points: list[Point] | None = None,
        box: Box | None = None,
        name: str | None = None,
        progress: Callable[[SegmentUpdate], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Mask:
        """Segment a new object; see ``segment_stream``. ``progress`` is called after each slice."""
        return self._run(self.segment_stream(points, box, None, name, None, cancel), progress)

    def refine(
        self,
        mask: Mask,
        points: list[Point] | None = None,
        box: Box | None = None,
        progress: Callable[[SegmentUpdate], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Mask:
        """Add prompts to an object; see ``segment_stream``."""
        return self._run(self.segment_stream(points, box, mask.id, None, None, cancel), progress)

    @staticmethod
    def _run(updates: Iterator[SegmentUpdate], progress: Callable[[SegmentUpdate], None] | None) -> Mask:
        update = None
        for update in updates:
            if progress:
                progress(update)
        return update.mask

    # ---- words

    def segment_text(
        self,
        text: str,
        progress: Callable[[Step], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> list[Mask]:
        """Segment what a text names or describes.

        Args:
            text: "both kidneys", "the organ that stores bile", "the larger kidney".
            progress: called with each step.
            cancel: set it to stop within one slice.

        Returns:
            One mask a structure, in the order spoken; empty when none is in the scan, known or wanted.

        Raises:
            Cancelled: ``cancel`` was set.
        """
        talk = Conversation(self.finder, reader=self.reader if self.model.seg_head else None)
        masks: dict[str, Mask] = {}
        for piece in self._locked(talk.ask(text, cancel)):
            if isinstance(piece, Step) and progress:
                progress(piece)
            if isinstance(piece, Done):
                if piece.stopped:
                    raise Cancelled("Stopped while looking for structures.")
                for request in piece.answer.requests:
                    if request.intent is not Intent.REFUSE:
                        masks |= {i: talk.scene.mask(i) for i in request.structures if talk.scene.mask(i)}
                pointed = [i for s in piece.answer.sentences if s.source == "model" for i in s.mask_ids]
                masks |= {i: self.masks[i] for i in pointed}
        return list(masks.values())

    def ask(self, text: str, cancel: threading.Event | None = None) -> Iterator[Piece]:
        """Answer a message about this CT: steps, masks and words as they come, ``Done`` at the end.

        Masks land in ``masks``, where clicks can refine them; what was said is remembered for follow-up questions.
        """
        return self._locked(self.conversation.ask(text, cancel))

    def report_stream(self, cancel: threading.Event | None = None) -> Iterator[Step | Report]:
        """Write a report: steps as structures are looked for, the report at the end.

        Raises:
            Cancelled: ``cancel`` was set.
        """
        return self._locked(build_report(self.finder, cancel=cancel, scene=self.conversation.scene, reader=self.reader))

    def report(self, progress: Callable[[Step], None] | None = None, cancel: threading.Event | None = None) -> Report:
        """The report at once; see ``report_stream``."""
        report = None
        for piece in self.report_stream(cancel):
            if isinstance(piece, Report):
                report = piece
            elif isinstance(piece, Step) and progress:
                progress(piece)
        return report

    def _locked(self, pieces: Iterator) -> Iterator:
        with self._job, closing(pieces):
            yield from pieces

    # ---- list of masks and history

    def prompts(self, mask_id: str) -> list[Point | Box]:
        """Every prompt given to an object, in order."""
        self._known(mask_id)
        state = next((s.state for s in reversed(self._past.get(mask_id, [])) if s.state), None)
        return list(state.prompts) if state else []

    def put(self, mask: Mask) -> Mask:
        """Add or replace a mask made by an operation; it can be undone like a prompt."""
        if mask.id not in self.masks and mask.id in self._past:
            raise PromptError("This object was removed.")
        if mask.id not in self.masks:
            mask = replace(mask, id=f"m{next(self._numbers)}")
        self._remember(mask.id, _Step(None, mask))
        return mask

    def next_color(self) -> str:
        """The first colour of the palette that no mask of the list has; all taken: the one used least."""
        used = [mask.color for mask in self.masks.values()]
        return min(PALETTE, key=used.count)

    def relabel(self, mask_id: str, name: str | None = None, color: str | None = None) -> Mask:
        """Rename or recolour an object; not a step of its history."""
        mask = self._known(mask_id)
        self.masks[mask_id] = replace(mask, name=name or mask.name, color=color or mask.color)
        return self.masks[mask_id]

    def remove(self, mask_id: str) -> None:
        """Delete an object and its history."""
        self._known(mask_id)
        for store in (self.masks, self._past, self._future):
            store.pop(mask_id, None)

    def can_undo(self, mask_id: str) -> bool:
        """True if there is a step to take back."""
        return bool(self._past.get(mask_id))

    def can_redo(self, mask_id: str) -> bool:
        """True if there is a step to do again."""
        return bool(self._future.get(mask_id))

    def undo(self, mask_id: str) -> Mask | None:
        """Take back the last prompt or operation.

        Returns:
            The mask as it was, or None if the object is gone because its first prompt was taken back.
        """
        past = self._past.get(mask_id) or []
        if not past:
            return self.masks.get(mask_id)
        self._future.setdefault(mask_id, []).append(replace(past[-1], mask=self._with_labels(past[-1].mask)))
        past.pop()
        if not past:
            self.masks.pop(mask_id, None)
            return None
        self.masks[mask_id] = self._with_labels(past[-1].mask)
        return self.masks[mask_id]

    def redo(self, mask_id: str) -> Mask | None:
        """Do again what ``undo`` took back."""
        future = self._future.get(mask_id)
        if not future:
            return self.masks.get(mask_id)
        step = future.pop()
        self._past.setdefault(mask_id, []).append(step)
        self.masks[mask_id] = self._with_labels(step.mask)
        return self.masks[mask_id]

    def _known(self, mask_id: str) -> Mask:
        if mask_id not in self.masks:
            raise PromptError("This object does not exist any more. Select another one or start a new one.")
        return self.masks[mask_id]

    def _with_labels(self, mask: Mask) -> Mask:
        """The mask under the name and colour that the object has now."""
        now = self.masks.get(mask.id)
        return replace(mask, name=now.name, color=now.color) if now else mask

    def _remember(self, mask_id: str, step: _Step) -> None:
        past = self._past.setdefault(mask_id, [])
        past.append(step)
        del past[:-HISTORY]
        self._future[mask_id] = []
        self.masks[mask_id] = step.mask
