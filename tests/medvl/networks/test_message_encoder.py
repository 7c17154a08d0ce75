"""The encoder that reads messages, and its word pieces."""

from __future__ import annotations

import random
import string

import pytest
import torch
from transformers import BertTokenizer

from medvl.errors import WeightsError
from medvl.networks.message_encoder import LONGEST, VOCABULARY, WEIGHTS, MessageEncoder, WordPieces

from .. import small_planner


def test_word_pieces_are_berts(tmp_path):
    (tmp_path / VOCABULARY).write_text("\n".join(small_planner.VOCABULARY) + "\n", encoding="utf-8")
    theirs, ours = BertTokenizer(str(tmp_path / VOCABULARY)), WordPieces.load(tmp_path)
    rng = random.Random(0)
    made = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(1, 12))) for _ in range(300)]
    for word in [*small_planner.WORDS, *made, "kidneys", "measured"]:
        if not word.startswith("#"):
            assert [small_planner.VOCABULARY[i] for i in ours.of(word)] == theirs.tokenize(word), word


def test_a_batch_says_the_same_as_each_message_alone():
    net, pieces = small_planner.network(), WordPieces(small_planner.VOCABULARY)
    messages = [["measure", "[unused4]", "how", "big"], ["spleen"], ["show", "the", "left", "kidney", "please", "now"]]
    own = [range(2, 4), range(1), range(1, 4)]
    together = net(pieces.batch(messages, own))
    for row, (message, start) in enumerate(zip(messages, own, strict=True)):
        alone = net(pieces.batch([message], [start]))
        length = alone.roles.shape[1]
        for head, logits in alone.choices.items():
            torch.testing.assert_close(together.choices[head][row], logits[0])
        torch.testing.assert_close(together.roles[row, :length], alone.roles[0])


def test_lower_layers_may_be_computed_before():
    net, pieces = small_planner.network(), WordPieces(small_planner.VOCABULARY)
    batch = pieces.batch([["how", "big", "is", "it"]], [range(4)])
    whole = net(batch)
    for depth in range(3):
        torch.testing.assert_close(net.finish(net.lower(batch, depth), batch, depth).tags, whole.tags)


def test_of_a_long_message_the_end_is_read():
    pieces = WordPieces(small_planner.VOCABULARY)
    batch = pieces.batch([["measure"] * 500 + ["spleen"]], [range(400, 501)])
    assert batch.ids.shape[1] <= LONGEST
    assert batch.place[0][500] == batch.ids.shape[1] - 2
    assert pieces.batch([["x" * 10_000]], [range(1)]).ids.shape[1] <= LONGEST


def test_saved_and_read_again(tmp_path):
    net = small_planner.network(seed=3)
    net.save(tmp_path, small_planner.VOCABULARY)
    again, pieces = MessageEncoder.load(tmp_path), WordPieces.load(tmp_path)
    batch = pieces.batch([["show", "the", "liver"]], [range(3)])
    torch.testing.assert_close(again(batch).choices["tool"], net(batch).choices["tool"], atol=5e-3, rtol=0)
    assert not any(parameter.requires_grad for parameter in again.parameters())


@pytest.mark.parametrize("damage", ["weights", "cut", "config", "vocabulary", "nothing"])
def test_a_damaged_folder_is_refused(tmp_path, damage):
    small_planner.network().save(tmp_path, small_planner.VOCABULARY)
    if damage == "weights":
        data = bytearray((tmp_path / WEIGHTS).read_bytes())
        data[-5] ^= 0xFF
        (tmp_path / WEIGHTS).write_bytes(data)
    elif damage == "cut":
        (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes()[:100])
    elif damage == "config":
        (tmp_path / "config.json").write_text("[1, 2", encoding="utf-8")
    elif damage == "vocabulary":
        (tmp_path / VOCABULARY).write_bytes(b"\xff\xfe")
    else:
        (tmp_path / WEIGHTS).unlink()
    with pytest.raises(WeightsError):
        WordPieces.load(tmp_path) if damage == "vocabulary" else MessageEncoder.load(tmp_path)
