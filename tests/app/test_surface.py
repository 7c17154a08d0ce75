"""The 3-D view's figure: what lies round all else is glass, so that nothing is hidden by it."""

from __future__ import annotations

import numpy as np
import pytest

from app.surface import AROUND, figure
from medvl.ct.geometry import SourceGeometry
from medvl.ct.masks import Mask
from medvl.ct.volume import CTVolume

SHAPE = (40, 30, 20)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def block(name: str, low: tuple[int, ...], high: tuple[int, ...]) -> Mask:
    array = np.zeros(SHAPE, bool)
    array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return Mask.from_array(array, id=name, name=name, color="#ff0000")


BODY = block("Body", (1, 1, 0), (39, 29, 20))
LIVER = block("Liver", (20, 8, 5), (34, 22, 15))
SPLEEN = block("Spleen", (4, 6, 8), (12, 14, 16))


@pytest.fixture
def ct():
    return CTVolume(np.zeros(SHAPE, np.int16), AFFINE, SourceGeometry(SHAPE, AFFINE))


@pytest.mark.parametrize(
    ("masks", "glass"),
    [
        ([BODY, LIVER, SPLEEN], {"Body"}),
        ([LIVER, BODY], {"Body"}),
        ([LIVER, SPLEEN], set()),  # larger, but it hides nothing
        ([BODY], set()),
    ],
)
def test_what_lies_round_all_else_is_glass_and_drawn_last(ct, masks, glass):
    drawn = figure(masks, ct).data
    assert {trace.name for trace in drawn} == {mask.name for mask in masks}
    assert {trace.name for trace in drawn if trace.opacity == AROUND} == glass
    assert {trace.opacity for trace in drawn} <= {AROUND, 1.0}
    if glass:
        assert drawn[-1].name in glass


def test_surfaces_lie_where_the_masks_do_in_mm(ct):
    (trace,) = figure([LIVER], ct).data
    low = [float(np.min(trace[axis])) for axis in "xyz"]
    high = [float(np.max(trace[axis])) for axis in "xyz"]
    assert np.allclose(low, (39, 15, 13.5), atol=2)
    assert np.allclose(high, (67, 43, 43.5), atol=2)
