from __future__ import annotations

from itertools import pairwise

import pytest

from medvl.ct.masks import Mask
from medvl.errors import PromptError
from medvl.tools.looks import KINDS, probe, what_is
from medvl.tools.looks.probe import USUAL, usual

from .phantom import Phantom

HU = {"bright": 160, "dark": 10, "gas": -900, "fluid": 8, "metal": 3000, "calcium": 500, "fat": -90}


def organ(kind: str = "") -> tuple[Phantom, object]:
    p = Phantom(shape=(90, 80, 50), spacing=(2.0, 2.0, 2.0), noise=5)
    p.put(p.tube((0, 0), (85, 75)), -60, "body")
    p.put(p.ellipsoid((40, 0, 0), (30, 30, 35)), 60, "liver")
    ball = p.ellipsoid((45, 5, 6), (8, 8, 8))
    if kind:
        p.hu[ball] = HU[kind]
    p.put(p.ellipsoid((-40, 0, 0), (30, 30, 30)), 50, "spleen")
    return p, ball


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_found_inside_a_structure_and_nothing_in_an_even_one(kind):
    p, ball = organ(kind)
    seen = probe(p.scene(), kind, inside="liver")
    assert seen.amount("spots").value == 1
    made = seen.spots[0]
    assert ball[made.place.centre_ijk]
    assert made.volume_ml == pytest.approx(ball.sum() * p.voxel_ml, rel=0.3)
    assert (made.kind, made.place.structure, made.place.side) == (kind, "liver", "right")
    plain, _ = organ()
    assert probe(plain.scene(), kind, inside="liver").seen is False


def test_at_the_crosshair_and_in_a_clicked_mask():
    p, ball = organ("calcium")
    scene, mask = p.scene(), Mask.from_array(ball, id="m7", name="My box")
    at = mask.measure(scene.ct).center_ijk
    for seen in (probe(scene, "calcium", at=at), probe(scene, "calcium", clicked=mask)):
        assert seen.seen
        assert ball[seen.spots[0].place.centre_ijk]
    away = probe(scene, "calcium", at=(5, 40, 25))
    assert away.seen is False


def test_between_two_structures():
    p, _ = organ()
    p.put(p.ellipsoid((0, 0, 0), (9, 9, 9)), 8)
    seen = probe(p.scene(), "fluid", between=("liver", "spleen"))
    assert seen.seen
    assert not (p.masks["liver"] | p.masks["spleen"])[seen.spots[0].place.centre_ijk]


def test_what_is_missing_or_wrong_is_said():
    p, ball = organ()
    scene = p.scene()
    assert probe(scene, "gas", inside="heart").seen is None
    for place in ({}, {"inside": "liver", "at": (1, 1, 1)}, {"at": (500, 1, 1)}):
        with pytest.raises(PromptError):
            probe(scene, "gas", **place)
    with pytest.raises(PromptError):
        probe(scene, "ghosts", inside="liver")
    with pytest.raises(PromptError):
        what_is(scene, at=(1, 1, -1))
    with pytest.raises(PromptError):
        what_is(scene)
    with pytest.raises(PromptError, match="empty"):
        what_is(scene, clicked=Mask.from_array(ball & False))


def test_what_is_tells_structure_hu_and_what_such_hu_are():
    p, ball = organ("calcium")
    scene = p.scene()
    at = Mask.from_array(ball).measure(scene.ct).center_ijk
    seen = what_is(scene, at=at)
    assert seen.amount("voxel_hu").value == scene.ct.hu[at]
    assert "stone" in seen.amount("usually").value
    assert "liver" in seen.told
    assert ball[seen.spots[0].place.centre_ijk]
    assert seen.spots[0].volume_ml == pytest.approx(ball.sum() * p.voxel_ml, rel=0.4)
    assert what_is(scene, clicked=scene.mask("spleen")).told.startswith("this is the spleen")
    outside = what_is(scene, at=(0, 0, 0))
    assert "outside the body" in outside.told


def test_the_table_of_hu_has_no_gap():
    assert all(a[1] == b[0] for a, b in pairwise(USUAL))
    assert "fat" in usual(-100)
    assert "lung" in usual(-800)
    assert "water" in usual(5)
