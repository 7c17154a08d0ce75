"""Reading a checkpoint tensor by tensor, so that loading needs little more memory than the model itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from .errors import WeightsError

MAPPED_BYTES = 32 * 2**20


def checkpoint_files(folder: Path, stem: str = "model") -> list[Path]:
    """``stem.safetensors``, or the shards that its index names.

    Raises:
        WeightsError: there is neither, or a shard is missing.
    """
    index = folder / f"{stem}.safetensors.index.json"
    if index.is_file():
        files = [folder / n for n in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    else:
        files = [folder / f"{stem}.safetensors"]
    missing = [f.name for f in files if not f.is_file()]
    if missing:
        raise WeightsError(
            f"The model folder {folder.name!r} lacks {', '.join(missing)}. Download it again: what is there is kept."
        )
    return files


def names(files: list[Path]) -> dict[str, Path]:
    """The file of each tensor, by name."""
    from safetensors import safe_open

    found: dict[str, Path] = {}
    for file in files:
        with safe_open(file, framework="pt") as handle:
            found |= dict.fromkeys(handle.keys(), file)
    return found


def tensors(files: list[Path]) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of each tensor of the files, one at a time."""
    from safetensors import safe_open

    for file in files:
        with safe_open(file, framework="pt") as handle:
            left = list(handle.keys())
        while left:
            # Opened anew now and then: pages of the file that were read count as this process's memory until it closes.
            with safe_open(file, framework="pt") as handle:
                mapped = 0
                while left and mapped < MAPPED_BYTES:
                    value = handle.get_tensor(name := left.pop(0))
                    mapped += value.nbytes
                    yield name, value
                    del value


def check_keys(expected: set[str], found: set[str], what: str, optional: set[str] = frozenset()) -> None:
    """Compare the names that a model needs with those of a checkpoint.

    Raises:
        WeightsError: some are missing (outside ``optional``) or unexpected; the message names the first of them.
    """
    missing, unexpected = sorted(expected - found - optional), sorted(found - expected)
    if missing or unexpected:
        raise WeightsError(
            f"The weights do not fit {what}: {len(missing)} missing {missing[:4]}, {len(unexpected)} unexpected "
            f"{unexpected[:4]}. Use the config and the weights of one release together."
        )
