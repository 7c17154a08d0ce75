"""``python -m medvl.evaluation interactive | speed | vqa``: tables on screen, JSON beside."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from ..answering.intent import parse
from ..answering.reading import CombinedReader, ModelReader, RequestReader
from ..errors import MedVLError, WeightsError
from ..model import load
from . import text
from .cases import LabelledCase, abdomen_sample, labelled_cases
from .interactive import Method, Ours, Result, run_case
from .peers import LiteMedSAM, NaiveSam2
from .question_set import load_questions, score
from .speed import measure
from .text import TextResult

ORGANS = ["liver", "spleen", "right_kidney", "left_kidney", "urinary_bladder", "stomach", "aorta"]


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m medvl.evaluation", description=__doc__)
    commands = parser.add_subparsers(dest="protocol", required=True)
    box = commands.add_parser("interactive", help="one box on the largest axial slice, then corrective clicks")
    box.add_argument("--cases", type=Path, help="cases.json; without it, the bundled abdomen sample")
    box.add_argument("--split", choices=("train", "val"))
    box.add_argument("--case", nargs="*", help="case ids")
    box.add_argument("--structure", nargs="*", default=ORGANS, help="names, or 'all'")
    box.add_argument("--clicks", type=int, default=3)
    box.add_argument("--peers", action="store_true", help="also the naive recipe and LiteMedSAM")
    box.add_argument("--model", default="nano")
    box.add_argument("--json", type=Path)
    by_text = commands.add_parser("text", help="every labelled structure asked for by name, and every absent one")
    by_text.add_argument("--cases", type=Path, help="cases.json; without it, the bundled abdomen sample")
    by_text.add_argument("--split", choices=("train", "val"))
    by_text.add_argument("--case", nargs="*", help="case ids")
    by_text.add_argument(
        "--edge", nargs="*", choices=("none", "hu", "sam2"), default=["hu"], help="how edges are drawn"
    )
    by_text.add_argument("--model", default="nano")
    by_text.add_argument("--json", type=Path)
    speed = commands.add_parser("speed", help="seconds from a click to its mask, on the bundled abdomen")
    speed.add_argument("--shape", type=int, nargs=3, default=(512, 512, 112), help="matrix it is resampled to")
    speed.add_argument("--model", default="nano")
    vqa = commands.add_parser("vqa", help="how well the questions of the question set are understood")
    vqa.add_argument("--part", choices=("dev", "test"))
    vqa.add_argument("--reader", choices=("rules", "model", "combined"), default="rules", help="who reads the words")
    vqa.add_argument("--reader-weights", type=Path, help="model folder of the reader; needed by model and combined")
    vqa.add_argument("--failures", action="store_true", help="list what was misunderstood in the dev part")
    vqa.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    protocols = {"interactive": interactive, "speed": speed_table, "text": text_table, "vqa": question_table}
    try:
        return protocols[options.protocol](options)
    except MedVLError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def interactive(options: argparse.Namespace) -> int:
    """Run the protocol and print one row a structure, one column a method."""
    model = load(options.model)
    methods: list[Method] = [Ours(model)]
    if options.peers:
        methods += [NaiveSam2(model), LiteMedSAM()]
    cases: Iterator[LabelledCase] = (
        labelled_cases(options.cases, options.split, options.case) if options.cases else iter([abdomen_sample()])
    )
    results: list[Result] = []
    for case in cases:
        structures = list(case.names.values()) if options.structure == ["all"] else options.structure
        for method in methods:
            results += run_case(method, case, structures, options.clicks, print_row)
    print_summary(results)
    if options.json:
        about = {"python": platform.python_version(), "torch": torch.__version__, "threads": torch.get_num_threads()}
        options.json.write_text(json.dumps({"about": about, "results": [asdict(r) for r in results]}, indent=1))
    return 0


def text_table(options: argparse.Namespace) -> int:
    """Run the text protocol; one row a structure, one column an edge."""
    model = load(options.model)
    cases = labelled_cases(options.cases, options.split, options.case) if options.cases else iter([abdomen_sample()])

    def show(r: TextResult) -> None:
        score = "absent" if r.dice is None else f"{r.dice:.3f}"
        volumes = f"{r.volume_ml:7.0f} mL (reference {r.reference_ml:.0f})"
        print(f"{r.case:18s} {r.structure:18s} {r.edge:5s} {score:7s} {volumes}  {r.seconds:.1f} s", flush=True)

    results = [result for case in cases for result in text.run_case(model, case, options.edge, show)]
    print("\n" + "\n".join(text.summary(results)))
    if options.json:
        about = {"python": platform.python_version(), "torch": torch.__version__, "threads": torch.get_num_threads()}
        options.json.write_text(json.dumps({"about": about, "results": [asdict(r) for r in results]}, indent=1))
    return 0


def speed_table(options: argparse.Namespace) -> int:
    """Print the waits in seconds."""
    for name, seconds in measure(load(options.model), abdomen_sample(), tuple(options.shape)).items():
        print(f"{name:36s} {seconds:6.2f}")
    return 0


def question_table(options: argparse.Namespace) -> int:
    """Print how well the parser understands the question set, dev and test part apart."""
    scores = score(reader_of(options.reader, options.reader_weights), load_questions(options.part))
    for part, result in sorted(scores.items()):
        print(part, "; ".join(f"{name} {value}" for name, value in result.row().items()))
    if options.failures and "dev" in scores:  # the test part is kept unseen
        for id, text, expected, got in scores["dev"].failures:
            print(f"{id}: {text}\n  expected {expected}\n  got {got}")
    if options.json:
        options.json.write_text(json.dumps({part: result.row() for part, result in scores.items()}, indent=1))
    return 0


def reader_of(kind: str, folder: Path | None) -> RequestReader:
    """The reader of a name.

    Raises:
        WeightsError: it needs a model, and no folder was given.
    """
    if kind == "rules":
        return parse
    if folder is None:
        raise WeightsError(f"The reader {kind!r} needs a model: give its folder with --reader-weights.")
    model = ModelReader.of_folder(folder)
    return model if kind == "model" else CombinedReader(model)


def print_row(result: Result) -> None:
    """One finished structure."""
    scores = " ".join(f"{d:.3f}" for d in result.dice)
    seconds = " ".join(f"{s:.1f}" for s in result.seconds)
    print(f"{result.method:28s} {result.case:18s} {result.structure:18s} Dice {scores}   seconds {seconds}", flush=True)


def print_summary(results: list[Result]) -> None:
    """Mean Dice of each method after the box and after the last click; the aorta, a tube, on its own line."""
    print()
    for method in dict.fromkeys(r.method for r in results):
        for label, chosen in (
            ("organs", [r for r in results if r.method == method and r.structure != "aorta"]),
            ("aorta", [r for r in results if r.method == method and r.structure == "aorta"]),
        ):
            if chosen:
                first = np.mean([r.dice[0] for r in chosen])
                last = np.mean([r.dice[-1] for r in chosen])
                clicks = len(chosen[0].dice) - 1
                after = f", after {clicks} clicks {last:.3f}" if clicks else ""
                print(f"{method:28s} {label:7s} n={len(chosen):3d}  box {first:.3f}{after}")


if __name__ == "__main__":
    raise SystemExit(main())
