"""Where a sentence names structures: phrases of the vocabulary, with their sides, and words that point back.

``find`` reads words left to right, the longest phrase first, then gives each paired organ the side said with it:
"right kidney", "kidney (left)", "right and left kidneys", "the right kidney, then the left". A side that tells where
one thing lies to another ("to the left of the liver") belongs to no organ and is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from ..vocabulary.further import SIDED_NAMES
from ..vocabulary.names import GROUP_NAMES, PART_HEADS, PARTS, STRUCTURES, on_side, paired_groups, parts
from ..vocabulary.structure import Side, UnknownTerm, word_set
from ..vocabulary.unknown_terms import UNKNOWN
from ..vocabulary.vertebra_names import LEVEL_OF, NOT_LEVELS, PARTS_OF_VERTEBRAE, VERTEBRA_GROUPS, between
from .normalise import STOP

Kind = Literal["known", "unknown", "pronoun", "side", "other"]


@dataclass(frozen=True)
class Mention:
    """A stretch of words that names or points to structures.

    Attributes:
        start: index of its first word.
        end: index after its last word.
        kind: ``known``; ``unknown``: no preset knows it; ``pronoun``: "it", "both"; ``side``: "the left one", an organ
            named before is meant; ``other``: "the other one".
        ids: structures, of ``known``.
        concept: structure or group id behind ``ids``.
        side: side said with it.
        text: the words, of ``unknown``.
        nearest: ids to offer, of ``unknown``.
        lesion: an ``unknown`` that is a disease.
        number: of a ``pronoun``: 1 for "it", 2 for "they", "both", "each other".
    """

    start: int
    end: int
    kind: Kind
    ids: tuple[str, ...] = ()
    concept: str = ""
    side: Side = ""
    text: str = ""
    nearest: tuple[str, ...] = ()
    lesion: bool = False
    number: int = 1


PAIRED = frozenset(paired_groups())
_SIDES: dict[str, Side] = {"right": "right", "left": "left"}
_VERTEBRA = re.compile(r"[ctl]\d{1,2}|s[1-5]")
_ORDINALS = word_set(
    """
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth 1st 2nd 3rd 4th
    """
)
_BETWEEN = frozenset({"and", "or", ",", "then", "plus", "versus", "to", "with"})
_LIKE_THE = word_set(
    """
    the a an my his her this that your their whole entire sided hand side lower upper
    """
)
_LOBE_WORDS = word_set(
    """
    upper middle lower superior inferior right left
    """
)
_LANDMARKS = word_set("ear ears cheek cheeks flank loin armpit breast hip groin shoulder")
_PRONOUNS = {
    "it": 1, "its": 1, "them": 2, "they": 2, "their": 2, "both": 2, "these": 2, "those": 2, "this": 1,
    "that": 1, "itself": 1,
}  # fmt: skip
_AFTER_POINTER = frozenset({"", "from", "with", "to", "and", "as", "again", "too", "in", "please", "one", "for", *STOP})


# words of names that are ordinary English besides: a typo is not mended towards them
_COMMON = word_set(
    """
    field base tube lower upper outer outline back rest other remaining outside great large major vessels
    surface liens milts cavas loops noses stems bases discs clots cysts testis aria contour system structures
    tissue whole external bony mask table port stent drain growth lens masses lump septum nipple nipples hip
    hips eyes
    """
)


_POINTED = frozenset({"organ", "vessel", "structure", "gland", "bone", "tube", "mask", "region"})


def _phrases() -> dict[tuple[str, ...], str | UnknownTerm]:
    table: dict[tuple[str, ...], str | UnknownTerm] = {}

    def add(text: str, target: str | UnknownTerm) -> None:
        for form in (
            text,
            *([] if text.endswith("s") else [text + "s"]),
            *([text[:-1] + "ies"] if text.endswith(("ty", "my", "ry")) else []),
        ):
            table.setdefault(tuple(form.split()), target)

    for structure in STRUCTURES.values():
        for synonym in structure.synonyms:
            if synonym != "body":  # "the largest artery of the body" does not ask for an outline
                add(synonym, structure.group if structure.paired else structure.id)
    for group, names in GROUP_NAMES.items():
        for text in names:
            add(text, group)
    for id, names in SIDED_NAMES.items():
        for text in names:
            add(text, id)
    for term in UNKNOWN:
        for text in term.names:
            add(text, term)
    return table


PHRASES = _phrases()
ADJECTIVES: dict[str, str] = {
    adjective: structure.group if structure.paired else structure.id
    for structure in STRUCTURES.values()
    for adjective in structure.adjectives
}
_LONGEST = max(map(len, PHRASES))


def lexicon() -> frozenset[str]:
    """Every word of every phrase; none of them is a misspelling."""
    return frozenset(word for phrase in PHRASES for word in phrase) | ADJECTIVES.keys() | _ORDINALS | PARTS | PART_HEADS


def names_to_mend() -> frozenset[str]:
    """Words that spelling is mended towards: those of known structures, and names of one word."""
    known = {
        word for phrase, target in PHRASES.items() if isinstance(target, str) or len(phrase) == 1 for word in phrase
    }
    return frozenset(known - _COMMON - _ORDINALS | ADJECTIVES.keys())


def find(words: list[str]) -> list[Mention]:
    """Mentions of a clause, in order, none overlapping."""
    found: list[Mention] = []
    i = 0
    while i < len(words):
        mention = _at(words, i)
        if mention is None:
            i += 1
        else:
            found.append(mention)
            i = mention.end
    found = _join_parts(words, found)
    return _with_sides(words, found)


def _at(words: list[str], i: int) -> Mention | None:
    """The mention that begins with word ``i``."""
    for n in range(min(_LONGEST, len(words) - i), 0, -1):
        target = PHRASES.get(tuple(words[i : i + n]))
        if target in LEVEL_OF and (set(words[i + n : i + n + 1]) | set(words[max(0, i - 1) : i])) & NOT_LEVELS:
            continue  # "T1 weighted", "stage T2"
        if isinstance(target, str):
            # "kidney cortex", "spine muscles": a noun before a part names the part
            if i + n < len(words) and words[i + n] in PART_HEADS - {"gland", "glands"}:
                return _unknown(words, i, i + n + 1, parts(target))
            return Mention(i, i + n, "known", parts(target), target)
        if target is not None:
            n += words[i + n : i + n + 1] in (["bone"], ["bones"], ["muscle"], ["muscles"])
            return _unknown(words, i, i + n, target.nearest, target.lesion)
    word = words[i]
    following = words[i + 1] if i + 1 < len(words) else ""
    if word in ADJECTIVES:
        if following in PART_HEADS | PARTS:
            return _unknown(words, i, i + 2, (ADJECTIVES[word],))
        return Mention(i, i + 1, "known", parts(ADJECTIVES[word]), ADJECTIVES[word])
    if _VERTEBRA.fullmatch(word):
        return _unknown(words, i, i + 1 + (following.startswith("vertebra")), ("vertebral_column",))
    if word in ("lobe", "lobes"):
        return _unknown(words, i, i + 1, ("lungs", "liver"))
    if word in ("other", "second", "opposite", "contralateral"):
        named = next((p for n in (3, 2, 1) if (p := tuple(words[i + 1 : i + 1 + n])) in PHRASES), ())
        organ = PHRASES.get(named)
        if isinstance(organ, str) and organ in PAIRED:
            return Mention(i, i + 1 + len(named), "other", concept=organ)
    if word in ("other", "opposite", "contralateral") and (
        following in ("one", "side", "ones", "organ") or following in _AFTER_POINTER
    ):
        return Mention(i, i + 1 + (following in ("one", "side", "ones", "organ")), "other")
    if word in ("its", "the") and following in ("counterpart", "twin"):
        return Mention(i, i + 2, "other")
    if word == "each" and following == "other":
        return Mention(i, i + 2, "pronoun", number=2)
    if word in ("this", "that", "these", "those") and following.rstrip("s") in _POINTED:
        return Mention(i, i + 2, "pronoun", number=_PRONOUNS[word])
    if word in ("this", "that", "these", "those") and following not in _AFTER_POINTER:
        return None
    if word == "both" and _next_known(words, i + 1):
        return None
    if word in _PRONOUNS:
        return Mention(i, i + 1, "pronoun", number=_PRONOUNS[word])
    return None


def _next_known(words: list[str], i: int) -> bool:
    """Whether a structure follows at once, so that "both" only counts it."""
    while i < len(words) and words[i] in {*_LIKE_THE, "of", "right", "left"}:
        i += 1
    return i < len(words) and any(isinstance(PHRASES.get(tuple(words[i : i + n])), str) for n in range(1, 4))


def _unknown(words: list[str], start: int, end: int, nearest: tuple[str, ...], lesion: bool = False) -> Mention:
    """An unknown structure with the words before it that belong to it: "left adrenal gland"."""
    lobe = words[end - 1] in ("lobe", "lobes")
    while start and (
        words[start - 1] in _ORDINALS or words[start - 1] in _SIDES or (lobe and words[start - 1] in _LOBE_WORDS)
    ):
        start -= 1
    said = {_SIDES[w] for w in words[start:end] if w in _SIDES}
    return Mention(start, end, "unknown", text=" ".join(words[start:end]), nearest=_sided(nearest, said), lesion=lesion)


def _sided(nearest: tuple[str, ...], said: set[Side]) -> tuple[str, ...]:
    """Ids to offer: of a paired group, the side that was said."""
    ids: list[str] = []
    for id in nearest:
        ids += [on_side(id, next(iter(said)))] if id in PAIRED and len(said) == 1 else parts(id)
    return tuple(dict.fromkeys(ids))


def _join_parts(words: list[str], found: list[Mention]) -> list[Mention]:
    """Joins "head" + "of the pancreas", "lung" + "nodule", "nodule" + "in the lung" to one unknown structure."""
    joined: list[Mention] = []
    for mention in found:
        start = _start_of_part(words, mention) if mention.kind == "known" else None
        if start is not None:
            said = {_SIDES[w] for w in words[start : mention.end] if w in _SIDES}
            while joined and joined[-1].end > start:
                start = min(start, joined.pop().start)
            text = " ".join(words[start : mention.end])
            mention = Mention(start, mention.end, "unknown", text=text, nearest=_sided((mention.concept,), said))
        elif (
            _VERTEBRA.match(mention.text)
            and joined
            and joined[-1].concept == "vertebral_column"
            and joined[-1].end == mention.start
        ):
            body = joined.pop()  # "vertebral body L1"
            mention = replace(mention, start=body.start, text=" ".join(words[body.start : mention.end]))
        elif mention.lesion and joined and joined[-1].kind == "known" and joined[-1].end == mention.start:
            organ = joined.pop()
            while organ.start and words[organ.start - 1] in _SIDES:
                organ = replace(organ, start=organ.start - 1, side=_SIDES[words[organ.start - 1]])
            text = " ".join(words[organ.start : mention.end])
            nearest = _sided((organ.concept,), {organ.side} - {""})
            mention = replace(mention, start=organ.start, text=text, nearest=nearest)
        elif (
            joined and joined[-1].lesion and mention.kind == "known" and _located(words, joined[-1].end, mention.start)
        ):
            lesion = joined.pop()
            said = {_SIDES[w] for w in words[lesion.end : mention.start] if w in _SIDES}
            text = " ".join(words[lesion.start : mention.end])
            mention = replace(lesion, end=mention.end, text=text, nearest=_sided((mention.concept,), said))
        elif joined and (mended := _vertebrae(words, joined[-1], mention)) is not None:
            joined.pop()
            mention = mended
            while mention.kind == "unknown" and joined and _levels(joined[-1]) and joined[-1].end == mention.start:
                first = joined.pop()  # "L4 L5 disc"
                text = " ".join(words[first.start : mention.end])
                mention = replace(mention, start=first.start, text=text, nearest=(*first.ids, *mention.nearest))
        joined.append(mention)
    return joined


_SPINE = frozenset({"vertebral_column", *VERTEBRA_GROUPS})


def _levels(mention: Mention) -> bool:
    return mention.ids != () and LEVEL_OF.keys() >= set(mention.ids)


def _vertebrae(words: list[str], before: Mention, mention: Mention) -> Mention | None:
    """Two neighbouring mentions about vertebrae as one: a range, "spine L1", "L1 of the spine", "L4 L5 disc"."""
    gap = words[before.end : mention.start]
    of = not gap or _located(words, before.end, mention.start)
    levels = [_levels(m) for m in (before, mention)]
    if all(levels):
        ids = between(words, before.ids[-1], mention.ids[0], gap)
        return replace(mention, start=before.start, ids=ids, concept="") if ids else None
    if of and levels[1] and before.concept in _SPINE:
        return replace(mention, start=before.start)
    if of and levels[0] and mention.concept in _SPINE and gap:
        return replace(before, end=mention.end)
    parts = [m.kind == "unknown" and bool(PARTS_OF_VERTEBRAE & set(m.text.split())) for m in (before, mention)]
    if (of and (levels[0] and parts[1])) or (of and gap and parts[0] and levels[1]):
        text = " ".join(words[before.start : mention.end])
        return Mention(before.start, mention.end, "unknown", text=text, nearest=before.ids or mention.ids)
    return None


def _start_of_part(words: list[str], mention: Mention) -> int | None:
    """Where "left lobe of the" begins before a mention, or None."""
    i = mention.start
    while i and words[i - 1] in {*_LIKE_THE, *_SIDES}:
        i -= 1
    if i < 2 or words[i - 1] != "of" or words[i - 2] not in PARTS:
        return None
    if words[i - 2].startswith(("part", "portion")) and not set(words[i - 3 : i - 2]) & _LOBE_WORDS:
        return None  # "is part of the liver cut off" asks for the liver
    i -= 2
    while i and words[i - 1] in _LOBE_WORDS:
        i -= 1
    return i


def _located(words: list[str], start: int, end: int) -> bool:
    """Whether only "in the", "of the left" and the like stand between."""
    between = words[start:end]
    return (
        bool(between)
        and between[0] in ("in", "of", "within", "on", "inside")
        and all(w in {*_LIKE_THE, *_SIDES} for w in between[1:])
    )


def _with_sides(words: list[str], found: list[Mention]) -> list[Mention]:
    """Gives paired organs their side, and turns sides that stand alone into mentions of their own."""
    inside = {i for m in found for i in range(m.start, m.end)}
    free = [i for i, w in enumerate(words) if w in _SIDES and i not in inside and not _relational(words, i)]
    result: list[Mention] = []
    for mention in found:
        if mention.kind != "known" or mention.concept not in PAIRED:
            result.append(mention)
            continue
        before = _sides_before(words, mention.start, free) or _one_of(words, mention.start, free)
        sides = before or _sides_after(words, mention.end, free, found) or _landmark_after(words, mention.end, free)
        free = [i for i in free if i not in sides]
        if not sides:
            result.append(mention)
        for i in sides:
            side = _SIDES[words[i]]
            span = (min(i, mention.start), max(i + 1, mention.end)) if len(sides) == 1 else (mention.start, mention.end)
            ids = (on_side(mention.concept, side),)
            result.append(Mention(*span, "known", ids, mention.concept, side))
    for i in free:
        following = words[i + 1] if i + 1 < len(words) else "?"
        tag = following in ("?", ".") and words[i - 1 : i] == [","]  # "no gallbladder, right?"
        if words[i] == "right" and (following in ("now", "away") or tag):
            continue
        end = i + 1 + (i + 1 < len(words) and words[i + 1] in ("one", "side", "ones"))
        result.append(Mention(i, end, "side", side=_SIDES[words[i]]))
    return sorted(result, key=lambda m: (m.start, m.end))


def _relational(words: list[str], i: int) -> bool:
    """Whether a side tells where something lies to something else: "left of", "on the right side of the aorta"."""
    j = i + 1
    while j < len(words) and words[j] in ("side", "hand"):
        j += 1
    if j >= len(words) or words[j] not in ("of", "from", "to"):
        return False
    return words[j + 1 : j + 3] not in (["the", "patient"], ["the", "body"])


def _sides_before(words: list[str], start: int, free: list[int]) -> list[int]:
    """Sides just before a noun: "right", "right and left"; "the lower right"."""
    sides: list[int] = []
    i = start - 1
    while i >= 0:
        if i in free:
            sides.insert(0, i)
        elif (not (words[i] in _LIKE_THE and i - 1 >= 0) and not (sides and words[i] in _BETWEEN)) or (
            words[i] == "the" and not sides
        ):
            break
        i -= 1
    return sides


def _one_of(words: list[str], start: int, free: list[int]) -> list[int]:
    """The side in "the left one of the kidneys"."""
    i = start
    while i and words[i - 1] in ("the", "both", "two", "his", "her", "my"):
        i -= 1
    return [i - 3] if i > 2 and words[i - 2 : i] == ["one", "of"] and i - 3 in free else []


def _landmark_after(words: list[str], end: int, free: list[int]) -> list[int]:
    """The side of a part of the surface that tells the place of a paired organ: "in front of the left ear"."""
    near = [i for i in free if end <= i <= end + 6 and words[i + 1 : i + 2] and words[i + 1] in _LANDMARKS]
    return near[:1]


def _sides_after(words: list[str], end: int, free: list[int], found: list[Mention]) -> list[int]:
    """Sides just after a noun: "kidney left", "kidney on the left side", "kidneys, left and right"."""
    taken = {m.start for m in found}
    sides: list[int] = []
    i = end
    while i < len(words) and i not in taken:
        if i in free:
            sides.append(i)
        elif words[i] not in {*_LIKE_THE, "(", ")", ",", "on", "at", "of", "to", "and", "or", "only", "just"} or (
            words[i] == "and" and not sides
        ):
            break
        i += 1
    return [] if i in taken and sides and _sides_before(words, i, free) else sides
