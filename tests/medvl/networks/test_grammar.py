"""What a model of this machine says under a JSON schema is of that schema, whatever its weights would rather say."""

from __future__ import annotations

import json
import threading
from dataclasses import fields

import pytest
import torch

from medvl.conversation.planners.instruct import answer_schema
from medvl.language.calls import TOOLS
from medvl.networks.chat import LocalChat
from medvl.networks.grammar import Grammar, grammar_of
from medvl.networks.language_model import Conversation, LanguageModel, Prompt
from medvl.weights.quantization import Precision

from ..tiny_checkpoints import CHAT, language_model, tokenizer

SCHEMA = {
    "type": "object",
    "properties": {
        "organ": {"enum": ["liver", "spleen", "left_kidney"]},
        "sides": {"type": "array", "items": {"enum": ["left", "right"]}, "minItems": 1, "maxItems": 2},
        "exact": {"type": "boolean"},
    },
    "required": ["organ", "sides", "exact"],
    "additionalProperties": False,
}


def bytes_and_words():
    """A byte-level tokenizer as Qwen and Llama have, with some longer tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    specials = ["<|im_start|>", "<|im_end|>", "<im_patch>", "[SEG]"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("l", "i"), ("t", "o"), ("o", "l"), ("li", "ver"[0]), ('"', ":"), ("{", '"'), ("l", "e")]
    vocabulary = {piece: i for i, piece in enumerate([*specials, *letters, *("".join(two) for two in merges)])}
    inner = Tokenizer(models.BPE(vocabulary, merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    outer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|im_end|>", additional_special_tokens=specials[::2]
    )
    outer.chat_template = CHAT
    return outer


def model(seed: int) -> LanguageModel:
    """Random weights, with some rows more than the tokenizer has tokens, as published checkpoints have."""
    pieces = bytes_and_words()
    net = language_model(seed=seed, vocab_size=len(pieces) + 21, max_position_embeddings=2048)
    return LanguageModel(net.eval(), pieces, Precision("none", torch.float32, "as it is"))


@pytest.mark.parametrize("seed", [0, 1])
def test_any_weights_give_an_answer_of_the_schema(seed):
    said = "".join(LocalChat(model(seed), "x").chat([("user", "where is the liver?")], 200, schema=SCHEMA))
    answer = json.loads(said)
    assert list(answer) == list(SCHEMA["properties"])
    assert answer["organ"] in SCHEMA["properties"]["organ"]["enum"]
    assert set(answer["sides"]) <= {"left", "right"}
    assert 1 <= len(answer["sides"]) <= 2
    free = "".join(LocalChat(model(seed), "x").chat([("user", "where is the liver?")], 200))
    assert not free.startswith("{")


def test_tokens_without_a_choice_are_read_together_and_change_nothing():
    lm = model(0)
    prompt = Prompt(lm.chat([("user", "a")]))
    at_once, one_by_one = Conversation(lm), Conversation(lm)
    forced = [0]

    class Slow(Grammar):
        def forced(self):
            forced[0] += len(super().forced())
            return []

    told = [t.id for t in at_once.stream(prompt, 200, None, Grammar(lm.tokenizer, lm.stop_ids, SCHEMA))]
    slowly = [t.id for t in one_by_one.stream(prompt, 200, None, Slow(lm.tokenizer, lm.stop_ids, SCHEMA))]
    text = [lm.tokenizer.decode(ids) for ids in (told, slowly)]
    assert text[0] == text[1]
    assert forced[0] > 10
    again = [t.id for t in at_once.stream(prompt, 200, None, Grammar(lm.tokenizer, lm.stop_ids, SCHEMA))]
    assert again == told  # what the cache holds is what was read


def test_plans_parse_or_are_cut():
    """The schema of the planner's own answers."""
    ended = 0
    for seed in range(4):
        said = "".join(LocalChat(model(seed), "x").chat([("user", "RK vol?")], 300, schema=answer_schema()))
        try:
            whole = json.loads(said)
        except ValueError:
            continue  # its tokens ended within a free text
        ended += 1
        for call in whole["calls"]:
            known = {f.name for f in fields(TOOLS[call["tool"]])}
            assert set(call) <= {"tool", *known}
    assert ended


def test_stop_and_tokenizers_that_cannot_be_held():
    cancel = threading.Event()
    stream = LocalChat(model(0), "x").chat([("user", "a")], 200, cancel, SCHEMA)
    next(stream)
    cancel.set()
    assert list(stream) == []
    assert grammar_of(tokenizer(), frozenset({2}), SCHEMA) is None
    with pytest.raises(ValueError, match=r"\w"):
        Grammar(bytes_and_words(), frozenset({1}), {"type": "no such type"})
