"""``python -m medvl.training.reader``: teaches a small language model to read messages as request lines.

The base is SmolLM2-135M-Instruct (Apache-2.0) in the Hugging Face layout. Its vocabulary is pruned to what the messages
need, its upper layers may be left out, LoRA adapters are trained on generated pairs (``requests``) with the loss on the
answer alone, and merged. Nothing of the question set is trained on; its dev part is only watched.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from ..answering.reader_prompt import END, prompt
from ..answering.request_lines import write
from ..answering.unknown_terms import UNKNOWN
from ..answering.vocabulary import GROUP_NAMES, STRUCTURES
from ..language_model import LanguageModel
from ..quantization import packed_state
from .prune_vocabulary import prune_folder
from .requests import Pair, pairs

IGNORED = -100


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m medvl.training.reader", description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="folder of SmolLM2-135M-Instruct")
    parser.add_argument("--output", type=Path, required=True, help="folder for the merged model")
    parser.add_argument("--packed", type=Path, help="folder for the same model in 4 bits, as the bundle holds it")
    parser.add_argument("--minutes", type=float, default=35.0)
    parser.add_argument("--layers", type=int, help="decoder layers to keep, from the first; all by default")
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--batch", type=int, default=24, help="samples a step, all of about one length")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args(arguments))
    return 0


def train(options: argparse.Namespace) -> None:
    """Prune, train until the minutes are over, merge, save."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoTokenizer

    torch.manual_seed(options.seed)
    output: Path = options.output
    model = prune_folder(options.base, output, kept_texts(), options.vocabulary, options.layers)
    tokenizer = AutoTokenizer.from_pretrained(output, local_files_only=True)
    adapted = get_peft_model(
        model,
        LoraConfig(r=options.rank, lora_alpha=2 * options.rank, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    weights = [p for p in adapted.parameters() if p.requires_grad]
    if options.precision == "bf16":  # the frozen weights are held as they are multiplied: no cast in every step
        for parameter in adapted.parameters():
            if not parameter.requires_grad and parameter.ndim == 2:
                parameter.data = parameter.data.bfloat16()
    optimizer = torch.optim.AdamW(weights, lr=options.rate, betas=(0.9, 0.98), weight_decay=0.0)
    begun, watched, step = time.monotonic(), 0.0, 0
    for ids, labels in batches(pairs(options.seed), tokenizer, options.batch):
        spent = (time.monotonic() - begun) / (60 * options.minutes)
        if spent >= 1:
            break
        warm = min(1.0, (step + 1) / 20)
        for group in optimizer.param_groups:  # a straight way down with the clock
            group["lr"] = options.rate * warm * max(0.02, 1 - spent)
        adapted.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            loss = answer_loss(adapted, ids, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        watched = loss.item() if step == 1 else 0.95 * watched + 0.05 * loss.item()
        if step % 20 == 0:
            print(f"step {step}  {60 * options.minutes * spent:.0f} s  loss {watched:.3f}", flush=True)
        if step % 100 == 0:  # what there is so far, for a look at it while the training goes on
            torch.save({n: p for n, p in adapted.named_parameters() if p.requires_grad}, output / "adapter.pt")
    merged = adapted.float().merge_and_unload()
    merged.to(torch.float16).save_pretrained(output)
    if options.packed:
        pack(output, options.packed)
    print(f"{step} steps, loss {watched:.3f}, saved", flush=True)


def pack(source: Path, target: Path) -> None:
    """Write a merged model as the bundle holds it: linear layers in NF4 with double quantisation, the rest float16."""
    from safetensors.torch import save_file

    target.mkdir(parents=True, exist_ok=True)
    model = LanguageModel.from_pretrained(source, "cpu", "4bit").model
    save_file(packed_state(model), target / "model.safetensors", metadata={"format": "pt"})
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        (target / name).write_bytes((source / name).read_bytes())


def answer_loss(model: nn.Module, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the answers; the head is asked only where an answer is due.

    Args:
        model: with adapters.
        ids: ``[N, T]``.
        labels: ``[N, T]``, ``IGNORED`` outside the answers.
    """
    inner = model.get_base_model()
    states = inner.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    due = labels[:, 1:] != IGNORED
    logits = inner.lm_head(states[due])
    return nn.functional.cross_entropy(logits.float(), labels[:, 1:][due])


def batches(samples: Iterator[Pair], tokenizer: object, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Ids and labels ``[N, T]``, samples of near lengths together: short samples waste nothing on padding.

    Padding stands at the end, where a causal model never looks, so no mask is needed.
    """
    end = tokenizer.convert_tokens_to_ids(END)
    shuffler = torch.Generator().manual_seed(0)
    while True:
        pool = []
        for pair in itertools.islice(samples, 16 * size):
            asked = tokenizer.encode(prompt(pair.text, pair.history), add_special_tokens=False)
            answer = [*tokenizer.encode(write(pair.requests), add_special_tokens=False), end]
            pool.append((asked, answer))
        pool.sort(key=lambda sample: len(sample[0]) + len(sample[1]))
        groups = [pool[i : i + size] for i in range(0, len(pool), size)]
        for g in torch.randperm(len(groups), generator=shuffler).tolist():
            length = max(len(asked) + len(answer) for asked, answer in groups[g])
            ids = torch.full((len(groups[g]), length), end)
            labels = torch.full((len(groups[g]), length), IGNORED)
            for row, (asked, answer) in enumerate(groups[g]):
                n, m = len(asked), len(answer)
                ids[row, : n + m] = torch.tensor(asked + answer)
                labels[row, n : n + m] = torch.tensor(answer)
            yield ids, labels


def kept_texts() -> Iterator[str]:
    """Text whose tokens must stay: generated pairs, anatomy words as typed, and ordinary question words."""
    for pair in itertools.islice(pairs(0), 6000):
        yield prompt(pair.text, pair.history) + write(pair.requests)
    names = [n for s in STRUCTURES.values() for n in (s.name, *s.synonyms, *s.adjectives)]
    names += [n for many in GROUP_NAMES.values() for n in many] + [n for term in UNKNOWN for n in term.names]
    for name in names:
        yield f"{name} {name.capitalize()} {name}s"


if __name__ == "__main__":
    raise SystemExit(main())
