"""The loop of box and clicks, and the rules of the CVPR 2025 challenge, with methods whose masks are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.errors import PromptError
from medvl.evaluation.cases import LabelledCase
from medvl.evaluation.cvpr25 import RULES, challenge_box, challenge_click, challenge_score, challenge_table
from medvl.evaluation.interactive import PLAIN, Result, run_case, structures_of

SHAPE = (40, 36, 30)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
CENTRE = (slice(10, 22), slice(8, 20), slice(6, 18))


@pytest.fixture
def case():
    labels = np.zeros(SHAPE, np.int16)
    labels[CENTRE] = 1
    ct = CTVolume(np.zeros(SHAPE, np.int16), AFFINE, SourceGeometry(SHAPE, AFFINE))
    return LabelledCase("phantom", ct, labels, {1: "liver"}, "made up")


class Scripted:
    """Gives masks in turn; None says that nothing was found."""

    name, clicks = "scripted", True

    def __init__(self, *masks):
        self.masks = list(masks)
        self.prompts = []

    def open(self, ct):
        pass

    def _next(self, prompt):
        self.prompts.append(prompt)
        mask = self.masks.pop(0)
        if mask is None:
            raise PromptError("Nothing was found there.")
        return mask

    box = click = _next


def part(case, slices):
    """The reference on its first ``slices`` of 12 slices: Dice 2 n / (n + 12)."""
    mask = case.mask("liver").copy()
    mask[:, :, 6 + slices :] = False
    return mask


def test_challenge_on_a_series_known_by_hand(case):
    method = Scripted(*(part(case, n) for n in (2, 4, 6, 8, 10, 12)))
    (result,) = run_case(method, case, ["liver"], 5, rules=RULES)
    by_hand = [2 * n / (n + 12) for n in (2, 4, 6, 8, 10, 12)]
    assert result.dice == pytest.approx(by_hand)
    score = challenge_score(result)
    clicks = by_hand[1:]
    assert score.dsc_auc == pytest.approx(sum(clicks) - (clicks[0] + clicks[-1]) / 2)
    assert score.dsc_final == score.nsd_final == 1
    assert all(p.positive and case.mask("liver")[p.ijk] for p in method.prompts[1:])
    assert len(result.seconds) == 6


def test_perfect_box_needs_no_click_and_has_the_largest_area(case):
    method = Scripted(case.mask("liver"))
    score = challenge_score(run_case(method, case, ["liver"], 5, rules=RULES)[0])
    assert (score.dsc_auc, score.nsd_auc, score.seconds_a_click) == (4, 4, None)
    assert len(method.prompts) == 1


def test_nsd_counts_nothing_where_dice_is_low(case):
    low = part(case, 1)  # Dice 2 / 13
    challenge = run_case(Scripted(low), case, ["liver"], 0, rules=RULES)[0]
    plain = run_case(Scripted(low), case, ["liver"], 0, rules=PLAIN)[0]
    assert challenge.dice == plain.dice == pytest.approx([2 / 13])
    assert challenge.nsd == [0.0]
    assert plain.nsd[0] > 0


def test_slices_outside_the_prompt_are_dropped(case):
    tall = case.mask("liver").copy()
    tall[10:22, 8:20, :] = True
    assert run_case(Scripted(tall), case, ["liver"], 0, rules=RULES)[0].dice == [1.0]
    assert run_case(Scripted(tall), case, ["liver"], 0, rules=PLAIN)[0].dice[0] < 0.6


def test_nothing_found_keeps_what_was_there(case):
    result = run_case(Scripted(None, part(case, 6), None), case, ["liver"], 2)[0]
    assert result.dice == pytest.approx([0, 2 / 3, 2 / 3])
    assert len(result.seconds) == 3


def test_without_names_a_case_runs_its_organs_or_else_all_it_has(case):
    def named(*names):
        return replace(case, names=dict(enumerate(names, 1)))

    torso = named("heart", "aorta", "trachea", "liver")
    assert structures_of(torso) == structures_of(torso, []) == ["liver", "aorta"]
    assert structures_of(torso, ["all"]) == ["heart", "aorta", "trachea", "liver"]
    assert structures_of(torso, ["trachea", "spleen"]) == ["trachea", "spleen"]
    assert structures_of(named("soft_tissue_sarcoma")) == ["soft_tissue_sarcoma"]
    assert structures_of(named("brainstem", "mandible")) == ["brainstem", "mandible"]


def test_box_is_on_the_median_slice_widened_and_repeatable():
    mask = np.zeros((256, 256, 30), bool)
    mask[100:120, 60:90, 4:14] = True
    mask[100:102, 60:62, 14:20] = True  # few voxels: they hardly move the median
    shifts = set()
    for n in range(40):
        box, span = challenge_box(f"case{n}", "liver", mask)
        assert (box, span) == challenge_box(f"case{n}", "liver", mask)
        assert span == (4, 20)
        assert (box.lo[2], box.hi[2]) == (9, 10)
        shift = 100 - box.lo[0]
        assert (box.lo[:2], box.hi[:2]) == ((100 - shift, 60 - shift), (120 + shift, 90 + shift))
        shifts.add(shift)
    assert shifts == set(range(6))


def test_box_stays_inside_the_scan():
    mask = np.ones((256, 256, 3), bool)
    for n in range(10):
        assert challenge_box(str(n), "x", mask)[0].size[:2] == (256, 256)


def test_click_is_deepest_in_the_largest_error_of_either_kind():
    reference = np.zeros(SHAPE, bool)
    predicted = np.zeros(SHAPE, bool)
    reference[2:9, 2:9, 2:9] = True  # missed: 343 voxels, centre (5, 5, 5)
    predicted[20:31, 20:31, 10:21] = True  # too much: 1331 voxels, centre (25, 25, 15)
    assert challenge_click(predicted, reference, (1, 1, 1)).ijk == (25, 25, 15)
    assert not challenge_click(predicted, reference, (1, 1, 1)).positive
    point = challenge_click(np.zeros(SHAPE, bool), reference, (1, 1, 1))
    assert (point.ijk, point.positive) == ((5, 5, 5), True)
    assert challenge_click(reference, reference, (1, 1, 1)) is None


def test_error_components_touch_by_corners():
    reference = np.zeros(SHAPE, bool)
    reference[1:4, 1:4, 1:4] = reference[4:7, 4:7, 4:7] = True  # one 26-connected component of 54 voxels
    reference[20:23, 20:23, 20:24] = True  # 36 voxels: larger than each half, smaller than both
    assert max(challenge_click(np.zeros(SHAPE, bool), reference, (1, 1, 1)).ijk) < 7


def test_table_means_over_structures_then_cases():
    results = [
        Result("m", "a", "liver", 2.0, [1.0] * 6, [1.0] * 6, [1.0] * 6),
        Result("m", "a", "spleen", 2.0, [0.0] * 6, [0.0] * 6, [99.0] * 6),
        Result("m", "b", "liver", 2.0, [0.0] * 6, [0.0] * 6, [1.0]),
    ]
    lines = challenge_table(results)
    mean = next(line for line in lines if "mean of 2" in line and " a " not in line)
    assert mean.split()[4:8] == ["0.250", "1.000", "1.000", "0.250"]
    assert lines[-1].endswith("a:spleen.")
    assert len({len(line) for line in lines[1:2]} | {len(lines[1])}) == 1
