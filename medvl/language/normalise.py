"""From what was typed to plain words: lower case, contractions written out, spelling mended with restraint.

A misspelt word is mended only if no other known word lies as near, if it begins with the same letter, and if it is not
itself an ordinary English word: "lver" is the liver, "river" and "lover" are not, "ileum" never becomes "ilium".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from ..vocabulary.structure import word_set

STOP = frozenset({".", "?", "!", ";", ",", ":", "(", ")"})
"""Punctuation that is kept, each as a word of its own."""

_CONTRACTIONS = [
    (r"\bwon't\b", "will not"),
    (r"\bcan't\b|\bcannot\b", "can not"),
    (r"\b(\w+)n't\b", r"\1 not"),
    (
        r"\b(?P<verb>could|would|should|did|was|were|has|have|had)nt\b",
        r"\g<verb> not",
    ),
    (
        r"\b(dont|doesnt|isnt|arent)\b",
        lambda m: {"dont": "do", "doesnt": "does", "isnt": "is", "arent": "are"}[m[0]] + " not",
    ),
    (r"\b(what|where|how|who|which|that|there|here|it|he|she)'s\b", r"\1 is"),
    (r"\b(whats|wheres|hows)\b", lambda m: m[0][:-1] + " is"),
    (r"\bi'm\b", "i am"),
    (r"\b(\w+)'re\b", r"\1 are"),
    (r"\b(\w+)'ve\b", r"\1 have"),
    (r"\b(\w+)'ll\b", r"\1 will"),
    (r"\b(\w+)'d\b", r"\1 would"),
    (r"\blet's\b", "let us"),
    (r"\btl\s?;?\s?dr\b", "tldr"),
    (r"\bs/p\b", "after"),
    (r"\bw/o\b", "without"),
    (r"\bw/\b", "with"),
    (r"\bi\.\s?e\.|\be\.\s?g\.", ","),
    (r"\bvs\b\.?", "versus"),
    # "is one of them too big", "and if any of these is enlarged"
    (
        r"\b(?:(?:is|are) (?:any|one|either) of (?:them|these|those|the two)|(?:(?:tell me|say|check|see) )?if "
        r"(?:any|one|either) of (?:them|these|those|the two) (?:is|are))"
        r"(?= (?:too|enlarged|dilated|abnormal|normal)\b)",
        "are they",
    ),
    # "which is more big", as who learns the language says it
    (r"\bmore (big|large|small|long|wide|thick|heavy|dense)\b", lambda m: _COMPARATIVE[m[1]] + "er"),
    (r"\bmost (big|large|small|long|wide|thick|heavy|dense)\b", lambda m: _COMPARATIVE[m[1]] + "est"),
    (r"\b([lr])t?\.(?=\s)", lambda m: {"l": "left", "r": "right"}[m[1]]),
    (r"\b([tl]|th)(\d{1,2})\s?-\s?([tl]|th)?(\d{1,2})\b", lambda m: f"{m[1]}{m[2]} through {m[3] or m[1]}{m[4]}"),
    (r"\b([tl]|th) (\d{1,2})\b(?! ?(?:mm|cm|ml|hu)\b)", r"\1\2"),  # "L 1"
    (r"\b(?:minus|negative) (?=\d)", "-"),
    (r"(?<=\d)\s?\.{2,3}\s?(?=-?\d)", " to "),
    (r"(?<![\w.])(\d+(?:[.,]\d+)?) ?l\b", r"\1 liters"),  # no side
    (r"\b(how (?:much|many)(?: \w+)?|what|nothing|anything) (is|are|was|were) left\b", r"\1 \2 there"),  # no side
    (
        r"\b(ww?|wl|l)\s?(\d{2,4})\s*[,/]?\s*(ww?|wl|l|c)\s?(-?\d{2,4})\b",
        lambda m: (
            f"window {'level' if m[1][-1] == 'l' else 'width'} {m[2]} {'width' if m[1][-1] == 'l' else 'level'} {m[4]}"
        ),
    ),
    (r"\b(?:at )?(?:the )?level of (?:the )?(?:kidney|renal) arter(?:y|ies)\b", "infrarenal"),
    (r"\bcm\s?(?:3|³|\^3)", "cm3"),
    (r"\bmm\s?(?:3|³|\^3)", "mm3"),
]

_COMPARATIVE = {
    "big": "bigg", "large": "larg", "small": "small", "long": "long", "wide": "wid", "thick": "thick",
    "heavy": "heavi", "dense": "dens",
}  # fmt: skip

_SHORTHAND = {
    "pls": "please", "plz": "please", "plse": "please", "bitte": "please", "u": "you", "r": "right", "l": "left",
    "rt": "right", "lt": "left", "lft": "left", "rgt": "right", "rite": "right", "gimme": "give", "wanna": "want",
    "lemme": "let", "teh": "the", "hte": "the", "thx": "thanks", "ty": "thanks", "n": "and", "et": "and", "und": "and",
    "dexter": "right", "dextra": "right", "dextrum": "right", "dexters": "right", "dx": "right",
    "sinister": "left", "sinistra": "left", "sinistrum": "left", "sin": "left",
    "wich": "which", "whch": "which", "wher": "where", "hw": "how", "abt": "about",
    "righthand": "right", "lefthand": "left", "wat": "what", "wot": "what", "hv": "have", "vol": "volume",
    "centre": "center", "calibre": "caliber", "colour": "color", "tumours": "tumors", "tumour": "tumor",
    "millilitres": "milliliters", "millilitre": "milliliter", "litres": "liters", "litre": "liter",
    "centimetres": "centimeters", "centimetre": "centimeter", "millimetres": "millimeters",
    "millimetre": "millimeter", "cms": "cm", "mls": "ml",
    "summarise": "summarize", "summarising": "summarize", "analyse": "analyze", "recognise": "recognize",
    "visualise": "visualize", "lk": "left kidney", "rk": "right kidney", "dissekt": "dissect",
    "hus": "hu", "kidneys'": "kidneys", "avg": "average", "vol.": "volume", "diam": "diameter", "diff": "difference",
}  # fmt: skip
"""Short forms, Latin sides and British spellings, each for the one form the lexicons use."""

# Ordinary words within one or two letters of a word of the lexicons: never mended.
_ORDINARY = word_set(
    """
    river lover lever liver's lived live lives living hear heard heat hearth chart start smart art part party
    long lung's lunge lunch hung sung song lump jump pump love leave leaves left right light night might sight
    fight tight spin spins pine spice spire spare space skin sink bring being bead been bean been bladed blade
    ladder border order older holder larger larder large target stone stored store story stories tone bone done
    gone one none note nose rose those these their there then than that this what when where were here hers his
    has had have having want went wait waist waste paste taste case cast last list lost least less lesson season
    reason region religion vision version person prison poison body bodies copy city pity pretty party mask task
    ask desk disk risk risks rock role rule rude side size sized wise wide wild will well wall wale tail tale
    tell tall tool cool call cell ball bell bill fill full fall fell feel feet meet meat seat beat heats bear
    wear year near dear fear rear clear clean cleaned mean means men man many any may make take lake cake bake
    wake wakes brake break bread read lead head heads dead deal real seal steal steel still skill spill spell
    smell small stall staff stuff stiff cliff offer over ever never even event seven given drive driven river
    rivers silver silvers delivers deliver delivery believe relieve receive archive active native nature mature
    future feature measure pleasure treasure pressure figure failure picture mixture moisture posture gesture
    texture structure strictures culture capture rapture sculpture furniture department apartment comment moment
    cement element document argument treat great grate rate late date data gate hate state statue status stats
    plate plane plan plant plans place palace pace page pages image images engine imagine magic music basic back
    pack lack track trick tricks trust truth tooth booth both bath path math month mouth south north earth worth
    birth third bird word world work worker works fork form from firm farm arm army harm charm warm worm storm
    sort short shirt shift shirt shorter sport spot port post most must just rust trust dust bust best test rest
    nest west guest quest request question queen green greed agree degree tree three free freeze sneeze breeze
    cheese cheek check chick thick think thing things king ring rings wing sing song sang bang gang hang rang
    range orange change chance dance fence hence pence since science silence absence presence present president
    resident evident student decent recent percent parent patent patient patience ancient client silent talent
    moral mural rural plural pleural normal formal format former farmer dormer corner stomachs cardio cards card
    hard yard ward word lord cord chord board hoard boat coat goat float bloat color collar dollar cellar
    cellars sailor tailor minor mirror error horror terror tremor trader reader leader header heading python
    joke jokes poem code capital country germany france paris weather football soccer recipe banana apple bread
    pirate morning evening afternoon tomorrow today yesterday week weeks time times tables table cable fable
    noble able sable stable double trouble bubble couple people purple simple sample example temple apple ripple
    triple principal name names game fame same shame frame flame blame lame tame came camel panel vessel tunnel
    channel final finally total totally vocal local focal social special spatial partial martial initial letter
    better butter bitter matter latter later water waiter writer winter printer pointer painter center enter
    inter international internal external eternal paternal maternal journal signal single jungle angle ankle
    uncle circle cycle title little bottle battle remote positive positional seems steps attention distinct
    contract contracts basis based cancel cancels vice costs resort summaries poly contrary deliberate interior
    lengthy ticket tickets piped liner liners vowel grand averaged delicate bonus sine spline outliers corollary
    threat miles pleas columnar depending described lies canvas slides descendant tested testes outlive remover
    highlighted outlined summarized sliced cattle settle kettle metal mental dental rental central control
    patrol petrol cholesterol cough coal coach medal medals corps revolution glad colony beast beasts submarine
    defending chorus pleased widow coins meal meals bonds closet fees spike spikes caves coral chips caring spiral
    supervisor supervisors loses feeds lamps brightly tutor cares sins skies spies fools handy visibly investing renew
    consolation pens sanitary stunts
    """
)


def fold(text: str) -> str:
    """Lower case, plain quotes and hyphens, no accents."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = text.translate(
        str.maketrans(
            {
                "\u2019": "'",
                "\u2018": "'",
                "`": "'",
                "\u2013": "-",
                "\u2014": ",",
                "\u2026": ".",
                "&": " and ",
                "+": " and ",
            }
        )
    )
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _listed_apart(text: str) -> str:
    """The items of a list, each as a sentence of its own: a line each, or "1) ... 2) ..."."""
    text = re.sub(r"\s*\n\s*(?:[-*\u2022] )?", " . ", text.strip())
    if re.search(r"(?<!\S)\(?1[).] .*(?<!\S)\(?2[).] ", text):
        text = re.sub(r"(?<!\S)\(?\d[).](?= )", " . ", text)
    return text


def words(text: str) -> list[str]:
    """Words and punctuation marks of a text, contractions and shorthand written out; spelling is left as it is.

    A text of any length is cut at 2,000 characters: nobody asks that much, and work grows with it.
    """
    text = text[:2000]
    if "+" in text:  # "liver + spleen - heart"; elsewhere a dash between words is none of arithmetic
        text = re.sub(r"(?<=\w)\s+[-\u2013]\s+(?=[a-z])", " minus ", text, flags=re.I)
    text = _listed_apart(fold(text))
    text = re.sub(r"[<>](?==?\s*-?\d)", lambda m: " above " if m.group() == ">" else " below ", text)
    for pattern, replacement in _CONTRACTIONS:
        text = re.sub(pattern, replacement, text)
    text = re.sub(r"(?<=\w)'s?\b|(?<=s)'", "", text)
    # a minus sign before a number is kept ("-950 HU"); any other hyphen joins words that are read apart
    text = re.sub(r"-(?!\d)|(?<=\w)-(?=\d)", lambda m: " ", text)
    found = re.findall(r"-?\d+(?:[.,]\d+)?|[a-z]+\d+[a-z]*|[a-z]+|\d+|[.?!;,:()]", text)
    return [part for word in found for part in _SHORTHAND.get(word, word).split()]


def distance(a: str, b: str, limit: int) -> int:
    """Edits (insert, delete, replace, swap of neighbours) from ``a`` to ``b``; ``limit + 1`` if more than ``limit``.

    The optimal string alignment distance (Damerau 1964, restricted).
    """
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, last, row = row, before, [i] + [0] * len(b)
        for j, y in enumerate(b, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], last[j - 2] + 1)
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


class Speller:
    """Mends words towards a lexicon.

    Args:
        lexicon: words to mend towards; none of them is ever changed.
        ordinary: further words that are never changed.
    """

    def __init__(self, lexicon: Iterable[str], ordinary: Iterable[str] = ()) -> None:
        self.known = frozenset(lexicon)
        self._kept = self.known | _ORDINARY | frozenset(ordinary)
        self._by_letter: dict[str, list[str]] = {}
        for word in sorted(self.known):
            if len(word) >= 5:
                self._by_letter.setdefault(word[0], []).append(word)
        self._mend = lru_cache(maxsize=4096)(self._look_up)

    def mend(self, text: list[str]) -> list[str]:
        """The words, each mended where one known word alone is near enough."""
        return [self._mend(word) for word in text]

    def _look_up(self, word: str) -> str:
        if len(word) < 4 or not word.isalpha() or word in self._kept or self._plural_known(word):
            return word
        best, candidates = 3, []
        for known in self._by_letter.get(word[0], []):
            # two slips only in a long word that begins well
            allowed = 2 if min(len(known), len(word)) >= 8 and word[:2] == known[:2] else 1
            if len(word) < 5 and len(known) != len(word) + 1:
                continue
            d = distance(word, known, allowed)
            if d <= allowed and d <= best:
                candidates = [known] if d < best else [*candidates, known]
                best = d
        # the singular and plural of one word are no ambiguity
        stems = {c.removesuffix("s") for c in candidates}
        return min(candidates, key=len) if len(stems) == 1 else word

    def _plural_known(self, word: str) -> bool:
        return word.removesuffix("s") in self._kept or word.removesuffix("es") in self._kept or word + "s" in self._kept
