"""Small questions about 2-D masks: overlap, components, depth of a click, boxes. Pixels are ``(row, column)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from .planes import PlaneFrame


@dataclass(frozen=True)
class SlicePrompts:
    """Prompts on one slice, in plane pixels: points ``(row, column, positive)`` and a box ``(r0, c0, r1, c1)``."""

    points: tuple[tuple[int, int, bool], ...] = ()
    box: tuple[int, int, int, int] | None = None


def iou_of(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two bool arrays; 1 when both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def honours(mask: np.ndarray, prompts: SlicePrompts) -> bool:
    """True if every click is honoured by ``mask``."""
    return all(bool(mask[r, c]) == on for r, c, on in prompts.points)


def component_at(mask: np.ndarray, row: int, column: int) -> np.ndarray:
    """The connected part of a mask that holds a pixel; empty if the pixel is outside."""
    labels, _ = ndimage.label(mask)
    return (labels == labels[row, column]) & mask if mask[row, column] else np.zeros_like(mask)


def centrality(region: np.ndarray, point: tuple[int, int, bool]) -> tuple[float, float]:
    """How deep a point lies in its part of a region: relative (1 at the spot farthest from the edge) and in pixels."""
    part = component_at(region, point[0], point[1])
    if not part.any():
        return 0.0, 0.0
    r0, c0, r1, c1 = box_round(part, (), part.shape)
    depth = ndimage.distance_transform_edt(np.pad(part[r0:r1, c0:c1], 1))[1:-1, 1:-1]
    here = float(depth[point[0] - r0, point[1] - c0])
    return here / float(depth.max()), here


def box_round(mask: np.ndarray, points: tuple, shape: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Box ``(r0, c0, r1, c1)`` round a mask and points, one pixel wider; None when there is nothing."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    r = [*rows[[0, -1]], *(p[0] for p in points)] if rows.size else [p[0] for p in points]
    c = [*cols[[0, -1]], *(p[1] for p in points)] if cols.size else [p[1] for p in points]
    if not r:
        return None
    return max(0, min(r) - 1), max(0, min(c) - 1), min(shape[0], max(r) + 2), min(shape[1], max(c) + 2)


def box_agreement(mask: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """IoU of a mask's bounding box with a drawn box."""
    found = box_round(mask, (), mask.shape)
    if found is None:
        return 0.0
    r0, c0, r1, c1 = found[0] + 1, found[1] + 1, found[2] - 1, found[3] - 1
    inter = max(0, min(r1, box[2]) - max(r0, box[0])) * max(0, min(c1, box[3]) - max(c0, box[1]))
    area = (r1 - r0) * (c1 - c0) + (box[2] - box[0]) * (box[3] - box[1]) - inter
    return inter / area if area else 0.0


def deepest(mask: np.ndarray) -> tuple[int, int]:
    """Pixel of a mask farthest from its edge."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return tuple(int(v) for v in np.unravel_index(depth.argmax(), depth.shape))


def within(region: np.ndarray, reach_mm: float, frame: PlaneFrame) -> np.ndarray:
    """Pixels no farther than ``reach_mm`` from a region; none where the region is empty."""
    if not region.any():
        return region
    return ndimage.distance_transform_edt(~region, sampling=frame.pixel_size_mm) <= reach_mm
