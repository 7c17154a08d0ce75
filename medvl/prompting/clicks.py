"""What a click means for the mask of its slice, once the networks have spoken: it is honoured, whatever they say.

A person clicks in the middle of what is missing or wrong. So a region counts as what is meant when the click is deep in
it, and what a box, a positive point or the localiser speaks for is not taken away with it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .plane_masks import SlicePrompts, centrality, component_at, iou_of
from .planes import Patch, PlaneFrame
from .slice_segmenter import ObjectState, SliceSegmenter
from .thresholds import THRESHOLDS


def obey(
    slices: SliceSegmenter,
    state: ObjectState,
    index: int,
    logits: np.ndarray,
    old: Patch | None,
    prompts: SlicePrompts,
) -> np.ndarray:
    """The mask of ``logits`` with every click honoured, and without islands that nothing speaks for."""
    frame = slices.frames[state.axis]
    mask = logits > 0
    positives = [(r, c) for r, c, on in prompts.points if on]
    before = mask if old is None else old.full_mask(frame.shape)
    for r, c, positive in prompts.points:
        if positive:
            if not mask[r, c]:
                seen = slices.first(state.axis, index, SlicePrompts(((r, c, True),)), state.window)
                if old is None and state.slices:  # what is known beside this slice tells how large it may be here
                    seen = slices.as_lump(state, min(state.slices, key=lambda i: abs(i - index)), index, seen)
                part = seen > 0
                mask = mask | (component_at(part, r, c) if part[r, c] else frame.disc(r, c, THRESHOLDS.added_mm))
            continue
        mask = mask & ~_denied(slices, state, index, before, (r, c))
        wrong = component_at(before, r, c)
        lonely = (
            not any(wrong[p] for p in positives)
            and _unsupported(slices, state, index, wrong)
            and _prompted(state, index, frame)[r, c]
        )
        if lonely and centrality(wrong, (r, c, False))[0] > THRESHOLDS.whole_region_depth:
            mask = mask & ~wrong
            continue
        # A hole round the click obeys it to the letter; what is meant is the thing there.
        taken = component_at(before & ~mask, r, c)
        if mask[r, c] or 0 < taken.sum() < (before & frame.disc(r, c, THRESHOLDS.least_removed_mm)).sum():
            mask = mask & ~_wrong_part(slices, state, index, mask | taken, (r, c), positives)
    if prompts.box is None and mask.any():
        labels, count = ndimage.label(mask)
        if count > 1:
            keep = {int(labels[p]) for p in positives}
            if old is not None:
                keep |= {int(v) for v in np.unique(labels[before & mask])}
            keep = keep - {0} or {int(np.bincount(labels.ravel())[1:].argmax()) + 1}
            mask = np.isin(labels, list(keep))
    outline = _prompted(state, index, frame)
    leftover = (
        mask.sum() < THRESHOLDS.left_share * before.sum()
        and _unsupported(slices, state, index, before)
        and all(outline[r, c] for r, c, on in prompts.points if not on)
    )
    if (leftover or mask.sum() * frame.pixel_area_mm2 < THRESHOLDS.min_area_mm2) and not positives and not prompts.box:
        return np.zeros_like(mask)
    for r, c, positive in prompts.points:
        mask[r, c] = positive
    return mask


def _wrong_part(
    slices: SliceSegmenter,
    state: ObjectState,
    index: int,
    mask: np.ndarray,
    click: tuple[int, int],
    positives: list[tuple[int, int]],
) -> np.ndarray:
    """The part of a mask that a negative click means: the largest that SAM 2 sees there and the click is deep in."""
    frame, (r, c) = slices.frames[state.axis], click
    word = _word(slices, state, index)
    kept = np.zeros_like(mask) if word is None or word[r, c] else word
    limit = mask.sum() * (THRESHOLDS.part_share if not kept.any() else 1.0)
    seen = slices.predict(state.axis, index, state.window, [SlicePrompts(((r, c, True),))], None)[0][0] > 0
    parts = [component_at(part & mask & ~kept, r, c) for part in (*seen, np.ones_like(mask))]
    meant = [
        part
        for part in parts
        if part.any()
        and part.sum() < limit
        and not any(part[p] for p in positives)
        and centrality(part, (r, c, False))[0] > THRESHOLDS.whole_region_depth
    ]
    if meant:
        return max(meant, key=np.count_nonzero)
    depth = ndimage.distance_transform_edt(mask & ~kept, sampling=frame.pixel_size_mm)[r, c]
    nearest = min((np.hypot(*np.multiply((r - y, c - x), frame.pixel_size_mm)) for y, x in positives), default=np.inf)
    return frame.disc(r, c, max(THRESHOLDS.least_removed_mm, min(THRESHOLDS.disc_share * depth, nearest / 2)))


def _denied(
    slices: SliceSegmenter, state: ObjectState, index: int, before: np.ndarray, click: tuple[int, int]
) -> np.ndarray:
    """The part of a slice's mask round a negative click in which the localiser does not see the structure either.

    Rims are cut off: the localiser's edge is coarse.
    """
    word = _word(slices, state, index)
    if word is None or word[click]:
        return np.zeros_like(before)
    frame = slices.frames[state.axis]
    core = ndimage.distance_transform_edt(before & ~word, sampling=frame.pixel_size_mm) > THRESHOLDS.rim_mm
    part = component_at(core, *click)
    if not part.any():
        return part
    return before & ~word & (ndimage.distance_transform_edt(~part, sampling=frame.pixel_size_mm) <= THRESHOLDS.rim_mm)


def _word(slices: SliceSegmenter, state: ObjectState, index: int) -> np.ndarray | None:
    """Where the localiser sees the structure on a slice; None for an object that is none of its structures."""
    if not (state.structure and slices.prior):
        return None
    return slices.prior.logits(state.structure, state.axis, index) > 0


def _prompted(state: ObjectState, index: int, frame: PlaneFrame) -> np.ndarray:
    """The outline on the nearest other slice that a box or a positive point speaks for; everywhere where there is none.

    A click beside that outline is about what leaked out of the object, and not about what still lies within it.
    """
    spoken = [
        other
        for other, prompts in state.anchors.items()
        if other != index and other in state.slices and (prompts.box or any(on for _, _, on in prompts.points))
    ]
    if not spoken:
        return np.ones(frame.shape, bool)
    return state.slices[min(spoken, key=lambda other: abs(other - index))].full_mask(frame.shape)


def _unsupported(slices: SliceSegmenter, state: ObjectState, index: int, region: np.ndarray) -> bool:
    """True if nothing speaks for a region of a slice: there a negative click may mean all of it.

    What speaks: a box or positive point on a slice near by, or the localiser, where it sees the structure there.
    """
    word = _word(slices, state, index)
    if word is not None and iou_of(word, region) >= THRESHOLDS.vouched_iou:
        return False
    reach = THRESHOLDS.support_mm / slices.ct.spacing_mm[state.axis]
    return not any(
        abs(other - index) <= reach and (prompts.box or any(on for _, _, on in prompts.points))
        for other, prompts in state.anchors.items()
    )
