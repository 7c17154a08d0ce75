"""Pieces unlike their organ: bowel is taken from a kidney, a kidney's tip from the liver; what is the organ stays."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.networks.localiser import CoarseMap
from medvl.structures.unlike_pieces import settle

SHAPE = (60, 40, 40)
NAMES = ("liver", "right_kidney", "left_kidney", "spleen")


def ball(centre: tuple[int, int, int], radius: float) -> np.ndarray:
    grid = np.indices(SHAPE)
    return sum((grid[n] - centre[n]) ** 2 for n in range(3)) <= radius**2


LIVER, LEFT, RIGHT = ball((42, 20, 22), 14), ball((12, 12, 20), 6), ball((45, 12, 20), 6)


def scan(*parts: tuple[np.ndarray, float]) -> CTVolume:
    """Each part in its HU, over fat, with noise."""
    hu = np.full(SHAPE, -80.0)
    for part, value in parts:
        hu[part] = value
    hu += np.random.default_rng(0).normal(0, 8, SHAPE)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    return CTVolume(hu.astype(np.int16), affine, SourceGeometry(SHAPE, affine))


def found(**parts: np.ndarray) -> CoarseMap:
    """A map that is sure of its parts; the right kidney is what it thinks of next."""
    stack = np.full((1 + len(NAMES), *SHAPE), 1e-4, np.float32)
    stack[1 + NAMES.index("right_kidney")] = 1e-2
    for name, part in parts.items():
        stack[1 + NAMES.index(name), part] = 0.95
    stack[0] = np.clip(1 - stack[1:].sum(0), 0, 1)
    return CoarseMap(NAMES, stack.astype(np.float16), np.ones(SHAPE, bool), (4.0, 4.0, 4.0))


def on(coarse: CoarseMap, name: str) -> np.ndarray:
    return coarse.of(name) > 0.5


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("side", ["right_kidney", "left_kidney"])
def test_bowel_full_of_contrast_medium_is_taken_from_a_kidney(side):
    kidney, other = (RIGHT, LEFT) if side == "right_kidney" else (LEFT, RIGHT)
    centre = [int(x.mean()) for x in np.nonzero(kidney)]
    bowel = ball((centre[0], centre[1], 7), 6) & ~kidney
    names = {side: kidney | bowel, "left_kidney" if side == "right_kidney" else "right_kidney": other}
    settled = settle(found(**names), scan((kidney, 170), (other, 170), (bowel, 300)))
    assert overlap(on(settled, side), kidney) > 0.93
    assert not (on(settled, side) & bowel).sum() > 0.1 * bowel.sum()


def test_tip_of_a_kidney_at_the_end_of_the_scan_is_given_back_to_it():
    tip = ball((42, 10, -1), 5) | ball((42, 9, 0), 5)
    liver = (ball((42, 20, 10), 14) | tip) & (np.indices(SHAPE)[2] >= 0)
    settled = settle(found(liver=liver, spleen=ball((12, 12, 20), 6)), scan((liver, 70), (tip, 190)))
    assert overlap(on(settled, "right_kidney"), tip) > 0.85
    assert overlap(on(settled, "liver"), liver & ~tip) > 0.97
    inside = ball((42, 10, 20), 4)  # not at an end of the scan: no kidney is made of it
    elsewhere = settle(found(liver=liver | inside), scan((liver | inside, 70), (inside, 190)))
    assert not on(elsewhere, "right_kidney").any()


def test_a_kidney_that_is_seen_gets_no_second_piece():
    tip = ball((42, 10, 0), 5)
    liver = ball((42, 20, 10), 14) | tip
    kidney = ball((42, 8, 30), 6)
    settled = settle(found(liver=liver & ~kidney, right_kidney=kidney), scan((liver, 70), (tip, 190), (kidney, 190)))
    assert np.array_equal(on(settled, "right_kidney"), kidney)


def test_what_is_enclosed_or_ordinary_or_the_greater_part_stays():
    even = found(liver=LIVER, left_kidney=LEFT)
    assert settle(even, scan((LIVER, 70), (LEFT, 170))) is even
    lesion = ball((42, 20, 22), 5)
    assert settle(even, scan((LIVER, 70), (lesion, 200), (LEFT, 170))) is even
    pair = found(right_kidney=RIGHT, left_kidney=LEFT)  # one kidney hardly takes up contrast medium
    assert settle(pair, scan((RIGHT, 190), (LEFT, 60))) is pair
    nothing = found()
    assert settle(nothing, scan()) is nothing


def test_probabilities_stay_probabilities():
    bowel = ball((45, 12, 7), 6) & ~RIGHT
    before = found(right_kidney=RIGHT | bowel, left_kidney=LEFT)
    after = settle(before, scan((RIGHT, 170), (LEFT, 170), (bowel, 300)))
    assert (
        np.abs(after.probability.astype(np.float32).sum(0) - before.probability.astype(np.float32).sum(0)).max() < 0.01
    )
    assert after.structures == before.structures
    assert before.of("right_kidney")[bowel].min() > 0.9  # the map that came in is as it was
