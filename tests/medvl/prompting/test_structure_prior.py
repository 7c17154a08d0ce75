"""Which structure a click means: the whole of a known one, unless what was found differs from the rest of it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from medvl.networks.localiser import CoarseMap
from medvl.prompting.structure_prior import StructurePrior

SHAPE = (60, 60, 20)
ORGAN = np.s_[10:50, 10:50, 2:18]
ROWS, COLUMNS = np.s_[10:50], np.s_[10:50]  # of the organ on a plane; the same under the flips to rows and columns


def prior(structure: str = "liver") -> StructurePrior:
    inside = np.full(SHAPE, 0.01, np.float32)
    inside[ORGAN] = 0.97
    coarse = CoarseMap((structure,), np.stack((1 - inside, inside)).astype(np.float16), inside > 0, (1.0, 1.0, 1.0))
    return StructurePrior(SHAPE, (structure,), lambda cancel: coarse)


def plane() -> np.ndarray:
    """HU of a slice: an even organ in fat, with noise."""
    hu = np.full((60, 60), -90.0)
    hu[ROWS, COLUMNS] = 60
    return hu + np.random.default_rng(0).normal(0, 10, hu.shape)


def part(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((60, 60), bool)
    mask[rows, columns] = True
    return mask


def recognised(mask: np.ndarray, hu: np.ndarray, *points: tuple[int, int, bool], structure: str = "liver") -> str:
    return prior(structure).recognise(2, 10, mask, None, threading.Event(), hu, points)


def test_an_unremarkable_part_means_the_organ():
    assert recognised(part(np.s_[15:30], np.s_[15:30]), plane(), (22, 22, True)) == "liver"


@pytest.mark.parametrize("difference", [-60, 60])
def test_a_part_of_other_hu_is_an_object_of_its_own(difference):
    lesion, hu = part(np.s_[15:30], np.s_[15:30]), plane()
    hu[lesion] += difference
    assert recognised(lesion, hu, (22, 22, True)) == ""


def test_what_reaches_out_of_the_organ_is_no_part_of_it():
    assert recognised(part(np.s_[30:59], np.s_[30:59]), plane(), (35, 35, True)) == ""


def test_a_speck_is_what_was_clicked():
    assert recognised(part(np.s_[20:23], np.s_[20:23]), plane(), (21, 21, True)) == ""


def test_a_negative_click_says_that_less_than_the_whole_is_meant():
    mask = part(np.s_[15:30], np.s_[15:30])
    assert recognised(mask, plane(), (22, 22, True), (40, 40, False)) == ""


@pytest.mark.parametrize("structure", ["other_bone", "heart"])
def test_one_of_many_parts_is_not_the_whole(structure):
    mask = part(np.s_[15:30], np.s_[15:30])
    assert recognised(mask, plane(), (22, 22, True), structure=structure) == ""


def test_a_box_speaks_for_itself():
    mask, box = part(np.s_[15:30], np.s_[15:30]), (15, 15, 30, 30)
    assert prior().recognise(2, 10, mask, box, threading.Event(), plane(), ()) == ""
    assert prior().recognise(2, 10, mask, (10, 10, 50, 50), threading.Event(), plane(), ()) == "liver"


@pytest.mark.parametrize(("structure", "hu", "is_it"), [
    ("other_bone", 60, False), ("other_bone", 400, True), ("left_lung", 60, False), ("left_lung", -800, True),
    ("liver", 60, True),
])  # fmt: skip
def test_a_structure_has_the_hu_that_it_is_made_of(structure, hu, is_it):
    """A rod of soft tissue has the shape of a thigh bone."""
    slice_ = plane()
    slice_[ROWS, COLUMNS] = hu
    assert recognised(part(ROWS, COLUMNS), slice_, (22, 22, True), structure=structure) == (structure if is_it else "")
