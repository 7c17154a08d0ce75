"""Calls as JSON: the schema of every tool, and calls to and from dictionaries.

The schema is the list of tools that OpenAI-compatible servers take; it is made from the dataclasses and their
docstrings, so that there is one place to change.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields
from inspect import cleandoc
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ...errors import CallError
from ...vocabulary.names import COLOURS, GROUPS, STRUCTURES
from ..glossary import MEANINGS
from . import TOOLS
from .base import REFERENCE, TOPICS, Call, Described, Valued

_TARGETS = frozenset({"of", "against", "whole", "ends", "options", "nearest"})  # fields that hold ids and references
_NAMED: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS),
    "topic": (*TOPICS, *MEANINGS, *GROUPS, *STRUCTURES),  # of ``lookup``: ``chat`` has a type of its own
}
_EXAMPLE = re.compile(r'^ {2}(?:  )*"(?P<said>[^\n]*?)"(?P<note> \([^)]*\))?\s+(?P<call>\{"tool".*?\})$', re.M | re.S)


def schema(ids: bool = True) -> list[dict[str, Any]]:
    """Every tool as OpenAI-compatible servers want it: name, description, parameters as JSON schema.

    Args:
        ids: whether each field for structures lists all of them, as a grammar needs; a prompt that lists them once is
            a tenth as long without.
    """
    return [
        {
            "type": "function",
            "function": {
                "name": tool,
                "description": summary(call),
                "parameters": {
                    "type": "object",
                    "properties": {f.name: _property(call, f, ids) for f in planned(call)},
                    "additionalProperties": False,
                },
            },
        }
        for tool, call in TOOLS.items()
    ]


def to_dict(call: Call) -> dict[str, Any]:
    """A call as JSON values: its tool, and each field that is not at its default."""
    told = {f.name: getattr(call, f.name) for f in fields(call) if getattr(call, f.name) != f.default}
    return {"tool": call.tool} | {k: list(v) if isinstance(v, tuple) else v for k, v in told.items()}


def from_dict(value: Mapping[str, Any]) -> Call:
    """A call from JSON values; groups become their parts.

    Args:
        value: ``{"tool": "measure", "what": "volume", "of": ["spleen"]}``.

    Raises:
        CallError: no such tool, field, id or value; the message says what there is.
    """
    if not isinstance(value, Mapping):
        raise CallError(f"A call is an object with a tool and its fields, not {value!r}.")
    tool = value.get("tool")
    if tool not in TOOLS:
        raise CallError(f"There is no tool {tool!r}{_instead(tool, TOOLS)}")
    kind = TOOLS[tool]
    known = {f.name: f for f in fields(kind)}
    given = {name: item for name, item in value.items() if name != "tool"}
    for name in given:
        if name not in known:
            raise CallError(f"{tool} has no field {name!r}{_instead(name, known)}")
    hints = get_type_hints(kind)
    return kind(**{name: _value(tool, name, hints[name], item) for name, item in given.items()})


def _told(kind: type) -> str:
    """A docstring with its margin taken off, as Python 3.13 keeps it and the versions before do not."""
    return cleandoc(kind.__doc__ or "")


def summary(call: type[Call]) -> str:
    """What a tool does, from its docstring, without examples and fields."""
    return " ".join(re.split(r"\n\s*(?:Examples|Attributes):", _told(call))[0].split())


def examples(call: type[Call]) -> list[tuple[str, str]]:
    """Messages of a tool's docstring, each with its call as JSON."""
    text = _told(call).partition("Examples:")[2].partition("Attributes:")[0]
    return [(match["said"], match["call"]) for match in _EXAMPLE.finditer(text)]


def planned(call: type[Call]) -> Iterable[Field]:
    """Fields that whoever plans sets, the tool's own first: the order in which a grammar takes them."""
    inherited = {f.name for kind in (Described, Valued) for f in fields(kind)}
    shown = [f for f in fields(call) if not f.metadata.get("hidden")]
    return sorted(shown, key=lambda f: f.name in inherited)


def _property(call: type[Call], item: Field, ids: bool) -> dict[str, Any]:
    hint = get_type_hints(call)[item.name]
    options = _options(item.name, hint) if ids or hint is not str else ()
    if get_origin(hint) is tuple:
        one: dict[str, Any] = {"type": "string"}
        made: dict[str, Any] = {"type": "array", "items": one}
        if not ids:
            pass
        elif item.name == "options":
            one["enum"] = [*GROUPS, *STRUCTURES]
        elif item.name in _TARGETS:
            one["anyOf"] = [{"enum": [*GROUPS, *STRUCTURES]}, {"pattern": f"^({REFERENCE.pattern})$"}]
    elif options:
        made = {"type": "string", "enum": [option for option in options if option]}
    else:
        plain = next(t for t in (get_args(hint) or (hint,)) if t is not NoneType)
        made = {"type": {str: "string", bool: "boolean", int: "integer", float: "number"}[plain]}
    told = _described(call, item.name)
    if item.default not in (MISSING, None, "", ()):
        made["default"] = item.default
    return made | ({"description": told} if told else {})


def _described(call: type[Call], name: str) -> str:
    """What a docstring says of a field: that of the class, else of what it is made from."""
    for kind in call.__mro__:
        text = _told(kind).partition("Attributes:")[2]
        match = re.search(rf"^ {{4}}{name}: (.*(?:\n {{8}}.*)*)", text, re.M)
        if match:
            return " ".join(match[1].split())
    return ""


def _options(name: str, hint: object) -> tuple[str, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return _NAMED.get(name, ()) if hint is str else ()


def _value(tool: str, name: str, hint: object, item: object) -> object:
    """One value, checked against its type."""
    where = f"{tool}.{name}"
    options = _options(name, hint)
    if options:
        if item not in options and item != "":
            raise CallError(f"{where} cannot be {item!r}{_instead(item, options)}")
        return item
    if get_origin(hint) is tuple:
        if not isinstance(item, list | tuple) or not all(isinstance(one, str) for one in item):
            raise CallError(f"{where} is a list of texts, not {item!r}.")
        return _targets(where, name, item) if name in _TARGETS else tuple(item)
    allowed = get_args(hint) or (hint,)
    if float in allowed and isinstance(item, int) and not isinstance(item, bool):
        item = float(item)
    if isinstance(item, bool) is not (bool in allowed) or not isinstance(item, allowed):
        what = " or ".join("nothing" if t is NoneType else t.__name__ for t in allowed)
        raise CallError(f"{where} is {what}, not {item!r}.")
    return item


def _targets(where: str, name: str, given: Iterable[str]) -> tuple[str, ...]:
    """Ids and references; groups become their parts (an option stays what was offered)."""
    found: list[str] = []
    for one in given:
        if one in GROUPS:
            found += (one,) if name == "options" else GROUPS[one]
        elif one in STRUCTURES or (name != "options" and REFERENCE.fullmatch(one)):
            found.append(one)
        else:
            hint = _instead(one, (*STRUCTURES, *GROUPS))
            raise CallError(f"{where} names {one!r}, which is no structure; such words go to unknown{hint}")
    return tuple(dict.fromkeys(found))


def _instead(given: object, options: Iterable[str]) -> str:
    """What may stand in its place: the nearest, or all where they are few."""
    options = [option for option in options if option]
    near = difflib.get_close_matches(str(given), options, n=3, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; there is: {', '.join(options)}." if len(options) <= 30 else "."
