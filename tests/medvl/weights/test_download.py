"""Downloads and uploads against a hub on this machine: resuming, offline, pinned revisions, progress, push."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import medvl
from medvl import MedVLSAM2
from medvl.errors import WeightsError
from medvl.networks.vlm import VisionLanguageModel
from medvl.weights import checkpoints as hub_checkpoints
from medvl.weights import download as hub_download
from medvl.weights import hub

from ..local_hub import LocalHub
from ..tiny_checkpoints import write_med3dvlm

VLM = hub_checkpoints.VLM


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The files of a tiny Med3DVLM by name."""
    folder = tmp_path_factory.mktemp("med3dvlm")
    write_med3dvlm(folder)
    return {f.name: f.read_bytes() for f in folder.iterdir()}


@pytest.fixture
def server(monkeypatch, tmp_path):
    server = LocalHub()
    server.use(monkeypatch, tmp_path / "cache")
    yield server
    server.close()


def test_a_download_that_broke_off_goes_on_where_it_was(server, checkpoint):
    server.commit(VLM.repo, checkpoint)
    server.cut.add("model.safetensors")
    folder = hub_checkpoints.find(VLM)
    weights = [first for name, first in server.served if name == "model.safetensors"]
    size = len(checkpoint["model.safetensors"])
    assert len(weights) == 2
    assert weights[0] == 0
    assert 0 < weights[1] <= size // 2  # the rest only
    assert (folder / "model.safetensors").read_bytes() == checkpoint["model.safetensors"]


def test_files_that_are_complete_are_not_fetched_again(server, checkpoint):
    server.commit(VLM.repo, checkpoint)
    server.refused.add("model.safetensors")
    with pytest.raises(WeightsError, match="hf download"):
        hub_checkpoints.find(VLM)
    server.refused.clear()
    before = {name for name, _ in server.served}
    assert before
    server.served.clear()
    folder = hub_checkpoints.find(VLM)  # what an interrupted download left does not count as pinned
    fetched = {name for name, _ in server.served}
    assert "model.safetensors" in fetched
    assert not fetched & before
    assert (folder / "model.safetensors").read_bytes() == checkpoint["model.safetensors"]


def test_progress_is_shown(server, checkpoint, capsys):
    server.commit(VLM.repo, checkpoint)
    hub_checkpoints.find(VLM)
    assert "%" in capsys.readouterr().err


def test_first_download_pins_the_revision_and_works_offline(server, checkpoint, monkeypatch):
    first = server.commit(VLM.repo, checkpoint)
    assert hub_download.commit_of(hub_checkpoints.find(VLM)) == first
    second = server.commit(VLM.repo, {**checkpoint, "extra.json": b"{}"})
    assert hub_download.commit_of(hub_checkpoints.find(VLM)) == first
    assert hub_download.commit_of(hub_checkpoints.find(VLM, revision=second)) == second
    server.online(monkeypatch, False)
    folder = hub_checkpoints.find(VLM, revision=first)
    assert hub_download.commit_of(folder) == first
    assert VisionLanguageModel.load(folder, quantization="none").config.input_size == (32, 64, 64)
    assert first[:12] in VLM.notice_of(folder)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        hub_checkpoints.find(replace(VLM, repo="nobody/nothing"))


def test_pinned_checkpoints_are_asked_for_by_their_commit(server):
    pinned = hub_checkpoints.SAM2["sam2.1-tiny"]
    server.commit(pinned.repo, {pinned.files[0]: b"other weights"})
    with pytest.raises(WeightsError, match=pinned.revision):
        hub_checkpoints.find(pinned)  # the hub's newest is another commit, and is not taken instead
    server.repos[pinned.repo][pinned.revision] = {pinned.files[0]: b"weights", "unneeded.bin": b"x"}
    folder = hub_checkpoints.find(pinned)
    assert folder.name == pinned.revision
    assert sorted(f.name for f in folder.iterdir()) == [pinned.files[0]]


def test_every_sam2_choice_is_pinned_by_a_commit():
    assert all(len(c.revision) == 40 and int(c.revision, 16) for c in hub_checkpoints.SAM2.values())


def test_what_was_pushed_loads_by_its_name(server, model, monkeypatch):
    monkeypatch.setattr("medvl.model.SHARD", "40MB")
    pushed = model.push_to_hub("me/mine", token="not-checked")
    assert "me/mine" in str(pushed)
    files = next(reversed(server.repos["me/mine"].values()))
    assert {"config.json", "propagator.safetensors", "README.md"} <= set(files)
    assert sum(n.startswith(model.config.segmenter.weights + "-") for n in files) > 1  # shards
    again = medvl.load("me/mine", device="cpu")
    other = MedVLSAM2.from_pretrained("me/mine", device="cpu")
    for loaded in (again, other):
        assert loaded.config == model.config
        state = loaded.networks.propagator.state_dict()
        assert all(torch.equal(t, state[n]) for n, t in model.networks.propagator.state_dict().items())
    commit = next(reversed(server.repos["me/mine"]))
    assert commit[:12] in " ".join(again.notices())
    server.online(monkeypatch, False)
    assert medvl.load("me/mine", device="cpu").config == model.config


def test_names_that_are_nowhere_are_told(server):
    with pytest.raises(WeightsError, match="nobody/nothing"):
        medvl.load("nobody/nothing", device="cpu")
    server.commit("some/dataset", {"notes.json": b"{}"})
    with pytest.raises(WeightsError, match=r"no config\.json"):
        hub.find_model("some/dataset")
