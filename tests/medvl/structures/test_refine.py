"""The second stage: its mask lies where the first stage's did, in mm, and answers for one structure only."""

from __future__ import annotations

import threading

import nibabel as nib
import numpy as np
import pytest
import torch

from medvl.ct.volume import CTVolume
from medvl.errors import Cancelled
from medvl.networks.localiser import CoarseMap, grid_size
from medvl.networks.refiner import Refiner, RefinerConfig
from medvl.readers import read_ct
from medvl.structures.refine import crop_round, refined

CONFIG = RefinerConfig(("trachea", "parotid"), patch=16, widths=(4, 6, 8, 10), embedding=5)
CPU = torch.device("cpu")
EXTENT_MM = 160.0


def echo(bias: float = 0.0) -> Refiner:
    """A network that says what the localiser says, and so much more of everything."""
    net = Refiner(CONFIG).eval()
    with torch.no_grad():
        net.queries.zero_()
        net.bias.fill_(bias)
        net.trust.fill_(1.0)
    return net


def scan(folder, spacing: tuple[float, float, float], turn: np.ndarray | None = None) -> CTVolume:
    shape = tuple(round(EXTENT_MM / s) for s in spacing)
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if turn is None else turn) @ np.diag(spacing)
    affine[:3, 3] = (-70, -90, 30)
    nib.save(nib.Nifti1Image(np.full(shape, 40, np.int16), affine), folder / "ct.nii.gz")
    return read_ct(folder / "ct.nii.gz")


def ball(ct: CTVolume, centre_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    """Probability on the localiser's grid of a ball; mm from the outer corner of the first voxel along i, j, k."""
    size = grid_size(ct.shape, ct.spacing_mm, 4.0)
    edges = [n * s / m for n, s, m in zip(ct.shape, ct.spacing_mm, size, strict=True)]
    at = np.stack(np.meshgrid(*((np.arange(m) + 0.5) * e for m, e in zip(size, edges, strict=True)), indexing="ij"), -1)
    distance = np.linalg.norm(at - centre_mm, axis=-1)
    return (1 / (1 + np.exp((distance - radius_mm) / 2))).astype(np.float32)


def coarse_of(**maps: np.ndarray) -> CoarseMap:
    shape = next(iter(maps.values())).shape
    stack = np.stack([np.zeros(shape), *maps.values()]).astype(np.float16)
    return CoarseMap(tuple(maps), stack, np.ones(shape, bool), (4.0, 4.0, 4.0))


def turned() -> np.ndarray:
    """20 degrees about one axis and 12 about another."""
    a, b = np.radians(20), np.radians(12)
    one = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    return one @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.0, 1.0, 5.0), (4.0, 4.0, 2.5)])
@pytest.mark.parametrize("turn", [None, turned(), np.diag([-1.0, -1.0, 1.0])])
def test_the_mask_lies_in_the_patient_where_the_structure_does(tmp_path, spacing, turn):
    ct = scan(tmp_path, spacing, turn)
    centre = (62.0, 95.0, 70.0)
    probability = ball(ct, centre, 22.0)
    box, array = refined(probability, "trachea", coarse_of(trachea=probability), ct, echo(), CPU)
    voxel = (np.argwhere(array) + box.lo).mean(0)
    found = (ct.affine @ [*voxel, 1])[:3]
    expected = (ct.affine @ [*(np.array(centre) / ct.spacing_mm - 0.5), 1])[:3]
    assert np.linalg.norm(found - expected) < 0.4
    assert array.sum() * ct.voxel_volume_ml == pytest.approx(4 / 3 * np.pi * 2.2**3, rel=0.12)


def test_nothing_where_the_first_stage_found_nothing(tmp_path):
    ct = scan(tmp_path, (4.0, 4.0, 4.0))
    nothing = np.zeros((40, 40, 40), np.float32)
    assert refined(nothing, "trachea", coarse_of(trachea=nothing), ct, echo(9.0), CPU) is None


def test_nothing_where_the_second_stage_leaves_nothing(tmp_path):
    ct = scan(tmp_path, (4.0, 4.0, 4.0))
    probability = ball(ct, (80, 80, 80), 20)
    assert refined(probability, "trachea", coarse_of(trachea=probability), ct, echo(-20.0), CPU) is None


def test_a_broken_cord_is_kept_and_what_the_first_stage_has_no_part_in_is_not(tmp_path):
    ct = scan(tmp_path, (2.0, 2.0, 2.0))
    two, other = ball(ct, (80, 80, 45), 9) + ball(ct, (80, 80, 85), 9), ball(ct, (40, 80, 60), 9)
    box, array = refined(two, "trachea", coarse_of(trachea=two + other), ct, echo(), CPU)
    at = (np.argwhere(array) + box.lo + 0.5) * 2.0
    assert np.abs(at[:, 0] - 80).max() < 12
    assert at[:, 2].min() < 40
    assert at[:, 2].max() > 90


def test_of_a_pair_only_the_one_that_was_asked_for(tmp_path):
    ct = scan(tmp_path, (2.0, 2.0, 2.0))
    right, left = ball(ct, (60, 80, 80), 12), ball(ct, (92, 80, 80), 14)
    coarse = coarse_of(right_parotid=right, left_parotid=left)
    for structure, mine, at in (("right_parotid", right, 60), ("left_parotid", left, 92)):
        box, array = refined(mine, structure, coarse, ct, echo(), CPU)
        i = (np.argwhere(array)[:, 0] + box.lo[0] + 0.5) * 2.0
        assert abs(i.mean() - at) < 1
        assert np.abs(i - at).max() < 16


def test_the_crop_stays_in_the_scan_and_is_no_smaller_than_a_patch(tmp_path):
    ct = scan(tmp_path, (2.0, 2.0, 5.0))
    found = np.zeros((40, 40, 40), bool)
    found[0, 20, 38] = True
    box = crop_round(found, ct, 100.0)
    assert box.lo[0] == 0
    assert box.hi[2] == ct.shape[2]
    assert all(0 <= a < b <= n for a, b, n in zip(box.lo, box.hi, ct.shape, strict=True))
    assert box.size[1] * 2.0 == 100
    found[2:38, 20, 20] = True
    assert crop_round(found, ct, 100.0).size[0] == ct.shape[0]  # a margin on each side reaches both ends
    assert crop_round(found & False, ct, 100.0) is None


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 5.0), (5.42, 5.42, 3.0), (3.91, 3.91, 2.5)])
def test_what_fits_into_a_patch_takes_one(tmp_path, spacing):
    ct = scan(tmp_path, spacing)
    found, patch = np.zeros(grid_size(ct.shape, ct.spacing_mm, 4.0), bool), 40 * 2.5
    found[12:24, 14:26, 10:22] = True
    box = crop_round(found, ct, patch)
    assert max(grid_size(box.size, ct.spacing_mm, 2.5)) <= 40
    for axis, (a, b) in enumerate(((12, 24), (14, 26), (10, 22))):
        edge = ct.shape[axis] * spacing[axis] / found.shape[axis]
        assert box.lo[axis] * spacing[axis] <= a * edge
        assert box.hi[axis] * spacing[axis] >= b * edge


def test_cancel_is_heard(tmp_path):
    ct = scan(tmp_path, (4.0, 4.0, 4.0))
    probability, cancel = ball(ct, (80, 80, 80), 20), threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        refined(probability, "trachea", coarse_of(trachea=probability), ct, echo(), CPU, cancel)
