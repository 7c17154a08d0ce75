"""``loss.names``: every labelled structure of a scan teaches the encoder, each with its own query, without words."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from safetensors.torch import load_file

import medvl
from medvl.networks.vision_encoder import LAYER_SCALE
from medvl.training.vlm import feed
from medvl.training.vlm.engine import train
from medvl.training.vlm.joint import NAMES, Joint, NameQueries
from medvl.vocabulary.names import STRUCTURES

from ..tiny_stages import NEEDS_PEFT, config_of, losses, write_cases

pytestmark = NEEDS_PEFT
MODEL = {"encoder_scale": 0.1, "train_encoder": True, "lora": None, "seg": {"maps": 5, "voxel_dim": 32}}
QUIET = {"augment": False, "cache": True, "workers": 0, "turns": 1, "validation": []}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder)
    return folder


def without_words(cases, output, steps):
    raw = config_of(cases, output)
    model = {name: getattr(raw.model, name) for name in ("language_model", "encoder", "input_size")}
    model |= {"low_tokens": raw.model.low_tokens, "high_tokens": raw.model.high_tokens} | MODEL
    data = {"train": [{"kind": "cases", "root": str(cases / "cases.json")}]} | QUIET
    loss = {"text": 0.0, "names": 1.0, "slice": 0.0}
    return config_of(cases, output, steps, model=model, data=data, loss=loss)


def test_every_name_has_a_query_of_its_own():
    queries = NameQueries(8)
    found = queries(list(STRUCTURES))
    assert torch.equal(found, queries(list(STRUCTURES)))
    apart = torch.cdist(found, found) + torch.eye(len(found))
    assert apart.min() > 1e-3


def test_structures_are_found_without_words_and_joint_goes_on_from_it(cases, tmp_path):
    history = train("joint", without_words(cases, tmp_path / "names", 40))
    assert sum(losses(history)[-5:]) < 0.6 * sum(losses(history)[:5])
    assert history[-1]["names_dice"] > history[0]["names_dice"]
    assert all(entry["text"] == 0 for entry in history)
    model = medvl.load(str(tmp_path / "names" / "model"), "cpu", "none")
    before = medvl.networks.language_model.LanguageModel.from_pretrained(cases / "lm", quantization="none")
    for name, tensor in before.model.state_dict().items():  # no loss reached it
        assert torch.equal(model.vlm.lm.model.state_dict()[name][: len(tensor)], tensor)
    start = {"model": {"start": str(tmp_path / "names" / "model"), "train_encoder": True, "lora": None}}
    later = config_of(
        cases, tmp_path / "joint", 2, data=QUIET | {"turns": 4}, loss={"names": 0.5, "slice": 0.0}, **start
    )
    taken, kept = Joint(later, torch.device("cpu")).names, load_file(tmp_path / "names" / "model" / NAMES)
    assert torch.equal(taken.table.weight, kept["table.weight"])
    first = train("joint", later)[0]
    assert first["text"] > 0
    assert first["coarse"] > 0
    assert first["names"] > 0
    voxels = medvl.load(str(tmp_path / "joint" / "model"), "cpu", "none").networks.seg_head.mix[1].weight
    assert not torch.equal(voxels, model.networks.seg_head.mix[1].weight)


def test_a_state_learns_to_ask_as_the_name_of_its_structure_does(cases, tmp_path):
    start = {"model": {"language_model": str(cases / "lm"), "encoder": "nano", "input_size": (32, 64, 64),
                       "low_tokens": (6, 4), "high_tokens": (3, 2)} | MODEL}  # fmt: skip
    config = config_of(cases, tmp_path, data=QUIET, loss={"names": 1.0, "slice": 0.0, "coarse": 0.0}, **start)
    stage = Joint(config, torch.device("cpu"))
    samples = feed.open_samples(config.data.train)
    items = feed.Feed(samples, config, stage.size, partial(feed.segmenting, count=4, absent_share=0.0), True)
    item = next(i for i in (items[epoch, 0] for epoch in range(20)) if any(t.targets for t in i["turns"]))
    optimiser = torch.optim.Adam([p for p in stage.parameters() if p.requires_grad], 2e-3)

    def apart():
        with torch.no_grad():
            _, (reading,), states = stage.speak([item], stage.maps([item]))
            found = states[0][(reading.labels == stage.seg_id).nonzero()[:, 0]]
            meant = stage.names(reading.targets[: len(found)])
            return float((stage.head.query(found) - meant).norm() / meant.norm())

    before = apart()
    for _ in range(30):
        stage([item])["loss"].backward()
        optimiser.step()
        optimiser.zero_grad()
    assert apart() < 0.6 * before


def test_a_new_encoder_may_start_with_branches_that_count(cases, tmp_path):
    for given, wanted in (({}, LAYER_SCALE), ({"encoder_scale": 0.1}, 0.1)):
        config = config_of(cases, tmp_path)
        for name, value in given.items():
            setattr(config.model, name, value)
        scales = [p for n, p in Joint(config, torch.device("cpu")).encoder.named_parameters() if n.endswith(".scale")]
        assert scales
        assert all(torch.equal(p, torch.full_like(p, wanted)) for p in scales)


def test_a_kept_scan_is_spoken_of_in_other_words_in_each_epoch(cases, tmp_path):
    config = without_words(cases, tmp_path, 1)
    samples = feed.open_samples(config.data.train)
    items = feed.Feed(samples, config, (32, 64, 64), partial(feed.segmenting, count=4, absent_share=0.0), True)
    visits = [items[epoch, 0] for epoch in range(8)]
    for item in visits:
        assert set(item["masks"]) == {"liver", "spleen"}  # also what this epoch's words do not point at
        assert item["image"] is visits[0]["image"]
        assert {name for turn in item["turns"] for name in turn.targets} <= set(item["masks"])
    assert len({tuple(turn.question for turn in item["turns"]) for item in visits}) > 2
