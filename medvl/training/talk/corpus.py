"""Messages with their calls: a written core with slots, filled and roughened, and messages written out by hand.

``assets/training/talk/core.txt`` holds single messages, ``follow.txt`` messages with what was asked before,
``several.txt`` messages of several requests, a slash where the next begins; files ``*.jsonl`` beside them hold
dialogues, ``{"by": who, "turns": [{"text": ..., "calls": [...]}]}`` each.
"""

from __future__ import annotations

import json
import random
import re
import shlex
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import CallError, TrainingError
from ...language.calls import Call
from ...language.calls.schema import from_dict
from ...vocabulary.names import COLOURS, GROUPS, STRUCTURES, counterpart, name, paired_groups
from ...vocabulary.unknown_terms import UNKNOWN

FOLDER = Path(__file__).resolve().parents[3] / "assets" / "training" / "talk"
EARLIER = 6  # calls before a message that it is understood with
_SLOT = re.compile(r"\{([a-z]+)(\d?)\}")
_FIELD = re.compile(r"(?<=[=,(])([sotbplvurcnd]\d?)(?=[,);\s]|$)")
_POLITE = ("please ", "can you ", "could you ", "hey, ", "hi, ", "ok ", "so ", "now ", "question: ", "quick one: ",
           "sorry, ", "tell me ", "doc, ", "um ", "well, ")  # fmt: skip
_AFTER = (
    " please",
    " pls",
    " thanks",
    "?",
    "??",
    ".",
    "!",
    " asap",
    " for me",
    " if possible",
    " here",
    " in this scan",
)
_JOINTS = (" and ", ", then ", ". ", "; ", " and then ", "? ", ", and ", " also ", ", ", " then ", " & ", " plus ",
           ". Then ", ". After that ", ", and also ", ", afterwards ", ", oh and ", "? And ", ". Next: ", " + ",
           ", after that ", ". And ", ". Also, ", " - also ", "... ", ", finally ", ". btw ")  # fmt: skip
_STORIES = (
    "he has a cough for weeks",
    "she fell off her bike",
    "i have pain on the right side",
    "she had surgery last year",
    "my doctor was not sure",
    "for the tumour board",
    "for my thesis",
    "i am a student",
    "we are in a hurry",
    "my daughter was born with it",
    "history of lymphoma",
    "the boss wants it",
    "sorry for my english",
    "patient is 64 years old",
    "he drinks a lot",
    "known case",
    "we argued about it",
    "i am new here",
    "follow up after treatment",
    "my teacher asked",
    "i looked at the picture for an hour",
    "the mask is a mess",
    "that came out well",
    "nice",
    "one more thing",
    "next question",
    "back to work",
    "just checking",
    "my wife asks",
    "the other reader did not say",
    "it is for the report",
    "before i go home",
    "i cannot sleep",
    "post op",
    "status post fall",
    "he lost weight",
    "she is always tired",
    "the old report is lost",
    "no idea how this works",
    "teaching case",
    "as discussed",
    "so the question is",
    "i was told to ask you",
    "weight loss and night sweats",
    "routine check",
)
"""What people tell besides, which asks for nothing: no call begins behind it."""
HELD = ("held_f", "held_g")
"""Files that nothing is learned or chosen on."""


@dataclass(frozen=True)
class Example:
    """One message.

    Attributes:
        text: as a person typed it.
        calls: what it asks for.
        before: calls of the turns before, oldest first.
        starts: where in ``text`` each call but the first begins, in characters; None where nobody said.
        by: the file that it stands in.
        hand: who wrote it.
        turns: messages and calls of the turns before, oldest first.
    """

    text: str
    calls: tuple[Call, ...]
    before: tuple[Call, ...] = ()
    starts: tuple[int, ...] | None = ()
    by: str = "core"
    turns: tuple[tuple[str, tuple[Call, ...]], ...] = ()
    hand: str = ""


def written(folder: Path = FOLDER, parts: Sequence[str] | None = None) -> list[Example]:
    """Messages that people wrote out, with the calls of the turns before them.

    Args:
        folder: with ``*.jsonl``.
        parts: names of files without their ending; None takes all.

    Raises:
        TrainingError: a line is damaged or holds a call that does not exist; the message names the line.
    """
    found = []
    for file in sorted(folder.glob("*.jsonl")):
        if parts is not None and file.stem not in parts:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            turns: tuple[tuple[str, tuple[Call, ...]], ...] = ()
            try:
                dialogue = json.loads(line)
                for turn in dialogue["turns"]:
                    calls = tuple(from_dict(call) for call in turn["calls"])
                    starts = () if len(calls) == 1 else None
                    before = tuple(call for _, earlier in turns for call in earlier)[-EARLIER:]
                    found.append(Example(turn["text"], calls, before, starts, file.stem, turns, dialogue["by"]))
                    turns = (*turns, (turn["text"], calls))
            except (CallError, ValueError, KeyError, TypeError) as error:
                raise TrainingError(f"{file.name}, line {number}: {error}") from error
    return found


def left_out(example: Example) -> bool:
    """Whether a message by hand is kept for choosing weights and thresholds: all of about one writer in eight."""
    return zlib.crc32(example.hand.encode()) % 8 == 7 and not example.by.startswith("rules_")


def generated(seed: int, per_template: int, folder: Path = FOLDER) -> Iterator[Example]:
    """Messages made of the core: slots filled, words roughened, some joined to messages of two calls."""
    rng = random.Random(seed)
    core = [_template(line) for line in _lines(folder / "core.txt")]
    follow = [_template(line) for line in _lines(folder / "follow.txt")]
    several = [_template(line) for line in _lines(folder / "several.txt")]
    for _ in range(per_template):
        single = [_filled(template, rng) for template in core]
        rng.shuffle(single)
        for example in single:
            context = rng.choice(single) if rng.random() < 0.3 else None
            yield Example(rough(example.text, rng), example.calls, context.calls if context else (), example.starts)
        for template in follow:
            example = _filled(template, rng)
            yield replace(example, text=rough(example.text, rng))
        for template in several:
            yield _cut(_filled(template, rng), rng)
        yield from composed(single, len(single) // 4, rng)


def composed(single: Sequence[Example], count: int, rng: random.Random) -> Iterator[Example]:
    """Messages of two to four requests, each a message of its own."""
    for _ in range(count):
        chosen = rng.sample(single, rng.choice((2, 2, 2, 3, 3, 4)))
        if len({example.calls for example in chosen}) < len(chosen) or any(len(e.calls) != 1 for e in chosen):
            continue
        text, starts, joint = "", [], rng.choice(_JOINTS)
        for at, example in enumerate(chosen):
            if at:
                text = text.rstrip("?.! ") + (joint if rng.random() < 0.5 else rng.choice(_JOINTS))
                starts.append(len(text))
            text += rough(example.text, rng, ending=at == len(chosen) - 1)
        yield Example(text, tuple(call for e in chosen for call in e.calls), chosen[0].before, tuple(starts))


def _cut(example: Example, rng: random.Random) -> Example:
    """A filled template of several requests, roughened, without its slashes."""
    parts = example.text.split(" / ")
    text, starts = "", []
    for at, part in enumerate(parts):
        if at:
            text += " "
            starts.append(len(text))
        last = at == len(parts) - 1
        text += rough(part, rng, ending=last, begins=not at)
    return replace(example, text=text, starts=tuple(starts))


def rough(text: str, rng: random.Random, ending: bool = True, begins: bool = True) -> str:
    """A message as people type it: politeness, capitals, a slip of the finger now and then."""
    if begins and rng.random() < 0.2:
        text = rng.choice(_POLITE) + text
    if begins and rng.random() < 0.1:
        text = rng.choice(_STORIES) + rng.choice((", ", ". ", ": ", "; ", " - ", " ")) + text
    if ending and rng.random() < 0.06:
        text = text.rstrip("?.! ") + rng.choice((", ", "? ", ". ", " - ")) + rng.choice(_STORIES)
    if ending and rng.random() < 0.35:
        text = text.rstrip("?.!") + rng.choice(_AFTER)
    if begins and rng.random() < 0.4:
        text = text[:1].upper() + text[1:]
    if rng.random() < 0.04:
        text = text.upper()
    if rng.random() < 0.12:
        at = rng.randrange(len(text))
        if text[at].isalpha() and at + 1 < len(text) and text[at + 1].isalpha():
            swap, drop = text[:at] + text[at + 1] + text[at] + text[at + 2 :], text[:at] + text[at + 1 :]
            text = rng.choice((swap, drop))
    return text


# ---- templates


@dataclass(frozen=True)
class _Template:
    message: str
    calls: str
    before: str


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def _template(line: str) -> _Template:
    before, _, rest = line.rpartition(" || ")
    message, _, calls = rest.partition(" | ")
    return _Template(message.strip(), calls, before)


def _filled(template: _Template, rng: random.Random) -> Example:
    whole = f"{template.before} {template.message} {template.calls}"
    keys = {kind + digit for kind, digit in _SLOT.findall(template.message)}
    keys |= set(_FIELD.findall(whole))
    values: dict[str, tuple[str, str]] = {}
    used: set[str] = set()
    for key in sorted(keys):
        for _ in range(50):
            said, value = _value(key.rstrip("0123456789"), rng)
            if value not in used:
                break
        used.add(value)
        values[key] = (said, value)
    message = _SLOT.sub(lambda m: values[m[1] + m[2]][0], template.message)
    spelt = {key: value for key, (_, value) in values.items()}
    said = {key: said for key, (said, _) in values.items()}
    calls = _calls(template.calls, spelt, said)
    return Example(message, calls, _calls(template.before, spelt, said), () if len(calls) == 1 else None)


def _value(kind: str, rng: random.Random) -> tuple[str, str]:
    """What is said and what it means, of a slot."""
    if kind == "n":
        return (number := str(rng.randint(2, 240))), number
    if kind == "d":
        return (number := str(rng.randint(1, 8))), number
    if kind == "c":
        return (colour := rng.choice(list(COLOURS))), colour
    if kind == "r":
        return rng.choice((("chest", "chest"), ("abdomen", "abdomen"), ("pelvis", "pelvis"), ("neck", "head_neck")))
    if kind == "u":
        term = rng.choice(UNKNOWN)
        return (text := rng.choice(term.names)), text
    pool = _POOLS[kind]
    id = rng.choice(pool)
    return _spoken(id, rng), id


def _spoken(id: str, rng: random.Random) -> str:
    """One of the names of a structure or group."""
    if id in GROUPS:
        return name(id)
    structure = STRUCTURES[id]
    if rng.random() < 0.6 or not structure.synonyms:
        return structure.name
    noun = rng.choice(structure.synonyms)
    if not structure.side:
        return noun
    return rng.choice((f"{structure.side} {noun}", f"{structure.side[0]} {noun}", f"{noun} {structure.side}"))


_NAMED = [s for s in STRUCTURES.values() if not s.level and s.id != "body"]
_POOLS: dict[str, list[str]] = {
    "s": [s.id for s in _NAMED for _ in range(1 if s.further else 3)],
    "o": [s.id for s in _NAMED if s.kind == "organ" and not s.tube],
    "t": [s.id for s in _NAMED if s.tube],
    "b": [s.id for s in _NAMED if s.kind == "bone"],
    "p": [group for group in paired_groups() for _ in range(3 if group in ("kidneys", "lungs") else 1)],
    "l": [s.id for s in _NAMED if s.paired],
    "v": [s.id for s in STRUCTURES.values() if s.level],
}


def _calls(text: str, values: dict[str, str], said: dict[str, str]) -> tuple[Call, ...]:
    found = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        tool, *rest = shlex.split(part)
        call: dict[str, Any] = {"tool": tool}
        for field in rest:
            key, _, value = field.partition("=")
            if key in ("of", "against", "whole", "ends"):
                call[key] = [_target(one, values) for one in value.split(",")]
            elif key == "unknown":
                call[key] = [said.get(value, value)]
            elif key in ("number", "decimals"):
                call[key] = int(values.get(value, value))
            elif key in ("radius_mm", "low_hu", "high_hu", "level", "width"):
                call[key] = float(values.get(value, value))
            elif key == "ratio":
                call[key] = value == "true"
            else:
                call[key] = _SLOT.sub(lambda m: said[m[1] + m[2]], values.get(value, value))
        found.append(from_dict(call))
    return tuple(found)


def _target(one: str, values: dict[str, str]) -> str:
    if match := re.fullmatch(r"other\((\w+)\)", one):
        return counterpart(values[match[1]])
    return values.get(one, one)
