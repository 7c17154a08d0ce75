"""Structures found by a description: "the organ left of the stomach that filters blood".

A description has a noun for a kind of thing ("organ", "vessel", "tube") or a paired organ, and says of it what
it does, what it looks like, where it lies, or how it compares. ``TRAITS`` tells what each structure is and does,
``PLACE`` where it lies in a body with organs in their usual places. Every structure that contradicts the description is
out; of the others the one that most of the description fits is meant. What only the scan can tell (which is larger,
which is brighter) is left open as a choice among the few that fit.

The places are a schematic drawing, good for "left of" and "behind"; no measurement uses them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..vocabulary.names import GROUPS, STRUCTURES
from ..vocabulary.structure import word_set
from .mentions import PAIRED, Mention


@dataclass(frozen=True)
class Traits:
    """What is known of a structure.

    Attributes:
        kinds: nouns that it may be called by.
        about: what it does and looks like: entries set apart by ``;``, each a few word beginnings that must all occur,
            ``|`` between alternatives.
        size: rank of its usual size among organs, 0 smallest; no number is ever stated from it.
    """

    kinds: str
    about: str
    size: int = 0

    @property
    def entries(self) -> list[list[str]]:
        """``about`` taken apart."""
        return [entry.split() for entry in self.about.split(";") if entry.strip()]


_KIDNEY = (
    "mak|produc|form|excret|secret urin; filter|clean blood|waste|plasma; bean; retroperiton; waste; dialys; "
    "pair retroperiton; water|salt regulat|adjust|balanc"
)
_LUNG = "breath; oxygen|gas|air exchang|take|tak; respir; inhal; air fill|hold|contain; larg|bigg chest|thora; "
_PAROTID = "saliva; gland|organ|front|below|behind|near|beside|next|before|under ear|ears; cheek; mumps; spit|spittle"
_SAC = "organ sac bag pouch reservoir container"

TRAITS: dict[str, Traits] = {
    "liver": Traits(
        "organ gland",
        "detox; mak|produc|secret bile; gland larg|bigg|heavi; glycogen; diaphragm; organ heavi; "
        "organ larg|bigg abdom|belly; cirrhosis; drug|alcohol|toxin|poison break|clean|process|metabol",
        8,
    ),
    "spleen": Traits(
        "organ gland filter", "filter|clean blood; lymph; immun; red cell; old|worn blood|cell; platelet", 4
    ),
    "right_kidney": Traits("organ filter", _KIDNEY, 4),
    "left_kidney": Traits("organ filter", _KIDNEY, 4),
    "stomach": Traits(
        "organ sac bag pouch container",
        "digest; acid; food end|after|stor|hold|land|mix|churn|swallow|go; gastric; hung",
        6,
    ),
    "gallbladder": Traits(
        _SAC, "bile stor|hold|keep|collect|concentrat|contain|reservoir|sac|bag|pouch; gallstone; pear", 2
    ),
    "pancreas": Traits("organ gland", "insulin; enzym; blood sugar; diabet; glucagon", 3),
    "aorta": Traits(
        "vessel artery tube pipe",
        "arter larg|main|bigg|big|great; oxygen blood carr|distribut|deliver; arter; blood out|away heart; "
        "blood from_heart; carr|bring|tak|lead blood from_heart; from_ventricle; "
        "vessel main|larg|bigg body|heart leav; vessel along|beside spine|back|column",
        3,
    ),
    "heart": Traits(
        "organ pump muscle",
        "pump; blood flow; between lung; beat; circulat; blood push|driv|propel; four chamber",
        5,
    ),
    "right_lung": Traits("organ", _LUNG + "three lobe", 9),
    "left_lung": Traits("organ", _LUNG + "two lobe", 9),
    "trachea": Traits(
        "airway tube pipe",
        "air throat|tube|pipe|carr|goes|go|conduct|bring|lead; airway; throat lung; breath tube|pipe; air lung",
        2,
    ),
    "esophagus": Traits(
        "tube pipe organ",
        "food tube|pipe|carr|bring|transport|mov|goes|go|stomach; swallow; mouth stomach|throat",
        2,
    ),
    "urinary_bladder": Traits(_SAC, "urin|pee stor|collect|hold|reservoir|sac|bag|keep|contain|fill", 3),
    "vertebral_column": Traits("bone column", "column; protect cord; upright; support trunk|back|body; bony", 6),
    "other_bone": Traits("", ""),
    "inferior_vena_cava": Traits(
        "vessel vein tube pipe",
        "vein; blood return|back|bring|drain heart|leg; low deoxygenat; blood to_heart; carr|tak|lead blood to_heart",
        3,
    ),
    "duodenum": Traits("organ tube", "first|begin|start|upper bowel|intestin|gut; after stomach", 2),
    "brainstem": Traits("organ nerve", "connect brain cord; brain cord; brain low", 1),
    "spinal_cord": Traits("nerve bundle tube cord", "nerve bundle|canal|spin|column|back; spinal canal; nerve", 1),
    "right_parotid": Traits("organ gland", _PAROTID, 1),
    "left_parotid": Traits("organ gland", _PAROTID, 1),
    "larynx": Traits("organ airway box", "voice; speak; talk; sing; speech; vocal", 1),
    "mandible": Traits("bone", "lower teeth|tooth|jaw; chew; chin", 2),
}

# Usual places: x to the patient's left, y to the front, z to the head, about 2 cm a step.
PLACE: dict[str, tuple[float, float, float]] = {
    "liver": (-5, 2, 2),
    "spleen": (7, -3, 2),
    "right_kidney": (-4, -4, -3),
    "left_kidney": (4, -4, -2),
    "stomach": (4, 3, 1),
    "gallbladder": (-4, 4, -1),
    "pancreas": (0.5, 0, -1),
    "aorta": (1.0, -3, 2),
    "heart": (1.5, 4, 8),
    "right_lung": (-6, 0, 10),
    "left_lung": (6, 0, 10),
    "trachea": (0, 0, 13),
    "esophagus": (0.3, -1.5, 10),
    "urinary_bladder": (0, 3, -14),
    "vertebral_column": (0, -6, 0),
    "inferior_vena_cava": (-1.5, -2.5, 0),
    "duodenum": (-2, 1, -2),
    "brainstem": (0, -1, 24),
    "spinal_cord": (0, -6.2, 8),
    "right_parotid": (-4, 0, 21),
    "left_parotid": (4, 0, 21),
    "larynx": (0, 3, 17),
    "mandible": (0, 5, 20),
}

KINDS: dict[str, str] = {
    "organ": "organ", "organs": "organ", "gland": "gland", "glands": "gland", "vessel": "vessel", "vessels": "vessel",
    "artery": "artery", "arteries": "artery", "vein": "vein", "veins": "vein", "tube": "tube", "tubes": "tube",
    "pipe": "pipe", "bone": "bone", "bones": "bone", "airway": "airway", "airways": "airway", "sac": "sac",
    "bag": "bag",
    "pouch": "pouch", "reservoir": "reservoir", "container": "container", "muscle": "muscle", "pump": "pump",
    "column": "column", "nerve": "nerve", "nerves": "nerve", "bundle": "bundle", "box": "box", "filter": "filter",
    "structure": "", "structures": "", "thing": "", "part": "", "one": "", "region": "", "tissue": "",
}  # fmt: skip
"""Nouns of a description, each with the kind it asks for; "" asks for none."""

_SUPERLATIVE: dict[str, str] = {
    word: choice
    for choice, listed in {
        "larger": "larger largest bigger biggest greater greatest wider widest heavier heaviest longer longest",
        "smaller": "smaller smallest tiniest narrower narrowest shorter shortest lighter thinner thinnest",
        "brighter": "brighter brightest denser densest whiter whitest",
        "darker": "darker darkest blacker blackest",
    }.items()
    for word in listed.split()
}
_HIGH, _LOW = {"higher", "highest", "more", "most"}, {"lower", "lowest", "less", "least"}
_LIGHT, _BULK = {"hu", "hounsfield", "density", "attenuation", "intensity"}, {"volume", "size", "diameter"}

# relation words -> axis and sign in PLACE; every word of the key stands in the description, in this order
_RELATIONS: dict[tuple[str, ...], tuple[int, int]] = {
    ("left", "of"): (0, 1), ("left", "from"): (0, 1), ("left", "side", "of"): (0, 1), ("right", "of"): (0, -1),
    ("right", "side", "of"): (0, -1), ("right", "from"): (0, -1), ("front", "of"): (1, 1), ("anterior", "to"): (1, 1),
    ("before",): (1, 1), ("behind",): (1, -1), ("posterior", "to"): (1, -1), ("back", "of"): (1, -1),
    ("above",): (2, 1),
    ("over",): (2, 1), ("superior", "to"): (2, 1), ("below",): (2, -1), ("under",): (2, -1), ("beneath",): (2, -1),
    ("underneath",): (2, -1), ("inferior", "to"): (2, -1),
}  # fmt: skip
_NEAR = {
    "next",
    "near",
    "beside",
    "besides",
    "adjacent",
    "close",
    "side",
    "by",
    "touching",
    "neighbouring",
    "neighboring",
}
_REGIONS = {
    "chest": (6, 16), "thorax": (6, 16), "abdomen": (-8, 5), "belly": (-8, 5), "tummy": (-8, 5), "abdominal": (-8, 5),
    "pelvis": (-20, -8), "pelvic": (-20, -8), "neck": (14, 22), "head": (18, 30), "face": (18, 30), "thoracic": (6, 16),
    "retroperitoneum": (-8, 5),
}  # fmt: skip
_ANCHOR_LEADS = word_set(
    """
    of from to behind above below under beneath underneath over between near beside by inside in into with
    before than after against on around towards toward leaving for
    """
)


@dataclass(frozen=True)
class Referral:
    """What a description means.

    Attributes:
        ids: the structure meant, the pair meant, or the candidates for ``choose``.
        choose: how the scan decides among ``ids``, else "".
        text: the description.
        used: indices of the mentions that are part of the description and no targets.
        start: first word.
    """

    ids: tuple[str, ...]
    choose: str
    text: str
    used: frozenset[int]
    start: int


# words that end a description backwards: it does not reach into "show me" or "how big is"
_OUTSIDE = word_set(", . : and show segment me us is are was were of give tell how what which measure compare please")


def _phrase(words: list[str]) -> str:
    return " ".join(words).strip(" ?.!,;:")


def superlative(words: list[str]) -> str:
    """``larger``, ``smaller``, ``brighter`` or ``darker`` if a word of comparison says so, else ""."""
    for i, word in enumerate(words):
        if word in _SUPERLATIVE:
            return _SUPERLATIVE[word]
        if word in ("more", "most") and words[i - 1 : i] in (["weigh"], ["weighs"], ["measures"]):
            return "larger"
        near = words[i + 1 : i + 3]
        if word in _HIGH | _LOW:
            if _LIGHT & set(near) or any(w.startswith(("bright", "dens", "white", "radio", "opaque")) for w in near):
                return "brighter" if word in _HIGH else "darker"
            if _BULK & set(near):
                return "larger" if word in _HIGH else "smaller"
    return ""


def describe(words: list[str], mentions: list[Mention], targetless: bool = False) -> Referral | None:
    """The structure that a clause describes; None if it describes none.

    Args:
        words: the clause.
        mentions: its mentions; some become anchors ("of the stomach").
        targetless: the clause must describe something, since nothing is named: whatever the words say is a description.
    """
    return _pair_described(words, mentions) or _kind_described(words, mentions, targetless)


def _pair_described(words: list[str], mentions: list[Mention]) -> Referral | None:
    """A pair narrowed down: "the larger kidney", "the lung that has two lobes", "the kidney beside the liver"."""
    for index, mention in enumerate(mentions):
        if mention.kind != "known" or mention.concept not in PAIRED or mention.side:
            continue
        # a description stands close: words before up to the article, words after up to the next thing asked for
        begin = mention.start
        while begin and (words[begin - 1] not in _OUTSIDE or _of_two(words, begin)) and mention.start - begin < 5:
            begin -= 1
        choose = superlative(words[begin : mention.start] + words[mention.end :])
        members = GROUPS[mention.concept]
        anchors = [
            m for m in mentions[index + 1 :] if m.kind == "known" and m.concept != mention.concept and _leads(words, m)
        ]
        lead = words[mention.end : mention.end + 1]
        if (
            anchors
            and lead
            and lead[0] in {"on", "next", "near", "beside", "adjacent", "close", "by", "under", "below", "behind"}
        ):
            anchor = anchors[0].ids[0]
            if anchor in PLACE and abs(PLACE[anchor][0]) >= 1 and PLACE.keys() >= set(members):
                side = min(members, key=lambda id: abs(PLACE[id][0] - PLACE[anchor][0]))
                used = frozenset(mentions.index(m) for m in anchors) | {index}
                return Referral((side,), "", _phrase(words[begin:]), used, begin)
        told = TRAITS.keys() >= set(members)
        if told and lead and lead[0] in {"that", "which", "with", "having", "whose", "of"}:
            scores = {id: _told(id, words[mention.end :]) for id in members}
            best = max(scores.values())
            chosen = tuple(id for id in members if scores[id] == best)
            if best and len(chosen) == 1:
                used = {index} | {i for i, m in enumerate(mentions) if m.kind == "unknown" and m.start >= mention.end}
                return Referral(chosen, "", _phrase(words[begin:]), frozenset(used), begin)
        if choose and not anchors:
            return Referral(members, choose, _phrase(words[begin : mention.end]), frozenset({index}), begin)
    return None


def _of_two(words: list[str], begin: int) -> bool:
    """Whether "of" before a noun belongs to a choice: "the smaller of the two lungs"."""
    return words[begin - 1] == "of" and begin > 1 and words[begin - 2] in _SUPERLATIVE


def _kind_described(words: list[str], mentions: list[Mention], targetless: bool) -> Referral | None:
    """A kind of thing described: "the organ that stores bile", "the brightest vessel in front of the spine"."""
    # "portal vein" is a name, "the vein that ..." a description, and so is "the bone that ..."
    named = {
        i
        for m in mentions
        for i in range(m.start, m.end)
        if (m.kind == "known" and not _described_noun(words, m)) or m.end - m.start > 1
    }
    heads = [i for i, w in enumerate(words) if w in KINDS and i not in named]
    heads = [i for i in heads if KINDS[words[i]]] or heads
    if not heads and not targetless:
        return None
    start = heads[0] if heads else 0
    # adjectives before the noun belong to it: "the big artery", "the bean shaped organ"
    begin = start
    while begin and words[begin - 1] not in {"the", "a", "an", ",", ".", "that", "me", "segment", "show", "two", "and"}:
        begin -= 1
    anchors = [(i, m) for i, m in enumerate(mentions) if m.start > start and m.kind == "known" and _leads(words, m)]
    end = min(
        (m.start for i, m in enumerate(mentions) if m.start > start and m.kind == "known" and (i, m) not in anchors),
        default=len(words),
    )
    anchors = [(i, m) for i, m in anchors if m.start < end]
    span = words[begin:end]
    generic = any(m.kind == "unknown" and m.start <= start < m.end for m in mentions)
    if generic and not [w for w in span if w.isalpha() and w not in ("the", "all", "please") and w != words[start]]:
        return None  # "the arteries": a kind of thing and nothing said of it
    kind = KINDS[words[start]] if heads else ""
    fits: dict[str, float] = {}
    for id, traits in TRAITS.items():
        if kind and kind not in traits.kinds.split():
            continue
        score = _placed(id, words, begin, end, [m for _, m in anchors])
        if score is None or id in {x for _, m in anchors for x in m.ids}:
            continue
        fits[id] = score + 2 * _told(id, span)
    choose = superlative(span)
    ranked = {id: s for id, s in fits.items() if s > 0}
    if not ranked and choose and heads:
        ranked = dict.fromkeys(fits, 0.0) if kind else {}
    if not ranked or (targetless and not heads and max(ranked.values()) < 2):
        return None
    best = max(ranked.values())
    ids = tuple(id for id in ranked if ranked[id] >= best - 1e-6)
    if choose and ids and best < 4:
        rivals = tuple(id for id in ranked if ranked[id] > best - 2)
        ids = rivals if len(rivals) <= 2 else ids
    if choose == "larger" and len(ids) > 2:
        top = max(TRAITS[id].size for id in ids)
        ids, choose = tuple(id for id in ids if TRAITS[id].size == top), ""
    if len(ids) > 1 and not choose:
        ids = _one_or_pair(ids, [m for _, m in anchors])
    if len(ids) > 4:  # "the brightest organ": that many are not looked for to choose one
        return None
    if not ids:
        return None
    if len(ids) == 1 or best >= 4:  # what is known of the structure has accounted for "largest" already
        choose = ""
    used = frozenset(i for i, m in enumerate(mentions) if begin <= m.start < end)
    return Referral(ids, choose, _phrase(span), used, begin)


def _described_noun(words: list[str], mention: Mention) -> bool:
    """Whether a group's name is only the noun of a description: "the bone that carries the teeth"."""
    return words[mention.start] == "bone" and words[mention.end : mention.end + 1] in (
        ["that"],
        ["which"],
        ["in"],
        ["of"],
    )


def _leads(words: list[str], mention: Mention) -> bool:
    """Whether a mention belongs to a description: after a preposition, or as what "that ..." speaks of."""
    i = mention.start
    while i and words[i - 1] in {"the", "a", "an", "both", "two", "right", "left", "my", "its"}:
        i -= 1
    if not i or words[i - 1] == ",":
        return False
    if words[i - 1] == "and":
        return "between" in words[max(0, i - 6) : i]
    return words[i - 1] in _ANCHOR_LEADS or bool({"that", "which", "who", "where", "whose"} & set(words[:i]))


def _told(id: str, words: list[str]) -> int:
    """How much of what is said is known of a structure: entries that match, longer ones count more."""
    score = 0
    words = [*words, *_directions(words)]
    for stems in TRAITS[id].entries:
        if all(any(w.startswith(stem) for w in words for stem in alternatives.split("|")) for alternatives in stems):
            score += len(stems)
    return score


def _directions(words: list[str]) -> list[str]:
    """From where and to where, each as one word: "from the heart" is ``from_heart``."""
    found = []
    for i, word in enumerate(words):
        noun = next((w for w in words[i + 1 : i + 4] if w not in ("the", "a", "your", "our", "my", "of", "left")), "")
        if word in ("from", "to") and noun:
            found.append(f"{word}_{noun}")
    return found


def _placed(id: str, words: list[str], begin: int, end: int, anchors: list[Mention]) -> float | None:
    """How well the usual place fits what is said of it; None where it contradicts."""
    if id not in PLACE:
        return None
    here = PLACE[id]
    score = 0.0
    span = words[begin:end]
    for i in range(begin, end):
        for key, (axis, sign) in _RELATIONS.items():
            if tuple(words[i : i + len(key)]) != key:
                continue
            anchor = next((m for m in anchors if m.start >= i and m.start - i <= len(key) + 3), None)
            place = PLACE.get(anchor.ids[0]) if anchor and anchor.ids else None
            if place is None:
                continue
            if sign * (here[axis] - place[axis]) < 1:
                return None
            # of all that lie behind something, the nearest is meant
            score += 2 - min(1.5, _apart(here, place) / 10)
    if "between" in span and len(anchors) >= 1:
        ends = [PLACE[x] for m in anchors for x in m.ids if x in PLACE]
        if len(ends) >= 2:
            middle = tuple(sum(e[axis] for e in ends) / len(ends) for axis in range(3))
            score += max(0.0, 2.5 - _apart(here, middle) / 3)
    if _NEAR & set(span):
        places = [PLACE[x] for m in anchors for x in m.ids if x in PLACE]
        score += sum(max(0.0, 1.5 - _apart(here, place) / 5) for place in places)
    for side, sign in (("left", 1), ("right", -1)):
        for i in range(begin, end):
            if (
                words[i] == side
                and words[i + 1 : i + 2] not in (["of"], ["from"])
                and words[i + 1 : i + 3] != ["side", "of"]
            ):
                inside_anchor = any(m.start <= i < m.end for m in anchors)
                if not inside_anchor and sign * here[0] < 1:
                    return None
                score += 0 if inside_anchor else 0.5
    for word, (low, high) in _REGIONS.items():
        if word in span:
            if not low <= here[2] <= high:
                return None
            score += 0.5
    return score


def _apart(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5


def _is_pair(ids: tuple[str, ...]) -> bool:
    return any(set(ids) == set(GROUPS[group]) for group in PAIRED)


def _one_or_pair(ids: tuple[str, ...], anchors: list[Mention]) -> tuple[str, ...]:
    """One structure or one pair out of equals: the nearest to the anchors; nothing if that leaves it open."""
    if _is_pair(ids):
        return ids
    places = [PLACE[x] for m in anchors for x in m.ids if x in PLACE]
    if not places:
        return ids if len(ids) <= 3 else ()
    ordered = sorted(ids, key=lambda id: min(_apart(PLACE[id], place) for place in places))
    nearest = ordered[0]
    group = STRUCTURES[nearest].group
    return GROUPS[group] if group in PAIRED and set(GROUPS[group]) <= set(ids) else (nearest,)
