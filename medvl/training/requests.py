"""Training pairs of the reader: a message with what was asked before, and the requests it should be read as.

A pair is drawn from the truth downwards: first what is wanted, then words for it. The rule parser is never asked, so
the model does not learn its mistakes; and no message that occurs in the question set, dev or test, is given out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from functools import cache

from ..answering.contract import Intent, Request
from ..answering.vocabulary import EVERYTHING, GROUPS, parts
from . import request_phrases as P
from . import request_talk as T
from .request_draw import PAIRS, Draw, Pair, dress, pair_of
from .request_follow_ups import follow_up

_OF_FINDING = {
    "steatosis": "liver", "hepatomegaly": "liver", "splenomegaly": "spleen", "cardiomegaly": "heart",
    "emphysema": "lungs", "pleural_effusion": "lungs", "aortic_aneurysm": "aorta", "aortic_calcification": "aorta",
    "bone_density": "vertebral_column", "gallstones": "gallbladder", "renal_stones": "kidneys",
    "kidney_asymmetry": "kidneys",
}  # fmt: skip


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
        draw = Draw(rng)
        pair = rng.choices(kinds, weights)[0](draw) or _measure(draw)
        text = dress(pair.text, pair.requests, rng)
        if text and folded(text) not in reserved() and folded(pair.text) not in reserved():
            yield Pair(pair.history, text, pair.requests)


def _segment(d: Draw) -> Pair:
    roll = d.rng.random()
    if roll < 0.55:
        ids = d.ids()
        return pair_of(d.fill(d.one(*P.SEGMENT), ids), Request(Intent.SEGMENT, ids))
    if roll < 0.8:
        some = list(dict.fromkeys(d.ids() for _ in range(d.rng.randint(2, 4))))
        kept: list[tuple[str, ...]] = []
        for ids in some:  # the two of a pair are not drawn beside one of them
            if not {i for k in kept for i in k} & {*ids}:
                kept.append(ids)
        names = [d.the(ids) if d.rng.random() < 0.6 else d.noun(ids) for ids in kept]
        glue = d.one(" and ", ", ", " plus ", ", and ", " & ", " as well as ")
        said = ", ".join(names[:-1]) + glue + names[-1] if len(names) > 1 else names[0]
        text = d.one("segment {x}", "show {x}", "outline {x}", "{x}", "i need {x}", "masks for {x}", "find {x}").format(
            x=said
        )
        return pair_of(text, Request(Intent.SEGMENT, tuple(i for k in kept for i in k)))
    if roll < 0.9:
        group = d.one(*T.DESCRIBED)
        said = d.one(*T.DESCRIBED[group].split("|"))
        text = d.one("segment {x}", "show me {x}", "{x}", "outline {x}", "find {x}").format(x=said)
        return pair_of(text, Request(Intent.SEGMENT, parts(group)))
    if roll < 0.95:
        choose, group = d.one(*P.CHOOSE), GROUPS[d.one(*PAIRS)]
        return pair_of(d.fill(d.one(*P.CHOOSE[choose]), group), Request(Intent.SEGMENT, group, choose=choose))
    text = d.one("segment everything", "show all organs", "all structures", "mark every organ", "outline all you can")
    return pair_of(text, Request(Intent.SEGMENT, EVERYTHING))


def _measure(d: Draw) -> Pair:
    roll = d.rng.random()
    if roll < 0.06:
        (a,), side = d.ids(False)[:1], d.one("left", "right")
        return pair_of(
            d.fill(d.one(*P.SIDE_CLAIM), (a,), side=side),
            Request(Intent.MEASURE, (a,), attribute="position", claim=side),
        )
    if roll < 0.09:
        ids = GROUPS[d.one(*PAIRS)]
        return pair_of(d.fill(d.one(*P.MEASURE["count"]), ids), Request(Intent.MEASURE, ids, attribute="count"))
    attribute = d.rng.choices(["volume", "mean_hu", "diameter", "slices", "position", "extent"], [9, 6, 3, 2, 3, 2])[0]
    tube = {"volume": False, "diameter": None if d.rng.random() < 0.4 else True}.get(attribute)
    ids = d.ids() if tube is None else d.ids(tube)
    if tube is False and d.rng.random() < 0.2:
        ids = GROUPS[d.one(*PAIRS)]
    if tube is True and d.rng.random() < 0.4:
        text = d.one("how big is {s}", "size of {s}", "how large is {s}", "measure {s}")
    else:
        text = d.one(*P.MEASURE[attribute])
    return pair_of(d.fill(text, ids), Request(Intent.MEASURE, ids, attribute=attribute))


def _compare(d: Draw) -> Pair:
    roll, (a, b) = d.rng.random(), d.two()
    if roll < 0.35:
        attribute, which = d.rng.choice(list(P.COMPARE_PAIR))
        ids = GROUPS[d.one(*PAIRS)]
        text = d.one(*P.COMPARE_PAIR[attribute, which])
        return pair_of(d.fill(text, ids), Request(Intent.COMPARE, ids, attribute=attribute, which=which))
    if roll < 0.65:
        claim = d.one(*P.COMPARE_CLAIM)
        attribute = "volume" if claim in ("larger", "smaller") else "mean_hu"
        text = d.fill(d.one(*P.COMPARE_CLAIM[claim]), a, b)
        return pair_of(text, Request(Intent.COMPARE, a + b, attribute=attribute, claim=claim))
    attribute = d.one("volume", "volume", "mean_hu")
    text = d.one(*P.COMPARE[attribute])
    words = {"larger": "larger", "bigger": "larger", "brighter": "brighter", "denser": "brighter", "lower": "darker"}
    which = next((v for w, v in words.items() if text.startswith("which") and w in text), "")
    return pair_of(d.fill(text, a, b), Request(Intent.COMPARE, a + b, attribute=attribute, which=which))


def _relation(d: Draw) -> Pair:
    a, b = d.two()
    if d.rng.random() < 0.15:
        return pair_of(d.fill(d.one(*P.NEAREST), a), Request(Intent.RELATION, a, relation="nearest"))
    relation, claim = d.rng.choice(list(P.RELATION))
    text = d.fill(d.one(*P.RELATION[relation, claim]), a, b)
    return pair_of(text, Request(Intent.RELATION, a + b, relation=relation, claim=claim))


def _presence(d: Draw) -> Pair:
    ids = d.ids()
    text = d.one(*P.PRESENCE)
    if len(ids) > 1:
        text = d.one("are {s} there", "can you see {s}", "are {s} visible", "do you see {s}", "are {s} complete")
    return pair_of(d.fill(text, ids), Request(Intent.PRESENCE, ids))


def _finding(d: Draw) -> Pair:
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
    return pair_of(text.format(**slots), Request(Intent.FINDING, ids, finding=finding))


def _scan(d: Draw) -> Pair:
    attribute = d.one(*P.SCAN)
    return pair_of(d.one(*P.SCAN[attribute]), Request(Intent.SCAN, attribute=attribute))


def _talk(d: Draw) -> Pair:
    """Knowledge, small talk, refusals, and what cannot be understood or done."""
    table, intent = d.rng.choices(
        [(T.KNOWLEDGE, Intent.KNOWLEDGE), (T.KNOWLEDGE_WHOLE, Intent.KNOWLEDGE), (T.CHAT, Intent.CHAT),
         (T.REFUSE, Intent.REFUSE), (T.UNKNOWN, Intent.UNKNOWN), (None, Intent.KNOWLEDGE)],
        [3, 2.5, 3, 9, 1.5, 3],
    )[0]  # fmt: skip
    if table is None:
        group = d.one(*(g for g in T.DESCRIBED))
        ids = parts(group)
        return pair_of(d.fill(d.one(*P.BODY_FUNCTION), ids), Request(Intent.KNOWLEDGE, ids, topic=group))
    weights = [len(v) ** 0.5 for v in table.values()]
    topic = d.rng.choices(list(table), weights)[0]
    text, ids = d.one(*table[topic].split("|")), ()
    if table is T.KNOWLEDGE:
        text = d.one(*T.DEFINE).format(x=text)
    elif "{" in text:
        ids = d.ids(False)
        text = d.fill(text, ids)
    about = ids if intent is Intent.KNOWLEDGE else ()
    return pair_of(text, Request(intent, about, topic=topic))


def _report_or_list(d: Draw) -> Pair:
    if d.rng.random() < 0.55:
        return pair_of(d.one(*P.REPORT), Request(Intent.REPORT))
    return pair_of(d.one(*P.LIST), Request(Intent.LIST))


def _remove(d: Draw) -> Pair:
    if d.rng.random() < 0.25:
        return pair_of(d.one(*P.REMOVE_ALL), Request(Intent.REMOVE))
    ids = d.ids()
    return pair_of(d.fill(d.one(*P.REMOVE), ids), Request(Intent.REMOVE, ids))


def _negated(d: Draw) -> Pair:
    a, b = d.two()
    if d.rng.random() < 0.5:
        return pair_of(d.fill(d.one(*P.INSTEAD), a, b), Request(Intent.SEGMENT, a))
    return pair_of(d.fill(d.one(*P.NEGATED), a), Request(Intent.REFUSE, a, topic="negated"))


def _unknown_structure(d: Draw) -> Pair:
    if d.rng.random() < 0.4:
        side = d.one("left ", "right ", "")
        name = side + d.one(*T.UNKNOWN_SIDED)
    else:
        name = d.one(*T.UNKNOWN_PLAIN)
    roll = d.rng.random()
    article = d.one("the ", "")
    if roll < 0.65:
        text = d.one(*P.SEGMENT).replace("{s}", article + name).replace("{n}", name)
        return pair_of(text, Request(Intent.SEGMENT, unknown=(name,)))
    if roll < 0.8:
        attribute = d.one("volume", "mean_hu", "position", "diameter")
        text = d.one(*P.MEASURE[attribute]).replace("{s}", "the " + name).replace("{n}", name)
        return pair_of(text, Request(Intent.MEASURE, attribute=attribute, unknown=(name,)))
    ids = d.ids()
    text = d.one("segment {s} and the {u}", "show {s} and {u}", "{s}, {u}").replace("{u}", name)
    return pair_of(d.fill(text, ids), Request(Intent.SEGMENT, ids, unknown=(name,)))


def _several(d: Draw) -> Pair:
    """Several requests in one message."""
    ids, roll = d.ids(), d.rng.random()
    pronoun = "their" if len(ids) > 1 else "its"
    if roll < 0.4:
        attribute = d.one("volume", "mean_hu", "slices", "extent")
        said = {"volume": "volume", "mean_hu": d.one("density", "mean hu"), "slices": "slice range", "extent": "length"}
        text = d.one("segment {s} and give {p} {a}", "show {s} and tell me {p} {a}", "{s}: mask and {a}",
                     "outline {s}, then measure {p} {a}")  # fmt: skip
        text = d.fill(text.replace("{p}", pronoun).replace("{a}", said[attribute]), ids)
        return pair_of(text, Request(Intent.SEGMENT, ids), Request(Intent.MEASURE, ids, attribute=attribute))
    if roll < 0.75:
        text = d.one("volume and hu of {s}", "{s}, volume and density", "how big and how dense is {s}", "describe {s}")
        return pair_of(d.fill(text, ids), *(Request(Intent.MEASURE, ids, attribute=a) for a in ("volume", "mean_hu")))
    first, second = _segment(d), d.rng.choice([_measure, _finding, _scan, _presence])(d)
    glue = d.one(" and ", ". ", ", then ", "; ", " and also ")
    return pair_of(first.text + glue + second.text, *first.requests, *second.requests)


def _stray(d: Draw) -> Pair:
    """A message that stands on its own, after something else."""
    before = d.rng.choice([_segment, _measure, _scan, _talk])(d)
    now = d.rng.choice([_segment, _measure, _presence, _finding, _scan, _talk, _relation])(d)
    return Pair((before.requests,), now.text, now.requests)


_KINDS: tuple[tuple[Callable[[Draw], Pair], float], ...] = (
    (_segment, 17), (_measure, 15), (_compare, 7), (_relation, 9), (_presence, 6), (_finding, 9), (_scan, 6),
    (_talk, 18), (_report_or_list, 4), (_remove, 3), (_negated, 3), (_unknown_structure, 8), (_several, 5),
    (follow_up, 14), (_stray, 5),
)  # fmt: skip
