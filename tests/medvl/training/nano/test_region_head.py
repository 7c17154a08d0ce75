"""What slices are said to show, and whether a head can learn it."""

from __future__ import annotations

import numpy as np
import torch

from medvl.networks.localiser import CoarseMap
from medvl.networks.region_head import REGIONS, RegionConfig
from medvl.training.nano.region_head import (
    LUNG_CM2,
    MARGIN_MM,
    SPANS,
    Scan,
    by_labels,
    by_spans,
    part_of,
    phantom,
    rows_of,
    train,
)


def row(shown: np.ndarray, region: str) -> np.ndarray:
    return shown[REGIONS.index(region)]


def test_spans_name_regions_and_lie_in_the_scan():
    for spans in SPANS.values():
        assert set(spans) <= set(REGIONS)
        assert all(0 <= low < high <= 1 for low, high in filter(None, spans.values()))


def test_nothing_is_asked_near_a_border_and_of_what_was_not_read_off():
    shown = by_spans({"chest": (0.5, 1), "limb": None}, 100, 4.0)
    margin = int(MARGIN_MM / 4)
    assert (row(shown, "chest")[: 49 - margin] == 0).all()
    assert (row(shown, "chest")[49:51] == -1).all()
    assert (row(shown, "chest")[51 + margin :] == 1).all()
    assert (row(shown, "limb") == -1).all()
    assert (row(shown, "abdomen") == 0).all()


def test_a_neck_lies_between_lungs_and_mandible():
    structures = ("right_lung", "left_lung")
    probability = np.zeros((3, 20, 20, 60), np.float16)
    probability[1, 2:18, 2:18, :15] = 1
    probability[0] = 1 - probability[1:].sum(0)
    hu = np.full((20, 20, 60), 40, np.int16)
    hu[2:18, 2:18, :15] = -800
    assert LUNG_CM2 < 16 * 16 * 0.16
    labels = np.zeros((20, 20, 60), np.uint8)
    labels[8:12, 8:12, 40:50] = 7
    coarse = CoarseMap(structures, probability, np.ones((20, 20, 60), bool), (4.0, 4.0, 4.0), hu)
    shown = by_labels(coarse, labels, {7: "mandible"})
    assert [row(shown, name)[5] for name in ("chest", "neck", "head")] == [1, 0, 0]
    assert [row(shown, name)[27] for name in ("chest", "neck", "head")] == [0, 1, 0]
    assert [row(shown, name)[55] for name in ("chest", "neck", "head")] == [0, 0, 1]
    assert (row(shown, "abdomen")[5:] == 0).all()


def test_parts_lie_in_the_scan_and_phantoms_differ():
    for seed in range(5):
        cut = part_of((60, 40, 30), (1.0, 4.0, 5.0), np.random.default_rng(seed))
        assert all(0 <= c.start < c.stop <= n for c, n in zip(cut, (60, 40, 30), strict=True))
    assert len({phantom(n).hu.tobytes() for n in range(6)}) == 6


def test_a_head_learns_to_tell_a_wide_body_from_a_narrow_one():
    rng, rows, targets = np.random.default_rng(0), [], []
    config = RegionConfig(("liver",), hidden=8)
    for n in range(8):
        body = np.zeros((40, 40, 12), bool)
        size = 16 if n % 2 else 5
        body[20 - size : 20 + size, 20 - size : 20 + size] = True
        hu = np.where(body, 40, -1000).astype(np.int16)
        coarse = CoarseMap(("liver",), np.zeros((2, *body.shape), np.float16), body, (4.0, 4.0, 4.0), hu)
        shown = np.zeros((len(REGIONS), 12), np.int8)
        shown[REGIONS.index("abdomen" if n % 2 else "limb")] = 1
        x, y = rows_of(Scan(str(n), coarse, shown), config.structures, rng)
        rows.append(x[:12])  # the whole scan: a part of a wide body may be narrow
        targets.append(y[:12])
    head = train(rows[2:], targets[2:], config)
    with torch.inference_mode():
        for x, y in zip(rows[:2], targets[:2], strict=True):
            assert np.array_equal((head(torch.from_numpy(x)) > 0).numpy(), y == 1)
