"""``InstructPlanner``: any instruct language model plans, with the tools in its prompt and JSON as its answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from ...errors import CallError
from ...language.calls import Call
from ...language.calls.base import REFERENCE
from ...language.calls.schema import from_dict, planned, schema, to_dict
from ...vocabulary.names import GROUPS, STRUCTURES
from .nearest import nearest
from .sides import sides_hold

if TYPE_CHECKING:
    from ...networks.chat import ChatModel
    from ..state import State

MOST_CALLS = 6
TURNS = 4  # earlier turns that are shown: follow-ups reach back no further
LONGEST = 1000  # characters of a message that are shown
MOST_TOKENS = 256
LEAD = 80  # characters that an answer may begin with before its JSON
COMMON = ("of", "unknown", "unit", "decimals")  # fields that most tools share, told once
EXAMPLES = 6  # messages that are most like the one to be planned


class InstructPlanner:
    """Asks a language model for calls; what is no call, or moves a side, is asked for once more and then left."""

    computes = True  # for seconds, which the page has to know before it begins

    def __init__(self, model: ChatModel) -> None:
        self.model = model

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    def plan(self, message: str, state: State, cancel: threading.Event | None = None) -> tuple[Call, ...] | None:
        """Calls for one message; see ``planning.Planner``.

        Args:
            message: as typed.
            state: of the conversation before it.
            cancel: set it to stop before the model's next token.

        Returns:
            None where what the model said twice is no plan, or it was stopped.

        Raises:
            WeightsError: the model's server cannot be reached.
        """
        shown = [turn for said, calls in nearest().of(message[:LONGEST], EXAMPLES) for turn in _shown(said, calls)]
        turns = [*shown, *_before(state), ("user", message[:LONGEST])]
        before = tuple(call for turn in state.history for call in turn)
        for _ in range(2):
            said = "".join(self._said(turns, cancel))
            if cancel is not None and cancel.is_set():
                return None
            try:
                calls = read(said)
                if not sides_hold(message, calls, before):
                    raise CallError("left and right are not those of the message.")
                return calls
            except CallError as error:
                turns += [("assistant", said[:LONGEST]), ("user", f"That cannot be run: {error} Say it again in JSON.")]
        return None

    def _said(self, turns: Sequence[tuple[str, str]], cancel: threading.Event | None) -> Iterator[str]:
        """Pieces of the answer, up to the end of its JSON, or to where it is clear that none comes.

        Small models go on after it, or talk where nothing is to be planned until their tokens are used up.
        """
        told = ""
        for piece in self.model.chat([("system", prompt()), *turns], MOST_TOKENS, cancel, answer_schema()):
            yield piece
            told += piece
            talks = len(told) > LEAD and not {"{", "["} & set(told)
            if talks or ("}" in piece and _complete(told)):
                return


@cache
def prompt() -> str:
    """What the model is told: the tools with their fields in a line each, and what they are used on.

    It is the same for every message, so that a model keeps what it has read of it. Values that several fields take are
    written out once, and a structure of both sides once.
    """
    tools, told = [], set()
    for entry in schema(ids=False):
        made = entry["function"]["parameters"]["properties"]
        fields_of = []
        for name in (name for name in made if name not in COMMON):
            options = tuple(made[name].get("enum", ()))
            fields_of.append(f"{name}={'|'.join(options)}" if options and options not in told else name)
            told.add(options)
        tools.append(f"{entry['function']['name']}{'*' if 'of' in made else ''}({', '.join(fields_of)})")
    return (
        "You plan what a CT viewer does. Answer each message with JSON alone: "
        '{"calls": [{"tool": ..., fields}, ...]}, several calls where several things are asked. Leave out fields that '
        "are not said. `of` holds ids of structures, `it` (what the last answer found), `clicked` (the mask that was "
        "clicked) or `crosshair` (the place shown). What has no id goes to `unknown` in the person's words. Left and "
        "right stay as said. A message about what was said before means the same structures.\n\n"
        f"Ids: {_ids()}\n\nTools (* also takes {', '.join(COMMON)}):\n" + "\n".join(tools)
    )


def _ids() -> str:
    single = [id for id, one in STRUCTURES.items() if not one.level and not one.side]
    sided = [id.removeprefix("left_") for id, one in STRUCTURES.items() if one.side == "left"]
    return f"{' '.join((*GROUPS, *single))} l1_vertebra t12_vertebra...; left_ and right_ of: {' '.join(sided)}"


@cache
def answer_schema() -> dict[str, Any]:
    """JSON schema of an answer: a list of calls, each of one tool; structures are ids or references."""
    target = {"anyOf": [{"enum": [*GROUPS, *STRUCTURES]}, {"type": "string", "pattern": f"^({REFERENCE.pattern})$"}]}
    one_of = []
    for entry in schema(ids=True):
        made = entry["function"]
        properties = {"tool": {"const": made["name"]}}
        for field, value in made["parameters"]["properties"].items():
            told = {key: part for key, part in value.items() if key not in ("description", "default")}
            if "anyOf" in told.get("items", {}):
                told["items"] = {"$ref": "#/$defs/target"}
            properties[field] = told
        one_of.append({"type": "object", "properties": properties, "required": ["tool"], "additionalProperties": False})
    calls = {"type": "array", "items": {"anyOf": one_of}, "minItems": 1, "maxItems": MOST_CALLS}
    return {
        "type": "object",
        "properties": {"calls": calls},
        "required": ["calls"],
        "additionalProperties": False,
        "$defs": {"target": target},
    }


def read(said: str) -> tuple[Call, ...]:
    """Calls of a model's answer; what stands around its JSON is left.

    Raises:
        CallError: it holds no JSON, or JSON that is no call.
    """
    start = min((at for at in (said.find("{"), said.find("[")) if at >= 0), default=-1)
    try:
        value, _ = json.JSONDecoder().raw_decode(said[start:]) if start >= 0 else (None, 0)
    except (ValueError, RecursionError):
        raise CallError("The answer is not JSON.") from None
    if isinstance(value, dict):
        value = value.get("calls", [value] if "tool" in value else None)
    if not isinstance(value, list) or not value:
        raise CallError('The answer is not {"calls": [...]}.')
    return tuple(from_dict(_without_empty(one)) for one in value[:MOST_CALLS])


def _without_empty(one: object) -> object:
    """A call without the fields that a model lists though it leaves them open."""
    if not isinstance(one, dict):
        return one
    return {field: value for field, value in one.items() if value not in ("", None, [])}


def _complete(said: str) -> bool:
    try:
        read(said)
    except CallError:
        return False
    return said.count("{") == said.count("}")


def _before(state: State) -> list[tuple[str, str]]:
    """Earlier turns as the model would have answered them."""
    turns: list[tuple[str, str]] = []
    for turn in state.turns[-TURNS:]:
        if turn.calls and turn.message:
            turns += _shown(turn.message, turn.calls)
    return turns


def _shown(message: str, calls: Sequence[Call]) -> list[tuple[str, str]]:
    return [("user", message[:LONGEST]), ("assistant", _calls_text(calls))]


def _calls_text(calls: Sequence[Call]) -> str:
    """Calls as JSON; what a tool does by default is written out, as it is easier to imitate."""
    told = []
    for call in calls:
        known = to_dict(call)
        usual = {f.name: f.default for f in planned(type(call)) if isinstance(f.default, str) and f.default}
        value = {f.name: (usual | known)[f.name] for f in planned(type(call)) if f.name in usual | known}
        value = {"tool": call.tool} | value
        for field in ("of", "against", "whole", "ends"):
            if field in value:
                value[field] = _grouped(value[field])
        told.append(value)
    return json.dumps({"calls": told}, ensure_ascii=False)


def _grouped(ids: Sequence[str]) -> list[str]:
    """Ids, a whole group under its own name: shorter to read."""
    for group, parts in GROUPS.items():
        if tuple(ids) == tuple(parts):
            return [group]
    return list(ids)
