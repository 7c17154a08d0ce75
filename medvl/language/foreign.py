"""Simple messages in German, Spanish, French and Chinese, word by word in English, for whatever plans them.

No grammar is translated: the words of a short question stand in about the same order in these languages, and a plan
needs what is named, on which side, and what is asked of it. A message that reads as English is left as it is.
"""

from __future__ import annotations

import re

from ..vocabulary.foreign_words import CHINESE, LANGUAGES
from ..vocabulary.structure import word_set
from .mentions import lexicon
from .normalise import fold

LEAST = 4  # letters of foreign words that make a message foreign: "LA" is the left atrium
_HAN = re.compile(r"[\u4e00-\u9fff]+")
_WORD = re.compile(r"[a-z]+(?![a-z\d])")  # no level of a vertebra
_ENGLISH = lexicon() | word_set(
    """
    the is are of what how which where there it its and or show measure segment hide delete please in on with to a
    an for me my this that you your can do does big large size volume any between from right left has have at as by
    not report image i was were be
    """
)
_LONGEST = {code: max(len(phrase.split()) for phrase in table) for code, table in LANGUAGES.items()}
_LONGEST_HAN = max(map(len, CHINESE))
_FOREIGN = {  # what tells a language: words that stand for others in English
    code: frozenset(
        w
        for phrase, means in table.items()
        if phrase != means
        for w in phrase.split()
        if len(w) > (1 if phrase == w else 3)
    )
    - frozenset({"an", "am", "um", "de", "no", "me", "hu", "normal", "compare", "image", "die"})
    for code, table in LANGUAGES.items()
}


def language(text: str) -> str:
    """``de``, ``es``, ``fr`` or ``zh`` of a simple message; "" for English and whatever else."""
    if _HAN.search(text):
        return "zh"
    said = _WORD.findall(_plain(text))
    own = {code: [word for word in said if word in words - _ENGLISH] for code, words in _FOREIGN.items()}
    most = max(own, key=lambda code: len(own[code]))
    # a foreign word in an English sentence ("die niere please measure it") does not make it foreign
    english = sum(word in _ENGLISH and word not in _FOREIGN[most] for word in said)
    return most if len(own[most]) > english and len("".join(own[most])) >= LEAST else ""


def english(text: str) -> str:
    """A message with the words that are known put into English; the message itself where it is English."""
    code = language(text)
    if not code:
        return text
    if code == "zh":
        return " ".join(_HAN.sub(lambda found: f" {_from_chinese(found[0])} ", text[:2000]).split())
    table, longest = LANGUAGES[code], _LONGEST[code]
    parts = re.findall(r"[a-z]+(?![a-z\d])|[a-z]+\d+|[^a-z]+", re.sub(r"[-'¿¡]", " ", _plain(text)))
    found, at = [], 0
    while at < len(parts):
        for size in range(longest, 0, -1):
            piece = parts[at : at + 2 * size - 1]
            said = "".join(piece)
            if said in table and piece[0].strip():
                found.append(table[said])
                at += len(piece)
                break
        else:
            found.append(_parted(parts[at], table) if code == "de" else parts[at])
            at += 1
    return " ".join("".join(found).split())


def _parted(word: str, table: dict[str, str]) -> str:
    """A word put together of two that are known, as "Milzvolumen"; the word itself where it is none."""
    for end in range(4, len(word) - 3):
        first, second = word[:end], word[end:]
        if second in table and (known := next((w for w in (first, first[:-1]) if len(w) > 3 and w in table), "")):
            return f"{table[known]} {table[second]}"
    return word


def _plain(text: str) -> str:
    return fold(text[:2000]).replace("\u00df", "ss").replace("\u0153", "oe")


def _from_chinese(text: str) -> str:
    found, at = [], 0
    while at < len(text):
        for size in range(min(_LONGEST_HAN, len(text) - at), 0, -1):
            if text[at : at + size] in CHINESE:
                found.append(CHINESE[text[at : at + size]])
                at += size
                break
        else:
            at += 1  # nothing is known of it
    return " ".join(word for word in found if word)
