"""Canonical orientation and back: all 48 orientations, straight and oblique, in voxels and in mm."""

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from medvl.ct.geometry import (
    SourceGeometry,
    canonical_to_source,
    ijk_to_ras_mm,
    ras_mm_to_ijk,
    restore,
    source_index_to_canonical,
    spacing_mm,
    to_canonical,
)
from medvl.errors import ExportError

from ...phantoms import affine_of, reorient

ORIENTATIONS = [
    "".join(pair[side] for pair, side in zip(order, sides, strict=True))
    for order in permutations(("LR", "PA", "IS"))
    for sides in product((0, 1), repeat=3)
]
AFFINES = {
    "straight": affine_of((0.7, 0.9, 2.5), (-30, 12, -401.5)),
    "oblique": affine_of((0.7, 0.9, 2.5), (-30, 12, -401.5), (17, -11, 23)),
    "sheared": affine_of((1, 1, 3), (5, 6, 7)) + np.array([[0, 0, 0, 0], [0, 0, 0.8, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
}


def volume() -> np.ndarray:
    return np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)


def test_there_are_48_orientations():
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_canonical_and_back(affine):
    for axcodes in ORIENTATIONS:
        stored, stored_affine = reorient(volume(), affine, axcodes)
        assert "".join(nib.aff2axcodes(stored_affine)) == axcodes
        canonical, canonical_affine = to_canonical(stored, stored_affine)

        np.testing.assert_array_equal(canonical, volume())
        np.testing.assert_allclose(canonical_affine, affine, atol=1e-9)
        assert nib.aff2axcodes(canonical_affine) == ("R", "A", "S")

        source = SourceGeometry(stored.shape, stored_affine)
        assert source.orientation == axcodes
        np.testing.assert_array_equal(restore(canonical, canonical_affine, source), stored)


def test_a_stored_index_names_the_same_voxel_and_place():
    for axcodes in ORIENTATIONS:
        affine = AFFINES["oblique"]
        stored, stored_affine = reorient(volume(), affine, axcodes)
        canonical, canonical_affine = to_canonical(stored, stored_affine)
        source = SourceGeometry(stored.shape, stored_affine)
        index = (1, 3, 2)
        ijk = source_index_to_canonical(index, source, canonical_affine)
        assert all(float(v).is_integer() for v in ijk)
        assert canonical[tuple(int(v) for v in ijk)] == stored[index]
        np.testing.assert_allclose(
            ijk_to_ras_mm(canonical_affine, np.array(ijk)), ijk_to_ras_mm(stored_affine, np.array(index)), atol=1e-5
        )


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_voxel_to_mm_and_back(affine):
    points = np.random.default_rng(0).uniform(-50, 50, (20, 3))
    np.testing.assert_allclose(ras_mm_to_ijk(affine, ijk_to_ras_mm(affine, points)), points, atol=1e-9)


def test_spacing_of_an_oblique_affine():
    np.testing.assert_allclose(spacing_mm(AFFINES["oblique"]), (0.7, 0.9, 2.5))


@pytest.mark.parametrize("change", ["shape", "origin", "spacing"])
def test_restore_refuses_another_grid(change):
    affine = AFFINES["straight"]
    stored, stored_affine = reorient(volume(), affine, "LPS")
    other, shape = stored_affine.copy(), stored.shape
    if change == "shape":
        shape = (5, 6, 8)
    elif change == "origin":
        other[0, 3] += 1
    else:
        other[:3, 2] *= 1.1
    with pytest.raises(ExportError, match="another scan"):
        restore(volume(), affine, SourceGeometry(shape, other))


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_a_canonical_voxel_in_the_files_own_order(affine):
    for axcodes in ORIENTATIONS:
        stored, stored_affine = reorient(volume(), affine, axcodes)
        canonical, canonical_affine = to_canonical(stored, stored_affine)
        to_file = canonical_to_source(SourceGeometry(stored.shape, stored_affine), canonical_affine)
        for ijk in ((0, 0, 0), (4, 5, 6), (1, 2, 3)):
            assert stored[tuple(to_file @ (*ijk, 1))] == canonical[ijk]
