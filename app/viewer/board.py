"""``Board``: what one browser should show: a CT, its masks with their style, prompts and focus.

The session writes, the routes read, from different threads. Every change raises ``revision``; the browser asks for
what changed since the revision it has, and gets whole axial slices of masks, run-length coded, for just those slices.
"""

from __future__ import annotations

import itertools
import math
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medvl.ct.geometry import canonical_to_source
from medvl.ct.masks import Mask
from medvl.ct.prompts import Box, Point
from medvl.ct.volume import CTVolume

from . import wire

WINDOWS = (  # name, level HU, width HU; number keys 1 to 6
    ("Soft tissue", 40, 400),
    ("Lung", -600, 1500),
    ("Bone", 400, 1800),
    ("Brain", 40, 80),
    ("Liver", 60, 160),
    ("Mediastinum", 50, 350),
)
PLANE_NAMES = ("axial", "coronal", "sagittal")
SLAB_VOXELS = 1 << 21  # 4 MB of HU a request: decoded by the browser in a few milliseconds
BROWSER_BYTES = 400_000_000  # above this the browser keeps only the full-resolution slabs around the crosshair
CACHE_BYTES = 96_000_000  # packed slabs kept for a reload of the page
DEFAULT_OPACITY = 0.3
TAKEN = 256  # last messages of a page that are known again if they come twice
LUNG_SHARE = 0.15  # of the middle of a slice: chests have more in lung, whatever else is there has less

_case_numbers = itertools.count(1)


@dataclass(eq=False)
class _Entry:
    """One mask on the board."""

    mask: Mask
    born: int
    slice_revision: np.ndarray  # [k] revision at which that slice last changed
    visible: bool = True
    opacity: float = DEFAULT_OPACITY
    prompts: list[dict[str, Any]] = field(default_factory=list)
    written: tuple[weakref.ref, str] | None = None  # voxels and name as they were last exported

    @property
    def saved(self) -> bool:
        """True if an export holds the mask as it is now."""
        return self.written is not None and self.written[0]() is self.mask.block and self.written[1] == self.mask.name


@dataclass(frozen=True)
class Beside:
    """The board of an earlier scan on the grid of the present one, and what the visitor calls that scan."""

    board: Board
    title: str


class Board:
    """What the browser shows of one open CT. Thread-safe.

    Args:
        ct: the volume.
        token: unguessable key of the routes.

    Attributes:
        beside: an earlier scan on the same grid, None where none is open.
    """

    def __init__(self, ct: CTVolume, token: str) -> None:
        self.ct = ct
        self.token = token
        self.case = next(_case_numbers)
        self.beside: Beside | None = None
        self._lock = threading.RLock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._revision = 0
        self._active: str | None = None
        self._focus: dict[str, Any] | None = None
        self._window: dict[str, Any] | None = None
        self._view: dict[str, Any] | None = None
        self._stroke = 0
        self._taken: deque[tuple[int, str]] = deque(maxlen=TAKEN)  # revision and key
        self._cache: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._cache_bytes = 0
        self._coarse = np.asarray(ct.hu)[::2, ::2, ::2]  # a view: exact voxels, no second copy of the volume

    # ------------------------------------------------------------------ what the session writes

    @property
    def revision(self) -> int:
        """Grows with every change."""
        return self._revision

    @property
    def active(self) -> str | None:
        """Id of the mask that prompts go to, or None: the next prompt begins a new object."""
        return self._active

    @active.setter
    def active(self, mask_id: str | None) -> None:
        with self._lock:
            if mask_id != self._active:
                self._active = mask_id
                self._revision += 1

    def set_mask(self, mask: Mask, changed: Box | None = None) -> None:
        """Add or replace a mask.

        Args:
            mask: the whole object as it is now; its name and colour are shown.
            changed: half-open voxel box outside which nothing changed; None when unknown.
        """
        with self._lock:
            self._revision += 1
            entry = self._entries.get(mask.id)
            if entry is None:
                born = np.full(self.ct.shape[2], self._revision, np.int64)
                self._entries[mask.id] = _Entry(mask, self._revision, born)
                return
            boxes = [changed] if changed is not None else [b for b in (entry.mask.box, mask.box) if b is not None]
            for box in boxes:
                entry.slice_revision[max(0, box.lo[2]) : box.hi[2]] = self._revision
            entry.mask = mask

    def remove_mask(self, mask_id: str) -> None:
        """Take a mask and its prompts away; an unknown id is ignored."""
        with self._lock:
            if self._entries.pop(mask_id, None) is not None:
                self._revision += 1
            if self._active == mask_id:
                self._active = None

    def style(
        self,
        mask_id: str,
        name: str | None = None,
        color: str | None = None,
        visible: bool | None = None,
        opacity: float | None = None,
    ) -> None:
        """Change how a mask looks; None leaves a property as it is. An unknown id is ignored."""
        with self._lock:
            entry = self._entries.get(mask_id)
            if entry is None:
                return
            mask = entry.mask
            if name is not None or color is not None:
                entry.mask = Mask(mask.shape, mask.box, mask.block, mask.id, name or mask.name, color or mask.color)
            if visible is not None:
                entry.visible = bool(visible)
            if opacity is not None:
                entry.opacity = float(min(1.0, max(0.0, opacity)))
            self._revision += 1

    def set_prompts(self, mask_id: str, prompts: Iterable[Point | Box]) -> None:
        """Replace the prompts drawn for a mask. An unknown id is ignored."""
        drawn = [_prompt_dict(prompt) for prompt in prompts]
        with self._lock:
            entry = self._entries.get(mask_id)
            if entry is not None and entry.prompts != drawn:
                entry.prompts = drawn
                self._revision += 1

    def mark_saved(self, masks: Iterable[Mask]) -> None:
        """These masks have been exported as they are: leaving the page does not lose them."""
        with self._lock:
            for mask in masks:
                if mask.id in self._entries:
                    self._entries[mask.id].written = (weakref.ref(mask.block), mask.name)
            self._revision += 1

    def focus(self, ijk: Iterable[float | None]) -> None:
        """Move the crosshair to a voxel; along an axis whose index is None it stays where it is."""
        point = [
            None if value is None else int(np.clip(round(value), 0, count - 1))
            for value, count in zip(ijk, self.ct.shape, strict=True)
        ]
        with self._lock:
            self._revision += 1
            self._focus = {"ijk": point, "revision": self._revision}

    def window(self, chosen: str | tuple[float, float]) -> None:
        """Show the scan in a window of ``WINDOWS``, or in one of a level and a width in HU.

        Raises:
            KeyError: there is none of this name.
        """
        if isinstance(chosen, str):
            index, own = {preset[0]: n for n, preset in enumerate(WINDOWS)}[chosen], None
        else:
            index, own = None, {"level": chosen[0], "width": chosen[1]}
        with self._lock:
            self._revision += 1
            self._window = {"index": index, "own": own, "revision": self._revision}

    def took_stroke(self, number: int) -> None:
        """The browser's stroke of this number is in its mask, or was refused: what the browser drew of it may go."""
        with self._lock:
            self._revision += 1
            self._stroke = max(self._stroke, number)

    def take(self, key: str) -> bool:
        """A message of the browser's has come: it may forget it.

        Args:
            key: that the browser gave it; empty for one that it does not keep.

        Returns:
            False for one that had come before: it was sent again by a page that did not hear so.
        """
        with self._lock:
            if key and any(key == known for _, known in self._taken):
                return False
            self._revision += 1
            self._taken.append((self._revision, key))
            return True

    def show_view(self, view: dict[str, Any], lengths: list[dict[str, Any]]) -> None:
        """Look where somebody looked, with their lengths.

        Args:
            view: any of ``ijk``, ``window``, ``only``, ``zooms``; checked.
            lengths: ``{"plane", "slice", "ends"}``; checked.
        """
        with self._lock:
            self._revision += 1
            self._view = {"view": view, "lengths": lengths, "revision": self._revision}

    # ------------------------------------------------------------------ what the routes read

    def info(self) -> dict[str, Any]:
        """Geometry, levels and windows for the browser; nothing from the file's header but numbers."""
        shape = self.ct.shape
        linear = np.asarray(self.ct.affine, float)[:3, :3]
        axes = linear / np.linalg.norm(linear, axis=0)
        tilt = float(np.degrees(np.arccos(np.clip(np.abs(np.diag(axes)).min(), 0, 1))))
        coarse = self._coarse.shape
        return {
            "shape": list(shape),
            "affine": np.asarray(self.ct.affine, float).tolist(),
            "to_file": canonical_to_source(self.ct.source, self.ct.affine).tolist(),
            "spacing_mm": list(self.ct.spacing_mm),
            "orientation": "RAS",
            "oblique_degrees": round(tilt, 1),
            "levels": [
                {"shape": list(shape), "depth": _depth(shape), "slabs": _slabs(shape)},
                {"shape": list(coarse), "depth": _depth(coarse), "slabs": _slabs(coarse)},
            ],
            "browser_bytes": BROWSER_BYTES,
            "unit": " HU" if self.ct.hu_trusted else " (no HU)",
            "windows": [{"name": name, "level": level, "width": width} for name, level, width in WINDOWS],
            "window": self._first_window(),
        }

    def slab(self, level: int, index: int) -> bytes:
        """Packed voxels of one slab (``wire.encode_slab``).

        Args:
            level: 0 full resolution, 1 every second voxel along each axis.
            index: slab number from the feet.

        Raises:
            IndexError: there is no such level or slab.
        """
        if level not in (0, 1):
            raise IndexError(level)
        hu = np.asarray(self.ct.hu) if level == 0 else self._coarse
        if not 0 <= index < _slabs(hu.shape):
            raise IndexError(index)
        key = (level, index)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        depth = _depth(hu.shape)
        packed = wire.encode_slab(hu[:, :, index * depth : (index + 1) * depth])  # outside the lock: it takes a while
        with self._lock:
            if key not in self._cache:
                self._cache[key] = packed
                self._cache_bytes += len(packed)
            while self._cache_bytes > CACHE_BYTES and len(self._cache) > 1:
                self._cache_bytes -= len(self._cache.popitem(last=False)[1])
        return packed

    def delta(self, since: int) -> bytes:
        """Everything that differs from revision ``since`` (``wire.pack_delta``); ``-1`` gives all."""
        with self._lock:
            revision, active, focus, window = self._revision, self._active, self._focus, self._window
            view = self._view if self._view is not None and self._view["revision"] > since else None
            taken = [key for changed, key in self._taken if changed > since and key]
            entries = [
                (e.mask, e.born, np.flatnonzero(e.slice_revision > since), e.visible, e.opacity, e.prompts, e.saved)
                for e in self._entries.values()
            ]
        masks, payload = [], []
        for mask, born, changed, visible, opacity, prompts, saved in entries:
            table: list[list[int]] = []
            if mask.box is None:
                table = [] if born > since else [[int(k), 0, 0, 0, 0, 0] for k in changed]
            elif changed.size:
                if born > since:  # the browser has nothing of it yet
                    changed = changed[(changed >= mask.box.lo[2]) & (changed < mask.box.hi[2])]
                table, runs = wire.encode_slices(mask.block, mask.box.lo, changed.tolist())
                payload.append(runs)
            masks.append(
                {
                    "id": mask.id,
                    "name": mask.name,
                    "color": mask.color,
                    "visible": visible,
                    "opacity": opacity,
                    "born": born,
                    "prompts": prompts,
                    "saved": saved,
                    "slices": table,
                }
            )
        header = {"revision": revision, "since": since, "active": active, "focus": focus, "window": window}
        header["view"], header["stroke"], header["taken"] = view, self._stroke, taken
        header["masks"] = masks
        return wire.pack_delta(header, b"".join(payload))

    @property
    def mask_ids(self) -> set[str]:
        """Ids of the masks that are shown."""
        with self._lock:
            return set(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes held beyond the CT and the masks themselves."""
        with self._lock:
            return self._cache_bytes + sum(entry.slice_revision.nbytes for entry in self._entries.values())

    def _first_window(self) -> int:
        """Index of the window to open with: lung where the slice shown first cuts the lungs, else soft tissue."""
        nx, ny, nz = self.ct.shape
        centre = np.asarray(self.ct.hu)[nx // 4 : 3 * nx // 4 : 4, ny // 4 : 3 * ny // 4 : 4, nz // 2]
        return 1 if centre.size and float(np.mean((centre > -950) & (centre < -600))) > LUNG_SHARE else 0


def _depth(shape: tuple[int, ...]) -> int:
    """Slices a slab."""
    return max(1, min(shape[2], SLAB_VOXELS // (shape[0] * shape[1])))


def _slabs(shape: tuple[int, ...]) -> int:
    """Number of slabs."""
    return math.ceil(shape[2] / _depth(shape))


def _prompt_dict(prompt: Point | Box) -> dict[str, Any]:
    """A prompt as the browser draws it."""
    if isinstance(prompt, Point):
        ijk = [int(v) for v in prompt.ijk]
        return {"kind": "point", "ijk": ijk, "positive": bool(prompt.positive), "axis": int(prompt.axis)}
    lo, hi = [int(v) for v in prompt.lo], [int(v) for v in prompt.hi]
    return {"kind": "box", "lo": lo, "hi": hi, "axis": prompt.plane_axis}
