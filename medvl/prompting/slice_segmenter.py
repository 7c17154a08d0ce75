"""One slice of an object: from prompts, from corrections, or carried over from its neighbour.

Two experts speak: SAM 2 and ``SlicePropagator``. Everything here works on planes ``(row, column)``; the way through the
volume is in ``segmenter.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F

from ..ct.prompts import Box, Point
from ..ct.windows import window_for
from ..networks.propagator import SlicePropagator, click_map, make_inputs
from .end_evidence import TOO_LONG, Course, End, expected, gone, grown, too_far
from .plane_masks import (
    SlicePrompts,
    box_agreement,
    box_round,
    centrality,
    deepest,
    honours,
    iou_of,
    within,
)
from .planes import Patch, PlaneFrame, to_plane
from .slice_encoder import SliceEncoder
from .structure_prior import StructurePrior
from .thresholds import THRESHOLDS
from .two_parts import two_parts


@dataclass(frozen=True)
class OpenWalk:
    """A way through the slices that was stopped before it came to its end.

    Attributes:
        start: the prompted slice that it began at.
        step: 1 or -1.
        at: the last slice that was done; ``start`` before the first.
        change: of a correction, what of it goes on from there (``corrections.Change``).
    """

    start: int
    step: int
    at: int
    change: object | None = None


@dataclass(frozen=True)
class ObjectState:
    """All that is known of one object; immutable, so that undo is a list of these.

    Attributes:
        axis: normal of the planes it is propagated through.
        window: HU window its slices are shown to SAM 2 in.
        statistics: mean and SD of its HU.
        prompts: everything a person gave, in order.
        anchors: prompts by slice.
        slices: probability by slice, only where the object is.
        limits: half-open range of slices that the object may claim, from a 3-D box or a box across.
        structure: id that the localiser recognised the object as, "" for none.
        ends: where evidence ended it.
        open: ways on which it was stopped; the next run goes on with them.
    """

    axis: int
    window: str = "soft"
    statistics: tuple[float, float] = (40.0, 60.0)
    prompts: tuple[Point | Box, ...] = ()
    anchors: dict[int, SlicePrompts] = field(default_factory=dict)
    slices: dict[int, Patch] = field(default_factory=dict)
    limits: tuple[int, int] | None = None
    structure: str = ""
    ends: tuple[End, ...] = ()
    open: tuple[OpenWalk, ...] = ()


@dataclass(frozen=True)
class Carried:
    """An object on a neighbouring slice.

    Attributes:
        patch: its mask; None where it has ended.
        reason: why it was ended although it may go on; "" where nothing of it is here.
    """

    patch: Patch | None = None
    reason: str = ""


class SliceSegmenter:
    """Delineates single slices of one CT."""

    def __init__(self, encoder: SliceEncoder, propagator: SlicePropagator) -> None:
        self.encoder = encoder
        self.propagator = propagator
        self.ct = encoder.ct
        self.device = encoder.sam2.device
        self.prior: StructurePrior | None = None
        self.frames = [PlaneFrame.of(self.ct, axis) for axis in range(3)]

    def first(self, axis: int, index: int, prompts: SlicePrompts, window: str) -> np.ndarray:
        """SAM 2's best mask of a slice from prompts alone; logits ``(row, column)`` on the full plane."""
        return self.first_scored(axis, index, prompts, window)[0]

    def first_scored(self, axis: int, index: int, prompts: SlicePrompts, window: str) -> tuple[np.ndarray, float]:
        """As ``first``, with the score that chose it.

        With a box: predicted IoU and how well the mask fills the box; masks that are nearly as good as the best have a
        say, and nothing lies outside the box. With clicks alone SAM 2, trained on photographs,
        is surest of the whole body; so a mask counts for more whose HU are those under the clicks.
        """
        logits, iou = self.predict(axis, index, window, [prompts], None)
        logits, score = logits[0], iou[0].copy()
        frame = self.frames[axis]
        hu = to_plane(self.ct.hu, axis, index)
        here = prompted_hu(hu, prompts) if prompts.box is None else np.zeros(0)
        for n, mask in enumerate(logits > 0):
            area = float(mask.sum()) * frame.pixel_area_mm2
            score[n] -= 0.5 * (area < THRESHOLDS.min_area_mm2)
            if prompts.box is not None:
                score[n] += THRESHOLDS.box_weight * box_agreement(mask, prompts.box)
            elif here.size and mask.any():
                reach = max(2.5 * float(here.std()), 40.0)
                alike = float((np.abs(hu[mask] - np.median(here)) <= reach).mean())
                score[n] = 0.5 * score[n] + alike - 0.4 * area / THRESHOLDS.large_area_mm2
        best = int(score.argmax())
        if prompts.box is not None and not prompts.points:
            parts = two_parts(
                hu, prompts.box, float(iou[0][best]), lambda points: self.predict(axis, index, window, points, None)
            )
            if parts is not None:
                return parts[0], parts[1] + THRESHOLDS.box_weight * box_agreement(parts[0] > 0, prompts.box)
        chosen = logits[best] if prompts.box is None else _agreed(logits, score, prompts.box)
        if prompts.box is None and sum(on for _, _, on in prompts.points) >= THRESHOLDS.scribble_points:
            chosen = self._shown_again(axis, index, prompts, window, chosen)
        return chosen, float(score[best])

    def _shown_again(self, axis: int, index: int, prompts: SlicePrompts, window: str, before: np.ndarray) -> np.ndarray:
        """A scribble's points once more, with SAM 2's answer to them shown to it as an earlier mask."""
        logits, iou = self.predict(axis, index, window, [prompts], [before])
        near = np.array([iou_of(mask > 0, before > 0) for mask in logits[0]])
        return logits[0][int((near + 0.3 * iou[0]).argmax())]

    def guided(self, axis: int, index: int, prompts: SlicePrompts, window: str, word: np.ndarray) -> np.ndarray:
        """A prompted slice with the localiser's logits shown to SAM 2 as an earlier mask, and mixed with its answer."""
        logits, iou = self.predict(axis, index, window, [prompts], [word])
        near = np.array([iou_of(mask > 0, word > 0) for mask in logits[0]])
        best = int((near + 0.3 * iou[0]).argmax())
        mixed = 0.5 * (np.clip(logits[0][best], -THRESHOLDS.prior_limit, THRESHOLDS.prior_limit) + word)
        if prompts.box is not None:
            r0, c0, r1, c1 = prompts.box
            inside = np.zeros(mixed.shape, bool)
            inside[max(0, r0 - 2) : r1 + 2, max(0, c0 - 2) : c1 + 2] = True
            mixed = np.where(inside, mixed, -THRESHOLDS.prior_limit)
        return mixed

    def choose_window(self, axis: int, index: int, prompts: SlicePrompts) -> str:
        """The window that shows what is prompted. Where a box holds lung and soft tissue, both are tried."""
        hu = to_plane(self.ct.hu, axis, index)
        window = window_for(prompted_hu(hu, prompts))
        if prompts.box is None or any(on for _, _, on in prompts.points):
            return window
        r0, c0, r1, c1 = prompts.box
        air = float((hu[r0:r1, c0:c1] < -250).mean())
        if not 0.12 < air < 0.85:
            return window
        return max(("soft", "lung"), key=lambda w: self.first_scored(axis, index, prompts, w)[1])

    def correct(self, state: ObjectState, index: int, old: Patch, prompts: SlicePrompts) -> np.ndarray:
        """An existing slice with clicks: the best of several candidate masks, mixed with the propagation network's
        where both speak of the same thing.
        """
        logits, features = self._candidates(state, index, old, prompts)
        hu, before = to_plane(self.ct.hu, state.axis, index), old.full_mask(logits.shape[1:])
        leaks = [_leaked(mask > 0, before, hu, state.statistics, prompts) for mask in logits]
        score = features @ np.array(THRESHOLDS.candidate_weights) - THRESHOLDS.leak_weight * np.array(leaks)
        best = int(score.argmax())
        limit, learned = THRESHOLDS.logit_limit, logits[-1]
        chosen = np.clip(logits[best], -limit, limit)
        if iou_of(chosen > 0, learned > 0) < 0.7:
            return chosen
        return 0.5 * (chosen + np.clip(learned, -limit, limit))

    def _candidates(
        self, state: ObjectState, index: int, old: Patch, prompts: SlicePrompts
    ) -> tuple[np.ndarray, np.ndarray]:
        """Candidate masks of a corrected slice: SAM 2 asked with and without the mask so far, with and without a box,
        all its outputs, and last the propagation network asked on the slice itself.

        Returns:
            Logits ``[N, rows, columns]`` and what is known of each, ``[N, 6]``: clicks honoured; how near the centre
            of what it changes the newest click is, and how deep (people click in the middle of what is wrong); IoU with
            the network's; IoU with the mask before; predicted IoU; whether the mask before was shown to SAM 2.
        """
        frame = self.frames[state.axis]
        base = old.full_logits(frame.shape)
        learned = self.propagated(state, old, index, index, prompts)
        positives = tuple(p for p in prompts.points if p[2])
        box = box_round((learned > 0) | (base > 0), positives, frame.shape)
        boxed = SlicePrompts(prompts.points, box)
        groups = [self.predict(state.axis, index, state.window, [prompts, prompts, boxed, boxed], [base, learned] * 2)]
        if positives:
            groups.append(self.predict(state.axis, index, state.window, [prompts, boxed], None))
        logits = np.concatenate([g[0].reshape(-1, *frame.shape) for g in groups] + [learned[None]])
        quality = np.concatenate([g[1].ravel() for g in groups] + [[0.8]])
        shown = np.array([1.0] * groups[0][1].size + [0.0] * (len(quality) - groups[0][1].size))
        before, pixel = base > 0, float(np.sqrt(frame.pixel_area_mm2))
        rows = []
        for mask, iou, seen in zip(logits > 0, quality, shown, strict=True):
            central, depth = centrality(mask ^ before, prompts.points[-1])
            rows.append(
                (
                    float(honours(mask, prompts)),
                    central * (1 - np.exp(-depth * pixel / 4)),
                    iou_of(mask, learned > 0),
                    iou_of(mask, before),
                    iou,
                    seen,
                )
            )
        return logits, np.array(rows)

    @torch.inference_mode()
    def propagated(
        self, state: ObjectState, patch: Patch, source: int, index: int, prompts: SlicePrompts | None = None
    ) -> np.ndarray:
        """``SlicePropagator`` from slice ``source`` (mask ``patch``) to ``index``; logits on the full plane."""
        frame, config = self.frames[state.axis], self.propagator.config
        points = prompts.points if prompts else ()
        window = frame.window(patch, points, config)
        step = 1 if index >= source else -1
        beyond = int(np.clip(index + step, 0, self.ct.shape[state.axis] - 1))
        planes = [to_plane(self.ct.hu, state.axis, i) for i in (source, index, beyond)]
        hu = [window.sample(torch.from_numpy(p.astype(np.float32)), -1024.0) for p in planes]
        previous = window.sample(torch.from_numpy(patch.full_logits(frame.shape)), -8.0).sigmoid()
        size = previous.shape
        clicks = [
            click_map([window.to_canvas(r, c) for r, c, on in points if on is want], size) for want in (True, False)
        ]
        maps = make_inputs(
            previous[None], hu[0][None], hu[1][None], hu[2][None],
            torch.tensor([state.statistics]),
            torch.tensor([abs(index - source) * self.ct.spacing_mm[state.axis]]),
            torch.tensor([window.pixel_mm]),
            clicks[0][None], clicks[1][None],
        )  # fmt: skip
        logits = self.propagator(maps.to(self.device)).float().cpu()[0]
        return window.restore(logits)

    @torch.inference_mode()
    def predict(
        self,
        axis: int,
        index: int,
        window: str,
        prompts: list[SlicePrompts],
        masks: list[np.ndarray] | None,
        extra: torch.Tensor | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """SAM 2 for a batch of prompts on one slice.

        Args:
            axis: normal of the plane.
            index: slice along it.
            window: key of ``WINDOWS``.
            prompts: one a mask wanted.
            masks: logits of an earlier mask for each, on the full plane; None for none.
            extra: ``[B, N, 256]`` prompts that are no points (``seg_token.SegHead.prompts``), or None.

        Returns:
            Logits ``[B, 4, rows, columns]`` on the full plane and predicted IoU ``[B, 4]``.
        """
        features = self.encoder.features(axis, index, window)
        frame, crop = self.frames[axis], self.encoder.crop(axis)
        size = self.encoder.sam2.config.image_size
        r0, r1, c0, c1 = crop
        scale = np.array([size / (c1 - c0), size / (r1 - r0)])
        rows = []
        for prompt in prompts:
            row = [((c + 0.5 - c0, r + 0.5 - r0), int(on)) for r, c, on in prompt.points]
            if prompt.box is not None:
                b = prompt.box
                row += [((b[1] - c0, b[0] - r0), 2), ((b[3] - c0, b[2] - r0), 3)]
            rows.append(row)
        count = max(1, *(len(row) for row in rows))  # SAM 2 itself puts a padding point where there is none
        points = torch.zeros(len(rows), count, 2)
        labels = torch.full((len(rows), count), -1, dtype=torch.int32)
        for n, row in enumerate(rows):
            for m, (xy, label) in enumerate(row):
                points[n, m] = torch.from_numpy(np.array(xy) * scale)
                labels[n, m] = label
        grid = size // 4
        dense = None
        if masks is not None:
            stack = torch.from_numpy(np.stack(masks)[:, None, r0:r1, c0:c1].astype(np.float32))
            dense = F.interpolate(stack, (grid, grid), mode="bilinear", align_corners=False, antialias=True)
            dense = dense.clamp(-10, 10).to(self.device)
        logits, iou = self.encoder.sam2.decode(features, points.to(self.device), labels.to(self.device), dense, extra)
        logits = F.interpolate(logits.float(), (r1 - r0, c1 - c0), mode="bilinear", align_corners=False).cpu()
        full = np.full((*logits.shape[:2], *frame.shape), -10.0, dtype=np.float32)
        full[:, :, r0:r1, c0:c1] = logits.numpy()
        return full, iou.float().cpu().numpy()

    # ---- through the volume --------------------------------------------------------------------------------------

    def carry(
        self, state: ObjectState, source: int, index: int, start: int | None = None, open_end: bool = False
    ) -> Carried:
        """The object on slice ``index``, predicted from the neighbouring slice ``source``.

        Args:
            state: the object.
            source: slice that is known.
            index: the wanted one.
            start: the slice that the object is carried on from; the one that is known if not given.
            open_end: no evidence is asked for that the object is still there.
        """
        frame, patch, spacing = self.frames[state.axis], state.slices[source], self.ct.spacing_mm[state.axis]
        before, limit = patch.full_mask(frame.shape), THRESHOLDS.logit_limit
        # A structure that is known, and a box in three dimensions, tell otherwise where the object ends.
        known = open_end or bool(state.structure) or state.limits is not None
        course = shape = None
        if not known:
            prompted = state.slices.get(start, patch).full_mask(frame.shape)
            course = Course(prompted, before, abs(index - (source if start is None else start)) * spacing)
            shape = expected(prompted, course.distance_mm, frame)
        logits = np.clip(self.propagated(state, patch, source, index), -limit, limit)
        hu = to_plane(self.ct.hu, state.axis, index)
        if course is not None and too_far(shape, course, frame):
            return self._cut(logits, hu, state.statistics, course, frame)
        if state.structure and self.prior:
            weight = THRESHOLDS.prior_weight if len(state.anchors) == 1 else THRESHOLDS.corrected_prior_weight
            word = self.prior.logits(state.structure, state.axis, index) * (limit / THRESHOLDS.prior_limit)
            logits = (1 - weight) * logits + weight * word
        if self._vanished(logits, frame):
            return Carried()
        if THRESHOLDS.sam_weight > 0:
            logits = self._sharpen(state, index, logits)
        if shape is not None:
            free = logits
            logits = self._mixed(logits, shape, self.in_reach(state, source, index))
            if self._vanished(logits, frame):
                return self._cut(free, hu, state.statistics, course, frame)
        keep = frame.connected(logits > 0, before)
        logits = np.where((logits > 0) & ~keep, -1.0, logits)
        if self._vanished(logits, frame):
            return Carried()
        if course is not None:
            if gone(logits > 0, hu, state.statistics, course):
                return Carried()
            if reason := grown(logits > 0, course):
                return Carried(reason=reason)
        return Carried(Patch.from_logits(logits))

    def _cut(
        self, logits: np.ndarray, hu: np.ndarray, statistics: tuple[float, float], course: Course, frame: PlaneFrame
    ) -> Carried:
        """An object that a lump of its width does not reach here: with the reason where without that it would go on."""
        # The slice before is the tip of a lump: what goes on is as wide as the object was.
        course = replace(course, before=course.before | course.prompted)
        mask = frame.connected(logits > 0, course.before)
        if self._vanished(np.where(mask, 1.0, -1.0), frame) or gone(mask, hu, statistics, course):
            return Carried()
        return Carried(reason=grown(mask, course) or TOO_LONG)

    def as_lump(self, state: ObjectState, source: int, index: int, logits: np.ndarray) -> np.ndarray:
        """Logits of a slice, held to what the object on slice ``source`` lets expect there."""
        frame = self.frames[state.axis]
        known = state.slices[source].full_mask(frame.shape)
        shape = expected(known, abs(index - source) * self.ct.spacing_mm[state.axis], frame)
        limit = THRESHOLDS.logit_limit
        return self._mixed(np.clip(logits, -limit, limit), shape, self.in_reach(state, source, index))

    @staticmethod
    def _mixed(logits: np.ndarray, shape: np.ndarray, near: np.ndarray) -> np.ndarray:
        logits = (1 - THRESHOLDS.lump_weight) * logits + THRESHOLDS.lump_weight * shape
        return np.where(near, logits, np.minimum(logits, -1.0))

    def in_reach(self, state: ObjectState, source: int, index: int) -> np.ndarray:
        """Where on a slice the object may be that is known on another one: an outline moves only so far between them.

        Args:
            state: the object.
            source: slice that is known.
            index: the other one.
        """
        frame, away_mm = self.frames[state.axis], abs(index - source) * self.ct.spacing_mm[state.axis]
        reach_mm = THRESHOLDS.spread_per_gap * away_mm + THRESHOLDS.spread_least_mm
        return within(state.slices[source].full_mask(frame.shape), reach_mm, frame)

    @staticmethod
    def _vanished(logits: np.ndarray, frame: PlaneFrame) -> bool:
        return np.count_nonzero(logits > 0) * frame.pixel_area_mm2 < THRESHOLDS.min_area_mm2

    def _sharpen(self, state: ObjectState, index: int, learned: np.ndarray) -> np.ndarray:
        """Add SAM 2's edge to a propagated mask, where SAM 2 speaks of the same thing."""
        frame, mask = self.frames[state.axis], learned > 0
        box = box_round(mask, (), frame.shape)
        r, c = deepest(mask)
        prompts = [SlicePrompts(((r, c, True),), box), SlicePrompts((), box)]
        logits, iou = self.predict(state.axis, index, state.window, prompts, [learned, learned])
        logits, iou = logits.reshape(-1, *frame.shape), iou.ravel()
        near = np.array([iou_of(m > 0, mask) for m in logits])
        best = int((near + 0.5 * iou).argmax())
        agreement = near[best]
        if agreement < THRESHOLDS.min_agreement:
            return learned
        weight = THRESHOLDS.sam_weight * (agreement - THRESHOLDS.min_agreement) / (1 - THRESHOLDS.min_agreement)
        limit = THRESHOLDS.logit_limit
        return (1 - weight) * learned + weight * np.clip(logits[best], -limit, limit)


def _agreed(logits: np.ndarray, score: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """What SAM 2's masks of a box say together, each weighted by its score: logits ``(row, column)``.

    Args:
        logits: ``[N, rows, columns]``.
        score: of each mask.
        box: as drawn, half-open ``(r0, c0, r1, c1)``; a pixel more is allowed for on each side.
    """
    limit, (r0, c0, r1, c1) = THRESHOLDS.logit_limit, box
    weight = np.exp((score - score.max()) / THRESHOLDS.agreed_score)
    mixed = np.tensordot(weight / weight.sum(), np.clip(logits, -limit, limit), 1)
    inside = np.zeros(mixed.shape, bool)
    inside[max(0, r0 - 1) : r1 + 1, max(0, c0 - 1) : c1 + 1] = True
    return np.where(inside, mixed, -limit).astype(np.float32)


def _leaked(
    mask: np.ndarray,
    before: np.ndarray,
    hu: np.ndarray,
    statistics: tuple[float, float],
    prompts: SlicePrompts,
) -> float:
    """How much a corrected slice gains that is like neither the object nor the newest positive click: 0 to 1, its size
    in terms of the slice before. A click on what is missing of a vessel does not mean the heart round it.
    """
    added = mask & ~before
    if not added.any() or not before.any():
        return 0.0
    values = hu[added]
    unlike = np.abs(values - statistics[0]) > max(2.5 * statistics[1], 60.0)
    newest = next((p for p in reversed(prompts.points) if p[2]), None)
    if newest is not None:
        here = prompted_hu(hu, SlicePrompts((newest,)))
        unlike &= np.abs(values - np.median(here)) > max(2.5 * float(here.std()), 40.0)
    return min(1.0, float(unlike.sum()) / float(before.sum()))


def prompted_hu(hu: np.ndarray, prompts: SlicePrompts) -> np.ndarray:
    """HU that the prompts point at: round positive points, else the middle of the box."""
    values = [hu[max(0, r - 2) : r + 3, max(0, c - 2) : c + 3].ravel() for r, c, on in prompts.points if on]
    if prompts.box is not None:
        r0, c0, r1, c1 = prompts.box
        r, c = (r1 - r0) // 4, (c1 - c0) // 4
        values.append(hu[r0 + r : max(r1 - r, r0 + r + 1), c0 + c : max(c1 - c, c0 + c + 1)].ravel())
    return np.concatenate(values) if values else np.zeros(0)
