"""Models that look at pictures, of four families in their published layout."""

from __future__ import annotations

import io
import json
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from medvl.errors import WeightsError
from medvl.networks.image_text import ImageTextModel, Picture, montage

from ..tiny_checkpoints import write_language_model
from ..tiny_image_text import KINDS, write

QUESTION = "where is the large liver ?"


def picture(seed: int) -> Picture:
    grey = np.random.default_rng(seed).integers(0, 255, (64, 64), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    return Picture(buffer.getvalue(), f"the size {seed} .")


PICTURES = [picture(1), picture(2), picture(3)]


@pytest.fixture(scope="module", params=KINDS)
def family(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return folder, write(folder, request.param)


def test_the_answer_is_that_of_transformers_generate(family):
    folder, original = family
    model = ImageTextModel.from_pretrained(folder, quantization="none")
    given = model.inputs(QUESTION, PICTURES)
    assert model.several  # each of these processors takes several pictures
    answers = []
    for count in (1, 2, 3):
        asked = model.inputs(QUESTION, PICTURES[:count])
        with torch.inference_mode():
            theirs = original.generate(**asked, max_new_tokens=12, do_sample=False)[0, asked["input_ids"].shape[1] :]
        answers.append("".join(model.stream(QUESTION, PICTURES[:count], max_new_tokens=12)))
        assert answers[-1] == model.processor.tokenizer.decode(theirs, skip_special_tokens=True)
    assert any(answers)
    other = model.inputs(QUESTION, PICTURES[::-1])
    assert not torch.equal(other["pixel_values"], given["pixel_values"])  # the order is that of the captions
    talk = model.inputs(QUESTION, PICTURES, [("what is it ?", "the spleen .")])
    assert talk["input_ids"].shape[1] > given["input_ids"].shape[1]
    assert talk["pixel_values"].shape == given["pixel_values"].shape


def test_in_4_bit_the_language_part_is_quantised_and_the_vision_part_is_not(family):
    model = ImageTextModel.from_pretrained(family[0], quantization="4bit")
    kinds = {}
    for name, module in model.model.named_modules():
        if isinstance(module, torch.nn.Linear):
            kinds.setdefault("vision" in name or "visual" in name, set()).add(type(module).__name__)
    assert "Linear4bit" not in kinds[True]
    assert "Linear4bit" in kinds[False]
    assert "4-bit" in model.notice
    assert len(list(model.stream(QUESTION, PICTURES[:1], max_new_tokens=4))) <= 5


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gemma")
    write(folder, "gemma3")
    return ImageTextModel.from_pretrained(folder, quantization="none")


def test_stop_ends_the_answer_within_a_token_and_the_next_one_is_whole(gemma, monkeypatch):
    monkeypatch.setattr("medvl.networks.image_text.loops", lambda said: False)
    whole = list(gemma.stream(QUESTION, PICTURES, max_new_tokens=16))
    steps = []
    slow = gemma.model.register_forward_pre_hook(lambda *_: steps.append(time.sleep(0.05)))
    cancel, got = threading.Event(), []
    for piece in gemma.stream(QUESTION, PICTURES, cancel=cancel, max_new_tokens=400):
        got.append(piece)
        if len(got) == 3:
            cancel.set()
            at = len(steps)
    with gemma.lock:  # free again
        pass
    assert "".join(whole).startswith("".join(got))
    assert len(steps) <= at + 3
    stream = gemma.stream(QUESTION, PICTURES, max_new_tokens=400)  # whoever goes away stops it as well
    next(stream)
    stream.close()
    with gemma.lock:
        pass
    assert len(steps) < 60
    slow.remove()
    assert list(gemma.stream(QUESTION, PICTURES, max_new_tokens=6))


def test_a_processor_that_takes_one_picture_gets_a_montage(gemma, monkeypatch):
    template, seen = gemma.processor.apply_chat_template, []

    def only_one(messages, **options):
        pictures = [c["image"] for c in messages[-1]["content"] if c["type"] == "image"]
        if len(pictures) > 1:
            raise ValueError("This processor takes one image a prompt.")
        seen.extend(pictures)
        return template(messages, **options)

    monkeypatch.setattr(gemma.processor, "apply_chat_template", only_one)
    monkeypatch.setattr(gemma, "several", True)
    gemma.inputs(QUESTION, PICTURES)
    assert not gemma.several
    assert seen[0].size == (128, 128)


@pytest.mark.parametrize(("count", "size"), [(2, (128, 64)), (3, (128, 128)), (4, (128, 128)), (12, (256, 192))])
def test_montage_keeps_every_picture_in_order(count, size):
    pictures = [picture(n) for n in range(count)]
    whole = montage(pictures)
    image = np.asarray(whole.image())
    assert image.shape[1::-1] == size
    columns = size[0] // 64
    for n, each in enumerate(pictures):
        row, column = divmod(n, columns)
        assert np.array_equal(image[64 * row : 64 * row + 64, 64 * column : 64 * column + 64], np.asarray(each.image()))
    assert all(each.caption in whole.caption for each in pictures)


def test_what_is_no_such_model_is_refused(tmp_path):
    write_language_model(tmp_path)
    with pytest.raises(WeightsError, match="not an image-text-to-text model"):
        ImageTextModel.from_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own_code", "auto_map": {"AutoConfig": "x.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="is not run"):
        ImageTextModel.from_pretrained(tmp_path)
