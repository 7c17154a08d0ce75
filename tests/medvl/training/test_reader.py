"""Training a tiny random model for a few steps: the loss falls, only answers count, the packed model answers alike."""

from __future__ import annotations

import torch

from medvl.answering.reading import ModelReader
from medvl.language_model import LanguageModel
from medvl.quantization import packed_state
from medvl.training.reader import IGNORED, answer_loss, batches, pack
from medvl.training.requests import pairs

from ..tiny_checkpoints import language_model, tokenizer, write_language_model


def test_batches_teach_the_answer_and_its_end_alone():
    words = tokenizer()
    ids, labels = next(batches(pairs(1), words, 4))
    assert ids.shape == labels.shape
    for row, label in zip(ids, labels, strict=True):
        due = label != IGNORED
        assert due.any()
        assert not due[0]
        assert torch.equal(row[due], label[due])
        assert int(label[due][-1]) == words.convert_tokens_to_ids("<|im_end|>")


def test_a_few_steps_lower_the_loss():
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(language_model("llama"), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=2e-2)
    ids, labels = next(batches(pairs(1), tokenizer(), 8))
    losses = []
    for _ in range(12):
        loss = answer_loss(model, ids, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_the_packed_model_is_the_4_bit_model(tmp_path):
    write_language_model(tmp_path / "plain", kind="llama", tie_word_embeddings=True)
    pack(tmp_path / "plain", tmp_path / "packed")
    sizes = [(tmp_path / f / "model.safetensors").stat().st_size for f in ("plain", "packed")]
    assert sizes[1] < 0.5 * sizes[0]
    ids = torch.tensor([[3, 8, 9, 2]])
    quantised = LanguageModel.from_pretrained(tmp_path / "plain", "cpu", "4bit").model
    packed = LanguageModel.from_pretrained(tmp_path / "packed", "cpu", "4bit").model
    one, other = packed_state(packed), packed_state(quantised)
    assert set(one) == set(other)
    for name in one:  # the same bytes, whether quantised now or read as stored
        assert torch.equal(one[name], other[name]), name
    # all else was rounded to float16 on the way
    spread = quantised(ids).logits.std()
    assert (packed(ids).logits - quantised(ids).logits).abs().max() < 0.1 * spread
    unpacked = LanguageModel.from_pretrained(tmp_path / "packed", "cpu", "none").model
    assert (unpacked(ids).logits - packed(ids).logits).abs().max() < 0.1 * spread
    assert ModelReader.of_folder(tmp_path / "packed").lines("where is the liver") is not None
