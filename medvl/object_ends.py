"""Where an object ends along its axis, once it has been carried through the slices."""

from __future__ import annotations

from dataclasses import replace

from .slice_segmenter import ObjectState

TAIL_SHARE = 0.12  # of the largest slice's area, below which slices at an end are a tail
TAIL_MM = 15.0  # a tail longer than this is something else that goes on from the object (ureter, vessel, muscle)
TAIL_KEPT_MM = 6.0


def one_piece(state: ObjectState) -> ObjectState:
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


def without_tails(state: ObjectState, spacing_mm: float) -> ObjectState:
    """Cut long thin ends without a prompt off an object that is no known structure: it leaked there.

    Args:
        state: the object.
        spacing_mm: between its slices.
    """
    if state.structure or len(state.slices) < 3:
        return state
    areas = {i: int((patch.logits > 0).sum()) for i, patch in state.slices.items()}
    thin = TAIL_SHARE * max(areas.values())
    gone: set[int] = set()
    for order in (sorted(areas), sorted(areas, reverse=True)):
        tail = []
        for index in order:
            if areas[index] >= thin or index in state.anchors:
                break
            tail.append(index)
        if len(tail) * spacing_mm > TAIL_MM:
            gone.update(tail[: len(tail) - round(TAIL_KEPT_MM / spacing_mm)])
    return replace(state, slices={i: p for i, p in state.slices.items() if i not in gone}) if gone else state
