from __future__ import annotations

import re

import pytest
import torch

import medvl
from medvl.errors import WeightsError
from medvl.networks.language_model import Conversation, LanguageModel, Prompt, empty_model
from medvl.networks.vlm import VisionLanguageModel
from medvl.weights.placement import HEADROOM, Placement, free_memories, plan, shares
from medvl.weights.quantization import Precision, bitsandbytes_config, quantizable

from ..tiny_checkpoints import write_language_model, write_med3dvlm, write_model_folder

CPU, GPU, GB = torch.device("cpu"), torch.device("cuda"), 10**9
ENDS = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
LAST_ON_DISK = {**ENDS, "model.layers.0": "cpu", "model.layers.1": "disk"}


@pytest.fixture(scope="module")
def seven():
    """Qwen2.5-7B with Med3DVLM's vocabulary, without memory."""
    from transformers import Qwen2Config

    return empty_model(
        Qwen2Config(
            vocab_size=151_666,
            hidden_size=3584,
            intermediate_size=18_944,
            num_hidden_layers=28,
            num_attention_heads=28,
            num_key_value_heads=4,
            tie_word_embeddings=False,
        )
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    write_language_model(folder)
    return folder


@pytest.fixture(autouse=True)
def bfloat16(monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda *_: (8, 0))


def memory(gpus: list[float], ram: float = 64) -> dict:
    return {n: int(size * GB) for n, size in enumerate(gpus)} | {"cpu": int(ram * GB)}


# 7.6e9 weights: 15.2 GB in bfloat16, 8.8 GB in 8-bit, 5.5 GB in 4-bit; four fifths of what is free may be taken.
@pytest.mark.parametrize(
    ("gpus", "mode", "used"),
    [
        ([80], "none", {0}),
        ([16], "8bit", {0}),
        ([8], "4bit", {0}),
        ([80, 80], "none", {0}),  # one is enough
        ([12, 12], "none", {0, 1}),
        ([7, 7], "8bit", {0, 1}),
        ([4.5, 4.5], "4bit", {0, 1}),
        ([8, 8, 8, 8], "none", {0, 1, 2}),
        ([6, 6, 6, 6], "none", {0, 1, 2, 3}),
        ([2, 40, 2, 2], "none", {1}),
    ],
)
def test_most_precise_that_fits_on_the_fewest_gpus(seven, gpus, mode, used):
    found = plan(seven, "auto", GPU, free=memory(gpus))
    assert found.precision.mode == mode
    assert {found.place(n) for n, _ in seven.named_parameters()} == used
    assert found.main == torch.device("cuda", min(used))
    for place, size in shares(seven, found).items():
        assert size <= HEADROOM * gpus[place] * GB
    assert all(f"cuda:{n}" in found.precision.reason for n in used) or len(used) == 1


def test_layers_are_not_split_and_stay_in_order(seven):
    found = plan(seven, "none", GPU, free=memory([8, 8, 8, 8]))
    at = [{found.place(n) for n, _ in layer.named_parameters(f"model.layers.{i}")}
          for i, layer in enumerate(seven.model.layers)]  # fmt: skip
    assert all(len(places) == 1 for places in at)
    order = [place for places in at for place in places]
    assert order == sorted(order)
    assert found.place("model.embed_tokens.weight") == 0
    assert found.place("lm_head.weight") == order[-1]


def test_what_a_small_gpu_cannot_hold_is_offloaded_unquantised(seven):
    found = plan(seven, "auto", GPU, free=memory([5.5]))
    held = shares(seven, found)
    assert found.precision.mode == "4bit"
    assert held.keys() == {0, "cpu"}
    layer = sum(p.numel() for p in seven.model.layers[0].parameters())
    largest = max(layer, seven.lm_head.weight.numel())
    assert held[0] + 2 * largest <= HEADROOM * 5.5 * GB  # room to bring one back
    away = {n for n in quantizable(seven) if found.offloaded(n)}
    assert away
    assert away < set(quantizable(seven))
    assert found.place("lm_head.weight") == "cpu"
    for said in ("4-bit", "main memory", "slow", "not quantised"):
        assert said in found.precision.reason


def test_what_main_memory_cannot_hold_stays_in_the_files(seven):
    found = plan(seven, "4bit", GPU, free=memory([5.5], ram=2))
    held = shares(seven, found)
    assert held.keys() == {0, "cpu", "disk"}
    assert held["cpu"] <= HEADROOM * 2 * GB
    assert "checkpoint's files" in found.precision.reason


def test_one_device_can_be_insisted_on(seven):
    found = plan(seven, "none", GPU, "single", free=memory([8, 8]))
    assert found.device_map == {"": 0}
    assert found.precision.mode == "none"
    assert plan(seven, "auto", torch.device("cuda:1"), free={1: 80 * GB, "cpu": GB}).device_map == {"": 1}


def test_on_the_cpu_nothing_is_spread_unless_asked(seven):
    assert plan(seven, "auto", CPU, free=memory([], ram=12)).device_map == {"": "cpu"}
    found = plan(seven, "none", CPU, max_memory={"cpu": 16 * GB}, free=memory([]))
    assert shares(seven, found).keys() == {"cpu", "disk"}
    assert shares(seven, found)["cpu"] <= 16 * GB


def test_a_map_of_ones_own(seven):
    halves = {"": 1} | {f"model.layers.{n}": 0 for n in range(14)}
    found = plan(seven, "auto", GPU, halves, free=memory([12, 14]))
    assert found.precision.mode == "none"
    assert plan(seven, "auto", GPU, halves, free=memory([12, 8])).precision.mode == "8bit"
    assert found.place("model.layers.13.mlp.up_proj.weight") == 0
    assert found.place("model.layers.14.mlp.up_proj.weight") == 1


def test_nonsense_is_refused(seven):
    for wrong in ("balanced", {"": 3}, {"": "gpu"}, {}):
        with pytest.raises(WeightsError, match="device map"):
            plan(seven, "none", GPU, wrong, free=memory([80]))
    with pytest.raises(WeightsError, match="does not cover"):
        plan(seven, "none", GPU, {"model.layers.0": 0}, free=memory([80]))
    with pytest.raises(WeightsError, match="max_memory"):
        plan(seven, "none", CPU, max_memory={0: GB}, free=memory([]))


def test_each_of_several_processes_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 2)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda d: (d.index + 1, 9))
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert list(free_memories(GPU)) == [0, 1, 2, 3, "cpu"]
    assert list(free_memories(torch.device("cuda:1"))) == [1, "cpu"]
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert list(free_memories(GPU)) == [2, "cpu"]


# ---- really dispatched, over memory and files


def logits(lm):
    with torch.inference_mode():
        return lm.model(torch.tensor([lm.encode("where is the large liver ?")])).logits


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
@pytest.mark.parametrize("tied", [False, True])
def test_dispatched_over_memory_and_disk_the_logits_are_the_same(tmp_path, kind, tied):
    write_language_model(tmp_path, kind, tie_word_embeddings=tied)
    whole = LanguageModel.from_pretrained(tmp_path, quantization="none")
    parted = LanguageModel.from_pretrained(tmp_path, quantization="none", device_map=LAST_ON_DISK)
    away = {n for n, p in parted.model.named_parameters() if p.is_meta}
    assert away == {n for n, _ in parted.model.named_parameters() if n.startswith("model.layers.1.")}
    assert torch.equal(logits(parted), logits(whole))
    assert "checkpoint's files" in parted.precision.reason
    answers = [[t.id for t in Conversation(m).stream(Prompt(m.encode("what is the size")), 9)] for m in (whole, parted)]
    assert answers[0] == answers[1]
    assert len(answers[0]) > 2


def test_a_limit_of_memory_sends_the_rest_to_disk(tmp_path):
    write_language_model(tmp_path, num_hidden_layers=8)
    whole = LanguageModel.from_pretrained(tmp_path, quantization="none")
    size = sum(p.nbytes for p in whole.model.parameters())
    parted = LanguageModel.from_pretrained(tmp_path, quantization="none", max_memory={"cpu": int(0.8 * size)})
    held = sum(p.nbytes for p in parted.model.parameters() if not p.is_meta)
    assert 0 < held <= 0.8 * size
    assert torch.equal(logits(parted), logits(whole))


def test_everything_on_disk_even_the_embeddings(folder):
    parted = LanguageModel.from_pretrained(folder, quantization="none", device_map={"": "disk"})
    assert all(p.is_meta for p in parted.model.parameters())
    assert parted.device == CPU
    assert torch.equal(logits(parted), logits(LanguageModel.from_pretrained(folder, quantization="none")))


def test_without_a_gpu_nothing_is_quantised_once_a_part_stays_in_the_files(folder):
    parted = LanguageModel.from_pretrained(folder, quantization="4bit", device_map=LAST_ON_DISK)
    assert {type(m).__name__ for n, m in parted.model.named_modules() if n.endswith("proj")} == {"Linear"}
    assert parted.precision.mode == "none"
    assert parted.precision.reason.startswith("float32: ")
    assert "not quantised" in parted.precision.reason


def test_what_is_offloaded_from_a_gpu_is_left_out_of_what_is_quantised(seven):
    found = plan(seven, "4bit", GPU, free=memory([5.5], ram=2))
    skipped = set(bitsandbytes_config(seven, found.precision, found.offloaded).llm_int8_skip_modules)
    away = {n for n in quantizable(seven) if found.offloaded(n)}
    assert away
    assert skipped == away | {"lm_head"}


def test_nf4_in_the_files_is_read_as_it_is_and_cannot_stay_there(folder, tmp_path):
    lm = LanguageModel.from_pretrained(folder, quantization="4bit")
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    again = LanguageModel.from_pretrained(tmp_path)
    assert again.precision.mode == "4bit"
    assert "stored" in again.precision.reason
    assert torch.equal(logits(again), logits(lm))
    with pytest.raises(WeightsError, match="stored in 4 bit"):
        LanguageModel.from_pretrained(tmp_path, device_map=LAST_ON_DISK)


def test_vision_language_model_answers_as_the_undivided_one(tmp_path):
    write_med3dvlm(tmp_path)
    whole = VisionLanguageModel.from_pretrained(tmp_path, quantization="none")
    parted = VisionLanguageModel.from_pretrained(tmp_path, quantization="none", device_map=LAST_ON_DISK)
    image = torch.rand(1, 1, 32, 64, 64, generator=torch.Generator().manual_seed(2))
    assert torch.equal(parted.image_tokens(image), whole.image_tokens(image))  # the vision parts are not divided
    asked = [[t.id for t in m.conversation(m.image_tokens(image)).ask("where is the liver ?", 8)]
             for m in (whole, parted)]  # fmt: skip
    assert asked[0] == asked[1]
    with pytest.raises(WeightsError, match="offloaded"):
        parted.save_pretrained(tmp_path / "saved")


def test_load_takes_a_map_and_tells_it(model, tmp_path):
    write_model_folder(tmp_path, model)
    shared = medvl.MedVLSAM2.from_pretrained(str(tmp_path), device="cpu", quantization="none", device_map=LAST_ON_DISK)
    assert re.search(r"float32 as asked: .* cpu, .* left in the checkpoint's files; .*slow", shared.notices()[0])
    assert any(p.is_meta for p in shared.vlm.lm.model.parameters())
    assert not any(p.is_meta for p in shared.networks.sam2.net.parameters())


def test_places_of_a_placement():
    precision, places = Precision("none", torch.bfloat16, ""), {"a": 0, "a.b": "cpu", "c": "disk"}
    placed = Placement(precision, places, torch.device("cuda:0"))
    assert [placed.place(n) for n in ("a.x", "a.b.x", "c.x")] == [0, "cpu", "disk"]
    assert [placed.offloaded(n) for n in ("a.x", "a.b.x", "c.x")] == [False, True, True]
