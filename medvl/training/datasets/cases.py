"""Cases of a ``cases.json``: CTs with label maps, partly labelled, with contrast and origin of the labels.

A name in ``complete`` has its label wherever the structure is visible; it is absent where it has no voxel. Of other
names nothing is known: they are neither targets nor called absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from pathlib import Path

import numpy as np
from scipy import ndimage

from ...readers import read_ct
from ...vocabulary.names import EVERYTHING
from .common import LazySamples, choose, entry, load_json, need, rng
from .conversations import Facts, Measured, converse
from .names import canonical
from .samples import DatasetError, MaskSource, NothingToAsk, Sample, label_map

MIN_VOXELS = 30  # a fragment at the border of the scan is neither there nor absent
_KEYS = ("id", "ct", "split")
_LABEL_KEYS = ("labels", "label_names", "complete")


def open_cases(root: Path, split: str, seed: int = 0) -> LazySamples[dict]:
    """Labelled cases of a split.

    Args:
        root: ``cases.json``, or the folder that holds it.
        split: ``train`` or ``val``.
        seed: of the conversations.

    Raises:
        DatasetError: the file is missing or has another layout, or the split is empty.
    """
    file = root if root.suffix == ".json" else root / "cases.json"
    split = choose(split, {"train": "train", "val": "val"}, "cases.json")
    cases = load_json(file)
    if not isinstance(cases, list):
        raise DatasetError(f"{file} must hold a list of cases.")
    for number, case in enumerate(cases):
        entry(case, _KEYS, f"{file}, case {number}")
    cases = [case for case in cases if case["split"] == split and case.get("labels")]
    for case in cases:
        entry(case, _LABEL_KEYS, f"{file}, case {case['id']}")
    if not cases:
        raise DatasetError(f"{file} has no labelled case of split {split!r}.")
    return LazySamples(cases, lambda case, epoch: _sample(case, file.parent, seed, epoch), itemgetter("id"))


def _sample(case: dict, folder: Path, seed: int, epoch: int) -> Sample:
    ct, labels = need(folder / case["ct"]), folder / case["labels"]
    masks = {name: MaskSource(labels, (int(value),)) for value, name in case["label_names"].items()}
    masks = {name: masks[name] for name in sorted(masks) if name in case["complete"]}
    facts, found = _facts(ct, masks, _total(case, folder), case["complete"])
    turns = converse(facts, rng(seed, case["id"], epoch))
    if not turns:
        raise NothingToAsk(f"Case {case['id']} has no label that is complete: nothing can be asked about it.")
    return Sample(case["id"], ct, turns, (), found)


def _total(case: dict, folder: Path) -> dict[str, MaskSource]:
    """Further structures of TotalSegmentator's output, where a case has it.

    What this project has a name for is in the case's own labels, or was left out of them on purpose.
    """
    if not case.get("labels_total"):
        return {}
    classes = load_json(folder / "labels" / "total_classes.json")
    named = {canonical(name): int(value) for value, name in classes.items()}
    return {n: MaskSource(folder / case["labels_total"], (v,)) for n, v in named.items() if n not in EVERYTHING}


def _facts(
    ct: Path, masks: dict[str, MaskSource], extra: dict[str, MaskSource], complete: Sequence[str]
) -> tuple[Facts, dict[str, MaskSource]]:
    """What a case's labels say, and the masks that are there."""
    found, whole, seen = {}, {}, set()
    for name, source in (masks | extra).items():
        count, cut = _extents(source.file).get(source.values[0], (0, False))
        if count:
            seen.add(name)
        if count >= MIN_VOXELS:
            found[name] = source
            if not cut:
                whole[name] = count
    measurable = {name: source for name, source in found.items() if name in whole and name in masks}
    facts = Facts(
        tuple(found), tuple(sorted(set(complete) - seen)), measured=Measurements(ct, measurable), voxels=whole
    )
    return facts, found


@lru_cache(maxsize=512)
def _extents(file: Path) -> dict[int, tuple[int, bool]]:
    """Of each label value its voxels, and whether it reaches the border of the scan (its size is then the scan's)."""
    labels, _ = label_map(file)
    counts = np.bincount(labels.ravel())
    boxes = ndimage.find_objects(labels.astype(np.int32, copy=False))
    return {
        value: (
            int(counts[value]),
            any(s.start == 0 or s.stop == n for s, n in zip(box, labels.shape, strict=True)),
        )
        for value, box in enumerate(boxes, 1)
        if box is not None
    }


class Measurements(Mapping[str, Measured]):
    """``medvl.ct.measure`` of labels, when asked for: few of them get into a conversation."""

    def __init__(self, ct: Path, masks: Mapping[str, MaskSource]) -> None:
        self._ct, self._masks = ct, masks

    def __getitem__(self, name: str) -> Measured:
        return _measured(self._ct, self._masks[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)


@lru_cache(maxsize=4096)
def _measured(ct_file: Path, source: MaskSource) -> Measured:
    ct = read_ct(ct_file)
    result = source.mask(ct).measure(ct)
    return Measured(result.volume_ml, result.longest_diameter_mm, result.mean_hu)
