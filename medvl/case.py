"""``Case``: one open CT with its masks, their history, and the conversation about it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any

import numpy as np

from .case_file import snapshot, take_over
from .conversation import onward
from .conversation.contract import Done, Piece
from .conversation.conversation import Conversation
from .conversation.image_reader import VlmReader
from .conversation.picture_reader import PictureReader
from .conversation.planners.instruct import InstructPlanner
from .conversation.planners.small import BundledPlanner
from .ct import mask_operations
from .ct.mask_list import MaskList
from .ct.masks import Mask
from .ct.prompts import Box, Point
from .ct.registration import Registration, register
from .ct.volume import CTVolume
from .errors import Cancelled, PromptError
from .language.calls import Call, Finding, Probe, Refuse
from .networks.networks import Networks
from .networks.vlm import ImageConversation
from .prompting.prompted_objects import PromptedObjects, SegmentUpdate
from .prompting.segmenter import Segmenter
from .prompting.slice_encoder import SliceEncoder
from .prompting.structure_prior import StructurePrior
from .readers.case_zip import SavedCase, SavedPrior
from .report.build import build_report
from .report.report import Report
from .report.slice_png import slice_png
from .structures.finder import TextSegmenter
from .tools.executor import Result
from .tools.pieces import Step as Work
from .tools.scene import Earlier
from .writers.case_zip import write_case


class Case:
    """One open CT: slice features, masks and their undo history. One job at a time; guarded by a lock.

    Attributes:
        prior: the case of an earlier scan that this one is held against; None where none is.
    """

    prior: Case | None = None

    def __init__(self, networks: Networks, ct: CTVolume) -> None:
        self.ct = ct
        self.masks = MaskList()
        self.encoder = SliceEncoder(networks.sam2, ct)
        self.finder = TextSegmenter(ct, networks, self.masks, self.encoder)
        self.segmenter = Segmenter(self.encoder, networks.propagator)
        if networks.localiser:
            structures = tuple(self.finder.known & set(networks.localiser.config.structures))
            self.segmenter.slices.prior = StructurePrior(self.ct.shape, structures, self.finder.coarse)
        self.reader: VlmReader | PictureReader | None = None
        if networks.reader:
            self.reader = PictureReader(ct, networks.reader, self.finder if networks.localiser else None, slice_png)
        elif networks.vlm:
            self.reader = VlmReader(ct, networks.vlm, networks.seg_head, self.masks, self.segmenter)
        named = (InstructPlanner(networks.planner),) if networks.planner is not None else ()  # asked first
        self.conversation = Conversation(
            self.finder,
            (*named, BundledPlanner()),
            listed=self.masks,
            reader=self.reader,
            write_report=partial(build_report, self.finder, listed=self.masks),
        )
        self._prompted = PromptedObjects(ct, self.segmenter, self.masks)
        self._pointing = networks.seg_head is not None
        self._job = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Memory held besides the CT itself: slice features, masks, history."""
        steps = self.masks.steps()
        masks = {id(m.block): m.block.nbytes for m in (*self.masks.values(), *(s.mask for s in steps))}
        patches = {id(p): p.logits.nbytes for s in steps if s.state for p in tuple(s.state.slices.values())}
        read = self.reader.nbytes if self.reader else 0
        read += self.prior.nbytes if self.prior else 0
        return read + self.encoder.nbytes + self.finder.nbytes + sum(masks.values()) + sum(patches.values())

    def forget_features(self) -> int:
        """Forget what SAM 2 computed of slices, which it does again when they are wanted; returns the bytes freed."""
        return self.encoder.clear() + (self.prior.forget_features() if self.prior else 0)

    def close(self) -> None:
        """Free everything."""
        self.encoder.clear()
        if self.reader:
            self.reader.close()
        self.masks.clear()
        self.drop_prior()

    # ---- an earlier scan

    def hold_against(self, prior: Case) -> Registration:
        """Stand the case of an earlier scan of the same body beside this one: it is closed with it.

        Raises:
            RegistrationError: they show different bodies or regions; what there was stays.
        """
        return self._stand(prior, register(self.ct, prior.ct))

    def _stand(self, prior: Case, found: Registration) -> Registration:
        with self._job:
            self.drop_prior()
            self.prior = prior
            self.conversation.scene.earlier = Earlier(prior.conversation.scene, prior.finder, found, prior.masks)
        return found

    def drop_prior(self) -> None:
        """Close the earlier scan, if there is one."""
        if self.prior is not None:
            self.conversation.scene.earlier = None
            self.prior.close()
            self.prior = None

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
            yield from self._prompted.stream(points, box, mask_id, name, color, cancel or threading.Event())

    def follow_stream(self, mask_id: str, cancel: threading.Event | None = None) -> Iterator[SegmentUpdate]:
        """Follow an object that was stopped onward from where it ended, and yield after each slice.

        Args:
            mask_id: of the object.
            cancel: set it to stop again before the next slice; what is done is kept.

        Raises:
            PromptError: ``mask_id`` is unknown, or the object was not stopped.
        """
        with self._job:
            yield from self._prompted.follow(mask_id, cancel or threading.Event())

    def follow(
        self,
        mask: Mask,
        progress: Callable[[SegmentUpdate], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Mask:
        """Follow an object that was stopped onward; see ``follow_stream``."""
        return self._run(self.follow_stream(mask.id, cancel), progress)

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
        progress: Callable[[Work], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> list[Mask]:
        """Segment what a text names or describes.

        Args:
            text: "both kidneys", "the organ that stores bile", "the larger kidney", "the fluid beside the right lung".
            progress: called with each step.
            cancel: set it to stop within one slice.

        Returns:
            One mask a structure, in the order spoken, and one of each spot that was looked for; empty when none is in
            the scan, known or wanted.

        Raises:
            Cancelled: ``cancel`` was set.
        """
        talk = Conversation(self.finder, reader=self.reader if self._pointing else None)
        masks: dict[str, Mask] = {}
        for piece in self._locked(talk.ask(text, cancel)):
            if isinstance(piece, Work) and progress:
                progress(piece)
            if isinstance(piece, Done):
                if piece.stopped:
                    raise Cancelled("Stopped while looking for structures.")
                for call in piece.answer.calls:
                    if isinstance(call, Probe | Finding):  # what was seen in a structure, not the structure
                        continue
                    if not isinstance(call, Refuse) or call.unanswered:
                        masks |= {i: talk.scene.mask(i) for i in call.structures if talk.scene.mask(i)}
                pointed = [i for s in piece.answer.sentences if s.source == "model" for i in s.mask_ids]
                masks |= {i: self.masks[i] for i in pointed}
                seen = [self.masks.begin(mask, mask.name) for mask in talk.offered]
                for mask in seen:
                    self.masks.remember(mask)
                masks |= {mask.id: mask for mask in seen}
        return list(masks.values())

    def ask(
        self,
        text: str,
        cancel: threading.Event | None = None,
        at: tuple[int, int, int] | None = None,
        clicked: str | None = None,
    ) -> Iterator[Piece]:
        """Answer a message about this CT: steps, masks and words as they come, ``Done`` at the end.

        Masks land in ``masks``, where clicks can refine them; what was said is remembered for follow-up questions.

        Args:
            text: what a person typed.
            cancel: set it to stop within one slice or word.
            at: the voxel of the crosshair, canonical, from 0: "what is this?" asks for it.
            clicked: id of the mask that is meant by "this"; the one that was clicked last, if not given.
        """
        return self._locked(self._answered(text, cancel, at, clicked))

    def _answered(
        self, text: str, cancel: threading.Event | None, at: tuple[int, int, int] | None, clicked: str | None
    ) -> Iterator[Piece]:
        talk = self.conversation
        stopped = onward.wanted(text, self.masks, talk.state.question is not None)
        if stopped is None:
            yield from talk.ask(text, cancel, at, clicked)
        else:
            yield from onward.answer(stopped, talk, self.masks, self._prompted.follow, text, cancel)

    def run(self, call: Call, cancel: threading.Event | None = None) -> Result:
        """Run one call of a tool (``language.calls``), with no sentence: facts, and the masks that it is about.

        Raises:
            Cancelled: ``cancel`` was set.
            PromptError: it points outside the scan.
        """
        with self._job:
            return self.conversation.run(call, cancel)

    def report_stream(self, cancel: threading.Event | None = None) -> Iterator[Work | Report]:
        """Write a report: steps as structures are looked for, the report at the end.

        Raises:
            Cancelled: ``cancel`` was set.
        """
        return self._locked(
            build_report(
                self.finder, cancel=cancel, scene=self.conversation.scene, reader=self.reader, listed=self.masks
            )
        )

    def report(self, progress: Callable[[Work], None] | None = None, cancel: threading.Event | None = None) -> Report:
        """The report at once; see ``report_stream``."""
        report = None
        for piece in self.report_stream(cancel):
            if isinstance(piece, Report):
                report = piece
            elif isinstance(piece, Work) and progress:
                progress(piece)
        return report

    def _locked(self, pieces: Iterator) -> Iterator:
        with self._job, closing(pieces):
            yield from pieces

    # ---- the file of a case

    def save(self, path: str | PathLike, scan: bool = False, page: dict[str, Any] | None = None) -> None:
        """Save masks, names, prompts, history, conversation and report in one ``.medvl.zip``, for ``medvl.open_case``.

        Args:
            path: of the file; appears only when complete.
            scan: put the scan into the file, too, and the earlier one that stands beside; without it the file knows
                them by their voxels.
            page: what a page keeps beside (view, lengths, words of a chat), JSON values; see ``SavedCase.page``.

        Raises:
            ExportError: it cannot be written there.
        """
        with self._job:
            saved = self._snapshot(page)
            prior = self.prior
            if prior is not None:
                found = self.conversation.scene.earlier.found
                saved = replace(saved, prior=SavedPrior(prior._snapshot(None), found))
        scans = (self.ct, prior.ct if prior else None) if scan else (None, None)
        write_case(path, saved, *scans)

    def _snapshot(self, page: dict[str, Any] | None) -> SavedCase:
        return snapshot(self.ct, self.masks, self.finder, self.conversation, page)

    def restore(self, saved: SavedCase) -> None:
        """Take over a saved case of this scan: its masks with their history, what was found and said, the report.

        Raises:
            CaseFileError: it belongs to another scan, or this case has masks already.
        """
        take_over(saved, self.ct, self.masks, self.finder, self.conversation)

    def restore_prior(self, saved: SavedPrior, prior: Case) -> Registration:
        """Stand the earlier scan of a saved case beside this one again, with its masks, as it was laid over it.

        Args:
            saved: what was saved of it.
            prior: a fresh case of that scan, which is closed with this one.

        Raises:
            CaseFileError: it is another scan, or has masks already.
        """
        prior.restore(saved.case)
        return self._stand(prior, saved.found)

    # ---- list of masks and history, see ``MaskList``

    def prompts(self, mask_id: str) -> list[Point | Box]:
        """Every prompt given to an object, in order."""
        self.masks.known(mask_id)
        state = next((s.state for s in reversed(self.masks.steps(mask_id)) if s.state), None)
        return list(state.prompts) if state else []

    def put(self, mask: Mask) -> Mask:
        """Add or replace a mask made by an operation; it can be undone like a prompt."""
        return self.masks.put(mask)

    def paint(
        self,
        mask_id: str | None,
        box: Box,
        voxels: np.ndarray,
        add: bool = True,
        hu: tuple[float, float] | None = None,
    ) -> Mask:
        """A stroke by hand: one step of the mask's history.

        Args:
            mask_id: of the mask; None begins a new one.
            box: half-open voxel box of the stroke.
            voxels: bool ``box.size``.
            add: False takes away.
            hu: only voxels with HU from the first to the second value.

        Raises:
            PromptError: there is no such mask, the box leaves the scan, or nothing would be added to a new mask.
        """
        box.check(self.ct.shape)
        if hu is not None:
            values = self.ct.hu[box.slices]
            voxels = voxels & (values >= hu[0]) & (values <= hu[1])
        with self._job:
            if mask_id is None:
                if not add or not voxels.any():
                    raise PromptError(
                        "Nothing was painted: no voxel there has HU in the range."
                        if add
                        else "There is no mask to erase from. Select one in the list first."
                    )
                mask = self.masks.begin(Mask.from_block(self.ct.shape, box, voxels, id=""))
            else:
                mask = mask_operations.paint(self.masks.known(mask_id), box, voxels, add)
            self.masks.remember(mask)
            self.masks.clicked = mask.id
            return mask

    def relabel(self, mask_id: str, name: str | None = None, color: str | None = None) -> Mask:
        """Rename or recolour an object; not a step of its history."""
        return self.masks.relabel(mask_id, name, color)

    def remove(self, mask_id: str) -> None:
        """Delete an object and its history."""
        self.masks.remove(mask_id)

    def can_undo(self, mask_id: str) -> bool:
        """True if there is a step to take back."""
        return self.masks.can_undo(mask_id)

    def can_redo(self, mask_id: str) -> bool:
        """True if there is a step to do again."""
        return self.masks.can_redo(mask_id)

    def undo(self, mask_id: str) -> Mask | None:
        """Take back the last prompt or operation; None if the object is gone with its first prompt."""
        return self.masks.undo(mask_id)

    def redo(self, mask_id: str) -> Mask | None:
        """Do again what ``undo`` took back."""
        return self.masks.redo(mask_id)
