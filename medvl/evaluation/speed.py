"""Seconds that a person waits: first click on a slice, the next one there, an organ cold and with features cached."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from ..ct.geometry import SourceGeometry
from ..ct.prompts import Box, Point
from ..ct.volume import CTVolume
from ..model import MedVLSAM2
from .cases import LabelledCase
from .interactive import box_on_largest_slice


def resampled(case: LabelledCase, shape: tuple[int, int, int]) -> tuple[CTVolume, Callable[[Box], Box]]:
    """A case linearly resampled to a clinical matrix (timing only), and how its boxes map there."""
    factors = np.array(shape) / case.ct.shape
    hu = ndimage.zoom(case.ct.hu, factors, order=1)
    affine = case.ct.affine @ np.diag([*(1 / factors), 1.0])

    def scale(box: Box) -> Box:
        low = [int(v * f) for v, f in zip(box.lo, factors, strict=True)]
        high = [max(int(v * f), a + 1) for v, f, a in zip(box.hi, factors, low, strict=True)]
        if box.plane_axis is not None:
            high[box.plane_axis] = low[box.plane_axis] + 1
        return Box(tuple(low), tuple(high))

    return CTVolume(hu, affine, SourceGeometry(hu.shape, affine)), scale


def measure(model: MedVLSAM2, case: LabelledCase, shape: tuple[int, int, int]) -> dict[str, float]:
    """Seconds of each wait on ``case`` resampled to ``shape``; the structure is the right kidney (about 40 slices)."""
    ct, scale = resampled(case, shape)
    box = scale(box_on_largest_slice(case.mask("right_kidney")))
    middle = tuple((low + high) // 2 for low, high in zip(box.lo, box.hi, strict=True))
    opened = model.open(ct)
    waits = {}

    def clock(name: str, work: Callable[[], object]) -> object:
        begin = time.perf_counter()
        result = work()
        waits[name] = time.perf_counter() - begin
        return result

    def first_slice(point: Point) -> None:
        updates = opened.segment_stream(points=[point])
        next(updates)
        updates.close()

    first_slice(Point((middle[0], middle[1], middle[2] + 1)))  # warm-up on another slice
    clock("first click on an unseen slice", lambda: first_slice(Point(middle)))
    clock("next click on that slice", lambda: first_slice(Point((middle[0] + 2, middle[1] + 2, middle[2]))))
    opened.close()
    mask = clock("organ, cold", lambda: opened.segment(box=box))
    waits["organ, slices"] = float(mask.box.size[2])
    clock("organ, features cached", lambda: opened.segment(box=box))
    return waits
