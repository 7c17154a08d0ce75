"""The command line: ``info``, ``segment``, ``ask`` and ``report``.

``segment`` and ``report`` also take a folder of many scans with a folder as output, see ``batch``.

Exit codes: 0 done, 1 the input or the prompt was wrong or nothing was found (of many scans: one failed), 2 wrong usage,
130 stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import MedVLError, PromptError
from .model_options import NAMES, add_model_options, load_options

if TYPE_CHECKING:
    from ..model import MedVLSAM2

EPILOG = (
    "Coordinates are voxels in the file's own array order; boxes are half-open. Research use only, not for diagnosis."
)
MANY = "; or a folder, where CT is a folder of many scans"


def parser() -> argparse.ArgumentParser:
    """All commands of DESIGN 10."""
    main_parser = argparse.ArgumentParser(prog="python -m medvl", description="CT in, 3-D masks out.", epilog=EPILOG)
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    info = commands.add_parser("info", help="shape, spacing, orientation and HU range as JSON", epilog=EPILOG)
    info.add_argument("ct", metavar="CT", help="NIfTI, NRRD or MetaImage file, DICOM folder or zip")

    segment = commands.add_parser("segment", help="by box and points, or by name", epilog=EPILOG)
    segment.add_argument("ct", metavar="CT")
    segment.add_argument(
        "-o", "--output", required=True, metavar="OUT.nii.gz", help=f"mask in the input's geometry{MANY}"
    )
    segment.add_argument("--box", type=int, nargs=6, metavar=("I0", "J0", "K0", "I1", "J1", "K1"))
    segment.add_argument("--point", type=int, nargs=3, action="append", default=[], metavar=("I", "J", "K"))
    segment.add_argument("--negative-point", type=int, nargs=3, action="append", default=[], metavar=("I", "J", "K"))
    segment.add_argument("--text", help='names or a description, for instance "both kidneys"; several give a label map')
    segment.add_argument("--name", help="name of the object")

    ask = commands.add_parser("ask", help="answer a question about a CT", epilog=EPILOG)
    ask.add_argument("ct", metavar="CT")
    ask.add_argument("question", metavar="QUESTION", help='for instance "How large is the spleen?"')
    ask.add_argument("--json", action="store_true", help="sentences with sources, masks and facts")

    report = commands.add_parser("report", help="write a report", epilog=EPILOG)
    report.add_argument("ct", metavar="CT")
    report.add_argument(
        "-o", "--output", metavar="OUT", help=f".md, .html or .json; without it, Markdown on stdout{MANY}"
    )

    for command in (info, segment, ask, report):
        command.add_argument(
            "--series", metavar="ID", help="which of several DICOM scans, as info lists them; by default the largest"
        )
    for command in (segment, ask, report):
        add_model_options(command)
        command.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    return main_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parser().parse_args(argv)
    try:
        if options.command in ("ask", "report"):
            return _ask(options) if options.command == "ask" else _report(options)
        if options.command == "segment" and _is_batch(options, (".nii", ".nii.gz")):
            return _segment_folder(options)
        result = _info(options) if options.command == "info" else _segment(options)
    except MedVLError as error:
        print(f"medvl: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("medvl: stopped; nothing was written.", file=sys.stderr)
        return 130
    print(json.dumps(result, indent=2))
    return 0


def _info(options: argparse.Namespace) -> dict:
    from ..readers.isolated import read_isolated as read_ct
    from .one_scan import describe

    return describe(read_ct(options.ct, series=options.series))


def _segment(options: argparse.Namespace) -> dict:
    from .one_scan import segment_file

    model = _load(options)
    if options.text is not None:
        from .by_words import segment_text_file

        prompts = (options.point, options.negative_point, options.box)
        return segment_text_file(
            model,
            options.ct,
            options.text,
            options.output,
            *prompts,
            tell=None if options.quiet else _step,
            series=options.series,
        )
    show = None if options.quiet or not sys.stderr.isatty() else _progress
    try:
        return segment_file(
            model,
            options.ct,
            options.output,
            options.point,
            options.negative_point,
            options.box,
            options.name,
            progress=show,
            series=options.series,
        )
    finally:
        if show:
            print(file=sys.stderr)


def _is_batch(options: argparse.Namespace, endings: Sequence[str]) -> bool:
    from .many_scans import is_batch

    return is_batch(options.ct, options.output, endings)


def _segment_folder(options: argparse.Namespace) -> int:
    from .many_scans import segment_folder

    if options.point or options.negative_point or options.box or options.name:
        raise PromptError("Points, a box and a name are for one scan; many are segmented by --text.")
    about = (lambda: _load(options), _model_options(options))
    return segment_folder(options.ct, options.output, options.text, *about, series=options.series)


def _model_options(options: argparse.Namespace) -> dict:
    """Which model, as the manifest of many scans tells it."""
    return {key: getattr(options, key) for key in NAMES}


def _load(options: argparse.Namespace) -> MedVLSAM2:
    """The model; what was picked for it (device, precision, weights and their terms) is told on stderr."""
    from ..model import load

    model = load(**load_options(options))
    if not options.quiet:
        print(*model.notices(), sep="\n", file=sys.stderr)
    return model


def _ask(options: argparse.Namespace) -> int:
    from ..conversation.contract import Words
    from ..conversation.image_reading import MEASURED, TITLE
    from .by_words import ask_file

    reads: bool | None = None  # whether the words before were a reading; None before the first

    def tell(piece: object) -> None:
        nonlocal reads
        if isinstance(piece, Words) and piece.text and not options.json:
            if reads is not None and (piece.source == "model") != reads:
                print(f"\n\n{MEASURED if reads else f'{TITLE} (not measured)'}:", flush=True)
            reads = piece.source == "model"
            print(piece.text, end="", flush=True)
        elif not options.quiet:
            _step(piece)

    answer = ask_file(_load(options), options.ct, options.question, tell=tell, series=options.series)
    print(json.dumps(answer, indent=2, ensure_ascii=False) if options.json else f"\n\n{answer['notice']}")
    return 0


def _report(options: argparse.Namespace) -> int:
    from .by_words import FORMATS, report_file

    if _is_batch(options, FORMATS):
        from .many_scans import report_folder

        about = (lambda: _load(options), _model_options(options))
        return report_folder(options.ct, options.output, *about, series=options.series)
    tell = None if options.quiet else _step
    report = report_file(_load(options), options.ct, options.output, tell, series=options.series)
    if options.output is None:
        print(report.markdown(), end="")
    return 0


def _step(piece: object) -> None:
    """One line on stderr for each step done."""
    from ..tools.pieces import Step

    if isinstance(piece, Step) and piece.seconds is not None:
        print(f"{piece.label}: {piece.outcome}, {piece.seconds:.1f} s", file=sys.stderr, flush=True)


def _progress(update: object) -> None:
    print(f"\rslice {update.slices_done} of about {update.slices_expected} ", end="", file=sys.stderr, flush=True)
