"""Named structures to masks: bookkeeping, sides, edges, and the bundled abdomen against its reference labels."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from medvl.ct.geometry import SourceGeometry, to_canonical
from medvl.ct.volume import CTVolume
from medvl.evaluation.cases import labelled_cases
from medvl.evaluation.interactive import dice
from medvl.networks.localiser import CoarseMap, resample
from medvl.networks.refiner import Refiner, RefinerConfig
from medvl.structures.finder import TextSegmenter, coarse_probability, delineate
from medvl.structures.regions import regions_for
from medvl.structures.thresholds import THRESHOLDS
from medvl.weights import hub


@pytest.fixture(scope="module")
def case(model, abdomen):
    return model.open(abdomen.ct)


def blob(shape, centre, radius):
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    return ((grid - np.array(centre)) ** 2).sum(-1) <= radius**2


def coarse_of(**structures: np.ndarray) -> CoarseMap:
    shape = next(iter(structures.values())).shape
    maps = np.stack([np.zeros(shape), *structures.values()]).astype(np.float16)
    return CoarseMap(tuple(structures), maps, np.ones(shape, bool), (4.0, 4.0, 4.0))


@pytest.mark.parametrize(
    ("name", "least"), [("liver", 0.88), ("spleen", 0.85), ("right_kidney", 0.80), ("left_kidney", 0.80)]
)
def test_organs_by_name(case, abdomen, name, least):
    assert dice(case.finder.find(name).mask.array, abdomen.mask(name)) > least


def test_sam2_draws_the_edge_where_it_is_asked_to(coarse_abdomen, model):
    case = model.open(coarse_abdomen.ct)
    sharp = TextSegmenter(case.ct, replace(model.networks, edge="sam2"), case.masks, case.encoder)
    sharp._coarse = case.finder.coarse()  # the localiser's word is the same
    mask = sharp.find("left_kidney").mask
    slices = int(mask.array.any(axis=(0, 1)).sum())
    assert case.encoder.encoded >= slices - 2
    assert dice(mask.array, coarse_abdomen.mask("left_kidney")) > 0.80
    assert not np.array_equal(mask.array, case.finder.find("left_kidney").mask.array)


def test_the_second_stage_draws_what_it_is_offered_for_and_nothing_else(case, abdomen, model):
    config = RefinerConfig(("spleen", "kidney"), widths=(4, 6, 8, 10), offered=("spleen",))
    net = Refiner(config).eval()  # untrained, it says what the localiser says
    with torch.no_grad():
        net.queries.zero_()
        net.bias.zero_()
    second = TextSegmenter(case.ct, replace(model.networks, refiner=net), case.masks, case.encoder)
    second._coarse = case.finder.coarse()
    spleen, kidney = second.find("spleen").mask, second.find("left_kidney").mask
    assert dice(spleen.array, abdomen.mask("spleen")) > 0.80
    assert not np.array_equal(spleen.array, case.finder.find("spleen").mask.array)
    assert np.array_equal(kidney.array, case.finder.find("left_kidney").mask.array)
    assert second.find("larynx").mask is None
    with torch.no_grad():
        net.bias.fill_(-30.0)  # it leaves nothing: the first stage's mask stands
    second = TextSegmenter(case.ct, replace(model.networks, refiner=net), case.masks, case.encoder)
    second._coarse = case.finder.coarse()
    again = second.find("spleen").mask
    assert np.array_equal(again.array, case.finder.find("spleen").mask.array)
    for mask in (spleen, kidney, again):
        case.remove(mask.id)


def test_right_is_right(case):
    right = case.finder.find("right_kidney").mask.measure(case.ct).centroid_ras_mm
    left = case.finder.find("left_kidney").mask.measure(case.ct).centroid_ras_mm
    liver = case.finder.find("liver").mask.measure(case.ct).centroid_ras_mm
    assert right[0] > left[0]
    assert liver[0] > left[0]


def test_what_is_not_in_the_scan_gets_no_mask(case):
    before = set(case.masks)
    for name in ("brainstem", "larynx", "mandible", "left_parotid", "trachea"):
        found = case.finder.find(name)
        assert (found.status, found.mask) == ("absent", None)
    assert set(case.masks) == before


def test_single_vertebrae_by_level(case, abdomen):
    labels = nib.load(hub.BUNDLED / "samples" / "abdomen_labels.nii.gz")
    total = to_canonical(np.asarray(labels.dataobj), labels.affine)[0]
    for level, value in (("L5", 27), ("L3", 29), ("L1", 31), ("T12", 32)):  # of TotalSegmentator
        (mask,) = case.segment_text(f"segment {level}")
        assert mask.name == f"{level} vertebra"
        assert dice(mask.array, total == value) > 0.85, level
        assert "sacrum" in case.finder.find(f"{level.lower()}_vertebra").note
    assert case.finder.find("t5_vertebra").status == "absent"


def test_where_the_level_cannot_be_told_the_chat_says_so(model, abdomen):
    ct = abdomen.ct
    part = CTVolume(ct.hu[:, :, 60:95], ct.affine, SourceGeometry((*ct.shape[:2], 35), ct.affine))
    talk = model.open(part)
    answer = [piece for piece in talk.ask("how big is L2?")][-1].answer
    assert not talk.masks
    assert answer.refused
    assert "cannot tell which bone is the L2 vertebra" in answer.text
    assert "neither the sacrum nor" in answer.text


def test_unknown_names_are_said_to_be_unknown(case):
    assert case.finder.find("prostate").status == "unknown"


def test_found_once_and_shared_with_the_list(case):
    first = case.finder.find("spleen").mask
    assert case.finder.find("spleen").mask is first
    assert case.masks[first.id].name == "Spleen"


def test_a_corrected_mask_is_the_one_that_counts_and_a_deleted_one_comes_back(case):
    mask = case.finder.find("gallbladder").mask or case.finder.find("spleen").mask
    name = mask.name.lower()
    case.put(mask.with_block(mask.box, mask.block & (np.arange(mask.block.shape[0]) % 2 == 0)[:, None, None]))
    corrected = case.finder.find(name).mask
    assert corrected.id == mask.id
    assert corrected.voxels < mask.voxels
    case.remove(mask.id)
    back = case.finder.find(name).mask
    assert back.id in case.masks
    assert back.voxels == corrected.voxels


def test_sides_of_pairs_are_geometry():
    shape = (40, 20, 20)
    right, left = blob(shape, (30, 10, 10), 4), blob(shape, (9, 10, 10), 4)
    # the network calls both of them right, the left one faintly
    coarse = coarse_of(right_kidney=right * 0.9 + left * 0.8, left_kidney=left * 0.15)
    assert dice(coarse_probability(coarse, "right_kidney") > 0.5, right) == 1.0
    assert dice(coarse_probability(coarse, "left_kidney") > 0.5, left) == 1.0


def test_faint_traces_are_no_structure():
    assert coarse_probability(coarse_of(liver=blob((20, 20, 20), (10, 10, 10), 5) * 0.6), "liver") is None


def test_only_the_largest_piece_of_an_organ_counts():
    shape = (40, 20, 20)
    big, small = blob(shape, (30, 10, 10), 5), blob(shape, (8, 10, 10), 3)
    kept = coarse_probability(coarse_of(spleen=(big | small) * 0.95), "spleen") > 0.5
    assert dice(kept, big) == 1.0


def test_hu_move_a_blurred_edge_to_where_the_tissue_ends():
    shape = (60, 60, 60)
    organ = blob(shape, (31, 30, 29), 14)
    rng = np.random.default_rng(1)
    hu = (np.where(organ, 110, 20) + rng.normal(0, 15, shape)).astype(np.int16)
    ct = CTVolume(hu, np.diag([1.5, 1.5, 1.5, 1.0]), SourceGeometry(shape, np.eye(4)))
    import torch
    from scipy import ndimage

    coarse = ndimage.gaussian_filter(resample(torch.from_numpy(organ.astype(np.float32)), (22, 22, 22)).numpy(), 1.2)
    scores = []
    for by_hu in (False, True):
        box, array = delineate(coarse, "spleen", ct, by_hu)
        full = np.zeros(shape, bool)
        full[box.slices] = array
        scores.append(dice(full, organ))
    assert scores[1] > scores[0]
    assert scores[1] > 0.93


def test_body_holds_every_organ(case, abdomen):
    body = case.finder.find("body").mask.array
    organs = abdomen.labels > 0
    assert (body & organs).sum() > 0.97 * organs.sum()
    assert body.mean() < 0.9


@pytest.fixture(scope="module")
def cylinder(model):
    """An open case of a cylinder of water with a rod of bone's density: nothing of a body."""
    rows, cols = np.indices((80, 80)) * 3.0 - 120
    hu = np.full((80, 80, 24), -1000, np.int16)
    hu[np.hypot(rows, cols) < 90] = 0
    hu[np.hypot(rows - 40, cols) < 12] = 500
    affine = np.diag([3.0, 3.0, 5.0, 1.0])
    noise = np.random.default_rng(0).normal(0, 8, hu.shape)
    return model.open(CTVolume((hu + noise).astype(np.int16), affine, SourceGeometry(hu.shape, affine)))


def test_a_phantom_has_no_organ_and_says_why(cylinder):
    for name in sorted(cylinder.finder.known - {"body", "other_bone"}):
        found = cylinder.finder.find(name)
        assert (found.status, found.mask) == ("absent", None), name
        assert "not look like a part of a body" in found.reason
    assert cylinder.segment_text("liver and spleen") == []
    answer = [piece for piece in cylinder.ask("how big is the liver?")][-1].answer
    assert answer.refused
    assert "not in view" in answer.text
    assert "part of a body" in answer.text


def test_a_thigh_has_no_organ_of_the_trunk(model, shared_cases):
    case = next(labelled_cases(shared_cases, None, ["sarcoma_006"]))
    opened = model.open(case.ct)
    wrong = [s for s in sorted(opened.finder.known) if not {"limb"} & set(regions_for(s))]
    assert [s for s in wrong if opened.finder.find(s).mask is not None] == []
    report = opened.report()
    assert "limb" in report.markdown()
    assert "not in view" in report.markdown()


def test_what_the_model_is_unsure_of_is_doubtful(case):
    name = "liver"
    mask = case.finder.find(name).mask
    assert mask.doubt == ""
    assert case.finder.find(name).sure > THRESHOLDS.sure
