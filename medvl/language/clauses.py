"""One clause of a message, read: its words, the structures it names, and which of them are negated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ..vocabulary.names import COLOURS
from ..vocabulary.structure import word_set
from . import cues, cues_talk
from .followup import Context
from .mentions import Mention, find, lexicon
from .referring import KINDS

# a new clause begins at one of these words after a comma or "and"
_STARTERS = word_set(
    """
    segment outline delineate contour highlight mark draw show tell give how what is are does do where which any
    measure compare describe report list remove delete can could please write find has have why
    hide go zoom jump make color paint clear export save isolate display label annotate count calculate compute whether
    if smooth fill merge combine subtract rename keep say provide check set jump open close cut crop
    """
) | frozenset(cues.EDIT_VERBS)


_NUMBERED = re.compile(r"\b(in|of|at|the|within) (liver )?segments? (\d|[iv]+)\b")  # a noun


@cache
def _understood() -> frozenset[str]:
    """Words that a rule or a name holds."""
    return frozenset(lexicon() | cues.WORDS | cues.FUNCTION_WORDS | cues_talk.FILLERS)


@dataclass(frozen=True)
class Clause:
    """A clause.

    Attributes:
        words: its words, mended.
        text: the words as one string.
        masked: the same with every structure named put as ``@`` and every unknown one as ``#``.
        mentions: what is named, pointers resolved.
        explicit: whether a structure is named in the clause itself, not only pointed to.
        context: what was asked before.
    """

    words: list[str]
    text: str
    masked: str
    mentions: list[Mention]
    explicit: bool
    context: Context

    @staticmethod
    def read(words: list[str], context: Context) -> Clause:
        """A clause from its words."""
        raw = find(words)
        mentions = context.resolve(raw)
        masked: list[str] = []
        i = 0
        for mention in [m for m in mentions if m.kind in ("known", "unknown")]:
            if mention.start < i:  # two sides of one noun share their words
                continue
            masked += [*words[i : mention.start], "@" if mention.kind == "known" else "#"]
            i = mention.end
        masked += words[i:]
        explicit = any(m.kind == "known" for m in raw)
        return Clause(words, " ".join(words), " ".join(masked), mentions, explicit, context)

    def has(self, pattern: re.Pattern[str]) -> bool:
        """Whether a cue occurs, structures masked."""
        return bool(pattern.search(self.masked))

    def says(self, pattern: re.Pattern[str]) -> bool:
        """Whether a cue occurs in the words themselves."""
        return bool(pattern.search(self.text))

    @property
    def known(self) -> list[Mention]:
        """Mentions of known structures."""
        return [m for m in self.mentions if m.kind == "known"]

    @property
    def unknown(self) -> list[Mention]:
        """Mentions of structures that no preset knows."""
        return [m for m in self.mentions if m.kind == "unknown"]

    @property
    def structures(self) -> tuple[str, ...]:
        """Ids named or pointed to, in order, each once."""
        return tuple(dict.fromkeys(id for m in self.known for id in m.ids))

    @property
    def strange(self) -> str:
        """A noun behind "the" that no list of words holds ("the foo gland"): not the structure spoken of before."""
        if self.known or self.unknown:
            return ""
        at = max(
            (i for i, word in enumerate(self.words) if word in ("the", "a", "an", "my", "his", "her")), default=None
        )
        noun = [word for word in self.words[at + 1 :] if word.isalpha()] if at is not None else []
        return (
            " ".join(noun)
            if len(noun) <= 3 and any(len(word) > 2 and word not in _understood() for word in noun)
            else ""
        )

    @property
    def yes_no(self) -> bool:
        """Whether it is a question for yes or no."""
        start = (
            self.words[1]
            if self.words and self.words[0] in ("and", "so", "but", "also") and len(self.words) > 1
            else self.words[0]
        )
        return bool(cues.QUESTION_START.fullmatch(start) or start == "whether") and not self.declined

    @property
    def declined(self) -> bool:
        """Whether it begins with "do not": an order, or rather none."""
        return bool(cues.DECLINED.match(self.text))

    @property
    def ordered(self) -> bool:
        """Whether a verb orders a mask; in "is the liver visualized" it orders nothing."""
        asks = self.words[0] in ("is", "are", "was", "were", "has", "have", "does", "do")
        return bool(cues.SEGMENT_STRONG.search(_NUMBERED.sub(" ", self.text))) and not (asks and self.yes_no)

    @property
    def which(self) -> bool:
        """Whether it asks which or what."""
        for i, word in enumerate(self.words[:4]):
            # "in which slices" asks, "the bone in which" tells, and so does "the vessel which carries"
            if (
                cues.WHICH.fullmatch(word)
                and not (i > 1 and self.words[i - 1] in ("in", "of", "with", "through", "by"))
                and not (word == "which" and i and self.words[i - 1] in KINDS)
            ):
                return True
        return False

    @property
    def side_claim(self) -> str:
        """A side that belongs to no organ: "is the heart on the left"."""
        return next((m.side for m in self.mentions if m.kind == "side"), "")

    def negated(self, mention: Mention) -> bool:
        """Whether a "not", "except" or "skip" reaches a mention."""
        for match in cues.NEGATIONS.finditer(self.text):
            if cues.NOT_FOUND.match(self.text[match.start() :]):
                continue  # "I can not find the gallbladder" orders nothing
            first = len(self.text[: match.start()].split())
            last = first + len(match.group().split())
            between = self.words[last : mention.start]
            listing = all(w not in cues.NEGATION_ENDS or w == "," for w in between) and _is_list(between)
            if last <= mention.start and (listing or not cues.NEGATION_ENDS & set(between)):
                return True
        # "the heart is not needed", "leave the stomach out"
        after = self.words[mention.end : mention.end + 5]
        return after[:2] in (["is", "not"], ["are", "not"]) and any(
            w in after for w in ("needed", "necessary", "wanted", "required", "relevant")
        )


def _is_list(words: list[str]) -> bool:
    """Whether only nouns, commas and "and" stand between, as in "except the liver, the spleen and"."""
    return "and" in words and not any(w in ("just", "only", "but", "do", "segment", "show") for w in words)


def split(words: list[str]) -> list[list[str]]:
    """Clauses of a message: cut at full stops and question marks, and where "and" or a comma begins a new request."""
    words = _without_tag(words)
    clauses: list[list[str]] = [[]]
    for i, word in enumerate(words):
        following = words[i + 1 :]
        if following[:1] in (["also"], ["then"], ["finally"], ["lastly"]):
            following = following[1:]
        if word in (".", "?", "!", ";"):
            if clauses[-1]:
                clauses[-1].append(word)
                clauses.append([])
            continue
        joint = word in (",", "and", "then") or (word == "but" and following[:1] != [])
        starts = bool(following) and following[0] in _STARTERS and _is_start(following)
        starts = starts and not (_excepts(clauses[-1]) and cues.EVERYTHING.search(" ".join(following)))
        if (
            joint
            and starts
            and (len(clauses[-1]) > 1 or clauses[-1] == ["undo"])
            and not (word == "," and following[0] == "and")
        ):
            clauses.append([])
            continue
        clauses[-1].append(word)
    clauses = [part for clause in clauses for part in _measured_apart(clause)]
    return [c for c in clauses if any(w.isalnum() or w.lstrip("-").isalnum() for w in c)]


def _excepts(words: list[str]) -> bool:
    """Whether a clause only tells what is left out of what follows: "except for the bones, show me everything"."""
    match = cues.NEGATIONS.match(" ".join(words))
    return bool(match) and not cues.DECLINED.match(" ".join(words))


def _measured_apart(words: list[str]) -> list[list[str]]:
    """A clause cut where each part has its own structure and its own attribute.

    "The volume of the liver and the mean HU of the spleen" are two. A list of structures under one attribute stays
    whole, and so does what compares or relates.
    """
    if cues.COMPARE.search(" ".join(words)) or "between" in words or "from" in words:
        return [words]
    mentions = [m for m in find(words) if m.kind == "known"]
    inside = {i for m in mentions for i in range(m.start, m.end)}
    parts: list[list[int]] = [[]]
    for i, word in enumerate(words):
        if word in (",", "and", "plus") and i not in inside:
            parts.append([])
        else:
            parts[-1].append(i)
    parts = [part for part in parts if part]
    rest = parts.pop() if parts and _ALONE.fullmatch(" ".join(words[i] for i in parts[-1])) else []
    if len(parts) < 2:
        return [words]
    named = [{m.concept + m.side for m in mentions if m.start in part} for part in parts]
    asked = [_attributes([words[i] for i in part if i not in inside]) for part in parts]
    signs = [_signs([words[i] for i in part]) for part in parts]
    named, asked = ([a | b for a, b in zip(own, signs, strict=True)] for own in (named, asked))
    if all(signs) or not all(n and a for n, a in zip(named, asked, strict=True)) or len(set(map(frozenset, asked))) < 2:
        return [words]
    return [[words[i] for i in part] for part in (*parts, *([rest] if rest else []))]


_ALONE = re.compile(r"(and )?(nothing else|no others?)( please)?( [.!])?")


def _attributes(words: list[str]) -> set[str]:
    text = " ".join(words)
    colours = {word for word in words if word in COLOURS}
    return {name for name, pattern in cues.ATTRIBUTES.items() if pattern.search(text)} | colours


def _signs(words: list[str]) -> set[str]:
    """Published signs that a part names: "emphysema index"."""
    text = " ".join(words)
    return {name for name, pattern in cues.FINDING_NAMES.items() if pattern.search(text)}


def _without_tag(words: list[str]) -> list[str]:
    """A message without a closing ", isn't it?"."""
    tagged = len(words) > 4 and words[-1] == "?" and words[-5] == "," and words[-3] == "not"
    return [*words[:-5], "?"] if tagged and words[-2] in ("it", "they", "he", "she", "there") else words


def _is_start(following: list[str]) -> bool:
    """Whether a starter opens a request: "is" is followed by a noun phrase, and "do not" opens none."""
    word, after = following[0], following[1:2]
    if word == "if":
        return after in (["the"], ["my"], ["his"], ["her"], ["there"], ["one"], ["it"], ["they"], ["any"], ["either"])
    if word in ("is", "are", "has", "have", "does", "do", "can", "could"):
        return bool(after) and after[0] not in (".", "?", "not", "of", "n")
    return bool(after) or word in ("report", "export", "save")
