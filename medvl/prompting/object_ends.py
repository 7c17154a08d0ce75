"""What is cut off an object along its axis, once it has been carried through the slices."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from .slice_segmenter import ObjectState
from .thresholds import THRESHOLDS


def one_piece(state: ObjectState, earlier: Container[int] = ()) -> ObjectState:
    """Drop slices that are cut off from every anchor (a gap means that the object ended there).

    Args:
        state: the object.
        earlier: slices that it had before the last prompts: of these none is dropped, nor what hangs together with it.
    """
    keep, runs = set(), []
    for index in sorted(state.slices):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    for run in runs:
        if any(i in state.anchors or i in earlier for i in run):
            keep.update(run)
    return replace(state, slices={i: p for i, p in state.slices.items() if i in keep})


def without_tails(state: ObjectState, spacing_mm: float, earlier: Container[int] = ()) -> ObjectState:
    """Cut long thin ends without a prompt off an object that is no known structure: it leaked there.

    Args:
        state: the object.
        spacing_mm: between its slices.
        earlier: slices that it had before the last prompts, which stay.
    """
    if state.structure or len(state.slices) < 3:
        return state
    areas = {i: int((patch.logits > 0).sum()) for i, patch in state.slices.items()}
    thin = THRESHOLDS.tail_share * max(areas.values())
    gone: set[int] = set()
    for order in (sorted(areas), sorted(areas, reverse=True)):
        tail = []
        for index in order:
            if areas[index] >= thin or index in state.anchors or index in earlier:
                break
            tail.append(index)
        if len(tail) * spacing_mm > THRESHOLDS.tail_mm:
            gone.update(tail[: len(tail) - round(THRESHOLDS.tail_kept_mm / spacing_mm)])
    return replace(state, slices={i: p for i, p in state.slices.items() if i not in gone}) if gone else state
