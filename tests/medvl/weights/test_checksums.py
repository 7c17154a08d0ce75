"""Half a weight file, and one flipped bit in it, are named at load."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from medvl.errors import WeightsError
from medvl.weights import checksums, hub


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"name": "small"}))
    save_file({"weight": torch.arange(1000.0)}, tmp_path / "net.safetensors")
    return tmp_path


def load(folder):
    return hub.read_weights(folder, "net"), dict(hub.StoredWeights(folder, "net"))


def test_whole_weights_pass_and_the_rest_of_the_config_stays(folder):
    checksums.record(folder)
    assert json.loads((folder / "config.json").read_text())["name"] == "small"
    for loaded in load(folder):
        assert torch.equal(loaded["weight"], torch.arange(1000.0))


def test_one_flipped_bit(folder):
    checksums.record(folder)
    data = bytearray((folder / "net.safetensors").read_bytes())
    data[-100] ^= 1
    (folder / "net.safetensors").write_bytes(data)
    for read in (hub.read_weights, hub.StoredWeights):
        with pytest.raises(WeightsError, match=r"net\.safetensors is damaged"):
            read(folder, "net")
    checksums.record(folder)  # on purpose
    load(folder)


@pytest.mark.parametrize("recorded", [True, False])
def test_half_a_file(folder, recorded):
    if recorded:
        checksums.record(folder)
    data = (folder / "net.safetensors").read_bytes()
    (folder / "net.safetensors").write_bytes(data[: len(data) // 2])
    for read in (hub.read_weights, hub.StoredWeights):
        with pytest.raises(WeightsError, match=r"net\.safetensors is damaged or cut short"):
            read(folder, "net")


def test_half_a_pt_file_and_half_an_index(folder):
    torch.save({"model": {"weight": torch.arange(1000.0)}}, folder / "other.pt")
    data = (folder / "other.pt").read_bytes()
    (folder / "other.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match=r"other\.pt is damaged"):
        hub.StoredWeights(folder, "other")
    (folder / "net.safetensors.index.json").write_text('{"weight_map": {')
    with pytest.raises(WeightsError, match=r"index\.json is damaged"):
        hub.read_weights(folder, "net")


def test_the_bundle_is_whole():
    files = sorted((hub.BUNDLED / "nano").glob("*.safetensors"))
    known = json.loads((hub.BUNDLED / "nano" / "config.json").read_text())[checksums.KEY]
    assert set(known) == {file.name for file in files}
    checksums.check(files)
