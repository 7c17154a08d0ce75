"""The inside of the rib cage, from the bones: also where the lung is not aerated, so that its mask does not hold it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ..scene import Scene
from .grid import Grid

RIBS = ("right_ribs", "left_ribs", "sternum")
SPINE = ("vertebral_column",)
LUNGS = ("right_lung", "left_lung")
MAY_BE_BRIGHT = (
    "heart", "aorta", "inferior_vena_cava", "liver", "spleen", "right_kidney", "left_kidney", "stomach", "duodenum",
)  # fmt: skip
ANGLES = 240
SLAB_MM = 13.0  # ribs run obliquely and half an intercostal space apart: over this height both ways they close a ring
RIB_HU = 180.0  # mean of a block; muscle and fluid lie far below
OUTWARD = 0.8  # of the distance of its neighbours that a rib missing in the masks has at least
LEAST_ANGLES = 0.35  # of them a rib must be met in a slice that belongs to the chest
GAP = 0.4  # of the circle: a wider gap without a rib is no gap between costal arches but the end of the scan


@dataclass(frozen=True, eq=False)
class Cavity:
    """The inside of the rib cage on a grid.

    Attributes:
        grid: the blocks.
        inside: bool, blocks inside the ribs, spine and sternum; organs are inside too.
        right: bool, blocks on the patient's right of the spine.
    """

    grid: Grid
    inside: np.ndarray = field(repr=False)
    right: np.ndarray = field(repr=False)

    def side(self, name: str) -> np.ndarray:
        """Blocks of the half on a side of the patient, ``"right"`` or ``"left"``."""
        return self.inside & (self.right if name == "right" else ~self.right)


def cavity(scene: Scene) -> Cavity | None:
    """The inside of the rib cage; None where too few ribs were found.

    In each axial slice rays go out from the middle of the bones; the first bone on a ray, over a slab of slices, is
    the inner border, and angles without bone are interpolated. Ribs that are not told apart from other bones serve.
    """
    about = (*RIBS, *SPINE, "other_bone", "body", *MAY_BE_BRIGHT)
    return scene.keep(("cavity",), about, lambda: _cavity(scene))


def grid(scene: Scene) -> Grid:
    """The grid of a scan, made once."""
    return scene.keep(("grid",), (), lambda: Grid.of(scene.ct))


def _cavity(scene: Scene) -> Cavity | None:
    blocks = grid(scene)
    ribs = blocks.down(*(scene.masks(*RIBS) or scene.masks("other_bone")))
    spine = blocks.down(*scene.masks(*SPINE))
    if not ribs.any():
        return None
    reach = max(1, round(SLAB_MM / blocks.spacing_mm[2]))
    slab = ndimage.maximum_filter1d(ribs, 2 * reach + 1, axis=2)
    backs = ndimage.maximum_filter1d(spine, 3, axis=2)
    # Beside fluid a rib may be missing in the masks: what is as bright and lies about as far out is one too.
    bright = (blocks.hu > RIB_HU) & ~ndimage.binary_dilation(blocks.down(*scene.masks(*MAY_BE_BRIGHT)))
    bright = ndimage.maximum_filter1d(bright, 2 * reach + 1, axis=2)
    inside = np.zeros(blocks.shape, bool)
    middle = np.full(blocks.shape[2], np.nan)
    spacing = np.asarray(blocks.spacing_mm[:2])
    rays = _Rays(blocks.shape[:2], spacing)
    for k in range(blocks.shape[2]):
        bone = slab[:, :, k]
        if bone.sum() < 12:
            continue
        rows, columns = np.nonzero(bone)
        centre = ((rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2)
        back = np.nonzero(backs[:, :, k])
        if back[0].size:  # well in front of the spine, or it hides what lies beside it
            middle[k] = back[0].mean()
            centre = (middle[k], (back[1].max() + max(columns.max(), back[1].max() + 60 / spacing[1])) / 2)
        inner = rays.first(bone | backs[:, :, k], centre)
        met = np.isfinite(inner)
        if met.mean() < LEAST_ANGLES:
            continue
        border = _closed(inner, met)
        more = rays.first(bright[:, :, k], centre, OUTWARD * np.minimum(border, np.nanmax(inner)))
        missed = ~met & np.isfinite(more)
        if missed.any():
            border = _closed(np.where(missed, more, inner), met | missed)
        inside[:, :, k] = rays.fill(border, centre)
    if not inside.any():
        return None
    inside &= ~(ribs | spine)
    body = scene.mask("body")
    if body is not None:
        inside &= blocks.down(body)
    known = np.isfinite(middle)
    k = np.arange(middle.size)
    fallback = np.asarray(scene.ct.ras_mm_to_ijk(np.array([scene.midline_mm, 0.0, 0.0])))[0] / blocks.step[0]
    line = np.interp(k, k[known], middle[known]) if known.any() else np.full(k.size, fallback)
    right = np.arange(blocks.shape[0])[:, None, None] > line[None, None, :]
    return Cavity(blocks, inside, np.broadcast_to(right, blocks.shape))


class _Rays:
    """Rays from a centre through one slice."""

    def __init__(self, shape: tuple[int, int], spacing: np.ndarray) -> None:
        self.shape, self.spacing = shape, spacing
        self.angle = np.linspace(-np.pi, np.pi, ANGLES, endpoint=False)
        self.radius = np.arange(2.0, float(np.hypot(*(np.array(shape) * spacing))), float(spacing.min()) / 2)

    def first(self, bone: np.ndarray, centre: tuple[float, float], least: np.ndarray | float = 0.0) -> np.ndarray:
        """Distance in mm, of at least ``least``, to the first bone on each ray; NaN where there is none."""
        rows = centre[0] + np.outer(np.cos(self.angle), self.radius) / self.spacing[0]
        columns = centre[1] + np.outer(np.sin(self.angle), self.radius) / self.spacing[1]
        hit = ndimage.map_coordinates(bone.astype(np.uint8), [rows, columns], order=0) > 0
        hit &= self.radius >= np.reshape(least, (-1, 1))
        return np.where(hit.any(1), self.radius[hit.argmax(1)], np.nan)

    def fill(self, inner: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
        """Pixels nearer to the centre than the border in their direction."""
        rows, columns = (np.arange(n) - c for n, c in zip(self.shape, centre, strict=True))
        dx, dy = np.meshgrid(rows * self.spacing[0], columns * self.spacing[1], indexing="ij")
        border = np.interp(np.arctan2(dy, dx), self.angle, inner, period=2 * np.pi)
        return np.hypot(dx, dy) < border


def _closed(inner: np.ndarray, met: np.ndarray) -> np.ndarray:
    """The border at all angles: gaps interpolated, wide ones left open, single outliers smoothed away."""
    at = np.flatnonzero(met)
    whole = np.interp(np.arange(inner.size), at, inner[at], period=inner.size)
    whole = ndimage.median_filter(whole, 9, mode="wrap")
    gaps = np.diff(np.append(at, at[0] + inner.size))
    for start, gap in zip(at, gaps, strict=True):
        if gap > GAP * inner.size:
            whole[np.arange(start + 1, start + gap) % inner.size] = np.inf
    return whole
