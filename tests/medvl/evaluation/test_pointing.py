"""Masks of [SEG] beside the localiser's: a tiny model that points at the liver whatever it is asked for."""

from __future__ import annotations

import numpy as np
import pytest

import medvl
from medvl.errors import MedVLError
from medvl.evaluation.cases import LabelledCase
from medvl.evaluation.pointing import run_case, summary

from .. import talking


@pytest.fixture(scope="module")
def told(tmp_path_factory, model):
    return talking.write(tmp_path_factory.mktemp("pointing"), model, "Segment the liver.")


@pytest.fixture(scope="module")
def case(told):
    labels = np.zeros(told.ct.shape, np.int16)
    for value, organ in enumerate(told.organs, start=1):
        labels[organ] = value
    complete = frozenset({"liver", "spleen", "pancreas"})
    return LabelledCase("c", told.ct, labels, {1: "liver", 2: "spleen"}, "made", complete)


@pytest.fixture(scope="module")
def results(told, case):
    return {r.structure: r for r in run_case(medvl.load(str(told.folder), "cpu", "none"), case)}


def test_each_structure_is_asked_for_and_compared_with_its_own_reference(results):
    assert list(results) == ["liver", "spleen", "pancreas"]
    liver, spleen, pancreas = results.values()
    assert liver.question == "Segment the liver."
    assert liver.pointed
    assert liver.seg_found
    assert liver.coarse > 0.5
    assert liver.seg > 0.5
    assert not spleen.seg  # it has the liver's mask, or none
    assert (pancreas.coarse, pancreas.seg, pancreas.localiser) == (None, None, None)
    assert all(r.localiser_found is not None for r in results.values())  # the bundled localiser knows them


def test_means_are_told_side_by_side(results):
    lines = summary(list(results.values()))
    assert lines[0].split() == ["by", "name", "requests", "[SEG]", "said", "coarse", "[SEG]", "localiser"]
    row = next(line.split() for line in lines if line.startswith("mean"))
    liver, spleen = results["liver"], results["spleen"]
    assert float(row[-2]) == pytest.approx((liver.seg + spleen.seg) / 2, abs=6e-4)
    assert float(row[-1]) == pytest.approx((liver.localiser + spleen.localiser) / 2, abs=6e-4)
    assert lines[-1].startswith("absent: 1 requests")


def test_a_model_that_does_not_point_is_refused(model, case):
    with pytest.raises(MedVLError, match="joint stage"):
        next(run_case(model, case))
