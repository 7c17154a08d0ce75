"""SAM 2 on single slices: encode a slice once, keep its features under a byte budget, decode many prompts.

A *plane* is a 2-D picture of the volume as a radiologist sees it: rows run down, columns to the viewer's right, so the
array ``volume[index along axis]`` is flipped and transposed (``to_plane``). Only columns and rows that hold the body
are shown to SAM 2, which gives the organs more of its 512 pixels.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from ..ct.volume import CTVolume
from ..ct.windows import BODY_HU, WINDOWS
from ..errors import GpuError
from ..networks.sam2 import Features, Sam2
from .planes import to_plane

ALONE_S = 300  # after a GPU was refused, until one is asked for again
STRIDE = 2  # slices from one to the next while an object is carried on


class SliceEncoder:
    """Slices of one CT for ``Sam2``: body crop, window, feature cache shared by all objects and prompts."""

    def __init__(self, sam2: Sam2, ct: CTVolume) -> None:
        self.sam2 = sam2
        self.ct = ct
        self.encoded = 0  # slices encoded so far, for tests and benchmarks
        self._cache: OrderedDict[tuple[int, int, str], Features] = OrderedDict()
        self._lock = threading.Lock()
        self._last: tuple[int, int, str] | None = None  # encoded last
        self._alone_until = 0.0  # slices are encoded one by one here: no GPU was lent
        self._body = body_ranges(ct.hu, ct.spacing_mm)

    @property
    def nbytes(self) -> int:
        """Memory that the cached features take."""
        with self._lock:
            return sum(f.nbytes for f in self._cache.values())

    def clear(self) -> int:
        """Forget all features, which are computed anew when they are wanted; returns the bytes that they took."""
        with self._lock:
            freed = sum(f.nbytes for f in self._cache.values())
            self._cache.clear()
            return freed

    def crop(self, axis: int) -> tuple[int, int, int, int]:
        """Rows and columns ``(r0, r1, c0, c1)`` of the plane that SAM 2 sees."""
        return crop_of(self._body, self.ct.shape, axis)

    def features(self, axis: int, index: int, window: str) -> Features:
        """Features of a slice, from the cache or encoded now."""
        key = (axis, index, window)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
            ahead = self._ahead(*key)
            self._last = key
        if len(ahead) > 1:
            try:
                found = self.sam2.encode_many([self._picture(axis, i, window) for i in ahead])
            except GpuError:
                self._alone_until = time.monotonic() + ALONE_S
            else:
                for i, features in reversed([*zip(ahead, found, strict=True)]):  # the one asked for is kept longest
                    self._keep((axis, i, window), features)
                self._last = (axis, ahead[-1], window)
                return found[0]
        features = self.sam2.encode(self._picture(axis, index, window))
        self._keep(key, features)
        return features

    def _ahead(self, axis: int, index: int, window: str) -> list[int]:
        """The slice, and further ones where an object is being carried on and one go is worth it."""
        last = self._last
        walks = last is not None and (last[0], last[2]) == (axis, window) and 0 < abs(index - last[1]) <= STRIDE
        if not walks or time.monotonic() < self._alone_until:
            return [index]
        step = 1 if index > last[1] else -1
        line = [index + step * n for n in range(self.sam2.ahead)]
        return [i for i in line if 0 <= i < self.ct.shape[axis] and (axis, i, window) not in self._cache]

    def _picture(self, axis: int, index: int, window: str) -> np.ndarray:
        r0, r1, c0, c1 = self.crop(axis)
        return windowed(to_plane(self.ct.hu, axis, index)[r0:r1, c0:c1], window)

    def _keep(self, key: tuple[int, int, str], features: Features) -> None:
        with self._lock:
            self.encoded += 1
            self._cache[key] = features
            total = sum(f.nbytes for f in self._cache.values())
            while total > self.sam2.config.cache_mb * 2**20 and len(self._cache) > 1:
                total -= self._cache.popitem(last=False)[1].nbytes


def body_ranges(hu: np.ndarray, spacing_mm: Sequence[float]) -> list[tuple[int, int]]:
    """First and one past the last voxel of the body along i, j and k, with a margin of some millimetres.

    Args:
        hu: ``(i, j, k)``.
        spacing_mm: of its voxels.
    """
    step = max(1, round(4 / max(min(spacing_mm), 0.5)))  # about 4 mm is fine enough to find the body
    body = hu[::step, ::step, ::step] > BODY_HU
    ranges = []
    for axis in range(3):
        profile = body.any(axis=tuple(a for a in range(3) if a != axis))
        on = np.flatnonzero(profile)
        low, high = (on[0] * step, (on[-1] + 1) * step) if on.size else (0, hu.shape[axis])
        ranges.append((max(0, int(low) - step), min(hu.shape[axis], int(high) + step)))
    return ranges


def crop_of(ranges: Sequence[tuple[int, int]], shape: Sequence[int], axis: int) -> tuple[int, int, int, int]:
    """Rows and columns ``(r0, r1, c0, c1)`` of the plane normal to ``axis`` that ranges of voxels span."""
    across, along = [a for a in range(3) if a != axis]
    (c0, c1), (r0, r1) = ranges[across], ranges[along]
    width, height = shape[across], shape[along]
    return height - r1, height - r0, width - c1, width - c0


def windowed(plane: np.ndarray, window: str) -> np.ndarray:
    """HU as the float32 picture 0..1 that SAM 2 is shown."""
    level, width = WINDOWS[window]
    return np.clip((plane.astype(np.float32) - level) / width + 0.5, 0, 1)
