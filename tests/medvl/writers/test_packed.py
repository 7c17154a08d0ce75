"""Gzip by several threads: what other programs unpack are the bytes that went in."""

from __future__ import annotations

import gzip
import subprocess

import numpy as np
import pytest

from medvl.writers import packed


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 54_321])
def test_the_same_bytes_come_out(tmp_path, monkeypatch, count):
    monkeypatch.setattr(packed, "BLOCK_BYTES", 1000)
    data = np.random.default_rng(count).integers(0, 7, count, np.uint8).tobytes()
    with packed.PackedFile(tmp_path / "a.gz") as file:
        for start in range(0, count, 777):  # pieces that no block begins with
            file.write(data[start : start + 777])
        assert file.tell() == count
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == data
    assert subprocess.run(["gzip", "-t", tmp_path / "a.gz"], capture_output=True).returncode == 0


def test_arrays_larger_than_a_block(tmp_path):
    array = np.random.default_rng(0).integers(-1000, 1000, 3_000_000, np.int16)
    with packed.PackedFile(tmp_path / "a.gz") as file:
        file.write(array)
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == array.tobytes()
    assert (tmp_path / "a.gz").stat().st_size < array.nbytes
