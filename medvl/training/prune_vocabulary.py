"""A byte-level BPE tokenizer and its embeddings with most of the vocabulary left out; tokenizing stays lossless.

Every single byte keeps its token, so any text can still be written; of the merges only those stay whose two parts and
whose result all stay. Merging by rank then does what it did before, except that a word whose token went is left in
pieces. The head is tied to the embeddings, so a row left out is left out twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def choose(tokenizer: dict, texts: Iterable[str], size: int, encode: object) -> list[int]:
    """Ids to keep, in their old order.

    Args:
        tokenizer: parsed ``tokenizer.json`` of a byte-level BPE.
        texts: what must be tokenized as before: the training text and the anatomy words.
        size: how many to keep; bytes, special tokens and all tokens of ``texts`` first, then the merges of lowest rank,
            which are the most frequent of the text that the tokenizer was made from.
        encode: ``text -> token ids`` of the full tokenizer.

    Raises:
        ValueError: ``size`` does not hold what must stay.
    """
    vocab: dict[str, int] = tokenizer["model"]["vocab"]
    merges = [tuple(m) if not isinstance(m, str) else tuple(m.split(" ")) for m in tokenizer["model"]["merges"]]
    made = {"".join(m): m for m in reversed(merges)}
    names = {id: name for name, id in vocab.items()}
    added = {t["content"]: t["id"] for t in tokenizer["added_tokens"]}
    kept = {vocab[t] for t in vocab if len(t) == 1} | {added[t] for t in SPECIAL if t in added}

    def with_parts(name: str) -> set[int]:
        """A token and all that it is merged from."""
        parts, todo = set(), [name]
        while todo:
            token = todo.pop()
            parts.add(vocab[token])
            todo += made.get(token, ())
        return parts

    seen: Counter[int] = Counter()
    for text in texts:
        seen.update(encode(text))
    for id in seen:
        kept |= with_parts(names[id]) if names.get(id) in made else {id}
    if len(kept) > size:
        raise ValueError(f"{len(kept)} tokens are needed, more than {size}; choose a larger vocabulary")
    for merge in merges:
        new = with_parts("".join(merge)) - kept
        if len(kept) + len(new) <= size:
            kept |= new
        if len(kept) == size:
            break
    return sorted(kept)


def prune_tokenizer(tokenizer: dict, kept: list[int]) -> dict:
    """``tokenizer.json`` with the ids of ``kept`` renumbered from 0 in their order; the input is left as it is."""
    new = {old: i for i, old in enumerate(kept)}
    pruned = json.loads(json.dumps(tokenizer))
    model = pruned["model"]
    model["vocab"] = {name: new[id] for name, id in model["vocab"].items() if id in new}
    pairs = [tuple(m) if not isinstance(m, str) else tuple(m.split(" ")) for m in model["merges"]]
    vocab = model["vocab"]
    model["merges"] = [[a, b] for a, b in pairs if a in vocab and b in vocab and a + b in vocab]
    pruned["added_tokens"] = [{**t, "id": new[t["id"]]} for t in pruned["added_tokens"] if t["id"] in new]
    return pruned


def prune_model(model: nn.Module, kept: list[int], layers: int | None = None) -> None:
    """Keep the embedding rows ``kept`` and the first ``layers`` decoder layers of a Llama model, in place."""
    rows = model.get_input_embeddings().weight.detach()[kept].clone()
    embedding = nn.Embedding(len(kept), rows.shape[1], dtype=rows.dtype)
    embedding.weight = nn.Parameter(rows)
    model.set_input_embeddings(embedding)
    model.lm_head = nn.Linear(rows.shape[1], len(kept), bias=False, device="meta")
    model.lm_head.weight = embedding.weight
    model.config.vocab_size = model.vocab_size = len(kept)
    new = {old: i for i, old in enumerate(kept)}
    for config in (model.config, model.generation_config):
        for key in ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id"):
            old = getattr(config, key, None)
            if isinstance(old, int):
                setattr(config, key, new.get(old))
    if layers is not None:
        model.model.layers = model.model.layers[:layers]
        model.config.num_hidden_layers = layers


def prune_folder(source: Path, target: Path, texts: Iterable[str], size: int, layers: int | None = None) -> nn.Module:
    """Prune a model folder (safetensors, ``tokenizer.json``); writes the tokenizer to ``target``, returns the model."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    full = AutoTokenizer.from_pretrained(source, local_files_only=True)
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    kept = choose(tokenizer, texts, size, lambda text: full.encode(text, add_special_tokens=False))
    target.mkdir(parents=True, exist_ok=True)
    (target / "tokenizer.json").write_text(
        json.dumps(prune_tokenizer(tokenizer, kept), ensure_ascii=False), encoding="utf-8"
    )
    settings = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    (target / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    model = AutoModelForCausalLM.from_pretrained(source, local_files_only=True, dtype=torch.float32)
    prune_model(model, kept, layers)
    return model
