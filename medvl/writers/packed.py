"""Gzip on several cores: one member that every program reads, of blocks that threads compress beside each other."""

from __future__ import annotations

import io
import os
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

BLOCK_BYTES = 4 << 20
THREADS = min(4, os.cpu_count() or 1)
LEVEL = 1  # higher ones cost a CT several times the seconds for a few percent
HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 4, 255])  # deflate, no name, no time, fastest, any system


class PackedFile(io.RawIOBase):
    """A file to write to; what comes in is on the disk, compressed, once it is closed."""

    def __init__(self, path: str | os.PathLike) -> None:
        super().__init__()
        self._file = open(path, "wb")  # noqa: SIM115 - closed by close
        self._pool = ThreadPoolExecutor(THREADS)
        self._waiting: deque[Future[bytes]] = deque()
        self._block = bytearray()
        self._crc = self._size = 0
        self._file.write(HEADER)

    def writable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Bytes written so far, before compression."""
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on to a place, over zeros; there is no way back."""
        if whence != io.SEEK_SET or offset < self._size:
            raise io.UnsupportedOperation("a packed file is written from its beginning to its end")
        self.write(bytes(offset - self._size))
        return self._size

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take bytes in; returns how many."""
        view = memoryview(data).cast("B")
        self._crc = zlib.crc32(view, self._crc)
        self._size += len(view)
        for start in range(0, len(view), BLOCK_BYTES):
            self._block += view[start : start + BLOCK_BYTES]
            if len(self._block) >= BLOCK_BYTES:
                self._pack(zlib.Z_FULL_FLUSH)
        return len(view)

    def close(self) -> None:
        """Write what is left."""
        if self.closed:
            return
        try:
            self._pack(zlib.Z_FINISH)
            while self._waiting:
                self._file.write(self._waiting.popleft().result())
            self._file.write((self._crc & 0xFFFFFFFF).to_bytes(4, "little"))
            self._file.write((self._size & 0xFFFFFFFF).to_bytes(4, "little"))
        finally:
            self._pool.shutdown()
            self._file.close()
            super().close()

    def _pack(self, ending: int) -> None:
        """Give the block to a thread; at most two a thread wait, so that little memory is held."""
        block, self._block = self._block, bytearray()
        self._waiting.append(self._pool.submit(_deflated, block, ending))
        while len(self._waiting) > 2 * THREADS:
            self._file.write(self._waiting.popleft().result())


def _deflated(block: bytearray, ending: int) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(block) + packer.flush(ending)
