"""Training pairs of the reader: a message with what was asked before, and the requests it should be read as.

A pair is drawn from the truth downwards: first what is wanted, then words for it. The rule parser is never asked, so the
model does not learn its mistakes; and no message that occurs in the question set, dev or test, is given out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from ..answering.contract import Intent, Request
from ..answering.vocabulary import EVERYTHING, GROUPS, STRUCTURES, counterpart, parts
from . import request_phrases as P
from . import request_talk as T

History = tuple[tuple[Request, ...], ...]
_ORGANS = tuple(id for id in STRUCTURES if id not in ("body", "other_bone"))
_FREQUENT = tuple(id for id in _ORGANS if STRUCTURES[id].region in ("chest", "abdomen", "pelvis"))
_PAIRS = ("kidneys", "lungs", "parotids")
_OF_FINDING = {
    "steatosis": "liver", "hepatomegaly": "liver", "splenomegaly": "spleen", "cardiomegaly": "heart",
    "emphysema": "lungs", "pleural_effusion": "lungs", "aortic_aneurysm": "aorta", "aortic_calcification": "aorta",
    "bone_density": "vertebral_column", "gallstones": "gallbladder", "renal_stones": "kidneys",
    "kidney_asymmetry": "kidneys",
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """One sample: what was asked before (at most two turns), the message, and the requests it means."""

    history: History
    text: str
    requests: tuple[Request, ...]


def folded(text: str) -> str:
    """Lower case letters and digits, single spaces: what two wordings are compared by."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


@cache
def reserved() -> frozenset[str]:
    """Every wording of the question set, with its earlier turns; none of them may be a training message."""
    from ..evaluation.question_set import load_questions

    return frozenset(folded(text) for q in load_questions() for text in (q.text, *q.previous))


def pairs(seed: int) -> Iterator[Pair]:
    """Endless training pairs, the same for the same seed."""
    rng = random.Random(seed)
    kinds, weights = zip(*_KINDS, strict=True)
    while True:
        pair = rng.choices(kinds, weights)[0](_Draw(rng))
        text = _dress(pair.text, pair.requests, rng)
        if text and folded(text) not in reserved() and folded(pair.text) not in reserved():
            yield Pair(pair.history, text, pair.requests)


class _Draw:
    """Draws structures and words for them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def one(self, *values: str) -> str:
        return self.rng.choice(values)

    def ids(self, tube: bool | None = None) -> tuple[str, ...]:
        """One structure, or one time in seven both of a pair."""
        if tube is None and self.rng.random() < 0.15:
            return GROUPS[self.one(*_PAIRS)]
        pool = _FREQUENT if self.rng.random() < 0.75 else _ORGANS
        fit = [id for id in pool if tube is None or STRUCTURES[id].tube == tube]
        return (self.rng.choice(fit),)

    def two(self) -> tuple[tuple[str], tuple[str]]:
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


def _pair(text: str, *requests: Request, history: History = ()) -> Pair:
    return Pair(history, text, requests)


def _segment(d: _Draw) -> Pair:
    roll = d.rng.random()
    if roll < 0.55:
        ids = d.ids()
        return _pair(d.fill(d.one(*P.SEGMENT), ids), Request(Intent.SEGMENT, ids))
    if roll < 0.8:
        some = list(dict.fromkeys(d.ids() for _ in range(d.rng.randint(2, 4))))
        kept: list[tuple[str, ...]] = []
        for ids in some:  # the two of a pair are not drawn beside one of them
            if not {i for k in kept for i in k} & {*ids}:
                kept.append(ids)
        names = [d.the(ids) if d.rng.random() < 0.6 else d.noun(ids) for ids in kept]
        glue = d.one(" and ", ", ", " plus ", ", and ", " & ", " as well as ")
        said = ", ".join(names[:-1]) + glue + names[-1] if len(names) > 1 else names[0]
        text = d.one("segment {x}", "show {x}", "outline {x}", "{x}", "i need {x}", "masks for {x}", "find {x}").format(x=said)
        return _pair(text, Request(Intent.SEGMENT, tuple(i for k in kept for i in k)))
    if roll < 0.9:
        group = d.one(*T.DESCRIBED)
        said = d.one(*T.DESCRIBED[group].split("|"))
        text = d.one("segment {x}", "show me {x}", "{x}", "outline {x}", "find {x}").format(x=said)
        return _pair(text, Request(Intent.SEGMENT, parts(group)))
    if roll < 0.95:
        choose, group = d.one(*P.CHOOSE), GROUPS[d.one(*_PAIRS)]
        return _pair(d.fill(d.one(*P.CHOOSE[choose]), group), Request(Intent.SEGMENT, group, choose=choose))
    text = d.one("segment everything", "show all organs", "all structures", "mark every organ", "outline all you can")
    return _pair(text, Request(Intent.SEGMENT, EVERYTHING))


def _measure(d: _Draw) -> Pair:
    roll = d.rng.random()
    if roll < 0.06:
        (a,), side = d.ids(False)[:1], d.one("left", "right")
        return _pair(
            d.fill(d.one(*P.SIDE_CLAIM), (a,), side=side), Request(Intent.MEASURE, (a,), attribute="position", claim=side)
        )
    if roll < 0.09:
        ids = GROUPS[d.one(*_PAIRS)]
        return _pair(d.fill(d.one(*P.MEASURE["count"]), ids), Request(Intent.MEASURE, ids, attribute="count"))
    attribute = d.rng.choices(["volume", "mean_hu", "diameter", "slices", "position", "extent"], [9, 6, 3, 2, 3, 2])[0]
    tube = {"volume": False, "diameter": None if d.rng.random() < 0.4 else True}.get(attribute)
    ids = d.ids() if tube is None else d.ids(tube)
    if tube is False and d.rng.random() < 0.2:
        ids = GROUPS[d.one(*_PAIRS)]
    if tube is True and d.rng.random() < 0.4:
        text = d.one("how big is {s}", "size of {s}", "how large is {s}", "measure {s}")
    else:
        text = d.one(*P.MEASURE[attribute])
    return _pair(d.fill(text, ids), Request(Intent.MEASURE, ids, attribute=attribute))


def _compare(d: _Draw) -> Pair:
    roll, (a, b) = d.rng.random(), d.two()
    if roll < 0.35:
        attribute, which = d.rng.choice(list(P.COMPARE_PAIR))
        ids = GROUPS[d.one(*_PAIRS)]
        text = d.one(*P.COMPARE_PAIR[attribute, which])
        return _pair(d.fill(text, ids), Request(Intent.COMPARE, ids, attribute=attribute, which=which))
    if roll < 0.65:
        claim = d.one(*P.COMPARE_CLAIM)
        attribute = "volume" if claim in ("larger", "smaller") else "mean_hu"
        text = d.fill(d.one(*P.COMPARE_CLAIM[claim]), a, b)
        return _pair(text, Request(Intent.COMPARE, a + b, attribute=attribute, claim=claim))
    attribute = d.one("volume", "volume", "mean_hu")
    text = d.one(*P.COMPARE[attribute])
    words = {"larger": "larger", "bigger": "larger", "brighter": "brighter", "denser": "brighter", "lower": "darker"}
    which = next((v for w, v in words.items() if text.startswith("which") and w in text), "")
    return _pair(d.fill(text, a, b), Request(Intent.COMPARE, a + b, attribute=attribute, which=which))


def _relation(d: _Draw) -> Pair:
    a, b = d.two()
    if d.rng.random() < 0.15:
        return _pair(d.fill(d.one(*P.NEAREST), a), Request(Intent.RELATION, a, relation="nearest"))
    relation, claim = d.rng.choice(list(P.RELATION))
    text = d.fill(d.one(*P.RELATION[relation, claim]), a, b)
    return _pair(text, Request(Intent.RELATION, a + b, relation=relation, claim=claim))


def _presence(d: _Draw) -> Pair:
    ids = d.ids()
    text = d.one(*P.PRESENCE)
    if len(ids) > 1:
        text = d.one("are {s} there", "can you see {s}", "are {s} visible", "do you see {s}", "are {s} complete")
    return _pair(d.fill(text, ids), Request(Intent.PRESENCE, ids))


def _finding(d: _Draw) -> Pair:
    finding = d.one(*P.FINDING)
    text, side = d.one(*P.FINDING[finding]), ""
    ids = parts(_OF_FINDING.get(finding, "liver"))
    if finding == "liver_spleen_difference":
        ids = ("liver", "spleen")
    slots = {"inlung": "", "inkidney": ""}
    for slot, group in (("inlung", "lungs"), ("inkidney", "kidneys")):
        if "{" + slot + "}" in text and d.rng.random() < 0.5:
            side = d.one("left", "right", "")
            slots[slot] = f" in the {side} {group[:-1]}" if side else f" in the {group}"
            ids = (f"{side}_{group[:-1]}",) if side else GROUPS[group]
    return _pair(text.format(**slots), Request(Intent.FINDING, ids, finding=finding))


def _scan(d: _Draw) -> Pair:
    attribute = d.one(*P.SCAN)
    return _pair(d.one(*P.SCAN[attribute]), Request(Intent.SCAN, attribute=attribute))


def _talk(d: _Draw) -> Pair:
    """Knowledge, small talk, refusals, and what cannot be understood or done."""
    table, intent = d.rng.choices(
        [(T.KNOWLEDGE, Intent.KNOWLEDGE), (T.KNOWLEDGE_WHOLE, Intent.KNOWLEDGE), (T.CHAT, Intent.CHAT),
         (T.REFUSE, Intent.REFUSE), (T.UNKNOWN, Intent.UNKNOWN), (None, Intent.KNOWLEDGE)],
        [3, 2.5, 3, 9, 1.5, 3],
    )[0]  # fmt: skip
    if table is None:
        group = d.one(*(g for g in T.DESCRIBED))
        ids = parts(group)
        return _pair(d.fill(d.one(*P.BODY_FUNCTION), ids), Request(Intent.KNOWLEDGE, ids, topic=group))
    weights = [len(v) ** 0.5 for v in table.values()]
    topic = d.rng.choices(list(table), weights)[0]
    text, ids = d.one(*table[topic].split("|")), ()
    if table is T.KNOWLEDGE:
        text = d.one(*T.DEFINE).format(x=text)
    elif "{" in text:
        ids = d.ids(False)
        text = d.fill(text, ids)
    about = ids if intent is Intent.KNOWLEDGE else ()
    return _pair(text, Request(intent, about, topic=topic))


def _report_or_list(d: _Draw) -> Pair:
    if d.rng.random() < 0.55:
        return _pair(d.one(*P.REPORT), Request(Intent.REPORT))
    return _pair(d.one(*P.LIST), Request(Intent.LIST))


def _remove(d: _Draw) -> Pair:
    if d.rng.random() < 0.25:
        return _pair(d.one(*P.REMOVE_ALL), Request(Intent.REMOVE))
    ids = d.ids()
    return _pair(d.fill(d.one(*P.REMOVE), ids), Request(Intent.REMOVE, ids))


def _negated(d: _Draw) -> Pair:
    a, b = d.two()
    if d.rng.random() < 0.5:
        return _pair(d.fill(d.one(*P.INSTEAD), a, b), Request(Intent.SEGMENT, a))
    return _pair(d.fill(d.one(*P.NEGATED), a), Request(Intent.REFUSE, a, topic="negated"))


def _unknown_structure(d: _Draw) -> Pair:
    if d.rng.random() < 0.4:
        side = d.one("left ", "right ", "")
        name = side + d.one(*T.UNKNOWN_SIDED)
    else:
        name = d.one(*T.UNKNOWN_PLAIN)
    roll = d.rng.random()
    article = d.one("the ", "")
    if roll < 0.65:
        text = d.one(*P.SEGMENT).replace("{s}", article + name).replace("{n}", name)
        return _pair(text, Request(Intent.SEGMENT, unknown=(name,)))
    if roll < 0.8:
        attribute = d.one("volume", "mean_hu", "position", "diameter")
        text = d.one(*P.MEASURE[attribute]).replace("{s}", "the " + name).replace("{n}", name)
        return _pair(text, Request(Intent.MEASURE, attribute=attribute, unknown=(name,)))
    ids = d.ids()
    text = d.one("segment {s} and the {u}", "show {s} and {u}", "{s}, {u}").replace("{u}", name)
    return _pair(d.fill(text, ids), Request(Intent.SEGMENT, ids, unknown=(name,)))


def _several(d: _Draw) -> Pair:
    """Several requests in one message."""
    ids, roll = d.ids(), d.rng.random()
    pronoun = "their" if len(ids) > 1 else "its"
    if roll < 0.4:
        attribute = d.one("volume", "mean_hu", "slices", "extent")
        said = {"volume": "volume", "mean_hu": d.one("density", "mean hu"), "slices": "slice range", "extent": "length"}
        text = d.one("segment {s} and give {p} {a}", "show {s} and tell me {p} {a}", "{s}: mask and {a}",
                     "outline {s}, then measure {p} {a}")  # fmt: skip
        text = d.fill(text.replace("{p}", pronoun).replace("{a}", said[attribute]), ids)
        return _pair(text, Request(Intent.SEGMENT, ids), Request(Intent.MEASURE, ids, attribute=attribute))
    if roll < 0.75:
        text = d.one("volume and hu of {s}", "{s}, volume and density", "how big and how dense is {s}", "describe {s}")
        return _pair(d.fill(text, ids), *(Request(Intent.MEASURE, ids, attribute=a) for a in ("volume", "mean_hu")))
    first, second = _segment(d), d.rng.choice([_measure, _finding, _scan, _presence])(d)
    glue = d.one(" and ", ". ", ", then ", "; ", " and also ")
    return _pair(first.text + glue + second.text, *first.requests, *second.requests)


def _follow_up(d: _Draw) -> Pair:
    """A message that needs what was asked before."""
    ids, attribute = d.ids(), d.one("volume", "mean_hu", "diameter", "position")
    before = d.rng.choice([Request(Intent.SEGMENT, ids), Request(Intent.MEASURE, ids, attribute=attribute)])
    if d.rng.random() < 0.15:
        before = d.rng.choice([Request(Intent.PRESENCE, ids), Request(Intent.FINDING, ("liver",), finding="steatosis")])
        ids = before.structures
    history: History = ((before,),)
    if d.rng.random() < 0.3:
        history = ((Request(Intent.SEGMENT, d.ids()),), *history)
    its, it = ("their", "them") if len(ids) > 1 else ("its", "it")
    roll = d.rng.random()
    if roll < 0.25 and before.intent in (Intent.SEGMENT, Intent.MEASURE, Intent.PRESENCE):
        new = d.ids()
        text = d.one("and {s}?", "what about {s}", "{s} too", "same for {s}", "also {s}", "how about {s}?", "now {s}",
                     "then {s}", "and for {s}")  # fmt: skip
        return _pair(d.fill(text, new), Request(before.intent, new, before.attribute), history=history) if new != ids else _measure(d)
    other = counterpart(ids[0]) if len(ids) == 1 else None
    if other and roll < 0.75:
        side = STRUCTURES[other].side
        if d.rng.random() < 0.5 or before.intent not in (Intent.SEGMENT, Intent.MEASURE):
            claim = d.one("", "larger", "brighter")
            text = d.one("compare with the other side", f"compare it to the {side} one", "versus the other one?")
            if claim:
                text = {"larger": "is it bigger than the ", "brighter": "is it brighter than the "}[claim]
                text += d.one("other one", f"{side} one", f"{side}")
            about = "mean_hu" if claim == "brighter" or (not claim and before.attribute == "mean_hu") else "volume"
            return _pair(text, Request(Intent.COMPARE, (*ids, other), about, claim=claim), history=history)
        text = d.one("and the other one?", "the other side", f"and the {side}?", f"no, the {side} one", f"i meant {side}",
                     "now the opposite side", f"{side} as well", "what about the contralateral one", f"and {side}")  # fmt: skip
        return _pair(text, Request(before.intent, (other,), before.attribute), history=history)
    choices: list[tuple[str, Request]] = [
        (d.one(f"segment {it}", f"show {it}", f"outline {it} please", f"show me {it}", f"draw {it}"), Request(Intent.SEGMENT, ids)),
        (d.one(f"and {its} volume", f"{its} size?", "how many ml", f"volume of {it}", "and the volume?"),
         Request(Intent.MEASURE, ids, "volume")),
        (d.one(f"{its} density?", f"mean hu of {it}", "and the hu", f"how bright is {it}", "hounsfield value?"),
         Request(Intent.MEASURE, ids, "mean_hu")),
        (d.one("which slices", f"on which slices is {it}", "slice range?"), Request(Intent.MEASURE, ids, "slices")),
        (d.one(f"where is {it}", f"{its} position", f"where does {it} lie"), Request(Intent.MEASURE, ids, "position")),
        (d.one(f"delete {it}", f"remove {it} again", f"hide {it}", "undo", "take that away"), Request(Intent.REMOVE, ids)),
        (d.one(f"what is next to {it}", f"what surrounds {it}"), Request(Intent.RELATION, ids, relation="nearest")),
    ]  # fmt: skip
    text, request = d.rng.choice(choices)
    if len(ids) == 1 and roll > 0.85:
        new = d.ids(False)
        if new != ids:
            text = d.one("how far is it from {s}", "distance to {s}", "does it touch {s}", "is it bigger than {s}")
            pair = ids + new
            request = (
                Request(Intent.COMPARE, pair, "volume", claim="larger") if "bigger" in text
                else Request(Intent.RELATION, pair, relation="touching", claim="touching") if "touch" in text
                else Request(Intent.RELATION, pair, relation="distance")
            )  # fmt: skip
            text = d.fill(text, new)
    return _pair(text, request, history=history)


def _stray(d: _Draw) -> Pair:
    """A message that stands on its own, after something else."""
    before = d.rng.choice([_segment, _measure, _scan, _talk])(d)
    now = d.rng.choice([_segment, _measure, _presence, _finding, _scan, _talk, _relation])(d)
    return Pair((before.requests,), now.text, now.requests)


_KINDS: tuple[tuple[Callable[[_Draw], Pair], float], ...] = (
    (_segment, 17), (_measure, 15), (_compare, 7), (_relation, 9), (_presence, 6), (_finding, 9), (_scan, 6), (_talk, 18),
    (_report_or_list, 4), (_remove, 3), (_negated, 3), (_unknown_structure, 8), (_several, 5), (_follow_up, 14), (_stray, 5),
)  # fmt: skip


def _dress(text: str, requests: tuple[Request, ...], rng: random.Random) -> str:
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
