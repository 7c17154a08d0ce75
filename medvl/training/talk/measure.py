"""``python -m medvl.training.talk.measure``: which planner understands messages by people who wrote no rule.

    python -m medvl.training.talk.measure --parts held_a held_b held_c [--planner FOLDER]

Of each planner: how many messages lead to exactly the wanted calls (tool, fields, structures; free words and a missing
name aside), to the right tools, to the right structures; how many plans are wrong (neither right nor a refusal or a
question back); wrong sides; and the median time. A message that somebody looked at is spent: files ``held_*`` are
measured on once, with a planner that is not changed after.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from functools import cache
from pathlib import Path

from ...conversation import planning
from ...conversation.planners.rules import RulesPlanner
from ...conversation.planners.small import FOLDER, SmallPlanner, Sure
from ...conversation.state import Question, State, Turn
from ...language.calls import Call, Clarify
from ...language.calls.schema import to_dict
from ...vocabulary.names import STRUCTURES
from .corpus import HELD, Example, left_out, written

FREE = frozenset({"description", "question", "unknown", "words", "decimals", "nearest", "changed", "options", "name"})
LOOKS = frozenset({"probe", "finding", "read_image"})
MEASURES = frozenset({"measure", "total", "compare", "rank", "share", "relate", "neighbours", "between"})
ORDERED = frozenset({"edit", "relate"})
Plan = Callable[[Example], Sequence[Call]]


def state_of(example: Example) -> State:
    """The conversation before a message, as far as calls tell it; a mask is clicked where the message is about one."""
    turns = [
        Turn(text, calls, question=next((Question(c.options, text) for c in calls if isinstance(c, Clarify)), None))
        for text, calls in example.turns
    ]
    clicked = "m1" if any("clicked" in call.of for call in example.calls) else None
    return State(turns, clicked=clicked, crosshair=(0, 0, 0))


def spelt(call: Call) -> str:
    """What must be equal of a call that was wanted and one that was planned."""
    told = {key: value for key, value in to_dict(call).items() if key not in FREE}
    if call.tool == "lookup" and call.of:
        told.pop("topic", None)
    if call.tool == "finding" and len(sides([call])) != 1:  # a sign has its organ, named or not
        told.pop("of", None)
    ordered = call.tool in ORDERED or (call.tool == "compare" and (call.claim or getattr(call, "ratio", False)))
    if "of" in told and not ordered:
        told["of"] = sorted(told["of"])
    return json.dumps(told, sort_keys=True)


def sides(calls: Sequence[Call]) -> set[str]:
    """Sides of the structures in calls."""
    ids = {id for call in calls for field in ("of", "against", "whole", "ends") for id in getattr(call, field, ())}
    return {STRUCTURES[id].side for id in ids if id in STRUCTURES and STRUCTURES[id].side}


def structures(calls: Sequence[Call]) -> list[str]:
    """What calls are used on."""
    used = [call for call in calls if call.tool != "finding" or len(sides([call])) == 1]
    return sorted({id for call in used for f in ("of", "against", "whole", "ends") for id in getattr(call, f, ())})


def is_wrong_side(wanted: Sequence[Call], planned: Sequence[Call]) -> bool:
    """Whether one side alone was wanted and the other stands in the plan without it."""
    right = sides(wanted)
    return len(right) == 1 and bool(sides(planned)) and not sides(planned) >= right


def kinds(example: Example) -> list[str]:
    """Kinds of message that are told apart in the table."""
    tools = {call.tool for call in example.calls}
    found = ["all"]
    if tools & LOOKS:
        found.append("looks")
    if tools & MEASURES:
        found.append("measures")
    if example.turns:
        found.append("follow-ups")
    if len(example.calls) > 1:
        found.append("several calls")
    if not tools & (LOOKS | MEASURES):
        found.append("others")
    return found


def _plain(text: str) -> str:
    return text.lower().strip(" ?.!")


def table(examples: Sequence[Example], planners: dict[str, Plan]) -> str:
    """Figures of each planner as Markdown."""
    lines = [
        "| planner | messages | n | calls right | tools right | structures right | wrong plans | wrong sides | ms |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for name, plan in planners.items():
        rows: dict[str, list[tuple[bool, bool, bool, bool, bool]]] = {}
        times = []
        for example in examples:
            begin = time.perf_counter()
            planned = plan(example)
            times.append(1000 * (time.perf_counter() - begin))
            right = [spelt(c) for c in planned] == [spelt(c) for c in example.calls]
            tools = [c.tool for c in planned] == [c.tool for c in example.calls]
            same = structures(planned) == structures(example.calls)
            wrong = not right and not all(call.tool in ("refuse", "clarify") for call in planned)
            row = (right, tools, same, wrong, is_wrong_side(example.calls, planned))
            for kind in kinds(example):
                rows.setdefault(kind, []).append(row)
        for kind, found in sorted(rows.items(), key=lambda pair: -len(pair[1])):
            *share, side = (sum(column) for column in zip(*found, strict=True))
            told = " | ".join(f"{value / len(found):.1%}" for value in share)
            ms = f"{statistics.median(times):.0f}" if kind == "all" else ""
            lines.append(f"| {name} | {kind} | {len(found)} | {told} | {side} | {ms} |")
    return "\n".join(lines)


def unlearned(parts: Sequence[str]) -> list[Example]:
    """Messages of some parts without first ones that stand in what was trained on, as "hu?", which anybody types."""
    learned = {_plain(e.text) for e in written() if e.by not in parts and not left_out(e)}
    return [e for e in written(parts=parts) if e.turns or _plain(e.text) not in learned]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m medvl.training.talk.measure", description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["left_out"], help="files; left_out: what training left out")
    parser.add_argument("--planner", type=Path, default=FOLDER, help="folder of a small planner")
    parser.add_argument("--sure", type=float, nargs=5, action="append", metavar="LEAST",
                        help="how sure a plan must be, the five values of Sure; several are compared")  # fmt: skip
    given = parser.parse_args(arguments)
    if given.parts == ["left_out"]:
        examples = [e for e in written() if e.by not in HELD and left_out(e)]
    else:
        examples = unlearned(given.parts)
    rules, planner = RulesPlanner(), SmallPlanner.load(given.planner)

    planner.read = cache(planner.read)  # the same for every way to use it; its time is told where it is alone

    def alone(example: Example) -> Sequence[Call]:
        planned = planner.read(example.text, example.before)
        return planned.calls if planned else ()

    def together(sure: Sure) -> Plan:
        small = SmallPlanner(planner.net, planner.pieces, sure)
        small.read = planner.read
        return lambda example: planning.plan((small, rules), example.text, state_of(example))[0]

    planners: dict[str, Plan] = {"rules": lambda e: rules.plan(e.text, state_of(e)) or (), "small alone": alone}
    for sure in [Sure(*values) for values in given.sure or ()] or [Sure()]:
        values = "" if len(given.sure or ()) < 2 else " " + ", ".join(map(str, astuple(sure)))
        planners[f"small where sure{values}, else rules"] = together(sure)
    print(table(examples, planners))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
