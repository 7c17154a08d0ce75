"""What a question of the set is to be understood as: from the entries of its files to calls.

An entry names an intent (``measure``, ``compare``, ``relation``, ``view`` ...), the structures, and what else the
message says. The files are older than the calls; a thousand entries are not written anew for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..language.calls import (
    Between,
    Call,
    Chat,
    Clarify,
    Compare,
    Edit,
    Finding,
    ListStructures,
    Lookup,
    Measure,
    Neighbours,
    Presence,
    Rank,
    Refuse,
    Relate,
    Remove,
    Report,
    Scan,
    Segment,
    Share,
    Show,
    Total,
)  # fmt: skip

_Kept = dict[str, Any]


def calls_of(entry: Mapping[str, Any]) -> list[Call]:
    """The calls of one entry: one, or two where part of the message was not understood.

    Args:
        entry: ``intent`` and what is given of ``structures``, ``attribute``, ``relation``, ``claim``, ``finding``,
            ``topic``, ``unknown``, ``nearest``, ``referring``, ``choose``, ``which``, ``whole``, ``unit``, ``decimals``
            and ``left``.
    """
    names = {"structures": "of", "referring": "description"}
    kept = {names.get(key, key): tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    kept = {key: value for key, value in kept.items() if value not in ("", None, ())}
    left = kept.pop("left", ())
    call = _CALLS[kept.pop("intent")](kept.pop("attribute", ""), kept.pop("topic", ""), kept)
    return [call, Refuse(words=left)] if left else [call]


def _segment(attribute: str, topic: str, kept: _Kept) -> Call:
    return Segment(**kept, **_part(topic))


def _measure(attribute: str, topic: str, kept: _Kept) -> Call:
    if kept.pop("which", "") == "total":
        return Total(**kept)
    if attribute != "position":
        kept.pop("claim", "")
    what = "weight" if topic == "weight" and attribute == "volume" else attribute or "volume"
    return Measure(what=what, **kept, **_part(topic))


def _part(topic: str) -> _Kept:
    """That a part of the aorta is meant; which, an entry does not say."""
    return {"part": "thoracic"} if topic == "aorta_parts" else {}


def _compare(attribute: str, topic: str, kept: _Kept) -> Call:
    if attribute == "share":
        return Share(**kept)
    kept["by"] = attribute or "volume"
    if "whole" in kept:
        kept["against"] = kept.pop("whole")
    if kept.get("which") == "ratio":
        return Compare(**kept | {"which": "", "ratio": True})
    many = len(kept.get("of", ())) > 2 and "claim" not in kept and "against" not in kept
    return (Rank if many else Compare)(**kept)


def _relate(attribute: str, topic: str, kept: _Kept) -> Call:
    kind, of = kept.pop("relation", "direction"), kept.get("of", ())
    if kind == "between":
        kept.pop("claim", "")
        return Between(**kept | {"of": of[:-2], "ends": of[-2:]})
    if kind == "nearest":
        return Neighbours(side=kept.pop("claim", ""), **kept)
    return Relate(kind=kind, **kept)


def _list(attribute: str, topic: str, kept: _Kept) -> Call:
    if attribute == "slice":
        plane, number = topic.split()
        return ListStructures("in_slice", plane=plane, number=int(number))
    if attribute in ("", "made", "cut"):
        return ListStructures(attribute or "all")
    return ListStructures(
        **{"region" if attribute in ("head_neck", "chest", "abdomen", "pelvis") else "kind": attribute}
    )


def _show(attribute: str, topic: str, kept: _Kept) -> Call:
    if attribute == "slice" and topic != "largest":
        plane, number = topic.split()
        return Show(action="slice", plane=plane, number=int(number), **kept)
    own = {attribute: topic} if attribute in ("window", "colour") else {}
    return Show(action="largest_slice" if attribute == "slice" else attribute or "centre", **own, **kept)


def _edit(attribute: str, topic: str, kept: _Kept) -> Call:
    kept |= {"radius_mm": float(topic)} if attribute == "smooth" and topic else {}
    kept |= {"name": topic} if attribute == "rename" else {}
    return Edit(op=attribute, **_pointed(kept))


def _pointed(kept: _Kept) -> _Kept:
    """What "it" points to is one of what a call is used on."""
    it = ("it",) if kept.get("description") == "it" else ()
    return kept | {"of": (*it, *kept.get("of", ())), "description": "" if it else kept.get("description", "")}


def _refuse(attribute: str, topic: str, kept: _Kept) -> Call:
    return Clarify() if topic == "antecedent" else Refuse(reason=topic or "not_understood", **kept)


_CALLS: dict[str, Callable[[str, str, _Kept], Call]] = {
    "segment": _segment,
    "measure": _measure,
    "compare": _compare,
    "relation": _relate,
    "presence": lambda attribute, topic, kept: Presence(**kept),
    "finding": lambda attribute, topic, kept: Finding(id=kept.pop("finding"), **kept),
    "scan": lambda attribute, topic, kept: Scan(attribute or "size"),
    "report": lambda attribute, topic, kept: Report(),
    "list": _list,
    "view": _show,
    "edit": _edit,
    "remove": lambda attribute, topic, kept: Remove(**_pointed(kept)),
    "knowledge": lambda attribute, topic, kept: Lookup(topic=topic, **kept),
    "chat": lambda attribute, topic, kept: Chat(topic),
    "refuse": _refuse,
    "unknown": _refuse,
}
