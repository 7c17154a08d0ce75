"""From coarse probabilities to masks, on phantoms: whose pieces, which edge, what is filled."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.evaluation.interactive import dice
from medvl.networks.localiser import resample
from medvl.structures.delineation import delineate
from medvl.structures.thresholds import THRESHOLDS

SHAPE, COARSE = (60, 60, 60), (22, 22, 22)


def ct_of(hu: np.ndarray, noise: float = 12.0) -> CTVolume:
    hu = hu + np.random.default_rng(3).normal(0, noise, hu.shape)
    return CTVolume(hu.astype(np.int16), np.diag([1.5, 1.5, 1.5, 1.0]), SourceGeometry(hu.shape, np.eye(4)))


def coarse_of(mask: np.ndarray, sure: float = 0.99) -> np.ndarray:
    """What a sure localiser would say of a mask, on its grid."""
    return sure * resample(torch.from_numpy(mask.astype(np.float32)), COARSE).numpy()


def rod(centre: tuple[float, float], radius: float, lo: int = 8, hi: int = 52) -> np.ndarray:
    """A cylinder along k."""
    i, j, k = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    return ((i - centre[0]) ** 2 + (j - centre[1]) ** 2 <= radius**2) & (k >= lo) & (k < hi)


def full(box, array: np.ndarray) -> np.ndarray:
    out = np.zeros(SHAPE, bool)
    out[box.slices] = array
    return out


@pytest.fixture(scope="module")
def bone_scan():
    """A hollow bone with marrow, and a vessel full of contrast medium as bright as bone."""
    bone, marrow, vessel = rod((15, 30), 9), rod((15, 30), 4), rod((45, 30), 9)
    hu = np.full(SHAPE, 40.0)
    hu[bone], hu[marrow], hu[vessel] = 700, 10, 420
    return ct_of(hu), bone, marrow, vessel


def test_a_vessel_with_contrast_medium_is_no_bone(bone_scan):
    ct, bone, _, vessel = bone_scan
    found = full(*delineate(coarse_of(bone | vessel), "other_bone", ct))
    assert not (found & vessel).any()
    assert dice(found, bone) > 0.9


def test_an_even_piece_stays_where_it_is_no_bone_that_is_looked_for(bone_scan):
    ct, _, _, vessel = bone_scan
    assert dice(full(*delineate(coarse_of(vessel), "aorta", ct)), vessel) > 0.9


def test_marrow_belongs_to_its_bone(bone_scan):
    ct, bone, marrow, _ = bone_scan
    found = full(*delineate(coarse_of(bone & ~marrow), "other_bone", ct))
    assert found[marrow].mean() > 0.95


def test_what_ribs_enclose_is_no_marrow():
    wall = rod((30, 30), 27) & ~rod((30, 30), 21)  # a ring of 40 mm: its inside is far more than marrow
    hu = np.where(wall & (np.arange(60) % 4 < 2), 700.0, 40.0)
    found = full(*delineate(coarse_of(wall), "other_bone", ct_of(hu)))
    assert found[wall].mean() > 0.6
    assert not found[rod((30, 30), 12)].any()


def test_a_bone_that_the_localiser_doubts_is_left_out(bone_scan):
    ct, bone, _, _ = bone_scan
    other = rod((45, 30), 9)
    hu = ct.hu.copy()
    hu[30:] = hu[29::-1]  # the same bone again on the other side
    probability = coarse_of(bone)
    probability[11:] = probability[10::-1] * 0.75
    found = full(*delineate(probability, "other_bone", CTVolume(hu, ct.affine, ct.source)))
    assert dice(found, bone) > 0.9
    assert not (found & other).any()


def test_a_mask_too_large_by_a_voxel_of_the_grid_is_drawn_in():
    organ = rod((30, 30), 12)
    ct = ct_of(np.full(SHAPE, 60.0))  # nothing to see: the localiser alone decides
    generous = ndimage.gaussian_filter(coarse_of(ndimage.binary_dilation(organ, iterations=1)), 0.6)
    loose, tight = (full(*delineate(generous, "spleen", ct, False, edge_logit=e)) for e in (0.0, THRESHOLDS.edge_logit))
    assert tight.sum() < loose.sum()
    assert not (tight & ~loose).any()
    assert dice(tight, organ) > dice(loose, organ)


def test_without_hu_the_edge_does_not_follow_them():
    organ = rod((30, 30), 12)
    hu = np.where(rod((30, 30), 9), 150.0, 20.0)  # what is bright is smaller than what the localiser says
    plain, by_hu = (full(*delineate(coarse_of(organ), "liver", ct_of(hu), flag)) for flag in (False, True))
    assert by_hu.sum() < plain.sum()


def test_nothing_is_left_of_a_faint_structure():
    _, array = delineate(coarse_of(rod((30, 30), 6), sure=0.55), "brainstem", ct_of(np.full(SHAPE, 40.0)))
    assert not array.any()
