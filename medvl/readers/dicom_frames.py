"""Compressed DICOM frames, looked at before a decoder gets them.

The decoders believe what a stream declares: a damaged JPEG header of 65535 x 65535 pixels keeps one busy for half a
minute and takes gigabytes, and an RLE header without segments ends the process. Both are a few bytes at the stream's
beginning, so they are compared with the DICOM header first.
"""

from __future__ import annotations

import itertools
import struct

from pydicom.encaps import generate_fragments, generate_frames, parse_basic_offsets
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes, RLELossless

_MAX_RLE_SEGMENTS = 15
_RLE_HEADER = 64
# Start-of-frame markers of JPEG and JPEG-LS (SOF0 to SOF15 without DHT, JPG and DAC; SOF55).
_SOF = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_HEAD_BYTES = 1 << 16  # of a codestream, in which its frame header is looked for


class DamagedFrameError(ValueError):
    """A compressed frame cannot be what the DICOM header says."""


def frames_of(pixels: bytes, count: int) -> list[bytes]:
    """The compressed frames of an encapsulated pixel data value.

    Args:
        pixels: the value.
        count: frames that the header declares.

    Raises:
        ValueError, struct.error, ...: what pydicom raises on a damaged one.
    """
    if count > 1:
        return list(generate_frames(pixels, number_of_frames=count))
    offset = 8 + 4 * len(parse_basic_offsets(pixels))  # the item of the offset table
    return [b"".join(itertools.islice(generate_fragments(pixels[offset:]), 1 << 16))]


def check_frame(frame: bytes, syntax: UID, rows: int, columns: int, voxel_bytes: int) -> None:
    """Compare a compressed frame of one sample a voxel with its header.

    Args:
        frame: the stream.
        syntax: transfer syntax.
        rows: that the header declares.
        columns: that the header declares.
        voxel_bytes: bytes of a decoded voxel.

    Raises:
        DamagedFrameError: the frame declares another size, or its header is impossible.
    """
    size = None
    if syntax == RLELossless:
        _check_rle(frame, rows * columns, voxel_bytes)
    elif syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        size = jpeg_size(frame)
    elif syntax in JPEG2000TransferSyntaxes:
        size = jpeg2000_size(frame)
    if size is not None and size != (rows, columns, 1):
        raise DamagedFrameError(f"declares {size[0]} x {size[1]} pixels where the header has {rows} x {columns}")


def jpeg_size(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and components that the frame header of a JPEG or JPEG-LS stream declares.

    Raises:
        DamagedFrameError: there is no such header where one must be.
    """
    if frame[:2] != b"\xff\xd8":
        raise DamagedFrameError("does not begin like a JPEG")
    at = 2
    while at + 4 <= min(len(frame), _HEAD_BYTES):
        if frame[at] != 0xFF:
            break
        marker = frame[at + 1]
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", frame, at + 2)
        if marker in _SOF and at + 10 <= len(frame):
            return struct.unpack_from(">HHB", frame, at + 5)
        if marker == 0xDA or length < 2:  # the picture begins
            break
        at += 2 + length
    raise DamagedFrameError("has no JPEG frame header")


def jpeg2000_size(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and components that the SIZ marker of a JPEG 2000 codestream declares.

    Raises:
        DamagedFrameError: there is no such marker, or its tiles are impossible.
    """
    at = frame[:_HEAD_BYTES].find(b"\xff\x4f\xff\x51")
    if at < 0 or at + 42 > len(frame):
        raise DamagedFrameError("has no JPEG 2000 header")
    right, bottom, left, top, tile_w, tile_h, tile_x, tile_y, components = struct.unpack_from(">8IH", frame, at + 8)
    if not (tile_w and tile_h and tile_x <= left < tile_x + tile_w and tile_y <= top < tile_y + tile_h):
        raise DamagedFrameError("declares impossible tiles")
    return bottom - top, right - left, components


def _check_rle(frame: bytes, pixels: int, expected: int) -> None:
    """An RLE frame has one segment a byte of a pixel; each run of two bytes decodes to at most 128."""
    if len(frame) < _RLE_HEADER:
        raise DamagedFrameError("has no RLE header")
    count, *offsets = struct.unpack_from("<16I", frame)
    if count != expected or not 1 <= count <= _MAX_RLE_SEGMENTS:
        raise DamagedFrameError(f"declares {count} RLE segments where {expected} belong")
    ends = [*offsets[1:count], len(frame)]
    if offsets[0] != _RLE_HEADER or any(a >= b for a, b in zip(offsets[:count], ends, strict=True)):
        raise DamagedFrameError("has an impossible RLE header")
    if any(pixels > 64 * (b - a) for a, b in zip(offsets[:count], ends, strict=True)):
        raise DamagedFrameError("is cut short")
