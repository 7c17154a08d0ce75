from __future__ import annotations

import json
import threading

import pytest
import torch

from medvl.errors import WeightsError
from medvl.networks.language_model import LOOP, Conversation, LanguageModel, Prompt, loops

from ..tiny_checkpoints import write_language_model

TURNS = [("user", "where is the liver ?"), ("assistant", "it is large"), ("user", "what is the size ?")]


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def lm(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write_language_model(folder, request.param)
    return LanguageModel.from_pretrained(folder, quantization="none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    write_language_model(folder)
    return folder


def ids(tokens):
    return [t.id for t in tokens]


def test_logits_are_those_of_transformers(lm, tmp_path):
    from transformers import AutoModelForCausalLM

    original = write_language_model(tmp_path, lm.model.config.model_type)
    reread = AutoModelForCausalLM.from_pretrained(tmp_path)
    tokens = torch.tensor([lm.chat(TURNS)])
    with torch.inference_mode():
        ours = lm.model(tokens).logits
        assert torch.allclose(ours, original(tokens).logits, atol=1e-4)
        assert torch.allclose(ours, reread(tokens).logits, atol=1e-4)


FAMILIES = {
    "mistral": {"sliding_window": 8}, "gemma3_text": {"head_dim": 16, "sliding_window": 8}, "qwen3": {"head_dim": 16},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512, "tie_word_embeddings": True},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", list(FAMILIES))
def test_any_family_loads_answers_and_goes_on_from_its_cache(kind, tmp_path):
    """Also those with a sliding window, scaled embeddings, and no linear layers."""
    original = write_language_model(tmp_path, kind, **FAMILIES[kind])
    lm = LanguageModel.from_pretrained(tmp_path, quantization="none")
    first = lm.encode("where is the large liver ?")
    with torch.inference_mode():
        expected = original(torch.tensor([first]), use_cache=True).logits
        assert torch.allclose(lm.model(torch.tensor([first])).logits, expected, atol=1e-4)
    talk = Conversation(lm)
    said = ids(talk.stream(Prompt(first), 6))
    second = first + said + lm.encode("what is the size ?")
    for prompt in (second, second[:-4] + lm.encode("normal it is"), second):  # goes on; goes back; and on again
        assert ids(talk.stream(Prompt(prompt), 6)) == ids(Conversation(lm).stream(Prompt(prompt), 6))
    assert len(said) > 0


def test_a_family_without_linear_layers_is_not_said_to_be_quantised(tmp_path):
    write_language_model(tmp_path, "gpt2", **FAMILIES["gpt2"])
    with pytest.raises(WeightsError, match="no linear layers"):
        LanguageModel.from_pretrained(tmp_path, quantization="4bit")
    assert LanguageModel.from_pretrained(tmp_path, quantization="auto").precision.mode == "none"


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_the_generation_config_of_the_files_counts(folder, tmp_path, penalty):
    """Greedy, with its stop ids and repetition penalty, exactly as transformers' ``generate``."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    asked = LanguageModel.from_pretrained(folder, quantization="none")
    prompt = asked.encode("where is the large liver ?")
    free = ids(Conversation(asked).stream(Prompt(prompt), 12))
    stop = free[3]
    settings = {"do_sample": True, "temperature": 0.7, "eos_token_id": [2, stop], "repetition_penalty": penalty}
    (tmp_path / "generation_config.json").write_text(json.dumps(settings))
    lm = LanguageModel.from_pretrained(tmp_path, quantization="none")
    assert {2, stop} <= lm.stop_ids
    said = ids(Conversation(lm).stream(Prompt(prompt), 12))
    theirs = lm.model.generate(torch.tensor([prompt]), do_sample=False, temperature=None, max_new_tokens=12)
    theirs = theirs[0, len(prompt) :].tolist()
    assert said == theirs[: len(said)]
    assert (theirs[len(said) :] or [stop])[0] in lm.stop_ids
    if penalty == 1.0:
        assert said == free[: free.index(stop)]
    else:
        assert said != free[: len(said)] or len(said) != free.index(stop)
    embeds = lm.embed(prompt)  # of an image's prompt only what was said counts
    said = ids(Conversation(lm).stream(Prompt(prompt, embeds), 12))
    theirs = lm.model.generate(inputs_embeds=embeds[None], do_sample=False, temperature=None, max_new_tokens=12)
    assert said == theirs[0].tolist()[: len(said)]


def test_an_answer_that_goes_round_in_a_loop_is_ended(lm, monkeypatch):
    least, most = LOOP
    for period in (least, most):
        block = list(range(period))
        assert loops([7, *block * 3])
        assert not loops(block * 2 + block[:-1])
    assert not loops([1] * (3 * least - 1))  # a row of a table
    words = lm.encode("the liver is large and the spleen is normal .")
    monkeypatch.setattr(LanguageModel, "next_token", lambda self, logits, seen: words[(len(seen) - 3) % len(words)])
    said = ids(Conversation(lm).stream(Prompt(lm.encode("what is it")), 200))
    assert len(said) <= 3 * len(words)


def test_tied_head_needs_no_tensor_of_its_own(tmp_path):
    original = write_language_model(tmp_path, tie_word_embeddings=True)
    lm = LanguageModel.from_pretrained(tmp_path, quantization="none")
    tokens = torch.tensor([[7, 8, 9]])
    assert lm.model.lm_head.weight is lm.model.get_input_embeddings().weight
    with torch.inference_mode():
        assert torch.allclose(lm.model(tokens).logits, original(tokens).logits, atol=1e-4)


def test_second_turn_with_the_cache_answers_as_without(lm):
    conversation = Conversation(lm)
    first = lm.chat(TURNS[:1])
    answer = list(conversation.stream(Prompt(first), 12))
    said = "".join(t.text for t in answer)
    second = lm.chat([TURNS[0], ("assistant", said), TURNS[2]])
    with_cache = ids(conversation.stream(Prompt(second), 12))
    assert conversation.prefilled < len(second) - len(first) + 2
    fresh = Conversation(lm)
    assert ids(fresh.stream(Prompt(second), 12)) == with_cache
    assert fresh.prefilled == len(second)
    assert len(with_cache) > 0


def test_another_beginning_is_not_answered_from_the_cache(lm):
    conversation = Conversation(lm)
    list(conversation.stream(Prompt(lm.encode("the liver is large")), 5))
    other = Prompt(lm.encode("spleen is normal"))
    assert ids(conversation.stream(other, 5)) == ids(Conversation(lm).stream(other, 5))


def test_same_prompt_again_gives_the_same_answer(lm):
    conversation = Conversation(lm)
    prompt = Prompt(lm.encode("where is the large liver"))
    assert ids(conversation.stream(prompt, 9)) == ids(conversation.stream(prompt, 9))
    assert conversation.prefilled == 1


def test_stop_acts_within_one_token_and_the_conversation_goes_on(lm):
    conversation, cancel = Conversation(lm), threading.Event()
    prompt = Prompt(lm.encode("where is the liver"))
    whole = ids(Conversation(lm).stream(prompt, 10))
    got = []
    for token in conversation.stream(prompt, 10, cancel):
        got.append(token.id)
        if len(got) == 2:
            cancel.set()
    assert got == whole[:2]
    cancel.clear()
    assert ids(conversation.stream(prompt, 10, cancel)) == whole
    cancel.set()
    assert ids(conversation.stream(Prompt(lm.encode("the spleen")), 10, cancel)) == []


def test_prompt_longer_than_a_chunk(lm, monkeypatch):
    prompt = Prompt(lm.encode("the liver is large . " * 6))
    whole = ids(Conversation(lm).stream(prompt, 6))
    monkeypatch.setattr("medvl.networks.language_model.PREFILL_CHUNK", 4)
    assert ids(Conversation(lm).stream(prompt, 6)) == whole


def test_text_pieces_make_the_decoded_answer(lm):
    answer = list(Conversation(lm).stream(Prompt(lm.encode("where is the spleen")), 12))
    parts = "".join(t.text for t in answer).split()
    assert parts == lm.tokenizer.decode(ids(answer)).split()


def test_seg_token_comes_with_its_own_hidden_state(lm):
    seg = lm.seg_id()
    head = lm.model.lm_head.weight
    kept = head[seg].clone()
    conversation = Conversation(lm)
    prompt = lm.encode("where is the liver")
    try:
        with torch.no_grad():
            plain = lm.model(torch.tensor([prompt]), output_hidden_states=True).hidden_states[-1][0, -1]
            head[seg] = 100 * plain / plain.norm()  # now the model says [SEG] first
        token = next(iter(conversation.stream(Prompt(prompt), 1)))
        with torch.no_grad():
            at_seg = lm.model(torch.tensor([[*prompt, seg]]), output_hidden_states=True).hidden_states[-1][0, -1]
    finally:
        with torch.no_grad():
            head[seg] = kept
    assert token.id == seg
    assert torch.allclose(token.state, at_seg, atol=1e-4)
    assert not torch.allclose(token.state, plain, atol=1e-2)


def test_missing_tensor_is_named(tmp_path):
    from safetensors.torch import load_file, save_file

    write_language_model(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["model.norm.weight"]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"model\.norm\.weight"):
        LanguageModel.from_pretrained(tmp_path, quantization="none")


@pytest.mark.parametrize("mode", ["4bit", "8bit"])
@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_quantised_logits_stay_near(tmp_path, mode, kind):
    original = write_language_model(tmp_path, kind, initializer_range=0.1)
    lm = LanguageModel.from_pretrained(tmp_path, quantization=mode)
    tokens = torch.tensor([lm.chat(TURNS)])
    with torch.inference_mode():
        ours, plain = lm.model(tokens).logits.float(), original(tokens).logits
    likeness = torch.nn.functional.cosine_similarity(ours, plain, dim=-1).min()
    assert likeness > (0.97 if mode == "8bit" else 0.9)
    assert not torch.equal(ours, plain)


def test_gguf_file_gives_the_same_logits(tmp_path):
    gguf = pytest.importorskip("gguf", reason="reading GGUF needs the optional gguf package")
    original = write_language_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    config, names = original.config, {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k"}
    names |= {"self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "input_layernorm": "attn_norm"}
    names |= {"post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"}
    names |= {"mlp.down_proj": "ffn_down", "model.embed_tokens": "token_embd", "model.norm": "output_norm"}
    names |= {"lm_head": "output", "model.layers": "blk"}
    writer = gguf.GGUFWriter(str(tmp_path / "tiny.gguf"), "qwen2")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    for name, tensor in original.state_dict().items():
        for long, short in names.items():
            name = name.replace(long, short)
        writer.add_tensor(name, tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tokens = torch.tensor([[7, 8, 9, 10]])
    with torch.inference_mode():
        expected = original(tokens).logits
        lm = LanguageModel.from_pretrained(tmp_path, quantization="none", gguf_file="tiny.gguf")
        assert torch.allclose(lm.model(tokens).logits, expected, atol=1e-3)
        small = LanguageModel.from_pretrained(tmp_path, quantization="4bit", gguf_file="tiny.gguf")
        assert torch.isfinite(small.model(tokens).logits).all()
