"""One slice of an object: from prompts, from corrections, or carried over from its neighbour.

Two experts speak: SAM 2 and ``SlicePropagator``. Everything here works on planes ``(row, column)``; the way through the
volume is in ``segmenter.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from .plane_masks import (
    SlicePrompts,
    box_agreement,
    box_round,
    centrality,
    deepest,
    honours,
    iou_of,
)
from .planes import Patch, PlaneFrame
from .prompts import Box, Point
from .propagation import SlicePropagator, click_map, make_inputs
from .slice_encoder import SliceEncoder, to_plane, window_for
from .structure_prior import LOGIT_LIMIT, StructurePrior
from .two_parts import two_parts

MIN_AREA_MM2 = 12.0  # below this an object counts as ended

LARGE_AREA_MM2 = 40_000.0  # hardly an organ has a larger slice; a click does not mean the whole body


@dataclass(frozen=True)
class Fusion:
    """How the two experts are put together on a slice.

    Only ``candidate_weights`` is fitted (on the training case crlm_1004, 27 corrections). The rest, like the reaches
    and thresholds of this module and of ``segmenter.py``, is set by hand while watching ``ts_abdomen``.
    """

    sam_weight: float = 0.5  # weight of SAM 2's logits where it agrees with the propagated mask
    min_agreement: float = 0.5  # IoU with the propagated mask below which SAM 2 is not listened to
    logit_limit: float = 6.0
    prior_weight: float = 0.5  # of the localiser's logits, where the object is one of its structures
    corrected_prior_weight: float = 0.25  # the same once a person has corrected the object
    correction_reach_mm: float = 40.0  # how far a corrected slice speaks towards the next anchor
    candidate_weights: tuple[float, ...] = (2.0, 1.8, 0.3, 0.1, 1.0, 0.75)  # see SliceSegmenter._candidates
    leak_weight: float = 1.5  # against a candidate that adds much tissue of other HU


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
    """

    axis: int
    window: str = "soft"
    statistics: tuple[float, float] = (40.0, 60.0)
    prompts: tuple[Point | Box, ...] = ()
    anchors: dict[int, SlicePrompts] = field(default_factory=dict)
    slices: dict[int, Patch] = field(default_factory=dict)
    limits: tuple[int, int] | None = None
    structure: str = ""


class SliceSegmenter:
    """Delineates single slices of one CT."""

    def __init__(self, encoder: SliceEncoder, propagator: SlicePropagator, fusion: Fusion | None = None) -> None:
        self.encoder = encoder
        self.propagator = propagator
        self.ct = encoder.ct
        self.fusion = fusion or Fusion()
        self.device = encoder.sam2.device
        self.prior: StructurePrior | None = None
        self.frames = [PlaneFrame.of(self.ct, axis) for axis in range(3)]

    def first(self, axis: int, index: int, prompts: SlicePrompts, window: str) -> np.ndarray:
        """SAM 2's best mask of a slice from prompts alone; logits ``(row, column)`` on the full plane."""
        return self.first_scored(axis, index, prompts, window)[0]

    def first_scored(self, axis: int, index: int, prompts: SlicePrompts, window: str) -> tuple[np.ndarray, float]:
        """As ``first``, with the score that chose it.

        With a box: predicted IoU and how well the mask fills the box. With clicks alone SAM 2, trained on photographs,
        is surest of the whole body; so a mask counts for more whose HU are those under the clicks.
        """
        logits, iou = self.predict(axis, index, window, [prompts], None)
        logits, score = logits[0], iou[0].copy()
        frame = self.frames[axis]
        hu = to_plane(self.ct.hu, axis, index)
        here = prompted_hu(hu, prompts) if prompts.box is None else np.zeros(0)
        for n, mask in enumerate(logits > 0):
            area = float(mask.sum()) * frame.pixel_area_mm2
            score[n] -= 0.5 * (area < MIN_AREA_MM2)
            if prompts.box is not None:
                score[n] += 0.5 * box_agreement(mask, prompts.box)
            elif here.size and mask.any():
                reach = max(2.5 * float(here.std()), 40.0)
                alike = float((np.abs(hu[mask] - np.median(here)) <= reach).mean())
                score[n] = 0.5 * score[n] + alike - 0.4 * area / LARGE_AREA_MM2
        best = int(score.argmax())
        if prompts.box is not None and not prompts.points:
            parts = two_parts(
                hu, prompts.box, float(iou[0][best]), lambda points: self.predict(axis, index, window, points, None)
            )
            if parts is not None:
                return parts[0], parts[1] + 0.5 * box_agreement(parts[0] > 0, prompts.box)
        return logits[best], float(score[best])

    def guided(self, axis: int, index: int, prompts: SlicePrompts, window: str, word: np.ndarray) -> np.ndarray:
        """A prompted slice with the localiser's logits shown to SAM 2 as an earlier mask, and mixed with its answer."""
        logits, iou = self.predict(axis, index, window, [prompts], [word])
        near = np.array([iou_of(mask > 0, word > 0) for mask in logits[0]])
        best = int((near + 0.3 * iou[0]).argmax())
        mixed = 0.5 * (np.clip(logits[0][best], -LOGIT_LIMIT, LOGIT_LIMIT) + word)
        if prompts.box is not None:
            r0, c0, r1, c1 = prompts.box
            inside = np.zeros(mixed.shape, bool)
            inside[max(0, r0 - 2) : r1 + 2, max(0, c0 - 2) : c1 + 2] = True
            mixed = np.where(inside, mixed, -LOGIT_LIMIT)
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
        score = features @ np.array(self.fusion.candidate_weights) - self.fusion.leak_weight * np.array(leaks)
        best = int(score.argmax())
        limit, learned = self.fusion.logit_limit, logits[-1]
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

    def carry(self, state: ObjectState, source: int, index: int) -> Patch | None:
        """Mask of ``index`` predicted from the neighbouring slice ``source``; None where the object has ended."""
        patch = state.slices[source]
        frame = self.frames[state.axis]
        limit = self.fusion.logit_limit
        logits = np.clip(self.propagated(state, patch, source, index), -limit, limit)
        if state.structure and self.prior:
            weight = self.fusion.prior_weight if len(state.anchors) == 1 else self.fusion.corrected_prior_weight
            word = self.prior.logits(state.structure, state.axis, index) * (limit / LOGIT_LIMIT)
            logits = (1 - weight) * logits + weight * word
        if (logits > 0).sum() * frame.pixel_area_mm2 < MIN_AREA_MM2:
            return None
        if self.fusion.sam_weight > 0:
            logits = self._sharpen(state, index, logits)
        keep = frame.connected(logits > 0, patch.full_mask(frame.shape))
        logits = np.where((logits > 0) & ~keep, -1.0, logits)
        if (logits > 0).sum() * frame.pixel_area_mm2 < MIN_AREA_MM2:
            return None
        return Patch.from_logits(logits)

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
        if agreement < self.fusion.min_agreement:
            return learned
        weight = self.fusion.sam_weight * (agreement - self.fusion.min_agreement) / (1 - self.fusion.min_agreement)
        limit = self.fusion.logit_limit
        return (1 - weight) * learned + weight * np.clip(logits[best], -limit, limit)


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
