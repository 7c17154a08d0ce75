"""The localiser's grids and the bundled network on the bundled abdomen."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from medvl.ct.geometry import SourceGeometry
from medvl.ct.volume import CTVolume
from medvl.errors import Cancelled
from medvl.evaluation.interactive import dice
from medvl.networks.localiser import (
    Localiser,
    LocaliserConfig,
    body_of,
    grid_size,
    locate,
    make_maps,
    place_of,
    resample,
)

TINY = LocaliserConfig(structures=("liver", "spleen"), patch=16, widths=(4, 4, 8, 8), embedding=6)


@pytest.fixture(scope="module")
def tiny() -> Localiser:
    torch.manual_seed(0)
    return Localiser(TINY).eval()


@pytest.fixture(scope="module")
def coarse(model, abdomen):
    return locate(model.networks.localiser, abdomen.ct, torch.device("cpu"))


def test_resampling_keeps_the_mean_and_the_place_of_a_ramp():
    ramp = torch.arange(60.0).reshape(1, 1, 60).expand(20, 30, 60)
    small = resample(ramp, (10, 15, 20))
    assert small.shape == (10, 15, 20)
    assert float(small.mean()) == pytest.approx(29.5, abs=0.05)
    assert torch.allclose(small[3, 3, 2:-2], torch.arange(20.0)[2:-2] * 3 + 1, atol=0.05)


def test_resampling_averages_what_it_cannot_show():
    stripes = (torch.arange(64) % 2).float().reshape(1, 1, 64).expand(8, 8, 64)
    assert float((resample(stripes, (8, 8, 16)) - 0.5).abs()[..., 1:-1].max()) < 0.05


def test_grid_covers_the_same_extent():
    assert grid_size((512, 512, 100), (0.8, 0.8, 5.0), 4.0) == (102, 102, 125)


def test_body_leaves_the_table_out():
    hu = np.full((40, 40, 20), -1000.0)
    hu[8:32, 10:28, :] = 40
    hu[12:16, 12:16, :] = -1000  # gas inside
    hu[4:36, 33:35, :] = 100  # a table below
    body = body_of(hu)
    assert body[20, 20, 10]
    assert body[14, 14, 10]
    assert not body[20, 34, 10]


def test_place_grows_to_the_right_and_forward():
    body = np.zeros((20, 16, 4), bool)
    body[4:16, 4:12] = True
    place = place_of(body, 5.0)
    assert place.shape == (2, 20, 16, 4)
    assert place[0, 19, 0, 0] - place[0, 0, 0, 0] == pytest.approx(19 * 0.05)
    assert abs(place[0, 9, 0, 0]) <= 0.05
    assert (np.diff(place[1], axis=1) > 0).all()


def test_logits_are_similarities_of_embeddings_with_queries(tiny):
    maps = make_maps(torch.randn(1, 16, 16, 16) * 100, torch.zeros(1, 2, 16, 16, 16))
    embeddings, _ = tiny.embed(maps)
    by_hand = torch.einsum("bedhw,ke->bkdhw", embeddings, tiny.queries) + tiny.bias[None, :, None, None, None]
    assert torch.allclose(tiny(maps), by_hand, atol=1e-5)


def test_probabilities_add_up_and_cover_the_scan(tiny):
    rng = np.random.default_rng(0)
    hu = np.full((60, 50, 40), -1000, np.int16)
    hu[10:50, 10:40] = rng.normal(40, 30, (40, 30, 40))
    ct = CTVolume(hu, np.diag([4.0, 4.0, 4.0, 1.0]), SourceGeometry(hu.shape, np.eye(4)))
    shares = []
    found = locate(tiny, ct, torch.device("cpu"), progress=shares.append)
    assert found.probability.shape == (3, 60, 50, 40)
    assert np.allclose(found.probability.astype(np.float32).sum(0), 1, atol=0.01)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_a_set_cancel_stops_before_the_next_patch(tiny, abdomen):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        locate(tiny, abdomen.ct, torch.device("cpu"), cancel)


@pytest.mark.parametrize("name", ["liver", "spleen", "right_kidney", "left_kidney"])
def test_bundled_network_finds_organs_on_the_abdomen(coarse, abdomen, name):
    reference = resample(torch.from_numpy(abdomen.mask(name).astype(np.float32)), coarse.body.shape).numpy() > 0.5
    assert dice(coarse.of(name) > 0.5, reference) > 0.8
