"""What a click promises on every scan: the clicked voxel gets the asked value, and nothing changes against its sense.

Scans of two kinds, each round one labelled object: an abdomen, and a thigh with a tumour. Clicks fall where a person
would put them, in what is missing or too much, and anywhere else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medvl.ct.geometry import SourceGeometry
from medvl.ct.prompts import Box, Point, bounding_box
from medvl.ct.volume import CTVolume
from medvl.evaluation.cases import labelled_cases
from medvl.evaluation.interactive import box_on_largest_slice, centre_of_largest_error
from medvl.evaluation.segmentation_metrics import dice
from medvl.prompting.thresholds import THRESHOLDS

SLICE_MM = 13.0  # of the thigh: thinner slices are left out, for the time of the suite: each costs a second
BEYOND_MM = 13.0  # of it kept beyond the object


def thigh(cases) -> tuple[CTVolume, np.ndarray]:
    """The part round the tumour."""
    case = next(labelled_cases(cases, None, ["sarcoma_006"]))
    reference, ct = case.mask("soft_tissue_sarcoma"), case.ct
    box, step, beyond = bounding_box(reference), *(round(mm / ct.spacing_mm[2]) for mm in (SLICE_MM, BEYOND_MM))
    kept = np.s_[:, :, max(0, box.lo[2] - beyond) : box.hi[2] + beyond : step]
    affine = ct.affine.copy()
    affine[:3, 3] += affine[:3, 2] * kept[2].start
    affine[:3, 2] *= step
    return replace(ct, hu=np.ascontiguousarray(ct.hu[kept]), affine=affine), np.ascontiguousarray(reference[kept])


@pytest.fixture(scope="module", params=["abdomen", "thigh"])
def scan(request, model):
    """An open case, a reference of one object, and a mask from a box on it."""
    if request.param == "thigh":
        ct, reference = thigh(request.getfixturevalue("shared_cases"))
    else:  # as other tests see it, so that most of its slices are encoded already
        abdomen = request.getfixturevalue("coarse_abdomen")
        ct, reference = abdomen.ct, abdomen.mask("spleen")
    opened = model.open(ct)
    return opened, reference, opened.segment(box=box_on_largest_slice(reference))


def clicks(mask: np.ndarray, reference: np.ndarray, spacing_mm: tuple, rng: np.random.Generator) -> list[Point]:
    """The centre of the largest error, a place inside, one outside, and one far away along the axis."""
    inside, outside = (np.argwhere(m) for m in (mask, reference & ~mask if (reference & ~mask).any() else ~mask))
    far = np.argwhere(mask[:, :, :2]) if mask[:, :, :2].any() else np.argwhere(mask)
    chosen = [(rng.choice(inside), False), (rng.choice(outside), True), (rng.choice(far), False)]
    error = centre_of_largest_error(mask, reference, spacing_mm)
    return [*([error] if error else []), *(Point(tuple(int(v) for v in ijk), on) for ijk, on in chosen)]


def test_a_click_is_obeyed_and_changes_nothing_against_its_sense(scan):
    opened, reference, start = scan
    spacing = opened.ct.spacing_mm[2]
    reach = max(1, int(THRESHOLDS.negative_far_mm / spacing))
    for click in clicks(start.array, reference, opened.ct.spacing_mm, np.random.default_rng(0)):
        before = start.array
        after = opened.refine(opened.masks[start.id], points=[click]).array
        assert after[click.ijk] == click.positive
        added, removed = after & ~before, before & ~after
        if click.positive:
            assert not removed.any()
        else:
            assert not added.any()
            gone = np.flatnonzero(removed.any((0, 1)))
            assert np.abs(gone - click.ijk[2]).max(initial=0) <= reach
        assert np.array_equal(opened.undo(start.id).array, before)


def test_several_clicks_are_all_obeyed(scan):
    opened, reference, start = scan
    rng, mask, given = np.random.default_rng(1), start, []
    for _ in range(3):
        click = clicks(mask.array, reference, opened.ct.spacing_mm, rng)[rng.integers(3)]
        given = [g for g in given if g.ijk != click.ijk] + [click]
        mask = opened.refine(mask, points=[click])
        for one in given:
            assert mask.array[one.ijk] == one.positive
    for _ in range(3):
        opened.undo(start.id)


def test_a_new_object_holds_the_voxel_that_was_clicked(scan):
    opened, reference, _ = scan
    rng = np.random.default_rng(2)
    body = (opened.ct.hu > -200) & reference.any((0, 1))
    for where in (reference, body, body):
        ijk = tuple(int(v) for v in rng.choice(np.argwhere(where)))
        mask = opened.segment(points=[Point(ijk)])
        assert mask.array[ijk]
        opened.remove(mask.id)


@pytest.fixture(scope="module")
def rod(model):
    """An open case of a rod of 24 mm in fat, far longer than it is wide, through all of a small scan of 6 mm slices."""
    rows, cols = np.indices((72, 72))
    hu = np.full((72, 72, 14), -100, np.int16)
    hu[np.hypot(rows - 35, cols - 36) <= 12] = 60
    noise = np.random.default_rng(0).normal(0, 8, hu.shape)
    affine = np.diag([1.0, 1.0, 6.0, 1.0])
    return model.open(CTVolume((hu + noise).astype(np.int16), affine, SourceGeometry(hu.shape, affine)))


def test_what_is_too_long_ends_says_so_and_goes_on_with_a_click(rod):
    updates = list(rod.segment_stream(box=Box((23, 24, 7), (48, 49, 8))))
    mask, ends = updates[-1].mask, updates[-1].ends
    low, high = mask.box.lo[2], mask.box.hi[2] - 1
    assert low > 2
    assert high < 11
    assert [(e.index, e.step) for e in ends] == [(low, -1), (high, 1)]
    assert mask.ends
    assert "was ended at" in mask.limits
    assert rod.masks[mask.id].ends == mask.ends
    further = rod.refine(mask, points=[Point((35, 36, high + 2))])
    assert further.box.hi[2] > high + 2
    assert (further.array & mask.array).sum() == mask.voxels


def test_a_box_in_three_dimensions_states_its_own_ends(rod):
    mask = rod.segment(box=Box((23, 24, 3), (48, 49, 11)))
    assert (mask.box.lo[2], mask.box.hi[2]) == (3, 11)
    assert mask.ends == ()


@pytest.fixture(scope="module")
def ball(model):
    """An open case of a ball of 40 mm in fat, in 5 mm slices, and the ball."""
    grid = np.indices((60, 60, 16)) * np.array([1.0, 1.0, 5.0])[:, None, None, None]
    ball = np.linalg.norm(grid - np.array([30.0, 30.0, 40.0])[:, None, None, None], axis=0) <= 20
    hu = np.where(ball, 90, -90) + np.random.default_rng(0).normal(0, 8, ball.shape)
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    return model.open(CTVolume(hu.astype(np.int16), affine, SourceGeometry(hu.shape, affine))), ball


def test_a_box_across_coarse_slices_is_answered_slice_by_slice(ball):
    """Boxed in a coronal plane: the planes of the object are the axial ones."""
    opened, ball = ball
    drawn = bounding_box(ball)
    box = Box((drawn.lo[0], 30, drawn.lo[2]), (drawn.hi[0], 31, drawn.hi[2]))
    updates = list(opened.segment_stream(box=box))
    assert updates[-1].slices_done <= 1.2 * (drawn.hi[2] - drawn.lo[2])
    assert dice(updates[-1].mask.array, ball) > 0.85


def test_what_ends_by_itself_is_whole(ball):
    opened, ball = ball
    mask = opened.segment(box=box_on_largest_slice(ball))
    assert dice(mask.array, ball) > 0.85
    assert mask.ends == ()
    assert mask.limits == ""
