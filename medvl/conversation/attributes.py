"""Whether a sentence says of each value what it is, and denies or affirms only what a result bears out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..tools.fact import Fact
from .binding import named

_STOP = re.compile(r"[;:(]|,(?=\s)|\b(?:and|against|than|but|while|whereas)\b")
_NUMBER = re.compile(r"(?<!\w)\d")  # the 4 of "T4" is none
_LENGTHS = "longest_|length"
# Words before a value and behind it, each with what of a fact's key and unit it denies.
_BEFORE: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), re.compile(denied))
    for words, denied in (
        (r"standard deviation|spread", r"mean|median|max_|min_|lowest|highest|mL$|mm$"),
        (r"mean|average", r"sd_|median_hu|max_|min_|lowest|highest"),
        (r"medians?", r"sd_|mean_|max_|min_|lowest|highest"),
        (r"volumes?", r"HU$|mm$|%$|cm\u00b2$"),
        (r"longest diameter|length", r"cross_|width|depth|short_|thickness|HU$|mL$"),
        (r"width", rf"{_LENGTHS}|depth|thickness|HU$|mL$"),
        (r"distance", rf"{_LENGTHS}|width|depth|HU$|mL$"),
    )
)
_BEHIND: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(rf"\s*(?:{words})\b"), re.compile(denied))
    for words, denied in (
        (r"on average", r"sd_|median_hu|max_|min_|lowest|highest|mL$|mm$"),
        (r"at most", r"sd_|mean_|median_|min_|lowest"),
        (r"wide|from side to side", r"longest_d|length|depth|thickness"),
        (r"long|from top to bottom", r"cross_|width|depth|short_|thickness"),
        (r"thick", rf"cross_|width|depth|{_LENGTHS}|short_"),
        (r"from front to back", r"cross_|width|length|longest_d|thickness"),
    )
)
_DENIES = re.compile(
    r"\bthere (?:is|are|was|were) no\b|\b(?:no|none of|nothing)\b[^;:]*?\b(?:was|were|is|are) (?:seen|found|visible)\b|"
    r"\bnot (?:seen|found|visible|present|in this scan)\b|\bdid not find\b|\bfree of\b|\b(?:is|are) absent\b",
    re.IGNORECASE,
)
_AFFIRMS = re.compile(r"\bthere (?:is|are) an?\b|\b(?:was|were|is|are) (?:seen|found|visible|present)\b", re.IGNORECASE)
_YES = re.compile(r"^yes\b", re.IGNORECASE)  # to what was asked, which may be whether something is missing
_DISEASE = re.compile(
    r"\b(?:tumou?rs?|cancers?|carcinomas?|sarcomas?|metasta\w+|malignan\w+|benign|infect\w+|inflam\w+|pneumonia|"
    r"tubercul\w+|abscess(?:es)?|cysts?|hematomas?|haematomas?|fractures?|thromb\w+|embol\w+|infarct\w*|ruptur\w+|"
    r"diseas\w+|patholog\w+|healthy)\b",
    re.IGNORECASE,
)


def misattributed(text: str, start: int, end: int, stated: Sequence[Fact]) -> bool:
    """Whether the words round a number say that it is something else than the facts do whose value it is.

    Args:
        text: the sentence.
        start: where the number begins.
        end: where it ends, with its unit.
        stated: facts whose value it is.
    """
    if not stated:
        return False
    behind = next((denied for words, denied in _BEHIND if words.match(text, end)), None)
    denied = behind if behind is not None else _said_before(text, start)
    return denied is not None and all(denied.search(f"{fact.key} {fact.unit}") for fact in stated)


def _said_before(text: str, start: int) -> re.Pattern[str] | None:
    """What the last word for an attribute before a number denies; None where another number stands between."""
    cuts = [match.end() for match in _STOP.finditer(text, 0, start)]
    clause = text[max(cuts, default=0) : start]
    found = [(match.end(), denied) for words, denied in _BEFORE for match in words.finditer(clause)]
    if not found:
        return None
    at, denied = max(found, key=lambda pair: pair[0])
    return None if _NUMBER.search(clause, at) else denied


def unfounded(text: str, facts: Sequence[Fact]) -> list[str]:
    """What a text denies or affirms without a result that bears it out, and diseases, which nothing measures.

    Args:
        text: the sentence.
        facts: what it was made from.

    Returns:
        The words; empty where every one is founded.
    """
    quoted = " ".join(
        part for f in facts for part in (f.note, f.reference, f.value if isinstance(f.value, str) else "")
    )
    wrong = [m.group() for m in _DISEASE.finditer(text) if m.group().lower() not in quoted.lower()]
    here = set(named(text))
    mine = [fact for fact in facts if not fact.structures or not here or here & set(fact.structures)]
    without = _DENIES.sub(" ", text)
    denies, affirms = _DENIES.search(text), _AFFIRMS.search(without)
    if denies and denies.group() not in quoted and not any(_denied(fact) for fact in mine):
        wrong.append(denies.group())
    if affirms and affirms.group() not in quoted and not any(_affirmed(fact) for fact in mine):
        wrong.append(affirms.group())
    if _YES.search(text) and not mine:
        wrong.append("yes")
    return wrong


def _denied(fact: Fact) -> bool:
    """Whether a fact says that something is not there."""
    return fact.value is False or fact.value in ("no", "absent") or (fact.value is not None and fact.value == 0)


def _affirmed(fact: Fact) -> bool:
    """Whether a fact says that something is there: it is true, or has a value."""
    if isinstance(fact.value, str):
        return fact.value not in ("no", "absent", "")
    return fact.value is not None and fact.value is not False and fact.value != 0
