"""Messages of the corpus that are most like a message, with their calls: what a language model is shown to imitate."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from ...errors import CallError
from ...language.calls import TOOLS, Call
from ...language.calls.schema import examples, from_dict
from ...language.foreign import english
from ...language.mentions import find
from ...language.normalise import words
from ...weights.hub import BUNDLED

FOLDER = BUNDLED / "training" / "talk"
Shown = tuple[str, tuple[Call, ...]]


class Nearest:
    """Finds messages by their words, each weighed by how rare it is, whatever structures they name."""

    def __init__(self, known: Sequence[Shown]) -> None:
        self._known = tuple(known)
        said, self._named = zip(*(_features(text) for text, _ in self._known), strict=True)
        seen = Counter(word for found in said for word in found)
        self._weight = {word: math.log(len(said) / count) for word, count in seen.items()}
        self._vectors = [self._vector(found) for found in said]

    def of(self, message: str, count: int) -> list[Shown]:
        """The nearest messages, the nearest last; no two with the same calls."""
        features, named = _features(message)
        wanted = self._vector(features)
        scores = [sum(weight * vector.get(word, 0.0) for word, weight in wanted.items()) for vector in self._vectors]
        found: dict[tuple[Call, ...], Shown] = {}
        # "how dense?" is no example for "how dense is the femur": first come those that name as many structures
        for index in sorted(range(len(scores)), key=lambda i: (self._named[i] != named, -scores[i])):
            if len(found) == count:
                break
            if scores[index] > 0:
                found.setdefault(self._known[index][1], self._known[index])
        return list(found.values())[::-1]

    def _vector(self, found: frozenset[str]) -> dict[str, float]:
        weights = {word: self._weight[word] for word in found if word in self._weight}
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {word: weight / length for word, weight in weights.items()}


def _features(text: str) -> tuple[frozenset[str], int]:
    """Words and pairs of words beside the names of structures, and how many names: 0, 1, or 2 for more."""
    said = words(english(text))
    mentions = [m for m in find(said) if m.kind == "known"]
    inside = {index for m in mentions for index in range(m.start, m.end)}
    rest = [word for index, word in enumerate(said) if index not in inside and word.isalnum()]
    return frozenset(rest) | {f"{a} {b}" for a, b in pairwise(rest)}, min(len(mentions), 2)


@cache
def nearest(folder: Path = FOLDER) -> Nearest:
    """Over the first messages of the dialogues of a corpus, and the examples in the docstrings of the calls."""
    known: list[Shown] = [
        (said, (from_dict(json.loads(call)),)) for kind in TOOLS.values() for said, call in examples(kind)
    ]
    for file in sorted(folder.glob("hands_*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                turn = json.loads(line)["turns"][0]
                known.append((turn["text"], tuple(from_dict(call) for call in turn["calls"])))
            except (CallError, ValueError, LookupError, TypeError):
                continue  # one line that is damaged is one example less
    return Nearest(known)
