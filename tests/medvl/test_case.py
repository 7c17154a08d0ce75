"""One open CT: prompts, their history, words and a report, on a phantom with small slices."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from medvl.conversation.contract import Done
from medvl.ct.prompts import Box, Point
from medvl.errors import Cancelled, PromptError
from medvl.model import MedVLSAM2
from medvl.networks.networks import read_networks
from medvl.report.report import Report
from medvl.tools.pieces import Step
from medvl.weights import hub

from .scenes import ListedFinder, finder_of, talking_case

BLOCKS = {
    "liver": (slice(4, 24), slice(6, 26), slice(4, 22)),
    "left_kidney": (slice(30, 37), slice(24, 31), slice(6, 16)),
}
HU = {"liver": 110, "left_kidney": 220}


@pytest.fixture(scope="module")
def quick(model):
    """The bundled weights on slices of 128 pixels."""
    config = replace(model.config, segmenter=replace(model.config.segmenter, image_size=128))
    return MedVLSAM2(read_networks(hub.find_model("nano"), torch.device("cpu"), config))


@pytest.fixture(scope="module")
def labels():
    rng = np.random.default_rng(0)
    hu = rng.normal(-20, 4, (40, 36, 30))
    for name, where in BLOCKS.items():
        hu[where] += HU[name]
    return finder_of(BLOCKS, affine=np.diag([2.0, 2.0, 2.0, 1.0]), hu=np.rint(hu).astype(np.int16))


@pytest.fixture
def case(quick, labels):
    opened = talking_case(quick, labels)
    yield opened
    opened.close()


@pytest.mark.parametrize("asked", ["What is the slice thickness?", "What can you do?", "Use the lung window"])
def test_what_needs_no_search_has_no_step_that_runs(case, asked):
    """The page gives no turn among visitors for it."""
    pieces = list(case.ask(asked))
    assert isinstance(pieces[-1], Done)
    assert not [piece for piece in pieces if isinstance(piece, Step) and piece.seconds is None]


def slice_of(name: str, axis: int = 2) -> Box:
    lo, hi = [w.start for w in BLOCKS[name]], [w.stop for w in BLOCKS[name]]
    lo[axis] = (lo[axis] + hi[axis]) // 2
    hi[axis] = lo[axis] + 1
    return Box(tuple(lo), tuple(hi))


def overlap(mask: np.ndarray, name: str) -> float:
    wanted = np.zeros(mask.shape, bool)
    wanted[BLOCKS[name]] = True
    return 2 * (mask & wanted).sum() / (mask.sum() + wanted.sum())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_box_in_any_plane_goes_slice_by_slice_to_a_mask(case, axis):
    seen, stages = np.zeros(case.ct.shape, bool), []
    for update in case.segment_stream(box=slice_of("liver", axis), name="Liver"):
        stages.append(update.stage)
        if update.changed is not None:
            seen[update.changed.slices] = update.mask.array[update.changed.slices]
        assert np.array_equal(seen, update.mask.array)  # nothing changes outside ``changed``
    assert stages[0] == "slice"
    assert stages[-1] == "done"
    assert set(stages[1:-1]) <= {"slice", "propagating"}
    assert update.slices_done == update.slices_expected
    assert not update.stopped
    assert overlap(update.mask.array, "liver") > 0.5  # how well is tested on a real scan
    assert case.masks[update.mask.id] == update.mask
    assert case.masks.clicked == update.mask.id
    assert update.mask.name == "Liver"


def test_prompts_are_kept_in_their_order_also_over_an_operation(case):
    box, point = slice_of("liver"), Point((14, 16, 12), positive=False)
    mask = case.segment(box=box)
    assert case.prompts(mask.id) == [box]
    mask = case.refine(mask, points=[point])
    assert not mask.array[point.ijk]
    assert case.prompts(mask.id) == [box, point]
    array = mask.array
    array[:10] = False
    cut = case.put(mask.with_array(array))
    assert case.prompts(cut.id) == [box, point]
    refined = case.refine(cut, points=[again := Point((16, 20, 12))])
    assert case.prompts(cut.id)[-1] == again
    assert not refined.array[:10].all()
    assert np.array_equal(case.undo(cut.id).array, array)


def test_one_job_at_a_time(case):
    updates = case.segment_stream(box=slice_of("liver"))
    first = next(updates)
    other = threading.Thread(target=lambda: case.segment(box=slice_of("left_kidney"), name="Kidney"))
    other.start()
    other.join(0.3)
    assert other.is_alive()
    assert list(case.masks) == []
    updates.close()  # what is done is kept, and the next one may begin
    other.join(60)
    assert [mask.name for mask in case.masks.values()] == [first.mask.name, "Kidney"]


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ({}, "Nothing was prompted"),
        ({"points": [Point((999, 0, 0))]}, "outside"),
        ({"box": slice_of("liver"), "mask_id": "m99"}, "does not exist any more"),
    ],
)
def test_bad_prompts_leave_the_list_and_the_job_free(case, prompts, words):
    kept = case.segment(box=slice_of("left_kidney"))
    with pytest.raises(PromptError, match=words):
        list(case.segment_stream(**prompts))
    assert dict(case.masks) == {kept.id: kept}
    assert case.refine(kept, points=[Point((33, 27, 10))]).array[33, 27, 10]


def test_stopped_before_the_first_slice_nothing_is_there(case):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        case.segment(box=slice_of("liver"), cancel=stop)
    assert dict(case.masks) == {}


def test_stopped_on_the_way_it_says_so_until_it_is_followed_on(case):
    stop, updates = threading.Event(), []
    for update in case.segment_stream(box=slice_of("liver"), cancel=stop):
        updates.append(update)
        if update.slices_done >= 3:
            stop.set()
    mask = case.masks[updates[-1].mask.id]
    assert updates[-1].stopped
    slices = np.flatnonzero(mask.array.any(axis=(0, 1)))
    assert {end.index for end in mask.ends if end.reason == "stopped"} == {slices[0], slices[-1]}
    assert f"was stopped at axial slice {slices[-1] + 1}" in mask.limits  # what list, CSV and report tell
    centre = tuple(int(v) for v in np.argwhere(mask.array).mean(axis=0).round())
    again = case.refine(mask, [Point(centre)])
    assert again.voxels > mask.voxels
    assert not any(end.reason == "stopped" for end in case.masks[mask.id].ends)


def stopped_after(case, slices, **prompts):
    """A run stopped once it has done so many slices; its mask."""
    stop = threading.Event()
    for update in case.segment_stream(**prompts, cancel=stop):
        if update.slices_done >= slices:
            stop.set()
    return case.masks[update.mask.id]


@pytest.mark.parametrize("slices", [2, 7])
def test_followed_on_it_becomes_what_it_would_have_been(case, slices):
    whole = case.segment(box=slice_of("liver"))
    mask = stopped_after(case, slices, box=slice_of("liver"))
    steps = []
    again = case.follow(mask, progress=steps.append)
    assert again.voxels > mask.voxels
    assert np.array_equal(again.array, whole.array)
    assert (again.id, again.stopped, again.where_stopped) == (mask.id, (), "")
    done = {k for step in steps[:-1] if step.changed for k in range(step.changed.lo[2], step.changed.hi[2])}
    assert not done & set(np.flatnonzero(mask.array.any(axis=(0, 1))))  # onward, not anew
    assert case.undo(mask.id).stopped  # one step of its history


def test_stopped_again_it_goes_on_from_there(case):
    whole = case.segment(box=slice_of("liver"))
    mask = stopped_after(case, 2, box=slice_of("liver"))
    stop = threading.Event()
    updates = []
    for update in case.follow_stream(mask.id, stop):
        updates.append(update)
        stop.set()
    assert updates[-1].stopped
    assert case.masks[mask.id].stopped
    assert np.array_equal(case.follow(mask).array, whole.array)


def test_what_was_stopped_and_then_painted_is_followed_on_with_what_was_painted(case):
    mask = stopped_after(case, 3, box=slice_of("liver"))
    spot = Box((34, 4, 14), (36, 6, 16))
    painted = case.paint(mask.id, spot, np.ones(spot.size, bool))
    assert painted.stopped == mask.stopped
    again = case.follow(painted)
    assert again.array[spot.slices].all()
    assert again.voxels > painted.voxels
    assert not again.stopped


def test_by_words_too(case):
    mask = stopped_after(case, 2, box=slice_of("liver"))
    pieces = list(case.ask("go on"))
    done = pieces[-1]
    assert isinstance(done, Done)
    assert "was followed on from where it was stopped at axial slices" in done.answer.text
    assert not case.masks[mask.id].stopped
    assert any(isinstance(piece, Step) and piece.share for piece in pieces)


def test_what_was_not_stopped_has_nothing_to_go_on_with(case):
    mask = case.segment(box=slice_of("left_kidney"))
    with pytest.raises(PromptError, match="was not stopped"):
        case.follow(mask)


def test_memory_grows_with_work_and_is_given_back(case):
    empty = case.nbytes
    mask = case.segment(box=slice_of("liver"))
    worked = case.nbytes
    assert worked > empty + mask.block.nbytes
    case.close()
    assert case.nbytes == case.finder.nbytes
    assert dict(case.masks) == {}


def test_a_question_makes_masks_and_is_remembered(case):
    pieces = list(case.ask("how large is the left kidney?"))
    assert isinstance(pieces[-1], Done)
    (mask,) = case.masks.values()
    assert overlap(mask.array, "left_kidney") == 1.0
    told = " ".join(s.text for s in pieces[-1].answer.sentences)
    assert f"{7 * 7 * 10 * 0.008:.1f}" in told
    later = list(case.ask("and the liver?"))[-1].answer
    assert "liver" in " ".join(s.text for s in later.sentences).lower()
    assert len(case.masks) == 2
    again = case.refine(mask, points=[Point((33, 27, 10))])
    assert again.id == mask.id  # what was named can be clicked


def test_a_report_tells_its_steps_and_keeps_its_masks(quick, labels):
    case = talking_case(quick, labels)
    case.finder = ListedFinder(case, labels)
    steps: list[Step] = []
    report = case.report(progress=steps.append)
    assert isinstance(report, Report)
    assert steps
    assert {mask.name for mask in case.masks.values()} == {"Liver", "Left kidney"}
    assert any(s.mask_ids for s in report.sentences)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        case.report(cancel=stop)
    case.close()


def test_the_bundled_planner_is_asked_before_the_rules_and_a_named_model_before_it(quick, labels):
    named = replace(quick.networks, planner=SimpleNamespace(name="somebody's model"))
    for networks, names in ((quick.networks, []), (named, ["somebody's model"])):
        opened = MedVLSAM2(networks).open(labels.ct)
        assert [p.name for p in opened.conversation._planners] == [*names, "small planner", "rules"]
        opened.close()
