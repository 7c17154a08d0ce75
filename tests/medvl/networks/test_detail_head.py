"""The detail head: shapes, its place over a localiser, and its configuration."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medvl.networks.config import ModelConfig
from medvl.networks.detail_head import FAR_MM, LANDMARKS, DetailConfig, DetailHead, surroundings
from medvl.networks.localiser import CoarseMap, Localiser, LocaliserConfig


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Localiser(LocaliserConfig(("liver",), widths=(4, 6, 8, 10), embedding=5)).eval()


def test_pyramid_ends_in_the_embeddings_that_the_logits_come_from(net):
    maps = torch.randn(1, 5, 16, 24, 32)
    levels = net.pyramid(maps)
    assert [tuple(x.shape[1:]) for x in levels] == [(5, 16, 24, 32), (6, 8, 12, 16), (8, 4, 6, 8), (10, 2, 3, 4)]
    embeddings, coarse = net.embed(maps)
    assert torch.equal(embeddings, levels[0])
    assert torch.equal(coarse, levels[2])
    assert torch.equal(net.ask(levels[0]), net(maps))


def test_head_gives_a_logit_for_every_class_and_the_background(net):
    head = DetailHead(DetailConfig(("ribs", "colon", "femur"), (5, 6, 8, 10), 7, (12, 9)))
    logits = head(net.pyramid(torch.randn(2, 5, 16, 16, 16)), torch.randn(2, 7, 16, 16, 16))
    assert logits.shape == (2, 4, 16, 16, 16)


def coarse_of(**structures: np.ndarray) -> CoarseMap:
    stack = np.stack([np.zeros_like(next(iter(structures.values()))), *structures.values()]).astype(np.float16)
    return CoarseMap(tuple(structures), stack, np.ones(stack.shape[1:], bool), (4.0, 4.0, 4.0))


def test_surroundings_tell_how_far_and_which_way_and_no_side():
    column, liver = np.zeros((21, 12, 30)), np.zeros((21, 12, 30))
    column[9:12, 2:5] = 1
    liver[14:18, 5:9, 20:24] = 1
    here = surroundings(coarse_of(vertebral_column=column, liver=liver))
    there = surroundings(coarse_of(vertebral_column=column[::-1], liver=liver[::-1]))
    assert np.allclose(here[:, ::-1], there, atol=1e-5)
    distance, forward, headward = here[2 + 3 * LANDMARKS.index(("liver",)) :][:3]
    assert distance[15, 6, 10] == pytest.approx(40 / FAR_MM)
    assert headward[15, 6, 10] == pytest.approx(40 / FAR_MM)
    assert headward[15, 6, 26] == pytest.approx(-12 / FAR_MM)
    assert forward[15, 2, 21] == pytest.approx(12 / FAR_MM)
    heart = here[2 + 3 * LANDMARKS.index(("heart",)) :][:3]
    assert (heart[0] == 1).all()  # what is not there is far away
    assert not heart[1:].any()


def test_configuration_survives_a_file(tmp_path):
    config = ModelConfig(
        localiser=LocaliserConfig(("liver",)), detail_head=DetailConfig(("ribs",), offered=("right_ribs", "left_ribs"))
    )
    config.save(tmp_path)
    assert ModelConfig.load(tmp_path) == config
