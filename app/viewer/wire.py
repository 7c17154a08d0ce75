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
