"""A box round two parts of one thing, on a made-up slice and with the real network."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.prompting.plane_masks import SlicePrompts
from medvl.prompting.thresholds import THRESHOLDS
from medvl.prompting.two_parts import two_parts

BOX = (50, 60, 130, 110)  # round both discs


def disc(row, column, radius):
    r, c = np.ogrid[:192, :192]
    return (r - row) ** 2 + (c - column) ** 2 <= radius**2


UPPER, LOWER = disc(66, 80, 16) & disc(70, 80, 20), disc(116, 96, 13)


def plane(lower_hu=150.0):
    hu = np.where(disc(96, 96, 85), 40.0, -1000.0)
    hu[disc(92, 88, 12)] = 70.0  # something else between the two
    hu[UPPER], hu[LOWER] = 150.0, lower_hu
    return hu + np.random.default_rng(0).normal(0, 8, hu.shape)


@pytest.fixture(scope="module")
def look(model):
    """``(plane) -> predict`` with the real network, axial."""

    def of(hu):
        volume = np.repeat(hu[::-1, ::-1].T[:, :, None], 3, axis=2).round().astype(np.int16)
        affine = np.diag([1.0, 1.0, 3.0, 1.0])
        slices = model.open(CTVolume(volume, affine, SourceGeometry(volume.shape, affine))).segmenter.slices
        return lambda prompts: slices.predict(2, 1, "soft", prompts, None)

    return of


def test_two_parts_of_the_same_hu_are_found(look):
    logits, iou = two_parts(plane(), BOX, 0.6, look(plane()))
    found, wanted = logits > 0, UPPER | LOWER
    assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.85
    assert iou > 0.6


def test_parts_of_other_hu_are_not_one_structure(look):
    assert two_parts(plane(lower_hu=-60.0), BOX, 0.6, look(plane(lower_hu=-60.0))) is None


def test_one_part_does_not_fill_the_box(look):
    alone = plane()
    alone[LOWER] = 40.0
    assert two_parts(alone, BOX, 0.6, look(alone)) is None


def test_a_sure_single_mask_is_left_alone():
    def never(prompts: list[SlicePrompts]):
        raise AssertionError

    assert two_parts(plane(), BOX, THRESHOLDS.unsure_iou, never) is None
