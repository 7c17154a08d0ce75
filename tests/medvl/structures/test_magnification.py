"""Small persons are looked at larger, heads, limbs and cut bodies as they are."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.evaluation.interactive import dice
from medvl.networks.localiser import CoarseMap
from medvl.networks.region_head import REGIONS
from medvl.structures.magnification import enlarged, magnification
from medvl.structures.regions import View
from medvl.structures.thresholds import THRESHOLDS

SLICES = 30


def scan(diameter_mm: float, shows: dict[str, slice], shift: int = 0) -> tuple[CoarseMap, View]:
    """A cylinder of a body on a grid of 4 mm, and the regions that a gate sees on its slices."""
    i, j = np.meshgrid(np.arange(100) - 50 + shift, np.arange(100) - 50, indexing="ij")
    body = np.repeat((np.hypot(i, j) * 4 <= diameter_mm / 2)[:, :, None], SLICES, axis=2)
    probability = np.zeros((len(REGIONS), SLICES), np.float32)
    for region, where in shows.items():
        probability[REGIONS.index(region), where] = 1
    return CoarseMap((), np.zeros((1, *body.shape), np.float16), body, (4.0, 4.0, 4.0)), View(probability, 0.5, 3)


@pytest.mark.parametrize("diameter", [180.0, 200.0])
def test_a_small_trunk_is_brought_to_the_usual_size(diameter):
    times = magnification(*scan(diameter, {"abdomen": slice(None)}))
    assert times * diameter == pytest.approx(THRESHOLDS.usual_section_mm, rel=0.03)


def test_a_child_is_not_blown_up_without_limit():
    assert magnification(*scan(90.0, {"abdomen": slice(None)})) == THRESHOLDS.most_magnified


@pytest.mark.parametrize(
    ("diameter", "shows", "shift"),
    [
        (260.0, {"abdomen": slice(None)}, 0),  # of usual size
        (232.0, {"abdomen": slice(None)}, 0),  # nearly
        (180.0, {"head": slice(15, 30), "neck": slice(5, 20), "chest": slice(0, 8)}, 0),  # shoulders below a neck
        (180.0, {"limb": slice(None)}, 0),
        (180.0, {"abdomen": slice(None), "limb": slice(None)}, 0),  # which of them is not told
        (180.0, {}, 0),
        (180.0, {"chest": slice(None)}, 40),  # cut by the scan
    ],
)
def test_what_is_no_small_trunk_stays_as_it_is(diameter, shows, shift):
    assert magnification(*scan(diameter, shows, shift)) == 1.0


def test_the_same_organs_are_found_in_a_person_half_as_large(model, abdomen):
    """The bundled abdomen with the voxels of a child: without a larger look its mean Dice over these is .16 less."""
    names = ("liver", "spleen", "right_kidney", "left_kidney", "aorta")
    found = {}
    for times in (1.0, 0.55):
        case = model.open(enlarged(abdomen.ct, times))
        masks = {name: case.finder.find(name).mask for name in names}
        found[times] = [dice(masks[n].array, abdomen.mask(n)) if masks[n] else 0.0 for n in names]
        assert (case.finder.coarse().magnified > 1) == (times < 1)
        case.close()
    assert np.mean(found[0.55]) > np.mean(found[1.0]) - 0.03
