"""The refiner: shapes, weights and configuration as files, and where a crop lies."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from medvl.ct.geometry import SourceGeometry
from medvl.ct.prompts import Box
from medvl.ct.volume import CTVolume
from medvl.errors import Cancelled
from medvl.networks.config import ModelConfig
from medvl.networks.localiser import CoarseMap, grid_size
from medvl.networks.refiner import Refiner, RefinerConfig, coarse_of_kinds, crop_maps, kind_of, look_closer
from medvl.training.nano.step import write_weights

CONFIG = RefinerConfig(("brainstem", "parotid"), patch=16, widths=(4, 6, 8, 10), embedding=5)
CPU = torch.device("cpu")


def echo() -> Refiner:
    """A network that says what the localiser says."""
    net = Refiner(CONFIG).eval()
    with torch.no_grad():
        net.queries.zero_()
        net.bias.zero_()
        net.trust.fill_(1.0)
    return net


def scan(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> CTVolume:
    affine = np.diag([*spacing, 1.0])
    return CTVolume(np.full(shape, 40, np.int16), affine, SourceGeometry(shape, affine))


def coarse_of(shape: tuple[int, int, int], **maps: np.ndarray) -> CoarseMap:
    stack = np.stack([np.zeros(shape), *maps.values()]).astype(np.float16)
    return CoarseMap(tuple(maps), stack, np.ones(shape, bool), (4.0, 4.0, 4.0))


def test_a_logit_for_every_kind_at_every_voxel():
    torch.manual_seed(0)
    net = Refiner(CONFIG).eval()
    maps = crop_maps(torch.zeros(2, 16, 24, 16), torch.rand(2, 2, 16, 24, 16))
    assert maps.shape == (2, 5, 16, 24, 16)
    assert net.pyramid(maps)[0].shape == (2, 5, 16, 24, 16)
    assert net(maps).shape == (2, 2, 16, 24, 16)


def test_the_image_and_the_first_stage_both_count():
    torch.manual_seed(0)
    net, hu, told = Refiner(CONFIG).eval(), torch.randn(1, 16, 16, 16) * 100, torch.full((1, 2, 16, 16, 16), 0.5)
    plain = net(crop_maps(hu, told))
    assert not torch.allclose(plain, net(crop_maps(hu + 100 * torch.randn(hu.shape), told)))
    surer = told.clone()
    surer[:, 1] = 0.9
    change = net(crop_maps(hu, surer)) - plain
    assert change[:, 1].mean() > change[:, 0].mean() + 0.5


def test_weights_and_configuration_come_back_from_their_files(tmp_path):
    torch.manual_seed(0)
    net = Refiner(CONFIG).eval()
    write_weights(net, tmp_path / "refiner.safetensors")
    ModelConfig(refiner=CONFIG).save(tmp_path)
    config = ModelConfig.load(tmp_path).refiner
    assert config == CONFIG
    assert json.loads((tmp_path / "config.json").read_text())["refiner"] == json.loads(json.dumps(asdict(CONFIG)))
    again = Refiner(config).eval()
    again.load_state_dict(load_file(tmp_path / "refiner.safetensors"))
    maps = torch.randn(1, 5, 16, 16, 16).abs().clamp(0, 1)
    assert torch.equal(net(maps), again(maps))


def test_a_kind_has_no_side_and_its_map_is_of_both():
    assert [kind_of(s) for s in ("right_parotid", "left_parotid", "brainstem")] == ["parotid", "parotid", "brainstem"]
    right, left = np.zeros((4, 4, 4)), np.zeros((4, 4, 4))
    right[3], left[0] = 0.75, 0.5
    maps = coarse_of_kinds(coarse_of((4, 4, 4), right_parotid=right, left_parotid=left), ("parotid", "larynx"))
    assert np.allclose(maps[0], right + left)
    assert not maps[1].any()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 5.0), (3.0, 2.0, 1.5)])
def test_a_crop_lies_where_its_box_does(spacing):
    # A probability that grows along the scan: what comes back tells the place of every voxel of the crop.
    ct = scan(tuple(round(160 / s) for s in spacing), spacing)
    shape = grid_size(ct.shape, ct.spacing_mm, 4.0)
    for axis in range(3):
        middles = (np.arange(shape[axis]) + 0.5) / shape[axis]
        ramp = np.broadcast_to(middles.reshape([-1 if a == axis else 1 for a in range(3)]), shape)
        box = Box(tuple(n // 4 for n in ct.shape), tuple(n // 4 + n // 2 for n in ct.shape))
        found = look_closer(echo(), ct, coarse_of(shape, brainstem=ramp), "brainstem", box, CPU)
        assert found.shape == grid_size(box.size, ct.spacing_mm, CONFIG.spacing_mm)
        line = found.mean(axis=tuple(a for a in range(3) if a != axis))
        lo, hi, n = box.lo[axis], box.hi[axis], ct.shape[axis]
        expected = (lo + (np.arange(line.size) + 0.5) * (hi - lo) / line.size) / n
        assert np.abs(line - expected).max() < 0.004


def test_a_scan_smaller_than_a_patch_is_seen_whole():
    ct = scan((8, 9, 3), (2.5, 2.5, 5.0))
    coarse = coarse_of((5, 6, 4), brainstem=np.full((5, 6, 4), 0.8))
    found = look_closer(echo(), ct, coarse, "brainstem", Box((0, 0, 0), ct.shape), CPU)
    assert found.shape == (8, 9, 6)
    assert np.allclose(found, 0.8, atol=0.01)


def test_cancel_ends_it_within_a_patch():
    ct = scan((60, 60, 60), (2.5, 2.5, 2.5))
    coarse, whole = coarse_of((38, 38, 38), brainstem=np.ones((38, 38, 38))), Box((0, 0, 0), ct.shape)
    cancel, told = threading.Event(), []

    def progress(share: float) -> None:
        told.append(share)
        if len(told) == 3:
            cancel.set()

    with pytest.raises(Cancelled):
        look_closer(echo(), ct, coarse, "brainstem", whole, CPU, cancel, progress)
    assert len(told) == 3
    assert 0 < told[-1] < 1
    assert told == sorted(told)
