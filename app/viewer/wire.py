"""Bytes between server and browser: voxel slabs, and changes of masks.

Slab: HU as zig-zag coded differences of neighbours in memory order (i fastest, then j, then k), all low bytes first,
then all high bytes, in a gzip stream. High bytes are almost all zero after that, so the fast run-length strategy of
zlib packs better and twice as fast as its lowest plain level. ``decodeSlab`` in ``volume.js`` is the inverse.

Delta: ``b"MVD1"``, uint32 length of a JSON header, the header padded with spaces to a multiple of four, then uint16
run lengths (off, on, off, ...) of the mask slices that the header lists. All little-endian.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import numpy as np

DELTA_MAGIC = b"MVD1"


def gzip_fast(payload: bytes | memoryview, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    """Gzip at the fastest level, without a name or time in the header."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31, 9, strategy)
    return packer.compress(payload) + packer.flush()


def encode_slab(hu: np.ndarray) -> bytes:
    """Pack a block of HU.

    Args:
        hu: int16 ``(i, j, k)``, any memory layout.

    Returns:
        A gzip stream of ``2 * hu.size`` bytes.
    """
    flat = np.ascontiguousarray(hu.T, dtype="<i2").reshape(-1)
    diff = flat.copy()
    np.subtract(flat[1:], flat[:-1], out=diff[1:])  # wraps modulo 2**16, and so does the decoder
    zigzag = ((diff << 1) ^ (diff >> 15)).view(np.uint8).reshape(-1, 2)
    planes = np.empty((2, flat.size), np.uint8)
    planes[0], planes[1] = zigzag[:, 0], zigzag[:, 1]
    return gzip_fast(memoryview(planes).cast("B"), zlib.Z_RLE)


def decode_slab(packed: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """Inverse of ``encode_slab``: int16 ``(i, j, k)``. The browser has its own; this one serves tests and scripts."""
    planes = np.frombuffer(zlib.decompress(packed, 31), np.uint8).reshape(2, -1)
    zigzag = planes[0].astype(np.uint16) | (planes[1].astype(np.uint16) << 8)
    diff = (zigzag >> 1) ^ (np.uint16(0) - (zigzag & 1))
    return np.cumsum(diff, dtype=np.uint16).view(np.int16).reshape(shape[::-1]).T


def run_lengths(bits: np.ndarray) -> np.ndarray:
    """Alternating off/on run lengths of a flat bool array, first off, as uint16; longer runs are split by a zero."""
    edges = np.flatnonzero(bits[1:] != bits[:-1]) + 1
    bounds = np.concatenate(([0], edges, [bits.size]))
    runs = np.diff(bounds)
    if bits.size and bits[0]:
        runs = np.concatenate(([0], runs))
    if runs.size and runs.max() > 65535:
        parts: list[int] = []
        for run in runs.tolist():
            while run > 65535:
                parts += [65535, 0]
                run -= 65535
            parts.append(run)
        runs = np.array(parts)
    return runs.astype("<u2")


def encode_slices(block: np.ndarray, origin: tuple[int, int, int], ks: list[int]) -> tuple[list[list[int]], bytes]:
    """Axial slices of a mask, each cropped to what is set.

    Args:
        block: bool ``(i, j, k)``, the voxels inside the mask's box.
        origin: lowest voxel of that box.
        ks: slices of the volume that are wanted; one outside the box counts as empty.

    Returns:
        Table with a row ``[k, i0, j0, width, height, runs]`` a slice (zeros when empty), and all run lengths.
    """
    table, chunks = [], []
    for k in ks:
        local = k - origin[2]
        plane = block[:, :, local].T if 0 <= local < block.shape[2] else None  # [j, i]
        rows = np.flatnonzero(plane.any(axis=1)) if plane is not None else ()
        if len(rows) == 0:
            table.append([k, 0, 0, 0, 0, 0])
            continue
        columns = np.flatnonzero(plane.any(axis=0))
        crop = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        runs = run_lengths(np.ascontiguousarray(crop).reshape(-1))
        height, width = crop.shape
        table.append([k, origin[0] + int(columns[0]), origin[1] + int(rows[0]), width, height, int(runs.size)])
        chunks.append(runs.tobytes())
    return table, b"".join(chunks)


def pack_delta(header: dict[str, Any], payload: bytes) -> bytes:
    """Join header and run lengths."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 4)
    return DELTA_MAGIC + struct.pack("<I", len(text)) + text + payload


def unpack_delta(data: bytes) -> tuple[dict[str, Any], dict[str, dict[int, tuple[tuple[int, int], np.ndarray]]]]:
    """Inverse of ``pack_delta`` for tests and scripts: header, and for each id ``{k: ((i0, j0), bool [j, i])}``."""
    if data[:4] != DELTA_MAGIC:
        raise ValueError("Not a viewer delta: it does not begin with MVD1.")
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
