"""Words for structures, and what typing does to a sentence: politeness, letter case, slips of the finger."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from ..answering.contract import Intent, Request
from ..answering.vocabulary import EVERYTHING, GROUPS, STRUCTURES, counterpart
from . import request_talk as T

History = tuple[tuple[Request, ...], ...]
_ORGANS = tuple(id for id in EVERYTHING if id != "other_bone")
_FREQUENT = tuple(id for id in _ORGANS if STRUCTURES[id].region in ("chest", "abdomen", "pelvis"))
PAIRS = ("kidneys", "lungs", "parotids")


@dataclass(frozen=True)
class Pair:
    """One sample: what was asked before (at most two turns), the message, and the requests it means."""

    history: History
    text: str
    requests: tuple[Request, ...]


def pair_of(text: str, *requests: Request, history: History = ()) -> Pair:
    """A pair from its parts."""
    return Pair(history, text, requests)


class Draw:
    """Draws structures and words for them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def one(self, *values: str) -> str:
        """One of some values."""
        return self.rng.choice(values)

    def ids(self, tube: bool | None = None) -> tuple[str, ...]:
        """One structure, or one time in seven both of a pair."""
        if tube is None and self.rng.random() < 0.15:
            return GROUPS[self.one(*PAIRS)]
        pool = _FREQUENT if self.rng.random() < 0.75 else _ORGANS
        fit = [id for id in pool if tube is None or STRUCTURES[id].tube == tube]
        return (self.rng.choice(fit),)

    def two(self) -> tuple[tuple[str], tuple[str]]:
        """Two structures, now and then the two sides of one organ."""
        a = self.rng.choice(_FREQUENT)
        other = counterpart(a)
        if other and self.rng.random() < 0.3:
            return (a,), (other,)
        return (a,), (self.rng.choice([id for id in _FREQUENT if id != a]),)

    def noun(self, ids: tuple[str, ...]) -> str:
        """Words for structures without an article; a side is always said where there is one."""
        rng, plural = self.rng, len(ids) == 2
        structure = STRUCTURES[ids[0]]
        base = structure.name.removeprefix(f"{structure.side} ") if structure.side else structure.name
        options = [*structure.synonyms, *structure.adjectives[:0]]
        noun = base if rng.random() < 0.6 or not options else rng.choice(options)
        if rng.random() < 0.06 and (latin := T.LATIN.get(base.replace(" ", "_"))):
            noun = latin
            if structure.side and not plural:
                return f"{noun} {'dexter' if structure.side == 'right' else 'sinister'}"
        if plural:
            many = noun if noun.endswith("s") else noun + "s"
            return rng.choice([many, many, many, f"both {many}", f"right and left {noun}", f"two {many}"])
        if structure.side:
            side = structure.side
            short = {"right": ["rt", "r", "right-sided", "rigth"], "left": ["lt", "l", "left-sided", "lft"]}[side]
            said = rng.choice(short) if rng.random() < 0.12 else side
            if noun.endswith("es") or noun in ("pulmones", "renes", "parotides"):
                noun = base
            return f"{noun} on the {side}" if rng.random() < 0.07 else f"{said} {noun}"
        return noun

    def the(self, ids: tuple[str, ...]) -> str:
        """``noun`` with an article, or without where people leave it out."""
        noun = self.noun(ids)
        if noun.startswith(("both ", "two ")):
            return noun if noun.startswith("both") else f"the {noun}"
        return self.rng.choice([f"the {noun}"] * 5 + [noun, f"my {noun}", f"the patient's {noun}"])

    def fill(self, template: str, ids: tuple[str, ...] = (), other: tuple[str, ...] = (), **slots: str) -> str:
        """A template with its slots filled; ``ids`` for {s}, {n} and {a}, ``other`` for {t}."""
        if "{a}" in template:
            noun = self.noun(ids)
            article = "" if len(ids) > 1 else "an " if noun[0] in "aeiou" else "a "
            slots["a"] = article + noun
        if "{n}" in template and ids:
            slots["n"] = self.noun(ids)
        if "{s}" in template:
            slots["s"] = self.the(ids)
        if "{t}" in template:
            slots["t"] = self.the(other)
        if "{pair" in template:
            group = STRUCTURES[ids[0]].group
            slots |= {"pair": group, "pairone": group[:-1]}
        return template.format(**slots)


def dress(text: str, requests: tuple[Request, ...], rng: random.Random) -> str:
    """Politeness, letter case, punctuation and slips of the finger; a name that must be copied is left as it is."""
    first = requests[0].intent
    if first in (Intent.SEGMENT, Intent.MEASURE, Intent.REPORT, Intent.REMOVE) and rng.random() < 0.25:
        text = f"{rng.choice(T.POLITE_BEFORE)} {text}"
    if first not in (Intent.CHAT, Intent.UNKNOWN, Intent.REFUSE, Intent.KNOWLEDGE) and rng.random() < 0.15:
        text = f"{text} {rng.choice(T.POLITE_AFTER)}".replace(" ,", ",")
    if rng.random() < 0.15 and not any(r.unknown for r in requests):
        text = _slip(text, rng)
    if first not in (Intent.SEGMENT, Intent.REMOVE) and not text.endswith("?") and rng.random() < 0.4:
        text += "?"
    roll = rng.random()
    text = text.capitalize() if roll < 0.3 else text.upper() if roll < 0.33 else text
    return text + rng.choice(["", "", "", ".", "!"]) if text[-1:].isalpha() and rng.random() < 0.2 else text


def _slip(text: str, rng: random.Random) -> str:
    """One letter of one longer word left out, doubled or swapped with the next."""
    spots = [m for m in re.finditer(r"[a-z]{5,}", text)]
    if not spots:
        return text
    word = rng.choice(spots)
    i = rng.randrange(word.start() + 1, word.end() - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return text[:i] + text[i + 1 :]
    if kind == 1:
        return text[:i] + text[i] + text[i:]
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
