"""Facts from labels, against the product's own measurements and against their mirror images."""

from __future__ import annotations

import numpy as np
import pytest

from medvl.ct.masks import Mask
from medvl.evaluation.cases import abdomen_sample
from medvl.evaluation.question_facts import reference_value


@pytest.fixture(scope="module")
def case():
    return abdomen_sample()


@pytest.mark.parametrize("name", ["liver", "spleen", "left_kidney", "urinary_bladder"])
def test_agrees_with_the_product(case, name):
    measured = Mask.from_array(case.mask(name), name=name).measure(case.ct)
    value = {
        f: reference_value({"fact": f, "structure": name}, case)
        for f in ("volume_ml", "mean_hu", "slice_range", "extent_mm")
    }
    assert value["volume_ml"] == pytest.approx(measured.volume_ml)
    assert value["mean_hu"] == pytest.approx(measured.mean_hu)
    assert value["slice_range"] == tuple(k + 1 for k in measured.slice_range)  # told from 1
    assert value["extent_mm"] == pytest.approx(np.multiply(measured.bounding_box.size, case.ct.spacing_mm))


def test_anatomy(case):
    def two(fact, a, b):
        return reference_value({"fact": fact, "structures": [a, b]}, case)

    assert two("side", "spleen", "liver") == "left"
    assert two("side", "liver", "spleen") == "right"
    assert two("above", "urinary_bladder", "liver") == "below"
    assert two("front", "aorta", "stomach") == "behind"
    assert two("larger", "liver", "spleen") == two("larger", "spleen", "liver") == "liver"
    assert two("smaller", "liver", "spleen") == "spleen"
    assert two("touching", "liver", "urinary_bladder") is False
    assert two("distance_mm", "liver", "urinary_bladder") == pytest.approx(
        two("distance_mm", "urinary_bladder", "liver")
    )


def test_presence_and_scan(case):
    assert reference_value({"fact": "present", "structure": "liver"}, case) is True
    assert reference_value({"fact": "present", "structure": "mandible"}, case) is False
    assert reference_value({"fact": "slice_count"}, case) == case.ct.shape[2]
    low, high = reference_value({"fact": "hu_range"}, case)
    assert low < -500 < 500 < high


def test_unknown_fact_is_an_error(case):
    with pytest.raises(KeyError):
        reference_value({"fact": "weight", "structure": "liver"}, case)
