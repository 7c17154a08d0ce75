"""What a click means for the mask of its slice, once the networks have spoken: it is honoured, whatever they say.

A person clicks in the middle of what is missing or wrong. So a region counts as what is meant when the click is deep in
it, and what a box, a positive point or the localiser speaks for is not taken away with it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .plane_masks import SlicePrompts, centrality, component_at, iou_of
from .planes import Patch
from .slice_segmenter import MIN_AREA_MM2, ObjectState, SliceSegmenter

WHOLE_REGION_DEPTH = 0.5  # a negative click this deep in a region (1 is its middle) means all of it
VOUCHED_IOU = 0.5  # of a region with what the localiser sees on the slice, from which on it speaks for the region
SUPPORT_MM = 10.0  # a slice this near to a box or positive point is not taken away whole
PART_SHARE = 0.6  # of a mask that one negative click may take away where nothing says how much is wrong
LEAST_MM = 5.0  # round a negative click that goes in any case
DISC_SHARE = 0.7  # of the distance to the mask's edge that goes where no part is found that the click is deep in
RIM_MM = 4.0  # the edge of what the localiser sees is not surer than this
LEFT_SHARE = 0.35  # of a slice, below which the rest goes too where nothing speaks for it


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
                part = slices.first(state.axis, index, SlicePrompts(((r, c, True),)), state.window) > 0
                mask = mask | (component_at(part, r, c) if part[r, c] else frame.disc(r, c, 4.0))
            continue
        mask = mask & ~_denied(slices, state, index, before, (r, c))
        wrong = component_at(before, r, c)
        lonely = not any(wrong[p] for p in positives) and _unsupported(slices, state, index, wrong)
        if lonely and centrality(wrong, (r, c, False))[0] > WHOLE_REGION_DEPTH:
            mask = mask & ~wrong
        elif mask[r, c]:
            mask = mask & ~_wrong_part(slices, state, index, mask, (r, c), positives)
    if prompts.box is None and mask.any():
        labels, count = ndimage.label(mask)
        if count > 1:
            keep = {int(labels[p]) for p in positives}
            if old is not None:
                keep |= {int(v) for v in np.unique(labels[before & mask])}
            keep = keep - {0} or {int(np.bincount(labels.ravel())[1:].argmax()) + 1}
            mask = np.isin(labels, list(keep))
    leftover = mask.sum() < LEFT_SHARE * before.sum() and _unsupported(slices, state, index, before)
    if (leftover or mask.sum() * frame.pixel_area_mm2 < MIN_AREA_MM2) and not positives and not prompts.box:
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
    limit = mask.sum() * (PART_SHARE if not kept.any() else 1.0)
    seen = slices.predict(state.axis, index, state.window, [SlicePrompts(((r, c, True),))], None)[0][0] > 0
    parts = [component_at(part & mask & ~kept, r, c) for part in (*seen, np.ones_like(mask))]
    meant = [
        part
        for part in parts
        if part.any()
        and part.sum() < limit
        and not any(part[p] for p in positives)
        and centrality(part, (r, c, False))[0] > WHOLE_REGION_DEPTH
    ]
    if meant:
        return max(meant, key=np.count_nonzero)
    depth = ndimage.distance_transform_edt(mask & ~kept, sampling=frame.pixel_size_mm)[r, c]
    nearest = min((np.hypot(*np.multiply((r - y, c - x), frame.pixel_size_mm)) for y, x in positives), default=np.inf)
    return frame.disc(r, c, max(LEAST_MM, min(DISC_SHARE * depth, nearest / 2)))


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
    core = ndimage.distance_transform_edt(before & ~word, sampling=frame.pixel_size_mm) > RIM_MM
    part = component_at(core, *click)
    if not part.any():
        return part
    return before & ~word & (ndimage.distance_transform_edt(~part, sampling=frame.pixel_size_mm) <= RIM_MM)


def _word(slices: SliceSegmenter, state: ObjectState, index: int) -> np.ndarray | None:
    """Where the localiser sees the structure on a slice; None for an object that is none of its structures."""
    if not (state.structure and slices.prior):
        return None
    return slices.prior.logits(state.structure, state.axis, index) > 0


def _unsupported(slices: SliceSegmenter, state: ObjectState, index: int, region: np.ndarray) -> bool:
    """True if nothing speaks for a region of a slice: there a negative click may mean all of it.

    What speaks: a box or positive point on a slice near by, or the localiser, where it sees the structure there.
    """
    word = _word(slices, state, index)
    if word is not None and iou_of(word, region) >= VOUCHED_IOU:
        return False
    reach = SUPPORT_MM / slices.ct.spacing_mm[state.axis]
    return not any(
        abs(other - index) <= reach and (prompts.box or any(on for _, _, on in prompts.points))
        for other, prompts in state.anchors.items()
    )
