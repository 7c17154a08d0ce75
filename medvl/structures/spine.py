"""The course of the spine and its discs, by anatomy: a centreline through the vertebral bodies, discs along it.

The spine is curved, so everything is looked at in planes across its own course. ``s`` counts mm along the centreline
from the lower end of what is seen, ``u`` mm to the patient's right of it, ``v`` mm in front of it.

A disc is dark between two bright endplates, and the foramen beside the canal, where no pedicle joins the body to the
arch, lies just above it. Bodies with their discs are about as high as they are wide and grow slowly downward. Dynamic
programming finds the row of discs that fits all of this best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..ct.prompts import Box
from ..ct.volume import CTVolume
from .thresholds import THRESHOLDS

# Tilts of a disc against the plane across the centreline, in degrees: about the R-L axis, about the A-P axis.
PITCH, ROLL = (-20, -10, -5, 0, 5, 10, 20), (-10, -5, 0, 5, 10)
GAPS_MM = tuple(range(4, 15))  # between the endplates of a disc
HEIGHTS_MM = np.arange(13, 47)  # of a body with its disc: 13 mm in the neck, 46 mm of L5 of a tall person


@dataclass(frozen=True, eq=False)
class Spine:
    """The centreline of the vertebral bodies, one point a mm, from below upward.

    Attributes:
        points: ``[n, 3]`` mm, voxel index times spacing.
        along: ``[n, 3]`` unit vectors along it, headward.
        right: ``[n, 3]`` unit vectors to the patient's right, across it.
        front: ``[n, 3]`` unit vectors forward, across it.
        radius: ``[n]`` mm, of the largest circle in the body's section, smoothed.
    """

    points: np.ndarray
    along: np.ndarray
    right: np.ndarray
    front: np.ndarray
    radius: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    def sample(
        self, volume: np.ndarray, spacing_mm: tuple[float, ...], s: np.ndarray, u: np.ndarray, v: np.ndarray
    ) -> np.ndarray:
        """Values of a volume ``(i, j, k)`` at all of ``s`` x ``u`` x ``v``, trilinear; beyond its border NaN."""
        at = np.minimum(s.round().astype(int), len(self) - 1)
        places = (
            self.points[at][:, None, None]
            + u[None, :, None, None] * self.right[at][:, None, None]
            + v[None, None, :, None] * self.front[at][:, None, None]
        ) / np.asarray(spacing_mm)
        return ndimage.map_coordinates(
            volume.astype(np.float32), np.moveaxis(places, -1, 0), order=1, mode="constant", cval=np.nan
        )

    def coordinates(self, places_mm: np.ndarray) -> np.ndarray:
        """``(s, u, v)`` in mm of places ``[m, 3]`` (voxel index times spacing): ``[m, 3]``."""
        _, near = cKDTree(self.points).query(places_mm)
        away = places_mm - self.points[near]
        across = [(away * axes[near]).sum(1) for axes in (self.along, self.right, self.front)]
        return np.stack((near + across[0], across[1], across[2]), axis=1)


def spine_of(column: np.ndarray, box: Box, spacing_mm: tuple[float, ...]) -> Spine | None:
    """The centreline of a vertebral column; None where too little of it is seen.

    Args:
        column: bool voxels of the column within ``box``.
        box: where they lie in the CT.
        spacing_mm: of the CT.
    """
    centres, radii = [], []
    for k in range(column.shape[2]):
        inside = ndimage.distance_transform_edt(np.pad(column[:, :, k], 1), sampling=spacing_mm[:2])
        if inside.max() < THRESHOLDS.min_radius_mm:
            continue
        middle = np.argwhere(inside > 0.8 * inside.max()).mean(0) - 1
        centres.append([*((middle + box.lo[:2]) * spacing_mm[:2]), (k + box.lo[2]) * spacing_mm[2]])
        radii.append(inside.max())
    if len(centres) < 4 or centres[-1][2] - centres[0][2] < THRESHOLDS.shortest_mm:
        return None
    centres, radii = np.array(centres), np.array(radii)
    height = centres[:, 2]
    window = max(3, int(30 / spacing_mm[2]) | 1)
    sound = radii > 0.75 * ndimage.median_filter(radii, window, mode="nearest")  # the others are holes at discs
    fine = np.arange(height[0], height[-1], 1.0)

    def smooth(values: np.ndarray, sd: float) -> np.ndarray:
        values = ndimage.median_filter(values[sound], window, mode="nearest")
        return ndimage.gaussian_filter1d(np.interp(fine, height[sound], values), sd, mode="nearest")

    line = np.stack(
        (smooth(centres[:, 0], THRESHOLDS.smooth_mm), smooth(centres[:, 1], THRESHOLDS.smooth_mm), fine), axis=1
    )
    radius = smooth(radii, 1.5 * THRESHOLDS.smooth_mm)
    way = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    even = np.arange(0, way[-1], 1.0)
    points = np.stack([np.interp(even, way, line[:, a]) for a in range(3)], axis=1)
    along = _unit(ndimage.gaussian_filter1d(np.gradient(points, axis=0), 4, axis=0, mode="nearest"))
    right = _unit(np.array([1.0, 0, 0]) - along * along[:, :1])
    return Spine(points, along, right, np.cross(along, right), np.interp(even, way, radius))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Discs:
    """A row of discs.

    Attributes:
        at: ``s`` of their centres, from below upward.
        pitch: degrees by which each rises toward the front.
        roll: degrees by which each rises toward the right.
        gap: mm between its endplates.
        score: how well each looks like a disc; about 0 where nothing speaks for or against one.
    """

    at: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    gap: np.ndarray
    score: np.ndarray


def find_discs(spine: Spine, ct: CTVolume, first: tuple[int, int] | None = None) -> Discs:
    """The discs along a spine; none where no row of them is seen.

    Args:
        spine: the centreline.
        ct: the scan.
        first: lowest and highest ``s`` that the lowest disc may have; None: anywhere.
    """
    score, pitch, roll, gap = _looks(spine, ct)
    foramen = -THRESHOLDS.pedicle_weight * np.interp(_s(spine) + 0.25 * spine.radius, _s(spine), _pedicles(spine, ct))
    score = np.clip(score, -1, 3) + foramen - THRESHOLDS.per_disc
    at = _row(score, spine.radius, first)
    return Discs(at, pitch[at], roll[at], gap[at], score[at])


def _s(spine: Spine) -> np.ndarray:
    return np.arange(len(spine), dtype=float)


def _looks(spine: Spine, ct: CTVolume) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """At each ``s`` how much darker its core is than endplates beside it, in SD; at which tilts and gap it is that."""
    s = _s(spine)
    reach = 0.6 * float(spine.radius.max())
    grid = np.arange(-reach, reach + 0.1, 3.0)
    core = np.nan_to_num(np.clip(spine.sample(ct.hu, ct.spacing_mm, s, grid, grid), -100, 500))
    inside = np.hypot(grid[:, None], grid[None]) <= 0.6 * spine.radius[:, None, None]
    plain = (core * inside).sum((1, 2)) / inside.sum((1, 2))
    noise = float(np.std(plain - ndimage.gaussian_filter1d(plain, 12))) + 5
    best, how = np.full(len(spine), -np.inf), np.zeros((3, len(spine)))
    for pitch in PITCH:
        for roll in ROLL:
            rise = np.tan(np.radians(pitch)) * grid[None] + np.tan(np.radians(roll)) * grid[:, None]
            total = sum(
                inside[:, i, j] * np.interp(s + rise[i, j], s, core[:, i, j])
                for i in range(len(grid))
                for j in range(len(grid))
            )
            profile = ndimage.gaussian_filter1d(total / inside.sum((1, 2)), 0.7, mode="nearest")
            look, gap = _between_endplates(profile, spine.radius)
            look = look - THRESHOLDS.tilt_penalty_hu * (abs(pitch) + abs(roll))
            better = look > best
            best[better] = look[better]
            how[:2, better], how[2, better] = [[pitch], [roll]], gap[better]
    return best / noise, *how


def _between_endplates(profile: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """HU by which two endplates are brighter than the disc between them and the bodies beyond, and the best gap."""
    s = np.arange(len(profile), dtype=float)

    def at(offset: float) -> np.ndarray:
        return np.interp(s + offset, s, profile)

    looks = []
    for gap in GAPS_MM:
        half = gap / 2
        look = (at(-half) + at(half)) / 2 - at(0) / 2 - (at(-half - 5) + at(half + 5)) / 4
        looks.append(np.where(gap <= 0.85 * radius, look, -np.inf))
    return np.max(looks, axis=0), np.array(GAPS_MM)[np.argmax(looks, axis=0)]


def _pedicles(spine: Spine, ct: CTVolume) -> np.ndarray:
    """At each ``s`` how bright it is beside the front of the canal, against its surroundings along the spine, in SD."""
    widest = float(spine.radius.max())
    u = np.arange(-1.05 * widest, 1.05 * widest + 0.1, 2.0)
    v = np.arange(-0.95 * widest - 9, 0, 2.0)
    hu = np.clip(spine.sample(ct.hu, ct.spacing_mm, _s(spine), u, v), 0, 400)
    side = np.abs(u)[None, :, None] / spine.radius[:, None, None]
    back = -v[None, None, :] - 0.95 * spine.radius[:, None, None]
    here = (side >= 0.45) & (side <= 1.05) & (back >= 0) & (back <= 9) & np.isfinite(hu)
    bright = np.where(here, hu, 0).sum((1, 2)) / np.maximum(here.sum((1, 2)), 1)
    bright = ndimage.gaussian_filter1d(bright, 1.5, mode="nearest")
    bright = bright - ndimage.gaussian_filter1d(bright, 25, mode="nearest")
    return bright / (np.sqrt(ndimage.gaussian_filter1d(bright**2, 50, mode="nearest")) + 1e-6)


def _row(score: np.ndarray, radius: np.ndarray, first: tuple[int, int] | None) -> np.ndarray:
    """The row of discs with the best sum of scores and of what is expected of their distances; ``s`` of each."""
    n, heights = len(score), HEIGHTS_MM
    growth = -((np.log(heights[:, None] / heights[None]) + THRESHOLDS.growth) ** 2) / (
        2 * THRESHOLDS.growth_sd**2
    )  # [this, the one below]
    begin = np.full(n, -np.inf)
    if first is None:
        begin[:] = score
    else:
        lo, hi = max(0, first[0]), min(n, first[1] + 1)
        begin[lo:hi] = score[lo:hi] + 10  # the row begins here, come what may
    best = np.full((n, heights.size), -np.inf)
    before = np.full((n, heights.size), -1)
    for c in range(heights[0], n):
        for i, height in enumerate(heights[: np.searchsorted(heights, c, side="right")]):
            below = c - height
            expected = THRESHOLDS.height_in_radii * radius[c - height // 2]
            fit = score[c] - np.log(height / expected) ** 2 / (2 * THRESHOLDS.height_sd**2)
            going_on = best[below] + growth[i]
            j = int(going_on.argmax())
            on = going_on[j] > begin[below]
            best[c, i] = (going_on[j] if on else begin[below]) + fit
            before[c, i] = j if on else -1
    if not np.isfinite(best).any() or best.max() <= 0:
        return np.zeros(0, int)
    c, i = np.unravel_index(best.argmax(), best.shape)
    row = [int(c)]
    while True:
        j = before[c, i]
        c = c - heights[i]
        row.append(int(c))
        if j < 0:
            return np.array(row[::-1])
        i = j
