"""Rigid registration: a known motion is found again, other bodies are refused, voxels and masks come to their place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom.dataset import Dataset
from scipy import ndimage

from medvl.ct.geometry import SourceGeometry
from medvl.ct.masks import Mask
from medvl.ct.registration import OUTSIDE, mask_on_grid_of, on_grid_of, register
from medvl.ct.volume import CTVolume, DicomReference
from medvl.errors import RegistrationError

from ... import phantoms


def volume(hu, affine):
    return CTVolume(hu.astype(np.int16), affine, SourceGeometry(hu.shape, affine))


@pytest.fixture(scope="module")
def body():
    """A phantom whose tissue is as uneven as tissue is: along a smooth tube nothing tells where it is."""
    made = phantoms.phantom((64, 56, 60), spacing=(5.0, 5.0, 5.0), noise=0)
    uneven = ndimage.gaussian_filter(np.random.default_rng(5).normal(0, 1, made.hu.shape), 2)
    return volume(made.hu + (made.hu > -300) * 60 * uneven / uneven.std(), made.affine), made


def motion(degrees, shift, centre):
    """A rigid motion of the world about a centre, RAS mm."""
    turn = phantoms.affine_of((1, 1, 1), (0, 0, 0), degrees)
    turn[:3, 3] = centre - turn[:3, :3] @ centre + shift
    return turn


def later(ct, moved, spacing=(6.0, 6.0, 7.0), slices=(0.0, 1.0), seed=0):
    """The same body on another table: another grid, fewer slices, noise; ``moved`` takes a place of ``ct`` there."""
    corners = ct.ijk_to_ras_mm(np.array(np.meshgrid(*[(0, n - 1) for n in ct.shape])).reshape(3, -1).T)
    there = corners @ moved[:3, :3].T + moved[:3, 3]
    low, high = there.min(axis=0), there.max(axis=0)
    low[2], high[2] = low[2] + (high[2] - low[2]) * slices[0], low[2] + (high[2] - low[2]) * slices[1]
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = low
    shape = tuple(int(n) for n in (high - low) / spacing + 1)
    into = np.linalg.inv(ct.affine) @ np.linalg.inv(moved) @ affine
    hu = ndimage.affine_transform(ct.hu.astype(float), into[:3, :3], into[:3, 3], shape, order=1, cval=-1000)
    return volume(hu + np.random.default_rng(seed).normal(0, 15, shape), affine)


def error_mm(ct, found, moved):
    """Greatest distance between where the middle half of a scan goes and where it should."""
    places = ct.ijk_to_ras_mm(np.array(np.meshgrid(*[(n / 4, 3 * n / 4) for n in ct.shape])).reshape(3, -1).T)
    return np.linalg.norm(found.to_prior(places) - (places @ moved[:3, :3].T + moved[:3, 3]), axis=1).max()


@pytest.mark.parametrize(
    ("degrees", "shift", "slices"),
    [
        ((0, 0, 0), (0, 0, 0), (0, 1)),
        ((4, -6, 5), (30, -20, 25), (0, 1)),
        ((-3, 2, 0), (-60, 40, 300), (0, 0.7)),
        ((0, 5, -4), (10, 10, -150), (0.35, 1)),
    ],
)
def test_a_known_motion_is_found_again(body, degrees, shift, slices):
    ct, _ = body
    moved = motion(degrees, shift, ct.ijk_to_ras_mm(np.array(ct.shape) / 2))
    found = register(ct, later(ct, moved, slices=slices))
    assert error_mm(ct, found, moved) < 3.0  # half a voxel
    assert found.similarity > 0.85
    assert not found.same_frame
    assert np.allclose(found.matrix[:3, :3] @ found.matrix[:3, :3].T, np.eye(3), atol=1e-6)


def test_another_part_of_the_body_is_refused(body):
    ct, _ = body
    upper, lower = replace(ct, hu=ct.hu[:, :, 38:]), replace(ct, hu=ct.hu[:, :, :18])
    shifted = ct.affine.copy()
    shifted[:3, 3] = ct.ijk_to_ras_mm(np.array([0, 0, 38]))
    with pytest.raises(RegistrationError, match="same part of the same body"):
        register(replace(upper, affine=shifted), lower)


def test_air_is_no_body(body):
    ct, _ = body
    with pytest.raises(RegistrationError):
        register(ct, volume(np.full((40, 40, 40), -1000), np.diag([5.0, 5.0, 5.0, 1.0])))


def test_one_frame_of_reference_is_kept(body):
    ct, _ = body

    def framed(scan, uid):
        header = Dataset()
        header.FrameOfReferenceUID = uid
        return replace(scan, dicom=DicomReference((header,)))

    noisy = replace(ct, hu=(ct.hu + np.random.default_rng(0).normal(0, 20, ct.shape)).astype(np.int16))
    same = register(framed(ct, "1.2.3"), framed(noisy, "1.2.3"))
    assert same.same_frame
    assert np.array_equal(same.matrix, np.eye(4))
    assert not register(framed(ct, "1.2.3"), framed(noisy, "1.2.4")).same_frame
    assert not register(framed(ct, ""), framed(noisy, "")).same_frame


def test_voxels_and_masks_come_to_their_place(body):
    ct, made = body
    moved = motion((5, -4, 6), (25, 10, -30), ct.ijk_to_ras_mm(np.array(ct.shape) / 2))
    prior = later(ct, moved, spacing=(5.0, 5.0, 5.0), slices=(0.0, 0.9))
    found = register(ct, prior)
    hu = on_grid_of(ct, prior, found)
    assert hu.shape == ct.shape
    assert hu.dtype == np.int16
    liver = made.organ("liver")
    assert abs(np.median(hu[liver]) - np.median(ct.hu[liver])) < 10
    assert (hu[:, :, -1] == OUTSIDE).mean() > 0.5  # of the top hardly anything is in the prior
    into = np.linalg.inv(ct.affine) @ np.linalg.inv(moved) @ prior.affine
    there = ndimage.affine_transform(liver.astype(np.uint8), into[:3, :3], into[:3, 3], prior.shape, order=0) > 0
    back = mask_on_grid_of(ct, Mask.from_array(there, name="Liver", color="#123456"), prior, found)
    assert (back.name, back.color, back.shape) == ("Liver", "#123456", ct.shape)
    both = (back.array & liver).sum()
    assert 2 * both / (back.voxels + liver.sum()) > 0.85
    empty = mask_on_grid_of(ct, Mask.from_array(np.zeros(prior.shape, bool)), prior, found)
    assert empty.empty
