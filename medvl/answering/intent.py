"""What a person wants: words in, requests out. No network, no image, a few milliseconds.

A message is normalised, cut into clauses, and each clause is asked a row of questions (``_RULES``), the more special
first. A rule looks at three things only: which structures are named (``mentions``), which ideas occur (``cues``), and
what was asked before (``followup``). Whole sentences are nowhere written down.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import replace

from . import cues, refusals
from .clauses import Clause, split
from .contract import Intent, Request
from .followup import Context
from .mentions import Mention, lexicon, names_to_mend
from .normalise import Speller, words
from .referring import Referral, describe, superlative
from .vocabulary import EVERYTHING, GROUPS, STRUCTURES, counterpart, parts

Rule = Callable[[Clause], "list[Request] | None"]


# words of the cues that are worth mending, beside the names of structures
_MENDED = frozenset(
    ["segment", "segmentation", "outline", "delineate", "contour", "highlight", "describe", "report", "summarize", "volume", "diameter", "density", "attenuation", "hounsfield", "contrast", "thickness", "slices", "which", "where", "compare", "larger", "smaller", "bigger", "brighter", "darker", "distance", "between", "touching", "nearest", "closest", "behind", "calcium", "calcification", "calcified", "aneurysm", "emphysema", "effusion", "pleural", "steatosis", "gallstones", "stones", "osteoporosis", "enlarged", "visible", "segmented", "measure", "please", "remove", "length", "position", "located", "resolution", "orientation", "arterial", "venous", "organs", "average", "voxel"]
)

SPELLER = Speller(names_to_mend() | _MENDED, lexicon() | cues.WORDS | cues.FUNCTION_WORDS | cues.FILLERS)


def parse(text: str, history: Sequence[Sequence[Request]] = ()) -> tuple[Request, ...]:
    """Understand one message.

    Args:
        text: what was typed.
        history: requests of each earlier turn, oldest first, as this function gave them (a caller that has decided a
            ``choose`` on the scan may put the chosen structure in its place).

    Returns:
        One or more requests, in the order spoken.
    """
    message = SPELLER.mend(words(text))
    whole = refusals.of_message(" ".join(message))
    if whole is not None:
        return (whole,)
    context = Context.of(history)
    found: list[Request] = []
    for clause_words in split(message):
        for request in _understand(Clause.read(clause_words, context)):
            context.add(request)
            found.append(request)
    return _tidy(found) or (Request(Intent.UNKNOWN),)


def _understand(clause: Clause) -> list[Request]:
    for rule in _RULES:
        requests = rule(clause)
        if requests:
            return requests
    return [Request(Intent.UNKNOWN)]


def _tidy(requests: list[Request]) -> tuple[Request, ...]:
    """Drops repeats, greetings before a question, and "not the heart" beside what is wanted instead."""
    kept = list(dict.fromkeys(requests))
    for drop in (
        lambda r: r.intent is Intent.CHAT,
        lambda r: r.intent is Intent.UNKNOWN,
        lambda r: r.intent is Intent.REFUSE and r.topic in ("negated", "off_topic"),
    ):
        rest = [r for r in kept if not drop(r)]
        kept = rest or kept[:1]
    merged: list[Request] = []
    for request in kept:
        if (
            merged
            and request.intent is Intent.SEGMENT
            and merged[-1].intent is Intent.SEGMENT
            and not (request.choose or merged[-1].choose or request.referring or merged[-1].referring)
        ):
            last = merged.pop()
            request = replace(
                last,
                structures=tuple(dict.fromkeys(last.structures + request.structures)),
                unknown=last.unknown + request.unknown,
                nearest=tuple(dict.fromkeys(last.nearest + request.nearest)),
            )
        merged.append(request)
    return tuple(merged)


# ---- helpers of the rules


def _about(clause: Clause, intent: Intent, **more: object) -> Request:
    """A request about what the clause names, or what it describes; unknown names go along."""
    referral = _referral(clause)
    if referral is not None:
        rest = [m for i, m in enumerate(clause.mentions) if i not in referral.used]
        ids = [*referral.ids, *(id for m in rest if m.kind == "known" for id in m.ids)]
        unknown = [m for m in rest if m.kind == "unknown"]
        more = {"choose": referral.choose, "referring": referral.text, **more}
    else:
        ids, unknown = [*clause.structures], clause.unknown
        more = {**_chosen_before(clause), **more}
    return Request(
        intent,
        tuple(dict.fromkeys(ids)),
        unknown=tuple(m.text for m in unknown),
        nearest=tuple(dict.fromkeys(id for m in unknown for id in m.nearest)),
        **more,  # type: ignore[arg-type]
    )


_WHICH_ONE = cues.cue("(which|what) (organ|structure|thing|part|vessel|gland|bone)s?")


def _referral(clause: Clause) -> Referral | None:
    """What the clause describes rather than names; a question which of two it is describes nothing."""
    if clause.says(_WHICH_ONE) and not _imperative(clause):
        return None
    return describe(clause.words, clause.mentions)


def _chosen_before(clause: Clause) -> dict[str, str]:
    """ "How big is it", of the larger kidney: the choice is still open."""
    last = clause.context.last
    if last and last.choose and not clause.explicit and clause.structures == last.structures:
        return {"choose": last.choose, "referring": last.referring}
    return {}


def _imperative(clause: Clause) -> bool:
    return clause.says(cues.SEGMENT_STRONG) or (
        clause.says(cues.SEGMENT_WEAK) and not clause.yes_no and not clause.which
    )


def _group(ids: tuple[str, ...]) -> str:
    """Id of what is spoken of: the structure, or the group if it is exactly that."""
    if len(ids) == 1:
        return ids[0]
    return next((group for group, members in GROUPS.items() if set(members) == set(ids)), "")


def _pair(clause: Clause) -> tuple[str, ...]:
    """The structures of a comparison or relation; what is not said is taken from before, or is the other side."""
    ids = clause.structures
    if len(ids) >= 2:
        return ids
    before = clause.context.last
    if len(ids) == 1:
        if before and before.structures != ids:
            others = tuple(id for id in before.structures if id not in ids)
            if len(others) != 1:
                return ids
            # "is the left one larger?" speaks of the left one, "compare with the left" of the one before
            return (*ids, *others) if clause.yes_no and "than" not in clause.words else (*others, *ids)
        other = counterpart(ids[0])
        return (ids[0], other) if other else ids
    return clause.context.two()


# ---- rules, in the order they are asked


def _small_talk(clause: Clause) -> list[Request] | None:
    if clause.known or clause.unknown:
        return None
    for topic, pattern in cues.CHAT.items():
        match = pattern.search(clause.text)
        if match:
            rest = (clause.text[: match.start()] + " " + clause.text[match.end() :]).split()
            if (
                all(w in cues.FILLERS or any(p.fullmatch(w) for p in cues.CHAT.values()) for w in rest)
                or topic == "privacy"
            ):
                return [Request(Intent.CHAT, topic=topic)]
    return None


def _remove(clause: Clause) -> list[Request] | None:
    if not clause.has(cues.REMOVE) or clause.yes_no or any(w in clause.words for w in ("been", "removed")):
        return None
    if any(clause.negated(m) for m in clause.known):
        return None
    if clause.structures:
        return [_about(clause, Intent.REMOVE)]
    last = clause.context.last
    everything = clause.has(cues.EVERYTHING) or "masks" in clause.words
    return [Request(Intent.REMOVE, () if everything or last is None else last.structures)]


def _knowledge(clause: Clause) -> list[Request] | None:
    if clause.unknown and clause.has(cues.UNKNOWN_FUNCTION):
        return [_plain(clause, Intent.KNOWLEDGE, topic="no_text")]
    if clause.has(cues.HOW_YOU_KNOW):
        counted = clause.has(cues.cue("calculate|compute|measure|determine|derive|volume|size|hu"))
        return [Request(Intent.KNOWLEDGE, topic="measurement" if counted else "system")]
    if clause.words[0] == "why" and clause.has(cues.BRIGHT):
        fed = any(STRUCTURES[id].kind == "vessel" or id in GROUPS["kidneys"] for id in clause.structures)
        return [Request(Intent.KNOWLEDGE, topic="contrast" if fed else "hounsfield_unit")]
    here = any(w in clause.words for w in ("this", "here", "patient", "my", "scan", "your"))
    ids = clause.structures
    if (
        clause.has(cues.NORMAL_SIZE)
        and not clause.yes_no
        and (clause.which or "how" in clause.words or not clause.known)
    ):
        return [Request(Intent.KNOWLEDGE, ids, topic="reference_ranges")]
    if ids and clause.has(cues.FUNCTION) and _group(ids):
        return [Request(Intent.KNOWLEDGE, ids, topic=_group(ids))]
    measurable = ids and any(clause.has(p) for p in cues.ATTRIBUTES.values())
    content = [
        w
        for w in clause.masked.split()
        if w not in cues.FUNCTION_WORDS and w not in (",", "?", ".", "!", "@", "exactly")
    ]
    if (
        ids
        and clause.explicit
        and _group(ids)
        and clause.has(cues.WHAT_IS)
        and not content
        and clause.words[:2] in (["what", "is"], ["what", "are"])
    ):
        return [Request(Intent.KNOWLEDGE, ids, topic=_group(ids))]
    if clause.has(cues.TOPICS["measurement"]) and not clause.explicit:
        return [Request(Intent.KNOWLEDGE, topic="measurement")]
    first, second = clause.words[0], clause.words[1] if len(clause.words) > 1 else ""
    defining = clause.has(cues.DEFINE) or first == "why"
    if first in ("what", "how") and "the" not in clause.words[:3]:
        defining = defining or second in ("is", "are") or (first == "how" and second in ("do", "does"))
    if first in ("is", "are", "how", "does") and clause.says(cues.TOPICS["radiation"]):
        defining = True
    which_system = clause.which and clause.says(cues.TOPICS["system"])
    if not (defining or which_system) or measurable:
        return None
    if here and not which_system and not clause.says(cues.TOPICS["left_right"]):
        return None
    for topic, pattern in cues.TOPICS.items():
        if clause.says(pattern) or clause.has(pattern):
            return [Request(Intent.KNOWLEDGE, topic=topic)]
    return None


def _report(clause: Clause) -> list[Request] | None:
    if clause.has(cues.REPORT) and not clause.known and not clause.says(cues.DISEASE):
        return [Request(Intent.REPORT)]
    return None


def _finding(clause: Clause) -> list[Request] | None:
    strong = clause.says(cues.SEGMENT_STRONG)
    found = [f for f, pattern in cues.FINDING_NAMES.items() if clause.says(pattern)]
    if strong and found:
        text = next(m.group() for f in found if (m := cues.FINDING_NAMES[f].search(clause.text)))
        return [Request(Intent.SEGMENT, unknown=(text,), nearest=cues.FINDING_STRUCTURES[found[0]])]
    ids = set(clause.structures)
    if any(m.text.startswith("coronar") for m in clause.unknown):
        found = []
    else:
        found += [f for f in _finding_of(clause, ids) if f not in found]
    return [Request(Intent.FINDING, _where(f, clause), finding=f) for f in found] or None


def _finding_of(clause: Clause, ids: set[str]) -> list[str]:
    """Findings that the words and the structure make together: "stones" in the "kidneys"."""
    kidneys = bool(ids & {"right_kidney", "left_kidney"})
    if clause.says(cues.STONES):
        found = (["gallstones"] if "gallbladder" in ids else []) + (["renal_stones"] if kidneys else [])
        return found or ([] if ids else ["gallstones", "renal_stones"])
    if clause.says(cues.CALCIUM) and (ids == {"aorta"} or not ids):
        return ["aortic_calcification"]
    if clause.says(cues.FAT) and "liver" in ids:
        return ["steatosis"]
    if ids == {"liver", "spleen"} and clause.has(cues.cue("difference|minus")) and clause.has(cues.BRIGHT):
        return ["liver_spleen_difference"]
    if ids == {"right_kidney", "left_kidney"} and clause.has(cues.ASYMMETRY):
        return ["kidney_asymmetry"]
    asked = "how" not in clause.words and "than" not in clause.words and not clause.which and len(ids) == 1
    if asked and ids == {"aorta"} and clause.has(cues.DILATED):
        return ["aortic_aneurysm"]
    if (
        asked
        and clause.has(cues.ENLARGED)
        and (clause.yes_no or not clause.has(cues.cue("big|large")) or "too" in clause.words)
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


def _disease(clause: Clause) -> list[Request] | None:
    if not clause.says(cues.DISEASE):
        return None
    lesion = any(m.lesion for m in clause.unknown)
    if lesion and (_imperative(clause) or clause.masked.strip(" ?.") == "#"):
        return None
    return [Request(Intent.REFUSE, clause.structures, topic="diagnosis")]


def _list(clause: Clause) -> list[Request] | None:
    relating = any(clause.has(p) for r, p in cues.RELATIONS.items() if r != "side") or clause.has(
        cues.ATTRIBUTES["slices"]
    )
    if clause.has(cues.LIST) and not clause.known and not relating:
        return [Request(Intent.LIST)]
    return None


def _compare(clause: Clause) -> list[Request] | None:
    if not clause.has(cues.COMPARE) or (_imperative(clause) and superlative(clause.words)):
        return None
    if clause.has(cues.RELATIONS["distance"]) or (clause.has(cues.RELATIONS["above"]) and not _measured_word(clause)):
        return None
    # "how big is the larger kidney" describes one, "which kidney is larger" compares two
    if (
        not clause.which
        and not clause.yes_no
        and not clause.has(cues.cue("compar*|versus|than|difference|differ*|ratio|against"))
    ):
        if clause.explicit:
            return None
    if "than" in clause.words and any(c.isdigit() for c in clause.text.split("than", 1)[1]):
        return None  # than a number: the value itself is asked for
    ids = _pair(clause)
    if len(ids) < 2:
        return None
    last = clause.context.last
    inherited = (
        last.attribute
        if last and not clause.explicit and last.attribute in ("mean_hu", "diameter", "volume")
        else "volume"
    )
    if clause.has(cues.BRIGHT):
        attribute = "mean_hu"
    elif clause.has(cues.WIDE):
        attribute = "diameter"
    elif clause.has(cues.STANDALONE_VOLUME) or clause.has(cues.SIZE_ONLY):
        attribute = "volume"
    else:
        attribute = inherited if last and (not clause.explicit or last.structures == ids[:1]) else "volume"
        if last and last.attribute in ("mean_hu", "diameter", "volume") and len(clause.structures) == 1:
            attribute = last.attribute
        if superlative(clause.words) in ("brighter", "darker"):
            attribute = "mean_hu"
    again = last is not None and last.intent is Intent.COMPARE and last.claim and not clause.explicit
    claim = superlative(clause.words) if clause.yes_no or "than" in clause.words or again else ""
    claim = "" if clause.which else claim
    return [Request(Intent.COMPARE, ids, attribute=attribute, claim=claim)]


def _measured_word(clause: Clause) -> bool:
    """Whether "higher" and "lower" speak of a value, not of a place."""
    return clause.has(cues.BRIGHT) or clause.has(cues.STANDALONE_VOLUME)


def _relation(clause: Clause) -> list[Request] | None:
    relation = next((r for r, pattern in cues.RELATIONS.items() if clause.has(pattern)), "")
    if not relation or not clause.mentions or (_imperative(clause) and not clause.which):
        return None
    if relation in ("nearest", "front", "above", "side") and not (clause.which or clause.yes_no) and _referral(clause):
        return None
    ids = clause.structures
    if relation == "nearest" or (len(ids) == 1 and clause.which and relation in ("above", "front", "side", "touching")):
        if len(ids) == 2:
            return [Request(Intent.RELATION, ids, relation="touching", claim="touching")]
        return [_plain(clause, Intent.RELATION, relation="nearest")] if ids or clause.unknown else None
    if len(ids) < 2 and not clause.unknown:
        ids = _pair(clause)
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
    return [replace(_plain(clause, Intent.RELATION, relation=relation, claim=claim), structures=ids)]


def _plain(clause: Clause, intent: Intent, **more: object) -> Request:
    """A request about what is named, without looking for descriptions."""
    return Request(
        intent,
        clause.structures,
        unknown=tuple(m.text for m in clause.unknown),
        nearest=tuple(dict.fromkeys(id for m in clause.unknown for id in m.nearest)),
        **more,  # type: ignore[arg-type]
    )


def _subject_first(clause: Clause, ids: tuple[str, ...]) -> tuple[str, ...]:
    """The one that is asked about before the one it is related to: "on which side of the aorta is the cava"."""
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


def _scan(clause: Clause) -> list[Request] | None:
    found = [(m.start(), name) for name, p in cues.SCAN.items() if (m := p.search(clause.masked))]
    if clause.explicit:
        found = [(at, name) for at, name in found if name == "contrast" and not clause.has(cues.BRIGHT)]
        if not clause.has(cues.cue("phase|contrast|given|enhanced|unenhanced|scan")) or _imperative(clause):
            return None
    elif clause.unknown or (clause.known and clause.has(cues.cue("it|its|them|they|both"))):
        found = [
            (at, n)
            for at, n in found
            if n in ("contrast", "orientation", "coverage") and not clause.has(cues.ATTRIBUTES["slices"])
        ]
        if clause.unknown:
            return None
    names = [name for _, name in sorted(found)]
    if (
        "size" in names
        and "spacing" in names
        and clause.has(cues.cue("(voxel|pixel) dimensions?"))
        and "matrix" not in clause.words
    ):
        names.remove("size")
    return [Request(Intent.SCAN, attribute=name) for name in dict.fromkeys(names)] or None


def _measure(clause: Clause) -> list[Request] | None:
    strong_verb = clause.says(cues.SEGMENT_STRONG)
    found: list[tuple[int, str]] = []
    for name, pattern in cues.ATTRIBUTES.items():
        match = pattern.search(clause.masked)
        if match and not (
            strong_verb and name in ("position", "volume", "extent") and not clause.has(cues.STANDALONE_VOLUME)
        ):
            found.append((match.start(), name))
    names = [name for _, name in sorted(found)]
    if not names and clause.known and clause.has(cues.DESCRIBE_ONE) and not strong_verb:
        return [_about(clause, Intent.MEASURE, attribute=a) for a in ("volume", "mean_hu")]
    if not names and clause.has(cues.COMPARE) and any(c.isdigit() for c in clause.text):
        names = ["mean_hu" if clause.has(cues.BRIGHT) else "volume"]
    referral = _referral(clause)
    asking = any(w in clause.words for w in ("how", "what", "measure", "tell", "which", ":")) or any(
        p.search(clause.masked) and clause.masked[p.search(clause.masked).end() :].startswith(" of")
        for p in cues.ATTRIBUTES.values()
    )
    if referral is not None and _imperative(clause) and names == ["position"]:
        return None
    if referral is not None and referral.choose and not asking:
        return None
    if not clause.structures and not clause.unknown and referral is None:
        asked = bool(names) and not clause.which and clause.context.last is not None
        if (
            names
            and clause.context.last is not None
            and (asked or "slices" in names or "position" in names or "mean_hu" in names)
        ):
            ids = clause.context.last.structures
            last = clause.context.last
            return [
                Request(
                    Intent.MEASURE, ids, attribute=_tube(n, ids, clause), choose=last.choose, referring=last.referring
                )
                for n in _reduce(names)
            ]
        return None
    if not names:
        side = clause.side_claim
        if side and (clause.yes_no or "why" in clause.words) and clause.structures:
            return [_about(clause, Intent.MEASURE, attribute="position", claim=side)]
        return None
    request = _about(clause, Intent.MEASURE)
    claim = clause.side_claim if "position" in names and (clause.yes_no or "why" in clause.words) else ""
    return [replace(request, attribute=_tube(n, request.structures, clause), claim=claim) for n in _reduce(names)]


def _reduce(names: list[str]) -> list[str]:
    """Attributes really asked for: "how many" beside slices counts slices, "where" beside a slice means the slice."""
    if "slices" in names:
        names = [n for n in names if n not in ("position", "extent", "count")]
    if "count" in names:
        return ["count"]
    if "mean_hu" in names and "volume" not in names:
        names = [n for n in names if n not in ("position",)]
    if "diameter" in names or "extent" in names:
        names = [n for n in names if n not in ("volume", "position")] if len(names) > 1 else names
    return list(dict.fromkeys(names))


def _tube(attribute: str, ids: tuple[str, ...], clause: Clause) -> str:
    """The size of a tube is its diameter, unless its volume is asked for by that word."""
    tube = bool(ids) and all(STRUCTURES[id].tube for id in ids)
    return "diameter" if attribute == "volume" and tube and not clause.has(cues.STANDALONE_VOLUME) else attribute


def _presence(clause: Clause) -> list[Request] | None:
    for operation, group in cues.REMOVED_ORGAN.items():
        if operation in clause.words:
            return [Request(Intent.PRESENCE, parts(group))]
    if not (clause.known or clause.unknown):
        return None
    asks = (
        clause.yes_no
        or clause.has(cues.cue("any|visible|present|absent|missing|cut off|been removed"))
        or clause.says(cues.CALCIUM)
    )
    if clause.says(cues.SEGMENT_STRONG) or not asks or clause.which:
        return None
    # "do the liver" is an order, "is the liver whole" a question
    if clause.words[0] not in ("is", "are", "was", "were") and clause.yes_no and not clause.has(cues.PRESENCE):
        return None
    if clause.has(
        cues.cue("(can|could|would) (i|you|we) (please )?(have|get|show|give|do|find|add)")
    ) and not clause.has(cues.cue("can you find")):
        return None
    if clause.has(cues.cue("(can|could) (i|we) (have|get)|(find|show|give|get) (me|us)")):
        return None
    return [_about(clause, Intent.PRESENCE)]


def _segment(clause: Clause) -> list[Request] | None:
    if clause.words[0] in ("why", "when", "who"):
        return None
    region = cues.REGION_ALL.search(clause.text)
    everything = clause.has(cues.EVERYTHING)
    verb = clause.says(cues.SEGMENT_STRONG) or clause.says(cues.SEGMENT_WEAK)
    denied = [m for m in clause.mentions if m.kind in ("known", "unknown") and clause.negated(m)]
    if region:
        wanted = next(regions for stem, regions in cues.REGION_WORDS.items() if stem in region.group())
        organs_only = "organ" in region.group() and "chest" not in wanted
        ids = tuple(
            id for id in EVERYTHING
            if _lies_in(id, wanted[0]) and STRUCTURES[id].kind != "bone" and (not organs_only or STRUCTURES[id].kind == "organ")
        )  # fmt: skip
        gone = {id for m in denied for id in m.ids}
        return [Request(Intent.SEGMENT, tuple(id for id in ids if id not in gone), referring=region.group())]
    if denied:
        return [_without(clause, denied, everything)]
    if clause.says(cues.cue("body")) and not clause.mentions and verb and not everything:
        return [Request(Intent.SEGMENT, ("body",))]
    if everything and not clause.mentions and (verb or len(clause.words) <= 3):
        return [Request(Intent.SEGMENT, EVERYTHING)]
    if clause.says(cues.NEGATIONS) and not clause.mentions and clause.says(cues.SEGMENT_STRONG):
        return [Request(Intent.REFUSE, topic="negated")]
    carried = _carried(clause)
    if carried:
        return carried
    if clause.known or clause.unknown or _referral(clause) is not None:
        return [_only(clause, _about(clause, Intent.SEGMENT))]
    return None


def _lies_in(id: str, region: str) -> bool:
    return STRUCTURES[id].region == region or (id == "aorta" and region == "chest")


def _only(clause: Clause, request: Request) -> Request:
    """ "The lungs, but only the right one": what is said after "only" narrows what was said before it."""
    marks = [i for i, w in enumerate(clause.words) if w in ("only", "just")]
    if marks and not request.referring:
        after = tuple(dict.fromkeys(id for m in clause.known if m.start >= marks[0] for id in m.ids))
        if after and set(after) < set(request.structures) and marks[0] > min(m.start for m in clause.known):
            return replace(request, structures=after)
    return request


def _without(clause: Clause, denied: list[Mention], everything: bool) -> Request:
    """What is left when some is not wanted: the rest, or everything else, or nothing."""
    gone = {id for m in denied for id in m.ids}
    wanted = [m for m in clause.known if m not in denied]
    ids = tuple(dict.fromkeys(id for m in wanted for id in m.ids if id not in gone))
    named_all = everything and not any(m.concept in GROUPS for m in wanted)
    if named_all and not ids:
        return Request(Intent.SEGMENT, tuple(id for id in EVERYTHING if id not in gone))
    if ids:
        unknown = [m for m in clause.unknown if m not in denied]
        nearest = tuple(dict.fromkeys(id for m in unknown for id in m.nearest))
        return Request(Intent.SEGMENT, ids, unknown=tuple(m.text for m in unknown), nearest=nearest)
    return Request(Intent.REFUSE, tuple(id for m in denied for id in m.ids), topic="negated")


def _carried(clause: Clause) -> list[Request] | None:
    """ "And the spleen?": the last request once more, with what is named now."""
    last = clause.context.last
    ids = clause.structures
    if last is None or not (ids or clause.unknown) or not clause.context.turns[:-1]:
        return None
    verb = clause.says(cues.SEGMENT_STRONG) or (
        clause.says(cues.SEGMENT_WEAK) and not clause.has(cues.cue("now|add|do"))
    )
    if verb or (last.intent is Intent.SEGMENT) or _referral(clause) is not None:
        return None
    filler = cues.FUNCTION_WORDS | {
        "@",
        "#",
        "same",
        "meant",
        "mean",
        "other",
        "total",
        "together",
        "sum",
        "instead",
        "sorry",
        ",",
        "?",
        ".",
        "!",
        "now",
        "next",
        "one",
        "side",
        "well",
        "actually",
        "rather",
        "each",
        "combined",
    }
    if any(w not in filler for w in clause.masked.split()):
        return None
    carried = clause.context.carry(
        ids, tuple(m.text for m in clause.unknown), tuple(id for m in clause.unknown for id in m.nearest)
    )
    if carried is None:
        return None
    if carried.intent is Intent.FINDING and not set(ids) <= set(cues.FINDING_STRUCTURES[carried.finding]):
        enlarged = {"spleen": "splenomegaly", "liver": "hepatomegaly", "heart": "cardiomegaly"}
        if carried.finding in enlarged.values() and ids and ids[0] in enlarged:
            return [replace(carried, finding=enlarged[ids[0]])]
        return [Request(Intent.PRESENCE, ids)]
    return [carried]


def _open_follow_up(clause: Clause) -> list[Request] | None:
    """Nothing named, nothing to point to with: "how much?", "which ones?" go on about what was asked."""
    last = clause.context.last
    pointing = clause.mentions or any(w in clause.words for w in ("it", "them", "that", "this"))
    if last is None:
        asks = (
            clause.says(cues.SEGMENT_STRONG)
            or clause.says(cues.SEGMENT_WEAK)
            or any(clause.has(p) for p in cues.ATTRIBUTES.values())
        )
        return [Request(Intent.UNKNOWN, topic="antecedent")] if pointing and asks else None
    if (
        clause.says(cues.cue("how much|how many|percent*|how severe|how bad|quantif*"))
        and last.intent is Intent.FINDING
    ):
        return [last]
    if clause.says(cues.SEGMENT_STRONG) and len(clause.words) <= 4:
        return [Request(Intent.SEGMENT, last.structures, choose=last.choose, referring=last.referring)]
    return None


def _named_like(clause: Clause) -> list[Request] | None:
    """ "Segment the flurb": a noun that is no structure, with the names written most like it."""
    match = cues.SEGMENT_STRONG.search(clause.text)
    if not match or clause.says(cues.OFF_TOPIC):
        return None
    rest = [w for w in clause.text[match.end() :].split() if w not in cues.FUNCTION_WORDS and w.isalpha()]
    if not rest or len(rest) > 3:
        return None
    names = {s.name: s.id for s in STRUCTURES.values()}
    near = difflib.get_close_matches(" ".join(rest), names, n=2, cutoff=0.6)
    return [Request(Intent.SEGMENT, unknown=(" ".join(rest),), nearest=tuple(names[n] for n in near))]


def _described(clause: Clause) -> list[Request] | None:
    """No noun for a kind of thing either: "what food goes through after the mouth" is still a description."""
    if not (_imperative(clause) or clause.which):
        return None
    referral = describe(clause.words, clause.mentions, targetless=True)
    if referral is None:
        return None
    return [Request(Intent.SEGMENT, referral.ids, referring=referral.text, choose=referral.choose)]


def _declined(clause: Clause) -> list[Request] | None:
    """"Do not measure the liver", "don't show the kidneys any more"."""
    named = clause.known
    if not clause.declined or not named or not all(clause.negated(m) for m in named):
        return None
    gone = tuple(dict.fromkeys(id for m in named for id in m.ids))
    if clause.has(cues.cue("anymore|any more|any longer")):
        return [Request(Intent.REMOVE, gone)]
    return None if clause.has(cues.EVERYTHING) else [Request(Intent.REFUSE, gone, topic="negated")]


def _outside(clause: Clause) -> list[Request] | None:
    """Plain English about nothing of this subject is refused; what is no English is not understood."""
    if clause.says(cues.OFF_TOPIC):
        return [Request(Intent.REFUSE, topic="off_topic")]
    if clause.has(cues.DOMAIN):
        return [Request(Intent.UNKNOWN, topic="beyond")]
    common = [w for w in clause.words if w in cues.FUNCTION_WORDS]
    asks = clause.words[0] in cues.FUNCTION_WORDS
    return [Request(Intent.REFUSE, topic="off_topic")] if asks and len(common) >= 2 and len(clause.words) > 3 else None


_RULES: tuple[Rule, ...] = (
    _small_talk,
    refusals.of_clause,
    _declined,
    _remove,
    _knowledge,
    _report,
    _finding,
    _disease,
    _list,
    _compare,
    _relation,
    _scan,
    _measure,
    _presence,
    _segment,
    _open_follow_up,
    _named_like,
    _described,
    _outside,
)
