"""Stored values of a DICOM slice, unscaled: what the file holds, and which of them stand for no value.

Uncompressed pixels are read as they lie in the file. Compressed ones go through GDCM (SimpleITK) one frame at a time,
in a file of our own that holds the frame and how it is stored and nothing else: no slope, no inverted display, no
padding and no private field can change what comes out.
"""

from __future__ import annotations

import hashlib
import os
import tempfile

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from ..errors import CTReadError
from .dicom_frames import DamagedFrameError, check_frame, frames_of
from .dicom_headers import BROKEN
from .dicom_slices import Slice
from .itk import quiet_itk

_BITS = (8, 16, 32)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_UNDEFINED = 0xFFFFFFFF
_LONG_LENGTH = (b"OB", b"OW", b"OL", b"OV", b"UN")


def check_bits(item: Slice) -> None:
    """Refuse a voxel layout that cannot be read.

    Raises:
        CTReadError: bits that do not lie in the voxel; or compressed ones that do not begin at its lowest bit.
    """
    p = item.pixels
    shift = p.high_bit + 1 - p.bits_stored
    if p.bits_allocated not in _BITS or p.bits_stored < 1 or shift < 0 or p.high_bit >= p.bits_allocated:
        problem = "cannot be"
    elif shift and p.syntax.is_transfer_syntax and p.syntax.is_compressed and not _is_deflated(p.syntax):
        problem = "cannot be read from compressed pictures"
    else:
        return
    raise CTReadError(
        f"The DICOM header says that a voxel has {p.bits_stored} bits up to bit {p.high_bit} of {p.bits_allocated}, "
        f"which {problem}. Export the series again, uncompressed."
    )


class Decoder:
    """Reads stored values; keeps the frames of the last compressed file at hand. Close it at the end."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory | None = None
        self._held: tuple[str, list[bytes]] | None = None
        self._reader = sitk.ImageFileReader()
        self._reader.SetImageIO("GDCMImageIO")

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def read(self, item: Slice) -> tuple[np.ndarray, np.ndarray | None]:
        """Stored values ``(columns, rows)``, and where they are padding (bool, same shape) or None.

        Raises:
            CTReadError: the file is damaged, cut short, or compressed in a way that cannot be read.
        """
        p = item.pixels
        try:
            compressed = p.syntax.is_transfer_syntax and p.syntax.is_encapsulated
            words = self._decompressed(item) if compressed else _plain(item)
        except DamagedFrameError as error:
            raise CTReadError(
                f"DICOM slice {_name(item)} is damaged: its compressed picture {error}. Copy or export the series "
                "again."
            ) from error
        except BROKEN as error:
            raise CTReadError(_explain(item)) from error
        except RuntimeError as error:
            raise CTReadError(_explain(item)) from error
        values = words if compressed else _bits(words, item)
        padding = None
        if p.padding is not None:
            padding = _within(words.astype(np.int64), p.padding, p.bits_allocated, p.signed)
            if p.bits_stored < p.bits_allocated and values is not words:
                padding |= _within(values.astype(np.int64), p.padding, p.bits_stored, p.signed)
            padding = padding.T if padding.any() else None
        return values.T, padding

    def digest(self, item: Slice) -> bytes:
        """Of the stored values, to see whether two slices are copies."""
        return hashlib.sha256(np.ascontiguousarray(self.read(item)[0]).tobytes()).digest()

    def _decompressed(self, item: Slice) -> np.ndarray:
        if self._held is None or self._held[0] != item.path:
            ds = pydicom.dcmread(item.path, force=True, specific_tags=["NumberOfFrames", "PixelData"])
            self._held = item.path, frames_of(ds.PixelData, item.pixels.frames)
        frame = self._held[1][item.frame or 0]
        columns, rows = item.size
        check_frame(frame, item.pixels.syntax, rows, columns, item.pixels.bits_allocated // 8)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="medvl-frame-")
        path = os.path.join(self._folder.name, "frame.dcm")
        _write_frame(path, frame, item)
        self._reader.SetFileName(path)
        with quiet_itk():
            values = sitk.GetArrayFromImage(self._reader.Execute())
        if values.shape != (1, rows, columns):
            raise DamagedFrameError("holds another size than its header says")
        return values[0]


def _plain(item: Slice) -> np.ndarray:
    """Words of an uncompressed slice ``(rows, columns)``, as they lie in the file."""
    p, (columns, rows) = item.pixels, item.size
    size, big = p.bits_allocated // 8, p.syntax == ExplicitVRBigEndian
    wanted, start = rows * columns * size, (item.frame or 0) * rows * columns * size
    if _is_deflated(p.syntax):
        data = bytes(pydicom.dcmread(item.path).PixelData[start : start + wanted])
    else:
        with open(item.path, "rb") as file:
            file.seek(p.offset)
            length = _value_length(file.read(12), p.syntax, big)
            if length == _UNDEFINED or length < start + wanted:
                raise EOFError
            file.seek(p.offset + (8 if p.syntax == ImplicitVRLittleEndian else 12) + start)
            data = file.read(wanted)
    if len(data) < wanted:
        raise EOFError
    kind = f"{'>' if big else '<'}{'i' if p.signed else 'u'}{size}"
    return np.frombuffer(data, kind).reshape(rows, columns)


def _value_length(head: bytes, syntax: UID, big: bool) -> int:
    """Length of the element at the beginning of ``head``, which must be PixelData."""
    order = "big" if big else "little"
    if len(head) < 12 or (int.from_bytes(head[:2], order), int.from_bytes(head[2:4], order)) != (0x7FE0, 0x0010):
        raise EOFError
    if syntax == ImplicitVRLittleEndian:
        return int.from_bytes(head[4:8], order)
    if head[4:6] not in _LONG_LENGTH:
        raise ValueError
    return int.from_bytes(head[8:12], order)


def _bits(words: np.ndarray, item: Slice) -> np.ndarray:
    """The bits that hold the value, shifted to the lowest and with its sign; what lies in the others is no value."""
    p = item.pixels
    if p.bits_stored == p.bits_allocated:
        return words
    shift = p.high_bit + 1 - p.bits_stored
    unused = p.bits_allocated - p.bits_stored
    # Up to the top bit and back down: a shift to the right repeats the sign of signed words and fills others with 0.
    native = words.astype(words.dtype.newbyteorder("="), copy=False)
    return np.right_shift(np.left_shift(native, unused - shift), unused)


def _within(values: np.ndarray, limits: tuple[int, int], bits: int, signed: bool) -> np.ndarray:
    """True where a value is padding; limits may be written signed for unsigned values, and the other way round."""
    low, high = sorted(_as_stored(limit, bits, signed) for limit in limits)
    return (values >= low) & (values <= high)


def _as_stored(limit: int, bits: int, signed: bool) -> int:
    if -(1 << (bits - 1)) <= limit < 0 and not signed:
        return limit + (1 << bits)
    if signed and 1 << (bits - 1) <= limit < 1 << bits:
        return limit - (1 << bits)
    return limit


def _write_frame(path: str, frame: bytes, item: Slice) -> None:
    p = item.pixels
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = _SECONDARY_CAPTURE, "1.2"
    meta.TransferSyntaxUID = p.syntax
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = _SECONDARY_CAPTURE, "1.2"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Columns, ds.Rows = item.size
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = p.bits_allocated, p.bits_stored, p.high_bit
    ds.PixelRepresentation = int(p.signed)
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    pydicom.dcmwrite(path, ds, enforce_file_format=True)


def _is_deflated(syntax: UID) -> bool:
    return syntax == DeflatedExplicitVRLittleEndian


def _name(item: Slice) -> str:
    return str(item.instance if item.frame is None else item.frame + 1)


def _explain(item: Slice) -> str:
    syntax = item.pixels.syntax
    if syntax.is_transfer_syntax and syntax.is_compressed and not _is_deflated(syntax):
        return (
            f"DICOM slice {_name(item)} cannot be decoded: it is damaged, or its compression ({syntax.name}) is not "
            "supported. Export the series uncompressed."
        )
    return f"DICOM slice {_name(item)} is damaged or cut short. Copy or export the series again."
