"""Calls as JSON: every example of a docstring, there and back, and what a wrong call is told."""

from __future__ import annotations

import json
import random
from dataclasses import fields
from typing import get_args, get_origin, get_type_hints

import pytest

from medvl.errors import CallError
from medvl.language.calls import TOOLS, Between, Measure, Segment
from medvl.language.calls.schema import _options, examples, from_dict, schema, summary, to_dict
from medvl.vocabulary.names import GROUPS, STRUCTURES


def test_every_tool_shows_two_messages_whose_calls_are_its_own() -> None:
    for tool, call in TOOLS.items():
        shown = examples(call)
        assert len(shown) >= 2, f"{tool} shows {len(shown)} messages"
        assert call.__doc__.count('{"tool"') == len(shown), f"an example of {tool} is not read"
        for said, text in shown:
            read = from_dict(json.loads(text))
            assert type(read) is call, said
            assert from_dict(to_dict(read)) == read, said


def _any_value(name: str, hint: object, draw: random.Random) -> object:
    if get_origin(hint) is tuple:
        words = ("prostate", "left ureter") if name in ("unknown", "words") else (*STRUCTURES,)
        return tuple(draw.sample(words, draw.randint(0, 2)))
    options = _options(name, hint)
    if options:
        return draw.choice(options)
    plain = (get_args(hint) or (hint,))[0]
    return {str: "tumour", bool: draw.random() < 0.5, int: draw.randint(0, 300), float: 1.5}[plain]


def test_calls_come_back_from_json_as_they_were() -> None:
    draw = random.Random(0)
    for _ in range(2000):
        kind = draw.choice(list(TOOLS.values()))
        hints = get_type_hints(kind)
        call = kind(**{f.name: _any_value(f.name, hints[f.name], draw) for f in fields(kind) if draw.random() < 0.6})
        assert from_dict(json.loads(json.dumps(to_dict(call)))) == call


def test_the_schema_names_each_field_with_its_meaning() -> None:
    tools = {item["function"]["name"]: item["function"] for item in schema()}
    assert list(tools) == list(TOOLS)
    for name, tool in tools.items():
        assert tool["description"] == summary(TOOLS[name])
        assert "Examples" not in tool["description"]
        for key, value in tool["parameters"]["properties"].items():
            assert value.get("description"), f"{name}.{key} says nothing"
            assert "" not in value.get("enum", ())
        assert "nearest" not in tool["parameters"]["properties"]
    assert len(json.dumps(schema(ids=False))) < len(json.dumps(schema())) / 2


def test_groups_become_their_parts_and_references_stay() -> None:
    read = from_dict({"tool": "segment", "of": ["kidneys", "liver", "it", "f3", "m12", "clicked"]})
    assert read == Segment((*GROUPS["kidneys"], "liver", "it", "f3", "m12", "clicked"))
    assert read.structures == (*GROUPS["kidneys"], "liver")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"tool": "mesure"}, "measure"),
        ({}, "no tool None"),
        ({"tool": "measure", "waht": "volume"}, "what"),
        ({"tool": "measure", "what": "volum"}, "volume"),
        ({"tool": "measure", "of": ["livre"]}, "liver"),
        ({"tool": "measure", "of": ["prostate"]}, "unknown"),
        ({"tool": "measure", "of": "liver"}, "list"),
        ({"tool": "measure", "decimals": 1.5}, "int"),
        ({"tool": "measure", "decimals": True}, "int"),
        ({"tool": "compare", "ratio": 1}, "bool"),
        ({"tool": "edit", "radius_mm": "2"}, "float"),
        ({"tool": "lookup", "topic": "hounsfield"}, "hounsfield_unit"),
        (["measure"], "object"),
    ],
)
def test_a_wrong_call_is_told_what_there_is(wrong: object, told: str) -> None:
    with pytest.raises(CallError, match=told):
        from_dict(wrong)


def test_what_a_tool_has_no_field_for_is_at_its_default() -> None:
    for call in TOOLS.values():
        made = call()
        assert (made.unknown, made.choose, made.unit, made.decimals) == ((), "", "", None)
        assert made.structures == ()
    assert Measure(("liver",), "mean_hu").attribute == "mean_hu"
    assert Between(("heart",), ends=GROUPS["lungs"]).structures == ("heart", *GROUPS["lungs"])
