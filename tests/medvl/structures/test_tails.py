"""Tails at the ends of a scan: neighbours go, organs that are really cut stay."""

from contextlib import closing

import numpy as np
import pytest

from medvl.ct.masks import Mask
from medvl.ct.prompts import Box
from medvl.readers import read_ct
from medvl.structures.tails import without_tails
from medvl.weights import hub

SHAPE = (60, 60, 40)


def of_radii(radii, first=0):
    """Discs of these radii, one a slice from ``first``."""
    array = np.zeros(SHAPE, bool)
    i, j = np.ogrid[:60, :60]
    for k, radius in enumerate(radii, start=first):
        array[:, :, k] = (i - 30) ** 2 + (j - 30) ** 2 <= radius**2
    return array


BODY = [10, 14, 18, 21, 23, 24, 25, 25, 25, 24, 23, 21, 18, 14, 9]
BLADDER = [9, 9, 8, 7, 8, *BODY]  # goes over into what lies below, behind a neck


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize("margin", [0, 5])
def test_a_tail_goes_from_its_neck_on(upside_down, margin):
    array = of_radii(BLADDER)
    array = array[:, :, ::-1] if upside_down else array
    lo, hi = (0, 20 + margin) if not upside_down else (20 - margin, 40)
    box = Box((0, 0, lo), (60, 60, hi))
    kept = without_tails(array[box.slices], box, SHAPE)
    expected = of_radii(BLADDER)
    expected[:, :, :3] = False
    expected = expected[:, :, ::-1] if upside_down else expected
    np.testing.assert_array_equal(kept, expected[box.slices])
    full = np.zeros(SHAPE, bool)
    full[box.slices] = kept
    assert Mask.from_array(array).border == (("S",) if upside_down else ("I",))
    assert Mask.from_array(full).border == ()


@pytest.mark.parametrize(
    ("radii", "first"),
    [
        (BODY, 0),  # ends within a slice of the border
        (BODY[6:], 0),  # cut through its middle
        ([20, 20, 19, 19, 20, *BODY[3:]], 0),  # cut, and a little uneven
        ([20, 18, 15, 14, 18, *BODY[3:]], 0),  # an hourglass: half of it is no tail
        (BLADDER, 3),  # does not reach the border
        ([], 0),
    ],
)
def test_what_is_no_tail_stays(radii, first):
    array = of_radii(radii, first)
    box = Box((0, 0, 0), SHAPE)
    assert without_tails(array, box, SHAPE) is array


@pytest.mark.parametrize(
    ("sample", "inside", "cut"),
    [("abdomen_ct", ("urinary bladder", "gallbladder"), "liver"), ("liver_ct", ("pancreas", "gallbladder"), None)],
)
def test_what_of_the_samples_is_said_to_reach_the_border(model, sample, inside, cut):
    """Whole organs are not; the liver of the abdomen is, which that scan cuts."""
    with closing(model.open(read_ct(hub.BUNDLED / "samples" / f"{sample}.nii.gz"))) as case:
        for name in inside:
            (mask,) = case.segment_text(name)
            assert (name, mask.border, mask.limits) == (name, (), "")
        if cut:
            (mask,) = case.segment_text(cut)
            assert "reaches the upper border of the scan" in mask.limits
