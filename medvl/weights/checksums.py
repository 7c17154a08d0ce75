"""Checksums of weight files in a model folder's ``config.json``: half a file, or one flipped bit, is told by its name.

    python -m medvl.weights.checksums FOLDER      after weights in it were replaced

A damaged weight loads without a complaint and gives wrong masks, so every load compares.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from ..errors import WeightsError

KEY = "checksums"
_CHUNK = 1 << 22


def checksum(file: Path) -> str:
    """SHA-256 of a file, as ``sha256sum`` prints it."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def record(folder: Path) -> None:
    """Write the checksums of the folder's safetensors into its ``config.json``."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config[KEY] = {file.name: checksum(file) for file in sorted(folder.glob("*.safetensors"))}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def check(files: list[Path]) -> None:
    """Compare files with the checksums of their folder; a folder or file without one passes.

    Raises:
        WeightsError: one differs.
    """
    try:
        known = json.loads((files[0].parent / "config.json").read_text(encoding="utf-8")).get(KEY) or {}
    except (OSError, ValueError):
        known = {}
    for file in files:
        if file.name in known and checksum(file) != known[file.name]:
            raise WeightsError(
                f"The weights file {file.name} is damaged or cut short: it is not the one that config.json tells of. "
                "Clone again (with all files) or copy it back. If you replaced it on purpose, run "
                "python -m medvl.weights.checksums on its folder."
            )


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1], "config.json").is_file():
        raise SystemExit("usage: python -m medvl.weights.checksums FOLDER (a model folder with config.json)")
    record(Path(sys.argv[1]))
