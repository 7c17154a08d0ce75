"""``python -m medvl.evaluation COMMAND``: interactive, click, text, pointing, vqa, report, ...; with JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import MedVLError
from ..weights.quantization import MODES
from . import commands
from . import reading as reading_answers


def parser() -> argparse.ArgumentParser:
    """All commands."""
    main_parser = argparse.ArgumentParser(prog="python -m medvl.evaluation", description=__doc__)
    subs = main_parser.add_subparsers(dest="command", required=True)

    def command(name: str, run, words: str, cases: bool = True) -> argparse.ArgumentParser:
        sub = subs.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        sub.add_argument("--json", type=Path, metavar="OUT", help="results as JSON")
        if cases:
            sub.add_argument("--cases", type=Path, help="cases.json; without it, the bundled abdomen")
            sub.add_argument("--split", choices=("train", "val"))
            sub.add_argument("--case", nargs="*", metavar="ID", help="case ids")
        return sub

    box = command("interactive", commands.interactive, "a box, then corrective clicks")
    box.add_argument(
        "--protocol", choices=("plain", "cvpr25"), default="plain",
        help="plain: box on the largest slice; cvpr25: box and 5 clicks of the CVPR 2025 challenge, with AUC",
    )  # fmt: skip
    box.add_argument(
        "--structure", nargs="*", metavar="NAME",
        help="names, 'all', or 'lesions' (each tumour, nodule and effusion for itself); if not given, of plain six "
        "organs and the aorta, or all of a case without any of them; "
        "of cvpr25 all that are labelled",
    )  # fmt: skip
    box.add_argument("--clicks", type=int, help="of plain; 3 if not given")
    box.add_argument("--peers", action="store_true", help="also the naive recipe and LiteMedSAM")

    click = command("click", commands.clicks, "one positive click: the mask of its slice, and of the volume")
    click.add_argument("--structure", nargs="*", metavar="NAME", help="names; twelve organs if not given")
    click.add_argument("--per-slice", type=int, default=3, help="clicks on each of two slices")
    click.add_argument("--volume", action="store_true", help="follow the first click of each through the volume")
    click.add_argument("--seed", type=int, default=0, help="of the clicks")

    text = command("text", commands.text_requests, "structures by name, by description, and absent ones")
    text.add_argument(
        "--edge",
        nargs="+",
        choices=("none", "hu", "sam2"),
        help="how edges are drawn; the model's own way if not given",
    )

    point = command("pointing", commands.pointings, "masks of [SEG] beside the localiser's, on the same requests")
    point.add_argument("--descriptions", action="store_true", help="ask for what describes a structure too")

    for sub in (box, text):
        sub.add_argument(
            "--tolerance", nargs="*", default=[], metavar="MM|NAME=MM",
            help="of the NSD: for all structures, or for one; 2 mm if not given",
        )  # fmt: skip

    vqa = command("vqa", commands.questions, "how questions are understood, and how true the answers are")
    vqa.add_argument("--part", choices=("dev", "test", "fresh"))
    vqa.add_argument("--failures", action="store_true", help="list what was wrong in the dev part")
    vqa.add_argument("--understanding-only", action="store_true", help="answer nothing")

    report = command("report", commands.reports, "a report of every case: numbers, structures, volumes, text")
    report.add_argument("--references", type=Path, metavar="JSON", help="case id -> text of a person's report")
    report.add_argument("--output", type=Path, metavar="FOLDER", help="keep the reports here")

    reading = command(
        "reading", commands.readings, "the language model's own answers on a published dataset", cases=False
    )
    reading.add_argument("--dataset", default="m3d-vqa", help="m3d-vqa, m3d-cap, ct-rate, radgenome, cases, ...")
    reading.add_argument("--root", type=Path, required=True, metavar="FOLDER", help="where the dataset lies")
    reading.add_argument("--split", choices=("train", "val", "test"), default="test")
    reading.add_argument("--limit", type=int, metavar="N", help="most questions")
    reading.add_argument("--max-tokens", type=int, default=reading_answers.MAX_TOKENS, help="of an answer")
    for sub in (report, reading):
        sub.add_argument(
            "--bert-model", type=Path, metavar="FOLDER",
            help="model of the BERTScore; if not given, roberta-large where it is in the hub's cache",
        )  # fmt: skip
        sub.add_argument(
            "--bert-layer", type=int, metavar="N", help="layer that is compared; the usual one if not given"
        )

    look = command("looks", commands.looks, "what the looks see in every case, beside labels where there are some")
    look.add_argument("--look", nargs="*", metavar="ID", help="looks; all if not given")
    look.add_argument(
        "--masks", type=Path, metavar="FOLDER", help="keep the structures found here, and take them from here"
    )
    look.add_argument("--pictures", type=Path, metavar="FOLDER", help="slices with the first spots, as PNG")

    speed = command("speed", commands.speed, "seconds from a click to its mask, on the bundled abdomen", cases=False)
    speed.add_argument("--shape", type=int, nargs=3, default=(512, 512, 112), help="matrix it is resampled to")

    for sub in (box, click, text, point, report, reading, look, speed):
        sub.add_argument("--model", default="nano", help="nano, 7b, a folder, or owner/name of the hub")
        sub.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
        sub.add_argument("--quantization", default="auto", choices=MODES, help="of the language model, if there is one")
        sub.add_argument("--sam2", default="sam2.1-tiny", help="of 7b: sam2.1-{tiny,small,base-plus,large} or medsam2")
        sub.add_argument("--checkpoints", help="of 7b: a folder that holds the files; the hub is then not asked")
    return main_parser


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except MedVLError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
