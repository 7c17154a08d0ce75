from __future__ import annotations

import json
import random

import pytest
import torch

from medvl.errors import WeightsError
from medvl.networks.vlm import REPORT_REQUEST, VisionLanguageModel

from ..tiny_checkpoints import WORDS, language_model, tokenizer, vision_language_model, write_med3dvlm
from .test_projector import published_forward as published_projector
from .test_vision_encoder import published_forward as published_encoder

TOWER, PROJECTOR = "model.vision_tower.vision_tower.", "model.mm_projector."
QUESTION = "where is the large liver ?"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("med3dvlm")
    return folder, write_med3dvlm(folder)


@pytest.fixture(scope="module")
def vlm(checkpoint):
    return VisionLanguageModel.from_pretrained(checkpoint[0], quantization="none")


@pytest.fixture(scope="module")
def image():
    return torch.rand(1, 1, 32, 64, 64, generator=torch.Generator().manual_seed(2))


def part(state, prefix):
    return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}


def published_embeds(state, ids, image):
    """Med3DVLM's splice, restated: embedding 0, the image, then what follows the first ``tokens + 1`` positions."""
    hidden = published_encoder(part(state, TOWER), (1, 2, 3, 6, 2), image)
    features = published_projector(part(state, PROJECTOR), *hidden[-2:])
    words = state["model.embed_tokens.weight"][torch.tensor([ids])]
    return torch.cat((words[:, :1], features, words[:, features.shape[1] + 1 :]), dim=1)


def test_logits_are_those_of_the_published_forward_pass(checkpoint, vlm, image):
    state = checkpoint[1]
    ids = tokenizer().encode("<im_patch>" * 6 + QUESTION)
    assert len(ids) == 12
    embeds = published_embeds(state, ids, image)
    reference = language_model()
    reference.load_state_dict({n: t for n, t in state.items() if not n.startswith((TOWER, PROJECTOR))})
    prompt = vlm.prompt(vlm.image_tokens(image), QUESTION)
    with torch.inference_mode():
        theirs = reference(inputs_embeds=embeds).logits[0]
        ours = vlm.lm.model(inputs_embeds=prompt.embeds[None]).logits[0]
    assert prompt.embeds.shape == embeds[0].shape
    assert torch.allclose(prompt.embeds, embeds[0], atol=1e-4)
    assert torch.allclose(ours, theirs, atol=1e-4, rtol=1e-4)


def test_greedy_answer_is_that_of_transformers_generate(checkpoint, vlm, image):
    state = checkpoint[1]
    ids = tokenizer().encode("<im_patch>" * 6 + QUESTION)
    with torch.inference_mode():
        theirs = vlm.lm.model.generate(
            inputs_embeds=published_embeds(state, ids, image), max_new_tokens=16, do_sample=False
        )
    ours = [t.id for t in vlm.conversation(vlm.image_tokens(image)).ask(QUESTION, 16)]
    theirs = theirs[0].tolist()
    ends = [i for i, t in enumerate(theirs) if t in vlm.lm.stop_ids]
    assert ours == (theirs[: ends[0]] if ends else theirs)
    assert len(ours) > 2


def test_first_text_token_is_lost_as_published_and_kept_in_place(vlm, image):
    tokens = vlm.image_tokens(image)
    one, other = (vlm.prompt(tokens, f"{word} is the liver ?") for word in ("where", "what"))
    assert torch.equal(one.embeds, other.embeds)
    assert one.ids == other.ids
    ids = vlm.lm.encode("<im_patch>" * 6 + "where is it")
    spliced = vlm.splice(ids, tokens).embeds
    assert torch.equal(spliced[0], vlm.lm.embed(ids)[0])
    assert torch.equal(spliced[1:7], tokens)
    assert torch.equal(spliced[7:], vlm.lm.embed(ids)[7:])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("style", ["plain", "chat"])
def test_later_questions_do_not_read_the_image_again_and_are_answered_as_without_the_cache(
    vlm, image, style, seed, monkeypatch
):
    """Random conversations: Med3DVLM's single turns, and a model that sees the whole conversation."""
    model = vlm if style == "plain" else vision_language_model()
    rng = random.Random(seed)
    tokens = model.image_tokens(image)
    monkeypatch.setattr(model.encoder, "maps", None)  # encoded once: any further pass would fail
    talk = model.conversation(tokens)
    for turn in range(4):
        question = " ".join(rng.choices([w for w in WORDS if w != "\n"], k=rng.randint(1, 6)))
        fresh = model.conversation(tokens)
        fresh.history = list(talk.history)
        length = len(model.prompt(tokens, question, talk.history).ids)
        stop_at = rng.randint(1, 9)  # some answers are broken off
        said, expected = ([t.id for t in c.ask(question, stop_at)] for c in (talk, fresh))
        assert said == expected
        assert fresh.cache.prefilled == length
        if turn:
            assert talk.cache.prefilled <= length - len(tokens)


@pytest.mark.parametrize("style", ["plain", "chat"])
def test_control_tokens_that_a_person_types_do_nothing(vlm, image, style):
    model = vlm if style == "plain" else vision_language_model()
    tokens = model.image_tokens(image)
    typed = "where<|im_end|> is<im_patch> the[SEG] liver ?<|im_start|>"
    assert model.prompt(tokens, typed).ids == model.prompt(tokens, "where is the liver ?").ids
    talk = model.conversation(tokens)
    talk.history = [("what is it ?", "it is <im_patch> large")]  # the model itself said so
    assert len(list(talk.ask("where ?", 3))) > 0


def test_a_space_before_questions_and_none_before_a_request_for_a_report(vlm, image, monkeypatch):
    """As in Med3DVLM's training: ``VQADataset`` puts one, ``CapDataset`` none."""
    texts, tokens, encode = [], vlm.image_tokens(image), vlm.lm.encode
    monkeypatch.setattr(vlm.lm, "encode", lambda text: texts.append(text) or encode(text))
    vlm.prompt(tokens, "where is it ?")
    vlm.prompt(tokens, " where is it ?")
    vlm.prompt(tokens, REPORT_REQUEST)
    vlm.prompt(tokens, "what is seen ?", report=True)
    assert [t.removeprefix("<im_patch>" * 6) for t in texts] == [
        " where is it ?", " where is it ?", REPORT_REQUEST, "what is seen ?"
    ]  # fmt: skip


def test_wrong_number_of_placeholders_is_refused(vlm, image):
    with pytest.raises(WeightsError, match="5 image placeholders"):
        vlm.splice(vlm.lm.encode("<im_patch>" * 5 + "where"), vlm.image_tokens(image))


def test_save_and_load_round_trip(vlm, image, tmp_path):
    vlm.save_pretrained(tmp_path)
    again = VisionLanguageModel.from_pretrained(tmp_path, quantization="none")
    assert again.config.splice == vlm.config.splice
    state = again.state_dict()
    assert state.keys() == vlm.state_dict().keys()
    assert all(torch.equal(t, state[n]) for n, t in vlm.state_dict().items())
    assert torch.equal(again.image_tokens(image), vlm.image_tokens(image))
    asked = [[t.id for t in m.conversation(m.image_tokens(image)).ask(QUESTION, 8)] for m in (vlm, again)]
    assert asked[0] == asked[1]


def test_shards_are_written_read_and_missed(vlm, tmp_path):
    vlm._save_pretrained(tmp_path, max_shard_size="20MB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 1
    again = VisionLanguageModel.from_pretrained(tmp_path, quantization="none")
    assert all(torch.equal(t, again.state_dict()[n]) for n, t in vlm.state_dict().items())
    shards[-1].unlink()
    with pytest.raises(WeightsError, match=shards[-1].name):
        VisionLanguageModel.from_pretrained(tmp_path, quantization="none")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"drop": "model.mm_projector.low_mixer.0.ln1.weight"}, "model.mm_projector.low_mixer.0.ln1.weight"),
        ({"drop": "model.layers.1.mlp.up_proj.weight"}, "model.layers.1.mlp.up_proj.weight"),
        ({"extra": "model.seg_module.weight"}, "model.seg_module.weight"),
    ],
)
def test_missing_and_unexpected_names_are_told(tmp_path, changes, named):
    write_med3dvlm(tmp_path, **changes)
    with pytest.raises(WeightsError, match="do not fit") as error:
        VisionLanguageModel.from_pretrained(tmp_path, quantization="none")
    assert named in str(error.value)


def test_both_published_names_of_the_layer_scale_are_read(tmp_path, vlm, image):
    write_med3dvlm(tmp_path, layer_scale="gamma")
    other = VisionLanguageModel.from_pretrained(tmp_path, quantization="none")
    assert torch.equal(other.image_tokens(image), vlm.image_tokens(image))


def test_vision_tower_file_takes_the_place_of_the_encoder(tmp_path, vlm, image):
    state = write_med3dvlm(tmp_path)
    tower = {"vision_tower." + n: t for n, t in part(state, TOWER).items()}
    name = next(n for n in tower if n.endswith("s4.0.proj.weight"))
    tower[name] = tower[name] * 2
    torch.save(tower, tmp_path / "vision_tower.bin")
    other = VisionLanguageModel.from_pretrained(tmp_path, quantization="none")
    assert torch.equal(other.encoder.state_dict()[name.removeprefix("vision_tower.")], tower[name])
    assert not torch.equal(other.image_tokens(image), vlm.image_tokens(image))


def test_other_architectures_are_refused(tmp_path):
    write_med3dvlm(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for change, said in (({"mm_projector_type": "mhsa"}, "mhsa"), ({"model_type": "lamed_phi3"}, "lamed_phi3")):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(WeightsError, match=said):
            VisionLanguageModel.from_pretrained(tmp_path, quantization="none")


def test_quantised_model_answers_and_is_not_saved(checkpoint, vlm, image, tmp_path):
    small = VisionLanguageModel.from_pretrained(checkpoint[0], quantization="4bit")
    kinds = {type(m).__name__ for m in small.lm.model.modules()}
    assert "Linear4bit" in kinds
    assert type(small.lm.model.lm_head).__name__ == "Linear"
    assert torch.equal(small.image_tokens(image), vlm.image_tokens(image))  # vision is not quantised
    assert len(list(small.conversation(small.image_tokens(image)).ask(QUESTION, 4))) > 0
    with pytest.raises(WeightsError, match="quantised"):
        small.save_pretrained(tmp_path)
