"""A small random planner for tests, with a vocabulary of its own."""

from __future__ import annotations

import string

import torch
from transformers import BertConfig

from medvl.conversation.planners.small import SmallPlanner, Sure
from medvl.language.encoding import HEADS, ROLES, TAGS
from medvl.networks.message_encoder import MessageEncoder, WordPieces
from medvl.vocabulary.structure import word_set

WORDS = sorted(
    word_set(
        """
        how big is the left right kidney liver spleen aorta lung show hide segment measure volume of and any fluid in
        around what this it other one delete ##s ##ing ##ed stone stones metal mean hu
        """
    )
)
ANY = Sure(0, 0, 0, 0, 0)
VOCABULARY = [
    "[PAD]", *(f"[unused{n}]" for n in range(1, 6)), "[UNK]", "[CLS]", "[SEP]", *string.ascii_lowercase,
    *string.digits, *string.punctuation, *(f"##{c}" for c in string.ascii_lowercase + string.digits), *WORDS,
]  # fmt: skip


def config(**sizes: int) -> BertConfig:
    usual = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    return BertConfig(vocab_size=len(VOCABULARY), max_position_embeddings=128, **usual | sizes)


def network(seed: int = 0) -> MessageEncoder:
    torch.manual_seed(seed)
    made = MessageEncoder(config(), {head: len(options) for head, options in HEADS.items()}, len(ROLES), len(TAGS))
    return made.eval().requires_grad_(False)


def planner(seed: int = 0, sure: Sure = ANY) -> SmallPlanner:
    return SmallPlanner(network(seed), WordPieces(VOCABULARY), sure)
