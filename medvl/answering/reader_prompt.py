"""What the reader's language model is shown: the requests of the last two turns, then the message."""

from __future__ import annotations

from collections.abc import Sequence

from .contract import Request
from .request_lines import write

START, END = "<|im_start|>", "<|im_end|>"
TURNS = 2


def prompt(text: str, history: Sequence[Sequence[Request]]) -> str:
    """The prompt; the model goes on with the lines of the requests and ``END``."""
    before = "".join(f"{write(turn)}\n" for turn in history[-TURNS:] if turn)
    return f"{START}{before}> {' '.join(text[:400].split())}\n= "
