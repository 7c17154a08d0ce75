"""A made body: ellipses in mm with HU of their own, and masks of those that have a name."""

from __future__ import annotations

import numpy as np

from medvl.ct.geometry import SourceGeometry
from medvl.ct.masks import Mask
from medvl.ct.volume import CTVolume
from medvl.tools.looks import scene_of
from medvl.tools.scene import Scene

SPACING = (3.0, 3.0, 3.0)
SHAPE = (110, 84, 70)


class Phantom:
    """Voxels that shapes are written into, in order: a later one covers an earlier one.

    RAS mm with the origin in the middle of the volume: x grows to the patient's right, y to the front, z to the head.
    """

    def __init__(self, shape=SHAPE, spacing=SPACING, noise=4.0):
        self.affine = np.diag([*spacing, 1.0])
        self.affine[:3, 3] = [-(n - 1) / 2 * s for n, s in zip(shape, spacing, strict=True)]
        axes = [np.arange(n) * s + o for n, s, o in zip(shape, spacing, self.affine[:3, 3], strict=True)]
        self.x, self.y, self.z = np.meshgrid(*axes, indexing="ij")
        self.hu = np.full(shape, -1000.0)
        self.masks: dict[str, np.ndarray] = {}
        self.noise = noise

    def ellipsoid(self, centre, radii):
        x, y, z = (g - c for g, c in zip((self.x, self.y, self.z), centre, strict=True))
        return (x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2 <= 1

    def tube(self, centre, radii):
        x, y = self.x - centre[0], self.y - centre[1]
        return (x / radii[0]) ** 2 + (y / radii[1]) ** 2 <= 1

    def put(self, where, hu, name=""):
        self.hu[where] = hu
        if name:
            self.masks[name] = self.masks.get(name, np.zeros(where.shape, bool)) | where
        return where

    @property
    def voxel_ml(self):
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    def ct(self) -> CTVolume:
        noise = np.random.default_rng(0).normal(0, self.noise, self.hu.shape)
        hu = np.clip(self.hu + noise, -1024, 3071).astype(np.int16)
        return CTVolume(hu, self.affine, SourceGeometry(hu.shape, self.affine))

    def scene(self, without=()) -> Scene:
        return scene_of(self.ct(), self.found(without))

    def found(self, without=()) -> dict[str, Mask]:
        return {
            id: Mask.from_array(array, id=id, name=id)
            for id, array in self.masks.items()
            if id not in without and array.any()
        }


def chest(noise=4.0, shape=SHAPE) -> Phantom:
    """A chest: skin, muscle, ribs as a cage of rings, spine, lungs and heart."""
    p = Phantom(shape=shape, noise=noise)
    p.put(p.tube((0, 0), (150, 110)), -100, "body")
    p.put(p.tube((0, 0), (132, 95)), 50)
    cage = p.tube((0, 0), (126, 89)) & ~p.tube((0, 0), (118, 81))
    rings = cage & (np.abs((p.z + 0.12 * np.abs(p.y)) % 24 - 12) < 5)
    for side, half in (("right", p.x > 0), ("left", p.x <= 0)):
        p.put(rings & half & (p.y > -70), 400, f"{side}_ribs")
    p.put(p.tube((0, 0), (118, 81)), -90)
    p.put(p.tube((0, -70), (20, 18)), 200, "vertebral_column")
    for side, x in (("right", 62), ("left", -62)):
        lung = p.ellipsoid((x, -2, 0), (50, 72, 95))
        p.put(lung, -850, f"{side}_lung")
    heart = p.ellipsoid((-8, 25, -20), (38, 35, 40))
    p.put(heart, 40, "heart")
    for side in ("right", "left"):
        p.masks[f"{side}_lung"] &= ~heart
    p.put(p.tube((0, -20), (9, 9)) & (p.z > 0), -1000, "trachea")
    return p
