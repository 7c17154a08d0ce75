"""Pruning a byte-level BPE made here from a few sentences, and a random Llama with it."""

from __future__ import annotations

import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

from medvl.training.prune_vocabulary import SPECIAL, prune_folder

from ..tiny_checkpoints import language_model

TEXTS = ["segment the left kidney", "how large is the liver", "the larger kidney, the smaller lung", "is it bright"]
OTHER = ["a poem on autumn leaves falling", "stock market crashes again", "recipe of banana bread"] * 3


@pytest.fixture
def source(tmp_path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=list(SPECIAL), initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXTS * 3 + OTHER, trainer)
    folder = tmp_path / "source"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": SPECIAL[2],
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    size = tokenizer.get_vocab_size()
    language_model("llama", vocab_size=size, tie_word_embeddings=True, eos_token_id=2).save_pretrained(folder)
    return folder


def test_tokenizing_stays_lossless_and_rows_stay_those_of_their_tokens(source, tmp_path):
    target = tmp_path / "pruned"
    pruned = prune_folder(source, target, TEXTS, 330)
    from transformers import AutoModelForCausalLM

    full = AutoModelForCausalLM.from_pretrained(source)
    before, after = AutoTokenizer.from_pretrained(source), AutoTokenizer.from_pretrained(target)
    assert len(after) == 330 < len(before)
    for text in [*TEXTS, *OTHER, "肝臓 é ﷺ\x00\n\t 🙂", "  two  spaces ", "L4?! -950"]:
        assert after.decode(after.encode(text)) == text
    for text in TEXTS:  # what the pruning was told of is cut as before
        assert after.convert_ids_to_tokens(after.encode(text)) == before.convert_ids_to_tokens(before.encode(text))
    old, new = full.get_input_embeddings().weight, pruned.get_input_embeddings().weight
    for token, id in after.get_vocab().items():
        assert torch.equal(new[id], old[before.convert_tokens_to_ids(token)])
    assert pruned.config.eos_token_id == after.convert_tokens_to_ids(SPECIAL[2])
    assert pruned.lm_head.weight is new


def test_logits_of_kept_tokens_are_those_of_the_full_model(source, tmp_path):
    from transformers import AutoModelForCausalLM

    pruned = prune_folder(source, tmp_path / "pruned", TEXTS, 330).eval()
    full = AutoModelForCausalLM.from_pretrained(source).eval()
    before, after = AutoTokenizer.from_pretrained(source), AutoTokenizer.from_pretrained(tmp_path / "pruned")
    a = full(torch.tensor([before.encode(TEXTS[0])])).logits[0, -1]
    b = pruned(torch.tensor([after.encode(TEXTS[0])])).logits[0, -1]
    rows = [before.convert_tokens_to_ids(after.convert_ids_to_tokens(i)) for i in range(len(after))]
    torch.testing.assert_close(b, a[rows])


def test_too_small_a_vocabulary_is_refused(source, tmp_path):
    with pytest.raises(ValueError, match="larger vocabulary"):
        prune_folder(source, tmp_path / "pruned", TEXTS, 200)
