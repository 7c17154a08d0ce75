"""Surfaces: closed, outward, in the right place, of the right volume."""

import numpy as np
import pytest
import trimesh

from medvl.ct.masks import Mask
from medvl.writers.surfaces import surface


def ball(shape, centre, radius, spacing):
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum(((a - c) * s) ** 2 for a, c, s in zip(axes, centre, spacing, strict=True)) <= radius**2


def affine_of(spacing, oblique=False):
    affine = np.eye(4)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0] if oblique else np.eye(3)
    affine[:3, :3] = rotation @ np.diag(spacing)
    affine[:3, 3] = (-120.0, 33.0, 800.0)
    return affine


def mesh_of(vertices, faces):
    return trimesh.Trimesh(vertices, faces, process=False)


@pytest.mark.parametrize("max_triangles", [2_000, 200_000])
@pytest.mark.parametrize("oblique", [False, True])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.8, 0.8, 3.0), (-1, 1, 1.5)])
def test_sphere(spacing, oblique, max_triangles):
    edges = np.abs(spacing)
    shape = tuple(int(n) for n in np.round(60 / edges))
    centre = tuple(n / 2 for n in shape)
    mask = Mask.from_array(ball(shape, centre, 22, edges))
    affine = affine_of(spacing, oblique)
    vertices, faces = surface(mask, affine, max_triangles=max_triangles)
    mesh = mesh_of(vertices, faces)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert len(faces) <= 1.1 * max_triangles
    assert mesh.volume > 0  # faces look outward
    assert mesh.volume / 1000 == pytest.approx(mask.voxels * np.prod(edges) / 1000, rel=0.01)
    middle = affine @ [*centre, 1]
    np.testing.assert_allclose(mesh.center_mass, middle[:3], atol=0.2)
    radii = np.linalg.norm(vertices - middle[:3], axis=1)
    assert abs(radii - 22).max() < max(1.0, 0.6 * edges.max(), 0.03 * 22 * (2000 / max_triangles) + 1.5)
    assert vertices.dtype == np.float32
    assert faces.dtype == np.int32


def test_object_at_the_border_of_the_scan_is_closed():
    mask = Mask.from_array(np.ones((12, 10, 8), bool))
    mesh = mesh_of(*surface(mask, np.eye(4)))
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(960, rel=0.01)
    np.testing.assert_allclose(mesh.center_mass, (5.5, 4.5, 3.5), atol=0.05)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.8, 0.8, 2.0)])
def test_smoothing_removes_steps(spacing):
    shape = tuple(round(64 / s) for s in spacing)
    mask = Mask.from_array(ball(shape, tuple(n / 2 for n in shape), 26, spacing))

    def crease(smoothing):
        mesh = mesh_of(*surface(mask, np.diag([*spacing, 1]), 10**6, smoothing))
        return np.sqrt((mesh.face_adjacency_angles**2).mean())

    assert crease(10) < 0.6 * crease(0)


@pytest.mark.parametrize("max_triangles", [500, 3_000, 10**6])
def test_a_thin_vessel_does_not_vanish(max_triangles):
    array = np.zeros((90, 90, 90), bool)
    for t in range(80):
        array[t + 3 : t + 5, t + 5 : t + 7, t + 2 : t + 4] = True
    vertices, faces = surface(Mask.from_array(array), np.eye(4), max_triangles)
    assert mesh_of(vertices, faces).is_watertight
    assert mesh_of(vertices, faces).volume == pytest.approx(array.sum(), rel=0.1)
    assert np.ptp(vertices, axis=0).min() > 70


def test_one_voxel_and_nothing():
    array = np.zeros((5, 6, 7), bool)
    vertices, faces = surface(Mask.from_array(array), np.eye(4))
    assert vertices.shape == faces.shape == (0, 3)
    array[2, 3, 4] = True
    vertices, faces = surface(Mask.from_array(array), np.eye(4))
    assert mesh_of(vertices, faces).is_watertight
    np.testing.assert_allclose(vertices.mean(axis=0), (2, 3, 4), atol=1e-5)


def test_cavities_and_pieces_stay():
    shape, one = (40, 40, 40), (1, 1, 1)
    shell = ball(shape, (14, 14, 14), 10, one) & ~ball(shape, (14, 14, 14), 5, one)
    array = shell | ball(shape, (32, 32, 32), 4, one)
    mesh = mesh_of(*surface(Mask.from_array(array), np.eye(4)))
    assert mesh.is_watertight
    assert mesh.body_count == 3
    assert mesh.volume == pytest.approx(array.sum(), rel=0.02)
