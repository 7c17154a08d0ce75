"""Single clicks: where they are, and what is scored."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from medvl.errors import PromptError
from medvl.evaluation.__main__ import main
from medvl.evaluation.one_click import DEEP_SHARE, clicks_on, run_case
from medvl.model import load


@pytest.fixture
def ball():
    i, j, k = np.mgrid[:40, :40, :40]
    return (i - 20) ** 2 + (j - 22) ** 2 + (k - 18) ** 2 < 14**2


def test_clicks_lie_deep_in_the_structure_on_two_slices(ball):
    clicks = list(clicks_on(ball, 4, np.random.default_rng(1)))
    slices = [k for _, _, k in clicks]
    largest, lower = slices[0], slices[-1]
    assert slices == [largest] * 4 + [lower] * 4
    areas = ball.sum((0, 1))
    assert areas[largest] == areas.max()
    assert lower < largest
    assert areas[lower - 1] < 0.4 * areas.max() <= areas[lower]
    for k in set(slices):
        depth = ndimage.distance_transform_edt(ball[:, :, k])
        mine = [depth[i, j] for i, j, at in clicks if at == k]
        assert mine[0] == depth.max()
        assert min(mine) >= DEEP_SHARE * depth.max() - 1
    assert clicks == list(clicks_on(ball, 4, np.random.default_rng(1)))
    assert clicks != list(clicks_on(ball, 4, np.random.default_rng(2)))


def test_a_click_that_finds_nothing_counts_as_zero(abdomen_case):
    class Nothing:
        def open(self, ct):
            return self

        def segment_stream(self, points):
            raise PromptError("Nothing is there.")
            yield

    (result,) = run_case(Nothing(), abdomen_case, ["liver", "flux_capacitor"], 1, volume=True)
    assert (result.structure, result.slice_dice, result.volume_dice) == ("liver", [0.0, 0.0], 0.0)


def test_the_bundled_weights_and_the_command(abdomen_case, tmp_path, capsys):
    (result,) = run_case(load("nano", device="cpu"), abdomen_case, ["urinary_bladder"], 1)
    assert min(result.slice_dice) > 0.8
    assert result.volume_dice is None
    assert min(result.seconds) > 0
    out = tmp_path / "clicks.json"
    assert main(["click", "--structure", "urinary_bladder", "--per-slice", "1", "--json", str(out)]) == 0
    assert "urinary_bladder" in capsys.readouterr().out
    assert json.loads(out.read_text())["results"][0]["slice_dice"] == pytest.approx(result.slice_dice, abs=1e-3)
