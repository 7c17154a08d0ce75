"""``python -m medvl.training overfit``: does the whole of training work? All four stages with a tiny new model.

Two labelled cases are learned by heart on the CPU, in minutes: a small random DCFormer and mixer, a tiny Qwen2 that was
first taught the words of the conversations (in place of a pretrained language model), and the bundled SAM 2. The model
is saved, loaded again as anybody would, asked a question and told to segment. What it learns is of no use on any other
scan; what it shows is that every loss reaches the weights it should, and that what was trained is what is loaded.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from ...networks.language_model import SEG_TOKEN, LanguageModel
from ...weights.quantization import Precision
from ..config import STAGES, DatasetSettings, parse
from ..datasets.samples import Sample
from .engine import train
from .feed import CAPTION_QUESTIONS, open_samples
from .losses import IGNORED, next_token
from .overfit_check import check, lesson, rows

logger = logging.getLogger(__name__)
SIZE = (64, 96, 96)
WIDTH = 128
TEXTS = 16  # that the new language model reads in a step
SPECIAL = ["<|im_start|>", "<|im_end|>"]  # the others are added when the vision-language model is built
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SHARE = {"align-encoder": 1 / 3, "align-projector": 1 / 3, "instruct": 1 / 3, "joint": 1.0}  # of the steps
LR = {"align-encoder": 1e-3, "align-projector": 1e-3, "instruct": 2e-3, "joint": 2e-3}


def overfit(cases: Path, output: Path, ids: list[str], steps: int) -> dict:
    """Run all stages and look at the result.

    Args:
        cases: ``cases.json``.
        output: folder for everything; ``joint/model`` is the model.
        ids: cases of the train split.
        steps: optimiser steps of the joint stage; the others take a third of it.

    Returns:
        What is written to ``overfit.json``: per stage first and last loss and seconds, and what ``check`` found.
    """
    torch.manual_seed(0)
    begin = time.monotonic()
    dataset = DatasetSettings("cases", cases, "train", tuple(ids))
    samples = [lesson(s) for s in open_samples([dataset])]
    language_model = output / "language_model"
    result: dict = {"cases": ids, "language model": _write_language_model(language_model, samples, 2 * steps)}
    curves, before = {}, {"start": "nano", "language_model": str(language_model)}
    for stage in STAGES:
        config = parse(
            {
                "output": str(output / stage),
                "model": {
                    **before,
                    "encoder": "nano",
                    "input_size": SIZE,
                    "low_tokens": (16, 8),
                    "high_tokens": (8, 8),
                    "seg": {"maps": 5, "voxel_dim": 32},
                    "lora": {"rank": 32, "alpha": 64, "dropout": 0.0},
                    "train_encoder": stage == "joint",
                },
                "text": {"dim": 64},
                "data": {"augment": False, "cache": True, "turns": 4, "workers": 0},
                "loss": {"max_targets": 2},
                "optimiser": {
                    "steps": max(1, round(SHARE[stage] * steps)),
                    "batch_size": len(samples),
                    "lr": LR[stage],
                    "mixed_precision": "no",
                    "gradient_checkpointing": False,
                },
                "run": {"log_every": 1, "save_every": 0, "resume": False, "device": "cpu"},
            }
        )
        since = time.monotonic()
        curves[stage] = train(stage, config, samples=samples)
        first, last = (curves[stage][at] for at in (0, -1))
        result[stage] = {"loss": [first["loss"], last["loss"]], "seconds": round(time.monotonic() - since, 1)} | {
            name: [first[name], last[name]] for name in ("retrieved", "dice", "slice_dice") if name in last
        }
        logger.info("%s: %s", stage, json.dumps(result[stage]))
        before = {"start": str(output / stage / "model")}
    result["check"] = check(output / STAGES[-1] / "model", samples)
    result["seconds"] = round(time.monotonic() - begin, 1)
    (output / "overfit.json").write_text(json.dumps(result, indent=2) + "\n")
    _draw(curves, output)
    for stage in STAGES:
        print(f"{stage}: loss {' -> '.join(f'{loss:.4g}' for loss in result[stage]['loss'])}")
    print(*rows(result["check"]), f"{result['seconds']} s", sep="\n")
    return result


def _write_language_model(folder: Path, samples: list[Sample], steps: int) -> dict:
    """A tiny Qwen2 with a tokenizer of its own, taught the words of the conversations without any image."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    pairs = [(t.question, t.answer) for s in samples for t in s.turns]
    pairs += [(question, text) for s in samples for text in s.captions for question in CAPTION_QUESTIONS]
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        (text for pair in pairs for text in pair),
        trainers.BpeTrainer(vocab_size=1024, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|im_end|>")
    tokenizer.chat_template = CHAT
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=2048,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    lm = LanguageModel(model, tokenizer, Precision("none", torch.float32, "tiny"))
    # Without [SEG]: that word is for the joint stage to teach.
    texts = [lm.chat([("user", q)]) + lm.encode(a.replace(SEG_TOKEN, "")) + [tokenizer.eos_token_id] for q, a in pairs]
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    losses, since, rng = [], time.monotonic(), np.random.default_rng(0)
    for _ in range(steps):
        # What is asked for must be told apart before [SEG] can mean it: several texts a step.
        batch = [torch.tensor(texts[i]) for i in rng.choice(len(texts), min(TEXTS, len(texts)), replace=False)]
        ids = pad_sequence(batch, batch_first=True, padding_value=tokenizer.eos_token_id)
        labels = pad_sequence(batch, batch_first=True, padding_value=IGNORED)
        loss = next_token(model(input_ids=ids).logits, labels)  # padding comes after the words, which do not see it
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    seconds = round(time.monotonic() - since, 1)
    return {"loss": [losses[0], losses[-1]], "seconds": seconds, "vocabulary": len(tokenizer)}


def _draw(curves: dict[str, list[dict]], output: Path) -> None:
    """Loss curves as ``losses.json`` and as a page, ``losses.html``."""
    from plotly.subplots import make_subplots

    (output / "losses.json").write_text(json.dumps(curves, indent=1) + "\n")
    figure = make_subplots(2, 2, subplot_titles=list(curves))
    skipped = {"step", "lr", "samples_per_second"}
    for at, curve in enumerate(curves.values()):
        for name in sorted(set(curve[-1]) - skipped):
            line = {"x": [e["step"] for e in curve], "y": [e.get(name) for e in curve], "name": name}
            figure.add_scatter(**line, row=at // 2 + 1, col=at % 2 + 1)
    figure.update_layout(title="Losses and scores by step", height=800)
    figure.write_html(output / "losses.html")
