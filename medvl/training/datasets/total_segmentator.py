"""Folders in the layout of the TotalSegmentator dataset: a folder a case, ``ct.nii.gz`` and ``segmentations/*.nii.gz``.

The public dataset (https://doi.org/10.5281/zenodo.6802613, v1 and v2) lies so, with a ``meta.csv`` (";" between its
columns) whose ``split`` says train, val or test. Its masks cover every class in every scan, so an empty mask means
absent; a class without a file is unknown. A folder of TotalSegmentator's own outputs beside their CTs has no
``meta.csv``: one case in ten, by a hash of its name, is then ``val``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from ...ct.masks import Mask
from ...vocabulary.names import EVERYTHING
from .common import LazySamples, choose, need, rng, table
from .conversations import Facts, converse
from .names import canonical
from .samples import DatasetError, MaskSource, NothingToAsk, Sample, Turn, grid_of

CANDIDATES = 12  # structures looked at for one conversation: each is a file to unpack
KNOWN_WEIGHT = 4.0  # a structure that this project has a name for is as likely as four ribs
MIN_VOXELS = 30
_LOBES = ("upper_lobe", "middle_lobe", "lower_lobe")


def open_total_segmentator(root: Path, split: str, seed: int = 0) -> LazySamples[Path]:
    """Cases of a split.

    Args:
        root: holds the case folders, and ``meta.csv`` in the public dataset.
        split: ``train``, ``val`` or, of the public dataset, ``test``.
        seed: of the conversations.

    Raises:
        DatasetError: no cases, or ``meta.csv`` has other columns or names a case that is missing.
    """
    split = choose(split, {"train": "train", "val": "val", "test": "test"}, "TotalSegmentator")
    meta = need(root) / "meta.csv"
    if meta.exists():
        rows = table(meta, ("image_id", "split"), delimiter=";")
        cases = [root / row["image_id"] for row in rows if row["split"].strip() == split]
    else:
        folders = sorted(file.parent for file in root.glob("*/ct.nii.gz"))
        held_out = {folder for folder in folders if rng("split", folder.name).random() < 0.1}
        cases = {"train": [f for f in folders if f not in held_out], "val": sorted(held_out), "test": []}[split]
    if not cases:
        raise DatasetError(f"{root} holds no case of split {split!r} (a folder with ct.nii.gz and segmentations/).")
    for case in cases:
        need(case / "ct.nii.gz")
    return LazySamples(cases, lambda case, epoch: _sample(case, seed, epoch), attrgetter("name"))


def sources(case: Path) -> dict[str, MaskSource]:
    """Structure -> mask file of a case; the lungs are the sum of their lobes."""
    files = sorted(need(case / "segmentations").glob("*.nii.gz"))
    found = {canonical(file.name.removesuffix(".nii.gz")): MaskSource(file) for file in files}
    if not found:
        raise DatasetError(f"{case / 'segmentations'} holds no .nii.gz mask.")
    for side, lobes in (("left", ("upper_lobe", "lower_lobe")), ("right", _LOBES)):
        parts = [found.get(f"{side}_lung_{lobe}") for lobe in lobes]
        if all(parts):
            found.setdefault(f"{side}_lung", replace(parts[0], parts=tuple(parts[1:])))
    return found


def _sample(case: Path, seed: int, epoch: int) -> Sample:
    masks = sources(case)
    state = rng(seed, case.name, epoch)
    names = sorted(masks)
    weights = [KNOWN_WEIGHT if name in EVERYTHING else 1.0 for name in names]
    share = [w / sum(weights) for w in weights]
    chosen = [names[i] for i in state.choice(len(names), min(CANDIDATES, len(names)), replace=False, p=share)]
    bare = Sample(case.name, case / "ct.nii.gz", (Turn("", ""),))
    facts = facts_of({name: masks[name] for name in sorted(chosen)}, bare)
    turns = converse(facts, state)
    if not turns:  # all that was drawn is fragments: look at everything
        facts = facts_of(masks, bare)
        turns = converse(facts, state)
    if not turns:
        raise NothingToAsk(f"Case {case} has only empty masks of known absence or fragments; remove it.")
    return replace(bare, turns=turns, masks={name: masks[name] for name in facts.present})


def facts_of(masks: Mapping[str, MaskSource], sample: Sample) -> Facts:
    """Which structures are in the scan and which are not, of masks that are complete."""
    grid = grid_of(sample)
    found = {name: source.mask(grid) for name, source in masks.items()}
    return Facts(
        tuple(name for name, mask in found.items() if mask.voxels >= MIN_VOXELS),
        tuple(name for name, mask in found.items() if mask.empty),
        voxels={name: mask.voxels for name, mask in found.items() if mask.box and not cut(mask)},
    )


def cut(mask: Mask) -> bool:
    """Whether an object reaches the border of its scan: its size is then the scan's."""
    return any(lo == 0 or hi == n for lo, hi, n in zip(mask.box.lo, mask.box.hi, mask.shape, strict=True))
