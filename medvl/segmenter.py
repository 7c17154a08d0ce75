"""Interactive 3-D segmentation: points and boxes on slices -> one mask through the volume.

SAM 2 delineates the slices that carry prompts (*anchors*). From each anchor the mask is carried to its neighbours by
``SlicePropagator`` and sharpened there by SAM 2, in both directions, until the object ends or another anchor is met;
between two anchors the two predictions are blended by distance. A later prompt makes its slice an anchor and only the
slices on both sides of it, up to the next anchors, are predicted again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from .errors import PromptError
from .planes import Patch, PlaneFrame
from .prompts import Box, Point
from .propagation import SlicePropagator, click_map, make_inputs, object_statistics
from .slice_encoder import SliceEncoder, to_plane, window_for

MIN_AREA_MM2 = 12.0  # below this an object counts as ended
ERASED_REACH_MM = 8.0  # how far along the axis a click speaks that takes a whole slice away
STABLE_IOU = 0.985  # a re-prediction that agrees this well with what was there ends the correction


@dataclass(frozen=True)
class Fusion:
    """How the two experts are put together on a slice; tuned on ``train`` cases (``python -m medvl.evaluation``)."""

    sam_weight: float = 0.5  # weight of SAM 2's logits where it agrees with the propagated mask
    min_agreement: float = 0.5  # IoU with the propagated mask below which SAM 2 is not listened to
    logit_limit: float = 6.0
    candidate_weights: tuple[float, ...] = (2.0, 1.0, 0.5, 0.25, 0.5, 0.1)  # see Segmenter._candidates


@dataclass(frozen=True)
class SlicePrompts:
    """Prompts on one slice, in plane pixels: points ``(row, column, positive)`` and a box ``(r0, c0, r1, c1)``."""

    points: tuple[tuple[int, int, bool], ...] = ()
    box: tuple[int, int, int, int] | None = None


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
        bounds: rows and columns it may claim, ``(r0, c0, r1, c1)``, from a 3-D box or a box across; None for all.
    """

    axis: int
    window: str = "soft"
    statistics: tuple[float, float] = (40.0, 60.0)
    prompts: tuple[Point | Box, ...] = ()
    anchors: dict[int, SlicePrompts] = field(default_factory=dict)
    slices: dict[int, Patch] = field(default_factory=dict)
    limits: tuple[int, int] | None = None


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

    def __init__(self, encoder: SliceEncoder, propagator: SlicePropagator, fusion: Fusion | None = None) -> None:
        self.encoder = encoder
        self.propagator = propagator
        self.ct = encoder.ct
        self.fusion = fusion or Fusion()
        self.device = encoder.sam2.device
        self._frames = [PlaneFrame.of(self.ct, axis) for axis in range(3)]

    # ---- prompts -------------------------------------------------------------------------------------------------

    def start(self, points: list[Point], box: Box | None) -> ObjectState:
        """An empty object whose planes are those of the first prompt.

        Raises:
            PromptError: there is neither a box nor a positive point.
        """
        if box is None and not any(p.positive for p in points):
            raise PromptError("A new object needs a positive point or a box. Click on the structure first.")
        axis = box.plane_axis if box is not None else points[0].axis
        return ObjectState(axis=2 if axis is None else axis)

    def run(
        self, state: ObjectState, points: list[Point], box: Box | None, cancel: threading.Event | None = None
    ) -> Iterator[Progress]:
        """Add prompts to an object and yield it after each slice.

        Args:
            state: from ``start`` or an earlier run.
            points: new points, any plane.
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
        state, touched = self._place(state, points, box)
        done = 0
        with torch.inference_mode():
            for index in touched:
                if cancel.is_set():
                    yield Progress(state, (), "done", done, done, stopped=True)
                    return
                state = self._anchor(state, index)
                done += 1
                yield Progress(state, (index,), "slice", done, done)
            expected = done
            for index, state in self._propagate(state, touched, cancel):  # noqa: B020 - the state moves on
                done += 1
                expected = max(done, self._expected(state, touched))
                eta = (time.monotonic() - begin) / done * (expected - done)
                yield Progress(state, (index,), "propagating", done, expected, eta_s=eta)
            before = state
            if not cancel.is_set():
                state = self._one_piece(state)
            changed = tuple(i for i in before.slices if state.slices.get(i) is not before.slices[i])
            yield Progress(state, changed, "done", done, done, stopped=cancel.is_set(), eta_s=0.0)

    def _place(self, state: ObjectState, points: list[Point], box: Box | None) -> tuple[ObjectState, list[int]]:
        """Sort new prompts to slices of the object's axis; returns the slices touched, the first prompt's first."""
        frame = self._frames[state.axis]
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
                middle = (limits[0] + limits[1]) // 2
                add(self._fullest(box, state.axis, middle), None, frame.rect(box))
            else:
                limits = (box.lo[state.axis], box.hi[state.axis])
                for point in self._across(box, state.axis):
                    add(point.ijk[state.axis], (*frame.pixel(point.ijk), True), None)
        for point in points:
            add(point.ijk[state.axis], (*frame.pixel(point.ijk), point.positive), None)
        prompts = state.prompts + ((box,) if box is not None else ()) + tuple(points)
        slices = state.slices
        if limits is not None:
            slices = {i: p for i, p in slices.items() if limits[0] <= i < limits[1]}
        return replace(state, anchors=anchors, prompts=prompts, limits=limits, slices=slices), touched

    def _fullest(self, box: Box, axis: int, middle: int) -> int:
        """Slice of a 3-D box to start from: the middle one (the box says that the object is there)."""
        return int(np.clip(middle, box.lo[axis], box.hi[axis] - 1))

    def _across(self, box: Box, axis: int) -> list[Point]:
        """Points for an object along ``axis`` from a box drawn in another plane: SAM 2 looks there, and the deepest
        spots of what it finds at three heights become positive points.
        """
        other = box.plane_axis
        frame = self._frames[other]
        with torch.inference_mode():
            hu = self.ct.hu[box.slices]
            mask = self._sam_first(other, box.lo[other], SlicePrompts(box=frame.rect(box)), window_for(hu)) > 0
        found = frame.to_volume_slice(mask)
        remaining = [a for a in range(3) if a != other]
        points = []
        low, high = box.lo[axis], box.hi[axis]
        for share in (0.5, 0.2, 0.8):
            index = int(low + share * (high - 1 - low))
            line = found.take(index, axis=remaining.index(axis))
            depth = ndimage.distance_transform_edt(np.pad(line, 1))[1:-1]
            if depth.max() > 0:
                ijk = [0, 0, 0]
                ijk[other], ijk[axis] = box.lo[other], index
                ijk[3 - other - axis] = int(depth.argmax())
                points.append(Point(tuple(ijk), True, axis))
        if not points:
            raise PromptError("Nothing was found in this box. Draw it closer round the structure, or click a point.")
        return points

    # ---- one slice -----------------------------------------------------------------------------------------------

    def _anchor(self, state: ObjectState, index: int) -> ObjectState:
        """Delineate a prompted slice."""
        frame, prompts = self._frames[state.axis], state.anchors[index]
        first = not state.slices and len(state.anchors) == 1
        hu = to_plane(self.ct.hu, state.axis, index)
        if first:
            state = replace(state, window=window_for(self._prompted_hu(hu, prompts)))
        old = state.slices.get(index)
        if old is None and state.slices:
            old = self._carry(state, min(state.slices, key=lambda i: abs(i - index)), index)
        if old is None or prompts.box is not None:
            logits = self._sam_first(state.axis, index, prompts, state.window)
        else:
            logits = self._corrected(state, index, old, prompts)
        mask = self._obey(state, index, logits, old, prompts)
        slices = dict(state.slices)
        if mask.any():
            slices[index] = Patch.from_logits(np.where(mask, np.maximum(logits, 1.0), np.minimum(logits, -1.0)))
        else:
            slices.pop(index, None)
        if (first or len(state.slices) <= 1) and mask.any():
            state = replace(state, statistics=object_statistics(hu, mask))
        return replace(state, slices=slices)

    def _prompted_hu(self, hu: np.ndarray, prompts: SlicePrompts) -> np.ndarray:
        """HU that the prompts point at: round positive points, else the middle of the box."""
        values = [hu[max(0, r - 2) : r + 3, max(0, c - 2) : c + 3].ravel() for r, c, on in prompts.points if on]
        if prompts.box is not None:
            r0, c0, r1, c1 = prompts.box
            r, c = (r1 - r0) // 4, (c1 - c0) // 4
            values.append(hu[r0 + r : max(r1 - r, r0 + r + 1), c0 + c : max(c1 - c, c0 + c + 1)].ravel())
        return np.concatenate(values) if values else np.zeros(0)

    def _sam_first(self, axis: int, index: int, prompts: SlicePrompts, window: str) -> np.ndarray:
        """SAM 2's best mask of a slice from prompts alone; logits ``(row, column)`` on the full plane."""
        logits, iou = self.predict(axis, index, window, [prompts], None)
        logits, iou = logits[0], iou[0].copy()
        frame = self._frames[axis]
        for n, mask in enumerate(logits > 0):
            area = float(mask.sum()) * frame.pixel_area_mm2
            iou[n] -= 0.5 * (area < MIN_AREA_MM2)
            if prompts.box is not None:
                iou[n] += 0.5 * _box_agreement(mask, prompts.box)
            else:
                iou[n] -= 0.3 * (area > 60000)  # a click never means the whole body
        return logits[int(iou.argmax())]

    def _corrected(self, state: ObjectState, index: int, old: Patch, prompts: SlicePrompts) -> np.ndarray:
        """An existing slice with clicks: the best of several candidate masks, mixed with the propagation network's
        where both speak of the same thing.
        """
        logits, features = self._candidates(state, index, old, prompts)
        best = int((features @ np.array(self.fusion.candidate_weights)).argmax())
        limit, learned = self.fusion.logit_limit, logits[-1]
        chosen = np.clip(logits[best], -limit, limit)
        if _iou(chosen > 0, learned > 0) < 0.7:
            return chosen
        return 0.5 * (chosen + np.clip(learned, -limit, limit))

    def _candidates(
        self, state: ObjectState, index: int, old: Patch, prompts: SlicePrompts
    ) -> tuple[np.ndarray, np.ndarray]:
        """Candidate masks of a corrected slice: SAM 2 asked with and without the mask so far, with and without a box,
        all its outputs, and last the propagation network asked on the slice itself.

        Returns:
            Logits ``[N, rows, columns]`` and what is known of each, ``[N, 6]``: clicks honoured; how near the centre of
            what it changes the newest click is, and how deep (people click in the middle of what is wrong); IoU with the
            network's; IoU with the mask before; predicted IoU; whether the mask before was shown to SAM 2.
        """
        frame = self._frames[state.axis]
        base = old.full_logits(frame.shape)
        learned = self._network(state, old, index, index, prompts)
        positives = tuple(p for p in prompts.points if p[2])
        box = _mask_box((learned > 0) | (base > 0), positives, frame.shape)
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
            centrality, depth = _centrality(mask ^ before, prompts.points[-1])
            rows.append(
                (
                    float(_obeys(mask, prompts)),
                    centrality * (1 - np.exp(-depth * pixel / 4)),
                    _iou(mask, learned > 0),
                    _iou(mask, before),
                    iou,
                    seen,
                )
            )
        return logits, np.array(rows)

    def _obey(
        self, state: ObjectState, index: int, logits: np.ndarray, old: Patch | None, prompts: SlicePrompts
    ) -> np.ndarray:
        """The mask of ``logits`` with every click honoured, and without islands that nothing speaks for."""
        frame = self._frames[state.axis]
        mask = logits > 0
        positives = [(r, c) for r, c, on in prompts.points if on]
        before = mask if old is None else old.full_mask(frame.shape)
        for r, c, positive in prompts.points:
            if positive:
                if not mask[r, c]:
                    part = self._sam_first(state.axis, index, SlicePrompts(((r, c, True),)), state.window) > 0
                    mask = mask | (_component(part, r, c) if part[r, c] else frame.disc(r, c, 4.0))
                continue
            wrong = _component(before, r, c)
            if not any(wrong[p] for p in positives) and _centrality(wrong, (r, c, False))[0] > 0.6:
                mask = mask & ~wrong  # a click into the heart of a region means all of it
            elif mask[r, c]:
                part = self._sam_first(state.axis, index, SlicePrompts(((r, c, True),)), state.window) > 0
                small = part.sum() < 0.6 * mask.sum() and not any(part[p] for p in positives)
                mask = mask & ~(part if small else frame.disc(r, c, 5.0))
        if prompts.box is None and mask.any():
            labels, count = ndimage.label(mask)
            if count > 1:
                keep = {int(labels[p]) for p in positives}
                if old is not None:
                    keep |= {int(v) for v in np.unique(labels[before & mask])}
                keep = keep - {0} or {int(np.bincount(labels.ravel())[1:].argmax()) + 1}
                mask = np.isin(labels, list(keep))
        if mask.sum() * frame.pixel_area_mm2 < MIN_AREA_MM2 and not positives and not prompts.box:
            return np.zeros_like(mask)
        for r, c, positive in prompts.points:
            mask[r, c] = positive
        return mask

    def _network(
        self, state: ObjectState, patch: Patch, source: int, index: int, prompts: SlicePrompts | None = None
    ) -> np.ndarray:
        """``SlicePropagator`` from slice ``source`` (mask ``patch``) to ``index``; logits on the full plane."""
        frame, config = self._frames[state.axis], self.propagator.config
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

    def predict(
        self, axis: int, index: int, window: str, prompts: list[SlicePrompts], masks: list[np.ndarray] | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """SAM 2 for a batch of prompts on one slice.

        Args:
            axis: normal of the plane.
            index: slice along it.
            window: key of ``WINDOWS``.
            prompts: one a mask wanted.
            masks: logits of an earlier mask for each, on the full plane; None for none.

        Returns:
            Logits ``[B, 4, rows, columns]`` on the full plane and predicted IoU ``[B, 4]``.
        """
        features = self.encoder.features(axis, index, window)
        frame, crop = self._frames[axis], self.encoder.crop(axis)
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
        count = max(len(row) for row in rows)
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
        logits, iou = self.encoder.sam2.decode(features, points.to(self.device), labels.to(self.device), dense)
        logits = F.interpolate(logits.float(), (r1 - r0, c1 - c0), mode="bilinear", align_corners=False).cpu()
        full = np.full((*logits.shape[:2], *frame.shape), -10.0, dtype=np.float32)
        full[:, :, r0:r1, c0:c1] = logits.numpy()
        return full, iou.float().cpu().numpy()

    # ---- through the volume --------------------------------------------------------------------------------------

    def _carry(self, state: ObjectState, source: int, index: int) -> Patch | None:
        """Mask of ``index`` predicted from the neighbouring slice ``source``; None where the object has ended."""
        patch = state.slices[source]
        frame = self._frames[state.axis]
        learned = self._network(state, patch, source, index)
        mask = learned > 0
        if mask.sum() * frame.pixel_area_mm2 < MIN_AREA_MM2:
            return None
        logits = np.clip(learned, -self.fusion.logit_limit, self.fusion.logit_limit)
        if self.fusion.sam_weight > 0:
            logits = self._sharpen(state, index, logits)
        keep = frame.connected(logits > 0, patch.full_mask(frame.shape))
        logits = np.where((logits > 0) & ~keep, -1.0, logits)
        if (logits > 0).sum() * frame.pixel_area_mm2 < MIN_AREA_MM2:
            return None
        return Patch.from_logits(logits)

    def _sharpen(self, state: ObjectState, index: int, learned: np.ndarray) -> np.ndarray:
        """Add SAM 2's edge to a propagated mask, where SAM 2 speaks of the same thing."""
        frame, mask = self._frames[state.axis], learned > 0
        box = _mask_box(mask, (), frame.shape)
        r, c = _deepest(mask)
        prompts = [SlicePrompts(((r, c, True),), box), SlicePrompts((), box)]
        logits, iou = self.predict(state.axis, index, state.window, prompts, [learned, learned])
        logits, iou = logits.reshape(-1, *frame.shape), iou.ravel()
        near = np.array([_iou(m > 0, mask) for m in logits])
        best = int((near + 0.5 * iou).argmax())
        agreement = near[best]
        if agreement < self.fusion.min_agreement:
            return learned
        weight = self.fusion.sam_weight * (agreement - self.fusion.min_agreement) / (1 - self.fusion.min_agreement)
        limit = self.fusion.logit_limit
        return (1 - weight) * learned + weight * np.clip(logits[best], -limit, limit)

    def _propagate(
        self, state: ObjectState, touched: list[int], cancel: threading.Event
    ) -> Iterator[tuple[int, ObjectState]]:
        """Carry the touched slices outwards, both directions in turn, yielding each slice that was predicted."""
        low, high = state.limits or (0, self.ct.shape[state.axis])
        walks = [self._walk(index, step, low, high, state) for index in touched for step in (1, -1)]
        pending = [(walk, None) for walk in walks]
        started = set()
        while pending:
            walk, _ = pending.pop(0)
            if cancel.is_set():
                return
            try:
                if id(walk) not in started:
                    started.add(id(walk))
                    index, patch = next(walk)
                else:
                    index, patch = walk.send(state)
            except StopIteration:
                continue
            slices = dict(state.slices)
            if patch is None:
                slices.pop(index, None)
            else:
                slices[index] = patch
            state = replace(state, slices=slices)
            pending.append((walk, None))
            yield index, state

    def _walk(
        self, start: int, step: int, low: int, high: int, state: ObjectState
    ) -> Iterator[tuple[int, Patch | None]]:
        """Slices from ``start`` on in one direction, up to the next anchor or the object's end."""
        ahead = [a for a in state.anchors if (a - start) * step > 0]
        stop = min(ahead, key=lambda a: abs(a - start)) if ahead else None
        end = stop if stop is not None else (high if step > 0 else low - 1)
        frame, old = self._frames[state.axis], state.slices
        positive_ahead = stop is not None and stop in old
        erased = start not in old
        calm, ended = 0, False
        for index in range(start + step, end, step):
            previous = state.slices.get(index - step)
            patch = None if previous is None or ended else self._carry(state, index - step, index)
            if stop is not None and (positive_ahead or previous is None):
                weight = 1 - abs(index - start) / abs(stop - start)
                if erased:  # "not here" is said of the slice and what is near it, not of half the way to the object
                    weight = min(weight, 0.5 ** (abs(index - start) * self.ct.spacing_mm[state.axis] / ERASED_REACH_MM))
                patch = Patch.blend(patch, old.get(index), weight, frame.shape)
            before = old.get(index)
            if patch is None and before is None:
                if not positive_ahead:
                    return
                ended = True
            if before is not None and patch is not None:
                same = _iou(before.full_mask(frame.shape), patch.full_mask(frame.shape)) >= STABLE_IOU
                calm = calm + 1 if same else 0
            state_or_none = yield index, patch
            state = state_or_none if state_or_none is not None else state
            if calm >= 2:
                return

    def _expected(self, state: ObjectState, touched: list[int]) -> int:
        """Rough number of slices of this run: the object so far, a quarter more until it has ended."""
        return int(len(state.slices) * 1.25) + len(touched)

    def _one_piece(self, state: ObjectState) -> ObjectState:
        """Drop slices that are cut off from every anchor (a gap means that the object ended there)."""
        keep, runs = set(), []
        for index in sorted(state.slices):
            if runs and index == runs[-1][-1] + 1:
                runs[-1].append(index)
            else:
                runs.append([index])
        for run in runs:
            if any(a in run for a in state.anchors):
                keep.update(run)
        return replace(state, slices={i: p for i, p in state.slices.items() if i in keep})

    def frame(self, axis: int) -> PlaneFrame:
        """Bookkeeping of the planes with normal ``axis``."""
        return self._frames[axis]

    def adopt(self, array: np.ndarray, axis: int, prompts: tuple[Point | Box, ...] = ()) -> ObjectState:
        """State of a mask ``(i, j, k)`` that no prompt made (an operation, a text), so that clicks can refine it.

        Its largest slice becomes an anchor: the object stays attached to it.
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
        return ObjectState(
            axis, window_for(hu), object_statistics(hu, inside), prompts, {largest: SlicePrompts()}, slices
        )

    def array(self, state: ObjectState) -> np.ndarray:
        """The object as a bool volume ``(i, j, k)``."""
        full = np.zeros(self.ct.shape, dtype=bool)
        view = np.moveaxis(full, state.axis, 0)
        frame = self._frames[state.axis]
        for index, patch in state.slices.items():
            view[index] = frame.to_volume_slice(patch.full_mask(frame.shape))
        return full


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two bool arrays; 1 when both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def _obeys(mask: np.ndarray, prompts: SlicePrompts) -> bool:
    """True if every click is honoured by ``mask``."""
    return all(bool(mask[r, c]) == on for r, c, on in prompts.points)


def _component(mask: np.ndarray, row: int, column: int) -> np.ndarray:
    """The connected part of a mask that holds a pixel; empty if the pixel is outside."""
    labels, _ = ndimage.label(mask)
    return (labels == labels[row, column]) & mask if mask[row, column] else np.zeros_like(mask)


def _centrality(region: np.ndarray, point: tuple[int, int, bool]) -> tuple[float, float]:
    """How deep a point lies in its part of a region: relative (1 at the spot farthest from the edge) and in pixels."""
    part = _component(region, point[0], point[1])
    if not part.any():
        return 0.0, 0.0
    r0, c0, r1, c1 = _mask_box(part, (), part.shape)
    depth = ndimage.distance_transform_edt(np.pad(part[r0:r1, c0:c1], 1))[1:-1, 1:-1]
    here = float(depth[point[0] - r0, point[1] - c0])
    return here / float(depth.max()), here


def _mask_box(mask: np.ndarray, points: tuple, shape: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Box ``(r0, c0, r1, c1)`` round a mask and points, one pixel wider; None when there is nothing."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    r = [*rows[[0, -1]], *(p[0] for p in points)] if rows.size else [p[0] for p in points]
    c = [*cols[[0, -1]], *(p[1] for p in points)] if cols.size else [p[1] for p in points]
    if not r:
        return None
    return max(0, min(r) - 1), max(0, min(c) - 1), min(shape[0], max(r) + 2), min(shape[1], max(c) + 2)


def _box_agreement(mask: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """IoU of a mask's bounding box with a drawn box."""
    found = _mask_box(mask, (), mask.shape)
    if found is None:
        return 0.0
    r0, c0, r1, c1 = found[0] + 1, found[1] + 1, found[2] - 1, found[3] - 1
    inter = max(0, min(r1, box[2]) - max(r0, box[0])) * max(0, min(c1, box[3]) - max(c0, box[1]))
    area = (r1 - r0) * (c1 - c0) + (box[2] - box[0]) * (box[3] - box[1]) - inter
    return inter / area if area else 0.0


def _deepest(mask: np.ndarray) -> tuple[int, int]:
    """Pixel of a mask farthest from its edge."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return tuple(int(v) for v in np.unravel_index(depth.argmax(), depth.shape))
