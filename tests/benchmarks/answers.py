"""Answers of the whole program to conversations that people wrote: everything that a judge needs, and no verdict.

    python -m tests.benchmarks.answers MESSAGES.json [...] --scans FOLDER --out OUT [--memo FOLDER] [--scan ID ...]

``MESSAGES.json`` is a list of ``{"id", "scan", "persona", "messages": [{"text", "kind", "wants"}]}``; a scan is
``FOLDER/<scan>.nii.gz``, opened with the bundled weights. Each conversation has a case of its own and goes through
``Case.ask`` as the page does, with the crosshair in the middle of the scan until an answer moves it. ``--memo`` keeps
what the networks said of a scan in a folder, so that a second conversation (or run) does not compute it again; times
are then those of a scan that was looked at before. Writes ``OUT.json``, and ``OUT.md`` to read: message, what was
wanted, the plan, each sentence with its source, masks (name, mL, mean HU), what the viewer was told, seconds. A person
judges; ``--verdicts FILE`` (lines ``id.turn verdict``) prints how many of each kind got which verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import medvl
from medvl.conversation.contract import Done
from medvl.tools.pieces import MaskRef, Step, View
from tests import memo

VERDICTS = ("good", "partly", "honest", "refused", "silly", "wrong", "side")
"""Of an answer: honest is a refusal of what cannot be answered; refused one of what can; side names the wrong side."""


def answered(case: medvl.Case, text: str, at: tuple[int, int, int]) -> dict[str, Any]:
    """All that one message was answered with, as plain values."""
    begin = time.perf_counter()
    pieces = list(case.ask(text, at=at))
    seconds = time.perf_counter() - begin
    answer = next(piece.answer for piece in pieces if isinstance(piece, Done))
    masks = {piece.mask.id: piece.mask for piece in pieces if isinstance(piece, MaskRef)}
    measured = {id: (mask, mask.measure(case.ct)) for id, mask in masks.items() if mask.box is not None}
    return {
        "message": text,
        "plan": [repr(call) for call in answer.calls],
        "steps": [f"{p.label}: {p.outcome}" for p in pieces if isinstance(p, Step) and p.outcome],
        "sentences": [[sentence.source, sentence.text] for sentence in answer.sentences],
        "masks": [[m.name, round(of.volume_ml, 2), round(of.mean_hu, 1)] for m, of in measured.values()],
        "views": [f"{p.action} {p.value} {list(p.mask_ids)}" for p in pieces if isinstance(p, View)],
        "listed": [mask.name for mask in case.masks.values()],
        "refused": answer.refused,
        "seconds": round(seconds, 2),
    }


def moved(at: tuple[int, int, int], views: Iterable[str]) -> tuple[int, int, int]:
    """The crosshair after the viewer went to slices."""
    ijk = list(at)
    for action, axis, index in (view.split()[:3] for view in views if view.startswith("slice")):
        ijk[int(axis)] = int(index) if action else ijk[int(axis)]
    return tuple(ijk)


def conversation(model: medvl.MedVLSAM2, ct: medvl.CTVolume, messages: Sequence[Mapping[str, str]]) -> list[dict]:
    """The answers to the messages of one conversation, each with its kind and what was wanted."""
    case = model.open(ct)
    at, found = tuple(n // 2 for n in ct.shape), []
    for message in messages:
        turn = answered(case, message["text"], at)
        at = moved(at, turn["views"])
        found.append({"kind": message["kind"], "wants": message["wants"], **turn})
    case.close()
    return found


def readable(conversations: Sequence[dict]) -> str:
    """The same as ``OUT.json``, to read."""
    lines = []
    for one in conversations:
        lines += [f"## {one['id']} ({one['scan']}): {one['persona']}", ""]
        for n, turn in enumerate(one["turns"]):
            lines += [f"**{n} [{turn['kind']}] {turn['message']}**", "", f"- wants: {turn['wants']}"]
            lines += [f"- plan: `{call}`" for call in turn["plan"]]
            lines += [f"- {source}: {text}" for source, text in turn["sentences"]]
            lines += [f"- mask: {name}, {ml} mL, {hu} HU" for name, ml, hu in turn["masks"]]
            lines += [f"- view: {view}" for view in turn["views"]]
            lines += [f"- {turn['seconds']} s", ""]
    return "\n".join(lines)


def tables(conversations: Sequence[dict], verdicts: Mapping[str, str]) -> str:
    """How many answers of each kind got which verdict, as Markdown."""
    kinds: dict[str, Counter] = {}
    for one in conversations:
        for n, turn in enumerate(one["turns"]):
            verdict = verdicts[f"{one['id']}.{n}"]
            for kind in (turn["kind"], "all"):
                kinds.setdefault(kind, Counter())[verdict] += 1
    head = f"| kind | n | {' | '.join(VERDICTS)} |\n|{'---|' * (len(VERDICTS) + 2)}\n"
    rows = [
        f"| {kind} | {counts.total()} | {' | '.join(str(counts[verdict]) for verdict in VERDICTS)} |"
        for kind, counts in sorted(kinds.items(), key=lambda item: (item[0] == "all", item[0]))
    ]
    return head + "\n".join(rows)


def main() -> None:
    """Ask, write after each conversation, or print the table of verdicts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("messages", nargs="*", type=Path)
    parser.add_argument("--scans", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scan", nargs="*", default=())
    parser.add_argument("--id", nargs="*", default=())
    parser.add_argument("--memo", type=Path)
    parser.add_argument("--verdicts", type=Path)
    options = parser.parse_args()
    if options.verdicts:
        verdicts = dict(line.split()[:2] for line in options.verdicts.read_text().splitlines() if line.strip())
        print(tables(json.loads(options.out.with_suffix(".json").read_text()), verdicts))
        return
    if options.memo:
        options.memo.mkdir(parents=True, exist_ok=True)
        os.environ[memo.FOLDER] = str(options.memo)
        memo.install(pytest.MonkeyPatch())
    wanted = [one for path in options.messages for one in json.loads(path.read_text(encoding="utf-8"))]
    wanted = [one for one in wanted if one["scan"] in (options.scan or (one["scan"],))]
    wanted = [one for one in wanted if one["id"] in (options.id or (one["id"],))]
    model, done = medvl.load("nano"), []
    for scan in dict.fromkeys(one["scan"] for one in wanted):
        ct = medvl.read_ct(options.scans / f"{scan}.nii.gz")
        for one in (one for one in wanted if one["scan"] == scan):
            done.append({**one, "turns": conversation(model, ct, one["messages"])})
            options.out.with_suffix(".json").write_text(json.dumps(done, indent=1, ensure_ascii=False))
            options.out.with_suffix(".md").write_text(readable(done), encoding="utf-8")
            print(one["id"], flush=True)


if __name__ == "__main__":
    main()
