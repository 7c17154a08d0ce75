"""Rules for what is measured: findings, relations, the scan itself, attributes of structures.

Each rule gives the requests of a clause, or None for another rule to be asked.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ...vocabulary.names import STRUCTURES
from ...vocabulary.vertebra_names import LEVEL_OF
from .. import cues, cues_talk
from ..asking import about, imperative, pair_of, plain, referral_of, told_width
from ..calls import (
    Call,
    Comparing,
    Finding,
    Measure,
    Measuring,
    Neighbours,
    Refuse,
    Relate,
    Scan,
    Segment,
    Total,
    turned,
)
from ..clauses import Clause
from ..mentions import Mention

_OR = cues.cue("or|and|,|nor")


def finding(clause: Clause) -> list[Call] | None:
    """Signs with a published rule: named, or made of a word and an organ."""
    strong = clause.ordered
    found = [f for f, pattern in cues.FINDING_NAMES.items() if clause.says(pattern)]
    if strong and found:
        text = next(m.group() for f in found if (m := cues.FINDING_NAMES[f].search(clause.text)))
        return [Segment(unknown=(text,), nearest=cues.FINDING_STRUCTURES[found[0]])]
    ids = set(clause.structures)
    if any(m.text.startswith("coronar") for m in clause.unknown):
        found = []
    else:
        found += [f for f in _finding_of(clause, ids) if f not in found]
    told = [Finding(_where(f, clause), f) for f in found]
    others = tuple(id for id in clause.structures if id in LEVEL_OF and id != "l1_vertebra")
    if "bone_density" in found and others:
        told.append(Measure(others, "mean_hu"))  # the published rule is on L1
    rest = clause.text
    for pattern in (cues.FINDING_NAMES[f] for f in found if f in cues.FINDING_NAMES):
        rest = pattern.sub(" ", rest)
    if told and clause.has(_OR) and cues.LESIONS.search(rest):
        told.append(Refuse(reason="diagnosis"))  # "effusion or pneumothorax": of the second, nothing
    return told or None


def _finding_of(clause: Clause, ids: set[str]) -> list[str]:
    """Findings that the words and the structure make together: "stones" in the "kidneys"."""
    kidneys = bool(ids & {"right_kidney", "left_kidney"})
    if clause.says(cues.STONES):
        found = (["gallstones"] if "gallbladder" in ids else []) + (["renal_stones"] if kidneys else [])
        return found or ([] if ids else ["gallstones", "renal_stones"])
    if clause.says(cues.CALCIUM) and (ids == {"aorta"} or not ids):
        wide = ids == {"aorta"} and clause.yes_no and clause.has(cues.DILATED)
        return ["aortic_calcification", "aortic_aneurysm"] if wide else ["aortic_calcification"]
    if clause.says(cues.FAT) and "liver" in ids:
        return ["steatosis"]
    last = clause.context.last
    sized = clause.has(cues.STANDALONE_VOLUME) or (
        last is not None and isinstance(last, Measuring | Comparing) and last.attribute != "mean_hu"
    )
    minus = clause.has(cues.cue("minus")) and not sized  # of what was last spoken of: volumes, if those were
    if ids == {"liver", "spleen"} and (minus or (clause.has(cues.cue("difference")) and clause.has(cues.BRIGHT))):
        return ["liver_spleen_difference"]
    if ids == {"right_kidney", "left_kidney"} and clause.has(cues.ASYMMETRY):
        return ["kidney_asymmetry"]
    than = "than" in clause.words and not clause.has(cues.THAN_NORMAL)
    asked = "how" not in clause.words and not than and not clause.which and len(ids) == 1
    if asked and ids == {"aorta"} and clause.has(cues.DILATED):
        return ["aortic_aneurysm"]
    if (
        asked
        and clause.has(cues.ENLARGED)
        and (
            clause.yes_no
            or clause.says(cues_talk.REPORTED)  # "my doctor said that my liver is big"
            or not clause.has(cues.cue("big|large"))
            or "too" in clause.words
            or (clause.words[-1] == "?" and len(clause.words) <= 4)
        )
    ):
        return [
            f
            for f, organ in (("splenomegaly", "spleen"), ("hepatomegaly", "liver"), ("cardiomegaly", "heart"))
            if organ in ids
        ]
    return []


def _where(finding: str, clause: Clause) -> tuple[str, ...]:
    """Structures a finding is measured on; of a pair, the side that was said, with the organ or alone."""
    all_of = cues.FINDING_STRUCTURES[finding]
    if not all(STRUCTURES[id].paired for id in all_of):
        return all_of
    sides = {m.side for m in clause.mentions if m.side}
    pointed = {id for m in clause.known for id in m.ids if not sides}
    said = tuple(id for id in all_of if STRUCTURES[id].side in sides or id in pointed)
    return said or all_of


def relation(clause: Clause) -> list[Call] | None:
    """Where structures lie to each other."""
    relation = next((r for r, pattern in cues.RELATIONS.items() if clause.has(pattern)), "")
    if relation in ("above", "front") and clause.which and not clause.mentions and len(clause.words) <= 5:
        ids = clause.context.two()  # "which is higher?"
        return [Relate(ids, relation)] if len(ids) == 2 else None
    ordered = clause.ordered if relation == "distance" else imperative(clause)  # "I would like to know the distance"
    asked = clause.which or clause.words[0] in ("where", "how")
    if not relation or not clause.mentions or (ordered and not asked):
        return None
    if (
        relation in ("nearest", "front", "above", "side")
        and not (clause.which or clause.yes_no)
        and referral_of(clause)
    ):
        return None
    ids = clause.structures
    told = clause.explicit and not (clause.which or clause.yes_no or clause.has(cues.ATTRIBUTES["position"]))
    if told and relation in ("side", "above", "front") and len(clause.mentions) == 1:
        return None  # "the gland in front of the left ear" asks for no relation: what it lies to is no structure
    if relation == "nearest" or (len(ids) == 1 and clause.which and relation in ("above", "front", "side", "touching")):
        if len(ids) == 2:
            return [Relate(ids, "touching", claim="touching")]
        return [plain(clause, Neighbours)] if ids or clause.unknown else None
    if len(ids) < 2 and len(clause.known) + len(clause.unknown) < 2:
        ids = pair_of(clause)
        if len(ids) < 2:
            return None
    ids = _subject_first(clause, ids)
    claim = ""
    if relation == "touching":
        claim = "touching"
    elif relation in ("side", "above", "front") and not clause.which:
        sides = {"side": ("left", "right"), "above": ("above", "below"), "front": ("front", "behind")}[relation]
        said = [c for c in sides if clause.has(cues.CLAIMS[c])]
        claim = said[0] if len(said) == 1 else ""
    return [replace(plain(clause, Relate, kind=relation, claim=claim), of=ids)]


def _subject_first(clause: Clause, ids: tuple[str, ...]) -> tuple[str, ...]:
    """The one that is asked about before the one it is related to: "on which side of the aorta is the cava"."""
    if len(clause.known) == 2 and len(ids) == 3 and clause.which and len(clause.known[1].ids) == 1:
        return (ids[2], *ids[:2])  # "which kidney is closer to the liver": the way from the liver to each
    if len(clause.known) != 2 or len(ids) != 2 or not clause.which:
        return ids
    lead = [_lead(clause.words, m) for m in clause.known]
    if lead[0] in ("of", "from", "to") and lead[1] not in ("of", "from", "to", "and"):
        return ids[::-1]
    return ids


def _lead(sentence: list[str], mention: Mention) -> str:
    i = mention.start
    while i and sentence[i - 1] in ("the", "a", "an", "his", "her", "my"):
        i -= 1
    return sentence[i - 1] if i else ""


_SLICES_OF_IT = cues.cue(
    "(slices|images|sections|cuts)( (does|do|is|are|show|shows|cover|contain|hold|with|of|has|have))+ @"
)


def scan(clause: Clause) -> list[Call] | None:
    """The volume itself: spacing, size, contrast, region, orientation."""
    found = [(m.start(), name) for name, p in cues.SCAN.items() if (m := p.search(clause.masked))]
    if clause.explicit:
        found = [(at, name) for at, name in found if name == "contrast" and not clause.has(cues.BRIGHT)]
        if not clause.has(cues.cue("phase|contrast|given|enhanced|unenhanced|scan")) or imperative(clause):
            return None
    elif clause.unknown or (clause.known and clause.has(cues.cue("it|its|them|they|both"))):
        found = [
            (at, n)
            for at, n in found
            if n in ("contrast", "orientation", "coverage") and not clause.has(cues.ATTRIBUTES["slices"])
        ]
        if clause.unknown and "contrast" not in clause.words:
            return None
    names = [name for _, name in sorted(found)]
    if names and clause.known and clause.has(_SLICES_OF_IT):
        return None
    if (
        "size" in names
        and "spacing" in names
        and clause.has(cues.cue("(voxel|pixel) dimensions?"))
        and "matrix" not in clause.words
    ):
        names.remove("size")
    if len(names) > 1 and "orientation" in names and not clause.has(cues.cue("orient*|which way|ras|lps")):
        names.remove("orientation")  # "axial slices" are counted, not placed
    return [Scan(name) for name in dict.fromkeys(names)] or None


_PLEASE = re.compile(r"^((please|can|could|would|will|you|and|now|then|ok|okay|kindly|briefly|just|,) )+")
_WEIGHT = cues.cue("weigh*|heavy|heavier|mass in (grams|kg)|grams?|kg|kilos?")
_ADDED = cues.cue("(sum|total) of|add(ed)? up|(sum|total)|altogether")


def measure(clause: Clause) -> list[Call] | None:
    """Attributes of structures, one request each; and on which side one lies."""
    strong_verb = clause.ordered
    found: list[tuple[int, str]] = []
    for name, pattern in cues.ATTRIBUTES.items():
        match = pattern.search(clause.masked)
        if match and not (
            strong_verb and name in ("position", "volume", "extent") and not clause.has(cues.STANDALONE_VOLUME)
        ):
            found.append((match.start(), name))
    names = [name for _, name in sorted(found)]
    if not names and clause.known and cues_talk.DESCRIBE_ONE.match(_PLEASE.sub("", clause.masked)) and not strong_verb:
        return [about(clause, Measure, what=a) for a in ("volume", "mean_hu")]
    if not names and len(clause.structures) > 1 and clause.has(_ADDED) and not strong_verb:
        return [about(clause, Total)]
    if not names and clause.has(cues.COMPARE) and any(c.isdigit() for c in clause.text):
        names = ["mean_hu" if clause.has(cues.BRIGHT) else "volume"]
    referral = referral_of(clause)
    if referral is not None and names == ["position"] and "where" in clause.words[1:] and clause.words[0] != "and":
        return None  # "the organ where urine is stored" describes
    asking = any(w in clause.words for w in ("how", "what", "measure", "tell", "which", ":")) or any(
        p.search(clause.masked) and clause.masked[p.search(clause.masked).end() :].startswith(" of")
        for p in cues.ATTRIBUTES.values()
    )
    if referral is not None and imperative(clause) and names == ["position"]:
        return None
    if referral is not None and referral.choose and not asking:
        return None
    if not clause.structures and not clause.unknown and referral is None:
        asked = bool(names) and not clause.which and clause.context.last is not None
        if (
            names
            and not clause.strange
            and clause.context.last is not None
            and (asked or {"slices", "position", "mean_hu", "largest_slice"} & set(names))
        ):
            ids = clause.context.last.structures
            last = clause.context.last
            if names == ["slices"] and told_width(last):
                names = ["diameter"]  # told with the slice
            return [
                Measure(ids, _tube(n, ids, clause), choose=last.choose, description=last.description)
                for n in _reduce(names, clause)
            ]
        return None
    if not names:
        side = clause.side_claim
        if side and (clause.yes_no or "why" in clause.words or clause.words[-1] == "?") and clause.structures:
            return [about(clause, Measure, what="position", claim=side)]
        return None
    request = about(clause, Measure)
    if strong_verb and clause.words[0] not in ("how", "what", "which", "where") and not clause.yes_no:
        # "liver: segment, volume, HU"
        mask = turned(request, Segment)
        return [
            mask,
            *(replace(request, what=_tube(n, request.structures, clause)) for n in _reduce(names, clause)),
        ]
    if clause.has(cues.SUM) and names == ["volume"]:
        return [turned(request, Total)]
    sides = {m.side for m in clause.mentions if m.kind == "side"}
    claim = (
        clause.side_claim
        if len(sides) == 1 and "position" in names and (clause.yes_no or "why" in clause.words)
        else ""
    )
    told = [
        replace(request, what=_tube(n, request.structures, clause), claim=claim if n == "position" else "")
        for n in _reduce(names, clause)
    ]
    weighed = clause.has(_WEIGHT) and bool(request.structures)
    return [replace(call, what="weight") if weighed and call.what == "volume" else call for call in told]


def _reduce(names: list[str], clause: Clause) -> list[str]:
    """Attributes really asked for: "how many" beside slices counts slices, "where" beside a slice means the slice."""
    if "largest_slice" in names:
        return ["largest_slice"]
    if "slices" in names:
        names = [n for n in names if n not in ("position", "extent", "count")]
    if "count" in names:
        return ["count"]
    if "hu_range" in names:
        return [n for n in names if n == "hu_range" or n not in ("mean_hu", "position", "extent")]
    if "mean_hu" in names and "volume" not in names:
        names = [n for n in names if n not in ("position",)]
    if "diameter" in names or "extent" in names:
        said = {"volume"} if clause.has(cues.cue("volumes?")) else set()  # "how big" beside a diameter is that diameter
        names = [n for n in names if n in said or n not in ("volume", "position")] if len(names) > 1 else names
    return list(dict.fromkeys(names))


def _tube(attribute: str, ids: tuple[str, ...], clause: Clause) -> str:
    """The size of a tube is its diameter, unless its volume is asked for by that word."""
    tube = bool(ids) and all(STRUCTURES[id].tube for id in ids)
    sized = attribute == "largest_slice" or (attribute == "volume" and not clause.has(cues.STANDALONE_VOLUME))
    return "diameter" if tube and sized else attribute  # its widest place is told with its diameter
