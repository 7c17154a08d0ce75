"""Key slices of structures at the resolution of the scan, as SAM 2 is shown them when it is asked for a mask.

A slice is cut to the body and windowed for its structure exactly as ``prompting.slice_encoder`` does. It is made of a
scan that was read, or comes from a file that ``training.prepare`` wrote: compressed pictures and masks of a scan one
after another, and behind them an index.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from ...ct.geometry import spacing_mm
from ...ct.masks import Mask
from ...ct.windows import window_for
from ...prompting.planes import to_plane
from ...prompting.slice_encoder import body_ranges, crop_of, windowed
from .samples import DatasetError, Image, Native

AXIS = 2  # axial, as at inference
UNIT = ""  # window of a scan that is published as 0..1
Crop = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class NativeSlice:
    """A structure on one slice.

    Attributes:
        index: of the slice, along k of the scan.
        window: that it is shown in; ``UNIT`` where it was windowed by whoever published it.
        crop: rows and columns ``(r0, r1, c0, c1)`` of the plane that are shown.
        picture: uint8 ``[rows, columns]``, 0..255 for 0..1.
        mask: bool, of the same shape.
    """

    index: int
    window: str
    crop: Crop
    picture: Tensor
    mask: Tensor

    @property
    def seen(self) -> np.ndarray:
        """The picture as ``Sam2.encode`` takes it."""
        return self.picture.numpy().astype(np.float32) / 255

    def mirrored(self, width: int) -> NativeSlice:
        """Of the scan with left and right exchanged, whose planes are so many columns wide."""
        r0, r1, c0, c1 = self.crop
        crop = (r0, r1, width - c1, width - c0)
        return NativeSlice(self.index, self.window, crop, self.picture.flip(1), self.mask.flip(1))


def key_slices(mask: Mask, count: int) -> list[int]:
    """Slices on which a structure is learned, most telling first, so that fewer are the beginning of more.

    The one that holds most of it, of its neighbours the one with more, then halves, quarters, eighths of the extent.

    Args:
        mask: not empty.
        count: at most so many; a flat structure has fewer.
    """
    low = mask.box.lo[AXIS]
    sizes = mask.block.sum((0, 1))
    first = int(sizes.argmax())
    order = [first, *sorted((n for n in (first - 1, first + 1) if 0 <= n < len(sizes)), key=lambda n: -sizes[n])[:1]]
    parts = 2
    while len(found := [n for n in dict.fromkeys(order) if sizes[n]]) < count and parts < 2 * len(sizes):
        order += [len(sizes) * n // parts for n in range(1, parts, 2)]
        parts *= 2
    return [low + n for n in found[:count]]


class Cutter:
    """Cuts slices out of a scan that was read."""

    def __init__(self, image: Image, scale: str) -> None:
        """Find the body.

        Args:
            image: the scan.
            scale: of its values, see ``Sample.scale``.
        """
        self.image, self.scale = image, scale
        ranges = [(0, n) for n in image.shape]
        if scale == "hu":
            ranges = body_ranges(image.array, spacing_mm(image.affine))
        self.crop = crop_of(ranges, image.shape, AXIS)

    def window(self, mask: Mask) -> str:
        """That shows a structure best."""
        return window_for(self.image.array[mask.box.slices][mask.block]) if self.scale == "hu" else UNIT

    def picture(self, index: int, window: str) -> np.ndarray:
        """Uint8 ``[rows, columns]``."""
        plane = self._part(to_plane(self.image.array, AXIS, index))
        shown = windowed(plane, window) if window else np.clip(plane, 0, 1)
        return np.rint(shown * 255).astype(np.uint8)

    def mask(self, mask: Mask, index: int) -> np.ndarray:
        """Bool ``[rows, columns]``."""
        plane = np.zeros((*self.image.shape[:2], 1), bool)
        (i0, j0, k0), (i1, j1, _) = mask.box.lo, mask.box.hi
        plane[i0:i1, j0:j1, 0] = mask.block[:, :, index - k0]
        return self._part(to_plane(plane, AXIS, 0))

    def _part(self, plane: np.ndarray) -> np.ndarray:
        r0, r1, c0, c1 = self.crop
        return np.ascontiguousarray(plane[r0:r1, c0:c1])

    def slices(self, mask: Mask, count: int) -> list[NativeSlice]:
        """Up to ``count`` key slices of a structure."""
        window = self.window(mask)
        return [
            NativeSlice(
                index,
                window,
                self.crop,
                torch.from_numpy(self.picture(index, window)),
                torch.from_numpy(self.mask(mask, index)),
            )
            for index in key_slices(mask, count)
        ]


# ---- files


def write(out: BinaryIO, cutter: Cutter, masks: Iterator[tuple[str, Mask]], count: int) -> Native:
    """Append the key slices of a scan's structures to a file.

    Args:
        out: where.
        cutter: of the scan.
        masks: structures by name; empty ones are left out.
        count: slices of each.

    Returns:
        Where they are.
    """
    start, checksum = out.tell(), 0
    pictures: dict[str, tuple[int, int]] = {}
    index: dict[str, object] = {"crop": cutter.crop, "pictures": pictures, "masks": {}}

    def put(data: bytes) -> tuple[int, int]:
        nonlocal checksum
        at = out.tell() - start
        checksum = zlib.crc32(data, checksum)
        out.write(data)
        return at, len(data)

    for name, mask in masks:
        if mask.empty:
            continue
        window, rows = cutter.window(mask), []
        for k in key_slices(mask, count):
            key = f"{k} {window}"
            if key not in pictures:  # structures share slices
                pictures[key] = put(zlib.compress(cutter.picture(k, window).tobytes(), 1))
            rows.append((k, put(zlib.compress(np.packbits(cutter.mask(mask, k)).tobytes(), 1))))
        index["masks"][name] = {"window": window, "slices": rows}
    _, length = put(zlib.compress(json.dumps(index).encode(), 1))
    return Native(start, out.tell() - start, length, count, checksum)


def read(file: Path, native: Native, names: Iterable[str], count: int) -> dict[str, list[NativeSlice]]:
    """Up to ``count`` key slices of structures.

    Raises:
        DatasetError: the file is missing or damaged, or lacks a structure or so many slices.
    """
    if count > native.count:
        raise DatasetError(f"{file} holds {native.count} slices of a structure and {count} are wanted. Prepare anew.")
    try:
        with file.open("rb") as data:

            def get(at: int, length: int) -> bytes:
                data.seek(native.start + at)
                return zlib.decompress(data.read(length))

            index = json.loads(get(native.length - native.index, native.index))
            crop: Crop = tuple(index["crop"])
            shape = crop[1] - crop[0], crop[3] - crop[2]
            found = {}
            for name in names:
                if name not in index["masks"]:
                    raise DatasetError(f"{file} has no slices of {name}: its labels changed. Prepare anew.")
                window, rows = (index["masks"][name][key] for key in ("window", "slices"))
                found[name] = [
                    NativeSlice(
                        k,
                        window,
                        crop,
                        _array(get(*index["pictures"][f"{k} {window}"]), shape),
                        _array(get(*where), shape, bits=True),
                    )
                    for k, where in rows[:count]
                ]
    except (OSError, zlib.error, ValueError) as error:
        raise DatasetError(f"{file} is missing or damaged ({error}). Prepare the dataset again.") from None
    return found


def damaged(file: Path, native: Native) -> bool:
    """Whether the bytes of a scan are not those that were written."""
    try:
        with file.open("rb") as data:
            data.seek(native.start)
            return zlib.crc32(data.read(native.length)) != native.checksum
    except OSError:
        return True


def _array(data: bytes, shape: tuple[int, int], bits: bool = False) -> Tensor:
    values = np.frombuffer(data, np.uint8)
    if bits:
        values = np.unpackbits(values, count=shape[0] * shape[1]).astype(bool)
    return torch.from_numpy(values.reshape(shape).copy())


# ---- beside the encoder's image


def place_of(
    seen: NativeSlice, shape: tuple[int, int, int], low: tuple[int, int, int], high: tuple[int, int, int]
) -> tuple[float, float, float, float, float]:
    """Where a slice lies in the encoder's image.

    Args:
        seen: the slice.
        shape: of the scan.
        low: first voxel of what the encoder is shown.
        high: one past its last voxel.

    Returns:
        As shares of the image's depth, height and width: the slice's middle; first and last row's edge; first and last
        column's edge. Beyond 0..1 the encoder is shown nothing.
    """
    r0, r1, c0, c1 = seen.crop
    size = [b - a for a, b in zip(low, high, strict=True)]
    rows = [(high[1] - (shape[1] - r)) / size[1] for r in (r0, r1)]
    columns = [(high[0] - (shape[0] - c)) / size[0] for c in (c0, c1)]
    return ((seen.index + 0.5 - low[2]) / size[2], *rows, *columns)
