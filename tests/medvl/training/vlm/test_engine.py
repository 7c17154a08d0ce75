"""The stages on a tiny model and a tiny scan: they learn, resume exactly, and what they save is loaded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import medvl
from medvl.networks.vlm import VisionLanguageModel
from medvl.training.vlm.engine import checkpoints, train
from medvl.training.vlm.feed import Order
from medvl.training.vlm.stages import AlignProjector, read

from ..tiny_stages import NEEDS_PEFT, config_of, losses, write_cases

pytestmark = NEEDS_PEFT


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    write_cases(folder)
    return folder


def test_order_is_the_same_from_any_start_and_shared_out():
    whole = iter(Order(5, 2, 0, 0, 1))
    batches = [next(whole) for _ in range(10)]
    later = iter(Order(5, 2, 0, 0, 1, start=6))
    assert [next(later) for _ in range(4)] == batches[6:]
    seen = [place for batch in batches[:5] for place in batch]
    assert sorted(seen) == [(e, i) for e in range(2) for i in range(5)]
    ranks = [iter(Order(5, 1, 0, rank, 2)) for rank in range(2)]
    assert [next(ranks[n % 2])[0] for n in range(10)] == seen


def test_joint_resumes_exactly_and_is_loaded(cases, tmp_path):
    straight = train("joint", config_of(cases, tmp_path / "a"))
    stopped = train("joint", config_of(cases, tmp_path / "b", run={
        "log_every": 1, "save_every": 1, "keep": 1, "device": "cpu", "evaluate_every": 1}), stop_after=2)  # fmt: skip
    assert [c.name for c in checkpoints(tmp_path / "b")] == ["step-00000002"]
    resumed = train("joint", config_of(cases, tmp_path / "b"))
    assert losses(stopped) == losses(straight)[:2]
    assert losses(resumed) == losses(straight)
    assert len(losses(straight)) == 4
    assert np.isfinite(straight[-1]["validation/loss"])
    one, two = (medvl.load(str(tmp_path / n / "model"), "cpu", "none") for n in "ab")
    assert one.vlm.lm.seg_id() is not None
    assert all(torch.equal(t, two.vlm.state_dict()[n]) for n, t in one.vlm.state_dict().items())
    assert all(
        torch.equal(t, two.networks.seg_head.state_dict()[n]) for n, t in one.networks.seg_head.state_dict().items()
    )


def test_projector_learns_and_the_language_model_stays(cases, tmp_path):
    samples = list(_captioned(cases))
    history = train("align-projector", config_of(cases, tmp_path, steps=12, data={"validation": []}), samples=samples)
    assert losses(history)[-1] < losses(history)[0]
    again = VisionLanguageModel.load(tmp_path / "model" / "vlm", quantization="none")
    before = medvl.networks.language_model.LanguageModel.from_pretrained(cases / "lm", quantization="none")
    for name, tensor in before.model.state_dict().items():
        assert torch.equal(again.lm.model.state_dict()[name][: len(tensor)], tensor)


def test_answers_are_labelled_where_inference_reads_them(cases, tmp_path):
    from medvl.training.datasets.samples import Turn

    stage = AlignProjector(config_of(cases, tmp_path), torch.device("cpu"))
    image = torch.randn(6, 64)
    turns = [Turn("where is it ?", "the liver is large"), Turn("what size ?", "normal .")]
    reading = read(stage.vlm, image, turns, 1000)
    tokenizer = stage.vlm.lm.tokenizer
    learned = [i for i in reading.labels.tolist() if i >= 0]
    assert tokenizer.decode(learned) == "the liver is large <|im_end|> normal . <|im_end|>"
    prompt = stage.vlm.prompt(image, turns[1].question, [(turns[0].question, turns[0].answer)])
    assert reading.ids.tolist()[: len(prompt.ids)] == prompt.ids
    assert torch.equal(reading.embeds[: len(prompt.ids)], prompt.embeds)


def _captioned(cases):
    from dataclasses import replace

    from medvl.training.datasets import open_dataset

    for sample in open_dataset("cases", cases / "cases.json", "train"):
        yield replace(sample, captions=("the liver is large .",))
