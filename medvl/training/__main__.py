"""``python -m medvl.training STAGE --config FILE``, also under ``accelerate launch -m``; ``overfit`` tries them all."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from ..ct.windows import WINDOWS
from ..errors import MedVLError
from .config import STAGES, read_config


def parser() -> argparse.ArgumentParser:
    """Command line."""
    top = argparse.ArgumentParser(prog="python -m medvl.training", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="STAGE")
    for name in STAGES:
        stage = commands.add_parser(name, help=f"train the stage {name}")
        stage.add_argument("--config", type=Path, required=True, help="YAML or JSON, see assets/training")
    tiny = commands.add_parser("overfit", help="all stages with a tiny new model on two cases, on the CPU in minutes")
    tiny.add_argument("--cases", type=Path, required=True, help="cases.json; only its train split is used")
    tiny.add_argument("-o", "--output", type=Path, required=True)
    tiny.add_argument("--ids", nargs="+", default=["ts_abdomen", "lidc_0001"], help="cases of the train split")
    tiny.add_argument(
        "--steps",
        type=int,
        default=300,
        help="optimiser steps of the joint stage; a third of it for each of the others",
    )
    words = commands.add_parser("words", help="a tiny language model, taught the words of labelled scans, on the CPU")
    words.add_argument("--cases", type=Path, required=True, help="cases.json; only its train split is used")
    words.add_argument("-o", "--output", type=Path, required=True)
    words.add_argument("--epochs", type=int, default=20, help="times each scan is spoken of, each time in other words")
    words.add_argument("--steps", type=int, default=1500)
    ready = commands.add_parser("prepare", help="a dataset's scans once through the encoder's preprocessing")
    ready.add_argument("kind", help="m3d-cap, m3d-vqa, ct-rate, radgenome, total-segmentator, cases, ...")
    ready.add_argument("root", type=Path, help="the dataset's folder")
    ready.add_argument("-o", "--output", type=Path, required=True)
    ready.add_argument("--split", default="train")
    ready.add_argument("--size", type=int, nargs=3, default=(128, 256, 256), metavar=("D", "H", "W"))
    ready.add_argument("--window", default="soft", choices=sorted(WINDOWS))
    ready.add_argument("--workers", type=int, default=2, help="processes")
    ready.add_argument("--shard", type=int, default=16, help="images a file")
    ready.add_argument(
        "--slices", type=int, default=0, help="key slices of each mask too, for the joint stage; 0: none"
    )
    ready.add_argument("--check", action="store_true", help="only compare what is there with its checksums")
    return top


def _prepare(options: argparse.Namespace) -> int:
    from .datasets.prepared import Prepared
    from .prepare import prepare

    if options.check:
        wrong = list(Prepared(options.output).check())
        print(*wrong, sep="\n", end="\n" if wrong else "")
        print(f"{len(Prepared(options.output))} images, {len(wrong)} damaged")
        return 1 if wrong else 0
    made = prepare(
        options.kind, options.root, options.output, options.split, tuple(options.size), options.window,
        options.workers, options.shard, options.slices,
    )  # fmt: skip
    print(f"{len(made)} images, {len(made.failed)} scans left out")
    return 0


def _words(options: argparse.Namespace) -> int:
    from .datasets import open_dataset
    from .vlm.words import drawn, pairs_of, write_language_model

    pairs = pairs_of(drawn(open_dataset("cases", options.cases, "train"), options.epochs))
    told = write_language_model(options.output, pairs, options.steps)
    first, last = told["loss"]
    print(f"{len(pairs)} questions, {told['vocabulary']} tokens, loss {first:.4g} -> {last:.4g}, {told['seconds']} s")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run; the package's own errors are told in one line."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        if options.command == "prepare":
            return _prepare(options)
        if options.command == "words":
            return _words(options)
        if options.command == "overfit":
            from .vlm.overfit import overfit

            overfit(options.cases, options.output, options.ids, options.steps)
        else:
            from .vlm.engine import train

            train(options.command, read_config(options.config))
    except MedVLError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
