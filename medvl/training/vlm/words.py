"""``python -m medvl.training words``: a tiny language model that is made here, where none can be had or afforded.

A Qwen2 of a million weights with a tokenizer of its own, taught the words of a dataset's conversations without any
image. It stands in the place of a pretrained language model: it speaks of what these conversations speak of and of
nothing else, and a CPU trains ``[SEG]`` on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from ...networks.language_model import SEG_TOKEN, LanguageModel
from ...weights.quantization import Precision
from ..datasets import draw
from ..datasets.samples import NothingToAsk, Sample
from .feed import CAPTION_QUESTIONS
from .losses import IGNORED, next_token

WIDTH = 128
TEXTS = 16  # that the new language model reads in a step
SPECIAL = ["<|im_start|>", "<|im_end|>"]  # the others are added when the vision-language model is built
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
Pair = tuple[str, str]


def pairs_of(samples: Iterable[Sample]) -> list[Pair]:
    """Questions and answers of samples, captions as answers to a request for a description."""
    samples = list(samples)
    pairs = [(t.question, t.answer) for s in samples for t in s.turns]
    return pairs + [(question, text) for s in samples for text in s.captions for question in CAPTION_QUESTIONS]


def drawn(samples: Sequence[Sample], epochs: int) -> list[Sample]:
    """What a dataset says of its samples in several epochs; those of which nothing can be asked are left out."""
    found = []
    for epoch in range(epochs):
        for place in range(len(samples)):
            try:
                found.append(draw(samples, place, epoch))
            except NothingToAsk:
                continue
    return found


def write_language_model(folder: Path, pairs: Sequence[Pair], steps: int) -> dict:
    """Make one and teach it words.

    Args:
        folder: that ``model.language_model`` of a stage may name.
        pairs: questions and answers.
        steps: of ``TEXTS`` texts.

    Returns:
        First and last ``loss``, ``seconds``, size of the ``vocabulary``.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

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
