from __future__ import annotations

import numpy as np
import pytest

from medvl.tools.looks import look

from .phantom import chest


def test_emphysema_is_the_share_below_950_by_side():
    p = chest(noise=0)
    right = p.masks["right_lung"]
    p.hu[right & (p.z > 0)] = -980
    seen = look("emphysema", p.ct(), p.found())
    truth = 100 * (right & (p.z > 0)).sum() / right.sum()
    assert seen.amount("laa950_percent", "right").value == pytest.approx(truth, abs=0.1)
    assert seen.amount("laa950_percent", "left").value == 0


def test_opacity_is_measured_on_its_side():
    p = chest()
    dull = p.masks["left_lung"] & (p.y < -25) & (np.abs(p.z) < 25) & (p.x < -45)
    p.hu[dull] = -60
    seen = look("opacity", p.ct(), p.found())
    assert seen.amount("opacity_ml", "left").value == pytest.approx(dull.sum() * p.voxel_ml, rel=0.35)
    assert seen.amount("opacity_ml", "right").value == 0
    assert look("opacity", chest().ct(), chest().found()).seen is False


def test_gas_along_the_chest_wall_is_told_and_lung_is_not():
    p = chest()
    rng = np.random.default_rng(1)
    for side in ("right", "left"):  # lung has vessels in it
        lung = p.masks[f"{side}_lung"]
        p.hu[lung & (rng.random(lung.shape) < 0.05)] = -300
    assert look("pneumothorax", p.ct(), p.found()).seen is False
    gas = p.masks["right_lung"] & (p.y > 40)
    p.hu[gas] = -1000
    seen = look("pneumothorax", p.ct(), p.found())
    assert seen.seen
    assert seen.amount("gas_ml", "right").value == pytest.approx(gas.sum() * p.voxel_ml, rel=0.4)
    assert seen.amount("gas_ml", "left").value == 0
