"""What the browser makes of the server's bytes, in Python."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import numpy as np

from app.viewer import wire


def decode_slab(packed: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """Inverse of ``wire.encode_slab``: int16 ``(i, j, k)``. What the browser does, restated."""
    planes = np.frombuffer(zlib.decompress(packed, 31), np.uint8).reshape(2, -1)
    zigzag = planes[0].astype(np.uint16) | (planes[1].astype(np.uint16) << 8)
    diff = (zigzag >> 1) ^ (np.uint16(0) - (zigzag & 1))
    return np.cumsum(diff, dtype=np.uint16).view(np.int16).reshape(shape[::-1]).T


def unpack_delta(data: bytes) -> tuple[dict[str, Any], dict[str, dict[int, tuple[tuple[int, int], np.ndarray]]]]:
    """Inverse of ``wire.pack_delta``: header, and for each id ``{k: ((i0, j0), bool [j, i])}``."""
    assert data[:4] == wire.DELTA_MAGIC
    (length,) = struct.unpack_from("<I", data, 4)
    header = json.loads(data[8 : 8 + length])
    runs = np.frombuffer(data, "<u2", offset=8 + length)
    at, masks = 0, {}
    for mask in header["masks"]:
        slices = masks.setdefault(mask["id"], {})
        for k, i0, j0, width, height, count in mask["slices"]:
            values = np.arange(count) % 2 == 1
            slices[k] = ((i0, j0), np.repeat(values, runs[at : at + count]).reshape(height, width))
            at += count
    return header, masks
