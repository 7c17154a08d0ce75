"""Readers of published datasets, one module each; all give ``Sequence[Sample]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .cases import open_cases
from .common import JoinedSamples, draw
from .ct_rate import open_ct_rate, open_radgenome
from .m3d import open_cap, open_refseg, open_seg, open_vqa
from .samples import DatasetError, Sample
from .total_segmentator import open_total_segmentator

__all__ = ["KINDS", "JoinedSamples", "draw", "open_dataset"]

KINDS: dict[str, Callable[[Path, str, int], Sequence[Sample]]] = {
    "m3d-cap": open_cap,
    "m3d-vqa": open_vqa,
    "m3d-seg": open_seg,
    "m3d-refseg": open_refseg,
    "ct-rate": open_ct_rate,
    "radgenome": open_radgenome,
    "total-segmentator": open_total_segmentator,
    "cases": open_cases,
}
"""Reader of each kind of dataset folder."""


def open_dataset(kind: str, root: str | Path, split: str, seed: int = 0) -> Sequence[Sample]:
    """Open a dataset that lies on this machine.

    Args:
        kind: a key of ``KINDS``.
        root: its folder; what it holds is said by the reader. Of ``cases`` the json, or its folder.
        split: ``train``, ``val`` or ``test``, where the dataset has it.
        seed: of what is asked and how; see ``draw`` for other questions in each epoch.

    Raises:
        DatasetError: no such kind, or a file, key or column of the published layout is missing.
    """
    if kind not in KINDS:
        raise DatasetError(f"There is no reader for {kind!r}. Choose one of {', '.join(KINDS)}.")
    return KINDS[kind](Path(root), split, seed)
