"""``python -m medvl.training STAGE --config FILE``, also under ``accelerate launch -m``; ``overfit`` tries them all."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

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
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run; the package's own errors are told in one line."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        if options.command == "overfit":
            from .overfit import overfit

            overfit(options.cases, options.output, options.ids, options.steps)
        else:
            from .engine import train

            train(options.command, read_config(options.config))
    except MedVLError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
