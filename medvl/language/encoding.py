"""Messages as a small network reads them, and calls as what it says of them: no rule on wording, no torch.

A message becomes words. Each structure in it stands under one name behind an anchor, whatever it was called; before it
stand the calls of the turns before. Of a message the network says at which words a further call begins; of the words
of each call, with the rest of the message still in view, its tool, a value for each of the tool's fields, what each
anchor is to it (``ROLES``), and which words are names of their own (``TAGS``). What is a number or a colour is read off
the words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..errors import CallError
from ..vocabulary.names import COLOURS, EVERYTHING, STRUCTURES, counterpart, name, on_side, parts
from .calls import TOOLS, TOPICS, Call, Share
from .calls.base import Part
from .calls.schema import from_dict
from .glossary import MEANINGS
from .mentions import Mention, find
from .quantities import LENGTHY, hu_range, length_mm, window_hu
from .referring import Referral, describe

ANCHOR, STRANGE, POINTER, TURN = "[unused1]", "[unused2]", "[unused3]", "[unused4]"
ROLES = ("", "of", "first", "against", "whole", "ends")
TAGS = ("", "unknown", "name", "description")
TURNS = 2
SPANS = {"unknown": "unknown", "name": "name", "description": "description"}
IMPLIED = ("lungs", "right_lung", "left_lung", "liver", "heart", "gallbladder", "urinary_bladder", "kidneys",
           "right_kidney", "left_kidney", "aorta", "spleen", "bones", "l1_vertebra", "l3_vertebra")  # fmt: skip
"""What a message may be about without naming it: "ptx?", "how much urine is there"."""
REFERENCES = ("", "it", "other", "clicked", "crosshair", "f1", "last", "last_first", "last_and_it", "last_two",
              "counterpart", "everything", "said", *IMPLIED)  # fmt: skip
NOT_LEARNED = frozenset({"of", "against", "whole", "ends", "unknown", "name", "description", "question", "words",
                         "options", "nearest", "changed", "number", "radius_mm", "low_hu", "high_hu", "decimals",
                         "colour", "than_is", "level", "width"})  # fmt: skip
JOINED = frozenset({"total", "compare", "rank", "share", "relate", "between"})
"""Tools that may be used on what the words of the call name together with what the rest of the message names."""
JOINTS = frozenset({"and", "then", "also", "plus", ",", ".", ";", "?", "!", ":"})
"""Words between two calls of a message."""
STRUCTURE_TOPIC, WORD_TOPIC = "<structure>", "<word>"
PARTS = tuple(part for part in get_args(Part) if part)


def _heads() -> dict[str, tuple[str, ...]]:
    """Every choice that the network makes of a call, by ``TOOL.FIELD``."""
    heads: dict[str, tuple[str, ...]] = {"tool": tuple(TOOLS), "reference": REFERENCES}
    for tool, kind in TOOLS.items():
        hints = get_type_hints(kind)
        for field in fields(kind):
            if field.name in NOT_LEARNED or field.metadata.get("hidden"):
                continue
            hint = hints[field.name]
            if get_origin(hint) is Literal:
                options = tuple(str(option) for option in get_args(hint))
            elif hint is bool:
                options = ("false", "true")
            elif (tool, field.name) == ("lookup", "topic"):
                options = (STRUCTURE_TOPIC, WORD_TOPIC, *TOPICS)
            else:
                continue
            heads[f"{tool}.{field.name}"] = options
    return heads


HEADS = _heads()
"""Options of each choice."""


@dataclass(frozen=True)
class Prepared:
    """A message as the network reads it.

    Attributes:
        tokens: words and anchors, those of earlier turns first.
        own: index in ``tokens`` where the message itself begins.
        words: the message's words as they were.
        at: index in ``words`` of each token from ``own`` on; -1 for an anchor or a name put in a structure's place.
        anchors: index in ``tokens`` of each anchor of a structure, and what it names (of what is unknown, the nearest).
        pointers: mentions among the words asked about that point ("the left one", "the other"), in order.
        span: indices in ``words`` of those that ask for the call in question; the others are its context.
        asked: indices in ``tokens`` of these.
        begins: index in ``words`` of what each token begins, a word or a name of several; -1 where it begins neither.
    """

    tokens: tuple[str, ...]
    own: int
    words: tuple[str, ...]
    at: tuple[int, ...]
    anchors: tuple[tuple[int, Mention], ...]
    pointers: tuple[Mention, ...]
    span: range
    asked: range
    begins: tuple[int, ...]

    @property
    def said(self) -> tuple[str, ...]:
        """The words that ask for the call in question."""
        return self.words[self.span.start : self.span.stop]

    def is_asked(self, mention: Mention) -> bool:
        """Whether a mention stands among the words that ask for the call in question."""
        return mention.start in self.span


def prepare(words: Sequence[str], before: Sequence[Call] = (), span: range | None = None) -> Prepared:
    """Words of ``normalise.words`` (mended) as tokens.

    Args:
        words: of the whole message.
        before: calls of the turns before and of the words before the span, oldest first.
        span: indices of the words that ask for the call in question; None: all of them.
    """
    span = range(len(words)) if span is None else span
    tokens: list[str] = []
    begins: dict[int, int] = {}  # token at which each word, or the name that it is part of, begins
    for call in before[-TURNS:]:
        tokens += [*_told(call), TURN]
    own, at, anchors, pointers = len(tokens), [], [], []
    starts = {mention.start: mention for mention in find(list(words))}
    index = 0
    while index < len(words):
        mention = starts.get(index)
        begins[index] = len(tokens)
        if mention is None:
            tokens.append(words[index])
            at.append(index)
            index += 1
            continue
        said = list(range(mention.start, mention.end))
        if mention.kind == "known":
            anchors.append((len(tokens), mention))
            named = _called(mention).split()
            tokens += [ANCHOR, *named]
            at += [-1] * (1 + len(named))
        else:
            strange = mention.kind == "unknown"
            if strange:  # "lesions of the liver" are not known, and what they lie in is
                anchors.append((len(tokens), mention))
            elif mention.start in span:
                pointers.append(mention)
            tokens += [STRANGE if strange else POINTER, *(words[i] for i in said)]
            at += [-1, *said]
        index = max(mention.end, index + 1)
    first, end = (min((begins[i] for i in begins if i >= at_word), default=len(tokens))
                  for at_word in (span.start, span.stop))  # fmt: skip
    token_begins = {token: word for word, token in begins.items()}
    return Prepared(
        tuple(tokens),
        own,
        tuple(words),
        tuple(at),
        tuple(anchors),
        tuple(pointers),
        span,
        range(first, end),
        tuple(token_begins.get(token, -1) for token in range(own, len(tokens))),
    )


def _called(mention: Mention) -> str:
    return name(mention.ids[0]) if len(mention.ids) == 1 else name(mention.concept)


def _told(call: Call) -> list[str]:
    """A call of an earlier turn in a few words."""
    values = [str(getattr(call, f.name)) for f in fields(call) if f"{call.tool}.{f.name}" in HEADS]
    told = [call.tool, *(v for value in values for v in value.split("_") if v not in ("", "False", "True"))]
    return [*told, *(word for id in call.structures[:4] for word in name(id).split())][:16]


# ---- calls -> what the network should say


@dataclass(frozen=True)
class Labels:
    """What the network should say of one call.

    Attributes:
        choices: index of the option of each head; heads that are left out are not learned from this message.
        roles: index in ``ROLES`` of each anchor.
        tags: index in ``TAGS`` of each token from ``own`` on.
    """

    choices: dict[str, int]
    roles: tuple[int, ...]
    tags: tuple[int, ...]


def labels(call: Call, prepared: Prepared, before: Sequence[Call] = ()) -> Labels | None:
    """Of a call and the words that ask for it; None where the words do not lead to the structures it is used on."""
    choices = {"tool": list(TOOLS).index(call.tool)}
    for head, options in HEADS.items():
        tool, _, field = head.partition(".")
        if tool != call.tool or not field:
            continue
        value = getattr(call, field)
        if head == "lookup.topic":
            value = STRUCTURE_TOPIC if value in STRUCTURES or value in call.of else value
            value = WORD_TOPIC if value in MEANINGS else value
        value = str(value).lower() if isinstance(value, bool) else str(value)
        if value in options:
            choices[head] = options.index(value)
    roles, reference = _roles(call, prepared, before)
    if reference is None:
        return None
    choices["reference"] = REFERENCES.index(reference)
    tags = [0] * len(prepared.at)
    for field, tag in SPANS.items():
        said = getattr(call, field, ())
        for text in (said,) if isinstance(said, str) else said:
            wanted = re.findall(r"\w+", text.lower())
            for start in range(len(prepared.words) - len(wanted) + 1):
                if wanted and list(prepared.words[start : start + len(wanted)]) == wanted:
                    span = range(start, start + len(wanted))
                    tags = [TAGS.index(tag) if i in span else t for i, t in zip(prepared.at, tags, strict=True)]
                    break
    return Labels(choices, roles, tuple(tags))


def _roles(call: Call, prepared: Prepared, before: Sequence[Call]) -> tuple[tuple[int, ...], str | None]:
    left = {f: list(getattr(call, f)) for f in ("of", "against", "whole", "ends") if getattr(call, f, ())}
    roles = [""] * len(prepared.anchors)
    # what stands in another part of the message is only meant where the words of the call themselves name nothing
    for index in sorted(range(len(roles)), key=lambda i: not prepared.is_asked(prepared.anchors[i][1])):
        mention = prepared.anchors[index][1]
        role, ids = "", meant(mention)
        for field, wanted in left.items():
            if ids and set(ids) <= set(wanted):
                role = "first" if field == "of" and call.of[0] in ids else field
                left[field] = [id for id in wanted if id not in ids]
                break
        roles[index] = role
    if next((role for role in roles if role in ("of", "first")), "") == "first":
        roles = ["of" if r == "first" else r for r in roles]  # the order spoken is the order meant
    spoken = _spoken_field(call.tool, roles)
    if left.get("whole") and tuple(left["whole"]) == _whole(before):
        del left["whole"]
    if any(wanted for field, wanted in left.items() if field != spoken):
        return (), None
    missing = tuple(left.get(spoken, ()))
    reference: str | None = ""
    if missing:
        known = candidates(prepared, before)
        reference = next((r for r in REFERENCES if r and set(known.get(r, ())) == set(missing)), None)
        if reference is None and getattr(call, "description", ""):
            reference = "said"
    return tuple(ROLES.index(role) for role in roles), reference


def _spoken_field(tool: str, roles: Sequence[str]) -> str:
    """The field that what was spoken of before goes to: "anything in between?" leaves both ends to it."""
    return "ends" if tool == "between" and "ends" not in roles else "of"


def _whole(before: Sequence[Call]) -> tuple[str, ...]:
    """What a share is of where nothing is named: that of the share before, else the body."""
    return next((call.whole for call in reversed(before) if isinstance(call, Share)), ("body",))


def meant(mention: Mention) -> tuple[str, ...]:
    """Structures that an anchor stands for: of what is not known, the one that it is a part of or lies in."""
    if mention.kind == "known":
        return mention.ids
    parts_of = tuple(id for near in mention.nearest for id in parts(near))
    return parts_of if len(mention.nearest) == 1 else ()


def candidates(prepared: Prepared, before: Sequence[Call]) -> dict[str, tuple[str, ...]]:
    """What each reference would mean here: ids, or words that only an answer resolves."""
    found: dict[str, tuple[str, ...]] = {r: (r,) for r in ("it", "other", "clicked", "crosshair", "f1")}
    named = [call.structures for call in before if call.structures]
    if named:
        last = named[-1]
        found |= {"last": last, "last_first": last[:1], "last_and_it": (*last, "it")}
        if len(named) > 1:
            found["last_two"] = tuple(dict.fromkeys((*named[-2], *last)))
        others = tuple(other for id in last if (other := counterpart(id)))
        side = next((m.side for m in prepared.pointers if m.kind == "side" and m.side), "")
        groups = [STRUCTURES[id].group for id in last if STRUCTURES[id].paired]
        if side and groups:
            others = (on_side(groups[-1], side),)
        if others:
            found["counterpart"] = others
    found["everything"] = EVERYTHING
    found |= {id: parts(id) for id in IMPLIED}
    if referral := _described(prepared):
        found["said"] = referral.ids
    return found


def _described(prepared: Prepared) -> Referral | None:
    words = list(prepared.said)
    return describe(words, find(words))


# ---- what the network says -> calls


def counted(tool: str, roles: Sequence[str], prepared: Prepared) -> tuple[bool, ...]:
    """Which anchors' roles count: those of the rest of the message only where the words of the call name nothing."""
    asked = [prepared.is_asked(mention) for _, mention in prepared.anchors]
    alone = tool not in JOINED and any(role and own for role, own in zip(roles, asked, strict=True))
    return tuple(own or not alone for own in asked)


def call_from(
    choices: Mapping[str, str], roles: Sequence[str], tags: Sequence[str], prepared: Prepared, before: Sequence[Call]
) -> Call | None:
    """The call that choices, roles and tags spell; None where they spell none."""
    tool = choices["tool"]
    roles = [r if counts else "" for r, counts in zip(roles, counted(tool, roles, prepared), strict=True)]
    known = {f.name for f in fields(TOOLS[tool])}
    value: dict[str, Any] = {"tool": tool}
    for head, choice in choices.items():
        of, _, field = head.partition(".")
        if field and of == tool and choice not in ("", "false"):
            value[field] = True if choice == "true" else choice
    placed: dict[str, list[str]] = {"of": [], "against": [], "whole": [], "ends": []}
    for (_, mention), role in sorted(zip(prepared.anchors, roles, strict=True), key=lambda pair: pair[1] != "first"):
        if role:
            placed["of" if role == "first" else role] += meant(mention)
    reference = choices["reference"]
    if reference:  # "is it touching the liver": what was spoken of comes first
        spoken = _spoken_field(tool, roles)
        placed[spoken] = [*candidates(prepared, before).get(reference, ()), *placed[spoken]]
    value |= {field: list(dict.fromkeys(ids)) for field, ids in placed.items() if ids and field in known}
    if tool == "share":
        value.setdefault("whole", list(_whole(before)))
    for field, tag in SPANS.items():
        said = [prepared.words[i] for i, t in zip(prepared.at, tags, strict=True) if t == tag and i >= 0]
        if said and field in known:
            value[field] = [" ".join(said)] if field == "unknown" else " ".join(said)
    if value.get("unknown"):
        near = [id for _, m in prepared.anchors if m.kind == "unknown" for id in m.nearest]
        value["nearest"] = list(dict.fromkeys(near))
    if tool == "clarify":  # what was named and leaves open which is meant
        named = [mention for _, mention in prepared.anchors if prepared.is_asked(mention)]
        open_ids = (id for mention in named for id in (mention.ids or mention.nearest))
        value["options"] = list(dict.fromkeys(open_ids))
    if value.get("topic") in (STRUCTURE_TOPIC, WORD_TOPIC):
        value["topic"] = _topic(value["topic"], prepared)
    if reference == "said" and "description" in known and (referral := _described(prepared)):
        value["description"] = referral.text
    _read_off(value, known, prepared, before)
    try:
        return from_dict(value)
    except CallError:
        return None


def _topic(choice: str, prepared: Prepared) -> str:
    if choice == STRUCTURE_TOPIC:
        mention = next((m for _, m in prepared.anchors if prepared.is_asked(m)), None)
        return "" if mention is None else mention.ids[0] if len(mention.ids) == 1 else mention.concept
    text = "_".join(prepared.said)
    return next((word for word in sorted(MEANINGS, key=len, reverse=True) if word in text), "")


def _read_off(value: dict[str, Any], known: set[str], prepared: Prepared, before: Sequence[Call]) -> None:
    """Numbers, colours, parts of the aorta and a whole question, which are in the words themselves."""
    numbers = [word for word in prepared.said if re.fullmatch(r"\d+(\.\d+)?", word)]
    if "number" in known and (value.get("which") == "in_slice" or value.get("action") == "slice"):
        earlier = [call for call in before if getattr(call, "number", None) is not None]
        if numbers:
            value["number"] = int(float(numbers[-1]))
        elif earlier:  # "that slice"
            value |= {"number": earlier[-1].number, "plane": earlier[-1].plane}
        value.setdefault("plane", "axial")
    if "decimals" in known and {"decimal", "decimals", "digit", "digits"} & set(prepared.said):
        count = {"one": 1, "two": 2, "three": 3, "no": 0, "without": 0}
        value["decimals"] = next((count.get(w, int(w) if w.isdigit() else 1) for w in prepared.said
                                  if w in count or w.isdigit()), 1)  # fmt: skip
    if value["tool"] == "edit":
        length, (low, high) = length_mm(prepared.said), hu_range(prepared.said)
        op = value.get("op", "smooth")
        if op in LENGTHY and (length or numbers):
            value["radius_mm"] = length or float(numbers[-1])
        elif op == "threshold":
            value |= {name: hu for name, hu in (("low_hu", low), ("high_hu", high)) if hu is not None}
    if value["tool"] == "show" and {"width", "ww"} & set(prepared.said):
        value["action"] = "window"
    if value.get("action") == "window" and (told := window_hu(prepared.said)):
        value |= {"level": told[0], "width": told[1]}
        value.pop("window", None)
    if "part" in known and "aorta" in value.get("of", ()) and (parts_said := set(PARTS) & set(prepared.said)):
        value["part"] = next(part for part in prepared.said if part in parts_said)
    if "colour" in known and value.get("action") == "colour":
        value["colour"] = next((word for word in prepared.said if word in COLOURS), "")
    if value["tool"] == "read_image":
        value["question"] = " ".join(prepared.said)
