"""What the dataset readers share: tables and lists with clear errors, files under several roots, lazy sequences."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from .samples import DatasetError, Sample

R = TypeVar("R")
csv.field_size_limit(10_000_000)  # long reports


class LazySamples(Sequence[Sample], Generic[R]):
    """Samples that are made of a record when they are asked for: opening a large dataset reads its tables only.

    Attributes:
        records: one entry a sample, in a fixed order.
        ids: of the samples, without making them.
    """

    def __init__(self, records: Iterable[R], make: Callable[[R, int], Sample], name: Callable[[R], str]) -> None:
        self.records = list(records)
        self.ids = tuple(map(name, self.records))
        self._make = make

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override] - slices are not needed
        return self.draw(index)

    def draw(self, index: int, epoch: int = 0) -> Sample:
        """A sample as an epoch shows it: each epoch words its questions anew and asks others."""
        return self._make(self.records[index], epoch)


class JoinedSamples(Sequence[Sample]):
    """Several datasets as one, each as often as it says: ``[(m3d, 1), (cases, 20)]``.

    Attributes:
        counts: places of each dataset, which follow one another.
    """

    def __init__(self, datasets: Iterable[tuple[Sequence[Sample], int]]) -> None:
        datasets = list(datasets)
        self.counts = [len(d) * times for d, times in datasets]
        self._where = [(d, i) for d, times in datasets for _ in range(times) for i in range(len(d))]

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        return self.draw(index)

    def draw(self, index: int, epoch: int = 0) -> Sample:
        """The sample as its dataset draws it; a repetition within an epoch is worded anew too."""
        dataset, inner = self._where[index]
        return draw(dataset, inner, epoch * len(self._where) + index)


def draw(samples: Sequence[Sample], index: int, epoch: int) -> Sample:
    """A sample of an epoch, of a sequence that may know nothing of epochs."""
    return samples.draw(index, epoch) if hasattr(samples, "draw") else samples[index]


def table(path: Path, columns: Sequence[str], delimiter: str = ",") -> list[dict[str, str]]:
    """Rows of a CSV file.

    Raises:
        DatasetError: the file is missing, or one of ``columns`` is.
    """
    need(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        there = reader.fieldnames or []
        if missing := [c for c in columns if c not in there]:
            raise DatasetError(
                f"{path} has no column {', '.join(map(repr, missing))}; its columns are {', '.join(there)}. "
                "Use the file of the published dataset."
            )
        return list(reader)


def load_json(path: Path, keys: Sequence[str] = ()) -> object:
    """A JSON file.

    Raises:
        DatasetError: it is missing or damaged, or has not one of ``keys``.
    """
    need(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(f"{path} is no JSON: {error}. Download it again.") from error
    entry(content, keys, path)
    return content


def entry(record: object, keys: Sequence[str], where: Path | str) -> None:
    """Check that a record of a JSON file has its keys.

    Raises:
        DatasetError: naming the file and the key.
    """
    if missing := [k for k in keys if not isinstance(record, dict) or k not in record]:
        there = ", ".join(record) if isinstance(record, dict) else type(record).__name__
        raise DatasetError(f"{where} has no key {', '.join(map(repr, missing))} (found: {there}).")


def need(path: Path) -> Path:
    """The path.

    Raises:
        DatasetError: there is nothing.
    """
    if not path.exists():
        raise DatasetError(f"{path} is missing. Download it, or give the folder that holds it as the dataset's root.")
    return path


def choose(split: str, names: dict[str, str], dataset: str) -> str:
    """The published name of a split.

    Raises:
        DatasetError: the dataset has no such split.
    """
    if split not in names:
        raise DatasetError(f"{dataset} has no split {split!r}: use {', '.join(names)}.")
    return names[split]


def locate(text: str, roots: Sequence[Path], keep: int = 0) -> Path:
    """The file that a table names, as it lies on this machine.

    Args:
        text: a path, relative to one of ``roots`` or absolute on the machine where the table was written.
        roots: tried in turn.
        keep: of an absolute path, or one under a folder of another name, so many last parts count too.

    Returns:
        The first that exists, also with the other of the endings ``.npy``, ``.nii.gz`` and none (M3D's scans are
        published as folders of pictures, and prepared as arrays or NIfTI); else the first candidate.
    """
    parts = Path(text).parts
    tails = [text] + (["/".join(parts[-keep:])] if keep and len(parts) > keep else [])
    candidates = [root / tail for tail in tails for root in roots]
    for path in candidates:
        stem = str(path).removesuffix(".npy").removesuffix(".nii.gz")
        for ending in ("", ".npy", ".nii.gz"):
            found = path if stem + ending == str(path) else Path(stem + ending)
            if found.exists():
                return found
    return candidates[0]


def rng(*parts: object) -> np.random.Generator:
    """A random state that depends on ``parts`` only, the same on every machine and in every process."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest[:16], np.uint64))


def some(items: Sequence[R], count: int, state: np.random.Generator) -> list[R]:
    """Up to ``count`` of the items, in random order."""
    return [items[i] for i in state.permutation(len(items))[:count]]
