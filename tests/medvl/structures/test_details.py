"""Sides, division of bones and lobes, and what is not there, on phantoms whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.ct.prompts import Box
from medvl.networks.localiser import CoarseMap
from medvl.structures.details import BONES, DETAILS, Detail, detail_probability, largest, lung_tips_mm, midline, part_of

SHAPE = (20, 16, 12)  # coarse; the fine grid is twice as fine
FINE = (40, 32, 24)


def coarse_with_column(where: int = 10) -> CoarseMap:
    column = np.zeros(SHAPE)
    column[where - 1 : where + 2, 2:5] = 0.9
    return CoarseMap(
        ("vertebral_column",), np.stack([1 - column, column]).astype(np.float16), np.ones(SHAPE, bool), (4,) * 3
    )


def maps(**kinds: np.ndarray) -> CoarseMap:
    stack = np.stack(list(kinds.values()))
    probability = np.concatenate([1 - stack.sum(0, keepdims=True), stack]).astype(np.float16)
    return CoarseMap(tuple(kinds), probability, np.ones(SHAPE, bool), (4,) * 3)


def slab(lo: tuple[int, int, int], hi: tuple[int, int, int], value: float = 0.95) -> np.ndarray:
    array = np.zeros(SHAPE)
    array[tuple(slice(a, b) for a, b in zip(lo, hi, strict=True))] = value
    return array


def bones(**kinds: np.ndarray) -> CoarseMap:
    return maps(**{k: kinds.get(k, np.zeros(SHAPE)) for k in BONES})


def test_midline_follows_the_column_and_holds_where_it_is_not_seen():
    assert midline(coarse_with_column(7)) == pytest.approx(np.full(12, 7.0))
    empty = coarse_with_column()
    empty.probability[1] = 0
    assert midline(empty) == pytest.approx(np.full(12, np.median(np.arange(20))))


def test_sides_are_divided_at_the_midline():
    both = slab((2, 6, 2), (18, 10, 10))
    coarse = coarse_with_column()
    right = detail_probability(maps(back_muscles=both), coarse, Detail("back_muscles", "right"))
    left = detail_probability(maps(back_muscles=both), coarse, Detail("back_muscles", "left"))
    assert not (right * left).any()
    assert np.nonzero(right > 0.5)[0].min() == 11  # the patient's right is where i is larger
    assert np.nonzero(left > 0.5)[0].max() == 10


def test_a_mirrored_head_gives_mirrored_sides():
    word = slab((12, 6, 2), (18, 10, 10))
    coarse = coarse_with_column()
    mirrored = CoarseMap(coarse.structures, coarse.probability[:, ::-1].copy(), coarse.body, coarse.spacing_mm)
    right = detail_probability(maps(iliopsoas=word), coarse, DETAILS["right_iliopsoas"])
    left = detail_probability(maps(iliopsoas=word[::-1].copy()), mirrored, DETAILS["left_iliopsoas"])
    assert np.array_equal(right[::-1], left)
    assert detail_probability(maps(iliopsoas=word), coarse, DETAILS["left_iliopsoas"]) is None


def test_what_the_head_is_not_sure_of_is_not_there():
    coarse = coarse_with_column()
    assert detail_probability(maps(colon=slab((2, 6, 2), (8, 10, 10), 0.6)), coarse, DETAILS["colon"]) is None
    assert detail_probability(maps(colon=np.zeros(SHAPE)), coarse, DETAILS["colon"]) is None


def test_only_the_largest_piece_counts_unless_the_structure_is_scattered():
    big, small = slab((2, 6, 1), (8, 10, 6)), slab((2, 6, 9), (4, 8, 11))
    coarse = coarse_with_column()
    kept = detail_probability(maps(sternum=big + small), coarse, DETAILS["sternum"])
    assert np.array_equal(kept > 0.5, big > 0.5)
    kept = detail_probability(maps(colon=big + small), coarse, DETAILS["colon"])
    assert np.array_equal(kept > 0.5, big + small > 0.5)


def test_bones_share_a_mask_without_overlap():
    """A bar of bone, its right half a hip bone and its left half a femur to the head: each gets its half."""
    carrier = np.zeros(FINE, bool)
    carrier[22:38, 12:20, 4:20] = True
    word = bones(hip_bone=slab((15, 5, 1), (20, 11, 11)), femur=slab((10, 5, 1), (15, 11, 11)))
    box = Box((22, 12, 4), (38, 20, 20))
    inside, coarse = carrier[box.slices], coarse_with_column(4)
    got = {}
    for kind in ("hip_bone", "femur"):
        inner, array = part_of(inside, box, FINE, word, coarse, Detail(kind, "right"))
        got[kind] = np.zeros(FINE, bool)
        got[kind][inner.slices] = array
    assert not (got["hip_bone"] & got["femur"]).any()
    assert got["hip_bone"][31:38, 12:20, 4:20].all()
    assert got["femur"][22:29, 12:20, 4:20].all()
    assert not (got["hip_bone"] & ~carrier).any()


def test_every_voxel_of_a_lung_belongs_to_one_lobe():
    carrier = np.ones((16, 20, 20), bool)
    box = Box((22, 6, 2), (38, 26, 22))
    zero = np.zeros(SHAPE)
    word = maps(
        upper_lobe=slab((0, 0, 6), (20, 16, 12), 0.5), middle_lobe=zero, lower_lobe=slab((0, 0, 0), (20, 16, 6), 0.5)
    )
    total = np.zeros(FINE, int)
    for kind in ("upper_lobe", "lower_lobe"):
        inner, array = part_of(carrier, box, FINE, word, coarse_with_column(), Detail(kind, "right"))
        total[inner.slices] += array
    assert total.max() == 1
    assert (total[box.slices] == 1).mean() > 0.9


def test_pieces_far_smaller_than_the_largest_are_dropped():
    array = np.zeros((30, 10, 10), bool)
    array[:10] = True
    array[15:17, :3, :3] = True
    assert np.array_equal(largest(array, "sternum"), largest(array, "ribs"))
    array[20:26] = True
    assert largest(array, "sternum")[20:26].sum() == 0
    assert largest(array, "ribs")[20:26].all()


def test_what_is_offered_has_a_name_and_the_rest_has_none():
    from medvl.networks.config import ModelConfig
    from medvl.vocabulary.names import STRUCTURES
    from medvl.weights import hub

    offered = ModelConfig.load(hub.BUNDLED / "nano").detail_head.offered
    assert set(offered) <= set(DETAILS)
    assert set(offered) == {id for id, structure in STRUCTURES.items() if structure.further}
    for id in offered:
        assert STRUCTURES[id].side == DETAILS[id].side or id == "middle_lobe"


@pytest.mark.parametrize(("kind", "there"), [("hip_bone", False), ("sternum", True)])
def test_beside_a_lung_there_is_no_pelvis(kind, there):
    coarse = coarse_with_column()
    lung = slab((2, 2, 3), (8, 12, 11))
    stack = np.concatenate([coarse.probability, lung[None].astype(np.float16)])
    chest = CoarseMap((*coarse.structures, "left_lung"), stack, coarse.body, coarse.spacing_mm)
    found = detail_probability(maps(**{kind: slab((12, 6, 5), (18, 10, 10))}), chest, Detail(kind))
    assert (found is not None) is there
    below = detail_probability(maps(**{kind: slab((12, 6, 0), (18, 10, 3))}), chest, Detail(kind))
    assert (below is not None) is not there


def test_the_skull_has_no_ribs_and_the_shoulder_no_psoas():
    coarse = coarse_with_column()
    lung = slab((2, 2, 0), (8, 12, 2))  # the coarse grid ends 40 mm above its top
    shape = (*SHAPE[:2], 40)
    stack = np.zeros((3, *shape), np.float16)
    stack[1, ..., :12], stack[2, ..., :12] = coarse.probability[1], lung
    stack[2, 4:7, 4:7, 30:34] = 0.9  # a sinus of the skull, taken for lung
    tall = CoarseMap(("vertebral_column", "left_lung"), stack, np.ones(shape, bool), (4.0, 4.0, 4.0))
    for kind, side in (("ribs", "left"), ("iliopsoas", "left")):
        word = np.zeros((2, *shape), np.float16)
        word[1, 2:8, 6:10, 30:36] = 0.95
        details = CoarseMap((kind,), word, tall.body, tall.spacing_mm)
        assert detail_probability(details, tall, Detail(kind, side)) is None
        word[1, 2:8, 6:10, 3:9] = 0.95
        assert detail_probability(details, tall, Detail(kind, side)) is not None


def test_a_scan_of_the_head_alone_has_no_pelvis():
    coarse = coarse_with_column()
    stack = np.concatenate([coarse.probability, slab((8, 8, 4), (12, 12, 9))[None].astype(np.float16)])
    head = CoarseMap((*coarse.structures, "brainstem"), stack, coarse.body, coarse.spacing_mm)
    word = maps(hip_bone=slab((12, 6, 2), (18, 10, 8)))
    assert detail_probability(word, head, Detail("hip_bone", "right")) is None
    assert detail_probability(word, coarse, Detail("hip_bone", "right")) is not None


@pytest.mark.parametrize(("top", "height"), [(8, 32.0), (SHAPE[2], None), (3, None)])
def test_tips_of_the_lungs(top, height):
    stack = np.zeros((2, *SHAPE), np.float16)
    if top > 3:
        stack[1, 2:8, 2:8, 3:top] = 0.9
    seen = CoarseMap(("left_lung",), stack, np.ones(SHAPE, bool), (4.0, 4.0, 4.0))
    assert lung_tips_mm(seen) == height
