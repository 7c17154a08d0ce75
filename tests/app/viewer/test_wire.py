from __future__ import annotations

import numpy as np
import pytest

from app.viewer import wire

from .unwire import decode_slab, unpack_delta


@pytest.mark.parametrize("order", ["C", "F", "flipped"])
def test_slab_round_trip_for_every_memory_layout(order):
    rng = np.random.default_rng(0)
    hu = rng.integers(-32768, 32767, (7, 5, 4)).astype(np.int16)
    hu = np.asfortranarray(hu) if order == "F" else hu[::-1, :, ::-1] if order == "flipped" else hu
    assert np.array_equal(decode_slab(wire.encode_slab(hu), hu.shape), hu)


def test_slab_of_a_smooth_picture_is_small():
    i, j, k = np.ogrid[:64, :64, :8]
    hu = (40 * np.sin(i / 9) + 30 * np.cos(j / 7) + 2 * k).astype(np.int16)
    assert len(wire.encode_slab(hu)) < hu.nbytes / 4


@pytest.mark.parametrize("bits", [[0, 0, 1, 1, 0], [1, 1, 0], [0, 0], [1]])
def test_run_lengths_begin_with_off(bits):
    bits = np.array(bits, bool)
    runs = wire.run_lengths(bits)
    assert np.array_equal(np.repeat(np.arange(runs.size) % 2 == 1, runs), bits)


def test_run_lengths_longer_than_uint16():
    bits = np.ones(200_000, bool)
    bits[150_000:] = False
    runs = wire.run_lengths(bits)
    assert runs.dtype == np.dtype("<u2")
    assert np.array_equal(np.repeat(np.arange(runs.size) % 2 == 1, runs), bits)


def test_delta_round_trip():
    block = np.random.default_rng(1).random((6, 5, 4)) > 0.6
    block[:, :, 2] = False
    table, payload = wire.encode_slices(block, (10, 20, 30), [29, 30, 31, 32, 33])
    header = {"masks": [{"id": "m1", "name": "Ünïcode ${x} <b>", "slices": table}]}
    back, masks = unpack_delta(wire.pack_delta(header, payload))
    assert back == header
    for k in (30, 31, 33):
        (i0, j0), crop = masks["m1"][k]
        full = np.zeros((40, 40), bool)
        full[j0 : j0 + crop.shape[0], i0 : i0 + crop.shape[1]] = crop
        assert np.array_equal(full[20:25, 10:16].T, block[:, :, k - 30])
        assert full.sum() == block[:, :, k - 30].sum()
    assert masks["m1"][29][1].size == 0
    assert masks["m1"][32][1].size == 0
