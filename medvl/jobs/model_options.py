"""Options of the page and of the command line that say which model is loaded and where it goes."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path

from ..weights.checkpoints import SLICE_SIZES
from ..weights.placement import DeviceMap, Place

MODES = ("auto", "4bit", "8bit", "none")
NAMES = (
    "preset", "device", "quantization", "sam2", "sam2_size", "checkpoints", "device_map", "max_memory", "reader",
    "planner",
)  # fmt: skip
_UNITS = {"": 1, "B": 1, **{f"{u}B": 1000 ** (n + 1) for n, u in enumerate("KMGT")}}
_UNITS |= {f"{u}IB": 1024 ** (n + 1) for n, u in enumerate("KMGT")}


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add them; ``load_options`` reads them. Each is an environment variable too: MEDVL_PRESET, MEDVL_READER."""

    def add(option: str, **about: object) -> None:
        action = parser.add_argument(option, **about)
        given = os.environ.get(f"MEDVL_{action.dest.upper()}")
        if given:
            try:
                value = [action.type(v) for v in given.split()] if action.nargs else (action.type or str)(given)
                parser._check_value(action, value)
            except (argparse.ArgumentTypeError, argparse.ArgumentError) as error:
                said = getattr(error, "message", None) or str(error)
                raise SystemExit(f"The environment's MEDVL_{action.dest.upper()}: {said}") from None
            action.default = value

    add(
        "--preset",
        default="nano",
        help="nano (bundled), 7b (hub checkpoints), a model folder, or owner/name of the hub",
    )
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    add("--quantization", default="auto", choices=MODES, help="of the language model, if there is one")
    add(
        "--sam2",
        default="sam2.1-tiny",
        help="of 7b: sam2.1-{tiny,small,base-plus,large}, medsam2, medsam2-{2411,ct-lesion,mri-liver-lesion,us-heart}, "
        "or a .pt or .safetensors file of SAM 2",
    )
    add(
        "--sam2-size",
        default="auto",
        choices=SLICE_SIZES,
        help="pixels SAM 2 sees a slice in; auto: its native size on a GPU, 512 on a CPU",
    )
    add("--checkpoints", help="of 7b: a folder that holds the files; the hub is then not asked")
    add(
        "--device-map",
        type=device_map,
        default="auto",
        metavar="MAP",
        help="places of the language model: auto (as few GPUs as hold it, then main memory), single (one device), or "
        'JSON such as {"model.layers.0": 0, "": "cpu"} or a .json file with it; places are GPU numbers, cpu, disk',
    )
    add(
        "--max-memory",
        type=memory,
        nargs="+",
        metavar="PLACE=SIZE",
        help="most memory for the language model's weights by place, instead of what is free: 0=10GB cpu=32GB",
    )
    of_source = "a folder or repository of the hub, or an OpenAI-compatible server (http://HOST/v1#MODEL)"
    add(
        "--reader",
        metavar="MODEL|URL",
        help=f"reads slices instead of the preset's model: an image-text-to-text model of transformers, {of_source}",
    )
    add("--planner", metavar="MODEL|URL", help=f"plans and words answers: an instruct model, {of_source}")


def load_options(options: argparse.Namespace) -> dict:
    """What was given, by the names of the arguments of ``medvl.load``; of two sizes of a place the last one counts."""
    given = {name: getattr(options, name) for name in NAMES}
    given["name"] = given.pop("preset")
    if given["max_memory"] is not None:
        given["max_memory"] = dict(memory(m) if isinstance(m, str) else m for m in given["max_memory"])
    return given


def device_map(text: str) -> str | DeviceMap:
    """``--device-map``: a word, JSON, or the name of a file with JSON.

    Raises:
        argparse.ArgumentTypeError: none of these; the message says what is wrong.
    """
    if text in ("auto", "single"):
        return text
    if not text.lstrip().startswith("{"):
        file = Path(text)
        if file.suffix != ".json" or not file.is_file():
            raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor single, nor JSON, nor a .json file")
        text = file.read_text()
    try:
        read = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"this is not JSON: {error}") from None
    if not isinstance(read, dict) or not read:
        raise argparse.ArgumentTypeError('JSON must name the place of each module, such as {"": "cpu"}')
    return {module: _place(place, disk=True) for module, place in read.items()}


def memory(text: str) -> tuple[Place, int]:
    """One of ``--max-memory``: ``0=10GB`` -> (0, 10 * 10**9).

    Raises:
        argparse.ArgumentTypeError: it is laid out otherwise.
    """
    place, sign, size = text.partition("=")
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", size.strip())
    if not sign or not found or found[2].upper() not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not PLACE=SIZE, such as 0=10GB or cpu=32GiB")
    return _place(place.strip()), round(float(found[1]) * _UNITS[found[2].upper()])


def _place(given: object, disk: bool = False) -> Place:
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    if isinstance(given, str):
        if given.isdigit():
            return int(given)
        if given == "cpu" or (disk and given == "disk"):
            return given
    raise argparse.ArgumentTypeError(f"{given!r} is no place: give a GPU's number{', disk' if disk else ''} or cpu")
