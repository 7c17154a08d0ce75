"""The detail head: shapes, its place over a localiser, and its configuration."""

from __future__ import annotations

import pytest
import torch

from medvl.config import ModelConfig
from medvl.details import DetailConfig, DetailHead
from medvl.localiser import Localiser, LocaliserConfig


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
    head = DetailHead(DetailConfig(("ribs", "colon", "femur"), (5, 6, 8, 10), 12))
    assert head(net.pyramid(torch.randn(2, 5, 16, 16, 16))).shape == (2, 4, 16, 16, 16)


def test_configuration_survives_a_file(tmp_path):
    config = ModelConfig(
        localiser=LocaliserConfig(("liver",)), detail_head=DetailConfig(("ribs",), offered=("right_ribs", "left_ribs"))
    )
    config.save(tmp_path)
    assert ModelConfig.load(tmp_path) == config
