"""Cases of a ``cases.json``: CTs with label maps, partly labelled, with contrast and origin of the labels.

A name in ``complete`` has its label wherever the structure is visible; it is absent where it has no voxel. Of other
names nothing is known: they are neither targets nor called absent.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ...answering.vocabulary import STRUCTURES
from ...masks import Mask
from ...measure import measure
from ...readers import read_ct
from ...volume import CTVolume
from ..conversations import Facts, Measured, converse
from ..names import canonical
from ..samples import DatasetError, MaskSource, Sample
from .common import LazySamples, choose, entry, load_json, need, rng

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
    return LazySamples(cases, lambda case, epoch: _sample(case, file.parent, seed, epoch))


def _sample(case: dict, folder: Path, seed: int, epoch: int) -> Sample:
    masks = {
        name: MaskSource(folder / case["labels"], (int(value),)) for value, name in sorted(case["label_names"].items())
    }
    extra = _total(case, folder)
    masks |= {name: source for name, source in extra.items() if name not in masks}
    facts = _facts(str(need(folder / case["ct"])), tuple(masks.items()), frozenset(case["complete"]), frozenset(extra))
    turns = converse(facts, rng(seed, case["id"], epoch))
    if not turns:
        raise DatasetError(f"Case {case['id']} has no label that is complete: nothing can be asked about it.")
    return Sample(case["id"], folder / case["ct"], turns, (), {n: masks[n] for n in facts.present})


def _total(case: dict, folder: Path) -> dict[str, MaskSource]:
    """Further structures of TotalSegmentator's output, where a case has it.

    What this project has a name for is in the case's own labels, or was left out of them on purpose.
    """
    if not case.get("labels_total"):
        return {}
    classes = load_json(folder / "labels" / "total_classes.json")
    named = {canonical(name): int(value) for value, name in classes.items()}
    return {n: MaskSource(folder / case["labels_total"], (v,)) for n, v in named.items() if n not in STRUCTURES}


@lru_cache(maxsize=512)
def _facts(
    ct_file: str, masks: tuple[tuple[str, MaskSource], ...], complete: frozenset[str], extra: frozenset[str]
) -> Facts:
    """What a case's labels say; kept, because each epoch asks anew."""
    ct = read_ct(ct_file)
    present, measured, seen = [], {}, set()
    for name, source in masks:
        if name not in complete and name not in extra:
            continue
        mask = source.mask(ct)
        if mask.box is None:
            continue
        seen.add(name)
        if mask.voxels < MIN_VOXELS:
            continue
        present.append(name)
        if not _cut(mask) and name not in extra:
            measured[name] = measured_on(mask, ct)
    return Facts(tuple(sorted(present)), tuple(sorted(complete - seen)), {}, dict(sorted(measured.items())))


def measured_on(mask: Mask, ct: CTVolume) -> Measured:
    """``medvl.measure`` of a label, what conversations ask for."""
    result = measure(mask, ct)
    return Measured(result.volume_ml, result.longest_diameter_mm, result.mean_hu)


def _cut(mask: Mask) -> bool:
    """Whether the object reaches the border of the scan: its size there is that of the scan."""
    return any(lo == 0 or hi == n for lo, hi, n in zip(mask.box.lo, mask.box.hi, mask.shape, strict=True))
