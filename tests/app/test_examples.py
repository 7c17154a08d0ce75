"""Questions offered for a scan fit what it shows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from app.examples import ABDOMEN, CHEST, HEAD, examples
from app.scans import SAMPLES, SampleShelf
from app.viewer import Board


def test_the_bundled_samples():
    shelf = SampleShelf()
    assert examples(shelf.read("abdomen")) == list(ABDOMEN)
    assert examples(shelf.read("liver")) == list(ABDOMEN)
    assert examples(shelf.read("chest")) == list(CHEST)


def test_the_sample_that_opens_is_crisp_and_named_with_its_source():
    shelf = SampleShelf()
    assert shelf.default == "liver"
    ct = shelf.read(shelf.default)
    assert ct.shape[:2] == (512, 512)
    assert max(ct.spacing_mm[:2]) < 1
    about = shelf.samples["liver"].about
    assert "CC BY 4.0" in about
    assert "10.7937/QXK2-QG03" in about
    notice = (SAMPLES.parents[1] / "NOTICE").read_text()
    assert all(sample.file in notice for sample in shelf.samples.values())


def test_a_chest_opens_in_the_lung_window_and_an_abdomen_in_soft_tissue():
    shelf = SampleShelf()
    shown = {name: Board(shelf.read(name), "t").info() for name in ("chest", "abdomen", "liver")}
    names = {name: info["windows"][info["window"]]["name"] for name, info in shown.items()}
    assert names == {"chest": "Lung", "abdomen": "Soft tissue", "liver": "Soft tissue"}


def test_a_narrow_body_is_a_head():
    hu = np.full((40, 40, 30), -1000, np.int16)
    hu[5:33, 5:35, :] = 40
    narrow = SimpleNamespace(hu=hu, spacing_mm=(6.0, 6.0, 6.0), voxel_volume_ml=0.216)
    wide = SimpleNamespace(hu=hu, spacing_mm=(10.0, 6.0, 6.0), voxel_volume_ml=0.36)
    assert examples(narrow) == list(HEAD)
    assert examples(wide) == list(ABDOMEN)


def test_nothing_but_air():
    hu = np.full((20, 20, 10), -1000, np.int16)
    empty = SimpleNamespace(hu=hu, spacing_mm=(3.0, 3.0, 3.0), voxel_volume_ml=0.027)
    assert 4 <= len(examples(empty)) <= 6


def test_two_thick_slices():
    hu = np.full((30, 30, 2), 40, np.int16)
    thick = SimpleNamespace(hu=hu, spacing_mm=(1.0, 1.0, 40.0), voxel_volume_ml=0.04)
    assert 4 <= len(examples(thick)) <= 6
