"""How lists of words are written in this package: as running text, so that a person can read and extend them."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """Words set apart by spaces or line ends."""
    return frozenset(text.split())


def names(text: str) -> tuple[str, ...]:
    """Names of one or more words, set apart by commas."""
    return tuple(" ".join(name.split()) for name in text.split(",") if name.strip())
