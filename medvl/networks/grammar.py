"""``Grammar``: holds a language model of this machine to a JSON schema, as a server does with ``response_format``."""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from typing import Any

import llguidance
import llguidance.hf
import numpy as np
import torch
from torch import Tensor

_LOG = logging.getLogger(__name__)
# As ``json.dumps`` writes and examples in a prompt look; with free white space a model could fill lines with it.
_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Grammar:
    """Where one answer stands in its schema.

    Args:
        tokenizer: of the model.
        ends: ids that end an answer.
        schema: JSON schema of the answer.

    Raises:
        ValueError: the schema cannot be held to, or the tokenizer is none of the tokenizers library.
    """

    def __init__(self, tokenizer: object, ends: frozenset[int], schema: dict[str, Any]) -> None:
        rules = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults=_SPACING)
        self._matcher = llguidance.LLMatcher(_tokens(tokenizer, ends), rules)
        self._check()

    def allowed(self, logits: Tensor) -> Tensor:
        """Logits ``[V]`` in which what cannot come next is minus infinity."""
        may = np.frombuffer(self._matcher.compute_logit_bias(), np.uint8) > 0
        self._check()
        own = torch.zeros(len(logits), dtype=torch.bool)  # a model may have more rows than its tokenizer has tokens
        own[: len(may)] = torch.from_numpy(may[: len(logits)])
        return logits.masked_fill(~own.to(logits.device), -torch.inf)

    def take(self, token: int) -> None:
        """The next token was ``token``, one of those allowed."""
        self._matcher.consume_token(token)
        self._check()

    def forced(self) -> list[int]:
        """Tokens of which there is no choice now, to be read at once; ``take`` each of them."""
        return list(self._matcher.compute_ff_tokens())

    @property
    def ended(self) -> bool:
        """Whether the answer is whole and nothing may follow."""
        return self._matcher.is_stopped()

    def _check(self) -> None:
        if error := self._matcher.get_error():
            raise ValueError(error.splitlines()[0])


def grammar_of(tokenizer: object, ends: frozenset[int], schema: dict[str, Any]) -> Grammar | None:
    """A ``Grammar`` for one answer; None where the tokenizer is of a kind that cannot be held, which is logged."""
    try:
        return Grammar(tokenizer, ends, schema)
    except ValueError as error:
        _LOG.warning("Answers are not held to their JSON schema: %s", error)
        return None


@lru_cache(maxsize=2)
def _tokens(tokenizer: object, ends: frozenset[int]) -> llguidance.LLTokenizer:
    """Read once a model: a second or so."""
    return llguidance.hf.from_tokenizer(tokenizer, eos_token=sorted(ends))
